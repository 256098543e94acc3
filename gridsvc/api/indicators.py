"""Indicators for managers: figures as JSON, and the page that they print."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from gridsvc.api.deps import MaySeeRecords, SessionDep
from gridsvc.api.fields import Instant, Strict, Text
from gridsvc.api.responses import JSON
from gridsvc.grids.scheme_store import current_scheme
from gridsvc.reports import indicators
from gridsvc.reports.indicator_tables import to_html
from gridsvc.reports.indicators import By, Period

router = APIRouter(tags=["indicators"], default_response_class=JSON)


class PeriodQuery(Strict):
    """Which span of time: a month, or from and to."""

    month: Annotated[Text, Field(examples=["2026-10"])] | None = None
    """By the city's clock."""
    from_: Annotated[Instant | None, Field(alias="from")] = None
    """The first instant; with `to`."""
    to: Instant | None = None
    """The last one, exclusive; with `from`."""

    def period(self, session: Session) -> Period:
        """Read it by the city's clock.

        Raises:
            IndicatorsRefused: neither or both are given.
        """
        zone = current_scheme(session).zone
        return indicators.period_of(self.month, self.from_, self.to, zone=zone)


class IndicatorQuery(PeriodQuery):
    """Which figures."""

    by: By = By.TOTAL
    """What cases are counted by."""
    layer: Text | None = None
    """Of which layer the areas are; with by=area."""
    ranked_by: Text | None = None
    """Code of the rate by which areas are ranked; the scheme's first where left out."""


class _Told(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ToldPeriod(_Told):
    """A half-open span of time."""

    starts_at: datetime
    ends_at: datetime


class ToldRate(_Told):
    """A rate as the scheme defines it."""

    code: str
    title: dict[str, str]
    formula: str


class ToldFigures(_Told):
    """Counts, and the rates worked out of them."""

    counts: dict[str, int]
    rates: dict[str, float | None]
    """Null where a rate would divide by zero."""


class ToldRow(_Told):
    """One key's figures."""

    key: str
    name: str | None
    """In words; persons masked."""
    group: str | None
    """The class in which an area is compared."""
    rank: int | None
    """Among those of its class; of equals the same."""
    now: ToldFigures
    previous: ToldFigures
    last_year: ToldFigures


class Indicators(_Told):
    """A table of indicators."""

    by: By
    layer: str | None
    period: ToldPeriod
    previous: ToldPeriod
    last_year: ToldPeriod
    rates: list[ToldRate]
    ranked_by: str | None
    rows: list[ToldRow]


class ToldLevel(_Told):
    """How many cases went up to a step of the chain, and no further."""

    step: int
    cases: int
    share: float


class ToldStepTime(_Told):
    """How long a party had cases on a step, in elapsed hours."""

    party: str
    name: str | None
    step: int
    cases: int
    climbed: int
    median_h: float | None
    p90_h: float | None


class Escalation(_Told):
    """How far cases climbed, and how long each step took."""

    levels: list[ToldLevel]
    steps: list[ToldStepTime]


@router.get("/v1/indicators", response_model=Indicators, summary="Counts and rates of a period")
def figures(
    wanted: Annotated[IndicatorQuery, Query()],
    caller: MaySeeRecords,  # noqa: ARG001
    session: SessionDep,
) -> Response:
    """Scope `manage`. Beside each figure that of the period before and of the year before."""
    table = indicators.indicators(
        session,
        wanted.period(session),
        by=wanted.by,
        layer=wanted.layer,
        ranked_by=wanted.ranked_by,
    )
    told = {name: getattr(table, name) for name in Indicators.model_fields if name != "rates"}
    return JSON(told | {"rates": [rate.model_dump() for rate in table.rates]})


@router.get(
    "/v1/indicators/escalation",
    response_model=Escalation,
    summary="How far cases climbed, and how long each step took",
)
def escalation(
    wanted: Annotated[PeriodQuery, Query()],
    caller: MaySeeRecords,  # noqa: ARG001
    session: SessionDep,
) -> Response:
    """Scope `manage`. Of the cases opened in the period."""
    period = wanted.period(session)
    return JSON(
        {
            "levels": indicators.escalation_levels(session, period),
            "steps": indicators.step_times(session, period),
        }
    )


@router.get(
    "/indicators",
    response_class=HTMLResponse,
    summary="Counts and rates of a period, as a page to print",
)
def page(
    wanted: Annotated[IndicatorQuery, Query()],
    caller: MaySeeRecords,  # noqa: ARG001
    session: SessionDep,
) -> HTMLResponse:
    """Scope `manage`. It needs no other host; A4, landscape."""
    period = wanted.period(session)
    table = indicators.indicators(
        session, period, by=wanted.by, layer=wanted.layer, ranked_by=wanted.ranked_by
    )
    return HTMLResponse(
        to_html(
            current_scheme(session),
            table,
            indicators.escalation_levels(session, period),
            indicators.step_times(session, period),
        )
    )
