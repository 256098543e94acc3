-- Versions that a change set replaces and that are no longer live.
--   :change_set  id
-- Columns: what, revision, author, published_at of the revision that replaced each.
SELECT l.what, r.number AS revision, r.author, r.published_at
FROM (
    SELECT a.layer || ' ' || a.code AS what, a.rev_to
    FROM gridsvc.area_edit AS e JOIN gridsvc.area AS a ON a.id = e.replaces
    WHERE e.change_set_id = :change_set AND a.rev_to IS NOT NULL
    UNION ALL
    SELECT s.duty || ' of ' || s.layer || ' ' || s.area_code, s.rev_to
    FROM gridsvc.assignment_edit AS e JOIN gridsvc.assignment AS s ON s.id = e.replaces
    WHERE e.change_set_id = :change_set AND s.rev_to IS NOT NULL
) AS l
JOIN gridsvc.revision AS r ON r.number = l.rev_to
ORDER BY l.what
