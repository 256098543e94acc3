"""Duty letters: which unit signed for a shop-front zone, when, and the hash of what it signed.

A letter is a fact and is only added; a later one of the same zone takes over from its beginning.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from gridsvc.errors import ImportRefused, RowsRefused
from gridsvc.grids import csv_text
from gridsvc.grids.models import Area, DutyLetter, Party
from gridsvc.grids.people_files import read_instant
from gridsvc.grids.schemes import Scheme

COLUMNS = {
    "area_code": "code of the zone",
    "unit": "party code of the unit that answers for it",
    "signatory": "party code of the person who signed for the unit; may be empty",
    "signed_at": "when it was signed",
    "valid_from": "from when it holds; empty is from its signing on",
    "valid_to": "the instant it ends, no longer included; empty is open",
    "document_sha256": "SHA-256 of the signed document, 64 hexadecimal digits",
    "self_governing_group": "code of the group along the street; may be empty",
}
_OPTIONAL = frozenset({"signatory", "valid_from", "valid_to", "self_governing_group"})
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A letter as the file gives it."""

    area_code: str
    unit: str
    signatory: str | None
    signed_at: datetime
    valid_from: datetime
    valid_to: datetime | None
    document_sha256: bytes
    self_governing_group: str | None


def read_letters(session: Session, path: Path, scheme: Scheme) -> list[Letter]:
    """Read a CSV of letters.

    Raises:
        ImportRefused: it cannot be read, a column is missing, or the scheme has no zones.
        RowsRefused: all faults of its rows, each with its line.
    """
    if scheme.zones is None:
        raise ImportRefused(
            path.name, "the scheme has no [zones]", remedy="Name their layer and grades there"
        )
    rows = csv_text.read(path, COLUMNS, _OPTIONAL)
    parties = set(session.scalars(select(Party.code)))
    zones = set(session.scalars(select(Area.code).where(Area.layer == scheme.zones.layer)))
    letters, faults = [], []
    for line, cells in rows:
        found = list(_faults(cells, parties=parties, zones=zones))
        if not found:
            try:
                letters.append(_letter(cells, scheme))
                continue
            except ValueError as error:
                found = [str(error)]
        faults += [f"line {line}: {fault}" for fault in found]
    if faults:
        raise RowsRefused(path.name, faults=tuple(faults))
    return letters


def store_letters(session: Session, letters: Iterable[Letter], *, layer: str) -> int:
    """Add letters that are not there yet; gives how many were added.

    Args:
        session: Its caller commits.
        letters: As read.
        layer: Code of the zones' layer.

    Raises:
        RowsRefused: a letter is stored with other words for the same document and beginning.
    """
    rows: list[dict[str, Any]] = [
        {
            "layer": layer,
            "area_code": one.area_code,
            "unit": one.unit,
            "signatory": one.signatory,
            "signed_at": one.signed_at,
            "valid_from": one.valid_from,
            "valid_to": one.valid_to,
            "document_sha256": one.document_sha256,
            "self_governing_group": one.self_governing_group,
        }
        for one in letters
    ]
    if not rows:
        return 0
    zones = {row["area_code"] for row in rows}
    stored = {
        (one.area_code, one.document_sha256, one.valid_from): one
        for one in session.scalars(
            select(DutyLetter).where(DutyLetter.layer == layer, DutyLetter.area_code.in_(zones))
        )
    }
    clashes = [
        f"{row['area_code']}: this document is stored with other words from the same "
        "beginning; a correction needs a valid_from of its own, from which it takes over"
        for row in rows
        if (known := stored.get((row["area_code"], row["document_sha256"], row["valid_from"])))
        and any(getattr(known, name) != value for name, value in row.items())
    ]
    if clashes:
        raise RowsRefused("letters", faults=tuple(clashes))
    added = insert(DutyLetter).on_conflict_do_nothing().returning(DutyLetter.id)
    return len(session.scalars(added, rows).all())


def _faults(cells: dict[str, str], *, parties: set[str], zones: set[str]) -> Iterator[str]:
    if cells["area_code"] not in zones:
        yield f"no zone has the code {cells['area_code']!r}"
    for name in ("unit", "signatory"):
        code = cells.get(name, "")
        if (code or name == "unit") and code not in parties:
            yield f"{name}: no party has the code {code!r}"
    if not _SHA256.fullmatch(cells["document_sha256"]):
        yield "document_sha256 is not 64 hexadecimal digits"


def _letter(cells: dict[str, str], scheme: Scheme) -> Letter:
    signed_at = read_instant("signed_at", cells["signed_at"], scheme.zone)
    if signed_at is None:
        raise ValueError("signed_at is empty")
    valid_from = read_instant("valid_from", cells.get("valid_from", ""), scheme.zone) or signed_at
    valid_to = read_instant("valid_to", cells.get("valid_to", ""), scheme.zone)
    if valid_to is not None and valid_to <= valid_from:
        raise ValueError(f"valid_to {cells['valid_to']} is not after valid_from")
    return Letter(
        area_code=cells["area_code"],
        unit=cells["unit"],
        signatory=cells.get("signatory") or None,
        signed_at=signed_at,
        valid_from=valid_from,
        valid_to=valid_to,
        document_sha256=bytes.fromhex(cells["document_sha256"]),
        self_governing_group=cells.get("self_governing_group") or None,
    )
