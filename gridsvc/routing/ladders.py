"""The holder of a duty is the first on its ladder who holds it at the moment of the question.

Rungs and assignments of one revision, in memory, with the meaning of
`sql/functions/12_holder.sql` and `13_decision.sql`. For the areas over a point, a duty and a
category the candidates form a chain in the order in which they are asked; time only tells how
far down the chain one goes. So chains can be kept and shared by all questions about one place,
and most have a single link.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection

from gridsvc.db import sql
from gridsvc.grids.terms import Duty, LayerKind
from gridsvc.grids.weekhours import ALWAYS, WeekHours, covers_minute, week_hours_from_range

Ints: TypeAlias = npt.NDArray[np.int64]

FOREVER_US = 2**63 - 1
"""The end of a period that has none."""

_EPOCH_AT = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

LEAD = 1
ASSISTANT = 2


def microseconds(at: datetime) -> int:
    """Count the microseconds from 1970-01-01 UTC to an instant, exactly."""
    return (at - _EPOCH_AT) // _MICROSECOND


class AreaKey(NamedTuple):
    """An area by layer and code."""

    layer: str
    code: str


class Rung(NamedTuple):
    """One step of a ladder."""

    layer: str
    is_locality: bool


@dataclass(frozen=True, slots=True)
class Held:
    """One assignment.

    Attributes:
        area: On which the duty is held.
        category: Prefix of the classes it is held for; None is all.
        hours: Minutes of the local week.
        from_us: Microseconds since 1970 UTC, included.
        to_us: Microseconds since 1970 UTC, excluded.
        always: Whether it holds at every instant for which the revision answers.
    """

    area: AreaKey
    duty: Duty
    rank: int
    party_code: str
    role: str
    category: str | None
    hours: WeekHours
    from_us: int
    to_us: int
    always: bool

    def holds(self, at_us: int, minute: int) -> bool:
        """Tell whether it holds at an instant, which is that minute of the local week."""
        return self.from_us <= at_us < self.to_us and covers_minute(self.hours, minute)

    def covers(self, category: str | None) -> bool:
        """Tell whether it is held for a class; without a class only general ones count."""
        return self.category is None or (
            category is not None and category.startswith(self.category)
        )


Chain: TypeAlias = tuple[Held, ...]
"""Assignments in the order in which they are asked; the first that holds decides."""

AreasByLayer: TypeAlias = Mapping[str, Sequence[AreaKey]]
"""What covers a point; within a layer the lowest code (bytewise) first."""

_Slot: TypeAlias = tuple[AreaKey, Duty, int]


def decide(chain: Chain, *, at_us: int, minute: int) -> Held | None:
    """Find the assignment that decides at an instant; None where nobody holds the duty."""
    for held in chain:
        if held.always or held.holds(at_us, minute):
            return held
    return None


@dataclass(frozen=True, slots=True)
class Ladders:
    """The ladders of one revision and who stands on them; immutable once built.

    Attributes:
        rungs: By duty and category prefix ("" is all categories), most specific layer first.
        slots: Assignments by area, duty and rank, the longest category prefix first.
        tiling: Layers in which a point has one owner, the lowest code.
        instants_us: Where periods begin or end, sorted.
        week_marks: Minutes of the week at which hours begin or end, sorted.
    """

    rungs: Mapping[tuple[Duty, str], tuple[Rung, ...]]
    slots: Mapping[_Slot, Chain]
    tiling: frozenset[str]
    instants_us: Ints = field(init=False)
    week_marks: Ints = field(init=False)
    _prefixes: tuple[str, ...] = field(init=False)
    _ladder_prefixes: Mapping[Duty, tuple[str, ...]] = field(init=False)

    def __post_init__(self) -> None:
        held = [one for chain in self.slots.values() for one in chain if not one.always]
        ends = {end for one in held for end in (one.from_us, one.to_us)}
        marks = {mark for hours in {one.hours for one in held} for span in hours for mark in span}
        prefixes = {category for _, category in self.rungs}
        prefixes.update(one.category or "" for chain in self.slots.values() for one in chain)
        found = {
            "instants_us": np.array(sorted(ends), np.int64),
            "week_marks": np.array(sorted(marks), np.int64),
            "_prefixes": tuple(sorted(prefixes)),
            "_ladder_prefixes": {
                duty: tuple(sorted((prefix for of, prefix in self.rungs if of is duty), key=len))[
                    ::-1
                ]
                for duty in Duty
            },
        }
        for name, value in found.items():
            object.__setattr__(self, name, value)

    @classmethod
    def of(
        cls,
        rungs: Mapping[tuple[Duty, str], tuple[Rung, ...]],
        held: Iterable[Held],
        *,
        tiling: Iterable[str],
    ) -> Self:
        """Sort assignments into their slots."""
        slots: dict[_Slot, list[Held]] = {}
        for one in held:
            slots.setdefault((one.area, one.duty, one.rank), []).append(one)
        ordered = {
            slot: tuple(sorted(several, key=lambda one: -len(one.category or "")))
            for slot, several in slots.items()
        }
        return cls(rungs, ordered, frozenset(tiling))

    def kind_of(self, category: str | None) -> tuple[str, ...] | None:
        """Give what matters of a category here: classes of one kind have the same chains."""
        if category is None:
            return None
        return tuple(prefix for prefix in self._prefixes if category.startswith(prefix))

    def moments(self, at_us: Ints, minutes: Ints) -> Ints:
        """Number the moments: at two of one number the same assignments hold."""
        period = np.searchsorted(self.instants_us, at_us, side="right")
        shift = np.searchsorted(self.week_marks, minutes, side="right")
        return np.asarray(period * (len(self.week_marks) + 1) + shift, np.int64)

    def ladder(self, duty: Duty, category: str | None) -> tuple[Rung, ...]:
        """Find the ladder with the longest matching category prefix."""
        for prefix in self._ladder_prefixes[duty]:
            if not prefix or (category and category.startswith(prefix)):
                return self.rungs[duty, prefix]
        return ()

    def holders(
        self, area: AreaKey, duty: Duty, category: str | None, *, rank: int = LEAD
    ) -> Chain:
        """List who may hold a duty on one area for a category, in the order of asking."""
        chain: list[Held] = []
        for held in self.slots.get((area, duty, rank), ()):
            if held.covers(category):
                chain.append(held)
                if held.always:
                    break
        return tuple(chain)

    def chain(self, areas: AreasByLayer, duty: Duty, category: str | None) -> Chain:
        """List who may hold a duty at a point, rung by rung.

        Args:
            areas: All that cover the point.
            duty: What is held.
            category: Class code; None asks for no category.
        """
        chain: list[Held] = []
        for layer, _ in self.ladder(duty, category):
            asked = areas.get(layer, ())
            # A tiling layer has one owner; overlays are asked one by one.
            for area in asked[:1] if layer in self.tiling else asked:
                chain += self.holders(area, duty, category)
                if chain and chain[-1].always:
                    return tuple(chain)
        return tuple(chain)

    def first_rung(self, areas: AreasByLayer) -> AreaKey | None:
        """Find the area whose edge matters where nobody is responsible."""
        for layer, _ in self.ladder(Duty.RESPONSIBILITY, None):
            if asked := areas.get(layer):
                return asked[0]
        return None


def load_ladders(connection: Connection, revision: int) -> Ladders:
    """Read the ladders and assignments of one revision."""
    rungs: dict[tuple[Duty, str], tuple[Rung, ...]] = {}
    tiling: set[str] = set()
    parameters = {"revision": revision}
    for row in connection.execute(sql("gridsvc.routing", "ladder_rungs"), parameters):
        key = Duty(row.duty), row.category
        rungs[key] = (*rungs.get(key, ()), Rung(row.layer, row.is_locality))
        if row.kind == LayerKind.TILING:
            tiling.add(row.layer)
    held = []
    areas: dict[AreaKey, AreaKey] = {}
    hours_of: dict[str, WeekHours] = {}
    for row in connection.execute(sql("gridsvc.routing", "ladder_assignments"), parameters):
        area = AreaKey(row.layer, row.area_code)
        written = str(row.hours)
        hours = hours_of.setdefault(written, week_hours_from_range(row.hours))
        held.append(
            Held(
                area=areas.setdefault(area, area),
                duty=Duty(row.duty),
                rank=row.rank,
                party_code=row.party_code,
                role=row.role,
                category=row.category,
                hours=hours,
                from_us=microseconds(row.valid_from),
                to_us=microseconds(row.valid_to) if row.valid_to else FOREVER_US,
                always=row.from_the_first and row.valid_to is None and hours == ALWAYS,
            )
        )
    return Ladders.of(rungs, held, tiling=tiling)
