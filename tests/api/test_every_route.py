"""Asked of every route: do its errors have the one shape, and does it say nothing internal?"""

import json
import logging
import re
import socket
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response
from jsonschema import Draft202012Validator
from pydantic import SecretStr
from sqlalchemy import text

from gridsvc.api.app import create_app
from gridsvc.api.deps import SessionDep
from gridsvc.errors import SettingsError
from gridsvc.settings import Settings
from tests.api.shapes import assert_open311_errors, assert_problem
from tests.serving import wait_until
from tests.small_city import YARD

OPEN311 = "/open311/"
"""Speaks as its own standard wants: test_open311.py holds its bodies to that."""
NEEDS_NO_KEY = {
    "/healthz",
    "/readyz",
    # Categories are public, and the standard asks for no key.
    "/open311/v2/services.json",
    "/open311/v2/services/x.json",
}
NEEDS_NO_DATABASE = {"/healthz", "/ogc/conformance"}
NO_JSON = {"text/html", "application/vnd.mapbox-vector-tile"}
"""What the schema of a body cannot be held to."""
PARAMS: dict[str, dict[str, Any]] = {
    "/v1/responsible": YARD,
    "/v1/records": {"party": "P1"},
    "/v1/indicators": {"month": "2026-10"},
    "/v1/indicators/escalation": {"month": "2026-10"},
    "/indicators": {"month": "2026-10"},
}
FILE = {("post", "/v1/reports"), ("post", "/open311/v2/requests.{fmt}")}
REPORT_ID = "00000000-0000-0000-0000-000000000000"
BODIES: dict[str, dict[str, Any]] = {
    "/v1/responsible": {"points": [YARD]},
    "/v1/reports": YARD | {"channel": "hotline"},
    "/v1/credit": {"reporter": "a-token-of-twenty-chars"},
    "/events": {"kind": "declared_hard", "reason": "the main is a hundred years old"},
    "/merge": {"into": 2},
    "/part": {},
}


def routes(app: FastAPI) -> list[tuple[str, str]]:
    """Every documented method and path, its parameters filled in."""
    return [
        (method.upper(), _filled(path))
        for path, methods in app.openapi()["paths"].items()
        for method in methods
    ]


def _filled(path: str) -> str:
    path = path.replace("{report_id}", REPORT_ID).replace("{case_id}", "1")
    path = path.replace("{fmt}", "json").replace("{z}/{x}/{y}", "0/0/0")
    return re.sub(r"\{\w+\}", "x", path)


def call(client: TestClient, method: str, path: str) -> Response:
    if method == "POST" and path.startswith(OPEN311):
        form = {"service_code": "0102", "lat": str(YARD["lat"]), "long": str(YARD["lon"])}
        return client.post(path, data=form)
    params = PARAMS.get(path, {}) if method == "GET" else {}
    body = (
        next(body for end, body in BODIES.items() if path.endswith(end))
        if method == "POST"
        else None
    )
    headers = {"Idempotency-Key": "one"} if path == "/v1/reports" else {}
    return client.request(method, path, params=params, json=body, headers=headers)


def assert_error(response: Response, path: str, status: int, name: str) -> None:
    """Hold an error to the shape that the path promises."""
    if path.startswith(OPEN311):
        assert_open311_errors(response, 403 if status == 401 else status)
    else:
        assert_problem(response, status, name)


