"""An existing civic app files and reads: GeoReport v2 to the letter, over the same reports."""

import json
import logging
import re
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import psycopg
import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from jsonschema import Draft202012Validator
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.orm import Session

from gridsvc.api.app import create_app
from gridsvc.db import create_engine
from gridsvc.grids.keys import create_key
from gridsvc.grids.scheme_store import load_scheme
from gridsvc.reports.history import HistoryColumns, import_history
from gridsvc.settings import Settings
from tests import small_city
from tests.api.shapes import assert_open311_errors, assert_problem
from tests.db_fixtures import MakeDatabase
from tests.factories import appoint, box, found, lead_case, make_scheme
from tests.small_city import OUTSIDE, YARD

BASE = "/open311/v2"
SCHEMA = json.loads((Path(__file__).parent / "georeport_v2.schema.json").read_text())

RUBBISH = {"service_code": "0102", "lat": str(YARD["lat"]), "long": str(YARD["lon"])}

File = Callable[..., str]


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
def app_of(town: str) -> Iterator[TestClient]:
    settings = Settings(database_url=SecretStr(town), api_keys_required=False)
    with TestClient(create_app(settings)) as client:
        yield client


@pytest.fixture(scope="module")
def behind_keys(town: str) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(database_url=SecretStr(town)))) as client:
        yield client


@pytest.fixture(scope="module")
def keys(town: str) -> dict[str, str]:
    engine = create_engine(town)
    with Session(engine) as session, session.begin():
        made = {
            scope: create_key(session, name=scope, scopes=[scope])[0]
            for scope in ("report", "manage", "locate")
        }
    engine.dispose()
    return made


@pytest.fixture
def file(app_of: TestClient) -> File:
    def file(**fields: str) -> str:
        response = app_of.post(f"{BASE}/requests.json", data=RUBBISH | fields)
        assert response.status_code == 201, response.text
        report_id: str = response.json()[0]["service_request_id"]
        return report_id

    return file


@pytest.fixture
def session(town: str) -> Iterator[Session]:
    """A session whose commits the app sees."""
    engine = create_engine(town)
    with Session(engine) as session:
        yield session
    engine.dispose()


# The Spark convention the other way round: what an XML body is in JSON.

LISTS = {"services", "attributes", "service_requests", "errors"}
NUMBERS = {"lat": float, "long": float, "code": int}


def from_xml(response: Response) -> Any:  # noqa: ANN401 -- JSON
    assert response.headers["content-type"] == "text/xml; charset=utf-8"
    assert re.match(rb"<\?xml version=.1\.0. encoding=.utf-8.\?>", response.content)
    return _value(ET.fromstring(response.content))  # noqa: S314 -- our own


def _value(element: ET.Element) -> Any:  # noqa: ANN401 -- JSON
    if element.tag in LISTS:
        return [_value(child) for child in element]
    if len(element):
        return {child.tag: _value(child) for child in element}
    if element.text is None:
        return None
    if element.tag in NUMBERS:
        return NUMBERS[element.tag](element.text)
    return {"true": True, "false": False}.get(element.text, element.text)


def validate(body: object, part: str) -> None:
    Draft202012Validator(SCHEMA | {"$ref": f"#/$defs/{part}"}).validate(body)


def get_both(client: TestClient, path: str, part: str, **params: str) -> Any:  # noqa: ANN401 -- JSON
    """Ask in both formats, hold both to the standard and to each other; gives the body."""
    as_json = client.get(f"{BASE}{path}.json", params=params)
    as_xml = client.get(f"{BASE}{path}.xml", params=params)
    assert (as_json.status_code, as_xml.status_code) == (200, 200), as_json.text
    assert as_json.headers["content-type"] == "application/json; charset=utf-8"
    body = as_json.json()
    validate(body, part)
    assert from_xml(as_xml) == body
    return body


# Services


