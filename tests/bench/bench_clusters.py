"""Gi* on a thousand to a hundred thousand areas, beside esda with 999 permutations.

    .venv/bin/pytest -s tests/bench/bench_clusters.py --override-ini 'python_files=bench_*.py'

Prints the rows of docs/benchmarks.md; the counts are skewed, as a city's are.
"""

import time
import warnings

import numpy as np
import pytest
import shapely
from esda.getisord import G_Local

from gridsvc.hotspots import clusters
from gridsvc.hotspots.emerging import emerging
from gridsvc.hotspots.tessellation import Tessellation
from tests.factories import STORAGE


@pytest.mark.parametrize("side", [32, 100, 316])
def test_areas(side: int) -> None:
    extent = shapely.box(0, 0, side * 250, side * 250)
    areas = Tessellation("square", 250.0).areas(extent, STORAGE)
    rng = np.random.default_rng(1)
    counts = rng.negative_binomial(0.5, 0.5 / 20.5, len(areas))
    start = time.perf_counter()
    graph = clusters.neighbours(areas)
    found = time.perf_counter()
    tested = clusters.getis_ord(counts, graph)
    done = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        peer = G_Local(
            counts.astype(float), graph, transform="B", star=True, permutations=999, n_jobs=1
        )
    permuted = time.perf_counter()
    emerging(rng.negative_binomial(0.5, 0.5 / 2.5, (24, len(areas))), graph)
    classed = time.perf_counter()
    np.testing.assert_allclose(tested["z"], peer.Zs, atol=1e-9)
    print(
        f"\n{len(areas):,} | neighbours {found - start:.2f} s | Gi* {done - found:.2f} s"
        f" | esda {permuted - done:.2f} s | ratio {(permuted - done) / (done - found):.1f}"
        f" | emerging, 24 steps {classed - permuted:.2f} s"
    )
