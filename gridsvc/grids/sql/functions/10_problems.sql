-- What is wrong with a state: the one list that `gridsvc check`, a publish and QGIS show.

-- Judge the live state, or the state that a change set would leave on the revision it rests on.
--   change_set  null for the live state
--   at          instant to judge; null is gridsvc.draft_instant, and with a change set the others
--               of gridsvc.draft_instants too
--   layers      codes of the layers to judge; null is all, or with a change set those that it
--               touches and those whose areas lie in theirs
-- A change set is judged by its areas, their neighbours, what they lie in and what lies in them;
-- where it changes most of the city, judging all at once is cheaper.
CREATE OR REPLACE FUNCTION gridsvc.find_problems(
    change_set integer, at timestamptz DEFAULT NULL, layers text[] DEFAULT NULL
) RETURNS SETOF gridsvc.finding
LANGUAGE plpgsql AS $$
DECLARE
    scheme jsonb := (SELECT s.document FROM gridsvc.scheme AS s ORDER BY s.id DESC LIMIT 1);
    main timestamptz := coalesce(at, gridsvc.draft_instant(change_set));
    instants timestamptz[] := CASE WHEN at IS NULL AND change_set IS NOT NULL
        THEN gridsvc.draft_instants(change_set) ELSE ARRAY[main] END;
    touched text[] := ARRAY(SELECT DISTINCT e.layer FROM gridsvc.area_edit AS e
                            WHERE e.change_set_id = change_set);
    judged text[] := ARRAY(
        SELECT l.code FROM gridsvc.layer AS l
        WHERE CASE WHEN layers IS NOT NULL THEN l.code = ANY(layers)
                   WHEN change_set IS NULL THEN true
                   ELSE l.code = ANY(touched) OR l.parent = ANY(touched) END
        ORDER BY l.position);
BEGIN
    IF cardinality(judged) > 0 THEN
        -- What stops at another instant only is told with it.
        RETURN QUERY
        SELECT f.kind, f.stops, f.layer, f.code, f.other,
               f.message || CASE WHEN f.turn > 1 THEN format(' (at %s)', f.time) ELSE '' END,
               f.message_zh || CASE WHEN f.turn > 1 THEN format('（%s）', f.time) ELSE '' END,
               f.area_m2, f.width_m, f.part
        FROM (
            SELECT f.*, i.turn, gridsvc.local_time(i.at, scheme ->> 'time_zone') AS time,
                   min(i.turn) OVER (PARTITION BY f.kind, f.layer, f.code, f.other) AS first_turn
            FROM unnest(main || array_remove(instants, main)) WITH ORDINALITY AS i (at, turn)
            CROSS JOIN LATERAL gridsvc.find_problems_at(change_set, i.at, judged, scheme)
                WITH ORDINALITY AS f (kind, stops, layer, code, other, message, message_zh,
                                      area_m2, width_m, part, row)
        ) AS f
        WHERE f.turn = 1 OR f.turn = f.first_turn AND f.stops
        ORDER BY f.turn, f.row;
    END IF;
    IF change_set IS NOT NULL THEN
        PERFORM gridsvc.lay_draft_people(change_set);
        RETURN QUERY SELECT * FROM gridsvc.find_already_held(scheme);
        RETURN QUERY SELECT * FROM gridsvc.find_unknown_areas(change_set, scheme);
        RETURN QUERY SELECT * FROM gridsvc.find_vacancies(change_set, scheme);
        RETURN QUERY SELECT * FROM gridsvc.find_left_behind(change_set, main, scheme);
    END IF;
END
$$;

-- The same of areas at one instant.
CREATE OR REPLACE FUNCTION gridsvc.find_problems_at(
    change_set integer, instant timestamptz, judged text[], scheme jsonb
) RETURNS SETOF gridsvc.finding
LANGUAGE plpgsql AS $$
DECLARE
    -- Looks no further into the table than four rows an edit.
    only_changed boolean := change_set IS NOT NULL AND EXISTS (
        SELECT FROM gridsvc.area AS a WHERE a.rev_to IS NULL
        OFFSET (SELECT count(*) * 4 FROM gridsvc.area_edit AS e
                WHERE e.change_set_id = change_set));
    one gridsvc.layer;
    has_parent boolean;
