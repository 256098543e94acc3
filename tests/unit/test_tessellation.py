"""Cells tile the ground, keep their codes for ever, and know which of them a point lies in."""

import math

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from gridsvc.errors import HotspotsRefused
from gridsvc.hotspots.tessellation import Tessellation

CRS = "EPSG:4547"
SHAPES = ("square", "hexagon")
shapes = st.sampled_from(SHAPES)
sizes_m = st.one_of(st.integers(1, 5000).map(float), st.floats(1, 5000))
# As far from the origin as any storage CRS lies, on both sides of it.
places_m = st.floats(-5e6, 5e6)

OUTLINE = shapely.Polygon([(1010, 2020), (9500, 2500), (7000, 9000), (2000, 6500)])


@given(shapes, sizes_m, places_m, places_m)
def test_the_cell_of_a_point_is_drawn_round_it(
    shape: str, size_m: float, x: float, y: float
) -> None:
    cells = Tessellation(shape, size_m)
    (polygon,) = cells.polygons(cells.cell_of(np.array([x]), np.array([y])))
    # Coordinates of millions of metres are known to a nanometre.
    assert shapely.distance(polygon, shapely.Point(x, y)) < 1e-8


@given(shapes, sizes_m, st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6))
def test_neighbours_share_their_corners_to_the_last_digit(
    shape: str, size_m: float, column: int, row: int
) -> None:
    cells = Tessellation(shape, size_m)
    centre = shapely.centroid(
        cells.polygons(cells.cell_of(np.array([column * size_m]), np.array([row * size_m])))[0]
    )
    angles = np.arange(4) * math.pi / 2 if shape == "square" else np.arange(6) * math.pi / 3
    around = cells.polygons(
        cells.cell_of(centre.x + size_m * np.cos(angles), centre.y + size_m * np.sin(angles))
    )
    own = cells.polygons(cells.cell_of(np.array([centre.x]), np.array([centre.y])))[0]
    corners = {tuple(corner) for corner in shapely.get_coordinates(own)}
    for neighbour in around:
        assert len(corners & {tuple(corner) for corner in shapely.get_coordinates(neighbour)}) == 2


@pytest.mark.parametrize("shape", SHAPES)
def test_cells_tile_without_gap_or_overlap(shape: str) -> None:
    cells = Tessellation(shape, 250).areas(OUTLINE, CRS)
    assert cells["inside_km2"].sum() == pytest.approx(OUTLINE.area / 1e6, rel=1e-12)
    assert cells.geometry.area.to_numpy() / 1e6 == pytest.approx(Tessellation(shape, 250).cell_km2)
    whole = shapely.union_all(cells.geometry.to_numpy())
    assert whole.area == pytest.approx(cells.geometry.area.sum(), rel=1e-12)
    assert shapely.covers(whole.buffer(1e-6), OUTLINE)


@pytest.mark.parametrize("shape", SHAPES)
def test_points_of_the_city_lie_in_cells_that_are_listed(shape: str) -> None:
    tessellation = Tessellation(shape, 330.5)
    cells = tessellation.areas(OUTLINE, CRS)
    rng = np.random.default_rng(1)
    x, y = rng.uniform(1000, 9500, 20_000), rng.uniform(2000, 9000, 20_000)
    inside = shapely.contains_xy(OUTLINE, x, y)
    assert np.isin(tessellation.cell_of(x[inside], y[inside]), cells["cell"]).all()
    # And the polygon that covers a point is the one of its cell.
    point, row = shapely.STRtree(cells.geometry.to_numpy()).query(
        shapely.points(x, y), predicate="within"
    )
    assert len(point) > 14_000
    assert (tessellation.cell_of(x[point], y[point]) == cells["cell"].to_numpy()[row]).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_code_means_the_same_ground_under_another_outline(shape: str) -> None:
    tessellation = Tessellation(shape, 250)
    here = tessellation.areas(OUTLINE, CRS).set_index("code")
    there = tessellation.areas(shapely.box(5000, 3000, 12000, 12000), CRS).set_index("code")
    both = here.index.intersection(there.index)
    assert len(both) > 100
    assert here.loc[both].geometry.geom_equals(there.loc[both].geometry).all()
    assert (here.loc[both, "cell"] == there.loc[both, "cell"]).all()


def test_a_square_code_tells_its_place_in_sizes() -> None:
    tessellation = Tessellation("square", 250)
    keys = tessellation.cell_of(np.array([454_100.0, -1.0]), np.array([4_420_300.0, -250.0]))
    assert tessellation.code_of(keys).tolist() == ["S250:1816:17681", "S250:-1:-1"]
    assert Tessellation("hexagon", 62.5).code_of(np.empty(0, np.int64)).tolist() == []
    assert Tessellation("hexagon", 62.5).code_of(keys[:1])[0].startswith("H62.5:")


@pytest.mark.parametrize("shape", SHAPES)
def test_codes_differ_where_cells_do(shape: str) -> None:
    cells = Tessellation(shape, 100).areas(OUTLINE, CRS)
    assert cells["code"].is_unique
    assert cells["cell"].is_unique
    assert cells["code"].is_monotonic_increasing


def test_a_corner_that_only_touches_the_city_is_no_cell_of_it() -> None:
    cells = Tessellation("square", 100).areas(shapely.box(0, 0, 200, 200), CRS)
    assert sorted(cells["code"]) == ["S100:0:0", "S100:0:1", "S100:1:0", "S100:1:1"]


def test_a_city_without_ground_has_no_cells() -> None:
    cells = Tessellation("hexagon", 100).areas(shapely.Polygon(), CRS)
    assert cells.empty
    assert cells.crs == CRS


@pytest.mark.parametrize("size_m", [0, -5, 0.5, math.nan, math.inf])
def test_a_size_that_is_none_is_refused(size_m: float) -> None:
    with pytest.raises(HotspotsRefused, match=r"cannot be laid\. Choose 1 m or more"):
        Tessellation("square", size_m)
