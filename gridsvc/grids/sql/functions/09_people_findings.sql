-- The checks of assignments, on the work tables of gridsvc.lay_draft and lay_draft_people.

-- What an assignment is, in words: "enforcement (assistant) for category 0102 of street 0012".
CREATE OR REPLACE FUNCTION gridsvc.duty_words(
    duty text, rank integer, category text, layer text, area_code text
) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT duty || CASE WHEN rank = 2 THEN ' (assistant)' ELSE '' END
        || coalesce(' for category ' || category, '') || ' of ' || layer || ' ' || area_code
$$;

CREATE OR REPLACE FUNCTION gridsvc.duty_words_zh(
    duty text, rank integer, category text, layer text, area_code text
) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT (SELECT l.title_zh FROM gridsvc.layer AS l WHERE l.code = duty_words_zh.layer)
        || ' ' || area_code || coalesce('（类别 ' || category || '）', '') || ' 的'
        || CASE duty WHEN 'responsibility' THEN '责任主体' WHEN 'management' THEN '管理主体'
               WHEN 'enforcement' THEN '执法主体' ELSE '监督主体' END
        || CASE WHEN rank = 2 THEN '（协办）' ELSE '' END
$$;

-- Two assignments for one duty, rank, category and hour. A hand-over is no clash: periods are
-- half-open.
CREATE OR REPLACE FUNCTION gridsvc.find_already_held(scheme jsonb) RETURNS SETOF gridsvc.finding
LANGUAGE plpgsql AS $$
DECLARE
    zone text := scheme ->> 'time_zone';
BEGIN
    RETURN QUERY
    SELECT 'already_held', gridsvc.finding_stops(scheme, n.layer, 'already_held'),
           n.layer, n.area_code, o.party_code,
           format('%s cannot hold %s: already held by %s from %s to %s', n.party_code,
                  gridsvc.duty_words(n.duty, n.rank, n.category, n.layer, n.area_code),
                  o.party_code, gridsvc.local_time(o.valid_from, zone),
                  coalesce(gridsvc.local_time(o.valid_to, zone), '…')),
           format('%s 不能担任%s：%s 至 %s 已由 %s 担任', n.party_code,
                  gridsvc.duty_words_zh(n.duty, n.rank, n.category, n.layer, n.area_code),
                  gridsvc.local_time(o.valid_from, zone),
                  coalesce(gridsvc.local_time(o.valid_to, zone), '…'), o.party_code),
           NULL::double precision, NULL::double precision, NULL::geometry
    FROM pg_temp.drafted_assignment AS n
    JOIN pg_temp.drafted_assignment AS o
      ON o.layer = n.layer AND o.area_code = n.area_code AND o.duty = n.duty AND o.rank = n.rank
     AND coalesce(o.category, '') = coalesce(n.category, '') AND o.hours && n.hours
     AND tstzrange(o.valid_from, o.valid_to) && tstzrange(n.valid_from, n.valid_to)
    WHERE n.proposed AND (NOT o.proposed OR o.row_number < n.row_number)
    ORDER BY n.layer, n.area_code, n.duty, n.rank;
END
$$;

-- Assignments to an area that does not exist when they begin.
CREATE OR REPLACE FUNCTION gridsvc.find_unknown_areas(change_set integer, scheme jsonb)
RETURNS SETOF gridsvc.finding
LANGUAGE plpgsql AS $$
DECLARE
    zone text := scheme ->> 'time_zone';
BEGIN
    RETURN QUERY
    SELECT 'unknown_area', gridsvc.finding_stops(scheme, n.layer, 'unknown_area'),
           n.layer, n.area_code, NULL::text,
           format('%s cannot hold %s: no such area at %s', n.party_code,
                  gridsvc.duty_words(n.duty, n.rank, n.category, n.layer, n.area_code),
                  gridsvc.local_time(n.valid_from, zone)),
           format('%s 不能担任%s：%s 时没有该区域', n.party_code,
                  gridsvc.duty_words_zh(n.duty, n.rank, n.category, n.layer, n.area_code),
                  gridsvc.local_time(n.valid_from, zone)),
           NULL::double precision, NULL::double precision, NULL::geometry
    FROM pg_temp.drafted_assignment AS n
    WHERE n.proposed
      AND NOT EXISTS (
        SELECT FROM gridsvc.drafted_area(change_set, n.layer, n.area_code) AS a
        WHERE a.valid_from <= n.valid_from AND (a.valid_to IS NULL OR n.valid_from < a.valid_to))
    ORDER BY n.layer, n.area_code, n.duty, n.rank;
END
$$;

-- Duties that stay on areas which the change set ends or gives another code: they are told and do
-- not stop it, for nobody is asked there any more.
CREATE OR REPLACE FUNCTION gridsvc.find_left_behind(
    change_set integer, at timestamptz, scheme jsonb
) RETURNS SETOF gridsvc.finding
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY
    SELECT 'unknown_area', false, g.layer, g.code, s.party_code,
           format('%s still holds %s, which ends', s.party_code,
                  gridsvc.duty_words(s.duty, s.rank, s.category, g.layer, g.code)),
           format('%s 仍担任%s，而该区域将终止', s.party_code,
                  gridsvc.duty_words_zh(s.duty, s.rank, s.category, g.layer, g.code)),
           NULL::double precision, NULL::double precision, g.boundary
    FROM (SELECT DISTINCT ON (a.layer, a.code) a.layer, a.code, a.boundary
          FROM gridsvc.area_edit AS e JOIN gridsvc.area AS a ON a.id = e.replaces
          WHERE e.change_set_id = change_set) AS g
    CROSS JOIN LATERAL gridsvc.drafted_assignment(change_set, g.layer, g.code) AS s
    WHERE (s.valid_to IS NULL OR at < s.valid_to)
      AND NOT EXISTS (
        SELECT FROM gridsvc.drafted_area(change_set, g.layer, g.code) AS d
        WHERE d.valid_to IS NULL OR at < d.valid_to)
    ORDER BY g.layer, g.code, s.duty, s.rank;
