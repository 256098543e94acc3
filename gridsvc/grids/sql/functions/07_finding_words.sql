-- How a finding is said, and whether it stops a publish.

-- Whether a finding stops: as the scheme says, else by its kind. A kind about people is set under
-- [people], every other one with its layer. Held against gridsvc.grids.terms by a test.
CREATE OR REPLACE FUNCTION gridsvc.finding_stops(scheme jsonb, layer text, kind text)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        -- One holder at a time, and one version, are the tables' own promise.
        WHEN kind IN ('already_held', 'conflict') THEN true
        ELSE coalesce(
            CASE WHEN kind IN ('vacancy', 'unknown_area', 'orphan')
                THEN scheme -> 'people' -> 'findings' ->> kind
                ELSE (SELECT l.value -> 'findings' ->> kind
                      FROM jsonb_array_elements(scheme -> 'layer') AS l
                      WHERE l.value ->> 'code' = layer)
            END,
            CASE WHEN kind IN ('empty_name', 'wrong_datum', 'narrow', 'missing_node', 'orphan')
                THEN 'report' ELSE 'stop' END) = 'stop'
    END
$$;

-- An instant in the city's own time, with its offset: 2026-06-01T08:00+08:00.
CREATE OR REPLACE FUNCTION gridsvc.local_time(at timestamptz, time_zone text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT to_char(at AT TIME ZONE time_zone, 'YYYY-MM-DD"T"HH24:MI')
        || CASE WHEN o.offset_min < 0 THEN '-' ELSE '+' END
        || to_char(make_interval(mins => abs(o.offset_min)), 'HH24:MI')
    FROM (SELECT (extract(epoch FROM (at AT TIME ZONE time_zone) - (at AT TIME ZONE 'UTC')) / 60)
                 ::integer AS offset_min) AS o
$$;

-- A finding about areas in words, English and Chinese: what, where, how much.
CREATE OR REPLACE FUNCTION gridsvc.area_finding_words(
    kind text, layer text, parent text, code text, other text,
    area_m2 double precision, width_m double precision, detail text,
    OUT message text, OUT message_zh text
)
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    size text := round(area_m2::numeric, 2)::text;
    width text := round(width_m::numeric, 3)::text;
    title text := (SELECT l.title_zh FROM gridsvc.layer AS l
                   WHERE l.code = area_finding_words.layer);
    parent_title text := (SELECT l.title_zh FROM gridsvc.layer AS l
                          WHERE l.code = area_finding_words.parent);
BEGIN
    CASE kind
        WHEN 'overlap' THEN
            message := format('%s %s and %s both claim %s m² (width %s m)',
                              layer, code, other, size, width);
            message_zh := format('%s %s 与 %s 重叠 %s 平方米（宽 %s 米）',
                                 title, code, other, size, width);
        WHEN 'gap' THEN
            message := format('in %s %s, %s m² belong to no %s (width %s m)',
                              parent, code, size, layer, width);
            message_zh := format('%s %s 内有 %s 平方米不属于任何%s（宽 %s 米）',
                                 parent_title, code, size, title, width);
        WHEN 'spill' THEN
            message := format('%s %s lies with %s m² outside its %s (width %s m)',
                              layer, code, size, concat_ws(' ', parent, other), width);
            message_zh := format('%s %s 有 %s 平方米超出%s（宽 %s 米）',
                                 title, code, size, concat_ws(' ', parent_title, other), width);
        WHEN 'narrow' THEN
            message := format('%s %s is only %s m wide', layer, code, round(width_m::numeric, 2));
            message_zh := format('%s %s 平均宽度只有 %s 米',
                                 title, code, round(width_m::numeric, 2));
        WHEN 'missing_node' THEN
            message := format('%s %s lacks a node of %s on its edge; `gridsvc tidy` adds it',
                              layer, code, other);
            message_zh := format('%s %s 的边上缺少 %s 的节点；可用 gridsvc tidy 补上',
                                 title, code, other);
        WHEN 'odd_code' THEN
            message := format('%s ''%s'' %s', layer, code, detail);
            message_zh := format('%s 编码 %s 不合规则：%s', title, code, detail);
        WHEN 'duplicate_code' THEN
            message := format('%s %s stands for %s areas', layer, code, detail);
            message_zh := format('%s 编码 %s 被 %s 个区域使用', title, code, detail);
    END CASE;
END
$$;
