-- How reports stand: what was filed, who manages there, and where their cases have come to.
--   :ids       array of reports' ids; null is those that the rest chooses
--   :since     received from then on …
--   :before    … and before then
--   :services  array of class codes; null is all
--   :closed    only ended ones, or only others; null is both
--   :most      rows, the newest
-- Columns: of gridsvc.reports.standings.Standing, but for the words of the category.
-- An ended report: its case is closed or left the flow; of an imported one, it has an end.
-- Leans on report_pkey or report_received_at_idx, report_answer_pkey, case_report_pkey, case_pkey
-- and case_event_pkey.
SELECT
    r.id, r.category, r.description, r.lon, r.lat, r.photo_urls, r.received_at,
    a.areas,
    CASE jsonb_typeof(a.management)
        WHEN 'object' THEN a.management -> 'party' ->> 'name'
        WHEN 'string' THEN (
            SELECT gridsvc.masked_name(p.name, p.kind)
            FROM gridsvc.party AS p WHERE p.code = a.management #>> '{}')
    END AS management,
    s.closed, c.state, c.due_at,
    CASE WHEN c.state IN ('not_ours', 'suspended') THEN (
        SELECT e.reason FROM gridsvc.case_event AS e
        WHERE e.case_id = c.id AND e.kind = c.state
        ORDER BY e.number DESC LIMIT 1)
        WHEN c.id IS NULL THEN a.reason
    END AS reason,
    coalesce(
        c.closed_at,
        CASE WHEN c.state = 'not_ours' THEN c.state_since END,
        (SELECT e.at FROM gridsvc.case_event AS e
         WHERE e.case_id = c.id AND e.number = c.last_event),
        r.closed_at, a.answered_at) AS updated_at
FROM gridsvc.report AS r
CROSS JOIN LATERAL (
    SELECT n.reason, n.answered_at, n.answer -> 'management' AS management,
           n.answer -> 'areas' AS areas
    FROM gridsvc.report_answer AS n
    WHERE n.report_id = r.id ORDER BY n.number DESC LIMIT 1) AS a
LEFT JOIN gridsvc.case_report AS b ON b.report_id = r.id
LEFT JOIN gridsvc.case AS c ON c.id = b.case_id
CROSS JOIN LATERAL (
    SELECT coalesce(c.state IN ('closed', 'not_ours'), r.closed_at IS NOT NULL) AS closed) AS s
WHERE CASE
    WHEN CAST(:ids AS uuid[]) IS NOT NULL THEN r.id = ANY(CAST(:ids AS uuid[]))
    ELSE r.received_at >= CAST(:since AS timestamptz)
        AND r.received_at < CAST(:before AS timestamptz)
        AND (CAST(:services AS text[]) IS NULL OR r.category = ANY(CAST(:services AS text[])))
        AND (CAST(:closed AS boolean) IS NULL OR s.closed = CAST(:closed AS boolean))
END
ORDER BY r.received_at DESC, r.id
LIMIT :most
