-- Open cases that some reports may be one more of, oldest first.
--   Arrays of one length: :categories :eastings :northings (storage CRS) :within_m (metres)
--   :since (opened at or after this instant)
--   :srid  of the storage CRS
-- Columns: id, category, x, y (storage CRS), opened_at. A little more than within reach: who joins
-- decides. Leans on case_open_point_idx.
SELECT DISTINCT c.opened_at, c.id, c.category, ST_X(c.point) AS x, ST_Y(c.point) AS y
FROM unnest(
    CAST(:categories AS text[]), CAST(:eastings AS float8[]), CAST(:northings AS float8[]),
    CAST(:within_m AS float8[]), CAST(:since AS timestamptz[])
) AS t (category, easting, northing, within_m, since)
JOIN gridsvc.case AS c
  ON c.category = t.category
 AND c.point && ST_Expand(ST_SetSRID(ST_Point(t.easting, t.northing), :srid), t.within_m + 0.001)
WHERE c.closed_at IS NULL AND c.merged_into IS NULL AND c.state <> 'not_ours'
  AND c.opened_at >= t.since
ORDER BY c.opened_at, c.id
