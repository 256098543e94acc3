"""A case is opened for a report, acted on by one caller at a time, and climbs if nothing helps.

Each change locks the case's row, judges it, adds an event and writes where it leads
(`gridsvc.reports.case_log`), all in the caller's transaction.
"""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from geoalchemy2.shape import from_shape, to_shape
from shapely import Point
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from gridsvc.crs import parse_crs
from gridsvc.errors import (
    ActRefused,
    CaseMovedOn,
    UnknownCase,
)
from gridsvc.grids.component_rules import TierCode
from gridsvc.grids.scheme_store import current_scheme
from gridsvc.grids.schemes import Scheme
from gridsvc.grids.worktime import WorkTime
from gridsvc.reports.answers import last_answers
from gridsvc.reports.case_log import (
    OPEN,
    TRANSITIONS,
    Event,
    Standing,
    after,
    pauses,
)
from gridsvc.reports.case_opening import Routed, closing, filing
from gridsvc.reports.case_records import (
    PLAIN_COLUMNS,
    CaseSummary,
    case_of,
    now_of,
    read_log,
    reports_of,
    standing_of,
    summary,
)
from gridsvc.reports.escalation import Reason, hard_tier, next_step, on_step
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


# Opening.


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
    event = filing(scheme, WorkTime(scheme), _routed(session, report), actor=actor, at=at)
    event = replace(event, details={**event.details, **(details or {})})
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
    return summary(row)


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
        to_party = to_party or _answers_for(session, row, scheme, at)
        details |= on_step(scheme, row.category, 1, since=at)
    elif wanted.kind is EventKind.FAILED_VERIFICATION:
        details |= on_step(scheme, row.category, row.step, since=at)
    elif wanted.kind is EventKind.DECLARED_HARD and row.state == CaseState.DISPATCHED:
        first = reports_of(session, row.id)[0][1]
        to_party = to_party or hard_tier(session, scheme, first, now=at)
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
    return summary(row)


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
    moved = reports_of(session, emptied.id)
    stays = reports_of(session, target.id)
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
    return summary(target)


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
    reports = reports_of(session, row.id)
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
    first = reports_of(session, row.id)[0][1]
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


def _write(row: Case, before: Standing | None, standing: Standing, scheme: Scheme) -> None:
    for name in PLAIN_COLUMNS:
        setattr(row, name, getattr(standing, name))
    row.state = standing.state.value
    row.areas = dict(standing.areas)
    # The same point written again would cost an entry of its index with every event.
    if before is None or before.point != standing.point:
        srid = parse_crs(scheme.storage_crs).epsg or 0
        row.point = from_shape(Point(standing.point), srid=srid) if standing.point else None


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


def _answers_for(session: Session, row: Case, scheme: Scheme, at: datetime) -> str:
    """Find who takes a case: of a hard one its tier, else who is responsible by the last answer."""
    first = reports_of(session, row.id)[0][1]
    by_tier = hard_tier(session, scheme, first, now=at) if row.tier == TierCode.HARD else None
    party = by_tier or _routed(session, first).first()["responsible"]
    if party is None:
        raise ActRefused(
            "to_party",
            f"Nobody is responsible for case {row.id} by its last answer",
            remedy="Name to_party",
        )
    return str(party)


def _routed(session: Session, report: Report) -> Routed:
    """Take a report with the answer that holds now."""
    shape = None if report.point is None else to_shape(report.point)
    return Routed(
        report_id=report.id,
        category=report.category,
        point=None if shape is None else (shape.x, shape.y),  # type: ignore[attr-defined]
        received_at=report.received_at,
        answer=last_answers(session, [report.id])[report.id].answer,
    )


def _new_first(session: Session, scheme: Scheme, case_id: int, first: Report) -> dict[str, Any]:
    """Say, as an event's details, that a case has another first report, and so another time."""
    routed = _routed(session, first)
    told: dict[str, Any] = {"first": routed.first()}
    if _locked(session, case_id).tier != TierCode.HARD:
        told["tier"] = routed.tier().get("tier")
    if first.received_at is None:
        return told
    rests = pauses(read_log(session, case_id))
    return told | closing(scheme, WorkTime(scheme), first.category, first.received_at, rests)


def _resumed(
    session: Session, row: Case, scheme: Scheme, at: datetime
) -> tuple[CaseState, dict[str, Any]]:
    """Find the state before the suspension, and the times put off by it."""
    log = read_log(session, row.id)
    last = max(place for place, one in enumerate(log) if one.kind is EventKind.SUSPENDED)
    before, suspended = log[last - 1], log[last]
    rests = [*pauses(log), (suspended.at, at)]
    told = closing(scheme, WorkTime(scheme), row.category, row.opened_at, rests)
    if before.state is CaseState.DISPATCHED:
        since = next(
            one
            for one in reversed(log)
            if one.kind is not EventKind.RESUMED and "step" in one.details
        )
        # Where nobody further holds a step, the case is not asked again.
        if not since.details.get("exhausted"):
            told |= on_step(scheme, row.category, row.step, since=since.at, pauses=rests)
    return before.state, told


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
