"""Trends against scipy; the classes of emerging hot spots by series made for each."""

import numpy as np
import pytest
import scipy.stats
import shapely
from libpysal.graph import Graph

from gridsvc.errors import HotspotsRefused
from gridsvc.hotspots import clusters, emerging
from gridsvc.hotspots.emerging import LEVEL, Trend, mann_kendall
from tests import planted
from tests.case_frames import areas_frame


@pytest.fixture(scope="module")
def ground() -> planted.Ground:
    return planted.ground()


# Mann and Kendall


@pytest.mark.parametrize("ties", [False, True])
def test_trends_are_those_of_scipy(ties: bool) -> None:  # noqa: FBT001  a parameter of pytest
    rng = np.random.default_rng(6)
    series = rng.integers(0, 4, (24, 50)).astype(float) if ties else rng.random((24, 50))
    series += np.linspace(0, 1, 24)[:, None] * rng.integers(-2, 3, 50)
    if ties:
        series = np.rint(series)
    trend = mann_kendall(series)
    for i in range(50):
        peer = scipy.stats.kendalltau(np.arange(24), series[:, i], method="asymptotic")
        # Kendall's S from tau-b: tau = S / √(pairs · pairs that are not tied).
        tied = sum(t * (t - 1) / 2 for t in np.unique(series[:, i], return_counts=True)[1])
        assert trend.s[i] == pytest.approx(peer.statistic * np.sqrt(276 * (276 - tied)))
        if abs(trend.s[i]) > 1:
            # scipy has no continuity correction: ours is one pair less, in the same deviations.
            deviation = (abs(trend.s[i]) - 1) / abs(trend.z[i])
            told = 2 * scipy.stats.norm.sf(abs(trend.s[i]) / deviation)
            assert told == pytest.approx(peer.pvalue, rel=1e-9)


def test_a_trend_worked_by_hand() -> None:
    # 1 2 2 3 5: of ten pairs nine rise, one is tied. Var = (5·4·15 - 2·1·9) / 18 = 282 / 18.
    trend = mann_kendall(np.array([[1.0, 2, 2, 3, 5]]).T)
    assert trend.s.tolist() == [9]
    assert trend.z[0] == pytest.approx(8 / np.sqrt(282 / 18))
    falling = mann_kendall(np.array([[5.0, 3, 2, 2, 1]]).T)
    assert falling.s.tolist() == [-9]
    assert falling.z[0] == -trend.z[0]


def test_no_change_is_no_trend() -> None:
    trend = mann_kendall(np.ones((12, 3)))
    assert trend.z.tolist() == [0.0] * 3
    assert trend.p.tolist() == [1.0] * 3


# The classes of one series of steps: h hot, c cold, . neither


def pattern_of(series: str, trend: float = 0.0) -> str:
    """Class one area; `trend` is the z of its trend."""
    steps = np.array(list(series))
    hot, cold = (steps == "h")[:, None], (steps == "c")[:, None]
    z = np.array([trend])
    told = Trend(np.zeros(1, np.int64), z, 2 * scipy.stats.norm.sf(abs(z)))
    found = emerging.patterns(hot, cold, told)
    return str(found[0])


@pytest.mark.parametrize(
    ("series", "trend", "pattern"),
    [
        ("............", 0.0, "none"),
        ("hh.hhh.hh.h.", 0.0, "none"),  # not now, and not nine tenths
        ("...........h", 0.0, "new_hot"),
        ("..........hh", 0.0, "consecutive_hot"),
        (".hhhhhhhhhh.", 0.0, "none"),  # 10 of 12 are less than nine tenths
        ("..hhhhhhhhhh", 0.0, "consecutive_hot"),
        (".hhhhhhhhhhh", 0.0, "persistent_hot"),  # 11 of 12
        ("hhhhhhhhhhhh", 1.9, "persistent_hot"),
        ("hhhhhhhhhhhh", 2.0, "intensifying_hot"),
        ("hhhhhh.hhhhh", 3.0, "intensifying_hot"),
        ("hhhhhhhhhhhh", -2.0, "diminishing_hot"),
        ("hhhhhhhhhhh.", 0.0, "historical_hot"),
        ("hhhhhhhhhhh.", -4.0, "historical_hot"),
        ("h..h.....h.h", 0.0, "sporadic_hot"),
        ("h.........hh", 3.0, "sporadic_hot"),
        ("h..c.....h.h", 0.0, "oscillating_hot"),
        ("c....h....hh", 0.0, "oscillating_hot"),
        ("c.........hh", 0.0, "consecutive_hot"),  # never hot before: the first that fits
        ("c..........h", 0.0, "new_hot"),
        ("hhhhhhhhhhhc", 0.0, "new_cold"),  # the last step decides before history
        ("hhhhhhhhhh", 0.0, "persistent_hot"),
        (".hhhhhhhhh", 0.0, "persistent_hot"),  # nine of ten are nine tenths
        ("..hhhhhhhh", 0.0, "consecutive_hot"),
    ],
)
def test_each_class_and_its_mirror(series: str, trend: float, pattern: str) -> None:
    assert pattern_of(series, trend) == pattern
    swapped = {"h": "c", "c": "h", ".": "."}
    mirror = pattern
    for one, other in (("_hot", "_cold"), ("_cold", "_hot")):
        if pattern.endswith(one):
            mirror = pattern.removesuffix(one) + other
    assert pattern_of("".join(swapped[step] for step in series), -trend) == mirror


