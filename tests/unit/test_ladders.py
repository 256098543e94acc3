"""Ladders in memory: what makes two moments differ."""

import numpy as np

from gridsvc.grids.terms import Duty, StandInBy
from gridsvc.grids.weekhours import ALWAYS
from gridsvc.routing.ladders import (
    FOREVER_US,
    LEAD,
    AreaKey,
    Decided,
    Held,
    Ladders,
    Neighbour,
    Rung,
    decide,
)

HERE, THERE = AreaKey("street", "S1"), AreaKey("street", "S2")
RUNGS = {(Duty.ENFORCEMENT, ""): (Rung("street", is_locality=True),)}
VERSION = 7


def lead(party: str, area: AreaKey, *absences: tuple[int, int]) -> Held:
    return Held(
        area=area,
        duty=Duty.ENFORCEMENT,
        rank=LEAD,
        party_code=party,
        role="officer",
        category=None,
        hours=ALWAYS,
        from_us=0,
        to_us=FOREVER_US,
        always=not absences,
        absences=absences,
    )


def ladders(*held: Held, neighbour: Neighbour) -> Ladders:
    return Ladders.of(
        RUNGS,
        held,
        tiling=["street"],
        stand_ins={Duty.ENFORCEMENT: (StandInBy.NEIGHBOUR,)},
        neighbours={VERSION: (neighbour,)},
    )


def test_moments_differ_where_an_absence_or_a_neighbour_begins_or_ends() -> None:
    built = ladders(lead("P1", HERE, (10, 20)), neighbour=Neighbour(THERE, 13, 17, 8))
    at_us = np.array([9, 10, 12, 13, 16, 17, 19, 20])
    moments = built.moments(at_us, np.zeros_like(at_us))
    assert (np.diff(moments) > 0).tolist() == [True, False, True, False, True, False, True]


def test_a_neighbour_stands_in_while_both_are_there() -> None:
    other = lead("P2", THERE)
    built = ladders(lead("P1", HERE, (10, 20)), other, neighbour=Neighbour(THERE, 13, 17, 8))
    chain = built.chain({"street": [HERE]}, Duty.ENFORCEMENT, None, version_of=lambda _: VERSION)

    def decided(at_us: int) -> Decided | None:
        return decide(chain, at_us=at_us, minute=0)

    assert [at for at in range(9, 22) if decided(at) is None] == [10, 11, 12, 17, 18, 19]
    relieved = decided(13)
    assert relieved
    assert (relieved.area, relieved.lead, relieved.assistant) == (HERE, other, None)
    assert relieved.relief
    assert (relieved.relief.is_absent, relieved.relief.source) == (
        True,
        Neighbour(THERE, 13, 17, 8),
    )
    back = decided(20)
    assert back
    assert (back.lead, back.relief) == (lead("P1", HERE, (10, 20)), None)
