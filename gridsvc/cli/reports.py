"""`reports import` and `reports reroute`: past reports in, and all of them asked again."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from gridsvc.cli.commands import Json, example, instant, parse_time
from gridsvc.cli.console import console, emit, progress, say, table
from gridsvc.cli.database import open_engine
from gridsvc.cli.report_columns import Crs, TimeFormat
from gridsvc.grids.scheme_store import current_scheme
from gridsvc.reports import rerouting
from gridsvc.reports.history import HistoryColumns, import_history
from gridsvc.reports.terms import Channel, Mark

app = typer.Typer(help="Reports and their answers.", no_args_is_help=True)

_COLUMN = "COL"
_IMPORT = (
    "gridsvc reports import data/reports/demo.parquet --id id --lon lon --lat lat --crs crs "
    "--opened opened_at --closed closed_at --category category --channel channel --status status"
)
_REROUTE = "gridsvc reports reroute --since 2026-11-01"


@app.callback(epilog=example(_IMPORT, _REROUTE))
def _group() -> None:
    """Reports as received, and every answer that they were given."""


@app.command("import", epilog=example(_IMPORT))
def import_(  # noqa: PLR0913 -- the options of the command
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", exists=True, dir_okay=False, help="CSV, Parquet or GeoParquet."
        ),
    ],
    *,
    id_: Annotated[
        str, typer.Option("--id", metavar=_COLUMN, help="Column of the file's own ids.")
    ],
    lon: Annotated[
        str, typer.Option(metavar=_COLUMN, help="Column of longitudes, or of eastings in --crs.")
    ],
    lat: Annotated[
        str, typer.Option(metavar=_COLUMN, help="Column of latitudes, or of northings in --crs.")
    ],
    opened: Annotated[
        str,
        typer.Option(
            metavar=_COLUMN, help="Column of times at which they came in; local without an offset."
        ),
    ],
    closed: Annotated[
        str | None, typer.Option(metavar=_COLUMN, help="Column of times at which they ended.")
    ] = None,
    category: Annotated[
        str | None, typer.Option(metavar=_COLUMN, help="Column of class codes.")
    ] = None,
    status: Annotated[
        str | None, typer.Option(metavar=_COLUMN, help="Column of states, kept as they are.")
    ] = None,
    crs: Crs = None,
    channel: Annotated[
        str | None, typer.Option(metavar=_COLUMN, help=f"Column of {', '.join(Channel)}.")
    ] = None,
    accuracy: Annotated[
        str | None, typer.Option(metavar=_COLUMN, help="Column of metres of error.")
    ] = None,
    time_format: TimeFormat = None,
    source: Annotated[
        str, typer.Option(metavar="NAME", help="Whose ids they are; one id is one report of it.")
    ] = "history",
    json: Json = False,
) -> None:
    """Store past reports, each answered as of the time it came in.

    No row is dropped: one outside the city, on a default point, of an unknown category or with
    coordinates or times that cannot be used is stored and marked. Importing a file again adds
    only rows with new ids. The file is stored whole or not at all.

    A report that was answered opens a case, or joins an open one where the scheme's duplicates
    join automatically. A case is closed when the file says its first report ended.
    """
    columns = HistoryColumns(
        id=id_,
        lon=lon,
        lat=lat,
        opened=opened,
        closed=closed,
        category=category,
        status=status,
        channel=channel,
        accuracy=accuracy,
        crs=crs,
        time_format=time_format,
    )
    with (
        open_engine() as engine,
        Session(engine) as session,
        progress(f"Importing {file.name}") as tick,
    ):
        report = import_history(
            session, engine, file, columns, source=source, progress=tick.add_rows
        )
        session.commit()
    if json:
        # asdict() makes a Counter anew from its pairs, and so counts the pairs.
        emit(asdict(report) | {"stored": {str(mark): n for mark, n in report.stored.items()}})
        return
    counts = table("rows", *(mark.value.replace("_", " ") for mark in Mark), "repeated")
    numbers = (report.rows, *(report.stored[mark.value] for mark in Mark), report.repeated)
    counts.add_row(*(f"{number:,}" for number in numbers))
    console().print(counts)
    for count, what in (
        (report.unknown_channels, "channel there is not"),
        (report.bad_closed, "time of closing that cannot be read"),
    ):
        if count:
            say(f"{count:,} rows have a {what}; they are stored without it.", style="yellow")
    if report.datum_message:
        say(report.datum_message, style="yellow")
    say(f"Stored as reports of {source}, answered up to revision {report.revision}.")
    say(f"Cases opened: {report.opened:,}; reports that joined an open one: {report.joined:,}.")


@app.command(epilog=example(_REROUTE))
def reroute(
    *,
    since: Annotated[
        datetime,
        typer.Option(
            parser=parse_time, metavar="T", help="Reports received since this time; local."
        ),
    ],
    json: Json = False,
) -> None:
    """Ask again who is responsible for each report, after boundaries or people changed.

    Each is asked as of its own hour of the week, the next time that it comes round, so that shifts
    alone change nothing. Where areas or parties differ from the report's last answer, the new
    answer is added; the earlier ones stay.
    """
    with open_engine() as engine, Session(engine) as session, progress("Rerouting") as tick:
        since_at = instant(since, current_scheme(session).zone)
        assert since_at is not None  # noqa: S101 -- the option is required
        done = rerouting.reroute(session, engine, since=since_at, progress=tick.add_rows)
        session.commit()
    if json:
        emit(asdict(done))
        return
    say(
        f"Reports asked again: {done.asked:,}; new answers: {done.changed:,}"
        + (f", from revision {done.revision}." if done.asked else ".")
    )
