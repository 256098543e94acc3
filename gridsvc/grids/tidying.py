"""A draft is tidied: areas get the nodes of their neighbours, slivers up to 3 mm are closed.

QGIS adds a node to neighbours only in the layers that are in edit, and a node on a slanted edge,
snapped to a millimetre, lies beside it. What is done becomes edits of the change set, as if they
had been drawn in QGIS, and goes through the same checks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from sqlalchemy import Row, func, select, text
from sqlalchemy.orm import Session

from gridsvc.crs import to_wgs84
from gridsvc.db import sql
from gridsvc.errors import GridsvcError
from gridsvc.grids import models
from gridsvc.grids.noding import Change, Left, Tidied, tidy_nodes
from gridsvc.grids.schemes import Scheme
from gridsvc.grids.terms import LayerKind


@dataclass(frozen=True, slots=True)
class TidiedArea:
    """What was done to one area."""

    layer: str
    code: str
    name: str | None
    change: Change


@dataclass(frozen=True, slots=True)
class LeftPlace:
    """A place that stays as it is; WGS-84 degrees."""

    layer: str
    code: str
    lon: float
    lat: float
    reason: Left


@dataclass(frozen=True, slots=True)
class Tidying:
    """What was done to a change set.

    Attributes:
        areas: Those that have another boundary now, by layer and code.
        left: Places where something is narrower than 3 mm still.
        slivers_closed: Gaps and overlaps that are gone, each counted once.
    """

    areas: tuple[TidiedArea, ...]
    left: tuple[LeftPlace, ...]
    slivers_closed: int


def tidy(
    session: Session,
    scheme: Scheme,
    change_set: models.ChangeSet,
    *,
    whole: bool,
    layer: str | None = None,
) -> Tidying:
    """Tidy the state that a change set would leave, and keep what was done in it.

    No boundary moves by more than 3 mm, none becomes invalid, every node lies on the millimetre
    grid; areas that are not named in the result keep their bytes. A second run does nothing. Of
    two nodes that become one that of the unedited area stays, then of the older one, of the
    layer further up, of the lower code.

    Args:
        session: The caller's transaction.
        scheme: The one in force.
        change_set: An open one.
        whole: Whether of the whole city, or only at what the change set proposes: there its
            planner has a say, and meets nobody else's edits.
        layer: Only at areas of this layer; what shares their nodes follows.

    Raises:
        GridsvcError: the layer is none that is tidied.
    """
    _require_tidied(session, layer)
    # What is added is measured against the newest state; conflicts keep the base where it is.
    session.execute(select(func.gridsvc.rebase(change_set.id)))
    # Whoever edits in QGIS meanwhile waits, and what was checked is no longer.
    session.execute(
        text("UPDATE gridsvc.change_set SET state = 'open' WHERE id = :id"), {"id": change_set.id}
    )
    at = session.scalar(select(func.gridsvc.draft_instant(change_set.id)))
    rows = session.execute(
        sql("gridsvc.grids", "drawn_areas"), {"change_set": change_set.id, "at": at, "whole": whole}
    ).all()
    if not rows:
        return Tidying((), (), 0)
    done = _tidy(rows, whole=whole, layer=layer)
    if done.changes:
        session.execute(
            text("""
                SELECT gridsvc.redraw_area(
                    :change_set, v.version,
                    ST_GeomFromWKB(v.boundary,
                                   (SELECT srid FROM gridsvc.scheme ORDER BY id DESC LIMIT 1)))
                FROM unnest(CAST(:versions AS bigint[]), CAST(:boundaries AS bytea[]))
                    AS v (version, boundary)
            """),
            {
                "change_set": change_set.id,
                "versions": [rows[area].version for area in done.changes],
                "boundaries": [shapely.to_wkb(change.boundary) for change in done.changes.values()],
            },
        )
        session.execute(text("SELECT gridsvc.refresh_problems(:id)"), {"id": change_set.id})
    session.refresh(change_set)
    return Tidying(
        areas=tuple(
            TidiedArea(rows[area].layer, rows[area].code, rows[area].name, change)
            for area, change in done.changes.items()
        ),
        left=tuple(
            LeftPlace(rows[area].layer, rows[area].code, *_degrees(scheme, x, y), reason)
            for area, (x, y), reason in done.left
        ),
        slivers_closed=done.slivers_closed,
    )


def _tidy(rows: Sequence[Row[Any]], *, whole: bool, layer: str | None) -> Tidied:
    drawn = np.empty(len(rows), dtype=object)
    drawn[:] = shapely.from_wkb([bytes(row.boundary) for row in rows])
    layers = np.array([row.layer for row in rows])
    edited = np.array([row.version < 0 for row in rows])
    # Rows come by layer and code; sorting keeps that order among equals.
    order = np.lexsort((np.array([row.valid_from.timestamp() for row in rows]), edited))
    precedence = np.empty(len(rows), dtype=np.int64)
    precedence[order] = np.arange(len(rows))
    concerned = np.ones(len(rows), bool) if whole else edited
    if layer is not None:
        concerned &= layers == layer
    return tidy_nodes(drawn, layers=layers, precedence=precedence, concerned=concerned)


def _require_tidied(session: Session, layer: str | None) -> None:
    tidied = session.scalars(
        select(models.Layer.code)
        .where(models.Layer.kind == LayerKind.TILING.value, models.Layer.drawn_as == "polygon")
        .order_by(models.Layer.position)
    ).all()
    if layer is not None and layer not in tidied:
        raise GridsvcError(
            f"{layer!r} is no layer that tiles the ground with polygons",
            remedy=f"Name one of {', '.join(tidied)}",
        )


def _degrees(scheme: Scheme, x: float, y: float) -> tuple[float, float]:
    lon, lat = to_wgs84(x, y, crs=scheme.storage_crs)
    return round(float(lon), 7), round(float(lat), 7)
