"""Why rows have no answer: a number a row and a short list of texts, as a batch has few of them."""

from dataclasses import dataclass, field
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Mask: TypeAlias = npt.NDArray[np.bool_]
Rows: TypeAlias = npt.NDArray[np.int64]


@dataclass(slots=True)
class Reasons:
    """Why each row cannot be answered; the first reason that is found stays.

    Attributes:
        codes: (n,) int32; 0 is none, otherwise the text of that number, counted from 1.
        texts: The different reasons.
    """

    codes: npt.NDArray[np.int32]
    texts: list[str] = field(default_factory=list)
    _code_of: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self._code_of = {text: code for code, text in enumerate(self.texts, 1)}

    @classmethod
    def none(cls, count: int) -> Self:
        """Start with rows that all can be answered."""
        return cls(np.zeros(count, np.int32))

    @property
    def open(self) -> Mask:
        """Tell which rows have no reason so far."""
        mask: Mask = self.codes == 0
        return mask

    def refuse(self, rows: Mask | Rows, text: str) -> None:
        """Give rows a reason, unless they have one.

        Args:
            rows: (n,) mask, or numbers of rows.
            text: Why.
        """
        if rows.dtype == np.bool_:
            rows = np.flatnonzero(rows)
        if len(rows):
            self.codes[rows[self.codes[rows] == 0]] = self._code(text)

    def override(self, rows: Mask, text: str) -> None:
        """Give rows a reason, whatever else was found before."""
        if rows.any():
            self.codes[rows] = self._code(text)

    def begins(self, *beginnings: str) -> Mask:
        """Tell which rows have a reason that begins so."""
        known = [text.startswith(beginnings) for text in self.texts]
        return np.array([False, *known])[self.codes]

    def counts(self) -> dict[str | None, int]:
        """Count the rows by reason; None are those that have none."""
        numbers = np.bincount(self.codes, minlength=len(self.texts) + 1).tolist()
        return dict(zip((None, *self.texts), numbers, strict=True))

    def array(self) -> pa.DictionaryArray:
        """Give them as a column; null where there is none."""
        return pa.DictionaryArray.from_arrays(
            pa.array(self.codes - 1, mask=self.codes == 0), pa.array(self.texts, pa.string())
        )

    def copy(self) -> "Reasons":
        """Give others that can be changed."""
        return Reasons(self.codes.copy(), list(self.texts))

    def _code(self, text: str) -> int:
        if text not in self._code_of:
            self.texts.append(text)
            self._code_of[text] = len(self.texts)
        return self._code_of[text]
