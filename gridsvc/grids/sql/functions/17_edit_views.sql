-- The views that QGIS edits and reads, laid from the scheme: QGIS wants one view a layer, with a key
-- of four bytes, plain columns, local times without a zone, and a geometry of one type and CRS.
-- They are derived, so they are dropped before a climb and before the storage CRS changes, and laid
-- again afterwards.

CREATE OR REPLACE FUNCTION gridsvc.drop_edit_views() RETURNS void
LANGUAGE plpgsql SET client_min_messages = warning AS $$
DECLARE
    one record;
BEGIN
    FOR one IN SELECT v.schemaname, v.viewname FROM pg_views AS v
               WHERE v.schemaname IN ('edit', 'hist') LOOP
        EXECUTE format('DROP VIEW IF EXISTS %I.%I CASCADE', one.schemaname, one.viewname);
    END LOOP;
END
$$;

-- One view of the areas of a layer over the shown change set: base versions less those that it
-- replaces, and those that it proposes.
--   shape  the columns of the geometry, such as 'boundary' or 'width_m, centre_line'
CREATE OR REPLACE FUNCTION gridsvc.edit_view_text(name text, layer text, shape text[]) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT format($view$
        CREATE VIEW edit.%1$I AS
        SELECT a.id::integer AS key, 0 AS row_number, a.code, a.name,
               gridsvc.parent_code((SELECT gridsvc.shown_change_set()), a.layer, a.boundary)
                   AS parent_code,
               'base'::text AS state, ST_Area(a.boundary) AS area_m2, %3$s
        FROM gridsvc.area AS a
        WHERE a.layer = %2$L
          AND a.rev_from <= (SELECT gridsvc.shown_base())
          AND (a.rev_to IS NULL OR (SELECT gridsvc.shown_base()) < a.rev_to)
          AND a.valid_from <= (SELECT gridsvc.shown_instant())
          AND (a.valid_to IS NULL OR (SELECT gridsvc.shown_instant()) < a.valid_to)
          AND NOT EXISTS (SELECT FROM gridsvc.area_edit AS e
                          WHERE e.change_set_id = (SELECT gridsvc.shown_change_set())
                            AND e.replaces = a.id)
        UNION ALL
        SELECT coalesce(e.origin, -e.id)::integer, e.row_number, e.code, e.name,
               gridsvc.parent_code(e.change_set_id, e.layer, e.boundary),
               CASE WHEN e.origin IS NULL THEN 'new' ELSE 'changed' END, ST_Area(e.boundary), %4$s
        FROM gridsvc.area_edit AS e
        WHERE e.change_set_id = (SELECT gridsvc.shown_change_set())
          AND e.layer = %2$L AND e.boundary IS NOT NULL
          AND e.valid_from <= (SELECT gridsvc.shown_instant())
          AND (e.valid_to IS NULL OR (SELECT gridsvc.shown_instant()) < e.valid_to)
        $view$,
        name, layer,
        (SELECT string_agg('a.' || s, ', ') FROM unnest(shape) AS s),
        (SELECT string_agg('e.' || s, ', ') FROM unnest(shape) AS s))
$$;

CREATE OR REPLACE FUNCTION gridsvc.lay_edit_views() RETURNS void
LANGUAGE plpgsql SET client_min_messages = warning AS $$
DECLARE
    zone CONSTANT text := gridsvc.city_zone();
    one gridsvc.layer;
