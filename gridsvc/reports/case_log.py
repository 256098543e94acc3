"""A case is where its events have led: what may follow what, and what each event changes.

`TRANSITIONS` is the whole of the first and `after` the whole of the second. Whoever acts on a case
writes an event and then the row that `after` makes of it, so that the log alone gives the row
again (`replay`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Any

from gridsvc.grids.component_rules import TierCode
from gridsvc.reports.terms import CaseState, EventKind

_S = CaseState
_WAITING = frozenset({_S.FILED, _S.RETURNED})
_STARTED = _WAITING | {_S.DISPATCHED}

OPEN = frozenset(_S) - {_S.CLOSED, _S.NOT_OURS, _S.MERGED}
"""In these a case waits for somebody; reports may join it."""
IDLE = frozenset(_S) - {_S.DISPATCHED, _S.HANDLED, _S.VERIFIED, _S.SUSPENDED}
"""In these nobody has it to act on."""


@dataclass(frozen=True, slots=True)
class Transition:
    """What an act may do.

    Attributes:
        sources: The states in which it is allowed.
        to: The state that follows; None leaves it, or gives the one before a suspension.
        needs_reason: Whether the log must say why.
    """

    sources: frozenset[CaseState]
    to: CaseState | None
    needs_reason: bool = False


TRANSITIONS: Mapping[EventKind, Transition] = {
    EventKind.DISPATCHED: Transition(_WAITING, _S.DISPATCHED),
    EventKind.RETURNED: Transition(frozenset({_S.DISPATCHED}), _S.RETURNED, needs_reason=True),
    EventKind.HANDLED: Transition(frozenset({_S.DISPATCHED}), _S.HANDLED),
    EventKind.NO_EFFECT: Transition(frozenset({_S.DISPATCHED}), None, needs_reason=True),
    EventKind.VERIFIED: Transition(frozenset({_S.HANDLED}), _S.VERIFIED),
    EventKind.FAILED_VERIFICATION: Transition(
        frozenset({_S.HANDLED}), _S.DISPATCHED, needs_reason=True
    ),
    EventKind.CLOSED: Transition(frozenset({_S.VERIFIED}), _S.CLOSED),
    EventKind.REOPENED: Transition(
        frozenset({_S.CLOSED, _S.NOT_OURS}), _S.FILED, needs_reason=True
    ),
    EventKind.SUSPENDED: Transition(_STARTED, _S.SUSPENDED, needs_reason=True),
    EventKind.RESUMED: Transition(frozenset({_S.SUSPENDED}), None),
    EventKind.NOT_OURS: Transition(_STARTED, _S.NOT_OURS, needs_reason=True),
    EventKind.DECLARED_HARD: Transition(_STARTED, None, needs_reason=True),
}
"""All that a caller may do to a case; the service alone files, joins, parts, merges, escalates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event, as the log has it.

    Attributes:
        number: Its place in the case's log, from 1.
        kind: What happened.
        at: When, aware.
        actor: Who told it.
        party: Code of who did it, or had the case.
        to_party: Code of who gets it.
        reason: Why.
        details: What else follows from it; `after` says what it reads.
        state: Of the case from then on.
    """

    number: int
    kind: EventKind
    at: datetime
    actor: str
    party: str | None = None
    to_party: str | None = None
    reason: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    state: CaseState


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a case stands: the columns of its row, but for its number.

    Attributes:
        category: Class code of its first report.
        point: Of the first report, in the storage CRS.
        areas: Code by layer, as the first report was answered.
        responsible: Party code, likewise.
        opened_at: When its first report came in.
        state: Where it stands.
        state_since: Since when.
        holder: Code of who has it to act on.
        step: Of the escalation chain; 0 before a dispatch.
        step_due_at: When it climbs by itself.
        tier: Code of a tier of the scheme.
        due_at: By when it should be closed.
        closed_at: When it was.
        report_count: Reports in it.
        return_count: How often it was returned.
        failed_verification_count: How often it failed.
        merged_into: The case that has its reports.
        last_event: Number of the newest event.
    """

    category: str | None = None
    point: tuple[float, float] | None = None
    areas: Mapping[str, str] = field(default_factory=dict)
    responsible: str | None = None
    opened_at: datetime
    state: CaseState
    state_since: datetime
    holder: str | None = None
    step: int = 0
    step_due_at: datetime | None = None
    tier: str | None = None
    due_at: datetime | None = None
    closed_at: datetime | None = None
    report_count: int = 1
    return_count: int = 0
    failed_verification_count: int = 0
    merged_into: int | None = None
    last_event: int = 1


