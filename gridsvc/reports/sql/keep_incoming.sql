-- Reports of a batch with their first answers; a report that the source told before is left out.
--   :source  who tells
--   :srid    of the storage CRS
--   :layers  array of layer codes, in the order of incoming.areas
-- Columns: mark and how many were stored with it.
WITH kept AS (
    INSERT INTO gridsvc.report (
        id, source, source_id, channel, x, y, crs, lon, lat, point, accuracy_m, category,
        received_at, closed_at, status)
    SELECT i.id, :source, i.source_id, i.channel, i.x, i.y, i.crs, i.lon, i.lat,
           ST_SetSRID(ST_MakePoint(i.stored_x, i.stored_y), CAST(:srid AS integer)),
           i.accuracy_m, i.category, i.received_at, i.closed_at, i.status
    FROM incoming AS i
    ON CONFLICT (source, source_id) DO NOTHING
    RETURNING id
), answered AS (
    INSERT INTO gridsvc.report_answer (report_id, number, cause, mark, reason, revision, answer)
    SELECT i.id, 1, 'import', i.mark, i.reason, i.revision,
           CASE WHEN i.mark = 'routed' THEN jsonb_build_object(
               'areas', jsonb_strip_nulls(jsonb_object(CAST(:layers AS text[]), i.areas)),
               'responsible', i.responsible,
               'management', i.management,
               'enforcement_lead', i.enforcement_lead,
               'enforcement_assistant', i.enforcement_assistant,
               'supervisor', i.supervisor,
               'edge_m', i.edge_m) END
    FROM incoming AS i
    JOIN kept ON kept.id = i.id
    RETURNING mark
)
SELECT mark, count(*) AS reports FROM answered GROUP BY mark
