-- Absences of a revision.
--   %(revision)s  number
--   %(since)s     only those that came after this revision; 0 gives all
-- Columns: id, party_code, from_us and to_us (microseconds since 1970 UTC; null is open).
-- Leans on absence_rev_from_idx.
SELECT b.id, b.party_code, (extract(epoch FROM b.valid_from) * 1000000)::bigint,
       (extract(epoch FROM b.valid_to) * 1000000)::bigint
FROM gridsvc.absence AS b
WHERE b.rev_from > %(since)s AND b.rev_from <= %(revision)s
  AND (b.rev_to IS NULL OR %(revision)s < b.rev_to)
ORDER BY b.id
