"""Boston's real reports of 2015: what the city marked, and the point without a place."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gridsvc.crs import from_wgs84
from gridsvc.grids.schemes import read_scheme
from gridsvc.hotspots.cases import Frame
from gridsvc.hotspots.chronic import score
from gridsvc.hotspots.recurrence import chains
from tools.boston_duplicates import CHOSEN, SCHEME, by_type, read, reasons

Boston = tuple[pd.DataFrame, pd.Series, int]


@pytest.fixture(scope="module")
def boston(shared_data: Path) -> Boston:
    return read(shared_data / "boston" / "reports_2015.parquet")


def test_marked_duplicates_are_found_as_told(boston: Boston) -> None:
    cases, marked, in_all = boston
    assert (len(cases), int(marked.sum()), in_all) == (104_075, 3_023, 3_228)
    counts = by_type(cases, marked)
    recall = counts["hits"].sum() / counts["marked"].sum()
    precision = counts["hits"].sum() / counts["found"].sum()
    assert recall == pytest.approx(0.559, abs=0.002)
    assert precision == pytest.approx(0.086, abs=0.002)
    assert precision > 2.9 * marked.mean()
    graffiti = counts.loc["Graffiti Removal"]
    assert graffiti["hits"] / graffiti["marked"] > 0.9


def test_what_is_not_found_has_its_reason(boston: Boston) -> None:
    cases, marked, _ = boston
    told = reasons(cases, marked)
    assert told.sum() == 3_023
    assert told["an earlier one of the type, still open"] == 1_742


def test_the_default_point_is_no_chronic_place(boston: Boston) -> None:
    cases, _, _ = boston
    scheme = read_scheme(SCHEME)
    (default,) = scheme.default_points
    x, y = from_wgs84(default.lon, default.lat, crs=scheme.storage_crs)
    found = chains([Frame(cases)], CHOSEN)
    every = found.cases()
    assert np.hypot(every["x"] - x, every["y"] - y).min() > 1
    # Real ones lie 14 m off, up to 21 of a type; on the point itself are 17,070.
    places = score(found, zone=scheme.zone)
    near = np.hypot(places["x"] - x, places["y"] - y) < 50
    assert places.loc[near, "cases"].max() == 21
