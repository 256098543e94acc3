"""What SQL and Python both know, they know alike."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from gridsvc.errors import WeekHoursError
from gridsvc.grids.schemes import Scheme
from gridsvc.grids.terms import PEOPLE_FINDINGS, FindingKind, Severity
from gridsvc.grids.weekhours import (
    DAYS,
    merge_week_hours,
    parse_week_hours,
    week_hours_from_range,
    week_hours_to_range,
)
from tests.factories import make_scheme

# The session is undone as a whole; examples of one test may share it.
shared = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


STREET = """code = "street"
title = { zh = "街道", en = "Street" }
kind = "tiling"
"""


def schemes(kind: FindingKind) -> Iterator[Scheme]:
    """Give a scheme that is silent on a kind of finding, and one for each thing it may say."""
    yield make_scheme()
    for severity in Severity:
        said = f'findings = {{ {kind} = "{severity}" }}\n'
        if kind in PEOPLE_FINDINGS:
            yield make_scheme(('findings = { vacancy = "report" }\n', said))
        else:
            yield make_scheme((STREET, STREET + said))


@pytest.mark.parametrize("kind", FindingKind)
def test_what_stops_a_publish(session: Session, kind: FindingKind) -> None:
    for scheme in schemes(kind):
        layer = scheme.layer("street")
        assert layer
        severity = (scheme.people if kind in PEOPLE_FINDINGS else layer).severity(kind)
        stops = session.scalar(
            text("SELECT gridsvc.finding_stops(CAST(:scheme AS jsonb), 'street', :kind)"),
            {"scheme": scheme.model_dump_json(by_alias=True), "kind": kind.value},
        )
        # These two are the tables' own promise: whatever a scheme says, they stop.
        always = kind in {FindingKind.ALREADY_HELD, FindingKind.CONFLICT}
        assert stops == (always or severity is Severity.STOP)


minutes = st.integers(0, 1439).map(lambda m: f"{m // 60:02}:{m % 60:02}")
days = st.one_of(
    st.just(""),
    st.sampled_from(DAYS),
    st.tuples(st.sampled_from(DAYS), st.sampled_from(DAYS)).map("-".join),
    st.lists(st.sampled_from(DAYS), min_size=2, max_size=3).map(",".join),
    st.just("周一至周五"),
    st.just("星期日"),
)
pieces = st.tuples(days, minutes, minutes).map(lambda p: f"{p[0]} {p[1]}-{p[2]}".strip())


@shared
@given(written=st.lists(pieces, max_size=3).map("; ".join))
@example(written="sun 22:00-06:00")
@example(written="mon 00:00-24:00")
@example(written="mon-fri 08:00—20:00；sat 09：00-12：00")
@example(written="fri-mon 08:00-09:00")
@example(written="mon-fri 25:00-26:00")
@example(written="moon 08:00-09:00")
@example(written="24:00-25:00")
@example(written="daily")
def test_hours_of_the_week_are_read_alike(session: Session, written: str) -> None:
    try:
        hours = parse_week_hours(written)
    except WeekHoursError:
        with pytest.raises(DBAPIError), session.begin_nested():
            session.scalar(text("SELECT gridsvc.parse_week_hours(:written)"), {"written": written})
        return
    read = session.scalar(text("SELECT gridsvc.parse_week_hours(:written)"), {"written": written})
    assert week_hours_from_range(read) == hours


@shared
@given(
    spans=st.lists(st.tuples(st.integers(0, 10079), st.integers(1, 3000)), min_size=1, max_size=4)
)
@example(spans=[(0, 10080)])
@example(spans=[(9000, 1080), (0, 300)])
def test_hours_are_written_so_that_they_are_read_again(
    session: Session, spans: list[tuple[int, int]]
) -> None:
    hours = merge_week_hours((start, min(start + length, 10080)) for start, length in spans)
    written = session.scalar(
        text("SELECT gridsvc.week_hours_text(:hours)"), {"hours": week_hours_to_range(hours)}
    )
    assert parse_week_hours(written) == hours


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York", "Asia/Kolkata", "UTC"])
def test_instants_are_told_alike(session: Session, zone: str) -> None:
    for days_on in (0, 100, 200):
        instant = datetime(2026, 1, 1, 12, 30, tzinfo=UTC) + timedelta(days=days_on)
        told = session.scalar(
            text("SELECT gridsvc.local_time(:at, :zone)"), {"at": instant, "zone": zone}
        )
        assert told == instant.astimezone(ZoneInfo(zone)).isoformat(timespec="minutes")
