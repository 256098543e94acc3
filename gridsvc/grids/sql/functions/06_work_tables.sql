-- The work tables of the checks, which read a state many times: without indexes and statistics
-- their joins grow with the square of the areas.

-- Lay `draft` (layer, code, name, boundary, version, changed) and `focus` (layer, code, boundary,
-- was_held).
--   change_set    null for the live state
--   at            instant to judge
--   layers        codes of the layers that will be judged
--   only_changed  whether to take only what the change set touches, with its neighbours, the
--                 areas it lies in and those that lie in it: then `focus` is the ground that it
--                 gives to an area, or takes from one (was_held), and `changed` marks the areas of
--                 its edits. Otherwise every area counts as changed.
CREATE OR REPLACE FUNCTION gridsvc.lay_draft(
    change_set integer, at timestamptz, layers text[], only_changed boolean
) RETURNS void
LANGUAGE plpgsql SET client_min_messages = warning AS $$
BEGIN
    DROP TABLE IF EXISTS pg_temp.draft, pg_temp.focus;
    CREATE TEMPORARY TABLE focus (
        layer text, code text COLLATE "C", boundary geometry, was_held boolean
    ) ON COMMIT DROP;
    CREATE TEMPORARY TABLE draft (
        layer text, code text COLLATE "C", name text, boundary geometry, version bigint,
        changed boolean
    ) ON COMMIT DROP;
    IF NOT only_changed THEN
        INSERT INTO pg_temp.draft
        SELECT d.layer, d.code, d.name, d.boundary, d.version, true
        FROM gridsvc.draft_area(change_set, at) AS d
        WHERE d.layer = ANY(layers)
           OR d.layer IN (SELECT l.parent FROM gridsvc.layer AS l WHERE l.code = ANY(layers));
    ELSE
        INSERT INTO pg_temp.focus
        SELECT e.layer, e.code, e.boundary, false FROM gridsvc.area_edit AS e
        WHERE e.change_set_id = change_set AND e.boundary IS NOT NULL
          AND e.valid_from <= at AND (e.valid_to IS NULL OR at < e.valid_to)
        UNION ALL
        SELECT a.layer, a.code, a.boundary, true
        FROM gridsvc.area_edit AS e JOIN gridsvc.area AS a ON a.id = e.replaces
        WHERE e.change_set_id = change_set;
        INSERT INTO pg_temp.draft
        WITH touched AS MATERIALIZED (
            SELECT f.layer, l.parent, f.boundary
            FROM pg_temp.focus AS f JOIN gridsvc.layer AS l ON l.code = f.layer
        ), lies_in AS MATERIALIZED (
            SELECT DISTINCT ON (p.version) p.*
            FROM touched AS t
            CROSS JOIN LATERAL gridsvc.draft_area_near(change_set, at, t.parent, t.boundary) AS p
        ), wanted AS (
            SELECT layer, boundary FROM touched
            UNION ALL
            SELECT c.code, t.boundary
            FROM touched AS t JOIN gridsvc.layer AS c ON c.parent = t.layer
            UNION ALL
            -- The first areas of a layer in a parent: whether it is filled is judged over it all.
            SELECT t.layer, p.boundary
            FROM (SELECT DISTINCT layer, parent FROM touched) AS t
            JOIN lies_in AS p ON p.layer = t.parent AND gridsvc.is_unfilled(t.layer, p.boundary)
        ), found AS (
            SELECT p.layer, p.code, p.name, p.boundary, p.version FROM lies_in AS p
            UNION ALL
            SELECT d.layer, d.code, d.name, d.boundary, d.version
            FROM wanted AS w
            CROSS JOIN LATERAL gridsvc.draft_area_near(change_set, at, w.layer, w.boundary) AS d
        )
        SELECT DISTINCT ON (d.version) d.*,
               EXISTS (SELECT FROM pg_temp.focus AS f WHERE f.layer = d.layer AND f.code = d.code)
        FROM found AS d;
        CREATE INDEX ON pg_temp.focus USING gist (boundary);
        ANALYZE pg_temp.focus;
    END IF;
    CREATE INDEX ON pg_temp.draft USING gist (boundary);
    CREATE INDEX ON pg_temp.draft (layer, code);
    ANALYZE pg_temp.draft;
END
$$;

-- Whether no area of a layer was ever published on some ground: then no draft can have left a gap
-- there by moving one, and the ground is judged whole.
CREATE OR REPLACE FUNCTION gridsvc.is_unfilled(layer text, ground geometry) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT NOT EXISTS (
        SELECT FROM gridsvc.area AS a
        WHERE a.layer = is_unfilled.layer AND a.boundary && ground
          AND ST_Intersects(ground, ST_PointOnSurface(a.boundary)))
$$;

-- Lay `drafted_assignment`: who would hold what on the areas whose holders a change set touches.
CREATE OR REPLACE FUNCTION gridsvc.lay_draft_people(change_set integer) RETURNS void
LANGUAGE plpgsql SET client_min_messages = warning AS $$
BEGIN
    DROP TABLE IF EXISTS pg_temp.drafted_assignment;
    CREATE TEMPORARY TABLE drafted_assignment ON COMMIT DROP AS
    SELECT row_number() OVER (ORDER BY d.valid_from, d.party_code) AS row_number, d.*
    FROM (SELECT DISTINCT coalesce(e.layer, s.layer) AS layer,
                 coalesce(e.area_code, s.area_code) AS area_code
          FROM gridsvc.assignment_edit AS e
          LEFT JOIN gridsvc.assignment AS s ON s.id = e.replaces
          WHERE e.change_set_id = change_set) AS t
    CROSS JOIN LATERAL gridsvc.drafted_assignment(change_set, t.layer, t.area_code) AS d;
    CREATE INDEX ON pg_temp.drafted_assignment (layer, area_code);
    ANALYZE pg_temp.drafted_assignment;
END
$$;
