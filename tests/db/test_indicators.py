"""Figures of cases made by hand, against tables worked out by hand."""

import csv
import io
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from gridsvc.cli import app
from gridsvc.db import create_engine
from gridsvc.errors import IndicatorsRefused, UnknownLayer
from gridsvc.grids.scheme_store import current_scheme, load_scheme
from gridsvc.reports.indicator_tables import to_csv, to_html
from gridsvc.reports.indicators import (
    By,
    Indicators,
    Row,
    escalation_levels,
    indicators,
    month_of,
    period_of,
    step_times,
)
from gridsvc.reports.models import Case, CaseEvent
from tests import small_city
from tests.db_fixtures import MakeDatabase
from tests.factories import make_scheme

ZONE = ZoneInfo("Asia/Shanghai")
OCTOBER = month_of("2026-10", ZONE)

RATES = """
[indicators]
deferred = "out"

[[indicators.rate]]
code = "closing_rate"
title = { zh = "结案率", en = "Closing rate" }
formula = "closed / should_close"

[[indicators.rate]]
code = "on_time_rate"
title = { zh = "按期结案率", en = "On-time rate" }
formula = "on_time / should_close"

[[indicators.class]]
code = "A"
layer = "street"
areas = ["S1", "S2"]
"""


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE)


def case(
    session: Session,
    opened: str,
    due: str | None = None,
    closed: str | None = None,
    *,
    street: str = "S1",
    **columns: object,
) -> Case:
    """Add a case as its row stands."""
    told = {
        "category": "0102",
        "responsible": "P1",
        "areas": {"district": "D1", "street": street},
        "state": "closed" if closed else "filed",
        "state_since": local(closed or opened),
        "last_event": 1,
    }
    row = Case(
        opened_at=local(opened),
        due_at=due and local(due),
        closed_at=closed and local(closed),
        **(told | columns),
    )
    session.add(row)
    session.flush()
    return row


@pytest.fixture
def town(session: Session) -> Session:
    small_city.found(session)
    load_scheme(session, make_scheme(extra=RATES))
    return session


def october(session: Session, by: By = By.TOTAL, layer: str | None = None) -> Indicators:
    return indicators(session, OCTOBER, by=by, layer=layer)


def only(table: Indicators) -> Row:
    (row,) = table.rows
    return row


def counts(row: Row) -> dict[str, int]:
    return {name: count for name, count in row.now.counts.items() if count}


def test_a_month_is_counted_by_hand(town: Session) -> None:
    first = case(town, "2026-10-01T00:00", "2026-10-02T18:00", "2026-10-02T18:00")  # to the instant
    case(town, "2026-10-03T10:00", "2026-10-04T10:00", "2026-10-04T10:00:00.000001")  # late by a µs
    climbed = case(town, "2026-10-05T10:00", "2026-10-06T10:00", return_count=2)  # open
    # Dispatched again it is back on the first step, and has climbed all the same.
    event(town, climbed, "escalated", "2026-10-05T14:00", to_party="B1", details={"step": 2})
    event(town, climbed, "dispatched", "2026-10-05T16:00", to_party="P1", details={"step": 1})
    case(town, "2026-10-31T10:00", "2026-11-02T10:00", "2026-10-31T12:00")  # due in November
    case(town, "2026-09-30T10:00", "2026-10-01T10:00", "2026-10-01T09:00")  # opened in September
    case(town, "2026-10-07T10:00", "2026-10-08T10:00", "2026-11-01T00:00")  # closed after the month
    case(town, "2026-10-09T10:00", "2026-10-12T10:00", state="suspended")
    case(town, "2026-10-09T10:00", "2026-10-12T10:00", state="not_ours")
    case(town, "2026-10-10T10:00", None, report_count=3)  # no limit: never "should close"
    case(
        town,
        "2026-10-10T10:00",
        "2026-10-11T10:00",
        state="merged",
        merged_into=first.id,
        report_count=0,
    )
    row = only(october(town))
    assert counts(row) == {
        "filed": 8,
        "should_close": 5,
        "closed": 3,
        "on_time": 2,
        "returned": 1,
        "repeated": 2,
        "deferred": 1,
        "escalated": 1,
    }
    assert row.now.rates == {"closing_rate": 3 / 5, "on_time_rate": 2 / 5}


