"""For each case the earlier one that it came after: a closed one, or one that was still open.

Thousands of cases may lie on one point, so cases are never compared in pairs. Distinct places are:
the places within reach are found once, and each case asks each of them one question, answered by a
binary search in the sorted times of that place's cases.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.spatial import cKDTree

from gridsvc.hotspots.spool import NEVER_US, Floats, Ints, Rows

NONE = -1
"""The number of no case."""

ROUNDING_M = 0.0005
"""Distances count to the millimetre, the grid of the storage CRS: 50.0003 m is within 50 m."""

_QUESTIONS = 4_000_000
"""Asked at once; an answer needs some 50 bytes meanwhile."""


def within(dx: Floats, dy: Floats, within_m: float) -> npt.NDArray[np.bool_]:
    """Say which distances are within reach; just in reach is within."""
    reached: npt.NDArray[np.bool_] = dx * dx + dy * dy <= (within_m + ROUNDING_M) ** 2
    return reached


def pairs_within(
    x: Floats, y: Floats, group: npt.NDArray[Any], within_m: float
) -> tuple[Ints, Ints]:
    """Find the pairs of points of one group within reach, each pair once, none with itself."""
    # Groups lie apart in a third dimension, so that one tree serves all.
    reach_m = within_m + 2 * ROUNDING_M
    tree = cKDTree(np.column_stack([x, y, group * (2.0 * reach_m)]))
    pairs = tree.query_pairs(reach_m, output_type="ndarray")
    one, other = pairs[:, 0], pairs[:, 1]
    # The tree's last bits must not decide.
    near = within(x[one] - x[other], y[one] - y[other], within_m)
    return one[near], other[near]


@dataclass(frozen=True, slots=True)
class Links:
    """What each case came after; arrays of one length, numbers are places in them or `NONE`.

    Attributes:
        duplicate_of: Of the cases within reach that were opened before it and were still open, not
            for too long, the one of which that holds longest, of equals the first opened.
        previous: For a case that is no duplicate: of the cases within reach that had closed within
            the window before it, the one that closed last, of equals the last opened.
        next: For a case that closed and is no duplicate: the first within reach, itself no
            duplicate, that was opened in the window after that.
    """

    duplicate_of: Ints
    previous: Ints
    next: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What a case may come after.

    Attributes:
        within_m: Metres, itself included.
        window_us: How long after a closing, the end included.
        lasts_us: For how long after its opening an open case has duplicates, the end included;
            None is for as long as it is open.
    """

    within_m: float
    window_us: int
    lasts_us: int | None


def find(rows: Rows, reach: Reach, *, at_once: int) -> Links:
    """Find what each case came after, and what came after it.

    Equal openings are in the order of row numbers. A case that closes in the instant in which
    another is opened has closed before.

    Args:
        rows: Cases of any groups; only those of one group have to do with each other.
        reach: What counts.
        at_once: How many cases to compare at once, about. Fewer are quicker, since only those that
            have to do with one stretch of time are asked, until stretches get shorter than the
            window.
    """
    opened, closed = rows["opened_us"], rows["closed_us"]
    # A closed case matters for the window, an open one for as long as it has duplicates.
    stands = _stands(rows, reach)
    has_closed = closed < NEVER_US
    matters_until = np.where(has_closed, np.where(has_closed, closed, 0) + reach.window_us, stands)
    duplicate_of, previous, following = (np.full(len(rows), NONE) for _ in range(3))
    for begins, ends in _stretches(opened, reach.window_us, at_once):
        some = np.flatnonzero((opened < ends) & (matters_until >= begins))
        asks = np.flatnonzero(opened[some] >= begins)
        original, last = _look_back(rows[some], stands[some], reach.within_m, asks)
        numbers = np.append(some, NONE)
        duplicate_of[some[asks]], previous[some[asks]] = numbers[original], numbers[last]
    is_first = duplicate_of == NONE
    late = opened - closed[previous] > reach.window_us
    previous[~is_first | late] = NONE
    is_done = is_first & has_closed
    for begins, ends in _stretches(closed[is_done], reach.window_us, at_once):
        asking = is_done & (closed >= begins) & (closed < ends)
        comes = is_first & (opened >= begins) & (opened - reach.window_us < ends)
        some = np.flatnonzero(asking | comes)
        asks = np.flatnonzero(asking[some])
        numbers = np.append(some, NONE)
        following[some[asks]] = numbers[_look_ahead(rows[some], reach.within_m, asks)]
    late = opened[following] - closed > reach.window_us
    following[late] = NONE
    return Links(duplicate_of, previous, following)


