"""OGC API - Features, read only: each layer is a collection, each area a feature.

Part 1 (core, GeoJSON, OpenAPI 3.0) and Part 2 (coordinate reference systems by reference). The
pages of one listing are held to one revision by their cursor, whatever is published meanwhile.
"""

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from http import HTTPStatus
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode

import orjson
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError
from sqlalchemy.orm import Session

from gridsvc.api import problems
from gridsvc.api.deps import MaySeeAreas, SessionDep
from gridsvc.api.fields import Instant, Strict, Text
from gridsvc.api.layer_facts import facts_of
from gridsvc.api.ogc_document import CRS84, MEDIA_TYPE, api_document, crs_uri
from gridsvc.api.responses import JSON, GeoJSON
from gridsvc.crs import WGS84
from gridsvc.errors import BeforeFirstRevision
from gridsvc.grids.areas import (
    AreaRow,
    LayerRow,
    Moment,
    find_layer,
    list_layers,
    moment,
)
from gridsvc.grids.scheme_store import current_scheme
from gridsvc.grids.viewers import (
    LON_LAT,
    WEB_MERCATOR,
    Box,
    Frame,
    LayerFacts,
    Period,
    Place,
    Wanted,
    count_features,
    frame_of,
    list_features,
    pinned,
    place_of,
    read_feature,
)

PREFIX = "/ogc"

CONFORMS_TO = (
    *(
        f"http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/{name}"
        for name in ("core", "geojson", "oas30")
    ),
    "http://www.opengis.net/spec/ogcapi-features-2/1.0/conf/crs",
)

DEFAULT_LIMIT = 100
MAX_LIMIT = 10_000

# What a client keeps it must ask about each time: the next publication changes it.
FRESH = {"Cache-Control": "private, no-cache, max-age=0, must-revalidate"}

# Farther out lies no city, and GEOS need not reckon with such numbers.
_FARTHEST_M = 1e9

_READ_ONLY = {"Allow": "GET, OPTIONS"}

_YEARS = range(1000, 9000)
"""Clients write an open end as year 0 or 9999 too."""

router = APIRouter(prefix=PREFIX, tags=["viewers"])


class OgcLink(BaseModel):
    """A link as OGC API tells it; absolute, for clients take it as it is."""

    model_config = ConfigDict(extra="forbid")

    href: str
    rel: str
    type: str
    title: str | None = None


class _Linked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    links: list[OgcLink]


class LandingPage(_Linked):
    """Where everything is."""

    title: str
    description: str


class Conformance(BaseModel):
    """The classes of requirements that are kept."""

    conformsTo: list[str]  # noqa: N815  the standard's name


class SpatialExtent(BaseModel):
    """The box round a layer."""

    bbox: list[tuple[float, float, float, float]]
    crs: Literal["http://www.opengis.net/def/crs/OGC/1.3/CRS84"]


class TemporalExtent(BaseModel):
    """From the earliest begin of an area to the latest end; null is open."""

    interval: list[tuple[datetime | None, datetime | None]]


class Extent(BaseModel):
    """Where and when a layer has areas."""

    spatial: SpatialExtent
    temporal: TemporalExtent


class Collection(_Linked):
    """A layer."""

    id: str
    title: str = Field(examples=["街道 Street"])
    titles: dict[str, str] = Field(examples=[{"zh": "街道", "en": "Street"}])
    """The title by language."""
    description: str
    itemType: Literal["feature"]  # noqa: N815  the standard's name
    crs: list[str]
    storageCrs: str  # noqa: N815  the standard's name
    extent: Extent | None = None
    """Absent while the layer has no areas."""
    revision: int


class Collections(_Linked):
    """The layers of the city, the outermost first."""

    collections: list[Collection]
    revision: int


class FeatureProperties(BaseModel):
    """What is known of an area but its boundary."""

    model_config = ConfigDict(extra="forbid")

    code: str
    name: str | None
    valid_from: datetime | None
    """Since when; null for always."""
    valid_to: datetime | None
    """Until when, exclusive; null for open."""


