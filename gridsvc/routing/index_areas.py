"""The boundaries themselves, kept for distances: rings in pieces, each with its box."""

from typing import NamedTuple

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from gridsvc.crs import Floats
from gridsvc.routing.index_edges import Rings
from gridsvc.routing.index_layout import Int64s

PIECE_EDGES = 32

CONTINUES, BEGINS_RING, BEGINS_POLYGON = 0, 1, 2


class Pieces(NamedTuple):
    """Boundaries cut into pieces of some edges.

    Attributes:
        xy: (n, 2) metres.
        pieces: (m, 3) first and last point in `xy`, and whether it begins a ring or a polygon.
        boxes: (m, 4) west, south, east, north of each piece.
        areas: (areas, 2) each boundary's first piece and the one after its last.
    """

    xy: Floats
    pieces: Int64s
    boxes: Floats
    areas: Int64s

    @classmethod
    def of(cls, rings: Rings, count: int) -> "Pieces":
        """Cut the rings of so many boundaries."""
        begins, ends = rings.ring_begins[:-1], rings.ring_begins[1:] - 1
        counts = -(-(ends - begins) // PIECE_EDGES)
        ring = np.repeat(np.arange(len(begins)), counts)
        nth = np.arange(len(ring)) - (np.cumsum(counts) - counts)[ring]
        first = begins[ring] + nth * PIECE_EDGES
        last = np.minimum(first + PIECE_EDGES, ends[ring])
        opens = np.diff(rings.polygon, prepend=-1) != 0
        kind = np.where(nth > 0, CONTINUES, np.where(opens[ring], BEGINS_POLYGON, BEGINS_RING))
        # Pieces share their outer points, so a box spans one more than reduceat would take.
        low = np.minimum(np.minimum.reduceat(rings.xy, first), rings.xy[last])
        high = np.maximum(np.maximum.reduceat(rings.xy, first), rings.xy[last])
        bounds = np.searchsorted(rings.area[ring], np.arange(count + 1))
        return cls(
            rings.xy,
            np.column_stack([first, last, kind]),
            np.hstack([low, high]),
            np.column_stack([bounds[:-1], bounds[1:]]),
        )


def geometry(xy: Floats, pieces: Int64s) -> BaseGeometry:
    """Put the pieces of one boundary together again."""
    polygons: list[list[Floats]] = []
    for ring in np.split(pieces, np.flatnonzero(pieces[:, 2] != CONTINUES)[1:]):
        if ring[0, 2] == BEGINS_POLYGON:
            polygons.append([])
        polygons[-1].append(xy[ring[0, 0] : ring[-1, 1] + 1])
    parts = [shapely.Polygon(shell, holes) for shell, *holes in polygons]
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)
