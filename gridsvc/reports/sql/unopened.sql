-- Routed reports of a file that no case has yet, in the order in which they came in.
--   :source      whose
--   :categories  array of the class codes there are, which gives each its number
-- Makes the temporary table unopened, dropped with the transaction: n from 0, report_id, point
-- (storage CRS), received_at, closed_at, kind (place of the class in :categories from 0; -1: none).
-- Equal times go by the file's ids, so that the same file gives the same cases.
CREATE TEMPORARY TABLE unopened ON COMMIT DROP AS
SELECT CAST(row_number() OVER (ORDER BY r.received_at, r.source_id) - 1 AS integer) AS n,
       r.id AS report_id, r.point, r.received_at, r.closed_at,
       CAST(coalesce(k.number, 0) - 1 AS integer) AS kind
FROM gridsvc.report AS r
JOIN gridsvc.report_answer AS a ON a.report_id = r.id AND a.number = 1
LEFT JOIN unnest(CAST(:categories AS text[])) WITH ORDINALITY AS k (category, number)
    ON k.category = r.category
WHERE r.source = :source AND a.cause = 'import' AND a.mark = 'routed'
  AND NOT EXISTS (SELECT FROM gridsvc.case_report AS c WHERE c.report_id = r.id)
ORDER BY n
