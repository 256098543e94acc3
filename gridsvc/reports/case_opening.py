"""Reports filed together become cases together, as if they came one by one in their order.

Where the scheme's `[[duplicates]]` let it, a report joins the nearest open case of its class by
itself, one of an earlier report of the same group too (`gridsvc.reports.joining`); otherwise it
opens one.
"""

import math
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from operator import attrgetter
from typing import Any

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from gridsvc.crs import Floats, parse_crs
from gridsvc.db import sql
from gridsvc.grids.case_rules import DuplicateRule, Stage
from gridsvc.grids.schemes import Scheme
from gridsvc.grids.worktime import WorkTime
from gridsvc.reports.answers import codes
from gridsvc.reports.case_log import OPEN, Event, Standing, after
from gridsvc.reports.case_records import CaseSummary
from gridsvc.reports.joining import NEVER_US, Matters, Reach, join
from gridsvc.reports.models import Case
from gridsvc.reports.row_texts import as_rows
from gridsvc.reports.terms import CaseState, EventKind
from gridsvc.routing.admission import Ints

PACKAGE = "gridsvc.reports"

_SUMMARY = tuple(CaseSummary.__dataclass_fields__)
_PLAIN = attrgetter(*_SUMMARY[1:])
"""What a case's summary says beyond its number, in the order in which it says it."""
_COLUMNS = [getattr(Case, name) for name in _SUMMARY]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """A stored report with its answer.

    Attributes:
        report_id: Of the report.
        category: Class code.
        point: In the storage CRS; None where it has no place.
        received_at: When it came in; None where a file's time cannot be read.
        answer: The one that holds, whole or of codes alone; None without one.
    """

    report_id: uuid.UUID
    category: str | None
    point: tuple[float, float] | None
    received_at: datetime | None
    answer: dict[str, Any] | None

    def first(self) -> dict[str, Any]:
        """Say, as an event's details, what a case takes over from its first report."""
        told = codes(self.answer) or {"areas": {}, "responsible": None}
        return {
            "report": str(self.report_id),
            "category": self.category,
            "point": self.point and [*self.point],
            "areas": told["areas"],
            "responsible": told["responsible"],
            "opened_at": self.received_at and self.received_at.isoformat(),
        }

    def tier(self) -> dict[str, Any]:
        """Say, as an event's details, to which tier the answer sent the case, if to any."""
        tier = self.answer.get("tier") if self.answer else None
        return {"tier": tier} if tier else {}


def closing(
    scheme: Scheme,
    worktime: WorkTime,
    category: str | None,
    opened_at: datetime,
    rests: Sequence[tuple[datetime, datetime]] = (),
) -> dict[str, Any]:
    """Say, as an event's details, by when a case should be closed."""
    limit = scheme.limit(Stage.CLOSE, category)
    due_at = limit and worktime.add(opened_at, limit, rests)
    return {"case_due_at": due_at and due_at.isoformat()}


def filing(
    scheme: Scheme,
    worktime: WorkTime,
    report: Routed,
    *,
    actor: str,
    at: datetime,
) -> Event:
    """Make the first event of the case that a report opens.

    Args:
        scheme: Whose limits give the case an end.
        worktime: In its calendar.
        report: With its answer.
        actor: Who filed it.
        at: When the case was filed.
    """
    details = {
        "report": str(report.report_id),
        "first": report.first(),
        **closing(scheme, worktime, report.category, report.received_at or at),
        **report.tier(),
    }
    return Event(
        number=1, kind=EventKind.FILED, at=at, actor=actor, details=details, state=CaseState.FILED
    )


@dataclass(frozen=True, slots=True)
class Filed:
    """A routed report on its way into a case, and who filed it.

    Attributes:
        report: It has no case yet, and came in at some time.
        received_at: When.
        actor: Who filed it.
    """

    report: Routed
    received_at: datetime
    actor: str


@dataclass(slots=True)
class _Joined:
    """The case of each report: a place among the reports, or -1 - place among `cases`."""

    opener: Ints
    distance_m: Floats
    cases: list[CaseSummary]


