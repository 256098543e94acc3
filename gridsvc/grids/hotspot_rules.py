"""What counts are held against besides ground: which areas are shops, and who lives where."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints

from gridsvc.errors import RowsRefused
from gridsvc.grids import csv_text
from gridsvc.grids.scheme_fields import Code, SchemeTable

RESIDENTS_COLUMNS = ("code", "residents")

Residents = dict[
    Annotated[str, StringConstraints(min_length=1)],
    Annotated[float, Field(ge=0, allow_inf_nan=False)],
]


class HotspotRules(SchemeTable):
    """What rates may be asked for."""

    shops: Code | None = None
    """The layer whose areas are shops; None: no rate per shop."""
    residents: Residents | None = None
    """How many people live in areas of any layers, by code; None: no rate per resident."""


def read_residents(path: Path) -> Residents:
    """Read how many people live where.

    Args:
        path: CSV with the columns of `RESIDENTS_COLUMNS`; 12,000 is 12000.

    Returns:
        Code to number of people, in the order of the file.

    Raises:
        ImportRefused: the file cannot be read, or rows cannot be understood.
    """
    residents: Residents = {}
    lines: dict[str, int] = {}
    faults = []
    for line, cells in csv_text.read(path, RESIDENTS_COLUMNS):
        code, told = cells["code"], cells["residents"]
        digits = told.replace(",", "")
        if not code:
            faults.append(f"line {line}: no code")
        elif lines.setdefault(code, line) != line:
            faults.append(f"line {line}: {code} stands on line {lines[code]} too")
        elif not (digits.isascii() and digits.isdecimal()):
            faults.append(f"line {line}: {told!r} is no number of people")
        else:
            residents[code] = float(digits)
    if faults:
        raise RowsRefused(path.name, faults=tuple(faults))
    return residents
