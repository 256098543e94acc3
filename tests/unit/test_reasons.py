"""Reasons of a batch: the first one found stays, and few texts serve many rows."""

import numpy as np

from gridsvc.routing.reasons import Reasons


def test_the_first_reason_stays() -> None:
    reasons = Reasons.none(4)
    reasons.refuse(np.array([True, False, True, False]), "bad time: empty")
    reasons.refuse(np.array([2, 3]), "outside")
    assert reasons.array().to_pylist() == ["bad time: empty", None, "bad time: empty", "outside"]
    assert reasons.open.tolist() == [False, True, False, False]
    assert reasons.begins("bad time", "no such").tolist() == [True, False, True, False]
    assert reasons.counts() == {None: 1, "bad time: empty": 2, "outside": 1}


def test_an_override_takes_the_place_of_what_was_found_before() -> None:
    reasons = Reasons.none(2)
    reasons.refuse(np.array([0]), "outside")
    other = reasons.copy()
    other.override(np.array([True, False]), "bad time: empty")
    assert other.array().to_pylist() == ["bad time: empty", None]
    assert reasons.array().to_pylist() == ["outside", None]


def test_nothing_is_noted_where_no_row_is_meant() -> None:
    reasons = Reasons.none(2)
    reasons.refuse(np.array([False, False]), "outside")
    assert reasons.texts == []
