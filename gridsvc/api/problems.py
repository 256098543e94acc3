"""Every error leaves by one door: a problem of RFC 9457, whose type is a URN and a promise.

`urn:gridsvc:problem:NAME` names the kind of error and will not change; it is a name, not an
address, for closed networks have nothing to open. `KINDS` is the whole list for what callers do
wrong or must wait for; an error that is not in it is ours, and nothing of it is told.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from psycopg.errors import QueryCanceled
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from gridsvc import errors

Dialect = Callable[[Request, dict[str, Any], Mapping[str, str] | None], Response]
"""Tells a problem, with headers for the response, as another standard wants it told."""

MEDIA_TYPE = "application/problem+json"
TYPE = "urn:gridsvc:problem:"


class FieldError(BaseModel):
    """One fault of the input."""

    loc: list[str | int] = Field(examples=[["query", "lon"]])
    """Where: "query", "path", "header" or "body", then the names and indices inwards."""
    msg: str
    """What is wrong."""


class NearestArea(BaseModel):
    """The area nearest to a point that none covers."""

    layer: str
    code: str
    name: str | None
    distance_m: float


class CaseNow(BaseModel):
    """Where a case stands."""

    id: int
    state: str
    state_since: datetime
    holder: str | None
    step: int
    last_event: int


class Problem(BaseModel):
    """An error, as RFC 9457 shapes it."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(examples=[f"{TYPE}outside-service-area"])
    """What kind of error; a stable name."""
    title: str
    """The kind in words."""
    status: int
    """The HTTP status."""
    detail: str
    """What happened here and what to do about it."""
    instance: str
    """The path of the call."""
    request_id: str | None = None
    """The call in the service's log, as in X-Request-ID; absent in an answer of a batch."""
    errors: list[FieldError] | None = None
    """The faults of the input, by field."""
    nearest: NearestArea | None = None
    """With outside-service-area: the nearest area, if there is any."""
    case: CaseNow | None = None
    """With case-moved-on: where the case stands."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a class of errors is over HTTP.

    Attributes:
        status: The HTTP status.
        name: The last part of the type.
        title: The kind in words.
        fields: The inputs that are at fault.
    """

    status: HTTPStatus
    name: str
    title: str
    fields: tuple[str, ...] = ()


_BAD = HTTPStatus.UNPROCESSABLE_ENTITY
_AWAY = HTTPStatus.SERVICE_UNAVAILABLE

