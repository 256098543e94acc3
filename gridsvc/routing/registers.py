"""Codes are numbered once; a code is found in its column by bisection, so none is unpacked ahead.

A city has as many areas and people as a dictionary of Python's would take a tenth of a second and
tens of megabytes in every process to hold. A column of Arrow's is opened in no time and shared.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

# From so many look-ups on a dictionary pays, though it must be made first.
_MANY = 1_000


@dataclass(frozen=True, slots=True)
class Register:
    """Texts and their numbers; what is added later comes last and keeps the others' numbers.

    Attributes:
        texts: (n,) strings without nulls.
        sorted_count: So many of them, from the first, are sorted bytewise.
        later: The numbers of the others.
    """

    texts: pa.ChunkedArray
    sorted_count: int
    later: Mapping[str, int] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, texts: pa.ChunkedArray, sorted_count: int) -> Self:
        """Take up a column."""
        later = texts[sorted_count:].to_pylist()
        return cls(texts, sorted_count, {text: sorted_count + n for n, text in enumerate(later)})

    @classmethod
    def sorting(cls, texts: Iterable[str]) -> Self:
        """Number texts in their order; each once."""
        found = sorted(set(texts))
        return cls(pa.chunked_array([found], pa.string()), len(found))

    def __len__(self) -> int:
        return len(self.texts)

    def text(self, number: int) -> str:
        """Give the text of a number."""
        text: str = self.texts[number].as_py()
        return text

    def number(self, text: str) -> int | None:
        """Find the number of a text; None where it has none."""
        if (later := self.later.get(text)) is not None:
            return later
        place = self.place(text)
        return place if place < self.sorted_count and self.text(place) == text else None

    def numbers(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """Find the numbers of texts that all have one."""
        if len(texts) < _MANY:
            return np.array([self.number(text) for text in texts], np.int64)
        known = {text: number for number, text in enumerate(self.texts.to_pylist())}
        return np.fromiter(map(known.__getitem__, texts), np.int64, len(texts))

    def place(self, text: str) -> int:
        """Tell how many of the sorted texts come before one."""
        # Python compares code points, which is the bytewise order of UTF-8.
        return bisect_left(range(self.sorted_count), text, key=self.text)

    def with_more(self, texts: Iterable[str]) -> Self:
        """Number further texts; those that have a number keep it."""
        fresh = [text for text in dict.fromkeys(texts) if self.number(text) is None]
        if not fresh:
            return self
        grown = pa.chunked_array([*self.texts.chunks, pa.array(fresh, pa.string())])
        later = dict(self.later)
        later |= {text: len(self) + n for n, text in enumerate(fresh)}
        return type(self)(grown, self.sorted_count, later)
