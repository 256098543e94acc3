-- What is counted of cases, in several periods at once and by one key.
--   :starts, :ends  arrays of instants: the periods, half-open
--   :by             'total', 'party', 'area', 'layer' or 'category'
--   :layer          of 'area': code of the layer; else null
--   :deferred_out   suspended cases are left out of should_close
-- Columns: period (from 1), key, and the counts, by two cohorts of cases that were not merged:
-- opened in the period (filed, repeated, escalated), or to be closed in it and not somebody else's
-- (should_close, closed, on_time, returned, deferred). What was closed after the period's end is
-- not closed for it. A case has the key 'layer' once for each layer whose area covers its place.
-- Leans on case_opened_at_idx, case_due_at_idx and case_event_pkey.
WITH period AS (
    SELECT * FROM unnest(CAST(:starts AS timestamptz[]), CAST(:ends AS timestamptz[]))
        WITH ORDINALITY AS p (starts, ends, n)
), counted AS (
    SELECT p.n, c.id, 1 AS filed, c.report_count - 1 AS repeated,
           CASE WHEN EXISTS (
               SELECT FROM gridsvc.case_event AS v
               WHERE v.case_id = c.id AND v.kind = 'escalated' AND v.to_party IS NOT NULL)
           THEN 1 ELSE 0 END AS escalated,
           0 AS should_close, 0 AS closed, 0 AS on_time, 0 AS returned, 0 AS deferred,
           c.responsible, c.areas, c.category
    FROM period AS p
    JOIN gridsvc.case AS c ON c.opened_at >= p.starts AND c.opened_at < p.ends
    WHERE c.state <> 'merged'
    UNION ALL
    SELECT p.n, c.id, 0, 0, 0, d.counts, d.counts * e.closed, d.counts * e.on_time,
           d.counts * CASE WHEN c.return_count > 0 THEN 1 ELSE 0 END,
           CASE WHEN c.state = 'suspended' THEN 1 ELSE 0 END,
           c.responsible, c.areas, c.category
    FROM period AS p
    JOIN gridsvc.case AS c ON c.due_at >= p.starts AND c.due_at < p.ends
    CROSS JOIN LATERAL (
        SELECT CASE WHEN c.state = 'suspended' AND :deferred_out THEN 0 ELSE 1 END AS counts
    ) AS d
    CROSS JOIN LATERAL (
        SELECT CASE WHEN c.closed_at < p.ends THEN 1 ELSE 0 END AS closed,
               CASE WHEN c.closed_at < p.ends AND c.closed_at <= c.due_at THEN 1 ELSE 0 END AS on_time
    ) AS e
    WHERE c.state NOT IN ('merged', 'not_ours')
)
SELECT CAST(c.n AS integer) AS period, k.key,
       CAST(sum(c.filed) AS bigint) AS filed,
       CAST(sum(c.should_close) AS bigint) AS should_close,
       CAST(sum(c.closed) AS bigint) AS closed,
       CAST(sum(c.on_time) AS bigint) AS on_time,
       CAST(sum(c.returned) AS bigint) AS returned,
       CAST(sum(c.repeated) AS bigint) AS repeated,
       CAST(sum(c.deferred) AS bigint) AS deferred,
       CAST(sum(c.escalated) AS bigint) AS escalated
FROM counted AS c
CROSS JOIN LATERAL (
    SELECT CASE CAST(:by AS text)
        WHEN 'total' THEN ''
        WHEN 'party' THEN c.responsible
        WHEN 'area' THEN c.areas ->> CAST(:layer AS text)
        WHEN 'category' THEN c.category
    END AS key
    WHERE CAST(:by AS text) <> 'layer'
    UNION ALL
    SELECT keys.key FROM jsonb_object_keys(c.areas) AS keys (key) WHERE CAST(:by AS text) = 'layer'
) AS k
WHERE k.key IS NOT NULL
GROUP BY c.n, k.key
