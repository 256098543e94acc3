"""Who is away: a file of absences becomes a draft change set; absences as they held, by page.

A row that is live already changes nothing; one that differs from a live absence of the same party
and beginning replaces it (that is how one comes back early); any other is new. Nothing ends
because a file does not mention it.
"""

from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from sqlalchemy import ColumnElement, null, select, text
from sqlalchemy.orm import Session

from gridsvc.db import run_sql, sql
from gridsvc.errors import RowsRefused
from gridsvc.grids.areas import Moment, Page, begin, in_force
from gridsvc.grids.assignments import PartyRow, party_columns
from gridsvc.grids.models import Absence, ChangeSet, Party
from gridsvc.grids.people_files import AbsenceFile
from gridsvc.grids.schemes import Scheme
from gridsvc.grids.table_imports import TableReport, report_import

ABSENCE_COLUMNS = ("line", "party_code", "valid_from", "valid_to", "reason")


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsentParty:
    """A party being away.

    Attributes:
        id: Of this version.
        party: Who.
        valid_from: Since when; None for always.
        valid_to: Until when, exclusive; None for open.
        reason: None where there is none, or where the caller may not see it.
    """

    id: int
    party: PartyRow
    valid_from: datetime | None
    valid_to: datetime | None
    reason: str | None


def import_absences(
    session: Session, scheme: Scheme, file: AbsenceFile, *, change_set: ChangeSet
) -> TableReport:
    """Propose a file's absences in a change set.

    Nothing is published. A dry run is the same call in a transaction that is rolled back.

    Raises:
        RowsRefused: a party is unknown.
    """
    connection = session.connection()
    connection.execute(
        text("DROP TABLE IF EXISTS pg_temp.incoming_absence, pg_temp.absence_difference")
    )
    run_sql(session, "gridsvc.grids", "incoming_absences")
    cursor = connection.connection.cursor()
    columns = ", ".join(ABSENCE_COLUMNS)
    with cursor.copy(f"COPY pg_temp.incoming_absence ({columns}) FROM STDIN") as copy:
        for row in file.absences:
            copy.write_row([getattr(row, column) for column in ABSENCE_COLUMNS])
    _refuse_unknown_parties(session, file, change_set)
    run_sql(session, "gridsvc.grids", "import_absences", change_set=change_set.id)
    return report_import(
        session,
        scheme,
        file.source,
        change_set=change_set,
        differences={"absences": "absence_difference"},
    )


def _refuse_unknown_parties(session: Session, file: AbsenceFile, change_set: ChangeSet) -> None:
    unknown = session.execute(
        sql("gridsvc.grids", "unknown_parties"), {"change_set": change_set.id}
    ).all()
    if not unknown:
        return
    known = list(session.scalars(select(Party.code)))
    faults = []
    for line, code in unknown:
        close = get_close_matches(code, known, n=1)
        remedy = f"did you mean {close[0]}?" if close else "import the people first"
        faults.append(f"line {line}: no party has the code {code!r}; {remedy}")
    raise RowsRefused(file.source, faults=tuple(faults))


def list_absences(  # noqa: PLR0913  each narrows the list
    session: Session,
    *,
    now: Moment,
    reveal: bool,
    limit: int,
    party: str | None = None,
    after: int | None = None,
) -> Page[AbsentParty]:
    """Give a page of those who are away at a moment, in the order of publication.

    Args:
        session: Any.
        now: The moment asked.
        reveal: Give names, phones and reasons in full; the caller logs such a read.
        limit: The most rows of a page.
        party: Only of this party code.
        after: `Page.after` of the page before.
    """
    reason: ColumnElement[Any] = Absence.reason if reveal else null()  # type: ignore[assignment]
    question = (
        select(
            Absence.id,
            begin(Absence.valid_from),
            Absence.valid_to,
            reason,
            *party_columns(reveal=reveal),
        )
        .join(Party, Party.code == Absence.party_code)
        .where(*in_force(Absence, now))
        .order_by(Absence.id)
        .limit(limit + 1)
    )
    if party is not None:
        question = question.where(Absence.party_code == party)
    if after is not None:
        question = question.where(Absence.id > after)
    rows = tuple(_absent(*row) for row in session.execute(question))
    return Page(rows[:limit], str(rows[limit - 1].id) if len(rows) > limit else None)


def _absent(*row: Any) -> AbsentParty:  # noqa: ANN401  a row has many types
    number, begin_at, end_at, reason, code, name, phone, kind = row
    return AbsentParty(
        id=number,
        party=PartyRow(code=code, name=name, phone=phone, kind=kind),
        valid_from=begin_at,
        valid_to=end_at,
        reason=reason,
    )
