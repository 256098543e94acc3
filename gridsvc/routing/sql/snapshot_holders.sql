-- Assignments of a revision.
--   %(revision)s  number
--   %(since)s     only those that came after this revision; 0 gives all
-- Columns: id, layer, area_code, duty, rank, party_code, role, category, hours (as text), from_us and
-- to_us (microseconds since 1970 UTC; null is open). Leans on assignment_rev_from_idx.
SELECT s.id, s.layer, s.area_code, s.duty, s.rank, s.party_code, s.role, s.category,
       s.hours::text, (extract(epoch FROM s.valid_from) * 1000000)::bigint,
       (extract(epoch FROM s.valid_to) * 1000000)::bigint
FROM gridsvc.assignment AS s
WHERE s.rev_from > %(since)s AND s.rev_from <= %(revision)s
  AND (s.rev_to IS NULL OR %(revision)s < s.rev_to)
ORDER BY s.id
