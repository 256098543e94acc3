-- A Mapbox vector tile of the areas of a layer at an instant.
--   :layer        code of the layer
--   :at           instant
--   :revision     number of the one that answers
--   :newest       whether it is the newest one
--   :box, :srid   the tile with its buffer in the storage CRS, WKB of an upright box
--   :z, :x, :y    the tile
--   :tolerance_m  how far a simplified edge may lie beside the true one, in metres
--   :units        width of the tile's own grid
--   :buffer       how far beyond the tile shapes reach, in units of that grid
-- Column: the tile; empty where it shows nothing. Leans on area_boundary_idx.
-- Cut first, so that of a district's thousands of vertices only those in sight are converted.
WITH box AS MATERIALIZED (
    SELECT ST_SetSRID(ST_GeomFromWKB(:box), CAST(:srid AS integer)) AS shape,
           ST_TileEnvelope(:z, :x, :y) AS tile
), drawn AS (
    SELECT a.code, a.name,
           ST_AsMVTGeom(
               ST_Transform(
                   ST_Simplify(
                       CASE WHEN a.boundary @ box.shape THEN a.boundary
                            ELSE ST_ClipByBox2D(a.boundary, box.shape) END,
                       :tolerance_m, true),
                   3857),
               box.tile, :units, :buffer, true) AS shape
    FROM gridsvc.area AS a, box
    WHERE a.layer = :layer AND a.boundary && box.shape
      AND a.rev_from <= :revision AND (a.rev_to IS NULL OR (NOT :newest AND a.rev_to > :revision))
      AND a.valid_from <= :at AND (a.valid_to IS NULL OR a.valid_to > :at)
    ORDER BY a.code
)
SELECT coalesce(ST_AsMVT(drawn, :layer, :units, 'shape'), '') FROM drawn WHERE shape IS NOT NULL
