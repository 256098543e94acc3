"""Look-ups in the index, compiled: the walk from a cell's corner to a point.

numba keeps the machine code beside the sources, so only the first process after an installation
waits for the compiler. `gridsvc.routing.lookup_numpy` gives the same without it.

Here arithmetic is rounded. Where that could put a point on the wrong side of an edge, it is handed
back as `ASK_EXACTLY`, with all that are on an edge; `gridsvc.routing.closures` judges those.
"""

from collections.abc import Callable
from typing import TypeVar, cast

import numba
import numpy as np

from gridsvc.crs import Floats
from gridsvc.routing import orientation
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
    Words,
)

_F = TypeVar("_F", bound=Callable[..., object])
_ERROR_BOUND = orientation.ERROR_BOUND
_PLAINLY_M = 1e-6

POINTS_A_STEP = 1 << 20
"""Sorted by page at once."""


def compiled(function: _F) -> _F:
    """Compile a function at its first call; it then runs without the interpreter's lock."""
    return cast(_F, numba.njit(nogil=True, cache=True)(function))


@compiled
def _walk(
    blocks: Words,
    edges: Floats,
    edge_keys: Keys,
    start: int,
    cx: float,
    px: float,
    py: float,
) -> tuple[np.uint64, bool]:
    """Walk from a corner up to a point's height, then right to it, through the cell's edges.

    Returns:
        The key of the combination there, and whether it is sure.
    """
    key = np.uint64(blocks[start]) | (np.uint64(blocks[start + 1]) << np.uint64(32))
    first = np.uint64(start + BLOCK_HEAD)
    for at in range(first, first + np.uint64(blocks[start + 3])):
        entry = blocks[at]
        edge = np.uint64(entry >> np.uint32(1))
        ax, ay = edges[edge, np.uint64(0)], edges[edge, np.uint64(1)]
        bx, by = edges[edge, np.uint64(2)], edges[edge, np.uint64(3)]
        upright = (ax < cx) != (bx < cx)
        level = (ay <= py) != (by <= py)
        if not (upright or level):
            # It passes by, or ends at the point's own height.
            if (
                (py == ay and px == ax)
                or (py == by and px == bx)
                or (py == ay and py == by and ax <= px <= bx)
            ):
                return key, False
            continue
        rises = by > ay
        # Whether the place where the walk turns lies left of the edge.
        turn_left = rises if ax >= cx else not rises
        crosses = False
        if upright:
            # The upright leg, at x = cx less almost nothing.
            forth = (bx - ax) * (py - ay)
            back = (by - ay) * (cx - ax)
            side = forth - back
            if not abs(side) > _ERROR_BOUND * (abs(forth) + abs(back)):
                return key, False
            turn_left = side > 0.0
            crosses = turn_left != (entry & np.uint32(1) == 1)
        if level:
            # The level leg, at y = py and almost nothing more.
            if px < ax:
                left = rises
            elif px > bx:
                left = not rises
            else:
                forth = (bx - ax) * (py - ay)
                back = (by - ay) * (px - ax)
                side = forth - back
                if not abs(side) > _ERROR_BOUND * (abs(forth) + abs(back)):
                    return key, False
                left = side > 0.0
            crosses ^= left != turn_left
        elif (py == ay and px == ax) or (py == by and px == bx):
            return key, False
        if crosses:
            key ^= edge_keys[edge]
    return key, True


@compiled
def _listed(keys: Keys, values: Int32s, begin: np.uint64, mask: np.uint64, key: np.uint64) -> int:
    """Find a combination by its key in a page's table."""
    slot = key & mask
    while True:
        value = values[begin + slot]
        if value < 0:
            return ASK_EXACTLY
        if keys[begin + slot] == key:
            return value
        slot = (slot + np.uint64(1)) & mask


@compiled
def _walk_and_list(
    blocks: Words, edges: Floats, edge_keys: Keys, table_keys: Keys, table_values: Int32s,
    begin: np.uint64, mask: np.uint64,
    start: int, cx: float, px: float, py: float,
) -> int:  # fmt: skip
    key, is_sure = _walk(blocks, edges, edge_keys, start, cx, px, py)
    if not is_sure:
        return ASK_EXACTLY
    return _listed(table_keys, table_values, begin, mask, key)


