-- The checks of one layer, on the work tables that gridsvc.lay_draft lays. Each gives kind, code,
-- other, part (storage CRS), area_m2 and width_m (2·area/perimeter), detail.

-- Parts narrower than this come from rounding: a node on a slanted 200 m edge, snapped to a
-- millimetre, leaves 0.02 m² a tenth of a millimetre wide. So width decides, not area.
CREATE OR REPLACE FUNCTION gridsvc.sliver_m() RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 0.005::double precision $$;

-- An area narrower than this, metres, holds nobody who could be responsible for it.
CREATE OR REPLACE FUNCTION gridsvc.narrow_m() RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 0.5::double precision $$;

DO $$
BEGIN
    CREATE TYPE gridsvc.fault AS (
        kind text, code text, other text, part geometry,
        area_m2 double precision, width_m double precision, detail text
    );
EXCEPTION WHEN duplicate_object THEN
    NULL;  -- laid by an earlier climb
END
$$;

-- The polygons of a geometry that are wide enough to count, each with its size. Of one that is
-- narrow on the whole, such as a hole at the end of a long hair, the wide places count.
CREATE OR REPLACE FUNCTION gridsvc.wide_parts(
    g geometry, OUT part geometry, OUT area_m2 double precision, OUT width_m double precision
) RETURNS SETOF record
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 1 AS $$
    SELECT p.geom, ST_Area(p.geom), 2 * ST_Area(p.geom) / ST_Perimeter(p.geom)
    FROM ST_Dump(ST_CollectionExtract(g, 3)) AS whole
    CROSS JOIN LATERAL (
        SELECT whole.geom
        WHERE 2 * ST_Area(whole.geom) >= gridsvc.sliver_m() * ST_Perimeter(whole.geom)
        UNION ALL
        SELECT ST_Buffer(core.geom, gridsvc.sliver_m())
        FROM ST_Dump(ST_Buffer(whole.geom, -gridsvc.sliver_m())) AS core
        WHERE 2 * ST_Area(whole.geom) < gridsvc.sliver_m() * ST_Perimeter(whole.geom)
          AND NOT ST_IsEmpty(core.geom)
    ) AS p
$$;

-- Where two areas of a tiling layer claim the same ground. Leans on the index of `draft`.
CREATE OR REPLACE FUNCTION gridsvc.find_overlaps(layer text) RETURNS SETOF gridsvc.fault
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY
    SELECT 'overlap', least(a.code, b.code), greatest(a.code, b.code),
           w.part, w.area_m2, w.width_m, NULL::text
    FROM pg_temp.draft AS a
    JOIN pg_temp.draft AS b ON b.layer = a.layer AND a.boundary && b.boundary
         AND a.code <> b.code AND (NOT b.changed OR a.code < b.code)
         AND ST_Relate(a.boundary, b.boundary, '2********')
    CROSS JOIN LATERAL gridsvc.wide_parts(ST_Intersection(a.boundary, b.boundary)) AS w
    WHERE a.layer = find_overlaps.layer AND a.changed
    ORDER BY 2, 3;
END
$$;

-- Ground of a parent that none of the areas of a tiling layer holds. The parent's difference
-- finds a missing area too, which matching of edges cannot. Where only changes are judged, ground
-- that an area held and holds no more is all that can have become a gap, except in a parent that is
-- itself new or moved, or was not filled before.
CREATE OR REPLACE FUNCTION gridsvc.find_gaps(layer text, parent text) RETURNS SETOF gridsvc.fault
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY
    WITH ground AS MATERIALIZED (
        SELECT p.code, p.boundary FROM pg_temp.draft AS p
        WHERE p.layer = find_gaps.parent
          AND (p.changed OR gridsvc.is_unfilled(find_gaps.layer, p.boundary))
        UNION ALL
        SELECT p.code, ST_Intersection(p.boundary, ST_Union(f.boundary))
        FROM pg_temp.draft AS p
        JOIN pg_temp.focus AS f ON f.layer = find_gaps.layer AND f.was_held
         AND f.boundary && p.boundary
        WHERE p.layer = find_gaps.parent AND NOT p.changed
        GROUP BY p.code, p.boundary
    )
    SELECT 'gap', g.code, NULL::text, w.part, w.area_m2, w.width_m, NULL::text
    FROM ground AS g
    CROSS JOIN LATERAL (
        SELECT ST_Union(c.boundary) AS filled FROM pg_temp.draft AS c
        WHERE c.layer = find_gaps.layer AND c.boundary && g.boundary
    ) AS children
    CROSS JOIN LATERAL gridsvc.wide_parts(
        coalesce(ST_Difference(g.boundary, children.filled), g.boundary)) AS w
    ORDER BY 2;
