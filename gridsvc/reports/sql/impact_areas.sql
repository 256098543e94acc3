-- Which areas would change by how much, as a change set was last previewed.
--   :change_set  its number
-- Columns as gridsvc.reports.impact.AreaImpact.
SELECT a.layer, a.code, a.what, a.area_before_m2, a.area_after_m2, a.length_before_m,
       a.length_after_m, a.moved_edge_m
FROM gridsvc.impact_area AS a
WHERE a.change_set_id = :change_set
ORDER BY a.id
