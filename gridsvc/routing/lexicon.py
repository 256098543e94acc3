"""Codes that columns repeat are numbered once a run, and columns hold the numbers.

A column of a file then is an array of numbers and one dictionary that all batches share, so that
no text is copied a row.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Numbers: TypeAlias = npt.NDArray[np.int32]

NONE = -1
"""The number of no code."""


@dataclass(slots=True)
class Words:
    """Texts by number; a text keeps its number however many come later.

    Texts are added by one thread at a time; numbers may be read by any.
    """

    _number: dict[str, int] = field(default_factory=dict)
    _texts: list[str] = field(default_factory=list)
    _array: pa.Array = field(default_factory=lambda: pa.array([], pa.string()))

    def number(self, text: str) -> int:
        """Give the number of a text that was added."""
        return self._number[text]

    def add(self, texts: Iterable[str]) -> Numbers:
        """Give texts their numbers."""
        number, known = self._number, self._texts
        numbers = []
        for text in texts:
            one = number.get(text)
            if one is None:
                known.append(text)
                one = number[text] = len(known) - 1
            numbers.append(one)
        if len(known) > len(self._array):
            self._array = pa.array(known, pa.string())
        return np.array(numbers, np.int32)

    def column(self, numbers: Numbers) -> pa.DictionaryArray:
        """Give a column of texts; null where the number is `NONE`."""
        indices = pa.array(numbers, mask=numbers < 0) if (numbers < 0).any() else pa.array(numbers)
        return pa.DictionaryArray.from_arrays(indices, self._array, safe=False)


@dataclass(slots=True)
class Lexicon:
    """The codes of parties, and of areas by layer."""

    parties: Words = field(default_factory=Words)
    layers: dict[str, Words] = field(default_factory=dict)

    def areas(self, layer: str) -> Words:
        """Give the codes of a layer."""
        return self.layers.setdefault(layer, Words())
