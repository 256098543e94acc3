"""Did a campaign change anything? Before and after, where it ran and where it did not.

The areas where it did not run tell what would have happened anyway: the season, the holidays, a new
phone app. What is left, as a ratio, is what the two groups do not share (difference in
differences). It is the campaign's effect only if the groups would have moved alike without it.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import stats

from gridsvc.crs import Floats
from gridsvc.errors import HotspotsRefused

Counts: TypeAlias = npt.NDArray[Any]
Mask: TypeAlias = npt.NDArray[np.bool_]

CONFIDENCE = 0.95
FEWEST_AREAS = 2


@dataclass(frozen=True, slots=True)
class Change:
    """How the changed areas moved, against how the others did.

    Attributes:
        ratio: (after ÷ before where it ran) ÷ (after ÷ before elsewhere); 1 is no effect, 0.7 is
            30 % fewer cases than expected.
        low: Of the ratio, 95 %.
        high: The same.
        p: Two-sided, of no effect.
        expected: Cases after, where it ran, had it moved as the others did.
        observed: Cases after, where it ran.
    """

    ratio: float
    low: float
    high: float
    p: float
    expected: float
    observed: int


def change(before: Counts, after: Counts, changed: Mask) -> Change:
    """Compare how two groups of areas moved between two periods.

    The ratio is what a Poisson regression with an effect for each area and each period gives. Cases
    of an area come in bursts and are alike, so the interval goes by how differently the areas of a
    group moved (a jackknife over areas) and is never narrower than Poisson's; Student's t with
    Welch's degrees of freedom allows for few areas. Both periods may have any length, but
    the same one for all areas. What hits all areas of one group at once is not in the interval.

    Args:
        before: (n,) cases of each area before.
        after: (n,) cases after.
        changed: (n,) where the campaign ran.

    Raises:
        HotspotsRefused: a group has fewer than two areas, no cases in a period, or all of them
            in one area.

    Source: Wooldridge, Simple approaches to nonlinear difference-in-differences with panel data,
    The Econometrics Journal 26 (2023); MacKinnon, Nielsen and Webb, Fast and reliable jackknife and
    bootstrap methods for cluster-robust inference, Journal of Applied Econometrics 38 (2023).
    """
    before, after = np.asarray(before, np.float64), np.asarray(after, np.float64)
    groups = (_moved(before[changed], after[changed]), _moved(before[~changed], after[~changed]))
    (here, here_variance, here_areas), (there, there_variance, there_areas) = groups
    effect, variance = here - there, here_variance + there_variance
    freedom = variance**2 / (
        here_variance**2 / (here_areas - 1) + there_variance**2 / (there_areas - 1)
    )
    half = stats.t.ppf((1 + CONFIDENCE) / 2, freedom) * np.sqrt(variance)
    return Change(
        ratio=float(np.exp(effect)),
        low=float(np.exp(effect - half)),
        high=float(np.exp(effect + half)),
        p=float(2 * stats.t.sf(abs(effect) / np.sqrt(variance), freedom)),
        expected=float(before[changed].sum() * np.exp(there)),
        observed=int(after[changed].sum()),
    )


def placebos(
    before: Counts, after: Counts, changed: Mask, *, draws: int = 999, seed: int = 0
) -> Floats:
    """Ask what ratios come out where nothing was done.

    Of the areas without a campaign as many as had one are taken at random, as if it had run there,
    and held against the rest. An effect that is no larger than these is none that the data can
    show.

    Args:
        before: (n,) cases of each area before.
        after: (n,) cases after.
        changed: (n,) where the campaign ran; these areas are left out.
        draws: How often.
        seed: Of the draws.

    Returns:
        (draws,) ratios; a draw with no cases in a group is NaN.

    Raises:
        HotspotsRefused: too few areas are left to draw from.
    """
    before, after = (
        np.asarray(before, np.float64)[~changed],
        np.asarray(after, np.float64)[~changed],
    )
    taken, areas = int(changed.sum()), len(before)
    if not 0 < taken < areas:
        raise HotspotsRefused(
            "changed",
            f"{taken} of {areas} areas cannot be drawn and leave others to compare with",
            remedy="Compare with more areas than the campaign ran in",
        )
    rng = np.random.default_rng(seed)
    drawn = rng.permuted(np.tile(np.arange(areas) < taken, (draws, 1)), axis=1)
    here = (drawn @ after) * (~drawn @ before)
    there = (drawn @ before) * (~drawn @ after)
    ratios: Floats = np.full(draws, np.nan)
    some = (here > 0) & (there > 0)
    ratios[some] = here[some] / there[some]
    return ratios


def _moved(before: Floats, after: Floats) -> tuple[float, float, int]:
    """Give the logarithm of after ÷ before, its variance, and how many areas it rests on."""
    areas, first, then = len(before), before.sum(), after.sum()
    if areas < FEWEST_AREAS:
        raise HotspotsRefused(
            "changed",
            f"a group of {areas} areas does not show how differently areas move",
            remedy=f"Compare groups of {FEWEST_AREAS} areas or more",
        )
    if first == 0 or then == 0:
        raise HotspotsRefused(
            "changed",
            "a group has no cases before or none after",
            remedy="Compare longer periods or larger groups",
        )
    others = first - before, then - after
    if min(others[0].min(), others[1].min()) == 0:
        raise HotspotsRefused(
            "changed",
            "one area has all the cases of its group",
            remedy="Compare longer periods or larger groups",
        )
    without = np.log(others[1] / others[0])
    whole = np.log(then / first)
    # The jackknife: how much hangs on a single area. Where a few large areas weigh most it errs to
    # the safe side, as the usual sandwich does not.
    robust = (areas - 1) / areas * ((without - whole) ** 2).sum()
    return float(whole), float(max(robust, 1 / first + 1 / then)), areas
