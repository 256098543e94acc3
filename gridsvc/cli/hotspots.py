"""`hotspots list`, `map`, `export`: where cases gather, who answers there, what is behind it."""

from dataclasses import asdict
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from sqlalchemy.orm import Session

from gridsvc.cli.commands import Json, example, instant, parse_time
from gridsvc.cli.console import console, emit, progress, say, table
from gridsvc.cli.database import open_session
from gridsvc.errors import TableError
from gridsvc.grids.scheme_store import current_scheme

if TYPE_CHECKING:
    from gridsvc.hotspots.store import Hotspots
    from gridsvc.hotspots.store import Per as PerName

app = typer.Typer(help="Where cases gather, and what is behind it.", no_args_is_help=True)

_LIST = "gridsvc hotspots list --category 0102 --from 2026-01-01 --to 2026-11-01"
_EXPORT = "gridsvc hotspots export hotspots.gpkg"
_MAP = "gridsvc hotspots map hotspots.html"
_MAP_CELL_M = 250.0


class Per(StrEnum):
    """What the tested value is divided by."""

    CASE = "case"
    KM2 = "km2"
    SHOP = "shop"
    RESIDENT = "resident"


From = Annotated[
    datetime | None,
    typer.Option(
        "--from",
        metavar="T",
        parser=parse_time,
        help="Cases opened then or later, local; else from the month a year before the end.",
    ),
]
To = Annotated[
    datetime | None,
    typer.Option(
        metavar="T", parser=parse_time, help="Opened before then; else before the coming midnight."
    ),
]
Category = Annotated[
    str | None,
    typer.Option(metavar="CODE", help="Only a class, or the beginning of its code."),
]
Layer = Annotated[
    str | None,
    typer.Option(
        metavar="L",
        help="A layer, or square or hexagon for cells; the finest tiling layer if left out.",
    ),
]
CellM = Annotated[
    float | None, typer.Option(min=10, max=10_000, metavar="M", help="Width of the cells.")
]
PerOption = Annotated[
    Per | None,
    typer.Option(help="What is tested; else cases per km² of a layer, and cases of cells."),
]


@app.callback(epilog=example(_LIST, _MAP, _EXPORT))
def _group() -> None:
    """Where cases gather, whether it is more than chance, and who answers there."""


@app.command("list", epilog=example(_LIST, "gridsvc hotspots list --layer square --json"))
def list_(  # noqa: PLR0913 -- the options of the command
    *,
    from_: From = None,
    to: To = None,
    category: Category = None,
    layer: Layer = None,
    cell_m: CellM = None,
    per: PerOption = None,
    json: Json = False,
) -> None:
    """Rank the hotspots of a window, each with who is responsible there now and how it moved.

    A hotspot is made of areas that have, with their neighbours, more cases per km² (of cells, more
    cases) than chance explains: Getis-Ord Gi*, q < 0.05 after correction. Moved is since the same
    window a month ago.
    """
    from gridsvc.hotspots.answering import responsible_for

    with open_session() as session, progress("Looking for hotspots"):
        found = _find(session, from_, to, category, layer, cell_m, per)
        holders = responsible_for(session, found)
        session.commit()
    rows = found.places.drop(columns=["geometry", "hours"])
    if json:
        emit(_told(found, [*rows.to_dict("records")], holders))
        return
    asked = found.question
    say(
        f"{found.cases:,} cases from {asked.from_at:%Y-%m-%d} to {asked.to_at:%Y-%m-%d} on layer "
        f"{asked.layer}, revision {found.revision}."
    )
    if not len(rows):
        say("Nothing gathers more than chance explains.")
        return
    grid = table("rank", "moved", "cases", "expected", "q", "areas", "hours", "responsible")
    for place, holder in zip(rows.itertuples(), holders, strict=True):
        grid.add_row(
            str(place.rank),
            _moved(place.rank, place.previous_rank),
            f"{place.cases:,}",
            f"{place.expected:,.0f}",
            f"{place.q:.2g}",
            _shortly(place.codes),
            "; ".join(_hours(peak) for peak in place.peaks),
            f"{holder['party']['code']} ({holder['role']})" if holder else "nobody",
        )
    console().print(grid)


