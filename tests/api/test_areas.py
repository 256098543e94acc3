"""Layers and areas: GeoJSON that maps can draw, by page, by box and as of a time."""

from datetime import UTC, datetime
from typing import Any

import pytest
import shapely
from fastapi.testclient import TestClient
from shapely.geometry import shape
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from gridsvc.api.areas import Area, Areas, Layers
from gridsvc.errors import BeforeFirstRevision, NothingPublished
from gridsvc.grids.areas import list_areas, moment, read_area
from gridsvc.grids.models import Area as AreaVersion
from gridsvc.grids.models import Revision
from tests import small_city
from tests.small_city import AREAS, FOUNDED_AT, OPEN_STREET, YARD


def box_round(lon: float, lat: float) -> str:
    return f"{lon - 1e-5},{lat - 1e-5},{lon + 1e-5},{lat + 1e-5}"


def ids(body: dict[str, Any]) -> list[str]:
    return [feature["id"] for feature in body["features"]]


ALL = sorted(f"{layer}/{code}" for layer, code, _, _ in AREAS)


def test_layers_stand_in_the_order_of_the_scheme(client: TestClient) -> None:
    response = client.get("/v1/layers")
    told = Layers.model_validate_json(response.content)
    assert [layer.code for layer in told.layers] == [
        "district",
        "street",
        "courtyard",
        "shop_front",
    ]
    assert told.layers[1].model_dump() == {
        "code": "street",
        "title": {"zh": "街道", "en": "Street"},
        "kind": "tiling",
        "parent": "district",
    }


def test_areas_are_geojson_in_longitude_and_latitude(client: TestClient) -> None:
    response = client.get("/v1/areas")
    assert response.headers["content-type"] == "application/geo+json"
    Areas.model_validate_json(response.content)
    body = response.json()
    assert sorted(ids(body)) == ALL
    assert body["links"] == []
    yard = next(it for it in body["features"] if it["id"] == "courtyard/C/1")
    assert shape(yard["geometry"]).contains(shapely.Point(YARD["lon"], YARD["lat"]))
    assert all(
        len(repr(number).partition(".")[2]) <= 7
        for number in shapely.get_coordinates(shape(yard["geometry"])).ravel().tolist()
    )


@pytest.mark.parametrize("limit", [1, 2, 5, 6])
def test_next_links_lead_through_all_areas_once(client: TestClient, limit: int) -> None:
    seen, moments, url = [], set(), f"/v1/areas?limit={limit}&bbox=116.4,39.8,116.6,40"
    while url:
        body = client.get(url).json()
        assert len(body["features"]) <= limit
        seen += ids(body)
        moments.add(body["at"])
        url = next((link["href"] for link in body["links"] if link["rel"] == "next"), "")
    assert sorted(seen) == ALL
    assert len(seen) == len(set(seen))
    assert len(moments) == 1


def test_a_box_gives_what_touches_it(client: TestClient) -> None:
    def within(bbox: str, **more: str) -> list[str]:
        return ids(client.get("/v1/areas", params={"bbox": bbox} | more).json())

    assert within(box_round(**YARD)) == ["courtyard/C/1", "district/D1", "street/S1"]
    assert within(box_round(**OPEN_STREET)) == ["district/D1", "street/S2"]
    assert within(box_round(**YARD), layer="street") == ["street/S1"]
    assert sorted(within("-180,-90,180,90")) == ALL
    assert within("-72,42,-71,43") == []


def test_one_area_by_its_code(client: TestClient) -> None:
    response = client.get("/v1/areas/courtyard/C/1")
    told = Area.model_validate_json(response.content)
    assert (told.properties.code, told.properties.name, told.revision) == ("C/1", None, 1)
    assert response.headers["content-type"] == "application/geo+json"


def test_as_of_gives_what_the_service_would_have_said_then(session: Session) -> None:
    with pytest.raises(NothingPublished):
        moment(session)
    small_city.found(session)
    with pytest.raises(BeforeFirstRevision):
        moment(session, datetime(2025, 1, 1, tzinfo=UTC))
    before = moment(session, FOUNDED_AT)
    # A second revision, laid by hand: from June on the yard is gone.
    first = session.get_one(Revision, 1)
    june = datetime(2026, 6, 1, tzinfo=UTC)
    session.add(Revision(number=2, published_at=june, effective_at=june, scheme_id=first.scheme_id))
    session.flush()
    session.execute(update(AreaVersion).where(AreaVersion.code == "C/1").values(rev_to=2))
    now = moment(session)
    assert (now.revision, now.newest) == (2, True)
    assert len(list_areas(session, now=now, limit=100).rows) == len(AREAS) - 1
    then = moment(session, datetime(2026, 3, 1, tzinfo=UTC))
    assert (then.revision, then.newest, before.revision) == (1, False, 1)
    assert len(list_areas(session, now=then, limit=100).rows) == len(AREAS)
    assert read_area(session, now=then, layer="courtyard", code="C/1").valid_from == FOUNDED_AT


def test_a_begin_before_all_calendars_reads_as_always(session: Session) -> None:
    small_city.found(session)
    session.execute(
        update(AreaVersion)
        .where(AreaVersion.code == "S1")
        .values(valid_from=datetime(1, 1, 1, tzinfo=UTC))
    )
    assert session.scalar(select(AreaVersion.valid_from).where(AreaVersion.code == "S1"))
    found = read_area(session, now=moment(session), layer="street", code="S1")
    assert found.valid_from is None
