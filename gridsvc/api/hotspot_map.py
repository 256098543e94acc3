"""`/maps/hotspots`: the managers' map, made once for a state of the city and kept in memory."""

import time
from collections import OrderedDict
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.security import HTTPAuthorizationCredentials
from pydantic import Field
from sqlalchemy.orm import Session

from gridsvc.api.deps import MaySeeRecords, SessionDep, bearer, find_caller
from gridsvc.api.fields import Instant, Strict, Text
from gridsvc.errors import KeyRefused, ScopeMissing
from gridsvc.grids.keys import Scope
from gridsvc.hotspots.city import Freshness, MapOptions, freshness, survey_city
from gridsvc.hotspots.maps import Page, packed, page
from gridsvc.hotspots.store import FRESH_FOR
from gridsvc.hotspots.tessellation import CELL_M

router = APIRouter(tags=["maps"])

_KEPT = 8


class MapQuery(Strict):
    """What the map is to show."""

    layer: Annotated[Text | None, Field(examples=["unit"])] = None
    """The layer whose areas are shown; the scheme's finest tiling layer where left out."""
    cell_m: Annotated[float, Field(ge=10, le=10_000)] = CELL_M
    """Width of the square cells beside them, metres."""
    from_: Annotated[Instant | None, Field(alias="from")] = None
    """Cases opened at or after then; left out, from the first."""
    to: Instant | None = None
    """And before then; left out, to the last."""

    def options(self) -> MapOptions:
        """Put them as the survey takes them."""
        return MapOptions(layer=self.layer, cell_m=self.cell_m, from_at=self.from_, to_at=self.to)


@dataclass(frozen=True, slots=True)
class _Kept:
    rests_on: Freshness
    made_s: float
    survey: bytes


class KeptSurveys:
    """The surveys that were asked for last. One is made at a time: it takes all of a core."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[MapOptions, _Kept] = OrderedDict()

    def find(self, session: Session, options: MapOptions) -> bytes:
        """Give a survey, packed: the kept one while nothing changed, and for minutes if cases did.

        Raises:
            GridsvcError: as `survey_city`.
        """
        now = freshness(session)
        kept = self._kept.get(options)
        if kept is None or not _holds(kept, now):
            with self._lock:
                # Whoever had the lock before may have made it.
                kept = self._kept.get(options)
                if kept is None or not _holds(kept, now):
                    kept = _Kept(now, time.monotonic(), packed(survey_city(session, options)))
                    self._kept[options] = kept
                    self._kept.move_to_end(options)
                    while len(self._kept) > _KEPT:
                        self._kept.popitem(last=False)
        return kept.survey


def _holds(kept: _Kept, now: Freshness) -> bool:
    age_s = time.monotonic() - kept.made_s
    is_recent = age_s < FRESH_FOR.total_seconds()
    return kept.rests_on == now or (kept.rests_on.revision == now.revision and is_recent)


def _surveys(request: Request) -> KeptSurveys:
    surveys: KeptSurveys = request.app.state.hotspot_surveys
    return surveys


@router.get("/maps/hotspots", include_in_schema=False)
def hotspot_page(
    wanted: Annotated[MapQuery, Query()],
    request: Request,
    session: SessionDep,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> HTMLResponse:
    """Give the managers' map, scope `manage`.

    A browser cannot send a key with an address: without one where keys are asked for, the page
    comes without the city's data, asks its reader for the key and fetches them.
    """
    try:
        caller = find_caller(request, credentials.credentials if credentials else None, session)
    except KeyRefused as refused:
        if refused.given:
            raise
        return _html(_empty_page())
    if not caller.scopes & {Scope.MANAGE, Scope.ADMIN}:
        raise ScopeMissing((Scope.MANAGE,), held=tuple(sorted(caller.scopes)))
    return _html(page(_surveys(request).find(session, wanted.options())))


@router.get("/maps/hotspots/survey", include_in_schema=False)
def hotspot_survey(
    wanted: Annotated[MapQuery, Query()],
    request: Request,
    caller: MaySeeRecords,  # noqa: ARG001
    session: SessionDep,
) -> Response:
    """Give what the map shows, packed; the page reads it."""
    return Response(
        _surveys(request).find(session, wanted.options()),
        media_type="application/octet-stream",
        headers={"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"},
    )


@cache
def _empty_page() -> Page:
    return page(None)


def _html(made: Page) -> HTMLResponse:
    return HTMLResponse(
        made.html,
        headers={
            "Content-Security-Policy": f"{made.policy}; frame-ancestors 'self'",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "private, no-store",
        },
    )
