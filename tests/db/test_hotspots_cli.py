"""`gridsvc hotspots list` and `export`: what they tell, and the files that they leave."""

import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from sqlalchemy.orm import Session
from typer.testing import CliRunner, Result

from gridsvc.cli import app
from gridsvc.db import create_engine
from gridsvc.hotspots import profiles
from gridsvc.hotspots.profiles import Peak
from tests import wide_city
from tests.db_fixtures import MakeDatabase
from tests.factories import add_cases, appoint

Cli = Callable[..., Result]

CITY = wide_city.City(20, 20)
WINDOW = ("--from", "2025-03-01", "--to", "2026-04-01")
HOT = CITY.unit_at(4, 4)
NIGHT = datetime(2025, 6, 2, 17, 30, tzinfo=UTC)
"""Tuesday, half past one in the city."""


@pytest.fixture(scope="module")
def town(make_database: MakeDatabase) -> str:
    """A year: a case in each unit, thirty in one and its neighbours, and one that comes back."""
    url = make_database()
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        wide_city.found(session, CITY)
        appoint(session, {"party": "P9", "layer": "community", "area": CITY.community_at(4, 4)})
        place = {
            code: shapely.get_coordinates(shape.representative_point())[0]
            for layer, code, shape in CITY.areas()
            if layer == "unit"
        }
        everywhere = np.array(list(place.values()))
        add_cases(session, everywhere, [NIGHT + timedelta(hours=7 * i) for i in range(400)])
        hot = [CITY.unit_at(i, j) for i in (3, 4, 5) for j in (3, 4, 5)]
        near = np.repeat([place[code] for code in hot], 10, axis=0)
        add_cases(session, near, [NIGHT + timedelta(weeks=i % 30) for i in range(90)])
        for turn in range(6):
            opened = datetime(2025, 9, 1, tzinfo=UTC) + timedelta(days=20 * turn)
            add_cases(
                session,
                place[CITY.unit_at(15, 15)].reshape(1, 2),
                [opened],
                closed_at=opened + timedelta(days=6),
                category="0501",
            )
    engine.dispose()
    return url


