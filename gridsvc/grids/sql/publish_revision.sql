-- Number and time a change set's revision.
--   :change_set  id
-- A revision answers from its publication on, so that an as-of question gives what the service
-- would have said then. Only while the history of a new service is loaded (no revision has
-- answered from its publication yet) may one answer from the earliest instant that it describes;
-- what describes nothing older than itself, or goes back to an earlier state, is no history.
--   :is_history  whether it may be
-- Column: number.
WITH last AS (
    SELECT max(number) AS number, max(effective_at) AS effective_at,
           coalesce(bool_or(effective_at = published_at), false) AS is_live
    FROM gridsvc.revision
), earliest AS (
    SELECT min(e.valid_from) AS at FROM (
        SELECT valid_from FROM gridsvc.area_edit WHERE change_set_id = :change_set
        UNION ALL
        SELECT valid_from FROM gridsvc.assignment_edit WHERE change_set_id = :change_set
        UNION ALL
        SELECT valid_from FROM gridsvc.absence_edit WHERE change_set_id = :change_set
        UNION ALL
        SELECT valid_from FROM gridsvc.component_edit WHERE change_set_id = :change_set
    ) AS e
), clock AS (
    SELECT clock_timestamp() AS now
)
INSERT INTO gridsvc.revision
    (number, published_at, effective_at, scheme_id, change_set_id, author, note)
SELECT coalesce(last.number, 0) + 1, clock.now,
       CASE WHEN last.is_live OR NOT :is_history OR earliest.at >= c.created_at THEN clock.now
            ELSE greatest(last.effective_at, least(clock.now, earliest.at)) END,
       (SELECT max(id) FROM gridsvc.scheme), c.id, c.author, c.note
FROM last, earliest, clock, gridsvc.change_set AS c
WHERE c.id = :change_set
RETURNING number
