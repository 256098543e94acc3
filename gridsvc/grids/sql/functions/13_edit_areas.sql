-- What saving an area in QGIS does: the boundary is snapped to a millimetre, a code is made where
-- one is missing or taken, and the edit is kept in the planner's change set. What can never be
-- right is refused; what may become right with the next edit is for the problems layer.

-- The boundary as it will be stored: MultiPolygon on the millimetre grid.
--   what  the area in words, for the refusal
CREATE OR REPLACE FUNCTION gridsvc.sound_boundary(given geometry, what text) RETURNS geometry
LANGUAGE plpgsql AS $$
DECLARE
    fault valid_detail;
    snapped geometry;
BEGIN
    IF given IS NULL OR ST_IsEmpty(given) THEN
        PERFORM gridsvc.refuse(
            format('%s 没有边界', what), format('%s has no boundary', what),
            '请绘制，或删除该行 / Draw it, or delete the row');
    END IF;
    fault := ST_IsValidDetail(given);
    IF NOT (fault).valid THEN
        PERFORM gridsvc.refuse(
            format('%s 的边界无效：%s，位于 %s', what, (fault).reason,
                   gridsvc.place_words((fault).location)),
            format('the boundary of %s is not valid: %s at %s', what, (fault).reason,
                   gridsvc.place_words((fault).location)),
            '请移动该处的节点，使边界不自相交 / Move the vertex there so that the boundary does not cross itself');
    END IF;
    snapped := ST_SnapToGrid(given, 0.001);
    IF NOT coalesce(ST_IsValid(snapped), false) THEN
        -- Rounding closed a spike or a hole that was narrower than a millimetre.
        snapped := ST_SnapToGrid(
            ST_CollectionExtract(ST_MakeValid(ST_ReducePrecision(given, 0.001)), 3), 0.001);
    END IF;
    IF snapped IS NULL OR ST_IsEmpty(snapped) OR NOT ST_IsValid(snapped) THEN
        PERFORM gridsvc.refuse(
            format('%s 小于一毫米', what), format('%s is smaller than a millimetre', what),
            '请画大一些，或删除 / Draw it larger, or delete it');
    END IF;
    RETURN ST_Multi(snapped);
END
$$;

-- The code of the area of the parent layer that holds most of a boundary; null where none does.
CREATE OR REPLACE FUNCTION gridsvc.parent_code(change_set integer, layer text, boundary geometry)
RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = gridsvc, public, pg_temp AS $$
    SELECT p.code
    FROM gridsvc.draft_area_near(
        change_set, gridsvc.draft_instant(change_set),
        (SELECT l.parent FROM gridsvc.layer AS l WHERE l.code = parent_code.layer),
        parent_code.boundary) AS p
    WHERE ST_Intersects(p.boundary, parent_code.boundary)
    ORDER BY CASE WHEN ST_Covers(p.boundary, parent_code.boundary)
                 THEN ST_Area(parent_code.boundary)
                 ELSE ST_Area(ST_Intersection(p.boundary, parent_code.boundary)) END DESC,
             p.code COLLATE "C"
    LIMIT 1
$$;

-- A free code for a new area: the highest number in use, and one more, after what the codes of the
-- place begin with, which is the parent's code or else all before the last digits.
--   like_code  a code of the layer that shows the form: that of the area that was split; null takes
--              a neighbour's
CREATE OR REPLACE FUNCTION gridsvc.new_code(
    change_set integer, layer text, boundary geometry, like_code text
) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    -- Once: written into the questions below it would be worked out for each area.
    at CONSTANT timestamptz := gridsvc.draft_instant(change_set);
    parent CONSTANT text := gridsvc.parent_code(change_set, layer, boundary);
    model text := like_code;
    model_parent text;
    head text;
    digits integer;
    free bigint;
