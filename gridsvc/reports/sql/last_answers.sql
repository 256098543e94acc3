-- Reports with what their last answers come to, for a comparison with new ones.
--   :since   instant; reports received since
--   :after   id; reports that come after it, or null
--   :limit   the most rows
--   :layers  array of layer codes
-- Columns: id, x, y, crs, category, received_at, mark, and told: the area's code in each of the
-- layers, then the codes of the parties, with U+001F between; empty where there is none. In the
-- order of ids. Leans on report_pkey and report_answer_pkey.
SELECT r.id, r.x, r.y, r.crs, r.category, r.received_at, last.mark,
       array_to_string(
           ARRAY(SELECT coalesce(last.answer -> 'areas' -> l.code ->> 'code',  -- a whole Answer
                                 last.answer -> 'areas' ->> l.code)            -- codes of a file's
                 FROM unnest(CAST(:layers AS text[])) WITH ORDINALITY AS l (code, n)
                 ORDER BY l.n)
           || CASE WHEN last.answer ? 'enforcement_lead'
              THEN ARRAY[last.answer ->> 'responsible', last.answer ->> 'management',
                         last.answer ->> 'enforcement_lead',
                         last.answer ->> 'enforcement_assistant', last.answer ->> 'supervisor']
              ELSE ARRAY[last.answer #>> '{responsible,party,code}',
                         last.answer #>> '{management,party,code}',
                         last.answer #>> '{enforcement,lead,party,code}',
                         last.answer #>> '{enforcement,assistant,party,code}',
                         last.answer #>> '{supervisor,party,code}']
              END, E'\x1f', '') AS told
FROM gridsvc.report AS r
CROSS JOIN LATERAL (
    SELECT a.mark, a.answer FROM gridsvc.report_answer AS a
    WHERE a.report_id = r.id ORDER BY a.number DESC LIMIT 1
) AS last
WHERE r.received_at >= :since AND (CAST(:after AS uuid) IS NULL OR r.id > :after)
ORDER BY r.id
LIMIT :limit
