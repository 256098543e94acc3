"""How many points a second `locate_file` answers on the demo city, reading and writing included.

The peer does what a user would write: GeoPandas joins the points to each layer and keeps the
lowest code; it knows no time, no people and no ladder. Figures are printed; none decides the test.
"""

import resource
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from gridsvc.crs import to_wgs84
from gridsvc.db import create_engine
from gridsvc.grids.boundary_files import read_boundaries
from gridsvc.grids.changesets import open_change_set, publish
from gridsvc.grids.importing import ImportOptions, import_areas
from gridsvc.grids.people import import_people
from gridsvc.grids.people_files import read_people
from gridsvc.grids.scheme_store import load_scheme
from gridsvc.grids.schemes import read_scheme
from gridsvc.grids.terms import DrawnAs
from gridsvc.routing.bulk import locate_file
from tests.db_fixtures import MakeDatabase
from tools.demo_city.roads import surfaces

DATA = Path(__file__).resolve().parents[2] / "data"
BOUNDARIES = DATA / "boundaries" / "demo.gpkg"
SCHEME = read_scheme(DATA / "schemes" / "demo.toml")
SINCE = datetime(2024, 11, 1, tzinfo=SCHEME.zone)
ROWS = 200_000


@pytest.fixture(scope="module")
def demo(make_database: MakeDatabase) -> Iterator[Engine]:
    """A database with the demo city published in it."""
    engine = create_engine(make_database())
    with Session(engine) as session, session.begin():
        load_scheme(session, SCHEME)
        change_set = open_change_set(session, name="demo")
        for layer in SCHEME.layers:
            import_areas(
                session,
                SCHEME,
                read_boundaries(BOUNDARIES, default_crs="EPSG:4326", table=layer.code),
                ImportOptions(
                    layer=layer.code,
                    code="code",
                    name="name",
                    width="width_m" if layer.drawn_as is DrawnAs.LINE else None,
                    valid_from=SINCE,
                ),
                change_set=change_set,
            )
        people = read_people(DATA / "people" / "demo.csv", SCHEME)
        import_people(session, SCHEME, people, change_set=change_set)
        publish(session, change_set)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV of points spread over the district, with categories."""
    rng = np.random.default_rng(1)
    district = gpd.read_file(BOUNDARIES, layer="district").geometry.iloc[0]
    west, south, east, north = district.bounds
    x, y = rng.uniform(west, east, 2 * ROWS), rng.uniform(south, north, 2 * ROWS)
    inside = np.flatnonzero(shapely.contains_xy(district, x, y))[:ROWS]
    lon, lat = to_wgs84(x[inside], y[inside], crs=SCHEME.storage_crs)
    codes = [category.code for category in SCHEME.categories[:40]]
    table = pd.DataFrame({"lon": lon, "lat": lat, "category": rng.choice(codes, len(inside))})
    path = tmp_path_factory.mktemp("points") / "points.csv"
    table.to_csv(path, index_label="id", float_format="%.7f")
    return path


def _geopandas(source: Path, target: Path) -> None:
    table = pd.read_csv(source)
    places = gpd.GeoSeries(gpd.points_from_xy(table.lon, table.lat), crs=4326)
    places = gpd.GeoDataFrame(geometry=places.to_crs(SCHEME.storage_crs))
    for layer in SCHEME.layers:
        areas = surfaces(gpd.read_file(BOUNDARIES, layer=layer.code))[["code", "geometry"]]
        joined = gpd.sjoin(places, areas, predicate="intersects")
        table[layer.code] = joined.groupby(level=0)["code"].min()
    table.to_csv(target, index=False)


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def test_locate_file_on_the_demo_city(demo: Engine, points: Path, tmp_path: Path) -> None:
    ours, peer = tmp_path / "ours.csv", tmp_path / "peer.csv"
    runs = [
        (
            _seconds(
                lambda: locate_file(demo, points, ours, lon="lon", lat="lat", category="category")
            ),
            _seconds(lambda: _geopandas(points, peer)),
        )
        for _ in range(3)
    ]
    mine = pd.read_csv(ours, dtype=str, keep_default_na=False)
    theirs = pd.read_csv(peer, dtype=str, keep_default_na=False)
    units = SCHEME.layers[3].code
    assert (mine[units] == theirs[units]).all()
    took_s, peer_s = np.median(runs, axis=0)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"\nlocate-file: {len(mine) / took_s:,.0f} points/s with people and ladders; "
        f"GeoPandas, codes only: {len(theirs) / peer_s:,.0f}; "
        f"ratio {np.median([b / a for a, b in runs]):.2f}; peak memory {peak_mb:,.0f} MB"
    )