_FIELDS = tuple(Standing.__dataclass_fields__)
_VALUES = attrgetter(*_FIELDS)


def after(before: Standing | None, event: Event) -> Standing:
    """Say where an event leads.

    Of its details these count: `first`, what a case takes over from its (new) first report;
    `tier`, to which the answer sent it; `step` and `due_at`, the step of the chain and when it
    climbs on; `case_due_at`, where the end of the case is put off; `reports` and `into` of a merge.

    Args:
        before: Where the case stood; None before the first event.
        event: The next one.
    """
    told = event.details
    if before is None:
        before = Standing(opened_at=event.at, state=event.state, state_since=event.at)
    changed: dict[str, Any] = {"last_event": event.number, "state": event.state}
    if event.state is not before.state:
        changed["state_since"] = event.at
    if first := told.get("first"):
        changed |= {
            "category": first["category"],
            "point": first["point"] and tuple(first["point"]),
            "areas": first["areas"],
            "responsible": first["responsible"],
            "opened_at": _instant(first["opened_at"]),
        }
    if event.state in IDLE:
        changed["holder"] = None
    elif event.to_party is not None:
        changed["holder"] = event.to_party
    if "step" in told:
        changed |= {"step": told["step"], "step_due_at": _instant(told["due_at"])}
    elif event.state not in {_S.DISPATCHED, _S.SUSPENDED}:
        changed["step_due_at"] = None
    if "tier" in told:
        changed["tier"] = told["tier"]
    if "case_due_at" in told:
        changed["due_at"] = _instant(told["case_due_at"])
    changed["closed_at"] = event.at if event.state is _S.CLOSED else None
    # As `dataclasses.replace` does, in half the time: those wait for it who file.
    kept = dict(zip(_FIELDS, _VALUES(before), strict=True))
    return Standing(**kept | changed | _of_kind(before, event))


def _of_kind(before: Standing, event: Event) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    match event.kind:
        case EventKind.JOINED:
            changed["report_count"] = before.report_count + 1
        case EventKind.PARTED:
            changed["report_count"] = before.report_count - 1
        case EventKind.MERGED if event.state is _S.MERGED:
            changed |= {"report_count": 0, "merged_into": event.details["into"]}
        case EventKind.MERGED:
            changed["report_count"] = before.report_count + len(event.details["reports"])
        case EventKind.RETURNED:
            changed["return_count"] = before.return_count + 1
        case EventKind.FAILED_VERIFICATION:
            changed["failed_verification_count"] = before.failed_verification_count + 1
        case EventKind.REOPENED:
            changed["step"] = 0
        case EventKind.DECLARED_HARD:
            changed["tier"] = TierCode.HARD.value
    return changed


def replay(events: Iterable[Event]) -> Standing:
    """Make of a case's whole log, in order, where it stands.

    Raises:
        ValueError: there is no event.
    """
    standing: Standing | None = None
    for event in events:
        standing = after(standing, event)
    if standing is None:
        raise ValueError("a case has at least the event that it was filed")
    return standing


def pauses(events: Iterable[Event]) -> list[tuple[datetime, datetime]]:
    """Find when a case was suspended and resumed; a pause that lasts still is left out."""
    spans: list[tuple[datetime, datetime]] = []
    began_at: datetime | None = None
    for event in events:
        if event.kind is EventKind.SUSPENDED:
            began_at = event.at
        elif event.kind is EventKind.RESUMED and began_at is not None:
            spans.append((began_at, event.at))
            began_at = None
    return spans


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
