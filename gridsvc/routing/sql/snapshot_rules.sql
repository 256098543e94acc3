-- What a version of the scheme says, as far as answers rest on it.
--   %(scheme_id)s  version
-- Column: rules (JSON). An instant in it is microseconds since 1970 UTC, an open end null.
SELECT jsonb_build_object(
    'scheme_id', v.scheme_id,
    'document', (SELECT k.document FROM gridsvc.scheme AS k WHERE k.id = v.scheme_id),
    'layers', (
        SELECT jsonb_agg(jsonb_build_array(l.code, l.kind) ORDER BY l.position)
        FROM gridsvc.layer AS l),
    'rungs', coalesce((
        SELECT jsonb_agg(jsonb_build_array(r.duty, r.category, r.layer, r.is_locality)
                         ORDER BY r.duty, r.category, r.position)
        FROM gridsvc.rung AS r WHERE r.scheme_id = v.scheme_id), '[]'),
    'stand_ins', coalesce((
        SELECT jsonb_agg(jsonb_build_array(r.duty, r.by) ORDER BY r.duty, r.position)
        FROM gridsvc.stand_in_rule AS r WHERE r.scheme_id = v.scheme_id), '[]'),
    'escalation', coalesce((
        SELECT jsonb_agg(jsonb_build_array(e.step, e.duty, e.layer, e.within) ORDER BY e.step)
        FROM gridsvc.escalation_step AS e WHERE e.scheme_id = v.scheme_id), '[]'),
    'categories', coalesce((
        SELECT jsonb_agg(
            jsonb_build_array(k.code, k.kind = 'component', k.name_en,
                              (extract(epoch FROM k.valid_from) * 1000000)::bigint,
                              (extract(epoch FROM k.valid_to) * 1000000)::bigint)
            ORDER BY k.code COLLATE "C", k.valid_from)
        FROM gridsvc.category AS k WHERE k.scheme_id = v.scheme_id), '[]'),
    'component_rules', coalesce((
        SELECT jsonb_agg(jsonb_build_array(r.category, r.within_m, r.apart_m))
        FROM gridsvc.component_rule AS r WHERE r.scheme_id = v.scheme_id), '[]'),
    'tiers', coalesce((
        SELECT jsonb_agg(jsonb_build_array(t.code, t.duty, t.layer))
        FROM gridsvc.tier AS t WHERE t.scheme_id = v.scheme_id), '[]')
) AS rules
FROM (SELECT CAST(%(scheme_id)s AS integer) AS scheme_id) AS v
