"""Credit over HTTP: each source asks about its own reporters, in a body; managers read records."""

import uuid
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy.orm import Session

from gridsvc.api.app import create_app
from gridsvc.api.credit import Credit, Record
from gridsvc.db import create_engine
from gridsvc.grids.keys import create_key
from gridsvc.grids.scheme_store import load_scheme
from gridsvc.settings import Settings
from tests import small_city
from tests.api.shapes import assert_problem
from tests.db_fixtures import MakeDatabase
from tests.factories import lead_case, make_scheme
from tests.small_city import YARD

ANN = "reporter-of-the-app-ann"

Headers = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def url(make_database: MakeDatabase) -> str:
    return make_database()


@pytest.fixture(scope="module")
def key(url: str) -> Headers:
    """The small city, which credits its reporters, and headers with keys for it."""
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        small_city.found(session)
        load_scheme(session, make_scheme(extra="\n[credit]\nfirst_points = 5\n"))
        tokens = {
            name: create_key(session, name=name, scopes=[scope])[0]
            for name, scope in {"app": "report", "line": "report", "desk": "manage"}.items()
        }
    engine.dispose()
    return {name: {"Authorization": f"Bearer {token}"} for name, token in tokens.items()}


@pytest.fixture(scope="module")
def client(url: str, key: Headers) -> Iterator[TestClient]:  # noqa: ARG001 -- fills the database
    with TestClient(create_app(Settings(database_url=SecretStr(url)))) as client:
        yield client


def test_each_source_learns_of_its_own_reporters(
    client: TestClient, url: str, key: Headers
) -> None:
    body = YARD | {"channel": "phone_app", "category": "0102", "reporter": ANN}
    ids = [
        client.post(
            "/v1/reports", json=body, headers=key[name] | {"Idempotency-Key": str(uuid.uuid4())}
        ).json()["id"]
        for name in ("app", "app", "line")
    ]
    # By the other door too: a device's token is the same reporter.
    form = {"service_code": "0102", "lat": YARD["lat"], "long": YARD["lon"], "device_id": ANN}
    sent = client.post("/open311/v2/requests.json", data=form, headers=key["app"])
    ids.append(sent.json()[0]["service_request_id"])
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        lead_case(session, [ids[0]], "verified", "closed", state="closed")
        lead_case(session, [ids[3]], "verified", state="verified")
    engine.dispose()
    told = {
        name: client.post("/v1/credit", json={"reporter": ANN}, headers=key[name])
        for name in ("app", "line")
    }
    for response in told.values():
        Credit.model_validate_json(response.content)
    assert told["app"].json() == {"points": 10, "accepted": 2, "reports": 3}
    assert told["line"].json() == {"points": 0, "accepted": 0, "reports": 1}
    for params in ({"party": "P1"}, {"layer": "courtyard", "area": "C/1"}):
        response = client.get("/v1/records", params=params, headers=key["desk"])
        (row,) = Record.model_validate_json(response.content).records
        assert (row.category, row.cases, row.reports) == ("0102", 2, 2)


def test_scopes(client: TestClient, key: Headers) -> None:
    asked = client.post("/v1/credit", json={"reporter": ANN}, headers=key["desk"])
    assert_problem(asked, 403, "scope-missing")
    read = client.get("/v1/records", params={"party": "P1"}, headers=key["app"])
    assert_problem(read, 403, "scope-missing")


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"layer": "street"},
        {"area": "S1"},
        {"layer": "street", "party": "P1"},
        {"layer": "street", "area": "S1", "party": "P1"},
        {"party": "P1", "reporter": ANN},
    ],
)
def test_a_record_is_of_an_area_or_of_a_party(
    client: TestClient, key: Headers, params: dict[str, str]
) -> None:
    response = client.get("/v1/records", params=params, headers=key["desk"])
    assert_problem(response, 422, "invalid-input")


def test_a_record_of_no_layer_is_a_problem(client: TestClient, key: Headers) -> None:
    params = {"layer": "ward", "area": "1"}
    response = client.get("/v1/records", params=params, headers=key["desk"])
    assert_problem(response, 422, "unknown-layer")


def test_a_reporters_token_is_not_short(client: TestClient, key: Headers) -> None:
    response = client.post("/v1/credit", json={"reporter": "13800001234"}, headers=key["app"])
    assert_problem(response, 422, "invalid-input")
    assert "13800001234" not in response.text
