"""From boundaries to edges: each segment once, with the areas on whose boundary it lies."""

from typing import NamedTuple

import numpy as np
import shapely

from gridsvc.crs import Floats, Geometries
from gridsvc.routing.index_layout import Int64s


class Rings(NamedTuple):
    """The rings of boundaries as one line of points.

    Attributes:
        xy: (n, 2) metres; each ring ends where it began.
        ring_begins: (rings + 1,) where each begins in `xy`.
        area: (rings,) which boundary each ring is of.
        polygon: (rings,) which polygon of all.
    """

    xy: Floats
    ring_begins: Int64s
    area: Int64s
    polygon: Int64s

    @classmethod
    def of(cls, boundaries: Geometries) -> "Rings":
        """Take polygons and multipolygons apart."""
        polygons, area = shapely.get_parts(boundaries, return_index=True)
        rings, polygon = shapely.get_rings(polygons, return_index=True)
        xy, ring = shapely.get_coordinates(rings, return_index=True)
        begins = np.searchsorted(ring, np.arange(len(rings) + 1))
        return cls(xy, begins, area[polygon].astype(np.int64), polygon.astype(np.int64))

    def segments(self) -> tuple[Floats, Int64s]:
        """Give the segments, from their western (else lower) end, and whose boundary each is of.

        Returns:
            (n, 4) ax, ay, bx, by, and (n,) the boundary's number.
        """
        last = np.zeros(len(self.xy), dtype=bool)
        last[self.ring_begins[1:] - 1] = True
        first = np.flatnonzero(~last)
        area = np.repeat(self.area, np.diff(self.ring_begins))[first]
        a, b = self.xy[first], self.xy[first + 1]
        turned = (a[:, 0] > b[:, 0]) | ((a[:, 0] == b[:, 0]) & (a[:, 1] > b[:, 1]))
        segments = np.where(turned[:, None], np.hstack([b, a]), np.hstack([a, b]))
        # -0.0 and 0.0 are one place and must be one pattern of bits.
        segments += 0.0
        real = (a != b).any(axis=1)
        return segments[real], area[real]


class Edges(NamedTuple):
    """Different edges and the areas on whose boundary each lies.

    Attributes:
        ends: (n, 4) ax, ay, bx, by.
        offsets: (n + 1,) where each edge's areas begin in `areas`.
        areas: Rows of areas, ascending for each edge.
    """

    ends: Floats
    offsets: Int64s
    areas: Int64s


def joined(segments: Floats, area: Int64s) -> Edges:
    """Make one edge of equal segments.

    A segment that is twice on the boundary of one area has it on neither side and drops out.
    """
    order = np.lexsort((area, *segments.T[::-1]))
    segments, area = segments[order], area[order]
    starts_edge = np.ones(len(area), dtype=bool)
    starts_edge[1:] = (segments[1:] != segments[:-1]).any(axis=1)
    starts_pair = starts_edge.copy()
    starts_pair[1:] |= area[1:] != area[:-1]
    pair = np.flatnonzero(starts_pair)
    odd = np.diff(pair, append=len(area)) % 2 == 1
    kept = pair[odd]
    number = np.cumsum(starts_edge)[kept]
    begins = np.flatnonzero(np.diff(number, prepend=0))
    return Edges(segments[kept[begins]], np.append(begins, len(kept)), area[kept])
