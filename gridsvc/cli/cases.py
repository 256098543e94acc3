"""`cases list`, `show`, `climb`, `export`: what reports led to, and whose time is up."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from gridsvc.cli.commands import Json, example, instant, parse_time
from gridsvc.cli.console import console, emit, progress, say, table
from gridsvc.cli.database import open_session
from gridsvc.grids.scheme_store import current_scheme
from gridsvc.reports.case_columns import write_cases
from gridsvc.reports.case_records import CaseFilter, CaseSummary, list_cases, read_case
from gridsvc.reports.cases import Climbed, climb
from gridsvc.reports.terms import CaseState

app = typer.Typer(help="Cases and their events.", no_args_is_help=True)

_LIST = "gridsvc cases list --state dispatched --layer street --area 110199005"
_SHOW = "gridsvc cases show 17"
_CLIMB = "gridsvc cases climb"
_EXPORT = "gridsvc cases export cases.parquet --from 2026-01-01"
_CODE = "CODE"


@app.callback(epilog=example(_LIST, _SHOW, _CLIMB, _EXPORT))
def _group() -> None:
    """What the reports have led to, and who has it to act on."""


@app.command("list", epilog=example(_LIST, "gridsvc cases list --overdue --json"))
def list_(  # noqa: PLR0913 -- the options of the command
    *,
    state: Annotated[CaseState | None, typer.Option(help="Only in this state.")] = None,
    category: Annotated[
        str | None, typer.Option(metavar=_CODE, help="A class, or the beginning of its code.")
    ] = None,
    layer: Annotated[str | None, typer.Option(metavar=_CODE, help="The layer of --area.")] = None,
    area: Annotated[
        str | None, typer.Option(metavar=_CODE, help="Only in the area of this code.")
    ] = None,
    holder: Annotated[
        str | None, typer.Option(metavar=_CODE, help="Only those that this party has.")
    ] = None,
    overdue: Annotated[
        bool | None,
        typer.Option("--overdue/--in-time", help="Whether the time to close them is over."),
    ] = None,
    after: Annotated[
        int | None, typer.Option(metavar="ID", help="Only those that follow this case.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The most cases.")] = 50,
    json: Json = False,
) -> None:
    """Show cases in the order in which they came into being; times are local."""
    wanted = CaseFilter(
        state=state, category=category, layer=layer, area=area, holder=holder, overdue=overdue
    )
    with open_session() as session:
        zone = current_scheme(session).zone
        page = list_cases(session, wanted, limit=limit, after=after)
    if json:
        emit({"cases": [asdict(row) for row in page.rows], "after": page.after})
        return
    if not page.rows:
        say("There are no such cases.")
        return
    grid = table("case", "category", "state", "since", "holder", "step", "due", "reports")
    for row in page.rows:
        grid.add_row(*_cells(row, zone))
    console().print(grid)
    if page.after is not None:
        say(f"There are more: --after {page.after}")


@app.command(epilog=example(_SHOW))
def show(
    case_id: Annotated[
        int, typer.Argument(metavar="CASE", min=1, max=2**63 - 1, help="Its number.")
    ],
    *,
    json: Json = False,
) -> None:
    """Show a case, its reports and all that happened to it; times are local."""
    with open_session() as session:
        zone = current_scheme(session).zone
        record = read_case(session, case_id)
    if json:
        emit(asdict(record.case) | {key: it for key, it in asdict(record).items() if key != "case"})
        return
    grid = table("case", "category", "state", "since", "holder", "step", "due", "reports")
    grid.add_row(*_cells(record.case, zone))
    console().print(grid)
    log = table("no.", "at", "event", "by", "to", "reason", "told by")
    for event in record.events:
        log.add_row(
            str(event.number),
            _local(event.at, zone),
            event.kind.replace("_", " "),
            event.party or "",
            event.to_party or event.details.get("to") or "",
            event.reason or "",
            event.actor,
        )
    console().print(log)
    for report in record.reports:
        first = " (the first)" if report.is_first else ""
        say(f"Report {report.id}{first}, in at {_local(report.received_at, zone)}")


@app.command("climb", epilog=example(_CLIMB))
def climb_(*, json: Json = False) -> None:
    """Let cases climb the escalation chain whose time on a step is up.

    `gridsvc serve` does so by itself; this is for where nothing is served, and can run beside it.
    """
    climbed: list[Climbed] = []
    with open_session() as session:
        while batch := climb(session):
            session.commit()
            climbed += batch
    if json:
        emit([asdict(one) for one in climbed])
        return
    for one in climbed:
        to = f"to {one.to_party}" if one.to_party else "no further: nobody holds a higher step"
        say(f"Case {one.case_id} climbed from {one.from_party} {to} (step {one.step}).")
    say(f"Cases whose time was up: {len(climbed):,}.")


@app.command(epilog=example(_EXPORT))
def export(
    out: Annotated[Path, typer.Argument(metavar="OUT.parquet", dir_okay=False)],
    *,
    from_: Annotated[
        datetime | None,
        typer.Option(
            "--from", metavar="T", parser=parse_time, help="Opened then or later; local time."
        ),
    ] = None,
    to: Annotated[
        datetime | None, typer.Option(metavar="T", parser=parse_time, help="Opened before then.")
    ] = None,
    json: Json = False,
) -> None:
    """Write cases with a place as columns, which `gridsvc.hotspots` and notebooks read.

    x and y are metres in the scheme's storage CRS, times are UTC. There is no name, no phone, no
    description. A case that was merged into another is left out.
    """
    if out.suffix != ".parquet":
        raise typer.BadParameter(f"{out} does not end in .parquet", param_hint="OUT.parquet")
    with open_session() as session, progress("Writing cases"):
        zone = current_scheme(session).zone
        from_at, to_at = instant(from_, zone), instant(to, zone)
        if from_at and to_at and from_at >= to_at:
            raise typer.BadParameter(
                f"{from_at.isoformat()} is not before the end, {to_at.isoformat()}",
                param_hint="--from",
            )
        count = write_cases(session, out, from_at=from_at, to_at=to_at)
    if json:
        emit({"cases": count, "out": str(out)})
        return
    say(f"{count:,} cases written to {out}.")


def _cells(row: CaseSummary, zone: ZoneInfo) -> tuple[str, ...]:
    return (
        str(row.id),
        row.category or "",
        row.state.replace("_", " "),
        _local(row.state_since, zone),
        row.holder or "",
        str(row.step),
        _local(row.due_at, zone),
        str(row.report_count),
    )


def _local(at: datetime | None, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}" if at else ""
