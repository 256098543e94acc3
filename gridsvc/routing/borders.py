"""Whose land lies across the edge of an area: `sql/functions/15_edge.sql` in memory.

It is the area of the same layer that is nearest to a place on the edge, at most a metre from it, by
the millimetre; of equals the lowest code.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import shapely

from gridsvc.crs import Geometries
from gridsvc.routing import index_engine, lookup_numpy
from gridsvc.routing.index import Nearest
from gridsvc.routing.ladders import Ints
from gridsvc.routing.rounding import rounded
from gridsvc.routing.snapshot import Snapshot

NOBODY: Final = -1
ASK: Final = -2

_ACROSS_M = 1.0
_REACH_M = _ACROSS_M + 0.001
_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Border:
    """The areas of one layer that may lie across an area's edge, the lowest code first.

    Attributes:
        rows: The index's.
        shapes: Their boundaries, prepared.
    """

    rows: Ints
    shapes: Geometries


@dataclass(frozen=True, slots=True)
class Borders:
    """The edges between the areas of a snapshot."""

    snapshot: Snapshot
    _ground: tuple[Any, ...] = field(init=False, repr=False)
    _compiled: Any = field(init=False, repr=False)
    _kept: dict[int, Border] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        areas, index, pools = self.snapshot.areas, self.snapshot.index, self.snapshot.index.pools
        ground = (
            index.layout,
            pools.xy.array,
            pools.pieces.array,
            pools.boxes.array,
            index.pieces_of,
            pools.edge_offsets.array,
            pools.edge_areas.array,
            pools.set_offsets.array,
            pools.set_areas.array,
            areas.order[areas.area],
            areas.always,
        )
        object.__setattr__(self, "_ground", ground)
        object.__setattr__(self, "_compiled", _compiled())

    def across(self, rows: Ints, places: Nearest, at_us: Ints) -> Ints:
        """Find the areas across the edges of others.

        Args:
            rows: (n,) the index's, whose edges.
            places: (n,) where on them.
            at_us: (n,) when, microseconds since 1970 UTC.

        Returns:
            (n,) rows; `NOBODY` where there is none.
        """
        found = np.full(len(rows), ASK)
        if self._compiled:
            ground = self._ground[0], *self._ground[5:]
            self._compiled.across_all(*ground, rows, places.x, places.y, found)
        for n in np.flatnonzero(found == ASK).tolist():
            x, y = float(places.x[n]), float(places.y[n])
            found[n] = self._by_boundary(int(rows[n]), x, y, int(at_us[n]))
        return found

    def edge(self, row: int, *, x: float, y: float, at_us: int) -> tuple[float, int]:
        """Find how far the edge of a row is from a point, metres, and the row across it."""
        if self._compiled:
            edge_m, x, y, found = self._compiled.edge_one(*self._ground, row, x, y)
        else:
            index = self.snapshot.index
            nearest = index.nearest_edge(np.array([row]), np.array([x]), np.array([y]))
            edge_m, x, y = (float(part[0]) for part in (nearest.distance_m, nearest.x, nearest.y))
            found = ASK
        return edge_m, self._by_boundary(row, x, y, at_us) if found == ASK else found

    def _by_boundary(self, row: int, x: float, y: float, at_us: int) -> int:
        """Find the row across an edge by the boundaries of those that come near it."""
        border = self._kept.get(row)
        if border is None:
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            border = self._kept[row] = self._border(row)
        rows = border.rows
        if not len(rows):
            return NOBODY
        around_x, around_y = np.full(len(rows), x), np.full(len(rows), y)
        distance_m = self.snapshot.index.nearest_edge(rows, around_x, around_y).distance_m
        distance_m[shapely.intersects_xy(border.shapes, x, y)] = 0.0
        near = (distance_m <= _ACROSS_M) & self.snapshot.areas.is_valid(rows, at_us)
        # They come in the order of their codes, so the first of equals stays.
        best_m, best = np.inf, NOBODY
        for n in np.flatnonzero(near).tolist():
            told_m = rounded(float(distance_m[n]), 3)
            if told_m < best_m:
                best_m, best = told_m, int(rows[n])
        return best

    def _border(self, row: int) -> Border:
        index = self.snapshot.index
        others = self.snapshot.beside(row, _ACROSS_M)
        shapes = np.array([index.boundary(other) for other in others.tolist()], object)
        rim = shapely.boundary(index.boundary(row))
        reached = shapely.dwithin(shapes, rim, _REACH_M)
        others, shapes = others[reached], shapes[reached]
        shapely.prepare(shapes)
        return Border(others, shapes)


def _compiled() -> Any:  # noqa: ANN401  a module
    """Give `gridsvc.routing.across`; None where there is no compiler."""
    if index_engine.engine() is lookup_numpy:
        return None
    from gridsvc.routing import across  # noqa: PLC0415

    return across
