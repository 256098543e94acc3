"""`people import` and `people absences`: who holds what, and who is away, from flat tables."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from gridsvc.cli.commands import Json, example
from gridsvc.cli.console import progress
from gridsvc.cli.database import open_session
from gridsvc.cli.proposals import ChangeSetName, Proposal, Publish
from gridsvc.grids.absences import import_absences
from gridsvc.grids.changesets import open_change_set
from gridsvc.grids.people import import_people
from gridsvc.grids.people_files import ABSENCE_COLUMNS, COLUMNS, read_absences, read_people
from gridsvc.grids.scheme_store import current_scheme

app = typer.Typer(help="Parties and assignments.", no_args_is_help=True)

File = Annotated[
    Path, typer.Argument(metavar="FILE.csv", exists=True, dir_okay=False, help="UTF-8 or GB18030.")
]

_EXAMPLE = "gridsvc people import people.csv --publish"


def _columns(columns: Mapping[str, str]) -> tuple[str, ...]:
    return ("Columns:", *(f"{name}: {meaning}" for name, meaning in columns.items()), "")


@app.callback(epilog=example(_EXAMPLE))
def _group() -> None:
    """Parties, and who holds which duty where and when."""


@app.command("import", epilog="\n\n".join((*_columns(COLUMNS), example(_EXAMPLE))))
def import_(
    file: File,
    *,
    change_set: ChangeSetName = None,
    publish: Publish = False,
    json: Json = False,
) -> None:
    """Import parties and assignments from one flat table; its columns are listed below.

    Without --change-set or --publish this is a dry run: it tells what would be added and changed
    and what is wrong, and changes nothing. Nothing ends because the file does not mention it.
    Exit code 1 if a finding stops a publish.
    """
    with open_session() as session, progress(f"Reading {file.name}") as tick:
        scheme = current_scheme(session)
        people = read_people(file, scheme)
        tick.label("Checking" if not publish else "Checking and publishing")
        proposal = Proposal.begin(session, change_set, source=people.source)
        report = import_people(
            session, scheme, people, change_set=open_change_set(session, name=proposal.name)
        )
        proposal.conclude(session, report, publishes=publish, json=json)


@app.command(
    epilog="\n\n".join(
        (*_columns(ABSENCE_COLUMNS), example("gridsvc people absences away.csv --publish"))
    )
)
def absences(
    file: File,
    *,
    change_set: ChangeSetName = None,
    publish: Publish = False,
    json: Json = False,
) -> None:
    """Import who is away and when from one flat table; its columns are listed below.

    Without --change-set or --publish this is a dry run: it tells what would be added and changed,
    and changes nothing. A row with the party and the beginning of an absence that is there replaces
    it: so one comes back early, or later. Nothing ends because the file does not mention it.
    """
    with open_session() as session, progress(f"Reading {file.name}"):
        scheme = current_scheme(session)
        away = read_absences(file, scheme)
        proposal = Proposal.begin(session, change_set, source=away.source)
        report = import_absences(
            session, scheme, away, change_set=open_change_set(session, name=proposal.name)
        )
        proposal.conclude(session, report, publishes=publish, json=json)
