"""A component's category is routed to the owner of the nearest one, or to the unclear tier."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from geoalchemy2.shape import from_shape
from shapely import Point
from sqlalchemy import text
from sqlalchemy.orm import Session

from gridsvc.errors import ChangeSetConflict, SchemeError
from gridsvc.grids.changesets import publish, rollback
from gridsvc.grids.models import ComponentEdit
from gridsvc.grids.scheme_store import load_scheme
from tests import small_city
from tests.factories import FOUNDED_AT, ask, make_scheme, new_change_set, plan, propose_party

TIER = """
[[tier]]
code = "ownership_unclear"
title = { zh = "权属不清", en = "Ownership unclear" }
duty = "management"
layer = "street"
"""
RULES = """
[[component]]
category = "C01"
within_m = 15
apart_m = 3
"""
COVER = "C0101"


def register(session: Session, *things: tuple[Any, ...], name: str = "components") -> int:
    """Publish components: code, owner, east_m, north_m, then other columns."""
    change_set = new_change_set(session, name)
    for code, owner, east_m, north_m, *others in things:
        propose_party(session, change_set, owner, name=owner, kind="body")
        row = {"category": COVER, "valid_from": FOUNDED_AT} | (others[0] if others else {})
        point = from_shape(plan(Point(east_m, north_m)), srid=small_city.SRID)
        session.add(
            ComponentEdit(change_set_id=change_set.id, code=code, owner=owner, point=point, **row)
        )
    session.flush()
    return publish(session, change_set).revision


@pytest.fixture
def city(session: Session) -> Session:
    small_city.found(session)
    load_scheme(session, make_scheme(extra=TIER + RULES))
    return session


def at(session: Session, east_m: float, category: str = COVER, **asked: object) -> dict[str, Any]:
    return ask(session, east_m=east_m, north_m=800, category=category, **asked)


def test_the_owner_of_the_nearest_is_responsible(city: Session) -> None:
    register(city, ("W1", "WATER", 500, 800), ("G1", "GAS", 510, 800))
    told = at(city, 503.2)
    assert told["responsible"]["party"]["code"] == "WATER"
    assert told["responsible"]["role"] == "component_owner"
    assert told["responsible"]["reason"] == ("owner of the nearest Water manhole cover, 3.2 m away")
    assert told["component"] == {
        "code": "W1",
        "category": COVER,
        "distance_m": 3.2,
        "owner": told["responsible"]["party"],
    }
    assert (told["tier"], told["candidates"]) == (None, [])
    assert at(city, 503.2, "0101")["component"] is None


def test_two_of_one_owner_are_clear(city: Session) -> None:
    register(city, ("W2", "WATER", 500, 800), ("W1", "WATER", 502, 800))
    assert at(city, 501)["component"]["code"] == "W1"


def test_two_owners_less_than_apart_are_unclear(city: Session) -> None:
    register(city, ("W1", "WATER", 500, 800), ("G1", "GAS", 504, 800))
    told = at(city, 501)
    assert told["tier"] == "ownership_unclear"
    assert told["component"] is None
    assert [it["code"] for it in told["candidates"]] == ["W1", "G1"]
    assert told["responsible"]["party"]["code"] == "B1"
    assert told["responsible"]["area"]["code"] == "S1"
    assert at(city, 500.5)["component"]["code"] == "W1"  # 3 m farther is apart


def test_none_within_reach_goes_to_the_tier(city: Session) -> None:
    register(city, ("W1", "WATER", 500, 800))
    assert at(city, 515)["component"]["code"] == "W1"
    told = at(city, 515.002)
    assert (told["tier"], told["candidates"]) == ("ownership_unclear", [])
    assert told["responsible"]["party"]["code"] == "B1"
    assert "no Water manhole cover within 15 m" in told["responsible"]["reason"]


def test_an_expired_component_and_another_category_do_not_count(city: Session) -> None:
    gone = {"valid_to": datetime.now(UTC) - timedelta(days=1)}
    register(city, ("W1", "WATER", 500, 800, gone), ("L1", "GAS", 500, 800, {"category": "C0102"}))
    assert at(city, 500)["tier"] == "ownership_unclear"
    assert at(city, 500, "C0102")["component"]["code"] == "L1"
    assert at(city, 500, "C0201")["tier"] is None  # no rule has its prefix


def test_without_the_rule_the_ladder_answers(city: Session) -> None:
    register(city, ("W1", "WATER", 500, 800))
    load_scheme(city, make_scheme())
    told = at(city, 500, at=datetime.now(UTC) + timedelta(seconds=5))
    assert (told["component"], told["tier"]) == (None, None)
    assert told["responsible"]["role"] == "chief"


def test_going_back_takes_components_back(city: Session) -> None:
    first = register(city, ("W1", "WATER", 500, 800))
    register(city, ("A1", "GAS", 501, 800), name="more")
    rollback(city, first)
    live = city.scalars(text("SELECT code FROM gridsvc.component WHERE rev_to IS NULL")).all()
    assert live == ["W1"]


def test_a_code_that_stands_already_is_a_conflict(city: Session) -> None:
    register(city, ("W1", "WATER", 500, 800))
    with pytest.raises(ChangeSetConflict, match="component W1"):
        register(city, ("W1", "GAS", 700, 800), name="again")


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        (RULES, "ownership_unclear"),
        (TIER + RULES.replace("C01", "01"), "kind component"),
        (TIER.replace('"street"', '"stret"'), "no layer"),
        (TIER + RULES + RULES, "has a rule in"),
    ],
)
def test_rules_that_do_not_fit_are_refused(extra: str, told: str) -> None:
    with pytest.raises(SchemeError, match=told):
        make_scheme(extra=extra)


def test_codes_break_ties(city: Session) -> None:
    register(city, ("W2", "WATER", 500, 800), ("W1", "WATER", 500, 800))
    assert at(city, 500)["component"]["code"] == "W1"
