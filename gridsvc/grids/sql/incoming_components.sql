-- Work table for the rows of a file of components.
DROP TABLE IF EXISTS pg_temp.incoming_component, pg_temp.component_difference;
CREATE TEMPORARY TABLE incoming_component (
    code text, category text, owner text, x double precision, y double precision
) ON COMMIT DROP
