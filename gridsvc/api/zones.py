"""Shop-front zones: who signed for them, their record, their grade, how often they are visited."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict

from gridsvc.api.deps import MaySeePeople, SessionDep
from gridsvc.api.fields import Instant, Link, Paging
from gridsvc.api.responses import JSON, next_links
from gridsvc.reports.zones import list_zones

router = APIRouter(tags=["zones"], default_response_class=JSON)


class ZoneQuery(Paging):
    """Which zones."""

    at: Instant | None = None
    """As of this time; now where left out."""


class _Told(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Letter(_Told):
    """The duty letter in force."""

    unit: str
    """Party code of the unit that answers for the zone."""
    unit_name: str
    """A person's is masked."""
    signatory: str | None
    """Party code of who signed for it."""
    signed_at: datetime
    valid_from: datetime
    valid_to: datetime | None
    document_sha256: str
    self_governing_group: str | None


class Zone(_Told):
    """A zone with its record."""

    code: str
    name: str | None
    substantiated: int
    """Cases opened within the scheme's window that proved true."""
    grade: str
    inspect_every_days: int
    letter: Letter | None


class Zones(_Told):
    """A page of zones by code."""

    at: datetime
    zones: list[Zone]
    links: list[Link]


@router.get("/v1/zones", response_model=Zones, summary="Shop-front zones and their grades, by page")
def zones(
    wanted: Annotated[ZoneQuery, Query()],
    request: Request,
    caller: MaySeePeople,  # noqa: ARG001
    session: SessionDep,
) -> Response:
    """Scope `plan`, `manage` or `people:read`. 404 `no-zones`: the scheme has none."""
    at = wanted.at or datetime.now(UTC)
    page = list_zones(session, at=at, limit=wanted.limit, after=wanted.after)
    return JSON(
        {
            "at": at,
            "zones": page.rows,
            "links": next_links(request, wanted, after=page.after, at=at),
        }
    )
