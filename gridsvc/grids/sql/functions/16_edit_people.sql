-- What saving a party or an assignment in QGIS does. People are dated apart from boundaries: these
-- rows name areas by code, and a hand-over touches no boundary.

-- Refuse to change what is held on an area outside the ground of the session's login.
CREATE OR REPLACE FUNCTION gridsvc.require_ground_of(change_set integer, layer text, code text)
RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    there geometry;
BEGIN
    SELECT d.boundary INTO there
    FROM gridsvc.drafted_area(change_set, layer, code) AS d
    ORDER BY d.valid_from DESC LIMIT 1;
    IF there IS NULL THEN
        PERFORM gridsvc.refuse(
            format('没有区域 %s %s', layer, code), format('there is no %s %s', layer, code),
            '请选择图层，并填写地图上已有区域的编码 / '
            'Choose the layer and type the code of an area that is on the map');
    END IF;
    PERFORM gridsvc.require_ground(change_set, there, layer || ' ' || code);
END
$$;

-- INSTEAD OF trigger of edit.party. The phone is shown masked: as long as it reads so, the stored
-- one stays.
CREATE OR REPLACE FUNCTION gridsvc.edit_party() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = gridsvc, public, pg_temp AS $$
DECLARE
    it CONSTANT gridsvc.change_set := gridsvc.own_change_set();
    had gridsvc.party;
    given text;
    phone text;
    held record;
BEGIN
    IF TG_OP = 'DELETE' THEN
        DELETE FROM gridsvc.party_edit AS e WHERE e.change_set_id = it.id AND e.code = OLD.code;
        IF NOT FOUND THEN
            PERFORM gridsvc.refuse(
                format('%s 不能删除', OLD.code),
                format('%s is not deleted: what was held stays on record', OLD.code),
                '请在任职表中结束其任职 / End what it holds, in the table of assignments');
        END IF;
        RETURN OLD;
    END IF;
    given := btrim(NEW.code);
    IF coalesce(given, '') = '' OR coalesce(btrim(NEW.name), '') = '' THEN
        PERFORM gridsvc.refuse(
            '缺少编码或名称', 'a party needs a code and a name', '请填写这两项 / Fill both in');
    ELSIF coalesce(NEW.kind, '') NOT IN ('person', 'body') THEN
        PERFORM gridsvc.refuse(
            format('%s 的类型未选择', given), format('%s is neither a person nor a body', given),
            '请选择个人或单位 / Choose person or body');
    ELSIF TG_OP = 'UPDATE' AND given <> OLD.code THEN
        PERFORM gridsvc.refuse(
            '编码不能更改', format('the code of %s does not change', OLD.code),
            '请另建一个，再移交给它 / Add another party, and hand over to it');
    ELSIF TG_OP = 'INSERT' AND (
        EXISTS (SELECT FROM gridsvc.party AS p WHERE p.code = given)
        OR EXISTS (SELECT FROM gridsvc.party_edit AS e
                   WHERE e.change_set_id = it.id AND e.code = given)) THEN
        PERFORM gridsvc.refuse(
            format('已有编码为 %s 的人员或单位', given), format('there is a party %s already', given),
            '请换一个编码，或修改已有的 / Give it another code, or change that one');
    END IF;
    SELECT p.* INTO had FROM gridsvc.party AS p WHERE p.code = given;
    FOR held IN
        SELECT DISTINCT d.layer, d.area_code
        FROM gridsvc.draft_assignment(it.id) AS d
        WHERE d.party_code = given AND had.code IS NOT NULL
          AND (d.valid_to IS NULL OR d.valid_to > now())
    LOOP
        PERFORM gridsvc.require_ground_of(it.id, held.layer, held.area_code);
    END LOOP;
    phone := nullif(btrim(NEW.phone), '');
    IF TG_OP = 'UPDATE' AND NEW.phone IS NOT DISTINCT FROM OLD.phone THEN
        SELECT e.phone INTO phone FROM gridsvc.party_edit AS e
        WHERE e.change_set_id = it.id AND e.code = given;
        IF NOT FOUND THEN
            phone := had.phone;
        END IF;
    END IF;
    INSERT INTO gridsvc.party_edit (change_set_id, code, name, kind, phone, was)
    VALUES (it.id, given, btrim(NEW.name), NEW.kind, phone, gridsvc.party_digest(given))
    ON CONFLICT (change_set_id, code) DO UPDATE
    SET name = excluded.name, kind = excluded.kind, phone = excluded.phone;
    NEW.phone := gridsvc.masked_phone(phone);
    NEW.code := given;
    NEW.state := CASE WHEN had.code IS NULL THEN 'new' ELSE 'changed' END;
    RETURN NEW;
