"""Vector tiles of each layer, for maps that show a whole city, and what a map must know of them."""

import hashlib
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field

from gridsvc.api.deps import MaySeeAreas, SessionDep
from gridsvc.api.fields import Instant, Strict, Text
from gridsvc.api.layer_facts import facts_of
from gridsvc.api.ogc import FRESH
from gridsvc.api.responses import JSON
from gridsvc.errors import BeforeFirstRevision
from gridsvc.grids.areas import find_layer, moment
from gridsvc.grids.viewers import MAX_ZOOM, Tile, draw_tile

PREFIX = "/tiles/"

MEDIA_TYPE = "application/vnd.mapbox-vector-tile"

REVISION_HEADER = "Gridsvc-Revision"

# Finer tiles would show nothing more: at zoom 18 a unit of a tile's grid is 3 cm.
_FINEST = 18

router = APIRouter(tags=["viewers"])


class TilesQuery(Strict):
    """When."""

    at: Instant | None = None
    """As of this time; now where left out."""


class VectorLayer(BaseModel):
    """What a tile holds."""

    id: str
    fields: dict[str, str]


class TileJSON(BaseModel):
    """A layer's tiles, as TileJSON 3.0 tells them."""

    model_config = ConfigDict(extra="forbid")

    tilejson: Literal["3.0.0"]
    name: str = Field(examples=["街道 Street"])
    tiles: list[str]
    vector_layers: list[VectorLayer]
    minzoom: int
    """Tiles of lower zooms are empty: their areas would be too many and too small."""
    maxzoom: int
    bounds: tuple[float, float, float, float] | None = None
    """West, south, east, north; absent while the layer has no areas."""
    revision: int


@router.get(
    "/tiles/{layer}.json",
    response_model=TileJSON,
    response_class=JSON,
    summary="What a map must know of a layer's vector tiles",
)
def tile_json(
    layer: Annotated[Text, Path()],
    when: Annotated[TilesQuery, Query()],
    request: Request,
    _: MaySeeAreas,
    session: SessionDep,
) -> Response:
    """Scope `locate`, `report`, `plan` or `manage`. 404 `unknown-layer`."""
    found, now = find_layer(session, layer), moment(session, when.at)
    facts = facts_of(request, session, now).get(layer)
    # The braces are the map's to fill in.
    address = (
        f"{str(request.base_url).rstrip('/')}/tiles/{quote(layer, safe='')}/{{z}}/{{x}}/{{y}}.mvt"
    )
    query = f"?{urlencode({'at': when.at.isoformat()})}" if when.at else ""
    told: dict[str, Any] = {
        "tilejson": "3.0.0",
        "name": " ".join(dict.fromkeys((found.title["zh"], found.title["en"]))),
        "tiles": [address + query],
        "vector_layers": [{"id": layer, "fields": {"code": "String", "name": "String"}}],
        "minzoom": facts.min_zoom if facts else 0,
        "maxzoom": _FINEST,
        "revision": now.revision,
    }
    return JSON(told | ({"bounds": facts.bounds} if facts else {}), headers=FRESH)


@router.get(
    "/tiles/{layer}/{z}/{x}/{y}.mvt",
    response_class=Response,
    responses={200: {"content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}}},
    summary="A vector tile of a layer",
)
def tile(  # noqa: PLR0913, PLR0917  each is of the path, the query or the caller
    layer: Annotated[Text, Path()],
    z: Annotated[int, Path(ge=0, le=MAX_ZOOM)],
    x: Annotated[int, Path(ge=0)],
    y: Annotated[int, Path(ge=0)],
    when: Annotated[TilesQuery, Query()],
    request: Request,
    _: MaySeeAreas,
    session: SessionDep,
    if_none_match: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Response:
    """Scope `locate`, `report`, `plan` or `manage`. 404 `unknown-layer`.

    The header `Gridsvc-Revision` names the revision. 304 where `If-None-Match` has the tile's
    `ETag`, which is of its content: a publication elsewhere in the city leaves it as it is.
    """
    find_layer(session, layer)
    for name, number in (("x", x), ("y", y)):
        if number >= 2**z:
            raise RequestValidationError(
                [
                    {
                        "type": "value",
                        "loc": ("path", name),
                        "msg": f"At zoom {z} tiles are numbered 0 to {2**z - 1}",
                    }
                ]
            )
    headers = dict(FRESH)
    content = b""
    try:
        now = moment(session, when.at)
    except BeforeFirstRevision:
        pass
    else:
        headers[REVISION_HEADER] = str(now.revision)
        facts = facts_of(request, session, now).get(layer)
        if facts and z >= facts.min_zoom:
            content = draw_tile(session, now=now, layer=layer, tile=Tile(z, x, y))
    etag = f'"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'
    headers["ETag"] = etag
    if if_none_match and etag in if_none_match:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=MEDIA_TYPE, headers=headers)
