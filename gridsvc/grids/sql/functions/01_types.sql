-- Types that the functions of the service hand to one another.
DO $$
BEGIN
    CREATE TYPE gridsvc.covered_area AS (
        layer text, position smallint, kind text, area_id bigint, code text, name text
    );
EXCEPTION WHEN duplicate_object THEN
    NULL;  -- laid by an earlier climb
END
$$;
