"""An import ends in one of five ways, and people are told which; shared by areas and people."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Protocol

import typer
from sqlalchemy.orm import Session

from gridsvc.cli import findings
from gridsvc.cli.commands import FAILED
from gridsvc.cli.console import console, emit, say, table
from gridsvc.errors import UnknownChangeSet
from gridsvc.grids.changesets import find_change_set, publish
from gridsvc.grids.table_imports import CHANGES, TableReport
from gridsvc.grids.validation import Finding

ChangeSetName = Annotated[
    str | None,
    typer.Option("--change-set", metavar="NAME", help="Keep the edits in this change set."),
]
Publish = Annotated[
    bool, typer.Option("--publish", help="Make it the next revision, unless findings stop it.")
]


class End(StrEnum):
    """How an import ended."""

    DRY_RUN = "dry_run"
    UNCHANGED = "unchanged"
    SAVED = "saved"
    PUBLISHED = "published"
    REFUSED = "refused"


class Report(Protocol):
    """What every import reports."""

    source: str
    findings: list[Finding]

    @property
    def stopped(self) -> bool:
        """Whether anything found stops a publish."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change set on its way in: the caller's own, or a nameless one for this import alone."""

    name: str
    named: bool
    exists: bool

    @staticmethod
    def begin(session: Session, name: str | None, *, source: str) -> "Proposal":
        """Choose the change set; a nameless one never meets another's edits."""
        if name is None:
            stamp = datetime.now(UTC).isoformat(timespec="microseconds")
            return Proposal(f"import {source} {stamp}", named=False, exists=False)
        try:
            find_change_set(session, name)
        except UnknownChangeSet:
            return Proposal(name, named=True, exists=False)
        return Proposal(name, named=True, exists=True)

    def settle(
        self, session: Session, report: Report, *, changes: int, publishes: bool
    ) -> tuple[End, int | None]:
        """Commit, publish or undo; gives how it ended and the new revision if it made one.

        Raises:
            ChangeSetError: what the change set held before stops it.
        """
        if not (self.named or publishes):
            session.rollback()
            return End.DRY_RUN, None
        if not (changes or self.exists):
            session.rollback()
            return End.REFUSED if report.stopped else End.UNCHANGED, None
        if not publishes:
            session.commit()
            return End.SAVED, None
        if report.stopped:
            session.rollback()
            return End.REFUSED, None
        # What was found concerns this import; earlier edits of the change set are checked too.
        published = publish(
            session,
            find_change_set(session, self.name),
            findings=None if self.exists else report.findings,
        )
        session.commit()
        return End.PUBLISHED, published.revision

    def tell(self, report: Report, end: End, revision: int | None) -> None:
        """Print the last line: what was changed and what to do next."""
        stops = sum(finding.stops for finding in report.findings)
        stopped = (
            "1 finding stops a publish" if stops == 1 else f"{stops:,} findings stop a publish"
        )
        mend = (
            "mend the file, import with --repair what it can mend, or let the scheme only report "
            "that kind of finding in the layer"
        )
        match end:
            case End.DRY_RUN if stops:
                say(f"Dry run: nothing was changed. {stopped}: {mend}.", style="red")
            case End.DRY_RUN:
                say(
                    "Dry run: nothing was changed. The same command with --publish makes it the "
                    "next revision; --change-set NAME keeps it as a proposal."
                )
            case End.UNCHANGED:
                say("The database holds exactly this already; nothing was changed.")
            case End.SAVED if stops:
                say(f"Kept in the change set {self.name}. {stopped}: {mend}.", style="red")
            case End.SAVED:
                say(f"Kept in the change set {self.name}. Next: gridsvc publish {self.name}")
            case End.PUBLISHED:
                say(f"Published as revision {revision}.", style="green")
            case End.REFUSED:
                say(f"Not published, nothing was changed. {stopped}: {mend}.", style="red")

    def conclude(
        self, session: Session, report: TableReport, *, publishes: bool, json: bool
    ) -> None:
        """Settle the import of a flat table and tell all of it.

        Raises:
            ChangeSetError: what the change set held before stops it.
            Exit: a finding stops a publish.
        """
        altered = sum(changes(counts) for counts in report.changes.values())
        end, revision = self.settle(session, report, changes=altered, publishes=publishes)
        if json:
            emit(
                {
                    "source": report.source,
                    "outcome": end.value,
                    "change_set": self.name if self.named else None,
                    "revision": revision,
                    **report.changes,
                    "findings": [findings.as_json(one) for one in report.findings],
                }
            )
        else:
            say(report.source)
            grid = table("", *CHANGES)
            for noun, counts in report.changes.items():
                grid.add_row(noun, *(f"{number:,}" for number in counts.values()))
            console().print(grid)
            findings.show(report.findings)
            self.tell(report, end, revision)
        if report.stopped:
            raise typer.Exit(FAILED)


def changes(counts: Mapping[str, int]) -> int:
    """Count what an import alters."""
    return sum(counts.get(change, 0) for change in ("added", "changed", "closed"))
