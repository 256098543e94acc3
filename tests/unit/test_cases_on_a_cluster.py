"""What is counted on a cluster equals what one machine counts, to the last digit."""

from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from distributed import Client

from gridsvc.hotspots.cases import FilePart, Window, each, parts_of_cases
from gridsvc.hotspots.counts import count_areas, count_cells
from gridsvc.hotspots.density import kernel_density
from gridsvc.hotspots.tessellation import Tessellation
from tests.case_frames import areas_frame, cases
from tests.clusters import three_workers
from tests.factories import STORAGE

ZONE = ZoneInfo("Asia/Shanghai")
SIDE_M = 4000
SOME = Window(category="01")


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with three_workers() as client:
        yield client


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[FilePart, ...]:
    """Cases in a file of seven row groups: more than there are workers, and uneven."""
    rng = np.random.default_rng(1)
    count = 40_000
    frame = cases(
        rng.normal(SIDE_M / 2, 900, count),
        rng.normal(SIDE_M / 2, 900, count),
        category=rng.choice(["0101", "0102", "0201", None], count).tolist(),
        opened_at=pd.Timestamp("2026-01-01", tz="UTC").as_unit("us")
        + pd.to_timedelta(rng.integers(0, 10**8, count), unit="s"),
    )
    path = tmp_path_factory.mktemp("cases") / "cases.parquet"
    pq.write_table(pa.Table.from_pandas(frame), path, row_group_size=6000)
    return parts_of_cases(path)


def test_results_come_in_the_order_of_the_parts(
    client: Client, parts: tuple[FilePart, ...]
) -> None:
    firsts = [0, 6000, 12_000, 18_000, 24_000, 30_000, 36_000]
    assert [part.first_row for part in parts] == firsts
    assert list(each(_first_row, parts, client=client)) == firsts
    assert list(each(_first_row, [], client=client)) == []


def test_an_error_of_a_worker_reaches_the_caller(
    client: Client, parts: tuple[FilePart, ...]
) -> None:
    gone = FilePart(Path("/gone.parquet"), 0, 0)
    with pytest.raises(FileNotFoundError, match=r"gone\.parquet"):
        list(each(_first_row, [parts[0], gone, parts[1]], client=client))


def test_what_a_function_holds_is_sent_once(client: Client, parts: tuple[FilePart, ...]) -> None:
    holder = Holder()
    assert len(list(each(holder, parts, client=client))) == 7
    assert holder.packed == 1


def test_counts_of_areas_are_equal(client: Client, parts: tuple[FilePart, ...]) -> None:
    step_m = SIDE_M / 20
    areas = areas_frame(
        {
            f"{column:02}{row:02}": shapely.box(
                *(column * step_m, row * step_m, (column + 1) * step_m, (row + 1) * step_m)
            )
            for column in range(20)
            for row in range(20)
        }
    )
    for split in ({}, {"by_month": ZONE, "by_category": True}, {"hours": ZONE}):
        here = count_areas(parts, areas, window=SOME, **split)
        there = count_areas(parts, areas, window=SOME, client=client, **split)
        pd.testing.assert_frame_equal(here, there, check_exact=True)
        assert 15_000 < here["cases"].sum() < 20_000


@pytest.mark.parametrize("shape", ["square", "hexagon"])
def test_counts_of_cells_are_equal(client: Client, parts: tuple[FilePart, ...], shape: str) -> None:
    tessellation = Tessellation(shape, 170)
    cells = tessellation.areas(shapely.box(0, 0, SIDE_M, SIDE_M), STORAGE)
    here = count_cells(parts, tessellation, cells, by_category=True)
    there = count_cells(parts, tessellation, cells, by_category=True, client=client)
    pd.testing.assert_frame_equal(here, there, check_exact=True)


@pytest.mark.parametrize("bandwidth_m", [60, 200])
def test_density_is_equal_to_the_last_digit(
    client: Client, parts: tuple[FilePart, ...], bandwidth_m: float
) -> None:
    asked = {"bounds": (0, 0, SIDE_M, SIDE_M), "cell_m": 50, "bandwidth_m": bandwidth_m}
    here = kernel_density(parts, **asked)
    there = kernel_density(parts, client=client, **asked)
    assert np.array_equal(here.values, there.values)
    assert np.max(here.values) > 0


class Holder:
    """A function that counts how often it is packed to be sent."""

    packed = 0

    def __call__(self, part: FilePart) -> int:
        return part.row_group

    def __getstate__(self) -> dict[str, int]:
        self.packed += 1
        return {}


def _first_row(part: FilePart) -> int:
    return int(part.read().index[0])
