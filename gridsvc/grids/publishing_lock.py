"""One publisher at a time: what is checked is what is published."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session


def lock_publishing(session: Session) -> None:
    """Take the lock (gridsvc.lock_publishing) until the transaction ends.

    Its holder reads what was committed last.

    Raises:
        ProgrammingError: of SQLAlchemy; the transaction's isolation is not READ COMMITTED.
    """
    session.execute(select(func.gridsvc.lock_publishing()))
