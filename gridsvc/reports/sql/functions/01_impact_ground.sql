-- What a change set touches, and the reports that it can send to somebody else: the work tables
-- of gridsvc.preview_impact, in pg_temp under names that begin with `replay_`.

-- The instant at which a change set's impact is judged: now, or the last instant at which
-- something that it proposes first differs from what it replaces, if that is later.
CREATE OR REPLACE FUNCTION gridsvc.impact_instant(change_set integer) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    WITH differs (is_new, valid_from, valid_to, old_from, old_to) AS (
        SELECT a.id IS NULL OR NOT a.boundary = e.boundary, e.valid_from, e.valid_to, a.valid_from, a.valid_to
        FROM gridsvc.area_edit AS e LEFT JOIN gridsvc.area AS a ON a.id = e.replaces
        WHERE e.change_set_id = change_set AND e.boundary IS NOT NULL
        UNION ALL
        SELECT s.id IS NULL OR s.party_code <> e.party_code OR s.hours <> e.hours
               OR s.category IS DISTINCT FROM e.category OR (s.duty, s.rank) <> (e.duty, e.rank),
               e.valid_from, e.valid_to, s.valid_from, s.valid_to
        FROM gridsvc.assignment_edit AS e LEFT JOIN gridsvc.assignment AS s ON s.id = e.replaces
        WHERE e.change_set_id = change_set AND e.party_code IS NOT NULL
        UNION ALL
        SELECT b.id IS NULL OR b.party_code <> e.party_code, e.valid_from, e.valid_to, b.valid_from, b.valid_to
        FROM gridsvc.absence_edit AS e LEFT JOIN gridsvc.absence AS b ON b.id = e.replaces
        WHERE e.change_set_id = change_set AND e.party_code IS NOT NULL
        UNION ALL
        SELECT c.id IS NULL OR c.owner <> e.owner OR NOT c.point = e.point, e.valid_from, e.valid_to, c.valid_from, c.valid_to
        FROM gridsvc.component_edit AS e LEFT JOIN gridsvc.component AS c ON c.id = e.replaces
        WHERE e.change_set_id = change_set AND e.point IS NOT NULL
    )
    SELECT greatest(
        now(),
        (SELECT c.takes_effect_at FROM gridsvc.change_set AS c WHERE c.id = change_set),
        -- What is new differs from its beginning on; where only the period is another, the
        -- earlier of two beginnings or ends is where they part.
        (SELECT max(CASE WHEN d.is_new THEN d.valid_from
                         ELSE greatest(least(d.valid_from, d.old_from),
                                       CASE WHEN d.valid_to IS DISTINCT FROM d.old_to
                                            THEN least(d.valid_to, d.old_to) END) END)
         FROM differs AS d))
$$;

-- A text that changes with every edit of a change set: tells a preview that is out of date.
CREATE OR REPLACE FUNCTION gridsvc.edits_digest(change_set integer) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = gridsvc, public, pg_temp AS $$
    SELECT md5(string_agg(e.row, ' ' ORDER BY e.row)) FROM (
        SELECT 'a' || id || ':' || row_number AS row FROM gridsvc.area_edit
        WHERE change_set_id = change_set
        UNION ALL
        SELECT 's' || id || ':' || row_number FROM gridsvc.assignment_edit
        WHERE change_set_id = change_set
        UNION ALL
        SELECT 'b' || id FROM gridsvc.absence_edit WHERE change_set_id = change_set
        UNION ALL
        SELECT 'c' || id FROM gridsvc.component_edit WHERE change_set_id = change_set
        UNION ALL
        SELECT 'r' || c.base_revision || ' ' || extract(epoch FROM c.takes_effect_at)
        FROM gridsvc.change_set AS c WHERE c.id = change_set
    ) AS e
$$;

