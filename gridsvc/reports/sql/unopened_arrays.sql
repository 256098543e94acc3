-- Some rows of unopened.sql as arrays, in their order.
--   %(first)s, %(last)s  n from and below
--   %(never)s            stands for no end
-- One row: x, y (storage CRS), received and closed (microseconds since 1970 UTC), kind.
SELECT array_agg(ST_X(u.point)), array_agg(ST_Y(u.point)),
       array_agg(CAST(extract(epoch FROM u.received_at) * 1000000 AS bigint)),
       array_agg(coalesce(CAST(extract(epoch FROM u.closed_at) * 1000000 AS bigint), %(never)s)),
       array_agg(u.kind)
FROM (
    SELECT * FROM unopened AS o WHERE o.n >= %(first)s AND o.n < %(last)s ORDER BY o.n
) AS u
