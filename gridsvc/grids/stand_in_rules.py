"""Who stands in for a lead who is off: absent, or out of hours."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from gridsvc.grids.scheme_fields import SchemeTable
from gridsvc.grids.terms import Duty, StandInBy
from gridsvc.grids.toml_lines import Key


class StandIn(SchemeTable):
    """Who takes a duty on an area while nobody who leads it there is on duty."""

    duty: Duty
    by: Annotated[tuple[StandInBy, ...], Field(min_length=1)]
    """In this order: the assistant of the same area, or the pair of the neighbouring area with
    the longest shared edge."""


def stand_in_faults(
    tables: Sequence[tuple[int, Mapping[str, Any]]],
) -> Iterator[tuple[Key, str, str]]:
    """Find duties that have two rules, and stand-ins that are named twice.

    Args:
        tables: Those of `[[stand_in]]`, each with its place.

    Returns:
        Key, message and remedy of each fault.
    """
    first: dict[object, int] = {}
    for index, rule in tables:
        duty, by = rule.get("duty"), rule.get("by")
        if isinstance(duty, str) and first.setdefault(duty, index) != index:
            yield (
                ("stand_in", index, "duty"),
                f"{duty} has stand-ins in stand_in[{first[duty]}] already",
                "Name them in one table, in their order",
            )
        named = list(by) if isinstance(by, list | tuple) else []
        for place, one in enumerate(named):
            if one in named[:place]:
                yield ("stand_in", index, "by", place), f"{one!r} is named twice", "Keep the first"
