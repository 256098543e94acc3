-- The edges of areas, to measure distances to.
--   :ids  ids of area versions
-- Columns: id, edge (WKB, storage CRS).
SELECT a.id, ST_AsBinary(ST_Boundary(a.boundary)) AS edge
FROM gridsvc.area AS a WHERE a.id = ANY(:ids)
