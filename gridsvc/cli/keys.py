"""`key create`, `list` and `revoke`: who may call the API."""

from typing import Annotated, Any

import typer

from gridsvc.cli.commands import Json, example
from gridsvc.cli.console import console, emit, say, table
from gridsvc.cli.database import open_session
from gridsvc.grids.keys import Key, Scope, create_key, list_keys, revoke_key

app = typer.Typer(help="API keys.", no_args_is_help=True)


@app.callback(epilog=example("gridsvc key create --name dispatch --scope locate"))
def _group() -> None:
    """API keys: shown once, stored hashed."""


@app.command(
    epilog=example("gridsvc key create --name dispatch --scope locate --scope people:read")
)
def create(
    *,
    name: Annotated[str, typer.Option(metavar="N", help="Who will hold it.")],
    scope: Annotated[
        list[str],
        typer.Option(metavar="S", help=f"What it allows, repeatable: {', '.join(Scope)}."),
    ],
    json: Json = False,
) -> None:
    """Make a key and show it, once."""
    scopes = [part for given in scope for part in given.replace(",", " ").split()]
    with open_session() as session:
        token, key = create_key(session, name=name, scopes=scopes)
        session.commit()
    if json:
        emit({"key": token} | _as_json(key))
        return
    say(token)
    typer.echo(
        f"This is the key of {name} ({', '.join(key.scopes)}). It is not shown again.", err=True
    )


@app.command("list", epilog=example("gridsvc key list"))
def list_(*, json: Json = False) -> None:
    """Show all keys without their secrets, revoked ones too."""
    with open_session() as session:
        keys = list_keys(session)
    if json:
        emit([_as_json(key) for key in keys])
        return
    if not keys:
        say("There are no keys.")
        return
    grid = table("name", "scopes", "made at", "revoked at")
    for key in keys:
        revoked = f"{key.revoked_at:%Y-%m-%d %H:%M}Z" if key.revoked_at else ""
        grid.add_row(key.name, ", ".join(key.scopes), f"{key.created_at:%Y-%m-%d %H:%M}Z", revoked)
    console().print(grid)


@app.command(epilog=example("gridsvc key revoke dispatch"))
def revoke(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The key's name.")],
    *,
    json: Json = False,
) -> None:
    """End a key: calls with it are refused from now on."""
    with open_session() as session:
        key = revoke_key(session, name=name)
        session.commit()
    if json:
        emit(_as_json(key))
    else:
        say(f"The key of {name} is revoked.")


def _as_json(key: Key) -> dict[str, Any]:
    return {
        "name": key.name,
        "scopes": list(key.scopes),
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
    }
