-- Stores reports; those whose name a report bears already are left out. Waits for whoever is
-- storing one of the same name, until it is known whether that stays.
--   Arrays of one length, in the order of source and source_id, so that no two wait for each other:
--   :ids :sources :source_ids :body_hashes :channels :xs :ys (as given) :crs :lons :lats (EPSG:4326)
--   :eastings :northings (storage CRS) :accuracies_m :categories :descriptions
--   :photo_urls (each a JSON array; null is none) :reporter_hashes :observed :received
--   :srid  of the storage CRS
-- Columns: id, of those that were stored. Leans on report_source_source_id_key.
INSERT INTO gridsvc.report (
    id, source, source_id, body_hash, channel, x, y, crs, lon, lat, point, accuracy_m, category,
    description, photo_urls, reporter_hash, observed_at, received_at)
SELECT t.id, t.source, t.source_id, t.body_hash, t.channel, t.x, t.y, t.crs, t.lon, t.lat,
       ST_SetSRID(ST_Point(t.easting, t.northing), :srid), t.accuracy_m, t.category, t.description,
       CASE WHEN t.photo_urls IS NULL THEN '{}'
            ELSE ARRAY(SELECT json_array_elements_text(CAST(t.photo_urls AS json))) END,
       t.reporter_hash, t.observed_at, t.received_at
FROM unnest(
    CAST(:ids AS uuid[]), CAST(:sources AS text[]), CAST(:source_ids AS text[]),
    CAST(:body_hashes AS bytea[]), CAST(:channels AS text[]), CAST(:xs AS float8[]),
    CAST(:ys AS float8[]), CAST(:crs AS text[]), CAST(:lons AS float8[]), CAST(:lats AS float8[]),
    CAST(:eastings AS float8[]), CAST(:northings AS float8[]), CAST(:accuracies_m AS float8[]),
    CAST(:categories AS text[]), CAST(:descriptions AS text[]), CAST(:photo_urls AS text[]),
    CAST(:reporter_hashes AS bytea[]), CAST(:observed AS timestamptz[]),
    CAST(:received AS timestamptz[])
) AS t (id, source, source_id, body_hash, channel, x, y, crs, lon, lat, easting, northing,
        accuracy_m, category, description, photo_urls, reporter_hash, observed_at, received_at)
ON CONFLICT (source, source_id) DO NOTHING
RETURNING id
