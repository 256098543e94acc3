-- The minute of the local week that an instant falls in; Monday 00:00 is 0.
CREATE OR REPLACE FUNCTION gridsvc.minute_of_week(at timestamptz, time_zone text) RETURNS integer
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT ((extract(isodow FROM local.t)::integer - 1) * 24
            + extract(hour FROM local.t)::integer) * 60
           + extract(minute FROM local.t)::integer
    FROM (SELECT at AT TIME ZONE time_zone AS t) AS local
$$;
