"""A formula is a few counts and four signs, or it is refused where it stands."""

from typing import Any

import pytest

from gridsvc.errors import SchemeError
from gridsvc.grids.indicator_rules import COUNTS, rate_of
from tests.factories import make_scheme

FULL: dict[str, Any] = dict.fromkeys(COUNTS, 4) | {"closed": 3, "deferred": 1}


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("closed / should_close", 0.75),
        ("closed / (should_close - deferred)", 1.0),
        ("0.5 * closed + filed", 5.5),
        ("closed / (should_close - filed)", None),
        ("closed - 2 - 1", 0),
    ],
)
def test_formulas(formula: str, value: float | None) -> None:
    assert rate_of(formula, FULL) == value


@pytest.mark.parametrize(
    "formula",
    [
        "closd / should_close",
        "__import__('os')",
        "closed.real",
        "closed ** filed",
        "closed[0]",
        "True",
        "'closed'",
        "closed if filed else 0",
        "lambda: 1",
        "closed /",
        "(" * 300 + "closed" + ")" * 300,
        "",
    ],
)
def test_nothing_else_is_a_formula(formula: str) -> None:
    with pytest.raises(ValueError, match=r"formula|count|meaning"):
        rate_of(formula, FULL)


def faults(text: str) -> str:
    with pytest.raises(SchemeError) as caught:
        make_scheme(extra=text)
    return str(caught.value)


RATE = '[[indicators.rate]]\ncode = "rate"\ntitle = { en = "Rate" }\nformula = "{}"\n'


def test_a_wrong_formula_is_told_with_its_key_and_the_counts_there_are() -> None:
    told = faults(RATE.replace("{}", "closd / filed"))
    assert "indicators.rate[0].formula" in told
    assert "there is no count 'closd'" in told
    assert "should_close" in told


def test_classes_name_layers_that_there_are_and_areas_once() -> None:
    one = '[[indicators.class]]\ncode = "{}"\nlayer = "{}"\nareas = ["S1"]\n'
    told = faults(one.replace("{}", "A", 1).replace("{}", "stret", 1))
    assert "indicators.class[0].layer" in told
    assert "Did you mean 'street'?" in told
    twice = "".join(one.replace("{}", code, 1).replace("{}", "street", 1) for code in "AB")
    assert "S1 is in the classes A and B" in faults(twice)


@pytest.mark.parametrize("formula", ["closed / (filed - 1) + clsoed", "1 / 0 + filed ** 2"])
def test_a_zero_on_the_way_hides_no_fault(formula: str) -> None:
    assert "indicators.rate[0].formula" in faults(RATE.replace("{}", formula))


def test_a_rate_is_not_called_like_a_column() -> None:
    told = faults(RATE.replace('"rate"', '"closed"').replace("{}", "filed"))
    assert "'closed' is the name of a column already" in told


def test_a_rate_has_a_code_of_its_own() -> None:
    assert "there are two rates 'rate'" in faults(RATE.replace("{}", "filed") * 2)
