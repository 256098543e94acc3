"""Vector tiles: what is drawn is where it is, as it is now, and nothing else is on it."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime

import pyogrio
import pytest
import shapely
from fastapi.testclient import TestClient
from geoalchemy2.shape import to_shape
from geopandas import GeoDataFrame
from httpx2 import Response
from pydantic import SecretStr
from shapely.geometry.base import BaseGeometry
from sqlalchemy import select
from sqlalchemy.orm import Session

from gridsvc.api.app import create_app
from gridsvc.api.tiles import TileJSON
from gridsvc.crs import convert_geometries
from gridsvc.db import create_engine
from gridsvc.grids import viewers
from gridsvc.grids.changesets import publish
from gridsvc.grids.models import Area
from gridsvc.grids.viewers import Tile
from gridsvc.settings import Settings
from tests import small_city
from tests.api.shapes import assert_problem
from tests.db_fixtures import MakeDatabase
from tests.factories import (
    STORAGE,
    box,
    live_area,
    new_change_set,
    propose_area,
)
from tests.small_city import YARD

MVT = "application/vnd.mapbox-vector-tile"


def tile_at(z: int, *, lon: float, lat: float) -> tuple[int, int]:
    """Give x and y of the tile round a place, by the formula of every slippy map."""
    y = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2
    return int((lon + 180) / 360 * 2**z), int(y * 2**z)


def fetch(client: TestClient, layer: str, z: int, x: int, y: int, **params: str) -> Response:
    response = client.get(f"/tiles/{layer}/{z}/{x}/{y}.mvt", params=params)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == MVT
    return response


def decode(content: bytes, z: int, x: int, y: int) -> dict[str, GeoDataFrame]:
    """Read a tile's layers with GDAL, placed in Web Mercator."""
    if not content:
        return {}
    names = [name for name, _ in pyogrio.list_layers(content)]
    return {
        name: pyogrio.read_dataframe(content, layer=name, X=x, Y=y, Z=z, CLIP="NO").set_index(
            "code"
        )
        for name in names
    }


def drawn(client: TestClient, layer: str, z: int, place: dict[str, float]) -> GeoDataFrame | None:
    x, y = tile_at(z, **place)
    layers = decode(fetch(client, layer, z, x, y).content, z, x, y)
    assert set(layers) <= {layer}
    return layers.get(layer)


@pytest.fixture(scope="module")
def areas(city: str) -> dict[tuple[str, str], BaseGeometry]:
    """Every area in Web Mercator."""
    engine = create_engine(city)
    with Session(engine) as session:
        found = {
            (layer, code): convert_geometries(
                to_shape(boundary), source=STORAGE, target="EPSG:3857"
            )
            for layer, code, boundary in session.execute(
                select(Area.layer, Area.code, Area.boundary)
            )
        }
    engine.dispose()
    return found


@pytest.mark.parametrize("z", [0, 3, 8, 11, 13, 16, 18, 22])
@pytest.mark.parametrize("layer", ["district", "street", "courtyard", "shop_front"])
def test_what_is_drawn_is_where_it_is(
    client: TestClient, areas: dict[tuple[str, str], BaseGeometry], layer: str, z: int
) -> None:
    pixel_m = 2 * math.pi * 6378137 / 2**z / 256
    inside = {"courtyard": YARD, "shop_front": small_city.SHOPS}.get(layer, YARD)
    shown = drawn(client, layer, z, inside)
    x, y = tile_at(z, **inside)
    side = 256 * pixel_m
    corner = -math.pi * 6378137
    tile = shapely.box(
        corner + x * side, -corner - (y + 1) * side, corner + (x + 1) * side, -corner - y * side
    )
    for (its_layer, code), true in areas.items():
        if its_layer != layer:
            continue
        seen = true.intersection(tile)
        if shown is None or code not in shown.index:
            # Only what cannot be seen is left out.
            assert seen.area < pixel_m**2, (code, seen.area / pixel_m**2)
            continue
        told = shown.geometry[code].intersection(tile)
        if seen.area > pixel_m**2:
            assert shapely.hausdorff_distance(told, seen) < pixel_m
    if shown is not None:
        assert set(shown.index) <= {code for its_layer, code in areas if its_layer == layer}