BEGIN
    IF model IS NULL THEN
        SELECT d.code INTO model
        FROM gridsvc.draft_area(change_set, at) AS d
        WHERE d.layer = new_code.layer
        ORDER BY starts_with(d.code, parent) DESC NULLS LAST, d.boundary <-> new_code.boundary
        LIMIT 1;
    END IF;
    -- 110105001002003 begins with its community's 110105001002: each community counts its own.
    SELECT p.code INTO model_parent
    FROM gridsvc.draft_area(change_set, at) AS p
    WHERE p.layer = (SELECT l.parent FROM gridsvc.layer AS l WHERE l.code = new_code.layer)
      AND starts_with(model, p.code)
    ORDER BY length(p.code) DESC LIMIT 1;
    IF model_parent IS NOT NULL AND parent IS NOT NULL THEN
        model := parent || substring(model FROM length(model_parent) + 1);
        head := parent || substring(substring(model FROM length(parent) + 1) FROM '^(.*?)\d+$');
    ELSE
        head := substring(model FROM '^(.*?)\d+$');
    END IF;
    digits := length(model) - length(head);
    IF coalesce(digits, 0) < 1 THEN
        PERFORM gridsvc.refuse(
            format('无法为新的 %s 编码', layer), format('no code can be made for a new %s', layer),
            '请手工填写编码：该图层没有可顺延的编码 / '
            'Type a code: there is none in the layer whose last digits could be counted on');
    END IF;
    -- Codes of all times and of others' open drafts too: a number is not given twice.
    SELECT coalesce(max(substring(c.code FROM length(head) + 1)::bigint), 0) + 1 INTO free
    FROM (SELECT a.code FROM gridsvc.area AS a
          WHERE a.layer = new_code.layer AND starts_with(a.code, head)
          UNION ALL
          SELECT e.code
          FROM gridsvc.area_edit AS e JOIN gridsvc.change_set AS o ON o.id = e.change_set_id
          WHERE e.layer = new_code.layer AND starts_with(e.code, head)
            AND o.state IN ('open', 'checked')) AS c
    WHERE length(c.code) = length(head) + digits
      AND substring(c.code FROM length(head) + 1) ~ '^\d{1,18}$';
    IF length(free::text) > digits THEN
        PERFORM gridsvc.refuse(
            format('%s 的编码已用完', head || repeat('9', digits)),
            format('the codes up to %s are used up', head || repeat('9', digits)),
            '请填写未使用的编码 / Type a free code');
    END IF;
    RETURN head || lpad(free::text, digits, '0');
END
$$;

-- Whether an area of a draft bears a code; `but` is the version that may.
CREATE OR REPLACE FUNCTION gridsvc.has_code(
    change_set integer, layer text, code text, but bigint
) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM gridsvc.draft_area(change_set, gridsvc.draft_instant(change_set)) AS d
        WHERE d.layer = has_code.layer AND d.code = has_code.code
          AND d.version IS DISTINCT FROM but)
$$;

-- End a base version in a change set from the change set's instant on, or wholly where it has not
-- begun by then. Gives the instant from which another may stand in its place.
CREATE OR REPLACE FUNCTION gridsvc.end_version(it gridsvc.change_set, ended gridsvc.area)
RETURNS timestamptz
LANGUAGE plpgsql AS $$
BEGIN
    IF ended.valid_from < it.takes_effect_at THEN
        INSERT INTO gridsvc.area_edit
            (change_set_id, replaces, layer, code, name, boundary, centre_line, width_m,
             valid_from, valid_to)
        VALUES (it.id, ended.id, ended.layer, ended.code, ended.name, ended.boundary,
                ended.centre_line, ended.width_m, ended.valid_from, it.takes_effect_at);
        RETURN it.takes_effect_at;
    END IF;
    INSERT INTO gridsvc.area_edit (change_set_id, replaces, layer, code)
    VALUES (it.id, ended.id, ended.layer, ended.code);
    RETURN ended.valid_from;
END
$$;

-- The number of the row that an editor looked at. QGIS sends a column back only where its value
-- changes, so the project sets it to -1 - n with each edit, and once only however often the row is
-- edited before it is saved; what does not send it at all has looked at the row as it is.
CREATE OR REPLACE FUNCTION gridsvc.seen_row(row_number integer) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN row_number < 0 THEN -1 - row_number ELSE row_number END
$$;

-- Refuse to write what the views only tell: it would be lost without a word.
CREATE OR REPLACE FUNCTION gridsvc.require_told(was_told boolean) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT was_told THEN
        PERFORM gridsvc.refuse(
            '上级编码和状态不能直接填写', 'parent_code and state are not written by hand',
            '请修改边界或编码 / Change the boundary or the code');
    END IF;
END
$$;

