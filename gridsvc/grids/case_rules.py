"""What a scheme says on cases: which reports are the same matter, and how long a stage may take.

Each rule is for the classes whose code begins with its `category`; the longest beginning wins.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal, Protocol, TypeVar

from pydantic import Field

from gridsvc.grids.categories import CategoryCode, longest_prefix
from gridsvc.grids.scheme_fields import LimitField, SchemeTable
from gridsvc.grids.toml_lines import Key


class Stage(StrEnum):
    """What a limit is for."""

    DISPATCH = "dispatch"
    """From filing, or from coming back, to a dispatch."""
    HANDLE = "handle"
    """From a dispatch until it is handled, or climbs."""
    VERIFY = "verify"
    CLOSE = "close"
    """From the first report to the end of it all."""


class DuplicateRule(SchemeTable):
    """Within what reach of an open case of the same class a report may be the same matter."""

    category: CategoryCode | None = None
    """A category or the beginning of its code; None is for all categories."""
    within_m: Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)]
    """From the case's first report, the distance itself included."""
    window_hours: Annotated[float, Field(gt=0, le=87_600, allow_inf_nan=False)]
    """By the clock, not of work, since the case was opened; its end included."""
    join: Literal["proposed", "automatic"] = "proposed"
    """Whether such a report only names the case, or joins it by itself."""

    @property
    def window(self) -> timedelta:
        """How long after a case was opened."""
        return timedelta(hours=self.window_hours)


class CaseLimit(SchemeTable):
    """How long a stage of a case may take."""

    category: CategoryCode | None = None
    """A category or the beginning of its code; None is for all categories."""
    stage: Stage
    within: LimitField
    """Working time in the scheme's calendar."""


class _ForClasses(Protocol):
    @property
    def category(self) -> str | None: ...


_Rule = TypeVar("_Rule", bound=_ForClasses)


def rule_for(category: str | None, rules: Iterable[_Rule]) -> _Rule | None:
    """Find the rule with the longest beginning of a category; None where none is for it.

    A matter without a category falls under the rule for all categories only.
    """
    by_prefix = {rule.category or "": rule for rule in rules}
    prefix = longest_prefix(category or "", by_prefix)
    return None if prefix is None else by_prefix[prefix]


_Tables = list[tuple[int, Mapping[str, Any]]]


def case_rule_faults(
    duplicates: _Tables, limits: _Tables, categories: list[str]
) -> Iterator[tuple[Key, str, str]]:
    """Name rules that are there twice, or for classes that there are not.

    Args:
        duplicates: Of the document, with their places.
        limits: Likewise.
        categories: Codes; none where the scheme lists no categories.

    Yields:
        Key, message and remedy.
    """
    for name, tables in (("duplicates", duplicates), ("limit", limits)):
        first: dict[tuple[object, object], int] = {}
        for index, rule in tables:
            category, stage = rule.get("category"), rule.get("stage")
            what = f"{stage} has a limit" if name == "limit" else "there is a rule"
            what += f" for {category or 'all categories'}"
            if first.setdefault((category, stage), index) != index:
                yield (
                    (name, index),
                    f"{what} in {name}[{first[category, stage]}] already",
                    "Remove one, or give it a category of its own",
                )
            if (
                isinstance(category, str)
                and categories
                and not any(code.startswith(category) for code in categories)
            ):
                yield (
                    (name, index, "category"),
                    f"no category begins with {category!r}",
                    "Use the beginning of a category's code",
                )
