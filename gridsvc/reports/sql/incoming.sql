-- A batch of a file on its way in; the transaction's end drops it.
CREATE TEMPORARY TABLE incoming (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    source_id text, channel text,
    x double precision, y double precision, crs text,
    lon double precision, lat double precision,
    stored_x double precision, stored_y double precision,
    accuracy_m double precision, category text,
    received_at timestamptz, closed_at timestamptz, status text,
    mark text, reason text, revision integer,
    areas text[], responsible text, management text,
    enforcement_lead text, enforcement_assistant text, supervisor text, edge_m double precision
) ON COMMIT DROP;
