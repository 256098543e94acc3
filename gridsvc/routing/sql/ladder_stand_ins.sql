-- Who stands in by the scheme of a revision, for each duty in order.
--   :revision  number
-- Columns: duty, by.
SELECT r.duty, r.by
FROM gridsvc.revision AS v
JOIN gridsvc.stand_in_rule AS r ON r.scheme_id = v.scheme_id
WHERE v.number = :revision
ORDER BY r.duty, r.position
