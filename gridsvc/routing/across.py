"""Whose land lies across an edge, compiled: the areas that come near a place on it, from the grid.

Only what is plain is told. Where the last digit of a distance, or the instant, would decide, the
place is handed back as `ASK`, and `gridsvc.routing.borders` looks at the boundaries themselves.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from gridsvc.crs import Floats
from gridsvc.routing.area_columns import LAYER_BITS
from gridsvc.routing.index_layout import (
    BLOCK_HEAD,
    NOWHERE,
    PAGE_BITS,
    PAGE_MASK,
    Int32s,
    Int64s,
    Layout,
)
from gridsvc.routing.lookup import compiled, find_one, nearest_edge

NOBODY: Final = -1
ASK: Final = -2

_ACROSS_M: Final = 1.0

# Whose ground a place on an edge is in, within this of it. Nearer edges are told apart by nothing.
_ASIDE_M: Final = 1e-4
_TIE: Final = 1e-5


@compiled
def _distance_m(edges: Floats, edge: np.uint32, x: float, y: float) -> float:
    ax, ay = edges[edge, 0], edges[edge, 1]
    dx, dy = edges[edge, 2] - ax, edges[edge, 3] - ay
    along = ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy)
    along = min(max(along, 0.0), 1.0)
    off_x, off_y = ax + along * dx - x, ay + along * dy - y
    distance_m: float = np.sqrt(off_x * off_x + off_y * off_y)
    return distance_m


@compiled
def _beside(layout: Layout, x: float, y: float) -> int:
    """Find the combination a hair beside a place on an edge; below 0 where none is sure."""
    for turn in range(4):
        side_x = _ASIDE_M * (0.8 if turn & 1 else -0.6)
        side_y = _ASIDE_M * (0.6 if turn & 2 else -0.8)
        number = find_one(layout, x + side_x, y + side_y)
        if number >= 0:
            return number
    return -1


@compiled
def _across(  # noqa: C901, PLR0912, PLR0913, PLR0917  one search, kept together for speed
    layout: Layout,
    edge_offsets: Int64s,
    edge_areas: Int32s,
    set_offsets: Int64s,
    set_areas: Int32s,
    order: Int64s,
    always: npt.NDArray[np.bool_],
    row: int,
    x: float,
    y: float,
) -> int:
    own = order[row]
    best_mm, best_order, best_row = np.inf, own, NOBODY
    number = _beside(layout, x, y)
    if number < 0:
        return ASK
    for at in range(set_offsets[number], set_offsets[number + 1]):
        area = set_areas[at]
        if order[area] != own and order[area] >> LAYER_BITS == own >> LAYER_BITS:
            if not always[area]:
                return ASK
            if best_mm > 0.0 or order[area] < best_order:
                best_mm, best_order, best_row = 0.0, order[area], area
    first_column = max(int((x - _ACROSS_M - layout.x0) * layout.per_m), 0)
    last_column = min(int((x + _ACROSS_M - layout.x0) * layout.per_m), layout.columns - 1)
    first_row = max(int((y - _ACROSS_M - layout.y0) * layout.per_m), 0)
    last_row = min(int((y + _ACROSS_M - layout.y0) * layout.per_m), layout.rows - 1)
    for grid_row in range(first_row, last_row + 1):
        for column in range(first_column, last_column + 1):
            page = (grid_row >> PAGE_BITS) * (layout.columns >> PAGE_BITS) + (column >> PAGE_BITS)
            place = layout.directory[page, 0]
            if place < 0:
                continue
            cell = layout.cells[place, ((grid_row & PAGE_MASK) << PAGE_BITS) | (column & PAGE_MASK)]
            if cell >= NOWHERE:
                continue
            start = ~np.int64(cell)
            for entry in range(start + BLOCK_HEAD, start + BLOCK_HEAD + layout.blocks[start + 3]):
                edge = layout.blocks[entry] >> np.uint32(1)
                distance_m = _distance_m(layout.edges, edge, x, y)
                if distance_m > _ACROSS_M + _TIE:
                    continue
                for at in range(edge_offsets[edge], edge_offsets[edge + 1]):
                    area = edge_areas[at]
                    if order[area] == own or order[area] >> LAYER_BITS != own >> LAYER_BITS:
                        continue
                    scaled = distance_m * 1000.0
                    told_mm = np.floor(scaled + 0.5)
                    is_near = told_mm <= best_mm + 1.0
                    if not always[area] or (
                        is_near and abs(scaled + 0.5 - np.rint(scaled + 0.5)) < _TIE
                    ):
                        return ASK
                    if distance_m > _ACROSS_M - _TIE:
                        return ASK
                    if told_mm < best_mm or (told_mm == best_mm and order[area] < best_order):
                        best_mm, best_order, best_row = told_mm, order[area], area
    return best_row


@compiled
def edge_one(  # noqa: PLR0913, PLR0917
    layout: Layout,
    xy: Floats,
    pieces: Int64s,
    boxes: Floats,
    pieces_of: Int64s,
    edge_offsets: Int64s,
    edge_areas: Int32s,
    set_offsets: Int64s,
    set_areas: Int32s,
    order: Int64s,
    always: npt.NDArray[np.bool_],
    row: int,
    x: float,
    y: float,
) -> tuple[float, float, float, int]:
    """Find the nearest place on the edge of one row, and who lies across.

    Returns:
        How far it is, where, and as `across_all` writes it.
    """
    distance_m, foot_x, foot_y = nearest_edge(xy, pieces, boxes, pieces_of, row, x, y)
    across = _across(
        layout, edge_offsets, edge_areas, set_offsets, set_areas, order, always, row, foot_x, foot_y
    )
    return distance_m, foot_x, foot_y, across


@compiled
def across_all(  # noqa: PLR0913, PLR0917
    layout: Layout,
    edge_offsets: Int64s,
    edge_areas: Int32s,
    set_offsets: Int64s,
    set_areas: Int32s,
    order: Int64s,
    always: npt.NDArray[np.bool_],
    rows: Int64s,
    x: Floats,
    y: Floats,
    found: Int64s,
) -> None:
    """Write for places on the edges of rows the row across: the lowest code of the nearest.

    Args:
        layout: The index's.
        edge_offsets: Where each edge's areas begin in `edge_areas`.
        edge_areas: Rows on whose boundary edges lie.
        set_offsets: Where each combination's areas begin in `set_areas`.
        set_areas: Rows of combinations.
        order: (rows,) the layer and the code of each row's area; see `Areas.order`.
        always: (rows,) whether it is valid at every instant.
        rows: (n,) whose edges.
        x: (n,) the places, metres.
        y: The same.
        found: (n,) gets rows, `NOBODY` or `ASK`.
    """
    for i in range(len(rows)):
        found[i] = _across(
            layout, edge_offsets, edge_areas, set_offsets, set_areas, order, always,
            rows[i], x[i], y[i],
        )  # fmt: skip
