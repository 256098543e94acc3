-- Open cases that reports of some classes may be one more of.
--   %(categories)s     array of class codes
--   %(since)s, %(until)s  opened from and to, microseconds since 1970 UTC
-- One row of arrays, oldest first: id, x, y (storage CRS), opened (microseconds since 1970 UTC),
-- place of the class in the array from 0.
SELECT array_agg(f.id), array_agg(ST_X(f.point)), array_agg(ST_Y(f.point)),
       array_agg(CAST(extract(epoch FROM f.opened_at) * 1000000 AS bigint)),
       array_agg(CAST(f.number - 1 AS integer))
FROM (
    SELECT c.id, c.point, c.opened_at, k.number
    FROM gridsvc.case AS c
    JOIN unnest(CAST(%(categories)s AS text[])) WITH ORDINALITY AS k (category, number)
        ON k.category = c.category
    WHERE c.closed_at IS NULL AND c.merged_into IS NULL AND c.state <> 'not_ours'
      AND c.point IS NOT NULL
      AND c.opened_at >= timestamptz 'epoch' + %(since)s * interval '1 microsecond'
      AND c.opened_at <= timestamptz 'epoch' + %(until)s * interval '1 microsecond'
    ORDER BY c.opened_at, c.id
) AS f