BEGIN
    PERFORM gridsvc.drop_edit_views();
    IF zone IS NULL THEN
        RETURN;  -- no scheme yet
    END IF;
    FOR one IN SELECT l.* FROM gridsvc.layer AS l
               JOIN jsonb_array_elements(
                   (SELECT s.document -> 'layer' FROM gridsvc.scheme AS s ORDER BY s.id DESC LIMIT 1)
               ) AS ruling ON ruling.value ->> 'code' = l.code
    LOOP
        IF one.drawn_as = 'line' THEN
            EXECUTE gridsvc.edit_view_text(one.code, one.code, '{width_m,centre_line}');
            EXECUTE gridsvc.edit_view_text(one.code || '_surface', one.code, '{boundary}');
            EXECUTE format('GRANT SELECT ON edit.%I TO gridsvc_planner, gridsvc_chief, gridsvc_viewer',
                           one.code || '_surface');
        ELSE
            EXECUTE gridsvc.edit_view_text(one.code, one.code, '{boundary}');
        END IF;
        EXECUTE format(
            'CREATE TRIGGER save INSTEAD OF INSERT OR UPDATE OR DELETE ON edit.%I '
            'FOR EACH ROW EXECUTE FUNCTION gridsvc.%I(%L)',
            one.code, CASE one.drawn_as WHEN 'line' THEN 'edit_line' ELSE 'edit_polygon' END,
            one.code);
        EXECUTE format(
            'GRANT SELECT ON edit.%I TO gridsvc_viewer; '
            'GRANT SELECT, INSERT, UPDATE, DELETE ON edit.%1$I TO gridsvc_planner, gridsvc_chief',
            one.code);
        EXECUTE format($view$
            CREATE VIEW hist.%1$I AS
            SELECT a.id::integer AS key, a.code, a.name, a.rev_from AS revision,
                   a.rev_to AS until_revision,
                   r.published_at AT TIME ZONE %3$L AS shown_from,
                   u.published_at AT TIME ZONE %3$L AS shown_to,
                   r.author, c.name AS change_set, r.note, a.boundary
            FROM gridsvc.area AS a
            JOIN gridsvc.revision AS r ON r.number = a.rev_from
            LEFT JOIN gridsvc.revision AS u ON u.number = a.rev_to
            LEFT JOIN gridsvc.change_set AS c ON c.id = r.change_set_id
            -- A version that had ended when it was published is the past told again.
            WHERE a.layer = %2$L AND (a.valid_to IS NULL OR a.valid_to > r.published_at)
            $view$, one.code, one.code, zone);
        EXECUTE format('GRANT SELECT ON hist.%I TO gridsvc_planner, gridsvc_chief, gridsvc_viewer',
                       one.code);
    END LOOP;
    EXECUTE format($view$
        CREATE VIEW edit.change_set AS
        SELECT c.id, c.name, c.note, c.state, c.author, c.base_revision,
               (SELECT max(n.number) FROM gridsvc.revision AS n) AS newest_revision,
               c.takes_effect_at AT TIME ZONE %1$L AS takes_effect_at,
               c.created_at AT TIME ZONE %1$L AS created_at,
               c.closed_at AT TIME ZONE %1$L AS closed_at,
               r.number AS revision,
               c.id IS NOT DISTINCT FROM (SELECT gridsvc.shown_change_set()) AS is_shown,
               (SELECT count(*) FROM gridsvc.problem AS p WHERE p.change_set_id = c.id)::integer
                   AS problems,
               CASE WHEN c.state IN ('open', 'checked')
                   THEN (SELECT count(*) FROM gridsvc.find_conflicts(c.id))::integer ELSE 0 END
                   AS conflicts,
               NULL::text AS action
        FROM gridsvc.change_set AS c
        LEFT JOIN gridsvc.revision AS r ON r.change_set_id = c.id;
        CREATE TRIGGER save INSTEAD OF INSERT OR UPDATE OR DELETE ON edit.change_set
        FOR EACH ROW EXECUTE FUNCTION gridsvc.edit_change_set();

        CREATE VIEW edit.proposal AS
        SELECT coalesce(e.origin, e.replaces, -e.id)::integer AS key, e.layer, e.code,
               CASE WHEN e.boundary IS NULL OR e.origin IS NULL AND e.replaces IS NOT NULL
                   THEN 'ended' WHEN e.origin IS NULL THEN 'new' ELSE 'changed' END AS what,
               e.edited_at AT TIME ZONE %1$L AS edited_at, e.edited_by,
               coalesce(e.boundary, a.boundary) AS boundary
        FROM gridsvc.area_edit AS e
        LEFT JOIN gridsvc.area AS a ON a.id = e.replaces
        WHERE e.change_set_id = (SELECT gridsvc.shown_change_set())
          -- The shortened copy of a version that another replaces is no edit of its own.
          AND NOT (e.origin IS NULL AND e.replaces IS NOT NULL AND EXISTS (
              SELECT FROM gridsvc.area_edit AS o
              WHERE o.change_set_id = e.change_set_id AND o.origin = e.replaces AND o.id <> e.id));
        CREATE TRIGGER save INSTEAD OF INSERT OR UPDATE OR DELETE ON edit.proposal
        FOR EACH ROW EXECUTE FUNCTION gridsvc.take_back();

        CREATE VIEW edit.problem AS
        SELECT p.key, p.kind, p.stops, p.layer, p.code, p.other, p.message, p.message_zh,
               p.area_m2, p.width_m,
               ST_Multi(ST_CollectionExtract(p.part, 3))::geometry(MultiPolygon, %2$s) AS part,
               CASE WHEN GeometryType(p.part) = 'POINT' THEN p.part
                   ELSE ST_PointOnSurface(p.part) END::geometry(Point, %2$s) AS point
        FROM (
            SELECT p.id::integer AS key, p.kind, p.stops, p.layer, p.code, p.other, p.message,
                   p.message_zh, p.area_m2, p.width_m, p.part
            FROM gridsvc.problem AS p
            WHERE p.change_set_id = (SELECT gridsvc.shown_change_set())
            UNION ALL
            SELECT -row_number() OVER ()::integer, f.kind, f.stops, f.layer, f.code, f.other,
                   f.message, f.message_zh, f.area_m2, f.width_m, f.part
            FROM gridsvc.find_conflicts((SELECT gridsvc.shown_change_set())) AS f
        ) AS p;

        CREATE VIEW edit.party AS
        SELECT coalesce(e.code, p.code) AS code,
               CASE WHEN m.may_see THEN coalesce(e.name, p.name)
                   ELSE gridsvc.masked_name(coalesce(e.name, p.name), coalesce(e.kind, p.kind))
                   END AS name,
               coalesce(e.kind, p.kind) AS kind,
               gridsvc.masked_phone(CASE WHEN e.code IS NULL THEN p.phone ELSE e.phone END) AS phone,
               CASE WHEN e.code IS NULL THEN 'base' WHEN p.code IS NULL THEN 'new'
                   ELSE 'changed' END AS state
        FROM gridsvc.party AS p
        FULL JOIN (SELECT * FROM gridsvc.party_edit AS e
                   WHERE e.change_set_id = (SELECT gridsvc.shown_change_set())) AS e
          ON e.code = p.code
        CROSS JOIN (SELECT gridsvc.planner_role() IN ('planner', 'chief') AS may_see) AS m;
        CREATE TRIGGER save INSTEAD OF INSERT OR UPDATE OR DELETE ON edit.party
        FOR EACH ROW EXECUTE FUNCTION gridsvc.edit_party();

        CREATE VIEW edit.assignment AS
        SELECT s.key, s.row_number, s.party_code, s.layer, s.area_code, s.duty, s.role,
               s.rank::integer AS rank, s.category, gridsvc.week_hours_text(s.hours) AS hours,
               s.valid_from AT TIME ZONE %1$L AS valid_from,
               s.valid_to AT TIME ZONE %1$L AS valid_to, s.state,
               NULL::text AS hand_over_to, NULL::timestamp AS hand_over_at
        FROM (
            SELECT s.id::integer AS key, 0 AS row_number, s.party_code, s.layer, s.area_code,
                   s.duty, s.role, s.rank, s.category, s.hours, s.valid_from, s.valid_to,
                   'base'::text AS state
            FROM gridsvc.assignment AS s
            WHERE s.rev_from <= (SELECT gridsvc.shown_base())
              AND (s.rev_to IS NULL OR (SELECT gridsvc.shown_base()) < s.rev_to)
              AND NOT EXISTS (SELECT FROM gridsvc.assignment_edit AS e
                              WHERE e.change_set_id = (SELECT gridsvc.shown_change_set())
                                AND e.replaces = s.id)
            UNION ALL
            SELECT coalesce(e.origin, -e.id)::integer, e.row_number, e.party_code, e.layer,
                   e.area_code, e.duty, e.role, e.rank, e.category, e.hours, e.valid_from,
                   e.valid_to, CASE WHEN e.origin IS NULL THEN 'new' ELSE 'changed' END
            FROM gridsvc.assignment_edit AS e
            WHERE e.change_set_id = (SELECT gridsvc.shown_change_set())
              AND e.party_code IS NOT NULL
        ) AS s
        WHERE s.valid_to IS NULL OR s.valid_to > now() OR s.state <> 'base';
        CREATE TRIGGER save INSTEAD OF INSERT OR UPDATE OR DELETE ON edit.assignment
        FOR EACH ROW EXECUTE FUNCTION gridsvc.edit_assignment();

        CREATE VIEW hist.change AS
        WITH moved AS (
            SELECT a.layer, a.code, a.rev_from AS revision, a.id, a.boundary, true AS begins
            FROM gridsvc.area AS a WHERE a.valid_to IS NULL
            UNION ALL
            SELECT a.layer, a.code, a.rev_to, a.id, a.boundary, false
            FROM gridsvc.area AS a WHERE a.rev_to IS NOT NULL AND a.valid_to IS NULL
        ), change AS (
            SELECT DISTINCT ON (m.layer, m.code, m.revision)
                   m.layer, m.code, m.revision, m.id, m.boundary,
                   count(*) FILTER (WHERE m.begins) OVER w AS begun,
                   count(*) FILTER (WHERE NOT m.begins) OVER w AS ended
            FROM moved AS m
            WINDOW w AS (PARTITION BY m.layer, m.code, m.revision)
            ORDER BY m.layer, m.code, m.revision, m.begins DESC
        )
        SELECT (CASE WHEN m.begun = 0 THEN -m.id ELSE m.id END)::integer AS key, m.layer, m.code,
               CASE WHEN m.begun = 0 THEN 'ended' WHEN m.ended = 0 THEN 'new'
                   ELSE 'changed' END AS what,
               m.revision, r.published_at AT TIME ZONE %1$L AS published_at, r.author,
               c.name AS change_set, r.note,
               (SELECT string_agg(l.ancestor, ', ' ORDER BY l.ancestor)
                FROM gridsvc.area_lineage AS l
                WHERE l.revision = m.revision AND l.layer = m.layer AND l.code = m.code)
                   AS came_from,
               m.boundary
        FROM change AS m
        JOIN gridsvc.revision AS r ON r.number = m.revision
        LEFT JOIN gridsvc.change_set AS c ON c.id = r.change_set_id;

        GRANT SELECT ON edit.change_set, edit.proposal, edit.problem, edit.party, edit.assignment,
            hist.change TO gridsvc_planner, gridsvc_chief, gridsvc_viewer;
        GRANT INSERT, UPDATE, DELETE ON edit.change_set, edit.party, edit.assignment, edit.proposal
            TO gridsvc_planner, gridsvc_chief
        $view$, zone, (SELECT s.srid FROM gridsvc.scheme AS s ORDER BY s.id DESC LIMIT 1));
    -- The preview of what a draft would mean is laid with the tables of reports, which are above.
    IF to_regprocedure('gridsvc.lay_impact_views()') IS NOT NULL THEN
        PERFORM gridsvc.lay_impact_views();
    END IF;
END
$$;

-- A trigger of a table cannot be created twice.
DROP TRIGGER IF EXISTS recheck ON gridsvc.recheck;
CREATE CONSTRAINT TRIGGER recheck AFTER INSERT ON gridsvc.recheck
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION gridsvc.recheck_now();

-- These run with the rights of the service, and the rows they are given may be of anybody's types:
-- whoever could hang them on a table of its own would have the service run its casts.
REVOKE ALL ON FUNCTION gridsvc.edit_polygon, gridsvc.edit_line, gridsvc.take_back,
    gridsvc.edit_change_set, gridsvc.edit_party, gridsvc.edit_assignment, gridsvc.recheck_now
    FROM PUBLIC;

-- Who publishes what is for planners to know.
REVOKE ALL ON FUNCTION gridsvc.find_conflicts FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gridsvc.find_conflicts
    TO gridsvc_planner, gridsvc_chief, gridsvc_viewer;