END
$$;

-- Ground of an area that lies outside its parent.
--   is_tiling  whether each area belongs to one parent, the one it shares most with; an area of
--              an overlay may lie across several
-- Most areas lie whole in one parent: asking that first is much cheaper than cutting, and only
-- materialized is it asked first.
CREATE OR REPLACE FUNCTION gridsvc.find_spills(layer text, parent text, is_tiling boolean)
RETURNS SETOF gridsvc.fault
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY
    WITH stray AS MATERIALIZED (
        SELECT c.code, c.boundary FROM pg_temp.draft AS c
        WHERE c.layer = find_spills.layer
          AND (c.changed OR EXISTS (
              SELECT FROM pg_temp.focus AS f
              WHERE f.layer = find_spills.parent AND f.boundary && c.boundary))
          AND NOT EXISTS (SELECT FROM pg_temp.draft AS p
                          WHERE p.layer = find_spills.parent AND p.boundary && c.boundary
                            AND ST_Covers(p.boundary, c.boundary))
    )
    SELECT 'spill', c.code, own.code, w.part, w.area_m2, w.width_m, NULL::text
    FROM stray AS c
    LEFT JOIN LATERAL (
        SELECT CASE WHEN is_tiling THEN p.code END AS code,
               CASE WHEN is_tiling THEN p.boundary ELSE ST_Union(p.boundary) OVER () END AS ground
        FROM pg_temp.draft AS p
        WHERE p.layer = find_spills.parent AND p.boundary && c.boundary
        ORDER BY CASE WHEN is_tiling
                     THEN ST_Area(ST_Intersection(p.boundary, c.boundary)) END DESC,
                 p.code
        LIMIT 1
    ) AS own ON true
    CROSS JOIN LATERAL gridsvc.wide_parts(
        coalesce(ST_Difference(c.boundary, own.ground), c.boundary)) AS w
    ORDER BY 2;
END
$$;

-- Areas too narrow to stand in.
CREATE OR REPLACE FUNCTION gridsvc.find_narrow(layer text) RETURNS SETOF gridsvc.fault
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY
    SELECT 'narrow', d.code::text, NULL::text, d.boundary, ST_Area(d.boundary),
           2 * ST_Area(d.boundary) / ST_Perimeter(d.boundary), NULL::text
    FROM pg_temp.draft AS d
    WHERE d.layer = find_narrow.layer AND d.changed
      AND 2 * ST_Area(d.boundary) < gridsvc.narrow_m() * ST_Perimeter(d.boundary)
    ORDER BY d.code;
END
$$;

-- Codes that two areas bear, and in a draft those that do not match the layer's rule: what is
-- published already was let in, and what an import found is recorded with its file.
--   change_set  null for the live state
--   scheme      document
CREATE OR REPLACE FUNCTION gridsvc.find_odd_codes(change_set integer, layer text, scheme jsonb)
RETURNS SETOF gridsvc.fault
LANGUAGE plpgsql AS $$
DECLARE
    rule jsonb := (SELECT l.value FROM jsonb_array_elements(scheme -> 'layer') AS l
                   WHERE l.value ->> 'code' = find_odd_codes.layer);
    pattern text := CASE rule ->> 'code_format' WHEN 'unit_grid' THEN '\d{15}'
                    ELSE rule ->> 'code_pattern' END;
BEGIN
    RETURN QUERY
    SELECT 'duplicate_code', d.code::text, NULL::text, ST_Collect(d.boundary),
           NULL::double precision, NULL::double precision, count(*)::text
    FROM pg_temp.draft AS d
    WHERE d.layer = find_odd_codes.layer
    GROUP BY d.code
    HAVING count(*) > 1 AND bool_or(d.changed)
    ORDER BY d.code;
    IF change_set IS NOT NULL AND pattern IS NOT NULL THEN
        RETURN QUERY
        SELECT 'odd_code', d.code::text, NULL::text, d.boundary,
               NULL::double precision, NULL::double precision, 'does not match ' || pattern
        FROM pg_temp.draft AS d
        WHERE d.layer = find_odd_codes.layer AND d.changed AND d.version < 0
          AND d.code !~ ('^(?:' || pattern || ')$')
          AND NOT EXISTS (
              SELECT FROM gridsvc.import_finding AS i
              WHERE i.change_set_id = change_set AND i.kind = 'odd_code'
                AND i.layer = find_odd_codes.layer AND i.code = d.code)
        ORDER BY d.code;
    END IF;
END
$$;
