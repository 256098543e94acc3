"""Clients that file reports, in processes of their own: past HTTP, or over it.

`python -m tests.bench.filing_clients past URL CLIENTS SECONDS` files into a database by the code
that the API runs, with answers from memory; `… over ADDRESS CLIENTS SECONDS` over HTTP. Each gets
ready, says so in a line, begins at the next line of its input, and writes a line of JSON: how many
were filed, the milliseconds that each took, and the processor time.
"""

import asyncio
import random
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from functools import partial

import orjson

from gridsvc.api.app import SERVICE_ROLE
from gridsvc.crs import to_wgs84
from gridsvc.db import create_engine
from gridsvc.reports.intake import Draft, Sent
from gridsvc.reports.shared_commits import taking_in
from gridsvc.reports.terms import Channel
from gridsvc.routing.live import Live
from tests.factories import EAST_M, NORTH_M, STORAGE

WARM_UP_S = 1.5
WORDS = "渣土 on the pavement, half the width"

FileOne = Callable[[], Awaitable[None]]


def told() -> dict[str, object]:
    """A report of the small city, somewhere in its first street."""
    lon, lat = to_wgs84(
        EAST_M + random.uniform(0, 1000), NORTH_M + random.uniform(0, 1000), crs=STORAGE
    )
    return {"lon": float(lon), "lat": float(lat), "category": "0201", "description": WORDS}


async def work(files: list[FileOne]) -> None:
    """Let each client file again and again, one report after the other."""
    took_ms: list[float] = []
    end = time.perf_counter() + WARM_UP_S

    async def client(file: FileOne) -> None:
        while (began := time.perf_counter()) < end:
            await file()
            took_ms.append((time.perf_counter() - began) * 1000)

    await asyncio.gather(*map(client, files))
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    took_ms.clear()
    began, began_cpu = time.perf_counter(), time.process_time()
    end = began + float(sys.argv[4])
    await asyncio.gather(*map(client, files))
    figures = {
        "took_s": time.perf_counter() - began,
        "cpu_s": time.process_time() - began_cpu,
        "took_ms": took_ms,
    }
    print(orjson.dumps(figures).decode(), flush=True)


def past_http(url: str, clients: int) -> None:
    """File by the code that the API runs."""
    make_engine = partial(create_engine, url, role=SERVICE_ROLE)
    engine = make_engine()
    with engine.connect() as connection:
        live = Live()
        live.refresh(connection)
    engine.dispose()

    async def run() -> None:
        with taking_in(make_engine, answer_each=live.answer_newest) as intake:

            async def file() -> None:
                where = told()
                draft = Draft(
                    x=where["lon"],  # type: ignore[arg-type]
                    y=where["lat"],  # type: ignore[arg-type]
                    channel=Channel.PATROL,
                    category="0201",
                    description=WORDS,
                )
                filed = await intake.file(
                    Sent(draft=draft, idempotency_key=str(uuid.uuid4()), caller="desk")
                )
                assert filed.created
                assert filed.case

            await work([file] * clients)

    asyncio.run(run())


def over_http(address: str, clients: int) -> None:
    """File over HTTP, each client on a connection that it keeps."""
    host, port = address.removeprefix("http://").split(":")

    async def connected() -> FileOne:
        reader, writer = await asyncio.open_connection(host, int(port))

        async def file() -> None:
            body = orjson.dumps(told() | {"channel": "patrol"})
            head = (
                f"POST /v1/reports HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
                f"Idempotency-Key: {uuid.uuid4()}\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 201 "), answer
            length = answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))

        return file

    async def run() -> None:
        await work([await connected() for _ in range(clients)])

    asyncio.run(run())


if __name__ == "__main__":
    {"past": past_http, "over": over_http}[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
