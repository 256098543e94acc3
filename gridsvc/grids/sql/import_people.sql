-- Turn the rows of a file of people into a change set's edits.
--   the work tables `incoming_party` and `incoming_assignment`
--   :change_set  id
-- A row without a start matches the live one that still holds, or that ends when the row does,
-- whenever it began; a new one begins now.
-- What the same change set proposed before for the same party, and for the same
-- area, duty, rank and party, is replaced.
CREATE TEMPORARY TABLE party_difference ON COMMIT DROP AS
SELECT i.*, CASE
    WHEN p.code IS NULL THEN 'added'
    WHEN (p.name, p.kind, p.phone) IS NOT DISTINCT FROM (i.name, i.kind, i.phone) THEN 'unchanged'
    ELSE 'changed' END AS change
FROM pg_temp.incoming_party AS i LEFT JOIN gridsvc.party AS p ON p.code = i.code;
DELETE FROM gridsvc.party_edit AS e
USING pg_temp.incoming_party AS i
WHERE e.change_set_id = :change_set AND e.code = i.code;
INSERT INTO gridsvc.party_edit (change_set_id, code, name, kind, phone, was)
SELECT :change_set, code, name, kind, phone, gridsvc.party_digest(code)
FROM pg_temp.party_difference
WHERE change <> 'unchanged';
DELETE FROM gridsvc.assignment_edit AS e
USING pg_temp.incoming_assignment AS i
WHERE e.change_set_id = :change_set AND e.layer = i.layer AND e.area_code = i.area_code
  AND e.duty = i.duty AND e.rank = i.rank AND e.party_code = i.party_code;
CREATE TEMPORARY TABLE assignment_difference ON COMMIT DROP AS
SELECT i.*, s.id AS replaces, s.valid_from AS began, CASE
    WHEN s.id IS NULL THEN 'added'
    WHEN s.role = i.role AND s.valid_to IS NOT DISTINCT FROM i.valid_to THEN 'unchanged'
    ELSE 'changed' END AS change
FROM pg_temp.incoming_assignment AS i
LEFT JOIN LATERAL (
    SELECT s.* FROM gridsvc.assignment AS s
    WHERE s.rev_to IS NULL AND s.party_code = i.party_code AND s.layer = i.layer
      AND s.area_code = i.area_code AND s.duty = i.duty AND s.rank = i.rank
      AND s.category IS NOT DISTINCT FROM i.category AND s.hours = i.hours
      AND CASE WHEN i.valid_from IS NOT NULL THEN s.valid_from = i.valid_from
               ELSE s.valid_to IS NULL OR s.valid_to > now() OR s.valid_to = i.valid_to END
    ORDER BY s.valid_from DESC LIMIT 1
) AS s ON true;
INSERT INTO gridsvc.assignment_edit
    (change_set_id, replaces, party_code, layer, area_code, duty, role, rank, category, hours,
     valid_from, valid_to)
SELECT :change_set, replaces, party_code, layer, area_code, duty, role, rank, category, hours,
       coalesce(valid_from, began, now()), valid_to
FROM pg_temp.assignment_difference
WHERE change <> 'unchanged'
