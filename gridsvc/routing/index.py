"""The areas over any point, from memory: exact, for millions of points a second.

One grid holds the areas of all layers (`gridsvc.routing.index_layout` says how). An index is built
from the boundaries of one revision, never changes, and can be patched into the index of another
one, with which it shares what stayed; saved, it is opened by mapping the files, so that processes
share it. Areas are rows; what they are called is for others to know.
"""

import json
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from gridsvc.crs import Floats, Geometries
from gridsvc.routing import index_engine, lookup_numpy
from gridsvc.routing.closures import Ragged, closures
from gridsvc.routing.combinations import Areas, Combinations
from gridsvc.routing.index_areas import Pieces, geometry
from gridsvc.routing.index_edges import Edges, Rings, joined
from gridsvc.routing.index_layout import (
    NOWHERE,
    PAGE_BITS,
    PAGE_CELLS,
    Int32s,
    Int64s,
    Keys,
    Layout,
    Pool,
    room_for,
    with_room,
)
from gridsvc.routing.index_making import (
    Making,
    corner,
    edges_of,
    face,
    grid_for,
    page_numbers,
    set_keys,
)
from gridsvc.routing.index_pages import Grid, Region, by_page, met, toggled_corners

_FORMAT = 1
_NOTHING: Final = np.empty(0, np.int64)
_NO_GEOMETRIES: Final = np.empty(0, object)
_PATCHED_MAX = 0.25


@dataclass(frozen=True, slots=True)
class Found:
    """The combinations at points.

    Attributes:
        combination: (n,) numbers; 0 is no area. From the index's `combinations` on they mean
            `extra`.
        extra: Sets of areas that only points on edges or on the smallest slivers have.
    """

    combination: Int32s
    extra: tuple[Areas, ...]


@dataclass(frozen=True, slots=True)
class Nearest:
    """The nearest places on boundaries.

    Attributes:
        distance_m: (n,) metres from each point.
        x: (n,) the place.
        y: The same.
    """

    distance_m: Floats
    x: Floats
    y: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pools:
    """All arrays that only grow; their meaning is that of `Layout` and of `Pieces`.

    Attributes:
        edge_offsets: Where each edge's areas begin in `edge_areas`.
        edge_areas: Areas on whose boundary edges lie.
        set_offsets: Where each combination's areas begin in `set_areas`.
        set_areas: Areas of combinations, ascending.
        set_keys: Keys of combinations.
    """

    cells: Pool
    blocks: Pool
    edges: Pool
    edge_keys: Pool
    edge_offsets: Pool
    edge_areas: Pool
    table_keys: Pool
    table_values: Pool
    set_offsets: Pool
    set_areas: Pool
    set_keys: Pool
    xy: Pool
    pieces: Pool
    boxes: Pool


