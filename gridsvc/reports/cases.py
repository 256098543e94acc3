"""A case is opened for a report, acted on by one caller at a time, and climbs if nothing helps.

Each change locks the case's row, judges it, adds an event and writes where it leads
(`gridsvc.reports.case_log`), all in the caller's transaction.
"""

import math
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import product
from typing import Any

from geoalchemy2.shape import from_shape, to_shape
from shapely import Point
from sqlalchemy import ColumnElement, and_, func, or_, select, text
from sqlalchemy.orm import Session

from gridsvc.crs import parse_crs
from gridsvc.errors import (
    ActRefused,
    CaseMovedOn,
    CaseNow,
    ReportWithoutCase,
    UnknownCase,
    UnknownReport,
)
from gridsvc.grids.case_rules import Stage
from gridsvc.grids.scheme_store import current_scheme
from gridsvc.grids.schemes import Scheme
from gridsvc.grids.worktime import WorkTime
from gridsvc.reports.answers import codes, last_answers
from gridsvc.reports.case_log import (
    OPEN,
    TRANSITIONS,
    Event,
    Standing,
    after,
    pauses,
)
from gridsvc.reports.escalation import Reason, next_step, on_step
from gridsvc.reports.models import Case, CaseEvent, CaseReport, Report
from gridsvc.reports.terms import CaseState, EventKind

SERVICE = "gridsvc"
"""The actor of what the service does by itself."""

CLIMB_BATCH = 200
"""Cases that climb in one transaction: what it has locked, dispatchers wait for."""

TOLD_DETAILS = frozenset({"dispatch", "to", "note"})
"""What a caller may say beyond an act's own words; the rest of an event's details is ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What somebody does to a case.

    Attributes:
        kind: One of `TRANSITIONS`.
        actor: Who tells it.
        party: Code of the party that did it; left out, the one that has the case.
        to_party: Code of the party that gets it; of a dispatch left out, who is responsible by
            the last answer to its first report.
        reason: Why; some kinds need one.
        details: `dispatch` (internal or external), `to` (in words, to whom), `note`.
        seen: Number of the last event that the caller saw; None acts on whatever there is.
    """

    kind: EventKind
    actor: str
    party: str | None = None
    to_party: str | None = None
    reason: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)
    seen: int | None = None


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


@dataclass(frozen=True, slots=True)
class Climbed:
    """A case that climbed, or could not.

    Attributes:
        case_id: Of the case.
        from_party: Who had it.
        to_party: Who has it now; None where it stays, for no further step is held.
        step: It is on now.
    """

    case_id: int
    from_party: str | None
    to_party: str | None
    step: int


# Opening and joining.


def open_case(
    session: Session,
    report: Report,
    *,
    actor: str,
    at: datetime,
    details: Mapping[str, Any] | None = None,
) -> CaseSummary:
    """Open a case for a routed report.

    Args:
        session: Its caller commits.
        report: As stored, with its answer; it belongs to no case yet, or has just left one.
        actor: Who filed it.
        at: When the case was filed.
        details: More for the event.
    """
    scheme = current_scheme(session)
    event = Event(
        number=1,
        kind=EventKind.FILED,
        at=at,
        actor=actor,
        details={
            "report": str(report.id),
            "first": _first(session, report),
            **_closing(scheme, report.category, report.received_at or at),
            **(details or {}),
        },
        state=CaseState.FILED,
    )
    row = Case()
    _write(row, None, after(None, event), scheme)
    session.add(row)
    session.flush()
    session.add(_event_row(row.id, event))
    belongs = session.get(CaseReport, report.id)
    if belongs is None:
        belongs = CaseReport(report_id=report.id)
        session.add(belongs)
    belongs.case_id, belongs.is_first, belongs.joined_at = row.id, True, at
    belongs.distance_m = None if report.point is None else 0.0
    session.flush()
    return _summary(row)


def join_case(
    session: Session, case_id: int, report: Report, *, distance_m: float, actor: str
) -> CaseSummary | None:
    """Let a report, which has no case yet, join an open one; None where it is open no more."""
    attempt = session.begin_nested()
    row = _locked(session, case_id)
    if row.state not in OPEN:
        attempt.rollback()  # lets it go, for the next one to be asked
        return None
    attempt.commit()
    at = _clock(session)
    details = {"report": str(report.id), "distance_m": distance_m}
    _add(session, row, EventKind.JOINED, at=at, actor=actor, details=details)
    session.add(
        CaseReport(
            report_id=report.id,
            case_id=row.id,
            is_first=False,
            joined_at=at,
            distance_m=distance_m,
        )
    )
    session.flush()
    return _summary(row)


