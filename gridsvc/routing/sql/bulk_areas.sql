-- Every area version that a revision up to :revision holds, in the order in which a point asks:
-- by layer from the outside in, then by code (bytewise).
--   :revision  number
-- Columns: id, layer, code, is_tiling, valid_from, valid_to.
SELECT a.id, a.layer, a.code, l.kind = 'tiling' AS is_tiling, a.valid_from, a.valid_to
FROM gridsvc.area AS a
JOIN gridsvc.layer AS l ON l.code = a.layer
WHERE a.rev_from <= :revision
ORDER BY l.position, a.code COLLATE "C", a.id
