"""A case that is not solved climbs: by itself when a step's time is up, at once on "no effect".

Who holds the next step is asked as of the moment of the climb, so that a hand-over counts; a step
that nobody holds is skipped, and the log says so. On the last step there is nowhere to climb.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy.orm import Session

from gridsvc.crs import WGS84, convert, parse_crs
from gridsvc.errors import GridsvcError, UnknownCategory
from gridsvc.grids.case_rules import Stage
from gridsvc.grids.component_rules import TierCode
from gridsvc.grids.limits import Limit
from gridsvc.grids.schemes import Scheme
from gridsvc.grids.worktime import Span, WorkTime
from gridsvc.reports.models import Report
from gridsvc.routing.router import Question, answer, tier_holder

Reason = Literal["timeout", "no_effect"]


def step_limit(scheme: Scheme, category: str | None, step: int) -> Limit | None:
    """Find how long a step has before the case climbs on; None on the last one.

    A limit of the category for handling takes the place of the first step's own.
    """
    chain = scheme.escalation
    if step >= len(chain):
        return None
    own = chain[max(step, 1) - 1].within
    return (scheme.limit(Stage.HANDLE, category) or own) if step <= 1 else own


def on_step(
    scheme: Scheme,
    category: str | None,
    step: int,
    *,
    since: datetime,
    pauses: Sequence[Span] = (),
) -> dict[str, Any]:
    """Say, as an event's details, that a case is on a step and when it climbs on."""
    limit = step_limit(scheme, category, step)
    return {
        "step": step,
        "within": limit and str(limit),
        "due_at": limit and WorkTime(scheme).add(since, limit, pauses).isoformat(),
    }


@dataclass(frozen=True, slots=True)
class Climb:
    """Where a case goes from the step that it is on.

    Attributes:
        to_party: Code of who gets it; None where no further step is held by anyone.
        details: Of the event: step, within, due_at, cause, skipped (steps that nobody holds) and,
            where it stays with whom it was, exhausted.
    """

    to_party: str | None
    details: dict[str, Any]


def next_step(  # noqa: PLR0913 -- a case's place, and the moment
    session: Session,
    scheme: Scheme,
    first: Report,
    *,
    step: int,
    now: datetime,
    cause: Reason,
) -> Climb:
    """Find the next step that somebody holds now.

    Args:
        session: Reads only.
        scheme: In force.
        first: The case's first report: its point and category are asked for.
        step: The one that it is on.
        now: As of when.
        cause: Why it climbs.
    """
    skipped: list[int] = []
    for rung in _chain(session, scheme, first, now):
        if rung["step"] <= step:
            continue
        if rung["party"] is None:
            skipped.append(rung["step"])
            continue
        told = on_step(scheme, first.category, rung["step"], since=now)
        return Climb(rung["party"]["code"], told | {"cause": cause, "skipped": skipped})
    return Climb(
        None,
        {"step": step, "within": None, "due_at": None}
        | {"cause": cause, "skipped": skipped, "exhausted": True},
    )


def hard_tier(session: Session, scheme: Scheme, first: Report, *, now: datetime) -> str | None:
    """Find who takes hard problems at a case's place now; None without the tier, or a holder."""
    tier = scheme.tier(TierCode.HARD)
    question = _question(scheme, first, now)
    if tier is None or question is None:
        return None
    try:
        return tier_holder(session, tier, question)
    except GridsvcError:
        return None


def _question(scheme: Scheme, first: Report, now: datetime) -> Question | None:
    """Ask at a report's converted point: what it was told in may mean another place today."""
    if first.lon is None or first.lat is None:
        return None
    crs = parse_crs(scheme.input_crs[0])
    x, y = convert(first.lon, first.lat, source=WGS84, target=crs)
    return Question(x=float(x), y=float(y), crs=crs.name, at=now, category=first.category)


def _chain(session: Session, scheme: Scheme, first: Report, now: datetime) -> list[dict[str, Any]]:
    question = _question(scheme, first, now)
    if question is None:
        return []
    steps: list[dict[str, Any]]
    try:
        try:
            steps = answer(session, question)["escalation"]
        except UnknownCategory:
            # It was in use when the report came in; whoever is general answers for it now.
            steps = answer(session, replace(question, category=None))["escalation"]
    except GridsvcError:
        # The city has changed so that nobody answers there any more: no step is held.
        return []
    return sorted(steps, key=lambda one: one["step"])
