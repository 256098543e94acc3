"""A file of people becomes a draft change set, checked like any other.

A row says that a party holds a duty for a period. A row that is live already changes nothing;
one that differs from a live one only in its role or its end replaces it (that is how a hand-over
ends the one who leaves); any other is new. Nothing ends because a file does not mention it.
"""

from sqlalchemy import text
from sqlalchemy.orm import Session

from gridsvc.db import run_sql
from gridsvc.errors import RowsRefused
from gridsvc.grids import models
from gridsvc.grids.people_files import PeopleFile
from gridsvc.grids.schemes import Scheme
from gridsvc.grids.table_imports import TableReport, report_import
from gridsvc.grids.weekhours import week_hours_to_range

PARTY_COLUMNS = ("code", "name", "kind", "phone")
ASSIGNMENT_COLUMNS = (
    "party_code",
    "layer",
    "area_code",
    "duty",
    "role",
    "rank",
    "category",
    "hours",
    "valid_from",
    "valid_to",
)


def import_people(
    session: Session, scheme: Scheme, file: PeopleFile, *, change_set: models.ChangeSet
) -> TableReport:
    """Propose a file's parties and assignments in a change set and check what would result.

    Nothing is published. A dry run is the same call in a transaction that is rolled back.

    Raises:
        RowsRefused: a row without a start ends before it would begin.
    """
    connection = session.connection()
    connection.execute(
        text(
            "DROP TABLE IF EXISTS pg_temp.incoming_party, pg_temp.incoming_assignment,"
            " pg_temp.party_difference, pg_temp.assignment_difference"
        )
    )
    run_sql(session, "gridsvc.grids", "incoming_people")
    cursor = connection.connection.cursor()
    with cursor.copy(
        f"COPY pg_temp.incoming_party ({', '.join(PARTY_COLUMNS)}) FROM STDIN"
    ) as copy:
        for party in file.parties:
            copy.write_row([getattr(party, column) for column in PARTY_COLUMNS])
    with cursor.copy(
        f"COPY pg_temp.incoming_assignment (line, {', '.join(ASSIGNMENT_COLUMNS)}) FROM STDIN"
    ) as copy:
        for row in file.assignments:
            cells = [getattr(row, column) for column in ASSIGNMENT_COLUMNS]
            cells[ASSIGNMENT_COLUMNS.index("duty")] = row.duty.value
            cells[ASSIGNMENT_COLUMNS.index("hours")] = week_hours_to_range(row.hours)
            copy.write_row([row.line, *cells])
    run_sql(session, "gridsvc.grids", "import_people", change_set=change_set.id)
    _refuse_backward_periods(session, file)
    return report_import(
        session,
        scheme,
        file.source,
        change_set=change_set,
        differences={"parties": "party_difference", "assignments": "assignment_difference"},
    )


def _refuse_backward_periods(session: Session, file: PeopleFile) -> None:
    backward = session.execute(
        text(
            "SELECT DISTINCT line, valid_to FROM pg_temp.assignment_difference"
            " WHERE valid_to <= coalesce(valid_from, began, now()) ORDER BY line"
        )
    ).all()
    if backward:
        raise RowsRefused(
            file.source,
            faults=tuple(
                f"line {row.line}: valid_to {row.valid_to.isoformat()} is over, valid_from is "
                "empty and nothing live would end; give valid_from"
                for row in backward
            ),
        )
