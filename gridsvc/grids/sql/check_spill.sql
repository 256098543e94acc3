-- Ground of an area that lies outside its parent.
--   :layer, :parent  codes of the layers
--   :tiling          whether each area belongs to one parent, the one it shares most with;
--                    an area of an overlay may lie across several
-- Columns: code, other (the parent area's code, or null), part (hex WKB, storage CRS), area_m2, width_m.
-- Most areas lie whole in one parent: asking that first is much cheaper than cutting, and only
-- materialized is it asked first.
WITH stray AS MATERIALIZED (
    SELECT c.code, c.boundary FROM draft AS c
    WHERE c.layer = :layer
      AND NOT EXISTS (SELECT FROM draft AS p
                      WHERE p.layer = :parent AND p.boundary && c.boundary
                        AND ST_Covers(p.boundary, c.boundary))
)
SELECT c.code, own.code AS other, ST_AsHEXEWKB(part.geom) AS part, ST_Area(part.geom) AS area_m2,
       2 * ST_Area(part.geom) / ST_Perimeter(part.geom) AS width_m
FROM stray AS c
LEFT JOIN LATERAL (
    SELECT CASE WHEN :tiling THEN p.code END AS code,
           CASE WHEN :tiling THEN p.boundary ELSE ST_Union(p.boundary) OVER () END AS ground
    FROM draft AS p
    WHERE p.layer = :parent AND p.boundary && c.boundary
    ORDER BY CASE WHEN :tiling THEN ST_Area(ST_Intersection(p.boundary, c.boundary)) END DESC,
             p.code
    LIMIT 1
) AS own ON true
CROSS JOIN LATERAL ST_Dump(ST_CollectionExtract(
    coalesce(ST_Difference(c.boundary, own.ground), c.boundary), 3)) AS part
ORDER BY c.code