def open_or_join(
    session: Session, scheme: Scheme, filed: Sequence[Filed]
) -> dict[uuid.UUID, CaseSummary]:
    """Give each report a case.

    Args:
        session: READ COMMITTED, so that what others have left is seen; its caller commits. It
            holds what it locks till then.
        scheme: In force.
        filed: In the order they came in.

    Returns:
        By report the case, as it stands after all of them.
    """
    if not filed:
        return {}
    found = _find(session, scheme, filed)
    joiners = Counter(found.opener.tolist())
    worktime = WorkTime(scheme)
    openers = [n for n, opener in enumerate(found.opener.tolist()) if opener == n]
    events = {
        n: filing(scheme, worktime, one.report, actor=one.actor, at=one.received_at)
        for n, one in enumerate(filed)
        if found.opener[n] == n
    }
    standings = {n: _with(after(None, event), joiners[n]) for n, event in events.items()}
    ids = dict(zip(openers, _write_cases(session, scheme, standings.values()), strict=True))
    opened = {n: _summary(ids[n], standing) for n, standing in standings.items()}
    counts = [joiners[-1 - place] for place in range(len(found.cases))]
    joined = _write_joins(session, found.cases, counts) if counts else []
    cases = [
        opened[opener] if opener >= 0 else joined[-1 - opener] for opener in found.opener.tolist()
    ]
    distances_m = [
        None if one.report.point is None else metres
        for one, metres in zip(filed, found.distance_m.tolist(), strict=True)
    ]
    belongs = list(zip(filed, cases, distances_m, strict=True))
    _write_events(session, belongs, events)
    return {one.report.report_id: case for one, case in zip(filed, cases, strict=True)}


# Who joins whom.


def _find(session: Session, scheme: Scheme, filed: Sequence[Filed]) -> _Joined:
    alone = _Joined(np.arange(len(filed)), np.zeros(len(filed)), [])
    rules = {
        category: rule
        for category in {one.report.category for one in filed}
        if category and (rule := scheme.duplicate_rule(category)) and rule.join == "automatic"
    }
    may = [n for n, one in enumerate(filed) if one.report.category in rules and one.report.point]
    if not may:
        return alone
    reports = [(filed[n].report, filed[n].received_at) for n in may]
    kinds = {category: kind for kind, category in enumerate(rules)}
    lock_joining(session, rules, [report for report, _ in reports])
    near = _near_cases(session, scheme, rules, reports)
    reaches = {kinds[category]: Reach.of(rule) for category, rule in rules.items()}
    while True:
        opener, distance_m = _join(near, reports, kinds, reaches)
        met = sorted({near[-1 - place].id for place in opener.tolist() if place < 0})
        held = _lock_open(session, met)
        if len(held) == len(met):
            break
        near = [case for case in near if case.id in held or case.id not in met]
    places = {case_id: place for place, case_id in enumerate(held)}
    for n, other, metres in zip(may, opener.tolist(), distance_m.tolist(), strict=True):
        alone.opener[n] = may[other] if other >= 0 else -1 - places[near[-1 - other].id]
        alone.distance_m[n] = metres
    alone.cases = list(held.values())
    return alone


def lock_joining(
    session: Session, rules: Mapping[str, DuplicateRule], reports: Iterable[Routed]
) -> None:
    """Let groups of reports near each other, that join by themselves, come one at a time.

    Two at once would see no case of each other, and open one each. What is locked till the commit
    are squares of the city, ten times the reach wide, that the reach of a report touches: of two
    reports within reach of each other both lock the square that one of them lies in.

    Args:
        session: READ COMMITTED, so that what is read next is what the one before has left.
        rules: By category.
        reports: Of these categories, each with a point.
    """
    squares = set()
    for report in reports:
        assert report.category is not None  # noqa: S101  as asked for
        assert report.point is not None  # noqa: S101  likewise
        within_m = rules[report.category].within_m
        sides = [
            range(
                math.floor((middle - within_m) / (10 * within_m)),
                math.floor((middle + within_m) / (10 * within_m)) + 1,
            )
            for middle in report.point
        ]
        squares |= {(report.category, *square) for square in product(*sides)}
    # In one order, so that no two wait for each other.
    names = [
        f"gridsvc join {category} {(east, north)}" for category, east, north in sorted(squares)
    ]
    session.execute(sql(PACKAGE, "join_squares"), {"squares": names})


@dataclass(frozen=True, slots=True)
class _Near:
    id: int
    category: str
    x: float
    y: float
    opened_at: datetime


def _near_cases(
    session: Session,
    scheme: Scheme,
    rules: Mapping[str, DuplicateRule],
    reports: Sequence[tuple[Routed, datetime]],
) -> list[_Near]:
    rows = []
    for report, at in reports:
        rule = rules[report.category or ""]
        rows.append(
            {
                "category": report.category,
                "point": report.point,
                "within_m": rule.within_m,
                "since": at - rule.window,
            }
        )
    found = session.execute(
        sql(PACKAGE, "near_cases"),
        {"rows": as_rows(rows), "srid": parse_crs(scheme.storage_crs).epsg},
    )
    return [_Near(row.id, row.category, row.x, row.y, row.opened_at) for row in found]


