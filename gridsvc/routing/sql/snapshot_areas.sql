-- Versions of areas that a revision holds, in the order in which a point asks.
--   %(revision)s  number
--   %(since)s     only those that came after this revision; 0 gives all
-- Columns: id, layer, code, name, from_us and to_us (microseconds since 1970 UTC; null is open),
-- boundary (WKB, storage CRS). Leans on area_rev_from_idx.
SELECT a.id, a.layer, a.code, a.name,
       (extract(epoch FROM a.valid_from) * 1000000)::bigint,
       (extract(epoch FROM a.valid_to) * 1000000)::bigint,
       ST_AsBinary(a.boundary)
FROM gridsvc.area AS a
JOIN gridsvc.layer AS l ON l.code = a.layer
WHERE a.rev_from > %(since)s AND a.rev_from <= %(revision)s
  AND (a.rev_to IS NULL OR %(revision)s < a.rev_to)
ORDER BY l.position, a.code COLLATE "C", a.id
