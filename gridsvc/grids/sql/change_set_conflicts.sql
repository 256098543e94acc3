-- Versions that a change set replaces and that are no longer live, and live ones that stand where
-- it adds an area or a component of the same code, or an absence of the same party and beginning.
--   :change_set  id
-- Columns: what, revision, author, published_at of the revision that replaced or made each.
SELECT l.what, r.number AS revision, r.author, r.published_at
FROM (
    SELECT a.layer || ' ' || a.code AS what, a.rev_to
    FROM gridsvc.area_edit AS e JOIN gridsvc.area AS a ON a.id = e.replaces
    WHERE e.change_set_id = :change_set AND a.rev_to IS NOT NULL
    UNION
    SELECT a.layer || ' ' || a.code, a.rev_from
    FROM gridsvc.area_edit AS e
    JOIN gridsvc.area AS a ON a.layer = e.layer AND a.code = e.code AND a.rev_to IS NULL
     AND tstzrange(a.valid_from, a.valid_to) && tstzrange(e.valid_from, e.valid_to)
    WHERE e.change_set_id = :change_set AND e.boundary IS NOT NULL
      AND NOT EXISTS (SELECT FROM gridsvc.area_edit AS r
                      WHERE r.change_set_id = :change_set AND r.replaces = a.id)
    UNION
    SELECT s.duty || ' of ' || s.layer || ' ' || s.area_code, s.rev_to
    FROM gridsvc.assignment_edit AS e JOIN gridsvc.assignment AS s ON s.id = e.replaces
    WHERE e.change_set_id = :change_set AND s.rev_to IS NOT NULL
    UNION
    SELECT 'absence of ' || b.party_code, b.rev_to
    FROM gridsvc.absence_edit AS e JOIN gridsvc.absence AS b ON b.id = e.replaces
    WHERE e.change_set_id = :change_set AND b.rev_to IS NOT NULL
    UNION
    SELECT 'absence of ' || b.party_code, b.rev_from
    FROM gridsvc.absence_edit AS e
    JOIN gridsvc.absence AS b ON b.party_code = e.party_code AND b.valid_from = e.valid_from
     AND b.rev_to IS NULL
    WHERE e.change_set_id = :change_set
      AND NOT EXISTS (SELECT FROM gridsvc.absence_edit AS r
                      WHERE r.change_set_id = :change_set AND r.replaces = b.id)
    UNION
    SELECT 'component ' || c.code, c.rev_to
    FROM gridsvc.component_edit AS e JOIN gridsvc.component AS c ON c.id = e.replaces
    WHERE e.change_set_id = :change_set AND c.rev_to IS NOT NULL
    UNION
    SELECT 'component ' || c.code, c.rev_from
    FROM gridsvc.component_edit AS e
    JOIN gridsvc.component AS c ON c.code = e.code AND c.rev_to IS NULL
     AND tstzrange(c.valid_from, c.valid_to) && tstzrange(e.valid_from, e.valid_to)
    WHERE e.change_set_id = :change_set AND e.point IS NOT NULL
      AND NOT EXISTS (SELECT FROM gridsvc.component_edit AS r
                      WHERE r.change_set_id = :change_set AND r.replaces = c.id)
) AS l (what, revision)
JOIN gridsvc.revision AS r ON r.number = l.revision
ORDER BY l.what
