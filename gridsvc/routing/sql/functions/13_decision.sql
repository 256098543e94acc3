-- Who answers for a duty, and which rung of the ladder decided.
--   areas     every area that covers the point (gridsvc.covering)
--   category  picks the ladder with the longest matching prefix; null picks the general one
-- One row, or none where nobody holds the duty on any rung. `stand_in` is null where the lead of
-- the area is on duty. `skipped` names the covering areas of earlier rungs on which nobody holds
-- it. Stand-ins are looked for only below the first rung whose lead is on duty.
CREATE OR REPLACE FUNCTION gridsvc.decision(
    areas gridsvc.covered_area[], duty text, category text,
    revision integer, at timestamptz, minute integer, scheme_id integer,
    OUT area gridsvc.covered_area, OUT held gridsvc.assignment,
    OUT rung integer, OUT is_locality boolean, OUT skipped text[],
    OUT stand_in gridsvc.standing_in
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
    ), stood_in AS MATERIALIZED (
        SELECT o.n, s.held, s.stand_in
        FROM asked AS o
        CROSS JOIN LATERAL gridsvc.relief(
            o.area, decision.duty, decision.category, decision.revision, decision.at,
            decision.minute, decision.scheme_id) AS s
        WHERE (o.held).id IS NULL
          AND o.n < coalesce((SELECT min(f.n) FROM asked AS f WHERE (f.held).id IS NOT NULL), 1000)
          AND EXISTS (SELECT FROM gridsvc.stand_in_rule AS r
                      WHERE r.scheme_id = decision.scheme_id AND r.duty = decision.duty)
        ORDER BY o.n
        LIMIT 1
    )
    SELECT d.area, CASE WHEN s.n IS NULL THEN d.held ELSE s.held END,
           d.position::integer, d.is_locality,
           ARRAY(SELECT (e.area).layer || ' ' || (e.area).code FROM asked AS e
                 WHERE e.n < d.n ORDER BY e.n),
           s.stand_in
    FROM asked AS d
    LEFT JOIN stood_in AS s ON s.n = d.n
    WHERE (d.held).id IS NOT NULL OR s.n IS NOT NULL
    ORDER BY d.n
    LIMIT 1
$$;
