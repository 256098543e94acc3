"""Makes the records that tests of the database are about, each in a line."""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import shapely
from geoalchemy2.shape import from_shape
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from gridsvc.grids.changesets import open_change_set, publish
from gridsvc.grids.models import (
    AbsenceEdit,
    AreaEdit,
    AssignmentEdit,
    ChangeSet,
    ComponentEdit,
    PartyEdit,
)
from gridsvc.grids.scheme_store import load_scheme
from gridsvc.grids.schemes import Scheme, parse_scheme
from gridsvc.grids.weekhours import parse_week_hours, week_hours_to_range
from gridsvc.reports.models import Report, ReportAnswer
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
        PartyEdit(
            change_set_id=change_set.id,
            code=code,
            name=name,
            kind=kind,
            phone=phone,
            was=session.scalar(select(func.gridsvc.party_digest(code))),
        )
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


def propose_component(
    session: Session,
    change_set: ChangeSet,
    code: str,
    owner: str | None,
    *,
    east_m: float = 0.0,
    north_m: float = 0.0,
    category: str = "C0101",
    valid_from: datetime = FOUNDED_AT,
    valid_to: datetime | None = None,
    replaces: int | None = None,
) -> None:
    """Propose a component on the plan, or with an owner of None the end of what it replaces."""
    point = from_shape(shapely.Point(EAST_M + east_m, NORTH_M + north_m), srid=small_city.SRID)
    described = {"category": category, "owner": owner, "point": point, "valid_from": valid_from}
    session.add(
        ComponentEdit(
            change_set_id=change_set.id,
            code=code,
            valid_to=valid_to,
            replaces=replaces,
            **(described if owner else {}),
        )
    )
    session.flush()


def register(session: Session, *components: dict[str, Any], name: str = "components") -> int:
    """Publish components; gives the revision."""
    change_set = new_change_set(session, name)
    for component in components:
        propose_component(session, change_set, **component)
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


def lead_case(
    session: Session,
    report_ids: Sequence[object],
    *kinds: str,
    state: str,
    at: datetime | None = None,
    reason: str | None = None,
    due_at: datetime | None = None,
) -> int:
    """Put reports in one case, the first of them the credited one, and give it a state.

    The first report's own case is taken, where filing it opened one.

    Args:
        session: At any.
        report_ids: In the order in which they came.
        kinds: Of events to add to the case's log.
        state: Where the log has led.
        at: Of the events, and since when the state holds; now where left out.
        reason: Of the last event.
        due_at: By when the case should be closed.

    Returns:
        The case's id.
    """
    first, *others = report_ids
    case_id: int = session.execute(
        text("""
            WITH told AS (
                SELECT r.*, a.answer FROM gridsvc.report AS r
                JOIN gridsvc.report_answer AS a ON a.report_id = r.id AND a.number = 1
                WHERE r.id = :first
            ), had AS (
                SELECT case_id AS id FROM gridsvc.case_report WHERE report_id = :first
            ), made AS (
                INSERT INTO gridsvc.case
                    (category, point, areas, responsible, opened_at, state, state_since, last_event)
                SELECT category, point,
                       (SELECT coalesce(jsonb_object_agg(key, value -> 'code'), '{}')
                        FROM jsonb_each(answer -> 'areas')),
                       answer -> 'responsible' -> 'party' ->> 'code', received_at,
                       'filed', received_at, 0
                FROM told WHERE NOT EXISTS (SELECT FROM had)
                RETURNING id
            )
            SELECT id FROM had UNION ALL SELECT id FROM made
        """),
        {"first": first},
    ).scalar_one()
    for report_id in (first, *others):
        session.execute(
            text("""
                INSERT INTO gridsvc.case_report (report_id, case_id, is_first, joined_at)
                VALUES (:report, :case, :is_first, now())
                ON CONFLICT (report_id) DO UPDATE
                SET case_id = excluded.case_id, is_first = excluded.is_first
            """),
            {"report": report_id, "case": case_id, "is_first": report_id == first},
        )
    for kind in kinds:
        session.execute(
            text("""
                WITH next AS (
                    UPDATE gridsvc.case SET last_event = last_event + 1 WHERE id = :case
                    RETURNING last_event
                )
                INSERT INTO gridsvc.case_event (case_id, number, kind, at, actor, reason, state)
                SELECT :case, last_event, :kind, coalesce(:at, now()), 'test', :reason, :state
                FROM next
            """),
            {
                "case": case_id,
                "kind": kind,
                "at": at,
                "reason": reason if kind == kinds[-1] else None,
                "state": state,
            },
        )
    session.execute(
        text("""
            UPDATE gridsvc.case
            SET state = :state, state_since = coalesce(:at, now()), due_at = :due_at,
                closed_at = CASE WHEN :state = 'closed' THEN coalesce(:at, now()) END,
                report_count = :reports
            WHERE id = :case
        """),
        {
            "case": case_id,
            "state": state,
            "at": at,
            "due_at": due_at,
            "reports": len(report_ids),
        },
    )
    return case_id


def add_cases(  # what counting reads of a case, many at once
    session: Session,
    points: NDArray[np.float64],
    opened_at: Sequence[datetime],
    *,
    closed_at: datetime | None = None,
    category: str = "0102",
    responsible: str | None = None,
    srid: int = small_city.SRID,
) -> None:
    """Put cases at places in the storage CRS, without their reports and logs."""
    session.execute(
        text("""
            INSERT INTO gridsvc.case
                (category, point, responsible, opened_at, state, state_since, closed_at, last_event)
            SELECT :category, ST_SetSRID(ST_MakePoint(x, y), :srid), :responsible, at,
                   CASE WHEN CAST(:closed_at AS timestamptz) IS NULL THEN 'filed'
                        ELSE 'closed' END,
                   at, :closed_at, 1
            FROM unnest(CAST(:x AS float8[]), CAST(:y AS float8[]),
                        CAST(:opened_at AS timestamptz[])) AS given (x, y, at)
        """),
        {
            "category": category,
            "responsible": responsible,
            "srid": srid,
            "closed_at": closed_at,
            "x": points[:, 0].tolist(),
            "y": points[:, 1].tolist(),
            "opened_at": list(opened_at),
        },
    )


def file_as_of(
    session: Session,
    at: datetime,
    *,
    east_m: float = 200,
    north_m: float = 200,
    category: str | None = "0102",
) -> Report:
    """Store a routed report as if it had come in at an instant; it has no case yet."""
    x, y = EAST_M + east_m, NORTH_M + north_m
    given = answer(session, Question(x=x, y=y, crs=STORAGE, at=at, category=category))
    report = Report(
        id=uuid.uuid4(),
        source="test",
        source_id=str(uuid.uuid4()),
        x=x,
        y=y,
        crs=STORAGE,
        **given["point"],
        point=from_shape(shapely.Point(x, y), srid=small_city.SRID),
        category=category,
        received_at=at,
    )
    session.add(report)
    session.flush()
    session.add(
        ReportAnswer(
            report_id=report.id,
            number=1,
            cause="intake",
            answered_at=at,
            mark="routed",
            revision=given["revision"],
            answer=given,
        )
    )
    session.flush()
    return report
