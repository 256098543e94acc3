"""Components for maps and dispatchers: GeoJSON in EPSG:4326, by page; owners as party codes."""

from datetime import datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from gridsvc.api.deps import MaySeeAreas, SessionDep
from gridsvc.api.fields import Bbox, Instant, Link, Paging, Text, read_bounds
from gridsvc.api.responses import GeoJSON, next_links
from gridsvc.grids.areas import moment
from gridsvc.grids.components import ComponentRow, list_components

router = APIRouter(tags=["components"], default_response_class=GeoJSON)


class ComponentQuery(Paging):
    """Which components."""

    category: Text | None = None
    """Only of categories whose code begins so."""
    bbox: Bbox | None = None
    """Only components in this box, or on its edge."""
    at: Instant | None = None
    """As of this time; now where left out."""


class _Told(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Position(_Told):
    """A GeoJSON Point; longitude, latitude, to 7 decimals."""

    type: Literal["Point"]
    coordinates: tuple[float, float]


class ComponentProperties(_Told):
    """What is known of a component but its place."""

    code: str
    category: str
    owner: str
    """Code of the party that it belongs to."""
    valid_from: datetime | None
    """Since when; null for always."""
    valid_to: datetime | None
    """Until when, exclusive; null for open."""


class ComponentFeature(_Told):
    """A component as a GeoJSON feature."""

    type: Literal["Feature"]
    id: str = Field(examples=["W-0012"])
    properties: ComponentProperties
    geometry: Position


class Components(_Told):
    """A page of components as a GeoJSON collection."""

    type: Literal["FeatureCollection"]
    revision: int
    at: datetime
    features: list[ComponentFeature]
    links: list[Link]


@router.get("/v1/components", response_model=Components, summary="Components, by page")
def components(
    wanted: Annotated[ComponentQuery, Query()],
    request: Request,
    _: MaySeeAreas,
    session: SessionDep,
) -> Response:
    """Scope `locate`, `report`, `plan` or `manage`. By code."""
    now = moment(session, wanted.at)
    page = list_components(
        session,
        now=now,
        limit=wanted.limit,
        category=wanted.category,
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


def _feature(row: ComponentRow) -> dict[str, Any]:
    return {
        "type": "Feature",
        "id": row.code,
        "properties": {
            "code": row.code,
            "category": row.category,
            "owner": row.owner,
            "valid_from": row.valid_from,
            "valid_to": row.valid_to,
        },
        # As the database wrote it, without a detour over Python's numbers.
        "geometry": orjson.Fragment(row.geometry),
    }
