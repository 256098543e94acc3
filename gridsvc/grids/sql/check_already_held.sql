-- Two assignments for one duty, rank, category and hour.
--   the work table `drafted_assignment` (gridsvc.draft_assignment)
-- Columns: layer, area_code, duty, rank, category, party_code, other (the earlier holder),
-- held_from, held_to of the other. A hand-over is no clash: periods are half-open.
SELECT n.layer, n.area_code, n.duty, n.rank, n.category, n.party_code,
       o.party_code AS other, o.valid_from AS held_from, o.valid_to AS held_to
FROM pg_temp.drafted_assignment AS n
JOIN pg_temp.drafted_assignment AS o
  ON o.layer = n.layer AND o.area_code = n.area_code AND o.duty = n.duty AND o.rank = n.rank
 AND coalesce(o.category, '') = coalesce(n.category, '') AND o.hours && n.hours
 AND tstzrange(o.valid_from, o.valid_to) && tstzrange(n.valid_from, n.valid_to)
WHERE n.proposed AND (NOT o.proposed OR o.row_number < n.row_number)
ORDER BY n.layer, n.area_code, n.duty, n.rank
