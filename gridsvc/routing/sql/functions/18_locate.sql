-- Who is responsible here, for this, at this moment: for anyone with SQL.
--   lon, lat   EPSG:4326, degrees
--   at         instant; now where left out
--   category   class code; left out: no category
-- The Answer of the API, names and phones masked. Runs with the owner's rights so that its
-- callers need none on the tables of people; what a caller keeps in pg_temp is found last.
CREATE OR REPLACE FUNCTION gridsvc.locate(
    lon double precision, lat double precision,
    at timestamptz DEFAULT now(), category text DEFAULT NULL
) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = gridsvc, public, pg_temp AS $$
    SELECT gridsvc.answer(
        ST_Transform(ST_SetSRID(ST_MakePoint(lon, lat), 4326),
                     (SELECT s.srid FROM gridsvc.scheme AS s ORDER BY s.id DESC LIMIT 1)),
        at, category, NULL, false)
        || jsonb_build_object('input', jsonb_build_object(
            'x', lon, 'y', lat, 'crs', 'EPSG:4326', 'accuracy_m', NULL))
$$;
REVOKE ALL ON FUNCTION gridsvc.locate FROM PUBLIC;
REVOKE ALL ON FUNCTION gridsvc.answer FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gridsvc.locate TO gridsvc_service, gridsvc_reader;
GRANT EXECUTE ON FUNCTION gridsvc.answer TO gridsvc_service;
