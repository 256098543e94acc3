-- Memberships of `belonging` (bulk_tables.sql).
--   :first  n of none of them is less
INSERT INTO gridsvc.case_report (report_id, case_id, is_first, joined_at, distance_m)
SELECT u.report_id, b.case_id, b.is_first = 1, u.received_at, b.distance_m
FROM belonging AS b
JOIN unopened AS u ON u.n = b.n AND u.n >= :first
