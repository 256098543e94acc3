"""The app itself, served on a free port of loopback to programs that know nothing of Python."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

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