@pytest.fixture(scope="module")
def cut_off() -> Iterator[TestClient]:
    """The app, with a database that is away: a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"postgresql://nobody@127.0.0.1:{probe.getsockname()[1]}/none"
        settings = Settings(database_url=SecretStr(url), api_keys_required=False)
        with TestClient(create_app(settings)) as client:
            yield client


def test_the_contract_is_served(app: FastAPI) -> None:
    assert set(routes(app)) >= {
        ("GET", "/v1/responsible"),
        ("POST", "/v1/responsible"),
        ("POST", "/v1/reports"),
        ("GET", f"/v1/reports/{REPORT_ID}"),
        ("POST", "/v1/credit"),
        ("GET", "/v1/records"),
        ("GET", "/v1/zones"),
        ("GET", "/v1/components"),
        ("GET", "/v1/indicators"),
        ("GET", "/v1/indicators/escalation"),
        ("GET", "/v1/hotspots"),
        ("GET", "/indicators"),
        ("POST", f"/v1/reports/{REPORT_ID}/events"),
        ("POST", f"/v1/reports/{REPORT_ID}/part"),
        ("GET", "/v1/cases"),
        ("GET", "/v1/cases/1"),
        ("POST", "/v1/cases/1/events"),
        ("POST", "/v1/cases/1/merge"),
        ("GET", "/v1/layers"),
        ("GET", "/v1/areas"),
        ("GET", "/v1/areas/x/x"),
        ("GET", "/ogc"),
        ("GET", "/ogc/conformance"),
        ("GET", "/ogc/api"),
        ("GET", "/ogc/collections"),
        ("GET", "/ogc/collections/x"),
        ("GET", "/ogc/collections/x/items"),
        ("GET", "/ogc/collections/x/items/x"),
        ("GET", "/tiles/x.json"),
        ("GET", "/tiles/x/0/0/0.mvt"),
        ("GET", "/v1/parties"),
        ("GET", "/v1/assignments"),
        ("GET", "/open311/v2/services.json"),
        ("GET", "/open311/v2/services/x.json"),
        ("POST", "/open311/v2/requests.json"),
        ("GET", "/open311/v2/requests.json"),
        ("GET", "/open311/v2/requests/x.json"),
        ("GET", "/open311/v2/tokens/x.json"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
    }


def test_every_route_asks_for_a_key(guarded: TestClient, app: FastAPI) -> None:
    for method, path in routes(app):
        if path not in NEEDS_NO_KEY:
            assert_error(call(guarded, method, path), path, 401, "key-refused")


def test_every_route_says_that_the_database_is_away(cut_off: TestClient, app: FastAPI) -> None:
    for method, path in routes(app):
        if path not in NEEDS_NO_DATABASE:
            response = call(cut_off, method, path)
            assert_error(response, path, 503, "database-unavailable")
            assert "127.0.0.1" not in response.text
    assert cut_off.get("/healthz").json() == {"status": "alive"}


def test_every_route_refuses_other_methods(client: TestClient, app: FastAPI) -> None:
    for _, path in routes(app):
        response = client.delete(path)
        assert_error(response, path, 405, "method-not-allowed")
        assert response.headers["allow"]


def test_an_unknown_route_is_a_problem_too(client: TestClient) -> None:
    assert_problem(client.get("/v2/responsible"), 404, "not-found")


def test_nothing_published_is_not_ready(database_url: str) -> None:
    settings = Settings(database_url=SecretStr(database_url), api_keys_required=False)
    with TestClient(create_app(settings)) as client:
        for path in ("/readyz", "/v1/layers", "/v1/areas", "/v1/parties"):
            assert_problem(client.get(path), 503, "nothing-published")
        response = client.get("/v1/responsible", params=YARD)
        assert_problem(response, 503, "nothing-published")


def test_ready_names_the_revision(client: TestClient) -> None:
    assert client.get("/readyz").json() == {"status": "ready", "revision": 1}


def test_the_bare_address_leads_to_the_map(client: TestClient) -> None:
    response = client.get("/")
    assert response.url.path == "/maps/responsible"
    assert response.status_code == 200


def test_an_app_without_a_database_is_not_made() -> None:
    with pytest.raises(SettingsError, match="GRIDSVC_DATABASE_URL"):
        create_app(Settings(database_url=None))


def test_an_unforeseen_error_tells_its_id_and_nothing_else(
    city: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(Settings(database_url=SecretStr(city), api_keys_required=False))

    @app.get("/fails")
    def fails() -> None:
        raise ValueError("13800001234 of 张小明")

    with TestClient(app) as client, caplog.at_level(logging.INFO, "gridsvc"):
        response = client.get("/fails")
    body = assert_problem(response, 500, "internal-error")
    assert body["request_id"] in body["detail"]
    assert "ValueError" not in response.text
    (line,) = [json.loads(record.message) for record in caplog.records]
    assert line["request_id"] == body["request_id"]
    assert line["error"] == ["builtins.ValueError"]
    assert line["trace"][-1].endswith(" fails")
    for said in (response.text, caplog.text):
        assert "张小明" not in said
        assert "13800001234" not in said


def test_a_question_that_takes_too_long_is_cut_off(city: str) -> None:
    settings = Settings(
        database_url=SecretStr(city), api_keys_required=False, statement_timeout_s=0.2
    )
    app = create_app(settings)

    @app.get("/sleeps")
    def sleeps(session: SessionDep) -> None:
        session.execute(text("SELECT pg_sleep(20)"))

    with TestClient(app) as client:
        began = time.monotonic()
        response = client.get("/sleeps")
        assert time.monotonic() - began < 10
    assert_problem(response, 503, "took-too-long")
    assert response.headers["retry-after"]


def test_the_log_has_one_line_a_call_without_places(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "gridsvc"):
        client.get("/v1/responsible", params=YARD, headers={"X-Request-ID": "report-17"})
        client.get("/v1/areas/courtyard/C/1")
        client.get("/people/zhang-xiaoming")
        # Look-ups from memory write their lines together.
        wait_until(lambda: "report-17" in caplog.text)
    lines = {
        line["route"]: line
        for record in caplog.records
        for line in map(json.loads, record.message.splitlines())
    }
    assert {route: (line["method"], line["status"]) for route, line in lines.items()} == {
        "/v1/responsible": ("GET", 200),
        "/v1/areas/{layer}/{code:path}": ("GET", 200),
        None: ("GET", 404),
    }
    assert lines["/v1/responsible"]["request_id"] == "report-17"
    assert lines[None]["problem"] == "not-found"
    assert lines["/v1/responsible"]["ms"] >= 0
    assert str(YARD["lon"])[:7] not in caplog.text
    assert "zhang" not in caplog.text


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, 'a","status":200', "é"])
def test_an_odd_request_id_is_replaced(client: TestClient, given: str) -> None:
    response = client.get("/healthz", headers={b"X-Request-ID": given.encode()})
    assert re.fullmatch(r"[0-9a-f]{32}", response.headers["x-request-id"])


def test_a_plain_request_id_is_taken_over(client: TestClient) -> None:
    response = client.get("/healthz", headers={"X-Request-ID": "hotline-2026.11_7"})
    assert response.headers["x-request-id"] == "hotline-2026.11_7"


class Addresses(HTMLParser):
    """Collects what a page fetches."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in {"src", "href"} and value]


