"""How unusual is a sum of neighbours, if the same numbers were dealt out over the city at random?

The answer is what infinitely many permutations would give, worked out and not drawn: no seed, no
smallest p-value. Why not a thousand permutations, and why not the normal law:
docs/decisions/0012-exact-permutations.md.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from gridsvc.crs import Floats

Ints: TypeAlias = npt.NDArray[np.int64]

# Work is steps x neighbours^3, steps squared; this many multiplications take some two seconds.
_BUDGET = 3e9
_FEWEST_STEPS = 50


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

    Whole numbers whose range is small enough stay as they are. Others are rounded: what is then
    tested, exactly, are the rounded values.

    Args:
        values: (n,) finite numbers.
        most_drawn: The most values that are summed.
    """
    above = values - values.min()
    most_steps = max(float(np.sqrt(_BUDGET / most_drawn**3)), _FEWEST_STEPS)
    widest = float(above.max())
    is_whole = bool(np.all(above == np.rint(above)))
    step = 1.0 if is_whole and widest <= most_steps else widest / np.floor(most_steps)
    if widest == 0:
        step = 1.0
    return Scale(np.rint(above / step).astype(np.int64), step)


def tails(steps: Ints, drawn: Ints, observed: Ints) -> tuple[Floats, Floats]:
    """Find how often a sum is as small, or as large, when values are drawn without replacement.

    The number of ways to draw w of n values that sum to s is the coefficient of y^w z^s in the
    product of (1 + y z^v) over all values v; equal values are taken together, by binomials. Only
    positive numbers are added, so every digit but the last few is right.

    Args:
        steps: (n,) whole numbers from 0, all the values.
        drawn: (m,) how many are drawn, 1 to n.
        observed: (m,) sums.

    Returns:
        (m,) P(sum ≤ observed) and (m,) P(sum ≥ observed).
    """
    lower, upper = np.empty(len(drawn)), np.empty(len(drawn))
    table = _ways(steps, int(drawn.max(initial=0)))
    for count in np.unique(drawn):
        rows = drawn == count
        chance = table[count] / table[count].sum()
        at_most = np.cumsum(chance)
        at_least = np.cumsum(chance[::-1])[::-1]
        lower[rows] = at_most[observed[rows]]
        upper[rows] = at_least[observed[rows]]
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


def _ways(steps: Ints, most: int) -> Floats:
    """Weigh every sum of up to `most` of the values, up to a factor for each number drawn."""
    values, times = np.unique(steps, return_counts=True)
    largest = np.sort(steps)[::-1][:most]
    ways = np.zeros((most + 1, int(largest.sum()) + 1))
    ways[0, 0] = 1.0
    reach = 0  # no sum is larger yet
    for value, count in zip(values.tolist(), times.tolist(), strict=True):
        most_of_it = min(count, most)
        taken = np.arange(1, most_of_it + 1)
        # Divided by n for each value drawn, so that nothing overflows.
        weights = special.binom(count, taken) / float(len(steps)) ** taken
        reach = min(reach + value * most_of_it, ways.shape[1] - 1)
        for drawn in range(most, 0, -1):
            for number in range(1, min(drawn, most_of_it) + 1):
                shift = value * number
                if shift <= reach:
                    ways[drawn, shift : reach + 1] += (
                        weights[number - 1] * ways[drawn - number, : reach + 1 - shift]
                    )
    return ways
