from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from gridsvc.grids.schemes import read_scheme
from gridsvc.hotspots import quality
from gridsvc.hotspots.cases import OUTSIDE_EXTENT, parts_of_cases, parts_of_reports
from gridsvc.reports.history import NO_TIME, HistoryColumns
from tests.case_frames import areas_frame, cases

DATA = Path(__file__).resolve().parents[2] / "data"
SCHEME = read_scheme(DATA / "schemes" / "demo.toml")
COLUMNS = HistoryColumns(id="id", lon="lon", lat="lat", opened="opened")
# Two squares side by side.
ROW = areas_frame({"a": shapely.box(0, 0, 100, 100), "b": shapely.box(100, 0, 200, 100)})


def test_every_report_has_a_reason_or_is_usable(tmp_path: Path) -> None:
    path = tmp_path / "reports.parquet"
    rows = [
        (116.46, 39.92, "2026-05-01T08:00+08:00"),
        (116.4606, 39.9262, "2026-05-01T08:00+08:00"),  # the default point
        (39.92, 116.46, "2026-05-01T08:00+08:00"),  # swapped
        (116.46, 39.92, None),
        (116.46, 39.92, "soon"),
        (117.46, 39.92, "2026-05-01T08:00+08:00"),  # the next city
        (float("nan"), 39.92, "2026-05-01T08:00+08:00"),
        (116.47, 39.93, "2026-05-01T08:00+08:00"),
    ]
    lon, lat, opened = zip(*rows, strict=True)
    table = pa.table(
        {"id": [str(n) for n in range(len(rows))], "lon": lon, "lat": lat, "opened": opened}
    )
    pq.write_table(table, path, row_group_size=3)

    told = quality.reasons(path, COLUMNS, scheme=SCHEME)

    counts = dict(zip(told["reason"], told["reports"], strict=True))
    assert counts[quality.USABLE] == 2
    assert told["reason"][0] == quality.USABLE
    assert counts[OUTSIDE_EXTENT] == 1
    assert counts[NO_TIME] == 1
    assert sum(counts.values()) == len(rows)
    for begins in ("default point", "swapped", "bad coordinates: lon", "bad time: "):
        assert any(reason.startswith(begins) for reason in counts), counts
    read = [part.read() for part in parts_of_reports(path, COLUMNS, scheme=SCHEME)]
    assert sum(map(len, read)) == counts[quality.USABLE]


def test_cases_as_columns_are_all_usable(tmp_path: Path) -> None:
    path = tmp_path / "cases.parquet"
    cases([1.0, 2.0], [1.0, 2.0]).to_parquet(path)
    (part,) = parts_of_cases(path)
    assert part.reasons().open.tolist() == [True, True]


def test_piles_tell_how_many_kinds_there_are() -> None:
    told = quality.piles(
        np.array([1.5, 2.5, 1.5, 1.5]),
        np.array([7.0, 8.0, 7.0, 7.0]),
        pd.Series(["a", "b", "c", "a"], dtype="category"),
    )
    assert told.to_dict("list") == {
        "lon": [1.5, 2.5], "lat": [7.0, 8.0], "reports": [3, 1], "categories": [2, 1],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("degrees", "told"),
    [(116.0, 0), (116.4, 1), (-71.0587, 4), (39.92345, 5), (0.1 + 0.2, 1), (116.123456789, 8)],
)
def test_decimals_are_those_that_a_number_is_written_with(degrees: float, told: int) -> None:
    assert quality.decimals(np.array([degrees])).tolist() == [told]


def test_the_nearest_border_counts_whoever_has_it() -> None:
    x = np.array([50.0, 98.0, 100.0, 250.0, np.nan])
    y = np.array([50.0, 50.0, 20.0, 50.0, 50.0])
    told = quality.edge_m(x, y, ROW)
    assert told[:4].tolist() == [50.0, 2.0, 0.0, 50.0]
    assert np.isnan(told[4])


def test_no_areas_have_no_border() -> None:
    assert np.isnan(quality.edge_m(np.array([1.0]), np.array([1.0]), areas_frame({}))).all()


def test_the_disc_of_error_is_shared_out_evenly() -> None:
    """A point r/2 from a straight border has 19.55 % of its disc beyond it."""
    n, radius = 4_000, 20.0
    beyond = (np.arccos(0.5) - 0.5 * np.sqrt(0.75)) / np.pi
    x, y = np.full(n, 90.0), np.full(n, 50.0)
    told = quality.misplaced(x, y, radius, ROW, draws=10, seed=3)
    assert told.mean() == pytest.approx(beyond, abs=4 * 0.5 / np.sqrt(10 * n))
    # Known exactly, or far from any border, or not told how exactly: where it seems to be.
    exact = quality.misplaced(
        np.array([90.0, 50.0, 90.0]), np.full(3, 50.0), np.array([0.0, 20.0, np.nan]), ROW
    )
    assert exact.tolist() == [0.0, 0.0, 0.0]
    assert np.array_equal(told, quality.misplaced(x, y, radius, ROW, draws=10, seed=3))