END
$$;

-- Duties that the change set ends without a successor: anyone who holds the same duty and rank on
-- the same area from the very instant, for the same category or for all. Where the area itself
-- ends by then, nothing is left to hold.
CREATE OR REPLACE FUNCTION gridsvc.find_vacancies(change_set integer, scheme jsonb)
RETURNS SETOF gridsvc.finding
LANGUAGE plpgsql AS $$
DECLARE
    zone text := scheme ->> 'time_zone';
BEGIN
    RETURN QUERY
    SELECT 'vacancy', gridsvc.finding_stops(scheme, n.layer, 'vacancy'),
           n.layer, n.area_code, NULL::text,
           format('%s leaves %s at %s without a successor', n.party_code,
                  gridsvc.duty_words(n.duty, n.rank, n.category, n.layer, n.area_code),
                  gridsvc.local_time(n.valid_to, zone)),
           format('%s 于 %s 离任%s，没有接任者', n.party_code, gridsvc.local_time(n.valid_to, zone),
                  gridsvc.duty_words_zh(n.duty, n.rank, n.category, n.layer, n.area_code)),
           NULL::double precision, NULL::double precision, NULL::geometry
    FROM pg_temp.drafted_assignment AS n
    WHERE n.proposed AND n.valid_to IS NOT NULL
      AND NOT EXISTS (
        SELECT FROM pg_temp.drafted_assignment AS s
        WHERE s.layer = n.layer AND s.area_code = n.area_code AND s.duty = n.duty
          AND s.rank = n.rank AND (s.category IS NULL OR s.category = n.category)
          AND s.valid_from <= n.valid_to AND (s.valid_to IS NULL OR n.valid_to < s.valid_to))
      -- What was once published as it stands here is history brought back, not a new departure.
      AND NOT EXISTS (
        SELECT FROM gridsvc.assignment AS h
        WHERE h.layer = n.layer AND h.area_code = n.area_code AND h.duty = n.duty
          AND h.rank = n.rank AND h.party_code = n.party_code
          AND h.category IS NOT DISTINCT FROM n.category
          AND h.valid_from = n.valid_from AND h.valid_to = n.valid_to)
      AND EXISTS (
        SELECT FROM gridsvc.drafted_area(change_set, n.layer, n.area_code) AS a
        WHERE a.valid_from <= n.valid_to AND (a.valid_to IS NULL OR n.valid_to < a.valid_to))
    ORDER BY n.layer, n.area_code, n.duty, n.rank;
END
$$;

-- Areas with a duty that nobody holds: where a duty's ladder ends and others of the layer have a
-- holder, and, in a draft, new areas on any rung whose layer has holders, such as the half of an
-- area that was cut in two.
--   layers  codes of the layers to judge
CREATE OR REPLACE FUNCTION gridsvc.find_orphans(
    change_set integer, at timestamptz, layers text[], scheme jsonb
) RETURNS SETOF gridsvc.finding
LANGUAGE plpgsql AS $$
DECLARE
    base integer := gridsvc.draft_base(change_set);
    ruling integer := (SELECT max(s.id) FROM gridsvc.scheme AS s);
BEGIN
    RETURN QUERY
    WITH rung AS MATERIALIZED (
        SELECT r.layer, r.duty, bool_or(r.is_locality) AS is_locality
        FROM gridsvc.rung AS r
        WHERE r.scheme_id = ruling AND r.category = '' AND r.layer = ANY(layers)
          AND EXISTS (SELECT FROM gridsvc.draft_assignment(change_set) AS s
                      WHERE s.layer = r.layer AND s.duty = r.duty)
        GROUP BY r.layer, r.duty
    ), held AS MATERIALIZED (
        SELECT DISTINCT d.layer, d.code, s.duty
        FROM pg_temp.draft AS d
        -- Codes of `draft` are compared bytewise; by another collation no index would be used.
        CROSS JOIN LATERAL gridsvc.drafted_assignment(
            change_set, d.layer, d.code COLLATE "default") AS s
        WHERE d.changed AND d.layer IN (SELECT r.layer FROM rung AS r)
          AND s.rank = 1 AND s.category IS NULL
          AND s.valid_from <= at AND (s.valid_to IS NULL OR at < s.valid_to)
    )
    SELECT 'orphan', gridsvc.finding_stops(scheme, d.layer, 'orphan'),
           d.layer, d.code::text, r.duty,
           format('nobody holds %s', gridsvc.duty_words(r.duty, 1, NULL, d.layer, d.code)),
           format('%s空缺', gridsvc.duty_words_zh(r.duty, 1, NULL, d.layer, d.code)),
           ST_Area(d.boundary), NULL::double precision, d.boundary
    FROM rung AS r
    JOIN pg_temp.draft AS d ON d.layer = r.layer AND d.changed
    WHERE (r.is_locality OR d.version < 0 AND NOT EXISTS (
              SELECT FROM gridsvc.area AS a
              WHERE a.layer = d.layer AND a.code = d.code COLLATE "default"
                AND a.rev_from <= base))
      AND NOT EXISTS (SELECT FROM held AS h
                      WHERE h.layer = d.layer AND h.code = d.code AND h.duty = r.duty)
    ORDER BY d.layer, d.code, r.duty;
END
$$;
