-- The city's outline at an instant: the union of the tiling layers that have no parent.
--   :revision  number
--   :at        instant of validity
-- Column: outline (WKB, storage CRS); null where there is none.
SELECT ST_AsBinary(ST_Union(a.boundary)) AS outline
FROM gridsvc.area AS a
JOIN gridsvc.layer AS l ON l.code = a.layer
WHERE l.kind = 'tiling' AND l.parent IS NULL
  AND a.rev_from <= :revision AND (a.rev_to IS NULL OR :revision < a.rev_to)
  AND a.valid_from <= :at AND (a.valid_to IS NULL OR :at < a.valid_to)
