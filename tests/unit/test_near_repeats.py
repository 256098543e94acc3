import geopandas as gpd
import libpysal
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from pointpats import Knox

from gridsvc.errors import HotspotsRefused
from gridsvc.hotspots.cases import Frame, Window
from gridsvc.hotspots.near_repeats import knox
from tests.recurring import cases_of


def frame_of(x: np.ndarray, y: np.ndarray, days: np.ndarray) -> pd.DataFrame:
    rows = zip(x.tolist(), y.tolist(), days.tolist(), strict=True)
    return cases_of([(*row, None, "a") for row in rows])


def noise(rng: np.random.Generator, n: int) -> pd.DataFrame:
    return frame_of(*rng.uniform(0, 1000, (2, n)), rng.uniform(0, 365, n))


def test_it_is_pointpats_knox_on_its_own_example() -> None:
    burkitt = gpd.read_file(libpysal.examples.get_path("burkitt.shp"))
    frame = frame_of(*(burkitt[name].to_numpy(float) for name in ("X", "Y", "T")))
    table = knox(
        [Frame(frame)], distance_bands_m=[20], time_bands_days=[5], permutations=999, seed=1
    )
    theirs = Knox(burkitt[["X", "Y"]], burkitt[["T"]], delta=20, tau=5, permutations=999)
    assert table["observed"].item() == theirs.statistic_ == 13
    assert table["expected"].item() == pytest.approx(theirs.expected[0, 0], rel=1e-9)
    assert table["p"].item() == pytest.approx(theirs.p_sim, abs=0.05)


@pytest.mark.parametrize("seed", [1, 2])
def test_bands_add_up_to_pointpats_counts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Few places and whole days: many pairs lie on the ends of bands.
    x, y = rng.integers(0, 12, (2, 150)) * 10.0
    days = rng.integers(0, 60, 150).astype(float)
    table = knox(
        [Frame(frame_of(x[:50], y[:50], days[:50])), Frame(frame_of(x[50:], y[50:], days[50:]))],
        distance_bands_m=[0, 20, 50],
        time_bands_days=[3, 10],
        permutations=1,
        seed=1,
    )
    assert len(table) == 6
    assert table["from_m"].tolist() == [0, 0, 0, 0, 20, 20]
    for delta in (20, 50):
        for tau in (3, 10):
            within = table[(table["to_m"] <= delta) & (table["to_days"] <= tau)]
            points = np.column_stack([x, y]), days[:, None]
            theirs = Knox(*points, delta=delta, tau=tau, permutations=0)
            assert within["observed"].sum() == theirs.statistic_
            assert within["expected"].sum() == pytest.approx(theirs.expected[0, 0], rel=1e-9)


def test_planted_contagion_is_found_in_its_bands_only() -> None:
    rng = np.random.default_rng(7)
    n = 600
    x, y, days = *rng.uniform(0, 5000, (2, n)), rng.uniform(0, 365, n)
    passes_on = rng.random(n) < 0.3
    born = passes_on.sum()
    x = np.append(x, x[passes_on] + rng.uniform(-35, 35, born))
    y = np.append(y, y[passes_on] + rng.uniform(-35, 35, born))
    days = np.append(days, days[passes_on] + rng.uniform(0, 7, born))
    table = knox(
        [Frame(frame_of(x, y, days))],
        distance_bands_m=[50, 200, 400],
        time_bands_days=[7, 14, 28],
        permutations=199,
        seed=1,
    )
    planted = (table["to_m"] == 50) & (table["to_days"] == 7)
    assert table.loc[planted, "p"].item() == 1 / 200
    assert table.loc[planted, "ratio"].item() > 5
    assert (table.loc[~planted, "q"] > 0.05).all()


def test_in_noise_every_p_is_as_likely_as_another() -> None:
    rng = np.random.default_rng(200)
    found = [
        knox(
            [Frame(noise(rng, 120))],
            distance_bands_m=[100],
            time_bands_days=[60],
            permutations=99,
            seed=seed,
        )["p"].item()
        for seed in range(200)
    ]
    assert scipy.stats.kstest(found, "uniform").pvalue > 0.01
    assert np.mean(np.array(found) <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)


def test_the_same_seed_gives_the_same_table() -> None:
    parts = [Frame(noise(np.random.default_rng(1), 200))]
    bands = {"distance_bands_m": [100, 300], "time_bands_days": [30]}
    one, other = (knox(parts, **bands, permutations=20, seed=3) for _ in range(2))
    pd.testing.assert_frame_equal(one, other)


def test_only_the_category_asked_for_is_looked_at() -> None:
    rows = [(0, 0, 0, None, "a"), (0, 0, 1, None, "a"), (0, 0, 1, None, "b")]
    bands = {"distance_bands_m": [10], "time_bands_days": [5], "permutations": 1, "seed": 1}
    all_of_them = knox([Frame(cases_of(rows))], **bands)
    only = knox([Frame(cases_of(rows))], **bands, window=Window(category="a"))
    assert all_of_them["observed"].item() == 3
    assert only["observed"].item() == 1
    none = knox([Frame(cases_of(rows))], **bands, window=Window(category="c"))
    assert none["observed"].item() == 0
    assert none["p"].item() == 1
    assert np.isnan(none["ratio"].item())


def test_too_many_pairs_are_refused_before_they_are_made() -> None:
    n = 17_070
    everywhere_one_point = frame_of(np.zeros(n), np.zeros(n), np.arange(n) / 50)
    with pytest.raises(HotspotsRefused, match=r"145,683,915 pairs.*default points"):
        knox(
            [Frame(everywhere_one_point)],
            distance_bands_m=[50],
            time_bands_days=[7],
            permutations=1,
            seed=1,
        )


@pytest.mark.parametrize("bands", [[], [50, 50], [-1, 5], [50, 20], [np.nan]])
def test_bands_must_ascend(bands: list[float]) -> None:
    with pytest.raises(HotspotsRefused, match="ascend"):
        knox([], distance_bands_m=bands, time_bands_days=[7], permutations=9, seed=1)
    with pytest.raises(HotspotsRefused, match="ascend"):
        knox([], distance_bands_m=[5], time_bands_days=bands, permutations=9, seed=1)
