"""Who answers in each set of areas, for all sets at once.

Nearly every post is held at every instant by one party. For those the first rung of a ladder that
somebody holds is found for many sets with a few operations on arrays; where who answers hangs on
the instant the set is marked, and `gridsvc.routing.ladders` decides.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np

from gridsvc.grids.terms import Duty
from gridsvc.routing.closures import Ragged
from gridsvc.routing.holders import DUTIES
from gridsvc.routing.ladders import ASSISTANT, LEAD, Ints
from gridsvc.routing.lexicon import NONE, Lexicon, Numbers
from gridsvc.routing.reasons import Mask
from gridsvc.routing.snapshot import Snapshot

Kind: TypeAlias = tuple[str, ...] | None
"""What matters of a category for who answers (`Ladders.kind_of`); None is no category."""

PARTIES = len(DUTIES) + 1
"""Parties of an answer: one a duty, and who assists in enforcement."""

_TIMED = -2
_NO_RUNG = 1 << 20


class Places(NamedTuple):
    """What sets of areas are, whoever answers.

    Attributes:
        owners: (layers, sets) code of the area that owns the point, as the lexicon numbers it.
        served: (sets,) whether an area of a tiling layer is among them.
        dated: (sets,) whether one of the areas is not valid at every instant.
    """

    owners: Numbers
    served: Mask
    dated: Mask

    def of(self, sets: Ints) -> "Places":
        """Give those of some sets."""
        return Places(
            np.take(self.owners, sets, axis=1),
            np.take(self.served, sets),
            np.take(self.dated, sets),
        )


class Sheet(NamedTuple):
    """Who answers in sets of areas.

    Attributes:
        parties: (`PARTIES`, sets) in the order of an answer's columns, by the lexicon's numbers.
        deciding: (sets,) row of the area whose edge matters; -1 is none.
        timed: (sets,) whether it hangs on the instant; then the others mean nothing.
    """

    parties: Numbers
    deciding: Numbers
    timed: Mask

    def of(self, sets: Ints) -> "Sheet":
        """Give those of some sets."""
        return Sheet(
            np.take(self.parties, sets, axis=1),
            np.take(self.deciding, sets),
            np.take(self.timed, sets),
        )

    def with_more(self, more: "Sheet") -> "Sheet":
        """Put those of further sets behind."""
        return Sheet(
            np.concatenate([self.parties, more.parties], axis=1),
            np.concatenate([self.deciding, more.deciding]),
            np.concatenate([self.timed, more.timed]),
        )


class Posts(NamedTuple):
    """Who holds what for one kind of category, by the index's rows.

    Attributes:
        leads: For each duty (rows,) the party who leads at every instant, `NONE` or `_TIMED`.
        assistants: (rows,) of enforcement, the same.
        rungs: For each duty (layers,) the place of a layer on the ladder; `_NO_RUNG` off it.
    """

    leads: tuple[Numbers, ...]
    assistants: Numbers
    rungs: tuple[Ints, ...]


@dataclass(frozen=True)
class Ground:
    """The areas of a snapshot as columns of an answer.

    Attributes:
        snapshot: The state.
        lexicon: Numbers codes; has those of the snapshot.
        codes: (rows,) of areas, in the words of their layer.
        parties: Of each party of the snapshot the number in the lexicon.
    """

    snapshot: Snapshot
    lexicon: Lexicon
    codes: Numbers
    parties: Numbers

    @classmethod
    def of(cls, snapshot: Snapshot, lexicon: Lexicon) -> "Ground":
        """Number the codes of a snapshot."""
        holders = snapshot.holders
        by_layer: dict[str, tuple[list[int], list[str]]] = {
            layer: ([], []) for layer in snapshot.rules.layers
        }
        for number, text in enumerate(holders.areas.texts.to_pylist()):
            layer, _, code = text.partition("\x1f")
            numbers, codes = by_layer[layer]
            numbers.append(number)
            codes.append(code)
        of_area = np.empty(len(holders.areas), np.int32)
        for layer, (numbers, codes) in by_layer.items():
            of_area[numbers] = lexicon.areas(layer).add(codes)
        parties = lexicon.parties.add(holders.parties.codes.texts.to_pylist())
        return cls(snapshot, lexicon, of_area[snapshot.areas.area], parties)

    @cached_property
    def layer(self) -> Ints:
        """(rows,) the place of each area's layer."""
        return self.snapshot.areas.layer(np.arange(len(self.codes)))

    @cached_property
    def order(self) -> Ints:
        """(rows,) sorts areas by layer, then by code."""
        areas = self.snapshot.areas
        return areas.order[areas.area]

    @cached_property
    def tiling(self) -> Mask:
        """(layers,) whether a layer is tiling."""
        rules = self.snapshot.rules
        return np.array([layer in rules.tiling for layer in rules.layers], bool)

    @cached_property
    def sets(self) -> Ragged:
        """The sets of areas that the index knows, each by layer and code."""
        return self.sorted(self.snapshot.index.sets)

    @cached_property
    def places(self) -> Places:
        """What those sets are."""
        return self.lay(self.sets)

    def sorted(self, sets: Ragged) -> Ragged:
        """Sort the areas of each set by layer, then by code."""
        order = self.order[sets.values]
        set_of = np.repeat(np.arange(len(sets.offsets) - 1), np.diff(sets.offsets))
        return Ragged(sets.offsets, sets.values[np.lexsort((order, set_of))])

    def lay(self, sets: Ragged) -> Places:
        """Tell what sets of areas are; each is by layer and code."""
        count = len(sets.offsets) - 1
        set_of = np.repeat(np.arange(count), np.diff(sets.offsets))
        layer = self.layer[sets.values]
        owners = np.full((len(self.tiling), count), NONE, np.int32)
        owning = np.flatnonzero(_is_first(sets, layer))
        owners[layer[owning], set_of[owning]] = self.codes[sets.values[owning]]
        served, dated = np.zeros(count, bool), np.zeros(count, bool)
        served[set_of[self.tiling[layer]]] = True
        dated[set_of[~self.snapshot.areas.always[sets.values]]] = True
        return Places(owners, served, dated)

    def posts(self, kind: Kind) -> Posts:
        """Tell who holds what for categories of a kind."""
        category = kind[-1] if kind else None  # the longest prefix stands for the category
        rungs = tuple(self._rungs(duty, category) for duty in DUTIES)
        leads = tuple(self._held(duty, LEAD, kind) for duty in DUTIES)
        return Posts(leads, self._held(Duty.ENFORCEMENT, ASSISTANT, kind), rungs)

    def _rungs(self, duty: Duty, category: str | None) -> Ints:
        """Give the place of each layer on a ladder."""
        place = np.full(len(self.tiling), _NO_RUNG, np.int64)
        for number, rung in enumerate(self.snapshot.ladders.ladder(duty, category)):
            place[self.snapshot.rules.layers.index(rung.layer)] = number
        return place

    def _held(self, duty: Duty, rank: int, kind: Kind) -> Numbers:
        """Tell by row who holds a duty."""
        holders = self.snapshot.holders
        records = holders.records
        covers = [category in (kind or ()) for category in holders.words.categories]
        is_meant = (records["duty"] == DUTIES.index(duty)) & (records["rank"] == rank)
        # The number of no category takes the last element.
        is_meant &= np.array([*covers, True])[records["category"]]
        meant = np.flatnonzero(is_meant)
        area = records["area"][meant]
        # Of several on one area the first is asked first.
        meant = meant[np.diff(area, prepend=-1) != 0]
        by_area = np.full(len(holders.areas), NONE, np.int32)
        by_area[records["area"][meant]] = np.where(
            holders.always[meant], self.parties[records["party"][meant]], _TIMED
        )
        return by_area[self.snapshot.areas.area]

    def decide(self, sets: Ragged, posts: Posts) -> Sheet:
        """Tell who answers in sets of areas; each is by layer and code."""
        count = len(sets.offsets) - 1
        parties = np.full((PARTIES, count), NONE, np.int32)
        deciding = np.full(count, NONE, np.int32)
        timed = np.zeros(count, bool)
        filled = np.flatnonzero(np.diff(sets.offsets))
        begins = sets.offsets[filled]
        rows = sets.values
        layer = self.layer[rows]
        # A tiling layer has one owner; overlays are asked one by one.
        is_asked = _is_first(sets, layer) | ~self.tiling[layer]

        def first(rung: Ints, held: Numbers | None) -> tuple[Ints, Ints]:
            """Find the first entry on a ladder: sets that have one, and their rows."""
            place = rung[layer]
            fits = place < _NO_RUNG
            if held is not None:
                fits &= is_asked & (held[rows] != NONE)
            key = np.where(fits, (place << 32) | np.arange(len(rows)), np.iinfo(np.int64).max)
            least = np.minimum.reduceat(key, begins) if len(begins) else key
            has = least < np.iinfo(np.int64).max
            return filled[has], rows[least[has] & 0xFFFFFFFF].astype(np.int64)

        at, row = first(self._rungs(Duty.RESPONSIBILITY, None), None)
        deciding[at] = row
        column = 0
        for duty, leads, rung in zip(DUTIES, posts.leads, posts.rungs, strict=True):
            at, row = first(rung, leads)
            parties[column, at] = leads[row]
            timed[at] |= leads[row] == _TIMED
            column += 1
            if duty is Duty.RESPONSIBILITY:
                deciding[at] = row
            if duty is Duty.ENFORCEMENT:
                parties[column, at] = posts.assistants[row]
                timed[at] |= posts.assistants[row] == _TIMED
                column += 1
        return Sheet(parties, deciding, timed)


def _is_first(sets: Ragged, layer: Ints) -> Mask:
    """Tell which areas are the first of their layer in their set."""
    is_first = np.ones(len(layer), bool)
    is_first[1:] = layer[1:] != layer[:-1]
    is_first[sets.offsets[:-1][np.diff(sets.offsets) > 0]] = True
    return is_first
