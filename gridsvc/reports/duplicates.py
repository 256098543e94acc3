"""A report near an open case of its own class, soon after it was opened, may be one more of it."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from gridsvc.db import sql
from gridsvc.grids.schemes import Scheme
from gridsvc.reports.models import Report


@dataclass(frozen=True, slots=True)
class Duplicate:
    """An open case that a report is likely one more of.

    Attributes:
        case_id: Of the case.
        report_id: Its first report.
        distance_m: From the case's point to the report's.
        opened_at: When the case's first report came in.
        age_s: Seconds from then until the report came in.
        category: Of both.
    """

    case_id: int
    report_id: uuid.UUID
    distance_m: float
    opened_at: datetime
    age_s: float
    category: str


def likely_duplicates(
    session: Session, scheme: Scheme, report: Report, *, own: int | None = None
) -> tuple[Duplicate, ...]:
    """Find the open cases of a report's class within the reach that the scheme sets for it.

    The distance and the end of the window are within reach. A report without a category, a point
    or a time is like no other.

    Args:
        session: Any.
        scheme: Whose `[[duplicates]]` count.
        report: As stored.
        own: Its own case, which is left out.

    Returns:
        Nearest first, of equally near ones the oldest first.
    """
    rule = scheme.duplicate_rule(report.category)
    received_at = report.received_at
    if rule is None or report.category is None or received_at is None:
        return ()
    rows = session.execute(
        sql("gridsvc.reports", "likely_duplicates"),
        {
            "report_id": report.id,
            "within_m": rule.within_m,
            "since": received_at - rule.window,
            "own": own,
        },
    )
    return tuple(
        Duplicate(
            case_id=row.case_id,
            report_id=row.report_id,
            distance_m=row.distance_m,
            opened_at=row.opened_at,
            age_s=(received_at - row.opened_at).total_seconds(),
            category=row.category,
        )
        for row in rows
    )
