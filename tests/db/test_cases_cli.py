"""Cases on the command line: listed, shown, let climb, and written as columns."""

import json
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import Result
from sqlalchemy import text
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from gridsvc.cli import app
from gridsvc.crs import from_wgs84
from gridsvc.db import create_engine
from gridsvc.hotspots.cases import COLUMNS, parts_of_cases
from gridsvc.reports import case_columns
from gridsvc.reports.case_columns import SCHEMA, write_cases
from gridsvc.reports.cases import Act, act
from gridsvc.reports.intake import Draft, file_report
from gridsvc.reports.terms import Channel, EventKind
from tests import small_city
from tests.db_fixtures import MakeDatabase
from tests.small_city import YARD

Cli = Callable[..., Result]


@pytest.fixture(scope="module")
def town(make_database: MakeDatabase) -> str:
    """Two cases: one filed, one dispatched whose step ended a minute ago."""
    url = make_database()
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        small_city.found(session)
        for _ in range(2):
            draft = Draft(x=YARD["lon"], y=YARD["lat"], channel=Channel.HOTLINE, category="0102")
            told = file_report(session, draft, idempotency_key=str(uuid.uuid4()), caller="desk")
        assert told.case
        act(session, told.case.id, Act(kind=EventKind.DISPATCHED, actor="desk"))
        session.execute(
            text("UPDATE gridsvc.case SET step_due_at = now() - interval '1 minute' WHERE step = 1")
        )
    engine.dispose()
    return url


@pytest.fixture
def cli(town: str, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("GRIDSVC_DATABASE_URL", town)
    return lambda *args: CliRunner().invoke(app, ["cases", *args])


def test_they_are_listed(cli: Cli) -> None:
    shown = cli("list")
    assert shown.exit_code == 0
    header, *rows = shown.stdout.splitlines()
    assert header.split()[:5] == ["case", "category", "state", "since", "holder"]
    assert [row.split()[:3] for row in rows] == [
        ["1", "0102", "filed"],
        ["2", "0102", "dispatched"],
    ]
    first = cli("list", "--limit", "1").stdout
    assert "--after 1" in first
    told = json.loads(cli("list", "--state", "dispatched", "--json").stdout)
    assert [(case["id"], case["holder"]) for case in told["cases"]] == [(2, "P1")]
    assert cli("list", "--overdue").stdout == "There are no such cases.\n"
    assert cli("list", "--state", "open").exit_code == 2


def test_one_is_shown_with_its_log(cli: Cli) -> None:
    shown = cli("show", "1")
    assert shown.exit_code == 0
    assert "filed" in shown.stdout
    assert "(the first)" in shown.stdout
    told = json.loads(cli("show", "2", "--json").stdout)
    assert told["state"] == "dispatched"
    assert [event["kind"] for event in told["events"]][:2] == ["filed", "dispatched"]
    assert len(told["reports"]) == 1
    missing = cli("show", "99")
    assert missing.exit_code == 1
    assert "There is no case 99" in missing.stderr


def test_those_whose_time_is_up_climb_once(cli: Cli) -> None:
    shown = cli("climb")
    assert shown.exit_code == 0
    assert "Case 2 climbed from P1 to B1 (step 2)." in shown.stdout
    assert "Cases whose time was up: 1." in shown.stdout
    assert json.loads(cli("climb", "--json").stdout) == []


def test_they_are_written_as_columns(
    cli: Cli, town: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "cases.parquet"
    told = json.loads(cli("export", str(out), "--json").stdout)
    assert told == {"cases": 2, "out": str(out)}
    (part,) = parts_of_cases(out)
    cases = part.read()
    assert list(cases.columns) == list(COLUMNS)
    assert cases["category"].tolist() == ["0102", "0102"]
    assert cases["responsible"].tolist() == ["P1", "P1"]
    x, y = from_wgs84(YARD["lon"], YARD["lat"], crs=f"EPSG:{small_city.SRID}")
    assert cases[["x", "y"]].to_numpy() == pytest.approx(np.array([[x, y]] * 2), abs=1e-6)
    assert cases["closed_at"].isna().all()
    engine = create_engine(town)
    with engine.connect() as connection:
        opened = connection.scalars(text("SELECT opened_at FROM gridsvc.case ORDER BY id")).all()
    engine.dispose()
    assert [at.to_pydatetime() for at in cases["opened_at"]] == opened
    # From is included, to is not, whatever the session's time zone.
    monkeypatch.setenv("PGTZ", "Asia/Kathmandu")
    second = opened[1].isoformat()
    assert json.loads(cli("export", str(out), "--from", second, "--json").stdout)["cases"] == 1
    assert json.loads(cli("export", str(out), "--to", second, "--json").stdout)["cases"] == 1
    assert pq.read_table(out).schema == SCHEMA
    wrong = cli("export", str(tmp_path / "cases.csv"))
    assert wrong.exit_code == 2
    assert "does not end in .parquet" in wrong.stderr


def test_a_merged_case_is_no_piece_of_work_of_its_own(town: str, tmp_path: Path) -> None:
    engine = create_engine(town)
    with Session(engine) as session:
        session.execute(
            text("UPDATE gridsvc.case SET state = 'merged', merged_into = 1 WHERE id = 2")
        )
        assert write_cases(session, tmp_path / "cases.parquet") == 1
        session.execute(text("UPDATE gridsvc.case SET point = NULL"))
        assert write_cases(session, tmp_path / "cases.parquet") == 0
        session.rollback()
    engine.dispose()
    assert pq.read_table(tmp_path / "cases.parquet").num_rows == 0


def test_many_cases_come_in_row_groups(
    town: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(case_columns, "ROWS_IN_A_GROUP", 1)
    monkeypatch.setattr(case_columns, "_BLOCK_BYTES", 1)
    engine = create_engine(town)
    with Session(engine) as session:
        assert write_cases(session, tmp_path / "cases.parquet") == 2
    engine.dispose()
    first, second = (part.read() for part in parts_of_cases(tmp_path / "cases.parquet"))
    assert [first.index.tolist(), second.index.tolist()] == [[0], [1]]
    assert [first["id"].tolist(), second["id"].tolist()] == [[1], [2]]
