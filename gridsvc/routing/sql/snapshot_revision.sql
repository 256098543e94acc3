-- A revision and the newest one.
--   %(revision)s  number; null is the newest
-- Columns: number, effective_us and published_us (microseconds since 1970 UTC), scheme_id; no row
-- where there is no such revision.
SELECT v.number, (extract(epoch FROM v.effective_at) * 1000000)::bigint,
       (extract(epoch FROM v.published_at) * 1000000)::bigint, v.scheme_id
FROM gridsvc.revision AS v
WHERE v.number = coalesce(CAST(%(revision)s AS integer), (SELECT max(number) FROM gridsvc.revision))