KINDS: Mapping[type[Exception], Kind] = {
    errors.BadCoordinates: Kind(_BAD, "bad-coordinates", "A number cannot be used"),
    errors.SwappedCoordinates: Kind(
        _BAD, "swapped-coordinates", "Longitude and latitude are swapped", ("lon", "lat")
    ),
    errors.OutsideServiceArea: Kind(
        HTTPStatus.NOT_FOUND, "outside-service-area", "Outside the service area"
    ),
    errors.DefaultPointGiven: Kind(
        _BAD, "default-point", "A place where reports without a place are put", ("lon", "lat")
    ),
    errors.UnknownCategory: Kind(_BAD, "unknown-category", "Unknown category", ("category",)),
    errors.BeforeFirstRevision: Kind(
        _BAD, "before-first-revision", "Before the first revision", ("at",)
    ),
    errors.UnknownCrs: Kind(_BAD, "unknown-crs", "Unknown coordinate system", ("crs",)),
    errors.CrsNotAccepted: Kind(
        _BAD, "crs-not-accepted", "Coordinate system not accepted", ("crs",)
    ),
    errors.DatumNotInverted: Kind(
        _BAD, "datum-not-inverted", "Coordinates cannot be converted", ("lon", "lat")
    ),
    errors.UnknownLayer: Kind(_BAD, "unknown-layer", "Unknown layer", ("layer",)),
    errors.UnknownArea: Kind(HTTPStatus.NOT_FOUND, "unknown-area", "Unknown area"),
    errors.UnknownReport: Kind(HTTPStatus.NOT_FOUND, "unknown-report", "Unknown report"),
    errors.UnknownService: Kind(HTTPStatus.NOT_FOUND, "unknown-service", "Unknown service"),
    errors.UnknownJurisdiction: Kind(
        HTTPStatus.NOT_FOUND, "unknown-jurisdiction", "Unknown jurisdiction"
    ),
    errors.IdempotencyKeyReused: Kind(
        HTTPStatus.CONFLICT, "idempotency-key-reused", "The key was used for another report"
    ),
    errors.UnknownCase: Kind(HTTPStatus.NOT_FOUND, "unknown-case", "Unknown case"),
    errors.ReportWithoutCase: Kind(
        HTTPStatus.NOT_FOUND, "report-without-case", "The report has no case"
    ),
    errors.CaseMovedOn: Kind(HTTPStatus.CONFLICT, "case-moved-on", "The case has moved on"),
    errors.ActRefused: Kind(_BAD, "act-refused", "The act lacks something"),
    errors.NoZones: Kind(HTTPStatus.NOT_FOUND, "no-zones", "The scheme has no zones"),
    errors.IndicatorsRefused: Kind(_BAD, "indicators-refused", "The figures cannot be asked so"),
    errors.HotspotsRefused: Kind(_BAD, "hotspots-refused", "Hotspots cannot be asked so"),
    errors.KeyRefused: Kind(HTTPStatus.UNAUTHORIZED, "key-refused", "An API key is needed"),
    errors.ScopeMissing: Kind(HTTPStatus.FORBIDDEN, "scope-missing", "The key does not allow it"),
    errors.NothingPublished: Kind(_AWAY, "nothing-published", "Nothing is published yet"),
    errors.NothingLoaded: Kind(_AWAY, "nothing-published", "Nothing is published yet"),
    errors.DatabaseUnavailable: Kind(_AWAY, "database-unavailable", "The database does not answer"),
}

