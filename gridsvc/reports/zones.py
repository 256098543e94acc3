"""A shop-front zone is graded by what proved true on it; a worse grade is visited more often."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from gridsvc.db import sql
from gridsvc.errors import NoZones
from gridsvc.grids.areas import Page
from gridsvc.grids.scheme_store import current_scheme


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneLetter:
    """The duty letter in force.

    Attributes:
        unit: Party code of the unit that answers for the zone.
        unit_name: Its name; a person's masked.
        signatory: Party code of who signed for it.
        signed_at: When.
        valid_from: From when it holds.
        valid_to: Until when, exclusive; None is open.
        document_sha256: Of the signed document, hexadecimal.
        self_governing_group: Code of the group along the street.
    """

    unit: str
    unit_name: str
    signatory: str | None
    signed_at: datetime
    valid_from: datetime
    valid_to: datetime | None
    document_sha256: str
    self_governing_group: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """A zone with its record.

    Attributes:
        code: Of the area.
        name: Of the area.
        substantiated: Cases opened within the window that proved true.
        grade: Code of the grade that follows from them.
        inspect_every_days: How often such a zone is visited.
        letter: The one in force; None without one.
    """

    code: str
    name: str | None
    substantiated: int
    grade: str
    inspect_every_days: int
    letter: ZoneLetter | None


def list_zones(
    session: Session, *, at: datetime, limit: int, after: str | None = None
) -> Page[Zone]:
    """Give a page of zones by code, graded as of an instant.

    Args:
        session: Reads only.
        at: Aware; a case counts that was opened up to then, less than the scheme's window before.
        limit: The most rows of a page.
        after: `Page.after` of the page before.

    Raises:
        NoZones: the scheme has no `[zones]`.
        NothingLoaded: the database has no scheme.
    """
    rules = current_scheme(session).zones
    if rules is None:
        raise NoZones
    rows = session.execute(
        sql("gridsvc.reports", "zone_grades"),
        {
            "layer": rules.layer,
            "at": at,
            "since": at - timedelta(days=rules.window_days),
            "after": after,
            "limit": limit + 1,
        },
    ).all()
    zones = []
    for row in rows[:limit]:
        grade = rules.grade_of(row.substantiated)
        letter = ZoneLetter(
            **{name: getattr(row, name) for name in ZoneLetter.__dataclass_fields__}
        )
        zones.append(
            Zone(
                code=row.code,
                name=row.name,
                substantiated=row.substantiated,
                grade=grade.code,
                inspect_every_days=grade.inspect_every_days,
                letter=letter if row.unit is not None else None,
            )
        )
    return Page(tuple(zones), rows[limit - 1].code if len(rows) > limit else None)
