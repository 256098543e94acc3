"""Change sets: proposed, checked, published whole or withdrawn; the sole writer of areas."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from gridsvc.db import run_sql, sql
from gridsvc.errors import (
    ChangeSetConflict,
    ChangeSetError,
    ChangeSetRefused,
    UnknownChangeSet,
)
from gridsvc.grids import models
from gridsvc.grids.publishing_lock import lock_publishing
from gridsvc.grids.scheme_store import current_scheme
from gridsvc.grids.validation import Finding, check

PACKAGE = "gridsvc.grids"
OPEN_STATES = ("open", "checked")
CHANNEL = "gridsvc_revision"
"""Where each publish announces the number of its revision."""


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
            a new service does (sql/publish_revision.sql).

    Raises:
        ChangeSetConflict: something it replaces was replaced meanwhile.
        ChangeSetRefused: findings stop it.
        ChangeSetError: it proposes nothing, or is closed already.
    """
    lock_publishing(session)
    _require_open(session, change_set)
    conflicts = session.execute(
        sql(PACKAGE, "change_set_conflicts"), {"change_set": change_set.id}
    ).all()
    if conflicts:
        raise ChangeSetConflict(
            change_set.name,
            conflicts=tuple(
                f"{row.what} was changed by {row.author} in revision {row.revision} "
                f"at {row.published_at.isoformat(timespec='seconds')}"
                for row in conflicts
            ),
        )
    if findings is None or latest_revision(session) != change_set.base_revision:
        findings = check(session, current_scheme(session), change_set=change_set)
    if stopping := tuple(str(finding) for finding in findings if finding.stops):
        raise ChangeSetRefused(change_set.name, findings=stopping)
    if not _proposes_anything(session, change_set):
        raise ChangeSetError(
            f"The change set {change_set.name!r} proposes nothing",
            remedy="Withdraw it, or add edits to it",
        )
    revision: int = session.execute(
        sql(PACKAGE, "publish_revision"),
        {"change_set": change_set.id, "is_history": is_history},
    ).scalar_one()
    for name in ("publish_areas", "publish_people"):
        run_sql(session, PACKAGE, name, change_set=change_set.id, revision=revision)
    _close(session, change_set, "published")
    session.execute(select(func.pg_notify(CHANNEL, str(revision))))
    return Published(revision, tuple(findings))


def withdraw(session: Session, change_set: models.ChangeSet) -> None:
    """Give a change set up; its edits are kept for the record.

    Raises:
        ChangeSetError: it is closed already.
    """
    _require_open(session, change_set)
    _close(session, change_set, "withdrawn")


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
            remedy=f"Name a revision from 1 to {latest - 1}" if latest > 1 else "Publish first",
        )
    change_set = open_change_set(
        session, name=f"rollback-to-{revision}", note=f"back to revision {revision}"
    )
    run_sql(session, PACKAGE, "rollback_edits", change_set=change_set.id, revision=revision)
    return publish(session, change_set, is_history=False)


def _proposes_anything(session: Session, change_set: models.ChangeSet) -> bool:
    return any(
        session.scalar(
            select(edit.change_set_id).where(edit.change_set_id == change_set.id).limit(1)
        )
        for edit in (
            models.AreaEdit,
            models.AssignmentEdit,
            models.PartyEdit,
            models.AbsenceEdit,
            models.ComponentEdit,
        )
    )


def _require_open(session: Session, change_set: models.ChangeSet) -> None:
    # Another session may have closed it since it was read.
    session.refresh(change_set, with_for_update=True)
    if change_set.state not in OPEN_STATES:
        raise ChangeSetError(
            f"The change set {change_set.name!r} is {change_set.state} already",
            remedy="Open another",
        )


def _close(session: Session, change_set: models.ChangeSet, state: str) -> None:
    change_set.state = state
    change_set.closed_at = session.scalar(select(func.now()))
    session.flush()
