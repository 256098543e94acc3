-- Forgets all but the newest runs; their areas, places and surfaces go with them.
--   :kept  how many stay
DELETE FROM gridsvc.hotspot_run
WHERE id IN (SELECT id FROM gridsvc.hotspot_run ORDER BY made_at DESC, id DESC OFFSET :kept)
