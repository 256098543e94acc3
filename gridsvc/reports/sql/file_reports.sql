-- Stores reports; those whose name a report bears already are left out. Waits for whoever is
-- storing one of the same name, until it is known whether that stays.
--   :rows  JSON array, in the order of source and source_id, so that no two wait for each other:
--          the columns below; x and y as given, lon and lat EPSG:4326, point [x, y] in the storage
--          CRS or null
--   :srid  of the storage CRS
-- Columns: id, of those that were stored. Leans on report_source_source_id_key.
INSERT INTO gridsvc.report (
    id, source, source_id, body_hash, channel, x, y, crs, lon, lat, point, accuracy_m, category,
    description, photo_urls, reporter_hash, observed_at, received_at)
SELECT t.id, t.source, t.source_id, t.body_hash, t.channel, t.x, t.y, t.crs, t.lon, t.lat,
       ST_SetSRID(ST_Point(t.point[1], t.point[2]), :srid), t.accuracy_m, t.category,
       t.description, t.photo_urls, t.reporter_hash, t.observed_at, t.received_at
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS t (
    id uuid, source text, source_id text, body_hash bytea, channel text, x float8, y float8,
    crs text, lon float8, lat float8, point float8[], accuracy_m float8, category text,
    description text, photo_urls text[], reporter_hash bytea, observed_at timestamptz,
    received_at timestamptz)
ON CONFLICT (source, source_id) DO NOTHING
RETURNING id
