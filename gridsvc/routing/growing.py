"""A file grows part by part under another name, and a run that was broken off goes on from there.

Beside the parts lies a journal: what was asked, and for each part where it ends. What is asked
otherwise, of another file or another state of the city, begins anew.
"""

import base64
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from gridsvc.errors import TableError
from gridsvc.routing.tables import Encoded, Encoder


@dataclass(slots=True)
class Growing:
    """A file that is being written.

    Attributes:
        encoder: How.
        noted: What was noted of each part that is written.
    """

    encoder: Encoder
    noted: list[dict[str, Any]]
    _data: IO[bytes]
    _journal: IO[bytes]
    _footers: list[bytes] = field(default_factory=list)
    _begins: list[int] = field(default_factory=list)
    _end: int = 0

    def append(self, encoded: Encoded, note: dict[str, Any]) -> None:
        """Write a part; when this returns it is there to stay, with what is noted of it."""
        self._data.write(encoded.body)
        self._data.flush()
        os.fdatasync(self._data.fileno())
        begin, self._end = self._end, self._end + len(encoded.body)
        self._footers.append(encoded.footer)
        self._begins.append(begin)
        footer = base64.b64encode(encoded.footer).decode()
        _write_line(self._journal, {"begin": begin, "end": self._end, "footer": footer} | note)
        self.noted.append(note)

    def take_up(self, parts: list[dict[str, Any]]) -> None:
        """Go on after parts that the journal tells of."""
        for part in parts:
            self._begins.append(part.pop("begin"))
            self._end = part.pop("end")
            self._footers.append(base64.b64decode(part.pop("footer")))
            self.noted.append(part)
        if not parts:
            self._data.write(self.encoder.head())
            self._end = len(self.encoder.head())
        self._data.truncate(self._end)
        self._data.seek(self._end)

    def finish(self) -> None:
        """Write what comes after all parts."""
        self._data.write(self.encoder.tail(self._footers, self._begins))
        self._data.flush()
        os.fsync(self._data.fileno())


@contextmanager
def growing(
    target: Path, encoder: Encoder, *, asked: dict[str, Any], kept: dict[str, Any]
) -> Iterator[tuple[Growing, dict[str, Any]]]:
    """Write a file, or go on with it; under its own name it appears when the block has ended.

    Where the block fails, what is written stays for the next run, unless it is the source that
    is at fault.

    Args:
        target: The file.
        encoder: How to write it.
        asked: Whatever the parts hang on; JSON. A run that was broken off is gone on with only if
            it asked the same.
        kept: What the first run decides for those that go on; JSON.

    Yields:
        The file, and `kept` as the first run had it.

    Raises:
        TableError: it cannot be written, or another run is writing it.
    """
    part = target.with_name(f".{target.name}.part")
    journal = target.with_name(f".{target.name}.part.jsonl")
    try:
        with (
            os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as data,
            os.fdopen(os.open(journal, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as notes,
        ):
            _lock(data, target)
            told = _read(notes, asked, os.fstat(data.fileno()).st_size)
            if not told:
                told = [{"asked": asked, "kept": kept}]
                notes.truncate(0)
                _write_line(notes, told[0])
            file = Growing(encoder, [], data, notes)
            file.take_up(told[1:])
            yield file, told[0]["kept"]
            file.finish()
            part.replace(target)
            journal.unlink()
    except OSError as error:
        raise TableError(
            target, f"cannot be written: {error.strerror}", remedy="Choose another folder"
        ) from error


def forget(target: Path) -> None:
    """Throw away what a run that was broken off has written."""
    target.with_name(f".{target.name}.part").unlink(missing_ok=True)
    target.with_name(f".{target.name}.part.jsonl").unlink(missing_ok=True)


def _lock(data: IO[bytes], target: Path) -> None:
    try:
        fcntl.flock(data, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise TableError(
            target, "is being written by another run", remedy="Wait for it, or name another file"
        ) from error


def _read(journal: IO[bytes], asked: dict[str, Any], size: int) -> list[dict[str, Any]]:
    """Read a journal as far as it is whole; nothing where something else was asked."""
    told: list[dict[str, Any]] = []
    end = 0
    for line in journal:
        try:
            one = json.loads(line)
        except ValueError:  # broken off while it was written
            break
        if (one["asked"] != asked) if not told else (one["end"] > size):
            break
        told.append(one)
        end += len(line)
    journal.truncate(end)
    journal.seek(end)
    return told


def _write_line(journal: IO[bytes], told: dict[str, Any]) -> None:
    journal.write(json.dumps(told).encode() + b"\n")
    journal.flush()
    os.fsync(journal.fileno())
