"""Bad input is told by its field's name, with the right status; a test for each kind."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from gridsvc.api.fields import MAX_LIMIT
from gridsvc.api.requests import MAX_BODY_BYTES
from tests.api.shapes import assert_problem
from tests.small_city import OUTSIDE, YARD

SWAPPED = {"lon": YARD["lat"], "lat": YARD["lon"]}


@pytest.mark.parametrize(
    ("change", "name", "fields"),
    [
        ({"lon": "nan"}, "bad-coordinates", ["lon"]),
        ({"lat": "inf"}, "bad-coordinates", ["lat"]),
        ({"lat": "-Infinity"}, "bad-coordinates", ["lat"]),
        ({"lon": "1e400"}, "bad-coordinates", ["lon"]),
        ({"lon": 1000}, "bad-coordinates", ["lon"]),
        ({"lat": 95}, "bad-coordinates", None),
        ({"accuracy_m": "nan"}, "bad-coordinates", ["accuracy_m"]),
        ({"accuracy_m": -1}, "bad-coordinates", ["accuracy_m"]),
        ({"accuracy_m": 1e9}, "bad-coordinates", ["accuracy_m"]),
        (SWAPPED, "swapped-coordinates", ["lon", "lat"]),
        ({"lon": 116.41, "lat": 39.89}, "default-point", ["lon", "lat"]),
        ({"crs": "EPSG:999999"}, "unknown-crs", ["crs"]),
        ({"crs": "gjc02"}, "unknown-crs", ["crs"]),
        ({"crs": "EPSG:3826"}, "crs-not-accepted", ["crs"]),
        ({"category": "9999999"}, "unknown-category", ["category"]),
        ({"at": "2025-12-31T23:00:00Z"}, "before-first-revision", ["at"]),
        ({"at": "1001-01-01T00:00:00+14:00"}, "before-first-revision", ["at"]),
        ({"at": "2026-11-22T08:00:00"}, "invalid-input", ["at"]),
        ({"at": "1763769600"}, "invalid-input", ["at"]),
        ({"at": "9999-12-31T23:59:59-14:00"}, "invalid-input", ["at"]),
        ({"at": "2026-02-30T08:00:00Z"}, "invalid-input", ["at"]),
        ({"at": "2026-11-22T08:00:00+99:00"}, "invalid-input", ["at"]),
        ({"lon": "abc"}, "invalid-input", ["lon"]),
        ({"lon": ""}, "invalid-input", ["lon"]),
        ({"lon": None}, "invalid-input", ["lon"]),
        ({"catagory": "0102"}, "invalid-input", ["catagory"]),
        ({"category": "\x00"}, "invalid-input", ["category"]),
        ({"category": "1" * 201}, "invalid-input", ["category"]),
    ],
)
def test_a_bad_point_is_refused(
    client: TestClient, change: dict[str, Any], name: str, fields: list[str] | None
) -> None:
    params = {key: value for key, value in (YARD | change).items() if value is not None}
    body = assert_problem(client.get("/v1/responsible", params=params), 422, name)
    if fields is not None:
        assert [error["loc"] for error in body["errors"]] == [["query", name] for name in fields]


def test_outside_names_the_nearest_area_and_its_distance(client: TestClient) -> None:
    response = client.get("/v1/responsible", params=OUTSIDE)
    body = assert_problem(response, 404, "outside-service-area")
    assert body["nearest"]["distance_m"] == pytest.approx(300, abs=0.5)
    assert body["nearest"]["layer"] in {"street", "district"}
    assert body["nearest"]["code"] in {"S2", "D1"}


def test_the_other_side_of_the_earth_is_outside_too(client: TestClient) -> None:
    response = client.get("/v1/responsible", params={"lon": -71.0587, "lat": 42.3594})
    assert_problem(response, 404, "outside-service-area")


def test_ten_thousand_and_one_points_are_too_many(client: TestClient) -> None:
    response = client.post("/v1/responsible", json={"points": [YARD] * 10_001})
    body = assert_problem(response, 422, "invalid-input")
    assert body["errors"][0]["loc"] == ["body", "points"]
    assert "10000" in body["detail"]


@pytest.mark.parametrize(
    ("content", "status", "name"),
    [
        (b'{"points": [', 400, "malformed-json"),
        (b"lon,lat\n1,2", 400, "malformed-json"),
        (b'{"points": "\xff"}', 400, "bad-request"),
        (b"[1, 2]", 422, "invalid-input"),
        (b"null", 422, "invalid-input"),
        (b"", 422, "invalid-input"),
        (b'{"point": []}', 422, "invalid-input"),
        (b'{"points": [{"lon": "x", "lat": 1}]}', 422, "invalid-input"),
        (b'{"points": [{"lon": 1}]}', 422, "invalid-input"),
        (b'{"points": [{"lon": 1, "lat": 1, "at": 0}]}', 422, "invalid-input"),
        (b'{"points": [{"lon": 1, "lat": 1, "category": "\\ud800"}]}', 422, "invalid-input"),
        (b'{"points": [{"lon": 1, "lat": 1, "category": "\\u0000"}]}', 422, "invalid-input"),
        (b'{"points":' + b"[" * 100_000, 400, "bad-request"),
    ],
)
def test_a_bad_body_is_refused(client: TestClient, content: bytes, status: int, name: str) -> None:
    response = client.post(
        "/v1/responsible", content=content, headers={"Content-Type": "application/json"}
    )
    assert_problem(response, status, name)


def test_a_number_that_is_none_fails_its_own_point_only(client: TestClient) -> None:
    content = b'{"points": [{"lon": NaN, "lat": 1}, {"lon": 1, "lat": Infinity}]}'
    response = client.post(
        "/v1/responsible", content=content, headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 200
    assert [told["error"]["errors"][0]["loc"] for told in response.json()["answers"]] == [
        ["body", "points", 0, "lon"],
        ["body", "points", 1, "lat"],
    ]


def test_a_body_beyond_the_limit_is_not_read_to_its_end(client: TestClient) -> None:
    response = client.post(
        "/v1/responsible",
        content=b" " * (MAX_BODY_BYTES + 1),
        headers={"Content-Type": "application/json"},
    )
    assert_problem(response, 413, "body-too-large")


@pytest.mark.parametrize(
    "bbox",
    [
        "1,2,3",
        "a,b,c,d",
        "",
        "116,39,nan,40",
        "116,39,inf,40",
        "117,39,116,40",
        "116,40,117,39",
        "39,116,40,117",
        "-181,39,117,40",
    ],
)
def test_a_bad_box_is_refused(client: TestClient, bbox: str) -> None:
    body = assert_problem(client.get("/v1/areas", params={"bbox": bbox}), 422, "invalid-input")
    assert body["errors"][0]["loc"] == ["query", "bbox"]


@pytest.mark.parametrize(
    ("url", "name", "field"),
    [
        ("/v1/areas?layer=stret", "unknown-layer", "layer"),
        ("/v1/areas?limit=0", "invalid-input", "limit"),
        (f"/v1/areas?limit={MAX_LIMIT + 1}", "invalid-input", "limit"),
        ("/v1/areas?after=%00", "invalid-input", "after"),
        ("/v1/areas?at=2025-01-01T00:00:00Z", "before-first-revision", "at"),
        ("/v1/areas/street/S1?when=now", "invalid-input", "when"),
        ("/v1/parties?limit=x", "invalid-input", "limit"),
        ("/v1/assignments?duty=cooking", "invalid-input", "duty"),
        ("/v1/assignments?after=-1", "invalid-input", "after"),
        (f"/v1/assignments?after={2**63}", "invalid-input", "after"),
        ("/v1/assignments?parti=P1", "invalid-input", "parti"),
    ],
)
def test_a_bad_parameter_is_refused(client: TestClient, url: str, name: str, field: str) -> None:
    body = assert_problem(client.get(url), 422, name)
    assert body["errors"][0]["loc"] == ["query", field]


@pytest.mark.parametrize("code", ["S9", "S1/", "%00", "S1%20"])
def test_an_unknown_area_is_not_found(client: TestClient, code: str) -> None:
    response = client.get(f"/v1/areas/street/{code}")
    assert_problem(response, *((422, "invalid-input") if code == "%00" else (404, "unknown-area")))
