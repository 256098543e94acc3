"""`tidy`: nodes that neighbours have are added, slivers of up to 3 mm closed, and it says where."""

from datetime import datetime
from typing import Annotated, Any

import typer

from gridsvc.cli.commands import Json, example
from gridsvc.cli.console import console, emit, progress, say, table
from gridsvc.cli.database import open_session
from gridsvc.grids.changesets import find_change_set, open_change_set
from gridsvc.grids.scheme_store import current_scheme
from gridsvc.grids.tidying import TidiedArea, Tidying, tidy

SHOWN = 40
"""Rows of a table that people read; --json gives all."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        name="tidy",
        epilog=example("gridsvc tidy --change-set june", "gridsvc tidy --layer unit --dry-run"),
    )(run)


def run(
    *,
    name: Annotated[
        str | None,
        typer.Option(
            "--change-set",
            metavar="NAME",
            help="Tidy what this open change set proposes, and what lies beside it. Without it "
            "the newest state of the whole city is tidied, in a change set tidy-DATE.",
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(help="Only areas of this layer; what shares their nodes follows."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Add nodes that neighbours have and close slivers up to 3 mm, in a change set."""
    with open_session() as session, progress("Tidying"):
        scheme = current_scheme(session)
        if name:
            change_set = find_change_set(session, name)
        else:
            today = datetime.now(scheme.zone).date().isoformat()
            change_set = open_change_set(session, name=f"tidy-{today}", note="gridsvc tidy")
        kept_in = change_set.name
        done = tidy(session, scheme, change_set, whole=name is None, layer=layer)
        if dry_run or not done.areas:
            session.rollback()
        else:
            session.commit()
    if json:
        emit(_as_json(done, kept_in=kept_in, dry_run=dry_run))
    else:
        _tell(done, kept_in=kept_in, dry_run=dry_run)


def _as_json(done: Tidying, *, kept_in: str, dry_run: bool) -> dict[str, Any]:
    return {
        "change_set": kept_in if done.areas and not dry_run else None,
        "dry_run": dry_run,
        "slivers_closed": done.slivers_closed,
        "areas": [
            {
                "layer": area.layer,
                "code": area.code,
                "name": area.name,
                "nodes_added": area.change.nodes_added,
                "vertices_moved": area.change.vertices_moved,
                "largest_move_mm": round(area.change.largest_move_mm, 3),
                "slivers_closed": area.change.slivers_closed,
            }
            for area in done.areas
        ],
        "left": [
            {
                "layer": place.layer,
                "code": place.code,
                "lon": place.lon,
                "lat": place.lat,
                "reason": place.reason.value,
            }
            for place in done.left
        ],
    }


def _tell(done: Tidying, *, kept_in: str, dry_run: bool) -> None:
    if done.areas:
        grid = table(
            "layer", "code", "name", "nodes added", "vertices moved", "largest move", "slivers"
        )
        for area in done.areas[:SHOWN]:
            grid.add_row(*_cells(area))
        console().print(grid)
        if len(done.areas) > SHOWN:
            say(f"… and {len(done.areas) - SHOWN:,} areas more; --json lists them all.")
    if done.left:
        grid = table("left as it is", "code", "at", "because")
        for place in done.left[:SHOWN]:
            grid.add_row(
                place.layer, place.code, f"{place.lon:.7f} {place.lat:.7f}", place.reason.value
            )
        console().print(grid)
        if len(done.left) > SHOWN:
            say(f"… and {len(done.left) - SHOWN:,} places more; --json lists them all.")
    if not done.areas:
        say("Nothing to tidy; nothing was changed.")
        return
    closed = done.slivers_closed
    slivers = "1 gap or overlap" if closed == 1 else f"{closed:,} gaps and overlaps"
    nodes = sum(area.change.nodes_added for area in done.areas)
    moved = sum(area.change.vertices_moved for area in done.areas)
    largest_mm = max(area.change.largest_move_mm for area in done.areas)
    say(
        f"{len(done.areas):,} areas: {nodes:,} nodes added, {moved:,} vertices moved, by "
        f"{largest_mm:.1f} mm at most; {slivers} closed."
    )
    if dry_run:
        say("Dry run: nothing was changed.")
    else:
        say(f"Kept in the change set {kept_in}. Next: gridsvc publish {kept_in}")


def _cells(area: TidiedArea) -> tuple[str, ...]:
    change = area.change
    return (
        area.layer,
        area.code,
        area.name or "",
        f"{change.nodes_added:,}",
        f"{change.vertices_moved:,}",
        f"{change.largest_move_mm:.1f} mm",
        f"{change.slivers_closed:,}",
    )
