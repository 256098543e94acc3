"""Who holds what: parties and assignments, masked unless the key has `people:read`."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from gridsvc.api.deps import MaySeePeople, SessionDep
from gridsvc.api.fields import Instant, Link, Paging, Text
from gridsvc.api.responses import JSON, next_links
from gridsvc.api.responsible import AreaRef, Party
from gridsvc.grids.absences import list_absences
from gridsvc.grids.areas import moment
from gridsvc.grids.assignments import list_assignments, list_parties
from gridsvc.grids.terms import Duty

router = APIRouter(tags=["people"], default_response_class=JSON)


class AssignmentQuery(Paging):
    """Which assignments."""

    after: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = None  # type: ignore[assignment]
    """From the `next` link of the page before; not made by hand."""
    party: Text | None = None
    """Only of the party of this code."""
    layer: Text | None = None
    """Only on areas of this layer."""
    area: Text | None = None
    """Only on areas of this code."""
    duty: Duty | None = None
    """Only of this duty."""
    at: Instant | None = None
    """As of this time; now where left out."""


class AbsenceQuery(Paging):
    """Which absences."""

    after: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = None  # type: ignore[assignment]
    """From the `next` link of the page before; not made by hand."""
    party: Text | None = None
    """Only of the party of this code."""
    at: Instant | None = None
    """As of this time; now where left out."""


class _Told(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Parties(_Told):
    """A page of parties by code."""

    revision: int
    parties: list[Party]
    links: list[Link]


class Assignment(_Told):
    """A party holding a duty on an area."""

    id: int
    duty: Duty
    role: str
    rank: int
    """1 leads, 2 assists."""
    party: Party
    area: AreaRef
    category: str | None
    """A category or the beginning of its code; null for all."""
    hours: str = Field(examples=["mon-fri 08:00-20:00"])
    """Hours of the local week; empty for always."""
    valid_from: datetime | None
    """Since when; null for always."""
    valid_to: datetime | None
    """Until when, exclusive; null for open."""


class Assignments(_Told):
    """A page of assignments."""

    revision: int
    at: datetime
    assignments: list[Assignment]
    links: list[Link]


class Absence(_Told):
    """A party being away from all it holds."""

    id: int
    party: Party
    valid_from: datetime | None
    """Since when; null for always."""
    valid_to: datetime | None
    """Until when, exclusive; null for open."""
    reason: str | None
    """Null unless the key has `people:read`."""


class Absences(_Told):
    """A page of absences."""

    revision: int
    at: datetime
    absences: list[Absence]
    links: list[Link]


@router.get("/v1/parties", response_model=Parties, summary="People and bodies, by page")
def parties(
    wanted: Annotated[Paging, Query()],
    request: Request,
    caller: MaySeePeople,
    session: SessionDep,
) -> Response:
    """Scope `plan`, `manage` or `people:read`."""
    now = moment(session)
    page = list_parties(session, reveal=caller.reveal, limit=wanted.limit, after=wanted.after)
    caller.log_read(session, [row.code for row in page.rows])
    return JSON(
        {
            "revision": now.revision,
            "parties": page.rows,
            "links": next_links(request, wanted, after=page.after),
        }
    )


@router.get("/v1/assignments", response_model=Assignments, summary="Who holds what, by page")
def assignments(
    wanted: Annotated[AssignmentQuery, Query()],
    request: Request,
    caller: MaySeePeople,
    session: SessionDep,
) -> Response:
    """Scope `plan`, `manage` or `people:read`."""
    now = moment(session, wanted.at)
    page = list_assignments(
        session,
        now=now,
        reveal=caller.reveal,
        limit=wanted.limit,
        party=wanted.party,
        layer=wanted.layer,
        area=wanted.area,
        duty=wanted.duty,
        after=wanted.after,
    )
    caller.log_read(session, [row.party.code for row in page.rows])
    return JSON(
        {
            "revision": now.revision,
            "at": now.at,
            "assignments": page.rows,
            "links": next_links(request, wanted, after=page.after, at=now.at),
        }
    )


@router.get("/v1/absences", response_model=Absences, summary="Who is away, by page")
def absences(
    wanted: Annotated[AbsenceQuery, Query()],
    request: Request,
    caller: MaySeePeople,
    session: SessionDep,
) -> Response:
    """Scope `plan`, `manage` or `people:read`."""
    now = moment(session, wanted.at)
    page = list_absences(
        session,
        now=now,
        reveal=caller.reveal,
        limit=wanted.limit,
        party=wanted.party,
        after=wanted.after,
    )
    caller.log_read(session, [row.party.code for row in page.rows])
    return JSON(
        {
            "revision": now.revision,
            "at": now.at,
            "absences": page.rows,
            "links": next_links(request, wanted, after=page.after, at=now.at),
        }
    )
