-- One Answer (functions/17_answer.sql).
--   :x, :y        in the storage CRS
--   :srid         of the storage CRS
--   :at           instant
--   :category     class code or null
--   :accuracy_m   metres or null
--   :reveal       names and phones in full
SELECT gridsvc.answer(
    ST_SetSRID(ST_MakePoint(:x, :y), CAST(:srid AS integer)), CAST(:at AS timestamptz),
    CAST(:category AS text), CAST(:accuracy_m AS double precision), CAST(:reveal AS boolean))
