"""Durable reports a second with 64 clients: in the database layer, and over HTTP.

A report is stored with its answer, its case, the case's event and its membership, and confirmed
after the commit that it shares. The peer is how reports were filed before: each in a transaction
of its own, by as many threads as a process had. All run in turn, and medians are told.
"""

import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import orjson
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from gridsvc.api.app import SERVICE_ROLE
from gridsvc.db import create_engine
from gridsvc.reports.intake import Draft, file_report
from gridsvc.reports.terms import Channel
from tests import small_city
from tests.db_fixtures import MakeDatabase
from tests.serving import serve_apart
from tools.city_year.meter import Meter

CLIENTS = 64
FOR_S = 5
ROUNDS = 3

Rate = tuple[float, float, float, float]
"""Reports a second; half of them and 99 of 100 took at most so many ms; processor time of each, ms,
of the processes that the clients are in."""


def test_intake(make_database: MakeDatabase) -> None:
    url = make_database()
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        small_city.found(session)
    with engine.connect() as connection:
        durable = {
            name: connection.scalar(text(f"SHOW {name}"))
            for name in ("server_version", "fsync", "synchronous_commit")
        }
    ways: dict[str, Callable[[], Rate]] = {
        "one commit a report, 16 threads": partial(one_by_one, url),
        "shared commits, 1 process": partial(clients, "past", url, processes=1),
        "shared commits, 2 processes": partial(clients, "past", url, processes=2),
        "over HTTP, 1 server process": partial(over_http, url, processes=1),
        "over HTTP, 2 server processes": partial(over_http, url, processes=2),
    }
    rates: dict[str, list[tuple[float, ...]]] = {name: [] for name in ways}
    with Meter(engine) as meter:
        for _ in range(ROUNDS):
            for name, way in ways.items():
                before = stored(engine)
                rate = way()
                meter.lap(name)
                postgres_ms = meter.laps[-1].postgres_s * 1000 / (stored(engine) - before)
                rates[name].append((*rate, postgres_ms))
    engine.dispose()
    print(f"\n{CLIENTS} clients, PostgreSQL: {durable}")
    for name, found in rates.items():
        rate, p50, p99, cpu, postgres = (
            statistics.median(column) for column in zip(*found, strict=True)
        )
        print(
            f"  {name}: {rate:,.0f} reports/s, median {p50:.1f} ms, p99 {p99:.1f} ms; processor"
            f" time of each: {cpu:.3f} ms with the clients, {postgres:.3f} ms in PostgreSQL"
        )


def stored(engine: Engine) -> int:
    """Count all reports."""
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM gridsvc.report")).scalar_one())


def over_http(url: str, *, processes: int) -> Rate:
    with serve_apart(url, processes=processes) as served:
        return clients("over", served.address, processes=1)


def clients(how: str, where: str, *, processes: int) -> Rate:
    """Let clients in processes of their own file at once."""
    asked = (sys.executable, "-m", "tests.bench.filing_clients", how, where)
    working = [
        subprocess.Popen(
            [*asked, str(CLIENTS // processes), str(FOR_S)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(processes)
    ]
    for process in working:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    outputs: list[str] = []

    def finish(process: subprocess.Popen[str]) -> None:
        outputs.append(process.communicate("go\n")[0])

    threads = [threading.Thread(target=finish, args=(process,)) for process in working]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    figures = [orjson.loads(output) for output in outputs]
    took_ms = np.concatenate([one["took_ms"] for one in figures])
    return (
        sum(len(one["took_ms"]) / one["took_s"] for one in figures),
        float(np.median(took_ms)),
        float(np.percentile(took_ms, 99)),
        sum(one["cpu_s"] for one in figures) / len(took_ms) * 1000,
    )


def one_by_one(url: str) -> Rate:
    """File in transactions of their own, answered by SQL."""
    engine = create_engine(url, role=SERVICE_ROLE, pool_size=16)
    end = time.perf_counter() + FOR_S
    took_ms: list[float] = []

    def client() -> None:
        place = small_city.YARD
        draft = Draft(x=place["lon"], y=place["lat"], channel=Channel.PATROL, category="0201")
        while (began := time.perf_counter()) < end:
            with Session(engine) as session, session.begin():
                file_report(session, draft, idempotency_key=str(uuid.uuid4()), caller="desk")
            took_ms.append((time.perf_counter() - began) * 1000)

    began, began_cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(16) as pool:
        for done in [pool.submit(client) for _ in range(16)]:
            done.result()
    rate = len(took_ms) / (time.perf_counter() - began)
    cpu_ms = (time.process_time() - began_cpu) / len(took_ms) * 1000
    engine.dispose()
    return rate, float(np.median(took_ms)), float(np.percentile(took_ms, 99)), cpu_ms
