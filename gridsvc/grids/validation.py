"""What is wrong with a state: findings, each with kind, place, size and what it does to a publish.

The checks are SQL (sql/functions/06 to 10), so that a publish, QGIS and the command line show one
list; here it becomes objects with places that people can read.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from gridsvc.crs import convert_geometries
from gridsvc.errors import GridsvcError
from gridsvc.grids import models
from gridsvc.grids.schemes import Scheme
from gridsvc.grids.terms import FindingKind, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, or looks wrong.

    Attributes:
        kind: What sort of thing.
        severity: Whether it stops a publish.
        layer: Code of the layer; None where no layer is concerned.
        code: Code of the area, or how else the place is called.
        message: What a planner reads, one sentence without its full stop.
        other: Code of the other area or party concerned.
        area_m2: Size.
        width_m: 2·area/perimeter.
        place: WGS-84 geometry of the fault; a point lies in it for those who want one.
    """

    kind: FindingKind
    severity: Severity
    layer: str | None
    code: str | None
    message: str
    other: str | None = None
    area_m2: float | None = None
    width_m: float | None = None
    place: BaseGeometry | None = None

    @property
    def stops(self) -> bool:
        """Whether it stops a publish."""
        return self.severity is Severity.STOP

    @property
    def lonlat(self) -> tuple[float, float] | None:
        """A point of the place, WGS-84 degrees."""
        if self.place is None or self.place.is_empty:
            return None
        point = self.place.representative_point()
        return point.x, point.y

    def __str__(self) -> str:
        return f"{self.kind.value}: {self.message}"


def check(
    session: Session,
    scheme: Scheme,
    *,
    change_set: models.ChangeSet | None = None,
    layers: Iterable[str] | None = None,
    at: datetime | None = None,
) -> list[Finding]:
    """Judge the live state, or the state a change set would leave.

    Args:
        session: The caller's transaction.
        scheme: The one in force.
        change_set: None judges the live state; otherwise its areas with their neighbours, what
            they lie in and what lies in them, on the revision that it rests on.
        layers: Codes of the layers to judge; None judges all, or with a change set those that
            it touches and their children.
        at: Instant to judge; None is now, or the last instant at which a proposed version
            begins or ends, if that is later.

    Returns:
        Findings, those that stop a publish first; of a change set also what stopped rows of the
        files imported into it, and conflicts with what others published meanwhile.

    Raises:
        GridsvcError: the scheme has no such layer.
    """
    found = check_state(session, scheme, change_set=change_set, layers=layers, at=at)
    if change_set:
        rows = session.execute(
            text(f"""
                SELECT {FINDING_COLUMNS} FROM gridsvc.recorded_findings(:change_set)
                UNION ALL SELECT {FINDING_COLUMNS} FROM gridsvc.find_conflicts(:change_set)
            """),  # noqa: S608 -- its own constant
            {"change_set": change_set.id},
        )
        found += read_findings(rows, scheme)
    return sorted(found, key=lambda finding: not finding.stops)


def check_state(
    session: Session,
    scheme: Scheme,
    *,
    change_set: models.ChangeSet | None = None,
    layers: Iterable[str] | None = None,
    at: datetime | None = None,
) -> list[Finding]:
    """Judge a state as `check` does, without what was found elsewhere."""
    if layers is not None:
        layers = list(layers)
        known = [layer.code for layer in scheme.layers]
        if unknown := sorted(set(layers) - set(known)):
            raise GridsvcError(
                f"The scheme has no layer {', '.join(unknown)}",
                remedy=f"Name one of {', '.join(known)}",
            )
    rows = session.execute(
        text(f"""
            SELECT {FINDING_COLUMNS}
            FROM gridsvc.find_problems(:change_set, :at, CAST(:layers AS text[]))
        """),  # noqa: S608 -- its own constant
        {"change_set": change_set.id if change_set else None, "at": at, "layers": layers},
    )
    return read_findings(rows, scheme)


FINDING_COLUMNS = (
    "kind, stops, layer, code, other, message, area_m2, width_m, ST_AsBinary(part) AS part"
)


def read_findings(rows: Iterable[Row[Any]], scheme: Scheme) -> list[Finding]:
    """Make findings of rows of `gridsvc.finding`, whose parts are WKB in the storage CRS."""
    rows = list(rows)
    places = convert_geometries(
        shapely.from_wkb([row.part for row in rows]),
        source=scheme.storage_crs,
        target="EPSG:4326",
    )
    return [
        Finding(
            kind=FindingKind(row.kind),
            severity=Severity.STOP if row.stops else Severity.REPORT,
            layer=row.layer,
            code=row.code,
            other=row.other,
            message=row.message,
            area_m2=row.area_m2,
            width_m=row.width_m,
            place=place,
        )
        for row, place in zip(rows, places, strict=True)
    ]
