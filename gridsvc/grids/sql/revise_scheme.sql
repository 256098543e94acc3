-- Publish a scheme version as a revision of its own, where something is published already.
--   :scheme_id  the version that rules from now on
-- Gives the new revision's number, or no row before the first revision.
INSERT INTO gridsvc.revision (number, published_at, effective_at, scheme_id, note)
SELECT r.number + 1, clock.now, clock.now, :scheme_id, 'scheme loaded'
FROM gridsvc.revision AS r, (SELECT clock_timestamp() AS now) AS clock
ORDER BY r.number DESC
LIMIT 1
RETURNING number
