"""Deadlines and working time agree with a hand, two libraries and a count of minutes."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridsvc.errors import LimitError
from gridsvc.grids.limits import Limit
from gridsvc.grids.schemes import Calendar, Scheme, read_scheme
from gridsvc.grids.weekhours import DAY_MIN
from gridsvc.grids.worktime import Pauses, Span, WorkTime

SCHEMES = Path(__file__).parents[2] / "data" / "schemes"
DEMO = read_scheme(SCHEMES / "demo.toml")
"""Mon-fri 09:00-12:00 and 13:00-18:00: three hours, lunch, five hours; eight a day."""
BOSTON = read_scheme(SCHEMES / "boston.toml")
"""Mon-fri 09:00-17:00."""
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def local(text: str, scheme: Scheme = DEMO) -> datetime:
    """Read an instant by the city's clock; without a year it is in 2026."""
    text = text if text.count("-") == 2 else f"2026-{text}"
    return datetime.fromisoformat(text).replace(tzinfo=scheme.zone)


def with_hours(*hours: str, time_zone: str = "America/New_York") -> WorkTime:
    update = {"calendar": Calendar(working_hours=hours), "time_zone": time_zone}
    return WorkTime(BOSTON.model_copy(update=update))


def naive(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(tzinfo=None)


def add_both(work: WorkTime, start: datetime, limit: str, pauses: Sequence[Span] = ()) -> datetime:
    """Ask both forms, and what has elapsed at the deadline."""
    deadline = work.add(start, Limit.parse(limit), pauses)
    assert many(work, [start], [Limit.parse(limit)], [pauses]) == [naive(deadline)]
    if "D" not in limit:
        assert work.elapsed(start, deadline, pauses) == Limit.parse(limit).time
    return deadline


def as_pauses(pauses: Sequence[Sequence[Span]]) -> Pauses:
    rows = [(case, naive(a), naive(b)) for case, some in enumerate(pauses) for a, b in some]
    cases, starts, ends = zip(*rows, strict=True) if rows else ((), (), ())
    return Pauses(np.array(cases, np.int64), np.array(starts, "M8[us]"), np.array(ends, "M8[us]"))


def many(
    work: WorkTime,
    starts: Sequence[datetime],
    limits: Sequence[Limit],
    pauses: Sequence[Sequence[Span]],
) -> list[datetime]:
    at = np.array([naive(start) for start in starts], "M8[us]")
    return list(work.add_many(at, limits, as_pauses(pauses)).tolist())


# 2026-11-02 is a Monday. (start, limit, deadline)
BY_HAND = [
    # Within a day. Over lunch: 11:00-12:00 is 1 h, 13:00-16:00 the other 3.
    ("11-02 09:00", "PT2H", "11-02 11:00"),
    ("11-02 11:00", "PT4H", "11-02 16:00"),
    # Exactly at closing: 14:00-18:00 is 4 h. Exactly at lunch: 10:00-12:00 is 2 h.
    ("11-03 14:00", "PT4H", "11-03 18:00"),
    ("11-03 10:00", "PT2H", "11-03 12:00"),
    ("11-03 09:00", "PT8H", "11-03 18:00"),
    ("11-03 09:00", "PT16H", "11-04 18:00"),
    # A second more is the next morning.
    ("11-03 14:00", "PT4H1S", "11-04 09:00:01"),
    # Over a weekend: Friday 16:30-18:00 is 1.5 h, Monday 09:00-11:30 the other 2.5.
    ("11-06 16:30", "PT4H", "11-09 11:30"),
    # Monday is the first next working day, Tuesday the second.
    ("11-06 16:30", "P2D", "11-10 16:30"),
    # Before opening, at lunch, on Saturday: from the next opening, 1 h.
    ("11-03 06:00", "PT1H", "11-03 10:00"),
    ("11-03 12:30", "PT1H", "11-03 14:00"),
    ("11-07 10:00", "PT1H", "11-09 10:00"),
    ("11-06 18:00", "PT1H", "11-09 10:00"),
    # A make-up Saturday, 10 October: Friday 16:00-18:00 is 2 h, Saturday 09:00-11:00 2 h.
    ("10-09 16:00", "PT4H", "10-10 11:00"),
    # Saturday is the first next working day, Monday the 12th the second.
    ("10-09 10:00", "P2D", "10-12 10:00"),
    # The holiday week, Thursday 1 to Wednesday 7 October: on the 30th 17:00-18:00 is 1 h, on
    # Thursday the 8th 09:00-12:00 3 h and 13:00-17:00 4 h.
    ("09-30 17:00", "PT8H", "10-08 17:00"),
    ("10-03 12:00", "PT1H", "10-08 10:00"),
    # Next working days: Thursday 8, Friday 9, make-up Saturday 10, Monday 12.
    ("09-30 17:00", "P1D", "10-08 17:00"),
    ("09-30 17:00", "P4D", "10-12 17:00"),
    # Days at closing time: a minute before, at it, in the weekend, at opening, a minute after.
    ("11-06 17:59", "P1D", "11-09 17:59"),
    ("11-06 18:00", "P1D", "11-09 18:00"),
    ("11-07 12:00", "P1D", "11-09 18:00"),
    ("11-09 09:00", "P1D", "11-09 18:00"),
    ("11-09 09:01", "P1D", "11-10 09:01"),
    # Lunch: three hours are over at 12:00 of the next day already.
    ("11-03 12:30", "P1D", "11-04 12:00"),
    # Days first: Wednesday 17:00, then 1 h to closing and 1 h on Thursday.
    ("11-03 17:00", "P1DT2H", "11-05 10:00"),
]


@pytest.mark.parametrize(("start", "limit", "deadline"), BY_HAND)
def test_deadlines_by_hand(start: str, limit: str, deadline: str) -> None:
    assert add_both(WorkTime(DEMO), local(start), limit) == local(deadline)


# The same, with when the case was suspended and resumed.
SUSPENDED = [
    # Twice: 10-11 1 h; 14-18 4 h; Tuesday 9-9:30 0.5 h; 10-12 2 h; 13-13:30 0.5 h; together 8.
    (
        "11-02 10:00",
        "PT8H",
        [("11-02 11:00", "11-02 14:00"), ("11-03 09:30", "11-03 10:00")],
        "11-03 13:30",
    ),
    # Over closing time: Monday 17-17:30 0.5 h; Tuesday 10-12 2 h; 13-13:30 0.5 h.
    ("11-02 17:00", "PT3H", [("11-02 17:30", "11-03 10:00")], "11-03 13:30"),
    # Over lunch or a night alone: no work is lost.
    ("11-02 11:00", "PT2H", [("11-02 12:00", "11-02 13:00")], "11-02 14:00"),
    ("11-02 17:00", "PT2H", [("11-02 18:00", "11-03 09:00")], "11-03 10:00"),
    # Before it starts: 10:30-12 is 1.5 h, 13-13:30 0.5 h.
    ("11-02 09:00", "PT2H", [("11-02 08:00", "11-02 10:30")], "11-02 13:30"),
    # Filed on Saturday, suspended before opening: the same.
    ("10-31 09:00", "PT2H", [("11-01 08:00", "11-02 10:30")], "11-02 13:30"),
    # Resumed before it starts: nothing.
    ("11-02 09:00", "PT2H", [("10-30 09:00", "10-30 18:00")], "11-02 11:00"),
    # Suspended at the very deadline, and after it: nothing.
    ("11-02 09:00", "PT2H", [("11-02 11:00", "11-02 14:00")], "11-02 11:00"),
    ("11-03 14:00", "PT4H", [("11-03 18:00", "11-04 12:00")], "11-03 18:00"),
    ("11-03 14:00", "PT4H", [("11-04 08:00", "11-04 12:00")], "11-03 18:00"),
    # Overlapping, one in the other, out of order: 10-12 and 13-15 once, 4 h; 9-10 1 h, 15-16 1 h.
    (
        "11-02 09:00",
        "PT2H",
        [
            ("11-02 11:00", "11-02 15:00"),
            ("11-02 10:00", "11-02 13:30"),
            ("11-02 11:00", "11-02 11:30"),
        ],
        "11-02 16:00",
    ),
    # Days: Wednesday 10:00, put off by the 8 h between Tuesday 10:00 and Wednesday 10:00.
    ("11-02 10:00", "P2D", [("11-03 10:00", "11-04 10:00")], "11-05 10:00"),
    # ... by all of Tuesday; ... by an hour of it.
    ("11-02 10:00", "P2D", [("11-03 00:00", "11-04 00:00")], "11-05 10:00"),
    ("11-02 10:00", "P2D", [("11-03 10:00", "11-03 11:00")], "11-04 11:00"),
    # Filed while suspended, Friday; resumed Monday 11:00; so Tuesday 11:00.
    ("11-06 14:00", "P1D", [("11-06 10:00", "11-09 11:00")], "11-10 11:00"),
]


@pytest.mark.parametrize(("start", "limit", "pauses", "deadline"), SUSPENDED)
def test_suspended_intervals_do_not_count(
    start: str, limit: str, pauses: list[tuple[str, str]], deadline: str
) -> None:
    spans = [(local(a), local(b)) for a, b in pauses]
    assert add_both(WorkTime(DEMO), local(start), limit, spans) == local(deadline)


# 2015: clocks forward on Sunday 8 March, 02:00; back on Sunday 1 November, 02:00.
@pytest.mark.parametrize(
    ("start", "deadline"),
    [
        # Friday 16:00-17:00 EST is 1 h; Monday 09:00-10:00 EDT 1 h.
        ("2015-03-06T16:00-05:00", "2015-03-09T10:00-04:00"),
        ("2015-10-30T16:00-04:00", "2015-11-02T10:00-05:00"),
    ],
)
def test_the_clocks_change_over_a_weekend(start: str, deadline: str) -> None:
    work = WorkTime(BOSTON)
    begin, end = datetime.fromisoformat(start), datetime.fromisoformat(deadline)
    assert add_both(work, begin, "PT2H") == end
    # 1 h before the deadline on Monday is its opening; a day is the same time of day.
    assert add_both(work, begin, "P1D") == end + 6 * HOUR


def test_the_clocks_change_at_work() -> None:
    always = with_hours()
    spring, autumn = (local(day, BOSTON) for day in ("2015-03-08 00:00", "2015-11-01 00:00"))
    # The sum of a local day on which 02:00-03:00 is skipped, and of one on which 01-02 is twice.
    assert always.elapsed(spring, local("2015-03-09 00:00", BOSTON)) == 23 * HOUR
    assert always.elapsed(autumn, local("2015-11-02 00:00", BOSTON)) == 25 * HOUR
    # The clock reads 01:30-02:30 for half an hour (skipped: 02:00-02:30); then for an hour and a
    # half (01:30-02:00 of daylight time, and 01:30-02:30 of standard time).
    night = with_hours("sun 01:30-02:30")
    assert night.elapsed(spring, spring + 30 * HOUR) == 0.5 * HOUR
    assert night.elapsed(autumn, autumn + 30 * HOUR) == 1.5 * HOUR
    # 01:30 EDT is 05:30 UTC; the second 01:30 is 06:30 UTC, and has half an hour to give yet.
    assert add_both(night, autumn, "PT1H") == datetime(2015, 11, 1, 7, 0, tzinfo=UTC)


def test_a_day_that_the_city_never_had() -> None:
    # Samoa went over the date line: Thursday 29 December 2011 was followed by Saturday the 31st.
    apia = with_hours("mon-sat 09:00-17:00", time_zone="Pacific/Apia")
    zone = apia._zone
    start = datetime(2011, 12, 29, 16, tzinfo=zone)
    assert add_both(apia, start, "PT2H") == datetime(2011, 12, 31, 10, tzinfo=zone)
    assert add_both(apia, start, "P1D") == datetime(2011, 12, 31, 16, tzinfo=zone)


def test_without_working_hours_all_hours_are_worked() -> None:
    always = with_hours(time_zone="Asia/Shanghai")
    saturday = local("11-07 23:00")
    assert add_both(always, saturday, "PT4H") == saturday + 4 * HOUR
    assert add_both(always, saturday, "P1D") == saturday + 24 * HOUR
    assert always.elapsed(saturday, saturday + 100 * HOUR) == 100 * HOUR
    midnight = local("11-07 00:00")
    assert add_both(always, midnight, "P1D") == midnight + 24 * HOUR


def test_a_night_shift_is_two_days_of_work() -> None:
    # Monday 22-24 is Monday's, Tuesday 00-06 and 22-24 are Tuesday's.
    night = with_hours("mon-fri 22:00-06:00", time_zone="Asia/Shanghai")
    assert add_both(night, local("11-02 23:00"), "PT8H") == local("11-03 23:00")
    # One hour of Monday is over at 23:00; so is one hour of Tuesday at 01:00.
    assert add_both(night, local("11-02 23:00"), "P1D") == local("11-03 01:00")


def test_a_shorter_day_ends_a_limit_at_its_closing() -> None:
    short_friday = with_hours("mon-thu 09:00-17:00", "fri 09:00-12:00", time_zone="Asia/Shanghai")
    # Thursday 15:00: six hours are over; Friday has three.
    assert add_both(short_friday, local("11-05 15:00"), "P1D") == local("11-06 12:00")
    assert add_both(short_friday, local("11-05 15:00"), "P2D") == local("11-09 15:00")


def test_elapsed_by_hand() -> None:
    work = WorkTime(DEMO)
    # 30 September 17-18 is 1 h, 8 October 9-10 1 h.
    assert work.elapsed(local("09-30 17:00"), local("10-08 10:00")) == 2 * HOUR
    # Friday the 9th, make-up Saturday, Monday: 8 h each.
    assert work.elapsed(local("10-09 00:00"), local("10-13 00:00")) == 24 * HOUR
    # Monday 10-18 is 7 h, less 11-12 and 13-14; overlapping pauses count once.
    pauses = [
        (local("11-02 11:00"), local("11-02 14:00")),
        (local("11-02 11:00"), local("11-02 13:30")),
        (local("11-01 09:00"), local("11-02 08:00")),
        (local("11-02 17:59"), local("11-02 17:59")),
    ]
    assert work.elapsed(local("11-02 10:00"), local("11-02 20:00"), pauses) == 5 * HOUR
    assert work.elapsed(local("11-02 20:00"), local("11-02 10:00"), pauses) == -5 * HOUR
    assert work.elapsed(local("10-01 09:00"), local("10-07 18:00")) == timedelta(0)


def test_unknown_instants_stay_unknown() -> None:
    work = WorkTime(DEMO)
    at = np.array(["NaT", "2026-11-02T01:00"], "M8[us]")
    # The unknown case rests from 11:00 to 12:00 by the city's clock, the known one from 9 to 10.
    pauses = Pauses(
        np.array([0, 1]),
        np.array(["2026-11-02T03:00", "2026-11-02T01:00"], "M8[us]"),
        np.array(["2026-11-02T04:00", "2026-11-02T02:00"], "M8[us]"),
    )
    deadlines = work.add_many(at, Limit.parse("PT2H"), pauses)
    assert np.isnat(deadlines[0])
    assert deadlines[1] == np.datetime64("2026-11-02T04:00")
    later = np.array(["2026-11-03T00:00"] * 2, "M8[us]")
    assert work.elapsed_many(at, later, pauses)[1] == np.timedelta64(7, "h")
    assert np.isnat(work.elapsed_many(at, later, pauses)[0])
    assert np.isnat(work.add_many(at[:1], Limit.parse("P1D"))).all()
    assert np.isnat(work.elapsed_many(at[:1], later[:1])).all()
    assert len(work.add_many(at[:0], Limit.parse("P1D"))) == 0


def test_a_whole_range_without_work() -> None:
    work = WorkTime(DEMO)
    noon = np.array(["2026-10-04T04:00"], "M8[us]")
    assert work.elapsed_many(noon, noon + np.timedelta64(5, "h"))[0] == np.timedelta64(0)
    assert work.add_many(noon, Limit.parse("PT1H")).tolist() == [naive(local("10-08 10:00"))]
    assert work.add_many(noon, Limit.parse("P300D"))[0] == naive(
        work.add(local("10-04 12:00"), Limit.parse("P300D"))
    )


def test_wrong_use_is_told() -> None:
    work = WorkTime(DEMO)
    four, at = Limit.parse("PT4H"), local("11-02 10:00")
    with pytest.raises(ValueError, match="no time zone"):
        work.add(at.replace(tzinfo=None), four)
    with pytest.raises(ValueError, match="ends before it starts"):
        work.add(at, four, [(at, at - HOUR)])
    with pytest.raises(ValueError, match="ends before it starts"):
        many(work, [at], [four], [[(at, at - HOUR)]])


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "P1W", "P1M", "P1Y", "-P1D", "4h", "P1.5D", "P1DT"]
)
def test_what_is_no_limit(text: str) -> None:
    with pytest.raises(LimitError, match="no ISO 8601 duration"):
        Limit.parse(text)


