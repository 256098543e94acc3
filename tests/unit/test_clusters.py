"""Gi*: against esda, against the formula worked by hand, and against counting all permutations."""

from itertools import combinations

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from esda.getisord import G_Local
from libpysal.graph import Graph

from gridsvc.hotspots import clusters
from gridsvc.hotspots.significance import tails
from tests import planted
from tests.case_frames import areas_frame


def row_of(number: int) -> gpd.GeoDataFrame:
    return areas_frame({f"{i:02d}": shapely.box(10 * i, 0, 10 * i + 10, 10) for i in range(number)})


def square_of(side: int) -> gpd.GeoDataFrame:
    return areas_frame(
        {
            f"{i:02d}{j:02d}": shapely.box(10 * i, 10 * j, 10 * i + 10, 10 * j + 10)
            for i in range(side)
            for j in range(side)
        }
    )


@pytest.fixture(scope="module")
def ground() -> planted.Ground:
    return planted.ground()


def pairs(graph: Graph) -> set[tuple[int, int]]:
    told = graph.adjacency
    return {(int(a), int(b)) for (a, b), weight in told.items() if weight}


# Neighbours


def test_areas_that_meet_at_a_corner_or_overlap_by_a_sliver_are_neighbours() -> None:
    areas = areas_frame(
        {
            "a": shapely.box(0, 0, 10, 10),
            "b": shapely.box(10, 10, 20, 20),  # a corner of a
            "c": shapely.box(9.999, 0, 20, 9.5),  # overlaps a by a millimetre
            "d": shapely.box(40, 0, 50, 10),  # an island
        }
    )
    graph = clusters.neighbours(areas)
    assert pairs(graph) == {(0, 1), (1, 0), (0, 2), (2, 0)}
    assert graph.isolates.tolist() == [3]


def test_within_a_distance_counts_from_edge_to_edge_the_limit_included() -> None:
    areas = areas_frame(
        {code: shapely.box(x, 0, x + 4, 4) for code, x in zip("abc", (0, 9, 20), strict=True)}
    )
    assert pairs(clusters.neighbours(areas, within_m=5.0)) == {(0, 1), (1, 0)}
    assert pairs(clusters.neighbours(areas, within_m=4.9)) == set()


def test_a_grid_has_the_queen_neighbours_of_libpysal() -> None:
    areas = square_of(7)
    ours = clusters.neighbours(areas)
    assert pairs(ours) == pairs(Graph.build_contiguity(areas, rook=False))


# The statistic


def test_z_is_the_value_worked_by_hand() -> None:
    # Five areas in a row with 1, 2, 3, 4, 10 cases: mean 4, and
    # S² = (1 + 4 + 9 + 16 + 100) / 5 - 4² = 26 - 16 = 10.
    # For the last one, W = 2 (itself and the fourth), sum 14:
    #   Gi* = (14 - 4 · 2) / (√10 · √((5 · 2 - 2²) / (5 - 1))) = 6 / √15 = 1.549193…
    # For the middle one, W = 3, sum 9:
    #   Gi* = (9 - 4 · 3) / (√10 · √((5 · 3 - 3²) / 4)) = -3 / √15 = -0.774596…
    areas = row_of(5)
    tested = clusters.getis_ord(np.array([1, 2, 3, 4, 10]), clusters.neighbours(areas))
    assert tested["z"].iloc[4] == pytest.approx(6 / np.sqrt(15), abs=1e-12)
    assert tested["z"].iloc[2] == pytest.approx(-3 / np.sqrt(15), abs=1e-12)
    # Of the ten pairs only (4, 10) has 14 or more: 1 / 10, and either side counts.
    assert tested["p"].iloc[4] == pytest.approx(0.2, abs=1e-12)
    # Of the ten threes 1+2+3, 1+2+4, 1+3+4, 2+3+4 have 9 or less but for the first three:
    # sums 6, 7, 8, 9 are four of ten.
    assert tested["p"].iloc[2] == pytest.approx(0.8, abs=1e-12)


def test_z_is_that_of_esda(ground: planted.Ground) -> None:
    values = planted.city(1, planted.clumped, 2.0, 4.0)
    tested = clusters.getis_ord(values, ground.graph)
    peer = G_Local(values.astype(float), ground.graph, transform="B", star=True, permutations=0)
    np.testing.assert_allclose(tested["z"], peer.Zs, rtol=0, atol=1e-12)


