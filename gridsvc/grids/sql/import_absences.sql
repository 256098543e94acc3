-- Turn the rows of a file of absences into a change set's edits.
--   the work table `incoming_absence`
--   :change_set  id
-- A row matches the live absence of its party that begins when it does. What the same change set
-- proposed before for the same party and beginning is replaced.
DELETE FROM gridsvc.absence_edit AS e
USING pg_temp.incoming_absence AS i
WHERE e.change_set_id = :change_set AND e.party_code = i.party_code AND e.valid_from = i.valid_from;
CREATE TEMPORARY TABLE absence_difference ON COMMIT DROP AS
SELECT i.*, b.id AS replaces, CASE
    WHEN b.id IS NULL THEN 'added'
    WHEN (b.valid_to, b.reason) IS NOT DISTINCT FROM (i.valid_to, i.reason) THEN 'unchanged'
    ELSE 'changed' END AS change
FROM pg_temp.incoming_absence AS i
LEFT JOIN gridsvc.absence AS b
  ON b.rev_to IS NULL AND b.party_code = i.party_code AND b.valid_from = i.valid_from;
INSERT INTO gridsvc.absence_edit
    (change_set_id, replaces, party_code, valid_from, valid_to, reason)
SELECT :change_set, replaces, party_code, valid_from, valid_to, reason
FROM pg_temp.absence_difference
WHERE change <> 'unchanged'
