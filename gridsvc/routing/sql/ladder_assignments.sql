-- All assignments of a revision.
--   :revision  number
-- Columns: those of an assignment, and from_the_first: whether it began by the first instant
-- for which the revision answers.
SELECT s.layer, s.area_code, s.duty, s.rank, s.party_code, s.role, s.category, s.hours,
       s.valid_from, s.valid_to, s.valid_from <= v.effective_at AS from_the_first
FROM gridsvc.revision AS v
JOIN gridsvc.assignment AS s
     ON s.rev_from <= v.number AND (s.rev_to IS NULL OR v.number < s.rev_to)
WHERE v.number = :revision
