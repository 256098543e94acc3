"""How densely cases lie: a smooth surface in cases per square kilometre.

Every case is spread over its surroundings by a product normal kernel, and the spreads are added
up. It is a picture, not a test: it shows where cases are many, not whether that is chance.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from gridsvc.crs import Floats
from gridsvc.errors import HotspotsRefused
from gridsvc.hotspots.cases import Part, Window, each
from gridsvc.hotspots.tessellation import M2_IN_KM2

Bounds: TypeAlias = tuple[float, float, float, float]
Ints: TypeAlias = npt.NDArray[np.int64]

MOST_CELLS = 50_000_000

# A case further from a cell than this in x or in y is left out there: it would add less than
# 1.2e-24 of what it adds at its own place, so that 10¹⁰ of them stay under 1e-13 of a single one.
REACH_BANDWIDTHS = 10.5

_TILE_CELLS = 16
_CHUNK_CASES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """Density on square cells.

    Attributes:
        values: (rows, columns) cases per km² at the middles of the cells; row 0 is the
            southernmost, column 0 the westernmost.
        x0: West edge of the first column, metres in the storage CRS, a multiple of `cell_m`.
        y0: South edge of the first row, likewise.
        cell_m: Side of a cell.
        bandwidth_m: Standard deviation of the kernel in x and in y.
    """

    values: Floats
    x0: float
    y0: float
    cell_m: float
    bandwidth_m: float

    @property
    def x(self) -> Floats:
        """Middles of the columns, metres in the storage CRS."""
        return _middles(self.x0, self.cell_m, self.values.shape[1])

    @property
    def y(self) -> Floats:
        """Middles of the rows, metres in the storage CRS."""
        return _middles(self.y0, self.cell_m, self.values.shape[0])

    @property
    def bounds(self) -> Bounds:
        """West, south, east and north edge, metres in the storage CRS."""
        rows, columns = self.values.shape
        east, north = self.x0 + columns * self.cell_m, self.y0 + rows * self.cell_m
        return self.x0, self.y0, east, north


def kernel_density(  # noqa: PLR0913  whose cases, where, how fine, how smooth, which
    parts: Iterable[Part],
    bounds: Bounds,
    *,
    cell_m: float,
    bandwidth_m: float,
    window: Window = Window(),  # noqa: B008  frozen
    client: Any = None,  # noqa: ANN401
) -> Surface:
    """Spread cases over their surroundings.

    At a point (x, y) the density is 1 / (2 π h²) · Σ exp(-((x - xᵢ)² + (y - yᵢ)²) / (2 h²)) over
    the cases i, h the bandwidth; exact to 1e-12 of the highest value. Cases outside the bounds
    spread into them; what cases inside spread beyond is lost, so near the border of the data
    the surface is too low.

    Args:
        parts: The cases.
        bounds: West, south, east, north, metres in the storage CRS; widened to whole cells,
            which hang on the origin of the CRS as those of `Tessellation` do.
        cell_m: Side of a cell, at most the bandwidth.
        bandwidth_m: Standard deviation of the kernel in x and in y. Twice as much is twice as
            smooth; a street's width to a few blocks (100 m to 500 m) is usual in a city.
        window: Which cases are meant.
        client: A `dask.distributed.Client`; None works on this machine. On machines of one kind
            the result is the same to the last digit.

    Returns:
        The surface, in cases per km² over the whole window.

    Raises:
        HotspotsRefused: sizes or bounds have no meaning, or the cells are too many.

    Source: Silverman, Density Estimation for Statistics and Data Analysis (1986), 4.2.
    """
    grid = _grid(bounds, cell_m=cell_m, bandwidth_m=bandwidth_m)
    values = np.zeros((grid.rows, grid.columns))
    for sums in each(partial(_sums_of_part, grid, window), parts, client=client):
        values += sums
    values *= M2_IN_KM2 / (2 * math.pi * bandwidth_m**2)
    return Surface(values=values, x0=grid.x0, y0=grid.y0, cell_m=cell_m, bandwidth_m=bandwidth_m)


@dataclass(frozen=True, slots=True)
class _Grid:
    x0: float
    y0: float
    columns: int
    rows: int
    cell_m: float
    bandwidth_m: float


def _grid(bounds: Bounds, *, cell_m: float, bandwidth_m: float) -> _Grid:
    west, south, east, north = bounds
    if not (0 < bandwidth_m < math.inf):
        raise HotspotsRefused(
            "bandwidth_m", f"{bandwidth_m:g} m is no bandwidth", remedy="Choose metres above 0"
        )
    if not (0 < cell_m <= bandwidth_m):
        raise HotspotsRefused(
            "cell_m",
            f"cells of {cell_m:g} m do not show a bandwidth of {bandwidth_m:g} m",
            remedy="Choose cells of a quarter to a half of the bandwidth",
        )
    if not (np.isfinite(bounds).all() and west < east and south < north):
        raise HotspotsRefused(
            "bounds",
            f"{west:g} to {east:g} east and {south:g} to {north:g} north hold no ground",
            remedy="Give west, south, east, north in metres",
        )
    column, row = math.floor(west / cell_m), math.floor(south / cell_m)
    columns, rows = math.ceil(east / cell_m) - column, math.ceil(north / cell_m) - row
    if columns * rows > MOST_CELLS:
        raise HotspotsRefused(
            "cell_m",
            f"{columns * rows:,} cells of {cell_m:g} m are more than {MOST_CELLS:,}",
            remedy="Choose larger cells or smaller bounds",
        )
    return _Grid(column * cell_m, row * cell_m, columns, rows, cell_m, bandwidth_m)


def _sums_of_part(grid: _Grid, window: Window, part: Part) -> Floats:
    """Add up the exponentials of a part's cases at the middles of the cells."""
    cases = window.of(part.read())
    x, y = cases["x"].to_numpy(), cases["y"].to_numpy()
    sums = np.zeros((grid.rows, grid.columns))
    reach = math.ceil(REACH_BANDWIDTHS * grid.bandwidth_m / grid.cell_m)
    across = np.floor((x - grid.x0) / grid.cell_m)
    up = np.floor((y - grid.y0) / grid.cell_m)
    near = (np.abs(across - (grid.columns - 1) / 2) <= reach + grid.columns / 2) & (
        np.abs(up - (grid.rows - 1) / 2) <= reach + grid.rows / 2
    )
    x, y, across, up = x[near], y[near], across[near], up[near]
    middles_x = _middles(grid.x0, grid.cell_m, grid.columns)
    middles_y = _middles(grid.y0, grid.cell_m, grid.rows)
    # One thread: with more, BLAS adds in another order and the last digits change.
    with threadpool_limits(1, user_api="blas"):
        for cases_of_tile, west, south in _tiles(across, up):
            columns = slice(max(0, west - reach), max(0, west + _TILE_CELLS + reach))
            rows = slice(max(0, south - reach), max(0, south + _TILE_CELLS + reach))
            for chunk in _chunks(cases_of_tile):
                along_x = _kernel(x[chunk], middles_x[columns], grid.bandwidth_m)
                along_y = _kernel(y[chunk], middles_y[rows], grid.bandwidth_m)
                sums[rows, columns] += along_y.T @ along_x
    return sums