@pytest.fixture
def cli(town: str, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("GRIDSVC_DATABASE_URL", town)
    return lambda *args: CliRunner().invoke(app, ["hotspots", *map(str, args)])


def test_hotspots_are_listed_with_who_answers(cli: Cli) -> None:
    shown = cli("list", *WINDOW)
    assert shown.exit_code == 0, shown.output
    first, header, *rows = shown.stdout.splitlines()
    assert first.startswith("496 cases from 2025-03-01 to 2026-04-01 on layer unit, revision 2.")
    assert header.split() == [
        *("rank", "moved", "cases", "expected", "q", "areas", "hours", "responsible"),
    ]
    assert rows[0].split()[:2] == ["1", "="]
    assert "P9 (chief)" in rows[0]
    assert "Tue 00–03" in rows[0]
    told = json.loads(cli("list", *WINDOW, "--json").stdout)
    (hotspot,) = told["hotspots"]
    assert hotspot["codes"][0] == HOT
    assert hotspot["responsible"]["party"] == {
        "code": "P9",
        "name": "张*",
        "kind": "person",
        "phone": None,
    }
    assert told["question"]["layer"] == "unit"
    assert told["parameters"]["q"] == "Benjamini-Hochberg"


def test_where_nothing_gathers_it_is_said(cli: Cli) -> None:
    shown = cli("list", "--from", "2026-02-01", "--to", "2026-03-01")
    assert shown.exit_code == 0
    assert "Nothing gathers more than chance explains." in shown.stdout


def test_wrong_use_names_the_remedy(cli: Cli, tmp_path: Path) -> None:
    wrong = cli("list", "--layer", "nowhere")
    assert wrong.exit_code == 1
    assert "There is no layer 'nowhere'" in wrong.stderr
    assert "square, hexagon" in wrong.stderr
    backwards = cli("list", "--from", "2026-03-01", "--to", "2026-02-01")
    assert backwards.exit_code == 1
    assert "is not before the end, 2026-02-01T00:00:00" in backwards.stderr
    assert "Give a later end." in backwards.stderr
    ending = cli("export", tmp_path / "out.xlsx")
    assert ending.exit_code == 1
    assert "names no format. Use .gpkg, .parquet, .csv." in ending.stderr
    folder = cli("export", tmp_path / "no" / "folder" / "out.gpkg")
    assert folder.exit_code == 1
    assert "Choose another folder." in folder.stderr
    per = cli("list", "--per", "resident")
    assert per.exit_code == 1
    assert "[hotspots] residents" in per.stderr
    assert list(tmp_path.iterdir()) == []


def test_one_geopackage_holds_all_layers_and_their_styles(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "out.gpkg"
    written = cli("export", out, *WINDOW, "--json")
    assert written.exit_code == 0, written.output
    assert json.loads(written.stdout) == {"files": [str(out)], "revision": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["out.gpkg"]
    assert {name for name, _ in pyogrio.list_layers(out)} == {
        *("areas", "cells", "hotspots", "density", "chronic_places", "about", "layer_styles"),
    }
    areas = gpd.read_file(out, layer="areas")
    assert len(areas) == 400
    assert areas["cases"].sum() == 496
    assert areas.set_index("code").loc[HOT, "class"] == "hot_99"
    assert areas["pattern"].notna().all()  # thirteen months
    one = areas.set_index("code").loc[HOT]
    assert one["rate_low"] < one["rate"] < one["rate_high"]
    assert areas.crs.to_epsg() == wide_city.SRID
    (hotspot,) = gpd.read_file(out, layer="hotspots").itertuples()
    assert (hotspot.responsible, hotspot.responsible_name) == ("P9", "张*")
    assert hotspot.hours.startswith("2: 00-03 (")
    (chronic,) = gpd.read_file(out, layer="chronic_places").itertuples()
    assert (chronic.category, chronic.cases, chronic.returns) == ("0501", 6, 5)
    assert chronic.median_days == pytest.approx(14)
    density = gpd.read_file(out, layer="density")
    assert density["per_km2"].min() > 0
    about = gpd.read_file(out, layer="about").set_index("what")["value"]
    assert about["revision"] == "2"
    assert about["method"] == "getis_ord_gi_star"
    with sqlite3.connect(out) as file:
        default = file.execute(
            "SELECT f_table_name FROM layer_styles WHERE useAsDefault"
        ).fetchall()
    file.close()
    assert {name for (name,) in default} == {
        *("areas", "cells", "hotspots", "density", "chronic_places"),
    }


def test_parquet_and_csv_hold_a_layer_a_file(cli: Cli, tmp_path: Path) -> None:
    assert cli("export", tmp_path / "out.parquet", *WINDOW).exit_code == 0
    assert cli("export", tmp_path / "out.csv", *WINDOW).exit_code == 0
    areas = gpd.read_parquet(tmp_path / "out-areas.parquet")
    assert len(areas) == 400
    assert (tmp_path / "out-areas.qml").read_text("utf-8").startswith("<qgis")
    table = pd.read_csv(tmp_path / "out-areas.csv", dtype={"code": str})
    assert table["code"].tolist() == areas["code"].tolist()
    shapes = areas.to_crs(4326).geometry.to_numpy()
    assert shapely.contains_xy(shapes, table["lon"], table["lat"]).all()
    assert (tmp_path / "out-areas.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    assert pd.read_csv(tmp_path / "out-about.csv")["what"][0] == "revision"


def test_hours_are_told_in_figures() -> None:
    peak = Peak(weekday=4, from_hour=18, to_hour=24, cases=84, expected=17.9, q=1e-9)
    told = {name: getattr(peak, name) for name in Peak.__dataclass_fields__}
    assert profiles.span_text(told) == "5: 18-24 (84 / 18)"
