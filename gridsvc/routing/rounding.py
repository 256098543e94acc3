"""Numbers are rounded as PostgreSQL rounds them, so that both engines tell the same digits."""

from decimal import ROUND_HALF_UP, Decimal

_TIE = 1e-5
"""So near a half, in units of the last digit kept, Python's way could come out elsewhere."""


def rounded(value: float, digits: int) -> float:
    """Round half away from zero, as `round(value::numeric, digits)` does.

    The cast to numeric keeps 15 digits and so makes halves of what lies a hair off one; Python
    rounds the binary number itself.

    Args:
        value: Finite.
        digits: Behind the point.
    """
    scaled = value * 10**digits
    if abs(abs(scaled - int(scaled)) - 0.5) > _TIE:
        return round(value, digits)
    exact = Decimal(f"{value:.15g}").quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return float(exact)
