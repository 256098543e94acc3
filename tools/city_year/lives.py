"""What becomes of each case is drawn from a seed: it is dispatched, handled, verified and closed.

Some come back to the dispatcher first, some rest in the stock pool, some fail their verification,
a few are never handled. What would happen after the year has not happened yet. Nothing climbs:
that is the service's own doing, which asks who holds a step at that moment.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gridsvc.grids.case_rules import Stage
from gridsvc.grids.limits import Limit
from gridsvc.grids.schemes import Scheme
from gridsvc.grids.worktime import Pauses, WorkTime
from gridsvc.reports.bulk_cases import KINDS, STATES, UNSAID_US, Events, Reports
from gridsvc.reports.escalation import step_limit
from gridsvc.reports.joining import NEVER_US
from gridsvc.reports.terms import CaseState, EventKind
from tools.city_year.reports import TO, hours_by_category
from tools.demo_city.reports import UTC_OFFSET

_COURSE = (
    # What happens, the state then, the share of cases, hours after what came before on average
    # (None: by the category), and why.
    (EventKind.DISPATCHED, CaseState.DISPATCHED, 1.0, 0.4, None),
    (EventKind.RETURNED, CaseState.RETURNED, 0.05, 2.0, "权属不清"),
    (EventKind.DISPATCHED, CaseState.DISPATCHED, 1.0, 1.0, None),
    (EventKind.SUSPENDED, CaseState.SUSPENDED, 0.02, 3.0, "列入存量库"),
    (EventKind.RESUMED, CaseState.DISPATCHED, 1.0, 480.0, None),
    (EventKind.HANDLED, CaseState.HANDLED, 0.992, None, None),
    (EventKind.FAILED_VERIFICATION, CaseState.DISPATCHED, 0.06, 6.0, "现场未整改"),
    (EventKind.HANDLED, CaseState.HANDLED, 1.0, 5.0, None),
    (EventKind.VERIFIED, CaseState.VERIFIED, 1.0, 8.0, None),
    (EventKind.CLOSED, CaseState.CLOSED, 1.0, 1.0, None),
)
_ONLY_AFTER = {2: 1, 4: 3, 6: 5, 7: 6, 8: 5, 9: 8}
"""Happens only to cases to which that happened, and the share is of them."""
_DISPATCHED_LAST, _SUSPENDED, _RESUMED = 2, 3, 4
_HOUR_US = 3_600_000_000
_UNTIL_US = int((TO - UTC_OFFSET).astype("datetime64[us]").astype(np.int64))
_SPREAD = 0.9


@dataclass(frozen=True)
class DrawnLives:
    """Lives drawn from a seed; the same reports get the same ones.

    Attributes:
        scheme: Whose limits say when a case is due.
        seed: Where chance comes from.
    """

    scheme: Scheme
    seed: int

    @property
    def closing(self) -> Mapping[str, str]:
        """Says that it is made up."""
        return {"source": "simulation"}

    @cached_property
    def _worktime(self) -> WorkTime:
        return WorkTime(self.scheme)

    def ends(self, reports: Reports) -> np.ndarray[Any, np.dtype[np.int64]]:
        """When a case of each report would be closed."""
        at_us, happens = self._course(reports)
        return np.where(happens[:, -1], at_us[:, -1], NEVER_US)

    def events(self, reports: Reports) -> Events:
        """All that happens to a case of each report."""
        at_us, happens = self._course(reports)
        step_due_us = np.full(at_us.shape, UNSAID_US)
        due_us = np.full(at_us.shape, UNSAID_US)
        for column, (kind, *_) in enumerate(_COURSE):
            if kind in {EventKind.DISPATCHED, EventKind.FAILED_VERIFICATION}:
                rows = np.flatnonzero(happens[:, column])
                step_due_us[rows, column] = self._step_due(reports, rows, at_us[rows, column])
        self._put_off(reports, at_us, happens, step_due_us, due_us)
        report, column = np.nonzero(happens)
        kinds = [KINDS.index(kind) for kind, *_ in _COURSE]
        states = [STATES.index(state) for _, state, *_ in _COURSE]
        reasons = tuple(dict.fromkeys(reason for *_, reason in _COURSE if reason))
        reason = [reasons.index(why) if why else -1 for *_, why in _COURSE]
        told = np.array(kinds, np.int32)[column]
        return Events(
            report=report,
            at_us=at_us[happens],
            kind=told,
            state=np.array(states, np.int32)[column],
            by_holder=np.isin(
                told, [KINDS.index(EventKind.RETURNED), KINDS.index(EventKind.HANDLED)]
            ),
            to_holder=told == KINDS.index(EventKind.DISPATCHED),
            reason=np.array(reason, np.int32)[column],
            step_due_us=step_due_us[happens],
            due_us=due_us[happens],
            reasons=reasons,
        )

    def _course(self, reports: Reports) -> tuple[np.ndarray, np.ndarray]:
        """Draw when each step of `_COURSE` comes, and whether it does."""
        # A place among all reports, so that each part of them is drawn alike however often.
        rng = np.random.default_rng([self.seed, 1, reports.first])
        count = len(reports.at_us)
        happens = np.zeros((count, len(_COURSE)), bool)
        hours = np.zeros((count, len(_COURSE)))
        usual = hours_by_category()
        takes = np.array([*(usual.get(code, 8.0) for code in reports.categories), 8.0])
        for column, (_, _, share, after, _) in enumerate(_COURSE):
            happens[:, column] = rng.random(count) < share
            if column in _ONLY_AFTER:
                happens[:, column] &= happens[:, _ONLY_AFTER[column]]
            mean = takes[reports.kind] if after is None else after
            hours[:, column] = mean * rng.lognormal(0, _SPREAD, count)
        gaps_us = (np.where(happens, hours, 0) * _HOUR_US).astype(np.int64)
        at_us = reports.at_us[:, None] + gaps_us.cumsum(axis=1)
        return at_us, happens & (at_us <= _UNTIL_US)

    def _step_due(
        self, reports: Reports, rows: np.ndarray, since_us: np.ndarray, pauses: Pauses | None = None
    ) -> np.ndarray:
        limits = [step_limit(self.scheme, code, 1) for code in (*reports.categories, None)]
        return self._due(limits, reports.kind[rows], since_us, pauses)

    def _due(
        self,
        limits: list[Limit | None],
        kind: np.ndarray,
        since_us: np.ndarray,
        pauses: Pauses | None,
    ) -> np.ndarray:
        """Find when limits are used up; `kind` -1 takes the last of them."""
        due_us = np.full(len(since_us), NEVER_US)
        limited = np.array([limit is not None for limit in limits])[kind]
        # The shortest limit stands in where there is none; its end is not used.
        stand_in = Limit(1)
        if limited.any():
            found = self._worktime.add_many(
                since_us.astype("datetime64[us]"),
                [limits[number] or stand_in for number in kind],
                pauses,
            )
            due_us[limited] = found.astype(np.int64)[limited]
        return due_us

    def _put_off(
        self,
        reports: Reports,
        at_us: np.ndarray,
        happens: np.ndarray,
        step_due_us: np.ndarray,
        due_us: np.ndarray,
    ) -> None:
        """Put off the ends of cases that come back from the stock pool."""
        rows = np.flatnonzero(happens[:, _RESUMED])
        pauses = Pauses(
            np.arange(len(rows)),
            at_us[rows, _SUSPENDED].astype("datetime64[us]"),
            at_us[rows, _RESUMED].astype("datetime64[us]"),
        )
        # The step runs since the last dispatch.
        since_us = at_us[rows, _DISPATCHED_LAST]
        step_due_us[rows, _RESUMED] = self._step_due(reports, rows, since_us, pauses)
        limits = [self.scheme.limit(Stage.CLOSE, code) for code in (*reports.categories, None)]
        due_us[rows, _RESUMED] = self._due(limits, reports.kind[rows], reports.at_us[rows], pauses)
