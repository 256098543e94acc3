"""How often what is planted in a made city is found, and how often what is not.

    .venv/bin/pytest -s tests/bench/bench_planted.py --override-ini 'python_files=bench_*.py'

Prints the rows of docs/benchmarks.md, "Planted truth": 200 cities of each kind.
"""

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from esda.getisord import G_Local
from scipy import stats

from gridsvc.hotspots import clusters, emerging
from gridsvc.hotspots.significance import false_discovery, normal_two_sided
from tests import planted

SEEDS = 200
LEVEL = 0.05
PERMUTATIONS = 999

Find = Callable[[planted.Counts, planted.Ground, int], planted.Cells]


@pytest.fixture(scope="module")
def ground() -> planted.Ground:
    return planted.ground()


def exact(counts: planted.Counts, ground: planted.Ground, _: int) -> planted.Cells:
    tested = clusters.getis_ord(counts, ground.graph)
    return ((tested["q"] < LEVEL) & (tested["z"] > 0)).to_numpy()


def normal(counts: planted.Counts, ground: planted.Ground, _: int) -> planted.Cells:
    z = clusters.getis_ord(counts, ground.graph)["z"].to_numpy()
    return (false_discovery(normal_two_sided(z)) < LEVEL) & (z > 0)


def permuted(counts: planted.Counts, ground: planted.Ground, seed: int) -> planted.Cells:
    """Take esda's p as it comes, one-sided, which is the more generous."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        told = G_Local(
            counts.astype(float),
            ground.graph,
            transform="B",
            star=True,
            permutations=PERMUTATIONS,
            n_jobs=1,
            seed=seed,
            keep_simulations=False,
        )
    return (false_discovery(told.p_sim.astype(float)) < LEVEL) & (told.Zs > 0)


WAYS: dict[str, Find] = {"exact": exact, "normal law of z": normal, "999 permutations": permuted}


@pytest.mark.parametrize(
    ("title", "noise", "mean"),
    [
        ("Poisson, 2 a cell", planted.poisson, 2.0),
        ("Poisson, 0.3 a cell", planted.poisson, 0.3),
        ("clumped, 2 a cell", planted.clumped, 2.0),
    ],
)
def test_false_alarms_in_noise(
    ground: planted.Ground, title: str, noise: planted.Noise, mean: float
) -> None:
    cities = [planted.city(seed, noise, mean) for seed in range(SEEDS)]
    row = f"\nnoise | {title}"
    for way, find in WAYS.items():
        alarms = sum(bool(find(city, ground, i).any()) for i, city in enumerate(cities))
        row += f" | {way}: {alarms}"
        if find is exact:
            # At a rate of 0.05 more maps than this come by chance once in a hundred times.
            assert alarms <= stats.binom.isf(0.01, SEEDS, LEVEL)
    print(f"{row} of {SEEDS} maps")


@pytest.mark.parametrize(
    ("title", "noise", "mean", "times"),
    [
        ("Poisson, 5 a cell, hot 3 times", planted.poisson, 5.0, 3.0),
        ("Poisson, 5 a cell, hot 4 times", planted.poisson, 5.0, 4.0),
        ("Poisson, 10 a cell, hot 4 times", planted.poisson, 10.0, 4.0),
        ("clumped, 10 a cell, hot 4 times", planted.clumped, 10.0, 4.0),
        ("clumped, 10 a cell, hot 8 times", planted.clumped, 10.0, 8.0),
    ],
)
def test_power(
    ground: planted.Ground, title: str, noise: planted.Noise, mean: float, times: float
) -> None:
    cities = [planted.city(seed, noise, mean, times) for seed in range(SEEDS)]
    places = {
        "quarter": planted.BLOCK_CELLS,
        "street": planted.STREET_CELLS,
        "square": planted.SQUARE_CELLS,
    }
    for way, find in WAYS.items():
        found = np.array([find(city, ground, i) for i, city in enumerate(cities)])
        row = f"\npower | {title} | {way} | {found[:, planted.HOT].mean():.0%} of 28 cells"
        for name, cells in places.items():
            row += f" | {name} {found[:, cells].any(axis=1).mean():.0%}"
        away = found[:, ~ground.near_hot].sum()
        print(f"{row} | {away} of {found.sum()} found lie away from hot cells")


def test_patterns_over_time(ground: planted.Ground) -> None:
    told: dict[str, list[pd.Series]] = {"growing": [], "new": [], "gone": [], "elsewhere": []}
    places = {"growing": planted.GROWING, "new": planted.NEW, "gone": planted.GONE}
    near = np.any(list(places.values()), axis=0)
    near |= np.asarray(ground.graph.sparse.tocsr() @ near.astype(float)).ravel() > 0
    places["elsewhere"] = ~near
    quiet, trends, shared = 0, [], []
    for seed in range(SEEDS):
        found = emerging.emerging(planted.history(seed), ground.graph)["pattern"]
        for name, cells in places.items():
            told[name].append(found[cells].value_counts(normalize=True))
        noise = planted.history(seed, planted=False)
        found = emerging.emerging(noise, ground.graph)
        quiet += bool((found["pattern"] != "none").any())
        trends.append((found["trend_p"] < LEVEL).mean())
        z, _ = emerging.gi_star(noise, ground.graph)
        shared.append((emerging.mann_kendall(z).p < LEVEL).mean())
    for name, series in told.items():
        shares = pd.concat(series, axis=1).fillna(0).mean(axis=1).sort_values(ascending=False)
        print(f"\npatterns | {name} | " + ", ".join(f"{k} {v:.1%}" for k, v in shares.items()))
    print(f"\nnoise | any pattern: {quiet} of {SEEDS} maps")
    print(f"noise | trends: {np.mean(trends):.1%}, of z with shared steps {np.mean(shared):.1%}")