-- Keep the insert, update or delete of one row of an edit view. Gives the edit that now stands for
-- it; for a deleted row null.
--   operation    INSERT, UPDATE or DELETE
--   key          of the row: the id of a base version, or less than zero that of an edit
--   row_number   that QGIS looked at (gridsvc.seen_row); the row is stale where it has another now
--   surface      the boundary as drawn; a line's surface
CREATE OR REPLACE FUNCTION gridsvc.save_area(
    operation text, layer text, key integer, row_number integer, code text, name text,
    surface geometry, centre_line geometry, width_m double precision
) RETURNS gridsvc.area_edit
LANGUAGE plpgsql AS $$
DECLARE
    it CONSTANT gridsvc.change_set := gridsvc.own_change_set();
    what CONSTANT text := layer || ' ' || coalesce(nullif(btrim(code), ''), '(new)');
    edit gridsvc.area_edit;
    based gridsvc.area;
    shape geometry;
    wanted text := nullif(btrim(code), '');
    begin_at timestamptz;
BEGIN
    IF operation <> 'INSERT' THEN
        SELECT e.* INTO edit FROM gridsvc.area_edit AS e
        WHERE e.change_set_id = it.id AND e.layer = save_area.layer AND e.boundary IS NOT NULL
          AND CASE WHEN key < 0 THEN e.id = -key::bigint ELSE e.origin = key END;
        IF edit.id IS NULL THEN
            SELECT a.* INTO based FROM gridsvc.area AS a
            WHERE a.id = key AND a.layer = save_area.layer AND a.rev_from <= it.base_revision
              AND (a.rev_to IS NULL OR it.base_revision < a.rev_to)
              AND NOT EXISTS (SELECT FROM gridsvc.area_edit AS e
                              WHERE e.change_set_id = it.id AND e.replaces = a.id);
        END IF;
        IF edit.id IS NULL AND based.id IS NULL
           OR gridsvc.seen_row(row_number) IS DISTINCT FROM coalesce(edit.row_number, 0)
        THEN
            PERFORM gridsvc.refuse(
                format('%s 已被修改，您看到的不是最新的', what),
                format('%s was changed since you loaded it', what),
                '请刷新图层（F5）后重新修改 / Reload the layer (F5) and make the change again',
                CASE WHEN edit.id IS NOT NULL THEN format('It was saved %s times by %s, last at %s',
                    edit.row_number, edit.edited_by,
                    gridsvc.local_time(edit.edited_at, gridsvc.city_zone())) ELSE '' END);
        END IF;
        PERFORM gridsvc.require_ground(it.id, coalesce(edit.boundary, based.boundary), what);
    END IF;

    IF operation = 'DELETE' THEN
        IF edit.id IS NULL THEN
            PERFORM gridsvc.end_version(it, based);
        ELSIF edit.replaces IS NULL THEN
            DELETE FROM gridsvc.area_edit AS e WHERE e.id = edit.id;
        ELSE
            UPDATE gridsvc.area_edit AS e
            SET boundary = NULL, valid_from = NULL, valid_to = NULL, origin = NULL,
                centre_line = NULL, width_m = NULL, edited_at = now(), edited_by = session_user
            WHERE e.id = edit.id;
        END IF;
        RETURN NULL;
    END IF;

    shape := gridsvc.sound_boundary(surface, what);
    PERFORM gridsvc.require_ground(it.id, shape, what);
    -- Whoever makes a code waits for others who do, and so sees theirs.
    PERFORM pg_advisory_xact_lock(x'636f6465'::integer, hashtext(layer));  -- "code"

    IF operation = 'INSERT' THEN
        IF wanted IS NULL OR gridsvc.has_code(it.id, layer, wanted, NULL) THEN
            wanted := gridsvc.new_code(it.id, layer, shape, wanted);
        END IF;
        -- Drawn again under the code of one that this change set ends: it takes that one's place.
        SELECT a.* INTO based
        FROM gridsvc.area_edit AS e JOIN gridsvc.area AS a ON a.id = e.replaces
        WHERE e.change_set_id = it.id AND a.layer = save_area.layer AND a.code = wanted
          AND NOT EXISTS (SELECT FROM gridsvc.area_edit AS o
                          WHERE o.change_set_id = it.id AND o.origin = a.id)
        ORDER BY a.valid_from DESC LIMIT 1;
        INSERT INTO gridsvc.area_edit
            (change_set_id, origin, layer, code, name, boundary, centre_line, width_m, valid_from)
        VALUES (it.id, based.id, layer, wanted, name, shape, centre_line, width_m,
                greatest(it.takes_effect_at, based.valid_from))
        RETURNING * INTO edit;
        RETURN edit;
    END IF;

    IF wanted IS NULL OR gridsvc.has_code(it.id, layer, wanted, coalesce(-edit.id, based.id)) THEN
        PERFORM gridsvc.refuse(
            format('编码 %s 已被使用', coalesce(wanted, '')),
            CASE WHEN wanted IS NULL THEN format('%s has no code', layer)
                 ELSE format('another %s has the code %s', layer, wanted) END,
            '请填写未使用的编码 / Type a free code');
    END IF;
    IF edit.id IS NOT NULL THEN
        UPDATE gridsvc.area_edit AS e
        SET code = wanted, name = save_area.name, boundary = shape,
            centre_line = save_area.centre_line, width_m = save_area.width_m,
            -- QGIS saves a row's shape and its attributes one after the other: they are one edit.
            row_number = CASE WHEN e.edited_at = now() THEN e.row_number ELSE e.row_number + 1 END,
            edited_at = now(), edited_by = session_user
        WHERE e.id = edit.id
        RETURNING e.* INTO edit;
        RETURN edit;
    END IF;
    begin_at := gridsvc.end_version(it, based);
    INSERT INTO gridsvc.area_edit
        (change_set_id, origin, layer, code, name, boundary, centre_line, width_m, valid_from,
         valid_to)
    VALUES (it.id, based.id, layer, wanted, name, shape, centre_line, width_m, begin_at,
            based.valid_to)
    RETURNING * INTO edit;
    RETURN edit;
