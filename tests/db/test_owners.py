"""A case counts in the area that answers for its point: bulk owners agree with PostGIS."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from numpy.typing import NDArray
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from gridsvc.db import create_engine
from gridsvc.grids.boundary_files import read_boundaries
from gridsvc.grids.changesets import open_change_set, publish
from gridsvc.grids.importing import ImportOptions, import_areas
from gridsvc.grids.scheme_store import load_scheme
from gridsvc.grids.schemes import read_scheme
from gridsvc.hotspots.cases import Frame
from gridsvc.hotspots.counts import count_areas, owners
from tests.case_frames import cases
from tests.db_fixtures import MakeDatabase

DATA = Path(__file__).resolve().parents[2] / "data"
SCHEME = read_scheme(DATA / "schemes" / "demo.toml")
SINCE = datetime(2024, 11, 1, tzinfo=SCHEME.zone)

Points = NDArray[np.float64]


@pytest.fixture(scope="module")
def demo(make_database: MakeDatabase) -> Iterator[Engine]:
    """The demo city's units and what they lie in."""
    engine = create_engine(make_database())
    with Session(engine) as session, session.begin():
        load_scheme(session, SCHEME)
        change_set = open_change_set(session, name="demo")
        for layer in ("district", "street", "community", "unit"):
            boundaries = read_boundaries(
                DATA / "boundaries" / "demo.gpkg", default_crs="EPSG:4326", table=layer
            )
            options = ImportOptions(layer=layer, code="code", name="name", valid_from=SINCE)
            import_areas(session, SCHEME, boundaries, options, change_set=change_set)
        publish(session, change_set)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def units(demo: Engine) -> gpd.GeoDataFrame:
    """The units as PostGIS stores them, as an areas frame."""
    query = text(
        "SELECT code, name, ST_AsBinary(boundary) AS boundary FROM gridsvc.area"
        " WHERE layer = 'unit' ORDER BY code COLLATE \"C\""
    )
    with demo.connect() as connection:
        rows = pd.read_sql(query, connection)
    shapes = shapely.from_wkb(rows.pop("boundary").to_numpy())
    return gpd.GeoDataFrame(rows, geometry=shapes, crs=SCHEME.storage_crs)


def owners_by_sql(demo: Engine, points: Points) -> list[str | None]:
    """Ask the rule of single answers for the unit of each point."""
    query = text("""
        SELECT (
            SELECT c.code FROM gridsvc.covering(
                ST_SetSRID(ST_MakePoint(p.x, p.y), :srid),
                (SELECT max(number) FROM gridsvc.revision), now()) AS c
            WHERE c.layer = 'unit' LIMIT 1)
        FROM unnest(CAST(:x AS float8[]), CAST(:y AS float8[])) WITH ORDINALITY AS p (x, y, n)
        ORDER BY p.n
    """)
    srid = int(SCHEME.storage_crs.removeprefix("EPSG:"))
    asked = {"x": points[:, 0].tolist(), "y": points[:, 1].tolist(), "srid": srid}
    with demo.connect() as connection:
        return list(connection.execute(query, asked).scalars())


def owners_in_bulk(units: gpd.GeoDataFrame, points: Points) -> list[str | None]:
    rows = owners(points[:, 0], points[:, 1], units)
    codes = units["code"].to_numpy()
    return [codes[row] if row >= 0 else None for row in rows]


def edges(units: gpd.GeoDataFrame) -> tuple[Points, Points]:
    """Give the ends of every edge of every unit."""
    rings = shapely.get_rings(shapely.get_parts(units.geometry.to_numpy()))
    corners = [shapely.get_coordinates(ring) for ring in rings]
    first, last = [it[:-1] for it in corners], [it[1:] for it in corners]
    return np.concatenate(first), np.concatenate(last)


def test_vertices_have_the_owner_that_answers(demo: Engine, units: gpd.GeoDataFrame) -> None:
    vertices = np.unique(edges(units)[0], axis=0)
    assert len(vertices) > 1500
    found = owners_in_bulk(units, vertices)
    assert None not in found
    assert found == owners_by_sql(demo, vertices)


def test_midpoints_of_edges_have_the_owner_that_answers(
    demo: Engine, units: gpd.GeoDataFrame
) -> None:
    first, last = edges(units)
    middles = np.unique((first + last) / 2, axis=0)
    # A middle is exact, or lies a rounding beside its edge: both must be judged as SQL does.
    beside = np.nextafter(middles, np.inf)
    for points in (middles, beside):
        assert owners_in_bulk(units, points) == owners_by_sql(demo, points)


def test_random_points_have_the_owner_that_answers(demo: Engine, units: gpd.GeoDataFrame) -> None:
    rng = np.random.default_rng(1)
    west, south, east, north = units.total_bounds
    x = rng.uniform(west - 200, east + 200, 20_000)
    y = rng.uniform(south - 200, north + 200, 20_000)
    points = np.column_stack([x, y])
    found = owners_in_bulk(units, points)
    assert 2000 < found.count(None) < 10_000
    assert found == owners_by_sql(demo, points)


def test_a_case_on_a_shared_vertex_is_counted_once(units: gpd.GeoDataFrame) -> None:
    vertices = np.unique(edges(units)[0], axis=0)
    counts = count_areas([Frame(cases(vertices[:, 0], vertices[:, 1]))], units)
    assert counts["cases"].sum() == len(vertices)
    assert counts["code"].tolist() == units["code"].tolist()
