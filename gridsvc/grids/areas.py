"""Areas as they held at an instant: whole layers by page, or one by its code."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeAlias, TypeVar

import shapely
from geoalchemy2.shape import from_shape
from shapely.geometry.base import BaseGeometry
from sqlalchemy import ColumnElement, Select, case, func, literal, or_, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from gridsvc.crs import WGS84, Bounds, convert_geometries
from gridsvc.errors import BeforeFirstRevision, NothingPublished, UnknownArea, UnknownLayer
from gridsvc.grids.models import (
    Absence,
    Area,
    AreaPiece,
    Assignment,
    Component,
    Layer,
    Revision,
    SchemeVersion,
)

# Areas may stick out of the scheme's extent; a box far beyond it has no place in a city's CRS.
_EXTENT_MARGIN_DEG = 0.5

# A side of a box in degrees is bent in a projected CRS. Followed this finely, it is less than a
# metre off in any city.
_SIDE_STEP_DEG = 0.05

DECIMALS = 7  # about a centimetre

# Before it, a begin stands for "always", whatever the time zone in which it was written.
_EARLIEST = datetime(2, 1, 1, tzinfo=UTC)

Row = TypeVar("Row")

Version: TypeAlias = type[Area | Assignment | Absence | Component]
"""A table of dated versions."""


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows, and where the next ones begin.

    Attributes:
        rows: In a fixed order.
        after: What to ask for next; None where these are the last.
    """

    rows: tuple[Row, ...]
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """An instant, and the revision that answers for it.

    Attributes:
        at: Aware.
        revision: Its number.
        newest: Whether no later revision is published.
    """

    at: datetime
    revision: int
    newest: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRow:
    """One kind of area."""

    code: str
    title: dict[str, str]
    kind: str
    parent: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaRow:
    """One area at an instant.

    Attributes:
        layer: Code of its layer.
        code: Its own code.
        name: None where it has none.
        valid_from: Since when it holds; None for always.
        valid_to: When it ends, exclusive; None for open.
        geometry: GeoJSON text of a MultiPolygon, EPSG:4326.
    """

    layer: str
    code: str
    name: str | None
    valid_from: datetime | None
    valid_to: datetime | None
    geometry: str


def moment(session: Session, at: datetime | None = None) -> Moment:
    """Find the revision that answers for an instant; now where none is given.

    Raises:
        NothingPublished: there is no revision at all.
        BeforeFirstRevision: none was in force by then.
    """
    asked = func.now() if at is None else literal(at, Area.valid_from.type)
    instant, revision, newest, first_at = session.execute(
        select(
            asked,
            func.gridsvc.revision_at(asked),
            select(func.max(Revision.number)).scalar_subquery(),
            select(func.min(Revision.effective_at)).scalar_subquery(),
        )
    ).one()
    if newest is None:
        raise NothingPublished
    if revision is None:
        raise BeforeFirstRevision(at=instant, first_at=first_at.astimezone(instant.tzinfo))
    return Moment(at=instant, revision=revision, newest=revision == newest)


def live_in(version: Version, now: Moment) -> list[ColumnElement[bool]]:
    """Say which versions the revision of a moment holds; for the newest area_live_idx helps."""
    if now.newest:
        return [version.rev_to.is_(None)]
    return [
        version.rev_from <= now.revision,
        or_(version.rev_to.is_(None), version.rev_to > now.revision),
    ]


def in_force(version: Version, now: Moment) -> list[ColumnElement[bool]]:
    """Say which versions hold at a moment."""
    return [
        *live_in(version, now),
        version.valid_from <= now.at,
        or_(version.valid_to.is_(None), version.valid_to > now.at),
    ]


def list_layers(session: Session) -> list[LayerRow]:
    """Give the layers of the scheme, the outermost first."""
    return [
        LayerRow(
            code=layer.code,
            title={"zh": layer.title_zh, "en": layer.title_en},
            kind=layer.kind,
            parent=layer.parent,
        )
        for layer in session.scalars(select(Layer).order_by(Layer.position))
    ]


def find_layer(session: Session, code: str) -> LayerRow:
    """Give a layer by its code.

    Raises:
        UnknownLayer: no layer bears it.
    """
    layers = list_layers(session)
    for layer in layers:
        if layer.code == code:
            return layer
    raise UnknownLayer(code, known=tuple(layer.code for layer in layers))


