"""`zones`: strips before shop fronts as a proposal, signed letters, and grades by record."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import geopandas as gpd
import numpy as np
import typer

from gridsvc.cli import findings, proposals
from gridsvc.cli.commands import FAILED, Json, example, instant, parse_time
from gridsvc.cli.console import console, emit, say, table
from gridsvc.cli.database import open_session
from gridsvc.cli.proposals import ChangeSetName, Proposal
from gridsvc.crs import convert_geometries, parse_crs
from gridsvc.errors import ImportRefused
from gridsvc.grids.boundary_files import BoundaryFile, read_boundaries
from gridsvc.grids.changesets import open_change_set
from gridsvc.grids.frontage import Geometries, draft_strips
from gridsvc.grids.importing import ImportOptions, import_areas
from gridsvc.grids.letters import COLUMNS as LETTER_COLUMNS
from gridsvc.grids.letters import read_letters, store_letters
from gridsvc.grids.scheme_store import current_scheme
from gridsvc.reports.zones import Zone, list_zones

app = typer.Typer(help="Shop-front zones.", no_args_is_help=True)

_EXAMPLE = (
    "gridsvc zones draft --shops shops.geojson --buildings buildings.geojson "
    "--roads roads.geojson --layer shopfront --code CODE --name NAME --change-set shops"
)


@app.callback(epilog=example("gridsvc zones draft --help"))
def _group() -> None:
    """Shop-front zones."""


def _file(words: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(exists=True, dir_okay=False, help=words)
    return option


@app.command("draft", epilog=example(_EXAMPLE))
def draft(  # noqa: PLR0913 -- the options of the command
    *,
    shops: Annotated[
        Path, _file("Shops: points at the walls of buildings, or polygons of their own.")
    ],
    buildings: Annotated[Path, _file("Building polygons.")],
    roads: Annotated[Path, _file("Road centrelines.")],
    layer: Annotated[str, typer.Option(help="Layer of the scheme that the zones belong to.")],
    code: Annotated[str, typer.Option(metavar="COL", help="Column of the shops' codes.")],
    name: Annotated[
        str | None, typer.Option(metavar="COL", help="Column of the shops' names.")
    ] = None,
    kerbs: Annotated[
        Path | None, _file("Kerb lines; a strip ends at the first line before its wall.")
    ] = None,
    crs: Annotated[
        str | None,
        typer.Option(metavar="C", help="What all the files are in; wins over what they say."),
    ] = None,
    change_set: ChangeSetName = None,
    json: Json = False,
) -> None:
    """Draft a strip for each shop: wall to kerb, or to the centreline where there is no kerb.

    Neighbours along a wall meet half-way; shops without a road in front are told and get none.
    Without --change-set this is a dry run. Exit code 1 if a finding stops a publish.
    """
    with open_session() as session:
        scheme = current_scheme(session)

        def read(path: Path) -> BoundaryFile:
            return read_boundaries(path, crs=crs, default_crs=scheme.input_crs[0])

        def placed(file: BoundaryFile) -> Geometries:
            return convert_geometries(
                np.asarray(file.frame.geometry.array, dtype=object),
                source=file.crs,
                target=scheme.storage_crs,
            )

        file = read(shops)
        if not file.frame.geom_type.isin(["Point", "Polygon", "MultiPolygon"]).all():
            raise ImportRefused(
                file.source,
                "not every shop is a point or a polygon",
                remedy="Give each shop one point at its wall, or its own polygon",
            )
        lines = [placed(read(path)) for path in (roads, kerbs) if path is not None]
        drafted = draft_strips(placed(file), placed(read(buildings)), np.concatenate(lines))
        frame = file.frame.drop(columns=file.frame.geometry.name)
        strips = gpd.GeoDataFrame(frame, geometry=drafted.strips, crs=scheme.storage_crs)
        strips = strips[strips.geometry.notna()].reset_index(drop=True)
        proposal = Proposal.begin(session, change_set, source=file.source)
        report = import_areas(
            session,
            scheme,
            BoundaryFile(file.source, strips, parse_crs(scheme.storage_crs)),
            ImportOptions(layer=layer, code=code, name=name, part=True),
            change_set=open_change_set(session, name=proposal.name),
        )
        end, revision = proposal.settle(
            session, report, changes=proposals.changes(report.counts), publishes=False
        )
    refused = [
        {"code": str(frame[code].iloc[shop]), "reason": reason.value}
        for shop, reason in drafted.refused.items()
    ]
    if json:
        emit(
            {
                "source": report.source,
                "layer": layer,
                "outcome": end.value,
                "change_set": change_set,
                "counts": report.counts,
                "refused": refused,
                "findings": [findings.as_json(one) for one in report.findings],
            }
        )
    else:
        say(f"{len(drafted.strips):,} shops, {len(strips):,} strips, {len(refused):,} refused")
        for one in refused:
            say(f"  {one['code']}: {one['reason']}")
        findings.show(report.findings)
        proposal.tell(report, end, revision)
    if report.stopped:
        raise typer.Exit(FAILED)


@app.command(
    epilog="\n\n".join(
        (
            "Columns:",
            *(f"{name}: {meaning}" for name, meaning in LETTER_COLUMNS.items()),
            "",
            example("gridsvc zones letters letters.csv --store"),
        )
    )
)
def letters(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE.csv", exists=True, dir_okay=False, help="UTF-8 or GB18030."),
    ],
    *,
    store: Annotated[bool, typer.Option("--store", help="Store them; else only read.")] = False,
    json: Json = False,
) -> None:
    """Read signed duty letters from a flat table; its columns are listed below.

    Without --store this is a dry run. A letter is never changed: a later one of the same zone takes
    over when it begins. What is stored already is left as it is.
    """
    with open_session() as session:
        scheme = current_scheme(session)
        read = read_letters(session, file, scheme)
        assert scheme.zones is not None  # noqa: S101 -- reading refuses a scheme without
        added = store_letters(session, read, layer=scheme.zones.layer)
        if store:
            session.commit()
        else:
            session.rollback()
    if json:
        emit({"letters": len(read), "added": added, "stored": store})
        return
    say(f"Letters read: {len(read):,}; new: {added:,}.")
    if not store:
        say("Nothing was changed. Store them with --store.")


@app.command(epilog=example("gridsvc zones grades --at 2026-11-01"))
def grades(
    *,
    at: Annotated[
        datetime | None,
        typer.Option(parser=parse_time, metavar="T", help="As of this time; now if left out."),
    ] = None,
    json: Json = False,
) -> None:
    """Grade every zone by its record, and tell how often it is visited."""
    with open_session() as session:
        asked_at = instant(at, current_scheme(session).zone) or datetime.now(UTC)
        zones: list[Zone] = []
        after = None
        while True:
            page = list_zones(session, at=asked_at, limit=1000, after=after)
            zones += page.rows
            after = page.after
            if after is None:
                break
    if json:
        emit([asdict(zone) for zone in zones])
        return
    grid = table("zone", "name", "unit", "group", "substantiated", "grade", "visited every")
    for zone in zones:
        letter = zone.letter
        grid.add_row(
            zone.code,
            zone.name or "—",
            letter.unit_name if letter else "no letter",
            (letter and letter.self_governing_group) or "—",
            str(zone.substantiated),
            zone.grade,
            f"{zone.inspect_every_days} days",
        )
    console().print(grid)
