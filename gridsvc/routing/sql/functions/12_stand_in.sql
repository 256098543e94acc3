-- Who stands in for a lead who is off, by the scheme's rules.

-- The length of the edge that two areas share, metres. Neighbours are drawn node by node and
-- snapped to the millimetre, so a node on the other's slanted edge lies a hair off it: within
-- 5 mm, the width up to which the checks let a sliver pass, edges count as one. Of the
-- neighbours among Boston's precincts one pair in twenty would share over a metre less.
CREATE OR REPLACE FUNCTION gridsvc.shared_edge_m(a geometry, b geometry) RETURNS double precision
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    reach_m CONSTANT double precision := 0.005;
    -- What they share lies in the box of both. Snapping compares every node with every other, so
    -- the rest of long boundaries is cut off first, well outside.
    box CONSTANT box2d := ST_Expand(ST_Intersection(
        ST_Expand(ST_Envelope(a), reach_m), ST_Expand(ST_Envelope(b), reach_m)), 1.0)::box2d;
    ours geometry := ST_ClipByBox2D(ST_Boundary(a), box);
    theirs geometry := ST_ClipByBox2D(ST_Boundary(b), box);
BEGIN
    -- Each takes over the nodes of the other, so that what they share is the same lines.
    theirs := ST_Snap(theirs, ours, reach_m);
    ours := ST_Snap(ours, theirs, reach_m);
    RETURN ST_Length(ST_Intersection(ours, theirs));
END
$$;

-- The neighbours of an area: those of its layer, in a revision, that share more than a millimetre
-- of edge with it at some instant. Leans on area_boundary_idx.
--   area_id  version of an area
-- The longest shared edge comes first, then the lowest code; rounded, because equal edges may
-- differ in the last bit.
CREATE OR REPLACE FUNCTION gridsvc.neighbours(area_id bigint, revision integer)
RETURNS TABLE (
    area gridsvc.covered_area, valid_from timestamptz, valid_to timestamptz,
    shared_m double precision
)
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 10 AS $$
BEGIN
    RETURN QUERY
    WITH near AS MATERIALIZED (
        SELECT b.*, a.boundary AS own
        FROM gridsvc.area AS a
        JOIN gridsvc.area AS b
          ON b.layer = a.layer AND b.boundary && ST_Expand(a.boundary, 0.005) AND b.code <> a.code
        WHERE a.id = neighbours.area_id
          AND b.rev_from <= neighbours.revision
          AND (b.rev_to IS NULL OR neighbours.revision < b.rev_to)
          AND tstzrange(a.valid_from, a.valid_to) && tstzrange(b.valid_from, b.valid_to)
    ), sharing AS MATERIALIZED (
        SELECT n.*, gridsvc.shared_edge_m(n.own, n.boundary) AS shared_m FROM near AS n
    )
    SELECT ROW(l.code, l.position, l.kind, s.id, s.code, s.name)::gridsvc.covered_area,
           s.valid_from, s.valid_to, s.shared_m
    FROM sharing AS s JOIN gridsvc.layer AS l ON l.code = s.layer
    WHERE s.shared_m > 0.001
    ORDER BY round(s.shared_m::numeric, 3) DESC, s.code COLLATE "C";
END
$$;

-- Who stands in on an area on which nobody who leads is on duty. No row where nobody is assigned
-- to lead there, where the scheme names no stand-in for the duty, or where all are off.
--   as in gridsvc.holder; scheme_id names the rules
-- It stands in for the lead whose shift it is, else for one of another shift.
CREATE OR REPLACE FUNCTION gridsvc.relief(
    area gridsvc.covered_area, duty text, category text,
    revision integer, at timestamptz, minute integer, scheme_id integer,
    OUT held gridsvc.assignment, OUT stand_in gridsvc.standing_in
) RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1 AS $$
DECLARE
    away record;
    kind text;
    pair gridsvc.covered_area;
BEGIN
    SELECT (a.held).party_code, CASE WHEN a.is_absent THEN 'absent' ELSE 'off_shift' END AS why
    INTO away
    FROM gridsvc.assigned(area, duty, 1, category, revision, at, minute) AS a
    ORDER BY a.is_on_shift DESC, length((a.held).category) DESC NULLS LAST,
             (a.held).party_code COLLATE "C"
    LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    FOR kind IN
        SELECT r.by FROM gridsvc.stand_in_rule AS r
        WHERE r.scheme_id = relief.scheme_id AND r.duty = relief.duty ORDER BY r.position
    LOOP
        stand_in := ROW(away.party_code, away.why, kind, NULL)::gridsvc.standing_in;
        IF kind = 'assistant' THEN
            SELECT s.* INTO held
            FROM gridsvc.holder(area, duty, 2, category, revision, at, minute) AS s;
            IF FOUND THEN
                RETURN NEXT;
                RETURN;
            END IF;
            CONTINUE;
        END IF;
        FOR pair IN
            SELECT (n.area).* FROM gridsvc.neighbours(area.area_id, revision) AS n
            WHERE n.valid_from <= at AND (n.valid_to IS NULL OR at < n.valid_to)
        LOOP
            FOR rank IN 1..2 LOOP
                SELECT s.* INTO held
                FROM gridsvc.holder(pair, duty, rank, category, revision, at, minute) AS s;
                IF FOUND THEN
                    stand_in.source := pair;
                    RETURN NEXT;
                    RETURN;
                END IF;
            END LOOP;
        END LOOP;
    END LOOP;
END
$$;

-- Who looks after one area: the lead on duty, else a stand-in; no row where nobody does.
CREATE OR REPLACE FUNCTION gridsvc.looked_after(
    area gridsvc.covered_area, duty text, category text,
    revision integer, at timestamptz, minute integer, scheme_id integer,
    OUT held gridsvc.assignment, OUT stand_in gridsvc.standing_in
) RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1 AS $$
BEGIN
    SELECT s.* INTO held FROM gridsvc.holder(area, duty, 1, category, revision, at, minute) AS s;
    IF FOUND THEN
        RETURN NEXT;
    ELSE
        RETURN QUERY SELECT s.held, s.stand_in FROM gridsvc.relief(
            area, duty, category, revision, at, minute, scheme_id) AS s;
    END IF;
END
$$;

-- The assistant of whoever leads: the other of the pair, which is a neighbour's where that stands
-- in; nobody where an assistant leads.
CREATE OR REPLACE FUNCTION gridsvc.assistant(
    area gridsvc.covered_area, lead gridsvc.assignment, stand_in gridsvc.standing_in,
    category text, revision integer, at timestamptz, minute integer
) RETURNS SETOF gridsvc.assignment
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1 AS $$
    SELECT s.*
    FROM gridsvc.holder(
        CASE WHEN (stand_in).by = 'neighbour' THEN (stand_in).source ELSE area END,
        (lead).duty, 2, category, revision, at, minute) AS s
    WHERE (lead).rank = 1
$$;
