"""How reports stand: what whoever filed one may know of where it has come to."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from gridsvc.db import sql
from gridsvc.errors import UnknownReport
from gridsvc.reports.terms import CaseState

LONGEST_SPAN = timedelta(days=90)
MOST = 1000
"""Reports told at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A report and what has become of it.

    Attributes:
        id: The report's.
        category: Class code, as given.
        description: In the reporter's words.
        lon: EPSG:4326, degrees; None with `lat` where the coordinates are no place.
        lat: Likewise.
        photo_urls: As given.
        received_at: When it came in; None where a file's time could not be read.
        areas: By layer, as it was last answered: `{"code", "name"}`, of an imported report the
            code alone; None where it has no answer.
        management: Name of the management body, or a person's, masked.
        closed: Whether its case is closed or left the flow; of an imported one, whether it ended.
        state: Of its case; None where it has none.
        due_at: By when the case should be closed.
        reason: Why it has no answer, is suspended or is not ours.
        updated_at: When that last changed; of a closed case, when it was closed.
    """

    id: uuid.UUID
    category: str | None
    description: str | None
    lon: float | None
    lat: float | None
    photo_urls: list[str]
    received_at: datetime | None
    areas: dict[str, Any] | None
    management: str | None
    closed: bool
    state: CaseState | None
    due_at: datetime | None
    reason: str | None
    updated_at: datetime


def list_standings(  # noqa: PLR0913  each narrows the list
    session: Session,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    services: Collection[str] = (),
    closed: bool | None = None,
    most: int = MOST,
) -> list[Standing]:
    """Give the newest reports of a time.

    Args:
        session: Reads only.
        since: Received from then on; `LONGEST_SPAN` before the end where left out.
        until: Received until the end of that second, for times are told to the second;
            `LONGEST_SPAN` after `since` where left out, and now where both are.
        services: Class codes; empty is all.
        closed: Only ended ones, or only others.
        most: How many.
    """
    if until is None:
        now = session.scalars(select(func.now())).one()
        until = now if since is None else since + LONGEST_SPAN
    return _read(
        session,
        since=since or until - LONGEST_SPAN,
        before=until.replace(microsecond=0) + timedelta(seconds=1),
        services=sorted(services) or None,
        closed=closed,
        most=most,
    )


def find_standings(session: Session, report_ids: Collection[str]) -> list[Standing]:
    """Give the reports of these ids, the newest first; there need not be any."""
    return _read(session, ids=[wanted for text in report_ids if (wanted := _id(text))])


def find_standing(session: Session, report_id: str) -> Standing:
    """Give the report of an id.

    Raises:
        UnknownReport: there is none.
    """
    for standing in find_standings(session, [report_id]):
        return standing
    raise UnknownReport(report_id)


def _id(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _read(session: Session, **chosen: object) -> list[Standing]:
    nothing = dict.fromkeys(("ids", "since", "before", "services", "closed"))
    rows = session.execute(
        sql("gridsvc.reports", "standings"), nothing | {"most": MOST} | chosen
    ).mappings()
    return [Standing(**{**row, "state": row["state"] and CaseState(row["state"])}) for row in rows]