END
$$;

-- INSTEAD OF trigger of the views of polygons; its argument is the layer's code.
CREATE OR REPLACE FUNCTION gridsvc.edit_polygon() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = gridsvc, public, pg_temp AS $$
DECLARE
    edit gridsvc.area_edit;
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM gridsvc.save_area(TG_OP, TG_ARGV[0], OLD.key, OLD.row_number, OLD.code, OLD.name,
                                  OLD.boundary, NULL, NULL);
        PERFORM gridsvc.recheck_later();
        RETURN OLD;
    END IF;
    IF TG_OP = 'UPDATE' THEN
        PERFORM gridsvc.require_told(
            (NEW.key, NEW.parent_code, NEW.state)
            IS NOT DISTINCT FROM (OLD.key, OLD.parent_code, OLD.state));
    END IF;
    edit := gridsvc.save_area(
        TG_OP, TG_ARGV[0], CASE WHEN TG_OP = 'UPDATE' THEN OLD.key END,
        coalesce(NEW.row_number, 0), NEW.code, NEW.name, NEW.boundary, NULL, NULL);
    NEW.key := coalesce(edit.origin, -edit.id);
    NEW.row_number := edit.row_number;
    NEW.code := edit.code;
    NEW.boundary := edit.boundary;
    NEW.parent_code := gridsvc.parent_code(edit.change_set_id, edit.layer, edit.boundary);
    NEW.state := CASE WHEN edit.origin IS NULL THEN 'new' ELSE 'changed' END;
    NEW.area_m2 := ST_Area(edit.boundary);
    PERFORM gridsvc.recheck_later();
    RETURN NEW;
END
$$;

