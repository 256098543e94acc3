-- What lines cover, in the order in which they are given.
--   :lines     WKB of lines, storage CRS
--   :widths_m  the width of each, metres
--   :srid      of the storage CRS
-- One row a line: surface (WKB of a MultiPolygon; null where nothing is covered).
SELECT ST_AsBinary(gridsvc.surface_of(ST_GeomFromWKB(given.line, :srid), given.width_m)) AS surface
FROM unnest(CAST(:lines AS bytea[]), CAST(:widths_m AS double precision[]))
     WITH ORDINALITY AS given (line, width_m, number)
ORDER BY given.number
