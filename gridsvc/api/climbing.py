"""While the app serves, cases whose time is up climb by themselves, in a thread of its own."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from gridsvc.reports.cases import climb

log = logging.getLogger(__name__)

_LOCK = 0x636C696D62  # "climb"


@contextmanager
def climbing(sessions: sessionmaker[Session], *, interval_s: float) -> Iterator[None]:
    """Let cases climb every so often, until the block ends.

    A pass that fails is logged, and the next one tries again: the app goes on answering.

    Args:
        sessions: READ COMMITTED.
        interval_s: Seconds from one pass to the next; 0 leaves it to others.
    """
    if not interval_s:
        yield
        return
    stop = Event()

    def run() -> None:
        while not stop.wait(interval_s):
            try:
                climb_all(sessions, stop)
            except Exception as error:  # noqa: BLE001  the next pass tries again
                # Its message may repeat values.
                log.error("cases did not climb: %s", type(error).__qualname__)  # noqa: TRY400

    thread = Thread(target=run, name="climbing", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def climb_all(sessions: sessionmaker[Session], stop: Event) -> int:
    """Let all cases climb whose time is up; gives how many.

    Of several processes one does the work, the others leave it to that one.
    """
    count = 0
    while not stop.is_set():
        with sessions.begin() as session:
            mine = session.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _LOCK})
            climbed = climb(session) if mine else ()
        if not climbed:
            break
        count += len(climbed)
    if count:
        log.info('{"climbed": %d}', count)
    return count
