"""Filing over HTTP: durable before 201, once however often it is sent, never dropped."""

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from pydantic import SecretStr
from sqlalchemy.orm import Session

from gridsvc.api.app import create_app
from gridsvc.api.reports import CodedAnswer, Report
from gridsvc.api.responsible import Answer
from gridsvc.db import create_engine
from gridsvc.grids.changesets import publish
from gridsvc.grids.keys import create_key
from gridsvc.reports.history import HistoryColumns, import_history
from gridsvc.reports.rerouting import reroute
from gridsvc.settings import Settings
from tests import small_city
from tests.api.shapes import assert_problem
from tests.db_fixtures import MakeDatabase
from tests.factories import box, new_change_set, propose_area
from tests.small_city import OUTSIDE, SHOPS, YARD

Filing = Callable[..., Response]

PHONE: dict[str, Any] = YARD | {"channel": "phone_app"}


@pytest.fixture(scope="module")
def town(make_database: MakeDatabase) -> str:
    """The small city in a database that these tests fill."""
    url = make_database()
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        small_city.found(session)
    engine.dispose()
    return url


@pytest.fixture(scope="module")
def desk(town: str) -> Iterator[TestClient]:
    settings = Settings(database_url=SecretStr(town), api_keys_required=False)
    with TestClient(create_app(settings)) as client:
        yield client


@pytest.fixture
def post(desk: TestClient) -> Filing:
    def post(body: dict[str, Any], *, key: str | None = None, **headers: str) -> Response:
        name = key or str(uuid.uuid4())
        return desk.post("/v1/reports", json=body, headers={"Idempotency-Key": name} | headers)

    return post


def stored(url: str, report_id: str) -> int:
    """Count a report from outside of the service."""
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM gridsvc.report AS r JOIN gridsvc.report_answer AS a"
            " ON a.report_id = r.id WHERE r.id = %s",
            (report_id,),
        ).fetchone()
    return int(row[0]) if row else 0


def test_a_report_is_stored_with_its_answer_and_found_again(
    desk: TestClient, post: Filing, town: str
) -> None:
    body = PHONE | {
        "category": "0102",
        "accuracy_m": 20,
        "observed_at": "2026-11-22T08:00:00+08:00",
        "description": "渣土",
        "photo_urls": ["https://photos.example/1.jpg"],
        "reporter": "app-user-6f2a9c1d4b7e",
    }
    response = post(body)
    assert response.status_code == 201
    told = Report.model_validate_json(response.content)
    assert stored(town, told.id) == 1
    assert response.headers["location"] == f"/v1/reports/{told.id}"
    found = desk.get(response.headers["location"])
    assert found.status_code == 200
    assert found.json() == response.json()
    given = response.json()
    assert given["mark"] == "routed"
    assert given["answer"]["responsible"]["party"]["code"] == "P1"
    assert given["revision"] == given["answer"]["revision"] == 1
    assert given["input"] == {
        "x": YARD["lon"],
        "y": YARD["lat"],
        "crs": "EPSG:4326",
        "accuracy_m": 20,
    }
    assert given["point"]["lon"] == pytest.approx(YARD["lon"], abs=1e-9)
    assert given["photo_urls"] == ["https://photos.example/1.jpg"]
    assert given["earlier"] == []
    assert told.model_dump(exclude_unset=True).keys() == given.keys()


@pytest.mark.parametrize(
    ("body", "mark"),
    [
        (PHONE | OUTSIDE, "outside"),
        (PHONE | {"lon": 116.41, "lat": 39.89}, "default_point"),
        (PHONE | {"category": "9999"}, "unknown_category"),
        (PHONE | {"lon": YARD["lat"], "lat": YARD["lon"]}, "bad_coordinates"),
        (PHONE | {"lon": 1e300}, "bad_coordinates"),
        (PHONE | {"crs": "nonsense"}, "bad_coordinates"),
    ],
)
def test_no_report_is_dropped(post: Filing, town: str, body: dict[str, Any], mark: str) -> None:
    response = post(body)
    assert response.status_code == 201
    told = Report.model_validate_json(response.content)
    assert (told.mark, told.answer, told.revision) == (mark, None, None)
    assert told.reason
    assert stored(town, told.id) == 1


def test_a_repetition_is_the_same_report(post: Filing, town: str) -> None:
    first, again = (post(PHONE, key="repeated") for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    assert stored(town, first.json()["id"]) == 1


def test_a_key_is_for_one_report(post: Filing) -> None:
    first = post(PHONE, key="taken")
    body = assert_problem(post(PHONE | SHOPS, key="taken"), 409, "idempotency-key-reused")
    assert first.json()["id"] in body["detail"]


@pytest.mark.parametrize("round_", range(5))
def test_two_at_once_are_one_report(town: str, post: Filing, round_: int) -> None:
    start = Barrier(8)

    def file(_: int) -> Response:
        start.wait()
        return post(PHONE, key=f"at once {round_}")

    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(file, range(8)))
    assert sorted(response.status_code for response in responses) == [200] * 7 + [201]
    (report_id,) = {response.json()["id"] for response in responses}
    assert stored(town, report_id) == 1


