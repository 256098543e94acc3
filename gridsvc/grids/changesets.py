"""Change sets: proposed, checked, published whole or withdrawn; the sole writer of areas."""

from dataclasses import dataclass

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from gridsvc.errors import (
    ChangeSetConflict,
    ChangeSetError,
    ChangeSetRefused,
    UnknownChangeSet,
)
from gridsvc.grids import models
from gridsvc.grids.publishing_lock import lock_publishing
from gridsvc.grids.scheme_store import current_scheme
from gridsvc.grids.validation import FINDING_COLUMNS, Finding, read_findings

OPEN_STATES = ("open", "checked")
CHANNEL = "gridsvc_revision"
"""Where each publish (gridsvc.publish) announces the number of its revision."""


@dataclass(frozen=True, slots=True)
class Published:
    """What a publish did.

    Attributes:
        revision: Number of the new revision.
        findings: What was found and did not stop it.
    """

    revision: int
    findings: tuple[Finding, ...]


def latest_revision(session: Session) -> int:
    """Give the number of the newest revision; 0 before the first."""
    return session.scalar(select(func.max(models.Revision.number))) or 0


def open_change_set(session: Session, *, name: str, note: str = "") -> models.ChangeSet:
    """Open a change set on the newest revision, or go on with the open one of that name."""
    found = session.scalars(
        select(models.ChangeSet).where(
            models.ChangeSet.name == name, models.ChangeSet.state.in_(OPEN_STATES)
        )
    ).first()
    if found:
        # What is added is measured against the newest state.
        session.execute(select(func.gridsvc.rebase(found.id)))
        session.refresh(found)
        return found
    change_set = models.ChangeSet(name=name, note=note, base_revision=latest_revision(session))
    session.add(change_set)
    session.flush()
    return change_set


def find_change_set(session: Session, name: str) -> models.ChangeSet:
    """Find an open change set by its name.

    Raises:
        UnknownChangeSet: none is open by that name.
    """
    open_sets = session.scalars(
        select(models.ChangeSet)
        .where(models.ChangeSet.state.in_(OPEN_STATES))
        .order_by(models.ChangeSet.name)
    ).all()
    for change_set in open_sets:
        if change_set.name == name:
            return change_set
    raise UnknownChangeSet(name, open_names=tuple(item.name for item in open_sets))


def publish(
    session: Session,
    change_set: models.ChangeSet,
    *,
    findings: list[Finding] | None = None,
    is_history: bool = True,
) -> Published:
    """Make a change set the live state, whole or not at all.

    Args:
        session: The caller's transaction, READ COMMITTED; the caller commits.
        change_set: An open one.
        findings: What a check of this very change set found in this transaction; None checks.
        is_history: Whether it may answer for instants before its publication, as the history of
            a new service does (gridsvc.new_revision).

    Raises:
        ChangeSetConflict: something it replaces was replaced meanwhile.
        ChangeSetRefused: findings stop it.
        ChangeSetError: it proposes nothing, or is closed already.
    """
    session.flush()
    done = session.execute(
        text(f"""
            SELECT p.revision, p.refusal, f.*
            FROM gridsvc.publish(:change_set, :is_history, :is_checked) AS p
            LEFT JOIN LATERAL (SELECT {FINDING_COLUMNS} FROM unnest(p.findings)) AS f ON true
        """),  # noqa: S608 -- its own constant
        {
            "change_set": change_set.id,
            "is_history": is_history,
            "is_checked": findings is not None and not any(one.stops for one in findings),
        },
    ).all()
    session.refresh(change_set)
    found = read_findings((row for row in done if row.kind), current_scheme(session))
    match done[0].refusal:
        case None:
            return Published(done[0].revision, tuple(found or findings or ()))
        case "conflict":
            raise ChangeSetConflict(
                change_set.name, conflicts=tuple(finding.message for finding in found)
            )
        case "findings":
            stopping = tuple(str(finding) for finding in found if finding.stops)
            raise ChangeSetRefused(change_set.name, findings=stopping)
        case "empty":
            raise ChangeSetError(
                f"The change set {change_set.name!r} proposes nothing",
                remedy="Withdraw it, or add edits to it",
            )
    raise _closed(change_set)


def withdraw(session: Session, change_set: models.ChangeSet) -> None:
    """Give a change set up; its edits are kept for the record.

    Raises:
        ChangeSetError: it is closed already.
    """
    _require_open(session, change_set)
    change_set.state = "withdrawn"
    change_set.closed_at = session.scalar(select(func.now()))
    session.flush()


def rollback(session: Session, revision: int) -> Published:
    """Publish a new revision whose state is that of an earlier one.

    Raises:
        ChangeSetError: there is no such revision, or the live state is the same.
        ChangeSetRefused: what was right then is refused now.
    """
    lock_publishing(session)
    latest = latest_revision(session)
    if not 1 <= revision < latest:
        raise ChangeSetError(
            f"Revision {revision} cannot be rolled back to; the newest is {latest}",
            remedy=f"Name a revision from 1 to {latest - 1}"
            if latest > 1
            else "There is none before it",
        )
    change_set = open_change_set(
        session, name=f"rollback-to-{revision}", note=f"back to revision {revision}"
    )
    session.execute(select(func.gridsvc.propose_rollback(change_set.id, revision)))
    return publish(session, change_set, is_history=False)


def _require_open(session: Session, change_set: models.ChangeSet) -> None:
    # Another session may have closed it since it was read.
    session.refresh(change_set, with_for_update=True)
    if change_set.state not in OPEN_STATES:
        raise _closed(change_set)


def _closed(change_set: models.ChangeSet) -> ChangeSetError:
    return ChangeSetError(
        f"The change set {change_set.name!r} is {change_set.state} already",
        remedy="Open another",
    )
