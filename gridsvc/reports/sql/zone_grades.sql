-- Shop-front zones with their record and the letter in force.
--   :layer   code of the zones' layer
--   :at      instant; zones and letters as of then
--   :since   the record's beginning: cases opened after it, up to :at
--   :after   code; only zones that come after it, or null; :limit the most rows
-- Columns: code, name, substantiated (cases that proved true, as in reporter_credit.sql), and of the
-- letter unit, unit_name (persons masked), signatory, signed_at, valid_from, valid_to,
-- document_sha256, self_governing_group; null without one.
-- Leans on case_opened_at_idx, area_live_idx and duty_letter_zone_idx.
WITH record AS (
    SELECT c.areas ->> CAST(:layer AS text) AS code, count(*) AS substantiated
    FROM gridsvc.case AS c
    WHERE c.opened_at > :since AND c.opened_at <= :at
      AND c.state IN ('verified', 'closed')
      AND c.areas ->> CAST(:layer AS text) IS NOT NULL
      AND EXISTS (SELECT FROM gridsvc.case_event AS e
                  WHERE e.case_id = c.id AND e.kind = 'verified')
    GROUP BY 1
)
SELECT a.code, a.name, coalesce(r.substantiated, 0) AS substantiated,
       l.unit, gridsvc.masked_name(p.name, p.kind) AS unit_name, l.signatory, l.signed_at,
       l.valid_from, l.valid_to, encode(l.document_sha256, 'hex') AS document_sha256,
       l.self_governing_group
FROM gridsvc.area AS a
LEFT JOIN record AS r ON r.code = a.code
LEFT JOIN LATERAL (
    SELECT d.* FROM gridsvc.duty_letter AS d
    WHERE d.layer = a.layer AND d.area_code = a.code
      AND d.valid_from <= :at AND (d.valid_to IS NULL OR :at < d.valid_to)
    -- A later letter takes over.
    ORDER BY d.valid_from DESC, d.signed_at DESC, d.id DESC
    LIMIT 1
) AS l ON true
LEFT JOIN gridsvc.party AS p ON p.code = l.unit
WHERE a.layer = :layer
  AND a.rev_from <= gridsvc.revision_at(:at)
  AND (a.rev_to IS NULL OR gridsvc.revision_at(:at) < a.rev_to)
  AND a.valid_from <= :at AND (a.valid_to IS NULL OR :at < a.valid_to)
  AND (CAST(:after AS text) IS NULL OR a.code COLLATE "C" > CAST(:after AS text) COLLATE "C")
ORDER BY a.code COLLATE "C"
LIMIT :limit
