-- What a change set would mean: the reports of the last days, asked again as it stands and as it
-- would stand.

-- Lay the draft, as far as the questions of replay_side and replay_owned need it, into the live
-- tables under a revision of its own; the caller undoes it.
--   drafted  number of that revision, less than zero: rows that live in it alone meet no other
--            one, so nobody waits for them, and nothing live is written
-- Where a draft contradicts itself (two holders of one duty), what it proposes counts.
CREATE OR REPLACE FUNCTION gridsvc.lay_drafted_revision(
    change_set integer, drafted integer, at timestamptz, scheme_id integer
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    unclear gridsvc.tier;
    parties text[];
BEGIN
    INSERT INTO gridsvc.revision (number, published_at, effective_at, scheme_id)
    SELECT n, now(), now(), lay_drafted_revision.scheme_id FROM generate_series(drafted, drafted + 1) AS n;
    INSERT INTO gridsvc.party (code, name, kind)
    SELECT DISTINCT p.code, p.code, 'body' FROM (
        SELECT e.party_code FROM gridsvc.assignment_edit AS e WHERE e.change_set_id = change_set
        UNION SELECT e.party_code FROM gridsvc.absence_edit AS e WHERE e.change_set_id = change_set
        UNION SELECT e.owner FROM gridsvc.component_edit AS e WHERE e.change_set_id = change_set
    ) AS p (code)
    WHERE p.code IS NOT NULL AND NOT EXISTS (SELECT FROM gridsvc.party AS o WHERE o.code = p.code)
    ON CONFLICT DO NOTHING;

    -- Areas are read only where a neighbour may stand in.
    WITH wanted AS MATERIALIZED (
        SELECT DISTINCT a.version, a.layer, a.boundary
        FROM pg_temp.replay_side AS s
        JOIN gridsvc.stand_in_rule AS r
          ON r.scheme_id = lay_drafted_revision.scheme_id AND r.duty = s.duty AND r.by = 'neighbour'
        CROSS JOIN LATERAL unnest(s.versions) AS v (version)
        JOIN pg_temp.replay_area AS a ON a.version = v.version
        WHERE s.is_after
    ), near AS (
        SELECT DISTINCT ON (d.layer, d.code) d.layer, d.code, d.boundary
        FROM wanted AS w
        CROSS JOIN LATERAL gridsvc.draft_area(change_set, at) AS d
        WHERE d.layer = w.layer AND d.boundary && ST_Expand(w.boundary, 0.005)
    ), laid AS (
        INSERT INTO gridsvc.area (layer, code, boundary, valid_from, rev_from, rev_to)
        SELECT n.layer, n.code, n.boundary, at, drafted, drafted + 1 FROM near AS n
        RETURNING area.id, area.layer, area.code
    ), named AS (
        UPDATE pg_temp.replay_area AS a SET drafted_id = l.id
        FROM laid AS l
        WHERE a.layer = l.layer AND a.code = l.code AND a.is_after
    )
    INSERT INTO pg_temp.replay_laid SELECT l.layer, l.code FROM laid AS l;

    SELECT t.* INTO unclear FROM gridsvc.tier AS t
    WHERE t.scheme_id = lay_drafted_revision.scheme_id AND t.code = 'ownership_unclear';
    WITH wanted AS (
        SELECT a.layer, a.code, s.duty
        FROM pg_temp.replay_side AS s
        CROSS JOIN LATERAL unnest(s.versions) AS v (version)
        JOIN pg_temp.replay_area AS a ON a.version = v.version
        WHERE s.is_after
        UNION
        SELECT l.layer, l.code, r.duty
        FROM pg_temp.replay_laid AS l
        JOIN gridsvc.stand_in_rule AS r
          ON r.scheme_id = lay_drafted_revision.scheme_id AND r.by = 'neighbour'
        UNION
        SELECT a.layer, a.code, unclear.duty
        FROM (SELECT DISTINCT o.spot FROM pg_temp.replay_owned AS o) AS o
        JOIN pg_temp.replay_spot AS s ON s.spot = o.spot
        CROSS JOIN LATERAL unnest(s.after) AS v (version)
        JOIN pg_temp.replay_area AS a ON a.version = v.version
        WHERE a.layer = unclear.layer
    ), laid AS (
        INSERT INTO gridsvc.assignment
            (party_code, layer, area_code, duty, role, rank, category, hours, valid_from, valid_to,
             rev_from, rev_to)
        SELECT s.party_code, s.layer, s.area_code, s.duty, s.role, s.rank, s.category, s.hours,
               s.valid_from, s.valid_to, drafted, drafted + 1
        FROM wanted AS w
        CROSS JOIN LATERAL gridsvc.draft_assignment(change_set) AS s
        WHERE s.layer = w.layer AND s.area_code = w.code AND s.duty = w.duty
          AND s.valid_from <= at AND (s.valid_to IS NULL OR at < s.valid_to)
        ORDER BY s.proposed DESC
        ON CONFLICT DO NOTHING
        RETURNING assignment.party_code
    )
    SELECT array_agg(DISTINCT l.party_code) INTO parties FROM laid AS l;

    INSERT INTO gridsvc.absence (party_code, valid_from, valid_to, rev_from, rev_to)
    SELECT b.party_code, b.valid_from, b.valid_to, drafted, drafted + 1
    FROM gridsvc.absence AS b
    WHERE b.party_code = ANY(parties)
      AND b.rev_from <= gridsvc.draft_base(change_set)
      AND (b.rev_to IS NULL OR gridsvc.draft_base(change_set) < b.rev_to)
      AND NOT EXISTS (SELECT FROM gridsvc.absence_edit AS e
                      WHERE e.change_set_id = change_set AND e.replaces = b.id)
    UNION ALL
    SELECT e.party_code, e.valid_from, e.valid_to, drafted, drafted + 1
    FROM gridsvc.absence_edit AS e
    WHERE e.change_set_id = change_set AND e.party_code = ANY(parties)
    ON CONFLICT DO NOTHING;

    INSERT INTO gridsvc.component (code, category, owner, point, valid_from, valid_to, rev_from, rev_to)
    SELECT e.code, e.category, e.owner, e.point, e.valid_from, e.valid_to, drafted, drafted + 1
    FROM gridsvc.component_edit AS e
    WHERE e.change_set_id = change_set AND e.point IS NOT NULL
    UNION ALL
    SELECT c.code, c.category, c.owner, c.point, c.valid_from, c.valid_to, drafted, drafted + 1
    FROM (
        SELECT DISTINCT c.id
        FROM pg_temp.replay_component AS g
        JOIN gridsvc.component AS c
          ON c.category = g.category AND ST_DWithin(c.point, g.point, 2 * g.within_m + 0.01)
    ) AS near
    JOIN gridsvc.component AS c ON c.id = near.id
    WHERE c.rev_from <= gridsvc.draft_base(change_set)
      AND (c.rev_to IS NULL OR gridsvc.draft_base(change_set) < c.rev_to)
      AND NOT EXISTS (SELECT FROM gridsvc.component_edit AS e
                      WHERE e.change_set_id = change_set AND e.replaces = c.id)
    ON CONFLICT DO NOTHING;
END
$$;

-- Preview a change set: ask the reports of the last days again, as its base revision stands and as
-- the draft would stand, and store who would get which in place of the last preview.
--   days  back from now
--   at    instant of both questions; null is gridsvc.impact_instant
-- Each report is asked as of that instant, at the hour of the week at which it came in: else a
-- hand-over of the day shift would mean nothing to who asks at night. Findings that would stop a
-- publish are counted and do not stop the preview. It writes nothing that anybody else sees but its
-- result, waits for nobody but another preview of the same change set, and makes nobody wait.
CREATE OR REPLACE FUNCTION gridsvc.preview_impact(
    change_set integer, days integer DEFAULT 90, at timestamptz DEFAULT NULL
) RETURNS gridsvc.impact
LANGUAGE plpgsql
SET client_min_messages = warning SET jit = off SET max_parallel_workers_per_gather = 0
SET work_mem = '64MB' AS $$
DECLARE
    it gridsvc.change_set;
    scheme gridsvc.scheme;
    done gridsvc.impact;
    drafted integer := -2 * change_set;
    -- What outlives the undoing: variables do, rows do not.
    sides integer[];
    leads text[];
    assistants text[];
    unclear_spots integer[];
    unclear_topics integer[];
    unclear_minutes integer[];
    unclear_takers text[];
    near_reports integer[];
    near_parties text[];
BEGIN
    IF days IS NULL OR days NOT BETWEEN 1 AND 36500 THEN
        RAISE EXCEPTION 'the days to replay must be from 1 to 36500, not %', coalesce(days::text, 'null')
            USING HINT = 'Leave them out to replay the last 90 days', ERRCODE = '22023';
    END IF;
    PERFORM pg_advisory_xact_lock(x'696d70'::integer, change_set);  -- "imp"
    SELECT c.* INTO it FROM gridsvc.change_set AS c WHERE c.id = change_set;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no change set %', change_set
            USING HINT = 'Look its number up in edit.change_set', ERRCODE = 'P0002';
    END IF;
    done.change_set_id := change_set;
    done.made_at := clock_timestamp();
    done.days := days;
    done.to_at := now();
    done.from_at := now() - make_interval(days => days);
    done.base_revision := it.base_revision;
    done.judged_at := coalesce(at, gridsvc.impact_instant(change_set));
    done.digest := gridsvc.edits_digest(change_set);
    SELECT s.* INTO scheme FROM gridsvc.scheme AS s
    WHERE s.id = coalesce(
        (SELECT r.scheme_id FROM gridsvc.revision AS r WHERE r.number = it.base_revision),
        (SELECT max(n.id) FROM gridsvc.scheme AS n));
    SELECT count(*) INTO done.stops
    FROM (SELECT f.stops FROM gridsvc.find_problems(change_set) AS f
          UNION ALL SELECT f.stops FROM gridsvc.recorded_findings(change_set) AS f) AS f
    WHERE f.stops;
    SELECT count(*) INTO done.conflicts FROM gridsvc.find_conflicts(change_set);
    SELECT count(*) INTO done.reports FROM gridsvc.report AS r
    WHERE r.received_at >= done.from_at AND r.received_at < done.to_at;

    PERFORM gridsvc.lay_replay_changed(change_set, done.base_revision, done.judged_at);
    PERFORM gridsvc.lay_replay_touched(change_set, done.base_revision, done.judged_at, scheme.id);
    PERFORM gridsvc.lay_replay_components(change_set, scheme.id);
    PERFORM gridsvc.lay_replay_reports(
        done.base_revision, done.judged_at, done.from_at, done.to_at, scheme);
    PERFORM gridsvc.lay_replay_spots(change_set, done.base_revision, done.judged_at);
    PERFORM gridsvc.lay_replay_views(change_set, done.base_revision, scheme.id);
    PERFORM gridsvc.lay_replay_owned(scheme.id);
    PERFORM gridsvc.lay_replay_questions();
    SELECT count(*) INTO done.compared FROM pg_temp.replay_report;

    UPDATE pg_temp.replay_side AS s SET lead = a.lead, assistant = a.assistant
    FROM gridsvc.ask_replay(false, done.base_revision, done.judged_at, scheme.id) AS a
    WHERE a.side = s.side;
    UPDATE pg_temp.replay_unclear AS u SET taker_before = a.taker
    FROM gridsvc.ask_replay_unclear(false, done.base_revision, done.judged_at, scheme.id) AS a
    WHERE a.spot = u.spot AND a.topic = u.topic AND a.minute = u.minute;
    DROP TABLE IF EXISTS pg_temp.replay_laid;
    CREATE TEMPORARY TABLE replay_laid (layer text, code text) ON COMMIT DROP;
    BEGIN
        PERFORM gridsvc.lay_drafted_revision(change_set, drafted, done.judged_at, scheme.id);
        SELECT array_agg(a.side), array_agg(a.lead), array_agg(a.assistant)
        INTO sides, leads, assistants
        FROM gridsvc.ask_replay(true, drafted, done.judged_at, scheme.id) AS a;
        SELECT array_agg(a.spot), array_agg(a.topic), array_agg(a.minute), array_agg(a.taker)
        INTO unclear_spots, unclear_topics, unclear_minutes, unclear_takers
        FROM gridsvc.ask_replay_unclear(true, drafted, done.judged_at, scheme.id) AS a;
        -- An owner stays where no component near by changes.
        SELECT array_agg(o.n), array_agg(coalesce(d.owner, (d.held).party_code))
        INTO near_reports, near_parties
        FROM pg_temp.replay_owned AS o
        JOIN pg_temp.replay_spot AS s ON s.spot = o.spot
        CROSS JOIN LATERAL gridsvc.component_decision(
            o.point, o.category, gridsvc.replay_areas(s.after, NULL, true), drafted,
            done.judged_at, o.minute, scheme.id) AS d
        WHERE o.is_near AND o.is_inside_after;
        RAISE EXCEPTION USING ERRCODE = 'GSUND', MESSAGE = 'undo the drafted revision';
    EXCEPTION WHEN SQLSTATE 'GSUND' THEN
        NULL;
    END;
    UPDATE pg_temp.replay_side AS s SET lead = a.lead, assistant = a.assistant
    FROM unnest(sides, leads, assistants) AS a (side, lead, assistant)
    WHERE a.side = s.side;
    UPDATE pg_temp.replay_unclear AS u SET taker_after = a.taker
    FROM unnest(unclear_spots, unclear_topics, unclear_minutes, unclear_takers)
         AS a (spot, topic, minute, taker)
    WHERE a.spot = u.spot AND a.topic = u.topic AND a.minute = u.minute;
    UPDATE pg_temp.replay_owned AS o SET party_after = a.party
    FROM unnest(near_reports, near_parties) AS a (n, party)
    WHERE a.n = o.n;
    PERFORM gridsvc.lay_replay_answers();
    PERFORM gridsvc.find_replay_owners(done.base_revision, done.judged_at, scheme.id);
    RETURN gridsvc.store_impact(done);
END
$$;

-- Store a preview from its work tables, in place of the last one of its change set.
CREATE OR REPLACE FUNCTION gridsvc.store_impact(done gridsvc.impact) RETURNS gridsvc.impact
LANGUAGE plpgsql SET client_min_messages = warning AS $$
BEGIN
    DROP TABLE IF EXISTS pg_temp.replay_move;
    CREATE TEMPORARY TABLE replay_move ON COMMIT DROP AS
    WITH told AS (
        SELECT a.n, q.duty, q.lead, q.assistant, q.new_lead, q.new_assistant
        FROM pg_temp.replay_answer AS q
        JOIN pg_temp.replay_shift AS h ON h.duty = q.duty
        JOIN pg_temp.replay_asked AS a
          ON a.spot = q.spot AND a.topic = q.topic
         AND h.starts[width_bucket(a.minute, h.starts)] = q.minute
        WHERE q.lead IS DISTINCT FROM q.new_lead OR q.assistant IS DISTINCT FROM q.new_assistant
           OR q.duty = 'responsibility'
              AND EXISTS (SELECT FROM pg_temp.replay_owned AS o WHERE o.n = a.n)
    )
    SELECT t.n, d.position, d.duty, d.party_from, d.party_to
    FROM told AS t
    LEFT JOIN pg_temp.replay_owned AS o ON o.n = t.n AND t.duty = 'responsibility'
    LEFT JOIN pg_temp.replay_unclear AS u
      ON u.spot = o.spot AND u.topic = o.topic AND u.minute = o.minute
    CROSS JOIN LATERAL (
        SELECT CASE t.duty WHEN 'responsibility' THEN 1 WHEN 'management' THEN 2
                   WHEN 'enforcement' THEN 3 ELSE 5 END,
               CASE t.duty WHEN 'responsibility' THEN 'responsible'
                   WHEN 'enforcement' THEN 'enforcement_lead'
                   WHEN 'supervision' THEN 'supervisor' ELSE t.duty END,
               CASE WHEN o.is_inside_before THEN coalesce(o.owner, u.taker_before, t.lead)
                   ELSE t.lead END,
               CASE WHEN o.is_near THEN coalesce(o.party_after, t.new_lead)
                   WHEN o.is_inside_after THEN coalesce(o.owner, u.taker_after, t.new_lead)
                   ELSE t.new_lead END
        UNION ALL
        SELECT 4, 'enforcement_assistant', t.assistant, t.new_assistant
        WHERE t.duty = 'enforcement'
    ) AS d (position, duty, party_from, party_to)
    WHERE d.party_from IS DISTINCT FROM d.party_to;
    ANALYZE pg_temp.replay_move;
    SELECT count(DISTINCT m.n) INTO done.moved FROM pg_temp.replay_move AS m;

    DELETE FROM gridsvc.impact AS i WHERE i.change_set_id = done.change_set_id;
    INSERT INTO gridsvc.impact SELECT done.*;
    INSERT INTO gridsvc.impact_party (change_set_id, party_code, duty, gains, losses)
    SELECT done.change_set_id, p.party, m.duty,
           count(*) FILTER (WHERE p.gains), count(*) FILTER (WHERE NOT p.gains)
    FROM pg_temp.replay_move AS m
    CROSS JOIN LATERAL (VALUES (m.party_from, false), (m.party_to, true)) AS p (party, gains)
    GROUP BY m.position, m.duty, p.party
    ORDER BY m.position, count(*) DESC, p.party;
    INSERT INTO gridsvc.impact_report
        (change_set_id, report_id, point, duties, parties_from, parties_to)
    SELECT done.change_set_id, r.id, r.point, m.duties, m.parties_from, m.parties_to
    FROM (
        SELECT m.n, array_agg(m.duty ORDER BY m.position) AS duties,
               array_agg(m.party_from ORDER BY m.position) AS parties_from,
               array_agg(m.party_to ORDER BY m.position) AS parties_to
        FROM pg_temp.replay_move AS m GROUP BY m.n
    ) AS m
    JOIN pg_temp.replay_report AS r ON r.n = m.n
    ORDER BY m.n;
    INSERT INTO gridsvc.impact_area
        (change_set_id, layer, code, what, area_before_m2, area_after_m2, length_before_m,
         length_after_m, moved_edge_m, part)
    SELECT done.change_set_id, c.layer, c.code,
           CASE WHEN c.before IS NULL THEN 'new' WHEN c.after IS NULL THEN 'ended'
                ELSE 'changed' END,
           ST_Area(c.before), ST_Area(c.after),
           coalesce(ST_Length(c.line_before), ST_Perimeter(c.before)),
           coalesce(ST_Length(c.line_after), ST_Perimeter(c.after)),
           -- Nodes of the part lie on the edge but for rounding, so a sliver's width of reach.
           ST_Length(ST_Intersection(
               ST_Boundary(c.after), ST_Buffer(p.part, gridsvc.sliver_m(), 'quad_segs=1'))),
           p.part
    FROM pg_temp.replay_changed AS c
    CROSS JOIN LATERAL (
        SELECT ST_Multi(ST_Collect(w.part)) AS part FROM gridsvc.wide_parts(c.part) AS w
    ) AS p
    WHERE p.part IS NOT NULL
    ORDER BY c.layer, c.code;
    RETURN done;
END
$$;

REVOKE ALL ON FUNCTION gridsvc.preview_impact, gridsvc.store_impact,
    gridsvc.lay_drafted_revision, gridsvc.lay_replay_changed, gridsvc.lay_replay_touched,
    gridsvc.lay_replay_components, gridsvc.lay_replay_reports, gridsvc.lay_replay_spots,
    gridsvc.lay_replay_views, gridsvc.lay_replay_owned, gridsvc.lay_replay_questions,
    gridsvc.lay_replay_answers, gridsvc.find_replay_owners
    FROM PUBLIC;
