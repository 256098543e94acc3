"""A report that proved true counts: for whoever sent it, and on the record of whose place it was.

It has proved true once its case was verified. Until then, and while a case is open again, it
counts for nobody.
"""

from dataclasses import dataclass

import orjson
from sqlalchemy.orm import Session

from gridsvc.db import sql
from gridsvc.errors import UnknownLayer
from gridsvc.grids.areas import list_layers
from gridsvc.grids.scheme_store import current_scheme
from gridsvc.reports.intake import reporter_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """What a reporter has earned.

    Attributes:
        points: By the scheme's `[credit]`; 0 without one.
        accepted: Reports that proved true.
        reports: All reports.
    """

    points: int
    accepted: int
    reports: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRow:
    """What proved true in a month.

    Attributes:
        month: In which the cases were opened, YYYY-MM, by the city's clock.
        category: Class code.
        cases: How many.
        reports: How many reports are in them.
    """

    month: str
    category: str | None
    cases: int
    reports: int


def credit_of(session: Session, reporter: str, *, source: str) -> Credit:
    """Count what a reporter has earned.

    A case credits a reporter once, however often they report it: as its first reporter, or as one
    that joined.

    Args:
        session: Reads only.
        reporter: The token that the source sends with their reports.
        source: Whose token it is; the same token of another source is somebody else.

    Raises:
        NothingLoaded: the database has no scheme.
    """
    rules = current_scheme(session).credit
    row = session.execute(
        sql("gridsvc.reports", "reporter_credit"), {"reporter": reporter_hash(reporter, source)}
    ).one()
    points = row.first * rules.first_points + row.joined * rules.joined_points if rules else 0
    return Credit(points=points, accepted=row.accepted, reports=row.reports)


def record_of_area(session: Session, *, layer: str, code: str) -> list[RecordRow]:
    """Count what proved true on an area, by month and category, in that order.

    It is the area as the case's first report was answered: a boundary that moves later takes no
    record with it.

    Raises:
        UnknownLayer: no layer bears the code.
        NothingLoaded: the database has no scheme.
    """
    known = tuple(row.code for row in list_layers(session))
    if layer not in known:
        raise UnknownLayer(layer, known=known)
    return _record(session, areas=orjson.dumps({layer: code}).decode(), party=None)


def record_of_party(session: Session, party: str) -> list[RecordRow]:
    """Count what proved true where a party was responsible, by month and category.

    Raises:
        NothingLoaded: the database has no scheme.
    """
    return _record(session, areas=None, party=party)


def _record(session: Session, *, areas: str | None, party: str | None) -> list[RecordRow]:
    zone = current_scheme(session).time_zone
    rows = session.execute(
        sql("gridsvc.reports", "record"), {"areas": areas, "party": party, "zone": zone}
    )
    return [
        RecordRow(month=row.month, category=row.category, cases=row.cases, reports=int(row.reports))
        for row in rows
    ]
