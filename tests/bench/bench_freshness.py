"""How soon after its commit a publish is seen by everybody who asks, while the service is asked.

Two worker processes serve the made-up city. Eight callers ask without a pause; each notes when it
is first told a new revision. A publish is seen once all eight have been told: then every worker
answers from it.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import shapely
from sqlalchemy import text
from sqlalchemy.orm import Session

from gridsvc.db import create_engine
from gridsvc.grids.changesets import publish
from tests.bench.city_copy import FOUNDED_AT, copy_city
from tests.bench.made_up_city import MadeUpCity, make, on_the_millimetre
from tests.db_fixtures import MakeDatabase
from tests.factories import new_change_set, propose_area
from tests.serving import wait_until

PUBLISHES = 200
CALLERS = 8
WORKERS = 2
PATH = "/v1/responsible"


@pytest.fixture(scope="module")
def city() -> MadeUpCity:
    return make()


@pytest.fixture
def served(
    city: MadeUpCity, make_database: MakeDatabase, tmp_path: Path
) -> Iterator[tuple[str, int]]:
    url = make_database()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    copy_city(url, city)
    environment = os.environ | {
        "GRIDSVC_DATABASE_URL": url,
        "GRIDSVC_HOME": str(tmp_path),
        "GRIDSVC_API_KEYS_REQUIRED": "false",
    }
    log = (tmp_path / "log").open("w")
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", "from gridsvc.cli import app; app()", "serve"),
            *("--port", str(port), "--workers", str(WORKERS)),
        ],
        env=environment,
        stdout=log,
        stderr=log,
    )
    lon, lat = city.points(50)
    try:
        wait_until(
            lambda: any(_asked(port, *at) for at in zip(lon.tolist(), lat.tolist(), strict=True)),
            within_s=300,
        )
        yield url, port
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
        log.close()


def _asked(port: int, lon: float, lat: float) -> int:
    try:
        return asyncio.run(_ask_once(port, lon, lat))
    except (OSError, ValueError, IndexError):
        return 0


async def _ask_once(port: int, lon: float, lat: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return await _revision(reader, writer, _request(lon, lat))
    finally:
        writer.close()


def _request(lon: float, lat: float) -> bytes:
    return f"GET {PATH}?lon={lon:.6f}&lat={lat:.6f} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


async def _revision(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> int:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    body = await reader.readexactly(length)
    if not head.startswith(b"HTTP/1.1 200"):
        return 0
    return int(body.split(b'"revision":', 1)[1].split(b",", 1)[0])


async def _watch(port: int, points: list[list[float]], seconds: float) -> dict[str, object]:
    """Ask from several connections; give when each was first told each revision."""
    requests = [_request(lon, lat) for lon, lat in points]
    ended = Path(sys.argv[4]).exists
    end = time.monotonic() + seconds
    told: list[dict[int, float]] = []
    asked = 0

    async def call(n: int) -> None:
        nonlocal asked
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        seen: dict[int, float] = {}
        told.append(seen)
        k = n
        while time.monotonic() < end and not ended():
            revision = await _revision(reader, writer, requests[k % len(requests)])
            k += CALLERS
            asked += 1
            if revision:  # else the point lies outside
                seen.setdefault(revision, time.time())
        writer.close()

    await asyncio.gather(*(call(n) for n in range(CALLERS)))
    return {"asked": asked, "told": told}


def test_publishes_are_seen(served: tuple[str, int], city: MadeUpCity, tmp_path: Path) -> None:
    url, port = served
    lon, lat = city.points(2_000)
    points, ending, result = tmp_path / "points", tmp_path / "end", tmp_path / "told"
    points.write_text(json.dumps(np.column_stack([lon, lat]).tolist()))
    watching = subprocess.Popen(
        [sys.executable, __file__, str(port), str(points), str(result), str(ending)]
    )
    time.sleep(3)
    begun = time.monotonic()
    commits = _publish_all(url, city)
    took_s = time.monotonic() - begun
    time.sleep(1)
    ending.touch()
    watching.wait(timeout=60)
    told = json.loads(result.read_text())
    delays_ms = []
    for revision, at in commits.items():
        seen = [
            min(when for number, when in one.items() if int(number) >= revision)
            for one in told["told"]
        ]
        delays_ms.append((max(seen) - at) * 1000)
    p50, p99, worst = np.percentile(delays_ms, [50, 99, 100])
    print(
        f"\n{len(commits)} publishes, {told['asked'] / took_s:,.0f} answers a second meanwhile: "
        f"seen by all after p50 {p50:.1f} ms, p99 {p99:.1f} ms, at worst {worst:.1f} ms"
    )


def _publish_all(url: str, city: MadeUpCity) -> dict[int, float]:
    """Move nodes that two unit grids share, one a publish; give when each was committed."""
    units = city.layers["unit"]
    codes = dict(enumerate(units["code"]))
    rings = shapely.get_coordinates(units.geometry.to_numpy(), return_index=True)
    xy, unit = rings
    others = np.unique(
        shapely.get_coordinates(city.layers["community"].geometry.to_numpy()), axis=0
    )
    is_outer = {tuple(node) for node in others.tolist()}
    owners: dict[tuple[float, ...], set[int]] = {}
    for node, one in zip(map(tuple, xy.tolist()), unit.tolist(), strict=True):
        if node not in is_outer:
            owners.setdefault(node, set()).add(one)
    shared = [node for node, two in owners.items() if len(two) == 2]
    chosen = np.random.default_rng(5).permutation(len(shared))
    shapes = dict(enumerate(units.geometry))
    engine = create_engine(url)
    commits: dict[int, float] = {}
    for n in chosen.tolist():
        node = shared[n]
        moved = {
            one: shapely.transform(
                shapes[one],
                lambda at, node=node: np.where(
                    (at == node).all(axis=1)[:, None], on_the_millimetre(at + 0.05), at
                ),
            )
            for one in owners[node]
        }
        if not all(shape.is_valid for shape in moved.values()):
            continue
        with Session(engine) as session:
            change_set = new_change_set(session, f"node {n}")
            for one, shape in moved.items():
                area_id = session.execute(
                    text(
                        "SELECT id FROM gridsvc.area WHERE layer = 'unit' AND code = :code "
                        "AND rev_to IS NULL"
                    ),
                    {"code": codes[one]},
                ).scalar_one()
                propose_area(
                    session, change_set, "unit", codes[one], shape,
                    valid_from=FOUNDED_AT, replaces=area_id,
                )  # fmt: skip
            revision = publish(session, change_set).revision
            session.commit()
            commits[revision] = time.time()
        shapes |= moved
        if len(commits) == PUBLISHES:
            break
    engine.dispose()
    return commits


if __name__ == "__main__":
    asked_points = json.loads(Path(sys.argv[2]).read_text())
    found = asyncio.run(_watch(int(sys.argv[1]), asked_points, 900))
    Path(sys.argv[3]).write_text(json.dumps(found))
