"""The app itself, served on a free port of loopback to programs that know nothing of Python."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import httpx2 as httpx
import pytest
import uvicorn
from pydantic import SecretStr

from gridsvc.api.app import create_app
from gridsvc.settings import Settings

Serve = Callable[..., str]


@pytest.fixture(scope="session")
def serve() -> Iterator[Serve]:
    """Serve the app over a database; gives its address."""
    with ExitStack() as running:

        def start(url: str, *, api_keys_required: bool = False) -> str:
            settings = Settings(database_url=SecretStr(url), api_keys_required=api_keys_required)
            server = uvicorn.Server(
                uvicorn.Config(create_app(settings), port=0, log_config=None, ws="none")
            )
            thread = threading.Thread(target=server.run, daemon=True)
            thread.start()

            def stop() -> None:
                server.should_exit = True
                thread.join(timeout=10)

            running.callback(stop)
            wait_until(lambda: server.started or not thread.is_alive())
            port = server.servers[0].sockets[0].getsockname()[1]
            return f"http://127.0.0.1:{port}"

        yield start


def wait_until(ready: Callable[[], bool], *, within_s: float = 20) -> None:
    """Wait for something that happens elsewhere."""
    end = time.monotonic() + within_s
    while not ready():
        assert time.monotonic() < end, f"not ready within {within_s} s"
        time.sleep(0.02)


@dataclass(frozen=True, slots=True)
class Served:
    """An app in processes of its own.

    Attributes:
        address: Where it answers.
        process: The server, or the parent of its workers.
    """

    address: str
    process: subprocess.Popen[bytes]


@contextmanager
def serve_apart(url: str, *, processes: int = 1) -> Iterator[Served]:
    """Serve the app over a database, without keys, in processes of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    asked = ("gridsvc.api.app:create_app", "--factory", "--port", str(port), "--no-access-log")
    workers = ("--workers", str(processes)) if processes > 1 else ()
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", *asked, *workers],
        env=os.environ
        | {
            "GRIDSVC_DATABASE_URL": url,
            "GRIDSVC_API_KEYS_REQUIRED": "false",
            "GRIDSVC_ESCALATION_INTERVAL_S": "1",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    served = Served(f"http://127.0.0.1:{port}", process)
    try:
        wait_until(lambda: _is_ready(served), within_s=60)
        yield served
    finally:
        process.terminate()
        process.wait(timeout=30)


def _is_ready(served: Served) -> bool:
    assert served.process.poll() is None, "the server ended"
    try:
        return httpx.get(f"{served.address}/readyz").status_code == 200
    except httpx.TransportError:
        return False
