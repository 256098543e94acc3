"""The guards on real files: outlines drawn in GCJ-02, and feet in a GeoJSON that says nothing."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shapely
from shapely.geometry.base import BaseGeometry

from gridsvc import crs
from gridsvc.crs import GCJ02, WGS84, Crs, Fit

ACCEPTED = ("EPSG:4326", "EPSG:4490", "gcj02", "bd09")
BOSTON_ACCEPTED = ("EPSG:4326", "EPSG:26986", "EPSG:2249")
BOSTON_EXTENT = (-71.20, 42.22, -70.80, 42.45)


def read(path: Path) -> crs.Geometries:
    return np.atleast_1d(shapely.get_parts(shapely.from_geojson(path.read_text("utf-8"))))


def outline(path: Path, *, storage: str) -> BaseGeometry:
    shapes = crs.convert_geometries(read(path), source=WGS84, target=storage)
    return shapely.union_all(shapely.make_valid(shapes))


@dataclass(frozen=True)
class Fence:
    """An outline in GCJ-02, the towns it should agree with, and the IoU before and after."""

    path: str
    towns: str
    storage: str
    before: float
    after: float


DONGGUAN = Fence(
    "fence_441900_gcj02.json", "dongguan_towns_wgs84.geojson", "EPSG:4547", 0.961, 0.9985
)
JIANGNING = Fence(
    "fence_320115_gcj02.json", "nanjing_jiangning_jiedao_wgs84.geojson", "EPSG:4549", 0.927, 0.980
)


@pytest.mark.parametrize("fence", [DONGGUAN, JIANGNING], ids=["dongguan", "jiangning"])
class TestFences:
    @pytest.fixture
    def china(self, shared_data: Path) -> Path:
        return shared_data / "china"

    @pytest.fixture
    def city(self, china: Path, fence: Fence) -> BaseGeometry:
        return outline(china / fence.towns, storage=fence.storage)

    def test_the_layer_guard_names_gcj02(
        self, china: Path, fence: Fence, city: BaseGeometry
    ) -> None:
        fit = guard_file(china / fence.path, fence, city, declared=WGS84)
        assert fit.better == GCJ02
        assert fit.score(WGS84) == pytest.approx(fence.before, abs=6e-4)
        assert fit.score(GCJ02) == pytest.approx(fence.after, abs=6e-4)
        assert "If the source is in gcj02, declare it so" in fit.message()

    def test_what_is_declared_rightly_is_left_in_peace(
        self, china: Path, fence: Fence, city: BaseGeometry
    ) -> None:
        assert guard_file(china / fence.path, fence, city, declared=GCJ02).better is None
        assert guard_file(china / fence.towns, fence, city, declared=WGS84).better is None

    def test_the_point_guard_names_gcj02(
        self, china: Path, fence: Fence, city: BaseGeometry
    ) -> None:
        fenced = shapely.union_all(read(china / fence.path))
        west, south, east, north = fenced.bounds
        rng = np.random.default_rng(441900)
        x, y = rng.uniform(west, east, 20_000), rng.uniform(south, north, 20_000)
        within = shapely.contains_xy(fenced, x, y)
        for declared, better in ((WGS84, GCJ02), (GCJ02, None)):
            fit = crs.guard_points(
                x[within],
                y[within],
                declared=declared,
                candidates=ACCEPTED,
                area=city,
                area_crs=fence.storage,
            )
            assert fit.better == better


def guard_file(path: Path, fence: Fence, city: BaseGeometry, *, declared: Crs) -> Fit:
    return crs.guard_layer(
        read(path),
        declared=declared,
        candidates=ACCEPTED,
        outline=city,
        outline_crs=fence.storage,
    )


def test_undeclared_feet_are_told_by_their_bounds(shared_data: Path) -> None:
    shapes = read(shared_data / "boston" / "precincts_asis_epsg2249_undeclared.geojson")
    found = crs.guard_bounds(
        shapely.total_bounds(shapes),
        declared=WGS84,
        candidates=BOSTON_ACCEPTED,
        extent=BOSTON_EXTENT,
    )
    assert found.impossible
    assert [system.name for system in found.inside] == ["EPSG:2249"]
    assert found.message() == (
        "Coordinates from (739594.1, 2908187) to (803687.5, 2970073) cannot be in EPSG:4326. "
        "They fit the extent when read as EPSG:2249; declare that if the source agrees."
    )


def test_undeclared_feet_are_told_by_their_outline(shared_data: Path) -> None:
    boston = shared_data / "boston"
    fit = crs.guard_layer(
        read(boston / "precincts_asis_epsg2249_undeclared.geojson"),
        declared=WGS84,
        candidates=BOSTON_ACCEPTED,
        outline=outline(boston / "precincts_4326.geojson", storage="EPSG:26986"),
        outline_crs="EPSG:26986",
    )
    assert fit.score(WGS84) == 0.0
    assert fit.better is not None
    assert fit.better.name == "EPSG:2249"
    assert fit.score("EPSG:2249") > 0.9999


def test_real_reports_are_left_in_peace(shared_data: Path) -> None:
    # Boston in 2015: the city's own outline, points rounded to 4 decimals, no datum in doubt.
    reports = pd.read_parquet(shared_data / "boston" / "reports_2015.parquet")
    fit = crs.guard_points(
        reports["longitude"].to_numpy(float),
        reports["latitude"].to_numpy(float),
        declared=WGS84,
        candidates=[*BOSTON_ACCEPTED, "gcj02"],
        area=outline(shared_data / "boston" / "wards_4326.geojson", storage="EPSG:26986"),
        area_crs="EPSG:26986",
    )
    assert fit.better is None
    assert fit.score(WGS84) > 0.99
