import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from lifelines import KaplanMeierFitter
from lifelines.datasets import load_waltons
from shapely import box

from gridsvc.errors import HotspotsRefused
from gridsvc.hotspots.cases import Frame
from gridsvc.hotspots.recurrence import Rule, chains
from gridsvc.hotspots.returns import Rates, kaplan_meier, return_rates
from tests.recurring import START, cases_of


def one(days: list[float], returned: list[bool], at_days: float, confidence: float = 0.95) -> Rates:
    unit = np.zeros(len(days), int)
    given = (np.array(days, float), np.array(returned, bool), unit, 1)
    return kaplan_meier(*given, at_days=at_days, confidence=confidence)


@pytest.mark.parametrize("at_days", [6, 30, 33.5, 56, 61, 68, 75])
def test_rates_are_those_of_lifelines_example(at_days: float) -> None:
    data = load_waltons()
    groups = {"miR-137": 0, "control": 1}
    unit = data["group"].map(groups).to_numpy()
    given = (data["T"].to_numpy(float), data["E"].to_numpy(bool), unit, 2)
    ours = kaplan_meier(*given, at_days=at_days)
    for group, number in groups.items():
        chosen = data[data["group"] == group]
        theirs = KaplanMeierFitter().fit(chosen["T"], chosen["E"])
        assert ours.rate[number] == pytest.approx(1 - theirs.predict(at_days), abs=1e-12)
        assert ours.closed[number] == len(chosen)


def test_with_many_closings_the_interval_is_that_of_greenwood() -> None:
    rng = np.random.default_rng(3)
    came, followed = rng.exponential(40, 20_000), rng.uniform(0, 60, 20_000)
    days, returned = np.minimum(came, followed), came <= followed
    ours = one(list(days), list(returned), 30)
    theirs = KaplanMeierFitter().fit(days, returned, timeline=[30]).confidence_interval_
    assert 1 - ours.high[0] == pytest.approx(theirs.iloc[0, 0], abs=2e-4)
    assert 1 - ours.low[0] == pytest.approx(theirs.iloc[0, 1], abs=2e-4)


@pytest.mark.parametrize(("n", "k"), [(1, 0), (1, 1), (7, 0), (7, 2), (7, 7), (50, 1)])
def test_followed_to_the_end_the_interval_is_the_exact_one(n: int, k: int) -> None:
    ours = one([3.0] * k + [30.0] * (n - k), [True] * k + [False] * (n - k), 30)
    exact = scipy.stats.binomtest(k, n).proportion_ci(method="exact")
    assert ours.rate[0] == pytest.approx(k / n)
    assert ours.low[0] == pytest.approx(exact.low, abs=1e-9)
    assert ours.high[0] == pytest.approx(exact.high, abs=1e-9)


def test_followed_nowhere_to_the_end_the_rate_is_not_known() -> None:
    ours = one([3, 20, 29.9], [True, False, False], 30)
    assert np.isnan(ours.rate[0])
    assert ours.high[0] == 1
    assert 0 < ours.low[0] < 1 / 3
    assert one([3, 4], [True, True], 30).rate[0] == 1  # and none is left to be followed


def test_a_return_in_the_last_instant_counts_and_one_after_it_does_not() -> None:
    assert one([30, 30], [True, False], 30).rate[0] == 0.5
    assert one([30.001, 31], [True, False], 30).rate[0] == 0


def test_units_without_closings_know_nothing() -> None:
    rates = kaplan_meier(np.array([]), np.array([], bool), np.array([], int), 2, at_days=30)
    assert np.isnan(rates.rate).all()
    assert rates.low.tolist() == [0, 0]
    assert rates.high.tolist() == [1, 1]


@pytest.mark.parametrize("n", [5, 10, 30])
@pytest.mark.parametrize("share", [0.05, 0.4, 0.9])
def test_intervals_cover_the_truth_with_few_closings(n: int, share: float) -> None:
    """5,000 samples; three of their standard errors below 95 % would be a finding."""
    rng, samples = np.random.default_rng(n), 5_000
    came = rng.exponential(-30 / np.log1p(-share), (samples, n))  # `share` of them within 30 days
    followed = rng.uniform(0, 90, (samples, n))  # a third is cut short
    unit = np.repeat(np.arange(samples), n)
    days, returned = np.minimum(came, followed).ravel(), (came <= followed).ravel()
    rates = kaplan_meier(days, returned, unit, samples, at_days=30)
    covered = np.mean((rates.low <= share) & (share <= rates.high))
    assert covered >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / samples)


