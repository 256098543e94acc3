"""Look-ups in the index without a compiler: `gridsvc.routing.lookup` again, many points a step."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gridsvc.crs import Floats
from gridsvc.routing.index_layout import (
    ASK_EXACTLY,
    BLOCK_HEAD,
    NOWHERE,
    PAGE_BITS,
    PAGE_MASK,
    UNSURE_KEY,
    Int32s,
    Int64s,
    Keys,
    Layout,
)
from gridsvc.routing.orientation import ERROR_BOUND, sides

Mask = npt.NDArray[np.bool_]

_POINTS_A_STEP = 1 << 17
"""So that what a step needs stays in the processor's cache for the most part."""


class Places(NamedTuple):
    """Where points lie in the grid.

    Attributes:
        cell: A combination, or ~ where the cell's block begins.
        page: Number of the page.
        cx: West of the cell, metres.
    """

    cell: Int64s
    page: Int64s
    cx: Floats


class Steps(NamedTuple):
    """The edges that points meet on their walks, and what comes of it; one row a point and edge.

    Attributes:
        point: Number of the point, ascending.
        edge: Number of the edge.
        crosses: Whether the walk crosses it.
        touches: Whether the point is on it.
        is_sure: Whether rounding leaves no doubt.
    """

    point: Int64s
    edge: Int64s
    crosses: Mask
    touches: Mask
    is_sure: Mask


def places(layout: Layout, x: Floats, y: Floats) -> Places:
    """Find the cell of each point; what lies beyond the grid is in no area."""
    column_f, row_f = (x - layout.x0) * layout.per_m, (y - layout.y0) * layout.per_m
    inside = (column_f >= 0) & (column_f < layout.columns) & (row_f >= 0) & (row_f < layout.rows)
    column = np.where(inside, column_f, 0).astype(np.int64)
    row = np.where(inside, row_f, 0).astype(np.int64)
    page = (row >> PAGE_BITS) * (layout.columns >> PAGE_BITS) + (column >> PAGE_BITS)
    place = layout.directory[page, 0]
    cell = layout.cells[place, ((row & PAGE_MASK) << PAGE_BITS) | (column & PAGE_MASK)]
    cell = np.where(inside & (place >= 0), cell, NOWHERE).astype(np.int64)
    return Places(cell, page, np.asarray(layout.x0 + column * layout.cell_m, np.float64))


def walk(
    layout: Layout, starts: Int64s, cx: Floats, x: Floats, y: Floats, *, exactly: bool
) -> Steps:
    """Walk from corners up to the points' heights, then right to them, through the cells' edges.

    See `gridsvc.routing.lookup`, whose walk this is.
    """
    counts = layout.blocks[starts + 3].astype(np.int64)
    point = np.repeat(np.arange(len(starts)), counts)
    first = starts + BLOCK_HEAD - (np.cumsum(counts) - counts)
    entry = layout.blocks[first[point] + np.arange(len(point))].astype(np.int64)
    edge = entry >> 1
    ax, ay, bx, by = layout.edges[edge].T
    px, py, turn_x = x[point], y[point], cx[point]
    upright = (ax < turn_x) != (bx < turn_x)
    level = (ay <= py) != (by <= py)
    rises = by > ay
    turn_left = np.where(ax >= turn_x, rises, ~rises)
    left = np.where(px < ax, rises, ~rises)
    is_sure = np.ones(len(edge), dtype=bool)
    touches = ((py == ay) & (px == ax)) | ((py == by) & (px == bx))
    touches |= (py == ay) & (py == by) & (ax <= px) & (px <= bx)

    def judge(rows: Int64s, there_x: Floats) -> Floats:
        line = ax[rows], ay[rows], bx[rows], by[rows]
        if exactly:
            return sides(*line, there_x[rows], py[rows])
        forth = (line[2] - line[0]) * (py[rows] - line[1])
        back = (line[3] - line[1]) * (there_x[rows] - line[0])
        side: Floats = forth - back
        is_sure[rows] &= np.abs(side) > ERROR_BOUND * (np.abs(forth) + np.abs(back))
        return side

    rows = np.flatnonzero(upright)
    turn_left[rows] = judge(rows, turn_x) >= 0
    rows = np.flatnonzero(level & (ax <= px) & (px <= bx))
    side = judge(rows, px)
    left[rows] = side >= 0
    touches[rows] |= side == 0
    crosses = upright & (turn_left != (entry & 1 == 1))
    crosses ^= level & (left != turn_left)
    return Steps(point, edge, crosses, touches, is_sure & ~touches)


