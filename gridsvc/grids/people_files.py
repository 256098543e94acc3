"""Reading the flat tables of people, and of absences; every fault is told with its line."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from zoneinfo import ZoneInfo

from gridsvc.errors import RowsRefused, WeekHoursError
from gridsvc.grids import csv_text
from gridsvc.grids.schemes import Scheme
from gridsvc.grids.terms import Duty
from gridsvc.grids.weekhours import WeekHours, parse_week_hours

COLUMNS = {
    "party_code": "the party's stable code",
    "party_name": "its name",
    "party_kind": "person or body",
    "phone": "may be empty",
    "role": "code of a role of the scheme",
    "duty": "responsibility, management, enforcement or supervision",
    "rank": "1 lead, 2 assistant; empty is 1",
    "layer": "code of a layer of the scheme",
    "area_code": "code of the area",
    "categories": "prefixes of category codes, separated by ;  empty is all",
    "hours": "mon-fri 08:00-20:00; sat 09:00-12:00  empty is always",
    "valid_from": "first instant, date or RFC 3339, the city's time where no offset is given; "
    "empty is from the import on",
    "valid_to": "the instant it ends, no longer included; empty is open",
}
OPTIONAL = frozenset({"phone", "rank", "categories", "hours", "valid_from", "valid_to"})

ABSENCE_COLUMNS = {
    "party_code": COLUMNS["party_code"],
    "valid_from": "first instant away, date or RFC 3339, the city's time where no offset is given",
    "valid_to": "the instant of coming back, no longer away; empty is open",
    "reason": "may be empty",
}
ABSENCE_OPTIONAL = frozenset({"valid_to", "reason"})

RANKS = {"": 1, "1": 1, "lead": 1, "2": 2, "assistant": 2}


@dataclass(frozen=True, slots=True)
class PartyRow:
    """A party as the file gives it."""

    code: str
    name: str
    kind: str
    phone: str | None


@dataclass(frozen=True, slots=True)
class AssignmentRow:
    """An assignment as the file gives it, one for each category prefix; no start is from now."""

    line: int
    party_code: str
    layer: str
    area_code: str
    duty: Duty
    role: str
    rank: int
    category: str | None
    hours: WeekHours
    valid_from: datetime | None
    valid_to: datetime | None


@dataclass(frozen=True, slots=True)
class PeopleFile:
    """What was read: each party once, and all assignments in the file's order."""

    source: str
    parties: tuple[PartyRow, ...]
    assignments: tuple[AssignmentRow, ...]


@dataclass(frozen=True, slots=True)
class AbsenceRow:
    """An absence as the file gives it."""

    line: int
    party_code: str
    valid_from: datetime
    valid_to: datetime | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class AbsenceFile:
    """What was read, in the file's order."""

    source: str
    absences: tuple[AbsenceRow, ...]


def read_people(path: Path, scheme: Scheme) -> PeopleFile:
    """Read a CSV of parties and assignments.

    Args:
        path: Columns as in `COLUMNS`, in any order.
        scheme: Knows the layers, roles and the time zone.

    Raises:
        ImportRefused: no such file, not its encoding, or a column is missing.
        RowsRefused: all faults of its rows, each with its line.
    """
    rows = csv_text.read(path, COLUMNS, OPTIONAL)
    reader = _Reader(scheme)
    for line, cells in rows:
        reader.read(line, cells)
    if reader.faults:
        raise RowsRefused(path.name, faults=tuple(reader.faults))
    return PeopleFile(path.name, tuple(reader.parties.values()), tuple(reader.assignments))


def read_absences(path: Path, scheme: Scheme) -> AbsenceFile:
    """Read a CSV of absences.

    Args:
        path: Columns as in `ABSENCE_COLUMNS`, in any order.
        scheme: Knows the time zone.

    Raises:
        ImportRefused: no such file, not its encoding, or a column is missing.
        RowsRefused: all faults of its rows, each with its line.
    """
    absences: dict[tuple[str, datetime], AbsenceRow] = {}
    faults = []
    for line, cells in csv_text.read(path, ABSENCE_COLUMNS, ABSENCE_OPTIONAL):
        try:
            row = _absence(line, cells, scheme.zone)
        except _Fault as error:
            faults.append(f"line {line}: {error}")
            continue
        first = absences.setdefault((row.party_code, row.valid_from), row)
        if first is not row:
            faults.append(
                f"line {line}: {row.party_code} is away from that instant on line {first.line} "
                "already; keep one of them"
            )
    if faults:
        raise RowsRefused(path.name, faults=tuple(faults))
    return AbsenceFile(path.name, tuple(absences.values()))


class _Fault(ValueError):
    """What is wrong with a cell, in words for the reader."""


def _absence(line: int, cells: dict[str, str], zone: ZoneInfo) -> AbsenceRow:
    party_code = _code("party_code", cells)
    valid_from, valid_to = _period(cells, zone)
    if valid_from is None:
        raise _Fault("valid_from is empty")
    return AbsenceRow(line, party_code, valid_from, valid_to, cells.get("reason") or None)