def test_services_are_the_classes_that_no_other_lies_under(app_of: TestClient) -> None:
    services = {one["service_code"]: one for one in get_both(app_of, "/services", "services")}
    assert services["0102"] == {
        "service_code": "0102",
        "service_name": "积存垃圾渣土",
        "description": "积存垃圾渣土 / Piled-up rubbish and spoil",
        "metadata": False,
        "type": "realtime",
        "keywords": "Piled-up rubbish and spoil, 市容环境, City appearance and sanitation",
        "group": "市容环境",
    }
    assert services["C0101"]["group"] == "公用设施"
    assert not {"01", "C01"} & set(services)


def test_no_service_asks_for_more(app_of: TestClient) -> None:
    body = get_both(app_of, "/services/0102", "service_definition")
    assert body == {"service_code": "0102", "attributes": []}


def test_services_follow_the_calendar_of_the_classes(make_database: MakeDatabase) -> None:
    """A class of last year is no service; a code with a dot in it is one."""
    url = make_database()
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        scheme = make_scheme()
        first, second, *_ = scheme.categories
        today = datetime.now(scheme.zone).date()
        classes = (
            first.model_copy(update={"code": "a.b", "valid_from": today}),
            second.model_copy(update={"code": "a.c", "valid_to": today}),
        )
        load_scheme(session, scheme.model_copy(update={"categories": classes}))
    engine.dispose()
    settings = Settings(database_url=SecretStr(url), api_keys_required=False)
    with TestClient(create_app(settings)) as client:
        (one,) = get_both(client, "/services", "services")
        assert (one["service_code"], one["group"]) == ("a.b", None)
        get_both(client, "/services/a.b", "service_definition")
        assert_open311_errors(client.get(f"{BASE}/services/a.c.json"), 404)


# Filing


def test_a_filed_request_is_the_same_report(app_of: TestClient) -> None:
    sent = RUBBISH | {
        "description": "渣土 <堆> & \U00020000",
        "media_url": "https://p.example/1.jpg",
    }
    response = app_of.post(f"{BASE}/requests.xml", data=sent)
    assert response.status_code == 201
    body = from_xml(response)
    validate(body, "created")
    report_id = body[0]["service_request_id"]
    report = app_of.get(f"/v1/reports/{report_id}").json()
    assert report["channel"] == "phone_app"
    assert report["category"] == "0102"
    assert report["description"] == sent["description"]
    assert report["photo_urls"] == [sent["media_url"]]
    assert report["input"] == {
        "x": YARD["lon"],
        "y": YARD["lat"],
        "crs": "EPSG:4326",
        "accuracy_m": None,
    }
    assert report["answer"]["responsible"]["party"]["code"] == "P1"
    (told,) = get_both(app_of, f"/requests/{report_id}", "service_requests")
    assert told["description"] == sent["description"]
    assert told["media_url"] == sent["media_url"]
    assert (told["service_code"], told["service_name"]) == ("0102", "积存垃圾渣土")
    assert told["agency_responsible"] == "甲街道办事处"
    assert told["address"] == "甲街道, 小区"
    assert told["lat"] == pytest.approx(YARD["lat"], abs=1e-9)
    assert told["long"] == pytest.approx(YARD["lon"], abs=1e-9)
    assert datetime.fromisoformat(told["requested_datetime"]) == datetime.fromisoformat(
        report["received_at"]
    ).replace(microsecond=0)
    assert get_both(app_of, f"/tokens/{report_id}", "token") == [
        {"service_request_id": report_id, "token": report_id}
    ]


def test_a_report_of_another_door_is_read_here(app_of: TestClient) -> None:
    """Filed over /v1 in GCJ-02, without a category, with every blank left out."""
    response = app_of.post(
        "/v1/reports",
        json=YARD | {"crs": "gcj02", "channel": "inspector"},
        headers={"Idempotency-Key": str(uuid.uuid4())},
    )
    report = response.json()
    (told,) = get_both(app_of, f"/requests/{report['id']}", "service_requests")
    assert (told["long"], told["lat"]) == (report["point"]["lon"], report["point"]["lat"])
    assert told["long"] < YARD["lon"] - 0.005
    assert told["service_code"] is told["service_name"] is told["description"] is None


