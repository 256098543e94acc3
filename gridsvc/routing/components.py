"""Registered components near a point, in memory.

The meaning is that of `gridsvc.components_near` in `sql/functions/15_component.sql`.
Distances are compared to the millimetre, as they are told.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa
import shapely

from gridsvc.routing.holders import Records, Row
from gridsvc.routing.ladders import FOREVER_US, Ints
from gridsvc.routing.registers import Register
from gridsvc.routing.rounding import rounded

COMPONENT = np.dtype(
    [
        ("id", np.int64),
        ("category", np.int32),
        ("owner", np.int32),
        ("x", np.float64),
        ("y", np.float64),
        ("from_us", np.int64),
        ("to_us", np.int64),
    ]
)
"""Category and owner are numbers: in `Components.categories`, of a party."""


class Near(NamedTuple):
    """A component within reach of a point."""

    distance_m: float
    code: str
    owner: int


@dataclass(frozen=True, slots=True)
class Components:
    """The components of one revision.

    Attributes:
        records: `COMPONENT`.
        codes: Their codes, in the same order.
        categories: Their class codes, by number.
    """

    records: Records
    codes: pa.ChunkedArray
    categories: tuple[str, ...]
    _trees: dict[str, tuple[Ints, shapely.STRtree]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, rows: Sequence[Row], parties: Register) -> Self:
        """Take up rows of `sql/snapshot_components.sql`."""
        categories = tuple(dict.fromkeys(row[2] for row in rows))
        return cls(
            component_records(rows, categories, parties),
            pa.chunked_array([[row[1] for row in rows]], pa.string()),
            categories,
        )

    def changed(self, *, ended: Iterable[int], rows: Sequence[Row], parties: Register) -> Self:
        """Give the components of a later revision: without some (ids), and with new rows."""
        ended = list(ended)
        if not (ended or rows):
            return self
        categories = tuple(dict.fromkeys((*self.categories, *(row[2] for row in rows))))
        added = component_records(rows, categories, parties)
        records = self.records.copy()
        gone = np.isin(records["id"], ended)
        records["to_us"][gone] = records["from_us"][gone]  # trees know it by its place
        touched = {categories[number] for number in added["category"].tolist()}
        return type(self)(
            np.concatenate([records, added]),
            pa.chunked_array([*self.codes.chunks, pa.array([row[1] for row in rows], pa.string())]),
            categories,
            {category: tree for category, tree in self._trees.items() if category not in touched},
        )

    def near(self, category: str, *, x: float, y: float, within_m: float, at_us: int) -> list[Near]:
        """List those of a class within reach, the nearest first, of two as near the lowest code.

        Args:
            category: Class code.
            x: Easting, storage CRS.
            y: Northing.
            within_m: The distance itself included.
            at_us: Instant, microseconds since 1970 UTC.
        """
        if category not in self.categories:
            return []
        places, tree = self._tree(category)
        hits = places[tree.query(shapely.Point(x, y), "dwithin", within_m + 0.001)]
        near = []
        for place, record in zip(hits.tolist(), self.records[hits].tolist(), strict=True):
            _, _, owner, its_x, its_y, from_us, to_us = record
            distance_m = rounded(math.sqrt((its_x - x) ** 2 + (its_y - y) ** 2), 3)
            if distance_m <= within_m and from_us <= at_us < to_us:
                near.append(Near(distance_m, self.codes[place].as_py(), owner))
        return sorted(near)

    def _tree(self, category: str) -> tuple[Ints, shapely.STRtree]:
        kept = self._trees.get(category)
        if kept is None:
            number = self.categories.index(category)
            places = np.flatnonzero(self.records["category"] == number)
            points = np.column_stack([self.records["x"][places], self.records["y"][places]])
            kept = self._trees[category] = (
                places,
                shapely.STRtree(np.asarray(shapely.points(points), object)),
            )
        return kept

    def instants_us(self) -> Ints:
        """List the instants at which one begins or ends, sorted."""
        return np.unique(np.concatenate([self.records["from_us"], self.records["to_us"]]))


def component_records(rows: Sequence[Row], categories: Sequence[str], parties: Register) -> Records:
    """Number what rows of `sql/snapshot_components.sql` say."""
    records = np.empty(len(rows), COMPONENT)
    if rows:
        ids, _, classes, owners, xs, ys, froms, tos = zip(*rows, strict=True)
        place_of = {category: place for place, category in enumerate(categories)}
        number_of = {code: parties.number(code) for code in set(owners)}
        records["id"] = ids
        records["category"] = [place_of[category] for category in classes]
        records["owner"] = [number_of[code] for code in owners]
        records["x"], records["y"] = xs, ys
        records["from_us"] = froms
        records["to_us"] = [FOREVER_US if end is None else end for end in tos]
    return records


def is_clear(near: Sequence[Near], apart_m: float) -> bool:
    """Tell whether those of other owners lie far enough behind the nearest."""
    limit_m = Decimal(str(near[0].distance_m)) + Decimal(str(apart_m))
    return not any(
        one.owner != near[0].owner and Decimal(str(one.distance_m)) < limit_m for one in near
    )
