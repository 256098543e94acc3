"""`areas import`: a file of boundaries becomes a layer's next state."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from gridsvc.cli import findings, proposals
from gridsvc.cli.commands import FAILED, Json, example, instant, parse_time
from gridsvc.cli.console import console, emit, progress, say, table
from gridsvc.cli.database import open_session
from gridsvc.cli.proposals import ChangeSetName, Proposal, Publish
from gridsvc.grids.boundary_files import BoundaryFile, read_boundaries
from gridsvc.grids.changesets import open_change_set
from gridsvc.grids.importing import ImportOptions, ImportReport, import_areas
from gridsvc.grids.scheme_store import current_scheme

SHOWN_REPAIRS = 20

app = typer.Typer(help="Boundaries.", no_args_is_help=True)

_EXAMPLES = (
    "gridsvc areas import precincts.geojson --layer precinct --code WARD_PRECINCT --repair",
    "gridsvc areas import units.zip --layer unit --code CODE --name NAME --crs gcj02 --publish",
    "gridsvc areas import streets.gpkg --layer street_segment --code CODE --width WIDTH_M",
)


@app.callback(epilog=example(_EXAMPLES[0]))
def _group() -> None:
    """Boundaries of a layer's areas."""


@app.command("import", epilog=example(*_EXAMPLES))
def import_(  # noqa: PLR0913 -- the options of the command
    file: Annotated[
        Path,
        typer.Argument(
            exists=True,
            dir_okay=False,
            help="GeoJSON, GeoPackage, Shapefile (.zip), GeoParquet, FlatGeobuf or KML.",
        ),
    ],
    *,
    layer: Annotated[str, typer.Option(help="Layer of the scheme that the areas belong to.")],
    code: Annotated[str, typer.Option(metavar="COL", help="Column of the areas' codes.")],
    name: Annotated[
        str | None, typer.Option(metavar="COL", help="Column of the areas' names.")
    ] = None,
    crs: Annotated[
        str | None,
        typer.Option(
            metavar="C",
            help="What the coordinates are in: EPSG:4326, gcj02, bd09 …; wins over "
            "what the file says.",
        ),
    ] = None,
    width: Annotated[
        str | None,
        typer.Option(
            metavar="COL|METRES",
            help="Of a layer drawn as lines: the column of the streets' widths in metres, or one "
            "number for all of them.",
        ),
    ] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Mend invalid rings.")] = False,
    dissolve: Annotated[
        bool, typer.Option("--dissolve", help="Rows of one code are parts of one area.")
    ] = False,
    part: Annotated[
        bool,
        typer.Option("--part", help="The file is a part of the layer: areas it lacks stay."),
    ] = False,
    table_name: Annotated[
        str | None,
        typer.Option("--table", metavar="NAME", help="Table in a file that holds several."),
    ] = None,
    valid_from: Annotated[
        datetime | None,
        typer.Option(
            parser=parse_time,
            metavar="T",
            help="From when it holds: RFC 3339, or the city's own time. Now if left out.",
        ),
    ] = None,
    change_set: ChangeSetName = None,
    publish: Publish = False,
    json: Json = False,
) -> None:
    """Import the boundaries of one layer.

    Without --change-set or --publish this is a dry run: it tells what would be added, changed
    and closed, and what is wrong with the file, and changes nothing. Exit code 1 if a finding
    stops a publish.

    A layer that the scheme draws as lines (drawn_as = "line") takes centre lines with --width:
    each street covers its line buffered by half its width. It takes polygons too.
    """
    with open_session() as session, progress(f"Reading {file.name}") as tick:
        scheme = current_scheme(session)
        boundaries = read_boundaries(
            file, crs=crs, default_crs=scheme.input_crs[0], table=table_name
        )
        tick.label("Checking" if not publish else "Checking and publishing")
        proposal = Proposal.begin(session, change_set, source=boundaries.source)
        report = import_areas(
            session,
            scheme,
            boundaries,
            ImportOptions(
                layer=layer,
                code=code,
                name=name,
                repair=repair,
                dissolve=dissolve,
                part=part,
                width=width,
                valid_from=instant(valid_from, scheme.zone),
            ),
            change_set=open_change_set(session, name=proposal.name),
        )
        end, revision = proposal.settle(
            session, report, changes=proposals.changes(report.counts), publishes=publish
        )
    if json:
        emit(
            {
                "source": report.source,
                "layer": report.layer,
                "crs": boundaries.crs.name,
                "outcome": end.value,
                "change_set": change_set,
                "revision": revision,
                "counts": report.counts,
                "repairs": report.repairs,
                "findings": [findings.as_json(one) for one in report.findings],
            }
        )
    else:
        _show(report, boundaries)
        proposal.tell(report, end, revision)
    if report.stopped:
        raise typer.Exit(FAILED)


def _show(report: ImportReport, file: BoundaryFile) -> None:
    say(f"{report.source} → {report.layer}, read as {file.crs}")
    counts = table(*report.counts)
    counts.add_row(*(f"{count:,}" for count in report.counts.values()))
    console().print(counts)
    if report.repairs:
        say(f"{len(report.repairs):,} repaired:")
        for repair in report.repairs[:SHOWN_REPAIRS]:
            say(f"  {repair}")
        if more := report.repairs[SHOWN_REPAIRS:]:
            say(f"  … and {len(more):,} more (all of them: --json)")
    findings.show(report.findings)
