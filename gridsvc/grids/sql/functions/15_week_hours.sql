-- Hours of the week as people write them, `mon-fri 08:00-20:00; sat 09:00-12:00`, and as they are
-- stored. gridsvc.grids.weekhours says what may be written; a test holds the two together.

CREATE OR REPLACE FUNCTION gridsvc.parse_week_hours(given text) RETURNS int4multirange
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    days CONSTANT text[] := ARRAY['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
    -- Typed on a Chinese keyboard the same signs come out full-width.
    plain text := lower(translate(coalesce(given, ''), '：；，－—–~～至', ':;,------'));
    hours int4multirange := '{}';
    piece text;
    parts text[];
    named text;
    ends text[];
    first integer;
    last integer;
    start integer;
    length integer;
    day integer;
BEGIN
    FOR i IN 1..7 LOOP
        plain := regexp_replace(plain, '(周|星期)' || substr('一二三四五六日', i, 1), days[i], 'g');
    END LOOP;
    plain := regexp_replace(plain, '(周|星期)天', 'sun', 'g');
    IF btrim(plain, ' ;') = '' THEN
        RETURN '{[0,10080)}';
    END IF;
    FOREACH piece IN ARRAY regexp_split_to_array(plain, '\s*;\s*') LOOP
        CONTINUE WHEN btrim(piece) = '';
        parts := regexp_match(
            btrim(piece), '^(?:([a-z]+(?:\s*[,-]\s*[a-z]+)*)\s*)?(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})$');
        IF parts IS NULL OR parts[3]::integer > 59 OR parts[5]::integer > 59
           OR parts[2]::integer > 23 OR parts[4]::integer * 60 + parts[5]::integer > 1440 THEN
            PERFORM gridsvc.refuse(
                format('无法识别的时段：%s', btrim(piece)),
                format('"%s" is not days and a span of time', btrim(piece)),
                '请写成：周一至周五 08:00-20:00；周六 09:00-12:00，全天则留空 / '
                'Write it like: mon-fri 08:00-20:00; sat 09:00-12:00, or leave it empty for all hours');
        END IF;
        start := parts[2]::integer * 60 + parts[3]::integer;
        length := parts[4]::integer * 60 + parts[5]::integer - start;
        IF length = 0 THEN
            PERFORM gridsvc.refuse(
                format('时段没有长度：%s', btrim(piece)),
                format('"%s" ends when it begins', btrim(piece)),
                '全天请写 00:00-24:00 / Write 00:00-24:00 for a whole day');
        ELSIF length < 0 THEN
            length := length + 1440;
        END IF;
        FOREACH named IN ARRAY string_to_array(coalesce(parts[1], 'mon-sun'), ',') LOOP
            ends := regexp_split_to_array(btrim(named), '\s*-\s*');
            first := array_position(days, ends[1]);
            last := array_position(days, ends[cardinality(ends)]);
            IF first IS NULL OR last IS NULL OR cardinality(ends) > 2 THEN
                PERFORM gridsvc.refuse(
                    format('没有这样的日子：%s', named), format('there is no day "%s"', named),
                    '请用周一、周二……周日，或 mon 至 sun / Use mon, tue, wed, thu, fri, sat, sun');
            END IF;
            FOR step IN 0..(last - first + 7) % 7 LOOP
                day := (first - 1 + step) % 7 * 1440 + start;
                hours := hours + int4multirange(int4range(day, least(day + length, 10080)));
                IF day + length > 10080 THEN
                    hours := hours + int4multirange(int4range(0, day + length - 10080));
                END IF;
            END LOOP;
        END LOOP;
    END LOOP;
    RETURN hours;
END
$$;

-- Hours so that gridsvc.parse_week_hours reads the same again; '' for always. Spans end at midnight.
CREATE OR REPLACE FUNCTION gridsvc.week_hours_text(hours int4multirange) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN hours = '{[0,10080)}' THEN '' ELSE (
        SELECT string_agg(s.days || ' ' || s.span, '; ' ORDER BY s.first)
        FROM (
            SELECT min(d.n) AS first,
                   string_agg((ARRAY['mon','tue','wed','thu','fri','sat','sun'])[d.n], ','
                              ORDER BY d.n) AS days,
                   t.span
            FROM generate_series(1, 7) AS d (n)
            CROSS JOIN LATERAL unnest(hours * int4multirange(
                int4range((d.n - 1) * 1440, d.n * 1440))) AS r (part)
            CROSS JOIN LATERAL (
                SELECT to_char(make_interval(mins => lower(r.part) - (d.n - 1) * 1440), 'HH24:MI')
                    || '-' || CASE WHEN upper(r.part) = d.n * 1440 THEN '24:00' ELSE to_char(
                        make_interval(mins => upper(r.part) - (d.n - 1) * 1440), 'HH24:MI') END
            ) AS t (span)
            GROUP BY t.span
        ) AS s) END
$$;