-- Lay replay_changed: each area whose ground the change set changes, as it is and as it would be.
--   part  the ground that it takes or gives: null where its shape stays
CREATE OR REPLACE FUNCTION gridsvc.lay_replay_changed(
    change_set integer, base integer, at timestamptz
) RETURNS void
LANGUAGE plpgsql SET client_min_messages = warning AS $$
BEGIN
    DROP TABLE IF EXISTS pg_temp.replay_changed;
    CREATE TEMPORARY TABLE replay_changed ON COMMIT DROP AS
    WITH had AS (
        SELECT DISTINCT ON (a.id) a.layer, a.code, a.boundary, a.centre_line
        FROM gridsvc.area_edit AS e JOIN gridsvc.area AS a ON a.id = e.replaces
        WHERE e.change_set_id = change_set
          AND a.rev_from <= base AND (a.rev_to IS NULL OR base < a.rev_to)
          AND a.valid_from <= at AND (a.valid_to IS NULL OR at < a.valid_to)
    ), has AS (
        SELECT e.layer, e.code, e.boundary, e.centre_line
        FROM gridsvc.area_edit AS e
        WHERE e.change_set_id = change_set AND e.boundary IS NOT NULL
          AND e.valid_from <= at AND (e.valid_to IS NULL OR at < e.valid_to)
    )
    SELECT coalesce(had.layer, has.layer) AS layer, coalesce(had.code, has.code) AS code,
           had.boundary AS before, has.boundary AS after,
           had.centre_line AS line_before, has.centre_line AS line_after,
           CASE WHEN had.boundary IS NULL THEN has.boundary
                WHEN has.boundary IS NULL THEN had.boundary
                WHEN had.boundary = has.boundary THEN NULL
                ELSE ST_SymDifference(had.boundary, has.boundary) END AS part
    FROM had FULL JOIN has ON has.layer = had.layer AND has.code = had.code;
    UPDATE pg_temp.replay_changed SET part = NULL WHERE ST_IsEmpty(part);
    ANALYZE pg_temp.replay_changed;
END
$$;

-- Lay replay_touched: the duties that somebody else might take on an area whose ground stays:
-- those whose holders the change set changes or sends away, and, where neighbours stand in, those
-- of the neighbours of these and of areas whose edges move.
CREATE OR REPLACE FUNCTION gridsvc.lay_replay_touched(
    change_set integer, base integer, at timestamptz, scheme_id integer
) RETURNS void
LANGUAGE plpgsql SET client_min_messages = warning AS $$
BEGIN
    DROP TABLE IF EXISTS pg_temp.replay_touched;
    CREATE TEMPORARY TABLE replay_touched (
        layer text, code text, duty text, PRIMARY KEY (layer, code, duty)
    ) ON COMMIT DROP;
    INSERT INTO pg_temp.replay_touched
    SELECT e.layer, e.area_code, e.duty FROM gridsvc.assignment_edit AS e
    WHERE e.change_set_id = change_set AND e.party_code IS NOT NULL
    UNION
    SELECT s.layer, s.area_code, s.duty
    FROM gridsvc.assignment_edit AS e JOIN gridsvc.assignment AS s ON s.id = e.replaces
    WHERE e.change_set_id = change_set
    UNION
    SELECT s.layer, s.area_code, s.duty
    FROM gridsvc.absence_edit AS e
    LEFT JOIN gridsvc.absence AS b ON b.id = e.replaces
    JOIN gridsvc.assignment AS s ON s.party_code IN (e.party_code, b.party_code)
    WHERE e.change_set_id = change_set
      AND s.rev_from <= base AND (s.rev_to IS NULL OR base < s.rev_to);
    ANALYZE pg_temp.replay_touched;
    INSERT INTO pg_temp.replay_touched
    WITH stands_in AS (
        SELECT r.duty FROM gridsvc.stand_in_rule AS r
        WHERE r.scheme_id = lay_replay_touched.scheme_id AND r.by = 'neighbour'
    ), seed AS MATERIALIZED (
        SELECT n.duty, c.layer, g.boundary
        FROM stands_in AS n
        CROSS JOIN pg_temp.replay_changed AS c
        CROSS JOIN LATERAL (VALUES (c.before), (c.after)) AS g (boundary)
        WHERE c.part IS NOT NULL AND g.boundary IS NOT NULL
        UNION ALL
        SELECT n.duty, t.layer, a.boundary
        FROM stands_in AS n
        JOIN pg_temp.replay_touched AS t ON t.duty = n.duty
        CROSS JOIN LATERAL gridsvc.draft_area(change_set, at) AS a
        WHERE a.layer = t.layer AND a.code = t.code
    )
    SELECT DISTINCT a.layer, a.code, s.duty
    FROM seed AS s
    CROSS JOIN LATERAL (
        SELECT d.layer, d.code FROM gridsvc.draft_area(change_set, at) AS d
        WHERE d.layer = s.layer AND d.boundary && ST_Expand(s.boundary, 0.005)
        UNION ALL
        SELECT c.layer, c.code FROM pg_temp.replay_changed AS c
        WHERE c.layer = s.layer AND c.before && ST_Expand(s.boundary, 0.005)
    ) AS a
    ON CONFLICT DO NOTHING;
    ANALYZE pg_temp.replay_touched;
END
$$;

