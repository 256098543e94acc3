-- Who asks through the views of `edit`, what they see there and what they may change.
-- Views run these with the rights of the service, and `session_user` tells who logged in; QGIS
-- overwrites the name of the application, and no other setting of a session is believed.

-- What the session's login may do: 'planner', 'chief', 'viewer', or null. Who owns the tables is a
-- chief.
CREATE OR REPLACE FUNCTION gridsvc.planner_role() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = gridsvc, public, pg_temp AS $$
    SELECT coalesce(
        (SELECT p.role FROM gridsvc.planner AS p WHERE p.login = session_user),
        (SELECT 'chief' FROM pg_namespace AS n
         WHERE n.nspname = 'gridsvc' AND pg_has_role(session_user, n.nspowner, 'MEMBER')))
$$;

-- The change set that the session's login looks at; null where it looks at the newest state.
CREATE OR REPLACE FUNCTION gridsvc.shown_change_set() RETURNS integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = gridsvc, public, pg_temp AS $$
    SELECT c.id
    FROM gridsvc.planner AS p JOIN gridsvc.change_set AS c ON c.id = p.change_set_id
    WHERE p.login = session_user AND c.state IN ('open', 'checked')
$$;

CREATE OR REPLACE FUNCTION gridsvc.shown_base() RETURNS integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = gridsvc, public, pg_temp AS $$
    SELECT gridsvc.draft_base(gridsvc.shown_change_set())
$$;

CREATE OR REPLACE FUNCTION gridsvc.shown_instant() RETURNS timestamptz
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = gridsvc, public, pg_temp AS $$
    SELECT gridsvc.draft_instant(gridsvc.shown_change_set())
$$;

-- The city's time zone, in which QGIS shows times: it shows instants as if they were local.
CREATE OR REPLACE FUNCTION gridsvc.city_zone() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = gridsvc, public, pg_temp AS $$
    SELECT s.time_zone FROM gridsvc.scheme AS s ORDER BY s.id DESC LIMIT 1
$$;

-- Refuse what a planner asked, with what to do instead. Both languages stand in one line, for QGIS
-- shows the first line of an error.
CREATE OR REPLACE FUNCTION gridsvc.refuse(
    message_zh text, message text, hint text, detail text DEFAULT ''
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% / %', message_zh, message
        USING ERRCODE = 'GS001', HINT = hint, DETAIL = detail;
END
$$;

-- The open change set that the session's login may edit, locked until the transaction ends; what is
-- edited after a check is no longer checked.
CREATE OR REPLACE FUNCTION gridsvc.own_change_set() RETURNS gridsvc.change_set
LANGUAGE plpgsql AS $$
DECLARE
    it gridsvc.change_set;
BEGIN
    IF coalesce(gridsvc.planner_role(), 'viewer') = 'viewer' THEN
        PERFORM gridsvc.refuse(
            format('%s 只能查看', session_user), format('%s may only look', session_user),
            '请管理员授予规划员权限：gridsvc planner add NAME --streets … / '
            'Ask for the rights of a planner: gridsvc planner add NAME --streets …');
    END IF;
    SELECT c.* INTO it
    FROM gridsvc.planner AS p JOIN gridsvc.change_set AS c ON c.id = p.change_set_id
    WHERE p.login = session_user
    FOR NO KEY UPDATE OF c;
    IF it.id IS NULL THEN
        PERFORM gridsvc.refuse(
            '没有打开的变更集', 'no change set is open for you',
            '请在“变更集”表中新增一行，或显示自己的变更集（操作：显示） / '
            'Add a row to the table of change sets, or show one of yours (action: show)');
    ELSIF it.state NOT IN ('open', 'checked') THEN
        PERFORM gridsvc.refuse(
            format('变更集 %s 已%s', it.name,
                   CASE it.state WHEN 'published' THEN '发布' ELSE '撤回' END),
            format('the change set "%s" is %s already', it.name, it.state),
            '请在“变更集”表中新增一行 / Add a new row to the table of change sets');
    ELSIF it.author <> session_user THEN
        PERFORM gridsvc.refuse(
            format('变更集 %s 属于 %s', it.name, it.author),
            format('the change set "%s" belongs to %s', it.name, it.author),
            '请显示自己的变更集，或在“变更集”表中新增一行 / '
            'Show one of yours, or add a new row to the table of change sets');
    END IF;
    UPDATE gridsvc.change_set AS c SET state = 'open' WHERE c.id = it.id AND c.state = 'checked';
    RETURN it;
END
$$;

-- Refuse what lies for the most part outside the ground of the session's login. That is the ground
-- as published: nobody draws an own street larger and then edits what lies in it.
--   what  the area in words
CREATE OR REPLACE FUNCTION gridsvc.require_ground(
    change_set integer, shape geometry, what text
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    at CONSTANT timestamptz := gridsvc.draft_instant(change_set);
    own text[];
    there text;
BEGIN
    IF gridsvc.planner_role() = 'chief' OR EXISTS (
        SELECT FROM gridsvc.planner_area AS p
        CROSS JOIN LATERAL gridsvc.drafted_area(NULL, p.layer, p.area_code) AS g
        WHERE p.login = session_user AND g.boundary && shape
          AND g.valid_from <= at AND (g.valid_to IS NULL OR at < g.valid_to)
        HAVING sum(ST_Area(ST_Intersection(g.boundary, shape))) > ST_Area(shape) / 2
    ) THEN
        RETURN;
    END IF;
    own := ARRAY(SELECT p.layer || ' ' || p.area_code FROM gridsvc.planner_area AS p
                 WHERE p.login = session_user ORDER BY 1);
    SELECT g.layer || ' ' || g.code || coalesce(' ' || g.name, '') INTO there
    FROM (SELECT DISTINCT p.layer FROM gridsvc.planner_area AS p
          WHERE p.login = session_user) AS l
    CROSS JOIN LATERAL gridsvc.draft_area_near(NULL, at, l.layer, shape) AS g
    WHERE ST_Intersects(g.boundary, shape)
    ORDER BY ST_Area(ST_Intersection(g.boundary, shape)) DESC, g.code
    LIMIT 1;
    PERFORM gridsvc.refuse(
        format('%s 位于 %s，不在您的范围内', what, coalesce(there, '?')),
        format('%s lies in %s, not on your ground', what, coalesce(there, 'no area of that kind')),
        '请该区域的规划员或总规划员修改 / Ask the planner of that area or a chief planner to change it',
        format('Your ground: %s; the place: %s', coalesce(nullif(array_to_string(own, ', '), ''),
               'none'), gridsvc.place_words(ST_PointOnSurface(shape))));
END
$$;

-- A place in the storage CRS as a planner finds it on the map: 499825.10, 4418731.00.
CREATE OR REPLACE FUNCTION gridsvc.place_words(point geometry) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT round(ST_X(point)::numeric, 2) || ', ' || round(ST_Y(point)::numeric, 2)
$$;
