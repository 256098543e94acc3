-- The draft state as a work table with indexes: checks read it many times, and without an index
-- their joins grow with the square of the areas.
--   :change_set  id, or null for the live state
--   :at          instant to judge
CREATE TEMPORARY TABLE draft ON COMMIT DROP AS
SELECT layer, code COLLATE "C" AS code, name, boundary
FROM gridsvc.draft_area(:change_set, :at)
