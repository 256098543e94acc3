"""`indicators`: a month's counts and rates as a table, CSV or a page to print."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from gridsvc.cli.commands import Json, example, instant, parse_time
from gridsvc.cli.console import console, emit, say, table
from gridsvc.cli.database import open_session
from gridsvc.errors import TableError
from gridsvc.grids.scheme_store import current_scheme
from gridsvc.reports import indicators as figures
from gridsvc.reports.indicator_tables import COUNT_TITLES, flat, to_csv, to_html
from gridsvc.reports.indicators import By

_EXAMPLES = (
    "gridsvc indicators --month 2026-10 --by area --layer street",
    "gridsvc indicators --month 2026-10 --by category --csv october.csv --html october.html",
    "gridsvc indicators --from 2026-01-01 --to 2027-01-01 --by month",
)

_FILE = {"dir_okay": False, "writable": True, "metavar": "FILE"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=example(*_EXAMPLES))(indicators)


def indicators(  # noqa: PLR0913 -- the options of the command
    *,
    month: Annotated[
        str | None, typer.Option(metavar="YYYY-MM", help="A month, by the city's clock.")
    ] = None,
    from_: Annotated[
        datetime | None,
        typer.Option("--from", parser=parse_time, metavar="T", help="Or its first instant; local."),
    ] = None,
    to: Annotated[
        datetime | None,
        typer.Option(parser=parse_time, metavar="T", help="… and its end, exclusive."),
    ] = None,
    by: Annotated[By, typer.Option(help="What cases are counted by.")] = By.TOTAL,
    layer: Annotated[
        str | None, typer.Option(metavar="L", help="Of --by area: the layer of the areas.")
    ] = None,
    ranked_by: Annotated[
        str | None,
        typer.Option(metavar="RATE", help="Rate by which areas are ranked; the scheme's first."),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Write a CSV too, UTF-8 as spreadsheets read it.", **_FILE)
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a page too, to be printed on A4.", **_FILE)
    ] = None,
    json: Json = False,
) -> None:
    """Count a period's cases and work out the scheme's rates.

    Of cases opened in it: filed, repeated (reports beyond the first), escalated. Of cases that
    should be closed in it: should close, closed, on time, returned, deferred. Areas are ranked
    within the classes of the scheme.
    """
    with open_session() as session:
        scheme = current_scheme(session)
        starts_at, ends_at = (instant(given, scheme.zone) for given in (from_, to))
        period = figures.period_of(month, starts_at, ends_at, zone=scheme.zone)
        found = figures.indicators(session, period, by=by, layer=layer, ranked_by=ranked_by)
        if html is not None:
            levels = figures.escalation_levels(session, period)
            times = figures.step_times(session, period)
            _write(html, to_html(scheme, found, levels, times), encoding="utf-8")
    if csv is not None:
        # Spreadsheets take UTF-8 for something else without the mark.
        _write(csv, to_csv(found), encoding="utf-8-sig")
    if json:
        emit({"period": found.period, "ranked_by": found.ranked_by, "rows": list(flat(found))})
        return
    _show(found)
    for path in (csv, html):
        if path is not None:
            say(f"Written: {path}")


def _write(path: Path, text: str, *, encoding: str) -> None:
    try:
        path.write_text(text, encoding=encoding, newline="")
    except OSError as error:
        raise TableError(
            path,
            f"cannot be written ({error.strerror})",
            remedy="Name a file in a folder that is there and may be written to",
        ) from error


def _show(found: figures.Indicators) -> None:
    ranked = any(row.group for row in found.rows)
    titles = [en for _, en in COUNT_TITLES.values()]
    titles += [rate.title.get("en", rate.code) for rate in found.rates]
    grid = table(*(("class", "rank") if ranked else ()), found.by.value, *titles)
    for row in found.rows:
        name = f"{row.name}\n{row.key}" if row.name else row.key
        rates = row.now.rates.values()
        grid.add_row(
            *((row.group or "—", str(row.rank or "—")) if ranked else ()),
            name,
            *(f"{count:,}" for count in row.now.counts.values()),
            *("—" if rate is None else f"{rate:.1%}" for rate in rates),
        )
    console().print(grid)
    if not found.rows:
        say("No cases in this period.")
