-- Who answers for components, of many points: functions/15_component.sql for a whole batch.
--   :n           array of the rows' numbers
--   :x, :y       arrays, storage CRS; :srid its SRID
--   :categories  array of class codes
--   :revisions, :scheme_ids  arrays: the revision that answers for each, and its scheme
--   :at_us       array of microseconds since 1970 UTC; :minutes those of the local week
-- Columns: n and party_code; rows that stay with the ladder are left out.
SELECT q.n, coalesce(d.owner, (d.held).party_code) AS party_code
FROM unnest(
    CAST(:n AS bigint[]), CAST(:x AS float8[]), CAST(:y AS float8[]), CAST(:categories AS text[]),
    CAST(:revisions AS integer[]), CAST(:at_us AS bigint[]), CAST(:minutes AS integer[]),
    CAST(:scheme_ids AS integer[])
) AS q (n, x, y, category, revision, at_us, minute, scheme_id)
CROSS JOIN LATERAL gridsvc.component_decision(
    ST_SetSRID(ST_MakePoint(q.x, q.y), CAST(:srid AS integer)), q.category, NULL, q.revision,
    timestamptz 'epoch' + q.at_us * interval '1 microsecond', q.minute, q.scheme_id) AS d
WHERE coalesce(d.owner, (d.held).party_code) IS NOT NULL
