"""What an import of a flat table does, counted in its work tables and checked in its change set."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Text, column, func, select, table
from sqlalchemy.orm import Session

from gridsvc.grids.models import ChangeSet
from gridsvc.grids.schemes import Scheme
from gridsvc.grids.validation import Finding, check

CHANGES = ("added", "changed", "unchanged")


@dataclass(slots=True)
class TableReport:
    """What an import would do, or did once the caller commits.

    Attributes:
        source: The file's name.
        changes: By what is imported: how many are added, changed, unchanged.
        findings: What is wrong with the change set, stops first.
    """

    source: str
    changes: dict[str, dict[str, int]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def stopped(self) -> bool:
        """Whether anything found stops a publish."""
        return any(finding.stops for finding in self.findings)


def report_import(
    session: Session,
    scheme: Scheme,
    source: str,
    *,
    change_set: ChangeSet,
    differences: Mapping[str, str],
) -> TableReport:
    """Count what an import has proposed, and check the change set.

    Args:
        session: That of the import.
        scheme: In force.
        source: The file's name.
        change_set: Has the edits.
        differences: By what is imported, the temporary table whose column `change` tells.
    """
    report = TableReport(source)
    for noun, difference in differences.items():
        counted = select(column("change", Text()), func.count().label("number")).select_from(
            table(difference, schema="pg_temp")
        )
        counts = dict.fromkeys(CHANGES, 0)
        rows = session.execute(counted.group_by(column("change")))
        counts.update((row.change, row.number) for row in rows)
        report.changes[noun] = counts
    report.findings = check(session, scheme, change_set=change_set)
    return report
