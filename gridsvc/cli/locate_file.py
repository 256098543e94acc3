"""`locate-file`: a file of points in, the same file with who is responsible out."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from gridsvc.cli.commands import Json, example
from gridsvc.cli.console import console, emit, progress, say, table
from gridsvc.cli.database import open_engine, read_settings
from gridsvc.errors import SettingsError
from gridsvc.routing import bulk
from gridsvc.routing.live import kept_folder

_COLUMN = "COL"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "locate-file",
        epilog=example(
            "gridsvc locate-file reports.csv routed.parquet --lon LONGITUDE --lat LATITUDE",
            "gridsvc locate-file data/reports/demo.parquet routed.csv --lon lon --lat lat "
            "--crs crs --category category --at opened_at",
            "gridsvc locate-file year.parquet routed.parquet --lon lon --lat lat "
            "--scheduler tcp://10.0.0.5:8786",
        ),
    )(locate_file)


def locate_file(  # noqa: PLR0913 -- the options of the command
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN", exists=True, dir_okay=False, help="CSV, Parquet or GeoParquet."
        ),
    ],
    target: Annotated[
        Path,
        typer.Argument(metavar="OUT", dir_okay=False, help="CSV, Parquet or GeoParquet."),
    ],
    *,
    lon: Annotated[
        str, typer.Option(metavar=_COLUMN, help="Column of longitudes, or of eastings in --crs.")
    ],
    lat: Annotated[
        str, typer.Option(metavar=_COLUMN, help="Column of latitudes, or of northings in --crs.")
    ],
    crs: Annotated[
        str | None,
        typer.Option(
            metavar="C",
            help="EPSG:4326, gcj02, bd09 …, or the column that names one a row; the scheme's "
            "first if left out.",
        ),
    ] = None,
    category: Annotated[
        str | None, typer.Option(metavar=_COLUMN, help="Column of class codes.")
    ] = None,
    at: Annotated[
        str | None, typer.Option(metavar=_COLUMN, help="Column of times; now if left out.")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Work on a Dask cluster: tcp://host:8786. Its workers need gridsvc, no database.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Say who is responsible at each point of a file.

    All columns and the order of the rows are kept; one code column per layer is added, and
    responsible, management, enforcement_lead, enforcement_assistant, supervisor (party codes),
    edge_m and reason. A row without an answer says in reason why. Needs little memory, however
    long the file. If it is broken off, the same command goes on where it stopped.
    """
    if target.resolve() == source.resolve():
        raise typer.BadParameter("OUT is the file that is read; name another", param_hint="OUT")
    with (
        open_engine() as engine,
        _cluster(scheduler) as client,
        progress(f"Locating {source.name}") as tick,
    ):
        summary = bulk.locate_file(
            engine,
            source,
            target,
            lon=lon,
            lat=lat,
            crs=crs,
            category=category,
            at=at,
            client=client,
            folder=kept_folder(read_settings().home, engine),
            progress=tick.add_rows,
        )
    if json:
        emit(asdict(summary) | {"out": str(target)})
        return
    told = asdict(summary)
    counts = ("rows", "routed", "outside", "default_point", "bad")
    grid = table(*(name.replace("_", " ") for name in counts))
    grid.add_row(*(f"{told[name]:,}" for name in counts))
    console().print(grid)
    *_, reason = summary.columns
    if summary.routed < summary.rows:
        say(f"The column {reason} says why a row has no answer.")
    if renamed := [name for name in summary.columns if name.startswith(bulk.TAKEN_PREFIX)]:
        say(f"Columns of these names were there already, so ours are {', '.join(renamed)}.")
    if summary.resumed_rows:
        say(f"{summary.resumed_rows:,} rows were there from a run that was broken off.")
    if summary.datum_message:
        say(summary.datum_message, style="yellow")
    say(f"Written to {target}, from revision {summary.revision}.")


@contextmanager
def _cluster(scheduler: str | None) -> Iterator[Any]:
    """Give a client of the cluster; None where none is named."""
    if scheduler is None:
        yield None
        return
    try:
        from distributed import Client  # noqa: PLC0415  only those with a cluster have it
    except ImportError as error:
        raise SettingsError(
            "--scheduler needs Dask, which is not installed",
            remedy="Install it with `pip install gridsvc[cluster]`",
        ) from error
    try:
        client: Any = Client(scheduler, timeout="10s")  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"no Dask scheduler answers at {scheduler}",
            remedy="Start one with `dask scheduler`, and name the address that it tells",
        ) from error
    with client:
        yield client
