"""How unusual is a sum of neighbours, if the same numbers were dealt out over the city at random?

The answer is what infinitely many permutations would give, worked out and not drawn: no seed, no
smallest p-value. Why not a thousand permutations, and why not the normal law:
docs/decisions/0012-exact-permutations.md.
"""

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import stats

from gridsvc.crs import Floats

Ints: TypeAlias = npt.NDArray[np.int64]

MOST_EXACT = 200
"""Sums of more values than this are not dealt out one by one: a law with the same first three
moments takes their place."""

# What one table may cost: multiplications (some three seconds) and numbers kept (240 MB).
_BUDGET = 3e9
_ROOM = 3e7
# A call of numpy costs as much as so many multiplications.
_CALL = 2000
_MOST_STEPS = 1 << 20
# Rates, which are rounded anyway, may cost less. In six made cities of 600 areas 64 and 1,024 steps
# found the very same hotspots.
_RATE_BUDGET = 2e7
_FINE_ENOUGH = 25  # steps in a standard deviation, for which rates may cost as much as counts
# Numbers of steps to choose from: each is four fifths of the one before, down to 36.
_SCALES = tuple(int(_MOST_STEPS * 0.8**power) for power in range(47))


@dataclass(frozen=True, slots=True)
class Scale:
    """Values as whole numbers of steps above the smallest.

    Attributes:
        steps: (n,) whole numbers, the smallest is 0.
        step: What one of them is worth; 1 for counts that need no rounding.
    """

    steps: Ints
    step: float


def scaled(values: Floats, *, most_drawn: int) -> Scale:
    """Put values on a scale of whole numbers, as fine as can be summed exactly in a moment.

    Whole numbers and their multiples stay as they are where that costs little enough; what counts
    is how many there are of each, so one area with thousands of cases does not make the others
    coarse. Others are rounded: what is then tested, exactly, are the rounded values.

    Args:
        values: (n,) finite numbers.
        most_drawn: The most values that are summed.
    """
    above = values - values.min()
    widest = float(above.max())
    most = min(most_drawn, MOST_EXACT)
    if widest == 0:
        return Scale(np.zeros(len(values), np.int64), 1.0)
    # Counts, and rates of areas that are alike: whole multiples of 1 or of the smallest value.
    for step in (1.0, float(above[above > 0].min())):
        whole = np.rint(above / step)
        if widest <= _MOST_STEPS * step and np.allclose(above, whole * step, rtol=1e-9, atol=0):
            steps = whole.astype(np.int64)
            if _is_affordable(steps, most, _BUDGET):
                return Scale(steps, step)
    spread = values.std()

    def is_affordable(number: int) -> bool:
        step = widest / number
        budget = _RATE_BUDGET if spread > _FINE_ENOUGH * step else _BUDGET
        return _is_affordable(np.rint(above / step).astype(np.int64), most, budget)

    # The finest that is affordable, or the coarsest of all.
    place = bisect_left(_SCALES, True, hi=len(_SCALES) - 1, key=is_affordable)
    step = widest / _SCALES[place]
    return Scale(np.rint(above / step).astype(np.int64), step)


def tails(steps: Ints, drawn: Ints, observed: Ints) -> tuple[Floats, Floats]:
    """Find how often a sum is as small, or as large, when values are drawn without replacement.

    The number of ways to draw w of n values that sum to s is the coefficient of y^w z^s in the
    product of (1 + y z^v) over all values v; equal values are taken together, by binomials. Only
    positive numbers are added, so every digit but the last few is right. Sums of more than
    `MOST_EXACT` values follow Pearson's type III law instead, with their own mean, variance and
    skewness; docs/decisions/0012-exact-permutations.md tells how near that is.

    Args:
        steps: (n,) whole numbers from 0, all the values.
        drawn: (m,) how many are drawn, 1 to n.
        observed: (m,) sums.

    Returns:
        (m,) P(sum ≤ observed) and (m,) P(sum ≥ observed).
    """
    lower, upper = np.empty(len(drawn)), np.empty(len(drawn))
    is_exact = drawn <= MOST_EXACT
    table = _ways(steps, int(drawn[is_exact].max(initial=0)))
    for count in np.unique(drawn[is_exact]):
        rows = drawn == count
        chance = table[count] / table[count].sum()
        at_most = np.cumsum(chance)
        at_least = np.cumsum(chance[::-1])[::-1]
        lower[rows] = at_most[observed[rows]]
        upper[rows] = at_least[observed[rows]]
    if not is_exact.all():
        rest = ~is_exact
        lower[rest], upper[rest] = _pearson_tails(steps, drawn[rest], observed[rest])
    return np.minimum(lower, 1.0), np.minimum(upper, 1.0)


