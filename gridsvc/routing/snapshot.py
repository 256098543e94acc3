"""One revision in memory: all that answers, so that no question needs the database.

It is made of the rows of one revision and never changed; the next revision is another one, which
shares what did not change.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt
import psycopg
import shapely
from sqlalchemy import Connection

from gridsvc.crs import Geometries
from gridsvc.db import sql_text
from gridsvc.errors import NothingPublished
from gridsvc.grids.schemes import Scheme
from gridsvc.grids.terms import StandInBy
from gridsvc.routing.area_columns import Areas, NoRoom, orders, orders_with_more
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
from gridsvc.routing.ladders import LEAD, AreaKey, Ints, Ladders, Neighbour, load_neighbours
from gridsvc.routing.registers import Register
from gridsvc.routing.rules import Rules

# Neighbours are found by their edges, which may lie so far apart.
_TOUCHING_M = 0.01

# From so many changes on a revision is read anew: the columns then lie in order again.
_CHANGES_MAX = 5_000

Numbers: TypeAlias = npt.NDArray[np.int32]
_Neighbours = Mapping[int, tuple[Neighbour, ...]]


@dataclass(frozen=True, slots=True)
class Stamp:
    """Which revision it is, of which database.

    Attributes:
        revision: Number.
        effective_us: The first instant for which it answers, microseconds since 1970 UTC.
        published_us: When it was published; another database's has another time.
        scheme_id: The version of the scheme.
    """

    revision: int
    effective_us: int
    published_us: int
    scheme_id: int

    @classmethod
    def read(cls, connection: Connection, revision: int | None = None) -> Self | None:
        """Read the stamp of a revision; without a number, of the newest. None: there is none."""
        rows = _read(connection, "snapshot_revision", {"revision": revision})
        return cls(*rows[0]) if rows else None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One revision.

    Attributes:
        stamp: Which one.
        rules: The scheme.
        index: Where the areas are; its rows are those of `areas`.
        areas: What they are called and when they are valid.
        holders: Who holds what.
        ladders: Who is asked first.
        components: The registered ones.
    """

    stamp: Stamp
    rules: Rules
    index: AreaIndex
    areas: Areas
    holders: Holders
    ladders: Ladders
    components: Components

    @property
    def revision(self) -> int:
        """Its number."""
        return self.stamp.revision

    @property
    def effective_us(self) -> int:
        """The first instant for which it answers, microseconds since 1970 UTC."""
        return self.stamp.effective_us

    @property
    def scheme(self) -> Scheme:
        """The scheme in force."""
        return self.rules.scheme

    @property
    def instants_us(self) -> Ints:
        """Where anything begins or ends that an answer may rest on, sorted.

        Between two of them, and between two of the ladders' `week_marks`, answers stay the same
        but for components.
        """
        return self.ladders.instants_us

    # Reading a revision

    @classmethod
    def load(cls, connection: Connection, revision: int | None = None) -> Self:
        """Read a revision.

        Args:
            connection: Reads only.
            revision: Number; None is the newest.

        Raises:
            NothingPublished: there is no such revision.
        """
        stamp = Stamp.read(connection, revision)
        if stamp is None:
            raise NothingPublished
        parameters = {"revision": stamp.revision, "since": 0}
        rules = Rules(_read(connection, "snapshot_rules", {"scheme_id": stamp.scheme_id})[0][0])
        area_rows = _read(connection, "snapshot_areas", parameters)
        holder_rows = _read(connection, "snapshot_holders", parameters)
        register = Register.sorting(_area_texts(area_rows, holder_rows))
        order = orders(register, rules.layers)
        areas = Areas.read(area_rows, register, order, effective_us=stamp.effective_us)
        parties = Parties.of(_read(connection, "snapshot_parties", parameters))
        words = Vocabulary().with_words_of(holder_rows)
        holders = Holders.of(
            holder_records(holder_rows, register, parties.codes, words),
            absence_records(_read(connection, "snapshot_absences", parameters), parties.codes),
            register,
            parties,
            words,
            stamp.effective_us,
        )
        component_rows = _read(connection, "snapshot_components", parameters)
        wanted = _may_need_neighbours(holders, rules)
        neighbours = load_neighbours(connection, stamp.revision, wanted)
        return cls.of(
            stamp,
            rules,
            AreaIndex.build(*_boundaries(area_rows)),
            areas,
            holders,
            Components.of(component_rows, parties.codes),
            neighbours,
            _union(
                holders.instants_us(),
                _periods(neighbours),
                areas.instants_us(np.flatnonzero(~areas.always)),
            ),
            holders.week_marks(),
        )

    @classmethod
    def of(  # noqa: PLR0913, PLR0917  the parts of a revision
        cls,
        stamp: Stamp,
        rules: Rules,
        index: AreaIndex,
        areas: Areas,
        holders: Holders,
        components: Components,
        neighbours: _Neighbours,
        instants_us: Ints,
        week_marks: Ints,
    ) -> Self:
        """Put the parts of a revision together; instants and marks may be more than it needs."""
        prefixes = {"", *(prefix for _, prefix in rules.rungs), *holders.words.categories}
        ladders = Ladders(
            rules.rungs,
            holders.on,
            rules.tiling,
            rules.stand_ins,
            neighbours,
            instants_us,
            week_marks,
            tuple(sorted(prefixes)),
        )
        return cls(stamp, rules, index, areas, holders, ladders, components)

    # Going on to a later one

    def advanced(self, connection: Connection) -> Self:
        """Give the newest revision, reading only what changed; this one where it is the newest.

        Where that is not possible, as when the scheme changed, it is read anew.

        Raises:
            NothingPublished: the database holds no revision.
        """
        stamp = Stamp.read(connection)
        if stamp == self.stamp:
            return self
        goes_on = (
            stamp is not None
            and stamp.revision > self.revision
            and stamp.scheme_id == self.stamp.scheme_id
            and Stamp.read(connection, self.revision) == self.stamp
        )
        if stamp is None or not goes_on:
            return self.load(connection)
        try:
            return self._advanced(connection, stamp)
        except NoRoom:
            return self.load(connection)

    def _advanced(self, connection: Connection, stamp: Stamp) -> Self:
        parameters = {"revision": stamp.revision, "since": self.revision}
        ended: dict[str, list[int]] = {}
        for what, number in _read(connection, "snapshot_ended", parameters):
            ended.setdefault(what, []).append(number)
        area_rows = _read(connection, "snapshot_areas", parameters)
        holder_rows = _read(connection, "snapshot_holders", parameters)
        parties = self.holders.parties.with_more(_read(connection, "snapshot_parties", parameters))
        known = self.holders.areas
        register = known.with_more(_area_texts(area_rows, holder_rows))
        if len(register.later) + np.count_nonzero(self.index.ids < 0) > _CHANGES_MAX:
            raise NoRoom
        fresh = register.texts[len(known) :].to_pylist()
        order = orders_with_more(self.areas.order, known, fresh, self.rules.layers)
        index, areas = self.index, replace(self.areas, order=order)
        gone = np.flatnonzero(np.isin(index.ids, ended.get("area", [])))
        came = np.empty(0, np.int64)
        if len(gone) or area_rows:
            more = Areas.read(area_rows, register, order, effective_us=stamp.effective_us)
            ids, boundaries = _boundaries(area_rows)
            came = _rows_for(more.area, gone, areas.area[gone], len(index.ids))
            taken = came < len(index.ids)
            replaced = np.where(taken, index.ids[np.where(taken, came, 0)], -1)
            left = gone[~np.isin(gone, came)]
            index = index.patched(
                ended=index.ids[left], ids=ids, boundaries=boundaries, replaced=replaced
            )
            areas = areas.changed(left, came, more)
        holders = self.holders.changed(
            ended=ended.get("assignment", ()),
            rows=holder_rows,
            absent_ended=ended.get("absence", ()),
            absent_rows=_read(connection, "snapshot_absences", parameters),
            areas=register,
            parties=parties,
            effective_us=stamp.effective_us,
        )
        components = self.components.changed(
            ended=ended.get("component", ()),
            rows=_read(connection, "snapshot_components", parameters),
            parties=parties.codes,
        )
        neighbours = self.ladders.neighbours
        instants_us, week_marks = self.ladders.instants_us, self.ladders.week_marks
        parts = stamp, self.rules, index, areas, holders, components
        later = self.of(*parts, neighbours, instants_us, week_marks)
        if not self.has_people_of(later):
            instants_us, week_marks = holders.instants_us(), holders.week_marks()
        neighbours = self._neighbours_in(later, connection, gone, came)
        instants_us = _union(
            self.instants_us, instants_us, _periods(neighbours), areas.instants_us(came)
        )
        return self.of(*parts, neighbours, instants_us, week_marks)

    def has_people_of(self, other: Self) -> bool:
        """Tell whether who holds what under which scheme is the same here and there."""
        return (
            self.rules is other.rules
            and self.holders.records is other.holders.records
            and self.holders.absences is other.holders.absences
            and self.holders.parties is other.holders.parties
        )

    def continues(self, earlier: Self) -> bool:
        """Tell whether numbers of combinations and rows mean here what they meant earlier.

        Rows whose areas changed are those of `rows_changed_since`; nothing else did.
        """
        return self.has_people_of(earlier) and self.index.grid is earlier.index.grid

    def rows_changed_since(self, earlier: Self) -> Ints:
        """List the rows whose areas an earlier revision did not have, or had otherwise."""
        ids = self.index.ids
        return np.flatnonzero(ids[: len(earlier.index.ids)] != earlier.index.ids)

    def _neighbours_in(
        self, later: Self, connection: Connection, gone: Ints, came: Ints
    ) -> _Neighbours:
        """Give the neighbours in a later revision: those of areas near a change are found anew."""
        wanted = set(_may_need_neighbours(later.holders, later.rules))
        if not wanted:
            return {}
        touched = wanted.difference(_may_need_neighbours(self.holders, self.rules))
        for snapshot, rows in ((self, gone), (later, came)):
            for row in rows.tolist():
                near = snapshot.beside(row, _TOUCHING_M).tolist()
                touched.update(snapshot.key(other) for other in (row, *near))
        touched &= wanted
        numbers = later.holders.areas.numbers([area_text(area) for area in touched])
        outdated = set(self.index.ids[np.isin(self.areas.area, numbers)].tolist())
        kept = {
            version: near
            for version, near in self.ladders.neighbours.items()
            if version not in outdated
        }
        return kept | load_neighbours(connection, later.revision, touched)

    # Looking at areas

    def key(self, row: int) -> AreaKey:
        """Give layer and code of one of the index's rows, ready to be asked for its holders."""
        number = int(self.areas.area[row])
        key = area_of(self.holders.areas.text(number))
        if not self.holders.keeps(key):
            self.holders.keep(key, number)
        return key

    def by_layer(
        self, rows: Iterable[int]
    ) -> tuple[dict[AreaKey, int], dict[str, list[AreaKey]], Callable[[AreaKey], int]]:
        """Sort the areas over a point for the ladders.

        Args:
            rows: The index's, in order of layer and code.

        Returns:
            The row of each area; the areas of each layer, the lowest code first; and what gives the
            version (id) of each.
        """
        row_of = {self.key(row): row for row in rows}
        areas: dict[str, list[AreaKey]] = {}
        for area in row_of:
            areas.setdefault(area.layer, []).append(area)
        return row_of, areas, lambda area: int(self.index.ids[row_of[area]])

    def name(self, row: int) -> str | None:
        """Give the name of one of the index's rows; None where it has none."""
        return self.areas.name(row)

    def row_of_version(self, version: int) -> int:
        """Find the index's row of a version of an area (id)."""
        return int(np.flatnonzero(self.index.ids == version)[0])

    def is_tiling(self, rows: Ints) -> npt.NDArray[np.bool_]:
        """Tell for some of the index's rows whether they are of a layer that fills its parent."""
        tiling = np.array([layer in self.rules.tiling for layer in self.rules.layers], bool)
        return tiling[self.areas.layer(rows)]

    def beside(self, row: int, within_m: float) -> Ints:
        """Find the other areas of a row's layer that may come so near to its edge.

        Returns:
            Rows, the lowest code first; some may be further away.
        """
        west, south, east, north = self.index.boundary(row).bounds
        reach_m = math.hypot(east - west, north - south) / 2 + within_m
        near = self.index.near((west + east) / 2, (south + north) / 2, reach_m)
        alike = self.areas.layer(near) == self.areas.layer(np.array([row]))
        return self.areas.sorted(near[alike & (self.areas.area[near] != self.areas.area[row])])


