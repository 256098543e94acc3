"""What a publish costs until answers rest on it: reading what changed, and patching the index."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import shapely
from sqlalchemy import Connection, text

from gridsvc.crs import Floats
from gridsvc.db import create_engine
from gridsvc.routing.snapshot import Snapshot
from tools.bench.ground import Ground

# A vertex between two corners of units, which both sides share: moving it is a whole edit.
PAIR = """
SELECT a.id, b.id, a.layer, ST_AsBinary(a.boundary), ST_AsBinary(b.boundary)
FROM gridsvc.area AS a
JOIN gridsvc.area AS b ON b.layer = a.layer AND b.id > a.id AND b.rev_to IS NULL
    AND a.boundary && b.boundary AND ST_Relate(a.boundary, b.boundary, '****1****')
WHERE a.rev_to IS NULL AND a.layer = :layer AND ST_NumGeometries(a.boundary) = 1
  AND ST_NumGeometries(b.boundary) = 1
ORDER BY a.id LIMIT :limit
"""

INNER = 5
"""Vertices of a border, so that the middle one is no corner of a third area."""

EDIT = """
INSERT INTO gridsvc.area_edit
    (change_set_id, replaces, layer, code, name, boundary, valid_from, valid_to)
SELECT :change_set, a.id, a.layer, a.code, a.name,
       ST_SnapToGrid(ST_Multi(ST_GeomFromWKB(:boundary, ST_SRID(a.boundary))), 0.001),
       a.valid_from, a.valid_to
FROM gridsvc.area AS a WHERE a.id = :id
"""


def publishes(ground: Ground, count: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Move shared borders, each as a publish of its own, and go on to each new revision.

    Returns:
        Milliseconds of each: reading and patching, from the commit to the new snapshot.
    """
    engine = create_engine(ground.url)
    layer = max(
        (one.code for one in ground.scheme.layers if one.kind == "tiling"),
        key=lambda code: len(ground.tables.get(code, ())),
    )
    begun = time.perf_counter()
    with engine.connect() as connection:
        snapshot = Snapshot.load(connection)
    loaded_s = time.perf_counter() - begun
    with engine.connect() as connection:
        pairs = connection.execute(text(PAIR), {"layer": layer, "limit": 20 * count}).all()
    # A boundary is moved once, so each edit replaces a version that is still live.
    used: set[int] = set()
    edits = []
    for pair in pairs:
        if used.isdisjoint(pair[:2]) and (moved := _moved(pair[3], pair[4])) is not None:
            used.update(pair[:2])
            edits.append((pair[:2], moved))
    took_ms = []
    for ids, boundaries in edits[:count]:
        with engine.begin() as connection:
            _publish(connection, ids, boundaries)
        with engine.connect() as connection:
            begun = time.perf_counter()
            snapshot = snapshot.advanced(connection)
            took_ms.append((time.perf_counter() - begun) * 1000)
    engine.dispose()
    if not took_ms:
        return {"publishes": 0, "loaded_s": loaded_s}
    p50, p99 = np.percentile(took_ms, [50, 99])
    say(f"{ground.name}: {len(took_ms)} publishes taken up, median {p50:.1f} ms")
    return {
        "publishes": len(took_ms),
        "p50_ms": float(p50),
        "p99_ms": float(p99),
        "worst_ms": max(took_ms),
        "loaded_s": loaded_s,
    }


def _moved(first: bytes, second: bytes) -> tuple[bytes, bytes] | None:
    """Move a vertex that two boundaries share by a metre, if it lies inside their border."""
    a, b = shapely.from_wkb(first), shapely.from_wkb(second)
    border = shapely.line_merge(shapely.intersection(a, b))
    if border.geom_type != "LineString" or shapely.get_num_points(border) < INNER:
        return None
    at = shapely.get_coordinates(border)[shapely.get_num_points(border) // 2]

    def nudged(xy: Floats) -> Floats:
        xy = xy.copy()
        xy[(xy == at).all(axis=1)] += (0.25, 0.25)
        return xy

    both = shapely.transform(np.array([a, b], object), nudged)
    if not shapely.is_valid(both).all():
        return None
    return tuple(shapely.to_wkb(both))


def _publish(connection: Connection, ids: Sequence[int], boundaries: tuple[bytes, bytes]) -> None:
    change_set = connection.scalar(
        text(
            "INSERT INTO gridsvc.change_set (name, base_revision)"
            " SELECT 'bench', max(number) FROM gridsvc.revision RETURNING id"
        )
    )
    for area, boundary in zip(ids, boundaries, strict=True):
        connection.execute(text(EDIT), {"change_set": change_set, "id": area, "boundary": boundary})
    # Checked by hand: the border moves for both sides at once.
    refusal = connection.execute(
        text("SELECT refusal FROM gridsvc.publish(:change_set, false, true)"),
        {"change_set": change_set},
    ).scalar()
    if refusal:
        raise RuntimeError(f"a publish was refused: {refusal}")
