-- Turn the rows of a file of components into a change set's edits.
--   the work table `incoming_component`, points in the storage CRS
--   :change_set  id
--   :srid        of the storage CRS
--   :valid_from  instant from which the file's state holds
-- A component that differs from the live one of its code replaces it from then on: what has begun
-- ends there, what has not is taken back. What the change set proposed before for the same codes
-- is replaced. A millimetre is the same place.
DELETE FROM gridsvc.component_edit AS e
USING pg_temp.incoming_component AS i
WHERE e.change_set_id = :change_set AND e.code = i.code;
CREATE TEMPORARY TABLE component_difference ON COMMIT DROP AS
SELECT i.code, i.category, i.owner, p.point, c.id AS replaces,
       c.category AS had_category, c.owner AS had_owner, c.point AS had_point,
       c.valid_from AS had_from,
       CASE WHEN c.id IS NULL THEN 'added'
            WHEN (c.category, c.owner, c.valid_to) IS NOT DISTINCT FROM (i.category, i.owner, NULL)
                 AND ST_DWithin(c.point, p.point, 0.001)
            THEN 'unchanged' ELSE 'changed' END AS change
FROM pg_temp.incoming_component AS i
CROSS JOIN LATERAL (
    SELECT ST_SetSRID(ST_MakePoint(i.x, i.y), CAST(:srid AS integer)) AS point) AS p
LEFT JOIN LATERAL (
    SELECT c.* FROM gridsvc.component AS c
    WHERE c.code = i.code AND c.rev_to IS NULL
      AND (c.valid_to IS NULL OR c.valid_to > :valid_from)
    ORDER BY c.valid_from DESC LIMIT 1
) AS c ON true;
INSERT INTO gridsvc.component_edit
    (change_set_id, replaces, code, category, owner, point, valid_from, valid_to)
SELECT :change_set, d.replaces, d.code, d.had_category, d.had_owner, d.had_point, d.had_from,
       CAST(:valid_from AS timestamptz)
FROM pg_temp.component_difference AS d
WHERE d.change = 'changed' AND d.had_from < :valid_from;
INSERT INTO gridsvc.component_edit
    (change_set_id, replaces, code, category, owner, point, valid_from)
SELECT :change_set, CASE WHEN d.had_from >= :valid_from THEN d.replaces END, d.code, d.category,
       d.owner, d.point, :valid_from
FROM pg_temp.component_difference AS d
WHERE d.change <> 'unchanged'
