"""The holder of a duty is the first on its ladder who holds it at the moment of the question.

Rungs, assignments and absences of one revision, in memory, with the meaning of
`sql/functions/12_holder.sql`, `12_stand_in.sql` and `13_decision.sql`. For the areas over a point,
a duty and a category the posts form a chain in the order in which they are asked; time only tells
how far down the chain one goes. So chains can be kept and shared by all questions about one place,
and most have a single link.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
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
            and not self.is_absent(at_us)
        )

    def is_absent(self, at_us: int) -> bool:
        """Tell whether the party is away at an instant."""
        return any(start <= at_us < end for start, end in self.absences)

    def order_away(self, minute: int) -> tuple[bool, int, str]:
        """Give a key: of those who are off one stands in for the first."""
        return not covers_minute(self.hours, minute), -len(self.category or ""), self.party_code

    def covers(self, category: str | None) -> bool:
        """Tell whether it is held for a class; without a class only general ones count."""
        return self.category is None or (
            category is not None and category.startswith(self.category)
        )


Watch: TypeAlias = tuple[Held, ...]
"""Who may hold a duty on one area at one rank, in the order of asking: the first on duty does."""


class Neighbour(NamedTuple):
    """An area that shares an edge with another, while it is in force."""

    area: AreaKey
    from_us: int
    to_us: int
    version: int


class Pair(NamedTuple):
    """Who leads and who assists on a neighbouring area."""

    near: Neighbour
    leads: Watch
    assistants: Watch


class Post(NamedTuple):
    """A duty on one area: the pair, and who stands in while nobody of those who lead is on duty.

    Attributes:
        area: On which the duty is held.
        leads: Those of rank 1.
        assistants: Those of rank 2; empty where nobody asks for them.
        stand_ins: The scheme's rule.
        neighbours: Pairs of the neighbours, the longest shared edge first, if they may stand in.
        is_locality: Whether it is the last rung of its ladder.
        skipped: The covering areas of earlier rungs; nobody is on duty there if this post decides.
    """

    area: AreaKey
    leads: Watch
    assistants: Watch
    stand_ins: tuple[StandInBy, ...]
    neighbours: tuple[Pair, ...]
    is_locality: bool = False
    skipped: tuple[AreaKey, ...] = ()


Chain: TypeAlias = tuple[Post, ...]
"""Posts in the order in which they are asked; the first that somebody looks after decides."""


class Relief(NamedTuple):
    """That somebody stands in.

    Attributes:
        away: The lead who is off: the one whose shift it is, else one of another shift.
        is_absent: Whether that is so because of an absence; else it is off shift.
        by: Who stands in.
        source: The neighbour whose pair it is; None where the assistant stands in.
    """

    away: Held
    is_absent: bool
    by: StandInBy
    source: Neighbour | None


class Decided(NamedTuple):
    """Who answers: the lead or who stands in, and the one who assists."""

    post: Post
    lead: Held
    assistant: Held | None
    relief: Relief | None = None

    @property
    def area(self) -> AreaKey:
        """The area on which the duty is held."""
        return self.post.area


AreasByLayer: TypeAlias = Mapping[str, Sequence[AreaKey]]
"""What covers a point; within a layer the lowest code (bytewise) first."""

_Slot: TypeAlias = tuple[AreaKey, Duty, int]

HeldOn: TypeAlias = Callable[[AreaKey, Duty, int], Watch]


def on_duty(watch: Watch, *, at_us: int, minute: int) -> Held | None:
    """Find who of a watch is on duty at an instant."""
    for held in watch:
        if held.always or held.is_on_duty(at_us, minute):
            return held
    return None


def decide(chain: Chain, *, at_us: int, minute: int) -> Decided | None:
    """Find who answers at an instant; None where nobody holds the duty."""
    for post in chain:
        if decided := looked_after(post, at_us=at_us, minute=minute):
            return decided
    return None


def looked_after(post: Post, *, at_us: int, minute: int) -> Decided | None:
    """Find who looks after one area: the lead on duty, else a stand-in; None: nobody does."""
    if lead := on_duty(post.leads, at_us=at_us, minute=minute):
        return Decided(post, lead, on_duty(post.assistants, at_us=at_us, minute=minute))
    assigned = post.stand_ins and [held for held in post.leads if held.is_assigned(at_us)]
    if assigned:
        away = min(assigned, key=lambda held: held.order_away(minute))
        for by in post.stand_ins:
            if decided := _stood_in(post, by, away, at_us=at_us, minute=minute):
                return decided
    return None


def _stood_in(post: Post, by: StandInBy, away: Held, *, at_us: int, minute: int) -> Decided | None:
    is_absent = away.is_absent(at_us)
    if by is StandInBy.ASSISTANT:
        assistant = on_duty(post.assistants, at_us=at_us, minute=minute)
        relief = Relief(away, is_absent, by, None)
        return Decided(post, assistant, None, relief) if assistant else None
    for near, leads, assistants in post.neighbours:
        if near.from_us <= at_us < near.to_us:
            relief = Relief(away, is_absent, by, near)
            assistant = on_duty(assistants, at_us=at_us, minute=minute)
            if lead := on_duty(leads, at_us=at_us, minute=minute):
                return Decided(post, lead, assistant, relief)
            if assistant:
                return Decided(post, assistant, None, relief)
    return None


@dataclass(frozen=True, slots=True)
class Ladders:
    """The ladders of one revision and who stands on them; immutable once built.

    Attributes:
        rungs: By duty and category prefix ("" is all categories), most specific layer first.
        held_on: Gives the assignments on an area, for a duty at a rank, the longest category
            prefix first.
        tiling: Layers in which a point has one owner, the lowest code.
        stand_ins: The scheme's rule for each duty that has one, in order.
        neighbours: By area and version of it (id) that may need them, the longest shared edge
            first.
        instants_us: Where periods begin or end, sorted.
        week_marks: Minutes of the week at which hours begin or end, sorted.
        prefixes: Of categories, for which a ladder or an assignment is, sorted.
    """

    rungs: Mapping[tuple[Duty, str], tuple[Rung, ...]]
    held_on: HeldOn
    tiling: frozenset[str]
    stand_ins: Mapping[Duty, tuple[StandInBy, ...]]
    neighbours: Mapping[int, tuple[Neighbour, ...]]
    instants_us: Ints
    week_marks: Ints
    prefixes: tuple[str, ...]

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
        timed = [one for watch in ordered.values() for one in watch if not one.always]
        ends = {end for one in timed for end in (one.from_us, one.to_us)}
        ends.update(end for one in timed for away in one.absences for end in away)
        ends.update(end for few in neighbours.values() for one in few for end in one[1:3])
        marks = {mark for hours in {one.hours for one in timed} for span in hours for mark in span}
        prefixes = {category for _, category in rungs}
        prefixes.update(one.category or "" for watch in ordered.values() for one in watch)
        return cls(
            rungs,
            lambda area, duty, rank: ordered.get((area, duty, rank), ()),
            frozenset(tiling),
            stand_ins,
            neighbours,
            np.array(sorted(ends), np.int64),
            np.array(sorted(marks), np.int64),
            tuple(sorted(prefixes)),
        )

    def kind_of(self, category: str | None) -> tuple[str, ...] | None:
        """Give what matters of a category here: classes of one kind have the same chains."""
        if category is None:
            return None
        return tuple(prefix for prefix in self.prefixes if category.startswith(prefix))

    def moments(self, at_us: Ints, minutes: Ints) -> Ints:
        """Number the moments: at two of one number the same assignments hold."""
        period = np.searchsorted(self.instants_us, at_us, side="right")
        shift = np.searchsorted(self.week_marks, minutes, side="right")
        return np.asarray(period * (len(self.week_marks) + 1) + shift, np.int64)

    def moment(self, at_us: int, minute: int) -> int:
        """Give the number of one moment, as `moments` does."""
        period = bisect_right(self.instants_us, at_us)
        return period * (len(self.week_marks) + 1) + bisect_right(self.week_marks, minute)

    def ladder(self, duty: Duty, category: str | None) -> tuple[Rung, ...]:
        """Find the ladder with the longest matching category prefix."""
        fitting = [
            prefix
            for of, prefix in self.rungs
            if of is duty and (category or "").startswith(prefix)
        ]
        return self.rungs[duty, max(fitting, key=len)] if fitting else ()

    def watch(self, area: AreaKey, duty: Duty, category: str | None, *, rank: int = LEAD) -> Watch:
        """List who may hold a duty on one area for a category, in the order of asking."""
        watch: list[Held] = []
        for held in self.held_on(area, duty, rank):
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
        skipped: list[AreaKey] = []
        for layer, is_locality in self.ladder(duty, category):
            asked = areas.get(layer, ())
            # A tiling layer has one owner; overlays are asked one by one.
            for area in asked[:1] if layer in self.tiling else asked:
                post = self.post(area, duty, category, version_of=version_of)
                if post.leads:
                    chain.append(post._replace(is_locality=is_locality, skipped=tuple(skipped)))
                    if post.leads[-1].always:
                        return tuple(chain)
                skipped.append(area)
        return tuple(chain)

    def post(
        self,
        area: AreaKey,
        duty: Duty,
        category: str | None,
        *,
        version_of: Callable[[AreaKey], int],
    ) -> Post:
        """List who may hold a duty on one area, whatever the ladder; see `chain`."""
        leads = self.watch(area, duty, category)
        stand_ins = () if not leads or leads[-1].always else self.stand_ins.get(duty, ())
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
                    near,
                    self.watch(near.area, duty, category),
                    self.watch(near.area, duty, category, rank=ASSISTANT),
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
        neighbours=load_neighbours(
            connection,
            revision,
            {
                one.area
                for one in held
                if one.rank == LEAD
                and not one.always
                and StandInBy.NEIGHBOUR in stand_ins.get(one.duty, ())
            },
        ),
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


def load_neighbours(
    connection: Connection, revision: int, areas: Iterable[AreaKey]
) -> dict[int, tuple[Neighbour, ...]]:
    """Find the neighbours of areas that may need them: where who leads may be off.

    Returns:
        By version of each area (id), the longest shared edge first.
    """
    wanted = sorted(areas)
    neighbours: dict[int, tuple[Neighbour, ...]] = {}
    if wanted:
        layers, codes = zip(*wanted, strict=True)
        rows = connection.execute(
            sql("gridsvc.routing", "ladder_neighbours"),
            {"revision": revision, "layers": list(layers), "codes": list(codes)},
        )
        for row in rows:
            near = Neighbour(
                AreaKey(row.layer, row.code),
                *_period(row.valid_from, row.valid_to),
                version=row.near_id,
            )
            neighbours[row.area_id] = (*neighbours.get(row.area_id, ()), near)
    return neighbours


def _period(valid_from: datetime, valid_to: datetime | None) -> tuple[int, int]:
    return microseconds(valid_from), microseconds(valid_to) if valid_to else FOREVER_US
