"""Cities of 45 by 45 cells in which it is known where problems gather, and where they do not."""

from collections.abc import Callable
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
from libpysal.graph import Graph

from gridsvc.hotspots import clusters
from gridsvc.hotspots.tessellation import Tessellation
from tests.factories import STORAGE

SIDE = 45
CELLS = SIDE * SIDE
STEPS = 24

Counts = npt.NDArray[np.int64]
Cells = npt.NDArray[np.bool_]

# Cells that meet at their sides: a quarter, a street, a square. 16 + 8 + 4 = 28.
BLOCK = (slice(6, 10), slice(6, 10))
STREET = (slice(25, 26), slice(12, 20))
SQUARE = (slice(35, 37), slice(35, 37))


def _marked(*places: tuple[slice, slice]) -> Cells:
    marked = np.zeros((SIDE, SIDE), bool)
    for place in places:
        marked[place] = True
    return marked.ravel()


HOT = _marked(BLOCK, STREET, SQUARE)
BLOCK_CELLS, STREET_CELLS, SQUARE_CELLS = _marked(BLOCK), _marked(STREET), _marked(SQUARE)


@dataclass(frozen=True, slots=True)
class Ground:
    """The cells, row by row from the south-west.

    Attributes:
        areas: Areas frame but for the order, which is that of the ground.
        graph: Neighbours, eight inside.
        near_hot: Hot cells and their neighbours: with a hot neighbour a cell is no false alarm.
    """

    areas: gpd.GeoDataFrame
    graph: Graph
    near_hot: Cells


def ground() -> Ground:
    lattice = Tessellation("square", 250.0)
    areas = lattice.areas(shapely.box(0, 0, SIDE * 250, SIDE * 250), STORAGE)
    middle = areas.geometry.centroid
    areas = areas.iloc[np.lexsort((middle.x, middle.y))].reset_index(drop=True)
    graph = clusters.neighbours(areas)
    around = np.asarray(graph.sparse.tocsr() @ HOT.astype(float)).ravel() > 0
    return Ground(areas, graph, HOT | around)


Noise = Callable[[np.random.Generator, npt.NDArray[np.float64]], Counts]


def poisson(rng: np.random.Generator, mean: npt.NDArray[np.float64]) -> Counts:
    return rng.poisson(mean)


def clumped(rng: np.random.Generator, mean: npt.NDArray[np.float64]) -> Counts:
    """Negative binomial with shape 1/2: a variance of mean + 2 mean², as cities have."""
    return rng.negative_binomial(0.5, 0.5 / (0.5 + mean))


def city(seed: int, noise: Noise, mean: float, hot_times: float = 1.0) -> Counts:
    """Draw the cases of each cell.

    Args:
        seed: The same city for the same seed.
        noise: How they vary.
        mean: Of a cell.
        hot_times: How often as many a hot cell has; 1 is pure noise.
    """
    return noise(np.random.default_rng(seed), np.where(HOT, hot_times * mean, mean))


GROWING = BLOCK_CELLS
NEW = _marked((slice(24, 27), slice(12, 20)))
GONE = _marked((slice(34, 38), slice(34, 38)))


def history(seed: int, mean: float = 2.0, *, planted: bool = True) -> Counts:
    """Draw the cases of each cell in 24 steps.

    Planted are a quarter that goes from 4 times to 12 times the mean, a street that is hot (8
    times) only in the last step, and a quarter that was hot (6 times) in all but the last two.

    Returns:
        (24, 2,025).
    """
    times = np.ones((STEPS, CELLS))
    if planted:
        times[:, GROWING] = np.linspace(4, 12, STEPS)[:, None]
        times[-1, NEW] = 8
        times[:-2, GONE] = 6
    return np.random.default_rng(seed).poisson(mean * times)
