"""Prepared parts of answers in one piece of memory, where compiled code copies them from.

Texts go by number. What is written stays: an array that was given out keeps all texts that were
in it then, so that several threads write and read.
"""

import threading
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from gridsvc.routing.index_layout import Int32s, Int64s

Bytes: TypeAlias = npt.NDArray[np.uint8]

KEPT_BYTES: Final = 1 << 27
KEPT_KEYS: Final = 500_000

_ROOM = 1 << 16

_T = TypeVar("_T", bound=np.generic)


@dataclass(slots=True)
class Texts:
    """Texts by number.

    Attributes:
        letters: All, one behind the other, and room for more.
        ends: Where each one ends; it begins where the one before ends.
        rows: What the caller keeps beside each one; -1 is nothing.
        count: How many there are.
    """

    letters: Bytes = field(default_factory=lambda: np.empty(_ROOM, np.uint8))
    ends: Int64s = field(default_factory=lambda: np.zeros(_ROOM >> 4, np.int64))
    rows: Int64s = field(default_factory=lambda: np.zeros(_ROOM >> 4, np.int64))
    count: int = 0

    @property
    def size(self) -> int:
        """How many bytes they have."""
        return int(self.ends[self.count - 1]) if self.count else 0

    def add(self, text: bytes, row: int = -1) -> int:
        """Take up a text and give its number."""
        begin, number = self.size, self.count
        end = begin + len(text)
        if end > len(self.letters):
            self.letters = _longer(self.letters, end)
        if number == len(self.ends):
            self.ends = _longer(self.ends, number + 1)
            self.rows = _longer(self.rows, number + 1)
        self.letters[begin:end] = np.frombuffer(text, np.uint8)
        self.ends[number], self.rows[number] = end, row
        self.count += 1
        return number

    def text(self, number: int) -> bytes:
        """Give a text."""
        begin = int(self.ends[number - 1]) if number else 0
        return self.letters[begin : self.ends[number]].tobytes()


@dataclass(slots=True)
class KeptTexts:
    """What answers from one snapshot have in common.

    Attributes:
        texts: The texts; beside what depends on the areas the row whose edge matters.
        number_of: Their numbers by whatever they depend on, packed into an integer; -1 is none.
        of_area: (rows + 1,) the number of the text of each row's area, -1 for those that were not
            asked for; the last one, which row -1 takes, is that of no area.
        situations: Kinds of category at moments, numbered.
        adding: Held while texts are added.
    """

    of_area: Int32s
    texts: Texts = field(default_factory=Texts)
    number_of: dict[int, int] = field(default_factory=dict)
    situations: dict[object, int] = field(default_factory=dict)
    adding: threading.Lock = field(default_factory=threading.Lock)
    _same: dict[tuple[bytes, int], int] = field(default_factory=dict)

    @classmethod
    def for_rows(cls, count: int) -> "KeptTexts":
        """Start with none, for an index of so many rows."""
        kept = cls(np.full(count + 1, -1, np.int32))
        kept.of_area[-1] = kept.texts.add(b"null")
        return kept

    @property
    def is_full(self) -> bool:
        """Tell whether it is time to start anew."""
        return self.texts.size > KEPT_BYTES or len(self.number_of) > KEPT_KEYS

    def situation(self, key: object) -> int:
        """Number a kind of category at a moment."""
        return self.situations.setdefault(key, len(self.situations))

    def add_once(self, text: bytes, row: int) -> int:
        """Take up a text, unless it is there."""
        number = self._same.get((text, row))
        if number is None:
            number = self._same[text, row] = self.texts.add(text, row)
        return number


def _longer(array: npt.NDArray[_T], needed: int) -> npt.NDArray[_T]:
    longer = np.zeros(max(2 * len(array), needed), array.dtype)
    longer[: len(array)] = array
    return longer