class FeatureGeometry(BaseModel):
    """A MultiPolygon in the system and order of axes that `Content-Crs` names."""

    type: Literal["MultiPolygon"]
    coordinates: list[list[list[tuple[float, float]]]]


class _Feature(BaseModel):
    model_config = ConfigDict(extra="forbid")

    type: Literal["Feature"]
    id: str
    """The area's code."""
    geometry: FeatureGeometry
    properties: FeatureProperties


class Feature(_Feature):
    """An area."""

    revision: int
    at: datetime
    links: list[OgcLink]


class FeatureCollection(_Linked):
    """A page of a layer's areas."""

    type: Literal["FeatureCollection"]
    features: list[_Feature]
    numberMatched: int | None = None  # noqa: N815  the standard's name
    """Of all pages; absent where they are in a box and too many to be counted quickly."""
    numberReturned: int  # noqa: N815  the standard's name
    timeStamp: datetime  # noqa: N815  the standard's name
    revision: int | None
    """The one that answers; null where none was in force yet."""
    at: datetime


def _limited(limit: int) -> int:
    # Not an error by the standard.
    return min(limit, MAX_LIMIT)


def _checked_period(text: str) -> str:
    read_period(text)
    return text


When = Annotated[
    Annotated[
        str,
        AfterValidator(_checked_period),
        Field(max_length=100, examples=["2026-11-22T08:00:00+08:00"]),
    ]
    | None,
    Field(
        description="As of this time; now where left out. For items also a period of two times "
        "with a slash between, `..` for an open end: areas that held at some time in it, each as "
        "it last was in it."
    ),
]


class _InCrs(Strict):
    crs: Annotated[str, Field(max_length=200)] = CRS84
    """The system of the answer: one of those that the collection names."""
    datetime: When = None


class ItemQuery(_InCrs):
    """How one area is told."""


class ItemsQuery(_InCrs):
    """Which areas, and how they are told."""

    bbox: Annotated[str, Field(max_length=300, examples=["116.45,39.91,116.47,39.93"])] | None = (
        None
    )
    """Only areas that touch this box: two corners of two or three numbers each."""
    bbox_crs: Annotated[str, Field(max_length=200)] = Field(CRS84, alias="bbox-crs")
    """The system of `bbox`, and so the order of its axes."""
    limit: Annotated[
        int,
        Field(ge=1, json_schema_extra={"maximum": MAX_LIMIT}),
        AfterValidator(_limited),
    ] = DEFAULT_LIMIT
    """The most areas of a page; more are taken for the most there may be."""
    code: Text | None = None
    """Only the area of this code."""
    name: Text | None = None
    """Only areas of this name."""
    cursor: Annotated[str, Field(max_length=2000)] | None = None
    """From the link to the next page; not made by hand."""


class AtQuery(Strict):
    """When: a viewer that can only add to an address adds it to every call alike."""

    datetime: When = None


def read_period(text: str) -> datetime | Period:
    """Read an instant, or two of them or `..` with a slash between."""
    begin, slash, end = text.partition("/")
    if not slash:
        return _instant(text)
    period = Period(_end(begin), _end(end))
    if period.since and period.until and period.since > period.until:
        raise PydanticCustomError("period", "The period ends before it begins")
    return period


def _instant(text: str) -> datetime:
    try:
        return TypeAdapter(Instant).validate_python(text)
    except ValidationError as error:
        raise PydanticCustomError("instant", error.errors()[0]["msg"]) from None


def _end(text: str) -> datetime | None:
    if text in {"", ".."} or (text[:4].isdecimal() and int(text[:4]) not in _YEARS):
        return None
    return _instant(text)


