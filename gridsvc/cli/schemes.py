"""`scheme load`: define a city by its TOML file."""

from pathlib import Path
from typing import Annotated

import typer

from gridsvc.cli.commands import Json, example
from gridsvc.cli.console import emit, say
from gridsvc.cli.database import open_session
from gridsvc.grids.scheme_store import load_scheme
from gridsvc.grids.schemes import read_scheme

app = typer.Typer(help="A city's set-up.", no_args_is_help=True)


@app.callback(epilog=example("gridsvc scheme load data/schemes/demo.toml"))
def _group() -> None:
    """A city's set-up: layers, duties, ladders, categories, calendar, CRS."""


@app.command(epilog=example("gridsvc scheme load data/schemes/demo.toml"))
def load(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.toml", exists=True, dir_okay=False, help="The scheme.")
    ],
    *,
    json: Json = False,
) -> None:
    """Define a city: layers, duties, ladders, categories, calendar, CRS.

    A wrong scheme is refused with all its problems, each with key, line and remedy.
    """
    scheme = read_scheme(file)
    with open_session() as session:
        revision = load_scheme(session, scheme)
        session.commit()
    layers = [layer.code for layer in scheme.layers]
    if json:
        emit({"scheme": scheme.code, "layers": layers, "revision": revision})
        return
    say(f"The scheme {scheme.code} is in force: {', '.join(layers)}.")
    if revision:
        say(f"It made revision {revision}.")
