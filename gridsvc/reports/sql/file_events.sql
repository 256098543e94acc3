-- How reports came to belong to cases: an event of a case's log and a membership for each.
--   :rows  JSON array of the columns below; a membership begins with its event
WITH told AS MATERIALIZED (
    SELECT t.*
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS t (
        case_id bigint, number integer, kind text, at timestamptz, actor text, details jsonb,
        state text, report_id uuid, is_first boolean, distance_m float8)
), happened AS (
    INSERT INTO gridsvc.case_event (case_id, number, kind, at, actor, details, state)
    SELECT case_id, number, kind, at, actor, details, state FROM told
)
INSERT INTO gridsvc.case_report (report_id, case_id, is_first, joined_at, distance_m)
SELECT report_id, case_id, is_first, at, distance_m FROM told
