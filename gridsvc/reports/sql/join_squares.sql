-- Locks squares of the city till the transaction ends, in the order given.
--   :squares  array of their names
SELECT pg_advisory_xact_lock(hashtextextended(t.square, 0))
FROM unnest(CAST(:squares AS text[])) AS t (square)
