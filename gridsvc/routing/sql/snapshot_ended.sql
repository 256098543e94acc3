-- What an earlier revision held and a later one does not.
--   %(since)s     number of the earlier
--   %(revision)s  number of the later
-- Columns: what ('area', 'assignment', 'absence', 'component'), id. Leans on area_rev_to_idx and the
-- like.
SELECT 'area' AS what, a.id FROM gridsvc.area AS a
WHERE a.rev_from <= %(since)s AND %(since)s < a.rev_to AND a.rev_to <= %(revision)s
UNION ALL
SELECT 'assignment', s.id FROM gridsvc.assignment AS s
WHERE s.rev_from <= %(since)s AND %(since)s < s.rev_to AND s.rev_to <= %(revision)s
UNION ALL
SELECT 'absence', b.id FROM gridsvc.absence AS b
WHERE b.rev_from <= %(since)s AND %(since)s < b.rev_to AND b.rev_to <= %(revision)s
UNION ALL
SELECT 'component', c.id FROM gridsvc.component AS c
WHERE c.rev_from <= %(since)s AND %(since)s < c.rev_to AND c.rev_to <= %(revision)s
