"""Frames and clusters answer as files do, which answer as single questions do."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dask.dataframe as dd
import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from gridsvc.db import create_engine
from gridsvc.errors import CrsNotAccepted, UnknownCrs
from gridsvc.grids.changesets import publish
from gridsvc.routing import locate, locate_dask
from gridsvc.routing.bulk import locate_file
from tests import small_city
from tests.clusters import three_workers
from tests.db_fixtures import MakeDatabase
from tests.factories import new_change_set, propose_absence
from tests.small_city import place

ABSENT_AT = datetime(2026, 7, 1, tzinfo=UTC)
ADDED = [
    *("district", "street", "courtyard", "shop_front", "responsible", "management"),
    *("enforcement_lead", "enforcement_assistant", "supervisor", "edge_m", "reason"),
]


@pytest.fixture(scope="module")
def town(make_database: MakeDatabase) -> Iterator[Engine]:
    """The small city, in two revisions."""
    engine = create_engine(make_database())
    with Session(engine) as session, session.begin():
        small_city.found(session)
    with Session(engine) as session, session.begin():
        change_set = new_change_set(session, "away")
        propose_absence(session, change_set, "P1", ABSENT_AT, ABSENT_AT + timedelta(days=9))
        publish(session, change_set)
    yield engine
    engine.dispose()


def points(count: int) -> pd.DataFrame:
    """Points over the city and about it, at instants of both revisions and before them."""
    rng = np.random.default_rng(17)
    spots = [
        place(east_m=float(east), north_m=float(north))
        for east, north in rng.uniform([-200, -200], [2200, 1200], (count, 2))
    ]
    at = pd.Timestamp(ABSENT_AT) + pd.to_timedelta(rng.integers(-400, 20, count), unit="D")
    category = rng.choice(["", "0101", "0102", "9999"], count)
    return pd.DataFrame(spots).assign(at=at, category=category)


def from_file(
    engine: Engine,
    frame: pd.DataFrame,
    folder: Path,
    **asked: Any,  # noqa: ANN401
) -> pd.DataFrame:
    source, target = folder / "in.parquet", folder / "out.parquet"
    frame.to_parquet(source)
    locate_file(engine, source, target, lon="lon", lat="lat", **asked)
    return pq.read_table(target).to_pandas()


def test_a_frame_is_answered_as_a_file_is(town: Engine, tmp_path: Path) -> None:
    frame = points(500).set_index(pd.Index(range(1000, 1500), name="report"))
    given = frame.copy()
    located = locate(frame, town, lon="lon", lat="lat", category="category", at="at")
    pd.testing.assert_frame_equal(frame, given)
    expected = from_file(town, frame, tmp_path, category="category", at="at")
    pd.testing.assert_frame_equal(located, expected)
    assert [*located.columns[4:]] == ADDED
    assert located["responsible"].notna().sum() > 100
    assert located["reason"].nunique() >= 3


def test_a_geometry_is_asked_in_its_own_crs(town: Engine) -> None:
    frame = points(50)
    degrees = gpd.points_from_xy(frame["lon"], frame["lat"], crs="EPSG:4326")
    expected = locate(frame, town, lon="lon", lat="lat")[ADDED]
    places = gpd.GeoDataFrame({"name": range(50)}, geometry=degrees)
    located = locate(places, town)
    assert isinstance(located, gpd.GeoDataFrame)
    pd.testing.assert_frame_equal(pd.DataFrame(located[ADDED]), expected)
    metres = locate(places.to_crs(f"EPSG:{small_city.SRID}"), town)
    pd.testing.assert_series_equal(metres["street"], expected["street"])
    with pytest.raises(CrsNotAccepted):
        locate(places.to_crs("EPSG:3857"), town)
    with pytest.raises(UnknownCrs):
        locate(gpd.GeoDataFrame(geometry=degrees.copy()).set_crs(None, allow_override=True), town)


def test_a_frame_without_rows_gets_the_columns(town: Engine) -> None:
    located = locate(points(3).iloc[:0], town, lon="lon", lat="lat", at="at")
    assert [*located.columns[4:]] == ADDED


def test_a_cluster_answers_as_this_machine_does(
    town: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = points(400)
    asked: dict[str, str] = {"category": "category", "at": "at"}
    expected = from_file(town, frame, tmp_path, **asked)
    with three_workers() as client:
        lazy = dd.from_pandas(frame, npartitions=5)
        located = locate_dask(lazy, town, client, lon="lon", lat="lat", **asked)
        assert [*located.columns] == [*expected.columns]
        # Dask has its own type of text.
        pd.testing.assert_frame_equal(located.compute(), expected, check_dtype=False)
        monkeypatch.setattr("gridsvc.routing.bulk.BATCH_ROWS", 60)
        spread = from_file(town, frame, tmp_path, client=client, **asked)
    pd.testing.assert_frame_equal(spread, expected)
