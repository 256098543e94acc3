"""Cangzhou's way: everyone reports by phone; what is not ours, or takes long, leaves the flow."""

from datetime import UTC, datetime, timedelta

import pytest

from gridsvc.crs import to_wgs84
from gridsvc.reports.credit import credit_of
from gridsvc.reports.zones import list_zones
from tests.scenarios.conftest import Open
from tests.scenarios.desk import REPORTER, STORAGE, Desk, inside
from tests.scenarios.loading import without

SHOP = "110199001003S001"
COMMUNITY = "110199001002"
STALLS = "0502"


@pytest.fixture
def desk(open_city: Open) -> Desk:
    return open_city("cangzhou")


def test_a_phone_report_is_moved_to_where_it_was_and_keeps_what_the_phone_said(desk: Desk) -> None:
    here = inside("shopfront", SHOP)
    seen_at = datetime.now(UTC) - timedelta(minutes=7)
    photo = ("https://photos.example/17.jpg",)
    filed = desk.report(here, STALLS, crs="gcj02", observed_at=seen_at, photo_urls=photo)
    lon, lat = to_wgs84(here.x, here.y, crs=STORAGE)
    stored = filed.report
    assert (stored.lon, stored.lat) == pytest.approx((lon, lat), abs=1e-8)
    assert stored.x is not None
    assert abs(stored.x - lon) > 0.004  # some hundred metres
    assert (stored.observed_at, stored.photo_urls) == (seen_at, list(photo))
    given = filed.answers[0].answer
    assert given
    assert given["areas"]["shopfront"]["code"] == SHOP


def test_a_phone_need_not_say_that_it_is_a_phone(desk: Desk) -> None:
    told = desk.report(inside("shopfront", SHOP), STALLS, crs="gcj02").report
    assert told.crs == "gcj02"
    first = ('input_crs = ["gcj02", "EPSG:4326"', 'input_crs = ["EPSG:4326", "gcj02"')
    assert without("cangzhou", first).input_crs[0] == "EPSG:4326"


def test_what_takes_long_rests_in_the_stock_pool_and_counts_as_the_scheme_says(desk: Desk) -> None:
    quick, slow = (desk.report(inside("community", COMMUNITY), STALLS).case for _ in range(2))
    assert quick
    assert slow
    desk.close(quick.id)
    desk.act(slow.id, "dispatched")
    rests = desk.act(slow.id, "suspended", reason="the market is to be rebuilt in spring")
    assert (rests.state, rests.holder is None) == ("suspended", False)
    assert desk.climb(datetime.now(UTC) + timedelta(days=60)) == ()
    assert desk.figures()[""].now.rates["closing_rate"] == 1
    desk.put_in_force(without("cangzhou", ('deferred = "out"', 'deferred = "in"')))
    assert desk.figures()[""].now.rates["closing_rate"] == 0.5
    back_at = datetime.now(UTC) + timedelta(days=30)
    resumed = desk.act(slow.id, "resumed", now=back_at)
    assert resumed.state == "dispatched"
    assert resumed.step_due_at
    assert resumed.step_due_at > back_at


def test_what_is_not_ours_leaves_with_a_reason_and_to_whom(desk: Desk) -> None:
    case = desk.report(inside("community", COMMUNITY), STALLS).case
    assert case
    gone = desk.act(
        case.id, "not_ours", reason="inside a factory", details={"to": "the factory's own guard"}
    )
    assert (gone.state, gone.holder) == ("not_ours", None)
    last = desk.case(case.id).events[-1]
    assert (last.reason, last.details["to"]) == ("inside a factory", "the factory's own guard")
    counts = desk.figures()[""].now.counts
    assert (counts["filed"], counts["should_close"]) == (1, 0)
    assert desk.act(case.id, "reopened", reason="it is on the pavement").state == "filed"


def test_many_reporters_of_one_problem_are_shown_and_joined_by_hand(desk: Desk) -> None:
    here = inside("community", COMMUNITY)
    first, second = (desk.report(here, STALLS, by=name) for name in ("one", "two"))
    assert first.case
    (likely,) = second.duplicates
    assert (likely.case_id, likely.distance_m) == (first.case.id, 0)
    desk.put_in_force(without("cangzhou", "[[duplicates]]\nwithin_m = 20\nwindow_hours = 24\n"))
    assert desk.report(here, STALLS, by="three").duplicates == ()


def test_a_repeat_offender_s_zone_gets_more_frequent_rounds(desk: Desk) -> None:
    def rounds() -> dict[str, int]:
        """The days between two visits, where it is not the usual month."""
        zones = list_zones(desk.session, at=datetime.now(UTC), limit=5000).rows
        return {z.code: z.inspect_every_days for z in zones if z.inspect_every_days != 30}

    assert rounds() == {}
    for expected in (14, 14, 3):
        case = desk.report(inside("shopfront", SHOP), STALLS).case
        assert case
        desk.close(case.id)
        assert rounds() == {SHOP: expected}
    desk.put_in_force(without("cangzhou", ("at_most = 2", "at_most = 3")))
    assert rounds() == {SHOP: 14}


def test_a_reporter_is_credited_by_the_scheme(desk: Desk) -> None:
    case = desk.report(inside("community", COMMUNITY), STALLS, by="keen").case
    assert case
    desk.close(case.id)
    keen = REPORTER.format("keen")
    assert credit_of(desk.session, keen, source="key:1").points == 10
    desk.put_in_force(without("cangzhou", ("first_points = 10", "first_points = 3")))
    assert credit_of(desk.session, keen, source="key:1").points == 3
