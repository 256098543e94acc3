-- Turn the rows of a file into a change set's edits of one layer.
--   the work table `incoming` (code, name, boundary and, of what is drawn as a line, centre_line
--   in the storage CRS and width_m), one row a code
--   :change_set  id
--   :layer       code of the layer
--   :valid_from  instant from which the file's state holds
--   :part        whether the file is only a part: areas that it lacks stay
--   :left_out    codes of rows that cannot be used: their areas stay too
-- A version that ends early is replaced by its shortened copy; one that has not begun by
-- :valid_from is replaced by nothing.
DELETE FROM gridsvc.area_edit AS e
WHERE e.change_set_id = :change_set AND e.layer = :layer
  AND (NOT :part OR e.code IN (SELECT code FROM pg_temp.incoming));
CREATE TEMPORARY TABLE difference ON COMMIT DROP AS
WITH live AS (
    SELECT a.* FROM gridsvc.area AS a
    WHERE a.layer = :layer AND a.rev_to IS NULL
      AND (a.valid_to IS NULL OR a.valid_to > :valid_from)
)
SELECT coalesce(i.code, a.code) AS code, a.id, a.valid_from < :valid_from AS has_begun,
       CASE
           WHEN a.id IS NULL THEN 'added'
           WHEN i.code IS NULL THEN 'closed'
           WHEN a.valid_to IS NULL AND a.valid_from <= :valid_from
                AND a.name IS NOT DISTINCT FROM i.name
                AND (a.boundary = i.boundary OR ST_Equals(a.boundary, i.boundary))
                AND a.centre_line IS NOT DISTINCT FROM i.centre_line
                AND a.width_m IS NOT DISTINCT FROM i.width_m
           THEN 'unchanged'
           ELSE 'changed'
       END AS change
FROM live AS a
FULL JOIN pg_temp.incoming AS i ON i.code = a.code
WHERE i.code IS NOT NULL OR NOT (:part OR a.code = ANY(CAST(:left_out AS text[])));
INSERT INTO gridsvc.area_edit
    (change_set_id, replaces, layer, code, name, boundary, centre_line, width_m, valid_from,
     valid_to)
SELECT :change_set, a.id, a.layer, a.code, a.name,
       CASE WHEN d.has_begun THEN a.boundary END,
       CASE WHEN d.has_begun THEN a.centre_line END,
       CASE WHEN d.has_begun THEN a.width_m END,
       CASE WHEN d.has_begun THEN a.valid_from END,
       CASE WHEN d.has_begun THEN :valid_from END
FROM pg_temp.difference AS d JOIN gridsvc.area AS a ON a.id = d.id
WHERE d.change IN ('changed', 'closed');
-- `origin`: QGIS shows the new version in the place of the old one.
INSERT INTO gridsvc.area_edit
    (change_set_id, origin, layer, code, name, boundary, centre_line, width_m, valid_from)
SELECT DISTINCT ON (i.code) :change_set, d.id, :layer, i.code, i.name, i.boundary, i.centre_line,
       i.width_m, :valid_from
FROM pg_temp.difference AS d JOIN pg_temp.incoming AS i ON i.code = d.code
WHERE d.change IN ('changed', 'added')
ORDER BY i.code, d.id
