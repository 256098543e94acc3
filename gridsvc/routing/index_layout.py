"""The arrays of the index: what they hold, and how they grow without changing for who reads them.

The ground is cut into square cells, 64 × 64 of them in a page. A cell that no edge touches holds
the number of a combination: the set of all areas, over all layers, that cover it. Any other cell
holds where its block begins: the combination at its south-western corner and the edges that
touch it. Each area has a 64-bit key, and a set the exclusive or of its areas' keys; so walking
from the corner to a point and toggling, at each edge that is crossed, the areas on whose boundary
it lies, gives the key of the point's own combination, which the page's table turns into its
number. See docs/decisions/0015-index.md.
"""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from gridsvc.crs import Floats

Int32s: TypeAlias = npt.NDArray[np.int32]
Int64s: TypeAlias = npt.NDArray[np.int64]
Keys: TypeAlias = npt.NDArray[np.uint64]
Words: TypeAlias = npt.NDArray[np.uint32]

PAGE_BITS: Final = 6
PAGE_CELLS: Final = 1 << PAGE_BITS
PAGE_MASK: Final = PAGE_CELLS - 1

MARGIN_M: Final = 1e-6
"""An edge touches a cell that it comes this near to: far more than coordinates are rounded by."""

BLOCK_HEAD: Final = 4
"""Words of a block before its edges: the corner's key (low, high), its combination, the count."""

NOWHERE: Final = 0
"""The combination of no area."""

ASK_EXACTLY: Final = -1
"""Instead of a combination: the point is on an edge or too near to it for rounded arithmetic, or
its combination is too small a place to be in a table."""


class Layout(NamedTuple):
    """What a look-up reads. A tuple, for compiled code takes it as it is.

    Attributes:
        x0: West of the grid, metres; a multiple of the cell's side, as all corners are.
        y0: South of the grid.
        cell_m: Side of a cell, a power of two.
        per_m: Cells in a metre; products with it are exact, and faster than quotients.
        columns: Of cells.
        rows: Of cells.
        directory: (pages, 3) for each page, row by row from the south-west: its place in `cells`
            (-1: no area), where its table begins, and the table's size less one.
        cells: (n, 4096) row by row: a combination, or ~ where the cell's block begins.
        blocks: `BLOCK_HEAD` words, then for each edge 2 * its number, plus 1 where the corner lies
            to its left.
        edges: (n, 4) ax, ay, bx, by; a is the end further west, of vertical ones the lower.
        edge_keys: Keys of the areas on whose boundary the edge lies, in one.
        table_keys: Tables of the pages by open addressing.
        table_values: Combinations; -1 where the slot is free.
    """

    x0: float
    y0: float
    cell_m: float
    per_m: float
    columns: int
    rows: int
    directory: Int64s
    cells: Int32s
    blocks: Words
    edges: Floats
    edge_keys: Keys
    table_keys: Keys
    table_values: Int32s


UNSURE_KEY: Final = np.uint64(2**64 - 1)
"""Instead of a key, where rounded arithmetic does not give it."""


def area_keys(rows: Int64s) -> Keys:
    """Give areas their keys: of row n always the same one, and as good as random.

    Source: the finaliser of SplitMix64 (G. L. Steele, D. Lea, C. H. Flood, 2014).
    """
    key = (rows.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(key ^ (key >> np.uint64(31)), np.uint64)


_SPARE = 0.25
_SPARE_MIN = 1024


@dataclass(slots=True)
class _Store:
    """An array with room at its end, and how much of it somebody has taken."""

    array: npt.NDArray[Any]
    taken: int


@dataclass(frozen=True, slots=True)
class Pool:
    """The first rows of an array that others may have made longer since.

    Rows are never changed once appended, so a pool stays what it was while longer ones share its
    memory.
    """

    store: _Store
    count: int

    @classmethod
    def of(cls, array: npt.NDArray[Any], count: int | None = None) -> Self:
        """Take an array; rows after the first `count` are room."""
        count = len(array) if count is None else count
        return cls(_Store(array, count), count)

    @property
    def array(self) -> npt.NDArray[Any]:
        """The whole array, room included: compiled code takes it without making a view."""
        return self.store.array

    @property
    def rows(self) -> npt.NDArray[Any]:
        """The rows that there are."""
        return self.store.array[: self.count]

    def extended(self, more: npt.NDArray[Any]) -> "Pool":
        """Give a pool of these rows and more: in the same memory where nobody took it before."""
        store = self.store
        total = self.count + len(more)
        if store.taken != self.count or total > len(store.array):
            store = _Store(with_room(self.rows, total), self.count)
        store.array[self.count : total] = more
        store.taken = total
        return Pool(store, total)


def with_room(rows: npt.NDArray[Any], count: int | None = None) -> npt.NDArray[Any]:
    """Copy rows into an array with room for more of them."""
    array = np.zeros((room_for(count or len(rows)), *rows.shape[1:]), rows.dtype)
    array[: len(rows)] = rows
    return array


def room_for(count: int) -> int:
    """Tell how long an array to make that holds so many rows and will grow."""
    return count + max(int(count * _SPARE), _SPARE_MIN)
