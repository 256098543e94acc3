-- The rungs of a revision's scheme, each ladder in its order.
--   :revision  number
-- Columns: duty, category (prefix; '' is all), layer, is_locality, kind of the layer.
SELECT r.duty, r.category, r.layer, r.is_locality, l.kind
FROM gridsvc.revision AS v
JOIN gridsvc.rung AS r ON r.scheme_id = v.scheme_id
JOIN gridsvc.layer AS l ON l.code = r.layer
WHERE v.number = :revision
ORDER BY r.duty, r.category, r.position
