"""The exact law of a sum of neighbours, held against counting every way to draw them."""

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gridsvc.hotspots import significance
from gridsvc.hotspots.significance import MOST_EXACT, false_discovery, scaled, tails, two_sided


@given(st.lists(st.integers(0, 6), min_size=2, max_size=9), st.data())
def test_every_sum_has_the_chance_that_counting_all_draws_gives(
    values: list[int], data: st.DataObject
) -> None:
    drawn = data.draw(st.integers(1, len(values)))
    steps = np.array(values) - min(values)
    sums = np.array([sum(chosen) for chosen in combinations(steps.tolist(), drawn)])
    asked = np.unique(sums)
    lower, upper = tails(steps, np.full(len(asked), drawn), asked)
    np.testing.assert_allclose(lower, [(sums <= s).mean() for s in asked], rtol=1e-13)
    np.testing.assert_allclose(upper, [(sums >= s).mean() for s in asked], rtol=1e-13)


def test_the_rarest_sums_have_right_digits_too() -> None:
    # Counted in Python's whole numbers, which never round: chances down to 1e-30.
    rng = np.random.default_rng(3)
    steps = rng.negative_binomial(0.5, 0.05, 120)
    steps -= steps.min()
    drawn = 18
    ways: list[dict[int, int]] = [{0: 1}] + [{} for _ in range(drawn)]
    for value in steps.tolist():
        for number in range(drawn, 0, -1):
            for total, count in ways[number - 1].items():
                ways[number][total + value] = ways[number].get(total + value, 0) + count
    sums = np.array(sorted(ways[drawn]))
    counts = [ways[drawn][total] for total in sums.tolist()]
    above = [sum(counts[i:]) / comb(len(steps), drawn) for i in range(len(counts))]
    below = [sum(counts[: i + 1]) / comb(len(steps), drawn) for i in range(len(counts))]
    lower, upper = tails(steps, np.full(len(sums), drawn), sums)
    assert min(above) < 1e-20
    np.testing.assert_allclose(upper, above, rtol=1e-12)
    np.testing.assert_allclose(lower, below, rtol=1e-12)


def test_many_shuffles_come_near() -> None:
    rng = np.random.default_rng(5)
    steps = rng.negative_binomial(0.5, 0.2, 400)
    drawn, times = 9, 200_000
    # The first nine of a shuffle, without shuffling the rest: the smallest of random keys.
    sums = np.concatenate(
        [
            steps[np.argpartition(rng.random((10_000, 400)), drawn, axis=1)[:, :drawn]].sum(axis=1)
            for _ in range(times // 10_000)
        ]
    )
    asked = np.quantile(sums, [0.001, 0.2, 0.5, 0.9, 0.99, 0.999]).astype(int)
    lower, upper = tails(steps, np.full(len(asked), drawn), asked)
    for told, seen in (
        (lower, [(sums <= s).mean() for s in asked]),
        (upper, [(sums >= s).mean() for s in asked]),
    ):
        assert np.all(np.abs(told - seen) < 4.5 * np.sqrt(told * (1 - told) / times) + 1e-12)


@pytest.mark.parametrize("drawn", [1, 9, 60, 171, MOST_EXACT])
def test_chances_add_up_however_many_are_drawn(drawn: int) -> None:
    # With a plain 1 / n for each value drawn, 171 of them were too small for a float.
    steps = np.random.default_rng(7).poisson(3, 5_000)
    mean, spread = drawn * steps.mean(), steps.std() * np.sqrt(drawn)
    low, high = max(mean - 6 * spread, 0), min(mean + 6 * spread, drawn * steps.max())
    asked = np.arange(int(low), int(high))
    lower, upper = tails(steps, np.full(len(asked), drawn), asked)
    np.testing.assert_allclose(lower[:-1] + upper[1:], 1, rtol=1e-12)
    assert np.all(np.diff(lower) >= 0)


def test_sums_of_very_many_values_follow_a_law_with_their_skewness(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The last number that is still dealt out exactly, by both ways: within a fifth at five
    # standard deviations, where the normal law is out by a factor of ten.
    steps = np.random.default_rng(9).negative_binomial(0.5, 0.5 / 20.5, 5_000)
    drawn = np.full(7, MOST_EXACT)
    z = np.array([-4.0, -3.0, -2.0, 2.0, 3.0, 4.0, 5.0])
    spread = steps.std() * np.sqrt(MOST_EXACT * (5_000 - MOST_EXACT) / 4_999)
    observed = np.rint(MOST_EXACT * steps.mean() + z * spread).astype(np.int64)
    exact = two_sided(*tails(steps, drawn, observed))
    monkeypatch.setattr(significance, "MOST_EXACT", MOST_EXACT - 1)
    told = two_sided(*tails(steps, drawn, observed))
    assert not np.array_equal(told, exact)
    np.testing.assert_allclose(told, exact, rtol=0.2)
    assert exact[-1] > 10 * 2 * stats.norm.sf(5)


def test_counts_are_not_rounded_for_one_large_area_among_them() -> None:
    counts = np.random.default_rng(1).negative_binomial(0.5, 0.5 / 20.5, 5_000).astype(float)
    counts[0] = 17_000
    scale = scaled(counts, most_drawn=18)
    assert scale.step == 1
    np.testing.assert_array_equal(scale.steps, counts - counts.min())


def test_rates_are_rounded_far_below_their_spread() -> None:
    rates = np.random.default_rng(1).gamma(0.7, 10, 5_000)
    for most_drawn, fineness in ((9, 40), (34, 20), (68, 20), (200, 15)):
        scale = scaled(rates, most_drawn=most_drawn)
        assert rates.std() > fineness * scale.step
        back = scale.steps * scale.step + rates.min()
        assert np.abs(back - rates).max() <= scale.step / 2 * (1 + 1e-9)


def test_the_same_number_everywhere_is_nothing_unusual() -> None:
    scale = scaled(np.full(30, 2.5), most_drawn=9)
    lower, upper = tails(scale.steps, np.array([9]), np.array([0]))
    np.testing.assert_allclose([lower[0], upper[0]], 1.0, rtol=1e-12)


def test_benjamini_and_hochberg_leave_out_what_was_not_tested() -> None:
    # Worked by hand: of four p-values the i-th smallest times 4 / i, then the least from above.
    q = false_discovery(np.array([0.01, np.nan, 0.02, 0.9, 0.03]))
    np.testing.assert_allclose(q, [0.04, np.nan, 0.04, 0.9, 0.04])
    assert np.isnan(false_discovery(np.array([np.nan]))).all()