def test_a_tile_tells_code_and_name_and_nothing_else(client: TestClient) -> None:
    shown = drawn(client, "street", 14, YARD)
    assert shown is not None
    assert set(shown.columns) == {"mvt_id", "name", "geometry"}
    assert shown.name["S1"] == "甲街道"
    nameless = drawn(client, "courtyard", 16, YARD)
    assert nameless is not None
    assert list(nameless.index) == ["C/1"]


def test_a_tile_beside_the_city_is_empty(client: TestClient) -> None:
    for z, x, y in ((14, 0, 0), (14, 2**14 - 1, 2**14 - 1), (1, 0, 1), (22, 2**22 - 1, 0)):
        assert fetch(client, "street", z, x, y).content == b""


def test_neighbouring_tiles_overlap_a_little(client: TestClient) -> None:
    # So that the line along the cut is drawn out of sight.
    x, y = tile_at(17, **small_city.place(east_m=1000, north_m=500))
    (shown,) = decode(fetch(client, "district", 17, x, y).content, 17, x, y).values()
    west, south, east, north = shown.geometry["D1"].bounds
    width = 2 * math.pi * 6378137 / 2**17
    assert east - west == pytest.approx(width * (1 + 2 * 64 / 4096), rel=1e-3)
    assert north - south == pytest.approx(width * (1 + 2 * 64 / 4096), rel=1e-3)


@pytest.mark.parametrize(
    ("z", "x", "y", "field"),
    [
        ("-1", "0", "0", "z"),
        ("23", "0", "0", "z"),
        ("1.5", "0", "0", "z"),
        ("a", "0", "0", "z"),
        ("9" * 400, "0", "0", "z"),
        ("0", "1", "0", "x"),
        ("0", "0", "1", "y"),
        ("3", "8", "0", "x"),
        ("3", "-1", "0", "x"),
        ("3", "0", "8", "y"),
        ("22", "4194304", "0", "x"),
        ("3", "0", "9" * 30, "y"),
    ],
)
def test_a_tile_that_cannot_be_is_refused(
    client: TestClient, z: str, x: str, y: str, field: str
) -> None:
    response = client.get(f"/tiles/street/{z}/{x}/{y}.mvt")
    body = assert_problem(response, 400, "invalid-input")
    assert [error["loc"] for error in body["errors"]] == [["path", field]]


def test_an_unknown_layer_is_not_found(client: TestClient) -> None:
    assert_problem(client.get("/tiles/road/0/0/0.mvt"), 404, "unknown-layer")
    assert_problem(client.get("/tiles/road.json"), 404, "unknown-layer")
    assert_problem(client.get("/tiles/street/0/0/0.png"), 404, "not-found")


def test_what_nobody_knows_is_refused(client: TestClient) -> None:
    for path in ("street/0/0/0.mvt", "street.json"):
        for params in ({"revision": "1"}, {"at": "yesterday"}):
            assert_problem(client.get(f"/tiles/{path}", params=params), 400, "invalid-input")


def test_tiles_need_a_key(guarded: TestClient, key_of: dict[str, dict[str, str]]) -> None:
    for path in ("street/0/0/0.mvt", "street.json"):
        assert_problem(guarded.get(f"/tiles/{path}"), 401, "key-refused")
        assert guarded.get(f"/tiles/{path}", headers=key_of["dispatch"]).status_code == 200


def test_tilejson_tells_where_to_look(client: TestClient) -> None:
    response = client.get("/tiles/street.json", headers={"Host": "grid.example"})
    told = response.json()
    TileJSON.model_validate(told)
    assert told["name"] == "街道 Street"
    assert told["tiles"] == ["http://grid.example/tiles/street/{z}/{x}/{y}.mvt"]
    assert (told["minzoom"], told["maxzoom"], told["revision"]) == (0, 18, 1)
    west, south, east, north = told["bounds"]
    assert west < YARD["lon"] < east
    assert south < YARD["lat"] < north
    assert told["vector_layers"] == [
        {"id": "street", "fields": {"code": "String", "name": "String"}}
    ]


