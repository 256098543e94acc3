-- The neighbours of areas in a revision (functions/12_stand_in.sql), the longest shared edge first.
--   :revision  number
--   :layers, :codes  the areas, in arrays of one length
-- Columns: area_id (version of the area); near_id (version), layer, code, valid_from, valid_to of the
-- neighbour.
SELECT a.id AS area_id, (n.area).area_id AS near_id, (n.area).layer, (n.area).code, n.valid_from,
       n.valid_to
FROM unnest(CAST(:layers AS text[]), CAST(:codes AS text[])) AS asked (layer, code)
JOIN gridsvc.area AS a ON a.layer = asked.layer AND a.code = asked.code
CROSS JOIN LATERAL gridsvc.neighbours(a.id, CAST(:revision AS integer))
    WITH ORDINALITY AS n (area, valid_from, valid_to, shared_m, place)
WHERE a.rev_from <= :revision AND (a.rev_to IS NULL OR :revision < a.rev_to)
ORDER BY a.id, n.place
