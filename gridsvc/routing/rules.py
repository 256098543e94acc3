"""What one version of a scheme says about answers, as the database holds it for a revision.

The tables are asked, not the scheme's document: SQL answers from them, and layers keep their place
for revisions of older schemes too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Self

from gridsvc.grids.schemes import Scheme
from gridsvc.grids.terms import Duty, LayerKind, StandInBy
from gridsvc.routing.ladders import FOREVER_US, Rung

OWNERSHIP_UNCLEAR = "ownership_unclear"


class Step(NamedTuple):
    """A step of the escalation; without a layer the ladder's own area decides."""

    number: int
    duty: Duty
    layer: str | None
    within: str


class Class(NamedTuple):
    """A category while it is in use."""

    is_component: bool
    name_en: str
    from_us: int
    to_us: int


class Unclear(NamedTuple):
    """Who takes components without a clear owner: a duty on the area of a layer."""

    duty: Duty
    layer: str


class Reach(NamedTuple):
    """How far a component may lie, and how much farther one of another owner must."""

    within_m: float
    apart_m: float


@dataclass(frozen=True)
class Rules:
    """Made of the JSON that `sql/snapshot_rules.sql` gives, which is also how it is kept.

    Attributes:
        document: That JSON.
    """

    document: Mapping[str, Any]

    @property
    def scheme_id(self) -> int:
        """The version of the scheme."""
        number: int = self.document["scheme_id"]
        return number

    @cached_property
    def scheme(self) -> Scheme:
        """The scheme itself."""
        return Scheme.from_document(self.document["document"])

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """Codes of the layers, from the outside in."""
        return tuple(code for code, _ in self.document["layers"])

    @cached_property
    def tiling(self) -> frozenset[str]:
        """Layers that fill their parent: a point has one owner in each."""
        return frozenset(c for c, kind in self.document["layers"] if kind == LayerKind.TILING)

    @cached_property
    def rungs(self) -> dict[tuple[Duty, str], tuple[Rung, ...]]:
        """By duty and category prefix ("" is all), the most specific layer first."""
        rungs: dict[tuple[Duty, str], tuple[Rung, ...]] = {}
        for duty, category, layer, is_locality in self.document["rungs"]:
            key = Duty(duty), category
            rungs[key] = (*rungs.get(key, ()), Rung(layer, is_locality))
        return rungs

    @cached_property
    def stand_ins(self) -> dict[Duty, tuple[StandInBy, ...]]:
        """Who stands in, for each duty in order."""
        stand_ins: dict[Duty, tuple[StandInBy, ...]] = {}
        for duty, by in self.document["stand_ins"]:
            stand_ins[Duty(duty)] = (*stand_ins.get(Duty(duty), ()), StandInBy(by))
        return stand_ins

    @cached_property
    def escalation(self) -> tuple[Step, ...]:
        """The chain that a case climbs."""
        return tuple(
            Step(number, Duty(duty), layer, within)
            for number, duty, layer, within in self.document["escalation"]
        )

    @cached_property
    def classes(self) -> dict[str, tuple[Class, ...]]:
        """Categories by code, the earliest period first; none at all lets any code pass."""
        classes: dict[str, tuple[Class, ...]] = {}
        for code, is_component, name_en, from_us, to_us in self.document["categories"]:
            one = Class(is_component, name_en, from_us, FOREVER_US if to_us is None else to_us)
            classes[code] = (*classes.get(code, ()), one)
        return classes

    @cached_property
    def reaches(self) -> dict[str, Reach]:
        """How components are found, by category prefix ("" is all)."""
        return {prefix: Reach(*rest) for prefix, *rest in self.document["component_rules"]}

    @cached_property
    def unclear(self) -> Unclear | None:
        """Who takes components without a clear owner; None where the scheme names nobody."""
        for code, duty, layer in self.document["tiers"]:
            if code == OWNERSHIP_UNCLEAR:
                return Unclear(Duty(duty), layer)
        return None

    def knows(self, category: str, at_us: int) -> bool:
        """Tell whether a class is in use at an instant."""
        if not self.classes:
            return True
        periods = self.classes.get(category, ())
        return any(one.from_us <= at_us < one.to_us for one in periods)

    def reach(self, category: str) -> Reach | None:
        """Find how the component that a class is about is sought; None: by the ladder."""
        if not any(one.is_component for one in self.classes.get(category, ())):
            return None
        fitting = [prefix for prefix in self.reaches if category.startswith(prefix)]
        return self.reaches[max(fitting, key=len)] if fitting else None

    def same_scheme(self, other: Self) -> bool:
        """Tell whether both come from one version of the scheme."""
        return self.scheme_id == other.scheme_id