def test_a_form_as_curl_sends_it(app_of: TestClient) -> None:
    body = (
        f"service_code=0102&lat={YARD['lat']}&long={YARD['lon']}"
        "&description=%E6%B8%A3+%E5%9C%9F&address_string=&attribute[X][]=1"
    )
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8"}
    response = app_of.post(f"{BASE}/requests.json", content=body, headers=headers)
    assert response.status_code == 201
    validate(response.json(), "created")
    report_id = response.json()[0]["service_request_id"]
    assert app_of.get(f"/v1/reports/{report_id}").json()["description"] == "渣 土"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"lat": str(OUTSIDE["lat"]), "long": str(OUTSIDE["lon"])}, "outside"),
        ({"lat": RUBBISH["long"], "long": RUBBISH["lat"]}, "lat"),
    ],
)
def test_what_cannot_be_answered_is_kept_and_says_why(
    app_of: TestClient, fields: dict[str, str], reason: str
) -> None:
    response = app_of.post(f"{BASE}/requests.json", data=RUBBISH | fields)
    assert response.status_code == 201
    (created,) = response.json()
    (told,) = get_both(app_of, f"/requests/{created['service_request_id']}", "service_requests")
    assert told["status"] == "open"
    assert reason in told["status_notes"]
    assert created["service_notice"] == told["status_notes"]
    assert told["agency_responsible"] is None


def test_each_call_files_another_but_for_a_key(app_of: TestClient, file: File) -> None:
    assert file() != file()
    headers = {"Idempotency-Key": "from an app"}
    first, again = (
        app_of.post(f"{BASE}/requests.json", data=RUBBISH, headers=headers) for _ in range(2)
    )
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    other = app_of.post(
        f"{BASE}/requests.json", data=RUBBISH | {"description": "other"}, headers=headers
    )
    assert_open311_errors(other, 400)


@pytest.mark.parametrize("fmt", ["json", "xml"])
@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"service_code": ""}, 400, "service_code"),
        ({"service_code": "9999"}, 404, "9999"),
        ({"service_code": "01"}, 404, "'01'"),
        ({"lat": ""}, 400, "lat and long"),
        ({"lat": "", "long": "", "address_string": "Main St 1"}, 400, "address"),
        ({"lat": "", "long": "", "address_id": "17"}, 400, "address"),
        ({"lat": "north"}, 400, "lat"),
        ({"long": "nan"}, 400, "long"),
        ({"media_url": "photo.jpg"}, 400, "media_url"),
        ({"description": "x" * 4001}, 400, "description"),
        ({"description": "a\0b"}, 400, "description"),
        ({"jurisdiction_id": "sfgov.org"}, 404, "sfgov.org"),
    ],
)
def test_what_is_no_request_is_refused_in_the_standards_shape(
    app_of: TestClient, fmt: str, fields: dict[str, str], status: int, words: str
) -> None:
    response = app_of.post(f"{BASE}/requests.{fmt}", data=RUBBISH | fields)
    validate(response.json() if fmt == "json" else from_xml(response), "errors")
    assert any(words in said for said in assert_open311_errors(response, status))


def test_all_faults_are_told_at_once(app_of: TestClient) -> None:
    response = app_of.post(f"{BASE}/requests.xml", data=RUBBISH | {"lat": "x", "long": "y"})
    assert len(assert_open311_errors(response, 400)) == 2


