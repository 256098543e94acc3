"""Joining all at once means the same as one by one."""

import math
from dataclasses import dataclass

import numpy as np
import pytest

from gridsvc.reports.joining import NEVER_US, Matters, Reach, join

HOUR_US = 3_600_000_000


def matters(*rows: tuple[float, float, float, float | None, int], cases: int = 0) -> Matters:
    """Of x, y, hour, hour of the end and kind; the first so many are cases already."""
    x, y, at, end, kind = zip(*rows, strict=True)
    return Matters(
        np.array(x, float),
        np.array(y, float),
        np.array([round(hour * HOUR_US) for hour in at], np.int64),
        np.array([NEVER_US if hour is None else round(hour * HOUR_US) for hour in end], np.int64),
        np.array(kind, np.int32),
        np.arange(len(rows)) < cases,
    )


REACH = {0: Reach(10, 5 * HOUR_US)}


@dataclass(slots=True)
class _Case:
    opener: int
    x: float
    y: float
    at_us: int
    end_us: int


def one_by_one(given: Matters, reaches: dict[int, Reach]) -> tuple[list[int], list[float]]:
    """The meaning, slowly: of the open cases within reach the nearest, then the oldest."""
    cases: dict[int, list[_Case]] = {}
    opener, distance_m = [], []
    for number, (x, y, at, end, kind, is_case) in enumerate(
        zip(
            given.x.tolist(),
            given.y.tolist(),
            given.at_us.tolist(),
            given.end_us.tolist(),
            given.kind.tolist(),
            given.is_case.tolist(),
            strict=True,
        )
    ):
        near = []
        reach = reaches.get(kind)
        if reach and not is_case:
            for case in cases.get(kind, []):
                apart_m = math.sqrt((x - case.x) ** 2 + (y - case.y) ** 2)
                if (
                    apart_m <= reach.within_m
                    and at - case.at_us <= reach.window_us
                    and case.end_us > at
                ):
                    near.append((apart_m, case.at_us, case.opener))
        if near:
            apart_m, _, first = min(near)
            opener.append(first)
            distance_m.append(apart_m)
        else:
            cases.setdefault(kind, []).append(_Case(number, x, y, at, end))
            opener.append(number)
            distance_m.append(0.0)
    return opener, distance_m


@pytest.mark.parametrize("seed", range(6))
def test_all_at_once_is_one_by_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count, metres, hours = 3_000, (60, 25, 150)[seed % 3], (40, 200)[seed % 2]
    # Whole metres and hours, so that many are equally near, at one time, and just within reach.
    at_us = np.sort(rng.integers(0, hours, count)) * HOUR_US
    lasts_us = rng.choice([0, 1, 3, 8, NEVER_US // HOUR_US], count)
    end_us = np.where(lasts_us > hours, NEVER_US, at_us + np.minimum(lasts_us, hours) * HOUR_US)
    given = Matters(
        rng.integers(0, metres, count).astype(float),
        rng.integers(0, metres, count).astype(float),
        at_us,
        end_us,
        rng.integers(-1, 4, count).astype(np.int32),
        rng.random(count) < 0.05,
    )
    reaches = {
        0: Reach(5, 4 * HOUR_US),
        1: Reach(13, 24 * HOUR_US),
        2: Reach(0.5, HOUR_US),
    }
    opener, distance_m = join(given, reaches)
    slowly, slowly_m = one_by_one(given, reaches)
    assert opener.tolist() == slowly
    assert distance_m.tolist() == slowly_m
    joined = (opener != np.arange(count)).mean()
    assert 0.02 < joined < 0.9
    assert (opener == np.arange(count))[(given.kind == -1) | (given.kind == 3)].all()


@pytest.mark.parametrize(
    ("second", "opener"),
    [
        ((6.0, 8.0, 1, None, 0), 0),  # at the very edge
        ((6.0, 8.001, 1, None, 0), 1),
        ((0.0, 0.0, 5, None, 0), 0),  # in the last instant of the window
        ((0.0, 0.0, 5 + 1 / HOUR_US, None, 0), 1),
        ((0.0, 0.0, 1, None, 1), 1),  # of another class
        ((0.0, 0.0, 0, None, 0), 0),  # at the same instant
    ],
)
def test_the_edge_and_the_end_of_the_window_are_within_reach(
    second: tuple[float, float, float, float | None, int], opener: int
) -> None:
    given = matters((0.0, 0.0, 0, None, 0), second)
    assert join(given, REACH)[0].tolist() == [0, opener]


def test_a_case_that_ended_at_that_instant_is_joined_no_more() -> None:
    ended = matters((0, 0, 0, 2, 0), (0, 0, 2, None, 0), (0, 0, 3, None, 0))
    assert join(ended, REACH)[0].tolist() == [0, 1, 1]


def test_the_nearest_then_the_oldest_and_never_a_report_that_joined() -> None:
    given = matters(
        (0, 0, 0, None, 0),
        (20, 0, 1, None, 0),
        (10, 0, 2, None, 0),  # as far from both: the older one
        (13, 0, 3, None, 0),  # nearest to the one before, which is no case
        (20, 0, 5, None, 0),
    )
    assert join(given, REACH)[0].tolist() == [0, 1, 0, 1, 1]


def test_reach_does_not_chain() -> None:
    # Each within reach of the one before, but from the first report's place.
    row = [(8.0 * step, 0.0, 0.1 * step, None, 0) for step in range(6)]
    assert join(matters(*row), REACH)[0].tolist() == [0, 0, 2, 2, 4, 4]


def test_cases_there_were_before_join_nothing() -> None:
    given = matters((0, 0, 0, None, 0), (1, 0, 0, None, 0), (0, 0, 1, None, 0), cases=2)
    assert join(given, REACH)[0].tolist() == [0, 1, 0]


def test_nothing_at_all() -> None:
    empty = np.empty(0)
    none = np.empty(0, np.int64)
    nothing = Matters(empty, empty, none, none, none.astype(np.int32), none.astype(bool))
    assert [len(part) for part in join(nothing, REACH)] == [0, 0]