@dataclass(frozen=True, slots=True)
class AreaIndex:
    """The boundaries of one state of all layers; immutable, and safe to read from any thread.

    Attributes:
        grid: The ground that it covers; beyond, there is no area.
        ids: (rows,) what the caller calls each row's area; -1 for rows whose area has ended.
    """

    grid: Grid
    ids: Int64s
    directory: Int64s
    pieces_of: Int64s
    pools: _Pools
    layout: Layout = field(init=False, repr=False)

    def __post_init__(self) -> None:
        pools = self.pools
        grid = self.grid
        layout = Layout(
            grid.x0,
            grid.y0,
            grid.cell_m,
            1.0 / grid.cell_m,
            grid.columns,
            grid.rows,
            self.directory,
            pools.cells.array,
            pools.blocks.array,
            pools.edges.array,
            pools.edge_keys.array,
            pools.table_keys.array,
            pools.table_values.array,
        )
        object.__setattr__(self, "layout", layout)

    # What is asked

    @property
    def combinations(self) -> int:
        """How many combinations have numbers."""
        return self.pools.set_keys.count

    def find(self, x: Floats, y: Floats) -> Found:
        """Find the combination at each point, in the storage CRS.

        A point on an edge is covered by all areas that it belongs to; the order of codes, which
        tells who owns it, is the caller's. Points that are no numbers are nowhere.
        """
        x, y = np.ascontiguousarray(x, np.float64), np.ascontiguousarray(y, np.float64)
        found = np.empty(len(x), np.int32)
        if not index_engine.engine().find_all(self.layout, x, y, found):
            return Found(found, ())
        open_rows = np.flatnonzero(found < 0)
        numbers, extra = self._judge(x[open_rows], y[open_rows])
        found[open_rows] = numbers
        return Found(found, extra)

    def areas_at(self, x: float, y: float) -> Areas:
        """Find the rows of all areas that cover a point, ascending."""
        number = self.number_at(x, y)
        if number >= 0:
            return self.areas_of(number)
        (areas,) = self._closures(np.array([x]), np.array([y]))
        return areas

    def number_at(self, x: float, y: float) -> int:
        """Find the combination at a point; below 0 where only `areas_at` can tell."""
        return int(index_engine.engine().find_one(self.layout, x, y))

    def areas_of(self, number: int) -> Areas:
        """Give the rows of a combination's areas, ascending."""
        pools = self.pools
        begin, end = pools.set_offsets.array[number : number + 2]
        return tuple(pools.set_areas.array[begin:end].tolist())

    @property
    def sets(self) -> Ragged:
        """The rows of the areas of all combinations."""
        return Ragged(self.pools.set_offsets.rows, self.pools.set_areas.rows)

    def nearest_edge(self, rows: Int64s, x: Floats, y: Floats) -> Nearest:
        """Find the nearest place on the boundary of each point's own area, holes included.

        Where several are as near, the one that comes first on the boundary is taken.

        Args:
            rows: (n,) areas.
            x: (n,) metres.
            y: The same.
        """
        x, y = np.ascontiguousarray(x, np.float64), np.ascontiguousarray(y, np.float64)
        found = np.empty((3, len(x)))
        pools = self.pools
        index_engine.engine().nearest_edges(
            pools.xy.array,
            pools.pieces.array,
            pools.boxes.array,
            self.pieces_of,
            np.ascontiguousarray(rows, np.int64),
            x,
            y,
            found,
        )
        return Nearest(*found)

    def edge_m(self, rows: Int64s, x: Floats, y: Floats) -> Floats:
        """Measure from each point to the boundary of its own area: `nearest_edge`, only faster.

        Args:
            rows: (n,) areas.
            x: (n,) metres.
            y: The same.
        """
        x, y = np.ascontiguousarray(x, np.float64), np.ascontiguousarray(y, np.float64)
        rows = np.ascontiguousarray(rows, np.int64)
        engine = index_engine.engine()
        if engine is lookup_numpy:
            different, one_of = np.unique(rows, return_inverse=True)
            edges = np.array([self.boundary(row).boundary for row in different.tolist()], object)
            return np.asarray(shapely.distance(edges[one_of], shapely.points(x, y)))
        found = np.empty(len(x))
        pools = self.pools
        engine.edge_distances(
            pools.xy.array,
            pools.pieces.array,
            pools.boxes.array,
            self.pieces_of,
            rows,
            x,
            y,
            found,
        )
        return found

    def near(self, x: float, y: float, within_m: float) -> Int64s:
        """Find the rows of all areas that may come so near to a point, ascending.

        None is missed; some may be further away by the side of a cell.
        """
        grid = self.grid
        first = np.floor((np.array([x, y]) - within_m - [grid.x0, grid.y0]) / grid.cell_m)
        last = np.floor((np.array([x, y]) + within_m - [grid.x0, grid.y0]) / grid.cell_m)
        column, row = np.maximum(first - 1, 0).astype(np.int64)
        columns = np.arange(column, min(int(last[0]) + 2, grid.columns))
        rows = np.arange(row, min(int(last[1]) + 2, grid.rows))
        cx, cy = np.meshgrid(
            grid.x0 + (columns + 0.5) * grid.cell_m, grid.y0 + (rows + 0.5) * grid.cell_m
        )
        at = lookup_numpy.places(self.layout, cx.ravel(), cy.ravel())
        cells = np.unique(at.cell)
        blocks = ~cells[cells < 0]
        edges = edges_of(self.layout, blocks)
        corner = self.layout.blocks[blocks + 2].astype(np.int64)
        sets = np.union1d(cells[cells >= 0], corner)
        _, covering = self.sets.pairs(sets)
        _, bordering = self.edge_areas.pairs(edges)
        return np.union1d(covering, bordering).astype(np.int64)

    def boundary(self, row: int) -> BaseGeometry:
        """Give the boundary of an area: a Polygon or MultiPolygon in the storage CRS."""
        begin, end = self.pieces_of[row]
        return geometry(self.pools.xy.array, self.pools.pieces.array[begin:end])

    @property
    def edge_areas(self) -> Ragged:
        """The rows of the areas on whose boundary each edge lies."""
        return Ragged(self.pools.edge_offsets.rows, self.pools.edge_areas.rows)

    def _closures(self, x: Floats, y: Floats) -> list[Areas]:
        return closures(self.layout, self.sets, self.edge_areas, x, y)

    def face_at(self, x: float, y: float) -> Areas:
        """Find the areas beside a point, a hair further up and left."""
        number = self.number_at(x, y)
        if number >= 0:
            return self.areas_of(number)
        (areas,) = closures(
            self.layout, self.sets, self.edge_areas, np.array([x]), np.array([y]), beside=True
        )
        return areas

    def _judge(self, x: Floats, y: Floats) -> tuple[Int64s, tuple[Areas, ...]]:
        """Judge points exactly: numbers, where new ones from `combinations` on mean the sets."""
        extra: dict[Areas, int] = {}
        numbers = [
            extra.setdefault(areas, self.combinations + len(extra))
            for areas in self._closures(x, y)
        ]
        return np.array(numbers, np.int64), tuple(extra)

    # How it is made

    @classmethod
    def build(cls, ids: Int64s, boundaries: Geometries, *, cell_m: float | None = None) -> Self:
        """Build the index of some areas, row by row.

        Args:
            ids: (n,) what each row's area is called; not negative.
            boundaries: (n,) Polygons and MultiPolygons in the storage CRS, valid.
            cell_m: Side of a cell, a power of two; chosen by the number of edges if left out.
        """
        rings = Rings.of(boundaries)
        edges = joined(*rings.segments())
        grid = grid_for(rings.xy, len(edges.ends), cell_m)
        # Edges that are met together lie together.
        middle = (edges.ends[:, :2] + edges.ends[:, 2:]) / 2
        column, row = ((middle - [grid.x0, grid.y0]) / grid.cell_m).astype(np.int64).T
        page = (row >> PAGE_BITS) * (grid.columns >> PAGE_BITS) + (column >> PAGE_BITS)
        order = np.lexsort((column, row, page))
        _, edge_areas = Ragged(edges.offsets, edges.areas.astype(np.int32)).pairs(order)
        offsets = np.concatenate([[0], np.cumsum(np.diff(edges.offsets)[order])])
        edge_keys = set_keys(offsets, edge_areas)
        ends = edges.ends[order]
        pieces = Pieces.of(rings, len(boundaries))
        of_edges = Ragged(offsets, edge_areas)
        combinations = Combinations()
        making = Making(
            grid, ends, edge_keys, of_edges, combinations,
            known=lambda _: (), ask=lambda x, y: face(ends, of_edges, x, y),
        )  # fmt: skip
        low = np.minimum(ends[:, 1], ends[:, 3]) - 2 * grid.cell_m
        high = np.maximum(ends[:, 1], ends[:, 3]) + 2 * grid.cell_m
        for begin in range(0, grid.rows, PAGE_CELLS):
            region = Region(begin, 0, PAGE_CELLS, grid.columns)
            south = grid.y0 + begin * grid.cell_m
            numbers = np.flatnonzero((low <= south + PAGE_CELLS * grid.cell_m) & (south <= high))
            corners = toggled_corners(grid, region, ends[numbers], edge_keys[numbers])
            making.add(region, numbers, by_page(region, corners))
        sets = combinations.ragged()
        directory, cells, blocks, table_keys, table_values = making.arrays(0, 0, 0)
        return cls(
            grid,
            np.array(ids, np.int64),
            directory,
            pieces.areas,
            _Pools(
                cells=_pool(cells),
                blocks=_pool(blocks),
                edges=_pool(ends),
                edge_keys=_pool(edge_keys),
                edge_offsets=_pool(offsets.astype(np.int32)),
                edge_areas=_pool(edge_areas),
                table_keys=_pool(table_keys),
                table_values=_pool(table_values),
                set_offsets=_pool(sets.offsets.astype(np.int32)),
                set_areas=_pool(sets.values),
                set_keys=_pool(set_keys(sets.offsets, sets.values)),
                xy=_pool(pieces.xy),
                pieces=_pool(pieces.pieces.astype(np.int32)),
                boxes=_pool(pieces.boxes),
            ),
        )

    def patched(
        self,
        *,
        ended: Int64s = _NOTHING,
        ids: Int64s = _NOTHING,
        boundaries: Geometries = _NO_GEOMETRIES,
        replaced: Int64s | None = None,
    ) -> "AreaIndex":
        """Give the index of a later state, which shares with this one all pages that stayed.

        Costs by the pages through which changed edges go or whose ground changes hands. What
        reaches beyond the grid, or changes a quarter of it, has all of it built anew.

        Args:
            ended: Ids of areas that are no more.
            ids: (n,) of areas that are new.
            boundaries: (n,) theirs.
            replaced: (n,) the id whose row each new one takes over, -1 for a row of its own, as
                all have if left out. Where an area takes over the row of the one it was, the
                ground that it had and has need not be touched.
        """
        if replaced is None:
            replaced = np.full(len(ids), -1, np.int64)
        row_of = {int(self.ids[row]): row for row in _rows_of(self.ids, ended, replaced)}
        gone = np.array([row_of[int(one)] for one in ended], np.int64)
        fresh = len(self.ids) + np.cumsum(replaced < 0) - 1
        rows = np.array(
            [
                row_of[int(old)] if old >= 0 else new
                for old, new in zip(replaced, fresh, strict=True)
            ],
            np.int64,
        )
        old_rows = np.concatenate([gone, rows[replaced >= 0]])
        new_ids = np.concatenate([self.ids, ids[replaced < 0]])
        new_ids[gone] = -1
        new_ids[rows] = ids
        rings = Rings.of(boundaries)
        old_rings = Rings.of(np.array([self.boundary(row) for row in old_rows], object))
        segments, area = rings.segments()
        old_segments, old_area = old_rings.segments()
        # What is on both sides of a change drops out.
        change = joined(
            np.concatenate([segments, old_segments]),
            np.concatenate([rows[area], old_rows[old_area]]),
        )
        areas = np.concatenate([self.pieces_of, np.zeros((int((replaced < 0).sum()), 2), np.int64)])
        pieces = Pieces.of(rings, len(boundaries))
        pools = self.pools
        areas[gone] = 0
        areas[rows] = pieces.areas + pools.pieces.count
        shifted = pieces.pieces + np.array([pools.xy.count, pools.xy.count, 0])
        pools = replace(
            pools,
            xy=pools.xy.extended(pieces.xy),
            pieces=pools.pieces.extended(shifted),
            boxes=pools.boxes.extended(pieces.boxes),
        )
        moved = replace(self, ids=new_ids, pieces_of=areas, pools=pools)
        if not len(change.ends):
            return moved
        patch = _Patch.of(self, change)
        if patch is None:
            return moved.rebuilt()
        return patch.applied_to(moved)

    def rebuilt(self) -> "AreaIndex":
        """Build the index of the same areas anew; rows stay."""
        kept = np.flatnonzero(self.ids >= 0)
        boundaries = np.full(len(self.ids), shapely.Polygon(), object)
        boundaries[kept] = [self.boundary(int(row)) for row in kept]
        return AreaIndex.build(self.ids, boundaries)

    def save(self, folder: Path) -> None:
        """Write the index into an empty folder, a file an array, with room to grow."""
        for name, pool in self._named_pools():
            _write(folder / f"{name}.npy", pool.rows, room_for(pool.count))
        for name, array in (
            ("ids", self.ids),
            ("directory", self.directory),
            ("areas", self.pieces_of),
        ):
            np.save(folder / f"{name}.npy", array)
        counts = {name: pool.count for name, pool in self._named_pools()}
        about = {"format": _FORMAT, "grid": self.grid, "counts": counts}
        (folder / "index.json").write_text(json.dumps(about), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Map what `save` wrote: processes share it, and what a patch adds is each one's own.

        Raises:
            ValueError: it was written by another version.
            OSError: it cannot be read.
        """
        about = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        if about["format"] != _FORMAT:
            raise ValueError(f"the index in {folder} has format {about['format']}, not {_FORMAT}")

        def mapped(name: str) -> npt.NDArray[Any]:
            # A plain array: every access to a memmap object costs microseconds.
            array: npt.NDArray[Any] = np.load(folder / f"{name}.npy", mmap_mode="c")
            return array.view(np.ndarray)

        return cls(
            Grid(*about["grid"]),
            mapped("ids"),
            mapped("directory"),
            mapped("areas"),
            _Pools(
                **{name: Pool.of(mapped(name), count) for name, count in about["counts"].items()}
            ),
        )

    def _named_pools(self) -> list[tuple[str, Pool]]:
        return [(one.name, getattr(self.pools, one.name)) for one in fields(self.pools)]


def _write(path: Path, rows: npt.NDArray[Any], room: int) -> None:
    """Write an array with room behind its rows; the room is a hole in the file."""
    with path.open("wb") as file:
        shape = (room, *rows.shape[1:])
        header = {
            "descr": np.lib.format.dtype_to_descr(rows.dtype),
            "fortran_order": False,
            "shape": shape,
        }
        np.lib.format.write_array_header_1_0(file, header)
        begin = file.tell()
        np.ascontiguousarray(rows).tofile(file)
        file.truncate(begin + room * rows.dtype.itemsize * int(np.prod(shape[1:])))


def _rows_of(ids: Int64s, ended: Int64s, replaced: Int64s) -> Int64s:
    wanted = np.concatenate([ended, replaced[replaced >= 0]])
    rows = np.flatnonzero(np.isin(ids, wanted))
    if len(rows) != len(wanted):
        raise ValueError(f"{len(wanted) - len(rows)} of the areas that change are not in the index")
    return rows


def _pool(array: npt.NDArray[Any]) -> Pool:
    return Pool.of(with_room(array), len(array))


@dataclass(frozen=True, slots=True)
class _Patch:
    """Changed edges, and the pages that they change.

    Attributes:
        index: Before the change.
        change: Edges, with the areas on whose boundary each one now begins or ceases to lie.
        edges: Of `change`, as areas by edge.
        pages: Numbers of the pages.
        toggles: (pages, 4096) what changes at the cells' corners.
    """

    index: AreaIndex
    change: Edges
    edges: Ragged
    pages: Int64s
    toggles: Keys

    @classmethod
    def of(cls, index: AreaIndex, change: Edges) -> Self | None:
        """Find the pages; None where it is better to build anew."""
        grid = index.grid
        ax, ay, bx, by = change.ends.T
        page_m = grid.cell_m * PAGE_CELLS
        reach = grid.cell_m
        first_column, last_column, first_row, last_row = (
            int(np.floor(at / page_m))
            for at in (
                ax.min() - reach - grid.x0,
                bx.max() + reach - grid.x0,
                min(ay.min(), by.min()) - reach - grid.y0,
                max(ay.max(), by.max()) + reach - grid.y0,
            )
        )
        columns, rows = grid.columns >> PAGE_BITS, grid.rows >> PAGE_BITS
        if first_column < 0 or first_row < 0 or last_column >= columns or last_row >= rows:
            return None
        region = Region(
            first_row * PAGE_CELLS,
            first_column * PAGE_CELLS,
            (last_row - first_row + 1) * PAGE_CELLS,
            (last_column - first_column + 1) * PAGE_CELLS,
        )
        edges = Ragged(change.offsets, change.areas.astype(np.int32))
        keys = set_keys(edges.offsets, edges.values)
        toggles = by_page(region, toggled_corners(grid, region, change.ends, keys))
        touched = np.array(toggles.any(axis=1))
        touched[met(grid, region, change.ends).cell >> (2 * PAGE_BITS)] = True
        if touched.sum() > _PATCHED_MAX * columns * rows:
            return None
        return cls(index, change, edges, page_numbers(grid, region)[touched], toggles[touched])

    def applied_to(self, moved: AreaIndex) -> AreaIndex:
        """Give an index whose boundaries have changed already its pages."""
        before = self.index
        grid, pools = before.grid, before.pools
        cells, corner_keys = self._before()
        edges_of_page = [
            edges_of(before.layout, ~page_cells[page_cells < 0].astype(np.int64))
            for page_cells in cells
        ]
        numbers, dead = self._renumbered(np.unique(np.concatenate(edges_of_page)))
        new_ends, new_offsets, new_areas = numbers
        first_edge = pools.edges.count
        edges = pools.edges.extended(new_ends)
        edge_keys = pools.edge_keys.extended(set_keys(new_offsets, new_areas))
        edge_areas = pools.edge_areas.extended(new_areas)
        edge_offsets = pools.edge_offsets.extended(new_offsets[1:] + pools.edge_areas.count)
        combinations = Combinations({}, [], pools.set_keys.count)
        of_edges = Ragged(edge_offsets.rows, edge_areas.rows)
        making = Making(
            grid, edges.array, edge_keys.array, of_edges, combinations,
            known=before.areas_of, ask=self._ask,
        )  # fmt: skip
        page_columns = grid.columns >> PAGE_BITS
        fresh = first_edge + np.arange(len(new_ends))
        for n, page in enumerate(self.pages.tolist()):
            row, column = divmod(page, page_columns)
            region = Region(row * PAGE_CELLS, column * PAGE_CELLS, PAGE_CELLS, PAGE_CELLS)
            _, begin, mask = before.directory[page]
            values = pools.table_values.array[begin : begin + mask + 1]
            keys = pools.table_keys.array[begin : begin + mask + 1]
            known = dict(zip(keys[values >= 0].tolist(), values[values >= 0].tolist(), strict=True))
            old_sets = cells[n][cells[n] >= 0]
            known |= zip(pools.set_keys.array[old_sets].tolist(), old_sets.tolist(), strict=True)
            for key, number in known.items():
                combinations.number.setdefault(key, number)
            corners = corner_keys[n] ^ self.toggles[n]
            if int(corners[0]) not in combinations.number:
                combinations.learn(int(corners[0]), self._ask(*corner(grid, region, 0)))
            making.add(
                region,
                np.concatenate([np.setdiff1d(edges_of_page[n], dead), fresh]),
                corners[None, :],
            )
        sets = combinations.ragged()
        rows, new_cells, blocks, table_keys, table_values = making.arrays(
            pools.cells.count, pools.blocks.count, pools.table_keys.count
        )
        directory = before.directory.copy()
        directory[self.pages] = rows
        return replace(
            moved,
            directory=directory,
            pools=replace(
                moved.pools,
                cells=pools.cells.extended(new_cells),
                blocks=pools.blocks.extended(blocks),
                edges=edges,
                edge_keys=edge_keys,
                edge_offsets=edge_offsets,
                edge_areas=edge_areas,
                table_keys=pools.table_keys.extended(table_keys),
                table_values=pools.table_values.extended(table_values),
                set_offsets=pools.set_offsets.extended(sets.offsets[1:] + pools.set_areas.count),
                set_areas=pools.set_areas.extended(sets.values),
                set_keys=pools.set_keys.extended(set_keys(sets.offsets, sets.values)),
            ),
        )

    def _before(self) -> tuple[Int32s, Keys]:
        """Give cells and corner keys of the pages as they were."""
        pools = self.index.pools
        places = self.index.directory[self.pages, 0]
        cells = pools.cells.array[places]
        cells[places < 0] = NOWHERE
        sets = cells.astype(np.int64)
        crossed = sets < 0
        sets[crossed] = pools.blocks.array[~sets[crossed] + 2]
        return cells, pools.set_keys.array[sets]

    def _renumbered(self, numbers: Int64s) -> tuple[tuple[Floats, Int64s, Int32s], Int64s]:
        """Make edges of the change, on top of what lay there; give them, and those they replace."""
        pools = self.index.pools
        by_ends = {ends.tobytes(): n for n, ends in enumerate(self.change.ends)}
        old = np.full(len(self.change.ends), -1, np.int64)
        for number, ends in zip(numbers.tolist(), pools.edges.array[numbers], strict=True):
            n = by_ends.get(ends.tobytes())
            if n is not None:
                old[n] = number
        there = np.flatnonzero(old >= 0)
        position, area = self.index.edge_areas.pairs(old[there])
        pair = np.concatenate(
            [
                (np.repeat(np.arange(len(old)), np.diff(self.edges.offsets)) << 32)
                | self.edges.values.astype(np.int64),
                (there[position] << 32) | area.astype(np.int64),
            ]
        )
        pair, times = np.unique(pair, return_counts=True)
        edge, areas = np.divmod(pair[times % 2 == 1], 1 << 32)
        begins = np.flatnonzero(np.diff(edge, prepend=-1))
        offsets = np.append(begins, len(edge))
        return (self.change.ends[edge[begins]], offsets, areas.astype(np.int32)), old[there]

    def _ask(self, x: float, y: float) -> Areas:
        """Find the areas beside a point after the change, the long way."""
        before = frozenset(self.index.face_at(x, y))
        return tuple(sorted(before.symmetric_difference(face(self.change.ends, self.edges, x, y))))
