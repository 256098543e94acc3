"""One revision in memory: all that answers, so that no question needs the database.

It is made of the rows of one revision and never changed; the next revision is another one, which
shares what did not change.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import psycopg
import pyarrow as pa
import shapely
from sqlalchemy import Connection

from gridsvc.db import sql_text
from gridsvc.errors import NothingPublished
from gridsvc.grids.schemes import Scheme
from gridsvc.grids.terms import StandInBy
from gridsvc.routing.components import Components
from gridsvc.routing.holders import (
    DUTIES,
    Holders,
    Parties,
    Row,
    Vocabulary,
    absence_records,
    area_of,
    area_text,
    holder_records,
)
from gridsvc.routing.index import AreaIndex
from gridsvc.routing.ladders import (
    FOREVER_US,
    LEAD,
    AreaKey,
    Ints,
    Ladders,
    Neighbour,
    load_neighbours,
)
from gridsvc.routing.registers import Register
from gridsvc.routing.rules import Rules

LAYER_ROOM = 2**56
"""How far the orders of areas of two layers lie apart."""

# Between the orders of two neighbouring codes there is room for this many codes that come later.
_ROOM = 2**24


@dataclass(frozen=True, slots=True)
class Areas:
    """Versions of areas by the index's rows.

    Attributes:
        area: (rows,) number of each in the register of areas.
        from_us: (rows,) microseconds since 1970 UTC, included.
        to_us: (rows,) the same, excluded.
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


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One revision.

    Attributes:
        revision: Its number.
        effective_us: The first instant for which it answers, microseconds since 1970 UTC.
        rules: The scheme.
        index: Where the areas are; its rows are those of `areas`.
        areas: What they are called and when they are valid.
        holders: Who holds what.
        ladders: Who is asked first.
        components: The registered ones.
        instants_us: Where anything begins or ends that an answer may rest on, sorted; between two
            of them, and between two of the ladders' `week_marks`, answers stay the same.
    """

    revision: int
    effective_us: int
    rules: Rules
    index: AreaIndex
    areas: Areas
    holders: Holders
    ladders: Ladders
    components: Components
    instants_us: Ints

    @property
    def scheme(self) -> Scheme:
        """The scheme in force."""
        return self.rules.scheme

    @classmethod
    def load(cls, connection: Connection, revision: int | None = None) -> Self:
        """Read a revision.

        Args:
            connection: Reads only.
            revision: Number; None is the newest.

        Raises:
            NothingPublished: there is no such revision.
        """
        number, effective_us, rules = _read_rules(connection, revision)
        parameters = {"revision": number, "since": 0}
        area_rows = _read(connection, "snapshot_areas", parameters)
        holder_rows = _read(connection, "snapshot_holders", parameters)
        keys = [AreaKey(row[1], row[2]) for row in area_rows]
        register = Register.sorting(
            map(area_text, {*keys, *(AreaKey(row[1], row[2]) for row in holder_rows)})
        )
        order = _orders(register, rules.layers)
        areas = _areas(area_rows, keys, register, order, effective_us)
        parties = Parties.of(_read(connection, "snapshot_parties", parameters))
        holders = _holders(
            holder_rows,
            _read(connection, "snapshot_absences", parameters),
            register,
            parties,
            effective_us,
        )
        index = AreaIndex.build(
            np.array([row[0] for row in area_rows], np.int64),
            shapely.from_wkb(np.array([row[6] for row in area_rows], object)),
        )
        return cls._of(
            number,
            effective_us,
            rules,
            index,
            areas,
            holders,
            load_neighbours(connection, number, _may_need_neighbours(holders, rules)),
            Components.of(_read(connection, "snapshot_components", parameters), parties.codes),
        )

    @classmethod
    def _of(  # noqa: PLR0913, PLR0917  the parts of a revision
        cls,
        revision: int,
        effective_us: int,
        rules: Rules,
        index: AreaIndex,
        areas: Areas,
        holders: Holders,
        neighbours: dict[int, tuple[Neighbour, ...]],
        components: Components,
    ) -> Self:
        near_us = [end for few in neighbours.values() for one in few for end in one[1:3]]
        timed = ~areas.always
        instants_us = np.unique(
            np.concatenate(
                [
                    holders.instants_us(),
                    np.array(near_us, np.int64),
                    areas.from_us[timed],
                    areas.to_us[timed],
                ]
            )
        )
        ladders = Ladders(
            rules.rungs,
            holders.on,
            rules.tiling,
            rules.stand_ins,
            neighbours,
            instants_us,
            holders.week_marks(),
            tuple(sorted({"", *(prefix for _, prefix in rules.rungs), *holders.words.categories})),
        )
        return cls(
            revision, effective_us, rules, index, areas, holders, ladders, components, instants_us
        )

    def key(self, row: int) -> AreaKey:
        """Give layer and code of one of the index's rows, ready to be asked for its holders."""
        number = int(self.areas.area[row])
        key = area_of(self.holders.areas.text(number))
        if not self.holders.keeps(key):
            self.holders.keep(key, number)
        return key

    def name(self, row: int) -> str | None:
        """Give the name of one of the index's rows; None where it has none."""
        name: str | None = self.areas.names[row].as_py()
        return name

    def row_of_version(self, version: int) -> int:
        """Find the index's row of a version of an area (id)."""
        return int(np.flatnonzero(self.index.ids == version)[0])

    def is_tiling(self) -> npt.NDArray[np.bool_]:
        """Tell for each of the index's rows whether it is of a layer that fills its parent."""
        tiling = [layer in self.rules.tiling for layer in self.rules.layers]
        return np.array(tiling, bool)[self.areas.order[self.areas.area] // LAYER_ROOM]


# Reading


def _read_rules(connection: Connection, revision: int | None) -> tuple[int, int, Rules]:
    rows = _read(connection, "snapshot_rules", {"revision": revision})
    if not rows:
        raise NothingPublished
    number, effective_us, document = rows[0]
    return number, effective_us, Rules(document)


def _read(connection: Connection, name: str, parameters: dict[str, Any]) -> list[Row]:
    """Ask a question of many rows, which come in binary form."""
    cursor: psycopg.Cursor[Any] = connection.connection.cursor()  # type: ignore[assignment]
    with cursor:
        cursor.execute(sql_text("gridsvc.routing", name), parameters, binary=True)
        return cursor.fetchall()


def _areas(
    rows: Sequence[Row],
    keys: Sequence[AreaKey],
    register: Register,
    order: Ints,
    effective_us: int,
) -> Areas:
    known = {text: number for number, text in enumerate(register.texts.to_pylist())}
    from_us = np.array([row[4] for row in rows], np.int64)
    to_us = np.array([FOREVER_US if row[5] is None else row[5] for row in rows], np.int64)
    return Areas(
        np.array([known[area_text(key)] for key in keys], np.int32),
        from_us,
        to_us,
        pa.chunked_array([[row[3] for row in rows]], pa.string()),
        order,
        (from_us <= effective_us) & (to_us == FOREVER_US),
    )


def _orders(register: Register, layers: Sequence[str]) -> Ints:
    """Number areas by layer from the outside in, then by code, with room between."""
    texts = register.texts.to_pylist()
    place_of = {layer: place for place, layer in enumerate(layers)}
    places = [place_of[area_of(text).layer] for text in texts]
    return np.array(places, np.int64) * LAYER_ROOM + np.arange(1, len(texts) + 1) * _ROOM


def _holders(
    rows: Sequence[Row],
    absences: Sequence[Row],
    areas: Register,
    parties: Parties,
    effective_us: int,
) -> Holders:
    words = Vocabulary().with_more(*([row[place] for row in rows] for place in (6, 7, 8)))
    return Holders.of(
        holder_records(rows, areas, parties.codes, words),
        absence_records(absences, parties.codes),
        areas,
        parties,
        words,
        effective_us,
    )


def _may_need_neighbours(holders: Holders, rules: Rules) -> list[AreaKey]:
    """List the areas of which some lead may be off and a neighbour's pair then stands in."""
    asked = np.array([StandInBy.NEIGHBOUR in rules.stand_ins.get(duty, ()) for duty in DUTIES])
    if not asked.any():
        return []
    records = holders.records
    wanted = ~holders.always & (records["rank"] == LEAD) & asked[records["duty"]]
    return [area_of(holders.areas.text(n)) for n in np.unique(records["area"][wanted]).tolist()]
