"""What areas are called and when they are valid, in columns by the rows of the index."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gridsvc.routing.holders import Row, area_of, area_text
from gridsvc.routing.ladders import FOREVER_US, AreaKey, Ints
from gridsvc.routing.registers import Register

LAYER_BITS: Final = 56
"""The orders of areas of one layer are the same without these bits."""

LAYER_ROOM = 1 << LAYER_BITS

# Between the orders of two neighbouring codes there is room for this many codes that come later.
_ROOM = 2**24


class NoRoom(Exception):
    """Codes that came later fill the room between two others: all are to be numbered anew."""


@dataclass(frozen=True, slots=True)
class Areas:
    """Versions of areas by the index's rows.

    Attributes:
        area: (rows,) number of each in the register of areas.
        from_us: (rows,) microseconds since 1970 UTC, included.
        to_us: (rows,) the same, excluded; of an area that has ended, `from_us`.
        names: (rows,) strings, null where an area has none.
        named: By row, what holds instead for those that came later.
        order: (areas,) by number in the register: sorts by layer from the outside in, then by code.
        always: (rows,) whether it is valid at every instant for which the revision answers.
    """

    area: npt.NDArray[np.int32]
    from_us: Ints
    to_us: Ints
    names: pa.ChunkedArray
    order: Ints
    always: npt.NDArray[np.bool_]
    named: dict[int, str | None] = field(default_factory=dict)

    @classmethod
    def of(  # noqa: PLR0913, PLR0917  the columns and what is needed to judge them
        cls,
        area: npt.NDArray[np.int32],
        from_us: Ints,
        to_us: Ints,
        names: pa.ChunkedArray,
        order: Ints,
        effective_us: int,
    ) -> Self:
        """Take up columns."""
        always = (from_us <= effective_us) & (to_us == FOREVER_US)
        return cls(area, from_us, to_us, names, order, always)

    @classmethod
    def read(
        cls, rows: Sequence[Row], register: Register, order: Ints, *, effective_us: int
    ) -> Self:
        """Take up rows of `sql/snapshot_areas.sql`."""
        texts = [area_text(AreaKey(row[1], row[2])) for row in rows]
        from_us = np.array([row[4] for row in rows], np.int64)
        to_us = np.array([FOREVER_US if row[5] is None else row[5] for row in rows], np.int64)
        names = pa.chunked_array([[row[3] for row in rows]], pa.string())
        area = register.numbers(texts).astype(np.int32)
        return cls.of(area, from_us, to_us, names, order, effective_us)

    def changed(self, ended: Ints, rows: Ints, more: Self) -> Self:
        """Give the areas of a later revision.

        Args:
            ended: Rows whose areas are no more.
            rows: Those of `more`: taken over from others, or new ones behind the last.
            more: What came, with the order of all areas.
        """
        grown = int(max(rows.max(initial=-1) + 1, len(self.area)))

        def merged(old: npt.NDArray[Any], new: npt.NDArray[Any]) -> npt.NDArray[Any]:
            column = np.zeros(grown, old.dtype)
            column[: len(old)] = old
            column[rows] = new
            return column

        to_us, always = self.to_us.copy(), self.always.copy()
        to_us[ended] = self.from_us[ended]
        always[ended] = False
        named = dict(zip(rows.tolist(), more.names.to_pylist(), strict=True))
        return replace(
            more,
            area=merged(self.area, more.area),
            from_us=merged(self.from_us, more.from_us),
            to_us=merged(to_us, more.to_us),
            names=self.names,
            named=self.named | named,
            always=merged(always, more.always),
        )

    def name(self, row: int) -> str | None:
        """Give the name of a row; None where it has none."""
        if row in self.named:
            return self.named[row]
        name: str | None = self.names[row].as_py()
        return name

    def all_names(self) -> pa.ChunkedArray:
        """Give the names of all rows."""
        if not self.named:
            return self.names
        names = self.names.to_pylist()
        names += [None] * (len(self.area) - len(names))
        for row, name in self.named.items():
            names[row] = name
        return pa.chunked_array([names], pa.string())

    def is_valid(self, rows: Ints, at_us: int) -> npt.NDArray[np.bool_]:
        """Tell which of some rows are valid at an instant."""
        valid: npt.NDArray[np.bool_] = (self.from_us[rows] <= at_us) & (at_us < self.to_us[rows])
        return valid

    def instants_us(self, rows: Ints) -> Ints:
        """List the instants at which some rows begin or end."""
        return np.concatenate([self.from_us[rows], self.to_us[rows]])

    def layer(self, rows: Ints) -> Ints:
        """Give the place of each row's layer, from the outside in."""
        return self.order[self.area[rows]] // LAYER_ROOM

    def sorted(self, rows: Ints) -> Ints:
        """Sort rows by layer, then by code."""
        return rows[np.argsort(self.order[self.area[rows]], kind="stable")]


def orders(register: Register, layers: Sequence[str]) -> Ints:
    """Number the areas of a sorted register by layer and code, with room between."""
    place_of = {layer: place for place, layer in enumerate(layers)}
    places = [place_of[area_of(text).layer] for text in register.texts.to_pylist()]
    return np.array(places, np.int64) * LAYER_ROOM + np.arange(1, len(places) + 1) * _ROOM


def orders_with_more(
    order: Ints, known: Register, texts: Iterable[str], layers: Sequence[str]
) -> Ints:
    """Find places among `order` for areas that come later.

    Raises:
        NoRoom: there is none.
    """
    later = {text: int(order[number]) for text, number in known.later.items()}
    added = []
    for text in texts:
        begin = layers.index(area_of(text).layer) * LAYER_ROOM
        end = begin + LAYER_ROOM
        place = known.place(text)
        below = [int(value) for value in order[max(place - 1, 0) : place]]
        above = [int(value) for value in order[place : min(place + 1, known.sorted_count)]]
        below += [value for other, value in later.items() if other < text]
        above += [value for other, value in later.items() if other > text]
        low = max((begin, *(value for value in below if value < end)))
        high = min((end, *(value for value in above if value > begin)))
        if high - low < 2:  # noqa: PLR2004 -- no number lies between
            raise NoRoom
        later[text] = (low + high) // 2
        added.append(later[text])
    return np.concatenate([order, np.array(added, np.int64)])
