"""The newest revision in every process: fresh at once, never two mixed, there when all is dark."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import orjson
import pytest
import shapely
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from gridsvc.api.app import create_app
from gridsvc.api.located import LOG_EVERY_S, PATH
from gridsvc.api.responsible import Answer
from gridsvc.crs import from_wgs84
from gridsvc.db import create_engine, migrate
from gridsvc.embedded import Cluster
from gridsvc.grids.changesets import publish
from gridsvc.grids.keys import create_key, revoke_key
from gridsvc.routing import kept_snapshots
from gridsvc.routing.live import LOOK_EVERY_S, REVISIONS, Live, following, kept_folder
from gridsvc.routing.router import Question
from gridsvc.routing.snapshot import Snapshot
from gridsvc.settings import Settings
from tests import small_city
from tests.db_fixtures import MakeDatabase
from tests.factories import live_area, new_change_set, propose_area, propose_holder, propose_party
from tests.serving import Serve, wait_until

SHOPS_GCJ02 = from_wgs84(small_city.SHOPS["lon"], small_city.SHOPS["lat"], crs="gcj02")
WITHIN_S = 5.0  # generous: other tests may keep the machine busy


@pytest.fixture
def town(make_database: MakeDatabase) -> Iterator[tuple[str, Engine]]:
    """A small city of the test's own, to be changed."""
    url = make_database()
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        small_city.found(session)
    yield url, engine
    engine.dispose()


def change_manager(engine: Engine, number: int) -> int:
    """Publish a new name of street S2 and a new manager of it, both telling the same number."""
    with Session(engine) as session, session.begin():
        change_set = new_change_set(session, f"change {number}")
        row = session.execute(
            text("SELECT boundary FROM gridsvc.area WHERE id = :id"),
            {"id": live_area(session, "S2")},
        )
        shape = shapely.from_wkb(row.scalar_one())
        propose_area(
            session, change_set, "street", "S2", shape,
            name=f"street {number}", replaces=live_area(session, "S2"),
        )  # fmt: skip
        held = session.execute(
            text(
                "SELECT id FROM gridsvc.assignment WHERE area_code = 'S2' AND duty = 'management' "
                "AND rev_to IS NULL"
            )
        ).scalar_one()
        propose_party(session, change_set, f"M{number}")
        propose_holder(
            session, change_set, f"M{number}", "street", "S2", duty="management", replaces=held
        )
        return publish(session, change_set).revision


def asking(address: str) -> Callable[[], dict[str, Any]]:
    def ask() -> dict[str, Any]:
        response = httpx.get(f"{address}{PATH}", params=small_city.OPEN_STREET)
        assert response.status_code == 200, response.text
        told: dict[str, Any] = response.json()
        return told

    return ask


def test_is_fresh_soon_after_each_commit(town: tuple[str, Engine], serve: Serve) -> None:
    url, engine = town
    ask = asking(serve(url))
    for number in range(5):
        revision = change_manager(engine, number)
        wait_until(lambda wanted=revision: ask()["revision"] >= wanted, within_s=WITHIN_S)
        assert ask()["management"]["party"]["code"] == f"M{number}"


