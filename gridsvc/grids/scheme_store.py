"""The scheme in force: stored as versions, so that old answers keep the ladders of their time."""

import json
from datetime import UTC, date, datetime, time
from functools import lru_cache
from zoneinfo import ZoneInfo

from sqlalchemy import Text, cast, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from gridsvc.crs import parse_crs
from gridsvc.db import sql
from gridsvc.errors import NothingLoaded, SchemeChangeRefused
from gridsvc.grids import models
from gridsvc.grids.publishing_lock import lock_publishing
from gridsvc.grids.schemes import Scheme

GEOMETRY_COLUMNS = (
    ("area", "boundary", "MultiPolygon"),
    ("area", "centre_line", "MultiLineString"),
    ("area_edit", "boundary", "MultiPolygon"),
    ("area_edit", "centre_line", "MultiLineString"),
    ("area_piece", "piece", "Polygon"),
    ("problem", "part", "Geometry"),
    ("component", "point", "Point"),
    ("component_edit", "point", "Point"),
    ("report", "point", "Point"),
    ("case", "point", "Point"),
    ("impact_area", "part", "MultiPolygon"),
    ("impact_report", "point", "Point"),
)


def load_scheme(session: Session, scheme: Scheme) -> int | None:
    """Put a scheme in force.

    Before anything is published it simply rules from the first revision on; afterwards it makes
    a revision of its own, from which its ladders hold.

    Returns:
        The number of the revision it made; None where it made none, because nothing is
        published yet or the same scheme is in force.

    Raises:
        SchemeChangeRefused: areas rest on the storage CRS or on a layer that it drops.
    """
    lock_publishing(session)
    current = session.scalars(
        select(models.SchemeVersion).order_by(models.SchemeVersion.id.desc()).limit(1)
    ).first()
    document = scheme.document()
    if current and current.document == document:
        return None
    srid = parse_crs(scheme.storage_crs).epsg
    if srid is None:  # pragma: no cover -- the scheme's own check admits projected EPSG codes only
        raise SchemeChangeRefused("The storage CRS has no EPSG code", remedy="Name one")
    session.execute(select(func.gridsvc.drop_edit_views()))
    if current is None or current.srid != srid:
        _set_storage_crs(session, srid)
    _store_layers(session, scheme)
    version = models.SchemeVersion(
        code=scheme.code, document=document, srid=srid, time_zone=scheme.time_zone
    )
    session.add(version)
    session.flush()
    _store_parts(session, scheme, version.id)
    revised: int | None = session.scalar(
        sql("gridsvc.grids", "revise_scheme"), {"scheme_id": version.id}
    )
    if revised:
        session.execute(select(func.pg_notify("gridsvc_revision", str(revised))))
    session.execute(select(func.gridsvc.lay_edit_views()))
    return revised


def current_scheme(session: Session) -> Scheme:
    """Read the scheme in force.

    Raises:
        NothingLoaded: no scheme was ever loaded.
    """
    return scheme_and_time(session)[0]


def scheme_and_time(session: Session) -> tuple[Scheme, datetime]:
    """Read the scheme in force, and what time it is by the clock that dates revisions.

    Raises:
        NothingLoaded: no scheme was ever loaded.
    """
    version = session.execute(_NEWEST).one_or_none()
    if version is None:
        raise NothingLoaded
    key = (version.id, version.loaded_at)
    if key not in _SCHEMES:
        document = session.scalars(
            select(cast(models.SchemeVersion.document, Text)).where(
                models.SchemeVersion.id == version.id
            )
        ).one()
        if len(_SCHEMES) == _KEPT:
            _SCHEMES.clear()
        _SCHEMES[key] = _scheme(document)
    return _SCHEMES[key], version.now


_NEWEST = text(
    "SELECT id, loaded_at, clock_timestamp() AS now FROM gridsvc.scheme ORDER BY id DESC LIMIT 1"
)
_KEPT = 64
_SCHEMES: dict[tuple[int, datetime], Scheme] = {}
"""By number and when it was loaded. Each question needs the scheme; reading its document takes the
database half a millisecond."""


@lru_cache(maxsize=8)
def _scheme(document: str) -> Scheme:
    # Building it takes milliseconds.
    return Scheme.from_document(json.loads(document))


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    # The first day of the calendar has no earlier instant, so it stands for "always" in UTC.
    return datetime.combine(day, time(), UTC if day == date.min else zone)