def _stands(rows: Rows, reach: Reach) -> Ints:
    """Tell until when, exclusive, others are duplicates of each case."""
    closed: Ints = rows["closed_us"]
    if reach.lasts_us is not None:
        closed = np.minimum(closed, rows["opened_us"] + reach.lasts_us + 1)
    return closed


def _stretches(times: Ints, window_us: int, at_once: int) -> Iterator[tuple[int, int]]:
    """Cut time into half-open stretches of one length."""
    if not len(times):
        return
    first, end = int(times.min()), int(times.max()) + 1
    most = max((end - first) // max(window_us, 1), 1)
    edges = np.linspace(first, end, min(most, len(times) // at_once + 1) + 1).astype(np.int64)
    # The last edge as it is: a fraction has not enough digits for it.
    edges[-1] = end
    yield from pairwise(edges.tolist())


def _ranks(rows: Rows) -> tuple[Ints, Ints, Ints]:
    """Put all openings and closings into one order.

    Closings of one instant are in the order of their openings, so what precedes an opening is just
    what closed before, be it in that instant; a case's own closing comes after its opening.

    Returns:
        The ranks of openings and of closings, and the case of each rank.
    """
    n, opened = len(rows), rows["opened_us"]
    order = np.lexsort(
        (
            np.repeat((0, 1), n),
            np.tile(rows["row"], 2),
            np.tile(opened, 2),
            np.concatenate([opened, rows["closed_us"]]),
        )
    )
    rank = np.empty(2 * n, np.int64)
    rank[order] = np.arange(2 * n)
    return rank[:n], rank[n:], np.append(order % max(n, 1), NONE)


def _look_back(rows: Rows, stands: Ints, within_m: float, asks: Ints) -> tuple[Ints, Ints]:
    """Find the open case and the closed case that each of those that ask came after."""
    n = len(rows)
    places = _Places(rows, within_m)
    opening, closing, case_of = _ranks(rows)
    # Among the cases of a place that were opened before, the one that stands longest is open if
    # any is.
    longest = np.lexsort((-rows["row"], -rows["opened_us"], stands))
    length = np.empty(n, np.int64)
    length[longest] = np.arange(n)
    told = places.sorted(np.arange(n), opening)
    kept_open = np.maximum.accumulate(places.keys(told, length)) % places.span
    best = places.last_before(asks, opening[asks], told, opening[told], kept_open)
    original = np.append(longest, NONE)[best]
    is_open = np.append(stands, -NEVER_US)[original] > rows["opened_us"][asks]
    told = places.sorted(np.flatnonzero(rows["closed_us"] < NEVER_US), closing)
    best = places.last_before(asks, opening[asks], told, closing[told], closing[told])
    return np.where(is_open, original, NONE), case_of[best]


def _look_ahead(rows: Rows, within_m: float, asks: Ints) -> Ints:
    """Find the case that was opened next after each of those that ask had closed."""
    places = _Places(rows, within_m)
    opening, closing, case_of = _ranks(rows)
    told = places.sorted(np.arange(len(rows)), opening)
    return case_of[places.first_after(asks, closing[asks], told, opening[told])]


class _Places:
    """Distinct points of each group, and which of them are within reach of one another."""

    def __init__(self, rows: Rows, within_m: float) -> None:
        x, y, group = rows["x"], rows["y"], rows["group"]
        order = np.lexsort((y, x, group))
        x, y, group = x[order], y[order], group[order]
        is_new = np.ones(len(rows), bool)
        is_new[1:] = (x[1:] != x[:-1]) | (y[1:] != y[:-1]) | (group[1:] != group[:-1])
        self.place = np.empty(len(rows), np.int64)
        self.place[order] = np.cumsum(is_new) - 1
        self.by_place = order
        self.span = 2 * len(rows) + 1
        x, y, group = x[is_new], y[is_new], group[is_new]
        one, other = pairs_within(x, y, group, within_m)
        itself = np.arange(len(x))
        table = coo_array(
            (
                np.ones(2 * len(one) + len(x), np.int8),
                (np.concatenate([one, other, itself]), np.concatenate([other, one, itself])),
            ),
            shape=(len(x), len(x)),
        ).tocsr()
        self.around, self.starts = table.indices, table.indptr.astype(np.int64)

    def keys(self, cases: Ints, rank: Ints) -> Ints:
        """Number cases by place and, within it, by rank."""
        return self.place[cases] * self.span + rank[cases]

    def sorted(self, cases: Ints, rank: Ints) -> Ints:
        """Sort cases by place and, within it, by rank."""
        return cases[np.argsort(self.keys(cases, rank), kind="stable")]

    def last_before(self, cases: Ints, asked: Ints, told: Ints, ranks: Ints, answers: Ints) -> Ints:
        """Find the highest of the answers that the places round each case give.

        Args:
            cases: Which ask.
            asked: Rank that each of them asks for.
            told: Cases that answer, sorted by place and rank.
            ranks: Rank of each of those.
            answers: Of each of those; a place gives that of its last below the rank asked for.

        Returns:
            For each that asks; `NONE` where no place has one.
        """
        return self._ask(cases, asked, told, ranks, answers, np.maximum, step=-1)

    def first_after(self, cases: Ints, asked: Ints, told: Ints, ranks: Ints) -> Ints:
        """Find the lowest rank above the one that each case asks for, as `last_before`."""
        nothing = np.iinfo(np.int64).max
        found = self._ask(cases, asked, told, ranks, ranks, np.minimum, nothing=nothing)
        return np.where(found == nothing, NONE, found)

    def _ask(  # noqa: PLR0913, PLR0917  two tables and how to read one by the other
        self,
        cases: Ints,
        asked: Ints,
        told: Ints,
        ranks: Ints,
        answers: Ints,
        best: np.ufunc,
        *,
        step: int = 0,
        nothing: int = NONE,
    ) -> Ints:
        keys = self.place[told] * self.span + ranks
        # What lies before the first and beyond the last is of no place.
        of_place, answers = np.append(self.place[told], NONE), np.append(answers, nothing)
        found = np.empty(len(cases), np.int64)
        # Neighbours ask one after the other, and find what they ask for still at hand.
        order = np.argsort(self.place[cases], kind="stable")
        around = np.diff(self.starts)[self.place[cases[order]]]
        ends = np.cumsum(around)
        cuts = np.searchsorted(ends, np.arange(0, ends[-1] if len(ends) else 0, _QUESTIONS))
        for start, stop in pairwise([*np.unique(cuts).tolist(), len(cases)]):
            some, count = order[start:stop], around[start:stop]
            begins = np.cumsum(count) - count
            first = self.starts[self.place[cases[some]]] - begins
            place = self.around[np.repeat(first, count) + np.arange(count.sum())]
            at = np.searchsorted(keys, place * self.span + np.repeat(asked[some], count)) + step
            answer = np.where(of_place[at] == place, answers[at], nothing)
            found[some] = best.reduceat(answer, begins)
        return found
