"""A report near an open case of its own class, soon after it was opened, may be one more of it."""

import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from gridsvc.db import sql
from gridsvc.grids.case_rules import DuplicateRule
from gridsvc.grids.schemes import Scheme


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


@dataclass(frozen=True, slots=True)
class Suspect:
    """A stored report that may be one more of a case.

    Attributes:
        report_id: Of the report.
        category: Class code.
        received_at: When it came in.
        own: Its own case, which is left out; None before it has one.
    """

    report_id: uuid.UUID
    category: str | None
    received_at: datetime | None
    own: int | None = None


def likely_duplicates(
    session: Session, scheme: Scheme, suspects: Iterable[Suspect]
) -> dict[uuid.UUID, tuple[Duplicate, ...]]:
    """Find the open cases of reports' classes within the reach that the scheme sets for them.

    The distance and the end of the window are within reach. A report without a category, a point
    or a time is like no other.

    Args:
        session: Any.
        scheme: Whose `[[duplicates]]` count.
        suspects: As stored.

    Returns:
        By report; nearest first, of equally near ones the oldest first. Reports that are like no
        other are absent.
    """
    received: dict[uuid.UUID, datetime] = {}
    within_m, since, own = [], [], []
    rules: dict[str | None, DuplicateRule | None] = {}
    for suspect in suspects:
        if suspect.category not in rules:
            rules[suspect.category] = scheme.duplicate_rule(suspect.category)
        rule = rules[suspect.category]
        if rule is None or suspect.category is None or suspect.received_at is None:
            continue
        received[suspect.report_id] = suspect.received_at
        within_m.append(rule.within_m)
        since.append(suspect.received_at - rule.window)
        own.append(suspect.own)
    if not received:
        return {}
    rows = session.execute(
        sql("gridsvc.reports", "likely_duplicates"),
        {"report_ids": list(received), "within_m": within_m, "since": since, "own": own},
    )
    found: defaultdict[uuid.UUID, list[Duplicate]] = defaultdict(list)
    for row in rows:
        found[row.of_report].append(
            Duplicate(
                case_id=row.case_id,
                report_id=row.report_id,
                distance_m=row.distance_m,
                opened_at=row.opened_at,
                age_s=(received[row.of_report] - row.opened_at).total_seconds(),
                category=row.category,
            )
        )
    return {report_id: tuple(duplicates) for report_id, duplicates in found.items()}
