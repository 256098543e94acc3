"""The newest revision, kept current in each process without asking the database at each question.

A process listens for publishes and goes on to the next revision by reading what changed; because
a message can be lost it looks by itself every so often too. Readers take `answerer` once and hold
one revision for all that they do with it: a publish in between makes another object.
"""

import hashlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import psycopg
from psycopg import sql
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session

from gridsvc.crs import convert
from gridsvc.errors import GridsvcError, NothingLoaded, NothingPublished
from gridsvc.routing import kept_snapshots
from gridsvc.routing.answering import Answerer, NotHeld
from gridsvc.routing.router import Question, answer_each
from gridsvc.routing.snapshot import Snapshot, Stamp

log = logging.getLogger(__name__)

Refresh: TypeAlias = Callable[[Connection], None]

REVISIONS = "gridsvc_revision"
"""The channel on which publishes are told."""

LOOK_EVERY_S = 1.0
"""So late may a publish be seen whose message was lost."""

_WAKE_EVERY_S = 0.2
_TRY_AGAIN_S = 0.5
_KEEP_AFTER_S = 10.0


@dataclass(slots=True)
class Live:
    """What a process answers from.

    Attributes:
        folder: Where revisions are kept on disk; None keeps none.
        answerer: Of the newest revision known; None while there is none.
        is_stale: Whether the database is away, so that there may be a newer one.
    """

    folder: Path | None = None
    answerer: Answerer | None = None
    is_stale: bool = False
    _keeping: threading.Timer | None = field(default=None, repr=False)

    def open_kept(self) -> None:
        """Answer from the revision on disk until the database is asked."""
        if self.folder and (snapshot := kept_snapshots.last_kept(self.folder)):
            self.answerer, self.is_stale = Answerer(snapshot), True
            answer_once(self.answerer)

    def refresh(self, connection: Connection) -> None:
        """Go on to the newest revision.

        Args:
            connection: Of one snapshot (REPEATABLE READ), so that no two states mix.
        """
        before = self.answerer
        try:
            snapshot = before.snapshot.advanced(connection) if before else Snapshot.load(connection)
        except (NothingLoaded, NothingPublished):
            self.answerer, self.is_stale = None, False
            return
        if before is None or snapshot is not before.snapshot:
            answerer = Answerer(snapshot, before)
            if before is None:
                answer_once(answerer)
            self.answerer = answerer
            self._keep_soon()
        self.is_stale = False

    def answer_each(
        self, session: Session, questions: Sequence[Question], *, reveal: bool = False
    ) -> list[dict[str, Any] | GridsvcError]:
        """Answer from memory what it holds; full names and the past are the database's to tell.

        Takes the place of `gridsvc.routing.router.answer_each`.
        """
        answerer = self.answerer
        if answerer is None or reveal:
            return answer_each(session, questions, reveal=reveal)
        return _from_memory(answerer, session, questions, is_stale=self.is_stale)

    def answer_newest(
        self, session: Session, questions: Sequence[Question]
    ) -> list[dict[str, Any] | GridsvcError]:
        """Answer what is to be kept, names masked, as the database would at this moment.

        What was published a moment before, and has not reached this process yet, counts: the
        database is asked which revision is the newest, once for all, and answers itself where
        memory holds another one.
        """
        answerer = self.answerer
        if answerer is None or answerer.snapshot.stamp != Stamp.read(session.connection()):
            return answer_each(session, questions)
        return _from_memory(answerer, session, questions, is_stale=False)

    def _keep_soon(self) -> None:
        """Keep the revision on disk once publishes pause, beside what is answered meanwhile."""
        if self.folder is None:
            return
        if self._keeping:
            self._keeping.cancel()
        self._keeping = threading.Timer(_KEEP_AFTER_S, self._keep)
        self._keeping.daemon = True
        self._keeping.start()

    def _keep(self) -> None:
        if self.folder and self.answerer:
            try:
                kept_snapshots.keep(self.answerer.snapshot, self.folder)
            except OSError as error:
                log.warning("revision not kept in %s: %s", self.folder, error.strerror)

    def lose(self) -> None:
        """Note that the database is away."""
        self.is_stale = self.answerer is not None

    def close(self) -> None:
        """End what still waits."""
        if self._keeping:
            self._keeping.cancel()


