"""One point and many: the answers are right, and are what the document promises."""

from datetime import datetime

import pytest
from fastapi.testclient import TestClient

from gridsvc.api.problems import Problem
from gridsvc.api.responsible import MAX_POINTS, Answer, Answers
from gridsvc.crs import from_wgs84
from tests.small_city import OPEN_STREET, OUTSIDE, SHOPS, YARD


@pytest.mark.parametrize("where", [YARD, SHOPS, OPEN_STREET])
@pytest.mark.parametrize("more", [{}, {"accuracy_m": 30}, {"category": "0102", "accuracy_m": 120}])
def test_answers_are_what_the_document_promises(
    client: TestClient, where: dict[str, float | str], more: dict[str, float | str]
) -> None:
    response = client.get("/v1/responsible", params=where | more)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    told = Answer.model_validate_json(response.content)
    assert told.model_dump(exclude_unset=True, mode="json").keys() == response.json().keys()


def test_the_yard_has_its_chief_and_every_layer(client: TestClient) -> None:
    told = client.get("/v1/responsible", params=YARD).json()
    assert told["responsible"]["party"]["code"] == "P1"
    assert {layer: area["code"] for layer, area in told["areas"].items()} == {
        "district": "D1",
        "street": "S1",
        "courtyard": "C/1",
    }
    assert list(told["areas"]) == ["district", "street", "courtyard"]  # the scheme's order
    assert told["vacant"] == ["supervisor"]
    assert told["edge"]["distance_m"] == pytest.approx(100, abs=0.01)


def test_overlapping_shop_fronts_are_both_named(client: TestClient) -> None:
    told = client.get("/v1/responsible", params=SHOPS).json()
    assert told["areas"]["shop_front"] == {
        "code": "A",
        "name": "甲店",
        "also": [{"code": "B", "name": "乙店"}],
    }


def test_a_category_finds_its_specialist(client: TestClient) -> None:
    plain = client.get("/v1/responsible", params=SHOPS).json()
    litter = client.get("/v1/responsible", params=SHOPS | {"category": "0102"}).json()
    assert plain["responsible"]["party"]["code"] == "B1"
    assert litter["responsible"]["party"]["code"] == "P2"


def test_a_shifted_datum_is_converted_and_kept(client: TestClient) -> None:
    x, y = from_wgs84(YARD["lon"], YARD["lat"], crs="gcj02")
    told = client.get("/v1/responsible", params={"lon": x, "lat": y, "crs": "GCJ-02"}).json()
    assert told["responsible"]["party"]["code"] == "P1"
    assert told["input"] == {"x": x, "y": y, "crs": "gcj02", "accuracy_m": None}
    assert told["point"]["lon"] == pytest.approx(YARD["lon"], abs=1e-7)


def test_a_time_in_a_url_may_carry_a_bare_plus(client: TestClient) -> None:
    monday = "2026-11-23T10:00:00+08:00"
    point = f"lon={YARD['lon']}&lat={YARD['lat']}"
    told = client.get(f"/v1/responsible?{point}&at={monday}").json()
    assert datetime.fromisoformat(told["at"]) == datetime.fromisoformat(monday)
    assert told["enforcement"]["assistant"]["party"]["code"] == "P3"
    night = client.get("/v1/responsible", params=YARD | {"at": "2026-11-23T23:00:00+08:00"})
    assert night.json()["enforcement"]["assistant"] is None


def test_a_batch_keeps_order_and_tells_each_fault_in_its_place(client: TestClient) -> None:
    points = [
        YARD | {"id": "a"},
        OUTSIDE | {"id": "b"},
        SHOPS | {"id": None},
        {"lon": YARD["lat"], "lat": YARD["lon"], "id": "d"},
        YARD | {"category": "nothing", "id": "e"},
    ]
    response = client.post("/v1/responsible", json={"points": points})
    assert response.status_code == 200
    Answers.model_validate_json(response.content)
    body = response.json()
    assert body["revision"] == 1
    assert [told["id"] for told in body["answers"]] == ["a", "b", None, "d", "e"]
    assert body["answers"][0]["responsible"]["party"]["code"] == "P1"
    faults = {
        told["id"]: Problem.model_validate(told["error"], extra="forbid")
        for told in body["answers"]
        if "error" in told
    }
    assert {key: fault.type.rpartition(":")[2] for key, fault in faults.items()} == {
        "b": "outside-service-area",
        "d": "swapped-coordinates",
        "e": "unknown-category",
    }
    assert faults["b"].nearest is not None
    assert faults["e"].errors is not None
    assert faults["e"].errors[0].loc == ["body", "points", 4, "category"]


def test_a_batch_may_be_empty_and_holds_ten_thousand(client: TestClient) -> None:
    assert client.post("/v1/responsible", json={"points": []}).json()["answers"] == []
    assert MAX_POINTS == 10_000