def test_docs_come_from_this_service_alone(client: TestClient) -> None:
    page = client.get("/docs")
    assert "http://" not in page.text
    assert "https://" not in page.text
    parser = Addresses()
    parser.feed(page.text)
    assert len(parser.found) == 3
    for address in [*parser.found, "openapi.json"]:
        asset = client.get(f"/{address}")
        assert asset.status_code == 200
        assert len(asset.content) > 100


def test_openapi_agrees_with_real_answers(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = client.get("/openapi.json").json()
    filed = call(client, "POST", "/v1/reports").json()
    other = client.post(
        "/v1/reports", json=BODIES["/v1/reports"], headers={"Idempotency-Key": "another"}
    ).json()
    monkeypatch.setitem(BODIES, "/merge", {"into": filed["case"]["id"]})
    documented = [
        (template, method, told)
        for template, methods in document["paths"].items()
        for method, told in methods.items()
    ]
    for template, method, told in documented:
        path = _filled(template)
        if path.startswith(OPEN311):
            continue
        # The other case is merged into the first one, whose report can be parted then.
        case_id = (other if path.endswith("/merge") else filed)["case"]["id"]
        real = _filled(template.replace("{layer}", "courtyard").replace("{code}", "C/1"))
        real = real.replace(REPORT_ID, filed["id"]).replace("/cases/1", f"/cases/{case_id}")
        response = call(client, method.upper(), real)
        assert response.status_code == 200  # the report is filed already: its key repeats
        (media_type, promised), *others = told["responses"]["200"]["content"].items()
        assert not others
        assert response.headers["content-type"].partition(";")[0] == media_type.partition(";")[0]
        if media_type in NO_JSON:
            continue
        schema = promised["schema"] | {"components": document["components"]}
        Draft202012Validator(schema).validate(response.json())


def test_openapi_agrees_with_the_code(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    paths, schemas = document["paths"], document["components"]["schemas"]
    for path, methods in paths.items():
        for method, operation in methods.items():
            responses = operation["responses"]
            made = {"201"} if (method, path) in FILE else set()
            assert set(responses) == {"200", "default"} | made, (method, path)
            if path.startswith(OPEN311):
                for told in responses.values():
                    assert set(told["content"]) == {"application/json", "text/xml"}
                continue
            problem = responses["default"]["content"]["application/problem+json"]["schema"]
            assert problem == {"$ref": "#/components/schemas/Problem"}
    one = paths["/v1/responsible"]["get"]
    content = one["responses"]["200"]["content"]["application/json"]["schema"]
    assert content == {"$ref": "#/components/schemas/Answer"}
    assert {parameter["name"] for parameter in one["parameters"]} == {
        "lon",
        "lat",
        "crs",
        "category",
        "at",
        "accuracy_m",
    }
    assert "application/geo+json" in paths["/v1/areas"]["get"]["responses"]["200"]["content"]
    references = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(document)))
    assert references <= set(schemas)
    assert {"Answer", "Problem", "FieldError", "NearestArea"} <= references
    assert "HTTPValidationError" not in schemas
    assert one["security"] == [{"key": []}]
