-- Work table for the rows of a file of absences, shaped like the table they are bound for.
CREATE TEMPORARY TABLE incoming_absence ON COMMIT DROP AS
SELECT 0 AS line, party_code, valid_from, valid_to, reason FROM gridsvc.absence LIMIT 0
