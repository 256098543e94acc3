"""`zones draft`: strips before shop fronts, as a proposal for a planner to correct."""

from pathlib import Path
from typing import Annotated

import geopandas as gpd
import numpy as np
import typer

from gridsvc.cli import findings, proposals
from gridsvc.cli.commands import FAILED, Json, example
from gridsvc.cli.console import emit, say
from gridsvc.cli.database import open_session
from gridsvc.cli.proposals import ChangeSetName, Proposal
from gridsvc.crs import convert_geometries, parse_crs
from gridsvc.errors import ImportRefused
from gridsvc.grids.boundary_files import BoundaryFile, read_boundaries
from gridsvc.grids.changesets import open_change_set
from gridsvc.grids.frontage import Geometries, draft_strips
from gridsvc.grids.importing import ImportOptions, import_areas
from gridsvc.grids.scheme_store import current_scheme

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
    shops: Annotated[Path, _file("Shops: points on or near the walls of buildings.")],
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
        if not (file.frame.geom_type == "Point").all():
            raise ImportRefused(
                file.source, "not every shop is a point", remedy="Give one point for each shop"
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
