"""`impact`: what a change set would mean, before it is published."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import orjson
import typer

from gridsvc.cli.change_sets import Name
from gridsvc.cli.commands import Json, example
from gridsvc.cli.console import console, emit, progress, say, table
from gridsvc.cli.database import open_session
from gridsvc.reports.impact import DAYS, MAX_DAYS, AreaImpact, Impact, features, preview

SHOWN = 20
"""How many rows of a table people see."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=example("gridsvc impact june", "gridsvc impact june --out june.geojson"))(
        impact
    )


def impact(
    name: Name,
    *,
    days: Annotated[
        int, typer.Option(min=1, max=MAX_DAYS, help="Ask the reports of so many days again.")
    ] = DAYS,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.geojson",
            dir_okay=False,
            help="Also write the changed ground and the reports that move.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show who would gain and lose reports if a change set were published, and change nothing.

    The reports of the last days are asked again, each at its own hour of the week, of the draft and
    of the revision that it rests on, at the instant at which all of it is in effect.
    """
    if out and out.suffix != ".geojson":
        raise typer.BadParameter(f"{out} does not end in .geojson", param_hint="--out")
    with open_session() as session, progress(f"Asking reports of {days} days"):
        found = preview(session, name, days=days)
        if out:
            told = {"type": "FeatureCollection", "features": list(features(session, found))}
            out.write_bytes(orjson.dumps(told))
        session.commit()
    if json:
        emit(asdict(found) | {"out": out and str(out)})
        return
    _show(found)
    if out:
        say(f"Written to {out}.")


def _show(found: Impact) -> None:
    say(
        f"{found.moved:,} of {found.reports:,} reports since {found.from_at:%Y-%m-%d} would go to "
        f"somebody else, if {found.change_set} were in effect "
        f"(judged at {found.judged_at:%Y-%m-%dT%H:%M} against revision {found.base_revision})."
    )
    if not found.reports:
        say("None came in on that ground then; `gridsvc reports import` takes past ones.")
    if found.parties:
        grid = table("duty", "party", "name", "gains", "loses", "change")
        duty = None
        for one in found.parties[:SHOWN]:
            grid.add_row(
                "" if one.duty == duty else one.duty,
                one.party or "nobody",
                one.name or "",
                f"{one.gains:,}",
                f"{one.losses:,}",
                f"{one.gains - one.losses:+,}",
            )
            duty = one.duty
        console().print(grid)
        _tell_more(len(found.parties))
    if found.areas:
        grid = table("area", "what", "m² before", "m² after", "change", "moved edge")
        for area in sorted(found.areas, key=lambda one: -abs(_change(one)))[:SHOWN]:
            grid.add_row(
                f"{area.layer} {area.code}",
                area.what,
                _number(area.area_before_m2),
                _number(area.area_after_m2),
                f"{_change(area):+,.0f}",
                "" if area.moved_edge_m is None else f"{area.moved_edge_m:,.1f} m",
            )
        console().print(grid)
        _tell_more(len(found.areas))
    if found.stops:
        say(
            f"It cannot be published yet: {_findings(found.stops)} it "
            f"(gridsvc check --change-set {found.change_set}).",
            style="yellow",
        )
    if found.conflicts:
        say(
            f"Others have published changes of the same areas or duties since revision "
            f"{found.base_revision}: {found.conflicts:,} conflicts.",
            style="yellow",
        )


def _tell_more(rows: int) -> None:
    if rows > SHOWN:
        say(f"… and {rows - SHOWN:,} more; all of them: --json.")


def _change(area: AreaImpact) -> float:
    return (area.area_after_m2 or 0.0) - (area.area_before_m2 or 0.0)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _findings(count: int) -> str:
    return "1 finding stops" if count == 1 else f"{count:,} findings stop"
