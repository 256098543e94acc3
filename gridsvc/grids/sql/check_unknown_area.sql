-- Assignments to an area that does not exist when they begin.
--   the work table `drafted_assignment` (gridsvc.draft_assignment)
--   :change_set  id
SELECT n.layer, n.area_code, n.duty, n.rank, n.category, n.party_code, n.valid_from
FROM pg_temp.drafted_assignment AS n
WHERE n.proposed
  AND NOT EXISTS (
    SELECT FROM gridsvc.drafted_area(:change_set, n.layer, n.area_code) AS a
    WHERE a.valid_from <= n.valid_from AND (a.valid_to IS NULL OR n.valid_from < a.valid_to))
ORDER BY n.layer, n.area_code, n.duty, n.rank
