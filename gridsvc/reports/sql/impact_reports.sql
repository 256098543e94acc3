-- The reports for which somebody else would have a duty, as a change set was last previewed.
--   :change_set  its number
-- Columns: id, category, the duties and in their order from which party to which; geometry as in
-- impact_grounds.sql.
SELECT m.report_id::text AS id, r.category, m.duties, m.parties_from, m.parties_to,
       ST_AsGeoJSON(ST_Transform(m.point, 4326), 8) AS geometry
FROM gridsvc.impact_report AS m
LEFT JOIN gridsvc.report AS r ON r.id = m.report_id
WHERE m.change_set_id = :change_set
ORDER BY m.id
