"""How commands are called and how they fail: exit 0 done, 1 failed or found errors, 2 wrong use."""

import re
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from psycopg.errors import UndefinedColumn, UndefinedFunction, UndefinedTable
from sqlalchemy.exc import DBAPIError
from typer.core import TyperCommand, TyperGroup

from gridsvc.errors import DatabaseUnavailable, GridsvcError

Json = Annotated[bool, typer.Option("--json", help="For machines: JSON, and nothing else.")]

FAILED = 1
"""The exit code of work that failed or found errors."""


class Commands(TyperGroup):
    """Tells an error that the user can act on in one message, without a traceback."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 -- as Typer declares it, whose types are private
        """Run a command."""
        try:
            return super().invoke(ctx)
        except GridsvcError as error:
            fail(error)
        except DBAPIError as error:
            known = _database_error(error)
            if known is None:
                raise
            fail(known)
        raise typer.Exit(FAILED)


class CoordinatesCommand(TyperCommand):
    """Takes -71.06 for a number, not for an option."""

    _NEGATIVE = re.compile(r"-(\d|\.\d|inf|nan)", re.IGNORECASE)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 -- as above
        """Put a space before negative numbers: no option begins with one, and float() drops it."""
        return super().parse_args(
            ctx, [f" {arg}" if self._NEGATIVE.match(arg) else arg for arg in args]
        )


# What a program that is newer than the database's tables and functions runs into.
_OLDER = (UndefinedTable, UndefinedColumn, UndefinedFunction)


def _database_error(error: DBAPIError) -> DatabaseUnavailable | None:
    if isinstance(error.orig, _OLDER):
        said = str(error.orig).splitlines()[0]
        return DatabaseUnavailable(
            f"The database is older than this program ({said})",
            remedy="Bring it up to date with `gridsvc up`",
        )
    if error.connection_invalidated:
        return DatabaseUnavailable(
            "The connection to the database broke; what was not committed is undone",
            remedy="See `gridsvc status`, then try again",
        )
    return None


def fail(error: GridsvcError) -> None:
    """Print an error where it does not mix with results."""
    typer.secho("error: ", fg=typer.colors.RED, err=True, nl=False)
    typer.echo(str(error), err=True)


def example(*lines: str) -> str:
    """Make the end of a command's help."""
    return "\n\n".join(("Example:" if len(lines) == 1 else "Examples:", *lines))


# Beyond them an instant has no local time in some time zone.
_YEARS = range(1000, 9000)


def parse_time(text: str) -> datetime:
    """Read RFC 3339, or a local date or time, which stays naive until the scheme's zone is known.

    Raises:
        BadParameter: it is neither.
    """
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        given = None
    if given is None or given.year not in _YEARS:
        raise typer.BadParameter(
            f"{text!r} is no time; write 2026-11-22, 2026-11-22T08:00 (the city's own time) or "
            "2026-11-22T08:00:00+08:00"
        )
    return given


def instant(given: datetime | None, zone: ZoneInfo) -> datetime | None:
    """Take a time without an offset as local."""
    return given.replace(tzinfo=zone) if given and given.tzinfo is None else given
