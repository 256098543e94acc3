"""`up`, `down` and `status`: the database that all the rest works on."""

from typing import Any

import typer
from sqlalchemy import text
from sqlalchemy.orm import Session

from gridsvc.cli.commands import Json, example
from gridsvc.cli.console import console, emit, progress, say, table
from gridsvc.cli.database import make_engine, open_engine, place, read_settings
from gridsvc.db import migrate
from gridsvc.embedded import Cluster
from gridsvc.errors import SettingsError
from gridsvc.grids.areas import list_layers
from gridsvc.grids.changesets import latest_revision
from gridsvc.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog=example("gridsvc up"))(up)
    app.command(epilog=example("gridsvc down"))(down)
    app.command(epilog=example("gridsvc status --json"))(status)


def start(settings: Settings) -> str:
    """Start the embedded database unless another is named, migrate it, and give its URL."""
    with progress("Starting the database") as tick:
        url = (
            settings.database_url.get_secret_value()
            if settings.database_url
            else Cluster(settings.home).start()
        )
        tick.label("Migrating")
        engine = make_engine(url)
        try:
            migrate(engine)
        finally:
            engine.dispose()
    return url


def up(*, json: Json = False) -> None:
    """Start the embedded database and migrate it; with GRIDSVC_DATABASE_URL only migrate that."""
    settings = read_settings()
    url = start(settings)
    if json:
        emit({"state": "running", "embedded": not settings.database_url, "database": place(url)})
    else:
        say(f"The database is up: {place(url)}")


def down(*, json: Json = False) -> None:
    """Stop the embedded database; what it holds stays."""
    settings = read_settings()
    if settings.database_url:
        raise SettingsError(
            "GRIDSVC_DATABASE_URL names a server that gridsvc did not start",
            remedy="Unset it to stop the embedded database, or stop that server by its own means",
        )
    with progress("Stopping the database"):
        ran = Cluster(settings.home).stop()
    if json:
        emit({"state": "stopped", "was_running": ran})
    else:
        say("The database is stopped." if ran else "The database was not running.")


def status(*, json: Json = False) -> None:
    """Show the database, the city in it and the revision it serves."""
    settings = read_settings()
    told: dict[str, Any] = {"embedded": not settings.database_url}
    if settings.database_url:
        told |= {"state": "running"}
    else:
        cluster = Cluster(settings.home)
        found = cluster.status()
        told |= {"state": found.state, "folder": str(cluster.base), "port": found.port}
    if told["state"] in ("running", "starting"):
        told |= _contents()
    if json:
        emit(told)
        return
    lines = table("", "")
    lines.show_header = False
    for name, value in told.items():
        shown = ", ".join(value) if isinstance(value, list) else value
        lines.add_row(name.replace("_", " "), "none" if shown in (None, "") else str(shown))
    console().print(lines)
    if told["state"] in ("absent", "stopped"):
        say("Start it with `gridsvc up`.")


def _contents() -> dict[str, Any]:
    with open_engine() as engine, Session(engine) as session:
        return {
            "database": place(engine.url),
            "postgis": session.scalar(text("SELECT postgis_lib_version()")),
            "scheme": session.scalar(
                text("SELECT code FROM gridsvc.scheme ORDER BY id DESC LIMIT 1")
            ),
            "layers": [layer.code for layer in list_layers(session)],
            "revision": latest_revision(session) or None,
            "open_change_sets": list(
                session.scalars(
                    text(
                        "SELECT name FROM gridsvc.change_set"
                        " WHERE state IN ('open', 'checked') ORDER BY name"
                    )
                )
            ),
        }