def tell_problem(
    request: Request, body: dict[str, Any], headers: Mapping[str, str] | None
) -> Response:
    """Tell a problem with the status that OGC's standards ask for.

    A parameter that cannot be used is 400 there, and a layer is part of the path.
    """
    if body["type"] == f"{problems.TYPE}unknown-layer":
        body = body | {"status": int(HTTPStatus.NOT_FOUND)}
        body.pop("errors", None)
    elif body["status"] == HTTPStatus.UNPROCESSABLE_ENTITY:
        body = body | {"status": int(HTTPStatus.BAD_REQUEST)}
    return problems.plain(request, body, headers)


@router.get(
    "",
    response_model=LandingPage,
    response_class=JSON,
    summary="OGC API: where everything is",
)
def landing_page(
    request: Request, _: MaySeeAreas, session: SessionDep, when: Annotated[AtQuery, Query()]
) -> Response:
    """Scope `locate`, `report`, `plan` or `manage`."""
    title = _both(current_scheme(session).title)
    return JSON(
        {
            "title": title,
            "description": f"{title}: 各图层的区域，只读。Areas of every layer, read only.",
            "links": [
                _link(request, "", "self", title="This page", asked=when),
                _link(request, "/api", "service-desc", MEDIA_TYPE, "Its calls", asked=when),
                _link(request, "/docs", "service-doc", "text/html", "The whole service", root=True),
                _link(request, "/conformance", "conformance", title="Standards kept", asked=when),
                _link(request, "/collections", "data", title="图层 Layers", asked=when),
            ],
        },
        headers=FRESH,
    )


@router.get(
    "/conformance",
    response_model=Conformance,
    response_class=JSON,
    summary="OGC API: standards kept",
)
def conformance(_: MaySeeAreas, __: Annotated[AtQuery, Query()]) -> Response:
    """Scope `locate`, `report`, `plan` or `manage`."""
    return JSON({"conformsTo": CONFORMS_TO})


@router.get(
    "/api",
    response_class=Response,
    responses={200: {"content": {MEDIA_TYPE: {"schema": {"type": "object"}}}}},
    summary="OGC API: its calls as OpenAPI 3.0",
)
def api(
    request: Request, _: MaySeeAreas, session: SessionDep, __: Annotated[AtQuery, Query()]
) -> Response:
    """Scope `locate`, `report`, `plan` or `manage`. /openapi.json has the whole service."""
    document = api_document(
        title=_both(current_scheme(session).title),
        version=request.app.version,
        server=f"{_base(request)}{PREFIX}",
        layers=list_layers(session),
        crs=list(_frames(place_of(session, moment(session)))),
        default_limit=DEFAULT_LIMIT,
        max_limit=MAX_LIMIT,
    )
    return Response(orjson.dumps(document), media_type=MEDIA_TYPE, headers=FRESH)


@router.get(
    "/collections",
    response_model=Collections,
    response_class=JSON,
    summary="OGC API: the layers",
)
def collections(
    request: Request, _: MaySeeAreas, session: SessionDep, when: Annotated[AtQuery, Query()]
) -> Response:
    """Scope `locate`, `report`, `plan` or `manage`."""
    now = _shown(session, when)
    frames = _frames(place_of(session, now))
    facts = facts_of(request, session, now)
    told = [
        _collection(request, when, layer, frames=frames, facts=facts.get(layer.code), now=now)
        for layer in list_layers(session)
    ]
    links = [_link(request, "/collections", "self", title="图层 Layers", asked=when)]
    return JSON({"links": links, "collections": told, "revision": now.revision}, headers=FRESH)


@router.get(
    "/collections/{layer}",
    response_model=Collection,
    response_class=JSON,
    summary="OGC API: one layer",
)
def collection(
    layer: Annotated[Text, Path()],
    request: Request,
    _: MaySeeAreas,
    session: SessionDep,
    when: Annotated[AtQuery, Query()],
) -> Response:
    """Scope `locate`, `report`, `plan` or `manage`. 404 `unknown-layer`."""
    found, now = find_layer(session, layer), _shown(session, when)
    facts = facts_of(request, session, now).get(layer)
    frames = _frames(place_of(session, now))
    told = _collection(request, when, found, frames=frames, facts=facts, now=now)
    return JSON(told, headers=FRESH)