def test_no_answer_mixes_two_revisions(town: tuple[str, Engine], serve: Serve) -> None:
    url, engine = town
    address = serve(url)
    first = change_manager(engine, 0)
    wait_until(lambda: asking(address)()["revision"] >= first, within_s=WITHIN_S)
    told: list[tuple[int, str, str]] = []
    done = threading.Event()

    def watch() -> None:
        ask = asking(address)
        while not done.is_set():
            answer = ask()
            told.append(
                (
                    answer["revision"],
                    answer["areas"]["street"]["name"],
                    answer["management"]["party"]["code"],
                )
            )

    threads = [threading.Thread(target=watch) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(1, 16):
        change_manager(engine, number)
    last = first + 15
    wait_until(lambda: any(revision >= last for revision, *_ in told[-9:]), within_s=WITHIN_S)
    done.set()
    for thread in threads:
        thread.join()
    assert len({revision for revision, *_ in told}) > 5, "the publishes were not seen one by one"
    assert {
        (revision, f"street {revision - first}", f"M{revision - first}") for revision, *_ in told
    } == set(told)


def test_a_lost_message_only_delays(town: tuple[str, Engine]) -> None:
    _url, engine = town
    live = Live()
    reading = engine.execution_options(isolation_level="REPEATABLE READ")
    # Nobody ever tells anything on this channel.
    with following(reading, {"gridsvc_silence": live.refresh}, lost=live.lose):
        revision = change_manager(engine, 1)
        begun = time.monotonic()
        wait_until(
            lambda: live.answerer is not None and live.answerer.snapshot.revision == revision,
            within_s=WITHIN_S,
        )
        assert time.monotonic() - begun < LOOK_EVERY_S + WITHIN_S / 2


def test_is_there_before_anything_is_published(make_database: MakeDatabase, serve: Serve) -> None:
    url = make_database()
    address = serve(url)
    assert httpx.get(f"{address}{PATH}", params=small_city.YARD).status_code == 503
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        small_city.found(session)
    engine.dispose()
    wait_until(
        lambda: httpx.get(f"{address}{PATH}", params=small_city.YARD).status_code == 200,
        within_s=WITHIN_S,
    )


def test_answers_from_disk_and_says_so_while_the_database_is_away(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "home")
    url = cluster.start()
    engine = create_engine(url)
    try:
        migrate(engine)
        with Session(engine) as session, session.begin():
            small_city.found(session)
        folder = kept_folder(tmp_path, engine)
        with engine.connect() as connection:
            kept_snapshots.keep(Snapshot.load(connection), folder)
        engine.dispose()
        cluster.stop()
        settings = Settings(database_url=SecretStr(url), api_keys_required=False, home=tmp_path)
        with TestClient(create_app(settings)) as client:
            dark = client.get(PATH, params=small_city.YARD)
            assert dark.status_code == 200
            assert dark.json()["stale"] is True
            assert dark.json()["responsible"]["party"]["code"] == "P1"
            outside = client.get(PATH, params=small_city.OUTSIDE)
            assert outside.status_code == 404
            assert client.get("/readyz").status_code == 503
            cluster.start()
            wait_until(
                lambda: client.get(PATH, params=small_city.YARD).json()["stale"] is False,
                within_s=20,
            )
            cluster.stop()
            wait_until(
                lambda: client.get(PATH, params=small_city.YARD).json()["stale"] is True,
                within_s=20,
            )
    finally:
        cluster.stop()


def test_a_key_is_known_and_refused_soon(town: tuple[str, Engine], serve: Serve) -> None:
    url, engine = town
    address = serve(url, api_keys_required=True)
    with Session(engine) as session, session.begin():
        token, _ = create_key(session, name="dispatch", scopes=["locate"])

    def status() -> int:
        return httpx.get(
            f"{address}{PATH}",
            params=small_city.YARD,
            headers={"Authorization": f"Bearer {token}"},
        ).status_code

    assert status() == 200, "a new key is known from the commit on"
    with Session(engine) as session, session.begin():
        revoke_key(session, name="dispatch")
    wait_until(lambda: status() == 401, within_s=WITHIN_S)


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"category": "0102"},
        {"at": "2026-03-04T08:00:00+08:00"},
        {"crs": "gcj02"} | dict(zip(("lon", "lat"), map(str, SHOPS_GCJ02), strict=True)),
        {"accuracy_m": "30"},
        {"accuracy_m": "0"},
    ],
)
def test_tells_what_the_route_tells(client: TestClient, query: dict[str, str]) -> None:
    """The answer in front of the framework is that of the route, which the document describes."""
    params = small_city.SHOPS | query | ({} if "at" in query else {"at": "2026-11-01T00:00:00Z"})
    fast = client.get(PATH, params=params)
    # A parameter given twice is not sure to be answered, so the route answers.
    route = client.get(PATH, params=[*params.items(), ("lon", params["lon"])])
    assert fast.status_code == route.status_code == 200
    assert fast.content == route.content
    assert fast.headers["content-type"] == route.headers["content-type"]
    Answer.model_validate(orjson.loads(fast.content))


