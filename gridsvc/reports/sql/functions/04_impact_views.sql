-- The preview of the change set that a planner looks at (gridsvc.shown_change_set), for QGIS: its
-- totals, and who, which areas and which reports. Names masked, times local and without a zone,
-- keys of four bytes: the rows of one preview are numbered on, so that a remainder tells them apart.
--
-- The views name functions and columns that other parts of the service lay and change, so
-- gridsvc.lay_edit_views calls this after them.
CREATE OR REPLACE FUNCTION gridsvc.lay_impact_views() RETURNS void
LANGUAGE plpgsql SET client_min_messages = warning AS $$
DECLARE
    srid integer := coalesce((SELECT s.srid FROM gridsvc.scheme AS s ORDER BY s.id DESC LIMIT 1), 0);
    name text;
BEGIN
    DROP VIEW IF EXISTS edit.impact_total, edit.impact, edit.impact_area, edit.impact_report;

    CREATE VIEW edit.impact_total AS
    SELECT i.change_set_id AS key, i.made_at AT TIME ZONE z.time_zone AS made_at, i.days,
           i.from_at AT TIME ZONE z.time_zone AS from_at, i.to_at AT TIME ZONE z.time_zone AS to_at,
           i.judged_at AT TIME ZONE z.time_zone AS judged_at, i.base_revision,
           i.reports, i.compared, i.moved, i.stops, i.conflicts,
           i.digest <> gridsvc.edits_digest(i.change_set_id) AS is_out_of_date
    FROM gridsvc.impact AS i
    CROSS JOIN (SELECT s.time_zone FROM gridsvc.scheme AS s ORDER BY s.id DESC LIMIT 1) AS z
    WHERE i.change_set_id = (SELECT gridsvc.shown_change_set());

    CREATE VIEW edit.impact AS
    SELECT (p.id % 2147483647)::integer AS key, p.duty, p.party_code,
           CASE WHEN p.party_code IS NULL THEN '无人'
                ELSE gridsvc.masked_name(coalesce(e.name, o.name), coalesce(e.kind, o.kind))
           END AS name,
           p.gains, p.losses, p.gains - p.losses AS change
    FROM gridsvc.impact_party AS p
    LEFT JOIN gridsvc.party AS o ON o.code = p.party_code
    LEFT JOIN gridsvc.party_edit AS e
      ON e.change_set_id = p.change_set_id AND e.code = p.party_code
    WHERE p.change_set_id = (SELECT gridsvc.shown_change_set());

    EXECUTE format($view$
        CREATE VIEW edit.impact_area AS
        SELECT (a.id %% 2147483647)::integer AS key, a.layer, a.code, a.what,
               a.area_before_m2, a.area_after_m2,
               a.area_after_m2 - a.area_before_m2 AS area_change_m2, a.length_before_m,
               a.length_after_m, a.moved_edge_m, a.part::geometry(MultiPolygon, %1$s) AS part
        FROM gridsvc.impact_area AS a
        WHERE a.change_set_id = (SELECT gridsvc.shown_change_set())$view$, srid);

    EXECUTE format($view$
        CREATE VIEW edit.impact_report AS
        SELECT (r.id %% 2147483647)::integer AS key, r.report_id::text AS report_id,
               t.received_at, t.category,
               array_to_string(r.duties, ', ') AS duties,
               r.parties_from[array_position(r.duties, 'responsible')] AS responsible_from,
               r.parties_to[array_position(r.duties, 'responsible')] AS responsible_to,
               (SELECT string_agg(d.duty || ': ' || coalesce(d.party_from, '–') || ' → '
                                  || coalesce(d.party_to, '–'), '; ' ORDER BY d.n)
                FROM unnest(r.duties, r.parties_from, r.parties_to)
                     WITH ORDINALITY AS d (duty, party_from, party_to, n)) AS moves,
               r.point::geometry(Point, %1$s) AS point
        FROM gridsvc.impact_report AS r
        LEFT JOIN LATERAL (
            SELECT t.category, t.received_at AT TIME ZONE (
                       SELECT s.time_zone FROM gridsvc.scheme AS s ORDER BY s.id DESC LIMIT 1
                   ) AS received_at
            FROM gridsvc.report AS t WHERE t.id = r.report_id
        ) AS t ON true
        WHERE r.change_set_id = (SELECT gridsvc.shown_change_set())$view$, srid);

    FOREACH name IN ARRAY ARRAY['impact_total', 'impact', 'impact_area', 'impact_report'] LOOP
        EXECUTE format(
            'GRANT SELECT ON edit.%I TO gridsvc_planner, gridsvc_chief, gridsvc_viewer', name);
    END LOOP;
END
$$;
