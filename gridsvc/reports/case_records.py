"""Cases as they are read: where each stands, its log and its reports, one or by page."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from geoalchemy2.shape import to_shape
from shapely import Point
from sqlalchemy import ColumnElement, and_, func, or_, select, text
from sqlalchemy.orm import Session

from gridsvc.errors import (
    CaseNow,
    ReportWithoutCase,
    UnknownCase,
    UnknownReport,
)
from gridsvc.grids.case_rules import Stage
from gridsvc.grids.scheme_store import current_scheme
from gridsvc.grids.schemes import Scheme
from gridsvc.grids.worktime import WorkTime
from gridsvc.reports.case_log import (
    OPEN,
    Event,
    Standing,
    pauses,
)
from gridsvc.reports.models import Case, CaseEvent, CaseReport, Report
from gridsvc.reports.terms import CaseState, EventKind

PLAIN_COLUMNS = tuple(
    name for name in Standing.__dataclass_fields__ if name not in {"point", "state"}
)


@dataclass(frozen=True, slots=True)
class CaseSummary:
    """A case as lists give it; the columns of its row, but for its point."""

    id: int
    category: str | None
    state: CaseState
    state_since: datetime
    opened_at: datetime
    holder: str | None
    responsible: str | None
    areas: dict[str, str]
    step: int
    step_due_at: datetime | None
    tier: str | None
    due_at: datetime | None
    closed_at: datetime | None
    report_count: int
    return_count: int
    failed_verification_count: int
    merged_into: int | None
    last_event: int


@dataclass(frozen=True, slots=True)
class ReportOfCase:
    """A report of a case.

    Attributes:
        id: Of the report.
        is_first: Whether its reporter is the one who is credited.
        received_at: When it came in.
        joined_at: Since when it is of this case.
        distance_m: From the first report.
    """

    id: uuid.UUID
    is_first: bool
    received_at: datetime | None
    joined_at: datetime
    distance_m: float | None


@dataclass(frozen=True, slots=True)
class CaseRecord:
    """A case with all that happened to it.

    Attributes:
        case: Where it stands.
        stage_due_at: By when its stage should be over, by the scheme in force: a dispatch, the
            handling, the verification. None without such a limit, and while suspended.
        events: In order.
        reports: The first one first, then by time.
    """

    case: CaseSummary
    stage_due_at: datetime | None
    events: tuple[Event, ...]
    reports: tuple[ReportOfCase, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFilter:
    """Which cases; what is None is not asked for.

    Attributes:
        state: In which they stand.
        category: Class code or its beginning.
        layer: Layer of `area`; alone, cases that any of its areas covers.
        area: Code of an area, of `layer` or of any.
        holder: Code of the party that has them.
        overdue: Whether, while open and not suspended, the time to close them is over.
    """

    state: CaseState | None = None
    category: str | None = None
    layer: str | None = None
    area: str | None = None
    holder: str | None = None
    overdue: bool | None = None


@dataclass(frozen=True, slots=True)
class CasePage:
    """A part of a list of cases.

    Attributes:
        rows: The cases.
        after: Where the next page begins; None on the last one.
    """

    rows: tuple[CaseSummary, ...]
    after: int | None


def read_case(session: Session, case_id: int) -> CaseRecord:
    """Read a case, its log and its reports.

    Raises:
        UnknownCase: there is none of this number.
    """
    row = session.get(Case, case_id)
    if row is None:
        raise UnknownCase(case_id)
    log = read_log(session, case_id)
    return CaseRecord(
        case=summary(row),
        stage_due_at=_stage_due_at(row, log, current_scheme(session)),
        events=log,
        reports=tuple(
            ReportOfCase(
                report.id,
                belongs.is_first,
                report.received_at,
                belongs.joined_at,
                belongs.distance_m,
            )
            for belongs, report in reports_of(session, case_id)
        ),
    )


def list_cases(
    session: Session, wanted: CaseFilter, *, limit: int, after: int | None = None
) -> CasePage:
    """Give a page of cases in the order in which they were opened here.

    Args:
        session: Any.
        wanted: Which cases.
        limit: The most rows of a page.
        after: `CasePage.after` of the page before.
    """
    question = select(Case).where(*_conditions(wanted)).order_by(Case.id).limit(limit + 1)
    if after is not None:
        question = question.where(Case.id > after)
    rows = tuple(map(summary, session.scalars(question)))
    return CasePage(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)


def summary_of(session: Session, report_id: uuid.UUID) -> CaseSummary | None:
    """Give the case that a report belongs to now; None where it has none."""
    row = session.scalar(
        select(Case)
        .join(CaseReport, CaseReport.case_id == Case.id)
        .where(CaseReport.report_id == report_id)
    )
    return summary(row) if row else None


def case_of(session: Session, report_id: uuid.UUID) -> int:
    """Find the case that a report belongs to now.

    Raises:
        UnknownReport: there is none of this id.
        ReportWithoutCase: it has none.
    """
    found = session.scalar(select(CaseReport.case_id).where(CaseReport.report_id == report_id))
    if found is None:
        if session.get(Report, report_id) is None:
            raise UnknownReport(str(report_id))
        raise ReportWithoutCase(str(report_id))
    return found


def read_log(session: Session, case_id: int) -> tuple[Event, ...]:
    """Read all that happened to a case, in order."""
    rows = session.scalars(
        select(CaseEvent).where(CaseEvent.case_id == case_id).order_by(CaseEvent.number)
    )
    return tuple(
        Event(
            number=row.number,
            kind=EventKind(row.kind),
            at=row.at,
            actor=row.actor,
            party=row.party,
            to_party=row.to_party,
            reason=row.reason,
            details=row.details,
            state=CaseState(row.state),
        )
        for row in rows
    )


def reports_of(session: Session, case_id: int) -> list[tuple[CaseReport, Report]]:
    """Read a case's reports, the first one first, then by time."""
    rows = session.execute(
        select(CaseReport, Report)
        .join(Report, Report.id == CaseReport.report_id)
        .where(CaseReport.case_id == case_id)
        .order_by(CaseReport.is_first.desc(), Report.received_at, Report.id)
        .execution_options(populate_existing=True)
    )
    return [(belongs, report) for belongs, report in rows]


