-- What has to be asked, and asked once: reports that lie in the same areas, whose categories no
-- ladder and no assignment tells apart, and whose minutes of the week no shift tells apart, have
-- one answer. Work tables as in 01_impact_ground.sql.

-- The areas that gridsvc.decision is asked about.
--   versions  of replay_area
--   layers    those that count
--   drafted   whether to name them by their ids in the drafted revision
CREATE OR REPLACE FUNCTION gridsvc.replay_areas(versions bigint[], layers text[], drafted boolean)
RETURNS gridsvc.covered_area[]
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN ARRAY(
        SELECT ROW(a.layer, a.position, a.kind,
                   CASE WHEN drafted THEN a.drafted_id ELSE a.version END,
                   a.code, NULL)::gridsvc.covered_area
        FROM unnest(versions) AS v (version)
        JOIN pg_temp.replay_area AS a ON a.version = v.version
        WHERE layers IS NULL OR a.layer = ANY(layers)
        ORDER BY a.position, a.code COLLATE "C");
END
$$;

-- Lay replay_topic (what a category is told apart by), replay_shift (the minutes at which shifts
-- begin and end, by duty), replay_view (what of a spot a ladder sees, before and after, and
-- whether its holder might change) and replay_asked (each report's spot and topic).
CREATE OR REPLACE FUNCTION gridsvc.lay_replay_views(
    change_set integer, base integer, scheme_id integer
) RETURNS void
LANGUAGE plpgsql SET client_min_messages = warning AS $$
BEGIN
    DROP TABLE IF EXISTS pg_temp.replay_topic, pg_temp.replay_shift, pg_temp.replay_ladder,
        pg_temp.replay_asked, pg_temp.replay_view;
    CREATE TEMPORARY TABLE replay_topic ON COMMIT DROP AS
    WITH prefix AS MATERIALIZED (
        SELECT r.category FROM gridsvc.rung AS r
        WHERE r.scheme_id = lay_replay_views.scheme_id AND r.category <> ''
        UNION
        SELECT s.category FROM gridsvc.assignment AS s
        WHERE s.category IS NOT NULL
          AND s.rev_from <= base AND (s.rev_to IS NULL OR base < s.rev_to)
        UNION
        SELECT e.category FROM gridsvc.assignment_edit AS e
        WHERE e.change_set_id = change_set AND e.category IS NOT NULL
    ), told AS (
        SELECT r.category,
               ARRAY(SELECT p.category FROM prefix AS p WHERE starts_with(r.category, p.category)
                     ORDER BY 1) AS prefixes
        FROM (SELECT DISTINCT q.category FROM pg_temp.replay_report AS q) AS r
    )
    SELECT t.category, dense_rank() OVER (ORDER BY t.prefixes)::integer AS topic,
           min(t.category) OVER (PARTITION BY t.prefixes) AS example,
           EXISTS (SELECT FROM gridsvc.category AS k
                   JOIN gridsvc.component_rule AS c
                     ON c.scheme_id = k.scheme_id AND starts_with(k.code, c.category)
                   WHERE k.scheme_id = lay_replay_views.scheme_id AND k.code = t.category
                     AND k.kind = 'component') AS is_component
    FROM told AS t;
    CREATE TEMPORARY TABLE replay_shift ON COMMIT DROP AS
    SELECT d.duty, array_agg(DISTINCT b.minute ORDER BY b.minute) AS starts
    FROM (SELECT s.duty, s.hours FROM gridsvc.assignment AS s
          WHERE s.hours <> '{[0,10080)}'
            AND s.rev_from <= base AND (s.rev_to IS NULL OR base < s.rev_to)
          UNION
          SELECT e.duty, e.hours FROM gridsvc.assignment_edit AS e
          WHERE e.change_set_id = change_set AND e.hours <> '{[0,10080)}'
          UNION
          SELECT r.duty, '{[0,10080)}' FROM gridsvc.rung AS r
          WHERE r.scheme_id = lay_replay_views.scheme_id) AS d
    CROSS JOIN LATERAL unnest(d.hours) AS h
    CROSS JOIN LATERAL (VALUES (lower(h)), (upper(h))) AS b (minute)
    GROUP BY d.duty;
    CREATE TEMPORARY TABLE replay_ladder ON COMMIT DROP AS
    SELECT l.topic, l.example, l.duty, l.category,
           ARRAY(SELECT DISTINCT r.layer FROM gridsvc.rung AS r
                 WHERE r.scheme_id = lay_replay_views.scheme_id AND r.duty = l.duty
                   AND r.category = l.category) AS layers
    FROM (
        SELECT DISTINCT ON (t.topic, r.duty) t.topic, t.example, r.duty, r.category
        FROM pg_temp.replay_topic AS t
        JOIN gridsvc.rung AS r ON r.scheme_id = lay_replay_views.scheme_id
         AND starts_with(coalesce(t.example, ''), r.category)
        ORDER BY t.topic, r.duty, length(r.category) DESC
    ) AS l;
    CREATE TEMPORARY TABLE replay_asked ON COMMIT DROP AS
    SELECT r.n, s.spot, t.topic, t.is_component, r.minute
    FROM pg_temp.replay_spot AS s
    CROSS JOIN LATERAL unnest(s.reports) AS u (n)
    JOIN pg_temp.replay_report AS r ON r.n = u.n
    JOIN pg_temp.replay_topic AS t ON t.category IS NOT DISTINCT FROM r.category;
    ANALYZE pg_temp.replay_asked;
    CREATE TEMPORARY TABLE replay_view ON COMMIT DROP AS
    WITH wanted AS MATERIALIZED (
        SELECT DISTINCT a.spot, l.duty, l.category, l.layers
        FROM (SELECT DISTINCT q.spot, q.topic FROM pg_temp.replay_asked AS q) AS a
        JOIN pg_temp.replay_ladder AS l ON l.topic = a.topic
    )
    SELECT w.spot, w.duty, w.category, v.before, v.after, v.might_move
    FROM wanted AS w
    JOIN pg_temp.replay_spot AS s ON s.spot = w.spot
    CROSS JOIN LATERAL (
        SELECT coalesce(array_agg(a.version ORDER BY a.version) FILTER (WHERE a.is_held_before), '{}')
                   AS before,
               coalesce(array_agg(a.version ORDER BY a.version) FILTER (WHERE a.is_held_after), '{}')
                   AS after,
               -- Areas of other codes, or one on which the duty might be somebody else's.
               array_agg(a.name ORDER BY a.name) FILTER (WHERE a.is_held_before)
                   IS DISTINCT FROM
                   array_agg(a.name ORDER BY a.name) FILTER (WHERE a.is_held_after)
               OR coalesce(bool_or(a.is_held_after AND EXISTS (
                       SELECT FROM pg_temp.replay_touched AS t
                       WHERE t.layer = a.layer AND t.code = a.code AND t.duty = w.duty)), false)
                   AS might_move
        FROM (
            SELECT a.version, a.layer, a.code, a.layer || ' ' || a.code AS name,
                   a.version = ANY(s.before) AS is_held_before,
                   a.version = ANY(s.after) AS is_held_after
            FROM (SELECT unnest(s.before) UNION SELECT unnest(s.after)) AS u (version)
            JOIN pg_temp.replay_area AS a ON a.version = u.version
            WHERE a.layer = ANY(w.layers)
        ) AS a
    ) AS v;
    CREATE INDEX ON pg_temp.replay_view (spot, duty);
    ANALYZE pg_temp.replay_view;
    ANALYZE pg_temp.replay_ladder;
    ANALYZE pg_temp.replay_topic;
END
$$;

-- Lay replay_owned: reports about a component that might be answered otherwise, and replay_unclear:
-- the different questions of who takes those of them whose owner is unclear.
--   is_near  whether the change set adds, ends or moves a component within reach
DROP FUNCTION IF EXISTS gridsvc.lay_replay_owned(integer, timestamptz, integer);
CREATE OR REPLACE FUNCTION gridsvc.lay_replay_owned(scheme_id integer) RETURNS void
LANGUAGE plpgsql SET client_min_messages = warning AS $$
DECLARE
    unclear gridsvc.tier;
BEGIN
    SELECT t.* INTO unclear FROM gridsvc.tier AS t
    WHERE t.scheme_id = lay_replay_owned.scheme_id AND t.code = 'ownership_unclear';
    DROP TABLE IF EXISTS pg_temp.replay_tier, pg_temp.replay_owned, pg_temp.replay_unclear;
    CREATE TEMPORARY TABLE replay_tier ON COMMIT DROP AS
    SELECT s.spot, s.is_inside_before, s.is_inside_after,
           s.is_inside_before <> s.is_inside_after
           OR s.before_areas IS DISTINCT FROM s.after_areas
           OR EXISTS (SELECT FROM unnest(s.after_areas) AS c
                      JOIN pg_temp.replay_touched AS t
                        ON t.layer = c.layer AND t.code = c.code AND t.duty = unclear.duty)
               AS might_move
    FROM (
        SELECT s.spot,
               gridsvc.replay_areas(s.before, ARRAY[unclear.layer], false) AS before_areas,
               gridsvc.replay_areas(s.after, ARRAY[unclear.layer], false) AS after_areas,
               s.before <> '{}' AS is_inside_before, s.after <> '{}' AS is_inside_after
        FROM pg_temp.replay_spot AS s
        WHERE s.spot IN (SELECT a.spot FROM pg_temp.replay_asked AS a WHERE a.is_component)
    ) AS s;
    ANALYZE pg_temp.replay_tier;
    CREATE TEMPORARY TABLE replay_owned ON COMMIT DROP AS
    SELECT a.n, a.spot, a.topic, r.category, r.point, i.is_inside_before, i.is_inside_after,
           c.is_near,
           coalesce((SELECT h.starts[width_bucket(a.minute, h.starts)]
                     FROM pg_temp.replay_shift AS h WHERE h.duty = unclear.duty), 0) AS minute,
           (SELECT h.starts[width_bucket(a.minute, h.starts)]
            FROM pg_temp.replay_shift AS h WHERE h.duty = 'responsibility') AS ladder_minute,
           NULL::text AS owner, NULL::text AS party_after
    FROM pg_temp.replay_asked AS a
    JOIN pg_temp.replay_report AS r ON r.n = a.n
    JOIN pg_temp.replay_tier AS i ON i.spot = a.spot
    CROSS JOIN LATERAL (
        SELECT EXISTS (SELECT FROM pg_temp.replay_component AS c
                       WHERE c.category = r.category
                         AND ST_DWithin(c.point, r.point, c.within_m + 0.001)) AS is_near
    ) AS c
    WHERE a.is_component
      AND (i.might_move OR c.is_near
           OR EXISTS (SELECT FROM pg_temp.replay_ladder AS l
                      JOIN pg_temp.replay_view AS v
                        ON v.duty = l.duty AND v.category = l.category
                      WHERE l.topic = a.topic AND l.duty = 'responsibility'
                        AND v.spot = a.spot AND v.might_move));
    CREATE INDEX ON pg_temp.replay_owned (n);
    ANALYZE pg_temp.replay_owned;
    CREATE TEMPORARY TABLE replay_unclear ON COMMIT DROP AS
    SELECT o.spot, o.topic, o.minute, min(o.category) AS category,
           NULL::text AS taker_before, NULL::text AS taker_after
    FROM pg_temp.replay_owned AS o GROUP BY o.spot, o.topic, o.minute;
    ANALYZE pg_temp.replay_unclear;
END
$$;

-- Ask one state who takes reports about components whose owner is unclear. That depends on the
-- area, the category and the hour alone: it is asked at no point at all, where no component is.
CREATE OR REPLACE FUNCTION gridsvc.ask_replay_unclear(
    is_after boolean, revision integer, at timestamptz, scheme_id integer
) RETURNS TABLE (spot integer, topic integer, minute integer, taker text)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    nowhere CONSTANT geometry := ST_SetSRID(
        'POINT EMPTY'::geometry, (SELECT s.srid FROM gridsvc.scheme AS s ORDER BY s.id DESC LIMIT 1));
BEGIN
    RETURN QUERY
    SELECT u.spot, u.topic, u.minute, (d.held).party_code
    FROM pg_temp.replay_unclear AS u
    JOIN pg_temp.replay_spot AS s ON s.spot = u.spot
    CROSS JOIN LATERAL gridsvc.component_decision(
        nowhere, u.category,
        gridsvc.replay_areas(
            CASE WHEN ask_replay_unclear.is_after THEN s.after ELSE s.before END, NULL,
            ask_replay_unclear.is_after),
        ask_replay_unclear.revision, ask_replay_unclear.at, u.minute,
        ask_replay_unclear.scheme_id) AS d;
END
$$;

-- Who owns the components that reports are about, where it matters: where one near by changes, or
-- where somebody else would have the report if nobody owned it.
CREATE OR REPLACE FUNCTION gridsvc.find_replay_owners(
    base integer, at timestamptz, scheme_id integer
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM pg_temp.replay_owned AS o
    USING pg_temp.replay_unclear AS u
    WHERE u.spot = o.spot AND u.topic = o.topic AND u.minute = o.minute
      AND u.taker_before IS NOT DISTINCT FROM u.taker_after
      AND NOT o.is_near AND o.is_inside_before = o.is_inside_after
      AND NOT EXISTS (
        SELECT FROM pg_temp.replay_answer AS a
        WHERE a.spot = o.spot AND a.topic = o.topic AND a.duty = 'responsibility'
          AND a.minute = o.ladder_minute AND a.lead IS DISTINCT FROM a.new_lead);
    UPDATE pg_temp.replay_owned AS o SET owner = f.owner
    FROM (
        SELECT r.n, d.owner
        FROM pg_temp.replay_owned AS r
        CROSS JOIN LATERAL gridsvc.component_decision(
            r.point, r.category, '{}', base, at, r.minute, find_replay_owners.scheme_id) AS d
        WHERE d.owner IS NOT NULL
    ) AS f
    WHERE f.n = o.n;
END
$$;

-- Lay replay_question (what is asked of each spot) and replay_side (the different questions among
-- them, to the state before and to the draft).
CREATE OR REPLACE FUNCTION gridsvc.lay_replay_questions() RETURNS void
LANGUAGE plpgsql SET client_min_messages = warning AS $$
BEGIN
    DROP TABLE IF EXISTS pg_temp.replay_question, pg_temp.replay_side;
    CREATE TEMPORARY TABLE replay_question ON COMMIT DROP AS
    SELECT DISTINCT a.spot, a.topic, l.example, l.duty,
           h.starts[width_bucket(a.minute, h.starts)] AS minute, v.before, v.after
    FROM pg_temp.replay_asked AS a
    JOIN pg_temp.replay_ladder AS l ON l.topic = a.topic
    JOIN pg_temp.replay_shift AS h ON h.duty = l.duty
    JOIN pg_temp.replay_view AS v
      ON v.spot = a.spot AND v.duty = l.duty AND v.category = l.category
    WHERE v.might_move
       -- What the ladder says counts too where nobody takes a component.
       OR l.duty = 'responsibility'
          AND EXISTS (SELECT FROM pg_temp.replay_owned AS o WHERE o.n = a.n);
    CREATE TEMPORARY TABLE replay_side ON COMMIT DROP AS
    SELECT row_number() OVER ()::integer AS side, s.*, NULL::text AS lead, NULL::text AS assistant
    FROM (
        SELECT false AS is_after, q.duty, q.topic, q.example, q.minute, q.before AS versions
        FROM pg_temp.replay_question AS q
        UNION
        SELECT true, q.duty, q.topic, q.example, q.minute, q.after
        FROM pg_temp.replay_question AS q
    ) AS s;
    CREATE INDEX ON pg_temp.replay_side (side);
    ANALYZE pg_temp.replay_question;
    ANALYZE pg_temp.replay_side;
END
$$;

-- Ask the questions of one state: who has each duty, and for enforcement the assistant.
--   revision, at, scheme_id  as gridsvc.decision wants them
CREATE OR REPLACE FUNCTION gridsvc.ask_replay(
    is_after boolean, revision integer, at timestamptz, scheme_id integer
) RETURNS TABLE (side integer, lead text, assistant text)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN QUERY
    SELECT s.side, (d.held).party_code, (h.deputy).party_code
    FROM pg_temp.replay_side AS s
    CROSS JOIN LATERAL (
        SELECT gridsvc.replay_areas(s.versions, NULL, ask_replay.is_after) AS areas OFFSET 0
    ) AS c
    CROSS JOIN LATERAL gridsvc.decision(
        c.areas, s.duty, s.example, ask_replay.revision, ask_replay.at, s.minute,
        ask_replay.scheme_id) AS d
    LEFT JOIN LATERAL (
        SELECT a AS deputy FROM gridsvc.assistant(
            d.area, d.held, d.stand_in, s.example, ask_replay.revision, ask_replay.at,
            s.minute) AS a
    ) AS h ON s.duty = 'enforcement'
    WHERE s.is_after = ask_replay.is_after AND s.versions <> '{}';
END
$$;

-- Lay replay_answer: who has each duty of each question, and who would have it.
CREATE OR REPLACE FUNCTION gridsvc.lay_replay_answers() RETURNS void
LANGUAGE plpgsql SET client_min_messages = warning AS $$
BEGIN
    DROP TABLE IF EXISTS pg_temp.replay_answer;
    CREATE TEMPORARY TABLE replay_answer ON COMMIT DROP AS
    SELECT q.spot, q.topic, q.duty, q.minute, b.lead, b.assistant,
           a.lead AS new_lead, a.assistant AS new_assistant
    FROM pg_temp.replay_question AS q
    JOIN pg_temp.replay_side AS b
      ON NOT b.is_after AND b.duty = q.duty AND b.topic = q.topic AND b.minute = q.minute
     AND b.versions = q.before
    JOIN pg_temp.replay_side AS a
      ON a.is_after AND a.duty = q.duty AND a.topic = q.topic AND a.minute = q.minute
     AND a.versions = q.after;
    CREATE INDEX ON pg_temp.replay_answer (spot, topic, minute);
    ANALYZE pg_temp.replay_answer;
END
$$;
