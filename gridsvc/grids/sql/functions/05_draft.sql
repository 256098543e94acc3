-- The state that publishing a change set would leave: the versions of the revision it rests on,
-- less those it replaces, plus those it proposes. Change set null: the live state.

-- The revision on which a change set rests; for null the newest; 0 before the first.
CREATE OR REPLACE FUNCTION gridsvc.draft_base(change_set integer) RETURNS integer
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(
        (SELECT c.base_revision FROM gridsvc.change_set AS c WHERE c.id = change_set),
        (SELECT max(number) FROM gridsvc.revision), 0)
$$;

-- The instant at which a draft is judged and shown: now, or the last instant at which a version
-- that it proposes begins or ends, if that is later. An end that a version had already, for
-- another follows it, is none that the change set proposes.
CREATE OR REPLACE FUNCTION gridsvc.draft_instant(change_set integer) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT greatest(
        now(),
        (SELECT max(greatest(e.valid_from, CASE WHEN e.valid_to > now() AND NOT EXISTS (
                        SELECT FROM gridsvc.area AS a
                        WHERE a.id = coalesce(e.origin, e.replaces) AND a.valid_to = e.valid_to)
                    THEN e.valid_to END))
         FROM gridsvc.area_edit AS e
         WHERE e.change_set_id = change_set))
$$;

-- The instants, none before now, from which ground may be held otherwise than it was judged when
-- it was published: those of the draft's own versions and of those that they replace, and the later
-- ones of what stands there.
CREATE OR REPLACE FUNCTION gridsvc.draft_instants(change_set integer) RETURNS timestamptz[]
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH own AS MATERIALIZED (
        SELECT e.valid_from AS begins, e.valid_to AS ends, e.boundary FROM gridsvc.area_edit AS e
        -- What is only ended stood before as it stands in the draft.
        WHERE e.change_set_id = change_set AND e.boundary IS NOT NULL
          AND (e.replaces IS NULL OR e.origin IS NOT NULL)
        UNION ALL
        SELECT e.valid_to, a.valid_to, a.boundary
        FROM gridsvc.area_edit AS e JOIN gridsvc.area AS a ON a.id = e.replaces
        WHERE e.change_set_id = change_set AND e.boundary IS NOT NULL AND e.origin IS NULL
        UNION ALL
        SELECT a.valid_from, a.valid_to, a.boundary
        FROM gridsvc.area_edit AS e JOIN gridsvc.area AS a ON a.id = e.replaces
        WHERE e.change_set_id = change_set AND e.boundary IS NULL
    ), later AS (
        SELECT a.valid_from, a.valid_to
        FROM gridsvc.area AS a
        WHERE (a.valid_from > now() OR a.valid_to > now())
          AND a.rev_from <= (SELECT gridsvc.draft_base(change_set))
          AND (a.rev_to IS NULL OR (SELECT gridsvc.draft_base(change_set)) < a.rev_to)
          AND EXISTS (SELECT FROM own AS o WHERE o.boundary && a.boundary)
    ), instant AS (
        SELECT greatest(now(), begins) AS at FROM own WHERE begins IS NOT NULL
        UNION SELECT ends FROM own
        UNION SELECT valid_from FROM later
        UNION SELECT valid_to FROM later
        UNION SELECT gridsvc.draft_instant(change_set)
    )
    SELECT array_agg(i.at ORDER BY i.at) FROM instant AS i
    WHERE i.at >= coalesce((SELECT greatest(now(), min(o.begins)) FROM own AS o), now())
$$;

-- Areas of the draft at an instant. `version` is the id of an area, or less than zero that of an
-- edit. Written so that PostgreSQL inlines it, and so finds areas of a box by area_boundary_idx.
DROP FUNCTION IF EXISTS gridsvc.draft_area(integer, timestamptz);
CREATE FUNCTION gridsvc.draft_area(change_set integer, at timestamptz)
RETURNS TABLE (layer text, code text, name text, boundary geometry, version bigint)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT a.layer, a.code, a.name, a.boundary, a.id
    FROM gridsvc.area AS a
    WHERE a.rev_from <= (SELECT gridsvc.draft_base(change_set))
      AND (a.rev_to IS NULL OR (SELECT gridsvc.draft_base(change_set)) < a.rev_to)
      AND a.valid_from <= at AND (a.valid_to IS NULL OR at < a.valid_to)
      AND NOT EXISTS (SELECT FROM gridsvc.area_edit AS e
                      WHERE e.change_set_id = change_set AND e.replaces = a.id)
    UNION ALL
    SELECT e.layer, e.code, e.name, e.boundary, -e.id
    FROM gridsvc.area_edit AS e
    WHERE e.change_set_id = change_set AND e.boundary IS NOT NULL
      AND e.valid_from <= at AND (e.valid_to IS NULL OR at < e.valid_to)
$$;

