"""`check`, `publish`, `withdraw` and `rollback`: how proposals become revisions, or do not."""

from pathlib import Path
from typing import Annotated

import typer

from gridsvc.cli import findings
from gridsvc.cli.commands import FAILED, Json, example
from gridsvc.cli.console import emit, progress, say
from gridsvc.cli.database import open_session
from gridsvc.grids import changesets, validation
from gridsvc.grids.scheme_store import current_scheme

Name = Annotated[str, typer.Argument(metavar="NAME", help="An open change set.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        epilog=example(
            "gridsvc check --layer street", "gridsvc check --change-set june --out f.gpkg"
        )
    )(check)
    app.command(epilog=example("gridsvc publish june"))(publish)
    app.command(epilog=example("gridsvc withdraw june"))(withdraw)
    app.command(epilog=example("gridsvc rollback 11"))(rollback)


def check(
    *,
    layer: Annotated[str | None, typer.Option(help="Check this layer only.")] = None,
    change_set: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Check the state that this change set would leave."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE.gpkg", dir_okay=False, help="Also write the findings for QGIS."),
    ] = None,
    json: Json = False,
) -> None:
    """Check the live state, or a change set; exit code 1 if a finding stops a publish."""
    if out and out.suffix != ".gpkg":
        raise typer.BadParameter(f"{out} does not end in .gpkg", param_hint="--out")
    with open_session() as session, progress("Checking"):
        found = validation.check(
            session,
            current_scheme(session),
            change_set=changesets.find_change_set(session, change_set) if change_set else None,
            layers=[layer] if layer else None,
        )
        revision = changesets.latest_revision(session)
    if out:
        findings.write(found, out)
    if json:
        emit(
            {
                "revision": revision,
                "change_set": change_set,
                "findings": [findings.as_json(one) for one in found],
                "out": out and str(out),
            }
        )
    else:
        findings.show(found)
        if out:
            say(f"Written to {out}.")
    if any(one.stops for one in found):
        raise typer.Exit(FAILED)


def publish(name: Name, *, json: Json = False) -> None:
    """Make a change set the next revision, whole or not at all."""
    with open_session() as session, progress(f"Publishing {name}"):
        done = changesets.publish(session, changesets.find_change_set(session, name))
        session.commit()
    _tell(done, json=json)


def withdraw(name: Name, *, json: Json = False) -> None:
    """Give a change set up; its edits are kept for the record."""
    with open_session() as session:
        changesets.withdraw(session, changesets.find_change_set(session, name))
        session.commit()
    if json:
        emit({"change_set": name, "state": "withdrawn"})
    else:
        say(f"The change set {name} is withdrawn.")


def rollback(
    revision: Annotated[int, typer.Argument(help="The revision whose state is to come back.")],
    *,
    json: Json = False,
) -> None:
    """Publish a new revision with the state of an earlier one; no history is lost."""
    with open_session() as session, progress(f"Rolling back to revision {revision}"):
        done = changesets.rollback(session, revision)
        session.commit()
    _tell(done, json=json)


def _tell(done: changesets.Published, *, json: bool) -> None:
    if json:
        emit(
            {
                "revision": done.revision,
                "findings": [findings.as_json(one) for one in done.findings],
            }
        )
        return
    if done.findings:
        findings.show(done.findings)
    say(f"Published as revision {done.revision}.", style="green")