def test_deferred_cases_count_as_the_scheme_says(town: Session) -> None:
    case(town, "2026-10-03T10:00", "2026-10-05T10:00", "2026-10-04T10:00")
    case(town, "2026-10-03T10:00", "2026-10-05T10:00", state="suspended")
    assert only(october(town)).now.rates["closing_rate"] == 1
    load_scheme(town, make_scheme(extra=RATES.replace('"out"', '"in"')))
    assert only(october(town)).now.rates["closing_rate"] == 0.5
    assert counts(only(october(town)))["deferred"] == 1


def test_the_formula_is_the_schemes(town: Session) -> None:
    case(town, "2026-10-03T10:00", "2026-10-05T10:00", "2026-10-04T10:00")
    case(town, "2026-10-03T10:00", "2026-10-05T10:00", return_count=1)
    changed = RATES.replace('"closed / should_close"', '"(closed - 0.5 * returned) / should_close"')
    load_scheme(town, make_scheme(extra=changed))
    assert only(october(town)).now.rates["closing_rate"] == 0.25
    load_scheme(town, make_scheme())
    assert only(october(town)).now.rates == {}


def test_a_month_begins_by_the_citys_clock(town: Session) -> None:
    for opened in ("2026-09-30T23:59:59", "2026-10-01T00:00", "2026-10-31T23:59:59", "2026-11-01"):
        case(town, opened)
    assert counts(only(october(town))) == {"filed": 2}


def test_nothing_happened(town: Session) -> None:
    row = only(october(town))
    assert counts(row) == {}
    assert row.now.rates == {"closing_rate": None, "on_time_rate": None}
    assert october(town, By.PARTY).rows == ()
    assert "本期无案件" in to_html(current_scheme(town), october(town, By.PARTY), [], [])


def test_areas_are_ranked_within_their_class_and_ties_share_a_rank(town: Session) -> None:
    def closing(*shares: tuple[str, int, int]) -> list[tuple[str, str | None, int | None]]:
        for street, closed, still_open in shares:
            for n in range(closed + still_open):
                end = "2026-10-04T10:00" if n < closed else None
                case(town, "2026-10-03T10:00", "2026-10-05T10:00", end, street=street)
        return [(row.key, row.group, row.rank) for row in october(town, By.AREA, "street").rows]

    assert closing(("S1", 1, 1), ("S2", 1, 0)) == [("S2", "A", 1), ("S1", "A", 2)]
    assert closing(("S1", 1, 0), ("S2", 1, 1), ("S3", 1, 0)) == [
        ("S1", "A", 1),
        ("S2", "A", 1),
        ("S3", None, None),
    ]
    names = {row.key: row.name for row in october(town, By.AREA, "street").rows}
    assert names == {"S1": "甲街道", "S2": "乙街道", "S3": None}


def test_an_area_without_cases_is_in_the_table_and_has_no_rank(town: Session) -> None:
    case(town, "2026-10-03T10:00", "2026-10-05T10:00", street="S2")
    rows = {row.key: row for row in october(town, By.AREA, "street").rows}
    assert (rows["S1"].rank, rows["S1"].name, counts(rows["S1"])) == (None, "甲街道", {})
    assert rows["S2"].rank == 1


def test_an_area_whose_rate_cannot_be_worked_out_has_no_rank(town: Session) -> None:
    case(town, "2026-10-03T10:00", street="S1")
    case(town, "2026-10-03T10:00", "2026-10-05T10:00", street="S2")
    ranks = {row.key: row.rank for row in october(town, By.AREA, "street").rows}
    assert ranks == {"S1": None, "S2": 1}