def _read(connection: Connection, name: str, parameters: dict[str, Any]) -> list[Row]:
    """Ask a question of many rows, which come in binary form."""
    cursor: psycopg.Cursor[Any] = connection.connection.cursor()  # type: ignore[assignment]
    with cursor:
        # Planned each time, because a plan for reading all does not suit what changed.
        statement = sql_text("gridsvc.routing", name)
        cursor.execute(statement, parameters, binary=True, prepare=False)
        return cursor.fetchall()


def _area_texts(area_rows: Sequence[Row], holder_rows: Sequence[Row]) -> list[str]:
    return [area_text(AreaKey(row[1], row[2])) for row in (*area_rows, *holder_rows)]


def _boundaries(rows: Sequence[Row]) -> tuple[Ints, Geometries]:
    """Give ids and boundaries of rows of `sql/snapshot_areas.sql`."""
    written = np.empty(len(rows), object)
    written[:] = [row[6] for row in rows]
    return np.array([row[0] for row in rows], np.int64), shapely.from_wkb(written)


def _rows_for(areas: Numbers, gone: Ints, gone_areas: Numbers, count: int) -> Ints:
    """Give versions that came their rows: that of one of the same area that went, or a new one.

    Args:
        areas: (n,) numbers of the areas of which versions came.
        gone: Rows of versions that went.
        gone_areas: The numbers of their areas.
        count: Rows so far.
    """
    free: dict[int, list[int]] = {}
    for row, area in zip(gone.tolist(), gone_areas.tolist(), strict=True):
        free.setdefault(area, []).append(row)
    rows = []
    for area in areas.tolist():
        if free.get(area):
            rows.append(free[area].pop(0))
        else:
            rows.append(count)
            count += 1
    return np.array(rows, np.int64)


def _periods(neighbours: _Neighbours) -> Ints:
    ends = [end for few in neighbours.values() for one in few for end in (one.from_us, one.to_us)]
    return np.array(ends, np.int64)


def _union(*instants_us: Ints) -> Ints:
    return np.unique(np.concatenate(instants_us))


def _may_need_neighbours(holders: Holders, rules: Rules) -> Iterable[AreaKey]:
    """List the areas of which some lead may be off and a neighbour's pair then stands in."""
    asked = np.array([StandInBy.NEIGHBOUR in rules.stand_ins.get(duty, ()) for duty in DUTIES])
    if not asked.any():
        return []
    records = holders.records
    wanted = ~holders.always & (records["rank"] == LEAD) & asked[records["duty"]]
    return [area_of(holders.areas.text(n)) for n in np.unique(records["area"][wanted]).tolist()]