def lock_joining(session: Session, report: Report, *, within_m: float) -> None:
    """Let reports of a class near each other, that join by themselves, come one at a time.

    Two at once would see no case of each other, and open one each. What is locked till the commit
    are squares of the city, ten times the reach wide, that the reach of the report touches: of two
    reports within reach of each other both lock the square that one of them lies in.

    Args:
        session: READ COMMITTED, so that what is read next is what the one before has left.
        report: As stored.
        within_m: The reach.
    """
    if report.point is None:
        return
    shape = to_shape(report.point)
    west, south, east, north = (
        math.floor(edge / (10 * within_m)) for edge in shape.buffer(within_m).bounds
    )
    # In one order, so that no two wait for each other.
    for square in product(range(west, east + 1), range(south, north + 1)):
        session.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:square, 0))"),
            {"square": f"gridsvc join {report.category} {square}"},
        )


# Acting.


def act(session: Session, case_id: int, wanted: Act, now: datetime | None = None) -> CaseSummary:
    """Do something to a case, if where it stands allows it.

    Of two at once, one waits for the other's transaction and is then judged by what it left.

    Args:
        session: READ COMMITTED; its caller commits.
        case_id: Of the case.
        wanted: What to do.
        now: When, aware; left out, the time when its turn comes.

    Returns:
        Where it stands then.

    Raises:
        UnknownCase: there is none of this number.
        CaseMovedOn: its state does not allow it, or it is not as the caller saw it.
        ActRefused: a reason or a party is missing, or a party is unknown.
    """
    _require_words(session, wanted)
    row = _locked(session, case_id)
    _require_seen(row, wanted.seen)
    transition = TRANSITIONS[wanted.kind]
    if row.state not in transition.sources:
        raise CaseMovedOn(
            now_of(row), detail=f"Case {row.id} is {row.state}; it cannot be {wanted.kind}"
        )
    at = now or _clock(session)
    scheme = current_scheme(session)
    to_party, state, details = wanted.to_party, transition.to, dict[str, Any](wanted.details)
    if wanted.kind is EventKind.DISPATCHED:
        to_party = to_party or _answers_for(session, row.id)
        details |= on_step(scheme, row.category, 1, since=at)
    elif wanted.kind is EventKind.FAILED_VERIFICATION:
        details |= on_step(scheme, row.category, row.step, since=at)
    elif wanted.kind is EventKind.RESUMED:
        state, resumed = _resumed(session, row, scheme, at)
        details |= resumed
    _add(
        session,
        row,
        wanted.kind,
        at=at,
        actor=wanted.actor,
        party=wanted.party or row.holder,
        to_party=to_party,
        reason=wanted.reason,
        details=details,
        state=state,
        scheme=scheme,
    )
    if wanted.kind is EventKind.NO_EFFECT:
        _escalate(session, row, scheme, at, "no_effect")
    session.flush()
    return _summary(row)


def merge(  # noqa: PLR0913 -- an event's parts
    session: Session,
    case_id: int,
    into: int,
    *,
    actor: str,
    seen: int | None = None,
    now: datetime | None = None,
) -> CaseSummary:
    """Give all reports of a case to another one; of both, the older keeps the first reporter.

    Args:
        session: READ COMMITTED; its caller commits.
        case_id: The case that is emptied.
        into: The case that goes on.
        actor: Who tells it.
        seen: Number of the last event of `case_id` that the caller saw.
        now: When, aware.

    Returns:
        The case that goes on.

    Raises:
        UnknownCase: there is none of one of these numbers.
        CaseMovedOn: one of them is open no more, or not as the caller saw it.
        ActRefused: both are the same.
    """
    if case_id == into:
        raise ActRefused("into", f"{into} is the case itself", remedy="Name another case")
    # In one order, so that two merges never wait for each other.
    rows = {one: _locked(session, one) for one in sorted((case_id, into))}
    emptied, target = rows[case_id], rows[into]
    _require_seen(emptied, seen)
    for row in (emptied, target):
        if row.state not in OPEN:
            raise CaseMovedOn(now_of(row), detail=f"Case {row.id} is {row.state}, not open")
    at = now or _clock(session)
    scheme = current_scheme(session)
    moved = _reports_of(session, emptied.id)
    stays = _reports_of(session, target.id)
    elder = emptied if (emptied.opened_at, emptied.id) < (target.opened_at, target.id) else target
    first = (moved if elder is emptied else stays)[0][1]
    numbers = [str(report.id) for _, report in moved]
    _add(
        session,
        emptied,
        EventKind.MERGED,
        at=at,
        actor=actor,
        details={"into": target.id, "reports": numbers},
        state=CaseState.MERGED,
        scheme=scheme,
    )
    details: dict[str, Any] = {"from": emptied.id, "reports": numbers}
    if elder is emptied:
        details |= _new_first(session, scheme, target.id, first)
    _add(session, target, EventKind.MERGED, at=at, actor=actor, details=details, scheme=scheme)
    for belongs, _ in moved:
        belongs.joined_at = at
    _gather(session, target.id, [*moved, *stays], first)
    return _summary(target)


