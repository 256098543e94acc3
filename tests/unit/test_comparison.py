import numpy as np
import pytest
from scipy import optimize, special

from gridsvc.errors import HotspotsRefused
from gridsvc.hotspots.comparison import change, placebos


def test_by_hand() -> None:
    before = np.array([100, 100, 200, 200])
    after = np.array([70, 50, 250, 230])
    changed = np.array([True, True, False, False])

    told = change(before, after, changed)

    # 120 / 200 against 480 / 400.
    assert told.ratio == pytest.approx(0.6 / 1.2)
    assert told.expected == pytest.approx(200 * 1.2)
    assert told.observed == 120
    # Without either area the campaign's ratio is 0.5 or 0.7, elsewhere's 1.15 or 1.25. Where the
    # campaign ran that is more than Poisson's 1/200 + 1/120; elsewhere Poisson's is more.
    jackknife = (np.log(0.5 / 0.6) ** 2 + np.log(0.7 / 0.6) ** 2) / 2
    assert jackknife > 1 / 200 + 1 / 120
    variance = np.array([jackknife, 1 / 400 + 1 / 480])
    freedom = variance.sum() ** 2 / (variance**2).sum()
    half = special.stdtrit(freedom, 0.975) * np.sqrt(variance.sum())
    assert told.low == pytest.approx(0.5 * np.exp(-half))
    assert told.high == pytest.approx(0.5 * np.exp(half))


def test_the_ratio_is_that_of_a_poisson_regression() -> None:
    rng = np.random.default_rng(3)
    changed = np.arange(12) < 4
    before = rng.poisson(rng.gamma(3, 10, 12)) + 1
    after = rng.poisson(before * np.where(changed, 0.6, 1.3)) + 1
    counts = np.column_stack([before, after])

    def loss(given: np.ndarray) -> float:
        levels, season, effect = given[:12, None], given[12], given[13]
        linear = levels + np.array([0, season]) + np.outer(changed, [0, effect])
        return float((np.exp(linear) - counts * linear).sum())

    start = np.concatenate([np.log(before), [0.0, 0.0]])
    fitted = optimize.minimize(loss, start, method="BFGS", options={"gtol": 1e-7})

    assert change(before, after, changed).ratio == pytest.approx(np.exp(fitted.x[13]), rel=1e-4)


@pytest.mark.parametrize("spread", [None, 5.0])
def test_the_interval_holds_the_truth_as_often_as_it_says(spread: float | None) -> None:
    """Also where areas move each in its own way, on top of Poisson's chance."""
    rng = np.random.default_rng(11)
    changed = np.arange(30) < 6
    trials, held = 400, 0
    for _ in range(trials):
        level = rng.gamma(2, 40, 30)
        own = 1.0 if spread is None else rng.gamma(spread, 1 / spread, 30)
        before = rng.poisson(level)
        after = rng.poisson(level * own * 1.2 * np.where(changed, 0.7, 1))
        told = change(before, after, changed)
        held += told.low <= 0.7 <= told.high
    # 95 %, two standard errors of 400 trials less. Where each area moves by half and more in its
    # own way and six were changed, 2,000 trials gave 93 %.
    assert held / trials >= (0.93 if spread is None else 0.91)


def test_placebos_know_nothing_of_the_changed_areas() -> None:
    rng = np.random.default_rng(5)
    changed = np.arange(20) < 4
    before = np.full(20, 300)
    after = rng.poisson(np.where(changed, 30, 300))

    drawn = placebos(before, after, changed, draws=200, seed=2)

    assert len(drawn) == 200
    assert 0.8 < np.nanmin(drawn) < 1 < np.nanmax(drawn) < 1.25
    assert np.array_equal(drawn, placebos(before, after, changed, draws=200, seed=2))
    assert change(before, after, changed).ratio < np.nanmin(drawn)


def test_a_placebo_is_the_change_of_its_own_groups() -> None:
    before, after = np.array([9, 10, 20]), np.array([9, 15, 10])
    drawn = placebos(before, after, np.array([True, False, False]), draws=50, seed=1)
    # Of the two areas left either is taken and the other compared with.
    assert set(drawn.round(9)) == {3.0, round(1 / 3, 9)}


def test_a_draw_without_cases_is_no_number() -> None:
    before, after = np.array([9, 0, 20]), np.array([9, 0, 10])
    drawn = placebos(before, after, np.array([True, False, False]), draws=5, seed=1)
    assert np.isnan(drawn).all()


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ([5, 5, 5], [5, 5, 5], [True, False, False]),
        ([5, 5, 5, 5], [0, 0, 5, 5], [True, True, False, False]),
        ([5, 5, 0, 0], [5, 5, 5, 5], [True, True, False, False]),
        ([5, 0, 5, 5], [5, 0, 5, 5], [True, True, False, False]),
    ],
)
def test_what_cannot_be_compared_is_refused(
    before: list[int], after: list[int], changed: list[bool]
) -> None:
    with pytest.raises(HotspotsRefused, match="changed"):
        change(np.array(before), np.array(after), np.array(changed))


def test_too_few_areas_to_draw_from_are_refused() -> None:
    with pytest.raises(HotspotsRefused, match="2 of 2 areas"):
        placebos(np.ones(4), np.ones(4), np.array([True, True, False, False]))
