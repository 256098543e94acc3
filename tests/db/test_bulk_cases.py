"""Imported reports become the cases that they would have become one by one."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from gridsvc.db import create_engine
from gridsvc.grids.limits import Limit
from gridsvc.grids.scheme_store import load_scheme
from gridsvc.grids.worktime import WorkTime
from gridsvc.reports.cases import Act, act
from gridsvc.reports.history import HistoryColumns, HistoryReport, import_history
from gridsvc.reports.intake import Draft, file_report
from gridsvc.reports.terms import Channel, EventKind
from tests import small_city
from tests.case_logs import require_whole
from tests.db_fixtures import MakeDatabase
from tests.factories import make_scheme
from tests.small_city import OUTSIDE, place

COLUMNS = HistoryColumns(
    id="id", lon="lon", lat="lat", opened="opened", closed="closed", category="category"
)
RULE = """
[[duplicates]]
category = "01"
within_m = 30
window_hours = 72
join = "automatic"
"""
PROPOSED = """
[[duplicates]]
category = "0103"
within_m = 30
window_hours = 72
"""
LIMIT = """
[[limit]]
category = "01"
stage = "close"
within = "P1DT2H"
"""
SCHEME = make_scheme(extra=RULE + PROPOSED + LIMIT)
MONDAY = datetime(2026, 3, 2, 2, tzinfo=UTC)  # ten in the morning there
ASIDE = (500, 600)


@pytest.fixture
def own(make_database: MakeDatabase) -> Iterator[Engine]:
    """The small city, with rules for cases, in a database of the test's own."""
    engine = create_engine(make_database())
    with Session(engine) as session, session.begin():
        small_city.found(session)
        load_scheme(session, SCHEME)
    yield engine
    engine.dispose()


def row(  # noqa: PLR0917 -- the columns of the file
    name: str,
    hours: float,
    east_m: float = 200,
    north_m: float = 200,
    category: str = "0101",
    ended: float | None = None,
) -> str:
    where = place(east_m=east_m, north_m=north_m)
    opened = MONDAY + timedelta(hours=hours)
    closed = "" if ended is None else (MONDAY + timedelta(hours=ended)).isoformat()
    return f"{name},{where['lon']},{where['lat']},{opened.isoformat()},{closed},{category}"


def take(engine: Engine, file: Path, *rows: str, source: str = "history") -> HistoryReport:
    file.write_text("\n".join(("id,lon,lat,opened,closed,category", *rows)) + "\n")
    with Session(engine) as session, session.begin():
        told = import_history(session, engine, file, COLUMNS, source=source)
        require_whole(session)
    return told


def cases(engine: Engine) -> dict[str, dict[str, Any]]:
    """All cases by the id of their first report, with the ids of the others."""
    query = text("""
        SELECT c.*, r.source_id AS first,
               ARRAY(SELECT o.source_id FROM gridsvc.case_report AS m
                     JOIN gridsvc.report AS o ON o.id = m.report_id
                     WHERE m.case_id = c.id AND NOT m.is_first ORDER BY o.source_id) AS others,
               ARRAY(SELECT m.distance_m FROM gridsvc.case_report AS m
                     JOIN gridsvc.report AS o ON o.id = m.report_id
                     WHERE m.case_id = c.id ORDER BY o.source_id) AS distances_m,
               ARRAY(SELECT e.kind FROM gridsvc.case_event AS e
                     WHERE e.case_id = c.id ORDER BY e.number) AS log
        FROM gridsvc.case AS c
        JOIN gridsvc.case_report AS f ON f.case_id = c.id AND f.is_first
        JOIN gridsvc.report AS r ON r.id = f.report_id
    """)
    with engine.connect() as connection:
        return {found["first"]: dict(found) for found in connection.execute(query).mappings()}


