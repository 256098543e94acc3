-- The first answers of reports stored in the same transaction.
--   :rows     JSON array of the columns below
--   :answers  beside each row, a JSON text a line: the Answer, or null where the mark says why
-- Answers come in lines because a JSON document within another is read three times: for 64 of them
-- 53 µs each, so 18 µs.
INSERT INTO gridsvc.report_answer (
    report_id, number, cause, answered_at, mark, reason, revision, answer)
SELECT t.report_id, 1, 'intake', t.answered_at, t.mark, t.reason, t.revision,
       CAST(nullif(t.answer, 'null') AS jsonb)
FROM ROWS FROM (
    jsonb_to_recordset(CAST(:rows AS jsonb)) AS (
        report_id uuid, answered_at timestamptz, mark text, reason text, revision integer),
    unnest(string_to_array(:answers, E'\n'))
) AS t (report_id, answered_at, mark, reason, revision, answer)
