-- Who takes a tier's problems at a point, now as ever: a duty on the area of a layer.
--   :x, :y   storage CRS; :srid its SRID
--   :at      instant of the question
--   :duty, :layer  of the tier
--   :category      class code, or null
-- Column: party_code; no row where nobody does.
SELECT (s.held).party_code
FROM gridsvc.revision AS r
JOIN gridsvc.scheme AS k ON k.id = r.scheme_id
CROSS JOIN LATERAL gridsvc.covering(
    ST_SetSRID(ST_MakePoint(:x, :y), CAST(:srid AS integer)), r.number, :at) AS c
CROSS JOIN LATERAL gridsvc.looked_after(
    c, :duty, :category, r.number, :at,
    gridsvc.minute_of_week(:at, k.time_zone), r.scheme_id) AS s
WHERE r.number = gridsvc.revision_at(:at) AND c.layer = :layer
ORDER BY c.code COLLATE "C"
LIMIT 1
