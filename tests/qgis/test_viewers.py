"""A viewer's QGIS reads the layers: every area where it is, read only, with a key or without."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import shapely
from geoalchemy2.shape import to_shape
from shapely.geometry.base import BaseGeometry
from sqlalchemy import select
from sqlalchemy.orm import Session

from gridsvc.crs import convert_geometries
from gridsvc.db import create_engine
from gridsvc.grids.changesets import publish
from gridsvc.grids.keys import create_key
from gridsvc.grids.models import Area
from tests.db_fixtures import MakeDatabase
from tests.factories import (
    STORAGE,
    box,
    found,
    live_area,
    new_change_set,
    propose_area,
)
from tests.qgis.conftest import RunQgis
from tests.serving import Serve, wait_until
from tests.small_city import AREAS, SHOPS, YARD

GUIDE = Path(__file__).parents[2] / "docs" / "qgis-viewers.md"

CELLS = 1203
"""More than QGIS takes at a time."""


@pytest.fixture(scope="module")
def town(city: str, serve: Serve) -> str:
    return serve(city)


@pytest.fixture(scope="module")
def boundaries(city: str) -> dict[str, BaseGeometry]:
    """Every area of the small city in degrees, by its code."""
    engine = create_engine(city)
    with Session(engine) as session:
        found = {
            code: convert_geometries(to_shape(boundary), source=STORAGE, target="EPSG:4326")
            for code, boundary in session.execute(select(Area.code, Area.boundary))
        }
    engine.dispose()
    return found


def assert_read_only(told: dict[str, Any]) -> None:
    assert (told["can_edit"], told["editing"]) == (False, False)


@pytest.mark.parametrize("layer", ["district", "street", "courtyard", "shop_front"])
def test_every_area_is_read_as_the_database_has_it(
    run_qgis: RunQgis, town: str, boundaries: dict[str, BaseGeometry], layer: str
) -> None:
    told = run_qgis("read_features.py", given={"url": f"{town}/ogc", "layer": layer})
    assert told["valid"]
    assert_read_only(told)
    names = {code: name for its_layer, code, name, _ in AREAS if its_layer == layer}
    assert told["count"] == len(names)
    assert {it["code"]: it["name"] for it in told["features"]} == names
    for feature in told["features"]:
        assert feature["id"] == feature["code"]
        assert feature["valid_from"] == "2026-01-01T08:00:00.000"
        assert feature["valid_to"] is None
        seen, true = shapely.from_wkt(feature["wkt"]), boundaries[feature["code"]]
        # To the seven decimals that are told.
        rounded = shapely.set_precision(true, 1e-7, mode="pointwise")
        assert shapely.hausdorff_distance(seen, rounded) < 1e-9
    assert told["crs"] in {"EPSG:4326", "OGC:CRS84"}
    whole = shapely.union_all([boundaries[code] for code in names])
    assert told["extent"] == pytest.approx(whole.bounds, abs=1e-6)


def test_titles_are_in_chinese_and_english(run_qgis: RunQgis, town: str) -> None:
    told = run_qgis("read_features.py", given={"url": f"{town}/ogc", "layer": "street"})
    assert told["title"] == "街道 Street"


def test_only_what_is_in_view_is_asked_for(run_qgis: RunQgis, town: str) -> None:
    def codes(lon: float, lat: float) -> list[str]:
        told = run_qgis(
            "read_features.py",
            given={
                "url": f"{town}/ogc",
                "layer": "street",
                "uri": {"restrictToRequestBBOX": "1"},
                "extent": [lon - 1e-4, lat - 1e-4, lon + 1e-4, lat + 1e-4],
            },
        )
        return [feature["code"] for feature in told["features"]]

    assert codes(**YARD) == ["S1"]
    assert codes(**SHOPS) == ["S2"]
    assert codes(lon=-71.06, lat=42.36) == []


def test_a_filter_of_qgis(run_qgis: RunQgis, town: str) -> None:
    told = run_qgis(
        "read_features.py",
        given={
            "url": f"{town}/ogc",
            "layer": "street",
            "uri": {"filter": "\"name\" = '乙街道'"},
        },
    )
    assert [feature["code"] for feature in told["features"]] == ["S2"]


def test_an_unknown_layer_is_not_valid(run_qgis: RunQgis, town: str) -> None:
    told = run_qgis("read_features.py", given={"url": f"{town}/ogc", "layer": "road"})
    assert told == {"valid": False}


@pytest.fixture(scope="module")
def long_row(make_database: MakeDatabase) -> str:
    """The URL of a database with a row of many cells."""
    url = make_database()
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        found(
            session,
            {
                ("courtyard", f"{cell:04}"): box(cell * 3, 0, cell * 3 + 3, 3)
                for cell in range(CELLS)
            },
        )
    engine.dispose()
    return url


def test_qgis_follows_the_pages(run_qgis: RunQgis, serve: Serve, long_row: str) -> None:
    told = run_qgis(
        "read_features.py", given={"url": f"{serve(long_row)}/ogc", "layer": "courtyard"}
    )
    assert told["count"] == CELLS
    assert [it["code"] for it in told["features"]] == [f"{cell:04}" for cell in range(CELLS)]


# Keys


@pytest.fixture(scope="module")
def key(city: str) -> str:
    engine = create_engine(city)
    with Session(engine) as session, session.begin():
        token, _ = create_key(session, name="qgis viewers", scopes=["locate"])
    engine.dispose()
    return token


def test_a_key_is_sent_as_a_password(
    run_qgis: RunQgis, serve: Serve, city: str, key: str, tmp_path: Path
) -> None:
    guarded = serve(city, api_keys_required=True)
    features = {"url": f"{guarded}/ogc", "layer": "street"}
    assert run_qgis("read_features.py", given=features) == {"valid": False}
    told = run_qgis("read_features.py", given=features | {"basic": key})
    assert [feature["code"] for feature in told["features"]] == ["S1", "S2"]
    tiles = tiles_of(guarded, "street") | {"png": str(tmp_path / "street.png")}
    assert blank(run_qgis("draw_tiles.py", given=tiles))
    assert not blank(run_qgis("draw_tiles.py", given=tiles | {"basic": key}))


# Tiles


EXTENT = [116.448, 39.918, 116.476, 39.931]


def tiles_of(town: str, layer: str) -> dict[str, Any]:
    return {
        "url": f"{town}/tiles/{layer}/{{z}}/{{x}}/{{y}}.mvt",
        "layer": layer,
        "zmin": 0,
        "zmax": 18,
        "extent": EXTENT,
        "label": True,
    }


WHITE, FILL, LINE = "#ffffff", "#cce0ff", "#003399"


def blank(told: dict[str, Any]) -> bool:
    assert told["valid"]
    assert not told["editable"]
    return told["shares"] == {WHITE: 1.0}


@pytest.mark.parametrize(
    ("layer", "share"), [("district", 0.7), ("street", 0.7), ("courtyard", 0.01)]
)
def test_tiles_are_drawn(
    run_qgis: RunQgis, town: str, tmp_path: Path, layer: str, share: float
) -> None:
    png = tmp_path / f"{layer}.png"
    told = run_qgis("draw_tiles.py", given=tiles_of(town, layer) | {"png": str(png)})
    assert not blank(told)
    assert told["errors"] == []
    assert told["shares"][FILL] == pytest.approx(share, rel=0.4)
    assert told["shares"][LINE] > 0
    assert png.stat().st_size > 1000


@pytest.fixture
def yard_url(make_database: MakeDatabase) -> str:
    """A city of one large yard, in a database that a test may publish to."""
    url = make_database()
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        found(session, {("courtyard", "C"): box(0, 0, 1500, 1000)})
    engine.dispose()
    return url


def shrink(url: str) -> None:
    """Publish that the yard is much smaller from now on."""
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        change_set = new_change_set(session)
        propose_area(
            session,
            change_set,
            "courtyard",
            "C",
            box(0, 0, 300, 300),
            valid_from=datetime.now(UTC),
            replaces=live_area(session, "C"),
        )
        publish(session, change_set)
    engine.dispose()


def test_an_open_map_shows_a_publication(
    run_qgis: RunQgis, serve: Serve, yard_url: str, tmp_path: Path
) -> None:
    drawn_at, again_at = tmp_path / "drawn", tmp_path / "again"
    asked = tiles_of(serve(yard_url), "courtyard")
    asked |= {"drawn_at": str(drawn_at), "again_at": str(again_at)}
    with ThreadPoolExecutor() as pool:
        drawing = pool.submit(run_qgis, "draw_tiles.py", given=asked)
        wait_until(lambda: drawn_at.exists() or drawing.done(), within_s=120)
        shrink(yard_url)
        again_at.touch()
        told = drawing.result()
    assert told["shares"][FILL] > 3 * told["again"]["shares"][FILL] > 0


def test_the_past_stays_as_it_was(run_qgis: RunQgis, serve: Serve, yard_url: str) -> None:
    town = serve(yard_url)

    def filled(at: str = "") -> float:
        asked = tiles_of(town, "courtyard")
        told = run_qgis("draw_tiles.py", given=asked | {"url": asked["url"] + at})
        share: float = told["shares"][FILL]
        return share

    def area(at: str = "") -> float:
        asked = {"url": f"{town}/ogc{at}", "layer": "courtyard"}
        (feature,) = run_qgis("read_features.py", given=asked)["features"]
        size: float = shapely.from_wkt(feature["wkt"]).area
        return size

    before = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    drawn, read = filled(), area()
    shrink(yard_url)
    assert read == pytest.approx(area() * 1500 * 1000 / 300 / 300, rel=1e-3)
    assert filled(f"?at={before}") == drawn
    assert area(f"?datetime={before}") == read


def test_the_guide_says_what_works(run_qgis: RunQgis, serve: Serve, city: str, key: str) -> None:
    open_console, guarded_console = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert "http://127.0.0.1:8000" in open_console
    town, guarded = serve(city), serve(city, api_keys_required=True)
    told = run_qgis(
        "run_guide.py",
        given={
            "code": [
                open_console.replace("http://127.0.0.1:8000", town),
                f"server = {guarded!r}",
                guarded_console.replace("KEY", key),
            ],
            "master_password": "of this run only",
            "areas": ["areas", "guarded_areas"],
            "tiles": ["tiles", "guarded_tiles"],
            "layer": "street",
            "extent": EXTENT,
        },
    )
    assert told["areas"] == told["guarded_areas"] == ["S1", "S2"]
    assert not blank(told["tiles"])
    assert not blank(told["guarded_tiles"])
    assert told["project"] == ["QgsVectorLayer", "QgsVectorTileLayer"]
