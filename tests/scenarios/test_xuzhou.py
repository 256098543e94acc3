"""Xuzhou's way: the first report counts, patrols hand over in turn, offices compete in classes."""

from datetime import datetime

import pytest
import shapely

from gridsvc.reports.credit import credit_of
from tests.scenarios.conftest import Open
from tests.scenarios.desk import REPORTER, Desk, inside
from tests.scenarios.loading import without

OFFICE = "110199001001"
GRAFFITI = "0501"
DUPLICATES = '[[duplicates]]\nwithin_m = 50\nwindow_hours = 48\njoin = "automatic"\n'
CREDIT = "[credit]\nfirst_points = 5\njoined_points = 1\n"


@pytest.fixture
def desk(open_city: Open) -> Desk:
    return open_city("xuzhou")


def away(point: shapely.Point, east_m: float) -> shapely.Point:
    return shapely.Point(point.x + east_m, point.y)


def test_patrols_hand_over_at_staggered_minutes(desk: Desk) -> None:
    def patrol(area: str, at: str) -> str:
        told = desk.ask(inside("patrol_area", area), at=datetime.fromisoformat(at))
        return str(told["supervisor"]["party"]["code"])

    for area, hands_over in (
        ("110199P01", "07:00"),
        ("110199P02", "07:30"),
        ("110199P03", "08:00"),
    ):
        minute = datetime.fromisoformat(f"2026-10-12T{hands_over}+08:00")
        before = minute.replace(
            hour=minute.hour - (minute.minute == 0), minute=(minute.minute - 1) % 60
        )
        night = patrol(area, before.replace(second=59).isoformat())
        assert night != patrol(area, minute.isoformat())
        assert night == patrol(area, "2026-10-12T02:00+08:00")


def test_later_reports_within_reach_join_the_first(desk: Desk) -> None:
    here = inside("community", OFFICE)
    first = desk.report(here, GRAFFITI, by="first")
    near = desk.report(away(here, 49.9), GRAFFITI, by="second")
    far = desk.report(away(here, 50.1), GRAFFITI, by="third")
    other = desk.report(here, "0502", by="fourth")
    assert first.case
    assert near.case
    assert far.case
    assert near.case.id == first.case.id
    assert near.case.report_count == 2
    assert len({one.case.id for one in (first, far, other) if one.case}) == 3
    desk.close(first.case.id)
    again = desk.report(here, GRAFFITI)
    assert again.case
    # What was closed takes no more in.
    assert again.case.id != first.case.id
    total = desk.figures()[""].now.counts
    assert (total["filed"], total["repeated"]) == (4, 1)


def test_without_the_rule_each_report_is_a_case(desk: Desk) -> None:
    desk.put_in_force(without("xuzhou", DUPLICATES))
    here = inside("community", OFFICE)
    cases = [desk.report(here, GRAFFITI).case for _ in range(2)]
    assert len({case.id for case in cases if case}) == 2


def test_the_first_reporter_is_the_one_who_is_credited(desk: Desk) -> None:
    here = inside("community", OFFICE)
    cases = [desk.report(here, GRAFFITI, by=name).case for name in ("quick", "slow")]
    assert cases[0]

    def points(name: str) -> int:
        return credit_of(desk.session, REPORTER.format(name), source="key:1").points

    assert points("quick") == 0
    desk.close(cases[0].id)
    assert (points("quick"), points("slow")) == (5, 1)
    desk.put_in_force(without("xuzhou", CREDIT))
    assert points("quick") == 0


def test_offices_are_compared_within_their_class(desk: Desk) -> None:
    # The first two are of class A, the third is of class B.
    for office, closed, left in (("001001", 2, 0), ("001002", 1, 1), ("002002", 1, 1)):
        for n in range(closed + left):
            case = desk.report(
                away(inside("community", f"110199{office}"), 60.0 * n), GRAFFITI
            ).case
            assert case
            if n < closed:
                desk.close(case.id)
    rows = desk.figures("area", "community")
    told = {
        code.removeprefix("110199"): (row.group, row.rank, row.now.rates["closing_rate"])
        for code, row in rows.items()
    }
    assert told["001001"] == ("A", 1, 1)
    assert told["001002"] == ("A", 2, 0.5)
    assert told["002002"] == ("B", 1, 0.5)
    changed = ('formula = "closed / should_close"', 'formula = "(should_close - closed) / filed"')
    desk.put_in_force(without("xuzhou", changed))
    ranks = {code[6:]: row.rank for code, row in desk.figures("area", "community").items()}
    assert (ranks["001001"], ranks["001002"]) == (2, 1)


def test_a_kiosk_answers_for_litter_in_its_patrol_area(desk: Desk) -> None:
    here = inside("community", OFFICE)
    assert desk.ask(here, category="0101")["responsible"]["role"] == "kiosk"
    assert desk.ask(here, category=GRAFFITI)["responsible"]["role"] == "office"
    kiosks = 'category = "0101"\nlayers = ["patrol_area", "community"'
    desk.put_in_force(without("xuzhou", (kiosks, kiosks.replace('"patrol_area", ', ""))))
    assert desk.ask(here, category="0101")["responsible"]["role"] == "office"
