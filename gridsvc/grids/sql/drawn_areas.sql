-- Areas of tiling layers that are drawn as polygons, as a change set would leave them.
--   :change_set  id
--   :at          gridsvc.draft_instant of it, which PostgreSQL would ask anew for each area
--   :whole       whether of the whole city; otherwise those whose boxes meet that of an area that
--                the change set proposes
-- Columns: version (gridsvc.draft_area), layer, position (of the layer), code, name, valid_from,
-- boundary (WKB, storage CRS). Leans on area_edit_boundary_idx.
SELECT d.version, d.layer, l.position, d.code, d.name,
       coalesce(a.valid_from, e.valid_from) AS valid_from, ST_AsBinary(d.boundary) AS boundary
FROM gridsvc.draft_area(:change_set, :at) AS d
JOIN gridsvc.layer AS l ON l.code = d.layer AND l.kind = 'tiling' AND l.drawn_as = 'polygon'
LEFT JOIN gridsvc.area AS a ON a.id = d.version
LEFT JOIN gridsvc.area_edit AS e ON e.id = -d.version
WHERE :whole
   OR EXISTS (SELECT FROM gridsvc.area_edit AS near
              WHERE near.change_set_id = :change_set
                AND near.boundary && ST_Expand(d.boundary, 0.01))
ORDER BY l.position, d.code COLLATE "C"
