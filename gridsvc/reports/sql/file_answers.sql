-- The first answers of reports stored in the same transaction.
--   Arrays of one length: :ids (of the reports) :answered :marks :reasons :revisions
--   :answers (JSON)
INSERT INTO gridsvc.report_answer (
    report_id, number, cause, answered_at, mark, reason, revision, answer)
SELECT t.report_id, 1, 'intake', t.answered_at, t.mark, t.reason, t.revision,
       CAST(t.answer AS jsonb)
FROM unnest(
    CAST(:ids AS uuid[]), CAST(:answered AS timestamptz[]), CAST(:marks AS text[]),
    CAST(:reasons AS text[]), CAST(:revisions AS integer[]), CAST(:answers AS text[])
) AS t (report_id, answered_at, mark, reason, revision, answer)
