-- Who is assigned to a duty, at a rank, on one area, and who of them is on duty: the one place
-- that says what being on duty means. Leans on assignment_area_idx and absence_party_idx.
--   category  class code of the question, or null: then only general assignments count
--   minute    minute of the local week of `at`
-- Written so that PostgreSQL inlines it: called for each rung, it would be planned each time.
CREATE OR REPLACE FUNCTION gridsvc.assigned(
    area gridsvc.covered_area, duty text, rank integer, category text,
    revision integer, at timestamptz, minute integer
) RETURNS TABLE (held gridsvc.assignment, is_on_shift boolean, is_absent boolean)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1 AS $$
    SELECT s, s.hours @> minute,
           EXISTS (SELECT FROM gridsvc.absence AS b
                   WHERE b.party_code = s.party_code
                     AND b.rev_from <= revision AND (b.rev_to IS NULL OR revision < b.rev_to)
                     AND b.valid_from <= at AND (b.valid_to IS NULL OR at < b.valid_to))
    FROM gridsvc.assignment AS s
    WHERE s.layer = area.layer AND s.area_code = area.code
      AND s.duty = assigned.duty AND s.rank = assigned.rank
      AND (s.category IS NULL OR starts_with(assigned.category, s.category))
      AND s.rev_from <= revision AND (s.rev_to IS NULL OR revision < s.rev_to)
      AND s.valid_from <= at AND (s.valid_to IS NULL OR at < s.valid_to)
$$;

-- Who holds a duty, at a rank, on one area: of those on duty the one with the longest matching
-- category prefix, else the general one; null where nobody does. Inlined too.
CREATE OR REPLACE FUNCTION gridsvc.holder(
    area gridsvc.covered_area, duty text, rank integer, category text,
    revision integer, at timestamptz, minute integer
) RETURNS SETOF gridsvc.assignment
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1 AS $$
    SELECT (a.held).*
    FROM gridsvc.assigned(area, duty, rank, category, revision, at, minute) AS a
    WHERE a.is_on_shift AND NOT a.is_absent
    ORDER BY length((a.held).category) DESC NULLS LAST
    LIMIT 1
$$;