def test_beside_each_month_stand_the_one_before_and_the_same_of_last_year(town: Session) -> None:
    for opened in ("2026-10-05", "2026-09-01", "2026-09-30T23:00", "2025-10-31T23:59"):
        case(town, opened)
    row = only(october(town))
    assert [part.counts["filed"] for part in (row.now, row.previous, row.last_year)] == [1, 2, 1]
    year = indicators(town, period_of(None, local("2026-01-01"), local("2027-01-01"), zone=ZONE))
    assert year.previous.starts_at == local("2025-01-01")
    week = indicators(town, period_of(None, local("2026-10-08"), local("2026-10-15"), zone=ZONE))
    assert (week.previous.starts_at, week.previous.ends_at) == (
        local("2026-10-01"),
        local("2026-10-08"),
    )


def test_a_series_of_months(town: Session) -> None:
    for opened in ("2025-12-31T23:59", "2026-01-01", "2026-02-28T23:59", "2026-03-01"):
        case(town, opened)
    quarter = period_of(None, local("2026-01-01"), local("2026-04-01"), zone=ZONE)
    rows = indicators(town, quarter, by=By.MONTH).rows
    assert [(row.key, row.now.counts["filed"], row.previous.counts["filed"]) for row in rows] == [
        ("2026-01", 1, 1),
        ("2026-02", 1, 1),
        ("2026-03", 1, 1),
    ]
    with pytest.raises(IndicatorsRefused, match="more than 60 months"):
        indicators(
            town, period_of(None, local("2000-01-01"), local("2026-01-01"), zone=ZONE), by=By.MONTH
        )


def test_every_key(town: Session) -> None:
    case(town, "2026-10-03T10:00")
    case(town, "2026-10-03T10:00", responsible="B1", category="0504", street="S2")
    case(town, "2026-10-03T10:00", responsible=None, category=None, areas={"district": "D1"})

    def keys(by: By, layer: str | None = None) -> dict[str, tuple[str | None, int]]:
        rows = october(town, by, layer).rows
        return {row.key: (row.name, row.now.counts["filed"]) for row in rows}

    assert keys(By.PARTY) == {"P1": ("张**", 1), "B1": ("甲街道办事处", 1)}
    named = {one.code: one.name_zh for one in current_scheme(town).categories}
    assert keys(By.CATEGORY) == {code: (named[code], 1) for code in ("0102", "0504")}
    assert keys(By.LAYER) == {"district": ("区", 3), "street": ("街道", 2)}
    assert keys(By.AREA, "street") == {"S1": ("甲街道", 1), "S2": ("乙街道", 1)}


def test_questions_without_a_meaning_are_refused(town: Session) -> None:
    with pytest.raises(IndicatorsRefused, match="layer: it is missing"):
        october(town, By.AREA)
    with pytest.raises(IndicatorsRefused, match="no meaning by party"):
        october(town, By.PARTY, "street")
    with pytest.raises(UnknownLayer):
        october(town, By.AREA, "stret")
    with pytest.raises(IndicatorsRefused, match="no rate 'closing'"):
        indicators(town, OCTOBER, ranked_by="closing")
    for wrong in ("2026-13", "october", "2026-10-01"):
        with pytest.raises(IndicatorsRefused, match="is no month"):
            month_of(wrong, ZONE)
    with pytest.raises(IndicatorsRefused, match="give a month"):
        period_of(None, None, None, zone=ZONE)
    with pytest.raises(IndicatorsRefused, match="it is not after from"):
        indicators(town, period_of(None, local("2026-10-02"), local("2026-10-02"), zone=ZONE))


# Escalation


def event(session: Session, of: Case, kind: str, at: str, **columns: object) -> None:
    of.last_event += 1
    told = {"actor": "test", "state": "dispatched", "details": {}} | columns
    row = CaseEvent(case_id=of.id, number=of.last_event, kind=kind, at=local(at), **told)
    session.add(row)
    session.flush()


