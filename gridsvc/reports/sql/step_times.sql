-- How long each party had cases on each step of the chain, of cases opened in a period.
--   :starts, :ends  instants, half-open
-- Columns: party, step, cases, climbed (how often it went on to a higher step), median_h and p90_h
-- (elapsed hours until it was handled, returned, suspended, left or climbed; of those that were).
-- Leans on case_opened_at_idx and case_event_pkey.
WITH told AS (
    SELECT e.case_id, e.number, e.kind, e.at, e.to_party, e.state,
           CAST(e.details ->> 'step' AS integer) AS step,
           lead(e.at) OVER following AS ends_at, lead(e.kind) OVER following AS ends_by
    FROM gridsvc.case AS c
    JOIN gridsvc.case_event AS e ON e.case_id = c.id
    WHERE c.opened_at >= :starts AND c.opened_at < :ends
      -- What does not take a case from its holder does not end a stay.
      AND e.kind NOT IN ('joined', 'parted', 'merged', 'no_effect')
      -- Above the last step there is nobody to climb to; a hard case may have no tier to go to.
      AND (e.kind NOT IN ('escalated', 'declared_hard') OR e.to_party IS NOT NULL)
    WINDOW following AS (PARTITION BY e.case_id ORDER BY e.number)
)
SELECT t.to_party AS party, t.step, count(*) AS cases,
       count(*) FILTER (WHERE t.ends_by = 'escalated') AS climbed,
       percentile_cont(0.5) WITHIN GROUP (
           ORDER BY extract(epoch FROM t.ends_at - t.at) / 3600) AS median_h,
       percentile_cont(0.9) WITHIN GROUP (
           ORDER BY extract(epoch FROM t.ends_at - t.at) / 3600) AS p90_h
FROM told AS t
WHERE t.kind IN ('dispatched', 'escalated') AND t.to_party IS NOT NULL AND t.step IS NOT NULL
GROUP BY t.to_party, t.step
ORDER BY t.step, t.to_party COLLATE "C"
