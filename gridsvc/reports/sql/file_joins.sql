-- Reports join cases that were open before, whose rows are locked; where a case stands otherwise
-- stays (`case_log.after`).
--   Arrays of one length: :ids :joiners (how many reports)
UPDATE gridsvc.case AS c
SET report_count = c.report_count + t.joiners, last_event = c.last_event + t.joiners
FROM unnest(CAST(:ids AS bigint[]), CAST(:joiners AS integer[])) AS t (id, joiners)
WHERE c.id = t.id
