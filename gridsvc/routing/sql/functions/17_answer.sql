-- The whole Answer for a point, as CONTRACT.md shapes it, without what only the door knows
-- (id, input). The reference that every other engine is held against.
--   point       in the storage CRS
--   at          instant of the question
--   category    class code, or null
--   accuracy_m  radius of error in metres, or null
--   reveal      names and phones in full
-- A point that cannot be answered gives {"problem": "before-first-revision" | "unknown-category" |
-- "outside-service-area"} instead, so that one bad point never fails its neighbours in a query.
CREATE OR REPLACE FUNCTION gridsvc.answer(
    point geometry, at timestamptz, category text, accuracy_m double precision, reveal boolean
) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    revision CONSTANT integer := gridsvc.revision_at(at);
    scheme gridsvc.scheme;
    minute integer;
    areas gridsvc.covered_area[];
    deciding gridsvc.covered_area;
    duties jsonb := '{}';
    vacant text[] := '{}';
    duty_name text;
    d record;
    e record;
    deputy gridsvc.assignment;
    chosen jsonb;
    others jsonb := '[]';
    own double precision;
    alt record;
    lonlat geometry;
    component jsonb;
    chain jsonb;
BEGIN
    IF revision IS NULL THEN
        RETURN jsonb_build_object('problem', 'before-first-revision');
    END IF;
    SELECT s.* INTO scheme
    FROM gridsvc.revision AS r JOIN gridsvc.scheme AS s ON s.id = r.scheme_id
    WHERE r.number = revision;
    IF category IS NOT NULL
       AND EXISTS (SELECT FROM gridsvc.category AS k WHERE k.scheme_id = scheme.id)
       AND NOT EXISTS (
            SELECT FROM gridsvc.category AS k
            WHERE k.scheme_id = scheme.id AND k.code = answer.category
              AND k.valid_from <= at AND (k.valid_to IS NULL OR at < k.valid_to)) THEN
        RETURN jsonb_build_object('problem', 'unknown-category');
    END IF;
    minute := gridsvc.minute_of_week(at, scheme.time_zone);
    areas := ARRAY(SELECT c FROM gridsvc.covering(point, revision, at) AS c);
    IF NOT EXISTS (SELECT FROM unnest(areas) AS c WHERE c.kind = 'tiling') THEN
        RETURN jsonb_build_object('problem', 'outside-service-area');
    END IF;

    FOREACH duty_name IN ARRAY
        ARRAY['responsibility', 'management', 'enforcement', 'supervision'] LOOP
        SELECT * INTO d FROM gridsvc.decision(
            areas, duty_name, category, revision, at, minute, scheme.id);
        chosen := NULL;
        IF FOUND THEN
            chosen := gridsvc.holder_json(d.area, d.held, d.is_locality, d.skipped, reveal, d.stand_in);
            IF duty_name = 'responsibility' THEN
                deciding := d.area;
            ELSIF duty_name = 'enforcement' THEN
                SELECT * INTO deputy FROM gridsvc.assistant(
                    d.area, d.held, d.stand_in, category, revision, at, minute);
                chosen := jsonb_build_object(
                    'lead', chosen,
                    'assistant', CASE WHEN deputy.id IS NOT NULL THEN gridsvc.holder_json(
                        d.area, deputy, d.is_locality, '{}', reveal, d.stand_in) END);
            END IF;
        ELSE
            vacant := vacant || duty_name;
        END IF;
        duties := duties || jsonb_build_object(duty_name, chosen);
    END LOOP;

    IF category IS NOT NULL THEN
        component := gridsvc.component_json(
            point, category, areas, nullif(duties -> 'responsibility', 'null'),
            revision, at, minute, scheme.id, reveal);
        IF component ->> 'responsible' IS NOT NULL THEN
            duties := duties || jsonb_build_object('responsibility', component -> 'responsible');
            vacant := array_remove(vacant, 'responsibility');
        END IF;
    END IF;
    chain := gridsvc.escalation_json(
        areas, category, revision, at, minute, scheme.id, reveal);
    IF component ->> 'responsible' IS NOT NULL THEN
        -- Whoever answers for the component is asked first, not who does by the ladder.
        SELECT jsonb_agg(CASE WHEN t.step IS NULL THEN s.told ELSE s.told
                || (component -> 'responsible') - 'reason' - 'area' END ORDER BY s.n)
        INTO chain
        FROM jsonb_array_elements(chain) WITH ORDINALITY AS s (told, n)
        LEFT JOIN gridsvc.escalation_step AS t
          ON t.scheme_id = scheme.id AND t.step = (s.told ->> 'step')::integer
         AND t.layer IS NULL AND t.duty = 'responsibility';
    END IF;

    -- Nobody is responsible: the edge that matters is that of the first rung's area.
    IF deciding.code IS NULL THEN
        SELECT c.* INTO deciding
        FROM unnest(areas) AS c
        JOIN gridsvc.rung AS r ON r.layer = c.layer AND r.scheme_id = scheme.id
             AND r.duty = 'responsibility' AND r.category = ''
        ORDER BY r.position, c.code COLLATE "C" LIMIT 1;
    END IF;
    SELECT * INTO e FROM gridsvc.edge(point, deciding, revision, at);

    -- Whose a component is does not follow from areas: they give no alternatives then.
    IF accuracy_m > 0 AND component IS NULL THEN
        -- Those that are as likely, as it is told, come in the order in which they are asked.
        FOR alt IN SELECT a.* FROM gridsvc.alternatives(
            point, accuracy_m, category, revision, at, minute, scheme.id)
            WITH ORDINALITY AS a (probability, area, held, stand_in, n)
            ORDER BY round(a.probability::numeric, 4) DESC, a.n
        LOOP
            IF (alt.area).area_id = deciding.area_id THEN
                own := alt.probability;
            ELSE
                others := others || jsonb_build_object(
                    'probability', round(alt.probability::numeric, 4),
                    'area', gridsvc.area_json(alt.area),
                    'responsible', gridsvc.holder_json(
                        alt.area, alt.held, false, '{}', reveal, alt.stand_in) - 'reason');
            END IF;
        END LOOP;
    END IF;

    lonlat := ST_Transform(point, 4326);
    RETURN jsonb_build_object(
        'id', NULL,
        'revision', revision,
        'at', to_char(at AT TIME ZONE scheme.time_zone, 'YYYY-MM-DD"T"HH24:MI:SS.US')
              || gridsvc.utc_offset(at, scheme.time_zone),
        'category', category,
        'point', jsonb_build_object('lon', ST_X(lonlat), 'lat', ST_Y(lonlat)),
        'areas', gridsvc.areas_json(areas),
        'responsible', duties -> 'responsibility',
        'management', duties -> 'management',
        'enforcement', duties -> 'enforcement',
        'supervisor', duties -> 'supervision',
        'vacant', to_jsonb(array_replace(
            array_replace(vacant, 'responsibility', 'responsible'), 'supervision', 'supervisor')),
        'escalation', coalesce(chain, '[]'),
        'edge', jsonb_build_object(
            'distance_m', round(e.distance_m::numeric, 3),
            'of', gridsvc.area_json(deciding),
            'across', gridsvc.area_json(e.across)),
        'ambiguous', jsonb_array_length(others) > 0
                     OR coalesce(jsonb_array_length(component -> 'candidates') > 0, false)
                     OR (e.distance_m <= 0.001 AND (e.across).code IS NOT NULL
                         AND component -> 'component' ->> 'code' IS NULL),
        'probability', round(own::numeric, 4),
        'alternatives', others,
        'component', component -> 'component',
        'candidates', coalesce(component -> 'candidates', '[]'),
        'tier', component -> 'tier',
        'stale', false);