END
$$;

-- Refuse a holder where somebody else has the duty at the time.
--   version  of the row itself, as gridsvc.draft_assignment gives it
CREATE OR REPLACE FUNCTION gridsvc.require_vacant(
    it gridsvc.change_set, wanted gridsvc.assignment_edit, version bigint
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    zone CONSTANT text := gridsvc.city_zone();
    other record;
BEGIN
    SELECT d.party_code, gridsvc.local_time(d.valid_from, zone) AS since,
           coalesce(gridsvc.local_time(d.valid_to, zone), '…') AS until
    INTO other
    FROM gridsvc.drafted_assignment(it.id, wanted.layer, wanted.area_code) AS d
    WHERE d.duty = wanted.duty AND d.rank = wanted.rank AND coalesce(d.category, '') = coalesce(wanted.category, '')
      AND d.hours && wanted.hours AND d.version IS DISTINCT FROM require_vacant.version
      AND tstzrange(d.valid_from, d.valid_to) && tstzrange(wanted.valid_from, wanted.valid_to)
    ORDER BY d.valid_from LIMIT 1;
    IF FOUND THEN
        PERFORM gridsvc.refuse(
            format('%s 至 %s 已由 %s 担任', other.since, other.until, other.party_code),
            format('already held by %s from %s to %s', other.party_code, other.since, other.until),
            '请在该行上移交（移交给、移交时间），或选择其他时段或任期 / '
            'Hand over on that row (hand over to, hand over at), or choose other hours or another '
            'period',
            gridsvc.duty_words(wanted.duty, wanted.rank, wanted.category, wanted.layer,
                               wanted.area_code));
    END IF;
END
$$;

-- Refuse a party that neither is there nor is proposed.
CREATE OR REPLACE FUNCTION gridsvc.require_party(change_set integer, code text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM gridsvc.party AS p WHERE p.code = require_party.code)
       AND NOT EXISTS (SELECT FROM gridsvc.party_edit AS e
                       WHERE e.change_set_id = change_set AND e.code = require_party.code) THEN
        PERFORM gridsvc.refuse(
            format('没有编码为 %s 的人员或单位', coalesce(code, '?')),
            format('there is no party %s', coalesce(code, '?')),
            '请先在责任人表中添加 / Add it to the table of parties first');
    END IF;
END
$$;

-- INSTEAD OF trigger of edit.assignment. Writing `hand_over_to` is a hand-over: the row ends and the
-- successor's begins at `hand_over_at`, or else when the change set takes effect.
CREATE OR REPLACE FUNCTION gridsvc.edit_assignment() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = gridsvc, public, pg_temp AS $$
DECLARE
    it CONSTANT gridsvc.change_set := gridsvc.own_change_set();
    zone CONSTANT text := gridsvc.city_zone();
    edit gridsvc.assignment_edit;
    based gridsvc.assignment;
    wanted gridsvc.assignment_edit;
    successor gridsvc.assignment_edit;
    what text;
    at timestamptz;
BEGIN
    IF TG_OP <> 'INSERT' THEN
        what := gridsvc.duty_words(OLD.duty, OLD.rank, OLD.category, OLD.layer, OLD.area_code);
        SELECT e.* INTO edit FROM gridsvc.assignment_edit AS e
        WHERE e.change_set_id = it.id AND e.party_code IS NOT NULL
          AND CASE WHEN OLD.key < 0 THEN e.id = -OLD.key::bigint ELSE e.origin = OLD.key END;
        IF edit.id IS NOT NULL THEN
            SELECT s.* INTO based FROM gridsvc.assignment AS s WHERE s.id = edit.replaces;
        ELSE
            SELECT s.* INTO based FROM gridsvc.assignment AS s
            WHERE s.id = OLD.key AND s.rev_from <= it.base_revision
              AND (s.rev_to IS NULL OR it.base_revision < s.rev_to)
              AND NOT EXISTS (SELECT FROM gridsvc.assignment_edit AS e
                              WHERE e.change_set_id = it.id AND e.replaces = s.id);
        END IF;
        IF edit.id IS NULL AND based.id IS NULL
           OR TG_OP = 'UPDATE'
              AND gridsvc.seen_row(NEW.row_number) IS DISTINCT FROM coalesce(edit.row_number, 0) THEN
            PERFORM gridsvc.refuse(
                format('%s 已被修改，您看到的不是最新的', what),
                format('%s was changed since you loaded it', what),
                '请刷新表格（F5）后重新修改 / Reload the table (F5) and make the change again');
        END IF;
        PERFORM gridsvc.require_ground_of(it.id, OLD.layer, OLD.area_code);
    END IF;
    IF TG_OP = 'DELETE' THEN
        IF edit.id IS NOT NULL AND edit.replaces IS NULL THEN
            DELETE FROM gridsvc.assignment_edit AS e WHERE e.id = edit.id;
        ELSIF edit.id IS NOT NULL AND based.valid_from < it.takes_effect_at THEN
            -- As of a base version below: what has begun ends, and was as it was until then.
            UPDATE gridsvc.assignment_edit AS e
            SET origin = NULL, party_code = based.party_code, layer = based.layer,
                area_code = based.area_code, duty = based.duty, role = based.role,
                rank = based.rank, category = based.category, hours = based.hours,
                valid_from = based.valid_from,
                valid_to = least(based.valid_to, it.takes_effect_at), edited_at = now(),
                edited_by = session_user
            WHERE e.id = edit.id;
        ELSIF edit.id IS NOT NULL THEN
            UPDATE gridsvc.assignment_edit AS e
            SET party_code = NULL, valid_from = NULL, valid_to = NULL, edited_at = now(),
                edited_by = session_user
            WHERE e.id = edit.id;
        ELSIF based.valid_from >= it.takes_effect_at THEN
            INSERT INTO gridsvc.assignment_edit (change_set_id, replaces, layer, area_code, duty)
            VALUES (it.id, based.id, based.layer, based.area_code, based.duty);
        ELSE
            INSERT INTO gridsvc.assignment_edit
                (change_set_id, replaces, party_code, layer, area_code, duty, role, rank, category,
                 hours, valid_from, valid_to)
            VALUES (it.id, based.id, based.party_code, based.layer, based.area_code, based.duty,
                    based.role, based.rank, based.category, based.hours, based.valid_from,
                    least(based.valid_to, it.takes_effect_at));
        END IF;
        PERFORM gridsvc.recheck_later();
        RETURN OLD;
    END IF;

    wanted.party_code := btrim(NEW.party_code);
    wanted.layer := NEW.layer;
    wanted.area_code := btrim(NEW.area_code);
    wanted.duty := NEW.duty;
    wanted.role := NEW.role;
    wanted.rank := coalesce(NEW.rank, 1);
    wanted.category := nullif(btrim(NEW.category), '');
    wanted.hours := gridsvc.parse_week_hours(NEW.hours);
    wanted.valid_from := coalesce(NEW.valid_from AT TIME ZONE zone, it.takes_effect_at);
    wanted.valid_to := NEW.valid_to AT TIME ZONE zone;
    IF TG_OP = 'UPDATE' THEN
        -- Shown to the second and in local time: what was not touched stays as it is stored.
        IF NEW.valid_from IS NOT DISTINCT FROM OLD.valid_from THEN
            wanted.valid_from := coalesce(edit.valid_from, based.valid_from);
        END IF;
        IF NEW.valid_to IS NOT DISTINCT FROM OLD.valid_to THEN
            wanted.valid_to := CASE WHEN edit.id IS NOT NULL THEN edit.valid_to
                               ELSE based.valid_to END;
        END IF;
    END IF;
    what := gridsvc.duty_words(wanted.duty, wanted.rank, wanted.category, wanted.layer,
                               wanted.area_code);
    IF coalesce(wanted.duty, '') NOT IN ('responsibility', 'management', 'enforcement', 'supervision')
       OR coalesce(btrim(wanted.role), '') = '' OR wanted.rank NOT IN (1, 2) THEN
        PERFORM gridsvc.refuse(
            '职责、角色或级别未填', 'duty, role and rank (1 lead, 2 assistant) are needed',
            '请从列表中选择 / Choose them from the lists');
    ELSIF wanted.valid_to <= wanted.valid_from THEN
        PERFORM gridsvc.refuse(
            '结束时间不晚于开始时间', 'it would end before it begins', '请更正起止时间 / Correct from and to');
    END IF;
    PERFORM gridsvc.require_party(it.id, wanted.party_code);
    PERFORM gridsvc.require_ground_of(it.id, wanted.layer, wanted.area_code);
    IF TG_OP = 'UPDATE' AND based.valid_from < it.takes_effect_at
       AND (wanted.party_code, wanted.layer, wanted.area_code, wanted.duty, wanted.rank,
            wanted.category)
           IS DISTINCT FROM (based.party_code, based.layer, based.area_code, based.duty,
                             based.rank, based.category) THEN
        PERFORM gridsvc.refuse(
            format('%s 已经任职，不能直接更改', based.party_code),
            format('%s holds %s already: the past is not rewritten', based.party_code,
                   gridsvc.duty_words(based.duty, based.rank, based.category, based.layer,
                                      based.area_code)),
            '请在该行上移交（移交给、移交时间）；要换职责或区域，请删除该行（即结束任职）后新增 / '
            'Hand over on the row: write hand over to and hand over at. For another duty or area '
            'delete the row, which ends it, and add one');
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.hand_over_to IS NOT NULL THEN
        at := coalesce(NEW.hand_over_at AT TIME ZONE zone, it.takes_effect_at);
        PERFORM gridsvc.require_party(it.id, btrim(NEW.hand_over_to));
        IF btrim(NEW.hand_over_to) = wanted.party_code THEN
            PERFORM gridsvc.refuse(
                format('%s 已担任', wanted.party_code),
                format('%s holds %s already', wanted.party_code, what), '请指定接任者 / Name a successor');
        ELSIF at <= wanted.valid_from OR at >= wanted.valid_to THEN
            PERFORM gridsvc.refuse(
                '交接时间不在任期内',
                format('the hand-over at %s is not within the term', gridsvc.local_time(at, zone)),
                '请选择任期之内的时间 / Choose an instant after its begin and before its end',
                format('%s holds %s from %s to %s', wanted.party_code, what,
                       gridsvc.local_time(wanted.valid_from, zone),
                       coalesce(gridsvc.local_time(wanted.valid_to, zone), '…')));
        END IF;
        successor := wanted;
        successor.party_code := btrim(NEW.hand_over_to);
        successor.valid_from := at;
        wanted.valid_to := at;
    END IF;
    IF edit.id IS NOT NULL THEN
        PERFORM gridsvc.require_vacant(it, wanted, -edit.id);
        UPDATE gridsvc.assignment_edit AS e
        SET party_code = wanted.party_code, layer = wanted.layer, area_code = wanted.area_code,
            duty = wanted.duty, role = wanted.role, rank = wanted.rank,
            category = wanted.category, hours = wanted.hours, valid_from = wanted.valid_from,
            valid_to = wanted.valid_to,
            row_number = CASE WHEN e.edited_at = now() THEN e.row_number ELSE e.row_number + 1 END,
            edited_at = now(), edited_by = session_user
        WHERE e.id = edit.id
        RETURNING e.* INTO edit;
    ELSE
        PERFORM gridsvc.require_vacant(it, wanted, based.id);
        INSERT INTO gridsvc.assignment_edit
            (change_set_id, replaces, origin, party_code, layer, area_code, duty, role, rank,
             category, hours, valid_from, valid_to)
        VALUES (it.id, based.id, based.id, wanted.party_code, wanted.layer, wanted.area_code,
                wanted.duty, wanted.role, wanted.rank, wanted.category, wanted.hours,
                wanted.valid_from, wanted.valid_to)
        RETURNING * INTO edit;
    END IF;
    IF successor.party_code IS NOT NULL THEN
        PERFORM gridsvc.require_vacant(it, successor, NULL);
        INSERT INTO gridsvc.assignment_edit
            (change_set_id, party_code, layer, area_code, duty, role, rank, category, hours,
             valid_from, valid_to)
        VALUES (it.id, successor.party_code, successor.layer, successor.area_code, successor.duty,
                successor.role, successor.rank, successor.category, successor.hours,
                successor.valid_from, successor.valid_to);
    END IF;
    NEW.key := coalesce(edit.origin, -edit.id);
    NEW.row_number := edit.row_number;
    NEW.rank := edit.rank;
    NEW.valid_from := edit.valid_from AT TIME ZONE zone;
    NEW.valid_to := edit.valid_to AT TIME ZONE zone;
    NEW.hours := gridsvc.week_hours_text(edit.hours);
    NEW.state := CASE WHEN edit.origin IS NULL THEN 'new' ELSE 'changed' END;
    NEW.hand_over_to := NULL;
    NEW.hand_over_at := NULL;
    PERFORM gridsvc.recheck_later();
    RETURN NEW;
END
$$;
