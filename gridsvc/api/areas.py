"""Layers and areas for maps and planners' viewers: GeoJSON in EPSG:4326, by page."""

from datetime import datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from gridsvc.api.deps import MaySeeAreas, SessionDep
from gridsvc.api.fields import Bbox, Instant, Link, Paging, Strict, Text, read_bounds
from gridsvc.api.responses import JSON, GeoJSON, next_links
from gridsvc.grids.areas import AreaRow, list_areas, list_layers, moment, read_area

router = APIRouter(tags=["areas"])


class AreaQuery(Paging):
    """Which areas."""

    layer: Text | None = None
    """Only this layer."""
    bbox: Bbox | None = None
    """Only areas that touch this box."""
    at: Instant | None = None
    """As of this time; now where left out."""


class AtQuery(Strict):
    """When."""

    at: Instant | None = None
    """As of this time; now where left out."""


class _Told(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Layer(_Told):
    """One kind of area."""

    code: str
    title: dict[str, str] = Field(examples=[{"zh": "街道", "en": "Street"}])
    """By language."""
    kind: Literal["tiling", "overlay"]
    parent: str | None
    """The layer whose areas it fills or lies in."""


class Layers(_Told):
    """The layers of the city, the outermost first."""

    revision: int
    layers: list[Layer]


class Geometry(_Told):
    """A GeoJSON MultiPolygon; positions are longitude, latitude, to 7 decimals."""

    type: Literal["MultiPolygon"]
    coordinates: list[list[list[tuple[float, float]]]]


class Properties(_Told):
    """What is known of an area but its boundary."""

    layer: str
    code: str
    name: str | None
    valid_from: datetime | None
    """Since when; null for always."""
    valid_to: datetime | None
    """Until when, exclusive; null for open."""


class _Feature(_Told):
    type: Literal["Feature"]
    id: str = Field(examples=["street/110199005"])
    properties: Properties
    geometry: Geometry


class Area(_Feature):
    """An area as a GeoJSON feature."""

    revision: int
    at: datetime


class Areas(_Told):
    """A page of areas as a GeoJSON collection."""

    type: Literal["FeatureCollection"]
    revision: int
    at: datetime
    features: list[_Feature]
    links: list[Link]


@router.get(
    "/v1/layers",
    response_model=Layers,
    response_class=JSON,
    summary="The layers of the city",
)
def layers(_: MaySeeAreas, session: SessionDep) -> Response:
    """Scope `locate`, `report`, `plan` or `manage`."""
    return JSON({"revision": moment(session).revision, "layers": list_layers(session)})


@router.get(
    "/v1/areas",
    response_model=Areas,
    response_class=GeoJSON,
    summary="Areas, by page",
)
def areas(
    wanted: Annotated[AreaQuery, Query()],
    request: Request,
    _: MaySeeAreas,
    session: SessionDep,
) -> Response:
    """Scope `locate`, `report`, `plan` or `manage`. By layer and code."""
    now = moment(session, wanted.at)
    page = list_areas(
        session,
        now=now,
        limit=wanted.limit,
        layer=wanted.layer,
        bbox=read_bounds(wanted.bbox) if wanted.bbox else None,
        after=wanted.after,
    )
    return GeoJSON(
        {
            "type": "FeatureCollection",
            "revision": now.revision,
            "at": now.at,
            "features": [_feature(row) for row in page.rows],
            "links": next_links(request, wanted, after=page.after, at=now.at),
        }
    )


@router.get(
    "/v1/areas/{layer}/{code:path}",
    response_model=Area,
    response_class=GeoJSON,
    summary="One area",
)
def area(
    layer: Annotated[Text, Path()],
    code: Annotated[Text, Path()],
    when: Annotated[AtQuery, Query()],
    _: MaySeeAreas,
    session: SessionDep,
) -> Response:
    """Scope `locate`, `report`, `plan` or `manage`. 404 `unknown-area`."""
    now = moment(session, when.at)
    row = read_area(session, now=now, layer=layer, code=code)
    return GeoJSON(_feature(row) | {"revision": now.revision, "at": now.at})


def _feature(row: AreaRow) -> dict[str, Any]:
    return {
        "type": "Feature",
        "id": f"{row.layer}/{row.code}",
        "properties": {
            "layer": row.layer,
            "code": row.code,
            "name": row.name,
            "valid_from": row.valid_from,
            "valid_to": row.valid_to,
        },
        # As the database wrote it, without a detour over Python's numbers.
        "geometry": orjson.Fragment(row.geometry),
    }