def two_sided(lower: Floats, upper: Floats) -> Floats:
    """Double the smaller tail: either direction would have been called unusual."""
    doubled: Floats = np.minimum(1.0, 2 * np.minimum(lower, upper))
    return doubled


def normal_two_sided(z: Floats) -> Floats:
    """Give the p-value that the normal law has for z."""
    return np.asarray(2 * stats.norm.sf(np.abs(z)))


def false_discovery(p: Floats) -> Floats:
    """Correct p-values for their number, by Benjamini and Hochberg.

    Calling everything with q < 0.05 a discovery keeps the expected share of false ones among them
    at or below 0.05, also where tests depend on each other positively, as neighbours do.

    Args:
        p: (n,) p-values; NaN where nothing was tested.

    Returns:
        (n,) q-values, NaN likewise.
    """
    q = np.full(len(p), np.nan)
    tested = ~np.isnan(p)
    if tested.any():
        q[tested] = stats.false_discovery_control(p[tested])
    return q


def _is_affordable(steps: Ints, most: int, budget: float) -> bool:
    """Tell whether `_ways` would keep to its time and room."""
    values, times = _values(steps)
    room = (most + 1) * (_largest_sum(values, times, most) + 1)
    # Taking a value k times, for every number drawn: the calls, and what they multiply for each
    # step that the value before it was worth.
    taken = np.arange(1, most + 1)
    calls = np.cumsum(most - taken + 1)
    wide = np.cumsum((most - taken) * (most - taken + 1) // 2)
    taken_most = np.minimum(times, most) - 1
    before = np.concatenate([[0], values[:-1]])
    work = (_CALL * calls[taken_most] + before * wide[taken_most].astype(np.float64)).sum()
    return bool(work <= budget and room <= _ROOM)


def _values(steps: Ints) -> tuple[Ints, Ints]:
    """List the different values from the smallest, and how many there are of each."""
    times = np.bincount(steps)
    values = np.flatnonzero(times)
    return values, times[values]


def _largest_sum(values: Ints, times: Ints, most: int) -> int:
    left = np.minimum(np.cumsum(times[::-1]), most)
    return int((np.diff(left, prepend=0) * values[::-1]).sum())


def _ways(steps: Ints, most: int) -> Floats:
    """Weigh every sum of up to `most` of the values, up to a factor for each number drawn."""
    values, times = _values(steps)
    ways = np.zeros((most + 1, _largest_sum(values, times, most) + 1))
    ways[0, 0] = 1.0
    # A factor for each value drawn, so that every row has numbers that a float holds: with it
    # C(n, w) is about 1 for the largest w, and at most e^(w / e) between.
    factor = most / (math.e * len(steps))
    before = 0  # the largest value so far
    for value, count in zip(values.tolist(), times.tolist(), strict=True):
        most_of_it = min(count, most)
        taken = np.arange(1, most_of_it + 1)
        weights = np.cumprod((count - taken + 1) / taken * factor)
        for drawn in range(most, 0, -1):
            for number in range(1, min(drawn, most_of_it) + 1):
                shift = value * number
                # The others are worth no more than this, and no sum is more than the largest.
                reach = min((drawn - number) * before, ways.shape[1] - 1 - shift)
                if reach >= 0:
                    ways[drawn, shift : shift + reach + 1] += (
                        weights[number - 1] * ways[drawn - number, : reach + 1]
                    )
        before = value
    return ways


def _pearson_tails(steps: Ints, drawn: Ints, observed: Ints) -> tuple[Floats, Floats]:
    """Take the law of Pearson's type III with the first three moments of each sum.

    Source: Mielke and Berry, Permutation Methods (2001), ch. 2; moments of sums drawn without
    replacement after Cramér, Mathematical Methods of Statistics (1946), ch. 27.
    """
    number = len(steps)
    left = number - drawn
    variance = drawn * left / (number - 1) * steps.var()
    skew = (
        (number - 2.0 * drawn) / (number - 2) * np.sqrt((number - 1) / (drawn * left))
    ) * stats.skew(steps)
    apart = observed - drawn * steps.mean()
    spread = np.sqrt(variance)
    # Sums are whole numbers: half a step belongs to each side.
    lower = stats.pearson3.cdf((apart + 0.5) / spread, skew)
    upper = stats.pearson3.sf((apart - 0.5) / spread, skew)
    return lower, upper
