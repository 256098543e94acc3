"""Which rule is for which class, and what is wrong with rules that cannot be meant."""

from datetime import timedelta

import pytest

from gridsvc.errors import SchemeError
from gridsvc.grids.case_rules import Stage
from gridsvc.grids.limits import Limit
from gridsvc.grids.schemes import Scheme
from tests.factories import make_scheme

RULES = """
[[duplicates]]
within_m = 100
window_hours = 24

[[duplicates]]
category = "01"
within_m = 30
window_hours = 72.5
join = "automatic"

[[duplicates]]
category = "0103"
within_m = 5
window_hours = 1

[[limit]]
category = "01"
stage = "close"
within = "PT8H"

[[limit]]
category = "0103"
stage = "close"
within = "P2D"

[[limit]]
stage = "verify"
within = "PT2H"
"""


def test_the_longest_beginning_wins() -> None:
    scheme = make_scheme(extra=RULES)
    within = {
        code: rule.within_m
        for code in ("0103", "0102", "0201", None)
        if (rule := scheme.duplicate_rule(code))
    }
    assert within == {"0103": 5, "0102": 30, "0201": 100, None: 100}
    rule = scheme.duplicate_rule("0102")
    assert rule
    assert (rule.window, rule.join) == (timedelta(hours=72.5), "automatic")
    assert scheme.limit(Stage.CLOSE, "0103") == Limit.parse("P2D")
    assert scheme.limit(Stage.CLOSE, "0102") == Limit.parse("PT8H")
    assert scheme.limit(Stage.CLOSE, "0201") is None
    assert scheme.limit(Stage.CLOSE, None) is None
    assert scheme.limit(Stage.VERIFY, "0103") == Limit.parse("PT2H")
    assert scheme.limit(Stage.VERIFY, None) == Limit.parse("PT2H")


def test_without_rules_nothing_is_the_same_and_nothing_is_limited() -> None:
    scheme = make_scheme()
    assert scheme.duplicate_rule("0102") is None
    assert all(scheme.limit(stage, "0102") is None for stage in Stage)


def test_what_is_stored_is_the_same_again() -> None:
    scheme = make_scheme(extra=RULES)
    assert Scheme.from_document(scheme.document()) == scheme


@pytest.mark.parametrize(
    ("old", "new", "key", "message"),
    [
        ('"0103"\nwithin_m', '"01"\nwithin_m', "duplicates[2]", "for 01 in duplicates[1] already"),
        ('"01"\nwithin_m', '"0199"\nwithin_m', "duplicates[1].category", "begins with '0199'"),
        ("within_m = 5\n", "within_m = 0\n", "duplicates[2].within_m", "greater than 0"),
        ("within_m = 5\n", "within_m = inf\n", "duplicates[2].within_m", "finite"),
        ("window_hours = 1\n", "", "duplicates[2].window_hours", "is missing"),
        ('"automatic"', '"always"', "duplicates[1].join", "'proposed' or 'automatic'"),
        ('"0103"\nstage', '"01"\nstage', "limit[1]", "close has a limit for 01 in limit[0]"),
        ('"0103"\nstage', '"x"\nstage', "limit[1].category", "begins with 'x'"),
        ('"verify"', '"verified"', "limit[2].stage", "'verified' is none of"),
        ('"P2D"', '"P1W"', "limit[1].within", "no ISO 8601 duration"),
    ],
)
def test_a_wrong_rule_is_told_with_its_key(old: str, new: str, key: str, message: str) -> None:
    assert RULES.count(old) == 1
    with pytest.raises(SchemeError) as refused:
        make_scheme(extra=RULES.replace(old, new))
    (problem,) = refused.value.problems
    assert problem.key == key
    assert message in problem.message
    assert problem.line
    assert problem.remedy
