"""A point's areas: edges included, one owner each, and exact where floating point is not.

Source: gridsvc/routing/sql/functions/11_covering.sql
"""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry
from sqlalchemy import text
from sqlalchemy.orm import Session

from tests import factories
from tests.factories import EAST_M, NORTH_M, covering_codes, found
from tests.places import AREAS, PLACES, Place

Points = NDArray[np.float64]


def at_mm(east_mm: NDArray[np.int64], north_mm: NDArray[np.int64]) -> Points:
    """Coordinates of the storage CRS for whole millimetres of the plan, as PostGIS rounds them."""
    return np.column_stack([east_mm + EAST_M * 1000, north_mm + NORTH_M * 1000]) * 0.001


def exactly_covers(area: BaseGeometry, point: Points) -> bool:
    """Judge with rational numbers whether the closure of an area holds a point."""
    x, y = Fraction(float(point[0])), Fraction(float(point[1]))
    inside = False
    for ring in shapely.get_rings(shapely.get_parts(area)):
        corners = [(Fraction(float(a)), Fraction(float(b))) for a, b in ring.coords]
        for (x1, y1), (x2, y2) in pairwise(corners):
            turn = (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1)
            if turn == 0 and min(x1, x2) <= x <= max(x1, x2) and min(y1, y2) <= y <= max(y1, y2):
                return True
            if (y1 > y) != (y2 > y) and (turn > 0) == (y2 > y1):
                inside = not inside
    return inside


def by_shapely(areas: dict[str, BaseGeometry], points: Points) -> list[list[str]]:
    """Give the codes whose closure holds each point, in bytewise order, as GEOS judges."""
    codes = sorted(areas, key=str.encode)
    tree = shapely.STRtree([areas[code] for code in codes])
    covered: list[list[str]] = [[] for _ in points]
    for n, area in sorted(zip(*tree.query(shapely.points(points), "covered_by"), strict=True)):
        covered[n].append(codes[area])
    return covered


def disagreements(
    session: Session, areas: dict[str, BaseGeometry], points: Points
) -> tuple[int, list[tuple[Points, list[str], list[str]]]]:
    """Count where SQL and GEOS differ; give the points where SQL errs by exact arithmetic."""
    by_sql = covering_codes(session, points, layer="district")
    differing = [
        (point, one)
        for point, one, other in zip(points, by_sql, by_shapely(areas, points), strict=True)
        if one != other
    ]
    wrong = []
    for point, one in differing:
        exact = [
            code for code in sorted(areas, key=str.encode) if exactly_covers(areas[code], point)
        ]
        if one != exact:
            wrong.append((point, one, exact))
    return len(differing), wrong


def publish_tiling(session: Session, areas: dict[str, BaseGeometry]) -> None:
    found(session, {("district", code): shape for code, shape in areas.items()})


@pytest.fixture
def tiling(session: Session) -> Session:
    publish_tiling(session, AREAS)
    return session


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
def test_a_telling_point_is_covered_by_these_areas(tiling: Session, place: Place) -> None:
    point = np.array([[EAST_M + place.east_m, NORTH_M + place.north_m]])
    assert covering_codes(tiling, point, layer="district") == [list(place.codes)]


@pytest.mark.parametrize("name", ["shared edge", "vertex of four", "edge of the island"])
def test_the_owner_of_a_shared_point_is_the_lowest_code(tiling: Session, name: str) -> None:
    place = PLACES[name]
    given_areas = factories.ask(tiling, east_m=place.east_m, north_m=place.north_m)["areas"]
    assert given_areas["district"]["code"] == place.codes[0]


def voronoi(rng: np.random.Generator, cells: int, side_m: int) -> dict[str, BaseGeometry]:
    """Tile a square with the cells of random points, every vertex on the millimetre grid.

    Rounding each vertex keeps neighbours' edges shared.
    """
    seeds = shapely.multipoints(rng.uniform(0, side_m, (cells, 2)))
    square = shapely.box(0, 0, side_m, side_m)
    edges = shapely.voronoi_polygons(seeds, extend_to=square, only_edges=True)
    # Noded before it is rounded, so that three cells meet in one vertex.
    lines = shapely.union_all([shapely.intersection(edges, square), square.exterior])
    rounded = shapely.transform(lines, lambda xy: np.round(xy, 3))
    polygons = shapely.get_parts(shapely.polygonize([rounded]))
    codes = rng.permutation(len(polygons))
    return {
        f"{code:04}": shapely.transform(
            polygon,
            lambda xy: at_mm(*np.rint(xy * 1000).astype(np.int64).T),
        )
        for code, polygon in zip(codes, polygons, strict=True)
    }


@pytest.fixture
def cells() -> dict[str, BaseGeometry]:
    cells = voronoi(np.random.default_rng(20260101), 300, 5000)
    assert len(cells) == 300
    return cells


def test_sql_and_shapely_agree_on_random_points(
    session: Session, cells: dict[str, BaseGeometry]
) -> None:
    publish_tiling(session, cells)
    rng = np.random.default_rng(1)
    points = at_mm(*rng.integers(-50_000, 5_050_000, (2, 20_000)))
    _, wrong = disagreements(session, cells, points)
    assert wrong == []


