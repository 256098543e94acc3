-- How far up the chain the cases went that were opened in a period.
--   :starts, :ends  instants, half-open
-- Columns: step (the highest that a case reached; 0 was never dispatched), cases.
SELECT coalesce(top.step, 0) AS step, count(*) AS cases
FROM gridsvc.case AS c
LEFT JOIN LATERAL (
    SELECT max(CAST(e.details ->> 'step' AS integer)) AS step
    FROM gridsvc.case_event AS e
    WHERE e.case_id = c.id AND e.kind IN ('dispatched', 'escalated')
) AS top ON true
WHERE c.opened_at >= :starts AND c.opened_at < :ends AND c.state <> 'merged'
GROUP BY 1
ORDER BY 1