def part(
    session: Session,
    report_id: uuid.UUID,
    *,
    actor: str,
    seen: int | None = None,
    now: datetime | None = None,
) -> CaseSummary:
    """Take a report out of its case, as another matter, and open one of its own for it.

    Where it was the first, the next oldest is the first then.

    Args:
        session: READ COMMITTED; its caller commits.
        report_id: Of the report.
        actor: Who tells it.
        seen: Number of the last event of its case that the caller saw.
        now: When, aware.

    Returns:
        Its own case.

    Raises:
        UnknownReport: there is none of this id.
        ReportWithoutCase: it has none.
        CaseMovedOn: its case is open no more, or not as the caller saw it.
        ActRefused: it is the only one of its case.
    """
    row = _locked_of(session, report_id)
    _require_seen(row, seen)
    if row.state not in OPEN:
        raise CaseMovedOn(now_of(row), detail=f"Case {row.id} is {row.state}, not open")
    reports = _reports_of(session, row.id)
    others = [pair for pair in reports if pair[1].id != report_id]
    if not others:
        raise ActRefused(
            "report_id",
            f"The report is the only one of case {row.id}",
            remedy="Close the case, or tell whom it goes to",
        )
    at = now or _clock(session)
    scheme = current_scheme(session)
    (leaving,) = (pair for pair in reports if pair[1].id == report_id)
    first = others[0][1]
    details: dict[str, Any] = {"report": str(report_id)}
    if leaving[0].is_first:
        details |= _new_first(session, scheme, row.id, first)
    _add(session, row, EventKind.PARTED, at=at, actor=actor, details=details, scheme=scheme)
    opened = open_case(session, leaving[1], actor=actor, at=at, details={"parted_from": row.id})
    _gather(session, row.id, others, first)
    return opened


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


def act_on_report(
    session: Session, report_id: uuid.UUID, wanted: Act, now: datetime | None = None
) -> CaseSummary:
    """Do something to the case of a report; see `act`.

    Raises:
        UnknownReport: there is none of this id.
        ReportWithoutCase: it has none.
        CaseMovedOn: as `act`.
        ActRefused: as `act`.
    """
    return act(session, _locked_of(session, report_id).id, wanted, now)


# Climbing.


def climb(
    session: Session, now: datetime | None = None, *, limit: int = CLIMB_BATCH
) -> tuple[Climbed, ...]:
    """Let dispatched cases climb whose step's time is up, those that wait longest first.

    Cases that somebody is acting on are passed over; the next pass finds them.

    Args:
        session: READ COMMITTED; its caller commits, and calls again until nothing is left.
        now: As of when, aware; a time that ends at this very instant is up.
        limit: The most cases of this batch.
    """
    at = now or _clock(session)
    rows = session.scalars(
        select(Case)
        .where(Case.state == CaseState.DISPATCHED.value, Case.step_due_at <= at)
        .order_by(Case.step_due_at, Case.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    ).all()
    if not rows:
        return ()
    scheme = current_scheme(session)
    climbed = tuple(_escalate(session, row, scheme, at, "timeout") for row in rows)
    session.flush()
    return climbed


def _escalate(session: Session, row: Case, scheme: Scheme, at: datetime, cause: Reason) -> Climbed:
    had = row.holder
    first = _reports_of(session, row.id)[0][1]
    going = next_step(session, scheme, first, step=row.step, now=at, cause=cause)
    _add(
        session,
        row,
        EventKind.ESCALATED,
        at=at,
        actor=SERVICE,
        party=had,
        to_party=going.to_party,
        details=going.details,
        scheme=scheme,
    )
    return Climbed(row.id, had, going.to_party, row.step)


# Reading.


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
        case=_summary(row),
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
            for belongs, report in _reports_of(session, case_id)
        ),
    )


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


