"""What would this change mean? The reports of the last days, asked again of a draft.

`gridsvc.preview_impact` asks and stores; here its result is read. QGIS calls the same function by
writing `preview` into `edit.change_set`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import RowMapping, text
from sqlalchemy.orm import Session

from gridsvc.db import sql
from gridsvc.grids.changesets import find_change_set
from gridsvc.grids.scheme_store import current_scheme

DAYS = 90
MAX_DAYS = 36_500


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyImpact:
    """How many reports a party would gain and lose.

    Attributes:
        duty: As an Answer names it: responsible, management, enforcement_lead,
            enforcement_assistant, supervisor.
        party: Party code; None where nobody holds the duty.
        name: Masked.
        gains: Reports that it would have and has not.
        losses: Reports that it has and would not have.
    """

    duty: str
    party: str | None
    name: str | None
    gains: int
    losses: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaImpact:
    """An area whose ground would change.

    Attributes:
        layer: Code of its layer.
        code: Its code.
        what: changed, new or ended.
        area_before_m2: None of a new one.
        area_after_m2: None of one that ends.
        length_before_m: Of its boundary, or of its centre line where it is drawn as one.
        length_after_m: The same.
        moved_edge_m: Length of the boundary after, along changed ground.
    """

    layer: str
    code: str
    what: str
    area_before_m2: float | None
    area_after_m2: float | None
    length_before_m: float | None
    length_after_m: float | None
    moved_edge_m: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Impact:
    """What a change set would mean.

    Attributes:
        change_set: Its name.
        change_set_id: Its number.
        base_revision: The revision that it was compared with: the one it rests on.
        judged_at: Instant of both questions.
        days: Back from now, whose reports were asked again.
        from_at: Reports received from then.
        to_at: And before then.
        reports: Received in these days, anywhere.
        compared: Of them, those on ground or about duties that it touches.
        moved: Of them, those for which somebody else would have a duty.
        stops: Findings that would stop a publish.
        conflicts: With what was published since its base.
        parties: By duty, those with the most reports first.
        areas: By layer and code.
    """

    change_set: str
    change_set_id: int
    base_revision: int
    judged_at: datetime
    days: int
    from_at: datetime
    to_at: datetime
    reports: int
    compared: int
    moved: int
    stops: int
    conflicts: int
    parties: tuple[PartyImpact, ...]
    areas: tuple[AreaImpact, ...]


def preview(session: Session, name: str, *, days: int = DAYS) -> Impact:
    """Ask the reports of the last days again, as an open change set would answer them.

    The result takes the place of the change set's last preview, also in QGIS; names are masked.

    Args:
        session: The caller's transaction; the caller commits.
        name: Of an open change set.
        days: From 1 to `MAX_DAYS`.

    Raises:
        UnknownChangeSet: none is open by that name.
        NothingLoaded: no scheme was ever loaded.
    """
    zone = current_scheme(session).zone
    change_set = find_change_set(session, name)
    totals = (
        session.execute(
            text("SELECT * FROM gridsvc.preview_impact(:id, :days)"),
            {"id": change_set.id, "days": days},
        )
        .mappings()
        .one()
    )
    asked = {"change_set": change_set.id}
    instants = ("judged_at", "from_at", "to_at")
    counts = ("base_revision", "days", "reports", "compared", "moved", "stops", "conflicts")
    return Impact(
        change_set=change_set.name,
        change_set_id=change_set.id,
        **{key: totals[key].astimezone(zone) for key in instants},
        **{key: totals[key] for key in counts},
        parties=tuple(
            PartyImpact(**row)
            for row in session.execute(sql("gridsvc.reports", "impact_parties"), asked).mappings()
        ),
        areas=tuple(
            AreaImpact(**row)
            for row in session.execute(sql("gridsvc.reports", "impact_areas"), asked).mappings()
        ),
    )


def features(session: Session, impact: Impact) -> Iterator[dict[str, Any]]:
    """Give the changed ground, then the reports that move, as GeoJSON features in EPSG:4326."""
    asked = {"change_set": impact.change_set_id}
    grounds = session.execute(sql("gridsvc.reports", "impact_grounds"), asked)
    for row in grounds.mappings():
        yield _feature(row, kind="area")
    reports = session.execute(sql("gridsvc.reports", "impact_reports"), asked)
    for row in reports.mappings():
        told = dict(row)
        moved = zip(
            told.pop("duties"), told.pop("parties_from"), told.pop("parties_to"), strict=True
        )
        told["moves"] = {duty: {"from": old, "to": new} for duty, old, new in moved}
        yield _feature(told, kind="report")


def _feature(row: RowMapping | dict[str, Any], *, kind: str) -> dict[str, Any]:
    told = dict(row)
    geometry = orjson.loads(told.pop("geometry"))
    return {"type": "Feature", "geometry": geometry, "properties": {"kind": kind} | told}