@pytest.mark.parametrize("text", ["P0D", "PT0S", "P0DT0H0M0S"])
def test_a_limit_of_nothing_is_refused(text: str) -> None:
    with pytest.raises(LimitError, match="must leave some time"):
        Limit.parse(text)


def test_limits_out_of_reason_are_refused() -> None:
    for days, clock, words in [
        (-1, 30 * HOUR, "some time"),
        (1, -HOUR, "some time"),
        (0, timedelta(microseconds=1), "whole seconds"),
        (3660, HOUR, "ten years"),
    ]:
        with pytest.raises(LimitError, match=words):
            Limit(days, clock)


@given(st.integers(0, 3000), st.integers(0, 999_999))
def test_a_limit_reads_as_it_is_written(days: int, seconds: int) -> None:
    if days or seconds:
        limit = Limit(days, timedelta(seconds=seconds))
        assert Limit.parse(str(limit)) == limit


# Two libraries that know a part of it: days off may be given to both, so that every day of the
# week is a working day with holidays.
FREE = [
    day
    for day in (date(2026, 1, 1) + timedelta(days=n) for n in range(500))
    if not DEMO.calendar.hours_of(day)
]
minutes_of_2026 = st.integers(0, 365 * DAY_MIN - 1).map(
    lambda minute: datetime(2026, 1, 1, tzinfo=DEMO.zone) + minute * MINUTE
)


