"""Reports are asked again on the newest state, and a new answer stands beside the old ones.

An answer as of the report's own time would never change: that is what the service said then. An
answer as of now would change with every shift. So each is asked as of its own hour of the week,
the next time that it comes round.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from gridsvc.db import sql
from gridsvc.reports.answers import codes, last_answers
from gridsvc.reports.history import marks_of
from gridsvc.reports.intake import judge
from gridsvc.reports.models import Report, ReportAnswer
from gridsvc.reports.terms import Cause
from gridsvc.routing.admission import Columns, Ints, text_cells
from gridsvc.routing.batches import BatchRouter, Grounds
from gridsvc.routing.bulk import BATCH_ROWS
from gridsvc.routing.city import City
from gridsvc.routing.router import STATEMENT_POINTS, Question, answer_many

_LOCK = 0x7265726F  # "rero"


@dataclass(slots=True)
class Rerouted:
    """What became of the reports that were asked again.

    Attributes:
        asked: All of them.
        changed: Those that somebody else answers for now, or lie elsewhere; they have a new answer.
        revision: The newest one, which answered.
    """

    asked: int = 0
    changed: int = 0
    revision: int = 0


def reroute(
    session: Session,
    engine: Engine,
    *,
    since: datetime,
    progress: Callable[[int], None] | None = None,
) -> Rerouted:
    """Ask again every report received since an instant, as of the next time its hour comes.

    All are asked in bulk, and those whose areas or people are others than in their last answer
    once more for a whole Answer; where they are the same, nothing is stored.

    Args:
        session: Its caller commits; what it holds is let go, for memory's sake.
        engine: Reads, and makes temporary tables.
        since: Aware.
        progress: Told the number of reports each time some are done.

    Raises:
        NothingPublished: there is no revision.
        NothingLoaded: the database has no scheme.
    """
    # Two at once would both see the same last answers.
    session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    city = City.load(engine)
    router = BatchRouter(Grounds(engine), city, _COLUMNS, with_edges=False)
    now = datetime.now(UTC)
    done = Rerouted(revision=int(city.revisions[-1]))
    parameters = {"since": since, "layers": [layer.code for layer in city.scheme.layers]}
    after: uuid.UUID | None = None
    while rows := session.execute(
        sql("gridsvc.reports", "last_answers"),
        {**parameters, "after": after, "limit": BATCH_ROWS},
    ).all():
        zone = city.scheme.zone
        asked_at = [next_same_hour(row.received_at, now=now, zone=zone) for row in rows]
        moved = _moved(router, rows, asked_at)
        for start in range(0, len(moved), STATEMENT_POINTS):
            numbers = moved[start : start + STATEMENT_POINTS].tolist()
            done.changed += _answer_again(
                session, {rows[n].id: asked_at[n] for n in numbers}, now=now
            )
        done.asked += len(rows)
        after = rows[-1].id
        if progress:
            progress(len(rows))
    return done


_COLUMNS = Columns(lon="x", lat="y", crs=None, crs_column="crs", category="category", at="asked_at")


def _moved(router: BatchRouter, rows: Sequence[Any], asked_at: list[datetime]) -> Ints:
    """Find the reports that are answered otherwise than last time."""
    routed = router.route(
        pa.record_batch(
            {
                "x": pa.array([row.x for row in rows], pa.float64()),
                "y": pa.array([row.y for row in rows], pa.float64()),
                "crs": pa.array([row.crs for row in rows], pa.string()),
                "category": pa.array([row.category for row in rows], pa.string()),
                "asked_at": pa.array(asked_at, pa.timestamp("us", "UTC")),
            }
        )
    )
    *codes, _edge_m, _reason = routed.added
    told = pc.binary_join_element_wise(
        *(text_cells(column).fill_null("") for column in codes), "\x1f"
    )
    marks = marks_of(routed.asked.reasons)
    same = pc.and_(
        pc.equal(marks, pa.array([row.mark for row in rows], pa.string())),
        pc.equal(told, pa.array([row.told for row in rows], pa.string())),
    )
    return np.flatnonzero(~same.to_numpy(zero_copy_only=False))


def _answer_again(
    session: Session, asked_at: Mapping[uuid.UUID, datetime], *, now: datetime
) -> int:
    """Store whole Answers beside those that they differ from; gives how many."""
    ids = list(asked_at)
    reports = session.scalars(select(Report).where(Report.id.in_(ids))).all()
    last = last_answers(session, ids)
    _, answers = answer_many(
        session, [_question(report, asked_at[report.id]) for report in reports]
    )
    changed = 0
    for report, told in zip(reports, answers, strict=True):
        given, before = judge(told), last[report.id]
        if (given["mark"], codes(given["answer"])) != (before.mark, codes(before.answer)):
            session.add(
                ReportAnswer(
                    report_id=report.id,
                    number=before.number + 1,
                    cause=Cause.REROUTE.value,
                    answered_at=now,
                    **given,
                )
            )
            changed += 1
    session.flush()
    session.expunge_all()
    return changed


def next_same_hour(at: datetime, *, now: datetime, zone: ZoneInfo) -> datetime:
    """Give the first instant from now on at the local weekday and time of another."""
    local, today = at.astimezone(zone), now.astimezone(zone).date()
    day = today + timedelta(days=(local.weekday() - today.weekday()) % 7)
    found = datetime.combine(day, local.time(), zone)
    if found < now:
        found = datetime.combine(day + timedelta(days=7), local.time(), zone)
    return found.astimezone(UTC)


def _question(report: Report, at: datetime) -> Question:
    return Question(
        x=float("nan") if report.x is None else report.x,
        y=float("nan") if report.y is None else report.y,
        crs=report.crs,
        at=at,
        category=report.category,
        accuracy_m=report.accuracy_m,
    )
