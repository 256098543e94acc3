-- How large the areas of each layer are, and where the layer lies: for scales and the first view.
-- Live areas of the newest revision. Storage CRS, metres. One scan.
-- Columns: layer, areas (how many), side_m (of a square as large as the median area), xmin, ymin,
--          xmax, ymax.
SELECT a.layer, count(*) AS areas,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY sqrt(ST_Area(a.boundary))) AS side_m,
       min(ST_XMin(a.boundary)) AS xmin, min(ST_YMin(a.boundary)) AS ymin,
       max(ST_XMax(a.boundary)) AS xmax, max(ST_YMax(a.boundary)) AS ymax
FROM gridsvc.area AS a
WHERE a.rev_to IS NULL
GROUP BY a.layer
