-- Cases that reports open, each where its filing leads; `case_log.after` has the rest of the row.
--   :rows  JSON array of the columns below; point [x, y] in the storage CRS or null
--   :srid  of the storage CRS
-- Columns: id. PostgreSQL numbers rows of an ordered SELECT in their order, so ids in ascending
-- order are those of the array.
INSERT INTO gridsvc.case (
    category, point, areas, responsible, opened_at, state, state_since, tier, due_at, report_count,
    last_event)
SELECT t.category, ST_SetSRID(ST_Point(t.point[1], t.point[2]), :srid), t.areas, t.responsible,
       t.opened_at, t.state, t.state_since, t.tier, t.due_at, t.report_count, t.last_event
FROM ROWS FROM (jsonb_to_recordset(CAST(:rows AS jsonb)) AS (
    category text, point float8[], areas jsonb, responsible text, opened_at timestamptz,
    state text, state_since timestamptz, tier text, due_at timestamptz, report_count integer,
    last_event integer)) WITH ORDINALITY AS t (
    category, point, areas, responsible, opened_at, state, state_since, tier, due_at, report_count,
    last_event, n)
ORDER BY t.n
RETURNING id
