"""On which side of a line a point lies, exactly.

The determinant is computed in floating point first; only where its sign could be wrong is it
computed again as a sum of doubles that represents it exactly. All of it is plain arithmetic, so
the same functions serve numbers (compiled, see `gridsvc.routing.lookup`) and NumPy arrays.

Source: J. R. Shewchuk, Adaptive Precision Floating-Point Arithmetic and Fast Robust Geometric
Predicates, 1997.
"""

from typing import Any

import numpy as np

from gridsvc.crs import Floats

ERROR_BOUND = (3.0 + 16.0 * 2.0**-53) * 2.0**-53
"""Of the determinant, by the sum of the sizes of its two products."""

_SPLITTER = 2.0**27 + 1.0
_COMPONENTS = 16


def two_sum(a: Any, b: Any) -> Any:
    """Give a + b as rounded, and what the rounding lost."""
    total = a + b
    b_part = total - a
    return total, (a - (total - b_part)) + (b - b_part)


def two_product(a: Any, b: Any) -> Any:
    """Give a * b as rounded, and what the rounding lost."""
    product = a * b
    split = _SPLITTER * a
    a_high = split - (split - a)
    a_low = a - a_high
    split = _SPLITTER * b
    b_high = split - (split - b)
    b_low = b - b_high
    lost = a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low)
    return product, lost


def exact_side(
    ax: Any,
    ay: Any,
    bx: Any,
    by: Any,
    px: Any,
    py: Any,
) -> Any:
    """Give a number of the sign of the determinant, 0.0 exactly where the point is on the line."""
    u, u_tail = two_sum(bx, -ax)
    v, v_tail = two_sum(py, -ay)
    w, w_tail = two_sum(ay, -by)  # turned round, so that both products are added
    z, z_tail = two_sum(px, -ax)
    zero = 0.0 * u
    grown = [zero] * _COMPONENTS
    count = 0
    for first, second in (
        (u, v), (u, v_tail), (u_tail, v), (u_tail, v_tail),
        (w, z), (w, z_tail), (w_tail, z), (w_tail, z_tail),
    ):  # fmt: skip
        high, low = two_product(first, second)
        for part in (low, high):
            carried = part
            for i in range(count):
                carried, grown[i] = two_sum(carried, grown[i])
            grown[count] = carried
            count += 1
    # Each component outweighs all before it, so the rounded sum has the sign of the exact one.
    total = zero
    for component in grown:
        total = total + component
    return total


def sides(ax: Floats, ay: Floats, bx: Floats, by: Floats, px: Floats, py: Floats) -> Floats:
    """Tell on which side of the lines from a to b points lie: positive is left, 0 on the line.

    Args:
        ax: (n,) as all others.
        ay: The same.
        bx: The same.
        by: The same.
        px: The same.
        py: The same.
    """
    left = (bx - ax) * (py - ay)
    right = (by - ay) * (px - ax)
    side: Floats = left - right
    unsure = np.flatnonzero(
        (np.abs(side) <= ERROR_BOUND * (np.abs(left) + np.abs(right)))
        # Both products are zero only where a factor is, and then the point is on the line.
        & ((left != 0.0) | (right != 0.0))
    )
    if len(unsure):
        side[unsure] = exact_side(*(values[unsure] for values in (ax, ay, bx, by, px, py)))
    return side
