"""Points are answered from one revision in memory, as numbers.

The index tells the set of areas over each point; who answers there is looked up by the set's
number (`gridsvc.routing.sheets`). Only where that hangs on the instant are ladders climbed, once
for each group of equal questions.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd

from gridsvc.crs import Floats
from gridsvc.grids.schemes import Scheme
from gridsvc.grids.terms import Duty
from gridsvc.grids.weekhours import DAY_MIN, WEEK_MIN
from gridsvc.routing.closures import Ragged
from gridsvc.routing.components import is_clear
from gridsvc.routing.ladders import Ints, decide, looked_after
from gridsvc.routing.lexicon import NONE, Numbers
from gridsvc.routing.reasons import Mask
from gridsvc.routing.sheets import PARTIES, Ground, Kind, Places, Posts, Sheet

_KEPT_ANSWERS = 200_000
_KEPT_SETS = 20_000_000


def _minutes(at_us: Ints, scheme: Scheme) -> Ints:
    """Give the minute of the city's week at each instant."""
    utc = pd.DatetimeIndex(at_us.view("M8[us]"), tz="UTC")
    local_us = utc.tz_convert(scheme.zone).tz_localize(None).as_unit("us").asi8
    # 1970 began on a Thursday, three days into its week.
    return (np.asarray(local_us, np.int64) // 60_000_000 + 3 * DAY_MIN) % WEEK_MIN


class Asked(NamedTuple):
    """Points that can be asked.

    Attributes:
        x: (n,) metres in the storage CRS.
        y: The same.
        at_us: (n,) instants, microseconds since 1970 UTC.
        category: (n,) index into `categories`; -1 is none.
        categories: Class codes.
    """

    x: Floats
    y: Floats
    at_us: Ints
    category: Ints
    categories: Sequence[str]

    def of(self, rows: Ints) -> "Asked":
        """Give some of them."""
        return Asked(
            self.x[rows], self.y[rows], self.at_us[rows], self.category[rows], self.categories
        )

    def code(self, row: int) -> str | None:
        """Give the category of one."""
        number = self.category[row]
        return self.categories[number] if number >= 0 else None


class Coded(NamedTuple):
    """Answers in numbers.

    Attributes:
        areas: (layers, n) codes of the areas that own the points, in the lexicon's words.
        parties: (`PARTIES`, n) in the order of `PARTY_COLUMNS`.
        deciding: (n,) row in the snapshot's index of the area whose edge matters; -1 is none.
        served: (n,) whether the city serves the point.
    """

    areas: Numbers
    parties: Numbers
    deciding: Numbers
    served: Mask

    def of(self, rows: Ints) -> "Coded":
        """Give those of some points."""
        return Coded(
            self.areas[:, rows], self.parties[:, rows], self.deciding[rows], self.served[rows]
        )


class _Spots(NamedTuple):
    """Sets of areas over points, by number.

    Attributes:
        sets: (n,) numbers; from `first` on they mean `more`.
        first: How many the index knows.
        more: Further sets, each by layer and code.
    """

    sets: Ints
    first: int
    more: Ragged

    def rows_of(self, ground: Ground, number: int) -> tuple[int, ...]:
        """Give the areas of a set, by layer and code."""
        if number < self.first:
            return tuple(ground.sets.of(number).tolist())
        return tuple(self.more.of(number - self.first).tolist())


@dataclass
class GroundRouter:
    """Answers for instants at which one revision answers; used by several threads at once.

    Attributes:
        ground: The revision's areas.
    """

    ground: Ground
    _sheets: OrderedDict[Kind, Sheet] = field(default_factory=OrderedDict)
    _posts: dict[Kind, Posts] = field(default_factory=dict)
    _asked: dict[Kind, int] = field(default_factory=dict)
    _answers: dict[Any, tuple[int, ...]] = field(default_factory=dict)
    _dated: dict[tuple[int, int], tuple[int, ...]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __getstate__(self) -> dict[str, Any]:
        return {"ground": self.ground}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["ground"])  # type: ignore[misc]

    @cached_property
    def _instants_us(self) -> Ints:
        """Where areas begin or end."""
        areas = self.ground.snapshot.areas
        return np.unique(areas.instants_us(np.flatnonzero(~areas.always)))

    def code(self, asked: Asked) -> Coded:
        """Answer points, at instants that the revision answers for."""
        ground = self.ground
        spots = self._spots(asked)
        more = ground.lay(spots.more)
        owners, served, _ = _taken(ground.places, more, spots)
        ladders = ground.snapshot.ladders
        kinds = [ladders.kind_of(code) for code in (*asked.categories, None)]
        number_of = {kind: number for number, kind in enumerate(dict.fromkeys(kinds))}
        kind = np.array([number_of[one] for one in kinds], np.int64)[asked.category]
        sheet = self._sheets_of(kind, list(number_of), spots)
        timed = np.flatnonzero(sheet.timed & served)
        if len(timed):
            self._decide(timed, asked, spots, kind, list(number_of), sheet)
        self._let_owners_answer(asked, spots, served, sheet.parties[0])
        return Coded(owners, sheet.parties, sheet.deciding, served)

    def edge_m(self, deciding: Numbers, x: Floats, y: Floats) -> Floats:
        """Measure to the edges of the deciding areas, to the millimetre; NaN where none decided."""
        edge_m = np.full(len(deciding), np.nan)
        rows = np.flatnonzero(deciding >= 0)
        index = self.ground.snapshot.index
        areas = deciding[rows].astype(np.int64)
        edge_m[rows] = index.edge_m(areas, x[rows], y[rows])
        return np.round(edge_m, 3)

    def _spots(self, asked: Asked) -> _Spots:
        """Find the set of areas that are over each point at its instant."""
        ground = self.ground
        index = ground.snapshot.index
        found = index.find(asked.x, asked.y)
        sets = found.combination.astype(np.int64)
        first = index.combinations
        extra = dict(zip(found.extra, range(first, first + len(found.extra)), strict=True))
        dated = ground.places.dated
        if extra or dated.any():
            dates = [not ground.snapshot.areas.always[list(rows)].all() for rows in extra]
            is_dated = np.concatenate([dated, np.array(dates, bool)])
            rows = np.flatnonzero(is_dated[sets])
            if len(rows):
                sets[rows] = self._valid(sets[rows], asked.at_us[rows], first, extra)
        return _Spots(sets, first, ground.sorted(_ragged(list(extra))))

    def _valid(
        self, sets: Ints, at_us: Ints, first: int, extra: dict[tuple[int, ...], int]
    ) -> Ints:
        """Leave out areas that are not valid at the instant; sets that are new join `extra`."""
        snapshot = self.ground.snapshot
        given = list(extra)
        interval = np.searchsorted(self._instants_us, at_us, side="right")
        pairs = sets * (len(self._instants_us) + 1) + interval
        _, one, pair_of = np.unique(pairs, return_index=True, return_inverse=True)
        numbers = []
        for number, between, instant_us in zip(
            sets[one].tolist(), interval[one].tolist(), at_us[one].tolist(), strict=True
        ):
            key = number, between
            rows = self._dated.get(key) if number < first else None
            if rows is None:
                areas = snapshot.index.areas_of(number) if number < first else given[number - first]
                all_rows = np.array(areas, np.int64)
                valid = snapshot.areas.is_valid(all_rows, instant_us)
                rows = tuple(all_rows[valid].tolist())
                if number < first:
                    _keep(self._dated, key, rows)
            numbers.append(extra.setdefault(rows, first + len(extra)))
        return np.array(numbers, np.int64)[pair_of]

    def _sheets_of(self, kind: Ints, kinds: Sequence[Kind], spots: _Spots) -> Sheet:
        """Give who answers at points, for categories of many kinds."""
        present = np.unique(kind).tolist() if len(kinds) > 1 else [0]
        if len(present) == 1:
            return self._sheet(kinds[present[0]], spots)
        sheet = Sheet(
            np.full((PARTIES, len(kind)), NONE, np.int32),
            np.full(len(kind), NONE, np.int32),
            np.zeros(len(kind), bool),
        )
        for number in present:
            rows = np.flatnonzero(kind == number)
            some = self._sheet(kinds[number], spots._replace(sets=spots.sets[rows]))
            sheet.parties[:, rows] = some.parties
            sheet.deciding[rows] = some.deciding
            sheet.timed[rows] = some.timed
        return sheet

    def _sheet(self, kind: Kind, spots: _Spots) -> Sheet:
        """Give who answers at points, for categories of one kind."""
        ground = self.ground
        posts = self._posts_of(kind)
        whole = self._whole(kind, posts, len(spots.sets))
        if whole is not None:
            return _taken(whole, ground.decide(spots.more, posts), spots)
        # So few are asked that it does not pay to answer for all.
        sets, set_of = np.unique(spots.sets, return_inverse=True)
        known = sets[sets < spots.first]
        some = ground.decide(_chosen(ground.sets, known), posts)
        more = ground.decide(_chosen(spots.more, sets[len(known) :] - spots.first), posts)
        return Sheet(*(np.concatenate(pair, axis=-1) for pair in zip(some, more, strict=True))).of(
            set_of
        )

    def _posts_of(self, kind: Kind) -> Posts:
        with self._lock:
            if kind not in self._posts:
                self._posts[kind] = self.ground.posts(kind)
            return self._posts[kind]

    def _whole(self, kind: Kind, posts: Posts, count: int) -> Sheet | None:
        """Give who answers in all sets, once as many points were asked as there are sets."""
        sets = len(self.ground.sets.offsets) - 1
        with self._lock:
            if kind not in self._sheets:
                asked = self._asked[kind] = self._asked.get(kind, 0) + count
                if asked < sets:
                    return None
                self._sheets[kind] = self.ground.decide(self.ground.sets, posts)
                while len(self._sheets) > max(_KEPT_SETS // max(sets, 1), 1):
                    gone, _ = self._sheets.popitem(last=False)
                    self._asked[gone] = 0
            self._sheets.move_to_end(kind)
            return self._sheets[kind]

    def _decide(  # noqa: PLR0913, PLR0917  what a decision rests on
        self,
        rows: Ints,
        asked: Asked,
        spots: _Spots,
        kind: Ints,
        kinds: Sequence[Kind],
        sheet: Sheet,
    ) -> None:
        """Climb the ladders for rows whose answer hangs on the instant."""
        ground = self.ground
        snapshot = ground.snapshot
        at_us = asked.at_us[rows]
        minutes = _minutes(at_us, snapshot.scheme)
        moment = snapshot.ladders.moments(at_us, minutes)
        keys = (moment * len(kinds) + kind[rows]) * (spots.sets.max() + 1) + spots.sets[rows]
        group, different = pd.factorize(keys)
        first = np.empty(len(different), np.int64)
        first[group[::-1]] = np.arange(len(group))[::-1]
        answers = []
        for n in first.tolist():
            row = int(rows[n])
            areas = spots.rows_of(ground, int(spots.sets[row]))
            key = areas, kinds[kind[row]], int(moment[n])
            answer = self._answers.get(key)
            if answer is None:
                answer = self._climb(areas, asked.code(row), int(at_us[n]), int(minutes[n]))
                _keep(self._answers, key, answer)
            answers.append(answer)
        told = np.array(answers, np.int32)[group]
        sheet.deciding[rows] = told[:, 0]
        sheet.parties[:, rows] = told[:, 1:].T

    def _climb(
        self, rows: tuple[int, ...], category: str | None, at_us: int, minute: int
    ) -> tuple[int, ...]:
        """Tell the deciding row, and the parties."""
        snapshot = self.ground.snapshot
        row_of, areas, version_of = snapshot.by_layer(rows)
        ladders = snapshot.ladders
        responsible, management, enforcement, supervision = (
            decide(
                ladders.chain(areas, duty, category, version_of=version_of),
                at_us=at_us,
                minute=minute,
            )
            for duty in Duty
        )
        deciding = responsible.area if responsible else ladders.first_rung(areas)
        number = self.ground.lexicon.parties.number
        held = (
            responsible and responsible.lead,
            management and management.lead,
            enforcement and enforcement.lead,
            enforcement and enforcement.assistant,
            supervision and supervision.lead,
        )
        return (
            row_of[deciding] if deciding else NONE,
            *(number(one.party_code) if one else NONE for one in held),
        )

    def _let_owners_answer(
        self, asked: Asked, spots: _Spots, served: Mask, responsible: Numbers
    ) -> None:
        """Let owners of components, or the tier for unclear ones, answer before the ladder.

        Each such row is asked by itself: they are few among reports.
        """
        ground = self.ground
        snapshot = ground.snapshot
        reaches = [*map(snapshot.rules.reach, asked.categories), None]
        is_about = np.array([reach is not None for reach in reaches], bool)
        rows = np.flatnonzero(is_about[asked.category] & served)
        if not len(rows):
            return
        minutes = _minutes(asked.at_us[rows], snapshot.scheme)
        for row, minute in zip(rows.tolist(), minutes.tolist(), strict=True):
            code, at_us = asked.code(row), int(asked.at_us[row])
            reach = reaches[asked.category[row]]
            if code is None or reach is None:
                continue
            near = snapshot.components.near(
                code,
                x=float(asked.x[row]),
                y=float(asked.y[row]),
                within_m=reach.within_m,
                at_us=at_us,
            )
            if near and is_clear(near, reach.apart_m):
                responsible[row] = ground.parties[near[0].owner]
            elif (
                taken := self._taken_by(
                    spots.rows_of(ground, int(spots.sets[row])), code, at_us, minute
                )
            ) is not None:
                responsible[row] = taken

    def _taken_by(
        self, rows: tuple[int, ...], category: str, at_us: int, minute: int
    ) -> int | None:
        """Tell who takes components without a clear owner; None where nobody does."""
        snapshot = self.ground.snapshot
        unclear = snapshot.rules.unclear
        if unclear is None:
            return None
        row = next((row for row in rows if snapshot.key(row).layer == unclear.layer), None)
        if row is None:
            return None
        version = int(snapshot.index.ids[row])
        post = snapshot.ladders.post(
            snapshot.key(row), unclear.duty, category, version_of=lambda _: version
        )
        decided = looked_after(post, at_us=at_us, minute=minute)
        return decided and self.ground.lexicon.parties.number(decided.lead.party_code)


_Known = TypeVar("_Known", Places, Sheet)


def _taken(whole: _Known, more: _Known, spots: _Spots) -> _Known:
    """Give what is known of the sets over points: of most by the whole, of few by what is new."""
    rows = np.flatnonzero(spots.sets >= spots.first)
    if not len(rows):
        return whole.of(spots.sets)
    taken = whole.of(np.minimum(spots.sets, spots.first - 1))
    for column, new in zip(taken, more.of(spots.sets[rows] - spots.first), strict=True):
        column[..., rows] = new
    return taken


def _chosen(sets: Ragged, numbers: Ints) -> Ragged:
    """Give some sets, numbered anew."""
    _, values = sets.pairs(numbers)
    counts = sets.offsets[numbers + 1] - sets.offsets[numbers]
    return Ragged(np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), values)


def _ragged(sets: Sequence[tuple[int, ...]]) -> Ragged:
    counts = np.array([0, *map(len, sets)], np.int64)
    values = np.fromiter((row for rows in sets for row in rows), np.int32, int(counts.sum()))
    return Ragged(np.cumsum(counts), values)


def _keep(kept: dict[Any, Any], key: Any, value: Any) -> None:  # noqa: ANN401  any cache
    if len(kept) >= _KEPT_ANSWERS:
        kept.clear()
    kept[key] = value
