"""Reports: filed once however often they are sent, never dropped, and read with their answers."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, HttpUrl, TypeAdapter

from gridsvc.api.cases import Case, Duplicate
from gridsvc.api.deps import IntakeDep, MayFile, MaySeeReports, SessionDep
from gridsvc.api.fields import Instant, Strict, Text
from gridsvc.api.responses import JSON
from gridsvc.api.responsible import Answer, Point
from gridsvc.reports.intake import Draft, FiledReport, GivenAnswer, Sent, find_report
from gridsvc.reports.terms import Cause, Channel, Mark

MAX_PHOTOS = 20

router = APIRouter(tags=["reports"], default_response_class=JSON)

_url = TypeAdapter(HttpUrl)


def _checked_url(text: str) -> str:
    _url.validate_python(text)
    return text


PhotoUrl = Annotated[
    str, Field(max_length=2000, pattern=r"^[^\x00]*$"), AfterValidator(_checked_url)
]
"""An http or https address, kept as written."""


ReporterToken = Annotated[str, Field(min_length=20, max_length=200)]
"""Random, so that it cannot be guessed from its hash."""


class NewReport(Strict):
    """A report to be filed. What it says is kept, even where it cannot be answered."""

    lon: float = Field(examples=[116.4612])
    """Longitude, or the easting (x) of a projected CRS."""
    lat: float = Field(examples=[39.9219])
    """Latitude, or the northing (y)."""
    crs: Text | None = Field(None, examples=["EPSG:4326", "gcj02"])
    """What lon and lat are in; the first CRS of the scheme's `input_crs` where left out."""
    channel: Channel
    category: Text | None = None
    """Class code of the event or component."""
    accuracy_m: float | None = None
    """Radius of the point's error, metres."""
    observed_at: Instant | None = None
    """When it was seen, such as the time of the photo."""
    description: Annotated[str, Field(max_length=5000, pattern=r"^[^\x00]*$")] | None = None
    """What was seen. No names, no phones."""
    photo_urls: Annotated[tuple[PhotoUrl, ...], Field(max_length=MAX_PHOTOS)] = ()
    """Where photos are; the service does not fetch them."""
    reporter: ReporterToken | None = None
    """A random token of your own for the reporter, never a phone number; only its hash is kept."""

    def draft(self) -> Draft:
        """Hand it to the intake."""
        return Draft(
            x=self.lon,
            y=self.lat,
            crs=self.crs,
            channel=self.channel,
            category=self.category,
            accuracy_m=self.accuracy_m,
            description=self.description,
            photo_urls=self.photo_urls,
            reporter=self.reporter,
            observed_at=self.observed_at,
        )


class _Told(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CodedAnswer(_Told):
    """The answer to an imported report: codes alone."""

    areas: dict[str, str]
    """By layer; layers that do not cover the point are absent."""
    responsible: str | None
    management: str | None
    enforcement_lead: str | None
    enforcement_assistant: str | None
    supervisor: str | None
    edge_m: float | None


class AnswerGiven(_Told):
    """An answer that a report was given, or why it has none."""

    cause: Cause
    answered_at: datetime
    mark: Mark
    """`routed`, or what kept the report from an answer."""
    reason: str | None
    """Why there is no answer, in words."""
    revision: int | None
    """The published state that the answer came from."""
    answer: Answer | CodedAnswer | None
    """Names and phones masked, whatever the key; `/v1/parties` has them."""


class ReportGiven(_Told):
    """The point as given; null where an imported file had no number."""

    x: float | None
    y: float | None
    crs: str | None
    accuracy_m: float | None


class Report(AnswerGiven):
    """A report as received, with the answer that holds now."""

    id: str
    channel: Channel | None
    input: ReportGiven
    point: Point | None
    """EPSG:4326; null where the coordinates are no place."""
    category: str | None
    description: str | None
    photo_urls: list[str]
    observed_at: datetime | None
    received_at: datetime | None
    """When it came in: the time that its first answer is for."""
    closed_at: datetime | None
    """Of imported reports."""
    status: str | None
    """Of imported reports, in the file's words."""
    earlier: list[AnswerGiven]
    """The answers it was given before, the first one first; rerouting keeps them all."""
    case: Case | None
    """That it belongs to now; null where the report was marked or imported."""
    duplicates: list[Duplicate]
    """Other open cases that it may be one more of, nearest first; `POST /v1/cases/{id}/merge` joins
    them. Where the scheme lets such a report join by itself, `case` is the one it joined."""


@router.post(
    "/v1/reports",
    response_model=Report,
    status_code=HTTPStatus.CREATED,
    responses={200: {"model": Report, "description": "Filed before under the same key"}},
    summary="File a report",
)
async def file(
    report: NewReport,
    caller: MayFile,
    intake: IntakeDep,
    idempotency_key: Annotated[
        Text, Header(description="Your own name for the report, such as a UUID.")
    ],
) -> Response:
    """Scope `report`.

    201: stored, durably, with its answer as of now. A report outside the city, on a known default
    point, of an unknown category or with impossible coordinates is stored too; `mark` and
    `reason` say so.

    200: the same call again, at any time after: the report that was filed, as `GET` gives it now.
    So a call whose answer was lost can be repeated safely. 409 `idempotency-key-reused`: the key
    came with another body.

    A report that has an answer opens a case, or joins one, in the same transaction.
    """
    filed = await intake.file(
        Sent(draft=report.draft(), idempotency_key=idempotency_key, caller=caller.name)
    )
    return JSON(
        _told(filed),
        status_code=HTTPStatus.CREATED if filed.created else HTTPStatus.OK,
        headers={"Location": f"/v1/reports/{filed.report.id}"},
    )


@router.get("/v1/reports/{report_id}", response_model=Report, summary="A report and its answers")
def read(report_id: str, caller: MaySeeReports, session: SessionDep) -> Response:  # noqa: ARG001
    """Scope `report` or `manage`."""
    return JSON(_told(find_report(session, report_id)))


def _told(filed: FiledReport) -> dict[str, Any]:
    stored = filed.report
    *earlier, last = filed.answers
    return _given(last) | {
        "id": stored.id,
        "channel": stored.channel,
        "input": {
            "x": stored.x,
            "y": stored.y,
            "crs": stored.crs,
            "accuracy_m": stored.accuracy_m,
        },
        "point": None if stored.lon is None else {"lon": stored.lon, "lat": stored.lat},
        "category": stored.category,
        "description": stored.description,
        "photo_urls": stored.photo_urls,
        "observed_at": stored.observed_at,
        "received_at": stored.received_at,
        "closed_at": stored.closed_at,
        "status": stored.status,
        "earlier": [_given(one) for one in earlier],
        "case": filed.case,
        "duplicates": filed.duplicates,
    }


def _given(one: GivenAnswer) -> dict[str, Any]:
    return {
        "cause": one.cause,
        "answered_at": one.answered_at,
        "mark": one.mark,
        "reason": one.reason,
        "revision": one.revision,
        "answer": one.answer,
    }
