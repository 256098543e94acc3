"""For each case the earlier one that it came after: a closed one, or one that was still open.

Thousands of cases may lie on one point, so cases are never compared in pairs. Distinct places are:
the places within reach are found once, and each case asks each of them one question, answered by a
binary search in the sorted times of that place's cases.
"""

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
        previous: Of the cases within reach that had closed, the one that closed last, of equals
            the last opened. Also told for duplicates.
        next: For a case that closed and is no duplicate: the first within reach, itself no
            duplicate, that was opened then or later.
    """

    duplicate_of: Ints
    previous: Ints
    next: Ints


def find(rows: Rows, within_m: float, lasts_us: int | None) -> Links:
    """Find what each case came after, and what came after it.

    Equal openings are in the order of row numbers. A case that closes in the instant in which
    another is opened has closed before.

    Args:
        rows: Cases of any groups; only those of one group have to do with each other.
        within_m: Metres, itself included.
        lasts_us: For how long after its opening an open case has duplicates, the end included;
            None is for as long as it is open.
    """
    n = len(rows)
    places = _Places(rows, within_m)
    opened, closed, row = rows["opened_us"], rows["closed_us"], rows["row"]
    # One order of all openings and closings. Closings of one instant are in the order of their
    # openings, so what precedes an opening is just what closed before, be it in that instant;
    # a case's own closing comes after its opening.
    order = np.lexsort(
        (
            np.repeat((0, 1), n),
            np.tile(row, 2),
            np.tile(opened, 2),
            np.concatenate([opened, closed]),
        )
    )
    rank = np.empty(2 * n, np.int64)
    rank[order] = np.arange(2 * n)
    opening, closing = rank[:n], rank[n:]
    case_of = order % max(n, 1)

    # Among the cases of a place that were opened before, the one that stands longest is open if
    # any is.
    stands = closed if lasts_us is None else np.minimum(closed, opened + lasts_us + 1)
    longest = np.lexsort((-row, -opened, stands))
    length = np.empty(n, np.int64)
    length[longest] = np.arange(n)
    every = np.arange(n)
    told = places.sorted(every, opening)
    kept_open = np.maximum.accumulate(places.keys(told, length)) % places.span
    best = places.last_before(every, opening, told, opening[told], kept_open)
    original = np.append(longest, NONE)[best]
    is_open = np.append(stands, -NEVER_US)[original] > opened
    duplicate_of = np.where(is_open, original, NONE)

    has_closed = closed < NEVER_US
    told = places.sorted(np.flatnonzero(has_closed), closing)
    best = places.last_before(every, opening, told, closing[told], closing[told])
    previous = np.append(case_of, NONE)[best]

    is_first = duplicate_of == NONE
    asks = np.flatnonzero(is_first & has_closed)
    told = places.sorted(np.flatnonzero(is_first), opening)
    following = np.full(n, NONE)
    best = places.first_after(asks, closing[asks], told, opening[told])
    following[asks] = np.append(case_of, NONE)[best]
    return Links(duplicate_of, previous, following)


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
