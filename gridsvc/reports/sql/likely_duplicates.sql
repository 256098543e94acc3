-- Open cases that a report may be one more of, nearest first, then the oldest.
--   :report_id  whose point, category and time count; without a point or a category, none
--   :within_m   metres from a case's point, itself included
--   :since      opened at or after this instant
--   :own        a case to leave out: the report's own; null before it has one. Then a case that was
--               opened while the report waited for its turn counts too, else only earlier ones
-- Columns: case_id, report_id (of the case's first report), distance_m, opened_at, category.
-- Leans on case_open_point_idx.
SELECT c.id AS case_id, f.report_id, ST_Distance(c.point, r.point) AS distance_m, c.opened_at,
       c.category
FROM gridsvc.report AS r
JOIN gridsvc.case AS c ON c.category = r.category AND ST_DWithin(c.point, r.point, :within_m)
JOIN gridsvc.case_report AS f ON f.case_id = c.id AND f.is_first
WHERE r.id = :report_id
  AND c.closed_at IS NULL AND c.merged_into IS NULL AND c.state <> 'not_ours'
  AND c.opened_at >= CAST(:since AS timestamptz)
  AND (CAST(:own AS bigint) IS NULL OR c.opened_at <= r.received_at AND c.id <> :own)
ORDER BY distance_m, c.opened_at, c.id