def _from_memory(
    answerer: Answerer, session: Session, questions: Sequence[Question], *, is_stale: bool
) -> list[dict[str, Any] | GridsvcError]:
    """Answer from a revision; what it does not hold the database answers."""
    told: dict[int, dict[str, Any] | GridsvcError] = {}
    for n, question in enumerate(questions):
        try:
            told[n] = answerer.answer(question, is_stale=is_stale)
        except GridsvcError as error:
            told[n] = error
        except NotHeld:
            pass
    past = [n for n in range(len(questions)) if n not in told]
    if past:
        told |= zip(past, answer_each(session, [questions[n] for n in past]), strict=True)
    return [told[n] for n in range(len(questions))]


def answer_once(answerer: Answerer) -> None:
    """Answer for some place, so that compiled code is loaded, or made, before a caller waits."""
    snapshot = answerer.snapshot
    rows = np.flatnonzero(snapshot.index.ids >= 0)
    if len(rows):
        place = snapshot.index.boundary(int(rows[0])).representative_point()
        scheme = snapshot.scheme
        name = scheme.input_crs[0]
        x, y = convert(place.x, place.y, source=scheme.storage_crs, target=name)
        with suppress(GridsvcError, NotHeld):
            answerer.answer_json(Question(x=x, y=y, crs=name))


def kept_folder(home: Path, engine: Engine) -> Path:
    """Name the folder for the revisions of a database."""
    url = engine.url
    place = f"{url.host}|{url.port}|{url.database}|{url.query.get('host')}"
    return home / "index" / hashlib.sha256(place.encode()).hexdigest()[:16]


@contextmanager
def following(
    engine: Engine, channels: Mapping[str, Refresh], *, lost: Callable[[], None]
) -> Iterator[None]:
    """Refresh whenever a channel tells of something, and every second, until the block ends.

    The first refresh is done when the block begins, if the database answers.

    Args:
        engine: REPEATABLE READ.
        channels: What to do at a message on each; all of it is done when looking unasked.
        lost: Called when the database does not answer.
    """
    follower = _Follower(engine, channels, lost)
    thread = threading.Thread(target=follower.run, name="live", daemon=True)
    thread.start()
    follower.begun.wait()
    try:
        yield
    finally:
        follower.stop.set()
        thread.join()


@dataclass(frozen=True, slots=True)
class _Follower:
    """Listens, in a thread of its own."""

    engine: Engine
    channels: Mapping[str, Refresh]
    lost: Callable[[], None]
    begun: threading.Event = field(default_factory=threading.Event)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Listen until told to stop, over as many connections as it takes."""
        while not self.stop.is_set():
            try:
                self._listen()
            except (OperationalError, InterfaceError, psycopg.OperationalError):
                self.lost()
            except Exception as error:  # noqa: BLE001  the next look tries again
                # Its message may repeat values.
                log.error("revision not read: %s", type(error).__qualname__)  # noqa: TRY400
                self.lost()
            self.begun.set()
            self.stop.wait(_TRY_AGAIN_S)

    def _listen(self) -> None:
        url = self.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(url, autocommit=True, application_name="gridsvc live") as listening:
            for channel in self.channels:
                listening.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
            told: set[str] = set()
            while not self.stop.is_set():
                self._refresh(told)
                self.begun.set()
                told = self._next(listening)

    def _refresh(self, told: set[str]) -> None:
        for channel, refresh in self.channels.items():
            if not told or channel in told:
                with self.engine.connect() as connection:
                    refresh(connection)

    def _next(self, listening: psycopg.Connection[object]) -> set[str]:
        """Wait for a message; the channels that told something, none when it is time to look."""
        for _ in range(round(LOOK_EVERY_S / _WAKE_EVERY_S)):
            messages = listening.notifies(timeout=_WAKE_EVERY_S, stop_after=1)
            if told := {message.channel for message in messages}:
                return told
            if self.stop.is_set():
                break
        return set()
