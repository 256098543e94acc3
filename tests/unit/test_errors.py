"""Errors are read aloud: they name the thing, the place and the remedy, in whole sentences."""

from gridsvc.errors import ChangeSetRefused


def test_one_finding_stops_and_several_stop() -> None:
    one = ChangeSetRefused("june", findings=("gap: in community 1",))
    assert "has 1 finding that stops it: gap: in community 1" in str(one)
    two = ChangeSetRefused("june", findings=("gap: a", "spill: b"))
    assert "has 2 findings that stop it: gap: a; spill: b" in str(two)