@given(minutes_of_2026, st.integers(1, 60))
def test_hours_agree_with_pandas(start: datetime, hours: int) -> None:
    offset = pd.tseries.offsets.CustomBusinessHour(
        n=hours,
        start=["09:00", "13:00"],
        end=["12:00", "18:00"],
        weekmask="1111111",
        holidays=FREE,
    )
    told = (pd.Timestamp(start.replace(tzinfo=None)) + offset).to_pydatetime()
    ours = add_both(WorkTime(DEMO), start, f"PT{hours}H").astimezone(DEMO.zone)
    # Pandas ends a limit at the next opening where we end it at closing time.
    if ours.time() in {time(12), time(18)}:
        assert told.time() in {time(9), time(13)}
        assert WorkTime(DEMO).elapsed(ours, told.replace(tzinfo=DEMO.zone)) == timedelta(0)
        assert told > ours.replace(tzinfo=None)
    else:
        assert told == ours.replace(tzinfo=None)


@given(minutes_of_2026, st.integers(1, 60))
def test_days_agree_with_numpy(start: datetime, days: int) -> None:
    ours = add_both(WorkTime(DEMO), start, f"P{days}D").astimezone(DEMO.zone)
    # From an opening, or from a day off, the first day to end is the first working day itself.
    is_whole = start.date() in FREE or start.time() <= time(9)
    steps = days - 1 if is_whole else days
    told = np.busday_offset(start.date(), steps, "forward", weekmask="1111111", holidays=FREE)
    assert ours.date() == told.item()


