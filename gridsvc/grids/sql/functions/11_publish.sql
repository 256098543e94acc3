-- How a change set becomes a revision, whole or not at all.

-- One publisher at a time, until the transaction ends: what is checked is what is published.
-- Under REPEATABLE READ the snapshot would be older than the lock and let two overlapping
-- publishes through (measured), so any other isolation is refused.
CREATE OR REPLACE FUNCTION gridsvc.lock_publishing() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'publishing needs READ COMMITTED, not %',
            upper(current_setting('transaction_isolation'))
            USING HINT = 'Publish in a transaction of the default isolation';
    END IF;
    PERFORM pg_advisory_xact_lock(x'707562'::integer);  -- "pub"
END
$$;

-- Move the base of a change set up to the newest revision, unless what it replaces was changed.
-- Gives whether the base is the newest one now.
CREATE OR REPLACE FUNCTION gridsvc.rebase(change_set integer) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM gridsvc.find_conflicts(change_set)) THEN
        RETURN false;
    END IF;
    UPDATE gridsvc.change_set AS c SET base_revision = gridsvc.draft_base(NULL)
    WHERE c.id = change_set AND c.base_revision <> gridsvc.draft_base(NULL);
    RETURN true;
END
$$;

-- Whether a change set proposes anything.
CREATE OR REPLACE FUNCTION gridsvc.proposes_anything(change_set integer) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM gridsvc.area_edit WHERE change_set_id = change_set)
        OR EXISTS (SELECT FROM gridsvc.assignment_edit WHERE change_set_id = change_set)
        OR EXISTS (SELECT FROM gridsvc.party_edit WHERE change_set_id = change_set)
        OR EXISTS (SELECT FROM gridsvc.absence_edit WHERE change_set_id = change_set)
        OR EXISTS (SELECT FROM gridsvc.component_edit WHERE change_set_id = change_set)
$$;

-- Number and time a change set's revision.
--   is_history  whether it may answer for instants before its publication
-- A revision answers from its publication on, so that an as-of question gives what the service
-- would have said then. Only while the history of a new service is loaded (no revision has
-- answered from its publication yet) may one answer from the earliest instant that it describes;
-- what describes nothing older than itself, or goes back to an earlier state, is no history.
CREATE OR REPLACE FUNCTION gridsvc.new_revision(change_set integer, is_history boolean)
RETURNS integer
LANGUAGE sql AS $$
    WITH last AS (
        SELECT max(number) AS number, max(effective_at) AS effective_at,
               coalesce(bool_or(effective_at = published_at), false) AS is_live
        FROM gridsvc.revision
    ), earliest AS (
        SELECT min(e.valid_from) AS at FROM (
            SELECT valid_from FROM gridsvc.area_edit WHERE change_set_id = change_set
            UNION ALL
            SELECT valid_from FROM gridsvc.assignment_edit WHERE change_set_id = change_set
            UNION ALL
            SELECT valid_from FROM gridsvc.absence_edit WHERE change_set_id = change_set
            UNION ALL
            SELECT valid_from FROM gridsvc.component_edit WHERE change_set_id = change_set
        ) AS e
    ), clock AS (
        SELECT clock_timestamp() AS now
    )
    INSERT INTO gridsvc.revision
        (number, published_at, effective_at, scheme_id, change_set_id, author, note)
    SELECT coalesce(last.number, 0) + 1, clock.now,
           CASE WHEN last.is_live OR NOT is_history OR earliest.at >= c.created_at THEN clock.now
                ELSE greatest(last.effective_at, least(clock.now, earliest.at)) END,
           (SELECT max(id) FROM gridsvc.scheme), c.id, c.author, c.note
    FROM last, earliest, clock, gridsvc.change_set AS c
    WHERE c.id = change_set
    RETURNING number
$$;