-- Lay replay_component (category, point, within_m): where the change set adds, ends or moves one.
CREATE OR REPLACE FUNCTION gridsvc.lay_replay_components(change_set integer, scheme_id integer)
RETURNS void
LANGUAGE plpgsql SET client_min_messages = warning AS $$
BEGIN
    DROP TABLE IF EXISTS pg_temp.replay_component;
    CREATE TEMPORARY TABLE replay_component ON COMMIT DROP AS
    SELECT DISTINCT c.category, c.point, r.within_m
    FROM gridsvc.component_edit AS e
    LEFT JOIN gridsvc.component AS o ON o.id = e.replaces
    CROSS JOIN LATERAL (VALUES (e.category, e.point), (o.category, o.point)) AS c (category, point)
    CROSS JOIN LATERAL (
        SELECT r.within_m FROM gridsvc.component_rule AS r
        WHERE r.scheme_id = lay_replay_components.scheme_id AND starts_with(c.category, r.category)
        ORDER BY length(r.category) DESC LIMIT 1
    ) AS r
    WHERE e.change_set_id = change_set AND c.point IS NOT NULL;
    CREATE INDEX ON pg_temp.replay_component USING gist (point);
    ANALYZE pg_temp.replay_component;
END
$$;

-- Lay replay_report: the reports of a period that lie on ground, or by components, that the change
-- set touches, with the minute of the local week at which each came in.
--   at  instant at which a report's category must be known: others have no answer
-- Leans on report_point_idx. A centimetre of reach takes in whatever lies on an edge; which areas
-- hold a report is decided afterwards.
CREATE OR REPLACE FUNCTION gridsvc.lay_replay_reports(
    base integer, at timestamptz, from_at timestamptz, to_at timestamptz, scheme gridsvc.scheme
) RETURNS void
LANGUAGE plpgsql SET client_min_messages = warning AS $$
BEGIN
    DROP TABLE IF EXISTS pg_temp.replay_region, pg_temp.replay_report;
    CREATE TEMPORARY TABLE replay_region ON COMMIT DROP AS
    SELECT ST_Subdivide(c.part, 128) AS part FROM pg_temp.replay_changed AS c
    WHERE c.part IS NOT NULL
    UNION ALL
    SELECT p.piece
    FROM (SELECT DISTINCT t.layer, t.code FROM pg_temp.replay_touched AS t) AS t
    JOIN gridsvc.area AS a ON a.layer = t.layer AND a.code = t.code
     AND a.rev_from <= base AND (a.rev_to IS NULL OR base < a.rev_to)
     AND a.valid_from <= at AND (a.valid_to IS NULL OR at < a.valid_to)
    JOIN gridsvc.area_piece AS p ON p.area_id = a.id
    UNION ALL
    SELECT ST_Subdivide(c.after, 128)
    FROM pg_temp.replay_changed AS c
    WHERE c.after IS NOT NULL
      AND EXISTS (SELECT FROM pg_temp.replay_touched AS t
                  WHERE t.layer = c.layer AND t.code = c.code)
    UNION ALL
    SELECT ST_Expand(c.point, c.within_m) FROM pg_temp.replay_component AS c;
    ANALYZE pg_temp.replay_region;
    CREATE TEMPORARY TABLE replay_report ON COMMIT DROP AS
    SELECT row_number() OVER (ORDER BY r.point)::integer AS n, r.id, r.point, r.category,
           gridsvc.minute_of_week(r.received_at, scheme.time_zone) AS minute
    FROM (
        SELECT DISTINCT ON (r.id) r.*
        FROM pg_temp.replay_region AS g
        JOIN gridsvc.report AS r ON ST_DWithin(g.part, r.point, 0.01)
        WHERE r.received_at >= from_at AND r.received_at < to_at
    ) AS r
    WHERE r.category IS NULL
       OR NOT EXISTS (SELECT FROM gridsvc.category AS k WHERE k.scheme_id = scheme.id)
       OR EXISTS (SELECT FROM gridsvc.category AS k
                  WHERE k.scheme_id = scheme.id AND k.code = r.category
                    AND k.valid_from <= at AND (k.valid_to IS NULL OR at < k.valid_to));
    CREATE INDEX ON pg_temp.replay_report USING gist (point);
    CREATE INDEX ON pg_temp.replay_report (n);
    ANALYZE pg_temp.replay_report;
END
$$;

