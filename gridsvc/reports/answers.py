"""The answers kept with reports: which one holds, and whom and what it names.

Reports of one kind keep whole Answers, those of files codes alone; here they have one shape.
"""

import uuid
from collections.abc import Collection
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from gridsvc.reports.models import ReportAnswer


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


def last_answers(session: Session, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, ReportAnswer]:
    """Read, of each report, the answer that holds now."""
    rows = session.scalars(
        select(ReportAnswer).where(ReportAnswer.report_id.in_(ids)).order_by(ReportAnswer.number)
    )
    # Of each report the last one stays.
    return {row.report_id: row for row in rows}
