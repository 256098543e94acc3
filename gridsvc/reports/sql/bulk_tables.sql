-- Where numbers wait to become cases, events and memberships; the transaction's end drops them.
-- Instants are microseconds since 1970 UTC. kind and state are places in the arrays of
-- bulk_*.sql, n is a row of unopened.sql.
CREATE TEMPORARY TABLE opening (
    n integer, case_id bigint, state integer, since_us bigint, is_held integer, step integer,
    step_due_us bigint, due_us bigint, closed_us bigint, reports integer, returned integer,
    failed integer, last_event integer
) ON COMMIT DROP;
CREATE TEMPORARY TABLE happening (
    case_id bigint, number integer, kind integer, at_us bigint, state integer, by_holder integer,
    to_holder integer, reason integer, step_due_us bigint, due_us bigint, n integer,
    distance_m double precision
) ON COMMIT DROP;
CREATE TEMPORARY TABLE belonging (
    n integer, case_id bigint, is_first integer, distance_m double precision
) ON COMMIT DROP;