def test_a_description_may_be_as_long_as_the_standard_says(file: File) -> None:
    assert file(description="长" * 4000)


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (json.dumps(RUBBISH), "application/json"),
        ("--x\r\n\r\n--x--", "multipart/form-data; boundary=x"),
        (b"description=%FF", "application/x-www-form-urlencoded"),
        (b"description=\xff", "application/x-www-form-urlencoded"),
        (b"&".join(b"a%d=1" % n for n in range(201)), "application/x-www-form-urlencoded"),
    ],
)
def test_only_forms_are_read(app_of: TestClient, content: str | bytes, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    response = app_of.post(f"{BASE}/requests.json", content=content, headers=headers)
    assert "form" in assert_open311_errors(response, 400)[0]


# Keys


def test_a_key_comes_in_the_form_or_the_header(
    behind_keys: TestClient, keys: dict[str, str]
) -> None:
    def post(form: dict[str, str], headers: dict[str, str] | None = None) -> Response:
        return behind_keys.post(f"{BASE}/requests.xml", data=RUBBISH | form, headers=headers)

    assert post({"api_key": keys["report"]}).status_code == 201
    assert post({}, {"Authorization": f"Bearer {keys['report']}"}).status_code == 201
    for refused in (post({}), post({"api_key": "guess"}), post({"api_key": keys["locate"]})):
        (words,) = assert_open311_errors(refused, 403)
        assert not any(key in words for key in keys.values())


def test_the_key_in_the_form_is_the_source_of_the_report(
    behind_keys: TestClient, keys: dict[str, str]
) -> None:
    """So that one Idempotency-Key of one key is one report, by whichever way the key came."""
    told = [
        behind_keys.post(
            f"{BASE}/requests.json",
            data=RUBBISH | form,
            headers={"Idempotency-Key": "17"} | headers,
        )
        for form, headers in (
            ({"api_key": keys["report"]}, {}),
            ({}, {"Authorization": f"Bearer {keys['report']}"}),
        )
    ]
    assert [response.status_code for response in told] == [201, 200]
    assert told[0].json() == told[1].json()


def test_reading_needs_a_key_but_for_services(
    behind_keys: TestClient, keys: dict[str, str], file: File
) -> None:
    report_id = file()
    assert behind_keys.get(f"{BASE}/services.json").status_code == 200
    assert behind_keys.get(f"{BASE}/services/0102.json").status_code == 200
    for path in ("requests", f"requests/{report_id}", f"tokens/{report_id}"):
        assert_open311_errors(behind_keys.get(f"{BASE}/{path}.json"), 403)
        for scope, status in {"report": 200, "manage": 200, "locate": 403}.items():
            headers = {"Authorization": f"Bearer {keys[scope]}"}
            response = behind_keys.get(f"{BASE}/{path}.json", headers=headers)
            assert response.status_code == status


def test_a_key_in_an_address_is_refused(app_of: TestClient, keys: dict[str, str]) -> None:
    query = {"api_key": keys["report"]}
    for response in (
        app_of.get(f"{BASE}/requests.json", params=query),
        app_of.get(f"{BASE}/services.xml", params=query),
        app_of.post(f"{BASE}/requests.json", params=query, data=RUBBISH),
    ):
        assert "address" in assert_open311_errors(response, 400)[0]
        assert keys["report"] not in response.text


# What a person sends of themselves


def test_nothing_personal_is_kept_or_logged(
    behind_keys: TestClient, keys: dict[str, str], town: str, caplog: pytest.LogCaptureFixture
) -> None:
    personal = {
        "email": "xiaoming@mail.example",
        "first_name": "司马光",
        "last_name": "欧阳娜",
        "phone": "13912345678",
        "account_id": "account-4711",
        "device_id": "8c2f6f4e-device-0b57a9",
    }
    form = RUBBISH | personal | {"api_key": keys["report"]}
    with caplog.at_level(logging.DEBUG):
        filed = behind_keys.post(f"{BASE}/requests.json", data=form)
        refused = behind_keys.post(f"{BASE}/requests.json", data=form | {"lat": "x"})
    assert (filed.status_code, refused.status_code) == (201, 400)
    kept = everything_in(town)
    assert filed.json()[0]["service_request_id"] in kept
    for secret in (*personal.values(), keys["report"]):
        for place in (kept, caplog.text, filed.text, refused.text):
            assert secret not in place


@pytest.mark.parametrize(
    ("device_id", "hashes"),
    [
        ("490154203237518", 0),  # a serial number, of which there are few
        ("x" * 19, 0),
        ("x" * 20, 1),
        ("x" * 200, 1),
        ("x" * 201, 0),
    ],
)
def test_of_a_device_only_a_long_token_is_hashed(
    file: File, session: Session, device_id: str, hashes: int
) -> None:
    report_id = file(device_id=device_id)
    kept = session.execute(
        text("SELECT count(reporter_hash) FROM gridsvc.report WHERE id = :id"), {"id": report_id}
    )
    assert kept.scalar_one() == hashes


def everything_in(url: str) -> str:
    """Write out every row of every table of the service."""
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "SELECT c.oid::regclass::text FROM pg_class AS c"
            " WHERE c.relnamespace = 'gridsvc'::regnamespace AND c.relkind = 'r'"
        ).fetchall()
        assert len(tables) > 10
        return "\n".join(
            str(row)
            for (table,) in tables
            for row in connection.execute(f"SELECT t::text FROM {table} AS t").fetchall()
        )