END
$$;

-- '+08:00' for an instant in a time zone, as RFC 3339 writes it.
CREATE OR REPLACE FUNCTION gridsvc.utc_offset(at timestamptz, time_zone text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (
        SELECT CASE WHEN o.seconds < 0 THEN '-' ELSE '+' END
            || to_char(abs(o.seconds) / 3600, 'FM00') || ':' || to_char(abs(o.seconds) / 60 % 60, 'FM00')
        FROM (SELECT extract(epoch FROM (at AT TIME ZONE time_zone) - (at AT TIME ZONE 'UTC'))::integer
             ) AS o (seconds));
END
$$;

-- {"layer": {"code", "name", "also": [...]}}: the owner of each layer; overlays name the rest.
CREATE OR REPLACE FUNCTION gridsvc.areas_json(areas gridsvc.covered_area[]) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (
        SELECT coalesce(jsonb_object_agg(g.layer, CASE
            WHEN g.kind = 'overlay' AND jsonb_array_length(g.all_areas) > 1
            THEN g.all_areas -> 0 || jsonb_build_object('also', g.all_areas - 0)
            ELSE g.all_areas -> 0 END), '{}')
        FROM (
            SELECT c.layer, c.kind, jsonb_agg(
                jsonb_build_object('code', c.code, 'name', c.name) ORDER BY c.code COLLATE "C"
            ) AS all_areas
            FROM unnest(areas) AS c
            GROUP BY c.layer, c.kind
        ) AS g);
END
$$;

-- The chain a case climbs: each step's duty on its layer's area, or on the ladder's own. A step
-- that nobody holds is kept, with a null party, so that a gap is seen.
CREATE OR REPLACE FUNCTION gridsvc.escalation_json(
    areas gridsvc.covered_area[], category text,
    revision integer, at timestamptz, minute integer, scheme_id integer, reveal boolean
) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    steps jsonb := '[]';
    t gridsvc.escalation_step;
    asked gridsvc.covered_area;
    d record;
BEGIN
    FOR t IN
        SELECT e.* FROM gridsvc.escalation_step AS e
        WHERE e.scheme_id = escalation_json.scheme_id ORDER BY e.step
    LOOP
        IF t.layer IS NULL THEN
            SELECT f.area, f.held, f.stand_in INTO d FROM gridsvc.decision(
                areas, t.duty, category, revision, at, minute, t.scheme_id) AS f;
            asked := d.area;
        ELSE
            SELECT c.* INTO asked FROM unnest(areas) AS c
            WHERE c.layer = t.layer ORDER BY c.code COLLATE "C" LIMIT 1;
            SELECT l.held, l.stand_in INTO d FROM gridsvc.looked_after(
                asked, t.duty, category, revision, at, minute, t.scheme_id) AS l;
        END IF;
        steps := steps || jsonb_build_object(
            'step', t.step,
            'duty', t.duty,
            'party', gridsvc.party_json((d.held).party_code, reveal),
            'role', (d.held).role,
            'area', gridsvc.area_json(asked),
            'stand_in', gridsvc.stand_in_json(d.stand_in, reveal),
            'within', t.within);
    END LOOP;
    RETURN steps;
END
$$;
