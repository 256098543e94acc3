"""Which of many reports are one more of an earlier one's case, as if they came in one by one.

A report within reach of an open case of its class joins it: the nearest, of equally near ones the
oldest. Otherwise it opens a case itself, which later reports may join. So each answer hangs on
earlier ones; but few reports have any earlier one within reach. Those pairs are found all at once,
and only they are gone through in the order of time.
"""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import shapely

from gridsvc.crs import Floats
from gridsvc.grids.case_rules import DuplicateRule
from gridsvc.routing.admission import Ints
from gridsvc.routing.reasons import Mask

NEVER_US = np.iinfo(np.int64).max
_WINDOWS_AT_ONCE = 4
"""Longer spans would make more pairs in space that time then parts; shorter ones more trees."""
_SLACK = 1 + 1e-9
"""GEOS may round a distance otherwise than the comparison that decides."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Within what a report is one more of a case.

    Attributes:
        within_m: Metres from the case's point, itself included.
        window_us: Microseconds since the case was opened, their end included.
    """

    within_m: float
    window_us: int

    @classmethod
    def of(cls, rule: DuplicateRule) -> "Reach":
        """Take it from a scheme."""
        return cls(rule.within_m, rule.window // timedelta(microseconds=1))


@dataclass(frozen=True, slots=True)
class Matters:
    """Reports, and cases there were before them, in the order of time; arrays of one length.

    Attributes:
        x: Of the point, in the storage CRS.
        y: The same.
        at_us: When it came in, or was opened, in microseconds since 1970 UTC; ascending.
        end_us: When the case that it opens, or is, is open no more; `NEVER_US` if it stays open.
        kind: Number of the class; -1 has none and is like no other.
        is_case: Whether it is a case already, which joins no other.
    """

    x: Floats
    y: Floats
    at_us: Ints
    end_us: Ints
    kind: npt.NDArray[np.int32]
    is_case: Mask


def join(matters: Matters, reaches: dict[int, Reach]) -> tuple[Ints, Floats]:
    """Find the case of each report.

    Args:
        matters: In the order in which they are to be taken; equal times in the order given.
        reaches: By kind; a kind without one never joins.

    Returns:
        For each the place in the arrays of what opened its case, which is its own where it did;
        and its distance from there in metres.
    """
    opener = np.arange(len(matters.x))
    distance_m = np.zeros(len(matters.x))
    for kind, reach in reaches.items():
        members = np.flatnonzero(matters.kind == kind)
        _join_kind(matters, members, reach, opener, distance_m)
    return opener, distance_m


def _join_kind(
    matters: Matters, members: Ints, reach: Reach, opener: Ints, distance_m: Floats
) -> None:
    at_us = matters.at_us[members]
    points = np.asarray(shapely.points(matters.x[members], matters.y[members]))
    start = 0
    while start < len(members):
        end = int(np.searchsorted(at_us, at_us[start] + _WINDOWS_AT_ONCE * reach.window_us))
        oldest = int(np.searchsorted(at_us, at_us[start] - reach.window_us))
        found = shapely.STRtree(points[oldest:end]).query(
            points[start:end], predicate="dwithin", distance=reach.within_m * _SLACK
        )
        later, earlier = members[found[0] + start], members[found[1] + oldest]
        # A report that stands earlier in the arrays came earlier; none is paired with itself.
        before = (earlier < later) & ~matters.is_case[later]
        later, earlier = later[before], earlier[before]
        apart_m = np.sqrt(
            (matters.x[later] - matters.x[earlier]) ** 2
            + (matters.y[later] - matters.y[earlier]) ** 2
        )
        then = matters.at_us[later]
        near = (
            (apart_m <= reach.within_m)
            & (then - matters.at_us[earlier] <= reach.window_us)
            & (matters.end_us[earlier] > then)
        )
        later, earlier, apart_m = later[near], earlier[near], apart_m[near]
        order = np.lexsort((earlier, apart_m, later))
        _take_in_order(later[order], earlier[order], apart_m[order], opener, distance_m)
        start = end


def _take_in_order(
    later: Ints, earlier: Ints, apart_m: Floats, opener: Ints, distance_m: Floats
) -> None:
    """Let each report join the first of its pairs that has opened a case."""
    joined: dict[int, tuple[int, float]] = {}
    # What came before this stretch of time is decided.
    has_joined = set(np.unique(earlier[opener[earlier] != earlier]).tolist())
    for report, other, metres in zip(
        later.tolist(), earlier.tolist(), apart_m.tolist(), strict=True
    ):
        if report not in has_joined and other not in has_joined:
            joined[report] = (other, metres)
            has_joined.add(report)
    if joined:
        rows = np.fromiter(joined, np.int64, len(joined))
        others, metres = zip(*joined.values(), strict=True)
        opener[rows] = others
        distance_m[rows] = metres
