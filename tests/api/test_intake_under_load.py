"""A server that is killed while 64 clients file: what it has confirmed is there, once each."""

import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx2 as httpx
import psycopg

from tests import small_city
from tests.db_fixtures import MakeDatabase
from tests.fifty_clients import found_city
from tests.serving import Served, serve_apart

CLIENTS = 64
FOR_S = 2.0


def body(n: int) -> dict[str, object]:
    """A report; those of one class join by themselves, and all places are near each other."""
    east_m, north_m = 110 + n * 7 % 180, 110 + n * 13 % 180
    place = small_city.place(east_m=east_m, north_m=north_m)
    return place | {"channel": "patrol", "category": ("0102", "0201")[n % 2]}


def file(http: httpx.Client, key: str, n: int) -> httpx.Response:
    return http.post("/v1/reports", json=body(n), headers={"Idempotency-Key": key})


def work(served: Served, n: int, sent: dict[str, int], confirmed: dict[str, str]) -> None:
    """File until the server is gone; notes a key before it is sent, an id once it is confirmed."""
    with httpx.Client(base_url=served.address, timeout=30) as http:
        while True:
            key = str(uuid.uuid4())
            sent[key] = n
            try:
                answer = file(http, key, n)
            except httpx.TransportError:
                return
            assert answer.status_code == 201, answer.text
            confirmed[key] = answer.json()["id"]


def test_a_killed_server_has_lost_no_report_that_it_confirmed(make_database: MakeDatabase) -> None:
    url = make_database()
    found_city(url)
    sent: dict[str, int] = {}
    confirmed: dict[str, str] = {}
    with serve_apart(url) as served, ThreadPoolExecutor(CLIENTS) as pool:
        working = [pool.submit(work, served, n, sent, confirmed) for n in range(CLIENTS)]
        time.sleep(FOR_S)
        served.process.kill()
        for done in working:
            done.result()
    assert len(confirmed) > CLIENTS
    # Each client was in the middle of a call when the server ended.
    unsure = sent.keys() - confirmed.keys()
    assert unsure
    with psycopg.connect(url) as connection:
        stored = dict(
            connection.execute("SELECT source_id, id::text FROM gridsvc.report").fetchall()
        )
        assert confirmed.items() <= stored.items()
        assert stored.keys() <= sent.keys()
    # Whoever was not told asks again, and it is one report still.
    with serve_apart(url) as served, httpx.Client(base_url=served.address) as http:
        for key in unsure:
            answer = file(http, key, sent[key])
            assert answer.status_code == (200 if key in stored else 201)
            confirmed[key] = answer.json()["id"]
    with psycopg.connect(url) as connection:
        assert confirmed == dict(
            connection.execute("SELECT source_id, id::text FROM gridsvc.report").fetchall()
        )
        # None was stored by halves.
        by_halves = connection.execute(
            "SELECT count(*) FROM gridsvc.report AS r"
            " FULL JOIN gridsvc.report_answer AS a ON a.report_id = r.id"
            " FULL JOIN gridsvc.case_report AS b ON b.report_id = r.id"
            " WHERE r.id IS NULL OR a.report_id IS NULL OR b.report_id IS NULL"
        ).fetchone()
        assert by_halves == (0,)
        counts = connection.execute(
            "SELECT c.id, c.report_count, c.last_event FROM gridsvc.case AS c"
        ).fetchall()
        belongs = Counter(
            case_id for (case_id,) in connection.execute("SELECT case_id FROM gridsvc.case_report")
        )
        assert belongs == {case_id: reports for case_id, reports, _ in counts}
        assert max(belongs.values()) > 1
