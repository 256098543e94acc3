-- Cases of `opening` (bulk_tables.sql), each with its first report.
--   :states  array of states
--   :never   stands for no instant
--   :first, :last  n of the slice from and below
-- The bounds only keep each slice from reading the tables whole: ids made by one import ascend.
WITH bounds AS MATERIALIZED (
    SELECT (array_agg(report_id ORDER BY report_id))[1] AS least,
           (array_agg(report_id ORDER BY report_id DESC))[1] AS greatest
    FROM unopened WHERE n >= :first AND n < :last
)
INSERT INTO gridsvc.case (
    id, category, point, areas, responsible, opened_at, state, state_since, holder, step,
    step_due_at, due_at, closed_at, report_count, return_count, failed_verification_count,
    last_event) OVERRIDING SYSTEM VALUE
SELECT o.case_id, r.category, r.point, a.answer -> 'areas', a.answer ->> 'responsible',
       r.received_at, (CAST(:states AS text[]))[o.state + 1],
       timestamptz 'epoch' + o.since_us * interval '1 microsecond',
       CASE WHEN o.is_held = 1 THEN a.answer ->> 'responsible' END, o.step,
       timestamptz 'epoch' + nullif(o.step_due_us, :never) * interval '1 microsecond',
       timestamptz 'epoch' + nullif(o.due_us, :never) * interval '1 microsecond',
       timestamptz 'epoch' + nullif(o.closed_us, :never) * interval '1 microsecond',
       o.reports, o.returned, o.failed, o.last_event
FROM opening AS o
JOIN unopened AS u ON u.n = o.n AND u.n >= :first AND u.n < :last
JOIN gridsvc.report AS r ON r.id = u.report_id
JOIN gridsvc.report_answer AS a ON a.report_id = u.report_id AND a.number = 1
WHERE r.id BETWEEN (SELECT least FROM bounds) AND (SELECT greatest FROM bounds)
  AND a.report_id BETWEEN (SELECT least FROM bounds) AND (SELECT greatest FROM bounds)