def walk_all(layout: Layout, starts: Int64s, cx: Floats, x: Floats, y: Floats, keys: Keys) -> None:
    """Write the key at each point, walking through blocks; `UNSURE_KEY` where it is unsure."""
    for begin in range(0, len(starts), _POINTS_A_STEP):
        part = slice(begin, begin + _POINTS_A_STEP)
        steps = walk(layout, starts[part], cx[part], x[part], y[part], exactly=False)
        keys[part] = _key_at(layout, starts[part], steps)


def find_all(layout: Layout, x: Floats, y: Floats, found: Int32s) -> int:
    """Write the combination at each point, or `ASK_EXACTLY`; tell how many are to be asked."""
    to_ask = 0
    for begin in range(0, len(x), _POINTS_A_STEP):
        part = slice(begin, begin + _POINTS_A_STEP)
        found[part] = _find(layout, x[part], y[part])
        to_ask += int(np.count_nonzero(found[part] < 0))
    return to_ask


def _find(layout: Layout, x: Floats, y: Floats) -> Int64s:
    at = places(layout, x, y)
    found = at.cell.copy()
    rows = np.flatnonzero(at.cell < 0)
    if len(rows):
        starts = ~at.cell[rows]
        steps = walk(layout, starts, at.cx[rows], x[rows], y[rows], exactly=False)
        key = _key_at(layout, starts, steps)
        found[rows] = np.where(key == UNSURE_KEY, ASK_EXACTLY, _listed(layout, at.page[rows], key))
    return found


def _key_at(layout: Layout, starts: Int64s, steps: Steps) -> Keys:
    low, high = (layout.blocks[starts + word].astype(np.uint64) for word in (0, 1))
    key = low | (high << np.uint64(32))
    point = steps.point[steps.crosses]
    if len(point):
        begins = np.flatnonzero(np.diff(point, prepend=-1))
        toggles = layout.edge_keys[steps.edge[steps.crosses]]
        key[point[begins]] ^= np.bitwise_xor.reduceat(toggles, begins)
    key[steps.point[~steps.is_sure]] = UNSURE_KEY
    return np.asarray(key, np.uint64)


def _listed(layout: Layout, page: Int64s, key: Keys) -> Int64s:
    """Find combinations by their keys in the pages' tables."""
    begin, mask = layout.directory[page, 1], layout.directory[page, 2]
    slot = (key & mask.astype(np.uint64)).astype(np.int64)
    found = np.full(len(key), ASK_EXACTLY, np.int64)
    left = np.arange(len(key))
    while len(left):
        at = begin[left] + slot[left]
        value = layout.table_values[at]
        hit = (value >= 0) & (layout.table_keys[at] == key[left])
        found[left[hit]] = value[hit]
        left = left[(value >= 0) & ~hit]
        slot[left] = (slot[left] + 1) & mask[left]
    return found


def nearest_edges(
    xy: Floats,
    pieces: Int64s,
    boxes: Floats,  # noqa: ARG001  saves nothing here
    areas: Int64s,
    rows: Int64s,
    x: Floats,
    y: Floats,
    found: Floats,
) -> None:
    """Write how far and where each area's boundary is nearest; the first place of equals."""
    for i, row in enumerate(rows.tolist()):
        own = pieces[areas[row, 0] : areas[row, 1]]
        counts = own[:, 1] - own[:, 0]
        first = own[:, 0] - (np.cumsum(counts) - counts)
        k = np.repeat(first, counts) + np.arange(counts.sum())
        a, step = xy[k], xy[k + 1] - xy[k]
        length2 = (step * step).sum(axis=1)
        along = ((np.array([x[i], y[i]]) - a) * step).sum(axis=1)
        t = np.clip(np.divide(along, length2, out=np.zeros(len(k)), where=length2 > 0), 0, 1)
        place = np.where((t == 1)[:, None], xy[k + 1], a + t[:, None] * step)
        apart = np.sqrt(((place - [x[i], y[i]]) ** 2).sum(axis=1))
        nearest = int(np.argmin(apart))
        found[:, i] = apart[nearest], *place[nearest]


def find_one(layout: Layout, x: float, y: float) -> int:
    """Find the combination at a point, or `ASK_EXACTLY`."""
    (found,) = _find(layout, np.array([x]), np.array([y])).tolist()
    return int(found)
