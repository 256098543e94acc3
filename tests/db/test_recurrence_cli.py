"""`gridsvc recurrence`: from a file of cases, of reports, and from the database."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest
from click.testing import Result
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from gridsvc.cli import app
from gridsvc.db import create_engine
from tests import small_city
from tests.db_fixtures import MakeDatabase
from tests.recurring import cases_of

ROOT = Path(__file__).resolve().parents[2]
DEMO = (
    *("--file", ROOT / "data/reports/demo.parquet", "--scheme", ROOT / "data/schemes/demo.toml"),
    *("--id", "id", "--lon", "lon", "--lat", "lat", "--crs", "crs", "--opened", "opened_at"),
    *("--closed", "closed_at", "--category-column", "category"),
)
Cli = Callable[..., Result]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *args: CliRunner().invoke(app, ["recurrence", *map(str, args)])


def test_chronic_places_of_past_reports(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "chronic.parquet"
    shown = cli(out, *DEMO)
    assert shown.exit_code == 0, shown.output
    assert "came back within 30 m and 30 days" in shown.stdout
    places = gpd.read_parquet(out)
    assert places.crs == "EPSG:4548"
    assert (places.geom_type == "Point").all()
    assert places["score"].is_monotonic_decreasing
    assert (places["cases"][:12] >= 30).all()
    assert {"every_days", "weekdays", "from_hour", "median_days", "trend"} <= {*places.columns}
    first = places.to_crs("EPSG:4326").geometry[0]
    assert f"{first.x:.6f}" in shown.stdout


def test_its_figures_as_json(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "chronic.parquet"
    narrow = ("--category", "05", "--from", "2026-01-01", "--to", "2026-07-01")
    shown = cli(out, *DEMO, *narrow, "--within", 20, "--days", 29, "--json")
    assert shown.exit_code == 0, shown.output
    told = json.loads(shown.stdout)
    places = gpd.read_parquet(out)
    assert told == {
        "cases": told["cases"],
        "open_duplicates": told["open_duplicates"],
        "returns": told["returns"],
        "places": len(places),
        "out": str(out),
    }
    assert 0 < told["returns"] < told["cases"] < 10_000
    assert places["group"].str.startswith("05").all()
    assert places["first_opened_at"].min() >= datetime(2025, 12, 31, 16, tzinfo=UTC)


def test_cases_as_they_are_exported(cli: Cli, tmp_path: Path) -> None:
    path, out = tmp_path / "cases.parquet", tmp_path / "chronic.parquet"
    rows = [(0.0, 0.0, day, day + 1.0, "0101") for day in (0, 11, 22)]
    cases_of([*rows, (0.0, 0.0, 31.0, 32.0, "0102")]).to_parquet(path)
    city = ("--file", path, "--scheme", ROOT / "data/schemes/demo.toml")
    assert cli(out, *city).exit_code == 0
    assert gpd.read_parquet(out)["cases"].tolist() == [3]
    assert cli(out, *city, "--prefix", 2).exit_code == 0
    assert gpd.read_parquet(out)[["group", "cases"]].to_numpy().tolist() == [["01", 4]]


def test_nothing_that_came_back_is_an_empty_file(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "chronic.parquet"
    shown = cli(out, *DEMO, "--category", "99")
    assert shown.exit_code == 0, shown.output
    assert gpd.read_parquet(out).empty


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("chronic.csv",), "does not end in .parquet"),
        (("chronic.parquet", "--id", "id"), "a file of reports"),
        (("chronic.parquet", *DEMO[2:4]), "only goes with --file"),
        (("chronic.parquet", "--crs", "gcj02"), "only goes with --file"),
        (("chronic.parquet", "--within", "-1"), "--within"),
        (("chronic.parquet", *DEMO, "--within", "inf"), "--within"),
        (("chronic.parquet", *DEMO, "--days", "1e300"), "--days"),
        (("chronic.parquet", *DEMO, "--duplicate-days", "inf"), "--duplicate-days"),
        (
            ("chronic.parquet", *DEMO, "--from", "2026-02-01", "--to", "2026-01-01"),
            "is not before the end",
        ),
    ],
)
def test_wrong_use_is_told(cli: Cli, args: tuple[object, ...], words: str) -> None:
    shown = cli(*args)
    assert shown.exit_code == 2
    assert words in shown.output


def test_a_file_that_cannot_be_written_is_told(cli: Cli, tmp_path: Path) -> None:
    shown = cli(tmp_path / "nowhere" / "out.parquet", *DEMO)
    assert shown.exit_code == 1
    assert "cannot be written" in shown.output


def test_cases_of_the_database(
    cli: Cli, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url = make_database()
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        small_city.found(session)
    engine.dispose()
    monkeypatch.setenv("GRIDSVC_DATABASE_URL", url)
    opened = pd.Timestamp("2026-03-01T02:00Z") + pd.to_timedelta([0, 11, 22, 33], unit="D")
    history = pd.DataFrame(
        {
            "id": ["1", "2", "3", "4"],
            **small_city.YARD,
            "opened": opened.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "closed": (opened + pd.Timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "category": "0102",
        }
    )
    history.to_csv(tmp_path / "history.csv", index=False)
    columns = {name: name for name in ("id", "lon", "lat", "opened", "closed", "category")}
    options = [word for name, column in columns.items() for word in (f"--{name}", column)]
    stored = CliRunner().invoke(
        app, ["reports", "import", str(tmp_path / "history.csv"), "--crs", "EPSG:4326", *options]
    )
    assert stored.exit_code == 0, stored.output
    out = tmp_path / "chronic.parquet"
    shown = cli(out, "--to", "2026-03-30", "--json")
    assert shown.exit_code == 0, shown.output
    told = json.loads(shown.stdout)
    assert (told["cases"], told["returns"], told["places"]) == (3, 2, 1)
    place = gpd.read_parquet(out).iloc[0]
    assert place["median_days"] == 10
    assert place["every_days"] == 10
    assert place["next_round_at"] == opened[2] + pd.Timedelta(days=11)
    unknown = cli(out, "--category", "moon")
    assert unknown.exit_code == 1
    assert "The category 'moon' is not in the scheme" in unknown.stderr
    backwards = CliRunner().invoke(
        app,
        ["cases", "export", str(out), "--from", "2026-03-30", "--to", "2026-03-01"],
    )
    assert backwards.exit_code == 2
    assert "is not before the end" in backwards.output