def test_logs_each_call_without_its_place(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="gridsvc.api.requests"):
        told = client.get(PATH, params=small_city.YARD, headers={"X-Request-ID": "a-b.c"})
        assert told.headers["X-Request-ID"] == "a-b.c"
        wait_until(lambda: "a-b.c" in caplog.text, within_s=LOG_EVERY_S + WITHIN_S)
    line = next(line for line in caplog.messages[-1].splitlines() if "a-b.c" in line)
    logged = orjson.loads(line)
    assert logged.pop("ms") >= 0
    assert logged == {"method": "GET", "route": PATH, "status": 200, "request_id": "a-b.c"}


def test_asks_the_past_of_the_database(client: TestClient) -> None:
    early = client.get(PATH, params=small_city.YARD | {"at": "2020-01-01T00:00:00Z"})
    assert early.status_code == 422
    assert early.json()["type"].endswith("before-first-revision")


def test_answers_many_as_one_by_one(town: tuple[str, Engine]) -> None:
    _, engine = town
    live = Live()
    reading = engine.execution_options(isolation_level="REPEATABLE READ")
    questions = [
        Question(x=point["lon"], y=point["lat"], crs="EPSG:4326")
        for point in (small_city.YARD, small_city.OUTSIDE, small_city.SHOPS)
    ]
    with (
        following(reading, {REVISIONS: live.refresh}, lost=live.lose),
        Session(reading) as session,
    ):
        yard, outside, shops = live.answer_each(session, questions)
        (revealed,) = live.answer_each(session, questions[:1], reveal=True)
    assert isinstance(yard, dict)
    assert yard["responsible"]["party"]["name"] == "张**"
    assert isinstance(revealed, dict)
    assert revealed["responsible"]["party"]["name"] == "张小明"
    assert isinstance(shops, dict)
    assert type(outside).__name__ == "OutsideServiceArea"


def test_batches_tell_what_the_route_tells(client: TestClient) -> None:
    at = "2026-11-01T00:00:00Z"
    points = [
        {"id": "yard", **small_city.YARD, "at": at},
        {"id": "shops", **small_city.SHOPS, "at": at, "category": "0102", "accuracy_m": 30},
        {"id": "outside", **small_city.OUTSIDE, "at": at},
        {"id": None, "lon": 1.0, "lat": 1e9, "at": at},
        {**small_city.OPEN_STREET, "at": at, "crs": "gcj02"},
    ]
    fast = client.post(PATH, json={"points": points})
    # With a parameter of the content type it is not sure to be answered, so the route answers.
    route = client.post(
        PATH,
        content=orjson.dumps({"points": points}),
        headers={"Content-Type": "application/json; charset=utf-8"},
    )
    assert fast.status_code == route.status_code == 200
    assert fast.json() == route.json()


@pytest.mark.parametrize("body", [b"", b"{", b'{"points": [{"lon": "x"}]}', b'{"point": []}'])
def test_batches_that_are_wrong_are_told_by_the_route(client: TestClient, body: bytes) -> None:
    told = client.post(PATH, content=body, headers={"Content-Type": "application/json"})
    assert told.status_code in {400, 422}
    assert told.json()["type"].startswith("urn:gridsvc:problem:")


def test_a_batch_that_is_too_long_is_refused(client: TestClient) -> None:
    told = client.post(
        PATH, content=b" " * (9 * 1024 * 1024), headers={"Content-Type": "application/json"}
    )
    assert told.status_code == 413
