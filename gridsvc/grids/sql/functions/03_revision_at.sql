-- The revision that answers for an instant: the newest one effective by then, or null before
-- the first. Leans on revision_effective_at_idx.
CREATE OR REPLACE FUNCTION gridsvc.revision_at(at timestamptz) RETURNS integer
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (
        SELECT number FROM gridsvc.revision WHERE effective_at <= at ORDER BY number DESC LIMIT 1);
END
$$;
