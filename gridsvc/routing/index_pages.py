"""From edges to pages: which edges touch which cell, and what covers its corner.

All of it is NumPy over a region of whole pages: a row of pages when an index is built, a single
one when it is patched.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

from gridsvc.crs import Floats
from gridsvc.routing.index_layout import (
    BLOCK_HEAD,
    MARGIN_M,
    PAGE_BITS,
    PAGE_CELLS,
    UNSURE_KEY,
    Int32s,
    Int64s,
    Keys,
    Layout,
    Words,
)
from gridsvc.routing.orientation import sides

_BESIDE_M = MARGIN_M / 2
"""How far beside an edge the ground on its left is asked for: within the cell's margin."""


class Grid(NamedTuple):
    """Square cells over the ground; see `Layout`."""

    x0: float
    y0: float
    cell_m: float
    columns: int
    rows: int


class Region(NamedTuple):
    """Some pages, as cells: the first row and column, and how many."""

    row: int
    column: int
    rows: int
    columns: int


class Meeting(NamedTuple):
    """Edges that touch cells; one row a cell and edge, by page, cell, then edge.

    Attributes:
        cell: Page by page, then row by row in the page.
        edge: Position among the edges asked for.
        cx: South-western corner of the cell.
        cy: The same.
    """

    cell: Int64s
    edge: Int64s
    cx: Floats
    cy: Floats


class Links(NamedTuple):
    """That there is ground of some key in a page, with an edge on which it borders.

    Attributes:
        key: Of the ground to the left of an edge.
        edge: Number of the edge.
        page: Position of the page in the region.
        x: A point on that ground.
        y: The same.
    """

    key: Keys
    edge: Int64s
    page: Int64s
    x: Floats
    y: Floats


class Laid(NamedTuple):
    """A region before its combinations have numbers.

    Attributes:
        corner_keys: (pages, 4096) key at the corner of each cell.
        cells: Which have blocks, ascending.
        starts: Where their blocks begin.
        blocks: The blocks, still without the corners' combinations.
        links: What combinations there are.
    """

    corner_keys: Keys
    cells: Int64s
    starts: Int64s
    blocks: Words
    links: Links


Walk: TypeAlias = Callable[[Layout, Int64s, Floats, Floats, Floats, Keys], None]


def met(grid: Grid, region: Region, ends: Floats) -> Meeting:
    """Find the cells of a region that edges touch, or miss by less than `MARGIN_M`."""
    ax, ay, bx, by = ends.T
    low, high = np.minimum(ay, by), np.maximum(ay, by)
    edge, row = _spread(
        _cell(low - MARGIN_M, grid.y0, grid.cell_m, region.row, region.rows, is_first=True),
        _cell(high + MARGIN_M, grid.y0, grid.cell_m, region.row, region.rows, is_first=False),
    )
    south = grid.y0 + row * grid.cell_m
    rise = by[edge] - ay[edge]
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (bx[edge] - ax[edge]) / rise
        # Where the edge enters and leaves the band of the row; a level one is in it whole.
        x_south = ax[edge] + (np.maximum(low[edge], south - MARGIN_M) - ay[edge]) * slope
        x_north = (
            ax[edge] + (np.minimum(high[edge], south + grid.cell_m + MARGIN_M) - ay[edge]) * slope
        )
    level = rise == 0
    west = np.where(level, ax[edge], np.clip(np.minimum(x_south, x_north), ax[edge], bx[edge]))
    east = np.where(level, bx[edge], np.clip(np.maximum(x_south, x_north), ax[edge], bx[edge]))
    band, column = _spread(
        _cell(west - MARGIN_M, grid.x0, grid.cell_m, region.column, region.columns, is_first=True),
        _cell(east + MARGIN_M, grid.x0, grid.cell_m, region.column, region.columns, is_first=False),
    )
    edge, row = edge[band], row[band]
    cell = _code(region, row - region.row, column - region.column)
    order = np.argsort(cell, kind="stable")
    edge, row, column = edge[order], row[order], column[order]
    cx: Floats = np.asarray(grid.x0 + column * grid.cell_m, np.float64)
    cy: Floats = np.asarray(grid.y0 + row * grid.cell_m, np.float64)
    return Meeting(cell[order], edge, cx, cy)


