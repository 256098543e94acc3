"""The holder of a duty is the first on its ladder who holds it at the moment of the question.

Rungs, assignments and absences of one revision, in memory, with the meaning of
`sql/functions/12_holder.sql`, `12_stand_in.sql` and `13_decision.sql`. For the areas over a point,
a duty and a category the posts form a chain in the order in which they are asked; time only tells
how far down the chain one goes. So chains can be kept and shared by all questions about one place,
and most have a single link.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection

from gridsvc.db import sql
from gridsvc.grids.terms import Duty, LayerKind, StandInBy
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
        always: Whether the party is on duty at every instant for which the revision answers.
        absences: When the party is away, each from the first to before the second microsecond.
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
    absences: tuple[tuple[int, int], ...] = ()

    def is_assigned(self, at_us: int) -> bool:
        """Tell whether it is in force at an instant, on duty or not."""
        return self.from_us <= at_us < self.to_us

    def is_on_duty(self, at_us: int, minute: int) -> bool:
        """Tell whether it holds at an instant, which is that minute of the local week."""
        return (
            self.is_assigned(at_us)
            and covers_minute(self.hours, minute)
            and not any(start <= at_us < end for start, end in self.absences)
        )

    def covers(self, category: str | None) -> bool:
        """Tell whether it is held for a class; without a class only general ones count."""
        return self.category is None or (
            category is not None and category.startswith(self.category)
        )


Watch: TypeAlias = tuple[Held, ...]
"""Who may hold a duty on one area at one rank, in the order of asking: the first on duty does."""


class Pair(NamedTuple):
    """Who leads and who assists on one area, while that is in force."""

    leads: Watch
    assistants: Watch
    from_us: int
    to_us: int


class Post(NamedTuple):
    """A duty on one area: the pair, and who stands in while nobody of those who lead is on duty.

    Attributes:
        area: On which the duty is held.
        leads: Those of rank 1.
        assistants: Those of rank 2; empty where nobody asks for them.
        stand_ins: The scheme's rule.
        neighbours: Pairs of the neighbours, the longest shared edge first, if they may stand in.
    """

    area: AreaKey
    leads: Watch
    assistants: Watch
    stand_ins: tuple[StandInBy, ...]
    neighbours: tuple[Pair, ...]


Chain: TypeAlias = tuple[Post, ...]
"""Posts in the order in which they are asked; the first that somebody looks after decides."""


class Decided(NamedTuple):
    """Who answers: the lead or who stands in, and the one who assists."""

    area: AreaKey
    lead: Held
    assistant: Held | None


class Neighbour(NamedTuple):
    """An area that shares an edge with another, while it is in force."""

    area: AreaKey
    from_us: int
    to_us: int


AreasByLayer: TypeAlias = Mapping[str, Sequence[AreaKey]]
"""What covers a point; within a layer the lowest code (bytewise) first."""

_Slot: TypeAlias = tuple[AreaKey, Duty, int]


def on_duty(watch: Watch, *, at_us: int, minute: int) -> Held | None:
    """Find who of a watch is on duty at an instant."""
    for held in watch:
        if held.always or held.is_on_duty(at_us, minute):
            return held
    return None


def decide(chain: Chain, *, at_us: int, minute: int) -> Decided | None:
    """Find who answers at an instant; None where nobody holds the duty."""
    for post in chain:
        if lead := on_duty(post.leads, at_us=at_us, minute=minute):
            assistant = on_duty(post.assistants, at_us=at_us, minute=minute)
            return Decided(post.area, lead, assistant)
        if post.stand_ins and any(held.is_assigned(at_us) for held in post.leads):
            for by in post.stand_ins:
                if decided := _stood_in(post, by, at_us=at_us, minute=minute):
                    return decided
    return None


def _stood_in(post: Post, by: StandInBy, *, at_us: int, minute: int) -> Decided | None:
    if by is StandInBy.ASSISTANT:
        assistant = on_duty(post.assistants, at_us=at_us, minute=minute)
        return Decided(post.area, assistant, None) if assistant else None
    for pair in post.neighbours:
        if pair.from_us <= at_us < pair.to_us:
            assistant = on_duty(pair.assistants, at_us=at_us, minute=minute)
            if lead := on_duty(pair.leads, at_us=at_us, minute=minute):
                return Decided(post.area, lead, assistant)
            if assistant:
                return Decided(post.area, assistant, None)
    return None


@dataclass(frozen=True, slots=True)
class Ladders:
    """The ladders of one revision and who stands on them; immutable once built.

    Attributes:
        rungs: By duty and category prefix ("" is all categories), most specific layer first.
        slots: Assignments by area, duty and rank, the longest category prefix first.
        tiling: Layers in which a point has one owner, the lowest code.
        stand_ins: The scheme's rule for each duty that has one, in order.
        neighbours: By area and version of it (id) that may need them, the longest shared edge
            first.
        instants_us: Where periods begin or end, sorted.
        week_marks: Minutes of the week at which hours begin or end, sorted.
    """

    rungs: Mapping[tuple[Duty, str], tuple[Rung, ...]]
    slots: Mapping[_Slot, Watch]
    tiling: frozenset[str]
    stand_ins: Mapping[Duty, tuple[StandInBy, ...]] = field(default_factory=dict)
    neighbours: Mapping[int, tuple[Neighbour, ...]] = field(default_factory=dict)
    instants_us: Ints = field(init=False)
    week_marks: Ints = field(init=False)
    _prefixes: tuple[str, ...] = field(init=False)
    _ladder_prefixes: Mapping[Duty, tuple[str, ...]] = field(init=False)

    def __post_init__(self) -> None:
        held = [one for watch in self.slots.values() for one in watch if not one.always]
        ends = {end for one in held for end in (one.from_us, one.to_us)}
        ends.update(end for one in held for away in one.absences for end in away)
        ends.update(
            end
            for several in self.neighbours.values()
            for one in several
            for end in (one.from_us, one.to_us)
        )
        marks = {mark for hours in {one.hours for one in held} for span in hours for mark in span}
        prefixes = {category for _, category in self.rungs}
        prefixes.update(one.category or "" for watch in self.slots.values() for one in watch)
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
        stand_ins: Mapping[Duty, tuple[StandInBy, ...]],
        neighbours: Mapping[int, tuple[Neighbour, ...]],
    ) -> Self:
        """Sort assignments into their slots."""
        slots: dict[_Slot, list[Held]] = {}
        for one in held:
            slots.setdefault((one.area, one.duty, one.rank), []).append(one)
        ordered = {
            slot: tuple(sorted(several, key=lambda one: -len(one.category or "")))
            for slot, several in slots.items()
        }
        return cls(rungs, ordered, frozenset(tiling), stand_ins, neighbours)

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

    def watch(self, area: AreaKey, duty: Duty, category: str | None, *, rank: int = LEAD) -> Watch:
        """List who may hold a duty on one area for a category, in the order of asking."""
        watch: list[Held] = []
        for held in self.slots.get((area, duty, rank), ()):
            if held.covers(category):
                watch.append(held)
                if held.always:
                    break
        return tuple(watch)

    def chain(
        self,
        areas: AreasByLayer,
        duty: Duty,
        category: str | None,
        *,
        version_of: Callable[[AreaKey], int],
    ) -> Chain:
        """List who may hold a duty at a point, rung by rung.

        Args:
            areas: All that cover the point.
            duty: What is held.
            category: Class code; None asks for no category.
            version_of: Gives the id of the version of each of the areas.
        """
        chain: list[Post] = []
        for layer, _ in self.ladder(duty, category):
            asked = areas.get(layer, ())
            # A tiling layer has one owner; overlays are asked one by one.
            for area in asked[:1] if layer in self.tiling else asked:
                leads = self.watch(area, duty, category)
                if leads:
                    chain.append(self._post(area, leads, duty, category, version_of))
                    if leads[-1].always:
                        return tuple(chain)
        return tuple(chain)

    def _post(
        self,
        area: AreaKey,
        leads: Watch,
        duty: Duty,
        category: str | None,
        version_of: Callable[[AreaKey], int],
    ) -> Post:
        stand_ins = () if leads[-1].always else self.stand_ins.get(duty, ())
        asks_assistants = duty is Duty.ENFORCEMENT or StandInBy.ASSISTANT in stand_ins
        asks_neighbours = StandInBy.NEIGHBOUR in stand_ins
        neighbours = self.neighbours.get(version_of(area), ()) if asks_neighbours else ()
        return Post(
            area,
            leads,
            self.watch(area, duty, category, rank=ASSISTANT) if asks_assistants else (),
            stand_ins,
            tuple(
                Pair(
                    self.watch(near.area, duty, category),
                    self.watch(near.area, duty, category, rank=ASSISTANT),
                    near.from_us,
                    near.to_us,
                )
                for near in neighbours
            ),
        )

    def first_rung(self, areas: AreasByLayer) -> AreaKey | None:
        """Find the area whose edge matters where nobody is responsible."""
        for layer, _ in self.ladder(Duty.RESPONSIBILITY, None):
            if asked := areas.get(layer):
                return asked[0]
        return None


def load_ladders(connection: Connection, revision: int) -> Ladders:
    """Read the ladders of one revision, who holds what and is away, and who stands in."""
    rungs: dict[tuple[Duty, str], tuple[Rung, ...]] = {}
    tiling: set[str] = set()
    parameters = {"revision": revision}
    for row in connection.execute(sql("gridsvc.routing", "ladder_rungs"), parameters):
        key = Duty(row.duty), row.category
        rungs[key] = (*rungs.get(key, ()), Rung(row.layer, row.is_locality))
        if row.kind == LayerKind.TILING:
            tiling.add(row.layer)
    stand_ins: dict[Duty, tuple[StandInBy, ...]] = {}
    for row in connection.execute(sql("gridsvc.routing", "ladder_stand_ins"), parameters):
        duty = Duty(row.duty)
        stand_ins[duty] = (*stand_ins.get(duty, ()), StandInBy(row.by))
    held = _load_held(connection, revision)
    return Ladders.of(
        rungs,
        held,
        tiling=tiling,
        stand_ins=stand_ins,
        neighbours=_load_neighbours(connection, revision, held, stand_ins),
    )


def _load_held(connection: Connection, revision: int) -> list[Held]:
    parameters = {"revision": revision}
    absences: dict[str, tuple[tuple[int, int], ...]] = {}
    for row in connection.execute(sql("gridsvc.routing", "ladder_absences"), parameters):
        period = _period(row.valid_from, row.valid_to)
        absences[row.party_code] = (*absences.get(row.party_code, ()), period)
    held = []
    areas: dict[AreaKey, AreaKey] = {}
    hours_of: dict[str, WeekHours] = {}
    for row in connection.execute(sql("gridsvc.routing", "ladder_assignments"), parameters):
        area = AreaKey(row.layer, row.area_code)
        written = str(row.hours)
        hours = hours_of.setdefault(written, week_hours_from_range(row.hours))
        from_us, to_us = _period(row.valid_from, row.valid_to)
        away = absences.get(row.party_code, ())
        held.append(
            Held(
                area=areas.setdefault(area, area),
                duty=Duty(row.duty),
                rank=row.rank,
                party_code=row.party_code,
                role=row.role,
                category=row.category,
                hours=hours,
                from_us=from_us,
                to_us=to_us,
                always=row.from_the_first and row.valid_to is None and hours == ALWAYS and not away,
                absences=away,
            )
        )
    return held


def _load_neighbours(
    connection: Connection,
    revision: int,
    held: Iterable[Held],
    stand_ins: Mapping[Duty, tuple[StandInBy, ...]],
) -> dict[int, tuple[Neighbour, ...]]:
    """Find the neighbours of areas that may need them: where who leads may be off."""
    wanted = sorted(
        {
            one.area
            for one in held
            if one.rank == LEAD
            and not one.always
            and StandInBy.NEIGHBOUR in stand_ins.get(one.duty, ())
        }
    )
    neighbours: dict[int, tuple[Neighbour, ...]] = {}
    if wanted:
        layers, codes = zip(*wanted, strict=True)
        rows = connection.execute(
            sql("gridsvc.routing", "ladder_neighbours"),
            {"revision": revision, "layers": list(layers), "codes": list(codes)},
        )
        for row in rows:
            near = Neighbour(AreaKey(row.layer, row.code), *_period(row.valid_from, row.valid_to))
            neighbours[row.area_id] = (*neighbours.get(row.area_id, ()), near)
    return neighbours


def _period(valid_from: datetime, valid_to: datetime | None) -> tuple[int, int]:
    return microseconds(valid_from), microseconds(valid_to) if valid_to else FOREVER_US