# Any calendar at all.

instants = st.integers(0, 20 * DAY_MIN * 60).map(
    lambda second: datetime(2015, 10, 24, tzinfo=UTC) + timedelta(seconds=second)
)
days = st.integers(0, 40).map(lambda n: date(2015, 10, 20) + timedelta(days=n))


@st.composite
def works(draw: st.DrawFn) -> WorkTime:
    start = st.integers(0, 23 * 60 + 59)
    hours = []
    for day in draw(st.sets(st.sampled_from(["mon", "tue", "thu", "sat", "sun"]), max_size=4)):
        a, b = draw(st.lists(start, min_size=2, max_size=2, unique=True))
        hours.append(f"{day} {a // 60:02}:{a % 60:02}-{b // 60:02}:{b % 60:02}")
    off = draw(st.sets(days, max_size=12))
    calendar = Calendar(
        working_hours=tuple(hours),
        holidays=tuple(off),
        workdays=tuple(draw(st.sets(days, max_size=4)) - off),
    )
    zone = draw(
        st.sampled_from(["America/New_York", "Asia/Shanghai", "Australia/Lord_Howe", "Asia/Amman"])
    )
    return WorkTime(BOSTON.model_copy(update={"calendar": calendar, "time_zone": zone}))


limits = st.builds(
    Limit,
    st.integers(0, 9),
    st.integers(1, 90_000).map(lambda second: timedelta(seconds=second)),
) | st.builds(Limit, st.integers(1, 9))
pause_lists = st.lists(st.tuples(instants, instants).map(sorted).map(tuple), max_size=4)
cases = st.lists(st.tuples(instants, instants, limits, pause_lists), min_size=1, max_size=6)
slow = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)


