"""Cases over HTTP: found from the report, acted on by one at a time, with the scope for it."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy.orm import Session

from gridsvc.api.app import create_app
from gridsvc.db import create_engine
from gridsvc.grids.keys import create_key
from gridsvc.grids.scheme_store import load_scheme
from gridsvc.settings import Settings
from tests import small_city
from tests.api.shapes import assert_problem
from tests.db_fixtures import MakeDatabase
from tests.factories import make_scheme
from tests.small_city import OUTSIDE, YARD, place

RULES = """
[[duplicates]]
category = "0102"
within_m = 10
window_hours = 72

[[duplicates]]
category = "0101"
within_m = 10
window_hours = 72
join = "automatic"

[[limit]]
stage = "close"
within = "P2D"
"""
Filing = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def town(make_database: MakeDatabase) -> str:
    url = make_database()
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        small_city.found(session)
        load_scheme(session, make_scheme(extra=RULES))
    engine.dispose()
    return url


@pytest.fixture(scope="module")
def desk(town: str) -> Iterator[TestClient]:
    settings = Settings(database_url=SecretStr(town), api_keys_required=False)
    with TestClient(create_app(settings)) as client:
        yield client


@pytest.fixture
def file(desk: TestClient) -> Filing:
    def file(at: dict[str, float] = YARD, category: str = "0201") -> dict[str, Any]:
        answer = desk.post(
            "/v1/reports",
            json=at | {"channel": "patrol", "category": category},
            headers={"Idempotency-Key": str(uuid.uuid4())},
        )
        assert answer.status_code == 201
        body: dict[str, Any] = answer.json()
        return body

    return file


def test_a_filed_report_names_its_case(desk: TestClient, file: Filing) -> None:
    report = file()
    assert report["case"]["state"] == "filed"
    assert report["case"]["responsible"] == "P1"
    assert report["case"]["due_at"]
    assert report["duplicates"] == []
    assert desk.get(f"/v1/reports/{report['id']}").json() == report
    case = desk.get(f"/v1/cases/{report['case']['id']}").json()
    assert report["case"].items() <= case.items()
    assert [(one["id"], one["is_first"]) for one in case["reports"]] == [(report["id"], True)]
    assert [(event["kind"], event["actor"]) for event in case["events"]] == [("filed", "keyless")]


def test_a_marked_report_has_none(desk: TestClient, file: Filing) -> None:
    report = file(OUTSIDE)
    assert (report["case"], report["duplicates"]) == (None, [])
    path = f"/v1/reports/{report['id']}"
    for call, body in (("events", {"kind": "dispatched"}), ("part", {})):
        assert_problem(desk.post(f"{path}/{call}", json=body), 404, "report-without-case")


def test_likely_duplicates_are_proposed_and_merged(desk: TestClient, file: Filing) -> None:
    first = file(place(east_m=120, north_m=120), category="0102")
    second = file(place(east_m=126, north_m=128), category="0102")
    (near,) = second["duplicates"]
    assert near["case_id"] == first["case"]["id"]
    assert near["report_id"] == first["id"]
    assert near["distance_m"] == pytest.approx(10, abs=1e-3)
    own, into = second["case"]["id"], first["case"]["id"]
    merged = desk.post(f"/v1/cases/{own}/merge", json={"into": into, "seen": 1})
    assert merged.status_code == 200
    assert (merged.json()["id"], merged.json()["report_count"]) == (into, 2)
    assert desk.get(f"/v1/cases/{own}").json()["merged_into"] == into
    again = desk.post(f"/v1/cases/{own}/merge", json={"into": into})
    assert assert_problem(again, 409, "case-moved-on")["case"]["state"] == "merged"
    parted = desk.post(f"/v1/reports/{second['id']}/part", json={})
    assert parted.json()["id"] not in {own, into}
    assert_problem(desk.post(f"/v1/reports/{second['id']}/part", json={}), 422, "act-refused")


def test_a_report_may_join_by_itself(file: Filing) -> None:
    first, second = (file(category="0101") for _ in range(2))
    assert second["case"]["id"] == first["case"]["id"]
    assert second["case"]["report_count"] == 2


def test_a_case_goes_its_way_by_its_report_or_its_number(desk: TestClient, file: Filing) -> None:
    report = file()
    by_report = f"/v1/reports/{report['id']}/events"
    by_number = f"/v1/cases/{report['case']['id']}/events"
    for path, body, state in (
        (by_report, {"kind": "dispatched", "details": {"dispatch": "internal"}}, "dispatched"),
        (by_number, {"kind": "no_effect", "reason": "the gate was locked"}, "dispatched"),
        (by_number, {"kind": "handled", "party": "P2"}, "handled"),
        (by_report, {"kind": "verified"}, "verified"),
        (by_number, {"kind": "closed", "seen": 6}, "closed"),
    ):
        answer = desk.post(path, json=body)
        assert answer.status_code == 200
        assert answer.json()["state"] == state
    events = answer.json()["events"]
    assert [event["kind"] for event in events] == [
        *("filed", "dispatched", "no_effect", "escalated", "handled", "verified", "closed")
    ]
    assert events[1]["details"]["dispatch"] == "internal"
    assert events[3]["actor"] == "gridsvc"
    assert desk.get(f"/v1/reports/{report['id']}").json()["case"]["state"] == "closed"


def test_who_comes_too_late_is_told_where_the_case_stands(desk: TestClient, file: Filing) -> None:
    case = file()["case"]
    path = f"/v1/cases/{case['id']}/events"
    dispatch = {"kind": "dispatched", "to_party": "P2", "seen": case["last_event"]}
    assert desk.post(path, json=dispatch).status_code == 200
    late = desk.post(path, json=dispatch | {"to_party": "P3"})
    now = assert_problem(late, 409, "case-moved-on")["case"]
    assert (now["id"], now["state"], now["holder"]) == (case["id"], "dispatched", "P2")
    assert now["last_event"] == 2


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"kind": "returned"}, "act-refused"),
        ({"kind": "escalated"}, "invalid-input"),
        ({"kind": "filed"}, "invalid-input"),
        ({"kind": "dispatched", "details": {"step": 3}}, "invalid-input"),
        ({"kind": "dispatched", "to": "P2"}, "invalid-input"),
        ({"kind": "dispatched", "to_party": "P0"}, "act-refused"),
        ({"kind": "suspended"}, "act-refused"),
        ({"kind": "not_ours", "reason": "a private road"}, "act-refused"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    desk: TestClient, file: Filing, body: dict[str, Any], name: str
) -> None:
    path = f"/v1/cases/{file()['case']['id']}/events"
    problem = assert_problem(desk.post(path, json=body), 422, name)
    assert problem["errors"]


def test_there_is_no_such_case(desk: TestClient) -> None:
    path = f"/v1/cases/{10**12}"
    assert_problem(desk.get(path), 404, "unknown-case")
    assert_problem(desk.post(f"{path}/events", json={"kind": "handled"}), 404, "unknown-case")
    none = f"/v1/reports/{uuid.uuid4()}/events"
    assert_problem(desk.post(none, json={"kind": "handled"}), 404, "unknown-report")
    assert_problem(desk.get("/v1/cases/0"), 422, "invalid-input")


def test_the_list_is_narrowed_and_paged(desk: TestClient, file: Filing) -> None:
    made = [file(category="0207")["case"]["id"] for _ in range(3)]
    first = desk.get("/v1/cases", params={"category": "0207", "limit": 2, "overdue": False})
    assert [case["id"] for case in first.json()["cases"]] == made[:2]
    (link,) = first.json()["links"]
    second = desk.get(link["href"]).json()
    assert ([case["id"] for case in second["cases"]], second["links"]) == (made[2:], [])
    assert desk.get("/v1/cases", params={"category": "0207", "state": "closed"}).json() == {
        "cases": [],
        "links": [],
    }
    assert_problem(desk.get("/v1/cases", params={"status": "closed"}), 422, "invalid-input")


def test_scopes(town: str, file: Filing) -> None:
    case_id = file()["case"]["id"]
    engine = create_engine(town)
    with Session(engine) as session, session.begin():
        keys = {
            name: create_key(session, name=name, scopes=[name])
            for name in ("report", "manage", "locate")
        }
    engine.dispose()
    act = {"kind": "declared_hard", "reason": "old pipes"}
    with TestClient(create_app(Settings(database_url=SecretStr(town)))) as guarded:
        for name, (token, key) in keys.items():
            headers = {"Authorization": f"Bearer {token}"}
            read = guarded.get(f"/v1/cases/{case_id}", headers=headers)
            done = guarded.post(f"/v1/cases/{case_id}/events", json=act, headers=headers)
            assert read.status_code == (403 if name == "locate" else 200)
            assert done.status_code == (200 if name == "report" else 403)
            if name == "report":
                assert done.json()["events"][-1]["actor"] == f"key:{key.id}"
