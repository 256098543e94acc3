-- Duties that the change set ends without a successor.
--   the work table `drafted_assignment` (gridsvc.draft_assignment)
--   :change_set  id
-- Columns: layer, area_code, duty, rank, category, party_code (who leaves), left_at.
-- A successor is anyone who holds the same duty and rank on the same area from the very instant,
-- for the same category or for all. Where the area itself ends by then, nothing is left to hold.
SELECT n.layer, n.area_code, n.duty, n.rank, n.category, n.party_code, n.valid_to AS left_at
FROM pg_temp.drafted_assignment AS n
WHERE n.proposed AND n.valid_to IS NOT NULL
  AND NOT EXISTS (
    SELECT FROM pg_temp.drafted_assignment AS s
    WHERE s.layer = n.layer AND s.area_code = n.area_code AND s.duty = n.duty AND s.rank = n.rank
      AND (s.category IS NULL OR s.category = n.category)
      AND s.valid_from <= n.valid_to AND (s.valid_to IS NULL OR n.valid_to < s.valid_to))
  -- What was once published as it stands here is history brought back, not a new departure.
  AND NOT EXISTS (
    SELECT FROM gridsvc.assignment AS h
    WHERE h.layer = n.layer AND h.area_code = n.area_code AND h.duty = n.duty AND h.rank = n.rank
      AND h.party_code = n.party_code AND h.category IS NOT DISTINCT FROM n.category
      AND h.valid_from = n.valid_from AND h.valid_to = n.valid_to)
  AND EXISTS (
    SELECT FROM gridsvc.drafted_area(:change_set, n.layer, n.area_code) AS a
    WHERE a.valid_from <= n.valid_to AND (a.valid_to IS NULL OR n.valid_to < a.valid_to))
ORDER BY n.layer, n.area_code, n.duty, n.rank
