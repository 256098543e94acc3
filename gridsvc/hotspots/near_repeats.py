"""Does one case bring on others near by and soon after? Knox's test by bands of distance and time.

Of all pairs of cases near in space, more than chance explains are near in time too, if a case
raises the chance of the next around it, as the broken window is said to do.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.spatial import cKDTree
from scipy.stats import false_discovery_control

from gridsvc.errors import HotspotsRefused
from gridsvc.hotspots.cases import Part, Window
from gridsvc.hotspots.links import ROUNDING_M
from gridsvc.hotspots.recurrence import DAY_US
from gridsvc.hotspots.spool import Floats, Ints

PAIRS = 20_000_000
"""As many pairs near in space are compared at most; each takes some 40 bytes."""


def knox(  # noqa: PLR0913  the cases, the bands, and how to deal
    parts: Iterable[Part],
    *,
    distance_bands_m: Sequence[float],
    time_bands_days: Sequence[float],
    permutations: int,
    seed: int,
    window: Window | None = None,
) -> pd.DataFrame:
    """Count pairs of cases near in space and time, and how many there would be by chance.

    Chance is the same places and the same times of opening, dealt out anew. Expected is exact: the
    pairs in the band of distance times the share of all pairs that are in the band of time. It
    says nothing on cause. Several reports of one problem are contagion to it: give it cases without
    open duplicates. Where parts of the city grow at different rates it finds pairs that nothing
    passed between.

    Args:
        parts: The cases; all of them are taken for one kind, unless `window` names a category.
        distance_bands_m: Upper ends of the bands, ascending, metres, to the millimetre; each end
            belongs to its band, and 0 to the first.
        time_bands_days: The same in days between openings.
        permutations: How often the times are dealt out; p is at least 1 / (permutations + 1).
        seed: Of the dealing.
        window: Which cases are meant.

    Returns:
        A row for each band of distance and, within it, of time: `from_m`, `to_m`, `from_days`,
        `to_days`, `observed`, `expected`, `ratio` (missing where none is expected), `p` that chance
        alone gives as many or more, `q` the same after Benjamini and Hochberg over all rows.

    Raises:
        HotspotsRefused: bands do not ascend from 0, there are no permutations, or too many pairs
            are near in space.

    Source: E. G. Knox: The detection of space-time interactions. Applied Statistics 13 (1964),
        25-29; expected and p as in N. Mantel: The detection of disease clustering and a generalized
        regression approach. Cancer Research 27 (1967), 209-220.
    """
    reaches_m = _ends(distance_bands_m, "distance_bands_m")
    spans_us = np.round(_ends(time_bands_days, "time_bands_days") * DAY_US).astype(np.int64)
    if permutations < 1:
        raise HotspotsRefused("permutations", f"{permutations} are none", remedy="Give 999")
    x, y, opened_us = _columns(parts, window or Window())
    pairs, band = _near(x, y, reaches_m)
    shape = len(reaches_m), len(spans_us)

    def count(times_us: Ints) -> Ints:
        apart_us = np.abs(times_us[pairs[:, 0]] - times_us[pairs[:, 1]])
        # One band more, for what is too far apart in time.
        place = band * (len(spans_us) + 1) + np.searchsorted(spans_us, apart_us)
        size = len(reaches_m) * (len(spans_us) + 1)
        return np.bincount(place, minlength=size).reshape(len(reaches_m), -1)[:, :-1]

    observed = count(opened_us)
    rng = np.random.default_rng(seed)
    as_many = np.zeros(shape, np.int64)
    for _ in range(permutations):
        as_many += count(rng.permutation(opened_us)) >= observed
    all_pairs = len(x) * (len(x) - 1) / 2
    near = np.bincount(band, minlength=len(reaches_m))
    expected = np.outer(near, _pairs_in_time(opened_us, spans_us)) / max(all_pairs, 1)
    p = ((1 + as_many) / (1 + permutations)).ravel()
    from_m, to_m = _bands(reaches_m)
    from_days, to_days = _bands(np.asarray(time_bands_days, float))
    with np.errstate(invalid="ignore"):
        ratio = observed / expected
    return pd.DataFrame(
        {
            "from_m": np.repeat(from_m, shape[1]),
            "to_m": np.repeat(to_m, shape[1]),
            "from_days": np.tile(from_days, shape[0]),
            "to_days": np.tile(to_days, shape[0]),
            "observed": observed.ravel(),
            "expected": expected.ravel(),
            "ratio": ratio.ravel(),
            "p": p,
            "q": false_discovery_control(p),
        }
    )


def _ends(bands: Sequence[float], field: str) -> Floats:
    ends = np.asarray(bands, float)
    if not len(ends) or not np.isfinite(ends).all() or (np.diff(ends, prepend=-1) <= 0).any():
        raise HotspotsRefused(
            field,
            f"{list(bands)} do not ascend from 0",
            remedy="Give the upper ends, as 50 100 200",
        )
    return ends


def _bands(ends: Floats) -> tuple[Floats, Floats]:
    return np.append(0, ends[:-1]), ends


def _columns(parts: Iterable[Part], window: Window) -> tuple[Floats, Floats, Ints]:
    kept = [(np.empty(0), np.empty(0), np.empty(0, np.int64))]
    for part in parts:
        cases = window.of(part.read())
        opened = cases["opened_at"].dt.tz_localize(None).to_numpy("M8[us]")
        kept.append((cases["x"].to_numpy(), cases["y"].to_numpy(), opened.view(np.int64)))
    x, y, opened_us = (np.concatenate(column) for column in zip(*kept, strict=True))
    return x, y, opened_us


def _near(x: Floats, y: Floats, reaches_m: Floats) -> tuple[Ints, Ints]:
    """Find the pairs within the farthest reach, and the band of distance of each."""
    tree = cKDTree(np.column_stack([x, y]))
    reach_m = reaches_m[-1] + 2 * ROUNDING_M
    count = (int(tree.count_neighbors(tree, reach_m)) - len(x)) // 2
    if count > PAIRS:
        raise HotspotsRefused(
            "distance_bands_m",
            f"{count:,} pairs of cases are within {reaches_m[-1]:g} m, more than {PAIRS:,}",
            remedy="Name a category, a shorter time or nearer bands; leave out default points",
        )
    pairs = tree.query_pairs(reach_m, output_type="ndarray")
    dx, dy = (values[pairs[:, 0]] - values[pairs[:, 1]] for values in (x, y))
    band = np.searchsorted((reaches_m + ROUNDING_M) ** 2, dx * dx + dy * dy)
    near = band < len(reaches_m)
    return pairs[near], band[near]


def _pairs_in_time(opened_us: Ints, spans_us: Ints) -> npt.NDArray[np.float64]:
    """Count all pairs in each band of time, be they near or not."""
    times = np.sort(opened_us)
    place = np.arange(len(times))
    within = [
        float(np.sum(np.searchsorted(times, times + span, side="right") - place - 1))
        for span in spans_us
    ]
    return np.array([later - earlier for earlier, later in pairwise([0.0, *within])])
