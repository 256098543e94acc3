"""Qingdao's way: three chiefs and a station, specialists, shops that answer for their fronts."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gridsvc.grids.letters import read_letters, store_letters
from gridsvc.grids.scheme_store import current_scheme
from gridsvc.reports.zones import Zone, list_zones
from tests.scenarios.conftest import Open
from tests.scenarios.desk import Desk, areas, free_of, inside
from tests.scenarios.loading import without

UNIT = "110199001001001"
NUISANCE = "0506"
OWN = '"building", "courtyard", "street_segment", "unit", "community", "street", "district"]'
OVERLAYS = ("building", "courtyard", "street_segment", "shopfront")


@pytest.fixture
def desk(open_city: Open) -> Desk:
    return open_city("qingdao")


def with_chief(desk: Desk, layer: str) -> str:
    """Find an area of a layer that somebody holds, where nothing more specific is."""
    for code in areas(layer).index:
        told = desk.ask(inside(layer, code), category=NUISANCE)
        if told["responsible"]["area"] == {"layer": layer, "code": code} | {
            "name": told["responsible"]["area"]["name"]
        }:
            return str(code)
    raise AssertionError(layer)


def test_inside_the_building_its_chief_in_the_courtyard_the_yard_s_outside_the_lane_s(
    desk: Desk,
) -> None:
    for layer, role in (
        ("building", "building_chief"),
        ("courtyard", "courtyard_chief"),
        ("street_segment", "street_chief"),
    ):
        here = inside(layer, with_chief(desk, layer))
        assert desk.ask(here, category=NUISANCE)["responsible"]["role"] == role
    here = free_of("unit", UNIT, *OVERLAYS)
    told = desk.ask(here, category=NUISANCE)
    assert told["responsible"]["role"] == "area_chief"
    assert told["management"]["role"] == "station_chief"
    house = inside("building", with_chief(desk, "building"))
    desk.put_in_force(without("qingdao", (f"layers = [{OWN}", f"layers = [{OWN[12:]}")))
    assert desk.ask(house, category=NUISANCE)["responsible"]["role"] != "building_chief"


def test_a_burst_pipe_goes_to_the_water_station_at_once(desk: Desk) -> None:
    here = inside("building", with_chief(desk, "building"))
    told = desk.ask(here, category="0402")["responsible"]
    assert (told["role"], told["party"]["name"]) == ("specialist", "青岛式供水站")
    case = desk.report(here, "0402").case
    usual = desk.report(here, NUISANCE).case
    assert case
    assert usual
    assert case.due_at
    assert usual.due_at
    assert case.due_at < usual.due_at
    burst, other = desk.act(case.id, "dispatched"), desk.act(usual.id, "dispatched")
    assert burst.step_due_at
    assert other.step_due_at
    assert burst.step_due_at < other.step_due_at
    sudden = '[[ladder]]\nduty = "responsibility"\ncategory = "04"\nlayers = ["district"]\n'
    desk.put_in_force(without("qingdao", sudden))
    assert desk.ask(here, category="0402")["responsible"]["role"] == "building_chief"


def test_a_shop_answers_for_litter_in_front_and_not_for_what_else_is_there(desk: Desk) -> None:
    front = inside("shopfront", areas("shopfront").index[0])
    assert desk.ask(front, category="0101")["responsible"]["role"] == "shop_unit"
    assert desk.ask(front, category=NUISANCE)["responsible"]["role"] != "shop_unit"
    desk.put_in_force(without("qingdao", ('category = "0101"', 'category = "0105"')))
    assert desk.ask(front, category="0101")["responsible"]["role"] != "shop_unit"


def test_neighbours_who_report_one_nuisance_are_shown_side_by_side(desk: Desk) -> None:
    here = free_of("unit", UNIT, *OVERLAYS)
    first, second = desk.report(here, NUISANCE, by="1"), desk.report(here, NUISANCE, by="2")
    assert first.case
    assert second.case
    (likely,) = second.duplicates
    assert likely.case_id == first.case.id != second.case.id
    rule = "[[duplicates]]\nwithin_m = 30\nwindow_hours = 72\n"
    desk.put_in_force(without("qingdao", rule))
    assert desk.report(here, NUISANCE, by="3").duplicates == ()


def test_what_the_chief_lets_lie_climbs_to_area_and_station(desk: Desk) -> None:
    here = inside("courtyard", with_chief(desk, "courtyard"))
    chain = desk.ask(here, category=NUISANCE)["escalation"]
    assert [step["role"] for step in chain] == [
        *("courtyard_chief", "area_chief", "station_chief", "section_clerk")
    ]
    case = desk.report(here, NUISANCE).case
    assert case
    due_at = desk.act(case.id, "dispatched").step_due_at
    for step in chain[1:3]:
        assert due_at
        assert desk.climb(due_at - timedelta(microseconds=1)) == ()
        (up,) = desk.climb(due_at)
        assert up.to_party == step["party"]["code"]
        due_at = desk.case(case.id).case.step_due_at
    desk.act(case.id, "handled", "verified", "closed")
    by_layer = {key: row.now.counts["filed"] for key, row in desk.figures("layer").items()}
    assert by_layer["courtyard"] == 1
    area_step = '[[escalation]]\nduty = "responsibility"\nlayer = "unit"\nwithin = "PT8H"\n'
    desk.put_in_force(without("qingdao", area_step))
    assert [step["role"] for step in desk.ask(here, category=NUISANCE)["escalation"]] == [
        *("courtyard_chief", "station_chief", "section_clerk")
    ]
    assert desk.figures()[""].now.counts["escalated"] == 1


def test_a_zone_has_a_signed_letter_a_group_and_a_grade(desk: Desk, tmp_path: Path) -> None:
    code = str(areas("shopfront").index[0])
    here = inside("shopfront", code)
    told = desk.ask(here, category="0101")
    unit = told["responsible"]["party"]["code"]
    signatory = told["management"]["party"]["code"]
    signed = hashlib.sha256(b"We keep the front clean, orderly and green.").hexdigest()
    file = tmp_path / "letters.csv"
    file.write_text(
        "area_code,unit,signatory,signed_at,document_sha256,self_governing_group\n"
        f"{code},{unit},{signatory},2026-03-01,{signed},G-07\n"
    )
    scheme = current_scheme(desk.session)
    store_letters(desk.session, read_letters(desk.session, file, scheme), layer="shopfront")

    def zone() -> Zone:
        zones = list_zones(desk.session, at=datetime.now(UTC), limit=5000).rows
        (found,) = (one for one in zones if one.code == code)
        return found

    letter = zone().letter
    assert letter
    assert (letter.unit, letter.signatory) == (unit, signatory)
    assert (letter.document_sha256, letter.self_governing_group) == (signed, "G-07")
    assert zone().grade == "A"
    for _ in range(3):
        case = desk.report(here, "0101").case
        assert case
        desk.close(case.id)
    assert (zone().grade, zone().substantiated, zone().inspect_every_days) == ("C", 3, 3)
    desk.put_in_force(without("qingdao", ("at_most = 2", "at_most = 5")))
    assert zone().grade == "B"