-- Lay replay_area (every area of either state that may hold a report), and replay_spot: the
-- different sets of areas that hold reports, before and after. Reports are given their `spot`.
--   change_set, base, at  as above
-- A point in no tiling layer lies outside the city and has no answer: its set is empty. What it
-- means to hold a point is gridsvc.covering's; here the pieces drive, as in bulk_covering.sql.
CREATE OR REPLACE FUNCTION gridsvc.lay_replay_spots(
    change_set integer, base integer, at timestamptz
) RETURNS void
LANGUAGE plpgsql SET client_min_messages = warning AS $$
BEGIN
    DROP TABLE IF EXISTS pg_temp.replay_area, pg_temp.replay_piece, pg_temp.replay_spot;
    CREATE TEMPORARY TABLE replay_piece ON COMMIT DROP AS
    SELECT p.area_id AS version, p.piece
    FROM (SELECT DISTINCT p.id FROM pg_temp.replay_region AS g
          JOIN gridsvc.area_piece AS p ON p.piece && ST_Expand(g.part, 0.01)) AS near
    JOIN gridsvc.area_piece AS p ON p.id = near.id
    UNION ALL
    SELECT -e.id, part.geom
    FROM gridsvc.area_edit AS e
    CROSS JOIN LATERAL ST_Subdivide(e.boundary, 128) AS cut
    CROSS JOIN LATERAL ST_Dump(cut) AS part
    WHERE e.change_set_id = change_set AND e.boundary IS NOT NULL
      AND e.valid_from <= at AND (e.valid_to IS NULL OR at < e.valid_to);
    CREATE TEMPORARY TABLE replay_area (
        version bigint PRIMARY KEY, layer text, position smallint, kind text, code text,
        boundary geometry, is_before boolean, is_after boolean, drafted_id bigint
    ) ON COMMIT DROP;
    INSERT INTO pg_temp.replay_area
    SELECT a.id, a.layer, l.position, l.kind, a.code, a.boundary, true,
           NOT EXISTS (SELECT FROM gridsvc.area_edit AS e
                       WHERE e.change_set_id = change_set AND e.replaces = a.id)
    FROM (SELECT DISTINCT p.version FROM pg_temp.replay_piece AS p WHERE p.version > 0) AS p
    JOIN gridsvc.area AS a ON a.id = p.version
    JOIN gridsvc.layer AS l ON l.code = a.layer
    WHERE a.rev_from <= base AND (a.rev_to IS NULL OR base < a.rev_to)
      AND a.valid_from <= at AND (a.valid_to IS NULL OR at < a.valid_to)
    UNION ALL
    SELECT -e.id, e.layer, l.position, l.kind, e.code, e.boundary, false, true
    FROM gridsvc.area_edit AS e JOIN gridsvc.layer AS l ON l.code = e.layer
    WHERE e.change_set_id = change_set AND e.boundary IS NOT NULL
      AND e.valid_from <= at AND (e.valid_to IS NULL OR at < e.valid_to);
    ANALYZE pg_temp.replay_piece;
    ANALYZE pg_temp.replay_area;
    CREATE TEMPORARY TABLE replay_spot ON COMMIT DROP AS
    WITH piece AS MATERIALIZED (
        SELECT p.version, p.piece, ST_Expand(p.piece, 0.001) AS reach, ST_Boundary(p.piece) AS rim,
               a.boundary, a.is_before, a.is_after, a.kind = 'tiling' AS is_tiling
        FROM pg_temp.replay_piece AS p JOIN pg_temp.replay_area AS a ON a.version = p.version
    ), held AS (
        SELECT DISTINCT r.n, p.version, p.is_before, p.is_after, p.is_tiling
        FROM piece AS p
        CROSS JOIN LATERAL (
            SELECT q.n, q.point FROM pg_temp.replay_report AS q WHERE q.point && p.reach OFFSET 0
        ) AS r
        WHERE ST_DWithin(p.piece, r.point, 0.001)
          AND CASE
                  WHEN ST_DWithin(p.rim, r.point, 0.001)
                  THEN ST_Relate(p.boundary, r.point, '******FF*')
                  ELSE true
              END
    ), of_report AS (
        SELECT h.n,
               CASE WHEN bool_or(h.is_tiling AND h.is_before)
                   THEN array_agg(h.version ORDER BY h.version) FILTER (WHERE h.is_before)
                   ELSE '{}' END AS before,
               CASE WHEN bool_or(h.is_tiling AND h.is_after)
                   THEN array_agg(h.version ORDER BY h.version) FILTER (WHERE h.is_after)
                   ELSE '{}' END AS after
        FROM held AS h GROUP BY h.n
    )
    SELECT row_number() OVER ()::integer AS spot, s.* FROM (
        SELECT o.before, o.after, array_agg(o.n) AS reports
        FROM of_report AS o GROUP BY o.before, o.after
    ) AS s;
    CREATE INDEX ON pg_temp.replay_spot (spot);
    ANALYZE pg_temp.replay_spot;
END
$$;
