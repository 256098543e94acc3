-- Who answers for a duty, and which rung of the ladder decided.
--   areas     every area that covers the point (gridsvc.covering)
--   category  picks the ladder with the longest matching prefix; null picks the general one
-- One row, or none where nobody holds the duty on any rung. `skipped` names the covering areas
-- of earlier rungs on which nobody holds it.
CREATE OR REPLACE FUNCTION gridsvc.decision(
    areas gridsvc.covered_area[], duty text, category text,
    revision integer, at timestamptz, minute integer, scheme_id integer,
    OUT area gridsvc.covered_area, OUT held gridsvc.assignment,
    OUT rung integer, OUT is_locality boolean, OUT skipped text[]
) RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1 AS $$
    WITH ladder AS (
        SELECT r.category
        FROM gridsvc.rung AS r
        WHERE r.scheme_id = decision.scheme_id AND r.duty = decision.duty
          AND starts_with(coalesce(decision.category, ''), r.category)
        ORDER BY length(r.category) DESC
        LIMIT 1
    ), asked AS MATERIALIZED (
        SELECT row_number() OVER (ORDER BY r.position, a.code COLLATE "C") AS n,
               r.position, r.is_locality, a.area, h.held
        FROM ladder
        JOIN gridsvc.rung AS r ON r.scheme_id = decision.scheme_id
             AND r.duty = decision.duty AND r.category = ladder.category
        JOIN LATERAL (
            SELECT c AS area, c.code FROM unnest(areas) AS c
            WHERE c.layer = r.layer
            -- A tiling layer has one owner, the lowest code; overlays are asked one by one.
            ORDER BY c.code COLLATE "C"
            LIMIT CASE WHEN (SELECT l.kind FROM gridsvc.layer AS l WHERE l.code = r.layer)
                            = 'tiling' THEN 1 END
        ) AS a ON true
        LEFT JOIN LATERAL (
            SELECT s AS held
            FROM gridsvc.holder(a.area, decision.duty, 1, decision.category,
                                decision.revision, decision.at, decision.minute) AS s
        ) AS h ON true
    )
    SELECT d.area, d.held, d.position::integer, d.is_locality,
           ARRAY(SELECT (e.area).layer || ' ' || (e.area).code FROM asked AS e
                 WHERE e.n < d.n ORDER BY e.n)
    FROM asked AS d
    WHERE (d.held).id IS NOT NULL
    ORDER BY d.n
    LIMIT 1
$$;
