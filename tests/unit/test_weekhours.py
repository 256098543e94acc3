"""Hours of the week mean the same as text, as minutes and as PostgreSQL's multirange."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsvc.errors import WeekHoursError
from gridsvc.grids.weekhours import (
    ALWAYS,
    WEEK_MIN,
    WeekHours,
    covers_minute,
    format_week_hours,
    merge_week_hours,
    parse_week_hours,
    week_hours_from_range,
    week_hours_to_range,
)

DAY = 24 * 60


def spans(pairs: list[tuple[int, int]]) -> WeekHours:
    return merge_week_hours((min(pair), max(pair)) for pair in pairs if pair[0] != pair[1])


week_hours = st.lists(
    st.tuples(st.integers(0, WEEK_MIN), st.integers(0, WEEK_MIN)), min_size=1, max_size=8
).map(spans)


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("", ALWAYS),
        (" ; ", ALWAYS),
        ("mon-sun 00:00-24:00", ALWAYS),
        ("mon 08:00-20:00", ((480, 1200),)),
        ("08:00-09:00", tuple((day * DAY + 480, day * DAY + 540) for day in range(7))),
        ("mon,wed 8:00-9:00", ((480, 540), (2 * DAY + 480, 2 * DAY + 540))),
        ("sat 09:00-12:00; mon 09:00-12:00", ((540, 720), (5 * DAY + 540, 5 * DAY + 720))),
        # Over midnight, and over the end of the week.
        ("mon 20:00-08:00", ((1200, DAY + 480),)),
        ("sun 22:00-06:00", ((0, 360), (6 * DAY + 1320, WEEK_MIN))),
        ("sun 22:00-24:00", ((6 * DAY + 1320, WEEK_MIN),)),
        ("sun 22:00-00:00", ((6 * DAY + 1320, WEEK_MIN),)),
        # Days may run over the end of the week too.
        (
            "sat-mon 10:00-11:00",
            ((600, 660), (5 * DAY + 600, 5 * DAY + 660), (6 * DAY + 600, 6 * DAY + 660)),
        ),
        # Pieces that overlap or touch become one.
        ("mon 08:00-12:00; mon 11:00-13:00; mon 13:00-14:00", ((480, 840),)),
        ("周一至周五 08:00-20:00", parse_week_hours("mon-fri 08:00-20:00")),
        (
            "星期六，周日 09：00－12：00；周一 09:00～10:00",
            parse_week_hours("sat,sun 09:00-12:00; mon 9:00-10:00"),
        ),
        ("Mon–Fri 08:00–20:00", parse_week_hours("mon-fri 08:00-20:00")),
    ],
)
def test_reads(text: str, hours: WeekHours) -> None:
    assert parse_week_hours(text) == hours


def test_shifts_that_hand_over_fill_the_week_without_overlap() -> None:
    day, night = parse_week_hours("08:00-20:00"), parse_week_hours("mon-sun 20:00-08:00")
    assert merge_week_hours([*day, *night]) == ALWAYS
    assert sum(end - start for start, end in [*day, *night]) == WEEK_MIN


@pytest.mark.parametrize(
    ("text", "piece", "fault"),
    [
        ("mon 08:00-20:00; fry 09:00-10:00", "fry 09:00-10:00", "no such day as «fry»"),
        ("mon 08:00-25:00", "mon 08:00-25:00", "no such time as 25:00"),
        ("mon 08:60-09:00", "mon 08:60-09:00", "no such time as 08:60"),
        ("mon 08:00-24:01", "mon 08:00-24:01", "no such time as 24:01"),
        ("mon 24:00-08:00", "mon 24:00-08:00", "begins at 24:00"),
        ("tue 09:00-09:00", "tue 09:00-09:00", "ends when it begins"),
        ("mon 8-20", "mon 8-20", "is not days and a span"),
        ("mon", "mon", "is not days and a span"),
    ],
)
def test_names_the_piece_that_cannot_be_read(text: str, piece: str, fault: str) -> None:
    with pytest.raises(WeekHoursError, match=fault) as caught:
        parse_week_hours(text)
    assert caught.value.piece == piece
    assert caught.value.remedy


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mon-fri 08:00-20:00; sat 09:00-12:00",
        "mon-sun 20:00-08:00",
        "sun 22:00-06:00",
        "mon,wed,fri 00:00-24:00",
    ],
)
def test_writes_as_a_person_would(text: str) -> None:
    assert format_week_hours(parse_week_hours(text)) == text


@given(week_hours)
def test_text_and_multirange_lose_nothing(hours: WeekHours) -> None:
    if hours:
        assert parse_week_hours(format_week_hours(hours)) == hours
    assert week_hours_from_range(week_hours_to_range(hours)) == hours


@given(week_hours)
def test_intervals_are_sorted_and_do_not_touch(hours: WeekHours) -> None:
    ends = [minute for span in hours for minute in span]
    assert ends == sorted(set(ends))


def test_covers_its_start_but_not_its_end() -> None:
    hours = parse_week_hours("mon 08:00-20:00")
    assert [covers_minute(hours, minute) for minute in (479, 480, 1199, 1200)] == [
        False,
        True,
        True,
        False,
    ]