BEGIN
    PERFORM gridsvc.lay_draft(change_set, instant, judged, only_changed);
    FOR one IN SELECT l.* FROM gridsvc.layer AS l WHERE l.code = ANY(judged) ORDER BY l.position
    LOOP
        -- A layer that is not drawn yet leaves no gaps, and nothing can spill out of one; one whose
        -- last area the change set ends was drawn.
        has_parent := (
            SELECT bool_and(
                EXISTS (SELECT FROM gridsvc.draft_area(change_set, instant) AS d
                        WHERE d.layer = l.code)
                OR EXISTS (SELECT FROM pg_temp.focus AS f WHERE f.layer = l.code AND f.was_held))
            FROM unnest(ARRAY[one.code, one.parent]) AS l (code));
        RETURN QUERY
        SELECT f.kind, gridsvc.finding_stops(scheme, one.code, f.kind), one.code, f.code,
               f.other, w.message, w.message_zh, f.area_m2, f.width_m, f.part
        FROM (
            SELECT * FROM gridsvc.find_narrow(one.code)
            UNION ALL
            SELECT * FROM gridsvc.find_odd_codes(change_set, one.code, scheme)
            UNION ALL
            SELECT * FROM gridsvc.find_overlaps(one.code) WHERE one.kind = 'tiling'
            UNION ALL
            SELECT * FROM gridsvc.find_gaps(one.code, one.parent)
            WHERE has_parent AND one.kind = 'tiling'
            UNION ALL
            SELECT * FROM gridsvc.missing_nodes(one.code) WHERE one.kind = 'tiling'
            UNION ALL
            SELECT * FROM gridsvc.find_spills(one.code, one.parent, one.kind = 'tiling')
            WHERE has_parent
        ) AS f
        CROSS JOIN LATERAL gridsvc.area_finding_words(
            f.kind, one.code, one.parent, f.code, f.other, f.area_m2, f.width_m, f.detail) AS w;
    END LOOP;
    RETURN QUERY SELECT * FROM gridsvc.find_orphans(change_set, instant, judged, scheme);
END
$$;

-- What stopped rows of the files that were imported into a change set.
CREATE OR REPLACE FUNCTION gridsvc.recorded_findings(change_set integer)
RETURNS SETOF gridsvc.finding
LANGUAGE sql STABLE AS $$
    SELECT i.kind, true, i.layer, i.code, NULL::text,
           i.message || ' (in ' || i.source || ')', i.message || '（' || i.source || '）',
           i.area_m2, NULL::double precision,
           ST_Transform(i.place, (SELECT s.srid FROM gridsvc.scheme AS s ORDER BY s.id DESC LIMIT 1))
    FROM gridsvc.import_finding AS i
    WHERE i.change_set_id = change_set
    ORDER BY i.id
$$;

