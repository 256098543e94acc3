"""`recurrence`: the places where what was closed comes back, with a score and suggested rounds."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import geopandas as gpd
import pandas as pd
import typer

from gridsvc.cli.commands import Json, example, instant, parse_time
from gridsvc.cli.console import console, emit, progress, say, table
from gridsvc.cli.database import open_session
from gridsvc.cli.report_columns import Crs, TimeFormat
from gridsvc.crs import to_wgs84
from gridsvc.errors import TableError, UnknownCategory
from gridsvc.grids.scheme_store import current_scheme
from gridsvc.grids.schemes import Scheme, read_scheme
from gridsvc.hotspots.cases import (
    Part,
    Window,
    parts_of_cases,
    parts_of_database,
    parts_of_reports,
)
from gridsvc.hotspots.chronic import rounds, score
from gridsvc.hotspots.recurrence import Chains, Rule, chains
from gridsvc.reports.history import HistoryColumns

_EXAMPLE = "gridsvc recurrence chronic.parquet --from 2026-01-01"
_FROM_FILE = (
    "gridsvc recurrence chronic.parquet --file reports.parquet --scheme data/schemes/boston.toml "
    "--id case_enquiry_id --lon longitude --lat latitude --opened open_dt --closed closed_dt "
    "--category-column type --time-format '%m/%d/%Y %I:%M:%S %p'"
)
_RULE = Rule()
_COLUMN = "COL"
_SHOWN = 12

# What is farther or later is no longer the same trouble; microseconds of it may not be countable.
_FARTHEST_M = 10_000
_MOST_DAYS = 36_525


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=example(_EXAMPLE, _FROM_FILE))(recurrence)


def recurrence(  # noqa: PLR0913 -- the options of the command
    out: Annotated[Path, typer.Argument(metavar="OUT.parquet", dir_okay=False)],
    *,
    within: Annotated[
        float,
        typer.Option(
            metavar="M", min=0, max=_FARTHEST_M, help="How near it comes back, in metres."
        ),
    ] = _RULE.within_m,
    days: Annotated[
        float,
        typer.Option(
            metavar="D", min=0, max=_MOST_DAYS, help="How soon after the closing, in days."
        ),
    ] = _RULE.window_days,
    duplicate_days: Annotated[
        float | None,
        typer.Option(
            metavar="D",
            min=0,
            max=_MOST_DAYS,
            help="How long an open case makes later ones duplicates of it.",
        ),
    ] = _RULE.duplicate_days,
    prefix: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Take classes that begin with the same N letters for one; each for itself if "
            "left out.",
        ),
    ] = None,
    category: Annotated[
        str | None, typer.Option(metavar="K", help="Only this class, or beginning of its code.")
    ] = None,
    from_: Annotated[
        datetime | None,
        typer.Option("--from", metavar="T", parser=parse_time, help="Opened then or later; local."),
    ] = None,
    to: Annotated[
        datetime | None, typer.Option(metavar="T", parser=parse_time, help="Opened before then.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.parquet",
            exists=True,
            dir_okay=False,
            help="Instead of the database: cases as `gridsvc cases export` writes them, or, with "
            "--id to --category-column, past reports.",
        ),
    ] = None,
    scheme: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.toml",
            exists=True,
            dir_okay=False,
            help="The city of --file, if not the one in the database.",
        ),
    ] = None,
    id_: Annotated[
        str | None, typer.Option("--id", metavar=_COLUMN, help="Column of the reports' ids.")
    ] = None,
    lon: Annotated[str | None, typer.Option(metavar=_COLUMN, help="Of longitudes.")] = None,
    lat: Annotated[str | None, typer.Option(metavar=_COLUMN, help="Of latitudes.")] = None,
    opened: Annotated[
        str | None, typer.Option(metavar=_COLUMN, help="Of times at which they came in.")
    ] = None,
    closed: Annotated[
        str | None, typer.Option(metavar=_COLUMN, help="Of times at which they ended.")
    ] = None,
    category_column: Annotated[
        str | None, typer.Option(metavar=_COLUMN, help="Of class codes.")
    ] = None,
    crs: Crs = None,
    time_format: TimeFormat = None,
    json: Json = False,
) -> None:
    """Find the chronic places: what keeps coming back after it was closed.

    A case comes back if another of its class is opened within --within metres and --days days after
    it was closed. What is opened while it is still open is a duplicate and does not count. OUT is a
    GeoParquet file with a row a place, highest score first: how many cases and returns, the median
    days to return, the trend, a score from 0 to 100, suggested rounds. docs/hotspots.md
    """
    if out.suffix != ".parquet":
        raise typer.BadParameter(f"{out} does not end in .parquet", param_hint="OUT.parquet")
    reports = {"--id": id_, "--lon": lon, "--lat": lat, "--opened": opened, "--closed": closed}
    missing = [name for name, given in reports.items() if given is None]
    if 0 < len(missing) < len(reports):
        raise typer.BadParameter("a file of reports needs these too", param_hint=" ".join(missing))
    of_file = {
        **reports,
        "--scheme": scheme,
        "--category-column": category_column,
        "--crs": crs,
        "--time-format": time_format,
    }
    given = [name for name, value in of_file.items() if value is not None]
    if file is None and given:
        raise typer.BadParameter("only goes with --file", param_hint=" ".join(given))
    columns = None
    if id_ and lon and lat and opened and closed:
        columns = HistoryColumns(
            id=id_,
            lon=lon,
            lat=lat,
            opened=opened,
            closed=closed,
            category=category_column,
            crs=crs,
            time_format=time_format,
        )
    rule = Rule(within_m=within, window_days=days, duplicate_days=duplicate_days, groups=prefix)
    city = _scheme(scheme)
    if file is None and category and not any(k.code.startswith(category) for k in city.categories):
        raise UnknownCategory(category, close=())
    window = Window(
        from_at=instant(from_, city.zone), to_at=instant(to, city.zone), category=category
    )
    if window.from_at and window.to_at and window.from_at >= window.to_at:
        raise typer.BadParameter(
            f"{window.from_at.isoformat()} is not before the end, {window.to_at.isoformat()}",
            param_hint="--from",
        )
    with progress("Looking for what came back"), _parts(file, columns, city, window) as parts:
        found = chains(parts, rule, window=window)
        places = score(found, zone=city.zone)
        suggested = rounds(found, places, zone=city.zone)
    places = places.merge(suggested, on="place", validate="one_to_one")
    _write(places, out, city)
    told = _sums(found) | {"places": len(places)}
    if json:
        emit(told | {"out": str(out)})
    else:
        _show(places[:_SHOWN], city, told, rule)
        say(f"Written to {out}.")


def _scheme(path: Path | None) -> Scheme:
    if path is not None:
        return read_scheme(path)
    with open_session() as session:
        return current_scheme(session)


@contextmanager
def _parts(
    file: Path | None, columns: HistoryColumns | None, scheme: Scheme, window: Window
) -> Iterator[Sequence[Part]]:
    if file is not None and columns is not None:
        yield parts_of_reports(file, columns, scheme=scheme)
    elif file is not None:
        yield parts_of_cases(file)
    else:
        with (
            open_session() as session,
            parts_of_database(session, from_at=window.from_at, to_at=window.to_at) as parts,
        ):
            yield parts


def _write(places: pd.DataFrame, out: Path, scheme: Scheme) -> None:
    points = gpd.points_from_xy(places["x"], places["y"])
    frame = gpd.GeoDataFrame(
        places.drop(columns=["x", "y"]), geometry=points, crs=scheme.storage_crs
    )
    try:
        frame.to_parquet(out, index=False)
    except OSError as error:
        raise TableError(
            out, f"cannot be written: {error.strerror}", remedy="Choose another folder"
        ) from error


def _sums(found: Chains) -> dict[str, int]:
    sums = {"cases": 0, "open_duplicates": 0, "returns": 0}
    for cases in found.frames():
        sums["cases"] += len(cases)
        sums["open_duplicates"] += int(cases["is_open_duplicate"].sum())
        sums["returns"] += int(cases["days_after"].count())
    return sums


def _show(top: pd.DataFrame, scheme: Scheme, told: dict[str, int], rule: Rule) -> None:
    headers = ("score", "class", "cases", "returns", "median days", "round every", "last closed")
    grid = table(*headers, "lon", "lat")
    lon, lat = to_wgs84(top["x"].to_numpy(), top["y"].to_numpy(), crs=scheme.storage_crs)
    shown = pd.DataFrame(
        {
            "score": top["score"].map("{:.0f}".format),
            "group": top["group"].astype(object).fillna(""),
            "cases": top["cases"].map("{:,}".format),
            "returns": top["returns"].map("{:,}".format),
            "median": top["median_days"].map("{:.1f}".format, na_action="ignore"),
            "every": top["every_days"].map("{} days".format, na_action="ignore"),
            "closed": top["last_closed_at"].dt.tz_convert(scheme.zone).dt.strftime("%Y-%m-%d"),
            "lon": [f"{east:.6f}" for east in lon],
            "lat": [f"{north:.6f}" for north in lat],
        }
    )
    for row in shown.astype(object).fillna("").to_numpy().tolist():
        grid.add_row(*row)
    console().print(grid)
    say(
        f"{told['cases']:,} cases, {told['open_duplicates']:,} of them open duplicates; "
        f"{told['returns']:,} came back within {rule.within_m:g} m and {rule.window_days:g} days, "
        f"at {told['places']:,} places."
    )