def standing_of(row: Case) -> Standing:
    """Read a case's row as the log's replay gives it."""
    point = None
    if row.point is not None:
        shape = to_shape(row.point)
        assert isinstance(shape, Point)  # noqa: S101  the column's type
        point = (shape.x, shape.y)
    plain = {name: getattr(row, name) for name in PLAIN_COLUMNS}
    return Standing(**plain, point=point, state=CaseState(row.state))


def now_of(row: Case) -> CaseNow:
    """Say where a case stands, for an error."""
    return CaseNow(row.id, row.state, row.state_since, row.holder, row.step, row.last_event)


def summary(row: Case) -> CaseSummary:
    """Make of a row what lists give."""
    names = CaseSummary.__dataclass_fields__
    return CaseSummary(**{name: getattr(row, name) for name in names})


def _conditions(wanted: CaseFilter) -> Iterable[ColumnElement[bool]]:
    if wanted.state is not None:
        yield Case.state == wanted.state.value
    if wanted.category is not None:
        yield Case.category.startswith(wanted.category, autoescape=True)
    if wanted.layer is not None and wanted.area is not None:
        yield Case.areas[wanted.layer].as_string() == wanted.area
    elif wanted.layer is not None:
        yield Case.areas.has_key(wanted.layer)
    elif wanted.area is not None:
        yield func.jsonb_path_exists(
            Case.areas, text("'$.* ? (@ == $area)'"), func.jsonb_build_object("area", wanted.area)
        )
    if wanted.holder is not None:
        yield Case.holder == wanted.holder
    if wanted.overdue is not None:
        waits = Case.state.in_([state.value for state in OPEN - {CaseState.SUSPENDED}])
        late = and_(waits, Case.due_at < func.now())
        yield late if wanted.overdue else or_(~waits, Case.due_at.is_(None), ~late)


def _stage_due_at(row: Case, log: Sequence[Event], scheme: Scheme) -> datetime | None:
    if row.state == CaseState.DISPATCHED:
        stage = Stage.HANDLE
        if row.step_due_at is not None:
            return row.step_due_at
    elif row.state in {CaseState.FILED, CaseState.RETURNED}:
        stage = Stage.DISPATCH
    elif row.state == CaseState.HANDLED:
        stage = Stage.VERIFY
    else:
        return None
    limit = scheme.limit(stage, row.category)
    if limit is None:
        return None
    began_at, before = row.opened_at, None
    for event in log:
        # A suspension in between is within the stage; its time is not.
        entered = event.state is not before and event.state == row.state
        if entered and event.kind is not EventKind.RESUMED:
            began_at = event.at
        before = event.state
    return WorkTime(scheme).add(began_at, limit, pauses(log))