-- Versions that a change set replaces and that are no longer live, and live ones that stand where
-- it adds an area or a component of the same code, or an absence of the same party and beginning:
-- each with who changed it in which revision.
CREATE OR REPLACE FUNCTION gridsvc.find_conflicts(change_set integer)
RETURNS SETOF gridsvc.finding
-- The views of planners ask it, with the rights of the service.
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = gridsvc, public, pg_temp AS $$
    WITH lost (layer, code, what, revision) AS (
        SELECT a.layer, a.code, a.layer || ' ' || a.code, a.rev_to
        FROM gridsvc.area_edit AS e JOIN gridsvc.area AS a ON a.id = e.replaces
        WHERE e.change_set_id = change_set AND a.rev_to IS NOT NULL
        UNION
        SELECT a.layer, a.code, a.layer || ' ' || a.code, a.rev_from
        FROM gridsvc.area_edit AS e
        JOIN gridsvc.area AS a ON a.layer = e.layer AND a.code = e.code AND a.rev_to IS NULL
         AND tstzrange(a.valid_from, a.valid_to) && tstzrange(e.valid_from, e.valid_to)
        WHERE e.change_set_id = change_set AND e.boundary IS NOT NULL
          AND NOT EXISTS (SELECT FROM gridsvc.area_edit AS r
                          WHERE r.change_set_id = change_set AND r.replaces = a.id)
        UNION
        SELECT s.layer, s.area_code, s.duty || ' of ' || s.layer || ' ' || s.area_code, s.rev_to
        FROM gridsvc.assignment_edit AS e JOIN gridsvc.assignment AS s ON s.id = e.replaces
        WHERE e.change_set_id = change_set AND s.rev_to IS NOT NULL
        UNION
        -- Whoever published the party last, or nobody: then it was changed with the history.
        SELECT NULL, e.code, 'party ' || e.code, (
            SELECT max(r.number)
            FROM gridsvc.party_edit AS o JOIN gridsvc.revision AS r
              ON r.change_set_id = o.change_set_id
            WHERE o.code = e.code)
        FROM gridsvc.party_edit AS e
        WHERE e.change_set_id = change_set AND gridsvc.party_digest(e.code) IS DISTINCT FROM e.was
        UNION
        SELECT NULL, b.party_code, 'absence of ' || b.party_code, b.rev_to
        FROM gridsvc.absence_edit AS e JOIN gridsvc.absence AS b ON b.id = e.replaces
        WHERE e.change_set_id = change_set AND b.rev_to IS NOT NULL
        UNION
        SELECT NULL, b.party_code, 'absence of ' || b.party_code, b.rev_from
        FROM gridsvc.absence_edit AS e
        JOIN gridsvc.absence AS b ON b.party_code = e.party_code AND b.valid_from = e.valid_from
         AND b.rev_to IS NULL
        WHERE e.change_set_id = change_set
          AND NOT EXISTS (SELECT FROM gridsvc.absence_edit AS r
                          WHERE r.change_set_id = change_set AND r.replaces = b.id)
        UNION
        SELECT NULL, c.code, 'component ' || c.code, c.rev_to
        FROM gridsvc.component_edit AS e JOIN gridsvc.component AS c ON c.id = e.replaces
        WHERE e.change_set_id = change_set AND c.rev_to IS NOT NULL
        UNION
        SELECT NULL, c.code, 'component ' || c.code, c.rev_from
        FROM gridsvc.component_edit AS e
        JOIN gridsvc.component AS c ON c.code = e.code AND c.rev_to IS NULL
         AND tstzrange(c.valid_from, c.valid_to) && tstzrange(e.valid_from, e.valid_to)
        WHERE e.change_set_id = change_set AND e.point IS NOT NULL
          AND NOT EXISTS (SELECT FROM gridsvc.component_edit AS r
                          WHERE r.change_set_id = change_set AND r.replaces = c.id)
    ), told AS (
        SELECT l.*, r.author, s.time_zone, gridsvc.local_time(r.published_at, s.time_zone) AS at
        FROM lost AS l
        JOIN gridsvc.revision AS r ON r.number = l.revision
        JOIN gridsvc.scheme AS s ON s.id = r.scheme_id
    )
    SELECT 'conflict', true, t.layer, t.code, t.author,
           format('%s was changed by %s in revision %s at %s', t.what, t.author, t.revision, t.at),
           format('%s 已由 %s 在第 %s 版修改（%s）', t.what, t.author, t.revision, t.at),
           NULL::double precision, NULL::double precision,
           (SELECT a.boundary FROM gridsvc.area AS a
            WHERE a.layer = t.layer AND a.code = t.code
            ORDER BY a.rev_to DESC NULLS FIRST, a.valid_from DESC LIMIT 1)
    FROM told AS t
    ORDER BY t.what, t.revision
$$;