-- The same for the areas of a layer that meet a box. Its own function, as the box may come from
-- another table: PostgreSQL pushes such a condition into a union only where it stands inside.
CREATE OR REPLACE FUNCTION gridsvc.draft_area_near(
    change_set integer, at timestamptz, layer text, box geometry
) RETURNS TABLE (layer text, code text, name text, boundary geometry, version bigint)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10 AS $$
    SELECT a.layer, a.code, a.name, a.boundary, a.id
    FROM gridsvc.area AS a
    WHERE a.layer = draft_area_near.layer AND a.boundary && box
      AND a.rev_from <= (SELECT gridsvc.draft_base(change_set))
      AND (a.rev_to IS NULL OR (SELECT gridsvc.draft_base(change_set)) < a.rev_to)
      AND a.valid_from <= at AND (a.valid_to IS NULL OR at < a.valid_to)
      AND NOT EXISTS (SELECT FROM gridsvc.area_edit AS e
                      WHERE e.change_set_id = change_set AND e.replaces = a.id)
    UNION ALL
    SELECT e.layer, e.code, e.name, e.boundary, -e.id
    FROM gridsvc.area_edit AS e
    WHERE e.layer = draft_area_near.layer AND e.boundary && box
      AND e.change_set_id = change_set
      AND e.valid_from <= at AND (e.valid_to IS NULL OR at < e.valid_to)
$$;

-- The same for one area over all periods, by its code.
DROP FUNCTION IF EXISTS gridsvc.drafted_area(integer, text, text);
CREATE FUNCTION gridsvc.drafted_area(change_set integer, layer text, code text)
RETURNS TABLE (valid_from timestamptz, valid_to timestamptz, name text, boundary geometry)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1 AS $$
    SELECT a.valid_from, a.valid_to, a.name, a.boundary
    FROM gridsvc.area AS a
    WHERE a.layer = drafted_area.layer AND a.code = drafted_area.code
      AND a.rev_from <= (SELECT gridsvc.draft_base(change_set))
      AND (a.rev_to IS NULL OR (SELECT gridsvc.draft_base(change_set)) < a.rev_to)
      AND NOT EXISTS (SELECT FROM gridsvc.area_edit AS e
                      WHERE e.change_set_id = change_set AND e.replaces = a.id)
    UNION ALL
    SELECT e.valid_from, e.valid_to, e.name, e.boundary
    FROM gridsvc.area_edit AS e
    WHERE e.change_set_id = change_set AND e.boundary IS NOT NULL
      AND e.layer = drafted_area.layer AND e.code = drafted_area.code
$$;

-- All periods, not one instant: who holds what and when. `proposed` tells what is new; `version`
-- is as in draft_area.
DROP FUNCTION IF EXISTS gridsvc.draft_assignment(integer);
CREATE FUNCTION gridsvc.draft_assignment(change_set integer)
RETURNS TABLE (
    proposed boolean, party_code text, layer text, area_code text, duty text, role text,
    rank smallint, category text, hours int4multirange, valid_from timestamptz,
    valid_to timestamptz, version bigint
)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT false, s.party_code, s.layer, s.area_code, s.duty, s.role, s.rank, s.category,
           s.hours, s.valid_from, s.valid_to, s.id
    FROM gridsvc.assignment AS s
    WHERE s.rev_from <= (SELECT gridsvc.draft_base(change_set))
      AND (s.rev_to IS NULL OR (SELECT gridsvc.draft_base(change_set)) < s.rev_to)
      AND NOT EXISTS (SELECT FROM gridsvc.assignment_edit AS e
                      WHERE e.change_set_id = change_set AND e.replaces = s.id)
    UNION ALL
    SELECT true, e.party_code, e.layer, e.area_code, e.duty, e.role, e.rank, e.category,
           e.hours, e.valid_from, e.valid_to, -e.id
    FROM gridsvc.assignment_edit AS e
    WHERE e.change_set_id = change_set AND e.party_code IS NOT NULL
$$;

-- The same for what is held on one area.
CREATE OR REPLACE FUNCTION gridsvc.drafted_assignment(change_set integer, layer text, area_code text)
RETURNS TABLE (
    proposed boolean, party_code text, layer text, area_code text, duty text, role text,
    rank smallint, category text, hours int4multirange, valid_from timestamptz,
    valid_to timestamptz, version bigint
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 5 AS $$
    SELECT false, s.party_code, s.layer, s.area_code, s.duty, s.role, s.rank, s.category,
           s.hours, s.valid_from, s.valid_to, s.id
    FROM gridsvc.assignment AS s
    WHERE s.layer = drafted_assignment.layer AND s.area_code = drafted_assignment.area_code
      AND s.rev_from <= (SELECT gridsvc.draft_base(change_set))
      AND (s.rev_to IS NULL OR (SELECT gridsvc.draft_base(change_set)) < s.rev_to)
      AND NOT EXISTS (SELECT FROM gridsvc.assignment_edit AS e
                      WHERE e.change_set_id = change_set AND e.replaces = s.id)
    UNION ALL
    SELECT true, e.party_code, e.layer, e.area_code, e.duty, e.role, e.rank, e.category,
           e.hours, e.valid_from, e.valid_to, -e.id
    FROM gridsvc.assignment_edit AS e
    WHERE e.change_set_id = change_set AND e.party_code IS NOT NULL
      AND e.layer = drafted_assignment.layer AND e.area_code = drafted_assignment.area_code
$$;

-- A digest of a party as it is; null where there is none. Parties have no versions: by this a change
-- set knows whether somebody changed the party since.
CREATE OR REPLACE FUNCTION gridsvc.party_digest(party_code text) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT md5(concat_ws(chr(31), p.name, p.kind, p.phone)) FROM gridsvc.party AS p
    WHERE p.code = party_code
$$;