@router.get(
    "/collections/{layer}/items",
    response_model=FeatureCollection,
    response_class=GeoJSON,
    summary="OGC API: areas of a layer, by page",
)
def items(
    layer: Annotated[Text, Path()],
    asked: Annotated[ItemsQuery, Query()],
    request: Request,
    _: MaySeeAreas,
    session: SessionDep,
) -> Response:
    """Scope `locate`, `report`, `plan` or `manage`. By code. 404 `unknown-layer`."""
    found = find_layer(session, layer)
    when = read_period(asked.datetime) if asked.datetime else None
    period = when if isinstance(when, Period) else None
    cursor = _Cursor.read(asked.cursor) if asked.cursor is not None else None
    try:
        now, early = _moment(session, when, cursor), None
    except BeforeFirstRevision as error:
        now, early = moment(session), error.at
    place = place_of(session, now)
    frames = _frames(place)
    frame = _frame(frames, asked.crs, "crs")
    box_frame = _frame(frames, asked.bbox_crs, "bbox-crs")
    wanted = Wanted(
        layer=layer,
        code=asked.code,
        name=asked.name,
        box=_read_box(asked.bbox, box_frame) if asked.bbox is not None else None,
        period=period,
    )
    if early:
        return _page(request, found, asked, at=early)
    page = list_features(
        session,
        now=now,
        wanted=wanted,
        frame=frame,
        limit=asked.limit,
        after=cursor.after if cursor else None,
    )
    if cursor:
        matched = cursor.matched
    elif page.after is None:
        matched = len(page.rows)
    else:
        matched = count_features(session, now=now, wanted=wanted)
    follows = page.after and _Cursor(now.revision, now.at, matched, page.after).write()
    return _page(
        request,
        found,
        asked,
        at=now.at,
        revision=now.revision,
        features=[_feature(row, place.zone) for row in page.rows],
        matched=matched,
        follows=follows,
    )


@router.get(
    "/collections/{layer}/items/{code:path}",
    response_model=Feature,
    response_class=GeoJSON,
    summary="OGC API: one area",
)
def item(
    layer: Annotated[Text, Path()],
    code: Annotated[Text, Path()],
    asked: Annotated[ItemQuery, Query()],
    request: Request,
    _: MaySeeAreas,
    session: SessionDep,
) -> Response:
    """Scope `locate`, `report`, `plan` or `manage`. 404 `unknown-layer` or `unknown-area`."""
    found = find_layer(session, layer)
    when = read_period(asked.datetime) if asked.datetime else None
    if isinstance(when, Period):
        raise _fault("datetime", "One area is told as of one time, not of a period")
    now = moment(session, when)
    city = place_of(session, now)
    frame = _frame(_frames(city), asked.crs, "crs")
    row = read_feature(session, now=now, layer=layer, code=code, frame=frame)
    path = _path(layer)
    self_path = f"{path}/items/{quote(code, safe='')}"
    links = [
        _link(request, self_path, "self", GeoJSON.media_type, "This area", asked=asked),
        _link(request, path, "collection", title=_both(found.title)),
    ]
    told = _feature(row, city.zone) | {"revision": now.revision, "at": now.at, "links": links}
    return GeoJSON(told, headers=FRESH | {"Content-Crs": f"<{asked.crs}>"})


# QGIS asks what can be done before it offers to edit.


@router.options("/collections/{layer}/items", include_in_schema=False)
def options_of_items(layer: Annotated[Text, Path()], _: MaySeeAreas) -> Response:
    """Say that areas can be read."""
    del layer
    return Response(status_code=HTTPStatus.NO_CONTENT, headers=_READ_ONLY)


