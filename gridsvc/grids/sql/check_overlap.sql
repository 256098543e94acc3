-- Where two areas of a tiling layer claim the same ground.
--   :layer  code of the layer
-- Columns: code, other, part (hex WKB, storage CRS), area_m2, width_m (2·area/perimeter).
-- Leans on the index of the work table `draft`.
SELECT a.code, b.code AS other, ST_AsHEXEWKB(part.geom) AS part, ST_Area(part.geom) AS area_m2,
       2 * ST_Area(part.geom) / ST_Perimeter(part.geom) AS width_m
FROM draft AS a
JOIN draft AS b ON b.layer = a.layer AND a.code < b.code AND a.boundary && b.boundary
     AND ST_Relate(a.boundary, b.boundary, '2********')
CROSS JOIN LATERAL ST_Dump(
    ST_CollectionExtract(ST_Intersection(a.boundary, b.boundary), 3)) AS part
WHERE a.layer = :layer
ORDER BY a.code, b.code
