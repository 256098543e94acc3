-- How far the deciding area's edge is, and whose land lies across it.
--   point  in the storage CRS
--   area   the area that decided; edge in metres
-- `across` is the area of the same layer nearest to the nearest point of the edge, at most a
-- metre from it (real layers have slivers between neighbours), the lowest code where several
-- meet; null at the edge of the city. Leans on area_piece_piece_idx.
CREATE OR REPLACE FUNCTION gridsvc.edge(
    point geometry, area gridsvc.covered_area, revision integer, at timestamptz,
    OUT distance_m double precision, OUT across gridsvc.covered_area
) RETURNS record
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    ring geometry;
    foot geometry;
BEGIN
    SELECT ST_Boundary(a.boundary) INTO ring FROM gridsvc.area AS a WHERE a.id = area.area_id;
    distance_m := ST_Distance(ring, point);
    foot := ST_ClosestPoint(ring, point);
    SELECT area.layer, area.position, area.kind, a.id, a.code, a.name INTO across
    FROM gridsvc.area_piece AS p
    JOIN gridsvc.area AS a ON a.id = p.area_id
    WHERE ST_DWithin(p.piece, foot, 1.0)
      AND a.layer = area.layer AND a.code <> area.code
      AND a.rev_from <= revision AND (a.rev_to IS NULL OR revision < a.rev_to)
      AND a.valid_from <= at AND (a.valid_to IS NULL OR at < a.valid_to)
    -- Neighbours that share the edge lie within rounding of the foot: to the millimetre they
    -- are equally near, and the code decides.
    ORDER BY round(ST_Distance(p.piece, foot)::numeric, 3), a.code COLLATE "C"
    LIMIT 1;
END
$$;
