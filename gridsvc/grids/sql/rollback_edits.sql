-- Fill a change set with what turns the live state back into that of an earlier revision.
--   :change_set  id of an empty change set
--   :revision    the revision to go back to
INSERT INTO gridsvc.area_edit
    (change_set_id, replaces, layer, code, name, boundary, valid_from, valid_to)
SELECT :change_set, a.id, a.layer, a.code, NULL, NULL, NULL, NULL
FROM gridsvc.area AS a
WHERE a.rev_to IS NULL AND a.rev_from > :revision
UNION ALL
SELECT :change_set, NULL, a.layer, a.code, a.name, a.boundary, a.valid_from, a.valid_to
FROM gridsvc.area AS a
WHERE a.rev_from <= :revision AND :revision < a.rev_to;
INSERT INTO gridsvc.assignment_edit
    (change_set_id, replaces, party_code, layer, area_code, duty, role, rank, category, hours,
     valid_from, valid_to)
SELECT :change_set, s.id, NULL, s.layer, s.area_code, s.duty, NULL, NULL, NULL, NULL, NULL, NULL
FROM gridsvc.assignment AS s
WHERE s.rev_to IS NULL AND s.rev_from > :revision
UNION ALL
SELECT :change_set, NULL, s.party_code, s.layer, s.area_code, s.duty, s.role, s.rank, s.category,
       s.hours, s.valid_from, s.valid_to
FROM gridsvc.assignment AS s
WHERE s.rev_from <= :revision AND :revision < s.rev_to;
INSERT INTO gridsvc.absence_edit
    (change_set_id, replaces, party_code, valid_from, valid_to, reason)
SELECT :change_set, b.id, NULL, NULL, NULL, NULL
FROM gridsvc.absence AS b
WHERE b.rev_to IS NULL AND b.rev_from > :revision
UNION ALL
SELECT :change_set, NULL, b.party_code, b.valid_from, b.valid_to, b.reason
FROM gridsvc.absence AS b
WHERE b.rev_from <= :revision AND :revision < b.rev_to;
INSERT INTO gridsvc.component_edit
    (change_set_id, replaces, code, category, owner, point, valid_from, valid_to)
SELECT :change_set, c.id, c.code, NULL, NULL, NULL, NULL, NULL
FROM gridsvc.component AS c
WHERE c.rev_to IS NULL AND c.rev_from > :revision
UNION ALL
SELECT :change_set, NULL, c.code, c.category, c.owner, c.point, c.valid_from, c.valid_to
FROM gridsvc.component AS c
WHERE c.rev_from <= :revision AND :revision < c.rev_to
