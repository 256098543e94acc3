-- What an import of components does, from its work table `component_difference`.
-- Columns: change (added, changed, unchanged), number.
SELECT change, count(*) AS number FROM pg_temp.component_difference GROUP BY change
