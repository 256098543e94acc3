-- How reports came to belong to cases: an event of a case's log and a membership for each.
--   Arrays of one length: :case_ids :numbers :kinds :at :actors :details (JSON) :states
--   :report_ids :are_first :distances_m
WITH told AS MATERIALIZED (
    SELECT t.*
    FROM unnest(
        CAST(:case_ids AS bigint[]), CAST(:numbers AS integer[]), CAST(:kinds AS text[]),
        CAST(:at AS timestamptz[]), CAST(:actors AS text[]), CAST(:details AS text[]),
        CAST(:states AS text[]), CAST(:report_ids AS uuid[]), CAST(:are_first AS boolean[]),
        CAST(:distances_m AS float8[])
    ) AS t (case_id, number, kind, at, actor, details, state, report_id, is_first, distance_m)
), happened AS (
    INSERT INTO gridsvc.case_event (case_id, number, kind, at, actor, details, state)
    SELECT case_id, number, kind, at, actor, CAST(details AS jsonb), state FROM told
)
INSERT INTO gridsvc.case_report (report_id, case_id, is_first, joined_at, distance_m)
SELECT report_id, case_id, is_first, at, distance_m FROM told
