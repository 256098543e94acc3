-- Open cases that some reports may be one more of, oldest first.
--   :rows  JSON array: category, point ([x, y] in the storage CRS), within_m (metres),
--          since (opened at or after this instant)
--   :srid  of the storage CRS
-- Columns: id, category, x, y (storage CRS), opened_at. A little more than within reach: who joins
-- decides. Leans on case_open_point_idx.
SELECT DISTINCT c.opened_at, c.id, c.category, ST_X(c.point) AS x, ST_Y(c.point) AS y
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS t (
    category text, point float8[], within_m float8, since timestamptz)
JOIN gridsvc.case AS c
  ON c.category = t.category
 AND c.point && ST_Expand(
        ST_SetSRID(ST_Point(t.point[1], t.point[2]), :srid), t.within_m + 0.001)
WHERE c.closed_at IS NULL AND c.merged_into IS NULL AND c.state <> 'not_ours'
  AND c.opened_at >= t.since
ORDER BY c.opened_at, c.id
