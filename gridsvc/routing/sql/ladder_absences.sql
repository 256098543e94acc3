-- All absences of a revision.
--   :revision  number
SELECT b.party_code, b.valid_from, b.valid_to
FROM gridsvc.absence AS b
WHERE b.rev_from <= :revision AND (b.rev_to IS NULL OR :revision < b.rev_to)