def summary_of(session: Session, report_id: uuid.UUID) -> CaseSummary | None:
    """Give the case that a report belongs to now; None where it has none."""
    row = session.scalar(
        select(Case)
        .join(CaseReport, CaseReport.case_id == Case.id)
        .where(CaseReport.report_id == report_id)
    )
    return _summary(row) if row else None


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
    rows = tuple(map(_summary, session.scalars(question)))
    return CasePage(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)


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


def now_of(row: Case) -> CaseNow:
    """Say where a case stands, for an error."""
    return CaseNow(row.id, row.state, row.state_since, row.holder, row.step, row.last_event)


# The row and its log.


def _locked(session: Session, case_id: int) -> Case:
    row = session.get(Case, case_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise UnknownCase(case_id)
    return row


def _locked_of(session: Session, report_id: uuid.UUID) -> Case:
    while True:
        # A merge may move the report on while we wait for its case. The old case is let go then:
        # who holds one and waits for another may wait for ever.
        attempt = session.begin_nested()
        row = _locked(session, case_of(session, report_id))
        if case_of(session, report_id) == row.id:
            attempt.commit()
            return row
        attempt.rollback()


def _add(  # noqa: PLR0913 -- an event's parts
    session: Session,
    row: Case,
    kind: EventKind,
    *,
    at: datetime,
    actor: str,
    party: str | None = None,
    to_party: str | None = None,
    reason: str | None = None,
    details: Mapping[str, Any] | None = None,
    state: CaseState | None = None,
    scheme: Scheme | None = None,
) -> None:
    """Write an event to a locked case's log, and where it leads to its row."""
    event = Event(
        number=row.last_event + 1,
        kind=kind,
        at=at,
        actor=actor,
        party=party,
        to_party=to_party,
        reason=reason,
        details=details or {},
        state=state or CaseState(row.state),
    )
    session.add(_event_row(row.id, event))
    before = standing_of(row)
    _write(row, before, after(before, event), scheme or current_scheme(session))


def _event_row(case_id: int, event: Event) -> CaseEvent:
    return CaseEvent(
        case_id=case_id,
        number=event.number,
        kind=event.kind.value,
        at=event.at,
        actor=event.actor,
        party=event.party,
        to_party=event.to_party,
        reason=event.reason,
        details=dict(event.details),
        state=event.state.value,
    )


_PLAIN = tuple(name for name in Standing.__dataclass_fields__ if name not in {"point", "state"})


def standing_of(row: Case) -> Standing:
    """Read a case's row as the log's replay gives it."""
    point = None
    if row.point is not None:
        shape = to_shape(row.point)
        assert isinstance(shape, Point)  # noqa: S101  the column's type
        point = (shape.x, shape.y)
    plain = {name: getattr(row, name) for name in _PLAIN}
    return Standing(**plain, point=point, state=CaseState(row.state))


def _write(row: Case, before: Standing | None, standing: Standing, scheme: Scheme) -> None:
    for name in _PLAIN:
        setattr(row, name, getattr(standing, name))
    row.state = standing.state.value
    row.areas = dict(standing.areas)
    # The same point written again would cost an entry of its index with every event.
    if before is None or before.point != standing.point:
        srid = parse_crs(scheme.storage_crs).epsg or 0
        row.point = from_shape(Point(standing.point), srid=srid) if standing.point else None


def _summary(row: Case) -> CaseSummary:
    names = CaseSummary.__dataclass_fields__
    return CaseSummary(**{name: getattr(row, name) for name in names})


# What an act rests on.


def _require_words(session: Session, wanted: Act) -> None:
    if TRANSITIONS[wanted.kind].needs_reason and not (wanted.reason or "").strip():
        raise ActRefused("reason", f"{wanted.kind} needs a reason", remedy="Say why")
    if odd := sorted(wanted.details.keys() - TOLD_DETAILS):
        raise ActRefused(
            "details",
            f"{odd[0]!r} is no detail of an act",
            remedy=f"Use {', '.join(sorted(TOLD_DETAILS))}",
        )
    if wanted.kind is EventKind.NOT_OURS and not (wanted.to_party or wanted.details.get("to")):
        raise ActRefused(
            "to_party",
            "not_ours must say to whom it goes",
            remedy="Name to_party, or say it in words in details.to",
        )
    for name in ("party", "to_party"):
        code = getattr(wanted, name)
        if code is not None and not _is_party(session, code):
            raise ActRefused(
                name,
                f"There is no party {code!r}",
                remedy="Use a code of /v1/parties, or say it in words in details.to",
            )


def _is_party(session: Session, code: str) -> bool:
    found = session.scalar(
        text("SELECT EXISTS (SELECT FROM gridsvc.party WHERE code = :code)"), {"code": code}
    )
    return bool(found)


def _require_seen(row: Case, seen: int | None) -> None:
    if seen is not None and seen != row.last_event:
        raise CaseMovedOn(
            now_of(row),
            detail=f"Case {row.id} is at event {row.last_event}, not {seen} as it was seen",
        )


def _answers_for(session: Session, case_id: int) -> str:
    """Find who is responsible by the last answer to a case's first report."""
    first = _reports_of(session, case_id)[0][1]
    party = _told(session, first)["responsible"]
    if party is None:
        raise ActRefused(
            "to_party",
            f"Nobody is responsible for case {case_id} by its last answer",
            remedy="Name to_party",
        )
    return str(party)


def _told(session: Session, report: Report) -> dict[str, Any]:
    """Give the codes of the answer to a report that holds now; empty ones without an answer."""
    found = codes(last_answers(session, [report.id])[report.id].answer)
    return found or {"areas": {}, "responsible": None}


def _first(session: Session, report: Report) -> dict[str, Any]:
    """What a case takes over from its first report."""
    told = _told(session, report)
    shape = None if report.point is None else to_shape(report.point)
    return {
        "report": str(report.id),
        "category": report.category,
        "point": None if shape is None else [shape.x, shape.y],  # type: ignore[attr-defined]
        "areas": told["areas"],
        "responsible": told["responsible"],
        "opened_at": report.received_at and report.received_at.isoformat(),
    }


def _closing(
    scheme: Scheme,
    category: str | None,
    opened_at: datetime,
    rests: Sequence[tuple[datetime, datetime]] = (),
) -> dict[str, Any]:
    """Say, as an event's details, by when a case should be closed."""
    limit = scheme.limit(Stage.CLOSE, category)
    due_at = limit and WorkTime(scheme).add(opened_at, limit, rests)
    return {"case_due_at": due_at and due_at.isoformat()}


def _new_first(session: Session, scheme: Scheme, case_id: int, first: Report) -> dict[str, Any]:
    """Say, as an event's details, that a case has another first report, and so another time."""
    told = {"first": _first(session, first)}
    if first.received_at is None:
        return told
    rests = pauses(read_log(session, case_id))
    return told | _closing(scheme, first.category, first.received_at, rests)


def _resumed(
    session: Session, row: Case, scheme: Scheme, at: datetime
) -> tuple[CaseState, dict[str, Any]]:
    """Find the state before the suspension, and the times put off by it."""
    log = read_log(session, row.id)
    last = max(place for place, one in enumerate(log) if one.kind is EventKind.SUSPENDED)
    before, suspended = log[last - 1], log[last]
    rests = [*pauses(log), (suspended.at, at)]
    told = _closing(scheme, row.category, row.opened_at, rests)
    if before.state is CaseState.DISPATCHED:
        since = next(
            one.at
            for one in reversed(log)
            if one.kind is not EventKind.RESUMED and "step" in one.details
        )
        told |= on_step(scheme, row.category, row.step, since=since, pauses=rests)
    return before.state, told


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


def _reports_of(session: Session, case_id: int) -> list[tuple[CaseReport, Report]]:
    """Read a case's reports, the first one first, then by time."""
    rows = session.execute(
        select(CaseReport, Report)
        .join(Report, Report.id == CaseReport.report_id)
        .where(CaseReport.case_id == case_id)
        .order_by(CaseReport.is_first.desc(), Report.received_at, Report.id)
        .execution_options(populate_existing=True)
    )
    return [(belongs, report) for belongs, report in rows]


def _gather(
    session: Session,
    case_id: int,
    reports: Iterable[tuple[CaseReport, Report]],
    first: Report,
) -> None:
    """Let reports belong to a case; distances are from its first one."""
    reports = list(reports)
    origin = None if first.point is None else to_shape(first.point)
    # Only one may be the first at a time: the old one stands back before the new one steps up.
    for belongs, report in reports:
        belongs.case_id, belongs.is_first = case_id, False
        belongs.distance_m = (
            None
            if origin is None or report.point is None
            else origin.distance(to_shape(report.point))
        )
    session.flush()
    for belongs, report in reports:
        if report.id == first.id:
            belongs.is_first = True
    session.flush()


def _clock(session: Session) -> datetime:
    # By the clock that dates revisions.
    at: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    return at
