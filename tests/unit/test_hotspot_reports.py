"""The made city that methods are measured on is the same every time and holds what it plants."""

from pathlib import Path

import numpy as np
import pandas as pd
import shapely

from gridsvc.hotspots.cases import COLUMNS, parts_of_cases
from gridsvc.hotspots.counts import owners
from tools import hotspot_reports


def test_the_units_fill_the_city() -> None:
    units = hotspot_reports.units()
    assert len(units) == 4900
    assert units["code"].is_monotonic_increasing
    assert units.geometry.is_valid.all()
    whole = shapely.box(*hotspot_reports.BOUNDS)
    assert shapely.symmetric_difference(units.union_all(), whole).area < 1e-3
    assert abs(units.geometry.area.sum() - whole.area) < 1e-3


def test_the_same_seed_gives_the_same_cases() -> None:
    frame = hotspot_reports.cases(2000)
    assert tuple(frame.columns) == COLUMNS
    assert len(frame) == 2000
    pd.testing.assert_frame_equal(frame, hotspot_reports.cases(2000))
    assert not frame["x"].equals(hotspot_reports.cases(2000, seed=2)["x"])
    assert frame["opened_at"].is_monotonic_increasing
    assert (
        owners(frame["x"].to_numpy(), frame["y"].to_numpy(), hotspot_reports.units()) >= 0
    ).all()
    assert 0.05 < frame["closed_at"].isna().mean() < 0.12
    assert (frame["closed_at"].dropna() >= frame["opened_at"][frame["closed_at"].notna()]).all()


def test_cases_gather_at_hot_places() -> None:
    # A quarter of the cases lie on a thousandth of the ground.
    frame = hotspot_reports.cases(50_000)
    west, south, east, north = hotspot_reports.BOUNDS
    counts, _, _ = np.histogram2d(
        frame["x"], frame["y"], bins=100, range=[[west, east], [south, north]]
    )
    busiest = np.sort(counts.ravel())[::-1]
    assert busiest[:112].sum() > 0.25 * len(frame)


def test_planted_places_return_after_fourteen_days() -> None:
    frame = hotspot_reports.cases(10_000)
    # A chain stays within metres; nothing else does so for a category and at this interval.
    near = frame.assign(east=(frame["x"] / 50).round(), north=(frame["y"] / 50).round())
    grouped = near.sort_values("opened_at").groupby(["east", "north", "category"], observed=True)
    pause = near["opened_at"] - grouped["closed_at"].shift()
    returned = pause.dropna()
    planted = (returned == pd.Timedelta(days=hotspot_reports.RETURNS_AFTER_DAYS)).sum()
    assert planted > 1000


def test_a_file_is_read_as_cases(tmp_path: Path) -> None:
    path = tmp_path / "more" / "cases.parquet"
    hotspot_reports.write(path, 600)
    (part,) = parts_of_cases(path)
    frame = part.read()
    assert frame["id"].tolist() == hotspot_reports.cases(600)["id"].tolist()
    assert frame["responsible"].notna().all()
