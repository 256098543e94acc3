-- The ground that areas would take and give, as a change set was last previewed.
--   :change_set  its number
-- Column geometry: GeoJSON in EPSG:4326, 8 decimals: a millimetre.
SELECT a.layer, a.code, a.what, a.area_before_m2, a.area_after_m2, a.moved_edge_m,
       ST_AsGeoJSON(ST_Transform(a.part, 4326), 8) AS geometry
FROM gridsvc.impact_area AS a
WHERE a.change_set_id = :change_set
ORDER BY a.id
