"""Chaoyang's way: four parties at every point; a case that nobody solves climbs, step by step."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shapely
from sqlalchemy import Engine

from gridsvc.crs import to_wgs84
from gridsvc.reports.indicators import escalation_levels, step_times
from gridsvc.routing.bulk import locate_file
from tests.factories import send_away
from tests.scenarios.conftest import Open
from tests.scenarios.desk import STORAGE, Desk, areas, inside
from tests.scenarios.loading import without

SHOP = "110199001003S001"
COMMUNITY = "110199001001"
LITTER = "0101"
STAND_IN = '[[stand_in]]\nduty = "enforcement"\nby = ["assistant", "neighbour"]\n'
STREET_STEP = '[[escalation]]\nduty = "management"\nlayer = "street"\nwithin = "PT4H"\n'


@pytest.fixture
def desk(open_city: Open) -> Desk:
    return open_city("chaoyang")


def test_at_none_of_100_000_points_one_of_the_four_duties_is_missing(
    founded_city: Callable[[str], Engine], tmp_path: Path
) -> None:
    district = areas("district").iloc[0]
    west, south, east, north = district.bounds
    rng = np.random.default_rng(20261125)
    drawn = rng.uniform((west, south), (east, north), (200_000, 2))
    points = drawn[shapely.contains_xy(district, drawn)][:100_000]
    assert len(points) == 100_000
    lon, lat = to_wgs84(*points.T, crs=STORAGE)
    pd.DataFrame({"lon": lon, "lat": lat}).to_parquet(tmp_path / "points.parquet")
    target = tmp_path / "answered.parquet"
    summary = locate_file(
        founded_city("chaoyang"), tmp_path / "points.parquet", target, lon="lon", lat="lat"
    )
    assert summary.routed == 100_000
    answered = pd.read_parquet(target)
    duties = ["responsible", "management", "enforcement_lead", "enforcement_assistant"]
    assert answered[[*duties, "supervisor"]].notna().all().all()


def test_a_shop_answers_for_its_frontage(desk: Desk) -> None:
    told = desk.ask(inside("shopfront", SHOP), category=LITTER)
    assert told["vacant"] == []
    assert told["responsible"]["role"] == "shop_unit"
    assert told["management"]["role"] == "community_staff"
    assert told["enforcement"]["lead"]["role"] == "enforcement_lead"
    assert told["enforcement"]["assistant"]["role"] == "enforcement_assistant"
    assert told["supervisor"]["role"] == "supervisor"
    desk.put_in_force(
        without("chaoyang", ('layers = ["shopfront", "community"', 'layers = ["community"'))
    )
    told = desk.ask(inside("shopfront", SHOP), category=LITTER)
    assert told["responsible"]["role"] == "residents_committee"


def test_a_hand_over_at_nine_takes_effect_at_nine(desk: Desk) -> None:
    def lead(at: str) -> str:
        told = desk.ask(inside("community", COMMUNITY), at=datetime.fromisoformat(at))
        return str(told["enforcement"]["lead"]["party"]["code"])

    before, after = lead("2026-10-12T08:59:59+08:00"), lead("2026-10-12T09:00:00+08:00")
    assert before != after
    assert lead("2026-10-12T08:59:59.999999+08:00") == before
    assert lead("2026-10-12T01:00:00+00:00") == after


def test_the_pair_next_door_stands_in(desk: Desk) -> None:
    here = inside("community", COMMUNITY)

    def enforcement() -> tuple[str, str, str | None]:
        lead = desk.ask(here)["enforcement"]["lead"]
        by = lead["stand_in"] and lead["stand_in"]["by"]
        return lead["party"]["code"], lead["role"], by

    told = desk.ask(here)["enforcement"]
    lead, assistant = (told[rank]["party"]["code"] for rank in ("lead", "assistant"))
    send_away(desk.session, lead)
    assert enforcement() == (assistant, "enforcement_assistant", "assistant")
    send_away(desk.session, assistant)
    party, role, by = enforcement()
    assert (role, by) == ("enforcement_lead", "neighbour")
    edge_m = {
        code: shape.intersection(areas("community")[COMMUNITY]).length
        for code, shape in areas("community").items()
        if code != COMMUNITY
    }
    longest = inside("community", max(edge_m, key=lambda code: edge_m[code]))
    assert desk.ask(longest)["enforcement"]["lead"]["party"]["code"] == party
    desk.put_in_force(without("chaoyang", STAND_IN))
    _, role, by = enforcement()
    assert (role, by) == ("enforcement_team", None)


def test_a_case_without_effect_climbs_and_each_step_is_timed_and_counted(desk: Desk) -> None:
    here = inside("shopfront", SHOP)
    told = desk.ask(here, category=LITTER)
    staff = told["management"]["party"]["code"]
    clerk, officer = (told["escalation"][n]["party"]["code"] for n in (1, 2))
    assert told["escalation"][1]["role"] == "section_clerk"

    filed = desk.report(here, LITTER)
    assert filed.case
    case = filed.case.id
    assert filed.case.due_at
    began = desk.act(case, "dispatched", to_party=staff).state_since
    stuck_at = began + timedelta(minutes=30)
    climbed = desk.act(case, "no_effect", reason="the shop is shut", now=stuck_at)
    assert (climbed.holder, climbed.step) == (clerk, 2)
    late_at = climbed.step_due_at
    assert late_at
    assert desk.climb(late_at - timedelta(microseconds=1)) == ()
    (up,) = desk.climb(late_at)
    assert (up.from_party, up.to_party, up.step) == (clerk, officer, 3)
    assert desk.log(case) == ["filed", "dispatched", "no_effect", "escalated", "escalated"]
    ended_at = late_at + timedelta(hours=1)
    assert desk.act(case, "handled", "verified", "closed", now=ended_at).state == "closed"
    quick = desk.report(here, LITTER).case
    assert quick
    desk.close(quick.id)

    levels = {level.step: level.share for level in escalation_levels(desk.session, desk.season)}
    assert levels == {1: 0.5, 3: 0.5}
    times = {(one.party, one.step): one for one in step_times(desk.session, desk.season)}
    assert times[staff, 1].median_h == pytest.approx(0.5)
    assert (times[staff, 1].climbed, times[clerk, 2].climbed, times[officer, 3].climbed) == (
        1,
        1,
        0,
    )
    assert times[officer, 3].median_h == pytest.approx(1)
    total = desk.figures()[""].now
    assert (total.counts["filed"], total.counts["escalated"]) == (2, 1)
    assert total.rates["closing_rate"] == 1


def test_without_the_street_s_step_a_case_climbs_past_it(desk: Desk) -> None:
    desk.put_in_force(without("chaoyang", STREET_STEP))
    here = inside("shopfront", SHOP)
    case = desk.report(here, LITTER).case
    assert case
    desk.act(case.id, "dispatched")
    desk.act(case.id, "no_effect", reason="the shop is shut")
    told = desk.ask(here)
    assert desk.case(case.id).case.holder == told["enforcement"]["lead"]["party"]["code"]
