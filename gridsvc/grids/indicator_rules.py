"""What a scheme counts its offices and parties by: rates over named counts, and who is compared."""

import ast
import operator
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from gridsvc.grids.scheme_fields import Code, SchemeTable, Title, refuse

COUNTS = (
    "filed",
    "should_close",
    "closed",
    "on_time",
    "returned",
    "repeated",
    "deferred",
    "escalated",
)
"""What a formula may name; `gridsvc.reports.indicators` tells what each counts."""

_OPERATORS: Mapping[type[ast.AST], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def rate_of(formula: str, counts: Mapping[str, float]) -> float | None:
    """Work out a formula over counts; None where it would divide by zero.

    Raises:
        ValueError: the formula holds more than counts, numbers, brackets and + - * /.
    """
    try:
        return _value(_parsed(formula), counts)
    except ZeroDivisionError:
        return None


@lru_cache(maxsize=64)
def _parsed(formula: str) -> ast.AST:
    try:
        return ast.parse(formula.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError("it is no formula") from error


def _value(node: ast.AST, counts: Mapping[str, float]) -> float:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return number
        case ast.Name(id=name) if name in counts:
            return counts[name]
        case ast.Name(id=name):
            raise ValueError(f"there is no count {name!r}")
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(left, counts), _value(right, counts))
        case _:
            raise ValueError("only counts, numbers, brackets and + - * / have a meaning")


def _check(node: ast.AST) -> None:
    """Refuse what has no meaning, also where working it out would stop earlier at a zero."""
    match node:
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            _check(left)
            _check(right)
        case _:
            _value(node, dict.fromkeys(COUNTS, 1))


def _formula(text: str) -> str:
    try:
        _check(_parsed(text))
    except ValueError as error:
        refuse(
            f"{text!r} cannot be worked out: {error}",
            f'Write it like "closed / should_close", over {", ".join(COUNTS)}',
        )
    return text


class Rate(SchemeTable):
    """A figure that is worked out of counts."""

    code: Code
    title: Title
    formula: Annotated[str, StringConstraints(max_length=200), AfterValidator(_formula)]


class AreaClass(SchemeTable):
    """Areas of one layer that are compared with each other, and with no others."""

    code: Annotated[str, StringConstraints(pattern=r"^[A-Z]$")]
    layer: Code
    areas: Annotated[tuple[str, ...], Field(min_length=1)]


class IndicatorRules(SchemeTable):
    """How the city counts."""

    deferred: Literal["out", "in"] = "out"
    """Whether suspended cases count among those that should be closed."""
    rates: Annotated[tuple[Rate, ...], Field(alias="rate")] = ()
    classes: Annotated[tuple[AreaClass, ...], Field(alias="class")] = ()

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        rates = [rate.code for rate in self.rates]
        if twice := {code for code in rates if rates.count(code) > 1}:
            refuse(f"there are two rates {min(twice)!r}", "Give each its own code")
        if taken := set(rates) & {*COUNTS, "key", "name", "class", "rank"}:
            refuse(f"{min(taken)!r} is the name of a column already", "Choose another code")
        seen: dict[tuple[str, str], str] = {}
        for one in self.classes:
            for area in one.areas:
                first = seen.setdefault((one.layer, area), one.code)
                if first != one.code:
                    refuse(
                        f"{one.layer} {area} is in the classes {first} and {one.code}",
                        "Keep it in one",
                    )
        return self

    def class_of(self, layer: str, area: str) -> str | None:
        """Find the class that an area is compared in; None where it is compared with none."""
        return next(
            (one.code for one in self.classes if one.layer == layer and area in one.areas), None
        )

    def compared(self, layer: str) -> tuple[str, ...]:
        """Give the areas of a layer that are compared with others."""
        return tuple(area for one in self.classes if one.layer == layer for area in one.areas)