def _cell(
    at: Floats, origin: float, cell_m: float, begin: int, count: int, *, is_first: bool
) -> Int64s:
    cell = np.floor((at - origin) / cell_m).astype(np.int64)
    return np.maximum(cell, begin) if is_first else np.minimum(cell, begin + count - 1)


def _spread(first: Int64s, last: Int64s) -> tuple[Int64s, Int64s]:
    """Count from first to last for each; give whose each number is, and the number."""
    counts = np.maximum(last - first + 1, 0)
    owner = np.repeat(np.arange(len(counts)), counts)
    return owner, first[owner] + np.arange(len(owner)) - (np.cumsum(counts) - counts)[owner]


def _code(region: Region, row: Int64s, column: Int64s) -> Int64s:
    """Number cells page by page."""
    page = (row >> PAGE_BITS) * (region.columns >> PAGE_BITS) + (column >> PAGE_BITS)
    low = PAGE_CELLS - 1
    return (page << (2 * PAGE_BITS)) | ((row & low) << PAGE_BITS) | (column & low)


def by_page(region: Region, values: Keys) -> Keys:
    """Turn (rows, columns) of a region into (pages, 4096)."""
    pages = values.reshape(
        region.rows >> PAGE_BITS, PAGE_CELLS, region.columns >> PAGE_BITS, PAGE_CELLS
    )
    return pages.swapaxes(1, 2).reshape(-1, PAGE_CELLS * PAGE_CELLS)


def toggled_corners(grid: Grid, region: Region, ends: Floats, keys: Keys) -> Keys:
    """Toggle, at the corner of each cell, the edges west of it; (rows, columns) keys.

    A corner stands, as any point, for the place a hair further up and left.
    """
    ax, ay, bx, by = ends.T
    low, high = np.minimum(ay, by), np.maximum(ay, by)
    edge, row = _spread(
        _cell(low, grid.y0, grid.cell_m, region.row, region.rows, is_first=True),
        _cell(high, grid.y0, grid.cell_m, region.row, region.rows, is_first=False),
    )
    cy = grid.y0 + row * grid.cell_m
    straddles = (low[edge] <= cy) & (cy < high[edge])
    edge, row, cy = edge[straddles], row[straddles], cy[straddles]
    ax, ay, bx, by = ends[edge].T
    crossing = np.clip(ax + (cy - ay) * ((bx - ax) / (by - ay)), ax, bx)
    # The first corner east of the crossing; where one is too near to tell, it is asked exactly.
    column = np.floor((crossing - grid.x0) / grid.cell_m).astype(np.int64) + 1
    for step in (-1, 0):
        cx = grid.x0 + (column + step) * grid.cell_m
        near = np.flatnonzero(np.abs(crossing - cx) < MARGIN_M)
        if len(near):
            left = sides(ax[near], ay[near], bx[near], by[near], cx[near], cy[near]) >= 0
            is_east = left != (by[near] > ay[near])
            column[near] += np.where(is_east, step, step + 1)
    column = np.maximum(column - region.column, 0)
    inside = column < region.columns
    flat = ((row - region.row) * region.columns + column)[inside]
    order = np.argsort(flat, kind="stable")
    flat = flat[order]
    corners = np.zeros(region.rows * region.columns, np.uint64)
    if len(flat):
        begins = np.flatnonzero(np.diff(flat, prepend=-1))
        corners[flat[begins]] = np.bitwise_xor.reduceat(keys[edge[inside][order]], begins)
    return np.asarray(
        np.bitwise_xor.accumulate(corners.reshape(region.rows, region.columns), axis=1), np.uint64
    )