def _tiles(across: Floats, up: Floats) -> Iterator[tuple[Ints, int, int]]:
    """Give the cases of each tile, in their order, with the tile's first column and row.

    Cases of one tile reach the same cells; what they add there is a matrix product of the kernel
    along y and the kernel along x.
    """
    if not len(across):
        return
    tile_x, tile_y = np.floor(across / _TILE_CELLS), np.floor(up / _TILE_CELLS)
    order = np.lexsort((tile_x, tile_y))
    tile_x, tile_y = tile_x[order], tile_y[order]
    new = np.flatnonzero((np.diff(tile_x) != 0) | (np.diff(tile_y) != 0)) + 1
    for start, cases in zip([0, *new], np.split(order, new), strict=True):
        yield cases, int(tile_x[start]) * _TILE_CELLS, int(tile_y[start]) * _TILE_CELLS


def _chunks(cases: Ints) -> Iterator[Ints]:
    for start in range(0, len(cases), _CHUNK_CASES):
        yield cases[start : start + _CHUNK_CASES]


def _kernel(places_m: Floats, middles_m: Floats, bandwidth_m: float) -> Floats:
    """Give exp(-d² / 2 h²) of each place and each middle, (places, middles)."""
    values = (places_m[:, None] - middles_m) / bandwidth_m
    values *= values
    values *= -0.5
    np.exp(values, out=values)
    return values


def _middles(start: float, cell_m: float, count: int) -> Floats:
    middles: Floats = start + (np.arange(count, dtype=np.float64) + 0.5) * cell_m
    return middles
