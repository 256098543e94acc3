-- Duties that the change set ends without a successor.
--   :change_set  id
-- Columns: layer, area_code, duty, rank, category, party_code (who leaves), left_at.
-- A successor is anyone who holds the same duty and rank on the same area from the very instant,
-- for the same category or for all.
SELECT n.layer, n.area_code, n.duty, n.rank, n.category, n.party_code, n.valid_to AS left_at
FROM gridsvc.draft_assignment(:change_set) AS n
WHERE n.proposed AND n.valid_to IS NOT NULL
  AND NOT EXISTS (
    SELECT FROM gridsvc.draft_assignment(:change_set) AS s
    WHERE s.layer = n.layer AND s.area_code = n.area_code AND s.duty = n.duty AND s.rank = n.rank
      AND (s.category IS NULL OR s.category = n.category)
      AND s.valid_from <= n.valid_to AND (s.valid_to IS NULL OR n.valid_to < s.valid_to))
  -- Where the area itself ends no later, nothing is left to hold.
  AND EXISTS (
    SELECT FROM gridsvc.draft_area(:change_set, n.valid_to) AS a
    WHERE a.layer = n.layer AND a.code = n.area_code)
ORDER BY n.layer, n.area_code, n.duty, n.rank
