-- Registered components of a revision.
--   %(revision)s  number
--   %(since)s     only those that came after this revision; 0 gives all
-- Columns: id, code, category, owner (party code), x and y (storage CRS), from_us and to_us
-- (microseconds since 1970 UTC; null is open). Leans on component_rev_from_idx.
SELECT c.id, c.code, c.category, c.owner, ST_X(c.point), ST_Y(c.point),
       (extract(epoch FROM c.valid_from) * 1000000)::bigint,
       (extract(epoch FROM c.valid_to) * 1000000)::bigint
FROM gridsvc.component AS c
WHERE c.rev_from > %(since)s AND c.rev_from <= %(revision)s
  AND (c.rev_to IS NULL OR %(revision)s < c.rev_to)
ORDER BY c.code COLLATE "C", c.id