@compiled
def find_one(layout: Layout, x: float, y: float) -> int:
    """Find the combination at a point, or `ASK_EXACTLY`."""
    column_f = (x - layout.x0) * layout.per_m
    row_f = (y - layout.y0) * layout.per_m
    if not (0.0 <= column_f < layout.columns and 0.0 <= row_f < layout.rows):
        return NOWHERE
    column, row = np.int64(column_f), np.int64(row_f)
    page = (row >> PAGE_BITS) * (layout.columns >> PAGE_BITS) + (column >> PAGE_BITS)
    place = layout.directory[page, 0]
    if place < 0:
        return NOWHERE
    cell = layout.cells[place, ((row & PAGE_MASK) << PAGE_BITS) | (column & PAGE_MASK)]
    if cell >= 0:
        return cell
    return _walk_and_list(
        layout.blocks, layout.edges, layout.edge_keys, layout.table_keys, layout.table_values,
        np.uint64(layout.directory[page, 1]), np.uint64(layout.directory[page, 2]),
        ~cell, layout.x0 + column * layout.cell_m, x, y,
    )  # fmt: skip


@compiled
def find_all(layout: Layout, x: Floats, y: Floats, found: Int32s) -> int:
    """Write the combination at each point, or `ASK_EXACTLY`; tell how many are to be asked.

    Points whose cells are crossed by edges are taken page by page: what a page needs stays in the
    processor's cache, where points in any order would wait for memory at each step.
    """
    to_ask = 0
    for begin in range(0, len(x), POINTS_A_STEP):
        end = min(begin + POINTS_A_STEP, len(x))
        to_ask += _find_step(layout, x[begin:end], y[begin:end], found[begin:end])
    return to_ask


@compiled
def _find_step(layout: Layout, x: Floats, y: Floats, found: Int32s) -> int:
    x0, y0, cell_m, per_m = layout.x0, layout.y0, layout.cell_m, layout.per_m
    columns, rows = layout.columns, layout.rows
    directory, cells = layout.directory, layout.cells
    blocks, edges, edge_keys = layout.blocks, layout.edges, layout.edge_keys
    table_keys, table_values = layout.table_keys, layout.table_values
    page_columns = columns >> PAGE_BITS
    ends = np.zeros(len(directory) + 1, np.int64)
    pages = np.empty(len(x), np.int32)
    for i in range(len(x)):
        column_f = (x[i] - x0) * per_m
        row_f = (y[i] - y0) * per_m
        found[i] = NOWHERE
        if 0.0 <= column_f < columns and 0.0 <= row_f < rows:
            column, row = np.int64(column_f), np.int64(row_f)
            page = (row >> PAGE_BITS) * page_columns + (column >> PAGE_BITS)
            place = directory[page, 0]
            if place >= 0:
                found[i] = cells[place, ((row & PAGE_MASK) << PAGE_BITS) | (column & PAGE_MASK)]
                if found[i] < 0:
                    pages[i] = page
                    ends[page + 1] += 1
    for page in range(len(directory)):
        ends[page + 1] += ends[page]
    # Where each page's next point goes; at last, where its points end.
    order = np.empty(ends[len(directory)], np.int32)
    for i in range(len(x)):
        if found[i] < 0:
            order[ends[pages[i]]] = i
            ends[pages[i]] += 1
    to_ask = 0
    for at in range(len(order)):
        i = order[at]
        column = np.int64((x[i] - x0) * per_m)
        combination = _walk_and_list(
            blocks, edges, edge_keys, table_keys, table_values,
            np.uint64(directory[pages[i], 1]), np.uint64(directory[pages[i], 2]),
            ~found[i], x0 + column * cell_m, x[i], y[i],
        )  # fmt: skip
        found[i] = combination
        to_ask += combination < 0
    return to_ask


@compiled
def walk_all(layout: Layout, starts: Int64s, cx: Floats, x: Floats, y: Floats, keys: Keys) -> None:
    """Write the key at each point, walking through blocks; `UNSURE_KEY` where it is unsure."""
    blocks, edges, edge_keys = layout.blocks, layout.edges, layout.edge_keys
    for i in range(len(x)):
        key, is_sure = _walk(blocks, edges, edge_keys, starts[i], cx[i], x[i], y[i])
        keys[i] = key if is_sure else UNSURE_KEY


