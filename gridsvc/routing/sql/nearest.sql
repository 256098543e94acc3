-- The area of a tiling layer nearest to a point; where several are as near, the one of the layer
-- that the general ladder of responsibility asks first.
--   :x, :y  in the storage CRS, :srid its SRID
--   :at     instant of the question
-- Columns: layer, code, name, distance_m. Leans on area_piece_piece_idx (nearest neighbours).
SELECT near.layer, near.code, near.name, round(near.distance_m::numeric, 1)::float8 AS distance_m
FROM (
    SELECT a.layer, a.code, a.name,
           p.piece <-> ST_SetSRID(ST_MakePoint(:x, :y), CAST(:srid AS integer)) AS distance_m
    FROM gridsvc.area_piece AS p
    JOIN gridsvc.area AS a ON a.id = p.area_id
    JOIN gridsvc.layer AS l ON l.code = a.layer
    WHERE l.kind = 'tiling'
      AND a.rev_from <= gridsvc.revision_at(:at)
      AND (a.rev_to IS NULL OR gridsvc.revision_at(:at) < a.rev_to)
      AND a.valid_from <= :at AND (a.valid_to IS NULL OR :at < a.valid_to)
    ORDER BY distance_m
    LIMIT 16
) AS near
LEFT JOIN gridsvc.rung AS r ON r.layer = near.layer AND r.duty = 'responsibility'
     AND r.category = ''
     AND r.scheme_id = (SELECT v.scheme_id FROM gridsvc.revision AS v
                        WHERE v.number = gridsvc.revision_at(:at))
ORDER BY round(near.distance_m::numeric, 3), r.position NULLS LAST, near.code COLLATE "C"
LIMIT 1
