-- The cases that proved true on an area or under a party, by month and category.
--   :areas  JSON object {layer: code of the area, as the first report was answered}; null is all
--   :party  code of the party that was answered to be responsible; null is all
--   :zone   the city's time zone, in which months begin
-- Columns: month (of the case's opening, YYYY-MM), category, cases, reports (in them now).
-- Proved true as in reporter_credit.sql. Leans on case_areas_idx or case_responsible_idx.
SELECT
    to_char(c.opened_at AT TIME ZONE :zone, 'YYYY-MM') AS month, c.category,
    count(*) AS cases, sum(n.reports) AS reports
FROM gridsvc.case AS c
CROSS JOIN LATERAL (
    SELECT count(*) AS reports FROM gridsvc.case_report AS b WHERE b.case_id = c.id) AS n
WHERE c.state IN ('verified', 'closed')
    AND EXISTS (
        SELECT FROM gridsvc.case_event AS e WHERE e.case_id = c.id AND e.kind = 'verified')
    AND (CAST(:areas AS jsonb) IS NULL OR c.areas @> CAST(:areas AS jsonb))
    AND (CAST(:party AS text) IS NULL OR c.responsible = CAST(:party AS text))
GROUP BY month, c.category
ORDER BY month, c.category