# Reading


def test_odd_text_survives_both_formats(app_of: TestClient, file: File) -> None:
    """XML cannot hold control characters in any way; all else comes back as it was sent."""
    odd = "</description><x>&amp;]]>\n\t\"'渣土\U00020000é\u2028\x85"
    report_id = file(description=f"{odd}\x01\x08\x0b\x1f\ufffe\uffff")
    (as_xml,) = from_xml(app_of.get(f"{BASE}/requests/{report_id}.xml"))
    assert as_xml["description"] == odd
    (as_json,) = app_of.get(f"{BASE}/requests/{report_id}.json").json()
    assert as_json["description"] == f"{odd}\x01\x08\x0b\x1f\ufffe\uffff"


def test_a_request_follows_its_case(app_of: TestClient, file: File, session: Session) -> None:
    report_id = file()
    due_at = datetime(2027, 1, 4, 10, tzinfo=UTC)
    moments = [datetime(2026, 12, 1, hour, tzinfo=UTC) for hour in range(6)]
    for at, (kind, state, status, notes) in zip(
        moments,
        [
            ("dispatched", "dispatched", "open", "已派遣 Dispatched"),
            ("suspended", "suspended", "open", "已挂账 Suspended: 等资金"),
            ("verified", "verified", "open", "已核查 Verified"),
            ("closed", "closed", "closed", "已结案 Closed"),
            ("reopened", "filed", "open", "已受理 Filed"),
            ("not_ours", "not_ours", "closed", "非本平台职责 Not ours: 等资金"),
        ],
        strict=True,
    ):
        lead_case(session, [report_id], kind, state=state, at=at, reason="等资金", due_at=due_at)
        session.commit()
        (told,) = get_both(app_of, f"/requests/{report_id}", "service_requests")
        assert (told["status"], told["status_notes"]) == (status, notes)
        assert datetime.fromisoformat(told["updated_datetime"]) == at
        assert datetime.fromisoformat(told["expected_datetime"]) == due_at
        assert told["expected_datetime"] == "2027-01-04T18:00:00+08:00"


def test_a_joined_report_follows_the_case_it_joined(
    app_of: TestClient, file: File, session: Session
) -> None:
    first, second = file(), file()
    at = datetime(2026, 12, 2, tzinfo=UTC)
    lead_case(session, [first, second], "verified", "closed", state="closed", at=at)
    session.commit()
    for report_id in (first, second):
        (told,) = get_both(app_of, f"/requests/{report_id}", "service_requests")
        assert told["status"] == "closed"
        assert datetime.fromisoformat(told["updated_datetime"]) == at


def test_an_imported_report_stands_as_its_file_says(
    app_of: TestClient, town: str, tmp_path: Path, session: Session
) -> None:
    past = tmp_path / "past.csv"
    past.write_text(
        "id,x,y,opened,closed,category\n"
        f"ended,{YARD['lon']},{YARD['lat']},2026-03-02T10:00,2026-03-03T10:00,0102\n"
        f"waits,{YARD['lon']},{YARD['lat']},2026-03-02T11:00,,0102\n"
    )
    columns = HistoryColumns(
        id="id", lon="x", lat="y", opened="opened", closed="closed", category="category"
    )
    engine = create_engine(town)
    import_history(session, engine, past, columns)
    session.commit()
    engine.dispose()
    march = {"start_date": "2026-03-01T00:00:00+08:00", "end_date": "2026-03-31T00:00:00+08:00"}
    waits, ended = get_both(app_of, "/requests", "service_requests", **march)
    assert (ended["status"], waits["status"]) == ("closed", "open")
    assert ended["requested_datetime"] == "2026-03-02T10:00:00+08:00"
    assert ended["updated_datetime"] == "2026-03-03T10:00:00+08:00"
    assert ended["agency_responsible"] == "甲街道办事处"
    assert ended["service_name"] == "积存垃圾渣土"
    for status, codes in {
        "open": [waits],
        "closed": [ended],
        "open,closed": [waits, ended],
    }.items():
        assert get_both(app_of, "/requests", "service_requests", status=status, **march) == codes


