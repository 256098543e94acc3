"""Reports are asked again on the newest state, and a new answer stands beside the old ones.

An answer as of the report's own time would never change: that is what the service said then. An
answer as of now would change with every shift. So each is asked as of its own hour of the week,
the next time that it comes round.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from gridsvc.grids.scheme_store import current_scheme
from gridsvc.reports.intake import judge
from gridsvc.reports.models import Report, ReportAnswer
from gridsvc.reports.terms import Cause
from gridsvc.routing.router import Question, answer_many

CHUNK_REPORTS = 500

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
    session: Session, *, since: datetime, progress: Callable[[int], None] | None = None
) -> Rerouted:
    """Ask again every report received since an instant, as of the next time its hour comes.

    Where areas and people are the same as in the report's last answer, nothing is stored.

    Args:
        session: Its caller commits; what it holds is let go, for memory's sake.
        since: Aware.
        progress: Told the number of reports each time some are done.

    Raises:
        NothingPublished: there is no revision.
        NothingLoaded: the database has no scheme.
    """
    # Two at once would both see the same last answers.
    session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    now = datetime.now(UTC)
    zone = current_scheme(session).zone
    done = Rerouted()
    after: uuid.UUID | None = None
    while reports := _chunk(session, since, after):
        last = _last_answers(session, [report.id for report in reports])
        done.revision, answers = answer_many(
            session, [_question(report, now, zone) for report in reports]
        )
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
                done.changed += 1
        session.flush()
        session.expunge_all()
        done.asked += len(reports)
        after = reports[-1].id
        if progress:
            progress(len(reports))
    return done


def codes(answer: dict[str, Any] | None) -> dict[str, Any] | None:
    """Give the areas and parties of an answer, whole or from a file, in one shape."""
    if answer is None or "enforcement_lead" in answer:
        return answer and {key: answer[key] for key in answer if key != "edge_m"}
    pair = answer["enforcement"] or {}
    return {
        "areas": {layer: area["code"] for layer, area in answer["areas"].items()},
        "responsible": _party(answer["responsible"]),
        "management": _party(answer["management"]),
        "enforcement_lead": _party(pair.get("lead")),
        "enforcement_assistant": _party(pair.get("assistant")),
        "supervisor": _party(answer["supervisor"]),
    }


def _party(holder: dict[str, Any] | None) -> str | None:
    return holder["party"]["code"] if holder else None


def _chunk(session: Session, since: datetime, after: uuid.UUID | None) -> list[Report]:
    wanted = select(Report).where(Report.received_at >= since)
    if after is not None:
        wanted = wanted.where(Report.id > after)
    return list(session.scalars(wanted.order_by(Report.id).limit(CHUNK_REPORTS)))


def _last_answers(session: Session, ids: list[uuid.UUID]) -> dict[uuid.UUID, ReportAnswer]:
    rows = session.scalars(
        select(ReportAnswer).where(ReportAnswer.report_id.in_(ids)).order_by(ReportAnswer.number)
    )
    # Of each report the last one stays.
    return {row.report_id: row for row in rows}


def next_same_hour(at: datetime, *, now: datetime, zone: ZoneInfo) -> datetime:
    """Give the first instant from now on at the local weekday and time of another."""
    local, today = at.astimezone(zone), now.astimezone(zone).date()
    day = today + timedelta(days=(local.weekday() - today.weekday()) % 7)
    found = datetime.combine(day, local.time(), zone)
    if found < now:
        found = datetime.combine(day + timedelta(days=7), local.time(), zone)
    return found.astimezone(UTC)


def _question(report: Report, now: datetime, zone: ZoneInfo) -> Question:
    received_at = report.received_at
    assert received_at is not None  # noqa: S101  the reports were chosen by it
    return Question(
        x=float("nan") if report.x is None else report.x,
        y=float("nan") if report.y is None else report.y,
        crs=report.crs,
        at=next_same_hour(received_at, now=now, zone=zone),
        category=report.category,
        accuracy_m=report.accuracy_m,
    )