def lay(
    grid: Grid, region: Region, numbers: Int64s, corner_keys: Keys, layout: Layout, walk: Walk
) -> Laid:
    """Lay out the cells of a region.

    Args:
        grid: The ground.
        region: Which pages.
        numbers: Of all edges that may touch it.
        corner_keys: (pages, 4096) keys at the cells' corners.
        layout: For its edges.
        walk: `walk_all` of a look-up.
    """
    ends = layout.edges[numbers]
    meeting = met(grid, region, ends)
    ax, ay, bx, by = ends[meeting.edge].T
    corner_left = sides(ax, ay, bx, by, meeting.cx, meeting.cy) >= 0
    begins = np.flatnonzero(np.diff(meeting.cell, prepend=-1))
    cells = meeting.cell[begins]
    counts = np.diff(begins, append=len(meeting.cell))
    starts = begins + BLOCK_HEAD * np.arange(len(begins))
    blocks = np.zeros(len(meeting.cell) + BLOCK_HEAD * len(begins), np.uint32)
    corner = corner_keys.ravel()[cells]
    blocks[starts] = (corner & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    blocks[starts + 1] = (corner >> np.uint64(32)).astype(np.uint32)
    blocks[starts + 3] = counts
    block = np.repeat(np.arange(len(begins)), counts)
    place = np.arange(len(meeting.cell)) + BLOCK_HEAD * (block + 1)
    edge = numbers[meeting.edge]
    blocks[place] = (edge << 1) | corner_left
    links = _links(grid, meeting, edge, starts[block], layout._replace(blocks=blocks), walk)
    return Laid(corner_keys, cells, starts, blocks, links)


def _links(
    grid: Grid, meeting: Meeting, edge: Int64s, start: Int64s, layout: Layout, walk: Walk
) -> Links:
    """Find the combinations on both sides of each edge in each cell, crossings included.

    Along an edge the ground changes only where another one crosses it; so what lies left of its
    middle and round its crossings is all that borders on it. What rounding hides is too small to
    be met but by chance, and is then judged exactly.
    """
    ax, ay, bx, by = layout.edges[edge].T
    dx, dy = bx - ax, by - ay
    length = np.hypot(dx, dy)
    left_x, left_y = -dy / length * _BESIDE_M, dx / length * _BESIDE_M
    with np.errstate(divide="ignore", invalid="ignore"):
        t = [
            (np.stack([low - a, low + grid.cell_m - a]) / d)
            for low, a, d in ((meeting.cx, ax, dx), (meeting.cy, ay, dy))
        ]
    enter, leave = np.zeros(len(edge)), np.ones(len(edge))
    for bound, d in zip(t, (dx, dy), strict=True):
        moves = d != 0
        enter = np.where(moves, np.maximum(enter, bound.min(axis=0)), enter)
        leave = np.where(moves, np.minimum(leave, bound.max(axis=0)), leave)
    inside = np.flatnonzero(enter < leave)
    middle = ((enter + leave) / 2)[inside]
    x = ax[inside] + middle * dx[inside] + left_x[inside]
    y = ay[inside] + middle * dy[inside] + left_y[inside]
    first, second, cross_x, cross_y = _crossings(grid, meeting, layout.edges[edge])
    cross_x += left_x[first] + left_x[second]
    cross_y += left_y[first] + left_y[second]
    row = np.concatenate([inside, first])
    x, y = np.concatenate([x, cross_x]), np.concatenate([y, cross_y])
    key = np.empty(len(row), np.uint64)
    walk(layout, start[row], meeting.cx[row], x, y, key)
    # Left of both; behind the first, behind the second, behind both.
    of_pairs = slice(len(inside), None)
    key = np.concatenate([key, key[of_pairs], key[of_pairs] ^ layout.edge_keys[edge[first]]])
    row_edge = np.concatenate([edge[row], edge[second], edge[second]])
    page = np.concatenate([meeting.cell[row], meeting.cell[second], meeting.cell[second]])
    x = np.concatenate([x, x[of_pairs], x[of_pairs]])
    y = np.concatenate([y, y[of_pairs], y[of_pairs]])
    unsure = np.concatenate(
        [key[: len(row)] == UNSURE_KEY, *[key[len(inside) : len(row)] == UNSURE_KEY] * 2]
    )
    sure = ~unsure
    return Links(key[sure], row_edge[sure], page[sure] >> (2 * PAGE_BITS), x[sure], y[sure])


def _crossings(grid: Grid, meeting: Meeting, ends: Floats) -> tuple[Int64s, Int64s, Floats, Floats]:
    """Find pairs of edges that cross within their cell, and where."""
    ends_at = np.searchsorted(meeting.cell, meeting.cell, side="right")
    place = np.arange(len(meeting.cell))
    first, second = _spread(place + 1, ends_at - 1)
    a, b = ends[first].T, ends[second].T
    apart = (a[2] <= b[0]) | (b[2] <= a[0])
    apart |= np.maximum(a[1], a[3]) <= np.minimum(b[1], b[3])
    apart |= np.maximum(b[1], b[3]) <= np.minimum(a[1], a[3])
    kept = ~apart
    first, second, a, b = first[kept], second[kept], a[:, kept], b[:, kept]

    def side(line: Floats, x: Floats, y: Floats) -> Floats:
        found: Floats = (line[2] - line[0]) * (y - line[1]) - (line[3] - line[1]) * (x - line[0])
        return found

    a_begin, a_end = side(b, a[0], a[1]), side(b, a[2], a[3])
    b_begin, b_end = side(a, b[0], b[1]), side(a, b[2], b[3])
    kept = (a_begin * a_end <= 0) & (b_begin * b_end <= 0) & (a_begin != a_end)
    # Edges that end in one node only touch.
    for i in (0, 2):
        for j in (0, 2):
            kept &= (a[i] != b[j]) | (a[i + 1] != b[j + 1])
    first, second, a = first[kept], second[kept], a[:, kept]
    t = a_begin[kept] / (a_begin[kept] - a_end[kept])
    x, y = a[0] + t * (a[2] - a[0]), a[1] + t * (a[3] - a[1])
    cx, cy = meeting.cx[first], meeting.cy[first]
    here = (cx <= x) & (x <= cx + grid.cell_m) & (cy <= y) & (y <= cy + grid.cell_m)
    return first[here], second[here], x[here], y[here]


class Tables(NamedTuple):
    """The tables of some pages, one after the other.

    Attributes:
        begins: (pages,) where each begins.
        masks: (pages,) their sizes less one.
        keys: All slots.
        values: Combinations; -1 where the slot is free.
    """

    begins: Int64s
    masks: Int64s
    keys: Keys
    values: Int32s


def tables(page: Int64s, key: Keys, value: Int64s, pages: int) -> Tables:
    """Make a table of each page, at most two thirds full; pairs of page and key come once."""
    counts = np.bincount(page, minlength=pages)
    sizes = 1 << np.ceil(np.log2(np.maximum(1.5 * counts, 2))).astype(np.int64)
    begins = np.cumsum(sizes) - sizes
    keys = np.zeros(int(sizes.sum()), np.uint64)
    values = np.full(len(keys), -1, np.int32)
    mask = (sizes - 1)[page]
    slot = (key & mask.astype(np.uint64)).astype(np.int64)
    left = np.arange(len(key))
    while len(left):
        at = begins[page[left]] + slot[left]
        free = np.flatnonzero(values[at] < 0)
        # Of several that want one slot the first gets it.
        _, won = np.unique(at[free], return_index=True)
        won = free[won]
        keys[at[won]], values[at[won]] = key[left[won]], value[left[won]]
        left = np.delete(left, won)
        slot[left] = (slot[left] + 1) & mask[left]
    return Tables(begins, sizes - 1, keys, values)
