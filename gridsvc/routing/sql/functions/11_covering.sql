-- The areas of every layer whose closure holds a point, at an instant, in a revision.
--   point     in the storage CRS
--   revision  number of a revision
--   at        instant of validity
-- One row an area, by layer from the outside in, then by code (bytewise): the first row of a
-- layer owns the point.
--
-- Pieces find the candidates (area_piece_piece_idx). A point more than a millimetre inside a
-- piece is inside; closer to a piece's edge, where cutting may have moved it and where fast
-- floating-point tests err, DE-9IM on the whole boundary decides.
CREATE OR REPLACE FUNCTION gridsvc.covering(point geometry, revision integer, at timestamptz)
RETURNS SETOF gridsvc.covered_area
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT DISTINCT ON (l.position, a.code COLLATE "C", a.id)
        l.code, l.position, l.kind, a.id, a.code, a.name
    FROM gridsvc.area_piece AS p
    JOIN gridsvc.area AS a ON a.id = p.area_id
    JOIN gridsvc.layer AS l ON l.code = a.layer
    WHERE ST_DWithin(p.piece, point, 0.001)
      AND a.rev_from <= revision AND (a.rev_to IS NULL OR revision < a.rev_to)
      AND a.valid_from <= at AND (a.valid_to IS NULL OR at < a.valid_to)
      AND CASE
              WHEN ST_DWithin(ST_Boundary(p.piece), point, 0.001)
              THEN ST_Relate(a.boundary, point, '******FF*')
              ELSE true
          END
    ORDER BY l.position, a.code COLLATE "C", a.id
$$;