@slow
@given(works(), cases)
def test_arrays_say_the_same(
    work: WorkTime, some: list[tuple[datetime, datetime, Limit, list[Span]]]
) -> None:
    starts, ends, some_limits, pauses = (list(column) for column in zip(*some, strict=True))
    assert many(work, starts, some_limits, pauses) == [
        naive(work.add(*case)) for case in zip(starts, some_limits, pauses, strict=True)
    ]
    begin, end = (np.array([naive(at) for at in part], "M8[us]") for part in (starts, ends))
    assert work.elapsed_many(begin, end, as_pauses(pauses)).tolist() == [
        work.elapsed(*case) for case in zip(starts, ends, pauses, strict=True)
    ]


@settings(slow, max_examples=40)
@given(works(), instants, instants, pause_lists, st.integers(1, 3000))
def test_working_time_is_the_count_of_worked_minutes(
    work: WorkTime, start: datetime, end: datetime, pauses: list[Span], minutes: int
) -> None:
    start, end = (at.replace(second=0) for at in (start, end))
    rests = [(a.replace(second=0), b.replace(second=0)) for a, b in pauses]

    def is_worked(at: datetime) -> bool:
        reading = at.astimezone(work._zone)
        minute = reading.hour * 60 + reading.minute
        hours = work._calendar.hours_of(reading.date())
        return any(a <= minute < b for a, b in hours) and not any(a <= at < b for a, b in rests)

    first, last = sorted((start, end))
    counted = sum(is_worked(first + n * MINUTE) for n in range((last - first) // MINUTE))
    assert abs(work.elapsed(start, end, rests)) == counted * MINUTE
    deadline = work.add(first, Limit(0, minutes * MINUTE), rests)
    # The first instant at which it is used up: the minute before it was worked.
    assert is_worked(deadline - MINUTE)
    assert work.elapsed(first, deadline, rests) == minutes * MINUTE


@slow
@given(works(), st.lists(instants, min_size=2, max_size=2), limits, pause_lists)
def test_a_later_start_has_no_earlier_deadline(
    work: WorkTime, starts: list[datetime], limit: Limit, pauses: list[Span]
) -> None:
    first, second = sorted(starts)
    assert work.add(first, limit) <= work.add(second, limit)
    # Days of unequal length and pauses together can break this: see the decision record.
    hours = Limit(0, limit.time + HOUR)
    assert work.add(first, hours, pauses) <= work.add(second, hours, pauses)


def test_a_limit_cut_at_a_short_day_is_put_off_from_there() -> None:
    short_friday = with_hours("mon-thu 09:00-17:00", "fri 09:00-12:00", time_zone="Asia/Shanghai")
    pause = [(local("11-05 15:00"), local("11-05 16:00"))]
    # From 14:59 it would end on Friday at 12:00; the hour suspended puts it off to Monday 10:00.
    assert add_both(short_friday, local("11-05 14:59"), "P1D", pause) == local("11-09 10:00")
    # From within the pause it begins at 16:00, and ends at Friday's closing.
    assert add_both(short_friday, local("11-05 15:01"), "P1D", pause) == local("11-06 12:00")
