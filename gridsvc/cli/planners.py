"""`planner add`, `list` and `remove`: who may edit or look at boundaries in QGIS."""

import sys
from typing import Annotated, Any

import typer

from gridsvc.cli.commands import Json, example
from gridsvc.cli.console import console, emit, say, table
from gridsvc.cli.database import open_session
from gridsvc.errors import PlannerError
from gridsvc.grids.planners import (
    PlannerInfo,
    PlannerRole,
    add_planner,
    find_ground,
    list_planners,
    remove_planner,
)

app = typer.Typer(help="Who edits boundaries in QGIS.", no_args_is_help=True)

Login = Annotated[str, typer.Argument(metavar="NAME", help="The login's name in the database.")]


@app.callback(epilog=example("gridsvc planner add li --streets 110199001,110199002"))
def _group() -> None:
    """Logins of the database for QGIS: planners, chief planners, viewers."""


@app.command(
    epilog=example(
        "gridsvc planner add li --streets 110199001,110199002",
        "gridsvc planner add wang --chief",
        "gridsvc planner add guest --viewer --password-stdin < guest.secret",
    )
)
def add(  # noqa: PLR0913 -- each says what the login may do
    name: Login,
    *,
    streets: Annotated[
        str | None,
        typer.Option(
            metavar="CODES",
            help="Areas in which a planner edits, by code, parted by commas; "
            "layer:code where two layers share a code.",
        ),
    ] = None,
    publishes: Annotated[
        bool, typer.Option("--publishes", help="Let a planner publish its own change sets.")
    ] = False,
    chief: Annotated[
        bool, typer.Option("--chief", help="Edits everywhere, publishes anybody's change sets.")
    ] = False,
    viewer: Annotated[bool, typer.Option("--viewer", help="Looks, and changes nothing.")] = False,
    password_stdin: Annotated[
        bool,
        typer.Option("--password-stdin", help="Read the password from standard input."),
    ] = False,
    json: Json = False,
) -> None:
    """Make a login, or change what one may do; its password is asked for and shown nowhere."""
    if chief + viewer + (streets is not None) != 1:
        raise typer.BadParameter("give one of --streets, --chief and --viewer")
    if publishes and streets is None:
        raise typer.BadParameter(
            "goes with --streets: a chief publishes anyway", param_hint="--publishes"
        )
    role = PlannerRole.CHIEF if chief else PlannerRole.VIEWER if viewer else PlannerRole.PLANNER
    codes = [part.strip() for part in (streets or "").split(",") if part.strip()]
    if role is PlannerRole.PLANNER and not codes:
        raise typer.BadParameter("names no area", param_hint="--streets")
    with open_session() as session:
        known = any(one.login == name for one in list_planners(session))
        planner = PlannerInfo(
            login=name, role=role, ground=find_ground(session, codes), publishes=publishes
        )
        is_new = add_planner(
            session, planner, password=_password(name, asked=password_stdin, known=known)
        )
        session.commit()
    if json:
        emit(_as_json(planner) | {"new": is_new})
    else:
        say(f"{name} is {'now' if is_new else 'still'} a login: {_rights(planner)}.")
        say("Next: gridsvc qgis package DIR, and give the folder to whoever uses the login.")


def _password(name: str, *, asked: bool, known: bool) -> str | None:
    """Get the password: from standard input if asked, else from the terminal for a new login."""
    if asked:
        given = sys.stdin.readline().rstrip("\r\n")
        if not given:
            raise PlannerError(
                "Standard input holds no password", remedy="Pipe one line into the command"
            )
        return given
    if known:
        return None
    if not sys.stdin.isatty():
        raise PlannerError(
            f"{name} is new and its password cannot be asked for without a terminal",
            remedy="Pipe it into the command with --password-stdin",
        )
    given = typer.prompt(f"Password of {name}", hide_input=True, confirmation_prompt=True)
    return str(given)


@app.command("list", epilog=example("gridsvc planner list"))
def list_(*, json: Json = False) -> None:
    """Show the logins and what they may do."""
    with open_session() as session:
        planners = list_planners(session)
    if json:
        emit([_as_json(one) for one in planners])
        return
    if not planners:
        say("There are no planners; make one with `gridsvc planner add`.")
        return
    grid = table("login", "may")
    for one in planners:
        grid.add_row(one.login, _rights(one))
    console().print(grid)


@app.command(epilog=example("gridsvc planner remove li"))
def remove(name: Login, *, json: Json = False) -> None:
    """Take a login away; what it proposed and published stays on record."""
    with open_session() as session:
        remove_planner(session, name)
        session.commit()
    if json:
        emit({"login": name, "removed": True})
    else:
        say(f"{name} is no login any more.")


def _rights(planner: PlannerInfo) -> str:
    match planner.role:
        case PlannerRole.CHIEF:
            return "edits everywhere, publishes and rolls back"
        case PlannerRole.VIEWER:
            return "looks"
        case _:
            ground = ", ".join(f"{layer} {code}" for layer, code in planner.ground)
            return f"edits in {ground}" + (
                ", publishes its own change sets" if planner.publishes else ""
            )


def _as_json(planner: PlannerInfo) -> dict[str, Any]:
    return {
        "login": planner.login,
        "role": planner.role.value,
        "ground": [{"layer": layer, "code": code} for layer, code in planner.ground],
        "publishes": planner.publishes,
    }
