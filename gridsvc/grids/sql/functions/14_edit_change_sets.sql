-- The table of change sets in QGIS: a row is made to open one, and its `action` is written to show,
-- check, preview, rebase, publish, withdraw or roll back.

-- Judge a change set anew and keep what is found for the problems layer. A fault of the checks
-- themselves is kept too: raised while a save is committed, it would reach nobody.
CREATE OR REPLACE FUNCTION gridsvc.refresh_problems(change_set integer) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM gridsvc.problem AS p WHERE p.change_set_id = change_set;
    BEGIN
        INSERT INTO gridsvc.problem
            (change_set_id, kind, stops, layer, code, other, message, message_zh, area_m2, width_m,
             part)
        SELECT change_set, f.*
        FROM (SELECT * FROM gridsvc.find_problems(change_set)
              UNION ALL SELECT * FROM gridsvc.recorded_findings(change_set)) AS f;
    EXCEPTION WHEN OTHERS THEN
        INSERT INTO gridsvc.problem (change_set_id, kind, stops, message, message_zh)
        VALUES (change_set, 'unchecked', true, 'the checks failed: ' || SQLERRM,
                '检查未能完成：' || SQLERRM);
    END;
    -- QGIS repaints the layers that listen for this word.
    PERFORM pg_notify('qgis', 'problems');
END
$$;

-- Have the shown change set judged when the transaction is committed: a save of many rows is
-- judged once, and as a whole.
CREATE OR REPLACE FUNCTION gridsvc.recheck_later() RETURNS void
LANGUAGE sql AS $$
    INSERT INTO gridsvc.recheck (change_set_id)
    SELECT p.change_set_id FROM gridsvc.planner AS p WHERE p.login = session_user
    ON CONFLICT DO NOTHING
$$;

CREATE OR REPLACE FUNCTION gridsvc.recheck_now() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = gridsvc, public, pg_temp AS $$
BEGIN
    PERFORM gridsvc.refresh_problems(NEW.change_set_id);
    DELETE FROM gridsvc.recheck AS r WHERE r.change_set_id = NEW.change_set_id;
    RETURN NULL;
END
$$;

-- Look at a change set from now on; null: at the newest state.
CREATE OR REPLACE FUNCTION gridsvc.show_change_set(change_set integer) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO gridsvc.planner (login, role, change_set_id)
    VALUES (session_user, gridsvc.planner_role(), change_set)
    ON CONFLICT (login) DO UPDATE SET change_set_id = excluded.change_set_id
$$;

-- Publish as the session's login, or say why not.
CREATE OR REPLACE FUNCTION gridsvc.publish_shown(it gridsvc.change_set) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    done record;
    listed text;
    count integer;
BEGIN
    IF gridsvc.planner_role() <> 'chief' AND NOT EXISTS (
        SELECT FROM gridsvc.planner AS p
        WHERE p.login = session_user AND p.publishes AND it.author = session_user
    ) THEN
        PERFORM gridsvc.refuse(
            format('%s 无权发布 %s', session_user, it.name),
            format('%s may not publish "%s"', session_user, it.name),
            '请先检查（操作：检查），再请总规划员发布 / '
            'Check it (action: check), then ask a chief planner to publish it');
    END IF;
    SELECT * INTO done FROM gridsvc.publish(it.id, false, false);
    IF done.refusal IS NULL THEN
        DELETE FROM gridsvc.problem AS p WHERE p.change_set_id = it.id;
        PERFORM pg_notify('qgis', 'problems');
        RETURN done.revision;
    END IF;
    SELECT string_agg(f.kind || ': ' || f.message, E'\n'), max(f.n)
    INTO listed, count
    FROM (SELECT f.*, count(*) OVER () AS n
          FROM unnest(done.findings) AS f WHERE f.stops LIMIT 10) AS f;
    CASE done.refusal
        WHEN 'closed' THEN
            PERFORM gridsvc.refuse(
                format('变更集 %s 已关闭', it.name), format('the change set "%s" is closed', it.name),
                '请新建变更集 / Open a new one');
        WHEN 'conflict' THEN
            PERFORM gridsvc.refuse(
                format('与他人已发布的修改冲突（%s 处）', count),
                format('others changed the same (%s conflict%s)', count,
                       CASE WHEN count = 1 THEN '' ELSE 's' END),
                '请在“本次修改”中删除这些行，再更新到最新版本（操作：rebase），然后重新修改 / '
                'Take your edits of these back (delete their rows in the table of proposals), '
                'rebase (action: rebase), and make them again on the newest state', listed);
        WHEN 'empty' THEN
            PERFORM gridsvc.refuse(
                format('变更集 %s 没有任何修改', it.name),
                format('the change set "%s" proposes nothing', it.name),
                '请先修改，或撤回该变更集 / Edit something, or withdraw it');
        ELSE
            PERFORM gridsvc.refuse(
                format('有 %s 个问题阻止发布', count), CASE WHEN count = 1 THEN '1 problem stops it'
                    ELSE format('%s problems stop it', count) END,
                '操作“检查”会在地图上显示全部问题；改正后再发布 / '
                'Action check shows all of them on the map; mend them and publish again',
                listed || CASE WHEN count > 10 THEN E'\n…' ELSE '' END);
    END CASE;
    RETURN NULL;
