-- Who would hold what, as a work table with an index: the checks look each area's holders up.
--   :change_set  id
CREATE TEMPORARY TABLE drafted_assignment ON COMMIT DROP AS
SELECT row_number() OVER (ORDER BY d.valid_from, d.party_code) AS row_number, d.*
FROM gridsvc.draft_assignment(:change_set) AS d;
CREATE INDEX ON pg_temp.drafted_assignment (layer, area_code);
ANALYZE pg_temp.drafted_assignment
