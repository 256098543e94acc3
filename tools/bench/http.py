"""Single answers over HTTP, beside a bare reply of the same bytes on the same server.

Each server has one process on one core; the client, on another, keeps 16 connections busy. It
reads replies without a library, because it must be faster than what it measures.
"""

import os
import selectors
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from typing import Any, cast

import numpy as np

from tools.bench.cities import ROOT
from tools.bench.ground import Ground

CONNECTIONS = 16
STARTED_WITHIN_S = 90.0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _serving(app: str, ground: Ground, core: int, **environment: str) -> Iterator[int]:
    """Serve an app as `gridsvc serve` does, in a process of its own; gives the port."""
    port = _free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "tools.bench.servers", app, str(port), str(core)],
        cwd=ROOT,
        env=os.environ
        | {
            "GRIDSVC_DATABASE_URL": ground.url,
            "GRIDSVC_API_KEYS_REQUIRED": "false",
            "GRIDSVC_ESCALATION_INTERVAL_S": "0",
        }
        | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            _wait(server, port, "/v1/responsible?lon=0&lat=0")
            yield port
        finally:
            server.terminate()
            server.wait(20)


def _wait(server: subprocess.Popen[bytes], port: int, path: str) -> None:
    end = time.monotonic() + STARTED_WITHIN_S
    while time.monotonic() < end:
        if server.poll() is not None:
            raise RuntimeError(f"the server ended with {server.returncode} before it was ready")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5).close()
        except urllib.error.HTTPError as error:
            if error.code < HTTPStatus.INTERNAL_SERVER_ERROR:
                return
            time.sleep(0.2)
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError(f"no server within {STARTED_WITHIN_S:.0f} s")


def single_answers(
    ground: Ground, seconds: float, rounds: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """Compare servers, in turn, round by round.

    Returns:
        Answers a second and latencies of each, and ours as a share of the bare reply.
    """
    lon, lat = ground.points(1_000, seed=5)
    paths = [f"/v1/responsible?lon={x:.7f}&lat={y:.7f}" for x, y in zip(lon, lat, strict=True)]
    cores = sorted(os.sched_getaffinity(0))
    with ExitStack() as running:
        ours = running.enter_context(_serving("gridsvc", ground, cores[0]))
        paths = [path for path in paths if _get(ours, path) is not None]
        body = statistics.mode([len(_get(ours, path) or b"") for path in paths[:50]])
        example = next(
            reply for path in paths if (reply := _get(ours, path)) and len(reply) == body
        )
        reply = ROOT / "out" / "bench-reply.json"
        reply.parent.mkdir(exist_ok=True)
        reply.write_bytes(example)
        ports = {"gridsvc": ours}
        for name in ("bare ASGI", "FastAPI, pooled SQL"):
            server = _serving(name, ground, cores[0], GRIDSVC_BENCH_REPLY=str(reply))
            ports[name] = running.enter_context(server)
        os.sched_setaffinity(0, {cores[-1]})
        try:
            requests = [f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode() for path in paths]
            runs: dict[str, list[tuple[float, np.ndarray]]] = {name: [] for name in ports}
            for number in range(rounds + 1):
                for name, port in ports.items():
                    run = _load(port, requests, seconds if number else min(seconds, 1.0))
                    if number:  # the first round warms up
                        runs[name].append(run)
                        say(f"HTTP round {number}, {name}: {run[0]:,.0f}/s")
        finally:
            os.sched_setaffinity(0, cores)
    rows = [
        {
            "name": name,
            "answers_s": statistics.median(rate for rate, _ in of),
            "p50_ms": float(np.percentile(np.concatenate([ms for _, ms in of]), 50)),
            "p99_ms": float(np.percentile(np.concatenate([ms for _, ms in of]), 99)),
        }
        for name, of in runs.items()
    ]

    def ratio(other: str) -> float:
        pairs = zip(runs["gridsvc"], runs[other], strict=True)
        return statistics.median(a[0] / b[0] for a, b in pairs)

    return {
        "bytes": body,
        "connections": CONNECTIONS,
        "servers": rows,
        "share_of_bare": ratio("bare ASGI"),
        "times_sql": ratio("FastAPI, pooled SQL"),
    }


def _get(port: int, path: str) -> bytes | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as reply:
            body: bytes = reply.read()
            return body
    except urllib.error.HTTPError:
        return None  # a point outside the city


def _load(port: int, requests: Sequence[bytes], seconds: float) -> tuple[float, np.ndarray]:
    """Keep the connections busy; gives answers a second and each one's milliseconds."""
    took: list[float] = []
    number = 0
    with selectors.DefaultSelector() as waiting, ExitStack() as open_ones:
        begun = time.perf_counter()
        for _ in range(CONNECTIONS):
            connection = open_ones.enter_context(socket.create_connection(("127.0.0.1", port)))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # What was read of the reply, how long it will be, when the request left.
            waiting.register(connection, selectors.EVENT_READ, [b"", -1, time.perf_counter()])
            connection.sendall(requests[number % len(requests)])
            number += 1
        end = begun + seconds
        while (now := time.perf_counter()) < end:
            for key, _ in waiting.select(1.0):
                state, connection = key.data, cast("socket.socket", key.fileobj)
                state[0] += connection.recv(65536)
                if state[1] < 0:
                    head = state[0].find(b"\r\n\r\n")
                    if head < 0:
                        continue
                    if not state[0].startswith(b"HTTP/1.1 200"):
                        raise RuntimeError(state[0][:200].decode("latin-1"))
                    length = state[0].lower().index(b"content-length:") + 15
                    size = int(state[0][length : state[0].index(b"\r\n", length)])
                    state[1] = head + 4 + size
                if len(state[0]) >= state[1]:
                    now = time.perf_counter()
                    took.append((now - state[2]) * 1000)
                    state[:] = [b"", -1, now]
                    connection.sendall(requests[number % len(requests)])
                    number += 1
    return len(took) / (now - begun), np.array(took)
