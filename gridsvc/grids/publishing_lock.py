"""One publisher at a time: what is checked is what is published."""

from sqlalchemy import text
from sqlalchemy.orm import Session

KEY = 0x707562  # "pub"


def lock_publishing(session: Session) -> None:
    """Take the lock until the transaction ends; its holder reads what was committed last.

    Under REPEATABLE READ the snapshot would be older than the lock and let two overlapping
    publishes through (measured), so any other isolation is refused.

    Raises:
        RuntimeError: the transaction's isolation is not READ COMMITTED.
    """
    isolation = session.scalar(text("SHOW transaction_isolation"))
    if isolation != "read committed":
        raise RuntimeError(f"publishing needs READ COMMITTED, not {isolation}")
    session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": KEY})
