"""Who holds what: parties and assignments as they held at an instant, masked by the database.

Masking is done in SQL, so that a name that may not be shown never leaves the database.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from gridsvc.grids.areas import Moment, Page, begin, in_force
from gridsvc.grids.models import Area, Assignment, Party
from gridsvc.grids.weekhours import format_week_hours, week_hours_from_range


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyRow:
    """A person or a body; `name` and `phone` as the caller may see them."""

    code: str
    name: str
    phone: str | None
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignedArea:
    """The area of an assignment; `name` is None where it has none or does not hold."""

    layer: str
    code: str
    name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignmentRow:
    """A party holding a duty on an area.

    Attributes:
        id: Of this version.
        duty: One of the four.
        role: What the city calls the holder.
        rank: 1 leads, 2 assists.
        party: Who.
        area: Where.
        category: A category or the beginning of its code; None for all.
        hours: Hours of the local week, as in the people's file; "" for always.
        valid_from: Since when; None for always.
        valid_to: Until when, exclusive; None for open.
    """

    id: int
    duty: str
    role: str
    rank: int
    party: PartyRow
    area: AssignedArea
    category: str | None
    hours: str
    valid_from: datetime | None
    valid_to: datetime | None


def list_parties(
    session: Session, *, reveal: bool, limit: int, after: str | None = None
) -> Page[PartyRow]:
    """Give a page of parties by code.

    Args:
        session: Any.
        reveal: Give names and phones in full; the caller logs such a read.
        limit: The most rows of a page.
        after: `Page.after` of the page before.
    """
    question = select(*party_columns(reveal=reveal)).order_by(Party.code).limit(limit + 1)
    if after is not None:
        question = question.where(Party.code > after)
    rows = tuple(_party(*row) for row in session.execute(question))
    return Page(rows[:limit], rows[limit - 1].code if len(rows) > limit else None)


def party_names(session: Session, codes: Iterable[str]) -> dict[str, str]:
    """Name parties; persons masked."""
    rows = session.execute(
        select(Party.code, func.gridsvc.masked_name(Party.name, Party.kind).label("name")).where(
            Party.code.in_(set(codes))
        )
    )
    return {row.code: row.name for row in rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyLabel:
    """What may be said of a party where nobody may learn who a person is, as on a map.

    Attributes:
        body: The name of a body; None of a person.
        role: Code of the role that the party was given last; None if none.
    """

    body: str | None
    role: str | None


def party_labels(session: Session, codes: Iterable[str]) -> dict[str, PartyLabel]:
    """Tell bodies by their names and persons by their roles alone."""
    wanted = set(codes)
    roles = {
        row.party_code: row.role
        for row in session.execute(
            select(Assignment.party_code, Assignment.role)
            .where(Assignment.party_code.in_(wanted))
            .order_by(Assignment.id)
        )
    }
    rows = session.execute(
        select(Party.code, case((Party.kind == "body", Party.name)).label("body")).where(
            Party.code.in_(wanted)
        )
    )
    return {row.code: PartyLabel(body=row.body, role=roles.get(row.code)) for row in rows}


def list_assignments(  # noqa: PLR0913  each narrows the list
    session: Session,
    *,
    now: Moment,
    reveal: bool,
    limit: int,
    party: str | None = None,
    layer: str | None = None,
    area: str | None = None,
    duty: str | None = None,
    after: int | None = None,
) -> Page[AssignmentRow]:
    """Give a page of assignments in the order in which they were published.

    Args:
        session: Any.
        now: The moment asked.
        reveal: Give names and phones in full; the caller logs such a read.
        limit: The most rows of a page.
        party: Only of this party code.
        layer: Only on areas of this layer.
        area: Only on areas of this code.
        duty: Only of this duty.
        after: `Page.after` of the page before.
    """
    wanted: tuple[tuple[InstrumentedAttribute[str], str | None], ...] = (
        (Assignment.party_code, party),
        (Assignment.layer, layer),
        (Assignment.area_code, area),
        (Assignment.duty, duty),
    )
    question = (
        select(
            Assignment.id,
            Assignment.duty,
            Assignment.role,
            Assignment.rank,
            Assignment.layer,
            Assignment.area_code,
            Area.name,
            Assignment.category,
            Assignment.hours,
            begin(Assignment.valid_from),
            Assignment.valid_to,
            *party_columns(reveal=reveal),
        )
        .join(Party, Party.code == Assignment.party_code)
        .outerjoin(
            Area,
            and_(
                Area.layer == Assignment.layer,
                Area.code == Assignment.area_code,
                *in_force(Area, now),
            ),
        )
        .where(
            *in_force(Assignment, now),
            *(column == value for column, value in wanted if value is not None),
        )
        .order_by(Assignment.id)
        .limit(limit + 1)
    )
    if after is not None:
        question = question.where(Assignment.id > after)
    rows = tuple(_assignment(*row) for row in session.execute(question))
    return Page(rows[:limit], str(rows[limit - 1].id) if len(rows) > limit else None)


def party_columns(*, reveal: bool) -> tuple[ColumnElement[Any], ...]:
    """Select a party's code, name, phone and kind, as the caller may see them."""
    name, phone = (
        (Party.name, Party.phone)
        if reveal
        else (
            func.gridsvc.masked_name(Party.name, Party.kind),
            func.gridsvc.masked_phone(Party.phone),
        )
    )
    return (Party.code, name, phone, Party.kind)  # type: ignore[return-value]


def _party(code: str, name: str, phone: str | None, kind: str) -> PartyRow:
    return PartyRow(code=code, name=name, phone=phone, kind=kind)


def _assignment(*row: Any) -> AssignmentRow:  # noqa: ANN401  a row has many types
    (number, duty, role, rank, layer, area_code, area_name, category, hours, begin_at, end_at) = (
        row[:11]
    )
    return AssignmentRow(
        id=number,
        duty=duty,
        role=role,
        rank=rank,
        party=_party(*row[11:]),
        area=AssignedArea(layer=layer, code=area_code, name=area_name),
        category=category,
        hours=format_week_hours(week_hours_from_range(hours)),
        valid_from=begin_at,
        valid_to=end_at,
    )
