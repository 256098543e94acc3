-- Rows of a file of absences whose party neither is there nor is proposed with them.
--   the work table `incoming_absence`
--   :change_set  id
-- Columns: line, party_code.
SELECT i.line, i.party_code
FROM pg_temp.incoming_absence AS i
WHERE NOT EXISTS (SELECT FROM gridsvc.party AS p WHERE p.code = i.party_code)
  AND NOT EXISTS (SELECT FROM gridsvc.party_edit AS e
                  WHERE e.change_set_id = :change_set AND e.code = i.party_code)
ORDER BY i.line