-- Carry a change set's edits into the versions of a revision: areas with the pieces that points
-- are asked of, parties, what they hold and own, absences.
CREATE OR REPLACE FUNCTION gridsvc.apply_change_set(change_set integer, revision integer)
RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE gridsvc.area AS a SET rev_to = revision
    FROM gridsvc.area_edit AS e
    WHERE e.change_set_id = change_set AND e.replaces = a.id AND a.rev_to IS NULL;
    INSERT INTO gridsvc.area
        (layer, code, name, boundary, centre_line, width_m, valid_from, valid_to, rev_from)
    SELECT e.layer, e.code, e.name, e.boundary, e.centre_line, e.width_m, e.valid_from, e.valid_to,
           revision
    FROM gridsvc.area_edit AS e
    WHERE e.change_set_id = change_set AND e.boundary IS NOT NULL
    ORDER BY e.layer, ST_GeoHash(ST_Transform(ST_Centroid(e.boundary), 4326));
    INSERT INTO gridsvc.area_piece (area_id, piece)
    SELECT a.id, part.geom
    FROM gridsvc.area AS a
    CROSS JOIN LATERAL ST_Subdivide(a.boundary, 128) AS cut
    CROSS JOIN LATERAL ST_Dump(cut) AS part
    WHERE a.rev_from = revision;
    INSERT INTO gridsvc.party (code, name, kind, phone)
    SELECT e.code, e.name, e.kind, e.phone FROM gridsvc.party_edit AS e
    WHERE e.change_set_id = change_set
    ON CONFLICT (code) DO UPDATE
    SET name = excluded.name, kind = excluded.kind, phone = excluded.phone;
    UPDATE gridsvc.assignment AS s SET rev_to = revision
    FROM gridsvc.assignment_edit AS e
    WHERE e.change_set_id = change_set AND e.replaces = s.id AND s.rev_to IS NULL;
    INSERT INTO gridsvc.assignment
        (party_code, layer, area_code, duty, role, rank, category, hours, valid_from, valid_to,
         rev_from)
    SELECT e.party_code, e.layer, e.area_code, e.duty, e.role, e.rank, e.category, e.hours,
           e.valid_from, e.valid_to, revision
    FROM gridsvc.assignment_edit AS e
    WHERE e.change_set_id = change_set AND e.party_code IS NOT NULL
    ORDER BY e.id;
    UPDATE gridsvc.absence AS b SET rev_to = revision
    FROM gridsvc.absence_edit AS e
    WHERE e.change_set_id = change_set AND e.replaces = b.id AND b.rev_to IS NULL;
    INSERT INTO gridsvc.absence (party_code, valid_from, valid_to, reason, rev_from)
    SELECT e.party_code, e.valid_from, e.valid_to, e.reason, revision
    FROM gridsvc.absence_edit AS e
    WHERE e.change_set_id = change_set AND e.party_code IS NOT NULL
    ORDER BY e.id;
    UPDATE gridsvc.component AS c SET rev_to = revision
    FROM gridsvc.component_edit AS e
    WHERE e.change_set_id = change_set AND e.replaces = c.id AND c.rev_to IS NULL;
    INSERT INTO gridsvc.component (code, category, owner, point, valid_from, valid_to, rev_from)
    SELECT e.code, e.category, e.owner, e.point, e.valid_from, e.valid_to, revision
    FROM gridsvc.component_edit AS e
    WHERE e.change_set_id = change_set AND e.point IS NOT NULL
    ORDER BY e.id;
END
$$;

-- Write down which areas of a revision took over ground of areas that it ended or cut: the halves
-- of a split, what a merge joined. A border that merely moves leaves no trace here.
CREATE OR REPLACE FUNCTION gridsvc.record_lineage(revision integer) RETURNS void
LANGUAGE sql AS $$
    WITH had AS (
        SELECT a.layer, a.code, a.boundary,
               NOT EXISTS (SELECT FROM gridsvc.area AS n
                           WHERE n.layer = a.layer AND n.code = a.code AND n.rev_to IS NULL
                             AND n.valid_to IS NULL) AS has_ended
        FROM gridsvc.area AS a
        WHERE a.rev_to = record_lineage.revision
    ), has AS (
        SELECT a.layer, a.code, a.boundary,
               NOT EXISTS (SELECT FROM gridsvc.area AS o
                           WHERE o.layer = a.layer AND o.code = a.code
                             AND o.rev_from < record_lineage.revision) AS is_new
        FROM gridsvc.area AS a
        WHERE a.rev_from = record_lineage.revision AND a.valid_to IS NULL
    )
    INSERT INTO gridsvc.area_lineage (revision, layer, ancestor, code, shared_m2)
    SELECT record_lineage.revision, o.layer, o.code, n.code, sum(w.area_m2)
    FROM had AS o
    JOIN has AS n ON n.layer = o.layer AND n.code <> o.code AND n.boundary && o.boundary
    CROSS JOIN LATERAL gridsvc.wide_parts(ST_Intersection(o.boundary, n.boundary)) AS w
    WHERE (o.has_ended OR n.is_new)
      AND EXISTS (SELECT FROM gridsvc.layer AS l WHERE l.code = o.layer AND l.kind = 'tiling')
    GROUP BY o.layer, o.code, n.code
$$;

-- Make a change set the live state.
--   is_history  as gridsvc.new_revision
--   is_checked  whether this transaction has just checked it and found nothing that stops it
-- Gives the revision's number, or why it was refused ('closed', 'conflict', 'findings', 'empty')
-- and the findings: those that stopped it, or those that did not. Nothing is raised, so that the
-- caller can say it all; a refusal leaves all as it was but for the base, which may have moved up.
CREATE OR REPLACE FUNCTION gridsvc.publish(
    change_set integer, is_history boolean, is_checked boolean,
    OUT revision integer, OUT refusal text, OUT findings gridsvc.finding[]
)
LANGUAGE plpgsql AS $$
DECLARE
    it gridsvc.change_set;
    newest integer;
