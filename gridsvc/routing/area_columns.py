"""What areas are called and when they are valid, in columns by the rows of the index."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gridsvc.routing.holders import Row, area_of, area_text
from gridsvc.routing.ladders import FOREVER_US, AreaKey, Ints
from gridsvc.routing.registers import Register

LAYER_ROOM = 2**56
"""How far the orders of areas of two layers lie apart."""

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
        order: (areas,) by number in the register: sorts by layer from the outside in, then by code.
        always: (rows,) whether it is valid at every instant for which the revision answers.
    """

    area: npt.NDArray[np.int32]
    from_us: Ints
    to_us: Ints
    names: pa.ChunkedArray
    order: Ints
    always: npt.NDArray[np.bool_]

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

    def changed(self, ended: Ints, more: Self) -> Self:
        """End some rows and add others, whose `order` is that of all areas."""
        to_us, always = self.to_us.copy(), self.always.copy()
        to_us[ended] = self.from_us[ended]
        always[ended] = False
        return replace(
            more,
            area=np.concatenate([self.area, more.area]),
            from_us=np.concatenate([self.from_us, more.from_us]),
            to_us=np.concatenate([to_us, more.to_us]),
            names=pa.chunked_array([*self.names.chunks, *more.names.chunks], pa.string()),
            always=np.concatenate([always, more.always]),
        )

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