def test_reports_join_open_cases_of_their_class_and_the_rest_open_their_own(
    own: Engine, tmp_path: Path
) -> None:
    told = take(
        own,
        tmp_path / "past.csv",
        row("later", 3, east_m=210, ended=9),
        row("first", 0, ended=5),  # the file need not be in order
        row("after the end", 6),
        row("too late", 72.001, ended=73),
        row("far", 1, east_m=231),
        row("of another class", 1, category="0102"),
        row("only proposed", 0, category="0103"),
        row("and its like", 1, category="0103"),
        row("of no rule", 0, category="0201"),
        row("and its twin", 1, category="0201"),
        row("of no class", 0, category=""),
        row("nor this", 1, category=""),
        f"outside,{OUTSIDE['lon']},{OUTSIDE['lat']},2026-03-02,,0101",
    )
    found = cases(own)
    assert {first: case["others"] for first, case in found.items() if case["others"]} == {
        "first": ["later"],
        "after the end": ["too late"],
    }
    assert (told.opened, told.joined) == (10, 2) == (len(found), 2)
    first = found["first"]
    assert first["log"] == ["filed", "joined", "closed"]
    # The case ended with its first report, whatever the other one says.
    assert (first["state"], first["closed_at"]) == ("closed", MONDAY + timedelta(hours=5))
    assert (first["report_count"], first["last_event"]) == (2, 3)
    assert (first["responsible"], first["holder"]) == ("P1", None)
    assert first["areas"] == {"district": "D1", "street": "S1", "courtyard": "C/1"}
    still = found["after the end"]
    assert (still["state"], still["closed_at"], still["log"]) == (
        "filed",
        None,
        ["filed", "joined"],
    )
    limit = Limit.parse("P1DT2H")
    assert first["due_at"] == WorkTime(SCHEME).add(MONDAY, limit)
    assert found["of no rule"]["due_at"] is None


def test_a_closing_says_that_nobody_told_of_stages_between(own: Engine, tmp_path: Path) -> None:
    take(own, tmp_path / "past.csv", row("one", 0, ended=5), row("backwards", 9, ended=1))
    with own.connect() as connection:
        details = connection.scalars(
            text("SELECT DISTINCT details FROM gridsvc.case_event WHERE kind = 'closed'")
        ).all()
    assert details == [{"source": "history"}]
    # No case ends before it began.
    backwards = cases(own)["backwards"]
    assert backwards["closed_at"] == backwards["opened_at"] == MONDAY + timedelta(hours=9)


def test_without_the_rule_each_report_opens_a_case(own: Engine, tmp_path: Path) -> None:
    with Session(own) as session, session.begin():
        load_scheme(session, make_scheme(extra=PROPOSED))
    told = take(own, tmp_path / "past.csv", row("first", 0), row("later", 3))
    assert (told.opened, told.joined) == (2, 0)
    assert {case["due_at"] for case in cases(own).values()} == {None}


def test_a_file_that_comes_again_adds_nothing(own: Engine, tmp_path: Path) -> None:
    rows = row("first", 0, ended=5), row("later", 3), row("aside", 1, *ASIDE)
    take(own, tmp_path / "past.csv", *rows)
    before = cases(own)
    again = take(own, tmp_path / "past.csv", *rows)
    assert (again.opened, again.joined, again.repeated) == (0, 0, 3)
    assert cases(own) == before


def test_reports_join_cases_that_are_open_from_before_and_no_closed_ones(
    own: Engine, tmp_path: Path
) -> None:
    take(own, tmp_path / "a.csv", row("open", 0), row("closed", 0, *ASIDE, ended=90))
    told = take(
        own,
        tmp_path / "b.csv",
        row("one more", 2),
        row("another", 3),
        row("before it", -1, 210),
        row("anew", 2, *ASIDE),
        source="other",
    )
    found = cases(own)
    assert found["open"]["others"] == ["another", "one more"]
    assert found["open"]["log"] == ["filed", "joined", "joined"]
    assert (found["closed"]["others"], found["anew"]["others"]) == ([], [])
    assert (told.opened, told.joined) == (2, 2)


