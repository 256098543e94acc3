"""Open311 GeoReport v2 over the same reports, so that a civic app that exists can file and read.

What the standard asks of a reporter and this service does not want, it does not keep: names, mail
address, phone and account are never read out of the form, and of a device's id there is a hash.

Three things differ from a reading to the letter. Reports are read with a key, as elsewhere here.
A key is taken from the form or from `Authorization`, never from an address. And a report needs
coordinates: an address alone is refused, for nobody here knows where it is.

Source: https://wiki.open311.org/GeoReport_v2/
"""

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Header, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPAuthorizationCredentials
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError
from sqlalchemy.orm import Session

from gridsvc.api import spark
from gridsvc.api.deps import (
    Caller,
    IntakeDep,
    MaySeeReports,
    SessionDep,
    bearer,
    find_filing_caller,
    require,
)
from gridsvc.api.fields import Instant, Strict, Text
from gridsvc.api.reports import PhotoUrl
from gridsvc.api.spark import Format
from gridsvc.errors import UnknownJurisdiction, UnknownService
from gridsvc.grids.categories import Category, categories_on
from gridsvc.grids.keys import Scope
from gridsvc.grids.scheme_store import current_scheme
from gridsvc.grids.schemes import Scheme
from gridsvc.reports.intake import Draft, Sent, find_report
from gridsvc.reports.standings import (
    LONGEST_SPAN,
    MOST,
    Standing,
    find_standing,
    find_standings,
    list_standings,
)
from gridsvc.reports.terms import CaseState, Channel

PREFIX = "/open311/"

FORM = "application/x-www-form-urlencoded"
MAX_FIELDS = 200

_REPORTER_LENGTHS = range(20, 201)
"""A device id that is shorter could be guessed from its hash, as a serial number can."""

STATES: Mapping[CaseState, str] = {
    CaseState.FILED: "已受理 Filed",
    CaseState.DISPATCHED: "已派遣 Dispatched",
    CaseState.RETURNED: "已退回 Returned, waits for another dispatch",
    CaseState.HANDLED: "已处置 Handled, waits for verification",
    CaseState.VERIFIED: "已核查 Verified",
    CaseState.CLOSED: "已结案 Closed",
    CaseState.SUSPENDED: "已挂账 Suspended",
    CaseState.NOT_OURS: "非本平台职责 Not ours",
    CaseState.MERGED: "已合并 Merged",
}


class Service(BaseModel):
    """A category that can be asked for: one that no other lies under."""

    service_code: str
    service_name: str
    description: str
    metadata: Literal[False]
    type: Literal["realtime"]
    keywords: str
    """Comma separated: its other names, and its group's."""
    group: str | None
    """Name of the category that it lies under."""


class ServiceDefinition(BaseModel):
    """What else a service asks for: nothing."""

    service_code: str
    attributes: Annotated[list[Any], Field(max_length=0)]


class Created(BaseModel):
    """A request that was filed."""

    service_request_id: str
    service_notice: str | None
    account_id: None


class Token(BaseModel):
    """Ids are given at once, so a token is one."""

    service_request_id: str
    token: str


class ServiceRequest(BaseModel):
    """A report as the standard tells it."""

    service_request_id: str
    status: Literal["open", "closed"]
    """`closed` once its case is closed or left the flow."""
    status_notes: str | None
    """The case's state, with the reason where it waits or is not ours; or why there is no case."""
    service_name: str | None
    service_code: str | None
    description: str | None
    agency_responsible: str | None
    """The management body; a person's name is masked."""
    service_notice: None
    requested_datetime: datetime | None
    updated_datetime: datetime
    expected_datetime: datetime | None
    address: str | None
    """Names of the areas that cover the point, the smallest first."""
    address_id: None
    zipcode: None
    lat: float | None
    long: float | None
    """WGS 84, as `lat`."""
    media_url: str | None


class Open311Error(BaseModel):
    """What went wrong, for the user to read."""

    code: int
    description: str


