-- What is the newest that the cases know: anything derived from them before is out of date.
-- Columns: newest_case (id), newest_change (when one last changed its state); null without cases.
-- A date in the future, as a wrong clock or a file leaves it, would hide all changes until then.
-- Leans on the primary key and on case_state_since_idx: two steps, however many cases.
SELECT
    (SELECT max(id) FROM gridsvc.case) AS newest_case,
    (SELECT max(state_since) FROM gridsvc.case WHERE state_since <= now()) AS newest_change
