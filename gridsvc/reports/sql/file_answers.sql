-- The first answers of reports stored in the same transaction.
--   :rows  JSON array of the columns below; an answer is null where the mark says why
INSERT INTO gridsvc.report_answer (
    report_id, number, cause, answered_at, mark, reason, revision, answer)
SELECT t.report_id, 1, 'intake', t.answered_at, t.mark, t.reason, t.revision, t.answer
FROM json_to_recordset(CAST(:rows AS json)) AS t (
    report_id uuid, answered_at timestamptz, mark text, reason text, revision integer,
    answer jsonb)
