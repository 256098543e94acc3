-- What of a name and a phone anyone may see: 张伟 -> 张*, 13800001234 -> 138****1234.
-- A body's name is public; its phone is not. A short phone is hidden whole: seven shown digits of
-- a local number of eight would leave ten numbers to try.
CREATE OR REPLACE FUNCTION gridsvc.masked_name(name text, kind text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE kind
        WHEN 'body' THEN name
        ELSE left(name, 1) || repeat('*', greatest(1, least(2, length(name) - 1)))
    END
$$;

CREATE OR REPLACE FUNCTION gridsvc.masked_phone(phone text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN phone IS NULL THEN NULL
        WHEN length(phone) < 11 THEN repeat('*', length(phone))
        ELSE left(phone, 3) || repeat('*', length(phone) - 7) || right(phone, 4)
    END
$$;