class RequestForm(BaseModel):
    """The form of a request. What else is sent, above all of a person, is not read.

    Names, mail address, phone and account may be sent, as the standard has them; they are not
    kept. An address beside coordinates is not kept either.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    service_code: Text
    lat: Annotated[float, Field(allow_inf_nan=False)]
    """WGS 84, as `long`."""
    long: Annotated[float, Field(allow_inf_nan=False)]
    description: Annotated[str, Field(max_length=4000, pattern=r"^[^\x00]*$")] | None = None
    """What was seen. No names, no phones."""
    media_url: PhotoUrl | None = None
    """Where a photo is; the service does not fetch it."""
    device_id: str | None = None
    """A random token for the reporter, of 20 to 200 characters; only its hash is kept. A shorter
    one is not kept at all."""
    jurisdiction_id: str | None = None
    """The code of the city's scheme, if any."""
    api_key: SecretStr | None = None
    """A key with the scope `report`; or send it as `Authorization: Bearer KEY`."""

    @model_validator(mode="before")
    @classmethod
    def _needs_coordinates(cls, sent: Mapping[str, str]) -> Mapping[str, str]:
        if "lat" in sent and "long" in sent:
            return sent
        told = " An address alone cannot be placed." if sent.keys() & _ADDRESSES else ""
        raise PydanticCustomError(
            "no_place", "Coordinates are needed: send lat and long, WGS 84.{told}", {"told": told}
        )

    def draft(self) -> Draft:
        """Hand it to the intake."""
        named = self.device_id and len(self.device_id) in _REPORTER_LENGTHS
        return Draft(
            x=self.long,
            y=self.lat,
            crs="EPSG:4326",
            channel=Channel.PHONE_APP,
            category=self.service_code,
            description=self.description,
            photo_urls=(self.media_url,) if self.media_url else (),
            reporter=self.device_id if named else None,
        )


_ADDRESSES = frozenset({"address_string", "address_id"})


class _Arguments(Strict):
    """Arguments of an address; an empty one counts as left out, as the standard says."""

    @model_validator(mode="before")
    @classmethod
    def _without_blanks(cls, sent: Mapping[str, Any]) -> dict[str, Any]:
        if "api_key" in sent:
            raise PydanticCustomError(
                "key_in_address",
                "A key in an address ends up in logs: send it as Authorization: Bearer KEY",
            )
        return {name: value for name, value in sent.items() if value not in ("", [""], None)}


class OfJurisdiction(_Arguments):
    """Which city is asked."""

    jurisdiction_id: str | None = None
    """The code of the city's scheme; there is one here, so it may be left out."""


_Listed = Annotated[tuple[Text, ...], Field(max_length=MOST)]


class Wanted(OfJurisdiction):
    """Which requests."""

    service_request_id: _Listed = ()
    """Ids, comma separated; overrides all other arguments."""
    service_code: _Listed = ()
    """Codes of services, comma separated."""
    start_date: Instant | None = None
    """Received from then on; 90 days before the end where left out."""
    end_date: Instant | None = None
    """Received until then, to the end of its second; now, or 90 days after the start."""
    status: tuple[Literal["open", "closed"], ...] = ()
    """Comma separated."""

    @field_validator("service_request_id", "service_code", "status", mode="before")
    @classmethod
    def _by_comma(cls, sent: Iterable[str]) -> list[str]:
        return [part.strip() for text in sent for part in text.split(",") if part.strip()]

    @model_validator(mode="after")
    def _within_the_longest_span(self) -> "Wanted":
        start, end = self.start_date, self.end_date
        if self.service_request_id or not (start and end):
            return self
        if not start <= end <= start + LONGEST_SPAN:
            raise PydanticCustomError(
                "span",
                "end_date must be at most {days} days after start_date",
                {"days": LONGEST_SPAN.days},
            )
        return self


_Responses = dict[int | str, dict[str, Any]]


def _documented(status: HTTPStatus | str, model: object, description: str) -> _Responses:
    """Describe a body that comes in both formats."""
    same = {"schema": {"type": "string", "description": "The same by the Spark convention"}}
    return {status: {"model": model, "description": description, "content": {"text/xml": same}}}


router = APIRouter(
    tags=["open311"],
    prefix="/open311/v2",
    default_response_class=Response,
    responses=_documented(
        "default",
        list[Open311Error],
        "What went wrong: 400; 403 without a fitting key; 404; 5xx where the service is at fault "
        "or away",
    ),
)


async def read_form(request: Request) -> dict[str, str]:
    """Read the fields of a form that are not blank."""
    if "api_key" in request.query_params:
        raise HTTPException(
            HTTPStatus.BAD_REQUEST, "A key in an address ends up in logs: send it in the form."
        )
    sent_as = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if sent_as != FORM:
        raise HTTPException(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"The request must be sent as {FORM}."
        )
    body = await request.body()
    try:
        return dict(parse_qsl(body.decode(), errors="strict", max_num_fields=MAX_FIELDS))
    except ValueError:
        raise HTTPException(
            HTTPStatus.BAD_REQUEST, f"The form is not UTF-8, or has more than {MAX_FIELDS} fields."
        ) from None


SentForm = Annotated[dict[str, str], Depends(read_form)]