class _Reader:
    def __init__(self, scheme: Scheme) -> None:
        self.zone = scheme.zone
        self.layers = [layer.code for layer in scheme.layers]
        self.roles = [role.code for role in scheme.roles]
        self.categories = [category.code for category in scheme.categories]
        self.parties: dict[str, PartyRow] = {}
        self.party_lines: dict[str, int] = {}
        self.assignments: list[AssignmentRow] = []
        self.faults: list[str] = []

    def read(self, line: int, cells: dict[str, str]) -> None:
        try:
            party = self._party(cells)
            assignments = self._assignments(line, cells, party.code)
        except (_Fault, WeekHoursError) as error:
            self.faults.append(f"line {line}: {error}")
            return
        known = self.parties.setdefault(party.code, party)
        first = self.party_lines.setdefault(party.code, line)
        if known != party:
            self.faults.append(
                f"line {line}: party {party.code} has another name, kind or phone on line {first}"
            )
        self.assignments += assignments

    def _party(self, cells: dict[str, str]) -> PartyRow:
        kind = cells["party_kind"].lower()
        _one_of("party_kind", kind, ("person", "body"))
        name = cells["party_name"]
        if not name:
            raise _Fault("party_name is empty")
        phone = unicodedata.normalize("NFKC", cells.get("phone", "")).removesuffix(".0")
        _not_scientific("phone", phone)
        return PartyRow(_code("party_code", cells), name, kind, phone or None)

    def _assignments(
        self, line: int, cells: dict[str, str], party_code: str
    ) -> list[AssignmentRow]:
        _one_of("role", cells["role"], self.roles)
        _one_of("layer", cells["layer"], self.layers)
        _one_of("duty", cells["duty"], list(Duty))
        rank = cells.get("rank", "").lower().removesuffix(".0")
        _one_of("rank", rank, RANKS)
        valid_from, valid_to = _period(cells, self.zone)
        prefixes = [
            part.strip() for part in re.split("[;；]", cells.get("categories", "")) if part.strip()
        ]
        for prefix in prefixes:
            if self.categories and not any(code.startswith(prefix) for code in self.categories):
                raise _Fault(f"no category of the scheme begins with {prefix!r}")
        return [
            AssignmentRow(
                line=line,
                party_code=party_code,
                layer=cells["layer"],
                area_code=_code("area_code", cells),
                duty=Duty(cells["duty"]),
                role=cells["role"],
                rank=RANKS[rank],
                category=prefix,
                hours=parse_week_hours(cells.get("hours", "")),
                valid_from=valid_from,
                valid_to=valid_to,
            )
            for prefix in dict.fromkeys(prefixes) or [None]
        ]


def _one_of(column: str, value: str, allowed: Iterable[str]) -> None:
    names = [name for name in allowed if name]
    if value not in allowed:
        close = get_close_matches(value, names, n=1)
        raise _Fault(
            f"{column} {value!r} is unknown; "
            + (f"did you mean {close[0]}?" if close else f"use one of {', '.join(names)}")
        )


def _code(column: str, cells: dict[str, str]) -> str:
    code = unicodedata.normalize("NFKC", cells[column]).removesuffix(".0")
    if not code:
        raise _Fault(f"{column} is empty")
    _not_scientific(column, code)
    return code


_SCIENTIFIC = re.compile(r"\d(\.\d+)?E\+\d+", re.IGNORECASE)


def _not_scientific(column: str, value: str) -> None:
    if _SCIENTIFIC.fullmatch(value):
        raise _Fault(
            f"{column} {value} was rounded by a spreadsheet; format the column as text there "
            "and enter the code again"
        )


def _period(cells: dict[str, str], zone: ZoneInfo) -> tuple[datetime | None, datetime | None]:
    valid_from = read_instant("valid_from", cells.get("valid_from", ""), zone)
    valid_to = read_instant("valid_to", cells.get("valid_to", ""), zone)
    if valid_from and valid_to and valid_to <= valid_from:
        raise _Fault(f"valid_to {cells['valid_to']} is not after valid_from")
    return valid_from, valid_to


_DATE = re.compile(
    r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?"
    r"(?:[T ]+(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d{1,6})?))?)?\s*(Z|[+-]\d{2}:?\d{2})?"
)


# Beyond them an instant has no local time in some time zone.
_YEARS = range(1000, 9000)


def read_instant(column: str, value: str, zone: ZoneInfo) -> datetime | None:
    """Read a cell's date or time, local without an offset; None where it is empty.

    Raises:
        ValueError: it is none.
    """
    if not value:
        return None
    found = _DATE.fullmatch(unicodedata.normalize("NFKC", value))
    if not found:
        raise _Fault(f"{column} {value!r} is no date; write 2026-01-31 or 2026-01-31T09:00")
    year, month, day, hour, minute, second, offset = found.groups()
    try:
        local = datetime.fromisoformat(
            f"{year}-{int(month):02}-{int(day):02}T{int(hour or 0):02}:{minute or '00'}"
            f":{second or '00'}{offset or ''}"
        )
    except ValueError as error:
        raise _Fault(f"{column} {value!r} is no date: {error}") from error
    if local.year not in _YEARS:
        raise _Fault(f"{column} {value!r} is no time that all clocks can show; leave it empty")
    return local if local.tzinfo else local.replace(tzinfo=zone)