END
$$;

-- INSTEAD OF trigger of edit.change_set.
CREATE OR REPLACE FUNCTION gridsvc.edit_change_set() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = gridsvc, public, pg_temp AS $$
DECLARE
    zone CONSTANT text := gridsvc.city_zone();
    role CONSTANT text := coalesce(gridsvc.planner_role(), 'viewer');
    it gridsvc.change_set;
    undo gridsvc.change_set;
BEGIN
    IF role = 'viewer' THEN
        PERFORM gridsvc.refuse(
            format('%s 只能查看', session_user), format('%s may only look', session_user),
            '请管理员授予规划员权限：gridsvc planner add NAME --streets … / '
            'Ask for the rights of a planner: gridsvc planner add NAME --streets …');
    END IF;
    IF TG_OP = 'INSERT' THEN
        IF coalesce(btrim(NEW.name), '') = '' THEN
            PERFORM gridsvc.refuse(
                '变更集没有名称', 'a change set needs a name',
                '请写明用途，如：朝外新建小区 / Say what it is for, such as: Chaowai new housing estate');
        END IF;
        IF EXISTS (SELECT FROM gridsvc.change_set AS c
                   WHERE c.name = btrim(NEW.name) AND c.state IN ('open', 'checked')) THEN
            PERFORM gridsvc.refuse(
                format('已有名为 %s 的变更集', btrim(NEW.name)),
                format('a change set "%s" is open already', btrim(NEW.name)),
                '请换一个名称，或显示那个变更集（操作：显示） / Give it another name, or show that one (action: show)');
        END IF;
        INSERT INTO gridsvc.change_set (name, note, base_revision, takes_effect_at)
        VALUES (btrim(NEW.name), coalesce(NEW.note, ''), gridsvc.draft_base(NULL),
                coalesce(NEW.takes_effect_at AT TIME ZONE zone, now()))
        RETURNING * INTO it;
        PERFORM gridsvc.show_change_set(it.id);
        NEW.id := it.id;
        PERFORM pg_notify('qgis', 'problems');
        RETURN NEW;
    ELSIF TG_OP = 'DELETE' THEN
        PERFORM gridsvc.refuse(
            '变更集不能删除', 'a change set is not deleted: it is kept for the record',
            '请撤回（操作：撤回） / Withdraw it (action: withdraw)');
    END IF;

    IF (NEW.id, NEW.state, NEW.author, NEW.base_revision, NEW.revision)
        IS DISTINCT FROM (OLD.id, OLD.state, OLD.author, OLD.base_revision, OLD.revision) THEN
        PERFORM gridsvc.refuse(
            '状态、作者和版本不能直接填写', 'state, author and revisions are not written by hand',
            '请使用操作一栏：检查、发布、撤回等 / Write an action: check, publish, withdraw …');
    END IF;
    IF NEW.action IN ('publish', 'rollback') THEN
        -- In the same order as every other publisher, or two could wait for each other.
        PERFORM gridsvc.lock_publishing();
    END IF;
    SELECT c.* INTO it FROM gridsvc.change_set AS c WHERE c.id = OLD.id FOR NO KEY UPDATE;
    IF (NEW.name, NEW.note, NEW.takes_effect_at)
        IS DISTINCT FROM (OLD.name, OLD.note, OLD.takes_effect_at)
       OR NEW.action IN ('check', 'rebase', 'withdraw', 'publish')
    THEN
        IF it.author <> session_user AND role <> 'chief' THEN
            PERFORM gridsvc.refuse(
                format('变更集 %s 属于 %s', it.name, it.author),
                format('the change set "%s" belongs to %s', it.name, it.author),
                '请联系其作者或总规划员 / Ask its author or a chief planner');
        ELSIF it.state NOT IN ('open', 'checked') THEN
            PERFORM gridsvc.refuse(
                format('变更集 %s 已关闭', it.name),
                format('the change set "%s" is %s already', it.name, it.state),
                '请新建变更集 / Open a new one');
        END IF;
    END IF;
    IF NEW.takes_effect_at IS DISTINCT FROM OLD.takes_effect_at
       AND EXISTS (SELECT FROM gridsvc.area_edit AS e WHERE e.change_set_id = it.id) THEN
        PERFORM gridsvc.refuse(
            '已有修改，不能再改生效时间', 'its edits rest on the instant at which it takes effect',
            '请先撤销其中的修改，或新建变更集 / Take its edits back first, or open another change set');
    END IF;
    UPDATE gridsvc.change_set AS c
    SET name = coalesce(nullif(btrim(NEW.name), ''), c.name), note = coalesce(NEW.note, ''),
        takes_effect_at = CASE WHEN NEW.takes_effect_at IS DISTINCT FROM OLD.takes_effect_at
            THEN coalesce(NEW.takes_effect_at AT TIME ZONE zone, c.takes_effect_at)
            ELSE c.takes_effect_at END
    WHERE c.id = it.id
      AND (NEW.name, NEW.note, NEW.takes_effect_at)
          IS DISTINCT FROM (OLD.name, OLD.note, OLD.takes_effect_at);
    CASE coalesce(NEW.action, '')
        WHEN '' THEN NULL;
        WHEN 'show' THEN
            PERFORM gridsvc.show_change_set(
                CASE WHEN it.state IN ('open', 'checked') THEN it.id END);
            PERFORM pg_notify('qgis', 'problems');
        WHEN 'rebase' THEN
            IF NOT gridsvc.rebase(it.id) THEN
                PERFORM gridsvc.refuse(
                    '与他人已发布的修改冲突', 'others changed the same',
                    '请在“本次修改”中删除这些行，再更新到最新版本 / '
                    'Take your edits of these back (delete their rows in the table of proposals), '
                    'then rebase again',
                    (SELECT string_agg(f.message, E'\n') FROM gridsvc.find_conflicts(it.id) AS f));
            END IF;
            PERFORM gridsvc.refresh_problems(it.id);
        WHEN 'check' THEN
            PERFORM gridsvc.rebase(it.id);
            PERFORM gridsvc.refresh_problems(it.id);
            UPDATE gridsvc.change_set AS c
            SET state = CASE WHEN EXISTS (SELECT FROM gridsvc.problem AS p
                                          WHERE p.change_set_id = it.id AND p.stops)
                               OR EXISTS (SELECT FROM gridsvc.find_conflicts(it.id))
                        THEN 'open' ELSE 'checked' END
            WHERE c.id = it.id;
        WHEN 'preview' THEN
            PERFORM gridsvc.preview_impact(it.id);
            PERFORM pg_notify('qgis', 'problems');
        WHEN 'publish' THEN
            PERFORM gridsvc.publish_shown(it);
        WHEN 'withdraw' THEN
            UPDATE gridsvc.change_set AS c SET state = 'withdrawn', closed_at = now()
            WHERE c.id = it.id;
            DELETE FROM gridsvc.problem AS p WHERE p.change_set_id = it.id;
            PERFORM pg_notify('qgis', 'problems');
        WHEN 'rollback' THEN
            -- It undoes what others published too: the right to publish one's own is not enough.
            IF role <> 'chief' THEN
                PERFORM gridsvc.refuse(
                    format('%s 无权回退版本', session_user),
                    format('%s may not roll back', session_user), '请总规划员操作 / Ask a chief planner');
            END IF;
            IF OLD.revision IS NULL OR OLD.revision >= gridsvc.draft_base(NULL) THEN
                PERFORM gridsvc.refuse(
                    '只能回到更早的版本', 'only an earlier revision can be gone back to',
                    '请选择最新版本之前发布的变更集 / '
                    'Choose the row of a change set that was published before the newest');
            END IF;
            INSERT INTO gridsvc.change_set (name, note, base_revision)
            VALUES ('rollback-to-' || OLD.revision, 'back to revision ' || OLD.revision,
                    gridsvc.draft_base(NULL))
            RETURNING * INTO undo;
            PERFORM gridsvc.propose_rollback(undo.id, OLD.revision);
            PERFORM gridsvc.publish_shown(undo);
        ELSE
            PERFORM gridsvc.refuse(
                format('没有名为 %s 的操作', NEW.action), format('there is no action "%s"', NEW.action),
                '可用操作：show、check、preview、rebase、publish、withdraw、rollback / '
                'Use show, check, preview, rebase, publish, withdraw or rollback');
    END CASE;
    NEW.action := NULL;
    RETURN NEW;
END
$$;
