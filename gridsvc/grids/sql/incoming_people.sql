-- Work tables for the rows of a file of people, shaped like the tables they are bound for.
CREATE TEMPORARY TABLE incoming_party ON COMMIT DROP AS
SELECT code, name, kind, phone FROM gridsvc.party LIMIT 0;
CREATE TEMPORARY TABLE incoming_assignment ON COMMIT DROP AS
SELECT 0 AS line, party_code, layer, area_code, duty, role, rank, category, hours, valid_from,
       valid_to
FROM gridsvc.assignment LIMIT 0
