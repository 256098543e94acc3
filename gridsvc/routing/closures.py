"""Points on edges, and those too near to them for rounded arithmetic, judged exactly.

A point on an edge belongs to every area on whose boundary the edge lies, besides those that hold
the place beside it: so all areas whose closure holds it are found, as `gridsvc.covering` finds
them.
"""

from dataclasses import dataclass

import numpy as np

from gridsvc.crs import Floats
from gridsvc.routing.index_layout import Int32s, Int64s, Layout
from gridsvc.routing.lookup_numpy import places, walk

_POINTS_A_STEP = 1 << 16


@dataclass(frozen=True, slots=True)
class Ragged:
    """A list of numbers for each of many things, in one array.

    Attributes:
        offsets: (n + 1,) where each list begins.
        values: All lists, one after the other.
    """

    offsets: Int64s | Int32s
    values: Int32s

    def pairs(self, of: Int64s) -> tuple[Int64s, Int32s]:
        """Give the lists of some things: the position in `of` of each number, and the number."""
        counts = self.offsets[of + 1] - self.offsets[of]
        position = np.repeat(np.arange(len(of)), counts)
        first = self.offsets[of] - (np.cumsum(counts) - counts)
        return position, self.values[first[position] + np.arange(len(position))]

    def of(self, number: int) -> Int32s:
        """Give one list."""
        return self.values[self.offsets[number] : self.offsets[number + 1]]


def closures(
    layout: Layout,
    combinations: Ragged,
    edge_areas: Ragged,
    x: Floats,
    y: Floats,
    *,
    beside: bool = False,
) -> list[tuple[int, ...]]:
    """Find all areas whose closure holds each point, exactly.

    Args:
        layout: The index.
        combinations: Areas of each combination.
        edge_areas: Areas on whose boundary each edge lies.
        x: Metres, in cells that edges touch.
        y: The same.
        beside: Find the areas of the place beside each point instead, see `gridsvc.routing.lookup`.

    Returns:
        For each point the rows of its areas, ascending.
    """
    found: list[tuple[int, ...]] = []
    for begin in range(0, len(x), _POINTS_A_STEP):
        part = slice(begin, begin + _POINTS_A_STEP)
        found += _closures(layout, combinations, edge_areas, x[part], y[part], beside=beside)
    return found


def _closures(
    layout: Layout,
    combinations: Ragged,
    edge_areas: Ragged,
    x: Floats,
    y: Floats,
    *,
    beside: bool,
) -> list[tuple[int, ...]]:
    at = places(layout, x, y)
    starts = ~at.cell
    steps = walk(layout, starts, at.cx, x, y, exactly=True)
    point, area = combinations.pairs(layout.blocks[starts + 2].astype(np.int64))
    crossed = np.flatnonzero(steps.crosses)
    step, toggled = edge_areas.pairs(steps.edge[crossed])
    pair = np.concatenate([_packed(point, area), _packed(steps.point[crossed[step]], toggled)])
    pair, times = np.unique(pair, return_counts=True)
    pair = pair[times % 2 == 1]
    if not beside:
        touched = np.flatnonzero(steps.touches)
        step, met = edge_areas.pairs(steps.edge[touched])
        pair = np.union1d(pair, _packed(steps.point[touched[step]], met))
    ends = np.searchsorted(pair >> 32, np.arange(len(x) + 1))
    areas = (pair & 0xFFFFFFFF).tolist()
    return [tuple(areas[a:b]) for a, b in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)]


def _packed(point: Int64s, area: Int32s) -> Int64s:
    return (point << 32) | area.astype(np.int64)
