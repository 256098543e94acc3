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

-- Who stands in: for which party, why ('absent', 'off_shift'), by whom ('assistant',
-- 'neighbour'), and the neighbouring area whose pair it is, else null.
DO $$
BEGIN
    CREATE TYPE gridsvc.standing_in AS (
        party_code text, why text, by text, source gridsvc.covered_area
    );
EXCEPTION WHEN duplicate_object THEN
    NULL;  -- laid by an earlier climb
END
$$;
