-- What the reports of one reporter have come to.
--   :reporter  hash of the source and its token
-- Columns: reports, accepted (of them, those whose case proved true), first and joined (cases that
-- proved true and that the reporter was the first to report, or reported later; each counts once).
-- A case proved true once it is verified, and stays so closed; reopened it has to be verified again.
-- Leans on report_reporter_hash_idx, case_report_pkey, case_pkey and case_event_pkey.
WITH filed AS (
    SELECT c.id, b.is_first
    FROM gridsvc.report AS r
    LEFT JOIN gridsvc.case_report AS b ON b.report_id = r.id
    LEFT JOIN gridsvc.case AS c
        ON c.id = b.case_id
        AND c.state IN ('verified', 'closed')
        AND EXISTS (
            SELECT FROM gridsvc.case_event AS e WHERE e.case_id = c.id AND e.kind = 'verified')
    WHERE r.reporter_hash = :reporter
)
SELECT
    count(*) AS reports,
    count(id) AS accepted,
    count(DISTINCT id) FILTER (WHERE is_first) AS first,
    count(DISTINCT id) - count(DISTINCT id) FILTER (WHERE is_first) AS joined
FROM filed