@compiled
def nearest_edge(
    xy: Floats, pieces: Int64s, boxes: Floats, areas: Int64s, row: int, px: float, py: float
) -> tuple[float, float, float]:
    """Find how far and where an area's boundary is nearest; the first place of equals."""
    best = limit = np.inf
    best_x = best_y = np.nan
    for piece in range(areas[row, 0], areas[row, 1]):
        off_x = max(boxes[piece, 0] - px, 0.0, px - boxes[piece, 2])
        off_y = max(boxes[piece, 1] - py, 0.0, py - boxes[piece, 3])
        if np.sqrt(off_x * off_x + off_y * off_y) > best:
            continue
        for k in range(pieces[piece, 0], pieces[piece, 1]):
            ax, ay = xy[k, 0], xy[k, 1]
            dx, dy = xy[k + 1, 0] - ax, xy[k + 1, 1] - ay
            length2 = dx * dx + dy * dy
            # Most edges are plainly further away, which shows without dividing.
            along = (px - ax) * dx + (py - ay) * dy
            if along <= 0.0:
                off2, scale = (px - ax) * (px - ax) + (py - ay) * (py - ay), 1.0
            elif along >= length2:
                off_x, off_y = px - xy[k + 1, 0], py - xy[k + 1, 1]
                off2, scale = off_x * off_x + off_y * off_y, 1.0
            else:
                aside = (px - ax) * dy - (py - ay) * dx
                off2, scale = aside * aside, length2
            if off2 > limit * scale:
                continue
            t = 0.0
            if length2 > 0.0:
                t = min(max(along / length2, 0.0), 1.0)
            qx, qy = ax + t * dx, ay + t * dy
            if t == 1.0:
                qx, qy = xy[k + 1, 0], xy[k + 1, 1]
            # The root before comparing, as PostGIS does: then the same ones are equal.
            apart = np.sqrt((px - qx) * (px - qx) + (py - qy) * (py - qy))
            if apart < best:
                best, best_x, best_y = apart, qx, qy
                limit = (best + _PLAINLY_M) * (best + _PLAINLY_M)
    return best, best_x, best_y


@compiled
def nearest_edges(
    xy: Floats,
    pieces: Int64s,
    boxes: Floats,
    areas: Int64s,
    rows: Int64s,
    x: Floats,
    y: Floats,
    found: Floats,
) -> None:
    """Write for each point what `nearest_edge` finds."""
    for i in range(len(rows)):
        found[0, i], found[1, i], found[2, i] = nearest_edge(
            xy, pieces, boxes, areas, rows[i], x[i], y[i]
        )


@compiled
def edge_distances(
    xy: Floats,
    pieces: Int64s,
    boxes: Floats,
    areas: Int64s,
    rows: Int64s,
    x: Floats,
    y: Floats,
    found: Floats,
) -> None:
    """Write how far each area's boundary is: the distances of `nearest_edges`.

    Where on the boundary does not matter here, so the piece that seems nearest is asked first and
    spares most of the others; and the root is taken once, for it keeps the order.
    """
    for i in range(len(rows)):
        px, py = x[i], y[i]
        begin, end = areas[rows[i], 0], areas[rows[i], 1]
        first, least = begin, np.inf
        for piece in range(begin, end):
            off_x = max(boxes[piece, 0] - px, 0.0, px - boxes[piece, 2])
            off_y = max(boxes[piece, 1] - py, 0.0, py - boxes[piece, 3])
            off2 = off_x * off_x + off_y * off_y
            if off2 < least:
                first, least = piece, off2
        best = np.inf
        for step in range(begin - 1, end):
            piece = first if step < begin else step
            if step == first:
                continue
            off_x = max(boxes[piece, 0] - px, 0.0, px - boxes[piece, 2])
            off_y = max(boxes[piece, 1] - py, 0.0, py - boxes[piece, 3])
            if off_x * off_x + off_y * off_y > best:
                continue
            for k in range(pieces[piece, 0], pieces[piece, 1]):
                ax, ay = xy[k, 0], xy[k, 1]
                dx, dy = xy[k + 1, 0] - ax, xy[k + 1, 1] - ay
                length2 = dx * dx + dy * dy
                along = (px - ax) * dx + (py - ay) * dy
                qx, qy = ax, ay
                if along > 0.0:
                    t = along / length2
                    if t < 1.0:
                        qx, qy = ax + t * dx, ay + t * dy
                    else:
                        qx, qy = xy[k + 1, 0], xy[k + 1, 1]
                best = min(best, (px - qx) * (px - qx) + (py - qy) * (py - qy))
        found[i] = np.sqrt(best)