async def get_filer(
    request: Request,
    form: SentForm,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> Caller:
    """Find out who files: by the header, or else by the form.

    Raises:
        KeyRefused: there is no key where one is asked for, or it is not in force.
    """
    token = credentials.credentials if credentials else form.get("api_key")
    return await find_filing_caller(request, token)


MayFileForm = Annotated[Caller, require(Scope.REPORT, found_by=get_filer)]


@router.get(
    "/services.{fmt}",
    responses=_documented(HTTPStatus.OK, list[Service], "By code"),
    summary="Services: what can be asked for",
)
def services(
    fmt: Format, city: Annotated[OfJurisdiction, Query()], session: SessionDep
) -> Response:
    """Open to anyone, as the standard has it."""
    scheme = _scheme(session, city.jurisdiction_id)
    return spark.respond(list(_services(scheme).values()), root="services", as_=fmt)


@router.get(
    "/services/{service_code}.{fmt}",
    responses=_documented(HTTPStatus.OK, ServiceDefinition, "Nothing else"),
    summary="What else a service asks for",
)
def definition(
    service_code: str,
    fmt: Format,
    city: Annotated[OfJurisdiction, Query()],
    session: SessionDep,
) -> Response:
    """Open to anyone. No service has attributes."""
    scheme = _scheme(session, city.jurisdiction_id)
    told = {"service_code": _known(scheme, service_code), "attributes": []}
    return spark.respond(told, root="service_definition", as_=fmt)


@router.post(
    "/requests.{fmt}",
    status_code=HTTPStatus.CREATED,
    responses=_documented(HTTPStatus.CREATED, list[Created], "Filed")
    | _documented(HTTPStatus.OK, list[Created], "Filed before under the same key"),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {FORM: {"schema": RequestForm.model_json_schema()}},
        }
    },
    summary="File a request",
)
async def file(  # noqa: PLR0913, PLR0917  FastAPI gives each by its name
    request: Request,
    fmt: Format,
    form: SentForm,
    caller: MayFileForm,
    intake: IntakeDep,
    idempotency_key: Annotated[
        Text | None,
        Header(description="Your own name for the report; without one, each call files another."),
    ] = None,
) -> Response:
    """Scope `report`; the key may come as `api_key` in the form.

    The report is the same as one of `POST /v1/reports` with channel `phone_app`: stored, durably,
    before 201, and kept and marked where it cannot be answered. 200: filed before under the same
    Idempotency-Key.
    """
    try:
        sent = RequestForm.model_validate(form)
    except ValidationError as error:
        raise RequestValidationError(
            [fault | {"loc": ("body", *fault["loc"])} for fault in error.errors()]
        ) from None
    await run_in_threadpool(_require_service, request, sent)
    filed = await intake.file(
        Sent(
            draft=sent.draft(),
            idempotency_key=idempotency_key or str(uuid.uuid4()),
            caller=caller.name,
        )
    )
    told = {
        "service_request_id": str(filed.report.id),
        # Without a case nobody will come, and why is best told at once.
        "service_notice": None if filed.case else filed.answers[-1].reason,
        "account_id": None,
    }
    return spark.respond(
        [told],
        root="service_requests",
        as_=fmt,
        status_code=HTTPStatus.CREATED if filed.created else HTTPStatus.OK,
    )


def _require_service(request: Request, sent: RequestForm) -> None:
    with request.app.state.sessions() as session:
        _known(_scheme(session, sent.jurisdiction_id), sent.service_code)


@router.get(
    "/requests.{fmt}",
    responses=_documented(HTTPStatus.OK, list[ServiceRequest], "The newest first"),
    summary="Requests of a time",
)
def requests(
    fmt: Format,
    wanted: Annotated[Wanted, Query()],
    caller: MaySeeReports,  # noqa: ARG001
    session: SessionDep,
) -> Response:
    """Scope `report` or `manage`.

    The newest 1,000 of at most 90 days. Ids that are none are passed over.
    """
    scheme = _scheme(session, wanted.jurisdiction_id)
    if wanted.service_request_id:
        found = find_standings(session, wanted.service_request_id)
    else:
        found = list_standings(
            session,
            since=wanted.start_date,
            until=wanted.end_date,
            services=wanted.service_code,
            closed=wanted.status[0] == "closed" if len(set(wanted.status)) == 1 else None,
        )
    return _told(found, scheme, fmt)


@router.get(
    "/requests/{service_request_id}.{fmt}",
    responses=_documented(HTTPStatus.OK, list[ServiceRequest], "A list of one"),
    summary="A request",
)
def request(
    service_request_id: str,
    fmt: Format,
    city: Annotated[OfJurisdiction, Query()],
    caller: MaySeeReports,  # noqa: ARG001
    session: SessionDep,
) -> Response:
    """Scope `report` or `manage`."""
    scheme = _scheme(session, city.jurisdiction_id)
    return _told([find_standing(session, service_request_id)], scheme, fmt)


@router.get(
    "/tokens/{token}.{fmt}",
    responses=_documented(HTTPStatus.OK, list[Token], "A list of one"),
    summary="The request of a token",
)
def token(
    token: str,
    fmt: Format,
    city: Annotated[OfJurisdiction, Query()],
    caller: MaySeeReports,  # noqa: ARG001
    session: SessionDep,
) -> Response:
    """Scope `report` or `manage`. Ids are given at once, so a token is one."""
    _scheme(session, city.jurisdiction_id)
    found = str(find_report(session, token).report.id)
    told = {"service_request_id": found, "token": found}
    return spark.respond([told], root="service_requests", as_=fmt)


