"""Where cases gather, and whether it is more than chance, as GeoJSON."""

from datetime import datetime
from typing import Annotated, Any, Literal

import numpy as np
import orjson
import shapely
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from gridsvc.api.deps import MayFindHotspots, WritingSessionDep
from gridsvc.api.fields import Instant, Strict, Text
from gridsvc.api.responses import GeoJSON
from gridsvc.api.responsible import Holder
from gridsvc.crs import convert_geometries
from gridsvc.grids.areas import DECIMALS
from gridsvc.hotspots.answering import responsible_for
from gridsvc.hotspots.store import Hotspots, find_hotspots, question

router = APIRouter(tags=["hotspots"], default_response_class=GeoJSON)


class HotspotQuery(Strict):
    """Which cases, and on what ground."""

    from_: Annotated[Instant | None, Field(alias="from")] = None
    """Cases opened at or after then; left out, the beginning of the month a year before the end."""
    to: Instant | None = None
    """And before then; left out, the coming midnight by the city's clock."""
    category: Annotated[Text | None, Field(examples=["0102"])] = None
    """A class, or the beginning of its code; all where left out."""
    layer: Annotated[Text | None, Field(examples=["unit"])] = None
    """A layer of the scheme, or square or hexagon for cells; its finest tiling layer where left
    out."""
    cell_m: Annotated[float | None, Field(ge=10, le=10_000)] = None
    """Width of the cells, metres; 250 where left out."""
    per: Literal["case", "km2", "shop", "resident"] | None = None
    """Test cases per km², shop or resident, or cases themselves; left out, per km² of a layer,
    whose areas differ in size, and cases of cells."""


class _Told(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ToldPeak(_Told):
    """Hours with more cases than the rhythm of the city explains."""

    weekday: int
    """0 is Monday."""
    from_hour: int
    to_hour: int
    """Exclusive; local time."""
    cases: int
    expected: float
    q: float


class ToldHotspot(_Told):
    """Hot areas that touch each other."""

    rank: int
    previous_rank: int | None
    """In the same window a month before; null where it was no hotspot."""
    codes: list[str]
    """Of its areas, the strongest first."""
    lon: float
    lat: float
    cases: int
    expected: float
    """Cases, if they were spread evenly over what they are divided by, or over all areas."""
    z: float
    q: float
    peaks: list[ToldPeak]
    responsible: Holder | None
    """Who is responsible in its strongest area now; masked."""


class HotspotProperties(_Told):
    """What was found for one area."""

    code: str
    name: str | None
    cases: int
    rate: float | None
    """Cases per km², or as `per` asks; null where there is no base to divide by."""
    rate_low: float | None
    """Of 95 %, as a Poisson count has."""
    rate_high: float | None
    value: float | None
    """What was tested: cases, or a rate."""
    neighbours: int
    z: float | None
    """Gi*; null where it was not tested."""
    p: float | None
    """Two-sided."""
    q: float | None
    """p after Benjamini and Hochberg (FDR)."""
    class_: Literal[
        "hot_99", "hot_95", "hot_90", "none", "cold_90", "cold_95", "cold_99", "untested"
    ] = Field(alias="class")
    pattern: str | None
    """new_hot, intensifying_hot …; null where the window has fewer than ten whole
    months, or more than 240."""
    trend_z: float | None
    trend_p: float | None


class HotspotFeature(_Told):
    """One area or cell."""

    type: Literal["Feature"]
    id: str
    geometry: dict[str, Any]
    properties: HotspotProperties


class HotspotCollection(_Told):
    """Areas with what was found, and the hotspots that they make."""

    type: Literal["FeatureCollection"]
    revision: int
    layer: str
    cell_m: float | None
    per: str | None
    from_: datetime = Field(alias="from")
    to: datetime
    category: str | None
    cases: int
    """In the window, on this ground."""
    method: str
    parameters: dict[str, Any]
    seed: int | None
    """Null: the method draws no random numbers."""
    made_at: datetime
    hotspots: list[ToldHotspot]
    features: list[HotspotFeature]


@router.get(
    "/v1/hotspots",
    response_model=HotspotCollection,
    summary="Where cases gather, and whether it is more than chance",
)
def hotspots(
    wanted: Annotated[HotspotQuery, Query()],
    caller: MayFindHotspots,  # noqa: ARG001
    session: WritingSessionDep,
) -> Response:
    """Scope `manage`. Kept by question and revision, so only the first call takes long.

    What is kept is given for up to five minutes although cases came in since.
    """
    asked = question(
        session,
        layer=wanted.layer,
        cell_m=wanted.cell_m,
        per=wanted.per,
        from_at=wanted.from_,
        to_at=wanted.to,
        category=wanted.category,
    )
    found = find_hotspots(session, asked)
    holders = responsible_for(session, found)
    return GeoJSON(_told(found, holders))


def _told(found: Hotspots, holders: list[dict[str, Any] | None]) -> dict[str, Any]:
    asked = found.question
    places = found.places.drop(columns=["geometry", "hours"])
    return {
        "type": "FeatureCollection",
        "revision": found.revision,
        "layer": asked.layer,
        "cell_m": asked.cell_m,
        "per": asked.per,
        "from": asked.from_at,
        "to": asked.to_at,
        "category": asked.category,
        "cases": found.cases,
        "method": found.method,
        "parameters": found.parameters,
        "seed": found.seed,
        "made_at": found.made_at,
        "hotspots": [
            place | {"responsible": holder}
            for place, holder in zip(_records(places), holders, strict=True)
        ],
        "features": _features(found),
    }


def _features(found: Hotspots) -> list[dict[str, Any]]:
    lonlat = convert_geometries(
        found.areas.geometry.to_numpy(), source=str(found.areas.crs), target="EPSG:4326"
    )
    rounded = shapely.transform(lonlat, lambda xy: np.round(xy, DECIMALS))
    properties = found.areas.drop(columns="geometry").rename(columns={"kind": "class"})
    return [
        {
            "type": "Feature",
            "id": told["code"],
            "geometry": orjson.Fragment(geometry),
            "properties": told,
        }
        for told, geometry in zip(_records(properties), shapely.to_geojson(rounded), strict=True)
    ]


def _records(rows: Any) -> list[dict[str, Any]]:  # noqa: ANN401  a frame
    """Give rows as JSON has them: nothing where nothing is known."""
    plain = rows.astype(object).where(rows.notna(), None)
    told: list[dict[str, Any]] = plain.to_dict("records")
    return told