def test_p_is_that_of_counting_every_permutation() -> None:
    areas = square_of(3)
    values = np.array([0, 5, 1, 2, 2, 9, 0, 1, 3])
    graph = clusters.neighbours(areas)
    tested = clusters.getis_ord(values, graph)
    around = {i: {i} for i in range(9)}
    for one, other in pairs(graph):
        around[one].add(other)
    for i in range(9):
        if len(around[i]) == 9:  # the middle one has the whole city for neighbours
            assert tested["kind"].iloc[i] == "untested"
            continue
        observed = sum(values[j] for j in around[i])
        # Each set of areas is as likely to have this place's values as any other.
        sums = np.array([sum(chosen) for chosen in combinations(values, len(around[i]))])
        tail = min((sums >= observed).mean(), (sums <= observed).mean())
        assert tested["p"].iloc[i] == pytest.approx(min(1, 2 * tail), rel=1e-12)


# It foretells that p-values will be two-sided by default; ours are compared one-sided here.
@pytest.mark.filterwarnings("ignore:The alternative hypothesis for conditional:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:`row_stack` alias:DeprecationWarning")  # esda's own call
def test_permutations_of_esda_come_near_the_same_law(ground: planted.Ground) -> None:
    # esda leaves each area its own value and deals out the others; so do we here. Counts are
    # large, so that few sums are equal: esda adds up fractions, whose last bits part equal sums.
    values = planted.city(2, planted.clumped, 300.0, 3.0)
    times = 9_999
    peer = G_Local(
        values.astype(float),
        ground.graph,
        transform="B",
        star=True,
        permutations=times,
        n_jobs=1,
        seed=12345,
    )
    weights = ground.graph.sparse.tocsr()
    for i in range(0, planted.CELLS, 97):
        count = int(weights[i].sum())
        observed = int((weights[i] @ values).item())
        lower, upper = tails(np.delete(values, i), np.array([count]), np.array([observed]))
        told = min(lower[0], upper[0])
        seen = peer.p_sim[i]
        assert abs(seen - told) < 5 * np.sqrt(told * (1 - told) / times) + 1.5 / times + 0.001


def test_an_island_an_area_without_a_value_and_a_city_of_one_place_are_not_tested() -> None:
    areas = row_of(8)
    areas.loc[7, "geometry"] = shapely.box(500, 0, 510, 10)
    graph = clusters.neighbours(areas)
    values = np.array([5.0, 4.0, np.nan, 1.0, 0.0, 2.0, 1.0, 30.0])
    tested = clusters.getis_ord(values, graph)
    assert tested["kind"].iloc[[2, 7]].tolist() == ["untested"] * 2
    assert tested["neighbours"].tolist() == [1, 1, 0, 1, 2, 2, 1, 0]
    assert tested.loc[[2, 7], ["z", "p", "q"]].isna().all(axis=None)
    # The island's value takes part as one of the city's: of the 21 pairs of the seven values
    # 5 + 4 is reached by those with 30 (six) and by itself.
    assert tested["p"].iloc[0] == pytest.approx(2 * 7 / 21, abs=1e-12)
    alone = clusters.getis_ord(np.array([3.0, 4.0]), clusters.neighbours(row_of(2)))
    assert alone["kind"].tolist() == ["untested"] * 2


def test_values_move_with_their_areas_when_one_is_missing() -> None:
    graph = clusters.neighbours(square_of(6))
    values = np.random.default_rng(4).poisson(3, 36).astype(float)
    values[[3, 17]] = np.nan
    known = np.flatnonzero(np.isfinite(values))
    fewer = square_of(6).iloc[known].reset_index(drop=True)
    peer = clusters.getis_ord(values[known], clusters.neighbours(fewer))
    pd.testing.assert_frame_equal(
        clusters.getis_ord(values, graph).iloc[known].reset_index(drop=True), peer
    )


def test_the_same_everywhere_is_neither_hot_nor_cold() -> None:
    tested = clusters.getis_ord(np.full(9, 7), clusters.neighbours(row_of(9)))
    assert set(tested["kind"]) == {"none"}
    assert tested["z"].tolist() == [0.0] * 9
    np.testing.assert_allclose(tested["p"], 1.0)


def test_rates_are_tested_as_counts_are() -> None:
    # Tenths of counts are not whole; rounded by far less than a tenth they give the same answer.
    graph = clusters.neighbours(square_of(12))
    counts = np.random.default_rng(8).poisson(2, 144)
    whole, tenths = (clusters.getis_ord(v, graph) for v in (counts, counts / 10))
    np.testing.assert_allclose(tenths["p"], whole["p"], rtol=1e-9)
    assert tenths["kind"].tolist() == whole["kind"].tolist()


def test_classes_begin_below_their_level() -> None:
    q = np.array([0.0099, 0.01, 0.0499, 0.05, 0.0999, 0.1, np.nan])
    hot = clusters.kinds(np.ones(7), q).tolist()
    assert hot == ["hot_99", "hot_95", "hot_95", "hot_90", "hot_90", "none", "untested"]
    cold = clusters.kinds(-np.ones(7), q).tolist()
    assert cold == ["cold_99", "cold_95", "cold_95", "cold_90", "cold_90", "none", "untested"]


