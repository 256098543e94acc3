"""Emerging hot spots: is a place hot for the first time, ever more, always, or no longer?

Each area in each step of time is tested with its neighbours in this step and the one before it,
against all areas in all steps. What the tests say over time is put into the classes of Esri's
Emerging Hot Spot Analysis, by its published definitions; docs/hotspots.md lists where we differ.

The trend is that of the sums over an area and its neighbours in each step alone. Sums that share a
step with the one before, as those tested do, follow each other; then three times as many trends are
found where there is none (docs/decisions/0012-exact-permutations.md).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse

from gridsvc.crs import Floats
from gridsvc.errors import HotspotsRefused
from gridsvc.hotspots.significance import (
    false_discovery,
    normal_two_sided,
    scaled,
    tails,
    two_sided,
)

if TYPE_CHECKING:
    from libpysal.graph import Graph

Ints: TypeAlias = npt.NDArray[np.int64]

FEWEST_STEPS = 10
"""With fewer a trend of Mann and Kendall says little; Esri's own lower limit."""

LEVEL = 0.05
"""Of q for a step to be hot or cold, and of p for a trend."""

ALWAYS = 0.9
"""From this share of the steps on a place counts as hot all the time."""

NO_PATTERN = "none"


@dataclass(frozen=True, slots=True)
class Trend:
    """Whether series rise or fall.

    Attributes:
        s: (n,) pairs that rise less pairs that fall.
        z: (n,) the same in standard deviations, with continuity correction; 0 without any trend.
        p: (n,) two-sided, by the normal law.
    """

    s: Ints
    z: Floats
    p: Floats


def mann_kendall(series: Floats) -> Trend:
    """Test many series for a monotonic trend, with the correction for ties.

    Args:
        series: (steps, n), finite.

    Source: Kendall, Rank Correlation Methods (1975), ch. 4; Mann, Econometrica 13 (1945).
    """
    steps, count = series.shape
    s = np.zeros(count, np.int64)
    alike = np.ones((steps, count), np.int64)  # steps with the same value, each with itself
    for lag in range(1, steps):
        change = np.sign(series[lag:] - series[:-lag]).astype(np.int64)
        s += change.sum(axis=0)
        same = change == 0
        alike[lag:] += same
        alike[:-lag] += same
    # A tie of t values adds t (t - 1) (2 t + 5); each of its values has its share here.
    tied = ((alike - 1) * (2 * alike + 5)).sum(axis=0)
    variance = (steps * (steps - 1) * (2 * steps + 5) - tied) / 18
    z = np.zeros(count)
    moved = (s != 0) & (variance > 0)
    z[moved] = (s[moved] - np.sign(s[moved])) / np.sqrt(variance[moved])
    return Trend(s, z, normal_two_sided(z))


def gi_star(cube: npt.NDArray[Any], graph: "Graph") -> tuple[Floats, Floats]:
    """Test each area in each step with its neighbours in this step and the one before.

    The formula is that of `gridsvc.hotspots.clusters.getis_ord`, over all steps at once; esda would
    need every pair of neighbours in every step as a row.

    Args:
        cube: (steps, n) cases.
        graph: Over the n areas.

    Returns:
        (steps, n) z, and q after Benjamini and Hochberg over all of them; NaN where an area has no
        neighbours, or the whole city.
    """
    values = np.asarray(cube, np.float64)
    areas = values.shape[1]
    around = _around(graph)
    in_step = np.asarray(around.sum(axis=1)).ravel().astype(np.int64)
    drawn = np.broadcast_to(in_step, values.shape).copy()
    drawn[1:] += in_step
    z, p = np.full(values.shape, np.nan), np.full(values.shape, np.nan)
    tested = np.broadcast_to((in_step > 1) & (in_step < areas), values.shape)
    if not tested.any():
        return z, p
    scale = scaled(values.ravel(), most_drawn=int(drawn.max()))
    observed = _sums(around, scale.steps.reshape(values.shape))
    lower, upper = tails(scale.steps, drawn[tested], observed[tested])
    p[tested] = two_sided(lower, upper)
    number = values.size
    spread = values.std() * np.sqrt(drawn * (number - drawn) / (number - 1))
    excess = _sums(around, values) - values.mean() * drawn
    z[tested] = np.divide(excess, spread, out=np.zeros_like(excess), where=spread > 0)[tested]
    return z, false_discovery(p.ravel()).reshape(p.shape)


