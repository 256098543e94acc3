-- Assignments to an area that does not exist when they begin.
--   :change_set  id
SELECT n.layer, n.area_code, n.duty, n.rank, n.category, n.party_code, n.valid_from
FROM gridsvc.draft_assignment(:change_set) AS n
WHERE n.proposed
  AND NOT EXISTS (SELECT FROM gridsvc.draft_area(:change_set, n.valid_from) AS a
                  WHERE a.layer = n.layer AND a.code = n.area_code)
ORDER BY n.layer, n.area_code, n.duty, n.rank
