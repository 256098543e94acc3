-- Answers (functions/17_answer.sql) for points in the order given.
--   :x, :y         arrays, in the storage CRS
--   :srid          of the storage CRS
--   :at            array of instants; null is now, by the clock that dates revisions
--   :categories    array of class codes or nulls
--   :accuracies_m  array of metres or nulls
--   :reveal        names and phones in full
-- Column: answer.
SELECT gridsvc.answer(
    ST_SetSRID(ST_MakePoint(q.x, q.y), CAST(:srid AS integer)),
    coalesce(q.at, statement_timestamp()), q.category, q.accuracy_m, CAST(:reveal AS boolean)) AS answer
FROM unnest(
    CAST(:x AS double precision[]), CAST(:y AS double precision[]), CAST(:at AS timestamptz[]),
    CAST(:categories AS text[]), CAST(:accuracies_m AS double precision[])
) WITH ORDINALITY AS q (x, y, at, category, accuracy_m, n)
ORDER BY q.n
