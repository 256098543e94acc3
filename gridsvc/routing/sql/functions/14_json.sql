-- Pieces of an Answer as JSON. Those that read tables are PL/pgSQL, which keeps their plans; a
-- function in SQL that cannot be inlined is planned at each call.

CREATE OR REPLACE FUNCTION gridsvc.area_json(area gridsvc.covered_area) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN area.code IS NOT NULL THEN
        jsonb_build_object('layer', area.layer, 'code', area.code, 'name', area.name)
    END
$$;

-- `reveal` gives names and phones in full: only the service may pass true.
CREATE OR REPLACE FUNCTION gridsvc.party_json(party_code text, reveal boolean) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (
        SELECT jsonb_build_object(
            'code', p.code,
            'name', CASE WHEN reveal THEN p.name ELSE gridsvc.masked_name(p.name, p.kind) END,
            'phone', CASE WHEN reveal THEN p.phone ELSE gridsvc.masked_phone(p.phone) END,
            'kind', p.kind)
        FROM gridsvc.party AS p WHERE p.code = party_code);
END
$$;

-- Who stands in, for whom, and why; null where nobody does.
CREATE OR REPLACE FUNCTION gridsvc.stand_in_json(stand_in gridsvc.standing_in, reveal boolean)
RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN stand_in.by IS NOT NULL THEN jsonb_build_object(
        'for', gridsvc.party_json(stand_in.party_code, reveal),
        'why', stand_in.why,
        'by', stand_in.by,
        'from', gridsvc.area_json(stand_in.source))
    END
$$;

-- One duty's holder: party, role, deciding area, for whom it stands in, and the reason in words.
CREATE OR REPLACE FUNCTION gridsvc.holder_json(
    area gridsvc.covered_area, held gridsvc.assignment, is_locality boolean, skipped text[],
    reveal boolean, stand_in gridsvc.standing_in DEFAULT NULL
) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT jsonb_build_object(
        'party', gridsvc.party_json(held.party_code, reveal),
        'role', held.role,
        'area', gridsvc.area_json(area),
        'stand_in', gridsvc.stand_in_json(stand_in, reveal),
        'reason',
            CASE WHEN is_locality
                THEN 'locality (属地兜底): ' || area.layer || ' is the last rung'
                ELSE area.layer || ' covers the point' END
            || CASE WHEN held.category IS NOT NULL
                THEN ', specialist for category ' || held.category ELSE '' END
            || CASE WHEN stand_in.by IS NOT NULL
                THEN '; the lead is ' || CASE stand_in.why WHEN 'absent' THEN 'absent' ELSE 'off shift' END
                || CASE stand_in.by WHEN 'assistant' THEN ', the assistant stands in'
                   ELSE ', the pair of ' || (stand_in.source).layer || ' ' || (stand_in.source).code
                        || ' stands in' END
                ELSE '' END
            || CASE WHEN cardinality(skipped) > 0
                THEN '; nobody is on duty for ' || held.duty || ' at ' || array_to_string(skipped, ', ')
                ELSE '' END)
$$;
