"""The command line: the same calls as the API's, from a shell; each file holds one noun."""

from importlib.metadata import version
from typing import Annotated

import typer

from gridsvc.cli import (
    areas,
    cases,
    change_sets,
    cluster,
    components,
    hotspots,
    impact,
    indicators,
    keys,
    locate,
    locate_file,
    people,
    planners,
    qgis,
    records,
    recurrence,
    reports,
    schemes,
    serve,
    tidying,
    zones,
)
from gridsvc.cli.commands import Commands

app = typer.Typer(
    cls=Commands,
    help="Who is responsible here, for this, at this moment?",
    epilog="Example: gridsvc locate 116.4612 39.9219 (every command shows its own with --help)",
    no_args_is_help=True,
    add_completion=False,
    # Python's own traceback is shorter, and never shows what the variables held: the database's
    # password, people's names.
    pretty_exceptions_enable=False,
    pretty_exceptions_show_locals=False,
)
for module in (
    *(
        cluster,
        change_sets,
        tidying,
        impact,
        locate,
        locate_file,
        indicators,
        records,
        recurrence,
        serve,
    ),
):
    module.register(app)
for name, group in (
    ("scheme", schemes.app),
    ("areas", areas.app),
    ("people", people.app),
    ("components", components.app),
    ("reports", reports.app),
    ("cases", cases.app),
    ("zones", zones.app),
    ("hotspots", hotspots.app),
    ("planner", planners.app),
    ("qgis", qgis.app),
    ("key", keys.app),
):
    app.add_typer(group, name=name)


def _show_version(asked: bool) -> None:  # noqa: FBT001 -- a callback of Typer's
    if asked:
        typer.echo(f"gridsvc {version('gridsvc')}")
        raise typer.Exit


@app.callback()
def main(
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and leave.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Who is responsible here, for this, at this moment?"""