MALFORMED = Kind(HTTPStatus.BAD_REQUEST, "malformed-json", "The body is not JSON")
INVALID = Kind(_BAD, "invalid-input", "The input is not valid")
TOO_SLOW = Kind(_AWAY, "took-too-long", "The question took too long")
TOO_LARGE = Kind(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body-too-large", "The body is too large")
UNFORESEEN = Kind(HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error", "An unforeseen error")


def kind_of(error: Exception) -> Kind | None:
    """Find what an error is over HTTP; None where it is our own fault."""
    return next((KINDS[cls] for cls in type(error).__mro__ if cls in KINDS), None)


def problem_of(
    error: errors.GridsvcError, *, instance: str, loc: Sequence[str | int] = ("query",)
) -> dict[str, Any]:
    """Tell an error of the domain as a problem.

    Args:
        error: One that `KINDS` knows.
        instance: The path of the call.
        loc: Where its fields are in the input.

    Raises:
        GridsvcError: the same, where `KINDS` does not know it.
    """
    kind = kind_of(error)
    if kind is None:
        raise error
    fields = kind.fields
    if isinstance(
        error,
        errors.BadCoordinates
        | errors.ActRefused
        | errors.IndicatorsRefused
        | errors.HotspotsRefused,
    ):
        fields = (error.field,)
    faults = [{"loc": [*loc, field], "msg": str(error)} for field in fields]
    extra: dict[str, Any] = {"errors": faults} if faults else {}
    if isinstance(error, errors.OutsideServiceArea):
        extra["nearest"] = error.nearest
    if isinstance(error, errors.CaseMovedOn):
        extra["case"] = error.case
    return _problem(kind, detail=str(error), instance=instance, **extra)


def respond(
    request: Request,
    kind: Kind,
    *,
    detail: str,
    headers: Mapping[str, str] | None = None,
    **extra: object,
) -> Response:
    """Answer a call with a problem."""
    body = _problem(kind, detail=detail, instance=request.url.path, **extra)
    return _response(request, body, headers)


def install(app: FastAPI, dialects: Mapping[str, Dialect]) -> None:
    """Let every foreseen error of the app leave as a problem.

    Args:
        app: The app.
        dialects: Who tells the errors of paths that begin so in another way.
    """
    app.state.dialects = dialects
    app.add_exception_handler(errors.GridsvcError, _domain_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    for lost in (OperationalError, InterfaceError, PoolTimeoutError):
        app.add_exception_handler(lost, _database_error)


def _problem(kind: Kind, *, detail: str, instance: str, **extra: object) -> dict[str, Any]:
    return {
        "type": TYPE + kind.name,
        "title": kind.title,
        "status": int(kind.status),
        "detail": detail,
        "instance": instance,
        **extra,
    }


def _response(
    request: Request, body: dict[str, Any], headers: Mapping[str, str] | None = None
) -> Response:
    # For the log's line.
    request.state.problem = body["type"].removeprefix(TYPE)
    for prefix, tell in request.app.state.dialects.items():
        if request.url.path.startswith(prefix):
            dialect: Dialect = tell
            return dialect(request, body, headers)
    return plain(request, body, headers)


def plain(
    request: Request, body: dict[str, Any], headers: Mapping[str, str] | None = None
) -> Response:
    """Tell a problem as RFC 9457 does; what a dialect uses that differs in less."""
    return Response(
        orjson.dumps(body | {"request_id": request.state.request_id}),
        status_code=body["status"],
        media_type=MEDIA_TYPE,
        headers=headers,
    )


# Starlette wants handlers of any Exception; each is registered for the class that it asserts.


def _domain_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.GridsvcError)  # noqa: S101
    loc = ("query",) if request.method == "GET" else ("body",)
    headers = {}
    if isinstance(error, errors.KeyRefused):
        # RFC 6750: no error code where there was no key.
        code = ', error="invalid_token"' if error.given else ""
        headers["WWW-Authenticate"] = f'Bearer realm="gridsvc"{code}'
    elif isinstance(error, errors.ScopeMissing):
        headers["WWW-Authenticate"] = (
            f'Bearer realm="gridsvc", error="insufficient_scope", scope="{" ".join(error.needed)}"'
        )
    return _response(request, problem_of(error, instance=request.url.path, loc=loc), headers)


def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    found = error.errors()
    # Values are not repeated: they may be somebody's place, and NaN is no JSON.
    faults = [{"loc": list(fault["loc"]), "msg": fault["msg"]} for fault in found]
    kind = MALFORMED if any(fault["type"] == "json_invalid" for fault in found) else INVALID
    first = faults[0]
    others = f" (and {len(faults) - 1} more)" if faults[1:] else ""
    place = ".".join(map(str, first["loc"]))
    return respond(request, kind, detail=f"{place}: {first['msg']}{others}.", errors=faults)


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    status = HTTPStatus(error.status_code)
    kind = (
        TOO_LARGE
        if status is TOO_LARGE.status
        else Kind(status, status.phrase.lower().replace(" ", "-"), status.phrase)
    )
    detail = {
        HTTPStatus.NOT_FOUND: f"There is nothing at {request.url.path}. /docs lists the calls.",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.url.path} does not take {request.method}.",
    }.get(status, str(error.detail))
    return respond(request, kind, detail=detail, headers=error.headers)


def _database_error(request: Request, error: Exception) -> Response:
    slow = isinstance(getattr(error, "orig", None), QueryCanceled)
    request.state.cause = type(error).__qualname__
    return respond(
        request,
        TOO_SLOW if slow else KINDS[errors.DatabaseUnavailable],
        detail="The question took longer than the service allows. Ask for less at once."
        if slow
        else "The database does not answer. Try again in a moment.",
        headers={"Retry-After": "5"},
    )
