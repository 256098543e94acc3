"""Time and memory of each method on 10,000 to 10 million cases, and of the obvious way.

A method is one entry of `tests.bench.hotspot_methods.METHODS`. Figures are printed as the rows of
docs/benchmarks.md; none decides the test, but both ways must come to the same result.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.bench.hotspot_methods import METHODS, make_city

ROOT = Path(__file__).resolve().parents[2]
SIZES = (10_000, 100_000, 1_000_000, 10_000_000)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """A file of cases of each size."""
    folder = tmp_path_factory.mktemp("cases")
    made = {}
    for rows in SIZES:
        made[rows] = folder / f"{rows}.parquet"
        # In a process of its own, for the largest takes more memory than any method.
        command = [sys.executable, "-m", "tools.hotspot_reports", str(made[rows])]
        subprocess.run([*command, "--rows", str(rows)], cwd=ROOT, check=True)
    return made


def measured(name: str, side: str, path: Path) -> tuple[float, float]:
    """Run a method in a fresh process; give seconds of the processor and MB.

    The clock, which the child tells too, is that of a machine that other work shares.
    """
    command = [sys.executable, "-m", "tests.bench.hotspot_methods", name, side, str(path)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    told = json.loads(done.stdout)
    return told["processor_seconds"], told["peak_mb"]


@pytest.mark.parametrize("name", METHODS)
def test_time_and_memory(name: str, files: dict[int, Path]) -> None:
    method = METHODS[name]
    seconds = []
    print(f"\n{method.title} | cases | s | peak MB | {method.peer_title} s | MB | ratio")
    for rows, path in files.items():
        took, peak = measured(name, "ours", path)
        seconds.append(took)
        row = f"{method.title} | {rows:,} | {took:.2f} | {peak:.0f}"
        if method.peer and rows <= method.peer_rows:
            peer_took, peer_peak = measured(name, "peer", path)
            row += f" | {peer_took:.2f} | {peer_peak:.0f} | {peer_took / took:.1f}"
        print(row)
    slope = np.polyfit(np.log(SIZES), np.log(seconds), 1)[0]
    last = np.log(seconds[-1] / seconds[-2]) / np.log(SIZES[-1] / SIZES[-2])
    print(f"{method.title} | slope {slope:.2f}, between the last two {last:.2f}")


# Cells are not asked: a point on an edge is another cell's there than by the lowest code.
@pytest.mark.parametrize("name", ["counts", "recurrence"])
def test_both_ways_count_the_same(name: str, files: dict[int, Path]) -> None:
    method = METHODS[name]
    assert method.peer
    asked = files[SIZES[1]], make_city()
    pd.testing.assert_frame_equal(method.ours(*asked), method.peer(*asked), check_dtype=False)


def test_both_ways_have_the_same_density(files: dict[int, Path]) -> None:
    method = METHODS["density"]
    assert method.peer
    asked = files[SIZES[0]], make_city()
    ours, peer = method.ours(*asked), method.peer(*asked)
    assert np.abs(ours - peer).max() < 1e-6 * peer.max()
