-- Carry a change set's area edits into the live state, with the pieces that points are asked of.
--   :change_set  id
--   :revision    the revision it becomes
UPDATE gridsvc.area AS a SET rev_to = :revision
FROM gridsvc.area_edit AS e
WHERE e.change_set_id = :change_set AND e.replaces = a.id AND a.rev_to IS NULL;
INSERT INTO gridsvc.area (layer, code, name, boundary, valid_from, valid_to, rev_from)
SELECT e.layer, e.code, e.name, e.boundary, e.valid_from, e.valid_to, :revision
FROM gridsvc.area_edit AS e
WHERE e.change_set_id = :change_set AND e.boundary IS NOT NULL
ORDER BY e.layer, ST_GeoHash(ST_Transform(ST_Centroid(e.boundary), 4326));
INSERT INTO gridsvc.area_piece (area_id, piece)
SELECT a.id, part.geom
FROM gridsvc.area AS a
CROSS JOIN LATERAL ST_Subdivide(a.boundary, 128) AS cut
CROSS JOIN LATERAL ST_Dump(cut) AS part
WHERE a.rev_from = :revision
