import tomllib
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from gridsvc.crs import from_wgs84
from gridsvc.grids.schemes import read_scheme
from gridsvc.hotspots.cases import Frame, parts_of_reports
from gridsvc.hotspots.chronic import rounds, score
from gridsvc.hotspots.recurrence import Chains, Rule, chains
from gridsvc.reports.history import HistoryColumns
from tests.recurring import START, cases_of

DATA = Path(__file__).resolve().parents[2] / "data"
UTC = ZoneInfo("UTC")


def at_days(days: list[float], *, still_open: bool = False) -> Chains:
    """Cases at one place, each closed within the hour."""
    rows = [(0.0, 0.0, day, day + 1 / 24, "a") for day in days]
    if still_open:
        rows[-1] = (*rows[-1][:3], None, "a")
    return chains([Frame(cases_of(rows))], Rule())


def test_three_fresh_returns_are_50_and_lose_half_in_half_a_year() -> None:
    found = at_days([0, 1, 2, 3])
    today = START + pd.Timedelta(days=3)
    fresh = 1 + 0.5 ** (1 / 180) + 0.5 ** (2 / 180)
    place = score(found, zone=UTC, until=today).iloc[0]
    assert place["fresh_returns"] == pytest.approx(fresh)
    assert place["score"] == pytest.approx(100 * fresh / (fresh + 3))
    assert place["score"] == pytest.approx(50, abs=0.2)
    later = score(found, zone=UTC, until=today + pd.Timedelta(days=180)).iloc[0]
    assert later["fresh_returns"] == pytest.approx(fresh / 2)


def test_what_came_after_the_day_asked_for_does_not_count() -> None:
    found = at_days([0, 10, 20, 30])
    assert score(found, zone=UTC, until=START + pd.Timedelta(days=25))["days"].item() == 2


def test_what_is_logged_many_times_a_day_came_back_once() -> None:
    hourly = at_days([day / 24 for day in range(0, 20, 2)])
    assert score(hourly, zone=UTC)["cases"].item() == 10
    assert score(hourly, zone=UTC)["days"].item() == 1
    # 16:00 UTC is midnight in Shanghai: a day more.
    assert score(hourly, zone=ZoneInfo("Asia/Shanghai"))["days"].item() == 2


def test_sooner_and_more_often_scores_higher() -> None:
    rows = [(0.0, 0.0, day, day + 0.5, "a") for day in range(0, 360, 14)]
    rows += [(500.0, 0.0, day, day + 0.5, "a") for day in range(0, 360, 28)]
    rows += [(900.0, 0.0, day, day + 0.5, "a") for day in range(0, 180, 14)]
    places = score(chains([Frame(cases_of(rows))], Rule()), zone=UTC)
    assert places["x"].tolist() == [0, 500, 900]
    assert places["score"].is_monotonic_decreasing
    assert places["score"].min() > 0
    assert places["score"].max() < 100


def test_no_chains_score_nothing() -> None:
    found = chains([], Rule())
    places = score(found, zone=UTC)
    assert places.empty
    assert rounds(found, places, zone=UTC).empty


def test_rounds_come_before_three_of_four_returns() -> None:
    # Closed an hour after each opening, so it came back an hour before so many days were over.
    gaps = [10, 20, 30, 15, 12]
    days = np.cumsum([0.0, *gaps]) + 1 / 24
    found = at_days(list(days))
    places = score(found, zone=UTC)
    suggested = rounds(found, places, zone=UTC).iloc[0]
    assert suggested["every_days"] == 11  # the quartile is 12 days less an hour
    last = START + pd.Timedelta(days=87, hours=2)
    assert suggested["next_round_at"] == last + pd.Timedelta(days=11)
    assert pd.isna(rounds(found, places.assign(still_open=1), zone=UTC)["next_round_at"].item())


def test_rounds_name_the_days_and_hours_that_hold_half() -> None:
    # 1 January 2026 is a Thursday. Four of seven at night from Thursday to Friday.
    hours = [23, 7 * 24 + 23, 14 * 24 + 0.5, 21 * 24 + 23, 26 * 24 + 12, 30 * 24 + 15, 36 * 24 + 7]
    found = at_days([hour / 24 for hour in hours])
    suggested = rounds(found, score(found, zone=UTC), zone=UTC).iloc[0]
    assert suggested["weekdays"] == "thu"
    assert (suggested["from_hour"], suggested["to_hour"]) == (23, 1)
    few = at_days([0, 5, 10])
    suggested = rounds(few, score(few, zone=UTC), zone=UTC).iloc[0]
    assert suggested[["weekdays", "from_hour", "to_hour"]].isna().all()
    assert suggested["every_days"] == 4


def test_the_demos_twelve_chronic_places_are_the_top_of_the_list() -> None:
    scheme = read_scheme(DATA / "schemes" / "demo.toml")
    columns = HistoryColumns(
        id="id",
        lon="lon",
        lat="lat",
        crs="crs",
        opened="opened_at",
        closed="closed_at",
        category="category",
    )
    parts = parts_of_reports(DATA / "reports" / "demo.parquet", columns, scheme=scheme)
    found = chains(parts, Rule())
    top = score(found, zone=scheme.zone)[:12]
    planted = tomllib.loads((DATA / "reports" / "demo.toml").read_text(encoding="utf-8"))["chronic"]
    hits = set()
    for place in planted:
        x, y = from_wgs84(place["lon"], place["lat"], crs=scheme.storage_crs)
        near = (np.hypot(top["x"] - x, top["y"] - y) < 15) & (top["group"] == place["category"])
        hits.update(top.index[near])
        assert near.sum() == 1
    assert hits == set(range(12))
    # 31 to 33 were planted at each, 15 to 29 days after a closing; a few others lie within reach.
    assert top["cases"].between(30, 50).all()
    assert top["median_days"].between(15, 29).all()
    assert (rounds(found, top, zone=scheme.zone)["every_days"].between(7, 20)).all()
