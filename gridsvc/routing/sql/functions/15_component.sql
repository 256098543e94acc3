-- Whose a component is: that of the nearest registered one of its class, where there is no doubt.

-- The registered components of a class within reach of a point, the nearest first, of two as near
-- (to the millimetre) the lowest code. Leans on component_place_idx. Distances are compared to the
-- millimetre, as they are told: what is told as 15 m lies within 15 m, whatever its last bits.
--   point     in the storage CRS
--   category  class code
--   within_m  metres, the distance itself included
CREATE OR REPLACE FUNCTION gridsvc.components_near(
    point geometry, category text, within_m double precision, revision integer, at timestamptz
) RETURNS TABLE (code text, owner text, distance_m double precision)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 3 AS $$
    SELECT c.code, c.owner, round(ST_Distance(c.point, components_near.point)::numeric, 3)::float8
    FROM gridsvc.component AS c
    WHERE c.category = components_near.category
      AND ST_DWithin(c.point, components_near.point, within_m + 0.001)
      AND round(ST_Distance(c.point, components_near.point)::numeric, 3) <= within_m::numeric
      AND c.rev_from <= revision AND (c.rev_to IS NULL OR revision < c.rev_to)
      AND c.valid_from <= at AND (c.valid_to IS NULL OR at < c.valid_to)
    ORDER BY 3, c.code COLLATE "C"
$$;

-- Who answers for a component, where the scheme has a rule for its class: else no row.
--   areas    those that cover the point; null has them looked up where they are needed
-- `owner` is the party of the nearest one; null where none is near, or one of another owner lies
-- less than the rule's apart_m farther: then `held` is who takes it by the tier
-- "ownership_unclear" on `area`, null where nobody does. `near` lists code, owner and distance_m of
-- those within the rule's within_m.
CREATE OR REPLACE FUNCTION gridsvc.component_decision(
    point geometry, category text, areas gridsvc.covered_area[],
    revision integer, at timestamptz, minute integer, scheme_id integer,
    OUT owner text, OUT near jsonb, OUT within_m double precision, OUT area gridsvc.covered_area,
    OUT held gridsvc.assignment, OUT stand_in gridsvc.standing_in
) RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1 AS $$
DECLARE
    rule gridsvc.component_rule;
    unclear gridsvc.tier;
    taken record;
BEGIN
    SELECT r.* INTO rule
    FROM gridsvc.component_rule AS r
    WHERE r.scheme_id = component_decision.scheme_id
      AND starts_with(component_decision.category, r.category)
      AND EXISTS (SELECT FROM gridsvc.category AS k
                  WHERE k.scheme_id = r.scheme_id AND k.code = component_decision.category
                    AND k.kind = 'component')
    ORDER BY length(r.category) DESC
    LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    within_m := rule.within_m;
    SELECT jsonb_agg(to_jsonb(n)) INTO near
    FROM gridsvc.components_near(point, category, rule.within_m, revision, at) AS n;
    near := coalesce(near, '[]');
    owner := near -> 0 ->> 'owner';
    IF EXISTS (
        SELECT FROM jsonb_to_recordset(near) AS n (owner text, distance_m numeric)
        WHERE n.owner <> component_decision.owner
          AND n.distance_m < (near -> 0 ->> 'distance_m')::numeric + rule.apart_m::numeric
    ) THEN
        owner := NULL;
    END IF;
    IF owner IS NULL THEN
        SELECT t.* INTO unclear FROM gridsvc.tier AS t
        WHERE t.scheme_id = component_decision.scheme_id AND t.code = 'ownership_unclear';
        SELECT c.* INTO area
        FROM unnest(coalesce(areas, ARRAY(
            SELECT c FROM gridsvc.covering(point, revision, at) AS c))) AS c
        WHERE c.layer = unclear.layer ORDER BY c.code COLLATE "C" LIMIT 1;
        IF FOUND THEN
            SELECT s.* INTO taken FROM gridsvc.looked_after(
                area, unclear.duty, category, revision, at, minute, scheme_id) AS s;
            IF FOUND THEN
                held := taken.held;
                stand_in := taken.stand_in;
            END IF;
        END IF;
    END IF;
    RETURN NEXT;
END
$$;

-- The same as an Answer tells it: responsible, component, candidates and tier, to be laid over what
-- the ladder gave; null where the scheme has no rule for the class.
--   by_ladder  who is responsible by the ladder
CREATE OR REPLACE FUNCTION gridsvc.component_json(
    point geometry, category text, areas gridsvc.covered_area[], by_ladder jsonb,
    revision integer, at timestamptz, minute integer, scheme_id integer, reveal boolean
) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    d record;
    called text;
    unclear text;
    candidates jsonb;
BEGIN
    SELECT * INTO d FROM gridsvc.component_decision(
        point, category, areas, revision, at, minute, scheme_id);
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT k.name_en INTO called FROM gridsvc.category AS k
    WHERE k.scheme_id = component_json.scheme_id AND k.code = component_json.category LIMIT 1;
    IF d.owner IS NOT NULL THEN
        RETURN jsonb_build_object(
            'responsible', jsonb_build_object(
                'party', gridsvc.party_json(d.owner, reveal),
                'role', 'component_owner',
                'area', by_ladder -> 'area',
                'reason', format('owner of the nearest %s, %s m away',
                                 called, round((d.near -> 0 ->> 'distance_m')::numeric, 1)),
                'stand_in', NULL),
            'component', jsonb_build_object(
                'code', d.near -> 0 ->> 'code', 'category', category,
                'distance_m', d.near -> 0 -> 'distance_m',
                'owner', gridsvc.party_json(d.owner, reveal)),
            'candidates', '[]'::jsonb, 'tier', NULL);
    END IF;
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'code', n.value ->> 'code', 'distance_m', n.value -> 'distance_m',
        'owner', gridsvc.party_json(n.value ->> 'owner', reveal)) ORDER BY n.ordinality), '[]')
    INTO candidates FROM jsonb_array_elements(d.near) WITH ORDINALITY AS n;
    unclear := CASE WHEN jsonb_array_length(d.near) = 0
        THEN format('no %s within %s m', called, d.within_m)
        ELSE 'the nearest ones belong to several owners' END;
    RETURN jsonb_build_object(
        'responsible', CASE
            WHEN (d.held).id IS NOT NULL THEN
                gridsvc.holder_json(d.area, d.held, false, '{}', reveal, d.stand_in)
                || jsonb_build_object('reason', 'ownership unclear: ' || unclear)
            WHEN by_ladder IS NOT NULL THEN
                by_ladder || jsonb_build_object(
                    'reason', 'ownership unclear: ' || unclear || '; ' || (by_ladder ->> 'reason'))
        END,
        'component', NULL, 'candidates', candidates, 'tier', 'ownership_unclear');
END
$$;