def test_levels_and_times_of_the_chain(town: Session) -> None:
    quick, slow, idle = (case(town, "2026-10-05T09:00") for _ in range(3))
    for one in (quick, slow):
        event(town, one, "dispatched", "2026-10-05T10:00", to_party="P1", details={"step": 1})
    event(town, quick, "joined", "2026-10-05T10:30")
    event(town, quick, "handled", "2026-10-05T12:00", state="handled")
    event(town, slow, "no_effect", "2026-10-05T13:00")
    event(town, slow, "escalated", "2026-10-05T14:00", to_party="B1", details={"step": 2})
    event(town, slow, "escalated", "2026-10-05T20:00", details={"cause": "timeout"})
    levels = [(level.step, level.cases, level.share) for level in escalation_levels(town, OCTOBER)]
    assert levels == [(0, 1, 1 / 3), (1, 1, 1 / 3), (2, 1, 1 / 3)]
    times = [
        (one.party, one.name, one.step, one.cases, one.climbed, one.median_h, one.p90_h)
        for one in step_times(town, OCTOBER)
    ]
    assert times == [
        ("P1", "张**", 1, 2, 1, 3.0, pytest.approx(3.8)),
        # It has the case still.
        ("B1", "甲街道办事处", 2, 1, 0, None, None),
    ]
    assert idle.last_event == 1


# What people take away


def test_csv_has_a_column_for_each_figure_and_harmless_texts(town: Session) -> None:
    case(town, "2026-10-03T10:00", "2026-10-05T10:00", "2026-10-04T10:00", areas={"street": "=1+1"})
    rows = csv.DictReader(io.StringIO(to_csv(october(town, By.AREA, "street"))))
    (row,) = (row for row in rows if row["filed"] == "1")
    assert (row["key"], row["filed"], row["closing_rate"]) == ("'=1+1", "1", "1.0")
    assert (row["previous_filed"], row["previous_closing_rate"]) == ("0", "")


def test_names_on_the_page_are_masked_and_escaped(town: Session) -> None:
    case(town, "2026-10-03T10:00", "2026-10-05T10:00", "2026-10-04T10:00")
    case(town, "2026-10-03T10:00", "2026-10-05T10:00", areas={"street": "<script>"})
    scheme = current_scheme(town)
    by_party = to_html(scheme, october(town, By.PARTY), escalation_levels(town, OCTOBER), [])
    assert "张**" in by_party
    assert "张小明" not in by_party
    assert "closed / should_close" in by_party
    by_area = to_html(scheme, october(town, By.AREA, "street"), [], [])
    assert "&lt;script&gt;" in by_area
    assert "<script" not in by_area


@pytest.fixture
def own(make_database: MakeDatabase) -> Iterator[Engine]:
    engine = create_engine(make_database())
    with Session(engine) as session, session.begin():
        small_city.found(session)
        load_scheme(session, make_scheme(extra=RATES))
        case(session, "2026-10-03T10:00", "2026-10-05T10:00", "2026-10-04T10:00")
    yield engine
    engine.dispose()


def test_the_command_shows_and_writes(
    own: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = own.url.set(drivername="postgresql").render_as_string(hide_password=False)
    monkeypatch.setenv("GRIDSVC_DATABASE_URL", url)
    table, page = tmp_path / "october.csv", tmp_path / "october.html"
    args = ["indicators", "--month", "2026-10", "--by", "area", "--layer", "street"]
    shown = CliRunner().invoke(app, [*args, "--csv", str(table), "--html", str(page)])
    assert shown.exit_code == 0, shown.output
    assert "甲街道" in shown.stdout
    assert "100.0%" in shown.stdout
    assert table.read_bytes().startswith(b"\xef\xbb\xbfkey,name,class,rank,filed")
    assert "甲街道" in page.read_text(encoding="utf-8")
    assert '"closing_rate": 1.0' in CliRunner().invoke(app, [*args, "--json"]).stdout
    nowhere = CliRunner().invoke(app, [*args, "--csv", str(tmp_path / "none" / "x.csv")])
    assert nowhere.exit_code == 1
    assert "cannot be written (No such file or directory)" in nowhere.output
    wrong = CliRunner().invoke(app, ["indicators"])
    assert wrong.exit_code == 1
    assert "Name a month, such as 2026-10" in wrong.output


def test_a_period_is_half_open() -> None:
    assert OCTOBER.ends_at - OCTOBER.starts_at == timedelta(days=31)
