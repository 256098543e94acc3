-- Parties as anyone may see them.
--   %(revision)s  number of the newest revision that may have named them
--   %(since)s     only those that a revision after this one named anew; 0 gives all
-- Columns: code, kind, name and phone, masked. A party has no versions: its newest name holds.
-- ANY, so that the key of parties is used.
SELECT p.code, p.kind, gridsvc.masked_name(p.name, p.kind), gridsvc.masked_phone(p.phone)
FROM gridsvc.party AS p
WHERE %(since)s = 0 OR p.code = ANY(ARRAY(
    SELECT e.code FROM gridsvc.revision AS v
    JOIN gridsvc.party_edit AS e ON e.change_set_id = v.change_set_id
    WHERE %(since)s < v.number AND v.number <= %(revision)s))
ORDER BY p.code COLLATE "C"
