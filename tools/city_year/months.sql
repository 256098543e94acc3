-- What the year's cases add up to, month by month in the city's time zone.
--   :zone  of the city
-- Columns: month; filed, opened in it; should_close, due in it and not suspended; closed and
-- on_time, of these by its end and by their own; returned, of these at least once; repeated,
-- reports beyond the first of the cases filed; deferred, due in it and suspended.
WITH told AS (
    SELECT to_char(c.opened_at AT TIME ZONE :zone, 'YYYY-MM') AS filed_in,
           to_char(c.due_at AT TIME ZONE :zone, 'YYYY-MM') AS due_in,
           to_char(c.closed_at AT TIME ZONE :zone, 'YYYY-MM') AS closed_in,
           c.closed_at <= c.due_at AS on_time, c.state = 'suspended' AS deferred,
           c.return_count, c.report_count
    FROM gridsvc.case AS c
), opened AS (
    SELECT filed_in AS month, count(*) AS filed, sum(report_count - 1) AS repeated
    FROM told GROUP BY filed_in
), due AS (
    SELECT due_in AS month,
           count(*) FILTER (WHERE NOT deferred) AS should_close,
           count(*) FILTER (WHERE NOT deferred AND closed_in <= due_in) AS closed,
           count(*) FILTER (WHERE NOT deferred AND on_time) AS on_time,
           count(*) FILTER (WHERE NOT deferred AND return_count > 0) AS returned,
           count(*) FILTER (WHERE deferred) AS deferred
    FROM told WHERE due_in IS NOT NULL GROUP BY due_in
)
SELECT month, coalesce(o.filed, 0) AS filed, coalesce(d.should_close, 0) AS should_close,
       coalesce(d.closed, 0) AS closed, coalesce(d.on_time, 0) AS on_time,
       coalesce(d.returned, 0) AS returned, coalesce(o.repeated, 0) AS repeated,
       coalesce(d.deferred, 0) AS deferred
FROM opened AS o
FULL JOIN due AS d USING (month)
ORDER BY month
