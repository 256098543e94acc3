"""What can go wrong, named so that the reader knows the thing, the place and the remedy.

    GridsvcError
    ├── SettingsError
    ├── DatabaseUnavailable
    ├── UnknownCrs
    ├── DatumNotInverted
    ├── SchemeError
    ├── CategoriesError
    ├── WeekHoursError
    ├── UnitGridCodeError
    └── ...

Nothing here knows of HTTP; `gridsvc.api.problems` maps each class to a status.
"""

from dataclasses import dataclass
from pathlib import Path


class GridsvcError(Exception):
    """An error the caller can act on.

    Attributes:
        detail: What is wrong and where, one sentence without its full stop.
        remedy: What to do about it, one sentence without its full stop.
    """

    def __init__(self, detail: str, *, remedy: str) -> None:
        super().__init__(detail, remedy)
        self.detail = detail
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.detail}. {self.remedy}."


class SettingsError(GridsvcError):
    """A setting is missing or cannot be used."""


class DatabaseUnavailable(GridsvcError):
    """No PostGIS answers, or it is too old."""


class PostgresMissing(DatabaseUnavailable):
    """No PostgreSQL with PostGIS is installed that the embedded cluster could run.

    Attributes:
        part: What is missing, e.g. "PostGIS ≥ 3.3 for PostgreSQL 15".
        looked_in: Where it was looked for.
    """

    def __init__(self, part: str, *, looked_in: str) -> None:
        super().__init__(
            f"{part} is missing (looked in {looked_in})",
            remedy="Install it (Debian, Ubuntu: `sudo apt-get install postgresql-postgis`), "
            "or name another server in GRIDSVC_DATABASE_URL=postgresql://…, "
            "or run `docker compose up`",
        )
        self.part = part
        self.looked_in = looked_in


class ClusterFailed(DatabaseUnavailable):
    """The embedded cluster could not be made, started or stopped.

    Attributes:
        action: What was tried, e.g. "start".
        place: The cluster's folder.
        reason: What PostgreSQL or the system said.
    """

    def __init__(self, action: str, *, place: Path, reason: str, remedy: str | None = None) -> None:
        super().__init__(
            f"The embedded database in {place} did not {action}: {reason}",
            remedy=remedy
            or "Remove the cause, or use another server through GRIDSVC_DATABASE_URL",
        )
        self.action = action
        self.place = place
        self.reason = reason


class UnknownCrs(GridsvcError):
    """No coordinate reference system bears this name.

    Attributes:
        name: The name as given.
        matches: Normalised names that are spelled alike, the closest first.
    """

    def __init__(self, name: str, *, matches: tuple[str, ...]) -> None:
        meant = f"Did you mean {' or '.join(matches)}? " if matches else ""
        super().__init__(
            f"No coordinate reference system is called {name!r}",
            remedy=f"{meant}Use gcj02, bd09 or EPSG:number, such as EPSG:4326",
        )
        self.name = name
        self.matches = matches


class DatumNotInverted(GridsvcError):
    """A shifted datum could not be undone to the promised accuracy.

    Attributes:
        count: How many points were missed.
        x: Longitude of the first of them, as given.
        y: Its latitude.
    """

    def __init__(self, count: int, *, x: float, y: float) -> None:
        super().__init__(
            f"{count} points could not be converted to WGS-84 exactly, the first at ({x}, {y})",
            remedy="Check that they are longitudes and latitudes in the declared datum",
        )
        self.count = count
        self.x = x
        self.y = y


@dataclass(frozen=True, slots=True)
class SchemeProblem:
    """One thing that is wrong with a scheme.

    Attributes:
        key: Where, e.g. "layer[3].parent", counted from 0; "" is the whole file.
        line: Line of the scheme's text, from 1; None where there is no text.
        message: What is wrong, without a full stop.
        remedy: What to do about it, without a full stop.
    """

    key: str
    line: int | None
    message: str
    remedy: str

    def __str__(self) -> str:
        place = [f"line {self.line}"] if self.line else []
        return f"{', '.join([*place, *filter(None, [self.key])])}: {self.message}. {self.remedy}."


class SchemeError(GridsvcError):
    """A scheme cannot be used; all its problems are named at once.

    Attributes:
        source: The file, or what the scheme came from.
        problems: In the order of the text.
    """

    def __init__(self, source: str, *, problems: tuple[SchemeProblem, ...]) -> None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        first = str(problems[0]).rstrip(".")
        super().__init__(
            f"The scheme {source} has {count}" + (", the first: " if problems[1:] else ": ") + first,
            remedy="Mend the scheme and load it again; nothing was changed",
        )
        self.source = source
        self.problems = problems

    def __str__(self) -> str:
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        lines = [f"  {problem}" for problem in self.problems]
        return "\n".join([f"The scheme {self.source} has {count}:", *lines, f"{self.remedy}."])


class CategoriesError(GridsvcError):
    """A file of categories cannot be read.

    Attributes:
        source: The file.
        faults: One phrase per fault, each with its line.
    """

    def __init__(self, source: str, faults: tuple[str, ...]) -> None:
        super().__init__(
            f"The categories in {source} cannot be used: {'; '.join(faults)}",
            remedy="Give a CSV with the columns code, kind, name_zh, name_en, valid_from, valid_to",
        )
        self.source = source
        self.faults = faults


class WeekHoursError(GridsvcError):
    """Hours of the week cannot be read.

    Attributes:
        piece: The piece between semicolons that is at fault.
        fault: What is wrong with it.
    """

    def __init__(self, piece: str, fault: str, *, remedy: str) -> None:
        super().__init__(f"«{piece}» in the hours of the week {fault}", remedy=remedy)
        self.piece = piece
        self.fault = fault


class UnitGridCodeError(GridsvcError):
    """A unit grid code is not 6+3+3+3 digits.

    Attributes:
        code: The code as given.
        faults: What is wrong, one phrase per fault.
    """

    def __init__(self, code: str, faults: tuple[str, ...]) -> None:
        super().__init__(
            f"The unit grid code {code!r} {'; it '.join(faults)}",
            remedy="Give 15 digits: district 6, street 3, community 3, unit 3",
        )
        self.code = code
        self.faults = faults