def test_a_past_map_has_past_tiles(client: TestClient) -> None:
    at = "2026-03-01T00:00:00+00:00"
    told = client.get("/tiles/street.json", params={"at": at}).json()
    address = told["tiles"][0].format(z=14, x=0, y=0).removeprefix("http://testserver")
    assert address.endswith("?at=2026-03-01T00%3A00%3A00%2B00%3A00")
    assert client.get(address).headers["gridsvc-revision"] == "1"
    x, y = tile_at(14, **YARD)
    before = fetch(client, "street", 14, x, y, at="2020-01-01T00:00:00Z")
    assert (before.content, "gridsvc-revision" in before.headers) == (b"", False)
    assert fetch(client, "street", 14, x, y, at=at).content


@pytest.fixture
def town_url(make_database: MakeDatabase) -> str:
    url = make_database()
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        small_city.found(session)
    engine.dispose()
    return url


@pytest.fixture
def town(town_url: str) -> Iterator[TestClient]:
    settings = Settings(database_url=SecretStr(town_url), api_keys_required=False)
    with TestClient(create_app(settings)) as client:
        yield client


def test_a_publication_is_seen_where_it_changed_something(town: TestClient, town_url: str) -> None:
    x, y = tile_at(16, **YARD)
    before = datetime.now(UTC).isoformat()
    yard, street = (fetch(town, layer, 16, x, y) for layer in ("courtyard", "street"))
    for response in (yard, street):
        assert "no-cache" in response.headers["cache-control"]
        assert response.headers["gridsvc-revision"] == "1"

    def again(layer: str, old: Response) -> Response:
        headers = {"If-None-Match": old.headers["etag"]}
        return town.get(f"/tiles/{layer}/16/{x}/{y}.mvt", headers=headers)

    unchanged = again("courtyard", yard)
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert unchanged.headers["etag"] == yard.headers["etag"]

    engine = create_engine(town_url)
    with Session(engine) as session, session.begin():
        change_set = new_change_set(session)
        propose_area(
            session,
            change_set,
            "courtyard",
            "C/1",
            box(150, 150, 250, 250),
            valid_from=datetime.now(UTC),
            replaces=live_area(session, "C/1"),
        )
        publish(session, change_set)
    engine.dispose()

    changed = again("courtyard", yard)
    assert (changed.status_code, changed.headers["gridsvc-revision"]) == (200, "2")
    sizes = [
        decode(content, 16, x, y)["courtyard"].geometry["C/1"].area
        for content in (yard.content, changed.content)
    ]
    assert sizes[0] > 2 * sizes[1]
    # Nothing was changed there.
    same = again("street", street)
    assert (same.status_code, same.headers["gridsvc-revision"]) == (304, "2")
    # A map of the past still shows the past.
    assert fetch(town, "courtyard", 16, x, y, at=before).content == yard.content


def test_tiles_of_too_many_areas_are_left_empty(city: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewers, "AREAS_IN_A_TILE", 1)
    settings = Settings(database_url=SecretStr(city), api_keys_required=False)
    with TestClient(create_app(settings)) as client:
        streets = client.get("/tiles/street.json").json()["minzoom"]
        # Two streets on 2 km by 1 km: a tile of zoom 15 is a little less than 1 km wide there.
        assert streets == 15
        assert drawn(client, "street", streets - 1, YARD) is None
        assert drawn(client, "street", streets, YARD) is not None
        # One area is never too many.
        assert client.get("/tiles/district.json").json()["minzoom"] == 0
        assert drawn(client, "district", 12, YARD) is not None


@pytest.mark.parametrize(("z", "x", "y"), [(0, 0, 0), (1, 1, 0), (22, 2**22 - 1, 2**22 - 1)])
def test_bounds_of_a_tile_stay_on_earth(z: int, x: int, y: int) -> None:
    west, south, east, north = Tile(z, x, y).bounds
    assert -180 <= west < east <= 180
    assert -85.06 < south < north < 85.06
