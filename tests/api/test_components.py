"""Components on the map, and in answers: GeoJSON by page, owners read under the log."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.orm import Session

from gridsvc.api.app import create_app
from gridsvc.api.components import Components
from gridsvc.api.responsible import Answer
from gridsvc.db import create_engine
from gridsvc.grids.keys import create_key
from gridsvc.grids.scheme_store import load_scheme
from gridsvc.settings import Settings
from tests import small_city
from tests.db_fixtures import MakeDatabase
from tests.factories import make_scheme, register

RULES = """
[[tier]]
code = "ownership_unclear"
title = { zh = "权属不清" }
duty = "management"
layer = "street"

[[component]]
within_m = 15
apart_m = 3
"""
PLACES = {"A": (500, 500), "B": (502, 500), "L": (600, 500)}


@pytest.fixture(scope="module")
def url(make_database: MakeDatabase) -> str:
    """The small city with two covers of two persons side by side, and a lamp."""
    made = make_database()
    engine = create_engine(made)
    with Session(engine) as session, session.begin():
        small_city.found(session)
        load_scheme(session, make_scheme(extra=RULES))
        owners = {"A": "P1", "B": "P2", "L": "B1"}
        register(
            session,
            *(
                {
                    "code": code,
                    "owner": owners[code],
                    "east_m": east,
                    "north_m": north,
                    "category": "C0201" if code == "L" else "C0101",
                }
                for code, (east, north) in PLACES.items()
            ),
        )
    engine.dispose()
    return made


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[TestClient]:
    settings = Settings(database_url=SecretStr(url), api_keys_required=False)
    with TestClient(create_app(settings)) as client:
        yield client


def codes(client: TestClient, **asked: object) -> list[str]:
    response = client.get("/v1/components", params=asked)  # type: ignore[arg-type]
    assert response.status_code == 200, response.text
    return [feature["id"] for feature in response.json()["features"]]


def test_components_are_geojson(client: TestClient) -> None:
    response = client.get("/v1/components")
    assert response.headers["content-type"] == "application/geo+json"
    told = Components.model_validate_json(response.content)
    first = told.features[0]
    assert (first.properties.category, first.properties.owner) == ("C0101", "P1")
    place = small_city.place(east_m=500, north_m=500)
    assert first.geometry.coordinates == pytest.approx((place["lon"], place["lat"]), abs=1e-7)


def test_they_are_narrowed_by_category_box_and_time(client: TestClient) -> None:
    assert codes(client) == ["A", "B", "L"]
    assert codes(client, category="C01") == ["A", "B"]
    south_west = small_city.place(east_m=501, north_m=480)
    north_east = small_city.place(east_m=601, north_m=520)
    sides = (south_west["lon"], south_west["lat"], north_east["lon"], north_east["lat"])
    assert codes(client, bbox=",".join(map(str, sides))) == ["B", "L"]
    assert codes(client, bbox="0,0,1,1") == []
    # Nobody knew of them then.
    assert codes(client, at="2026-01-02T00:00:00Z") == []


def test_pages_are_linked(client: TestClient) -> None:
    told = client.get("/v1/components", params={"limit": 2}).json()
    assert [feature["id"] for feature in told["features"]] == ["A", "B"]
    (link,) = told["links"]
    rest = client.get(f"/v1/{link['href'].rpartition('/')[2]}").json()
    assert ([feature["id"] for feature in rest["features"]], rest["links"]) == (["L"], [])


def test_owners_read_in_full_are_logged(url: str) -> None:
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        token, _ = create_key(session, name="people", scopes=["locate", "people:read"])
    with TestClient(create_app(Settings(database_url=SecretStr(url)))) as client:
        told = client.get(
            "/v1/responsible",
            params=small_city.place(east_m=501, north_m=500) | {"category": "C0101"},
            headers={"Authorization": f"Bearer {token}"},
        )
    answer = Answer.model_validate_json(told.content)
    assert [near.owner.name for near in answer.candidates] == ["张小明", "李大力"]
    with engine.connect() as connection:
        logged = connection.scalar(
            text("SELECT party_codes FROM gridsvc.read_log ORDER BY id DESC LIMIT 1")
        )
    engine.dispose()
    assert {"P1", "P2"} <= set(logged)