def emerging(cube: npt.NDArray[Any], graph: "Graph") -> pd.DataFrame:
    """Class each area by how hot it was over time.

    Args:
        cube: (steps, n) cases, steps of equal length from the first to the last.
        graph: Over the n areas, as for `getis_ord`.

    Returns:
        (n,) `pattern`: new, consecutive, intensifying, persistent, diminishing, sporadic,
        oscillating or historical, each with _hot or _cold, or none; `hot_steps`, `cold_steps`:
        how many there were; `trend_z`, `trend_p`: Mann and Kendall's, of the cases in the area and
        its neighbours over time; NaN for an area without neighbours.

    Raises:
        HotspotsRefused: there are fewer than 10 steps.

    Source: Esri, How Emerging Hot Spot Analysis works (ArcGIS Pro documentation).
    """
    if len(cube) < FEWEST_STEPS:
        raise HotspotsRefused(
            "from",
            f"{len(cube)} steps of time are too few for a trend",
            remedy=f"Ask for {FEWEST_STEPS} months or more",
        )
    z, q = gi_star(cube, graph)
    hot, cold = (q < LEVEL) & (z > 0), (q < LEVEL) & (z < 0)
    tested = ~np.isnan(z[0])
    trend = mann_kendall((_around(graph) @ np.asarray(cube, np.float64).T).T)
    return pd.DataFrame(
        {
            "pattern": patterns(hot, cold, trend),
            "hot_steps": hot.sum(axis=0),
            "cold_steps": cold.sum(axis=0),
            "trend_z": np.where(tested, trend.z, np.nan),
            "trend_p": np.where(tested, trend.p, np.nan),
        }
    )


def patterns(
    hot: npt.NDArray[np.bool_], cold: npt.NDArray[np.bool_], trend: Trend
) -> npt.NDArray[np.object_]:
    """Name the class of each area.

    Two may fit an area that was hot nearly always and is cold in the last step: a historical hot
    spot, and a new cold one. What holds now is told.

    Args:
        hot: (steps, n).
        cold: (steps, n), nowhere where it is hot.
        trend: Of n series.

    Returns:
        (n,) as in `emerging`.
    """
    pattern = np.full(hot.shape[1], NO_PATTERN, dtype=object)
    found = [
        (f"{kind}_{name}", areas)
        for name, this, other, rising in (("hot", hot, cold, 1), ("cold", cold, hot, -1))
        for kind, areas in _classes(this, other, trend, rising).items()
    ]
    # Those of the past first, so that those of the last step overwrite them.
    for name, areas in sorted(found, key=lambda one: not one[0].startswith("historical")):
        pattern[areas] = name
    return pattern


def _classes(
    this: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_], trend: Trend, rising: int
) -> dict[str, npt.NDArray[np.bool_]]:
    """Find the areas of each class, hot or cold; no area is in two of them."""
    steps = len(this)
    number = this.sum(axis=0)
    last = this[-1]
    always = number >= ALWAYS * steps
    # How many steps at the end were so without a break.
    run = np.where(this.all(axis=0), steps, np.argmin(this[::-1], axis=0))
    only_run = last & (number == run)
    stronger = (trend.p < LEVEL) & (np.sign(trend.z) == rising)
    weaker = (trend.p < LEVEL) & (np.sign(trend.z) == -rising)
    now = last & always
    once = last & ~always
    again = once & ~only_run
    return {
        "new": once & only_run & (number == 1),
        "consecutive": once & only_run & (number > 1),
        "intensifying": now & stronger,
        "diminishing": now & weaker,
        "persistent": now & ~stronger & ~weaker,
        "oscillating": again & other.any(axis=0),
        "sporadic": again & ~other.any(axis=0),
        "historical": ~last & always,
    }


def _around(graph: "Graph") -> scipy.sparse.csr_matrix:
    """Give each area and its neighbours the weight 1."""
    adjacent = graph.sparse.tocsr()
    return (adjacent + scipy.sparse.identity(adjacent.shape[0], format="csr")).tocsr()


def _sums(around: scipy.sparse.csr_matrix, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Add up each area and its neighbours in this step and the one before."""
    here = (around @ values.T).T.astype(values.dtype)
    sums: npt.NDArray[Any] = here.copy()
    sums[1:] += here[:-1]
    return sums
