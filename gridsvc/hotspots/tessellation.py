"""Square and hexagon cells laid over the city, each with one code for ever.

The lattice hangs on the origin of the storage CRS and on nothing else: another outline, another
revision or another year shows the same ground under the same code.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from gridsvc.crs import Floats
from gridsvc.errors import HotspotsRefused

Keys: TypeAlias = npt.NDArray[np.int64]
Shape: TypeAlias = Literal["square", "hexagon"]

SMALLEST_M = 1.0
CELL_M = 250.0
"""Size where none is given: small enough for a block, large enough to hold cases."""
M2_IN_KM2 = 1e6

# A key holds the row in its upper half and the column, made positive, in its lower one.
_HALF = 32
_MIDDLE = 1 << 31


@dataclass(frozen=True, slots=True)
class Tessellation:
    """Equal cells that fill the plane.

    Attributes:
        shape: Squares along the axes, or hexagons with a corner up.
        size_m: Side of a square; from side to opposite side of a hexagon (so its ground is 0.87
            of that of a square of the same size).

    Raises:
        HotspotsRefused: the size is under 1 m or no number.
    """

    shape: Shape
    size_m: float

    def __post_init__(self) -> None:
        if not (SMALLEST_M <= self.size_m < math.inf):
            raise HotspotsRefused(
                "size_m",
                f"cells of {self.size_m:g} m cannot be laid",
                remedy=f"Choose {SMALLEST_M:g} m or more",
            )

    @property
    def cell_km2(self) -> float:
        """Ground of one cell."""
        return self._row_m * self.size_m / M2_IN_KM2

    def cell_of(self, x: Floats, y: Floats) -> Keys:
        """Find the cell in which each point lies.

        A point on a shared edge belongs to one of the two, always the same; of squares to the one
        north or east of it.

        Args:
            x: (n,) metres in the storage CRS, finite.
            y: The same.

        Returns:
            (n,) keys.
        """
        if self.shape == "square":
            return _keys(np.floor(x / self.size_m), np.floor(y / self.size_m))
        # The nearest centre. Of the two rows that a point lies between one has it, so there are
        # two centres to ask, the nearest of each row.
        below = np.floor(y / self._row_m)
        best = np.full(np.shape(x), np.inf)
        column, row = np.zeros(np.shape(x)), np.zeros(np.shape(x))
        for asked in (below, below + 1):
            shift = 0.5 * (asked % 2)
            nearest = np.floor(x / self.size_m - shift + 0.5)
            distance = (x - (nearest + shift) * self.size_m) ** 2 + (y - asked * self._row_m) ** 2
            nearer = distance < best
            best = np.where(nearer, distance, best)
            column, row = np.where(nearer, nearest, column), np.where(nearer, asked, row)
        return _keys(column, row)

    def code_of(self, keys: Keys) -> npt.NDArray[np.str_]:
        """Give the codes of cells, such as "S250:1816:17681": shape, size, column, row."""
        column, row = _columns_and_rows(keys)
        head = f"{self.shape[0].upper()}{self.size_m:.15g}:"
        told = np.strings.add(np.strings.add(head, column.astype(str)), ":")
        return np.asarray(np.strings.add(told, row.astype(str)))

    def polygons(self, keys: Keys) -> npt.NDArray[np.object_]:
        """Draw cells. Neighbours share their corners to the last digit.

        Returns:
            (n,) polygons, metres in the storage CRS.
        """
        column, row = _columns_and_rows(keys)
        if self.shape == "square":
            right, up = np.array([(0, 0), (1, 0), (1, 1), (0, 1)]).T
            x = (column[:, None] + right) * self.size_m
            y = (row[:, None] + up) * self.size_m
        else:
            # Counted in half widths and quarter heights every corner is a whole number.
            right, up = np.array([(1, -1), (1, 1), (0, 2), (-1, 1), (-1, -1), (0, -2)]).T
            x = ((2 * column + row % 2)[:, None] + right) * (self.size_m / 2)
            y = (3 * row[:, None] + up) * (self._row_m / 3)
        return np.asarray(shapely.polygons(np.stack([x, y], axis=-1)), dtype=object)

    def areas(self, outline: BaseGeometry, crs: Any) -> gpd.GeoDataFrame:  # noqa: ANN401
        """List all cells that share ground with the city.

        Args:
            outline: Polygon or multipolygon, metres in the storage CRS.
            crs: The storage CRS, as GeoPandas takes it.

        Returns:
            One row a cell, in order of `code`: `code`, `name` (the code), `cell` (the key),
            `inside_km2` (the part of the cell that lies in the outline), `geometry` (all of it).
        """
        keys = self._near(outline)
        polygons = self.polygons(keys)
        outline = prepared(outline)
        inside_km2 = np.where(shapely.contains(outline, polygons), self.cell_km2, 0.0)
        cut = np.flatnonzero((inside_km2 == 0) & shapely.intersects(outline, polygons))
        inside_km2[cut] = shapely.area(shapely.intersection(polygons[cut], outline)) / M2_IN_KM2
        meant = np.flatnonzero(inside_km2 > 0)
        codes = self.code_of(keys[meant]).astype(object)
        order = np.argsort(codes)
        meant, codes = meant[order], codes[order]
        return gpd.GeoDataFrame(
            {"code": codes, "name": codes, "cell": keys[meant], "inside_km2": inside_km2[meant]},
            geometry=polygons[meant],
            crs=crs,
        )

    @property
    def _row_m(self) -> float:
        """From the centres of one row to those of the next."""
        return self.size_m if self.shape == "square" else self.size_m * math.sqrt(0.75)

    def _near(self, outline: BaseGeometry) -> Keys:
        """Give the cells that may meet the outline's bounds."""
        if outline.is_empty:
            return np.empty(0, np.int64)
        west, south, east, north = outline.bounds
        column = np.arange(math.floor(west / self.size_m) - 1, math.floor(east / self.size_m) + 2)
        row = np.arange(math.floor(south / self._row_m) - 1, math.floor(north / self._row_m) + 3)
        columns, rows = np.meshgrid(column, row)
        return _keys(columns.ravel(), rows.ravel())


def prepared(geometry: Any) -> Any:  # noqa: ANN401  one or an array, as Shapely takes them
    """Prepare a copy, for a prepared geometry that two threads ask crashes the process.

    Source: https://github.com/libgeos/geos/issues/825
    """
    copy = shapely.from_wkb(shapely.to_wkb(geometry))
    shapely.prepare(copy)
    return copy


def _keys(column: npt.NDArray[Any], row: npt.NDArray[Any]) -> Keys:
    keys: Keys = (row.astype(np.int64) << _HALF) + (column.astype(np.int64) + _MIDDLE)
    return keys


def _columns_and_rows(keys: Keys) -> tuple[Keys, Keys]:
    return (keys & ((1 << _HALF) - 1)) - _MIDDLE, keys >> _HALF