def test_a_person_who_manages_is_masked(make_database: MakeDatabase, tmp_path: Path) -> None:
    """In the answer to a filed report and in that to an imported one, which holds codes alone."""
    url = make_database()
    engine = create_engine(url)
    past = tmp_path / "past.csv"
    past.write_text(f"id,x,y,at\npast,{YARD['lon']},{YARD['lat']},2026-03-02T10:00\n")
    with Session(engine) as session:
        town = box(0, 0, 1000, 1000)
        found(session, {("district", "D"): town, ("street", "S"): town})
        appoint(session, {"party": "P9", "layer": "street", "area": "S", "duty": "management"})
        session.commit()
        import_history(
            session, engine, past, HistoryColumns(id="id", lon="x", lat="y", opened="at")
        )
        session.commit()
    engine.dispose()
    settings = Settings(database_url=SecretStr(url), api_keys_required=False)
    with TestClient(create_app(settings)) as client:
        client.post(f"{BASE}/requests.json", data=RUBBISH)
        times = {"start_date": "2026-01-01T00:00:00Z"}
        told = [*ask(client), *ask(client, **times)]
    assert [one["agency_responsible"] for one in told] == ["张*", "张*"]


@pytest.fixture(scope="module")
def spread(make_database: MakeDatabase) -> Iterator[TestClient]:
    """A city with one report a day at noon UTC, of two services in turn, for 100 days to now."""
    url = make_database()
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        small_city.found(session)
        session.execute(
            text("""
                WITH filed AS (
                    INSERT INTO gridsvc.report (source, source_id, channel, category, received_at)
                    SELECT 'test', day, 'hotline', CASE day % 2 WHEN 0 THEN '0102' ELSE '0201' END,
                           now() - make_interval(days => day) - interval '1 minute'
                    FROM generate_series(0, 99) AS day
                    RETURNING id
                )
                INSERT INTO gridsvc.report_answer (report_id, number, cause, mark, reason)
                SELECT id, 1, 'intake', 'outside', 'no area covers it' FROM filed
            """)
        )
    engine.dispose()
    settings = Settings(database_url=SecretStr(url), api_keys_required=False)
    with TestClient(create_app(settings)) as client:
        yield client


def ask(client: TestClient, **params: str) -> list[dict[str, Any]]:
    body: list[dict[str, Any]] = get_both(client, "/requests", "service_requests", **params)
    return body


def test_ninety_days_to_now_are_told_without_a_word(spread: TestClient) -> None:
    told = ask(spread)
    assert len(told) == 90
    times = [one["requested_datetime"] for one in told]
    assert times == sorted(times, reverse=True)
    assert ask(spread, start_date="", end_date="", status="", service_code="") == told


def test_requests_are_chosen_by_service(spread: TestClient) -> None:
    told = ask(spread, service_code="0102")
    assert {one["service_code"] for one in told} == {"0102"}
    assert len(told) == 45
    assert len(ask(spread, service_code="0102, 0201")) == 90
    assert ask(spread, service_code="0103") == []
    twice = spread.get(f"{BASE}/requests.json?service_code=0102&service_code=0201")
    assert len(twice.json()) == 90


def test_requests_are_chosen_by_time_with_both_ends(spread: TestClient) -> None:
    newest, *_, oldest = ask(spread)
    for one in (newest, oldest):
        at = one["requested_datetime"]
        assert ask(spread, start_date=at, end_date=at) == [one]
    start = datetime.fromisoformat(oldest["requested_datetime"]) + timedelta(seconds=1)
    assert len(ask(spread, start_date=start.isoformat())) == 89
    end = datetime.fromisoformat(newest["requested_datetime"]) - timedelta(days=1)
    assert len(ask(spread, end_date=end.isoformat())) == 91


