-- Which areas cover each of many points: functions/11_covering.sql for a whole batch.
--   asked      temporary table: n, point (storage CRS, with a GiST index), revision, at
--   %(first)s, %(last)s  lowest and highest revision asked
-- One row of two arrays: n and area id of each pair; a pair comes once for each piece that
-- holds the point. Null where there is none.
--
-- The pieces drive and look up the points in the points' index, because then each piece is
-- unpacked once, not once a point; OFFSET 0 and MATERIALIZED keep the planner, which knows
-- nothing of the temporary table, from turning it round.
WITH live AS MATERIALIZED (
    SELECT a.id, p.piece, ST_Expand(p.piece, 0.001) AS reach, ST_Boundary(p.piece) AS rim,
           a.boundary, a.rev_from, a.rev_to, a.valid_from, a.valid_to
    FROM gridsvc.area_piece AS p
    JOIN gridsvc.area AS a ON a.id = p.area_id
    WHERE a.rev_from <= %(last)s AND (a.rev_to IS NULL OR %(first)s < a.rev_to)
)
SELECT array_agg(asked.n), array_agg(a.id)
FROM live AS a
CROSS JOIN LATERAL (
    SELECT q.n, q.point, q.revision, q.at FROM asked AS q WHERE q.point && a.reach OFFSET 0
) AS asked
WHERE a.rev_from <= asked.revision AND (a.rev_to IS NULL OR asked.revision < a.rev_to)
  AND a.valid_from <= asked.at AND (a.valid_to IS NULL OR asked.at < a.valid_to)
  AND ST_DWithin(a.piece, asked.point, 0.001)
  AND CASE
          WHEN ST_DWithin(a.rim, asked.point, 0.001)
          THEN ST_Relate(a.boundary, asked.point, '******FF*')
          ELSE true
      END
