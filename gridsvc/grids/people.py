"""A file of people becomes a draft change set, checked like any other.

A row says that a party holds a duty for a period. A row that is live already changes nothing;
one that differs from a live one only in its role or its end replaces it (that is how a hand-over
ends the one who leaves); any other is new. Nothing ends because a file does not mention it.
"""

from dataclasses import dataclass, field

from sqlalchemy import Text, column, func, select, table, text
from sqlalchemy.orm import Session

from gridsvc.db import run_sql
from gridsvc.errors import RowsRefused
from gridsvc.grids import models
from gridsvc.grids.people_files import PeopleFile
from gridsvc.grids.schemes import Scheme
from gridsvc.grids.validation import Finding, check
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


@dataclass(slots=True)
class PeopleReport:
    """What an import of people would do, or did once the caller commits.

    Attributes:
        source: The file's name.
        parties: Parties added, changed, unchanged.
        assignments: Assignments added, changed, unchanged.
        findings: What is wrong, stops first.
    """

    source: str
    parties: dict[str, int] = field(default_factory=dict)
    assignments: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def stopped(self) -> bool:
        """Whether anything found stops a publish."""
        return any(finding.stops for finding in self.findings)


def import_people(
    session: Session, scheme: Scheme, file: PeopleFile, *, change_set: models.ChangeSet
) -> PeopleReport:
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
    report = PeopleReport(file.source)
    for counts, noun in ((report.parties, "party"), (report.assignments, "assignment")):
        counts.update(dict.fromkeys(("added", "changed", "unchanged"), 0))
        counted = select(column("change", Text()), func.count().label("number")).select_from(
            table(f"{noun}_difference", schema="pg_temp")
        )
        rows = connection.execute(counted.group_by(column("change")))
        counts.update((row.change, row.number) for row in rows)
    report.findings = check(session, scheme, change_set=change_set)
    return report


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
