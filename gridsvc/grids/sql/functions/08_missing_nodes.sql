-- Nodes that an area lacks: an edge of it runs along a neighbour's edge, at most 3 mm apart, and
-- passes a node of that edge without having it. QGIS leaves layers that are not in edit so, and
-- each such place is a gap or an overlap as soon as the node is off the straight line.

-- Nodes that areas of a tiling layer lack: of its other areas, of what they lie in and of what
-- lies in them, where those layers tile too.
--   layer  code of the layer
-- Gives `fault` with code (the area that lacks the node), other (one that has it), part (the
-- node), width_m (its distance from the edge), detail (the layer of `other`, where it is another).
-- On the work table `draft`, and by its index. An edge met by both neighbours, or by the parent
-- and a child, lacks nothing: of 100,000 areas with 1.6 million edges some thousand are looked at.
CREATE OR REPLACE FUNCTION gridsvc.missing_nodes(layer text) RETURNS SETOF gridsvc.fault
LANGUAGE plpgsql
SET client_min_messages = warning SET work_mem = '256MB' AS $$
DECLARE
    -- Metres. Nodes stand on a grid of 1 mm, so the last digit only covers what the distance of a
    -- node to a slanted edge is rounded by.
    reach CONSTANT double precision := 0.003001;
    parent text := (SELECT p.code FROM gridsvc.layer AS l JOIN gridsvc.layer AS p ON p.code = l.parent
                    WHERE l.code = missing_nodes.layer AND p.kind = 'tiling');
    children text[] := ARRAY(SELECT c.code FROM gridsvc.layer AS c
                             WHERE c.parent = missing_nodes.layer AND c.kind = 'tiling');
BEGIN
    -- Tables, for their statistics: PostgreSQL expects a thousand edges of each area, and then
    -- sorts on disk what fits into a hash table.
    DROP TABLE IF EXISTS pg_temp.side, pg_temp.lone;
    CREATE TEMPORARY TABLE side ON COMMIT DROP AS
    SELECT d.layer, d.code, d.changed, ST_Normalize(s.geom) AS line
    FROM pg_temp.draft AS d
    CROSS JOIN LATERAL ST_DumpSegments(d.boundary) AS s
    WHERE d.layer = missing_nodes.layer OR d.layer = parent OR d.layer = ANY(children);
    ANALYZE pg_temp.side;
    -- Edges that one area alone has: the outer border, and those that lack a node.
    CREATE TEMPORARY TABLE lone ON COMMIT DROP AS
    SELECT min(s.code) AS code, bool_or(s.changed) AS changed, s.line
    FROM pg_temp.side AS s WHERE s.layer = missing_nodes.layer
    GROUP BY s.line HAVING count(*) = 1;
    CREATE INDEX ON pg_temp.lone USING gist (line);
    ANALYZE pg_temp.lone;
    RETURN QUERY
    WITH uneven AS MATERIALIZED (
        -- Edges of an area that are no edges of what lies in it.
        SELECT s.layer AS coarse, missing_nodes.layer AS fine, s.code, s.changed, s.line
        FROM pg_temp.side AS s
        WHERE s.layer = parent
          AND NOT EXISTS (SELECT FROM pg_temp.side AS f
                          WHERE f.layer = missing_nodes.layer AND f.line = s.line)
        UNION ALL
        SELECT s.layer, c.code, s.code, s.changed, s.line
        FROM unnest(children) AS c (code)
        JOIN pg_temp.side AS s ON s.layer = missing_nodes.layer
        WHERE NOT EXISTS (SELECT FROM pg_temp.side AS f
                          WHERE f.layer = c.code AND f.line = s.line)
          -- Of a layer that is not drawn nothing can be missed.
          AND EXISTS (SELECT FROM pg_temp.draft AS d WHERE d.layer = c.code)
    ), near AS MATERIALIZED (
        SELECT g.code AS a, NULL AS a_layer, g.line AS a_line, e.code AS b, NULL AS b_layer,
               e.line AS b_line
        FROM pg_temp.lone AS g
        JOIN pg_temp.lone AS e
          ON e.code <> g.code AND e.line && ST_Expand(g.line, reach)
        WHERE g.changed OR e.changed
        UNION ALL
        SELECT u.code, u.coarse, u.line, d.code, u.fine, s.geom
        FROM uneven AS u
        JOIN pg_temp.draft AS d ON d.layer = u.fine
             AND d.boundary && ST_Expand(u.line, reach)
        CROSS JOIN LATERAL ST_DumpSegments(d.boundary) AS s
        WHERE (u.changed OR d.changed)
          AND s.geom && ST_Expand(u.line, reach)
    ), pair AS (
        -- `code` may lack what `other` has; of one layer each pair is in `near` both ways round.
        SELECT n.a AS code, n.a_line AS line, n.b AS other, n.b_layer AS detail,
               n.b_line AS other_line
        FROM near AS n WHERE n.a_layer IS NULL OR n.a_layer = missing_nodes.layer
        UNION ALL
        SELECT n.b, n.b_line, n.a, n.a_layer, n.a_line
        FROM near AS n WHERE n.b_layer = missing_nodes.layer
    )
    SELECT DISTINCT ON (p.code, node.place)
           'missing_node', p.code::text, p.other::text, node.place, NULL::double precision,
           ST_Distance(node.place, p.line), p.detail
    FROM pair AS p
    CROSS JOIN LATERAL (VALUES (ST_StartPoint(p.other_line)), (ST_EndPoint(p.other_line)))
        AS node (place)
    WHERE ST_DWithin(node.place, p.line, reach)
      AND NOT ST_Equals(node.place, ST_StartPoint(p.line))
      AND NOT ST_Equals(node.place, ST_EndPoint(p.line))
      -- The edges run along each other from the node on: another end of either comes within reach
      -- again. Two that only meet there do not.
      AND EXISTS (
        SELECT FROM (VALUES (ST_StartPoint(p.other_line), p.line),
                            (ST_EndPoint(p.other_line), p.line),
                            (ST_StartPoint(p.line), p.other_line),
                            (ST_EndPoint(p.line), p.other_line)) AS far (place, across)
        WHERE ST_DWithin(far.place, far.across, reach)
          AND NOT ST_DWithin(far.place, node.place, reach))
      AND NOT EXISTS (
        SELECT FROM pg_temp.draft AS d CROSS JOIN LATERAL ST_DumpPoints(d.boundary) AS own
        WHERE d.layer = missing_nodes.layer AND d.code = p.code AND own.geom = node.place)
    ORDER BY p.code, node.place, p.detail NULLS FIRST, p.other;
END
$$;
