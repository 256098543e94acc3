"""Results go to stdout, as tables for people or JSON for machines; progress goes to stderr."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

PIPED_WIDTH = 120
"""Columns where there is no terminal to ask."""


def console() -> Console:
    """The terminal for results; nothing in them is taken for markup."""
    width = None if sys.stdout.isatty() else PIPED_WIDTH
    return Console(width=width, markup=False, highlight=False, soft_wrap=False)


def say(text: str, *, style: str | None = None) -> None:
    """Print a line for people, unbroken."""
    console().print(text, style=style, soft_wrap=True)


def emit(value: Any) -> None:  # noqa: ANN401 -- whatever JSON can hold
    """Print JSON for machines."""
    typer.echo(orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2).decode())


def table(*headers: str, title: str | None = None) -> Table:
    """Begin a table in the one look that all have; long cells fold and lose nothing."""
    grid = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for header in headers:
        grid.add_column(header, overflow="fold")
    return grid


@contextmanager
def progress(label: str, *, total: float | None = None) -> Iterator["Tick"]:
    """Show a bar on stderr while work goes on; nothing where stderr is no terminal."""
    terminal = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[done]}"),
        TimeElapsedColumn(),
        console=terminal,
        transient=True,
        disable=not terminal.is_terminal,
    ) as bar:
        yield Tick(bar, bar.add_task(label, total=total, done=""))


class Tick:
    """Moves a bar on."""

    def __init__(self, bar: Progress, task: Any) -> None:  # noqa: ANN401 -- Rich's own number
        self._bar = bar
        self._task = task
        self._rows = 0

    def label(self, text: str) -> None:
        """Say what is being done now."""
        self._bar.update(self._task, description=text)

    def add_rows(self, count: int) -> None:
        """Say how many more rows are done."""
        self._rows += count
        self._bar.update(self._task, done=f"{self._rows:,} rows")
