-- Carry a change set's edits of parties, of what they hold and own, and of absences into the live
-- state.
--   :change_set  id
--   :revision    the revision it becomes
INSERT INTO gridsvc.party (code, name, kind, phone)
SELECT code, name, kind, phone FROM gridsvc.party_edit WHERE change_set_id = :change_set
ON CONFLICT (code) DO UPDATE
SET name = excluded.name, kind = excluded.kind, phone = excluded.phone;
UPDATE gridsvc.assignment AS s SET rev_to = :revision
FROM gridsvc.assignment_edit AS e
WHERE e.change_set_id = :change_set AND e.replaces = s.id AND s.rev_to IS NULL;
INSERT INTO gridsvc.assignment
    (party_code, layer, area_code, duty, role, rank, category, hours, valid_from, valid_to,
     rev_from)
SELECT party_code, layer, area_code, duty, role, rank, category, hours, valid_from, valid_to,
       :revision
FROM gridsvc.assignment_edit
WHERE change_set_id = :change_set AND party_code IS NOT NULL;
UPDATE gridsvc.absence AS b SET rev_to = :revision
FROM gridsvc.absence_edit AS e
WHERE e.change_set_id = :change_set AND e.replaces = b.id AND b.rev_to IS NULL;
INSERT INTO gridsvc.absence (party_code, valid_from, valid_to, reason, rev_from)
SELECT party_code, valid_from, valid_to, reason, :revision
FROM gridsvc.absence_edit
WHERE change_set_id = :change_set AND party_code IS NOT NULL;
UPDATE gridsvc.component AS c SET rev_to = :revision
FROM gridsvc.component_edit AS e
WHERE e.change_set_id = :change_set AND e.replaces = c.id AND c.rev_to IS NULL;
INSERT INTO gridsvc.component (code, category, owner, point, valid_from, valid_to, rev_from)
SELECT code, category, owner, point, valid_from, valid_to, :revision
FROM gridsvc.component_edit
WHERE change_set_id = :change_set AND point IS NOT NULL
