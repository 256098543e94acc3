"""Reports that arrive together share a commit, and none is confirmed before it.

Making a commit durable takes milliseconds whatever it holds. While one is under way, those that
arrive gather for the next; so a lone report waits for nobody, and many cost little more than one.

What fails for a group is filed again one by one: whatever stands in the way of one report never
fails its neighbours. That costs them nothing but time, for a name makes what is told twice one
report. So that neither do they wait for one that has to wait for somebody else's lock, a group
gives up waiting soon, and those alone wait in lanes of their own.
"""

import queue
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from gridsvc.reports.intake import (
    AnswerEach,
    FiledReport,
    Sent,
    ToldBefore,
    file_reports,
    read_again,
)

MOST_TOGETHER = 128
"""Reports of one commit; with more, none is filed faster and each waits longer."""

COMMITTERS = 2
"""While one waits for the database, the other prepares its group."""

LANES = 4

LOCK_WAIT_MS = 500
"""How long a group waits for a lock. Another group holds its locks for some milliseconds."""

CONNECTIONS = COMMITTERS + LANES


@dataclass(frozen=True, slots=True)
class _Waiting:
    sent: Sent
    done: Future[FiledReport] = field(default_factory=Future)


class Intake:
    """Files reports for many callers at once; see `taking_in`."""

    def __init__(self, engine: Engine, answer_each: AnswerEach) -> None:
        self._engine = engine
        self._answer_each = answer_each
        self._arrived: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._lanes = ThreadPoolExecutor(LANES, thread_name_prefix="intake lane")
        self._committers = [
            Thread(target=self._commit_groups, name=f"intake {n}") for n in range(COMMITTERS)
        ]

    def start(self) -> None:
        """Begin to file."""
        for thread in self._committers:
            thread.start()

    def stop(self) -> None:
        """File all that has arrived, and end."""
        for _ in self._committers:
            self._arrived.put(None)
        for thread in self._committers:
            thread.join()
        self._lanes.shutdown()

    def file(self, sent: Sent) -> Future[FiledReport]:
        """Store a report with its answer, once however often it is told.

        Returns:
            Done when the report is durable. It raises what `file_report` raises, and what the
            database says.
        """
        waiting = _Waiting(sent)
        self._arrived.put(waiting)
        return waiting.done

    def _commit_groups(self) -> None:
        while group := self._next_group():
            self._file_together(group)

    def _next_group(self) -> list[_Waiting]:
        """Take all that has arrived; waits for the first. Empty: no more will come."""
        group: list[_Waiting] = []
        one = self._arrived.get()
        while one is not None:
            # Whoever has gone meanwhile wants nothing any more.
            if one.done.set_running_or_notify_cancel():
                group.append(one)
            if len(group) == MOST_TOGETHER:
                return group
            try:
                one = self._arrived.get(block=not group)
            except queue.Empty:
                return group
        if group:
            self._arrived.put(None)  # for the next look
        return group

    def _file_together(self, group: Sequence[_Waiting]) -> None:
        try:
            connection = self._engine.connect()
        except Exception as error:  # noqa: BLE001  each caller is told
            for waiting in group:
                waiting.done.set_exception(error)
            return
        try:
            with connection, Session(connection) as session, session.begin():
                if len(group) > 1:
                    session.execute(
                        text("SELECT set_config('lock_timeout', :wait, true)"),
                        {"wait": f"{LOCK_WAIT_MS}ms"},
                    )
                told = file_reports(
                    session,
                    [waiting.sent for waiting in group],
                    answer_each=self._answer_each,
                )
        except Exception as error:  # noqa: BLE001  whoever it concerns is told
            if len(group) == 1:
                group[0].done.set_exception(error)
                return
            for waiting in group:
                self._lanes.submit(self._file_together, [waiting])
            return
        for waiting, one in zip(group, told, strict=True):
            if isinstance(one, FiledReport):
                waiting.done.set_result(one)
            else:
                self._lanes.submit(self._read_again, waiting, one)

    def _read_again(self, waiting: _Waiting, told: ToldBefore) -> None:
        try:
            with Session(self._engine) as session:
                waiting.done.set_result(read_again(session, told))
        except Exception as error:  # noqa: BLE001  the caller is told
            waiting.done.set_exception(error)


@contextmanager
def taking_in(engine: Engine, *, answer_each: AnswerEach) -> Iterator[Intake]:
    """File reports, until the block ends.

    Args:
        engine: At READ COMMITTED; `CONNECTIONS` of it are used at once.
        answer_each: Who answers the reports' questions.
    """
    intake = Intake(engine, answer_each)
    intake.start()
    try:
        yield intake
    finally:
        intake.stop()