@pytest.mark.parametrize(("days", "seconds", "status"), [(90, 0, 200), (90, 1, 400), (0, -1, 400)])
def test_a_span_is_ninety_days_at_most(
    spread: TestClient, days: int, seconds: int, status: int
) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    end = start + timedelta(days=days, seconds=seconds)
    params = {"start_date": start.isoformat(), "end_date": end.isoformat()}
    response = spread.get(f"{BASE}/requests.xml", params=params)
    assert response.status_code == status
    if status == 400:
        assert "90 days" in assert_open311_errors(response, 400)[0]
    # Ids override all other arguments.
    named = spread.get(f"{BASE}/requests.xml", params=params | {"service_request_id": "x"})
    assert from_xml(named) == []


def test_requests_are_chosen_by_ids_over_all_else(spread: TestClient) -> None:
    first, second, *_ = ask(spread)
    ids = f"{second['service_request_id']},{uuid.uuid4()},x,{first['service_request_id']}"
    told = ask(
        spread,
        service_request_id=ids,
        service_code="0103",
        status="closed",
        start_date="2020-01-01T00:00:00Z",
    )
    assert told == [first, second]


def test_a_thousand_at_most(make_database: MakeDatabase) -> None:
    url = make_database()
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        small_city.found(session)
        session.execute(
            text("""
                WITH filed AS (
                    INSERT INTO gridsvc.report (source, source_id, received_at)
                    SELECT 'test', n, now() - make_interval(secs => n) - interval '1 minute'
                    FROM generate_series(1, 1001) AS n RETURNING id
                )
                INSERT INTO gridsvc.report_answer (report_id, number, cause, mark, reason)
                SELECT id, 1, 'intake', 'outside', 'no area covers it' FROM filed
            """)
        )
    engine.dispose()
    settings = Settings(database_url=SecretStr(url), api_keys_required=False)
    with TestClient(create_app(settings)) as client:
        told = ask(client)
    assert len(told) == 1000
    span = [datetime.fromisoformat(told[end]["requested_datetime"]) for end in (-1, 0)]
    assert span[1] - span[0] == timedelta(seconds=999)


@pytest.mark.parametrize("fmt", ["json", "xml"])
@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("requests.{}?status=solved", 400, "status"),
        ("requests.{}?start_date=yesterday", 400, "start_date"),
        ("requests.{}?start_date=2026-01-01", 400, "offset"),
        ("requests.{}?page=2", 400, "page"),
        ("requests.{}?jurisdiction_id=sfgov.org", 404, "sfgov.org"),
        ("services.{}?jurisdiction_id=sfgov.org", 404, "sfgov.org"),
        ("services/nothing.{}", 404, "nothing"),
        ("requests/nothing.{}", 404, "nothing"),
        ("requests/3c40998f-9314-4d97-8f0e-6b8c4d1d8a78.{}", 404, "3c40998f"),
        ("tokens/nothing.{}", 404, "nothing"),
        ("discovery.{}", 404, "discovery"),
    ],
)
def test_errors_have_the_standards_shape(
    spread: TestClient, fmt: str, path: str, status: int, words: str
) -> None:
    response = spread.get(f"{BASE}/{path.format(fmt)}")
    validate(response.json() if fmt == "json" else from_xml(response), "errors")
    assert words in assert_open311_errors(response, status)[0]


def test_an_unknown_format_is_told_in_xml(spread: TestClient) -> None:
    for path in ("requests.txt", "requests/x.yaml"):
        assert "xml" in assert_open311_errors(spread.get(f"{BASE}/{path}"), 400)[0]


def test_the_own_jurisdiction_may_be_named(spread: TestClient) -> None:
    named = spread.get(f"{BASE}/services.json", params={"jurisdiction_id": "small"})
    assert named.json() == spread.get(f"{BASE}/services.json").json()


def test_an_unforeseen_error_has_the_shape_too(town: str) -> None:
    app = create_app(Settings(database_url=SecretStr(town), api_keys_required=False))

    @app.get(f"{BASE}/fails.json")
    def fails() -> None:
        raise ValueError("13800001234 of 张小明")

    with TestClient(app) as client:
        (words,) = assert_open311_errors(client.get(f"{BASE}/fails.json"), 500)
        assert_problem(client.get("/v1/fails"), 404, "not-found")
    assert "13800001234" not in words
