"""Names and phones: masked unless the key allows, and every unmasked read is written down."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import select, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session

from gridsvc.api.app import create_app
from gridsvc.api.people import Absences, Assignments, Parties
from gridsvc.api.responsible import Answer
from gridsvc.db import create_engine
from gridsvc.grids.changesets import publish
from gridsvc.grids.keys import create_key
from gridsvc.grids.models import ReadLog
from gridsvc.grids.scheme_store import load_scheme
from gridsvc.settings import Settings
from tests import small_city
from tests.db_fixtures import MakeDatabase
from tests.factories import make_scheme, new_change_set, propose_absence
from tests.small_city import HELD, PEOPLE, YARD

Headers = dict[str, dict[str, str]]
MASKED = {"张**", "李**", "王*"}
NAMES = {"张小明", "李大力", "王芳"}
CALLS = ["/v1/parties", "/v1/assignments", "/v1/responsible"]


def ask(client: TestClient, call: str, headers: dict[str, str] | None = None) -> str:
    params = YARD if call == "/v1/responsible" else {}
    response = client.get(call, params=params, headers=headers)
    assert response.status_code == 200
    return response.text


def read_log(city: str) -> list[Any]:
    engine = create_engine(city)
    with engine.connect() as connection:
        rows = connection.execute(select(ReadLog.__table__).order_by(ReadLog.id)).all()
    engine.dispose()
    return list(rows)


def test_parties_page_by_code(client: TestClient) -> None:
    first = client.get("/v1/parties?limit=3")
    Parties.model_validate_json(first.content)
    second = client.get(first.json()["links"][0]["href"]).json()
    codes = [party["code"] for party in first.json()["parties"] + second["parties"]]
    assert codes == sorted(code for code, *_ in PEOPLE)
    assert second["links"] == []


def test_assignments_page_and_narrow(client: TestClient) -> None:
    seen, url = [], "/v1/assignments?limit=2"
    while url:
        response = client.get(url)
        Assignments.model_validate_json(response.content)
        seen += response.json()["assignments"]
        url = next((link["href"] for link in response.json()["links"]), "")
    assert [(it["party"]["code"], it["area"]["code"]) for it in seen] == [
        (party, area) for party, _, area, *_ in HELD
    ]

    def narrowed(**params: str) -> set[str]:
        found = client.get("/v1/assignments", params=params).json()["assignments"]
        return {f"{it['party']['code']} {it['duty']}" for it in found}

    assert narrowed(duty="enforcement") == {"P2 enforcement", "P3 enforcement"}
    assert narrowed(layer="street", area="S2") == {"B1 management"}
    assert narrowed(party="P2", duty="responsibility") == {"P2 responsibility"}
    assert narrowed(party="nobody") == set()


def test_assignments_tell_hours_and_category(client: TestClient) -> None:
    found = client.get("/v1/assignments").json()["assignments"]
    assert {it["hours"] for it in found} == {"", "mon-fri 08:00-20:00"}
    assert {it["category"] for it in found} == {None, "01"}
    assert {it["area"]["name"] for it in found if it["area"]["layer"] == "street"} == {
        "甲街道",
        "乙街道",
    }


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("holder", [None, "operator"])
def test_without_the_scope_nobody_is_named(
    client: TestClient, key_of: Headers, city: str, call: str, holder: str | None
) -> None:
    before = read_log(city)
    told = ask(client, call, key_of[holder] if holder else None)
    assert any(masked in told for masked in MASKED)
    assert not any(name in told for name in NAMES)
    assert "13800001234" not in told
    assert "甲街道办事处" in told  # a body's name is public
    assert "01012345678" not in told  # its phone is not
    assert read_log(city) == before


@pytest.mark.parametrize("call", CALLS)
def test_with_the_scope_all_is_shown_and_written_down(
    guarded: TestClient, key_of: Headers, city: str, call: str
) -> None:
    before = len(read_log(city))
    told = ask(guarded, call, key_of["people"] | {"X-Request-ID": "the-reader"})
    assert "张小明" in told
    assert "13800001234" in told
    (row,) = read_log(city)[before:]
    assert (row.request_id, row.path) == ("the-reader", call)
    assert row.api_key_id is not None
    expected = {code for code, *_ in PEOPLE} - ({"P3"} if call == "/v1/responsible" else set())
    # Whether P3 assists depends on the hour of the test.
    assert expected <= set(row.party_codes) <= {code for code, *_ in PEOPLE}


def test_a_batch_is_one_line_of_the_log(guarded: TestClient, key_of: Headers, city: str) -> None:
    before = len(read_log(city))
    points = {"points": [YARD, YARD | {"at": "2026-11-21T12:00:00Z"}]}  # a Saturday
    assert "张小明" in guarded.post("/v1/responsible", json=points, headers=key_of["people"]).text
    (row,) = read_log(city)[before:]
    assert row.party_codes[:3] == ["B1", "P1", "P2"]


@pytest.fixture(scope="module")
def short_staffed(make_database: MakeDatabase) -> Iterator[tuple[TestClient, Headers]]:
    """A small city of which the leading officer is away, and keys to it."""
    url = make_database()
    engine = create_engine(url)
    headers = {}
    with Session(engine) as session, session.begin():
        small_city.found(session)
        rule = '[[stand_in]]\nduty = "enforcement"\nby = ["assistant"]\n'
        load_scheme(session, make_scheme(extra=rule))
        change_set = new_change_set(session)
        propose_absence(session, change_set, "P2", AWAY_AT, reason="病假")
        propose_absence(session, change_set, "P1", AWAY_AT)
        publish(session, change_set)
        for name, scopes in {"managers": ["manage"], "people": ["locate", "people:read"]}.items():
            token, _ = create_key(session, name=name, scopes=scopes)
            headers[name] = {"Authorization": f"Bearer {token}"}
    engine.dispose()
    with TestClient(create_app(Settings(database_url=SecretStr(url)))) as client:
        yield client, headers


AWAY_AT = datetime(2030, 3, 4, tzinfo=UTC)
STAFFED = {"lon": YARD["lon"], "lat": YARD["lat"], "at": "2030-03-04T10:00:00+08:00"}


def test_absences_are_masked_page_and_hold_at_a_time(
    short_staffed: tuple[TestClient, Headers],
) -> None:
    client, key_of = short_staffed
    managers = key_of["managers"]
    assert client.get("/v1/absences", headers=managers).json()["absences"] == []
    at = {"at": AWAY_AT.isoformat()}
    first = client.get("/v1/absences", params=at | {"limit": "1"}, headers=managers)
    Absences.model_validate_json(first.content)
    second = client.get(first.json()["links"][0]["href"], headers=managers).json()
    rows = first.json()["absences"] + second["absences"]
    assert [(row["party"]["name"], row["reason"]) for row in rows] == [
        ("李**", None),
        ("张**", None),
    ]
    assert second["links"] == []
    (only,) = client.get("/v1/absences", params=at | {"party": "P1"}, headers=managers).json()[
        "absences"
    ]
    assert (only["party"]["code"], only["valid_to"]) == ("P1", None)
    shown = client.get("/v1/absences", params=at, headers=key_of["people"]).json()["absences"]
    assert [(row["party"]["name"], row["reason"]) for row in shown] == [
        ("李大力", "病假"),
        ("张小明", None),
    ]
    assert client.get("/v1/absences").status_code == 401


def test_an_answer_names_for_whom_one_stands_in_and_that_is_logged(
    short_staffed: tuple[TestClient, Headers],
) -> None:
    client, key_of = short_staffed
    response = client.get("/v1/responsible", params=STAFFED, headers=key_of["people"])
    Answer.model_validate_json(response.content)
    lead = response.json()["enforcement"]["lead"]
    assert (lead["party"]["code"], lead["stand_in"]["for"]["name"]) == ("P3", "李大力")
    with client.app.state.sessions() as session:  # type: ignore[attr-defined]
        logged = session.scalars(select(ReadLog.party_codes).order_by(ReadLog.id.desc())).first()
    assert "P2" in logged


def test_the_service_may_only_read_and_write_the_log(app: FastAPI, client: TestClient) -> None:
    assert client.get("/healthz").status_code == 200
    for statement in (
        "UPDATE gridsvc.party SET name = 'x'",
        "DELETE FROM gridsvc.read_log",
        "INSERT INTO gridsvc.api_key (name, key_hash, scopes) VALUES ('x', 'x', '{admin}')",
        "CREATE TABLE gridsvc.mine ()",
    ):
        with app.state.sessions() as session:
            assert session.scalar(text("SELECT current_user")) == "gridsvc_service"
            with pytest.raises(ProgrammingError) as refused:
                session.execute(text(statement))
            assert isinstance(refused.value.orig, psycopg.errors.InsufficientPrivilege)
