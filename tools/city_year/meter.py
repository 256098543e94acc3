"""What a piece of work costs: wall time, processor time and peak memory, PostgreSQL's apart.

PostgreSQL's share is read from `/proc`, so it is known only where the server runs on this machine.
"""

import os
import resource
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from sqlalchemy import Engine, text

_SAMPLE_S = 0.5
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Lap:
    """What one phase took.

    Attributes:
        name: Of the phase.
        wall_s: Seconds on the clock.
        own_s: Seconds of processor time of this process.
        postgres_s: The same of PostgreSQL's; 0 where it runs elsewhere.
    """

    name: str
    wall_s: float
    own_s: float
    postgres_s: float


@dataclass(slots=True)
class Meter:
    """Times phases that follow each other, and watches PostgreSQL's memory meanwhile.

    Attributes:
        engine: Of the database that is used.
        laps: In their order.
        postgres_peak_mib: Of all its processes together, shared memory counted once.
    """

    engine: Engine
    laps: list[Lap] = field(default_factory=list)
    postgres_peak_mib: float = 0.0
    _since: tuple[float, float, float] = (0.0, 0.0, 0.0)
    _postmaster: int | None = None
    _over: threading.Event = field(default_factory=threading.Event)
    _watch: threading.Thread | None = None

    def __enter__(self) -> Self:
        with self.engine.connect() as connection:
            backend = connection.scalar(text("SELECT pg_backend_pid()"))
        try:
            self._postmaster = _parent(Path(f"/proc/{backend}"))
        except OSError:
            self._postmaster = None
        else:
            self._watch = threading.Thread(target=self._sample, daemon=True)
            self._watch.start()
        self._since = self._now()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._watch:
            self._watch.join()

    @property
    def own_peak_mib(self) -> float:
        """The most memory that this process had."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    def lap(self, name: str) -> None:
        """End a phase, tell what it took, and begin the next."""
        now = self._now()
        told = Lap(name, *(then - before for then, before in zip(now, self._since, strict=True)))
        self._since = now
        self.laps.append(told)
        print(
            f"{name:<26} {told.wall_s:7.1f} s on the clock; processor: {told.own_s:.1f} s here, "
            f"{told.postgres_s:.1f} s in PostgreSQL",
            flush=True,
        )

    def _now(self) -> tuple[float, float, float]:
        return time.perf_counter(), time.process_time(), self._postgres_s()

    def _postgres_s(self) -> float:
        if self._postmaster is None:
            return 0.0
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
