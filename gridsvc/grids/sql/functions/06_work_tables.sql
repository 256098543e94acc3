-- The work tables of the checks, which read a state many times: without indexes and statistics
-- their joins grow with the square of the areas.

-- Lay `draft` (layer, code, name, boundary, version, changed) and `focus` (layer, code, boundary).
--   change_set    null for the live state
--   at            instant to judge
--   layers        codes of the layers that will be judged
--   only_changed  whether to take only what the change set touches, with its neighbours, the
--                 areas it lies in and those that lie in it: then `focus` is the ground that it
--                 takes from one area or gives to another, and `changed` marks the areas of its
--                 edits. Otherwise every area counts as changed.
CREATE OR REPLACE FUNCTION gridsvc.lay_draft(
    change_set integer, at timestamptz, layers text[], only_changed boolean
) RETURNS void
LANGUAGE plpgsql SET client_min_messages = warning AS $$
BEGIN
    DROP TABLE IF EXISTS pg_temp.draft, pg_temp.focus;
    CREATE TEMPORARY TABLE focus (layer text, code text COLLATE "C", boundary geometry)
        ON COMMIT DROP;
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
        SELECT e.layer, e.code, e.boundary FROM gridsvc.area_edit AS e
        WHERE e.change_set_id = change_set AND e.boundary IS NOT NULL AND e.replaces IS NULL
        UNION ALL
        SELECT a.layer, a.code, a.boundary
        FROM gridsvc.area_edit AS e JOIN gridsvc.area AS a ON a.id = e.replaces
        WHERE e.change_set_id = change_set
        UNION ALL
        SELECT e.layer, e.code, e.boundary
        FROM gridsvc.area_edit AS e JOIN gridsvc.area AS a ON a.id = e.replaces
        WHERE e.change_set_id = change_set AND e.boundary IS NOT NULL
          AND NOT e.boundary ~= a.boundary;
        CREATE INDEX ON pg_temp.focus USING gist (boundary);
        ANALYZE pg_temp.focus;
        INSERT INTO pg_temp.draft
        WITH touched AS MATERIALIZED (
            SELECT f.layer, l.parent, f.boundary
            FROM pg_temp.focus AS f JOIN gridsvc.layer AS l ON l.code = f.layer
        ), lies_in AS MATERIALIZED (
            SELECT DISTINCT ON (p.version) t.layer AS of, p.*
            FROM touched AS t
            CROSS JOIN LATERAL gridsvc.draft_area(change_set, at) AS p
            WHERE p.layer = t.parent AND p.boundary && t.boundary
        ), wanted AS (
            SELECT layer, boundary FROM touched
            UNION ALL
            -- Whether a parent is filled is judged over all that lies in it.
            SELECT p.of, p.boundary FROM lies_in AS p
            WHERE EXISTS (SELECT FROM touched AS t
                          WHERE t.layer = p.of AND t.boundary && p.boundary
                            AND ST_Intersects(t.boundary, p.boundary))
            UNION ALL
            SELECT c.code, t.boundary
            FROM touched AS t JOIN gridsvc.layer AS c ON c.parent = t.layer
        ), found AS (
            SELECT p.layer, p.code, p.name, p.boundary, p.version FROM lies_in AS p
            UNION ALL
            SELECT d.layer, d.code, d.name, d.boundary, d.version
            FROM wanted AS w
            CROSS JOIN LATERAL gridsvc.draft_area(change_set, at) AS d
            WHERE d.layer = w.layer AND d.boundary && w.boundary
        )
        SELECT DISTINCT ON (d.version) d.*,
               EXISTS (SELECT FROM pg_temp.focus AS f WHERE f.layer = d.layer AND f.code = d.code)
        FROM found AS d;
    END IF;
    CREATE INDEX ON pg_temp.draft USING gist (boundary);
    CREATE INDEX ON pg_temp.draft (layer, code);
    ANALYZE pg_temp.draft;
END
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
    CROSS JOIN LATERAL gridsvc.draft_assignment(change_set) AS d
    WHERE d.layer = t.layer AND d.area_code = t.area_code;
    CREATE INDEX ON pg_temp.drafted_assignment (layer, area_code);
    ANALYZE pg_temp.drafted_assignment;
END
$$;