def _join(
    near: Sequence[_Near],
    reports: Sequence[tuple[Routed, datetime]],
    kinds: Mapping[str, int],
    reaches: dict[int, Reach],
) -> tuple[Ints, Floats]:
    """Find what each report joins: its place, or as -1 - place a case there was before."""
    before = len(near)
    first_at = reports[0][1]
    points = [(case.x, case.y) for case in near] + [
        report.point or (math.nan, math.nan) for report, _ in reports
    ]
    x, y = np.array(points).T
    # A case that was opened while these waited for their turn counts as older than they are.
    at_us = _microseconds(
        [min(case.opened_at, first_at) for case in near] + [at for _, at in reports]
    )
    categories = [case.category for case in near] + [report.category or "" for report, _ in reports]
    matters = Matters(
        np.ascontiguousarray(x),
        np.ascontiguousarray(y),
        at_us,
        np.full(len(points), NEVER_US),
        np.array([kinds[category] for category in categories], np.int32),
        np.arange(len(points)) < before,
    )
    opener, distance_m = join(matters, reaches)
    place = np.where(matters.is_case, -1 - np.arange(len(points)), np.arange(len(points)) - before)
    return place[opener][before:], distance_m[before:]


def _microseconds(instants: Iterable[datetime]) -> Ints:
    return np.array([(at - _EPOCH) // _MICROSECOND for at in instants], np.int64)


def _lock_open(session: Session, ids: Sequence[int]) -> dict[int, CaseSummary]:
    """Lock cases in one order, and read those that are open still."""
    if not ids:
        return {}
    rows = session.execute(
        select(*_COLUMNS)
        .where(Case.id.in_(ids), Case.state.in_([state.value for state in OPEN]))
        .order_by(Case.id)
        .with_for_update()
    )
    return {row.id: _summary_of(row._mapping) for row in rows}  # noqa: SLF001  public, as documented


# Writing.


def _write_cases(session: Session, scheme: Scheme, standings: Iterable[Standing]) -> list[int]:
    rows = [
        {
            "category": row.category,
            "point": row.point,
            "areas": row.areas,
            "responsible": row.responsible,
            "opened_at": row.opened_at,
            "state": row.state,
            "state_since": row.state_since,
            "tier": row.tier,
            "due_at": row.due_at,
            "report_count": row.report_count,
            "last_event": row.last_event,
        }
        for row in standings
    ]
    if not rows:
        return []
    ids = session.scalars(
        sql(PACKAGE, "file_cases"),
        {"rows": as_rows(rows), "srid": parse_crs(scheme.storage_crs).epsg},
    )
    return sorted(ids)


def _write_joins(
    session: Session, cases: Sequence[CaseSummary], joiners: Sequence[int]
) -> list[CaseSummary]:
    """Count the reports that join cases there were before, whose rows are locked."""
    session.execute(
        sql(PACKAGE, "file_joins"),
        {"ids": [case.id for case in cases], "joiners": [*joiners]},
    )
    return [
        replace(case, report_count=case.report_count + more, last_event=case.last_event + more)
        for case, more in zip(cases, joiners, strict=True)
    ]


def _write_events(
    session: Session,
    belongs: Sequence[tuple[Filed, CaseSummary, float | None]],
    filings: Mapping[int, Event],
) -> None:
    """Write for each report the event by which it came to its case, and that it belongs there."""
    # The cases are as all have left them: the last one that joins has the last number.
    left = Counter(case.id for _, case, _ in belongs)
    if len(filings) < len(belongs):
        # By the clock that dates revisions, and after the wait for others.
        now: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    rows = []
    for n, (one, case, distance_m) in enumerate(belongs):
        left[case.id] -= 1
        report_id = one.report.report_id
        event = filings.get(n) or Event(
            number=case.last_event - left[case.id],
            kind=EventKind.JOINED,
            at=now,
            actor=one.actor,
            details={"report": report_id, "distance_m": distance_m},
            state=case.state,
        )
        rows.append(
            {
                "case_id": case.id,
                "number": event.number,
                "kind": event.kind,
                "at": event.at,
                "actor": event.actor,
                "details": event.details,
                "state": event.state,
                "report_id": report_id,
                "is_first": n in filings,
                "distance_m": distance_m,
            }
        )
    session.execute(sql(PACKAGE, "file_events"), {"rows": as_rows(rows)})


def _with(standing: Standing, reports: int) -> Standing:
    """Say where a case stands that is opened with several reports at once."""
    if reports == 1:
        return standing
    return replace(standing, report_count=reports, last_event=reports)


def _summary(case_id: int, standing: Standing) -> CaseSummary:
    return CaseSummary(case_id, *_PLAIN(standing))


def _summary_of(row: Mapping[Any, Any]) -> CaseSummary:
    return CaseSummary(
        **{name: row[name] for name in _SUMMARY} | {"state": CaseState(row["state"])}
    )
