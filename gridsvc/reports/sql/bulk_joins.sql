-- The reports of `belonging` (bulk_tables.sql) join cases that were open before, whose rows are
-- locked: an event each at the end of the case's log, and the row that follows from them.
--   :actor  who tells
WITH joined AS (
    SELECT b.case_id, u.report_id, u.received_at, b.distance_m,
           CAST(row_number() OVER (PARTITION BY b.case_id ORDER BY b.n) AS integer) AS nth
    FROM belonging AS b
    JOIN unopened AS u ON u.n = b.n
), told AS (
    INSERT INTO gridsvc.case_event (case_id, number, kind, at, actor, details, state)
    SELECT c.id, c.last_event + j.nth, 'joined', j.received_at, :actor,
           jsonb_build_object('report', j.report_id, 'distance_m', j.distance_m), c.state
    FROM joined AS j
    JOIN gridsvc.case AS c ON c.id = j.case_id
)
UPDATE gridsvc.case AS c
SET report_count = c.report_count + j.reports, last_event = c.last_event + j.reports
FROM (SELECT case_id, CAST(count(*) AS integer) AS reports FROM joined GROUP BY case_id) AS j
WHERE c.id = j.case_id
