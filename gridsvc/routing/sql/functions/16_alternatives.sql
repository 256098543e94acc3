-- Who else may be responsible when the point is only known to within `accuracy_m`: the disc of
-- error is shared out among the areas that would decide, rung by rung, then by code.
--   point       in the storage CRS
--   accuracy_m  radius of the disc, metres, > 0
-- One row for each area that decides somewhere in the disc, the first answer's own included,
-- with its share of the disc; what lies outside every area is nobody's, so shares may sum to
-- less than one. A holder is judged once per area: by the ladder position, not by the spot.
CREATE OR REPLACE FUNCTION gridsvc.alternatives(
    point geometry, accuracy_m double precision, category text,
    revision integer, at timestamptz, minute integer, scheme_id integer
) RETURNS TABLE (
    probability double precision, area gridsvc.covered_area, held gridsvc.assignment,
    stand_in gridsvc.standing_in
)
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    disc CONSTANT geometry := ST_Buffer(point, accuracy_m, 'quad_segs=16');
    disc_m2 CONSTANT double precision := ST_Area(disc);
    remaining geometry := disc;
    part_m2 double precision;
    candidate record;
BEGIN
    FOR candidate IN
        WITH ladder AS (
            SELECT r.category
            FROM gridsvc.rung AS r
            WHERE r.scheme_id = alternatives.scheme_id AND r.duty = 'responsibility'
              AND starts_with(coalesce(alternatives.category, ''), r.category)
            ORDER BY length(r.category) DESC
            LIMIT 1
        ), near AS (
            SELECT DISTINCT p.area_id
            FROM gridsvc.area_piece AS p
            WHERE ST_Intersects(p.piece, disc)
        )
        SELECT c.area, h.held, h.stand_in, a.boundary
        FROM ladder
        JOIN gridsvc.rung AS r ON r.scheme_id = alternatives.scheme_id
             AND r.duty = 'responsibility' AND r.category = ladder.category
        JOIN gridsvc.layer AS l ON l.code = r.layer
        JOIN gridsvc.area AS a ON a.layer = r.layer
        JOIN near ON near.area_id = a.id
        CROSS JOIN LATERAL (
            SELECT ROW(a.layer, l.position, l.kind, a.id, a.code, a.name)::gridsvc.covered_area
        ) AS c (area)
        CROSS JOIN LATERAL gridsvc.looked_after(
            c.area, 'responsibility', alternatives.category, alternatives.revision,
            alternatives.at, alternatives.minute, alternatives.scheme_id) AS h
        WHERE a.rev_from <= alternatives.revision
          AND (a.rev_to IS NULL OR alternatives.revision < a.rev_to)
          AND a.valid_from <= alternatives.at
          AND (a.valid_to IS NULL OR alternatives.at < a.valid_to)
        ORDER BY r.position, a.code COLLATE "C"
    LOOP
        part_m2 := ST_Area(ST_Intersection(remaining, candidate.boundary));
        CONTINUE WHEN part_m2 <= 1e-6 * disc_m2;
        probability := part_m2 / disc_m2;
        area := candidate.area;
        held := candidate.held;
        stand_in := candidate.stand_in;
        RETURN NEXT;
        remaining := ST_Difference(remaining, candidate.boundary);
        EXIT WHEN ST_Area(remaining) <= 1e-6 * disc_m2;
    END LOOP;
END
$$;
