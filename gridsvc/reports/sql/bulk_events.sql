-- Events of `happening` (bulk_tables.sql) in the logs of the cases of `opening`. Details are those
-- that gridsvc.reports.case_log reads.
--   :kinds, :states, :reasons  arrays
--   :never   stands for no instant, :unsaid for a detail that the event does not have
--   :actor   who tells
--   :closed  details of a closing
--   :first   n of the slice's first report
--   :first_case, :last_case  ids of the cases, both included
INSERT INTO gridsvc.case_event (
    case_id, number, kind, at, actor, party, to_party, reason, details, state)
SELECT c.id, h.number, k.kind, timestamptz 'epoch' + h.at_us * interval '1 microsecond', :actor,
       CASE WHEN h.by_holder = 1 THEN c.responsible END,
       CASE WHEN h.to_holder = 1 THEN c.responsible END,
       (CAST(:reasons AS text[]))[h.reason + 1],
       CASE k.kind
           WHEN 'filed' THEN jsonb_build_object(
               'report', u.report_id,
               'first', jsonb_build_object(
                   'category', c.category,
                   'point', jsonb_build_array(ST_X(c.point), ST_Y(c.point)),
                   'areas', c.areas,
                   'responsible', c.responsible,
                   'opened_at', c.opened_at),
               'case_due_at', timestamptz 'epoch' + nullif(h.due_us, :never)
                   * interval '1 microsecond')
           WHEN 'joined' THEN jsonb_build_object(
               'report', u.report_id, 'distance_m', h.distance_m)
           WHEN 'closed' THEN CAST(:closed AS jsonb)
           ELSE CASE WHEN h.step_due_us = :unsaid THEN '{}' ELSE jsonb_build_object(
                    'step', 1,
                    'due_at', timestamptz 'epoch' + nullif(h.step_due_us, :never)
                        * interval '1 microsecond') END
                || CASE WHEN h.due_us = :unsaid THEN '{}' ELSE jsonb_build_object(
                    'case_due_at', timestamptz 'epoch' + nullif(h.due_us, :never)
                        * interval '1 microsecond') END
       END,
       (CAST(:states AS text[]))[h.state + 1]
FROM happening AS h
CROSS JOIN LATERAL (SELECT (CAST(:kinds AS text[]))[h.kind + 1] AS kind) AS k
JOIN gridsvc.case AS c ON c.id = h.case_id AND c.id BETWEEN :first_case AND :last_case
LEFT JOIN unopened AS u ON u.n = h.n AND u.n >= :first
