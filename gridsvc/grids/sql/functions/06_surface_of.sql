-- The ground that a street drawn as a line covers: the line buffered by half its width.
--   centre_line  LineString or MultiLineString, storage CRS, metres
--   width_m      from kerb to kerb, metres
-- Gives a valid MultiPolygon on the 1 mm grid: ends flat, bends round (8 segments to a quarter
-- turn). Null where nothing is covered: a line without length, a width that is none, or a null.
-- Imports and the edit views both ask it, so that a line and a width always mean one surface.
CREATE OR REPLACE FUNCTION gridsvc.surface_of(centre_line geometry, width_m double precision)
RETURNS geometry
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    WITH part AS (
        -- One row a part; a part that is there twice would be taken for a way there and back.
        SELECT DISTINCT ON (ST_AsBinary(ST_Normalize(d.geom))) d.geom
        FROM ST_Dump(ST_SnapToGrid(ST_Force2D(centre_line), 0.001)) AS d
        ORDER BY ST_AsBinary(ST_Normalize(d.geom)), d.path
    ),
    -- Parts that meet end to end are one street: between them is a bend, not two flat ends.
    street AS (
        SELECT d.geom
        FROM (SELECT ST_LineMerge(ST_Collect(part.geom)) AS merged FROM part) AS whole
        CROSS JOIN LATERAL ST_Dump(whole.merged) AS d
        WHERE ST_Length(d.geom) > 0
    ),
    -- A ring has no end: buffered again from its second corner on, the first one is a bend too.
    drawn AS (
        SELECT geom FROM street
        UNION ALL
        SELECT ST_Scroll(geom, ST_PointN(geom, 2)) FROM street WHERE ST_IsClosed(geom)
    ),
    covered AS (
        SELECT ST_ReducePrecision(
                   ST_Union(ST_Buffer(geom, width_m / 2, 'endcap=flat join=round quad_segs=8')),
                   0.001
               ) AS geom
        FROM drawn
        WHERE width_m > 0 AND width_m < 100000  -- PostGIS dies of a buffer of NaN
    )
    SELECT ST_SnapToGrid(ST_Multi(ST_CollectionExtract(ST_MakeValid(geom), 3)), 0.001)
    FROM covered
    WHERE NOT ST_IsEmpty(geom)
$$;