def test_equal_times_go_by_the_files_ids(own: Engine, tmp_path: Path) -> None:
    take(own, tmp_path / "past.csv", row("b", 0), row("c", 0), row("a", 0))
    assert cases(own)["a"]["others"] == ["b", "c"]


def test_the_cases_are_those_of_filing_one_by_one(
    make_database: MakeDatabase, own: Engine, tmp_path: Path
) -> None:
    live = create_engine(make_database())
    with Session(live) as session, session.begin():
        small_city.found(session)
        load_scheme(session, SCHEME)
    rng = np.random.default_rng(5)
    rows = {}
    with Session(live) as session:
        for number in range(60):
            name = f"r{number:02}"
            where = place(east_m=rng.integers(180, 260), north_m=rng.integers(180, 220))
            category = str(rng.choice(["0101", "0102", "0103"]))
            draft = Draft(x=where["lon"], y=where["lat"], channel=Channel.PATROL, category=category)
            filed = file_report(session, draft, idempotency_key=name, caller="history")
            session.commit()
            assert filed.case
            assert filed.report.received_at
            rows[name] = [
                *(name, repr(where["lon"]), repr(where["lat"])),
                *(filed.report.received_at.isoformat(), "", category),
            ]
            if filed.case.report_count == 1 and rng.random() < 0.4:
                for kind in ("dispatched", "handled", "verified", "closed"):
                    done = Act(kind=EventKind(kind), actor="test", to_party="P1")
                    closed_at = act(session, filed.case.id, done).closed_at
                session.commit()
                assert closed_at
                rows[name][4] = closed_at.isoformat()
    take(own, tmp_path / "past.csv", *map(",".join, rows.values()))
    told, found = cases(live), cases(own)
    live.dispose()
    assert sum(bool(case["others"]) for case in told.values()) > 5
    assert {first: case["others"] for first, case in found.items()} == {
        first: case["others"] for first, case in told.items()
    }
    same = ("category", "opened_at", "due_at", "closed_at", "state", "areas", "responsible")
    for first, case in told.items():
        assert {name: found[first][name] for name in same} == {name: case[name] for name in same}
        assert found[first]["distances_m"] == pytest.approx(case["distances_m"])


def test_a_role_without_the_right_has_its_keys_looked_up(own: Engine, tmp_path: Path) -> None:
    with Session(own) as session, session.begin():
        session.execute(text("CREATE ROLE bulk_test_owner"))
        session.execute(text("GRANT USAGE ON SCHEMA gridsvc TO bulk_test_owner"))
        session.execute(text("GRANT ALL ON ALL TABLES IN SCHEMA gridsvc TO bulk_test_owner"))
        session.execute(text("GRANT ALL ON ALL SEQUENCES IN SCHEMA gridsvc TO bulk_test_owner"))
        session.execute(text("SET LOCAL ROLE bulk_test_owner"))
        file = tmp_path / "past.csv"
        file.write_text(f"id,lon,lat,opened,closed,category\n{row('one', 0, ended=1)}\n")
        told = import_history(session, own, file, COLUMNS)
        require_whole(session)
        session.rollback()
    assert told.opened == 1


def test_no_trigger_would_rest_while_many_rows_come_in(own: Engine) -> None:
    # `bulk_copy.keys_by_construction` rests on it.
    with own.connect() as connection:
        found = connection.scalars(
            text("""
                SELECT tgname FROM pg_trigger
                WHERE NOT tgisinternal AND tgrelid IN (
                    'gridsvc.report'::regclass, 'gridsvc.report_answer'::regclass,
                    'gridsvc.case'::regclass, 'gridsvc.case_event'::regclass,
                    'gridsvc.case_report'::regclass)
            """)
        ).all()
    assert found == []