@router.options("/collections/{layer}/items/{code:path}", include_in_schema=False)
def options_of_item(
    layer: Annotated[Text, Path()], code: Annotated[Text, Path()], _: MaySeeAreas
) -> Response:
    """Say that an area can be read."""
    del layer, code
    return Response(status_code=HTTPStatus.NO_CONTENT, headers=_READ_ONLY)


@dataclass(frozen=True, slots=True)
class _Cursor:
    """Where a page begins, and the state that the first page was read from."""

    revision: int
    at: datetime
    matched: int | None
    after: str

    def write(self) -> str:
        fields = [self.revision, self.at.isoformat(), self.matched, self.after]
        return base64.urlsafe_b64encode(orjson.dumps(fields)).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> "_Cursor":
        try:
            fields = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            return cls(*_CURSOR.validate_json(fields, strict=False))
        except ValueError:  # of base64 and of Pydantic alike
            raise _fault("cursor", "Take the cursor from the link to the next page") from None


_CURSOR = TypeAdapter(tuple[int, Instant, int | None, Text])


def _moment(session: Session, when: datetime | Period | None, cursor: _Cursor | None) -> Moment:
    if cursor:
        now = pinned(session, at=cursor.at, revision=cursor.revision)
        if now is None:
            raise _fault("cursor", "The revision of the cursor is not here; begin anew")
        return now
    if not isinstance(when, Period):
        return moment(session, when)
    now = moment(session)
    # What was said of a period that is over is what was said at its end.
    return moment(session, when.until) if when.until and when.until < now.at else now


def _shown(session: Session, when: AtQuery) -> Moment:
    """Find the moment of which layers are told; now, where nothing was in force yet."""
    try:
        return _moment(session, read_period(when.datetime) if when.datetime else None, None)
    except BeforeFirstRevision:
        return moment(session)


def _frames(place: Place) -> dict[str, Frame]:
    """Give the systems that are told and taken, by URI; the default first, the stored one third."""
    return {CRS84: LON_LAT} | {
        crs_uri(crs): frame_of(crs) for crs in (WGS84, place.crs, WEB_MERCATOR)
    }


def _frame(frames: Mapping[str, Frame], uri: str, field: str) -> Frame:
    if uri not in frames:
        raise _fault(field, f"Give one of {', '.join(frames)}")
    return frames[uri]


def _read_box(text: str, frame: Frame) -> Box:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) == 6:  # noqa: PLR2004  with heights, which areas do not have
        numbers = [*numbers[:2], *numbers[3:5]]
    if len(numbers) != 4 or not all(map(math.isfinite, numbers)):  # noqa: PLR2004  two corners
        raise _fault("bbox", "Give two corners, as four numbers with commas between")
    first_min, second_min, first_max, second_max = numbers
    bounds = (first_min, second_min, first_max, second_max)
    x_min, y_min, x_max, y_max = frame.xy(bounds)
    if frame.crs.in_degrees:
        if max(abs(x_min), abs(x_max)) > 180 or max(abs(y_min), abs(y_max)) > 90:  # noqa: PLR2004
            order = (
                "latitude before longitude" if frame.north_first else "longitude before latitude"
            )
            raise _fault("bbox", f"In this system a corner is {order}, in degrees")
    elif x_min > x_max or max(map(abs, bounds)) > _FARTHEST_M:
        raise _fault("bbox", "The first corner must be the lower one on both axes")
    if y_min > y_max:
        raise _fault("bbox", "The first corner must be the lower one")
    return Box(bounds, frame)


def _fault(field: str, message: str) -> RequestValidationError:
    """Say that a parameter cannot be used, as FastAPI does for those it reads itself."""
    return RequestValidationError([{"type": "value", "loc": ("query", field), "msg": message}])


