"""Nan'an's way: five chiefs, and three tiers for what is general, of unclear owner, or hard."""

import csv
from datetime import timedelta
from functools import cache

import pytest
import shapely

from gridsvc.crs import from_wgs84
from tests.scenarios.conftest import Open
from tests.scenarios.desk import STORAGE, Desk, inside
from tests.scenarios.loading import COMPONENTS, without

QUARTER = "110199001002"
NUISANCE = "0506"
HARD = """[[tier]]
code = "hard"
title = { zh = "疑难问题", en = "Hard problems" }
duty = "management"
layer = "district"
"""


@pytest.fixture
def desk(open_city: Open) -> Desk:
    return open_city("nanan")


@cache
def covers() -> list[dict[str, str]]:
    with (COMPONENTS / "nanan.csv").open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def place(of: dict[str, str], *, east_m: float = 0.0) -> shapely.Point:
    x, y = from_wgs84(float(of["lon"]), float(of["lat"]), crs=STORAGE)
    return shapely.Point(float(x) + east_m, float(y))


def lonely() -> dict[str, str]:
    """Find a cover that no other of its class is near."""
    points = [place(cover) for cover in covers()]
    tree = shapely.STRtree(points)
    for cover, point in zip(covers(), points, strict=True):
        near = [covers()[n] for n in tree.query(point, predicate="dwithin", distance=40)]
        if sum(other["category"] == cover["category"] for other in near) == 1:
            return cover
    raise AssertionError


def test_the_owner_of_the_nearest_cover_is_called(desk: Desk) -> None:
    cover = lonely()
    told = desk.ask(place(cover, east_m=3), category=cover["category"])
    assert told["responsible"]["party"]["code"] == cover["owner"]
    assert told["component"]["code"] == cover["code"]
    assert told["component"]["distance_m"] == pytest.approx(3, abs=0.002)
    assert told["tier"] is None
    case = desk.report(place(cover, east_m=3), cover["category"]).case
    assert case
    # Outside the street's own people: external dispatch.
    sent = desk.act(case.id, "dispatched", details={"dispatch": "external"})
    assert sent.holder == cover["owner"]
    assert desk.case(case.id).events[-1].details["dispatch"] == "external"
    desk.put_in_force(without("nanan", "[[component]]\nwithin_m = 15\napart_m = 3\n"))
    told = desk.ask(place(cover, east_m=3), category=cover["category"])
    assert told["component"] is None
    assert told["responsible"]["role"] in {"specialist", "district_office"}


def test_what_has_no_clear_owner_goes_to_the_street_with_the_candidates(desk: Desk) -> None:
    twin = covers()[400]
    told = desk.ask(place(twin, east_m=-1), category=twin["category"])
    assert told["tier"] == "ownership_unclear"
    assert len({one["owner"]["code"] for one in told["candidates"]}) == 2
    assert told["responsible"]["role"] == "street_office"
    case = desk.report(place(twin, east_m=-1), twin["category"]).case
    assert case
    assert case.tier == "ownership_unclear"
    assert desk.act(case.id, "dispatched").holder == told["responsible"]["party"]["code"]
    nothing_near = desk.ask(inside("building", "110199001001001B001"), category="C0111")
    assert (nothing_near["tier"], nothing_near["candidates"]) == ("ownership_unclear", [])
    sure = ("apart_m = 3", "apart_m = 0")
    desk.put_in_force(without("nanan", sure))
    told = desk.ask(place(twin, east_m=-0.5), category=twin["category"])
    assert told["responsible"]["role"] == "component_owner"


def test_a_hard_problem_goes_to_the_district(desk: Desk) -> None:
    here = inside("community", QUARTER)
    case = desk.report(here, NUISANCE).case
    assert case
    assert case.tier is None
    usual = desk.act(case.id, "dispatched")
    hard = desk.act(case.id, "declared_hard", reason="the land has no owner on record")
    assert (hard.state, hard.tier) == ("dispatched", "hard")
    assert hard.holder != usual.holder
    district = desk.ask(here)["escalation"][-1]["party"]["code"]
    assert hard.holder == district
    # Before its dispatch it goes there at once.
    another = desk.report(here, NUISANCE).case
    assert another
    desk.act(another.id, "declared_hard", reason="the same land")
    assert desk.act(another.id, "dispatched").holder == district
    desk.put_in_force(without("nanan", HARD))
    third = desk.report(here, NUISANCE).case
    assert third
    desk.act(third.id, "declared_hard", reason="the same land")
    assert desk.act(third.id, "dispatched").holder != district


def test_the_month_counts_deferred_cases_in(desk: Desk) -> None:
    here = inside("community", QUARTER)
    done, rests = (desk.report(here, NUISANCE).case for _ in range(2))
    assert done
    assert rests
    desk.close(done.id)
    desk.act(rests.id, "suspended", reason="waits for the budget")
    assert desk.figures()[""].now.rates["closing_rate"] == 0.5
    desk.put_in_force(without("nanan", ('deferred = "in"', 'deferred = "out"')))
    assert desk.figures()[""].now.rates["closing_rate"] == 1


def test_a_general_case_climbs_the_chiefs(desk: Desk) -> None:
    here = inside("community", QUARTER)
    case = desk.report(here, NUISANCE).case
    assert case
    due_at = desk.act(case.id, "dispatched").step_due_at
    roles = [step["role"] for step in desk.ask(here, category=NUISANCE)["escalation"]]
    assert roles[1:] == ["quarter_chief", "street_office", "district_office"]
    steps = []
    while due_at:
        (up,) = desk.climb(due_at + timedelta(seconds=1))
        steps.append(up.step)
        due_at = desk.case(case.id).case.step_due_at
    assert steps == [2, 3, 4]
    quarter = '[[escalation]]\nduty = "management"\nlayer = "community"\nwithin = "PT8H"\n'
    desk.put_in_force(without("nanan", quarter))
    fewer = desk.report(here, NUISANCE).case
    assert fewer
    desk.act(fewer.id, "dispatched")
    desk.act(fewer.id, "no_effect", reason="nobody was there")
    chief = desk.ask(here)["management"]["party"]["code"]
    assert desk.case(fewer.id).case.holder != chief
