-- Cases that reports open, each where its filing leads; `case_log.after` has the rest of the row.
--   Arrays of one length: :categories :eastings :northings (storage CRS) :areas (JSON)
--   :responsible :opened :since (of the state) :tiers :due :report_counts :last_events
--   :srid  of the storage CRS
-- Columns: id. PostgreSQL numbers rows of an ordered SELECT in their order, so ids in ascending
-- order are those of the arrays.
INSERT INTO gridsvc.case (
    category, point, areas, responsible, opened_at, state, state_since, tier, due_at, report_count,
    last_event)
SELECT t.category, ST_SetSRID(ST_Point(t.easting, t.northing), :srid), CAST(t.areas AS jsonb),
       t.responsible, t.opened_at, 'filed', t.since, t.tier, t.due_at, t.report_count, t.last_event
FROM unnest(
    CAST(:categories AS text[]), CAST(:eastings AS float8[]), CAST(:northings AS float8[]),
    CAST(:areas AS text[]), CAST(:responsible AS text[]), CAST(:opened AS timestamptz[]),
    CAST(:since AS timestamptz[]), CAST(:tiers AS text[]), CAST(:due AS timestamptz[]),
    CAST(:report_counts AS integer[]), CAST(:last_events AS integer[])
) WITH ORDINALITY AS t (category, easting, northing, areas, responsible, opened_at, since, tier,
                        due_at, report_count, last_event, n)
ORDER BY t.n
RETURNING id