def _page(  # noqa: PLR0913  what a page is made of
    request: Request,
    layer: LayerRow,
    asked: ItemsQuery,
    *,
    at: datetime,
    revision: int | None = None,
    features: Sequence[dict[str, Any]] = (),
    matched: int | None = 0,
    follows: str | None = None,
) -> Response:
    path = _path(layer.code)
    links = [
        _link(request, f"{path}/items", "self", GeoJSON.media_type, "This page", asked=asked),
        _link(request, path, "collection", title=_both(layer.title)),
    ]
    if follows:
        further = asked.model_copy(update={"cursor": follows})
        links.append(
            _link(request, f"{path}/items", "next", GeoJSON.media_type, "Next page", asked=further)
        )
    told = {
        "type": "FeatureCollection",
        "timeStamp": datetime.now(UTC),
        "revision": revision,
        "at": at,
        **({} if matched is None else {"numberMatched": matched}),
        "numberReturned": len(features),
        "links": links,
        "features": features,
    }
    return GeoJSON(told, headers=FRESH | {"Content-Crs": f"<{asked.crs}>"})


def _feature(row: AreaRow, zone: tzinfo) -> dict[str, Any]:
    return {
        "type": "Feature",
        "id": row.code,
        "properties": {
            "code": row.code,
            "name": row.name,
            # QGIS shows the hours and drops the offset: give it the city's own.
            "valid_from": row.valid_from and row.valid_from.astimezone(zone),
            "valid_to": row.valid_to and row.valid_to.astimezone(zone),
        },
        # As the database wrote it, without a detour over Python's numbers.
        "geometry": orjson.Fragment(row.geometry),
    }


def _collection(  # noqa: PLR0913  what a collection is made of
    request: Request,
    when: AtQuery,
    layer: LayerRow,
    *,
    frames: Mapping[str, Frame],
    facts: LayerFacts | None,
    now: Moment,
) -> dict[str, Any]:
    path = _path(layer.code)
    uris = list(frames)
    told = {
        "id": layer.code,
        "title": _both(layer.title),
        "titles": layer.title,
        "description": _KINDS[layer.kind].format(parent=layer.parent or "city"),
        "itemType": "feature",
        "crs": uris,
        "storageCrs": uris[2],
        "revision": now.revision,
        "links": [
            _link(request, path, "self", title=_both(layer.title), asked=when),
            _link(request, f"{path}/items", "items", GeoJSON.media_type, "区域 Areas", asked=when),
        ],
    }
    if facts:
        told["extent"] = {
            "spatial": {"bbox": [facts.bounds], "crs": CRS84},
            "temporal": {"interval": [[facts.begins_at, facts.ends_at]]},
        }
    return told


_KINDS = {
    "tiling": "平铺图层。A tiling layer: its areas fill the {parent} without gap or overlap.",
    "overlay": "叠加图层。An overlay layer: its areas may overlap and leave gaps.",
}


def _both(title: Mapping[str, str]) -> str:
    """Give a title in Chinese and English, once where they are the same."""
    return " ".join(
        dict.fromkeys(title[language] for language in ("zh", "en") if language in title)
    )


def _base(request: Request) -> str:
    return str(request.base_url).rstrip("/")


def _path(layer: str) -> str:
    return f"/collections/{quote(layer, safe='')}"


def _link(  # noqa: PLR0913  the parts of a link
    request: Request,
    path: str,
    rel: str,
    media_type: str = "application/json",
    title: str | None = None,
    *,
    asked: Strict | None = None,
    root: bool = False,
) -> dict[str, str]:
    """Make an absolute link: QGIS takes no others.

    It leads to the host that was asked for; a proxy hands on `Host` and `X-Forwarded-Proto`.
    """
    query = asked.model_dump(mode="json", by_alias=True, exclude_unset=True) if asked else {}
    query = {name: value for name, value in query.items() if value is not None}
    href = f"{_base(request)}{'' if root else PREFIX}{path}"
    link = {
        "href": f"{href}?{urlencode(query)}" if query else href,
        "rel": rel,
        "type": media_type,
    }
    return link | ({"title": title} if title else {})