# Tests in steps


def test_the_test_is_gi_star_over_all_steps_at_once() -> None:
    # The same as one city in which each area of each step is a place of its own.
    areas = areas_frame(
        {
            f"{i}{j}": shapely.box(10 * i, 10 * j, 10 * i + 10, 10 * j + 10)
            for i in range(5)
            for j in range(5)
        }
    )
    graph = clusters.neighbours(areas)
    cube = np.random.default_rng(2).poisson(2, (12, 25))
    around = graph.sparse.toarray() + np.eye(25)
    focal, other = [], []
    for step in range(12):
        for earlier in (0, 1):
            if step >= earlier:
                one, two = np.nonzero(around)
                focal.append(one + 25 * step)
                other.append(two + 25 * (step - earlier))
    focal, other = np.concatenate(focal), np.concatenate(other)
    kept = focal != other
    whole = Graph.from_arrays(focal[kept], other[kept], np.ones(kept.sum()))
    peer = clusters.getis_ord(cube.ravel(), whole)
    z, q = emerging.gi_star(cube, graph)
    np.testing.assert_allclose(z.ravel(), peer["z"], atol=1e-12)
    np.testing.assert_allclose(q.ravel(), peer["q"], rtol=1e-10)


def test_an_island_has_no_pattern_and_no_trend() -> None:
    shapes = {f"{i}": shapely.box(10 * i, 0, 10 * i + 10, 10) for i in range(6)}
    shapes["9"] = shapely.box(500, 0, 510, 10)
    graph = clusters.neighbours(areas_frame(shapes))
    cube = np.random.default_rng(1).poisson(1, (12, 7))
    cube[:, 6] = 50
    found = emerging.emerging(cube, graph)
    assert found["pattern"].iloc[6] == "none"
    assert found[["trend_z", "trend_p"]].iloc[6].isna().all()
    assert found["trend_z"].iloc[:6].notna().all()


def test_too_few_steps_are_refused(ground: planted.Ground) -> None:
    with pytest.raises(HotspotsRefused, match="9 steps"):
        emerging.emerging(np.ones((9, planted.CELLS)), ground.graph)


# What is planted


def test_trends_are_found_where_they_are_planted(ground: planted.Ground) -> None:
    shares = []
    for seed in range(4):
        found = emerging.emerging(planted.history(seed), ground.graph)["pattern"]
        shares.append(
            [
                (found[planted.GROWING] == "intensifying_hot").mean(),
                found[planted.NEW].isin(["new_hot", "sporadic_hot"]).mean(),
                (found[planted.GONE] == "historical_hot").mean(),
            ]
        )
    assert np.mean(shares, axis=0).min() > 0.8


def test_steps_without_a_pattern_show_none_and_few_trends(ground: planted.Ground) -> None:
    alarms, trends = 0, []
    for seed in range(10):
        found = emerging.emerging(planted.history(seed, planted=False), ground.graph)
        alarms += (found["pattern"] != "none").any()
        trends.append((found["trend_p"] < LEVEL).mean())
    # One of ten maps is as likely as not to have a false step somewhere: the rate is that of maps.
    assert alarms <= 3
    # Sums of two steps that share one would give 0.15 here.
    assert np.mean(trends) < 0.06