def _set_storage_crs(session: Session, srid: int) -> None:
    drafted = models.ChangeSet.state.in_(("open", "checked"))
    if session.scalar(select(models.Area.id).limit(1)) or session.scalar(
        select(models.AreaEdit.id).join(models.ChangeSet).where(drafted).limit(1)
    ):
        raise SchemeChangeRefused(
            f"Areas are stored or drafted already, so the storage CRS cannot become EPSG:{srid}",
            remedy="Keep the storage CRS, or load the city into a new database",
        )
    if session.scalar(select(models.Component.id).limit(1)) or session.scalar(
        select(models.ComponentEdit.id).join(models.ChangeSet).where(drafted).limit(1)
    ):
        raise SchemeChangeRefused(
            f"Components are stored or drafted already, so the storage CRS cannot become "
            f"EPSG:{srid}",
            remedy="Keep the storage CRS, or load the city into a new database",
        )
    if session.scalar(text("SELECT EXISTS (SELECT FROM gridsvc.report WHERE point IS NOT NULL)")):
        raise SchemeChangeRefused(
            f"Reports are stored already, so the storage CRS cannot become EPSG:{srid}",
            remedy="Keep the storage CRS, or load the city into a new database",
        )
    for table, column, kind in GEOMETRY_COLUMNS:
        session.execute(
            text(
                f"ALTER TABLE gridsvc.{table} ALTER COLUMN {column} "
                f"TYPE geometry({kind}, {srid}) USING ST_SetSRID({column}, {srid})"
            )
        )


def _store_layers(session: Session, scheme: Scheme) -> None:
    kept = {layer.code for layer in scheme.layers}
    used = set(
        session.scalars(
            select(models.Area.layer)
            .where(models.Area.rev_to.is_(None))
            .where(models.Area.valid_to.is_(None) | (models.Area.valid_to > func.now()))
            .distinct()
        )
    )
    if dropped := sorted(used - kept):
        raise SchemeChangeRefused(
            f"The scheme drops {', '.join(dropped)}, which still has areas",
            remedy="Keep the layer, or close its areas first",
        )
    for position, layer in enumerate(scheme.layers):
        row = {
            "code": layer.code,
            "kind": layer.kind.value,
            "drawn_as": layer.drawn_as.value,
            "parent": layer.parent,
            "position": position,
            "title_zh": layer.title.get("zh", layer.code),
            "title_en": layer.title.get("en", layer.code),
        }
        session.execute(
            insert(models.Layer)
            .values(row)
            .on_conflict_do_update(index_elements=["code"], set_=row)
        )


def _store_parts(session: Session, scheme: Scheme, scheme_id: int) -> None:
    session.add_all(
        models.Category(
            scheme_id=scheme_id,
            code=category.code,
            kind=category.kind.value,
            name_zh=category.name_zh or category.name_en,
            name_en=category.name_en or category.name_zh,
            valid_from=_midnight(category.valid_from or date.min, scheme.zone),
            valid_to=category.valid_to and _midnight(category.valid_to, scheme.zone),
        )
        for category in scheme.categories
    )
    session.add_all(
        models.Rung(
            scheme_id=scheme_id,
            duty=ladder.duty.value,
            category=ladder.category or "",
            position=position,
            layer=layer,
            is_locality=position == len(ladder.layers),
        )
        for ladder in scheme.ladders
        for position, layer in enumerate(ladder.layers, start=1)
    )
    document = scheme.document()
    session.add_all(
        models.EscalationStep(
            scheme_id=scheme_id,
            step=number,
            duty=step.duty.value,
            layer=step.layer,
            within=stored["within"],
        )
        for number, (step, stored) in enumerate(
            zip(scheme.escalation, document.get("escalation", ()), strict=True), start=1
        )
    )
    session.add_all(
        models.StandInRule(
            scheme_id=scheme_id, duty=rule.duty.value, position=position, by=by.value
        )
        for rule in scheme.stand_ins
        for position, by in enumerate(rule.by, start=1)
    )
    session.add_all(
        models.ComponentRuleRow(
            scheme_id=scheme_id,
            category=rule.category or "",
            within_m=rule.within_m,
            apart_m=rule.apart_m,
        )
        for rule in scheme.components
    )
    session.add_all(
        models.TierRow(
            scheme_id=scheme_id, code=tier.code.value, duty=tier.duty.value, layer=tier.layer
        )
        for tier in scheme.tiers
    )
    session.flush()
