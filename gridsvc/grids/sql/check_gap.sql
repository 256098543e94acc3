-- Ground of a parent that none of the areas of a tiling layer holds.
--   :layer, :parent  codes of the layers
-- Columns: code (the parent area's), part (hex WKB, storage CRS), area_m2, width_m (2·area/perimeter).
-- The parent's difference finds a missing area too, which matching of edges cannot.
SELECT p.code, NULL AS other, ST_AsHEXEWKB(part.geom) AS part, ST_Area(part.geom) AS area_m2,
       2 * ST_Area(part.geom) / ST_Perimeter(part.geom) AS width_m
FROM draft AS p
CROSS JOIN LATERAL (
    SELECT ST_Union(c.boundary) AS filled FROM draft AS c
    WHERE c.layer = :layer AND c.boundary && p.boundary
) AS children
CROSS JOIN LATERAL ST_Dump(ST_CollectionExtract(
    coalesce(ST_Difference(p.boundary, children.filled), p.boundary), 3)) AS part
WHERE p.layer = :parent
ORDER BY p.code
