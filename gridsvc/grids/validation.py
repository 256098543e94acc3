"""What is wrong with a state: findings, each with kind, place, size and what it does to a publish.

The same checks judge the live state, a change set and a dry run of an import.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import shapely
from geoalchemy2.shape import to_shape
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Row, func, select, text
from sqlalchemy.orm import Session

from gridsvc.crs import convert_geometries
from gridsvc.db import run_sql, sql
from gridsvc.errors import GridsvcError
from gridsvc.grids import models
from gridsvc.grids.schemes import Layer, Scheme
from gridsvc.grids.terms import FindingKind, LayerKind, Severity

PACKAGE = "gridsvc.grids"

SLIVER_M = 0.005
"""Parts narrower than this come from rounding: a node on a slanted 200 m edge, snapped to a
millimetre, leaves 0.02 m² a tenth of a millimetre wide. So width decides, not area."""

NARROW_M = 0.5
"""An area narrower than this holds nobody who could be responsible for it."""


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
        scheme: Says what is to be checked, and what stops a publish.
        change_set: None judges the live state.
        layers: Codes of the layers to judge; None judges all, or with a change set those that
            it touches and their children.
        at: Instant to judge; None is now, or the last instant at which a proposed version
            begins or ends, if that is later.

    Returns:
        Findings, those that stop a publish first; of a change set also what stopped rows of the
        files imported into it.
    """
    findings = check_state(session, scheme, change_set=change_set, layers=layers, at=at)
    if change_set:
        recorded = session.scalars(
            select(models.ImportFinding)
            .where(models.ImportFinding.change_set_id == change_set.id)
            .order_by(models.ImportFinding.id)
        )
        findings += [
            Finding(
                kind=FindingKind(row.kind),
                severity=Severity.STOP,
                layer=row.layer,
                code=row.code,
                message=f"{row.message} (in {row.source})",
                area_m2=row.area_m2,
                place=None if row.place is None else to_shape(row.place),
            )
            for row in recorded
        ]
    return sorted(findings, key=lambda finding: not finding.stops)


def check_state(
    session: Session,
    scheme: Scheme,
    *,
    change_set: models.ChangeSet | None = None,
    layers: Iterable[str] | None = None,
    at: datetime | None = None,
) -> list[Finding]:
    """Judge a state as `check` does, without what was found while files were read."""
    chosen = _chosen_layers(session, scheme, change_set, layers)
    findings: list[Finding] = []
    if chosen:
        _lay_draft_table(session, change_set, at)
        for layer in chosen:
            findings += _layer_findings(session, scheme, layer)
    if change_set:
        findings += _people_findings(session, scheme, change_set)
    return findings


def _chosen_layers(
    session: Session,
    scheme: Scheme,
    change_set: models.ChangeSet | None,
    layers: Iterable[str] | None,
) -> list[Layer]:
    if layers is not None:
        wanted = set(layers)
        if unknown := sorted(wanted - {layer.code for layer in scheme.layers}):
            raise GridsvcError(
                f"The scheme has no layer {', '.join(unknown)}",
                remedy=f"Name one of {', '.join(layer.code for layer in scheme.layers)}",
            )
    elif change_set:
        wanted = set(
            session.scalars(
                select(models.AreaEdit.layer)
                .where(models.AreaEdit.change_set_id == change_set.id)
                .distinct()
            )
        )
        wanted |= {layer.code for layer in scheme.layers if layer.parent in wanted}
    else:
        return list(scheme.layers)
    return [layer for layer in scheme.layers if layer.code in wanted]


def _lay_draft_table(
    session: Session, change_set: models.ChangeSet | None, at: datetime | None
) -> None:
    change_set_id = change_set.id if change_set else None
    if at is None:
        latest = session.scalar(
            select(
                func.greatest(
                    func.max(models.AreaEdit.valid_from), func.max(models.AreaEdit.valid_to)
                )
            ).where(models.AreaEdit.change_set_id == change_set_id)
        )
        now = session.scalar(select(func.now()))
        at = max(filter(None, (now, latest)))
    session.execute(text("DROP TABLE IF EXISTS pg_temp.draft"))
    session.execute(sql(PACKAGE, "draft_table"), {"change_set": change_set_id, "at": at})
    session.execute(text("CREATE INDEX ON pg_temp.draft USING gist (boundary)"))
    session.execute(text("CREATE INDEX ON pg_temp.draft (layer, code)"))
    session.execute(text("ANALYZE pg_temp.draft"))


