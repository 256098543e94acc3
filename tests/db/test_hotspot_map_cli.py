"""`gridsvc hotspots map`: one file, of the layer and the time asked for."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from gridsvc.cli import app
from gridsvc.db import create_engine
from gridsvc.hotspots.maps import page
from tests import small_city
from tests.db_fixtures import MakeDatabase
from tests.factories import EAST_M, NORTH_M, add_cases

Cli = Callable[..., Result]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *args: CliRunner().invoke(app, ["hotspots", "map", *map(str, args)])


@pytest.fixture
def town(make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """The small city: sixty cases from 30 March to 1 April."""
    url = make_database()
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        small_city.found(session)
        points = np.array([[EAST_M + 20 * i, NORTH_M + 500] for i in range(60)])
        begin = datetime(2026, 3, 30, tzinfo=UTC)
        add_cases(session, points, [begin + timedelta(hours=i) for i in range(60)])
    engine.dispose()
    monkeypatch.setenv("GRIDSVC_DATABASE_URL", url)


@pytest.mark.usefixtures("town")
def test_a_map_is_one_file(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "new folder" / "hotspots.html"
    shown = cli(out)
    assert shown.exit_code == 0, shown.output
    assert re.search(
        r"60 cases of 2026-03 to 2026-04, revision 1, on a map of 0\.\d MB: .*hotspots\.html",
        shown.stdout,
    )
    written = out.read_text(encoding="utf-8")
    assert written.startswith("<!doctype html>")
    assert 'id="survey"' in written
    assert [it.name for it in out.parent.iterdir()] == ["hotspots.html"]


@pytest.mark.usefixtures("town")
def test_layer_and_time_are_local_and_told_to_machines(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "april.html"
    # Local midnight is 16:00 UTC, forty hours after the first case.
    shown = cli(out, "--from", "2026-04-01", "--layer", "district", "--cell-m", 500, "--json")
    assert shown.exit_code == 0, shown.output
    told = json.loads(shown.stdout)
    assert told == {
        "out": str(out),
        "bytes": out.stat().st_size,
        "revision": 1,
        "cases": 20,
        "months": ["2026-04"],
        "chronic_places": 0,
    }


@pytest.mark.usefixtures("town")
@pytest.mark.parametrize(
    ("asked", "code", "told"),
    [
        (("map.png",), 2, "map.png does not end in .html"),
        (("map.html", "--cell-m", "1"), 2, "--cell-m"),
        (("map.html", "--cell-m", "10"), 1, "Choose larger cells"),
        (("map.html", "--layer", "moon"), 1, "There is no layer 'moon'"),
        (("map.html", "--to", "2020-01-01"), 1, "gridsvc reports import"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_a_remedy(
    cli: Cli, tmp_path: Path, asked: tuple[str, ...], code: int, told: str
) -> None:
    out = tmp_path / asked[0]
    shown = cli(out, *asked[1:])
    assert shown.exit_code == code, shown.output
    assert told in shown.output.replace("\n", " ")
    assert not out.exists()


def test_the_page_that_waits_for_a_key_is_small() -> None:
    assert len(page(None).html) < 300_000
