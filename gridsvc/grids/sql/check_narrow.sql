-- Areas too narrow to stand in.
--   :layer    code of the layer
--   :least_m  least width (2·area/perimeter), metres
SELECT d.code, NULL AS other, ST_AsHEXEWKB(d.boundary) AS part, ST_Area(d.boundary) AS area_m2,
       2 * ST_Area(d.boundary) / ST_Perimeter(d.boundary) AS width_m
FROM draft AS d
WHERE d.layer = :layer AND 2 * ST_Area(d.boundary) < :least_m * ST_Perimeter(d.boundary)
ORDER BY d.code
