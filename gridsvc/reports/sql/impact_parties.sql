-- Who would gain and lose how many reports, as a change set was last previewed.
--   :change_set  its number
-- Columns as gridsvc.reports.impact.PartyImpact; names masked. In the order of an Answer's duties,
-- whoever is concerned most first.
SELECT p.duty, p.party_code AS party,
       gridsvc.masked_name(coalesce(e.name, o.name), coalesce(e.kind, o.kind)) AS name,
       p.gains, p.losses
FROM gridsvc.impact_party AS p
LEFT JOIN gridsvc.party AS o ON o.code = p.party_code
LEFT JOIN gridsvc.party_edit AS e
  ON e.change_set_id = p.change_set_id AND e.code = p.party_code
WHERE p.change_set_id = :change_set
ORDER BY p.id
