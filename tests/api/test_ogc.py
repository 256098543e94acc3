"""Viewers read layers as OGC API - Features: held to the standard, the areas and one state."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import shapely
from fastapi.testclient import TestClient
from geoalchemy2.shape import to_shape
from jsonschema import Draft4Validator, Draft202012Validator
from pydantic import SecretStr
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from gridsvc.api import ogc
from gridsvc.api.app import create_app
from gridsvc.api.ogc_document import CRS84
from gridsvc.crs import convert_geometries
from gridsvc.db import create_engine
from gridsvc.grids import viewers
from gridsvc.grids.changesets import publish
from gridsvc.grids.models import Area
from gridsvc.settings import Settings
from tests.api.shapes import assert_problem
from tests.db_fixtures import MakeDatabase
from tests.factories import (
    FOUNDED_AT,
    STORAGE,
    box,
    found,
    live_area,
    make_scheme,
    new_change_set,
    propose_area,
)
from tests.small_city import OPEN_STREET, YARD

HERE = Path(__file__).parent
RULES = json.loads((HERE / "ogc_features.schema.json").read_text())
OPENAPI_3_0 = json.loads((HERE / "openapi_3_0.schema.json").read_text())

LAT_LON = "http://www.opengis.net/def/crs/EPSG/0/4326"
STORED = "http://www.opengis.net/def/crs/EPSG/0/4547"
MERCATOR = "http://www.opengis.net/def/crs/EPSG/0/3857"
NORTH_FIRST = {LAT_LON, STORED}

CELLS = 23

Publish = Callable[..., int]


def hold(body: dict[str, Any], rule: str) -> dict[str, Any]:
    """Hold a body to a rule of the standard."""
    Draft202012Validator({"$ref": f"#/$defs/{rule}", **RULES}).validate(body)
    return body


def href(body: dict[str, Any], rel: str) -> str | None:
    """Give where a link leads, as this client asks for it."""
    links = [link["href"] for link in body["links"] if link["rel"] == rel]
    assert len(links) <= 1
    return links[0].removeprefix("http://testserver") if links else None


def codes(body: dict[str, Any]) -> list[str]:
    return [feature["id"] for feature in body["features"]]


def read(client: TestClient, layer: str, /, **params: object) -> dict[str, Any]:
    """Read a page of a layer, held to the standard."""
    asked = {name.replace("_", "-"): value for name, value in params.items()}
    response = client.get(f"/ogc/collections/{layer}/items", params=asked)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/geo+json"
    assert response.headers["content-crs"] == f"<{asked.get('crs', CRS84)}>"
    body = hold(response.json(), "features")
    assert body["numberReturned"] == len(body["features"])
    return body


def stored(engine: Engine, layer: str, code: str) -> BaseGeometry:
    with Session(engine) as session:
        return to_shape(
            session.scalars(
                select(Area.boundary).where(Area.layer == layer, Area.code == code)
            ).one()
        )


@pytest.fixture(scope="module")
def city_engine(city: str) -> Iterator[Engine]:
    engine = create_engine(city)
    yield engine
    engine.dispose()


# What there is


def test_the_landing_page_leads_everywhere(client: TestClient) -> None:
    landing = hold(client.get("/ogc").json(), "landing")
    assert landing["title"] == "小城 Small town"
    for link in landing["links"]:
        assert link["href"].startswith("http://testserver/")
        response = client.get(link["href"])
        assert response.status_code == 200, link
        assert response.headers["content-type"].replace("; charset=utf-8", "") == link["type"]
    assert client.get("/ogc/").json() == landing


def test_links_lead_to_the_host_that_was_asked(client: TestClient) -> None:
    landing = client.get("/ogc", headers={"Host": "grid.example:8443"}).json()
    assert {urlsplit(link["href"]).netloc for link in landing["links"]} == {"grid.example:8443"}


def test_conformance_names_what_is_kept(client: TestClient) -> None:
    told = hold(client.get("/ogc/conformance").json(), "conformance")["conformsTo"]
    assert [uri.partition("/spec/")[2] for uri in told] == [
        "ogcapi-features-1/1.0/conf/core",
        "ogcapi-features-1/1.0/conf/geojson",
        "ogcapi-features-1/1.0/conf/oas30",
        "ogcapi-features-2/1.0/conf/crs",
    ]


def test_layers_are_collections(client: TestClient) -> None:
    body = hold(client.get("/ogc/collections").json(), "collections")
    ogc.Collections.model_validate(body)
    assert [it["id"] for it in body["collections"]] == [
        "district",
        "street",
        "courtyard",
        "shop_front",
    ]
    assert body["revision"] == 1
    street = body["collections"][1]
    assert street == hold(client.get("/ogc/collections/street").json(), "collection")
    assert street["title"] == "街道 Street"
    assert street["titles"] == {"zh": "街道", "en": "Street"}
    assert street["crs"] == [CRS84, LAT_LON, STORED, MERCATOR]
    assert street["storageCrs"] == STORED
    assert street["extent"]["temporal"]["interval"] == [["2026-01-01T00:00:00+00:00", None]]
    (bounds,) = street["extent"]["spatial"]["bbox"]
    features = read(client, "street")["features"]
    area = shapely.union_all([shape(feature["geometry"]) for feature in features])
    assert bounds == pytest.approx(area.bounds, abs=1e-6)
    assert shapely.box(*bounds).buffer(1e-7).contains(area)
    courtyard = body["collections"][2]
    (small,) = courtyard["extent"]["spatial"]["bbox"]
    assert shapely.box(*bounds).contains(shapely.box(*small))


def test_a_layer_without_areas_has_no_extent(make_database: MakeDatabase) -> None:
    url = make_database()
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        found(session, {("district", "D"): box(0, 0, 100, 100)})
    engine.dispose()
    settings = Settings(database_url=SecretStr(url), api_keys_required=False)
    with TestClient(create_app(settings)) as client:
        street = hold(client.get("/ogc/collections/street").json(), "collection")
        assert "extent" not in street
        page = read(client, "street")
        assert (page["numberMatched"], page["features"]) == (0, [])


def test_its_own_document_is_openapi_3_0(client: TestClient) -> None:
    response = client.get("/ogc/api")
    assert response.headers["content-type"] == "application/vnd.oai.openapi+json;version=3.0"
    document = response.json()
    Draft4Validator(OPENAPI_3_0).validate(document)
    assert document["servers"] == [{"url": "http://testserver/ogc"}]
    operations = [
        operation["operationId"]
        for methods in document["paths"].values()
        for operation in methods.values()
    ]
    assert len(operations) == len(set(operations))

    def resolve(node: object) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                found: Any = document
                for part in node["$ref"].removeprefix("#/").split("/"):
                    found = found[part]
            for value in node.values():
                resolve(value)
        elif isinstance(node, list):
            for value in node:
                resolve(value)

    resolve(document)


def test_its_own_document_agrees_with_the_code(client: TestClient) -> None:
    document = client.get("/ogc/api").json()
    whole = client.get("/openapi.json").json()
    shared = document["components"]["parameters"]
    for end, theirs in (("items", "items"), ("items/{featureId}", "items/{code}")):
        ours = whole["paths"][f"/ogc/collections/{{layer}}/{theirs}"]["get"]["parameters"]
        for layer in ("district", "street", "courtyard", "shop_front"):
            operation = document["paths"][f"/collections/{layer}/{end}"]["get"]
            names = {ref["$ref"].rpartition("/")[2] for ref in operation["parameters"]}
            assert {name for name in names if shared[name]["in"] == "query"} == {
                it["name"] for it in ours if it["in"] == "query"
            }
    limit = next(
        it["schema"]
        for it in whole["paths"]["/ogc/collections/{layer}/items"]["get"]["parameters"]
        if it["name"] == "limit"
    )
    for bound in ("minimum", "maximum", "default"):
        assert shared["limit"]["schema"][bound] == limit[bound]
    # What QGIS asks of a parameter before it lets the server filter.
    for name in ("code", "name"):
        assert {"in": "query", "style": "form", "explode": False}.items() <= shared[name].items()
        assert shared[name]["schema"]["type"] == "string"
    assert (
        client.get("/ogc/collections").json()["collections"][0]["crs"]
        == (shared["crs"]["schema"]["enum"])
    )


# Features


def test_features_are_the_areas(client: TestClient, city_engine: Engine) -> None:
    body = read(client, "street")
    ogc.FeatureCollection.model_validate(body)
    assert (body["revision"], body["numberMatched"]) == (1, 2)
    assert codes(body) == ["S1", "S2"]
    assert body["features"][0]["properties"] == {
        "code": "S1",
        "name": "甲街道",
        "valid_from": "2026-01-01T08:00:00+08:00",
        "valid_to": None,
    }
    for feature in body["features"]:
        told = shape(feature["geometry"])
        true = convert_geometries(
            stored(city_engine, "street", feature["id"]), source=STORAGE, target="EPSG:4326"
        )
        assert told.geom_type == "MultiPolygon"
        assert shapely.hausdorff_distance(told, true) < 1e-7


@pytest.mark.parametrize(
    ("crs", "source", "within"),
    [
        (CRS84, "EPSG:4326", 1e-7),
        (LAT_LON, "EPSG:4326", 1e-7),
        (STORED, STORAGE, 0.0),
        (MERCATOR, "EPSG:3857", 1e-3),
    ],
)
def test_axes_stand_as_the_system_orders_them(
    client: TestClient, city_engine: Engine, crs: str, source: str, within: float
) -> None:
    page = read(client, "courtyard", crs=crs)
    one = client.get("/ogc/collections/courtyard/items/C%2F1", params={"crs": crs})
    assert one.headers["content-crs"] == f"<{crs}>"
    (feature,) = page["features"]
    assert feature["geometry"] == one.json()["geometry"]
    told = shape(feature["geometry"])
    if crs in NORTH_FIRST:
        told = shapely.transform(told, lambda xy: xy[:, ::-1])
    true = stored(city_engine, "courtyard", "C/1")
    if source != STORAGE:
        true = convert_geometries(true, source=STORAGE, target=source)
    assert shapely.hausdorff_distance(told, true) <= within


def test_one_area_by_its_code(client: TestClient) -> None:
    (feature,) = read(client, "courtyard")["features"]
    response = client.get("/ogc/collections/courtyard/items/C%2F1")
    one = hold(response.json(), "feature")
    ogc.Feature.model_validate(one)
    assert one["id"] == "C/1"
    assert one["revision"] == 1
    assert {name: one[name] for name in feature} == feature
    assert client.get("/ogc/collections/courtyard/items/C/1").json()["id"] == "C/1"
    assert href(one, "self") == "/ogc/collections/courtyard/items/C%2F1"
    assert client.get(href(one, "self") or "").json()["id"] == "C/1"
    assert href(one, "collection") == "/ogc/collections/courtyard"


def test_properties_filter(client: TestClient) -> None:
    assert codes(read(client, "street", name="乙街道")) == ["S2"]
    assert codes(read(client, "street", code="S1")) == ["S1"]
    assert codes(read(client, "courtyard", code="C/1")) == ["C/1"]
    assert codes(read(client, "street", code="S1", name="乙街道")) == []
    assert codes(read(client, "street", code="s1")) == []
    assert codes(read(client, "street", name="' OR 1=1 --")) == []


# Boxes


def around(lon: float, lat: float, *, by: float = 1e-5) -> str:
    return f"{lon - by},{lat - by},{lon + by},{lat + by}"


def test_a_box_gives_what_touches_it(client: TestClient) -> None:
    assert codes(read(client, "street", bbox=around(**YARD))) == ["S1"]
    assert codes(read(client, "street", bbox=around(**OPEN_STREET))) == ["S2"]
    assert codes(read(client, "courtyard", bbox=around(**YARD))) == ["C/1"]
    assert codes(read(client, "courtyard", bbox=around(**OPEN_STREET))) == []
    assert codes(read(client, "street", bbox="-180,-90,180,90")) == ["S1", "S2"]
    assert read(client, "street", bbox=around(**YARD))["numberMatched"] == 1


@pytest.mark.parametrize(
    "bbox",
    [
        pytest.param("-72,42,-71,43", id="another continent"),
        pytest.param("116.6,39.9,116.7,40", id="beside the city"),
        pytest.param("-180,-90,-180,-90", id="the ends of the axes"),
        pytest.param("170,-10,-170,10", id="over the 180th meridian"),
    ],
)
def test_a_box_across_nothing_is_empty(client: TestClient, bbox: str) -> None:
    body = read(client, "district", bbox=bbox)
    assert (body["features"], body["numberMatched"]) == ([], 0)
    assert href(body, "next") is None


def test_a_box_over_the_180th_meridian_goes_the_long_way(client: TestClient) -> None:
    assert codes(read(client, "street", bbox="10,-80,-10,80")) == ["S1", "S2"]
    assert codes(read(client, "street", bbox="117,-80,116.4,80")) == []


def test_a_box_of_no_width_is_a_point(client: TestClient) -> None:
    lon, lat = YARD["lon"], YARD["lat"]
    assert codes(read(client, "street", bbox=f"{lon},{lat},{lon},{lat}")) == ["S1"]


def test_heights_of_a_box_are_passed_over(client: TestClient) -> None:
    west, south, east, north = around(**YARD).split(",")
    bbox = f"{west},{south},-100,{east},{north},9000"
    assert codes(read(client, "street", bbox=bbox)) == ["S1"]


@pytest.mark.parametrize(("place", "street"), [(YARD, "S1"), (OPEN_STREET, "S2")])
@pytest.mark.parametrize("crs", [CRS84, LAT_LON, STORED, MERCATOR])
def test_a_box_in_any_of_the_systems(
    client: TestClient, crs: str, place: dict[str, float], street: str
) -> None:
    lonlat = shapely.Point(place["lon"], place["lat"])
    to = {STORED: STORAGE, MERCATOR: "EPSG:3857"}.get(crs, "EPSG:4326")
    point = convert_geometries(lonlat, source="EPSG:4326", target=to)
    by = 1e-5 if to == "EPSG:4326" else 1.0
    x, y = point.x, point.y
    if crs in NORTH_FIRST:
        x, y = y, x
    bbox = f"{x - by},{y - by},{x + by},{y + by}"
    assert codes(read(client, "street", bbox=bbox, bbox_crs=crs)) == [street]
    # The other order is somewhere else, or no place at all.
    response = client.get(
        "/ogc/collections/street/items",
        params={"bbox": f"{y - by},{x - by},{y + by},{x + by}", "bbox-crs": crs},
    )
    assert response.status_code == 400 or response.json()["features"] == []


# What is refused


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": -1}, "limit"),
        ({"limit": "all"}, "limit"),
        ({"limit": 1.5}, "limit"),
        ({"limit": "9" * 5000}, "limit"),
        ({"bbox": "1,2,3"}, "bbox"),
        ({"bbox": "1,2,3,4,5"}, "bbox"),
        ({"bbox": ""}, "bbox"),
        ({"bbox": "a,b,c,d"}, "bbox"),
        ({"bbox": "1,2,nan,4"}, "bbox"),
        ({"bbox": "1,2,inf,4"}, "bbox"),
        ({"bbox": "1,4,3,2"}, "bbox"),
        ({"bbox": "39.9,116.4,40,116.5"}, "bbox"),
        ({"bbox": "116.4,39.9,116.5,40", "bbox-crs": LAT_LON}, "bbox"),
        ({"bbox": "2,1,1,2", "bbox-crs": MERCATOR}, "bbox"),
        ({"bbox": "0,0,1e300,1e300", "bbox-crs": STORED}, "bbox"),
        ({"bbox": "1,2,3,4", "bbox-crs": "EPSG:4326"}, "bbox-crs"),
        ({"bbox-crs": "nonsense"}, "bbox-crs"),
        ({"crs": "http://www.opengis.net/def/crs/EPSG/0/3826"}, "crs"),
        ({"crs": ""}, "crs"),
        ({"crs": "街道\r\nX: y", "datetime": "2020-01-01T00:00:00Z"}, "crs"),
        ({"bbox": "1,2,3", "datetime": "2020-01-01T00:00:00Z"}, "bbox"),
        ({"crs": CRS84.lower()}, "crs"),
        ({"datetime": "yesterday"}, "datetime"),
        ({"datetime": "2026-11-22T08:00:00"}, "datetime"),
        ({"datetime": "2026-11-22"}, "datetime"),
        ({"datetime": "2026-11-22T08:00:00Z/2026-11-21T08:00:00Z"}, "datetime"),
        ({"datetime": "../..", "cursor": "W10"}, "cursor"),
        ({"cursor": ""}, "cursor"),
        ({"cursor": "täglich"}, "cursor"),
        ({"cursor": "WzEsMl0"}, "cursor"),
        ({"code": ""}, "code"),
        ({"code": "\x00"}, "code"),
        ({"name": "x" * 201}, "name"),
        ({"offset": 10}, "offset"),
        ({"at": "2026-11-22T08:00:00Z"}, "at"),
        ({"filter": "code='S1'"}, "filter"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_refused(
    client: TestClient, params: dict[str, Any], field: str
) -> None:
    response = client.get("/ogc/collections/street/items", params=params)
    body = assert_problem(response, 400, "invalid-input")
    assert [error["loc"] for error in body["errors"]] == [["query", field]]


def test_a_refused_system_names_those_that_are_taken(client: TestClient) -> None:
    response = client.get("/ogc/collections/street/items", params={"crs": "EPSG:4547"})
    assert STORED in assert_problem(response, 400, "invalid-input")["detail"]


@pytest.mark.parametrize(
    "path", ["", "/conformance", "/api", "/collections", "/collections/street"]
)
def test_parameters_that_nobody_knows_are_refused_everywhere(client: TestClient, path: str) -> None:
    assert_problem(client.get(f"/ogc{path}", params={"f": "html"}), 400, "invalid-input")


def test_an_unknown_layer_is_not_found(client: TestClient) -> None:
    for path in ("", "/items", "/items/S1"):
        body = assert_problem(client.get(f"/ogc/collections/road{path}"), 404, "unknown-layer")
        assert "street" in body["detail"]
        assert "errors" not in body


def test_an_unknown_area_is_not_found(client: TestClient) -> None:
    for code in ("S3", "C%2F1", "%00", "S1/"):
        response = client.get(f"/ogc/collections/street/items/{code}")
        assert response.status_code == (400 if code == "%00" else 404), code
    assert_problem(client.get("/ogc/collections/street/items/S3"), 404, "unknown-area")


def test_one_area_is_not_told_of_a_period(client: TestClient) -> None:
    response = client.get("/ogc/collections/street/items/S1", params={"datetime": "../.."})
    body = assert_problem(response, 400, "invalid-input")
    assert body["errors"][0]["loc"] == ["query", "datetime"]


def test_more_than_may_be_asked_for_is_the_most_there_may_be(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert codes(read(client, "street", limit=10**9)) == ["S1", "S2"]
    monkeypatch.setattr(ogc, "MAX_LIMIT", 1)
    assert codes(read(client, "street", limit=2)) == ["S1"]


def test_nothing_can_be_written(client: TestClient) -> None:
    for path in ("street/items", "street/items/S1", "courtyard/items/C%2F1"):
        answer = client.options(f"/ogc/collections/{path}")
        assert (answer.status_code, answer.headers["allow"]) == (204, "GET, OPTIONS")
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            response = client.request(method, f"/ogc/collections/{path}", json={})
            assert_problem(response, 405, "method-not-allowed")


# Keys


def test_a_key_may_come_as_a_password(
    guarded: TestClient, key_of: dict[str, dict[str, str]]
) -> None:
    key = key_of["dispatch"]["Authorization"].removeprefix("Bearer ")
    path = "/ogc/collections/street/items"
    assert_problem(guarded.get(path), 401, "key-refused")
    assert guarded.get(path, headers=key_of["dispatch"]).status_code == 200
    for user in ("viewer", ""):
        assert guarded.get(path, auth=(user, key)).status_code == 200
    for wrong in (("viewer", "gs_wrong"), (key, ""), ("viewer", "")):
        assert_problem(guarded.get(path, auth=wrong), 401, "key-refused")
    for header in ("Basic", "Basic ", "Basic %%%", "Basic /////w==", "Digest x", "Basic YQ=="):
        refused = guarded.get(path, headers={"Authorization": header})
        assert_problem(refused, 401, "key-refused")
        # A browser that is asked for a password puts up its own form.
        assert refused.headers["www-authenticate"].startswith("Bearer")


def test_a_key_for_people_alone_reads_no_areas(
    guarded: TestClient, key_of: dict[str, dict[str, str]]
) -> None:
    response = guarded.get("/ogc/collections", headers=key_of["readers"])
    assert_problem(response, 403, "scope-missing")


def test_what_is_kept_must_be_asked_about(client: TestClient) -> None:
    for path in ("", "/api", "/collections", "/collections/street/items"):
        assert "no-cache" in client.get(f"/ogc{path}").headers["cache-control"]


# Pages and time


def lay_row(make_database: MakeDatabase) -> str:
    """Lay many cells in a row, in a database of their own."""
    url = make_database()
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        found(
            session,
            {
                ("courtyard", f"{cell:02}"): box(cell * 10, 0, cell * 10 + 10, 10)
                for cell in range(CELLS)
            },
            scheme=make_scheme(),
        )
    engine.dispose()
    return url


@pytest.fixture(scope="module")
def still_row(make_database: MakeDatabase) -> Iterator[TestClient]:
    """The row, for tests that only read."""
    url = lay_row(make_database)
    with TestClient(
        create_app(Settings(database_url=SecretStr(url), api_keys_required=False))
    ) as it:
        yield it


@pytest.fixture
def row_url(make_database: MakeDatabase) -> str:
    """The row, for a test to publish to."""
    return lay_row(make_database)


@pytest.fixture
def row(row_url: str) -> Iterator[TestClient]:
    settings = Settings(database_url=SecretStr(row_url), api_keys_required=False)
    with TestClient(create_app(settings)) as client:
        yield client


def change(session: Session) -> int:
    """Publish that from now on some cells are no more, one is drawn anew and two are new."""
    now = datetime.now(UTC)
    change_set = new_change_set(session, "rebuilt")
    for code in ("00", "05", "11", "22"):
        propose_area(
            session, change_set, "courtyard", code, None, replaces=live_area(session, code)
        )
    for code, drawn in (
        ("12", box(120, 0, 125, 5)),
        ("03b", box(30, 20, 40, 30)),
        ("99", box(990, 0, 999, 10)),
    ):
        old = live_area(session, code) if code == "12" else None
        propose_area(session, change_set, "courtyard", code, drawn, valid_from=now, replaces=old)
    return publish(session, change_set).revision


ALL_CELLS = [f"{cell:02}" for cell in range(CELLS)]


@pytest.mark.parametrize("limit", [1, 7, CELLS - 1, CELLS, CELLS + 1])
@pytest.mark.parametrize("bbox", [None, "116.4,39.8,116.6,40"])
def test_next_links_lead_through_all_features_once(
    still_row: TestClient, limit: int, bbox: str | None
) -> None:
    seen: list[str] = []
    url: str | None = f"/ogc/collections/courtyard/items?limit={limit}"
    if bbox:
        url += f"&bbox={bbox}"
    while url:
        body = hold(still_row.get(url).json(), "features")
        assert 1 <= len(body["features"]) <= limit
        assert body["numberMatched"] == CELLS
        seen += codes(body)
        url = href(body, "next")
    assert seen == ALL_CELLS


@pytest.mark.parametrize(("publish_before_page", "bbox"), [(1, None), (3, "116.4,39.8,116.6,40")])
def test_pages_are_of_one_revision_whatever_is_published_meanwhile(
    row: TestClient, row_url: str, publish_before_page: int, bbox: str | None
) -> None:
    before = {f["id"]: f for f in read(row, "courtyard", limit=100)["features"]}
    seen: dict[str, Any] = {}
    page, url = 0, "/ogc/collections/courtyard/items?limit=7" + (f"&bbox={bbox}" if bbox else "")
    next_url: str | None = url
    engine = create_engine(row_url)
    while next_url:
        if page == publish_before_page:
            with Session(engine) as session, session.begin():
                assert change(session) == 2
        body = row.get(next_url).json()
        assert (body["revision"], body["numberMatched"]) == (1, CELLS)
        assert not seen.keys() & set(codes(body))
        seen |= {feature["id"]: feature for feature in body["features"]}
        next_url, page = href(body, "next"), page + 1
    assert seen == before
    after = row.get(url).json()
    assert (after["revision"], after["numberMatched"]) == (2, CELLS - 2)
    assert "03b" in codes(after)
    engine.dispose()


def test_a_publication_that_shows_late_changes_no_listing(row: TestClient, row_url: str) -> None:
    # Its own time is before the listing's, for it was numbered before it was committed.
    engine = create_engine(row_url)
    with Session(engine) as session:
        change(session)
        first = read(row, "courtyard", limit=20)
        assert first["revision"] == 1
        session.commit()
    engine.dispose()
    rest = row.get(href(first, "next") or "").json()
    assert rest["revision"] == 1
    assert codes(first) + codes(rest) == ALL_CELLS


def test_a_cursor_of_no_revision_is_refused(still_row: TestClient) -> None:
    made_up = ogc._Cursor(7, datetime.now(UTC), None, "03").write()
    response = still_row.get("/ogc/collections/courtyard/items", params={"cursor": made_up})
    assert_problem(response, 400, "invalid-input")


def test_many_in_a_box_are_not_counted(
    still_row: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewers, "COUNTED_IN_A_BOX", 10)
    asked = {"bbox": "116.4,39.8,116.6,40", "limit": 5}
    assert "numberMatched" not in read(still_row, "courtyard", **asked)
    assert read(still_row, "courtyard", limit=5)["numberMatched"] == CELLS
    # All on one page are counted anyway.
    assert read(still_row, "courtyard", **asked | {"limit": 50})["numberMatched"] == CELLS


def test_as_of_an_instant(row: TestClient, row_url: str) -> None:
    before = datetime.now(UTC)
    engine = create_engine(row_url)
    with Session(engine) as session, session.begin():
        change(session)
    engine.dispose()
    now = read(row, "courtyard", limit=100)
    assert (now["revision"], len(now["features"])) == (2, CELLS - 2)
    then = read(row, "courtyard", limit=100, datetime=before.isoformat())
    assert (then["revision"], codes(then)) == (1, ALL_CELLS)
    assert datetime.fromisoformat(then["at"]) == before
    in_shanghai = (before + timedelta(hours=8)).replace(tzinfo=None).isoformat() + "+08:00"
    assert codes(read(row, "courtyard", limit=100, datetime=in_shanghai)) == ALL_CELLS
    gone = "/ogc/collections/courtyard/items/05"
    assert_problem(row.get(gone), 404, "unknown-area")
    assert row.get(gone, params={"datetime": before.isoformat()}).json()["revision"] == 1
    old = row.get("/ogc/collections/courtyard/items/12", params={"datetime": before.isoformat()})
    new = row.get("/ogc/collections/courtyard/items/12")
    assert shape(old.json()["geometry"]).area > 3 * shape(new.json()["geometry"]).area


def test_a_time_that_is_added_to_every_address(row: TestClient, row_url: str) -> None:
    # As QGIS does with what stands behind the ? of a connection's address.
    before = {"datetime": datetime.now(UTC).isoformat()}
    engine = create_engine(row_url)
    with Session(engine) as session, session.begin():
        change(session)
    engine.dispose()
    landing = row.get("/ogc", params=before).json()
    collections = row.get(href(landing, "data") or "").json()
    assert collections["revision"] == 1
    yards = next(it for it in collections["collections"] if it["id"] == "courtyard")
    alone = row.get(href(yards, "self") or "").json()
    assert alone == yards
    # A new cell lies far to the east.
    assert yards["extent"]["spatial"]["bbox"][0][2] < 116.47
    now = row.get("/ogc/collections/courtyard").json()
    assert (now["revision"], now["extent"]["spatial"]["bbox"][0][2] > 116.46) == (2, True)
    assert codes(row.get(href(yards, "items") or "").json()) == ALL_CELLS
    for rel in ("service-desc", "conformance"):
        assert row.get(href(landing, rel) or "").status_code == 200
    early = {"datetime": "2020-01-01T00:00:00Z"}
    assert row.get("/ogc/collections", params=early).json()["revision"] == 2
    assert_problem(row.get("/ogc", params={"datetime": "then"}), 400, "invalid-input")


def test_before_the_first_revision_nothing_was(still_row: TestClient) -> None:
    body = read(still_row, "courtyard", datetime="2020-01-01T00:00:00Z")
    assert (body["revision"], body["features"], body["numberMatched"]) == (None, [], 0)


def test_a_period_gives_what_held_in_it_as_it_last_was(make_database: MakeDatabase) -> None:
    url = make_database()
    engine = create_engine(url)
    march, june = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
    with Session(engine) as session, session.begin():
        found(session, {("district", "D"): box(0, 0, 500, 500)})
        change_set = new_change_set(session, "dated")
        yards = [
            ("early", FOUNDED_AT, march, box(0, 0, 10, 10)),
            ("late", june, None, box(20, 0, 30, 10)),
            ("moved", FOUNDED_AT, march, box(40, 0, 50, 10)),
            ("moved", march, None, box(60, 0, 70, 10)),
        ]
        for code, since, until, drawn in yards:
            propose_area(
                session, change_set, "courtyard", code, drawn, valid_from=since, valid_to=until
            )
        publish(session, change_set)
    engine.dispose()
    settings = Settings(database_url=SecretStr(url), api_keys_required=False)
    with TestClient(create_app(settings)) as client:

        def told(period: str) -> list[str]:
            page = read(client, "courtyard", datetime=period)
            assert page["numberMatched"] == len(page["features"])
            return [
                f"{it['id']} {'always' if it['properties']['valid_to'] is None else 'ended'}"
                for it in page["features"]
            ]

        february, april = "2026-02-01T00:00:00Z", "2026-04-01T00:00:00Z"
        assert told("../..") == ["early ended", "late always", "moved always"]
        assert told(f"{april}/..") == ["late always", "moved always"]
        assert told(f"{february}/{april}") == ["early ended", "moved always"]
        assert told(f"../{february}") == ["early ended", "moved ended"]
        assert told(f"/{february}") == ["early ended", "moved ended"]
        # How QGIS writes an open end.
        assert told(f"0000-01-01T00:00:00Z/{february}") == ["early ended", "moved ended"]
        assert told(f"{april}/9999-12-31T00:00:00Z") == ["late always", "moved always"]
        # Ends are exclusive, begins are not.
        assert told(f"{march.isoformat()}/{april}") == ["moved always"]
        assert told(f"{february}/{june.isoformat()}") == [
            "early ended",
            "late always",
            "moved always",
        ]
