-- Who holds a duty, at a rank, on one area: the assignment with the longest matching category
-- prefix, else the general one; null where nobody does. Leans on assignment_area_idx.
--   category  class code of the question, or null: then only general assignments count
--   minute    minute of the local week of `at`
-- Written so that PostgreSQL inlines it: called for each rung, it would be planned each time.
CREATE OR REPLACE FUNCTION gridsvc.holder(
    area gridsvc.covered_area, duty text, rank integer, category text,
    revision integer, at timestamptz, minute integer
) RETURNS SETOF gridsvc.assignment
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1 AS $$
    SELECT s.*
    FROM gridsvc.assignment AS s
    WHERE s.layer = area.layer AND s.area_code = area.code
      AND s.duty = holder.duty AND s.rank = holder.rank
      AND (s.category IS NULL OR starts_with(holder.category, s.category))
      AND s.hours @> minute
      AND s.rev_from <= revision AND (s.rev_to IS NULL OR revision < s.rev_to)
      AND s.valid_from <= at AND (s.valid_to IS NULL OR at < s.valid_to)
    ORDER BY length(s.category) DESC NULLS LAST
    LIMIT 1
$$;
