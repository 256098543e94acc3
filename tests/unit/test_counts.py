"""Cases are counted once, where they belong, and rates are as sure as their numbers are large."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gridsvc.errors import HotspotsRefused
from gridsvc.hotspots.cases import Frame, Window
from gridsvc.hotspots.counts import count_areas, count_cells, monthly, owners, rates
from gridsvc.hotspots.tessellation import Tessellation
from tests.case_frames import areas_frame, cases
from tests.factories import EAST_M, NORTH_M, STORAGE
from tests.places import AREAS, PLACES

BERLIN = ZoneInfo("Europe/Berlin")
SHANGHAI = ZoneInfo("Asia/Shanghai")


CITY = areas_frame(AREAS)
# Two squares side by side and one apart.
ROW = areas_frame(
    {
        "a": shapely.box(0, 0, 100, 100),
        "b": shapely.box(100, 0, 200, 100),
        "z": shapely.box(900, 900, 1000, 1000),
    }
)


@pytest.mark.parametrize("name", PLACES)
def test_the_owner_of_a_telling_point_is_its_first_area(name: str) -> None:
    place = PLACES[name]
    row = owners(np.array([EAST_M + place.east_m]), np.array([NORTH_M + place.north_m]), CITY)[0]
    assert (CITY["code"][row] if row >= 0 else None) == (place.codes[0] if place.codes else None)


coordinates = st.one_of(st.integers(-2, 42).map(lambda step: step * 25.0), st.floats(-50, 1050))


@given(st.lists(st.tuples(coordinates, coordinates), max_size=30))
def test_owners_are_the_first_that_shapely_finds(points: list[tuple[float, float]]) -> None:
    x = np.array([EAST_M + east for east, _ in points])
    y = np.array([NORTH_M + north for _, north in points])
    expected = [
        next(
            (row for row, area in enumerate(CITY.geometry) if area.covers(shapely.Point(*point))),
            -1,
        )
        for point in zip(x, y, strict=True)
    ]
    assert owners(x, y, CITY).tolist() == expected


def test_a_point_without_a_number_and_an_area_without_ground_have_no_part() -> None:
    areas = areas_frame({"a": shapely.Polygon(), "b": shapely.box(0, 0, 1, 1)})
    assert owners(np.array([np.nan, 0.5]), np.array([0.5, 0.5]), areas).tolist() == [-1, 1]
    assert owners(np.array([0.5]), np.array([0.5]), areas.iloc[:0]).tolist() == [-1]
    assert owners(np.empty(0), np.empty(0), areas).tolist() == []


def test_threads_may_ask_the_same_areas() -> None:
    # So large that one thread is still preparing when the next one asks.
    angle = np.linspace(0, 2 * np.pi, 20_000, endpoint=False)
    star = shapely.Polygon(
        np.stack([np.cos(angle), np.sin(angle)], -1) * (9 + np.sin(37 * angle))[:, None]
    )
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-12, 12, (2, 20_000))
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            areas = areas_frame({"a": shapely.from_wkb(star.wkb)})
            told = list(pool.map(owners, *zip(*[(x, y, areas)] * 4, strict=True)))
            assert all((rows == told[0]).all() for rows in told)


def test_every_area_has_a_row_and_a_shared_edge_counts_once() -> None:
    frame = cases([50, 100, 100, 500], [50, 0, 50, 500])
    counts = count_areas([Frame(frame)], ROW)
    assert counts.to_dict("list") == {"code": ["a", "b", "z"], "cases": [3, 0, 0]}


def test_no_cases_are_zeros() -> None:
    empty = cases([], [])
    for parts in ([], [Frame(empty)], [Frame(empty)] * 2):
        assert count_areas(parts, ROW)["cases"].tolist() == [0, 0, 0]
        split = count_areas(parts, ROW, by_month=BERLIN, by_category=True, hours=BERLIN)
        assert split.empty
        assert list(split) == ["code", "month", "weekday", "hour", "category", "cases"]
        assert monthly(split, ROW).shape == (0, 3)


def test_a_month_is_that_of_the_city_on_both_sides_of_a_change_of_clocks() -> None:
    # Midnight of Berlin is 23:00 UTC in winter and 22:00 in summer; clocks change in between.
    frame = cases(
        [50] * 4,
        [50] * 4,
        [
            "2026-02-28T22:59:59.999999Z",
            "2026-02-28T23:00Z",
            "2026-03-31T21:59:59.999999Z",
            "2026-03-31T22:00Z",
        ],
    )
    counts = count_areas([Frame(frame)], ROW, by_month=BERLIN)
    assert counts["month"].tolist() == ["2026-02", "2026-03", "2026-04"]
    assert counts["cases"].tolist() == [1, 2, 1]


def test_an_hour_that_comes_twice_counts_both_and_one_that_is_left_out_none() -> None:
    # 25 October 2026, a Sunday: 02:30 comes at 00:30 UTC and again at 01:30 UTC.
    frame = cases(
        [50] * 3, [50] * 3, ["2026-10-25T00:30Z", "2026-10-25T01:30Z", "1969-12-31T23:30Z"]
    )
    counts = count_areas([Frame(frame)], ROW, hours=BERLIN)
    # 1970-01-01 00:30 in Berlin, a Thursday.
    assert counts[["weekday", "hour", "cases"]].to_numpy().tolist() == [[3, 0, 1], [6, 2, 2]]


times = st.datetimes(datetime(1960, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  hypothesis adds the zone
some_cases = st.lists(
    st.tuples(
        st.integers(-1, 8).map(lambda step: step * 25.0),
        st.sampled_from([0.0, 50.0, 100.0, 950.0]),
        times,
        st.sampled_from(["0101", "0102", "0201", None]),
    ),
    min_size=1,
    max_size=40,
)


@given(some_cases, st.integers(1, 3))
@settings(max_examples=25)  # each counts six times
def test_splits_add_up_and_agree_with_counting_by_hand(
    rows: list[tuple[float, float, datetime, str | None]], parts: int
) -> None:
    frame = cases(*map(list, zip(*rows, strict=True)))
    # Each part knows only the categories of its own.
    pieces = [
        Frame(piece.assign(category=piece["category"].cat.remove_unused_categories()))
        for piece in (frame.iloc[number::parts] for number in range(parts))
    ]
    plain = count_areas(pieces, ROW)
    for kwargs in (
        {"by_month": BERLIN},
        {"by_category": True},
        {"hours": BERLIN},
        {"by_month": BERLIN, "by_category": True, "hours": SHANGHAI},
    ):
        split = count_areas(pieces, ROW, **kwargs)
        assert not split.duplicated(list(split.columns.drop("cases"))).any()
        assert (split["cases"] > 0).all()
        summed = split.groupby("code")["cases"].sum().reindex(ROW["code"], fill_value=0)
        assert summed.tolist() == plain["cases"].tolist()
    whole = count_areas(pieces, ROW, by_month=BERLIN, by_category=True)
    by_hand: dict[tuple[str, str, str | None], int] = {}
    for x, y, opened_at, category in rows:
        covering = [
            code
            for code, area in zip(ROW["code"], ROW.geometry, strict=True)
            if area.covers(shapely.Point(x, y))
        ]
        if covering:
            key = (covering[0], f"{opened_at.astimezone(BERLIN):%Y-%m}", category)
            by_hand[key] = by_hand.get(key, 0) + 1
    told = {
        (code, month, None if pd.isna(category) else category): count
        for code, month, category, count in whole.itertuples(index=False)
    }
    assert told == by_hand
    table = monthly(whole, ROW)
    assert table.sum().tolist() == plain["cases"].tolist()


def test_a_month_without_cases_is_a_row_of_zeros() -> None:
    frame = cases([50, 150], [50, 50], ["2025-12-15T00:00Z", "2026-02-15T00:00Z"])
    table = monthly(count_areas([Frame(frame)], ROW, by_month=SHANGHAI), ROW)
    assert table.index.tolist() == ["2025-12", "2026-01", "2026-02"]
    assert table.columns.tolist() == ["a", "b", "z"]
    assert table.to_numpy().tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]


def test_a_window_is_asked_before_counting() -> None:
    frame = cases([50] * 3, [50] * 3, category=["0101", "0201", None])
    counts = count_areas([Frame(frame)], ROW, window=Window(category="01"))
    assert counts["cases"].tolist() == [1, 0, 0]


@pytest.mark.parametrize("shape", ["square", "hexagon"])
def test_cells_count_what_lies_in_them(shape: str) -> None:
    tessellation = Tessellation(shape, 50)
    cells = tessellation.areas(shapely.box(0, 0, 1000, 1000), STORAGE)
    rng = np.random.default_rng(2)
    frame = cases(rng.uniform(-200, 1200, 5000), rng.uniform(-200, 1200, 5000))
    counts = count_cells([Frame(frame.iloc[:10]), Frame(frame.iloc[10:])], tessellation, cells)
    assert counts["code"].tolist() == cells["code"].tolist()
    expected = [shapely.contains_xy(cell, frame["x"], frame["y"]).sum() for cell in cells.geometry]
    assert counts["cases"].tolist() == expected
    split = count_cells([Frame(frame)], tessellation, cells, by_month=BERLIN)
    assert split["cases"].sum() == counts["cases"].sum()


def test_rates_are_cases_for_the_size_with_an_exact_interval() -> None:
    counts = pd.DataFrame({"code": ["a", "b", "z"], "cases": [3, 0, 200]})
    told = rates(counts, ROW)
    assert told["base"].tolist() == [0.01, 0.01, 0.01]
    assert told["rate"].tolist() == pytest.approx([300, 0, 20_000])
    # By the definition: at `low` such a count or more has 2.5 %, at `high` such or less.
    low, high = told["low"] * told["base"], told["high"] * told["base"]
    assert low[1] == 0
    assert stats.poisson.sf(np.array([2, 199]), low[[0, 2]]) == pytest.approx([0.025] * 2)
    assert stats.poisson.cdf(counts["cases"], high) == pytest.approx([0.025] * 3)
    # As printed in the tables of Garwood 1936.
    assert low[0] == pytest.approx(0.6187, abs=5e-5)
    assert high[0] == pytest.approx(8.7673, abs=5e-5)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    truth = np.repeat([0.3, 1.0, 3.0, 10.0], 50_000)
    drawn = np.random.default_rng(3).poisson(truth)
    told = rates(
        pd.DataFrame({"code": "a", "cases": drawn}), ROW, per="resident", residents={"a": 1}
    )
    held = ((told["low"] <= truth) & (truth <= told["high"])).groupby(truth).mean()
    assert (held >= 0.949).all()


def test_a_cell_at_the_border_is_rated_by_its_part_inside() -> None:
    tessellation = Tessellation("square", 100)
    cells = tessellation.areas(shapely.box(0, 0, 150, 100), STORAGE)
    counts = count_cells([Frame(cases([50, 120], [50, 50]))], tessellation, cells)
    assert rates(counts, cells)["rate"].tolist() == pytest.approx([100, 200])


def test_shops_are_counted_where_their_centres_are_and_residents_as_told() -> None:
    counts = pd.DataFrame({"code": ["a", "b", "z"], "cases": [4, 4, 4]})
    shops = areas_frame(
        {
            "1": shapely.box(10, 10, 20, 20),
            "2": shapely.box(60, 10, 130, 20),  # mostly in a
            "3": shapely.box(150, 10, 160, 20),
        }
    )
    by_shop = rates(counts, ROW, per="shop", shops=shops)
    assert by_shop["base"].tolist()[:2] == [2, 1]
    assert by_shop["rate"].tolist()[:2] == [2, 4]
    # An area without a shop has no rate, and says so.
    assert by_shop.loc[2, ["base", "rate", "low", "high"]].isna().all()
    by_resident = rates(counts, ROW, per="resident", residents={"a": 1000, "b": 0})
    assert by_resident["rate"].tolist()[0] == 0.004
    assert by_resident["rate"].isna().tolist() == [False, True, True]


def test_a_split_count_is_rated_row_by_row() -> None:
    frame = cases([50, 50], [50, 50], ["2026-01-15T00:00Z", "2026-02-15T00:00Z"])
    split = count_areas([Frame(frame)], ROW, by_month=SHANGHAI)
    assert rates(split, ROW)["rate"].tolist() == pytest.approx([100, 100])


@pytest.mark.parametrize(("per", "remedy"), [("shop", "shops = "), ("resident", "residents = ")])
def test_rates_without_shops_or_residents_are_refused(per: str, remedy: str) -> None:
    with pytest.raises(HotspotsRefused, match=remedy):
        rates(pd.DataFrame({"code": ["a"], "cases": [1]}), ROW, per=per)
