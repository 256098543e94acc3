-- Cases of `opening` (bulk_tables.sql), each with its first report.
--   :states  array of states
--   :never   stands for no instant
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
JOIN unopened AS u ON u.n = o.n
JOIN gridsvc.report AS r ON r.id = u.report_id
JOIN gridsvc.report_answer AS a ON a.report_id = u.report_id AND a.number = 1
