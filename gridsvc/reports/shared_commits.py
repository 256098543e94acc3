"""Reports that arrive together share a commit, and none is confirmed before it.

Making a commit durable takes milliseconds whatever it holds. While one is under way, those that
arrive gather for the next; so a lone report waits for nobody, and many cost little more than one.

What fails for a group is filed again one by one: whatever stands in the way of one report never
fails its neighbours. That costs them nothing but time, for a name makes what is told twice one
report. So that neither do they wait for one that has to wait for somebody else's lock, a group
gives up waiting soon, and those alone wait in lanes of their own.
"""

import asyncio
import queue
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Thread

from sqlalchemy import Engine
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

LANES = 4

LOCK_WAIT_S = 0.5
"""How long a group waits for a lock. Another group holds its locks for some milliseconds."""

GATHER_S = 0.001
"""How long the first of a group waits for others, while they come in groups: those who have just
been answered come again together, and would otherwise fall into a small group and a large one."""

MakeEngine = Callable[..., Engine]


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    sent: Sent
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[FiledReport]


class Intake:
    """Files reports for many callers at once; see `taking_in`."""

    def __init__(self, make_engine: MakeEngine, answer_each: AnswerEach) -> None:
        self._together = make_engine(lock_timeout_s=LOCK_WAIT_S, pool_size=1)
        self._alone = make_engine(pool_size=LANES)
        self._answer_each = answer_each
        self._arrived: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._lanes = ThreadPoolExecutor(LANES, thread_name_prefix="intake lane")
        # One: of two, each would get half as many reports, and they would take each other's time.
        self._committer = Thread(target=self._commit_groups, name="intake")

    def start(self) -> None:
        """Begin to file."""
        self._committer.start()

    def stop(self) -> None:
        """File all that has arrived, and end."""
        self._arrived.put(None)
        self._committer.join()
        self._lanes.shutdown()
        self._together.dispose()
        self._alone.dispose()

    async def file(self, sent: Sent) -> FiledReport:
        """Store a report with its answer, once however often it is told; it is durable then.

        Raises:
            GridsvcError: as `file_report`.
            SQLAlchemyError: what the database says.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(sent, loop, loop.create_future())
        self._arrived.put(waiting)
        return await waiting.done

    def _commit_groups(self) -> None:
        size = 0
        while group := self._next_group(gather=size > 1):
            size = len(group)
            self._file_together(group)

    def _next_group(self, *, gather: bool) -> list[_Waiting]:
        """Take all that has arrived; waits for the first. Empty: no more will come."""
        group: list[_Waiting] = []
        one = self._arrived.get()
        if gather:
            time.sleep(GATHER_S)
        while one is not None:
            group.append(one)
            if len(group) == MOST_TOGETHER:
                return group
            try:
                one = self._arrived.get_nowait()
            except queue.Empty:
                return group
        if group:
            self._arrived.put(None)  # for the next look
        return group

    def _file_together(self, group: Sequence[_Waiting]) -> None:
        try:
            told = self._file(self._together, group)
        except Exception:  # noqa: BLE001  each of them is told what concerns it
            for waiting in group:
                self._lanes.submit(self._file_alone, waiting)
            return
        _tell(
            (waiting, one)
            for waiting, one in zip(group, told, strict=True)
            if isinstance(one, FiledReport)
        )
        for waiting, one in zip(group, told, strict=True):
            if isinstance(one, ToldBefore):
                self._lanes.submit(self._read_again, waiting, one)

    def _file_alone(self, waiting: _Waiting) -> None:
        try:
            (told,) = self._file(self._alone, [waiting])
        except Exception as error:  # noqa: BLE001  the caller is told
            _tell([(waiting, error)])
            return
        if isinstance(told, FiledReport):
            _tell([(waiting, told)])
        else:
            self._read_again(waiting, told)

    def _file(self, engine: Engine, group: Sequence[_Waiting]) -> list[FiledReport | ToldBefore]:
        with Session(engine) as session, session.begin():
            sent = [waiting.sent for waiting in group]
            return file_reports(session, sent, answer_each=self._answer_each)

    def _read_again(self, waiting: _Waiting, told: ToldBefore) -> None:
        try:
            with Session(self._alone) as session:
                found = read_again(session, told)
        except Exception as error:  # noqa: BLE001  the caller is told
            _tell([(waiting, error)])
        else:
            _tell([(waiting, found)])


_Outcome = tuple[_Waiting, FiledReport | Exception]


def _tell(outcomes: Iterable[_Outcome]) -> None:
    """Hand outcomes to whoever waits: each loop is woken once, not once for each report."""
    by_loop: defaultdict[asyncio.AbstractEventLoop, list[_Outcome]] = defaultdict(list)
    for waiting, outcome in outcomes:
        by_loop[waiting.loop].append((waiting, outcome))
    for loop, told in by_loop.items():
        with suppress(RuntimeError):  # the loop has ended, and nobody waits any more
            loop.call_soon_threadsafe(_settle, told)


def _settle(outcomes: Sequence[_Outcome]) -> None:
    for waiting, outcome in outcomes:
        if waiting.done.done():  # the caller has gone
            continue
        if isinstance(outcome, Exception):
            waiting.done.set_exception(outcome)
        else:
            waiting.done.set_result(outcome)


@contextmanager
def taking_in(make_engine: MakeEngine, *, answer_each: AnswerEach) -> Iterator[Intake]:
    """File reports, until the block ends.

    Args:
        make_engine: Makes engines of READ COMMITTED; it is given `create_engine`'s `pool_size` and
            `lock_timeout_s`.
        answer_each: Who answers the reports' questions.
    """
    intake = Intake(make_engine, answer_each)
    intake.start()
    try:
        yield intake
    finally:
        intake.stop()