-- INSTEAD OF trigger of the views of lines with a width. A row without a line, whose surface was
-- drawn by hand, keeps it until a line is drawn.
CREATE OR REPLACE FUNCTION gridsvc.edit_line() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = gridsvc, public, pg_temp AS $$
DECLARE
    edit gridsvc.area_edit;
    what CONSTANT text := TG_ARGV[0] || ' '
        || coalesce(nullif(btrim(CASE WHEN TG_OP = 'DELETE' THEN OLD.code ELSE NEW.code END), ''),
                    '(new)');
    surface geometry;
    line geometry;
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM gridsvc.save_area(TG_OP, TG_ARGV[0], OLD.key, OLD.row_number, OLD.code, OLD.name,
                                  NULL, NULL, NULL);
        PERFORM gridsvc.recheck_later();
        RETURN OLD;
    END IF;
    line := ST_Multi(ST_SnapToGrid(NEW.centre_line, 0.001));
    IF line IS NULL AND TG_OP = 'UPDATE' AND OLD.centre_line IS NULL THEN
        surface := gridsvc.drawn_surface(TG_ARGV[0], OLD.key);
    ELSIF line IS NULL OR ST_IsEmpty(line) OR ST_Length(line) = 0 THEN
        PERFORM gridsvc.refuse(
            format('%s 没有中心线', what), format('%s has no centre line', what),
            '请绘制，或删除该行 / Draw it, or delete the row');
    ELSIF NEW.width_m IS NULL OR NOT NEW.width_m BETWEEN 0.1 AND 200 THEN
        PERFORM gridsvc.refuse(
            format('%s 的宽度 %s 米不可用', what, coalesce(NEW.width_m::text, '?')),
            format('%s cannot be %s m wide', what, coalesce(NEW.width_m::text, '?')),
            '请填写宽度，0.1 至 200 米 / Give its width in metres, from 0.1 to 200');
    ELSE
        surface := gridsvc.surface_of(line, round(NEW.width_m::numeric, 3)::double precision);
    END IF;
    IF TG_OP = 'UPDATE' THEN
        PERFORM gridsvc.require_told(
            (NEW.key, NEW.parent_code, NEW.state)
            IS NOT DISTINCT FROM (OLD.key, OLD.parent_code, OLD.state));
    END IF;
    edit := gridsvc.save_area(
        TG_OP, TG_ARGV[0], CASE WHEN TG_OP = 'UPDATE' THEN OLD.key END,
        coalesce(NEW.row_number, 0), NEW.code, NEW.name, surface, line,
        CASE WHEN line IS NOT NULL THEN round(NEW.width_m::numeric, 3) END);
    NEW.key := coalesce(edit.origin, -edit.id);
    NEW.row_number := edit.row_number;
    NEW.code := edit.code;
    NEW.centre_line := edit.centre_line;
    NEW.parent_code := gridsvc.parent_code(edit.change_set_id, edit.layer, edit.boundary);
    NEW.state := CASE WHEN edit.origin IS NULL THEN 'new' ELSE 'changed' END;
    NEW.area_m2 := ST_Area(edit.boundary);
    PERFORM gridsvc.recheck_later();
    RETURN NEW;
END
$$;

-- The surface that an edit view shows under a key.
CREATE OR REPLACE FUNCTION gridsvc.drawn_surface(layer text, key integer) RETURNS geometry
LANGUAGE sql STABLE AS $$
    SELECT coalesce(
        (SELECT e.boundary FROM gridsvc.area_edit AS e
         WHERE e.change_set_id = gridsvc.shown_change_set() AND e.layer = drawn_surface.layer
           AND e.boundary IS NOT NULL
           AND CASE WHEN key < 0 THEN e.id = -key::bigint ELSE e.origin = key END),
        (SELECT a.boundary FROM gridsvc.area AS a
         WHERE a.id = key AND a.layer = drawn_surface.layer))
$$;

-- INSTEAD OF trigger of edit.proposal: deleting a row takes an edit back.
CREATE OR REPLACE FUNCTION gridsvc.take_back() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = gridsvc, public, pg_temp AS $$
DECLARE
    it CONSTANT gridsvc.change_set := gridsvc.own_change_set();
BEGIN
    IF TG_OP <> 'DELETE' THEN
        PERFORM gridsvc.refuse(
            '此处只能撤销修改', 'this table takes edits back only',
            '删除一行即撤销该修改；要修改请编辑图层本身 / '
            'Delete its row to take an edit back; edit the layer itself to change it');
    END IF;
    DELETE FROM gridsvc.area_edit AS e
    WHERE e.change_set_id = it.id
      AND CASE WHEN OLD.key < 0 THEN e.id = -OLD.key::bigint
               ELSE OLD.key IN (e.origin, e.replaces) END;
    IF NOT FOUND THEN
        PERFORM gridsvc.refuse(
            format('%s %s 的修改已不存在', OLD.layer, OLD.code),
            format('the edit of %s %s is gone already', OLD.layer, OLD.code), '请刷新表格（F5） / Reload the table (F5)');
    END IF;
    PERFORM gridsvc.recheck_later();
    RETURN OLD;
END
$$;
