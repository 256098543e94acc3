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

-- One thing that is wrong in a state, or looks wrong: what gridsvc.find_problems gives.
--   kind       as gridsvc.grids.terms.FindingKind names it
--   stops      whether it stops a publish
--   part       where, in the storage CRS; null where no place is concerned
DO $$
BEGIN
    CREATE TYPE gridsvc.finding AS (
        kind text, stops boolean, layer text, code text, other text,
        message text, message_zh text,
        area_m2 double precision, width_m double precision, part geometry
    );
EXCEPTION WHEN duplicate_object THEN
    NULL;  -- laid by an earlier climb
END
$$;
