-- Open cases that reports may be one more of; of each report nearest first, then the oldest.
--   Arrays of one length:
--   :report_ids  whose point, category and time count; without a point or a category, none
--   :within_m    metres from a case's point, itself included
--   :since       opened at or after this instant
--   :own         a case to leave out: the report's own; null before it has one. Then a case that
--                was opened while the report waited for its turn counts too, else only earlier ones
-- Columns: of_report, case_id, report_id (of the case's first report), distance_m, opened_at,
-- category. Leans on case_open_point_idx.
SELECT r.id AS of_report, c.id AS case_id, f.report_id,
       ST_Distance(c.point, r.point) AS distance_m, c.opened_at, c.category
FROM unnest(
    CAST(:report_ids AS uuid[]), CAST(:within_m AS float8[]), CAST(:since AS timestamptz[]),
    CAST(:own AS bigint[])
) AS t (report_id, within_m, since, own)
JOIN gridsvc.report AS r ON r.id = t.report_id
JOIN gridsvc.case AS c ON c.category = r.category AND ST_DWithin(c.point, r.point, t.within_m)
JOIN gridsvc.case_report AS f ON f.case_id = c.id AND f.is_first
WHERE c.closed_at IS NULL AND c.merged_into IS NULL AND c.state <> 'not_ours'
  AND c.opened_at >= t.since
  AND (t.own IS NULL OR c.opened_at <= r.received_at AND c.id <> t.own)
ORDER BY distance_m, c.opened_at, c.id
