"""Cases on the command line: listed, shown, and let climb."""

import json
import uuid
from collections.abc import Callable

import pytest
from click.testing import Result
from sqlalchemy import text
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from gridsvc.cli import app
from gridsvc.db import create_engine
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
