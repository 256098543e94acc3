-- The classes of one scheme version and when they are in use.
--   :scheme_id  version of the scheme
SELECT code, valid_from, valid_to FROM gridsvc.category WHERE scheme_id = :scheme_id
