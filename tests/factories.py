"""Makes the records that tests of the database are about, each in a line."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import shapely
from geoalchemy2.shape import from_shape
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry
from sqlalchemy import text
from sqlalchemy.orm import Session

from gridsvc.grids.changesets import open_change_set, publish
from gridsvc.grids.models import AbsenceEdit, AreaEdit, AssignmentEdit, ChangeSet, PartyEdit
from gridsvc.grids.scheme_store import load_scheme
from gridsvc.grids.schemes import Scheme, parse_scheme
from gridsvc.grids.weekhours import parse_week_hours, week_hours_to_range
from gridsvc.routing.router import Question, answer
from tests import small_city

EAST_M, NORTH_M = small_city._ORIGIN
STORAGE = f"EPSG:{small_city.SRID}"
FOUNDED_AT = small_city.FOUNDED_AT

Areas = dict[tuple[str, str], BaseGeometry]


def make_scheme(*replaced: tuple[str, str], extra: str = "") -> Scheme:
    """Read the small city's scheme with pieces of its text replaced and tables added."""
    document = small_city.SCHEME
    for old, new in replaced:
        assert old in document
        document = document.replace(old, new)
    return parse_scheme(document + extra, source="test", base=small_city.SCHEMES)


def plan(shape: BaseGeometry) -> BaseGeometry:
    """Move a shape drawn in metres on the small city's plan to its place in the storage CRS."""
    moved: BaseGeometry = shapely.transform(shape, lambda xy: xy + np.array([EAST_M, NORTH_M]))
    return moved


def box(west_m: float, south_m: float, east_m: float, north_m: float) -> BaseGeometry:
    """Draw a rectangle on the plan, in the storage CRS."""
    return plan(shapely.box(west_m, south_m, east_m, north_m))


def new_change_set(session: Session, name: str = "change") -> ChangeSet:
    """Open a change set."""
    return open_change_set(session, name=name)


def propose_area(
    session: Session,
    change_set: ChangeSet,
    layer: str,
    code: str,
    shape: BaseGeometry | None,
    *,
    name: str | None = None,
    valid_from: datetime = FOUNDED_AT,
    valid_to: datetime | None = None,
    replaces: int | None = None,
) -> None:
    """Propose one version of an area, or with a shape of None its end."""
    boundary = None
    if shape is not None:
        parts = shape.geoms if shape.geom_type == "MultiPolygon" else [shape]
        boundary = from_shape(shapely.MultiPolygon(list(parts)), srid=small_city.SRID)
    session.add(
        AreaEdit(
            change_set_id=change_set.id,
            layer=layer,
            code=code,
            name=name,
            boundary=boundary,
            valid_from=valid_from if shape is not None else None,
            valid_to=valid_to,
            replaces=replaces,
        )
    )
    session.flush()


def propose_party(
    session: Session,
    change_set: ChangeSet,
    code: str,
    *,
    name: str = "张三",
    kind: str = "person",
    phone: str | None = None,
) -> None:
    """Propose a party."""
    session.merge(
        PartyEdit(change_set_id=change_set.id, code=code, name=name, kind=kind, phone=phone)
    )
    session.flush()


def propose_holder(
    session: Session,
    change_set: ChangeSet,
    party: str,
    layer: str,
    area: str,
    *,
    duty: str = "responsibility",
    role: str = "chief",
    rank: int = 1,
    category: str | None = None,
    hours: str = "",
    valid_from: datetime = FOUNDED_AT,
    valid_to: datetime | None = None,
    replaces: int | None = None,
) -> None:
    """Propose that a party holds a duty on an area."""
    session.add(
        AssignmentEdit(
            change_set_id=change_set.id,
            party_code=party,
            layer=layer,
            area_code=area,
            duty=duty,
            role=role,
            rank=rank,
            category=category,
            hours=week_hours_to_range(parse_week_hours(hours)),
            valid_from=valid_from,
            valid_to=valid_to,
            replaces=replaces,
        )
    )
    session.flush()


def found(
    session: Session,
    areas: Areas,
    *,
    scheme: Scheme | None = None,
    valid_from: datetime = FOUNDED_AT,
) -> int:
    """Load a scheme and publish areas under it; gives the revision."""
    load_scheme(session, scheme or make_scheme())
    change_set = new_change_set(session, "founding")
    for (layer, code), shape in areas.items():
        propose_area(session, change_set, layer, code, shape, valid_from=valid_from)
    return publish(session, change_set).revision


def appoint(session: Session, *holders: dict[str, Any], name: str = "people") -> int:
    """Publish assignments and their parties; gives the revision."""
    change_set = new_change_set(session, name)
    for holder in holders:
        propose_party(session, change_set, holder["party"])
        propose_holder(session, change_set, **holder)
    return publish(session, change_set).revision


def propose_absence(
    session: Session,
    change_set: ChangeSet,
    party: str | None,
    since: datetime | None,
    until: datetime | None = None,
    *,
    reason: str | None = None,
    replaces: int | None = None,
) -> None:
    """Propose that a party is away, or with a party of None the end of what it replaces."""
    session.add(
        AbsenceEdit(
            change_set_id=change_set.id,
            party_code=party,
            valid_from=since,
            valid_to=until,
            reason=reason,
            replaces=replaces,
        )
    )
    session.flush()


def send_away(
    session: Session, party: str, since: datetime = FOUNDED_AT, until: datetime | None = None
) -> int:
    """Publish that a party is away; gives the revision."""
    change_set = new_change_set(session, f"{party} away")
    propose_absence(session, change_set, party, since, until)
    return publish(session, change_set).revision


def live_area(session: Session, code: str) -> int:
    """Give the id of an area's live version."""
    found_id: int = session.execute(
        text("SELECT id FROM gridsvc.area WHERE code = :code AND rev_to IS NULL"), {"code": code}
    ).scalar_one()
    return found_id


def ask(
    session: Session, *, east_m: float, north_m: float, reveal: bool = False, **asked: object
) -> dict[str, Any]:
    """Ask who answers at a point of the plan."""
    question = Question(x=EAST_M + east_m, y=NORTH_M + north_m, crs=STORAGE)
    return answer(session, replace(question, **asked), reveal=reveal)


def covering_codes(session: Session, points: NDArray[np.float64], *, layer: str) -> list[list[str]]:
    """Give the codes that SQL finds to cover each point of the storage CRS, the owner first."""
    rows = session.execute(
        text("""
            SELECT ARRAY(
                SELECT c.code FROM gridsvc.covering(
                    ST_SetSRID(ST_MakePoint(p.x, p.y), CAST(:srid AS integer)),
                    (SELECT max(number) FROM gridsvc.revision), now()) AS c
                WHERE c.layer = :layer)
            FROM unnest(CAST(:x AS float8[]), CAST(:y AS float8[])) WITH ORDINALITY AS p (x, y, n)
            ORDER BY p.n
        """),
        {
            "x": points[:, 0].tolist(),
            "y": points[:, 1].tolist(),
            "srid": small_city.SRID,
            "layer": layer,
        },
    )
    return list(rows.scalars())
