"""Laying out the pages of an index, region by region, and numbering what covers their ground."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from gridsvc.crs import Floats
from gridsvc.routing import index_engine
from gridsvc.routing.closures import Ragged
from gridsvc.routing.combinations import Areas, Combinations
from gridsvc.routing.index_layout import (
    BLOCK_HEAD,
    NOWHERE,
    PAGE_BITS,
    PAGE_CELLS,
    Int32s,
    Int64s,
    Keys,
    Layout,
    Words,
    area_keys,
)
from gridsvc.routing.index_pages import Grid, Region, Tables, lay, tables
from gridsvc.routing.orientation import sides

CELL_MIN_M, CELL_MAX_M = 2.0, 256.0
_CELLS_AN_EDGE = 8.0
_CELLS_MAX = 1 << 25


def set_keys(offsets: Int64s | Int32s, areas: Int32s) -> Keys:
    """Give the keys of sets."""
    keys = np.zeros(len(offsets) - 1, np.uint64)
    filled = np.flatnonzero(np.diff(offsets))
    if len(filled):
        each = area_keys(areas.astype(np.int64))
        keys[filled] = np.bitwise_xor.reduceat(each, offsets[filled])
    return keys


def grid_for(xy: Floats, edges: int, cell_m: float | None) -> Grid:
    """Lay a grid over some points; the side of its cells by the number of edges if not given."""
    low, high = (xy.min(axis=0), xy.max(axis=0)) if len(xy) else (np.zeros(2), np.ones(2))
    if cell_m is None:
        wanted = np.prod(np.maximum(high - low, 1.0)) / max(edges * _CELLS_AN_EDGE, 1)
        least = np.prod(np.maximum(high - low, 1.0)) / _CELLS_MAX
        cell_m = float(2.0 ** np.round(np.log2(max(wanted, least)) / 2))
        cell_m = min(max(cell_m, CELL_MIN_M), CELL_MAX_M)
    page_m = cell_m * PAGE_CELLS
    x0, y0 = np.floor((low - cell_m) / page_m) * page_m
    columns, rows = (np.floor((high + cell_m - [x0, y0]) / page_m) + 1).astype(int) * PAGE_CELLS
    return Grid(float(x0), float(y0), cell_m, int(columns), int(rows))


def edges_of(layout: Layout, starts: Int64s) -> Int64s:
    """Give the different edges of some blocks."""
    counts = layout.blocks[starts + 3].astype(np.int64)
    first = starts + BLOCK_HEAD - (np.cumsum(counts) - counts)
    place = np.repeat(first, counts) + np.arange(counts.sum())
    return np.unique(layout.blocks[place] >> 1).astype(np.int64)


def face(ends: Floats, edge_areas: Ragged, x: float, y: float) -> Areas:
    """Find the areas whose ground is beside a point, by all edges to the west of it."""
    level = np.flatnonzero((ends[:, 1] <= y) != (ends[:, 3] <= y))
    line = ends[level]
    ax, ay, bx, by = line.T
    left = sides(ax, ay, bx, by, np.full(len(level), x), np.full(len(level), y)) >= 0
    west = level[left != (by > ay)]
    _, toggled = edge_areas.pairs(west)
    areas, times = np.unique(toggled, return_counts=True)
    return tuple(areas[times % 2 == 1].tolist())


class Pages(NamedTuple):
    """Pages laid out; see `Layout`.

    Attributes:
        directory: A row a page.
        cells: Of the pages that areas touch.
        blocks: Of their cells.
        table_keys: Of all pages.
        table_values: The same.
    """

    directory: Int64s
    cells: Int32s
    blocks: Words
    table_keys: Keys
    table_values: Int32s


@dataclass(slots=True)
class Making:
    """Pages as they are laid out, region by region."""

    grid: Grid
    ends: Floats
    edge_keys: Keys
    edge_areas: Ragged
    combinations: Combinations
    known: Callable[[int], Areas]
    ask: Callable[[float, float], Areas]
    pages: list[Int64s] = field(default_factory=list)
    cells: list[Int32s] = field(default_factory=list)
    blocks: list[Words] = field(default_factory=list)
    tables: list[Tables] = field(default_factory=list)

    def add(self, region: Region, numbers: Int64s, corner_keys: Keys) -> None:
        """Lay out a region."""
        empty = np.empty(0, np.uint32)
        layout = Layout(
            0.0, 0.0, 0.0, 0.0, 0, 0, np.empty((0, 3), np.int64), np.empty((0, 0), np.int32),
            empty, self.ends, self.edge_keys, self.edge_keys, np.empty(0, np.int32),
        )  # fmt: skip
        laid = lay(self.grid, region, numbers, corner_keys, layout, index_engine.engine().walk_all)
        self.combinations.learn_all(
            laid.links, self.edge_keys, self.edge_areas, known=self.known, ask=self.ask
        )
        combination = self._combinations_at(region, corner_keys)
        laid.blocks[laid.starts + 2] = combination.ravel()[laid.cells]
        cells = combination.astype(np.int32)
        cells.ravel()[laid.cells] = ~laid.starts.astype(np.int32)
        pages = len(cells)
        links = laid.links
        page = np.concatenate([links.page, links.page, laid.cells >> (2 * PAGE_BITS)])
        key = np.concatenate(
            [links.key, links.key ^ self.edge_keys[links.edge], corner_keys.ravel()[laid.cells]]
        )
        _, one = np.unique(
            key + page.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15), return_index=True
        )
        page, key = page[one], key[one]
        self.tables.append(tables(page, key, self.combinations.numbers(key), pages))
        self.pages.append(page_numbers(self.grid, region))
        self.cells.append(cells)
        self.blocks.append(laid.blocks)

    def _combinations_at(self, region: Region, corner_keys: Keys) -> Int64s:
        """Give the combination at each corner; of those that no link told, ask."""
        found = self.combinations.numbers(corner_keys)
        while (missing := np.flatnonzero(found < 0)).size:
            cell = int(missing[0])
            x, y = corner(self.grid, region, cell)
            self.combinations.learn(int(corner_keys.ravel()[cell]), self.ask(x, y))
            found = self.combinations.numbers(corner_keys)
        return found

    def arrays(self, first_cells: int, first_block: int, first_slot: int) -> Pages:
        """Put all regions together, to stand behind so many pages, words and slots of others."""
        directory, cells, blocks, keys, values = [], [], [], [], []
        for page_cells, page_blocks, table in zip(
            self.cells, self.blocks, self.tables, strict=True
        ):
            page_cells[page_cells < 0] -= first_block
            first_block += len(page_blocks)
            used = np.flatnonzero((page_cells != NOWHERE).any(axis=1))
            rows = np.full((len(page_cells), 3), -1, np.int64)
            rows[used, 0] = first_cells + np.arange(len(used))
            rows[:, 1], rows[:, 2] = table.begins + first_slot, table.masks
            first_cells += len(used)
            first_slot += len(table.keys)
            directory.append(rows)
            cells.append(page_cells[used])
            blocks.append(page_blocks)
            keys.append(table.keys)
            values.append(table.values)
        return Pages(
            np.concatenate(directory),
            np.concatenate(cells),
            np.concatenate(blocks),
            np.concatenate(keys),
            np.concatenate(values),
        )


def page_numbers(grid: Grid, region: Region) -> Int64s:
    """Number the pages of a region, row by row, as the directory does."""
    rows = np.arange(region.row >> PAGE_BITS, (region.row + region.rows) >> PAGE_BITS)
    columns = np.arange(region.column >> PAGE_BITS, (region.column + region.columns) >> PAGE_BITS)
    return (rows[:, None] * (grid.columns >> PAGE_BITS) + columns).ravel()


def corner(grid: Grid, region: Region, cell: int) -> tuple[float, float]:
    """Give the south-western corner of a cell, by its number in the region."""
    page, low = divmod(cell, PAGE_CELLS * PAGE_CELLS)
    page_row, page_column = divmod(page, region.columns >> PAGE_BITS)
    row, column = divmod(low, PAGE_CELLS)
    return (
        grid.x0 + (region.column + page_column * PAGE_CELLS + column) * grid.cell_m,
        grid.y0 + (region.row + page_row * PAGE_CELLS + row) * grid.cell_m,
    )