def test_a_call_waits_for_the_one_that_is_filing_the_same(town: str, post: Filing) -> None:
    """Two transactions that do overlap: the other has stored its row and not committed yet."""
    first = post(PHONE, key="template")
    with psycopg.connect(town) as other, ThreadPoolExecutor(1) as pool:
        copied = other.execute(
            "INSERT INTO gridsvc.report (source, source_id, body_hash, channel, received_at)"
            " SELECT source, 'overlapping', body_hash, channel, received_at"
            " FROM gridsvc.report WHERE id = %s RETURNING id",
            (first.json()["id"],),
        ).fetchone()
        assert copied
        other.execute(
            "INSERT INTO gridsvc.report_answer (report_id, number, cause, mark, reason)"
            " VALUES (%s, 1, 'intake', 'outside', 'told by the other')",
            copied,
        )
        second = pool.submit(post, PHONE, key="overlapping")
        with pytest.raises(TimeoutError):
            second.result(timeout=1)
        other.commit()
        response = second.result(timeout=20)
    assert response.status_code == 200
    assert response.json()["id"] == str(copied[0])
    assert response.json()["reason"] == "told by the other"


def test_what_is_not_committed_is_not_confirmed(make_database: MakeDatabase) -> None:
    url = make_database()
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        small_city.found(session)
    engine.dispose()
    with psycopg.connect(url) as connection:
        connection.execute(
            "CREATE FUNCTION public.fail() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'the disk is full'; END $$"
        )
        connection.execute(
            "CREATE CONSTRAINT TRIGGER fails AFTER INSERT ON gridsvc.report"
            " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.fail()"
        )
    settings = Settings(database_url=SecretStr(url), api_keys_required=False)
    with TestClient(create_app(settings)) as client:
        response = client.post("/v1/reports", json=PHONE, headers={"Idempotency-Key": "lost"})
    assert_problem(response, 500, "internal-error")
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT FROM gridsvc.report").fetchall() == []


def test_an_imported_report_is_given_with_all_its_answers(
    desk: TestClient, town: str, tmp_path: Path
) -> None:
    file = tmp_path / "past.csv"
    file.write_text(
        f"id,x,y,at\npast,{YARD['lon']},{YARD['lat']},2026-03-02T10:00\nlost,,,2026-03-02\n"
    )
    engine = create_engine(town)
    with Session(engine) as session, session.begin():
        columns = HistoryColumns(id="id", lon="x", lat="y", opened="at")
        import_history(session, engine, file, columns)
    with Session(engine) as session, session.begin():
        change_set = new_change_set(session)
        propose_area(session, change_set, "courtyard", "C/0", box(150, 150, 250, 250))
        publish(session, change_set)
    with Session(engine) as session, session.begin():
        reroute(session, engine, since=small_city.FOUNDED_AT)
    engine.dispose()
    with psycopg.connect(town) as connection:
        ids = connection.execute(
            "SELECT id FROM gridsvc.report WHERE source = 'history' ORDER BY source_id DESC"
        ).fetchall()
    past, lost = (desk.get(f"/v1/reports/{report_id}") for (report_id,) in ids)
    told = Report.model_validate_json(past.content)
    assert isinstance(told.answer, Answer)
    assert told.answer.areas["courtyard"].code == "C/0"
    (first,) = told.earlier
    assert isinstance(first.answer, CodedAnswer)
    assert first.answer.areas["courtyard"] == "C/1"
    assert (first.revision, told.revision) == (1, 2)
    nowhere = Report.model_validate_json(lost.content)
    assert (nowhere.mark, nowhere.point, nowhere.input.x) == ("bad_coordinates", None, None)


def test_scopes_and_keys_part_callers(town: str) -> None:
    engine = create_engine(town)
    headers = {}
    with Session(engine) as session, session.begin():
        for name, scopes in {"app": ["report"], "line": ["report"], "map": ["locate"]}.items():
            token, _ = create_key(session, name=name, scopes=scopes)
            headers[name] = {"Authorization": f"Bearer {token}", "Idempotency-Key": "17"}
    engine.dispose()
    with TestClient(create_app(Settings(database_url=SecretStr(town)))) as client:
        filed = {
            name: client.post("/v1/reports", json=PHONE, headers=headers[name]) for name in headers
        }
        assert_problem(filed["map"], 403, "scope-missing")
        assert filed["app"].status_code == filed["line"].status_code == 201
        assert filed["app"].json()["id"] != filed["line"].json()["id"]
        place = filed["app"].headers["location"]
        assert client.get(place, headers=headers["line"]).status_code == 200
        assert_problem(client.get(place, headers=headers["map"]), 403, "scope-missing")


@pytest.mark.parametrize("report_id", ["x", "3c40998f-9314-4d97-8f0e-6b8c4d1d8a78"])
def test_an_unknown_report_is_a_problem(desk: TestClient, report_id: str) -> None:
    assert_problem(desk.get(f"/v1/reports/{report_id}"), 404, "unknown-report")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"channel": "pigeon"}, "channel"),
        ({"photo_urls": ["data:image/png;base64,AAAA"]}, "photo_urls"),
        ({"photo_urls": ["photo.jpg"]}, "photo_urls"),
        ({"observed_at": "yesterday"}, "observed_at"),
        ({"reporter": "13800001234"}, "reporter"),
        ({"name": "张小明"}, "name"),
        ({"description": "a\0b"}, "description"),
    ],
)
def test_what_is_no_report_is_refused(post: Filing, wrong: dict[str, Any], field: str) -> None:
    body = assert_problem(post(PHONE | wrong), 422, "invalid-input")
    assert field in body["errors"][0]["loc"]


def test_a_report_needs_a_key_of_its_own(desk: TestClient) -> None:
    body = assert_problem(desk.post("/v1/reports", json=PHONE), 422, "invalid-input")
    assert body["errors"][0]["loc"] == ["header", "idempotency-key"]


def test_nothing_loaded_is_told(database_url: str) -> None:
    settings = Settings(database_url=SecretStr(database_url), api_keys_required=False)
    with TestClient(create_app(settings)) as client:
        response = client.post("/v1/reports", json=PHONE, headers={"Idempotency-Key": "early"})
    assert_problem(response, 503, "nothing-published")