def list_areas(  # noqa: PLR0913  each narrows the list
    session: Session,
    *,
    now: Moment,
    limit: int,
    layer: str | None = None,
    bbox: Bounds | None = None,
    after: str | None = None,
) -> Page[AreaRow]:
    """Give a page of areas by layer and code.

    Args:
        session: One snapshot for all pages is not needed: `now` pins the revision.
        now: The moment asked.
        limit: The most rows of a page.
        layer: Only this layer; None for all.
        bbox: West, south, east, north, EPSG:4326; areas that touch it count. None for all.
        after: `Page.after` of the page before.

    Raises:
        UnknownLayer: no layer bears the code.
    """
    question = _question(now)
    if layer is not None:
        find_layer(session, layer)
        question = question.where(Area.layer == layer)
    if bbox is not None:
        box, srid = storage_box(session, now, bbox)
        if box is None:
            return Page((), None)
        question = question.where(
            Area.id.in_(
                select(AreaPiece.area_id).where(
                    func.ST_Intersects(AreaPiece.piece, from_shape(box, srid=srid))
                )
            )
        )
    if after is not None:
        layer_after, _, code_after = after.partition("/")
        question = question.where(
            tuple_(Area.layer, Area.code) > tuple_(literal(layer_after), literal(code_after))
        )
    question = question.order_by(Area.layer, Area.code).limit(limit + 1)
    rows = _rows(session, question)
    more = len(rows) > limit
    last = rows[limit - 1] if more else None
    return Page(rows[:limit], f"{last.layer}/{last.code}" if last else None)


def read_area(session: Session, *, now: Moment, layer: str, code: str) -> AreaRow:
    """Give one area.

    Raises:
        UnknownArea: none of that layer and code holds at the moment.
    """
    found = _rows(session, _question(now).where(Area.layer == layer, Area.code == code))
    if not found:
        raise UnknownArea(layer, code, at=now.at)
    return found[0]


def area_names(session: Session, layer: str, codes: Iterable[str]) -> dict[str, str | None]:
    """Name areas by their newest versions, those that are no more too."""
    rows = session.execute(
        select(Area.code, Area.name)
        .where(Area.layer == layer, Area.code.in_(set(codes)))
        .order_by(Area.id)
    )
    return {row.code: row.name for row in rows}


def _question(now: Moment) -> Select[Any]:
    return select(Area.id).where(*in_force(Area, now))


def _rows(session: Session, question: Select[Any]) -> tuple[AreaRow, ...]:
    """Read the chosen areas; boundaries are converted for these only, after the limit."""
    chosen = question.subquery()
    boundary = func.ST_AsGeoJSON(func.ST_Transform(Area.boundary, WGS84.epsg), DECIMALS)
    return tuple(
        AreaRow(
            layer=layer,
            code=code,
            name=name,
            valid_from=valid_from,
            valid_to=valid_to,
            geometry=geometry,
        )
        for layer, code, name, valid_from, valid_to, geometry in session.execute(
            select(
                Area.layer,
                Area.code,
                Area.name,
                begin(Area.valid_from),
                Area.valid_to,
                boundary,
            )
            .join(chosen, chosen.c.id == Area.id)
            .order_by(Area.layer, Area.code)
        )
    )


def begin(valid_from: InstrumentedAttribute[datetime]) -> ColumnElement[datetime | None]:
    """Give the begin of a period; null where it is as early as instants go, that is: always."""
    return case((valid_from >= _EARLIEST, valid_from))


def storage_box(session: Session, now: Moment, bbox: Bounds) -> tuple[BaseGeometry | None, int]:
    """Bring a box into the storage CRS, so that the index on stored pieces can be asked.

    Returns:
        The part of the box near the city, None where there is none, and the SRID.
    """
    srid, extent = session.execute(
        select(SchemeVersion.srid, SchemeVersion.document["extent"])
        .join(Revision, Revision.scheme_id == SchemeVersion.id)
        .where(Revision.number == now.revision)
    ).one()
    west = max(bbox[0], extent["west"] - _EXTENT_MARGIN_DEG)
    south = max(bbox[1], extent["south"] - _EXTENT_MARGIN_DEG)
    east = min(bbox[2], extent["east"] + _EXTENT_MARGIN_DEG)
    north = min(bbox[3], extent["north"] + _EXTENT_MARGIN_DEG)
    if west >= east or south >= north:
        return None, srid
    sides = shapely.segmentize(shapely.box(west, south, east, north), _SIDE_STEP_DEG)
    return convert_geometries(sides, source=WGS84, target=f"EPSG:{srid}"), srid
