"""Imported reports become cases all at once, with the meaning of one by one.

Each routed report joins the open case that the scheme's `[[duplicates]]` give it by themselves
(`gridsvc.reports.joining`) or opens its own. Cases that were in the database before count as they
stand there now: a report of long ago joins one that is open still, and none that is closed. Those
that are joined stay locked until the caller commits. A report that is filed meanwhile knows nothing
of the import, and opens a case of its own.

What became of a case is told by its `Lives`. A file of past reports knows only when its matter
ended: the log of such a case says `filed`, then `closed` with the details `{"source": "history"}`,
and nothing of the stages between that nobody recorded. The case ends with its first report, and
not before it began; a file's words for a state do not make events.

Instants are microseconds since 1970 UTC throughout; a year of reports is arrays of some 100 MB.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt
import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

from gridsvc.crs import Floats
from gridsvc.db import run_sql, sql, sql_text
from gridsvc.grids.case_rules import Stage
from gridsvc.grids.schemes import Scheme
from gridsvc.grids.worktime import WorkTime
from gridsvc.reports.bulk_copy import driver_connection
from gridsvc.reports.case_log import IDLE
from gridsvc.reports.joining import NEVER_US, Matters, Reach, join
from gridsvc.reports.terms import CaseState, EventKind
from gridsvc.routing.admission import Ints
from gridsvc.routing.number_copy import copy_in, fetch_arrays
from gridsvc.routing.reasons import Mask

PACKAGE = "gridsvc.reports"
SLICE_REPORTS = 100_000
"""Reports whose cases are made and written at once."""
UNSAID_US = -1
"""Stands for a detail that an event does not have; `NEVER_US`, for no instant."""
KINDS = tuple(EventKind)
STATES = tuple(CaseState)

Numbers = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Reports:
    """Some reports in the order they came in; arrays of one length.

    Attributes:
        first: Place of the first one among all that are opened.
        at_us: When each came in.
        closed_us: When it was done with, as the file says; `NEVER_US` where it does not.
        kind: Place of its class in `categories`; -1 is none.
        categories: Class codes.
        due_us: By when a case of it should be closed; `NEVER_US` without such a limit.
    """

    first: int
    at_us: Ints
    closed_us: Ints
    kind: Numbers
    categories: Sequence[str]
    due_us: Ints


@dataclass(frozen=True, slots=True)
class Events:
    """What happened to cases between their filing and now, in order for each; of one length.

    Attributes:
        report: Place among the `Reports` of the one that opened the case.
        at_us: When; not before the report came in.
        kind: Place in `KINDS`.
        state: Of the case from then on, a place in `STATES`.
        by_holder: Whether the responsible party did it.
        to_holder: Whether the responsible party gets it.
        reason: Place in `reasons`; -1 is none.
        step_due_us: When the first step of the chain climbs on; `UNSAID_US`, or `NEVER_US`.
        due_us: The case's new end; likewise.
        reasons: In words.
    """

    report: Ints
    at_us: Ints
    kind: Numbers
    state: Numbers
    by_holder: Mask
    to_holder: Mask
    reason: Numbers
    step_due_us: Ints
    due_us: Ints
    reasons: tuple[str, ...] = ()


class Lives(Protocol):
    """What becomes of cases; asked twice for the same reports, it says the same."""

    @property
    def closing(self) -> Mapping[str, str]:
        """Details of a closing."""

    def ends(self, reports: Reports) -> Ints:
        """Tell for each report when a case that it opened would be open no more."""

    def events(self, reports: Reports) -> Events:
        """Tell what would happen to a case that each report opened."""


@dataclass(frozen=True, slots=True)
class PastLives:
    """The lives that a file of past reports knows: their ends."""

    @property
    def closing(self) -> Mapping[str, str]:
        """Says that nobody told of stages between."""
        return {"source": "history"}

    def ends(self, reports: Reports) -> Ints:
        """The end of the report, and not before it came in."""
        return np.maximum(reports.closed_us, reports.at_us)

    def events(self, reports: Reports) -> Events:
        """A closing, where the file tells of one."""
        ended = np.flatnonzero(reports.closed_us != NEVER_US)
        count = len(ended)
        return Events(
            report=ended,
            at_us=self.ends(reports)[ended],
            kind=np.full(count, KINDS.index(EventKind.CLOSED), np.int32),
            state=np.full(count, STATES.index(CaseState.CLOSED), np.int32),
            by_holder=np.zeros(count, bool),
            to_holder=np.zeros(count, bool),
            reason=np.full(count, -1, np.int32),
            step_due_us=np.full(count, UNSAID_US),
            due_us=np.full(count, UNSAID_US),
        )


@dataclass(frozen=True, slots=True)
class OpenedCases:
    """What became of reports.

    Attributes:
        opened: Cases, each by its first report.
        joined: Reports that are one more of a case.
    """

    opened: int = 0
    joined: int = 0


@dataclass(slots=True)
class _Opening:
    """All reports on their way into cases; arrays of one length.

    Attributes:
        categories: Class codes.
        x: Of the point, in the storage CRS.
        y: The same.
        at_us: When it came in.
        closed_us: When it was done with.
        kind: Place of its class in `categories`.
        due_us: By when a case of it should be closed.
        opener: The report that opened its case; -1 where the case was there before.
        case_id: Of its case.
        distance_m: From the case's point.
    """

    categories: list[str]
    x: Floats
    y: Floats
    at_us: Ints
    closed_us: Ints
    kind: Numbers
    due_us: Ints
    opener: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    case_id: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    distance_m: Floats = field(default_factory=lambda: np.empty(0))

    def slices(self) -> list[slice]:
        count = len(self.at_us)
        return [
            slice(start, min(start + SLICE_REPORTS, count))
            for start in range(0, count, SLICE_REPORTS)
        ]

    def reports(self, part: slice) -> Reports:
        return Reports(
            part.start,
            self.at_us[part],
            self.closed_us[part],
            self.kind[part],
            self.categories,
            self.due_us[part],
        )


def open_cases(session: Session, scheme: Scheme, *, source: str, lives: Lives) -> OpenedCases:
    """Make cases of the routed reports of a source that have none.

    Args:
        session: Its caller commits.
        scheme: Whose duplicates join, and whose limits give an end.
        source: Whose reports.
        lives: What becomes of the cases.
    """
    opening = _read(session, scheme, source)
    if not len(opening.at_us):
        session.execute(text("DROP TABLE unopened"))
        return OpenedCases()
    _find_cases(session, scheme, opening, lives)
    run_sql(session, PACKAGE, "bulk_tables")
    _join_earlier(session, opening, source)
    for part in opening.slices():
        _write(session, opening, part, source, lives)
    session.execute(text("DROP TABLE unopened, opening, happening, belonging"))
    opened = int((opening.opener == np.arange(len(opening.opener))).sum())
    return OpenedCases(opened, len(opening.opener) - opened)


def _read(session: Session, scheme: Scheme, source: str) -> _Opening:
    categories = session.scalars(
        text(
            "SELECT DISTINCT category FROM gridsvc.report"
            " WHERE source = :source AND category IS NOT NULL ORDER BY category"
        ),
        {"source": source},
    ).all()
    session.execute(sql(PACKAGE, "unopened"), {"source": source, "categories": list(categories)})
    session.execute(text("CREATE UNIQUE INDEX ON unopened (n)"))
    session.execute(text("ANALYZE unopened"))
    count = session.execute(text("SELECT count(*) FROM unopened")).scalar_one()
    dtypes = (np.float64, np.float64, np.int64, np.int64, np.int32)
    parts = [[np.empty(0, dtype) for dtype in dtypes]]
    with driver_connection(session).cursor() as cursor:
        for start in range(0, count, SLICE_REPORTS):
            bounds = {"first": start, "last": start + SLICE_REPORTS, "never": NEVER_US}
            part = fetch_arrays(cursor, sql_text(PACKAGE, "unopened_arrays"), bounds, list(dtypes))
            parts = [*parts, part]
    x, y, at_us, closed_us, kind = (np.concatenate(column) for column in zip(*parts, strict=True))
    due_us = _due(scheme, categories, kind, at_us)
    return _Opening(list(categories), x, y, at_us, closed_us, kind, due_us)


def _due(scheme: Scheme, categories: Sequence[str], kind: Numbers, at_us: Ints) -> Ints:
    """Tell by when a case of each report should be closed."""
    due_us = np.full(len(at_us), NEVER_US)
    worktime = WorkTime(scheme)
    for number, category in enumerate((*categories, None)):
        limit = scheme.limit(Stage.CLOSE, category)
        rows = np.flatnonzero(kind == (number if category is not None else -1))
        if limit and len(rows):
            due = worktime.add_many(at_us[rows].astype("datetime64[us]"), limit)
            due_us[rows] = due.astype(np.int64)
    return due_us


def _find_cases(session: Session, scheme: Scheme, opening: _Opening, lives: Lives) -> None:
    """Give each report its case: one that it joins, or one of its own."""
    reaches = {
        number: Reach.of(rule)
        for number, category in enumerate(opening.categories)
        if (rule := scheme.duplicate_rule(category)) and rule.join == "automatic"
    }
    end_us = np.concatenate([lives.ends(opening.reports(part)) for part in opening.slices()])
    ids, cases = _open_before(session, opening, reaches)
    while True:
        opener, distance_m = _joined(opening, end_us, cases, reaches)
        met = np.unique(-1 - opener[opener < 0])
        still = _lock_open(session, ids[met])
        gone = ~np.isin(ids, still)
        gone[np.setdiff1d(np.arange(len(ids)), met)] = False
        if not gone.any():
            break
        ids, cases = ids[~gone], [column[~gone] for column in cases]
    own = opener == np.arange(len(opener))
    case_id = np.empty(len(opener), np.int64)
    case_id[own] = _new_case_ids(session, int(own.sum()))
    case_id[~own] = -1
    joined = opener >= 0
    case_id[joined] = case_id[opener[joined]]
    case_id[~joined] = ids[-1 - opener[~joined]]
    opening.opener = np.where(joined, opener, -1)
    opening.case_id, opening.distance_m = case_id, distance_m


def _joined(
    opening: _Opening,
    end_us: Ints,
    cases: Sequence[npt.NDArray[np.generic]],
    reaches: dict[int, Reach],
) -> tuple[Ints, Floats]:
    """Find what each report joins: a report, or as -1 - place a case there was before."""
    x, y, at_us, kind = cases
    before = len(x)
    is_case = np.arange(before + len(opening.x)) < before
    both_at_us = np.concatenate([at_us, opening.at_us])
    # Stable: of equal times the cases first, which were there.
    order = np.argsort(both_at_us, kind="stable")
    matters = Matters(
        np.concatenate([x, opening.x])[order],
        np.concatenate([y, opening.y])[order],
        both_at_us[order],
        np.concatenate([np.full(before, NEVER_US), end_us])[order],
        np.concatenate([kind, opening.kind])[order].astype(np.int32),
        is_case[order],
    )
    opener, distance_m = join(matters, reaches)
    place = np.where(is_case, -1 - np.arange(len(is_case)), np.arange(len(is_case)) - before)
    found, apart_m = np.empty(len(order), np.int64), np.empty(len(order))
    found[order], apart_m[order] = place[order[opener]], distance_m
    return found[before:], apart_m[before:]


def _open_before(
    session: Session, opening: _Opening, reaches: dict[int, Reach]
) -> tuple[Ints, list[npt.NDArray[np.generic]]]:
    """Read open cases that reports may join: ids; and x, y, when opened, kind."""
    kinds = list(reaches)
    window_us = max((reach.window_us for reach in reaches.values()), default=0)
    with driver_connection(session).cursor() as cursor:
        ids, x, y, at_us, place = fetch_arrays(
            cursor,
            sql_text(PACKAGE, "open_cases"),
            {
                "categories": [opening.categories[kind] for kind in kinds],
                "since": int(opening.at_us[0]) - window_us,
                "until": int(opening.at_us[-1]),
            },
            [np.int64, np.float64, np.float64, np.int64, np.int32],
        )
    return ids, [x, y, at_us, np.array(kinds, np.int32)[place]]


def _lock_open(session: Session, ids: Ints) -> Ints:
    """Lock cases, and tell which of them are open still."""
    found = session.scalars(
        text(
            "SELECT id FROM gridsvc.case WHERE id = ANY(:ids) AND closed_at IS NULL"
            " AND merged_into IS NULL AND state <> 'not_ours' ORDER BY id FOR UPDATE"
        ),
        {"ids": ids.tolist()},
    ).all()
    return np.array(found, np.int64)


def _new_case_ids(session: Session, count: int) -> Ints:
    with driver_connection(session).cursor() as cursor:
        (ids,) = fetch_arrays(
            cursor,
            "SELECT array_agg(nextval(pg_get_serial_sequence('gridsvc.case', 'id')))"
            " FROM generate_series(1, %(count)s)",
            {"count": count},
            [np.int64],
        )
    return ids


# Writing


def _join_earlier(session: Session, opening: _Opening, source: str) -> None:
    """Write down reports that join cases which were there before."""
    joined = np.flatnonzero(opening.opener < 0)
    if len(joined):
        _fill_belonging(session, opening, joined)
        session.execute(sql(PACKAGE, "bulk_joins"), {"actor": source})
        _empty_belonging(session, 0)


def _write(session: Session, opening: _Opening, part: slice, source: str, lives: Lives) -> None:
    """Write the cases that reports of a slice opened: rows, whole logs and memberships."""
    logs, reasons = _logs(opening, part, lives.events(opening.reports(part)))
    if not len(logs.case):
        return
    rows = logs.rows()
    openers = logs.report[logs.starts]
    ids = opening.case_id[openers]
    names = {"states": list(map(str, STATES)), "never": NEVER_US, "first": part.start}
    with driver_connection(session).cursor() as cursor:
        copy_in(cursor, "COPY opening FROM STDIN (FORMAT binary)", [_n(openers), ids, *rows])
        copy_in(
            cursor,
            "COPY happening FROM STDIN (FORMAT binary)",
            [ids[logs.case], *logs.columns(), opening.distance_m[logs.report]],
        )
    session.execute(sql(PACKAGE, "bulk_cases"), names | {"last": part.stop})
    session.execute(
        sql(PACKAGE, "bulk_events"),
        names
        | {
            "kinds": list(map(str, KINDS)),
            "reasons": list(reasons),
            "unsaid": UNSAID_US,
            "first_case": int(ids.min()),
            "last_case": int(ids.max()),
            "actor": source,
            "closed": orjson.dumps(dict(lives.closing)).decode(),
        },
    )
    session.execute(text("TRUNCATE opening, happening"))
    # In the order of the cases, which is that of the memberships' other index.
    of_part = logs.report[logs.report >= 0]
    _fill_belonging(session, opening, of_part)
    _empty_belonging(session, part.start)


def _fill_belonging(session: Session, opening: _Opening, reports: Ints) -> None:
    is_first = opening.opener[reports] == reports
    with driver_connection(session).cursor() as cursor:
        copy_in(
            cursor,
            "COPY belonging FROM STDIN (FORMAT binary)",
            [
                _n(reports),
                opening.case_id[reports],
                is_first.astype(np.int32),
                opening.distance_m[reports],
            ],
        )


def _empty_belonging(session: Session, first: int) -> None:
    session.execute(sql(PACKAGE, "bulk_case_reports"), {"first": first})
    session.execute(text("TRUNCATE belonging"))


def _n(values: npt.NDArray[np.generic]) -> Numbers:
    return values.astype(np.int32)


@dataclass(frozen=True, slots=True)
class _Logs:
    """Whole logs of cases one after the other; arrays of one length, but for `starts`.

    Attributes:
        case: Number of the case among them.
        starts: Where each case's log begins.
        report: The report that was filed or joined; -1 at other events.
        at_us: As in `Events`, like what follows.
        kind: …
        state: …
        by_holder: …
        to_holder: …
        reason: …
        step_due_us: …
        due_us: …
    """

    case: Ints
    starts: Ints
    report: Ints
    at_us: Ints
    kind: Numbers
    state: Numbers
    by_holder: Mask
    to_holder: Mask
    reason: Numbers
    step_due_us: Ints
    due_us: Ints

    def columns(self) -> list[npt.NDArray[np.generic]]:
        """Give the events as the table `happening` wants them."""
        number = np.arange(len(self.case)) - self.starts[self.case] + 1
        return [
            _n(number),
            self.kind,
            self.at_us,
            self.state,
            _n(self.by_holder),
            _n(self.to_holder),
            self.reason,
            self.step_due_us,
            self.due_us,
            _n(self.report),
        ]

    def rows(self) -> list[npt.NDArray[np.generic]]:
        """Say where the logs lead, as the table `opening` wants it (`case_log.after`)."""
        lengths = np.diff(np.append(self.starts, len(self.case)))
        last = self.starts + lengths - 1
        starting = np.zeros(len(self.case), bool)
        starting[self.starts] = True
        moved = starting | (self.state != np.roll(self.state, 1))
        idle = np.isin(self.state, _places(IDLE))
        # What an event says of the step holds until the next that says something of it, or until
        # the case is with nobody who could let it climb.
        resting = ~np.isin(self.state, _places({CaseState.DISPATCHED, CaseState.SUSPENDED}))
        has_step = self.step_due_us != UNSAID_US
        step_due_us = np.where(has_step, self.step_due_us, NEVER_US)
        has_due = self.due_us != UNSAID_US
        return [
            self.state[last],
            self.at_us[_latest(moved)[last]],
            _n(self.to_holder & ~idle)[_latest(starting | idle | self.to_holder)[last]],
            _n(np.add.reduceat(has_step, self.starts) > 0),
            step_due_us[_latest(starting | resting | has_step)[last]],
            self.due_us[_latest(has_due)[last]],
            np.where(
                self.state[last] == STATES.index(CaseState.CLOSED), self.at_us[last], NEVER_US
            ),
            _n(self._count(EventKind.JOINED) + 1),
            _n(self._count(EventKind.RETURNED)),
            _n(self._count(EventKind.FAILED_VERIFICATION)),
            _n(lengths),
        ]

    def _count(self, kind: EventKind) -> Ints:
        return np.add.reduceat((self.kind == KINDS.index(kind)).astype(np.int64), self.starts)


def _logs(opening: _Opening, part: slice, told: Events) -> tuple[_Logs, tuple[str, ...]]:
    """Put together the logs of cases opened in a slice: filed, joined by reports, and lived."""
    numbers = np.arange(len(opening.opener))
    is_own = opening.opener[part] == numbers[part]
    case_of = np.cumsum(is_own) - 1
    filed = numbers[part][is_own]
    joined = np.flatnonzero(
        (opening.opener >= part.start) & (opening.opener < part.stop) & (opening.opener != numbers)
    )
    lived = np.flatnonzero(is_own[told.report])
    report = np.concatenate([filed, joined, np.full(len(lived), -1)])
    own = len(filed) + len(joined)
    nothing = np.full(own, UNSAID_US)
    at_us = np.concatenate([opening.at_us[report[:own]], told.at_us[lived]])
    case = case_of[np.concatenate([opening.opener[report[:own]] - part.start, told.report[lived]])]
    kind = np.concatenate(
        [
            np.full(len(filed), KINDS.index(EventKind.FILED)),
            np.full(len(joined), KINDS.index(EventKind.JOINED)),
            told.kind[lived],
        ]
    )
    # Filed is first; of what then happens at one instant, a report comes before an act.
    rank = np.concatenate([np.arange(own) >= len(filed), np.full(len(lived), 2)])
    order = np.lexsort((np.arange(len(case)), rank, at_us, np.where(rank == 0, 0, 1), case))
    is_join = (kind == KINDS.index(EventKind.JOINED))[order]
    state = np.concatenate([np.full(own, STATES.index(CaseState.FILED)), told.state[lived]])[order]
    state = state[_latest(~is_join)]  # a join leaves it
    case = case[order]
    absent = np.zeros(own, bool)
    due_us = np.concatenate([nothing, told.due_us[lived]])
    due_us[: len(filed)] = opening.due_us[filed]
    logs = _Logs(
        case=case,
        starts=np.flatnonzero(np.diff(case, prepend=-1)),
        report=report[order],
        at_us=at_us[order],
        kind=_n(kind[order]),
        state=_n(state),
        by_holder=np.concatenate([absent, told.by_holder[lived]])[order],
        to_holder=np.concatenate([absent, told.to_holder[lived]])[order],
        reason=_n(np.concatenate([np.full(own, -1), told.reason[lived]])[order]),
        step_due_us=np.concatenate([nothing, told.step_due_us[lived]])[order],
        due_us=due_us[order],
    )
    return logs, told.reasons


def _latest(marked: Mask) -> Ints:
    """Give for each place the last marked one up to it."""
    return np.maximum.accumulate(np.where(marked, np.arange(len(marked)), 0))


def _places(states: set[CaseState] | frozenset[CaseState]) -> list[int]:
    return [STATES.index(state) for state in states]
