"""What a piece of work costs: wall time, processor time and peak memory, PostgreSQL's apart.

PostgreSQL's share is read from `/proc`, so it is known only where the server runs on this machine.
"""

import os
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from sqlalchemy import Engine, text

_SAMPLE_S = 0.5
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Phase:
    """What one phase took.

    Attributes:
        name: Of the phase.
        wall_s: Seconds on the clock.
        own_s: Seconds of processor time of this process.
        postgres_s: The same of PostgreSQL's; None where it runs elsewhere.
    """

    name: str
    wall_s: float
    own_s: float
    postgres_s: float | None


@dataclass(slots=True)
class Meter:
    """Times phases, and watches PostgreSQL's memory meanwhile.

    Attributes:
        phases: In the order they ended.
        postgres_peak_mib: Of all its processes together, shared memory counted once.
    """

    engine: Engine
    phases: list[Phase] = field(default_factory=list)
    postgres_peak_mib: float = 0.0
    _postmaster: int | None = None
    _over: threading.Event = field(default_factory=threading.Event)
    _watch: threading.Thread | None = None

    def __enter__(self) -> Self:
        with self.engine.connect() as connection:
            backend = connection.scalar(text("SELECT pg_backend_pid()"))
        try:
            self._postmaster = _parent(Path(f"/proc/{backend}"))
        except OSError:
            return self
        self._watch = threading.Thread(target=self._sample, daemon=True)
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._watch:
            self._watch.join()

    @property
    def own_peak_mib(self) -> float:
        """The most memory that this process had."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time what is done inside, and tell it."""
        wall, own, postgres = time.perf_counter(), time.process_time(), self._postgres_s()
        yield
        told = Phase(
            name,
            time.perf_counter() - wall,
            time.process_time() - own,
            None if postgres is None else (self._postgres_s() or 0) - postgres,
        )
        self.phases.append(told)
        theirs = "" if told.postgres_s is None else f", PostgreSQL {told.postgres_s:.1f} s"
        print(
            f"{name:<28} {told.wall_s:8.1f} s on the clock; CPU: {told.own_s:.1f} s{theirs}",
            flush=True,
        )

    def _postgres_s(self) -> float | None:
        if self._postmaster is None:
            return None
        ticks = 0
        for process in self._processes():
            try:
                values = (process / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it ended just now
            # utime and stime; of the postmaster also those of children that ended.
            ended = 15 if process.name == str(self._postmaster) else 13
            ticks += sum(int(value) for value in values[11:ended])
        return ticks / _TICKS

    def _sample(self) -> None:
        while not self._over.wait(_SAMPLE_S):
            kib = 0
            for process in self._processes():
                try:
                    lines = (process / "smaps_rollup").read_text().splitlines()
                except OSError:
                    continue
                kib += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
            self.postgres_peak_mib = max(self.postgres_peak_mib, kib / 1024)

    def _processes(self) -> list[Path]:
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if folder.name == str(self._postmaster) or _parent(folder) == self._postmaster:
                    found.append(folder)
            except OSError:
                continue
        return found


def _parent(process: Path) -> int:
    return int((process / "stat").read_text().rpartition(")")[2].split()[1])