# Hotspots


def told_as(kinds: str, z: list[float]) -> pd.DataFrame:
    long = {"h": "hot_99", "w": "hot_95", "9": "hot_90", "c": "cold_99", ".": "none"}
    return pd.DataFrame(
        {"kind": [long[k] for k in kinds], "z": z, "q": [0.001 * (i + 1) for i in range(len(z))]}
    )


def test_hot_neighbours_are_one_place_the_strongest_first() -> None:
    areas = row_of(8).assign(cases=[9, 12, 1, 1, 7, 30, 0, 20])
    tested = told_as("hw.9wh.h", [3.0, 4.0, 0, 2.0, 5.0, 6.0, 0, 4.0])
    found = clusters.places(areas, tested, clusters.neighbours(areas))
    assert found["rank"].tolist() == [1, 2, 3]
    # Of the two with z = 4 the one with more cases comes first; hot_90 (03) is in none.
    assert found["codes"].tolist() == [("05", "04"), ("01", "00"), ("07",)]
    assert found["cases"].tolist() == [37, 21, 20]
    assert found["expected"].tolist() == [20.0, 20.0, 10.0]
    assert found["q"].tolist() == [0.006, 0.002, 0.008]
    assert found.geometry.iloc[0].equals(shapely.box(40, 0, 60, 10))
    for centre, code in zip(found["centre"], ("05", "01", "07"), strict=True):
        strongest = areas.geometry[areas["code"] == code].iloc[0]
        assert strongest.contains(centre)


def test_places_that_are_alike_are_ranked_by_code_in_any_order_of_areas() -> None:
    areas = row_of(5).assign(cases=[5, 0, 5, 0, 5])
    tested = told_as("h.h.h", [3.0, 0, 3.0, 0, 3.0])
    for order in ([0, 1, 2, 3, 4], [4, 2, 1, 3, 0]):
        shuffled = areas.iloc[order].reset_index(drop=True)
        told = tested.iloc[order].reset_index(drop=True)
        found = clusters.places(shuffled, told, clusters.neighbours(shuffled))
        assert found["codes"].tolist() == [("00",), ("02",), ("04",)]


def test_the_centre_of_a_horseshoe_lies_on_it() -> None:
    shoe = shapely.box(0, 0, 30, 30).difference(shapely.box(10, 10, 20, 30))
    areas = areas_frame({"a": shoe, "b": shapely.box(100, 0, 110, 10)}).assign(cases=[5, 0])
    found = clusters.places(areas, told_as("h.", [3.0, 0.0]), clusters.neighbours(areas))
    assert not shoe.contains(shoe.centroid)
    assert shoe.contains(found["centre"].iloc[0])


def test_an_area_that_is_hot_by_its_neighbours_alone_is_no_place() -> None:
    areas = row_of(6).assign(cases=[9, 1, 9, 0, 0, 5])
    tested = told_as(".h...h", [0, 4.0, 0, 0, 0, 3.0])
    found = clusters.places(areas, tested, clusters.neighbours(areas))
    assert found["codes"].tolist() == [("05",)]
    assert found["rank"].tolist() == [1]


def test_without_hot_areas_there_is_no_place() -> None:
    areas = row_of(3).assign(cases=[1, 1, 1])
    tested = told_as("c9.", [-4.0, 2.0, 0.0])
    found = clusters.places(areas, tested, clusters.neighbours(areas))
    assert len(found) == 0
    assert {"rank", "codes", "cases", "expected", "centre"} <= set(found.columns)


# What is planted is found, and nothing else (docs/benchmarks.md has 200 seeds)


@pytest.mark.parametrize(("noise", "mean"), [(planted.poisson, 2.0), (planted.clumped, 2.0)])
def test_pure_noise_shows_no_hotspot(
    ground: planted.Ground, noise: planted.Noise, mean: float
) -> None:
    alarms = sum(
        (clusters.getis_ord(planted.city(seed, noise, mean), ground.graph)["q"] < 0.05).any()
        for seed in range(40)
    )
    # One in twenty is allowed: with 40 maps more than 5 would come by chance once in 300 times.
    assert alarms <= 5


def test_planted_cells_are_found(ground: planted.Ground) -> None:
    found, false, all_found = [], 0, 0
    for seed in range(20):
        counts = planted.city(seed, planted.poisson, 5.0, 4.0)
        hot = clusters.getis_ord(counts, ground.graph)["kind"].isin(["hot_99", "hot_95"])
        found.append(hot[planted.HOT].mean())
        false += int(hot[~ground.near_hot].sum())
        all_found += int(hot.sum())
    assert np.mean(found) > 0.7
    assert false <= 0.05 * all_found