def test_greenwoods_interval_would_not_cover() -> None:
    """Why there is another: of 10 closings, one in twenty of which returns."""
    rng, misses = np.random.default_rng(1), 0
    for _ in range(200):
        came = rng.exponential(-30 / np.log1p(-0.05), 10)
        fitted = KaplanMeierFitter().fit(np.minimum(came, 30), came <= 30, timeline=[30])
        low, high = 1 - fitted.confidence_interval_.iloc[0].to_numpy()[::-1]
        misses += not low <= 0.05 <= high
    assert misses / 200 > 0.4  # where none returned it is a single point, 0


def test_neither_counting_all_nor_dropping_the_unfinished_is_right() -> None:
    rng, n, truth = np.random.default_rng(30), 60_000, 0.4
    came = rng.exponential(-30 / np.log1p(-truth), n)
    ago = rng.uniform(0, 60, n)  # half closed in the last 30 days
    returned = came <= np.minimum(ago, 30)
    counted_all = returned.mean()
    unfinished = (ago < 30) & ~returned
    dropped = returned[~unfinished].mean()
    ours = one(list(np.minimum(came, ago)), list(came <= ago), 30)
    assert counted_all < truth - 0.08
    assert dropped > truth + 0.04
    assert ours.rate[0] == pytest.approx(truth, abs=0.01)
    assert ours.low[0] < truth < ours.high[0]


def test_rates_of_areas_and_parties_from_chains() -> None:
    rows = [
        *((10, 10, 0, 1, "a"), (10, 10, 11, 12, "a")),  # came back after 10 days, then no more
        *((60, 10, 0, 2, "a"), (60, 10, 1, 3, "a")),  # a duplicate's closing is no clean-up
        (260, 10, 0, 1, "a"),
        (260, 10, 35, 36, "a"),  # after 34 days, beyond the window
        (900, 10, 59, None, "a"),  # outside the areas, and open
    ]
    frame = cases_of(rows)
    frame["responsible"] = pd.Categorical(["P1", "P1", "P2", "P2", "P1", "P1", None])
    areas = gpd.GeoDataFrame(
        {"code": ["A", "B", "C"], "name": ["", "", ""]},
        geometry=[box(0, 0, 100, 100), box(200, 0, 300, 100), box(300, 0, 400, 100)],
        crs="EPSG:26986",
    )
    found = chains([Frame(frame)], Rule(within_m=20))
    assert found.until == START + pd.Timedelta(days=59)
    by_area = return_rates(found, areas).set_index("code")
    assert by_area["closed"].to_dict() == {"A": 3, "B": 2, "C": 0}
    assert by_area["returned"].to_dict() == {"A": 1, "B": 0, "C": 0}
    assert by_area["rate"]["A"] == pytest.approx(1 / 3)
    assert by_area["rate"]["B"] == 0  # the second was followed for 23 days only
    assert by_area["rank"].tolist()[:2] == [1, 2]
    assert by_area[["rank", "rank_low", "rank_high"]].loc["C"].isna().all()
    assert by_area[["rank_low", "rank_high"]].loc["A"].tolist() == [1, 2]  # so few tell nothing
    by_party = return_rates(found, "responsible").set_index("code")
    assert by_party["closed"].to_dict() == {"P1": 4, "P2": 1}
    assert by_party["rate"].to_dict() == {"P1": 0.25, "P2": 0}
    by_party = return_rates(found, "responsible", until=START + pd.Timedelta(days=10))
    assert by_party["returned"].tolist() == [0, 0]
    with pytest.raises(HotspotsRefused):
        return_rates(found, areas, confidence=95)


def test_no_chains_have_no_rates() -> None:
    found = chains([], Rule())
    assert return_rates(found, "responsible").empty


def test_ranks_part_where_the_numbers_can_tell() -> None:
    rng = np.random.default_rng(8)
    rows, parties = [], []
    for number, share in enumerate((0.1, 0.5, 0.55, 0.9)):
        for case in range(400):
            x = 100.0 * case, 10_000.0 * number
            rows.append((*x, 0, 1, "a"))
            parties.append(f"P{number}")
            if rng.random() < share:
                rows.append((*x, 5, None, "a"))
                parties.append(f"P{number}")
    frame = cases_of([*rows, (-999, -999, 60, None, "a")])
    frame["responsible"] = pd.Categorical([*parties, None])
    ranks = return_rates(chains([Frame(frame)], Rule()), "responsible")
    assert ranks["rank"].tolist() == [4, 3, 2, 1]
    assert ranks["rank_low"].tolist() == [4, 2, 2, 1]
    assert ranks["rank_high"].tolist() == [4, 3, 3, 1]