_WORDS = {
    FindingKind.OVERLAP: "{layer} {code} and {other} both claim {area_m2:.2f} m² "
    "(width {width_m:.3f} m)",
    FindingKind.GAP: "in {parent} {code}, {area_m2:.2f} m² belong to no {layer} "
    "(width {width_m:.3f} m)",
    FindingKind.SPILL: "{layer} {code} lies with {area_m2:.2f} m² outside its {parent} {other} "
    "(width {width_m:.3f} m)",
    FindingKind.NARROW: "{layer} {code} is only {width_m:.2f} m wide",
}


def _layer_findings(session: Session, scheme: Scheme, layer: Layer) -> Iterator[Finding]:
    tiling = layer.kind is LayerKind.TILING
    judged = {"layer": layer.code}
    queries: list[tuple[FindingKind, str, dict[str, Any]]] = [
        (FindingKind.NARROW, "check_narrow", judged | {"least_m": NARROW_M})
    ]
    if tiling:
        queries.append((FindingKind.OVERLAP, "check_overlap", judged))
    if layer.parent and _is_filled(session, layer.code) and _is_filled(session, layer.parent):
        judged |= {"parent": layer.parent}
        if tiling:
            queries.append((FindingKind.GAP, "check_gap", judged))
        queries.append((FindingKind.SPILL, "check_spill", judged | {"tiling": tiling}))
    for kind, name, parameters in queries:
        rows = [
            row
            for row in session.execute(sql(PACKAGE, name), parameters)
            if kind is FindingKind.NARROW or row.width_m >= SLIVER_M
        ]
        places = convert_geometries(
            shapely.from_wkb([row.part for row in rows]),
            source=scheme.storage_crs,
            target="EPSG:4326",
        )
        for row, place in zip(rows, places, strict=True):
            words = _WORDS[kind].format(
                layer=layer.code,
                parent=layer.parent,
                code=row.code,
                other=row.other or "",
                area_m2=row.area_m2,
                width_m=row.width_m,
            )
            yield Finding(
                kind=kind,
                severity=layer.severity(kind),
                layer=layer.code,
                code=row.code,
                other=row.other,
                message=words.replace("  ", " "),
                area_m2=row.area_m2,
                width_m=row.width_m,
                place=place,
            )


def _is_filled(session: Session, layer: str) -> bool:
    return bool(
        session.scalar(
            text("SELECT EXISTS (SELECT FROM pg_temp.draft WHERE layer = :layer)"),
            {"layer": layer},
        )
    )


def _people_findings(
    session: Session, scheme: Scheme, change_set: models.ChangeSet
) -> Iterator[Finding]:
    def when(instant: datetime | None) -> str:
        return instant.astimezone(scheme.zone).isoformat(timespec="minutes") if instant else "…"

    def what(row: Row[Any]) -> str:
        special = f" for category {row.category}" if row.category else ""
        rank = " (assistant)" if row.rank == 2 else ""  # noqa: PLR2004 -- rank of an assistant
        return f"{row.duty}{rank}{special} of {row.layer} {row.area_code}"

    def words(kind: FindingKind, row: Row[Any]) -> tuple[str, str | None]:
        if kind is FindingKind.ALREADY_HELD:
            held = f"{when(row.held_from)} to {when(row.held_to)}"
            return (
                f"{row.party_code} cannot hold {what(row)}: already held by {row.other} from {held}"
            ), row.other
        if kind is FindingKind.VACANCY:
            return (
                f"{row.party_code} leaves {what(row)} at {when(row.left_at)} without a successor"
            ), None
        return (
            f"{row.party_code} cannot hold {what(row)}: no such area at {when(row.valid_from)}"
        ), None

    session.execute(text("DROP TABLE IF EXISTS pg_temp.drafted_assignment"))
    run_sql(session, PACKAGE, "draft_people_table", change_set=change_set.id)
    for kind in (FindingKind.ALREADY_HELD, FindingKind.UNKNOWN_AREA, FindingKind.VACANCY):
        query = sql(PACKAGE, f"check_{kind.value}")
        parameters = {"change_set": change_set.id} if "change_set" in query.compile().params else {}
        for row in session.execute(query, parameters):
            message, other = words(kind, row)
            # One holder at a time is the tables' own promise: whatever a scheme says, it stops.
            refused = kind is FindingKind.ALREADY_HELD
            yield Finding(
                kind=kind,
                severity=Severity.STOP if refused else scheme.people.severity(kind),
                layer=row.layer,
                code=row.area_code,
                other=other,
                message=message,
            )
