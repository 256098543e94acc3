"""`serve`: the API and the maps, until Ctrl-C."""

import ipaddress
import os
import socket
from pathlib import Path
from typing import Annotated, Any

import typer
import uvicorn

from gridsvc.cli.cluster import start
from gridsvc.cli.commands import FAILED, Json, example
from gridsvc.cli.console import emit, say
from gridsvc.cli.database import read_settings
from gridsvc.db import create_engine
from gridsvc.errors import NothingPublished, SettingsError

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {
        "gridsvc": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        "uvicorn": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
    },
}
"""The service's own line a call; uvicorn's log of calls, which has their queries, stays off."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=example("gridsvc serve --host 0.0.0.0 --port 8000 --workers 4"))(serve)


def serve(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Processes that answer.")] = 1,
    json: Json = False,
) -> None:
    """Serve the API and the maps until Ctrl-C; starts and migrates the database if need be."""
    settings = read_settings()
    if not (settings.api_keys_required or _is_loopback(host)):
        raise typer.BadParameter(
            f"{host} is open to others, but GRIDSVC_API_KEYS_REQUIRED is off; unset it, or "
            "listen on 127.0.0.1",
            param_hint="--host",
        )
    _require_free(host, port)
    # Each worker makes its own app from the environment.
    os.environ["GRIDSVC_DATABASE_URL"] = start(settings)
    _keep_newest(settings.home, os.environ["GRIDSVC_DATABASE_URL"])
    address = f"[{host}]" if ":" in host else host
    url = f"http://{address}:{port}"
    if json:
        emit({"url": url, "workers": workers})
    else:
        say(f"Serving {url} (its calls: {url}/docs); Ctrl-C ends it.")
    try:
        uvicorn.run(
            "gridsvc.api.app:create_app",
            factory=True,
            host=host,
            port=port,
            workers=workers,
            log_config=LOGGING,
            access_log=False,
        )
    except SystemExit as ended:
        raise typer.Exit(FAILED if ended.code else 0) from ended


def _keep_newest(home: Path, url: str) -> None:
    """Lay the newest revision where workers map it, so that all share one."""
    from gridsvc.routing import kept_snapshots, live  # noqa: PLC0415  loads what answers need
    from gridsvc.routing.answering import Answerer  # noqa: PLC0415
    from gridsvc.routing.snapshot import Snapshot  # noqa: PLC0415

    engine = create_engine(url)
    folder = live.kept_folder(home, engine)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with engine.execution_options(isolation_level="REPEATABLE READ").connect() as connection:
            kept = kept_snapshots.last_kept(folder)
            snapshot = kept.advanced(connection) if kept else Snapshot.load(connection)
        kept_snapshots.keep(snapshot, folder)
        live.answer_once(Answerer(snapshot))
    except NothingPublished:
        pass
    finally:
        engine.dispose()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _require_free(host: str, port: int) -> None:
    """Say in time, and in words, that nothing can listen there.

    Raises:
        SettingsError: with what the system said.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SettingsError(
                f"{host} port {port} cannot be listened on: {error.strerror}",
                remedy="Choose another with --host and --port",
            ) from error