@app.command("map", epilog=example(_MAP, f"{_MAP} --layer community --from 2026-01-01"))
def map_(  # noqa: PLR0913 -- the options of the command
    out: Annotated[Path, typer.Argument(metavar="OUT.html", dir_okay=False)],
    *,
    from_: Annotated[
        datetime | None,
        typer.Option(
            "--from",
            metavar="T",
            parser=parse_time,
            help="Cases opened then or later, local; else from the first.",
        ),
    ] = None,
    to: Annotated[
        datetime | None,
        typer.Option(metavar="T", parser=parse_time, help="Opened before then; else to the last."),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(
            metavar="L",
            help="The layer whose areas are shown beside square cells; the finest tiling layer if "
            "left out.",
        ),
    ] = None,
    cell_m: Annotated[
        float, typer.Option(min=10, max=10_000, metavar="M", help="Width of the cells.")
    ] = _MAP_CELL_M,
    json: Json = False,
) -> None:
    """Write the managers' map: one file that opens in any browser and needs no network.

    Counts, hot and cold spots, patterns over time, density and the places that keep coming back, by
    category and month, in Chinese and English; it prints on A3. There is no name of a person in it,
    no phone and no reporter.
    """
    from gridsvc.hotspots.city import MapOptions, survey_city
    from gridsvc.hotspots.maps import packed, page

    if out.suffix not in {".html", ".htm"}:
        raise typer.BadParameter(f"{out} does not end in .html", param_hint="OUT.html")
    with open_session() as session, progress("Counting and testing"):
        zone = current_scheme(session).zone
        options = MapOptions(
            layer=layer, cell_m=cell_m, from_at=instant(from_, zone), to_at=instant(to, zone)
        )
        found = survey_city(session, options)
    text = page(packed(found)).html
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise TableError(
            out, f"cannot be written: {error.strerror}", remedy="Choose another folder"
        ) from error
    size = len(text.encode())
    if json:
        emit(
            {
                "out": str(out),
                "bytes": size,
                "revision": found.revision,
                "cases": found.cases,
                "months": found.months,
                "chronic_places": len(found.chronic),
            }
        )
        return
    say(
        f"{found.cases:,} cases of {found.months[0]} to {found.months[-1]}, revision "
        f"{found.revision}, on a map of {size / 1e6:.1f} MB: {out}"
    )


@app.command(epilog=example(_EXPORT, "gridsvc hotspots export out.parquet --category 05"))
def export(  # noqa: PLR0913 -- the options of the command
    out: Annotated[Path, typer.Argument(metavar="OUT.gpkg", dir_okay=False)],
    *,
    from_: From = None,
    to: To = None,
    category: Category = None,
    layer: Layer = None,
    per: PerOption = None,
    json: Json = False,
) -> None:
    """Write the layers: areas, cells, hotspots, density, chronic places, and what they rest on.

    OUT.gpkg holds all of them, with styles that QGIS picks up. OUT.parquet writes a GeoParquet file
    of each (OUT-areas.parquet …) with its style beside it, OUT.csv a table of each. Cells are
    tested by cases, whatever --per says of areas. No person's name in full and no phone is in them.
    """
    from gridsvc.hotspots.exports import write_layers
    from gridsvc.hotspots.layers import export_layers
    from gridsvc.hotspots.recurrence import Rule

    with open_session() as session, progress("Making layers") as tick:
        areas = _find(session, from_, to, category, layer, None, per)
        cells = _find(session, from_, to, category, "square", None, None)
        tick.label("Writing layers")
        files = write_layers(export_layers(session, areas, cells, Rule()), out)
        session.commit()
    if json:
        emit({"files": [str(file) for file in files], "revision": areas.revision})
        return
    say(f"{areas.cases:,} cases, revision {areas.revision}.")
    for file in files:
        say(f"Written: {file}")


def _find(  # noqa: PLR0913, PLR0917 -- the options of the commands
    session: Session,
    from_: datetime | None,
    to: datetime | None,
    category: str | None,
    layer: str | None,
    cell_m: float | None,
    per: Per | None,
) -> "Hotspots":
    from gridsvc.hotspots.store import find_hotspots, question

    zone = current_scheme(session).zone
    asked = question(
        session,
        layer=layer,
        cell_m=cell_m,
        per=cast("PerName | None", per and per.value),
        from_at=instant(from_, zone),
        to_at=instant(to, zone),
        category=category,
    )
    # Whoever calls a command can wait for what is newest.
    return find_hotspots(session, asked, fresh_for=timedelta(0))


def _told(
    found: "Hotspots", rows: list[dict[Any, Any]], holders: list[dict[str, Any] | None]
) -> dict[str, Any]:
    return {
        "question": asdict(found.question),
        "revision": found.revision,
        "cases": found.cases,
        "method": found.method,
        "parameters": found.parameters,
        "hotspots": [
            row | {"previous_rank": _known(row["previous_rank"]), "responsible": holder}
            for row, holder in zip(rows, holders, strict=True)
        ],
    }


def _known(rank: Any) -> int | None:  # noqa: ANN401 -- pandas' own missing value
    return int(rank) if rank == rank and rank is not None else None  # noqa: PLR0124 -- missing


_MOST_CODES = 3


def _shortly(codes: list[str]) -> str:
    more = f" and {len(codes) - _MOST_CODES} more" if len(codes) > _MOST_CODES else ""
    return " ".join(codes[:_MOST_CODES]) + more


def _moved(rank: int, before: Any) -> str:  # noqa: ANN401 -- pandas' own missing value
    known = _known(before)
    if known is None:
        return "new"
    if known == rank:
        return "="
    return f"{'up' if known > rank else 'down'} {abs(known - rank)}"


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def _hours(peak: dict[str, Any]) -> str:
    return f"{_DAYS[peak['weekday']]} {peak['from_hour']:02}–{peak['to_hour']:02}"
