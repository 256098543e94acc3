"""`qgis package`: what a planner opens in QGIS Desktop."""

from pathlib import Path
from typing import Annotated

import typer

from gridsvc.cli.commands import Json, example
from gridsvc.cli.console import console, emit, say, table
from gridsvc.cli.database import database_url, open_session, read_settings
from gridsvc.qgis.package import (
    GUIDE_FILE,
    PROJECT_FILE,
    SERVICE,
    SERVICE_FILE,
    address,
    write_package,
)
from gridsvc.qgis.project import title

app = typer.Typer(help="Planners' QGIS.", no_args_is_help=True)


@app.callback(epilog=example("gridsvc qgis package planners --host gis.example.org"))
def _group() -> None:
    """Planners' QGIS: a project of the city's layers that edits them in change sets."""


@app.command(
    epilog=example(
        "gridsvc qgis package planners",
        "gridsvc qgis package planners --host gis.example.org --port 5432",
    )
)
def package(  # noqa: PLR0913 -- the options of the command
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder, new or empty.")],
    *,
    host: Annotated[
        str | None,
        typer.Option(help="Where planners' machines reach the database, if not as gridsvc does."),
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The same of its port.")
    ] = None,
    dbname: Annotated[str | None, typer.Option(help="The same of the database's name.")] = None,
    service: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="What the connection is called there; planners of several cities need several.",
        ),
    ] = SERVICE,
    json: Json = False,
) -> None:
    """Write the project, the service file and a one-page guide for planners.

    No login and no password is in it: each planner has their own (`gridsvc planner add`).
    """
    if not service.isascii() or not service.replace("_", "").replace("-", "").isalnum():
        raise typer.BadParameter(
            f"{service!r} is no name for a connection; use letters, digits, _ and -",
            param_hint="--service",
        )
    to = address(database_url(read_settings()), host=host, port=port, dbname=dbname)
    with open_session() as session:
        scheme = write_package(session, folder, to=to, service=service)
    place = f"{to.host}, port {to.port}, database {to.dbname}"
    if json:
        emit(
            {
                "folder": str(folder),
                "scheme": scheme.code,
                "files": [PROJECT_FILE, SERVICE_FILE, GUIDE_FILE],
                "service": service,
                "host": to.host,
                "port": to.port,
                "dbname": to.dbname,
            }
        )
        return
    say(f"The QGIS package of {title(scheme.title, scheme.code)} is in {folder}:")
    grid = table("", "")
    grid.show_header = False
    grid.add_row(PROJECT_FILE, "the project: all layers of the city, styled, ready to edit")
    grid.add_row(SERVICE_FILE, f"the way to the database: {place}; no password")
    grid.add_row(GUIDE_FILE, "for the planner, in Chinese and English, with pictures")
    console().print(grid)
    if to.is_here_only:
        say(
            f"{to.host} is this machine alone. For planners elsewhere write it again with --host.",
            style="yellow",
        )
    say(
        "Next: `gridsvc planner add NAME --streets CODES` makes a login; hand the planner the "
        f"folder {folder}."
    )
