-- Cases as columns, for whoever counts them: those with a place, each piece of work once.
--   from_at, to_at  opened in [from_at, to_at); null is from the first, to the last
-- Columns: id, x, y (metres in the storage CRS), opened_at, closed_at (ISO 8601, UTC; null while
-- open), category, responsible (party code). In order of opening. Bound by the driver, which is what
-- COPY takes. Leans on case_opened_at_idx for a window; all cases are read in one pass.
SELECT
    id, ST_X(point) AS x, ST_Y(point) AS y,
    opened_at AT TIME ZONE 'UTC' AS opened_at, closed_at AT TIME ZONE 'UTC' AS closed_at,
    category, responsible
FROM gridsvc.case
WHERE point IS NOT NULL AND merged_into IS NULL
    AND (%(from_at)s::timestamptz IS NULL OR opened_at >= %(from_at)s)
    AND (%(to_at)s::timestamptz IS NULL OR opened_at < %(to_at)s)
ORDER BY opened_at, id
