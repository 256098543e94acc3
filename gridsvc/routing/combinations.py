"""The sets of areas that ground can have, each with one number.

Sets are found by stepping over edges from ground whose set is known: across an edge the areas on
whose boundary it lies are toggled.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from gridsvc.routing.closures import Ragged
from gridsvc.routing.index_layout import Int64s, Keys
from gridsvc.routing.index_pages import Links

Areas: TypeAlias = tuple[int, ...]


@dataclass(slots=True)
class Combinations:
    """New combinations as they are found; number 0 is the empty set.

    Attributes:
        number: By key.
        areas: By number, of those found here: the first one has number `first`.
        first: How many there were before.
    """

    number: dict[int, int] = field(default_factory=lambda: {0: 0})
    areas: list[Areas] = field(default_factory=lambda: [()])
    first: int = 0

    def learn(self, key: int, areas: Areas) -> None:
        """Give a set its number."""
        self.number[key] = self.first + len(self.areas)
        self.areas.append(areas)

    def learn_all(
        self,
        links: Links,
        edge_keys: Keys,
        edge_areas: Ragged,
        *,
        known: Callable[[int], Areas],
        ask: Callable[[float, float], Areas],
    ) -> None:
        """Learn the sets on both sides of all edges.

        Args:
            links: Ground and the edges it borders on.
            edge_keys: By number of the edge.
            edge_areas: The same.
            known: Gives the set of a number.
            ask: Finds the set at a point the long way, for ground that no step leads to.
        """
        # One link a pair of a key and what is toggled.
        toggles = edge_keys[links.edge]
        _, one = np.unique(links.key * np.uint64(0x9E3779B97F4A7C15) ^ toggles, return_index=True)
        # In their order, since those behind a crossing come last: their ground is never asked for
        # at their point, which lies before it, but reached from there by a step.
        one.sort()
        keys, others = links.key[one], links.key[one] ^ toggles[one]
        steps: dict[int, list[tuple[int, int]]] = defaultdict(list)
        number = self.number
        for key, other, edge in zip(
            keys.tolist(), others.tolist(), links.edge[one].tolist(), strict=True
        ):
            if key not in number or other not in number:
                steps[key].append((other, edge))
                steps[other].append((key, edge))
        self._follow(steps, [key for key in steps if key in number], edge_areas, known)
        for n, key in zip(one.tolist(), keys.tolist(), strict=True):
            if key not in number:
                self.learn(key, ask(float(links.x[n]), float(links.y[n])))
                self._follow(steps, [key], edge_areas, known)

    def _follow(
        self,
        steps: dict[int, list[tuple[int, int]]],
        begun: Iterable[int],
        edge_areas: Ragged,
        known: Callable[[int], Areas],
    ) -> None:
        waiting = list(begun)
        while waiting:
            key = waiting.pop()
            here: frozenset[int] | None = None
            for other, edge in steps[key]:
                if other in self.number:
                    continue
                if here is None:
                    here = frozenset(self.set_of(self.number[key], known))
                self.learn(
                    other, tuple(sorted(here.symmetric_difference(edge_areas.of(edge).tolist())))
                )
                waiting.append(other)

    def set_of(self, number: int, known: Callable[[int], Areas]) -> Areas:
        """Give the set of a number, found here or known before."""
        new = number - self.first
        return self.areas[new] if new >= 0 else known(number)

    def numbers(self, keys: Keys) -> Int64s:
        """Give the numbers of keys that were learnt; -1 for others."""
        different, back = np.unique(keys, return_inverse=True)
        found = [self.number.get(key, -1) for key in different.tolist()]
        return np.array(found, np.int64)[back].reshape(keys.shape)

    def ragged(self) -> Ragged:
        """Give the sets found here."""
        counts = [len(areas) for areas in self.areas]
        values = np.fromiter((row for areas in self.areas for row in areas), np.int32)
        return Ragged(np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]), values)