def test_every_vertex_and_midpoint_of_an_edge_is_judged_exactly(
    session: Session, cells: dict[str, BaseGeometry]
) -> None:
    publish_tiling(session, cells)
    rings = [shapely.get_coordinates(shape) for shape in cells.values()]
    vertices = np.concatenate(rings)
    midpoints = np.concatenate([(ring[1:] + ring[:-1]) / 2 for ring in rings])
    points = np.unique(np.concatenate([vertices, midpoints]), axis=0)
    _, wrong = disagreements(session, cells, points)
    assert wrong == []
    owners = covering_codes(session, vertices, layer="district")
    assert min(map(len, owners)) >= 1
    assert max(map(len, owners)) >= 3


def test_points_of_one_ulp_beside_an_edge_are_judged_exactly(
    session: Session, cells: dict[str, BaseGeometry]
) -> None:
    publish_tiling(session, cells)
    rings = [shapely.get_coordinates(shape) for shape in list(cells.values())[:60]]
    midpoints = np.concatenate([(ring[1:] + ring[:-1]) / 2 for ring in rings])
    beside = np.concatenate(
        [np.nextafter(midpoints, sign * np.inf) for sign in (-1, 1)]
        + [np.column_stack([np.nextafter(midpoints[:, 0], np.inf), midpoints[:, 1]])]
    )
    _, wrong = disagreements(session, cells, beside)
    assert wrong == []


def wavy(vertices: int, radius_m: float = 900) -> BaseGeometry:
    """Draw a large area with a hole: so many vertices that it is asked in pieces."""
    angle = np.linspace(0, 2 * np.pi, vertices, endpoint=False)
    radius = radius_m + 60 * np.sin(37 * angle) + 11 * np.sin(211 * angle)
    shell = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    shape = shapely.Polygon(shell, [shell[::-3] / 3])
    return shapely.transform(shape, lambda xy: at_mm(*np.rint(xy * 1000).astype(np.int64).T))


@pytest.fixture
def large(session: Session) -> tuple[Session, dict[str, BaseGeometry]]:
    shape = wavy(4000)
    assert shape.is_valid
    areas = {"large": shape}
    publish_tiling(session, areas)
    return session, areas


def pieces(session: Session) -> list[BaseGeometry]:
    rows = session.execute(text("SELECT ST_AsBinary(piece) FROM gridsvc.area_piece")).scalars()
    return [shapely.from_wkb(bytes(row)) for row in rows]


def test_points_on_the_seams_of_a_subdivided_area_are_inside(
    large: tuple[Session, dict[str, BaseGeometry]],
) -> None:
    session, areas = large
    parts = pieces(session)
    assert len(parts) > 30
    corners = np.concatenate([shapely.get_coordinates(part) for part in parts])
    edges = np.concatenate(
        [(ring[1:] + ring[:-1]) / 2 for ring in map(shapely.get_coordinates, parts)]
    )
    points = np.unique(np.concatenate([corners, edges]), axis=0)
    within = shapely.distance(areas["large"].boundary, shapely.points(points)) > 0.001
    assert within.sum() > 60
    on_seams = covering_codes(session, points[within], layer="district")
    assert on_seams == [["large"]] * int(within.sum())


def test_cutting_moves_no_edge_of_a_large_area(
    large: tuple[Session, dict[str, BaseGeometry]],
) -> None:
    # Where a seam cuts a slanted edge the cut is rounded: points there show whether it matters.
    session, areas = large
    corners = np.unique(shapely.get_coordinates(pieces(session)), axis=0)
    vertices = shapely.get_coordinates(areas["large"])
    made_by_cuts = corners[~np.isin(corners, vertices).all(axis=1)]
    rng = np.random.default_rng(3)
    near = [
        made_by_cuts + rng.normal(0, spread_m, made_by_cuts.shape)
        for spread_m in (0, 1e-9, 1e-6, 1e-4, 1e-2)
    ]
    _, wrong = disagreements(session, areas, np.concatenate([vertices[::40], *near]))
    assert wrong == []


millimetres = st.integers(0, 60).map(lambda step: step * 7919)


@given(data=st.data())
# Each example takes its own savepoint back.
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_triangle_and_any_point_are_judged_exactly(
    session: Session, data: st.DataObject
) -> None:
    corners = data.draw(st.lists(st.tuples(millimetres, millimetres), min_size=3, max_size=3))
    triangle = shapely.Polygon(at_mm(*np.array(corners, dtype=np.int64).T))
    if triangle.area < 1:
        return
    others = data.draw(st.lists(st.tuples(millimetres, millimetres), min_size=1, max_size=20))
    weights = np.array(data.draw(st.lists(st.integers(0, 8), min_size=1, max_size=8))) / 8
    ring = shapely.get_coordinates(triangle)
    along = np.concatenate([ring[:-1] + weight * (ring[1:] - ring[:-1]) for weight in weights])
    points = np.concatenate([at_mm(*np.array(others, dtype=np.int64).T), along])
    with session.begin_nested() as example:
        publish_tiling(session, {"t": triangle})
        _, wrong = disagreements(session, {"t": triangle}, points)
        example.rollback()
    assert wrong == []
