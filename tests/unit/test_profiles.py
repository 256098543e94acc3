"""Problem hours: local hours of the week, and peaks against the rhythm of the whole city."""

from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
import shapely
from scipy import stats

from gridsvc.hotspots.cases import Frame
from gridsvc.hotspots.counts import count_areas
from gridsvc.hotspots.profiles import HOURS, by_hour, peaks
from tests.case_frames import areas_frame, cases

BOSTON = ZoneInfo("America/New_York")
MONDAY, SATURDAY, SUNDAY = 0, 5, 6


def at(weekday: int, hour: int) -> int:
    return 24 * weekday + hour


def counted(codes: list[str], hours: list[int], number: list[int]) -> pd.DataFrame:
    hour = np.array(hours)
    return pd.DataFrame({"code": codes, "weekday": hour // 24, "hour": hour % 24, "cases": number})


def test_hours_are_local_on_both_sides_of_a_change_of_clocks() -> None:
    # Boston's clocks went forward on Sunday 8 March 2026 at 2:00 and back on 1 November at 2:00:
    # 14:30 UTC is 9:30 on the Saturday before and 10:30 a week later; 5:30 and 6:30 UTC on the
    # day in November are the same hour, 1:30, twice.
    opened = [
        "2026-03-07T14:30Z",
        "2026-03-14T14:30Z",
        "2026-03-08T06:59Z",
        "2026-03-08T07:00Z",
        "2026-11-01T05:30Z",
        "2026-11-01T06:30Z",
    ]
    areas = areas_frame({"a": shapely.box(0, 0, 10, 10)})
    frame = cases([5.0] * 6, [5.0] * 6, opened)
    split = count_areas([Frame(frame)], areas, hours=BOSTON)
    hours = by_hour(split, {"a": 0}, 1)[0]
    expected = np.zeros(HOURS, np.int64)
    for weekday, hour, number in (
        (SATURDAY, 9, 1),
        (SATURDAY, 10, 1),
        (SUNDAY, 1, 3),  # 1:59 in March, and the hour that came twice
        (SUNDAY, 3, 1),  # there was no two o'clock
    ):
        expected[at(weekday, hour)] = number
    np.testing.assert_array_equal(hours, expected)


def test_areas_of_a_place_are_added_up_and_others_left_out() -> None:
    split = counted(["a", "b", "b", "c"], [3, 3, 167, 3], [2, 5, 7, 100])
    hours = by_hour(split, {"a": 1, "b": 1}, 2)
    assert hours.shape == (2, HOURS)
    assert hours[0].sum() == 0
    assert (hours[1, 3], hours[1, 167], hours[1].sum()) == (7, 7, 14)


def test_a_planted_peak_is_found_with_its_hours() -> None:
    rng = np.random.default_rng(1)
    rhythm = np.tile(1 + np.sin(np.arange(24) / 24 * np.pi), 7)
    city = rng.poisson(200 * rhythm)
    place = rng.poisson(0.5 * rhythm)
    place[at(SATURDAY, 18) : at(SATURDAY, 24)] += 6
    (found,) = peaks(place[None], city)
    assert [(one.weekday, one.from_hour, one.to_hour) for one in found] == [(SATURDAY, 18, 24)]
    assert found[0].cases == place[at(SATURDAY, 18) : at(SATURDAY, 24)].sum()
    share = city[at(SATURDAY, 18) : at(SATURDAY, 24)].sum() / city.sum()
    assert found[0].expected == pytest.approx(place.sum() * share)


def test_a_place_with_the_rhythm_of_the_city_has_no_peak() -> None:
    # However strong that rhythm is: market day is everywhere.
    city = np.ones(HOURS, np.int64) * 100
    city[at(SATURDAY, 9) : at(SATURDAY, 12)] = 5_000
    assert peaks((city // 20)[None], city) == [()]


def test_noise_shows_a_peak_in_one_map_of_twenty_at_most() -> None:
    rng = np.random.default_rng(2)
    rhythm = np.tile(1 + np.sin(np.arange(24) / 24 * np.pi), 7)
    city = np.rint(10_000 * rhythm).astype(np.int64)
    alarms = sum(any(peaks(rng.poisson(0.5 * rhythm, (30, HOURS)), city)) for _ in range(200))
    # At a rate of 0.05 more than this would come by chance once in a thousand times.
    assert alarms <= stats.binom.isf(0.001, 200, 0.05)


def test_a_peak_ends_with_the_day_and_may_begin_the_next() -> None:
    place = np.zeros(HOURS, np.int64)
    place[at(SATURDAY, 21) : at(SUNDAY, 3)] = 20
    (found,) = peaks(place[None], np.full(HOURS, 1_000))
    assert [(one.weekday, one.from_hour, one.to_hour) for one in found] == [
        (SATURDAY, 21, 24),
        (SUNDAY, 0, 3),
    ]


def test_the_last_hours_of_sunday_end_with_the_week() -> None:
    place = np.zeros(HOURS, np.int64)
    place[at(SUNDAY, 21) : HOURS] = 20
    (found,) = peaks(place[None], np.full(HOURS, 1_000))
    assert [(one.weekday, one.from_hour, one.to_hour) for one in found] == [(SUNDAY, 21, 24)]


def test_places_without_cases_and_no_places_have_no_peaks() -> None:
    empty = np.zeros(HOURS, np.int64)
    assert peaks(np.zeros((2, HOURS), np.int64), empty) == [(), ()]
    assert peaks(np.zeros((0, HOURS), np.int64), empty) == []


def test_q_is_that_of_the_binomial_law_over_all_places() -> None:
    place = np.zeros((2, HOURS), np.int64)
    place[0, at(MONDAY, 0)] = 9
    place[:, at(SATURDAY, 12)] = 1
    (found, none) = peaks(place, np.full(HOURS, 10))
    # Nine of ten in one of 56 blocks, the least of 112 p-values.
    p = stats.binom.sf(8, 10, 1 / 56)
    assert found[0].q == pytest.approx(112 * p)
    assert none == ()