BEGIN
    PERFORM gridsvc.lock_publishing();
    SELECT c.* INTO it FROM gridsvc.change_set AS c WHERE c.id = change_set FOR UPDATE;
    findings := '{}';
    IF it.state NOT IN ('open', 'checked') THEN
        refusal := 'closed';
        RETURN;
    END IF;
    findings := ARRAY(SELECT f FROM gridsvc.find_conflicts(change_set) AS f);
    IF cardinality(findings) > 0 THEN
        refusal := 'conflict';
        RETURN;
    END IF;
    newest := gridsvc.draft_base(NULL);
    IF NOT is_checked OR it.base_revision <> newest THEN
        UPDATE gridsvc.change_set AS c SET base_revision = newest
        WHERE c.id = change_set AND c.base_revision <> newest;
        findings := ARRAY(
            SELECT ROW(f.*)::gridsvc.finding
            FROM (SELECT * FROM gridsvc.find_problems(change_set)
                  UNION ALL SELECT * FROM gridsvc.recorded_findings(change_set)) AS f
            ORDER BY NOT f.stops);
        IF EXISTS (SELECT FROM unnest(findings) AS f WHERE f.stops) THEN
            refusal := 'findings';
            RETURN;
        END IF;
    END IF;
    IF NOT gridsvc.proposes_anything(change_set) THEN
        refusal := 'empty';
        RETURN;
    END IF;
    revision := gridsvc.new_revision(change_set, is_history);
    PERFORM gridsvc.apply_change_set(change_set, revision);
    PERFORM gridsvc.record_lineage(revision);
    UPDATE gridsvc.change_set AS c SET state = 'published', closed_at = now() WHERE c.id = change_set;
    PERFORM pg_notify('gridsvc_revision', revision::text);
END
$$;

-- Fill an empty change set with what turns the live state back into that of an earlier revision.
CREATE OR REPLACE FUNCTION gridsvc.propose_rollback(change_set integer, revision integer)
RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO gridsvc.area_edit
        (change_set_id, replaces, layer, code, name, boundary, centre_line, width_m, valid_from,
         valid_to)
    SELECT change_set, a.id, a.layer, a.code, NULL, NULL, NULL, NULL, NULL, NULL
    FROM gridsvc.area AS a
    WHERE a.rev_to IS NULL AND a.rev_from > revision
    UNION ALL
    SELECT change_set, NULL, a.layer, a.code, a.name, a.boundary, a.centre_line, a.width_m,
           a.valid_from, a.valid_to
    FROM gridsvc.area AS a
    WHERE a.rev_from <= revision AND revision < a.rev_to;
    INSERT INTO gridsvc.assignment_edit
        (change_set_id, replaces, party_code, layer, area_code, duty, role, rank, category, hours,
         valid_from, valid_to)
    SELECT change_set, s.id, NULL, s.layer, s.area_code, s.duty, NULL, NULL, NULL, NULL, NULL, NULL
    FROM gridsvc.assignment AS s
    WHERE s.rev_to IS NULL AND s.rev_from > revision
    UNION ALL
    SELECT change_set, NULL, s.party_code, s.layer, s.area_code, s.duty, s.role, s.rank,
           s.category, s.hours, s.valid_from, s.valid_to
    FROM gridsvc.assignment AS s
    WHERE s.rev_from <= revision AND revision < s.rev_to;
    INSERT INTO gridsvc.absence_edit
        (change_set_id, replaces, party_code, valid_from, valid_to, reason)
    SELECT change_set, b.id, NULL, NULL, NULL, NULL
    FROM gridsvc.absence AS b
    WHERE b.rev_to IS NULL AND b.rev_from > revision
    UNION ALL
    SELECT change_set, NULL, b.party_code, b.valid_from, b.valid_to, b.reason
    FROM gridsvc.absence AS b
    WHERE b.rev_from <= revision AND revision < b.rev_to;
    INSERT INTO gridsvc.component_edit
        (change_set_id, replaces, code, category, owner, point, valid_from, valid_to)
    SELECT change_set, c.id, c.code, NULL, NULL, NULL, NULL, NULL
    FROM gridsvc.component AS c
    WHERE c.rev_to IS NULL AND c.rev_from > revision
    UNION ALL
    SELECT change_set, NULL, c.code, c.category, c.owner, c.point, c.valid_from, c.valid_to
    FROM gridsvc.component AS c
    WHERE c.rev_from <= revision AND revision < c.rev_to;
END
$$;
