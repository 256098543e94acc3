"""Whose a component is: within what reach it is sought, and who takes what has no clear owner."""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from gridsvc.grids.categories import CategoryCode
from gridsvc.grids.scheme_fields import Code, SchemeTable, Title
from gridsvc.grids.terms import Duty
from gridsvc.grids.toml_lines import Key


class TierCode(StrEnum):
    """The kinds of problems that go to somebody of their own."""

    OWNERSHIP_UNCLEAR = "ownership_unclear"
    """A component that no registered one is near, or of more than one owner."""
    HARD = "hard"
    """What a dispatcher declares hard."""


class ComponentRule(SchemeTable):
    """How far a report may lie from the component that it is about."""

    category: CategoryCode | None = None
    """A category or the beginning of its code; None is for all components."""
    within_m: Annotated[float, Field(gt=0, le=1_000, allow_inf_nan=False)]
    """The distance itself included."""
    apart_m: Annotated[float, Field(ge=0, le=1_000, allow_inf_nan=False)] = 0.0
    """Another owner's component less than this much farther leaves it unclear whose it is."""


class Tier(SchemeTable):
    """Who takes a kind of problem: a duty on the area of a layer over its place."""

    code: TierCode
    title: Title
    duty: Duty
    layer: Code


def component_faults(
    rules: Sequence[tuple[int, Mapping[str, Any]]],
    tiers: Sequence[tuple[int, Mapping[str, Any]]],
) -> Iterator[tuple[Key, str, str]]:
    """Find rules and tiers that come twice, and rules that lack their tier.

    Args:
        rules: The tables `[[component]]`, each with its place.
        tiers: Those of `[[tier]]`.

    Returns:
        Key, message and remedy of each fault.
    """
    first: dict[object, int] = {}
    for index, rule in rules:
        category = rule.get("category")
        if first.setdefault(category, index) != index:
            yield (
                ("component", index),
                f"{category or 'all'} has a rule in component[{first[category]}] already",
                "Remove one, or give it a category of its own",
            )
    codes: dict[object, int] = {}
    for index, tier in tiers:
        code = tier.get("code")
        if codes.setdefault(code, index) != index:
            yield ("tier", index), f"{code} is tier[{codes[code]}] already", "Keep one"
    if rules and TierCode.OWNERSHIP_UNCLEAR not in codes:
        yield (
            ("component", rules[0][0]),
            "nobody takes components whose owner is unclear",
            f'Add [[tier]] with code = "{TierCode.OWNERSHIP_UNCLEAR}", a duty and a layer',
        )
