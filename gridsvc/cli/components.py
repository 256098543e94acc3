"""`components import`: what stands in the city, and whose it is."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from gridsvc.cli.commands import Json, example, instant, parse_time
from gridsvc.cli.console import progress
from gridsvc.cli.database import open_session
from gridsvc.cli.proposals import ChangeSetName, Proposal, Publish
from gridsvc.grids.changesets import open_change_set
from gridsvc.grids.components import ComponentColumns, import_components, read_components
from gridsvc.grids.scheme_store import current_scheme

app = typer.Typer(help="Manhole covers, lamps, cabinets …", no_args_is_help=True)

_COLUMN = "COL"
_EXAMPLE = (
    "gridsvc components import covers.csv --code code --category class --owner owner --publish"
)


@app.callback(epilog=example(_EXAMPLE))
def _group() -> None:
    """What stands in the city, and whose it is."""


@app.command("import", epilog=example(_EXAMPLE))
def import_(  # noqa: PLR0913 -- the options of the command
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="CSV or Parquet, or points as GeoJSON, GeoPackage …",
        ),
    ],
    *,
    code: Annotated[str, typer.Option(metavar=_COLUMN, help="Column of stable codes.")],
    category: Annotated[str, typer.Option(metavar=_COLUMN, help="Column of class codes.")],
    owner: Annotated[str, typer.Option(metavar=_COLUMN, help="Column of owners' party codes.")],
    lon: Annotated[
        str, typer.Option(metavar=_COLUMN, help="Of a table: column of longitudes or eastings.")
    ] = "lon",
    lat: Annotated[
        str, typer.Option(metavar=_COLUMN, help="Of a table: column of latitudes or northings.")
    ] = "lat",
    crs: Annotated[
        str | None,
        typer.Option(metavar="C", help="EPSG:4326, gcj02 …; what the file says if left out."),
    ] = None,
    valid_from: Annotated[
        datetime | None,
        typer.Option(parser=parse_time, metavar="T", help="From when it holds; now if left out."),
    ] = None,
    change_set: ChangeSetName = None,
    publish: Publish = False,
    json: Json = False,
) -> None:
    """Import components: each a code, a class, an owner and a point.

    Without --change-set or --publish this is a dry run: it tells what would be added and changed,
    and changes nothing. Nothing ends because the file does not mention it.
    """
    columns = ComponentColumns(code=code, category=category, owner=owner, lon=lon, lat=lat)
    with open_session() as session, progress(f"Reading {file.name}"):
        scheme = current_scheme(session)
        read = read_components(file, scheme, columns, crs=crs)
        proposal = Proposal.begin(session, change_set, source=read.source)
        report = import_components(
            session,
            scheme,
            read,
            change_set=open_change_set(session, name=proposal.name),
            valid_from=instant(valid_from, scheme.zone),
        )
        proposal.conclude(session, report, publishes=publish, json=json)
