"""A question becomes an Answer in memory, equal to the one that SQL gives.

What `sql/functions/13_decision.sql` to `17_answer.sql` say is said here again for one snapshot; a
test holds the two against each other. What does not hang on the exact point is found once for each
set of areas that covers points, kind of category and moment, and kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, TypeAlias

import numpy as np
import orjson
import shapely

from gridsvc.errors import OutsideServiceArea
from gridsvc.grids.terms import Duty
from gridsvc.grids.weekhours import DAY_MIN
from gridsvc.routing.borders import NOBODY, Borders
from gridsvc.routing.components import is_clear
from gridsvc.routing.holders import Party
from gridsvc.routing.kept_texts import KeptTexts
from gridsvc.routing.ladders import (
    AreaKey,
    Chain,
    Decided,
    Held,
    Ints,
    Post,
    Relief,
    decide,
    looked_after,
    microseconds,
)
from gridsvc.routing.rounding import rounded
from gridsvc.routing.router import ANSWER_KEYS, Door, Placed, Question
from gridsvc.routing.rules import OWNERSHIP_UNCLEAR, Reach, Step
from gridsvc.routing.snapshot import Snapshot

Told: TypeAlias = dict[str, Any]

TOLD_AS = {
    Duty.RESPONSIBILITY: "responsible",
    Duty.MANAGEMENT: "management",
    Duty.ENFORCEMENT: "enforcement",
    Duty.SUPERVISION: "supervisor",
}

ON_EDGE_M = 0.001
_NOTHING_OF_DISC = 1e-6
_KEPT = 20_000
_KEPT_MOMENTS = 50


class NotHeld(Exception):
    """The snapshot does not answer for the instant; SQL does."""


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant, as answers ask for it."""

    written: str
    us: int
    minute: int

    @classmethod
    def of(cls, at: datetime, zone: tzinfo) -> "Moment":
        """Take an instant to the city's time."""
        local = at.astimezone(zone)
        minute = local.weekday() * DAY_MIN + local.hour * 60 + local.minute
        return cls(local.isoformat(timespec="microseconds"), microseconds(at), minute)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What an Answer says whatever the exact point.

    Attributes:
        body: From the areas to the area whose edge matters, as JSON without the braces outside;
            where no component is asked for.
        deciding: The row whose edge matters; None where nobody is responsible on any rung.
    """

    body: bytes
    deciding: int | None


@dataclass(frozen=True, slots=True)
class Place:
    """Certain areas over a point, for one kind of category.

    Attributes:
        revision: For which it was prepared.
        rows: The index's rows, by layer from the outside in, then by code.
        category: A class of the kind.
        is_served: Whether an area of a tiling layer is among them.
        is_timeless: Whether the same holds at every instant.
        told: What does not hang on the point, by moment.
    """

    revision: int
    rows: tuple[int, ...]
    category: str | None
    is_served: bool
    is_timeless: bool
    told: dict[int, Prepared]


@dataclass(frozen=True, slots=True)
class _Asked:
    """Who is asked at a place.

    Attributes:
        row_of: The index's rows by layer and code.
        areas: By layer, the lowest code first.
        chains: Who may hold each duty.
        steps: The escalation's, each with its layer's post; None where the ladder decides.
    """

    row_of: dict[AreaKey, int]
    areas: dict[str, list[AreaKey]]
    chains: dict[Duty, Chain]
    steps: tuple[tuple[Step, Post | None], ...]

    @property
    def is_timeless(self) -> bool:
        """Whether the same ones answer at every instant."""
        first = [chain[0] for chain in self.chains.values() if chain]
        return all(map(_is_timeless, (*first, *(post for _, post in self.steps if post))))


class Answerer:
    """Answers from one snapshot; used by several threads at once.

    Args:
        snapshot: What to answer from.
        before: Of an earlier one: what that had prepared and no publish touched since is taken
            over.

    Attributes:
        snapshot: What it answers from.
        door: What points pass.
        zone: The city's time.
        borders: What lies across edges.
    """

    def __init__(self, snapshot: Snapshot, before: "Answerer | None" = None) -> None:
        self.snapshot = snapshot
        self.door = Door(snapshot.scheme)
        self.zone = snapshot.scheme.zone
        self._places: dict[Any, Place] = {}
        self._earlier: dict[Any, Place] = {}
        self._changed_in: dict[int, int] = {}
        if before and snapshot.continues(before.snapshot):
            self._earlier, self._changed_in = before.legacy()
            rows = snapshot.rows_changed_since(before.snapshot).tolist()
            self._changed_in |= dict.fromkeys(rows, snapshot.revision)
        self._texts = KeptTexts.for_rows(len(snapshot.index.ids))
        self._parties: dict[str, Told] = {}
        self._area_texts: dict[int, bytes] = {}
        self.borders = Borders(snapshot)
        self._reaches: dict[str, Reach | None] = {}
        self._kinds: dict[str | None, tuple[str, ...]] = {}
        self._trees: dict[int, tuple[Ints, shapely.STRtree]] = {}

    def answer(self, question: Question, *, is_stale: bool = False) -> Told:
        """Answer as `gridsvc.routing.router.answer` does, names and phones masked.

        Args:
            question: See `Question`.
            is_stale: Say that there may be a newer revision.

        Raises:
            QuestionError: the point or its time cannot be answered.
            NotHeld: an older revision answers for the instant.
        """
        point, moment, place = self._asked(question)
        prepared = self.prepared(place, moment)
        edge_m, across = self._edge(point, prepared.deciding, moment)
        told: Told = orjson.loads(b"{" + prepared.body + b"}}")
        told |= {
            "id": question.id,
            "revision": self.snapshot.revision,
            "at": moment.written,
            "category": question.category,
            **self.door.told(point),
            "probability": None,
            "alternatives": [],
            "stale": is_stale,
        }
        told["edge"] |= {
            "across": self._area(across),
            "distance_m": None if edge_m is None else rounded(edge_m, 3),
        }
        is_ambiguous = _is_on_edge(edge_m, across)
        component = self._component(point, place, told["responsible"], moment)
        if component is not None:
            told |= component
            is_ambiguous = bool(told["candidates"]) or (is_ambiguous and told["component"] is None)
            if component["responsible"]:
                told["vacant"] = [duty for duty in told["vacant"] if duty != "responsible"]
                told["escalation"] = self._climbing(told["escalation"], component["responsible"])
        elif question.accuracy_m:
            told |= self._alternatives(point, prepared.deciding, moment)
            is_ambiguous |= bool(told["alternatives"])
        told["ambiguous"] = is_ambiguous
        return {key: told[key] for key in ANSWER_KEYS}

    def answer_json(self, question: Question, *, is_stale: bool = False) -> bytes:
        """Answer as `answer` does, written as JSON; most of it is written only once."""
        if question.accuracy_m or self.reach(question.category):
            return written(self.answer(question, is_stale=is_stale))
        point, moment, place = self._asked(question)
        prepared = self.prepared(place, moment)
        edge_m, across = self._edge(point, prepared.deciding, moment)
        head = {
            "id": question.id,
            "revision": self.snapshot.revision,
            "at": moment.written,
            "category": question.category,
            **self.door.told(point),
        }
        return b"".join(
            (
                written(head)[:-1],
                b",",
                prepared.body,
                b',"across":',
                self.area_json(across),
                b',"distance_m":',
                written(None if edge_m is None else rounded(edge_m, 3)),
                ENDS[_is_on_edge(edge_m, across), is_stale],
            )
        )

    def _asked(self, question: Question) -> tuple[Placed, Moment, Place]:
        """Find the areas over a point, or say why it has no answer."""
        point = self.door.place(question)
        moment = Moment.of(question.at or datetime.now(UTC), self.zone)
        if moment.us < self.snapshot.effective_us:
            raise NotHeld
        category = question.category
        if category is not None and not self.snapshot.rules.knows(category, moment.us):
            raise self.door.unknown(category)
        index = self.snapshot.index
        number = index.number_at(point.x, point.y)
        found = number if number >= 0 else index.areas_at(point.x, point.y)
        place = self.place(found, category, moment)
        if not place.is_served:
            raise OutsideServiceArea(
                lon=point.lon, lat=point.lat, nearest=self._nearest(point, moment)
            )
        return point, moment, place

    # What certain areas mean

    def place(self, found: int | tuple[int, ...], category: str | None, moment: Moment) -> Place:
        """Give what is known of the areas over a point.

        Args:
            found: The number of the index's combination, or the rows.
            category: Class code.
            moment: When.
        """
        snapshot = self.snapshot
        key: Any = found, self._kind(category)
        place = self._places.get(key) or self._take_over(key)
        if place is not None:
            return place
        rows = np.array(
            snapshot.index.areas_of(found) if isinstance(found, int) else found, np.int64
        )
        if not snapshot.areas.always[rows].all():
            # Some of them come or go: what covers the point is another set at other instants.
            key = *key, int(np.searchsorted(snapshot.instants_us, moment.us, side="right"))
            place = self._places.get(key)
            if place is not None:
                return place
            rows = rows[self.snapshot.areas.is_valid(rows, moment.us)]
        place = self._make_place(snapshot.areas.sorted(rows).tolist(), category, moment)
        _keep(self._places, key, place)
        return place

    def legacy(self) -> tuple[dict[Any, Place], dict[int, int]]:
        """Give what is prepared, and in which revisions rows changed, for a later one."""
        earlier = self._earlier if len(self._places) < _KEPT // 2 else {}
        return earlier | self._places, dict(self._changed_in)

    def _take_over(self, key: object) -> Place | None:
        """Take up what was prepared for an earlier revision, where none of its areas changed."""
        place = self._earlier.pop(key, None)
        if (
            place is None
            or not place.is_timeless
            or any(self._changed_in.get(row, 0) > place.revision for row in place.rows)
        ):
            return None
        _keep(self._places, key, place)
        return place

    def _kind(self, category: str | None) -> tuple[str, ...] | None:
        kind = self._kinds.get(category)
        if kind is None and category is not None:
            kind = self.snapshot.ladders.kind_of(category)
            _keep(self._kinds, category, kind)
        return kind

    def _make_place(self, rows: Sequence[int], category: str | None, moment: Moment) -> Place:
        is_served = bool(self.snapshot.is_tiling(np.array(rows, np.int64)).any())
        is_timeless, told = True, {}
        if is_served:
            asked = self._ask(rows, category)
            is_timeless = asked.is_timeless
            told[0 if is_timeless else self._number(moment)] = self._prepare(asked, moment)
        revision = self.snapshot.revision
        return Place(
            revision, tuple(rows), category, is_served=is_served, is_timeless=is_timeless, told=told
        )

    def _ask(self, rows: Sequence[int], category: str | None) -> _Asked:
        """Find who is asked where certain areas, sorted, cover a point."""
        snapshot = self.snapshot
        row_of, areas, version_of = snapshot.by_layer(rows)
        ladders = snapshot.ladders
        chains = {
            duty: ladders.chain(areas, duty, category, version_of=version_of) for duty in Duty
        }
        steps = tuple(
            (
                step,
                ladders.post(areas[step.layer][0], step.duty, category, version_of=version_of)
                if step.layer in areas
                else None,
            )
            for step in snapshot.rules.escalation
        )
        return _Asked(row_of, areas, chains, steps)

    def _number(self, moment: Moment) -> int:
        return self.snapshot.ladders.moment(moment.us, moment.minute)

    def prepared(self, place: Place, moment: Moment) -> Prepared:
        """Give what an Answer says there whatever the exact point."""
        number = 0 if place.is_timeless else self._number(moment)
        prepared = place.told.get(number)
        if prepared is None:
            if len(place.told) >= _KEPT_MOMENTS:
                place.told.clear()
            prepared = self._prepare(self._ask(place.rows, place.category), moment)
            place.told[number] = prepared
        return prepared

    def _prepare(self, place: _Asked, moment: Moment) -> Prepared:
        at_us, minute = moment.us, moment.minute
        decided = {
            duty: decide(chain, at_us=at_us, minute=minute) for duty, chain in place.chains.items()
        }

        def holder(one: Decided, held: Held, skipped: Sequence[AreaKey]) -> Told:
            reason = _reason(one, held, skipped=skipped)
            return self._holder(place.row_of[one.area], held, one.relief, reason=reason)

        duties: dict[Duty, Told | None] = {
            duty: one and holder(one, one.lead, one.post.skipped) for duty, one in decided.items()
        }
        if pair := decided[Duty.ENFORCEMENT]:
            assistant = pair.assistant and holder(pair, pair.assistant, ())
            duties[Duty.ENFORCEMENT] = {"lead": duties[Duty.ENFORCEMENT], "assistant": assistant}
        escalation = []
        for step, post in place.steps:
            if step.layer is None:
                one = decided[step.duty]
                area = one.area if one else None
            else:
                one = post and looked_after(post, at_us=at_us, minute=minute)
                area = post and post.area
            escalation.append(
                {
                    "area": self._area(place.row_of[area]) if area else None,
                    "duty": step.duty.value,
                    "role": one.lead.role if one else None,
                    "step": step.number,
                    "party": self._party(one.lead.party_code) if one else None,
                    "within": step.within,
                    "stand_in": self._stand_in(one.relief) if one else None,
                }
            )
        responsible = decided[Duty.RESPONSIBILITY]
        deciding = (
            responsible.area if responsible else self.snapshot.ladders.first_rung(place.areas)
        )
        row = place.row_of[deciding] if deciding else None
        areas = self._areas(place)
        named = {name: duties[duty] for duty, name in TOLD_AS.items()}
        body = {
            "areas": {
                layer.code: areas[layer.code]
                for layer in self.snapshot.scheme.layers
                if layer.code in areas
            },
            **named,
            "vacant": [name for name, told in named.items() if told is None],
            "component": None,
            "candidates": [],
            "tier": None,
            "escalation": escalation,
            "edge": {"of": self._area(row)},
        }
        return Prepared(written(body)[1:-2], row)

    # For many at once: `gridsvc.routing.batch_answers`

    def kept_texts(self) -> KeptTexts:
        """Give the texts that batches share; where there are too many, new ones."""
        if self._texts.is_full:
            self._texts = KeptTexts.for_rows(len(self.snapshot.index.ids))
        return self._texts

    def situation(self, category: str | None, moment: Moment) -> object:
        """Give what distinguishes answers on the same areas."""
        return self._kind(category), self._number(moment)

    # Pieces of an Answer, as `sql/functions/14_json.sql` writes them, keys in the order of jsonb

    def _areas(self, place: _Asked) -> Told:
        told: Told = {}
        for layer, areas in place.areas.items():
            named: list[Told] = [
                {"code": area.code, "name": self.snapshot.name(place.row_of[area])}
                for area in areas
            ]
            if len(named) > 1 and layer not in self.snapshot.rules.tiling:
                named[0] = {"also": named[1:], **named[0]}
            told[layer] = named[0]
        return told

    def _area(self, row: int | None) -> Told | None:
        if row is None:
            return None
        area = self.snapshot.key(row)
        return {"code": area.code, "name": self.snapshot.name(row), "layer": area.layer}

    def area_json(self, row: int | None) -> bytes:
        """Write the area of a row."""
        if row is None:
            return b"null"
        kept = self._area_texts.get(row)
        if kept is None:
            kept = written(self._area(row))
            _keep(self._area_texts, row, kept)
        return kept

    def _party(self, code: str) -> Told:
        told = self._parties.get(code)
        if told is None:
            number = self.snapshot.holders.parties.codes.number(code)
            if number is None:  # pragma: no cover -- a foreign key of the database holds it
                raise KeyError(code)
            told = _party_told(self.snapshot.holders.parties.party(number))
            _keep(self._parties, code, told)
        return told

    def _stand_in(self, relief: Relief | None) -> Told | None:
        if relief is None:
            return None
        source = relief.source
        return {
            "by": relief.by.value,
            "for": self._party(relief.away.party_code),
            "why": "absent" if relief.is_absent else "off_shift",
            "from": self._area(self.snapshot.row_of_version(source.version)) if source else None,
        }

    def _holder(self, row: int, held: Held, relief: Relief | None, *, reason: str) -> Told:
        return {
            "area": self._area(row),
            "role": held.role,
            "party": self._party(held.party_code),
            "reason": reason,
            "stand_in": self._stand_in(relief),
        }

    # What hangs on the exact point

    def _edge(
        self, point: Placed, deciding: int | None, moment: Moment
    ) -> tuple[float | None, int | None]:
        """Find how far the edge of an area is, metres, and the area across it."""
        if deciding is None:
            return None, None
        edge_m, across = self.borders.edge(deciding, x=point.x, y=point.y, at_us=moment.us)
        return edge_m, None if across == NOBODY else across

    def _alternatives(self, point: Placed, deciding: int | None, moment: Moment) -> Told:
        """Share the disc of error out among those who may be responsible: `16_alternatives.sql`."""
        snapshot, question = self.snapshot, point.question
        spot = shapely.Point(point.x, point.y)
        disc = shapely.buffer(spot, question.accuracy_m or 0.0, quad_segs=16)
        disc_m2 = disc.area
        ladder = snapshot.ladders.ladder(Duty.RESPONSIBILITY, question.category)
        rungs = {rung.layer: place for place, rung in enumerate(ladder)}
        near = snapshot.index.near(point.x, point.y, question.accuracy_m or 0.0)
        near = near[snapshot.areas.is_valid(near, moment.us)]
        asked = [
            (rungs[area.layer], area.code, row)
            for row in near.tolist()
            if (area := snapshot.key(row)).layer in rungs
        ]
        own: float | None = None
        others: list[tuple[float, Told]] = []
        remaining: shapely.Geometry = disc
        for _, _, row in sorted(asked):
            post = self._post(row, Duty.RESPONSIBILITY, question.category)
            decided = looked_after(post, at_us=moment.us, minute=moment.minute)
            if decided is None:
                continue
            boundary = snapshot.index.boundary(row)
            part_m2 = shapely.intersection(remaining, boundary).area
            if part_m2 <= _NOTHING_OF_DISC * disc_m2:
                continue
            probability = rounded(part_m2 / disc_m2, 4)
            if row == deciding:
                own = probability
            else:
                holder = self._holder(row, decided.lead, decided.relief, reason="")
                del holder["reason"]
                told = {
                    "area": holder["area"],
                    "probability": probability,
                    "responsible": {
                        key: holder[key] for key in ("area", "role", "party", "stand_in")
                    },
                }
                others.append((-probability, told))
            remaining = shapely.difference(remaining, boundary)
            if remaining.area <= _NOTHING_OF_DISC * disc_m2:
                break
        others.sort(key=lambda other: other[0])
        return {"probability": own, "alternatives": [told for _, told in others]}

    def _nearest(self, point: Placed, moment: Moment) -> Told | None:
        """Find the nearest area of a tiling layer: `nearest.sql`."""
        snapshot = self.snapshot
        rows, tree = self._tilings(moment)
        if not len(rows):
            return None
        spot = shapely.Point(point.x, point.y)
        _, (reach_m, *_) = tree.query_nearest(spot, return_distance=True)
        rungs = {
            rung.layer: place
            for place, rung in enumerate(snapshot.rules.rungs[Duty.RESPONSIBILITY, ""])
        }
        near = tree.query(spot, "dwithin", reach_m + ON_EDGE_M)
        distances_m = shapely.distance(tree.geometries[near], spot)
        candidates = []
        for row, distance_m in zip(rows[near].tolist(), distances_m.tolist(), strict=True):
            area = snapshot.key(row)
            place = rungs.get(area.layer, len(rungs))
            candidates.append((rounded(distance_m, 3), place, area.code, row, distance_m))
        *_, row, distance_m = min(candidates)
        area = snapshot.key(row)
        return {
            "layer": area.layer,
            "code": area.code,
            "name": snapshot.name(row),
            "distance_m": rounded(distance_m, 1),
        }

    def _tilings(self, moment: Moment) -> tuple[Ints, shapely.STRtree]:
        """Give the rows of tiling layers that are valid at an instant, and where they are."""
        snapshot = self.snapshot
        period = int(np.searchsorted(snapshot.instants_us, moment.us, side="right"))
        kept = self._trees.get(period)
        if kept is None:
            rows = np.flatnonzero(snapshot.index.ids >= 0)
            rows = rows[snapshot.is_tiling(rows)]
            rows = rows[self.snapshot.areas.is_valid(rows, moment.us)]
            shapes = [snapshot.index.boundary(row) for row in rows.tolist()]
            self._trees = {period: (rows, shapely.STRtree(shapes))}  # one is enough: few ask
            kept = self._trees[period]
        return kept

    # Components: `15_component.sql`

    def _component(
        self, point: Placed, place: Place, by_ladder: Told | None, moment: Moment
    ) -> Told | None:
        """Tell whose the component is that a report is about; None: the ladder answers."""
        category = point.question.category
        reach = self.reach(category)
        if category is None or reach is None:
            return None
        near = self.snapshot.components.near(
            category, x=point.x, y=point.y, within_m=reach.within_m, at_us=moment.us
        )
        name_en = self.snapshot.rules.classes[category][0].name_en
        if near and is_clear(near, reach.apart_m):
            nearest = near[0]
            owner = self._numbered_party(nearest.owner)
            away_m = rounded(nearest.distance_m, 1)
            return {
                "responsible": {
                    "area": by_ladder["area"] if by_ladder else None,
                    "role": "component_owner",
                    "party": owner,
                    "reason": f"owner of the nearest {name_en}, {away_m:.1f} m away",
                    "stand_in": None,
                },
                "component": {
                    "code": nearest.code,
                    "owner": owner,
                    "category": category,
                    "distance_m": _number(nearest.distance_m),
                },
            }
        why = (
            "ownership unclear: the nearest ones belong to several owners"
            if near
            else f"ownership unclear: no {name_en} within {reach.within_m:g} m"
        )
        responsible = self._taken(place, category, moment, why)
        if responsible is None and by_ladder:
            responsible = by_ladder | {"reason": f"{why}; {by_ladder['reason']}"}
        return {
            "responsible": responsible,
            "candidates": [
                {
                    "code": one.code,
                    "owner": self._numbered_party(one.owner),
                    "distance_m": _number(one.distance_m),
                }
                for one in near
            ],
            "tier": OWNERSHIP_UNCLEAR,
        }

    def reach(self, category: str | None) -> Reach | None:
        """Tell how the component that a class is about is sought; None: the ladder answers."""
        if category is None:
            return None
        try:
            return self._reaches[category]
        except KeyError:
            reach = self.snapshot.rules.reach(category)
            _keep(self._reaches, category, reach)
            return reach

    def _taken(self, place: Place, category: str, moment: Moment, why: str) -> Told | None:
        """Tell who takes components without a clear owner; None where nobody does."""
        unclear = self.snapshot.rules.unclear
        if unclear is None:
            return None
        rows = (row for row in place.rows if self.snapshot.key(row).layer == unclear.layer)
        row = next(rows, None)
        if row is None:
            return None
        post = self._post(row, unclear.duty, category)
        decided = looked_after(post, at_us=moment.us, minute=moment.minute)
        return decided and self._holder(row, decided.lead, decided.relief, reason=why)

    def _climbing(self, escalation: Sequence[Told], responsible: Told) -> list[Told]:
        """Let whoever answers for a component be asked first, not who does by the ladder."""
        asked = {key: responsible[key] for key in ("role", "party", "stand_in")}
        return [
            told | asked if step.layer is None and step.duty is Duty.RESPONSIBILITY else told
            for step, told in zip(self.snapshot.rules.escalation, escalation, strict=True)
        ]

    def _post(self, row: int, duty: Duty, category: str | None) -> Post:
        version = int(self.snapshot.index.ids[row])
        return self.snapshot.ladders.post(
            self.snapshot.key(row), duty, category, version_of=lambda _: version
        )

    def _numbered_party(self, number: int) -> Told:
        return self._party(self.snapshot.holders.parties.codes.text(number))


def written(told: object) -> bytes:
    """Write an answer as JSON."""
    return orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY)


ENDS = {
    (is_ambiguous, is_stale): b"},"
    + written(
        {"ambiguous": is_ambiguous, "probability": None, "alternatives": [], "stale": is_stale}
    )[1:]
    for is_ambiguous in (False, True)
    for is_stale in (False, True)
}
"""What stands behind the distance of the edge, by whether another answer is possible and stale."""


def _is_on_edge(edge_m: float | None, across: int | None) -> bool:
    """Tell whether a point belongs to an area and its neighbour alike."""
    return edge_m is not None and across is not None and edge_m <= ON_EDGE_M


def _number(value: float) -> float:
    """Write a whole number without a point, as jsonb does."""
    return int(value) if value.is_integer() else value


def _reason(decided: Decided, held: Held, *, skipped: Sequence[AreaKey]) -> str:
    """Tell in words which rung decided: `holder_json` in `14_json.sql`."""
    post, relief = decided.post, decided.relief
    layer = post.area.layer
    reason = (
        f"locality (属地兜底): {layer} is the last rung"
        if post.is_locality
        else f"{layer} covers the point"
    )
    if held.category is not None:
        reason += f", specialist for category {held.category}"
    if relief:
        reason += f"; the lead is {'absent' if relief.is_absent else 'off shift'}"
        source = relief.source
        reason += (
            f", the pair of {source.area.layer} {source.area.code} stands in"
            if source
            else ", the assistant stands in"
        )
    if skipped:
        names = ", ".join(f"{area.layer} {area.code}" for area in skipped)
        reason += f"; nobody is on duty for {held.duty.value} at {names}"
    return reason


def _is_timeless(post: Post) -> bool:
    """Tell whether the same ones hold a post at every instant."""
    return all(not watch or watch[0].always for watch in (post.leads, post.assistants))


def _party_told(party: Party) -> Told:
    return {"code": party.code, "kind": party.kind, "name": party.name, "phone": party.phone}


def _keep(kept: dict[Any, Any], key: object, value: object) -> None:
    """Keep a value; where there are too many the older half goes."""
    if len(kept) >= _KEPT:
        for old in list(kept)[: _KEPT // 2]:
            kept.pop(old, None)
    kept[key] = value
