"""`records`: what proved true on an area, or where a party was responsible."""

from dataclasses import asdict
from typing import Annotated

import typer

from gridsvc.cli.commands import Json, example
from gridsvc.cli.console import console, emit, say, table
from gridsvc.cli.database import open_session
from gridsvc.reports.credit import record_of_area, record_of_party


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=example(
            "gridsvc records --layer shopfront --area 110199001003S001",
            "gridsvc records --party P0012 --json",
        )
    )(records)


def records(
    *,
    layer: Annotated[
        str | None, typer.Option(metavar="L", help="The area's layer; with --area.")
    ] = None,
    area: Annotated[
        str | None, typer.Option(metavar="CODE", help="The area; with --layer.")
    ] = None,
    party: Annotated[
        str | None, typer.Option(metavar="CODE", help="The party that was responsible.")
    ] = None,
    json: Json = False,
) -> None:
    """Show the record of an area or of a party: verified cases by month and category.

    A case counts for the area and the party that its first report was answered with. One that is
    open again does not count until it is verified again.
    """
    with open_session() as session:
        if layer and area and not party:
            rows = record_of_area(session, layer=layer, code=area)
        elif party and not (layer or area):
            rows = record_of_party(session, party)
        else:
            raise typer.BadParameter("give --layer and --area, or else --party")
    if json:
        emit([asdict(row) for row in rows])
        return
    if not rows:
        say("Nothing is on record.")
        return
    grid = table("month", "category", "cases", "reports")
    for row in rows:
        grid.add_row(row.month, row.category or "", f"{row.cases:,}", f"{row.reports:,}")
    console().print(grid)