def tell_problem(
    request: Request, problem: dict[str, Any], headers: Mapping[str, str] | None
) -> Response:
    """Tell a problem as the standard does: a list of errors, in the format that was asked for.

    403 is for any trouble with a key and 400 for whatever else is wrong with a call. What the
    standard would call 400 although the service is at fault or away keeps its 5xx: a client may
    then try again.
    """
    status = HTTPStatus(problem["status"])
    if status is HTTPStatus.UNAUTHORIZED:
        status = HTTPStatus.FORBIDDEN
    elif status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _KEPT:
        status = HTTPStatus.BAD_REQUEST
    said = [
        # After the kind of place comes the argument; a fault of several together names none.
        f"{fault['loc'][1]}: {fault['msg']}" if len(fault["loc"]) > 1 else fault["msg"]
        for fault in problem.get("errors", ())
    ] or [problem["detail"]]
    return spark.respond(
        [{"code": int(status), "description": words} for words in said],
        root="errors",
        as_=Format.JSON if request.url.path.endswith(".json") else Format.XML,
        status_code=status,
        headers=headers,
    )


_KEPT = {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}


def _scheme(session: Session, jurisdiction_id: str | None) -> Scheme:
    scheme = current_scheme(session)
    if jurisdiction_id not in (None, scheme.code):
        raise UnknownJurisdiction(jurisdiction_id, own=scheme.code)
    return scheme


def _in_force(scheme: Scheme) -> dict[str, Category]:
    today = datetime.now(scheme.zone).date()
    return {item.code: item for item in categories_on(scheme.categories, today)}


def _services(scheme: Scheme) -> dict[str, dict[str, Any]]:
    """Tell the categories in force that no other lies under, by code."""
    known = _in_force(scheme)
    groups = {code: _group(code, known) for code in known}
    above = {group.code for group in groups.values() if group}
    return {code: _service(item, groups[code]) for code, item in known.items() if code not in above}


def _group(code: str, known: Mapping[str, Category]) -> Category | None:
    shorter = (known.get(code[:length]) for length in range(len(code) - 1, 0, -1))
    return next(filter(None, shorter), None)


def _service(item: Category, group: Category | None) -> dict[str, Any]:
    names = _names(item)
    return {
        "service_code": item.code,
        "service_name": names[0],
        "description": " / ".join(names),
        "metadata": False,
        "type": "realtime",
        "keywords": ", ".join(names[1:] + (_names(group) if group else [])),
        "group": _names(group)[0] if group else None,
    }


def _names(item: Category) -> list[str]:
    return [name for name in (item.name_zh, item.name_en) if name]


def _known(scheme: Scheme, code: str) -> str:
    if code not in _services(scheme):
        raise UnknownService(code)
    return code


def _told(found: Iterable[Standing], scheme: Scheme, fmt: Format) -> Response:
    # A code's last name stands for it where the class is no more.
    names = {item.code: _names(item)[0] for item in scheme.categories}
    names |= {code: _names(item)[0] for code, item in _in_force(scheme).items()}
    layers = [layer.code for layer in reversed(scheme.layers)]
    told = [_request(one, names, layers, scheme.zone) for one in found]
    return spark.respond(told, root="service_requests", as_=fmt)


def _request(
    one: Standing, names: Mapping[str, str], layers: Iterable[str], zone: ZoneInfo
) -> dict[str, Any]:
    def local(at: datetime | None) -> str | None:
        # Some readers know no fractions of a second.
        return at.astimezone(zone).isoformat(timespec="seconds") if at else None

    notes = (one.state and STATES[one.state], one.reason)
    return {
        "service_request_id": str(one.id),
        "status": "closed" if one.closed else "open",
        "status_notes": ": ".join(filter(None, notes)) or None,
        "service_name": names.get(one.category or "", one.category),
        "service_code": one.category,
        "description": one.description,
        "agency_responsible": one.management,
        "service_notice": None,
        "requested_datetime": local(one.received_at),
        "updated_datetime": local(one.updated_at),
        "expected_datetime": local(one.due_at),
        "address": _address(one.areas or {}, layers),
        "address_id": None,
        "zipcode": None,
        "lat": one.lat,
        "long": one.lon,
        "media_url": next(iter(one.photo_urls), None),
    }


def _address(areas: Mapping[str, Any], layers: Iterable[str]) -> str | None:
    covering = (areas.get(layer) for layer in layers)
    names = (area["name"] for area in covering if isinstance(area, dict))
    return ", ".join(filter(None, names)) or None
