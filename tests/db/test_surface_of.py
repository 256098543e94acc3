"""What a street covers: `gridsvc.surface_of` against shapely's buffer, and the odd lines."""

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shapely import LineString, MultiLineString, MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry
from sqlalchemy import text
from sqlalchemy.orm import Session

from tests import small_city
from tests.factories import EAST_M, NORTH_M, box, plan

GRID_M = 0.001


def surface_of(session: Session, line: BaseGeometry, width_m: float | None) -> BaseGeometry | None:
    """Ask the database; what it gives is valid, on the grid and in the line's CRS."""
    row = session.execute(
        text(
            "SELECT ST_AsBinary(s) AS shape, ST_SRID(s) AS srid, ST_IsValid(s) AS valid, "
            "s = ST_SnapToGrid(s, 0.001) AS on_grid FROM gridsvc.surface_of("
            "ST_GeomFromWKB(:line, :srid), CAST(:width_m AS double precision)) AS s"
        ),
        {"line": shapely.to_wkb(line), "srid": small_city.SRID, "width_m": width_m},
    ).one()
    if row.shape is None:
        return None
    assert (row.srid, row.valid, row.on_grid) == (small_city.SRID, True, True)
    shape = shapely.from_wkb(bytes(row.shape))
    assert isinstance(shape, MultiPolygon)
    return shape


def buffered(line: BaseGeometry, width_m: float) -> BaseGeometry:
    shape: BaseGeometry = shapely.buffer(
        line, width_m / 2, cap_style="flat", join_style="round", quad_segs=8
    )
    return shape


def assert_same(mine: BaseGeometry | None, theirs: BaseGeometry) -> None:
    """Hold two shapes to each other but for rounding, half a millimetre along each edge."""
    assert mine is not None
    off_m2 = shapely.symmetric_difference(mine, theirs).area
    assert off_m2 <= GRID_M * (mine.length + theirs.length)


LINES = {
    "straight": ([(0, 0), (100, 0)], 9.0),
    "square bend": ([(0, 0), (100, 0), (100, 80)], 9.0),
    "bend sharper than the width": ([(0, 0), (60, 0), (0, 3)], 12.0),
    "bends closer than the width": ([(0, 0), (10, 0), (10, 2), (0, 2), (0, 4), (30, 4)], 12.0),
    "line across itself": ([(0, 0), (100, 100), (100, 0), (0, 100)], 9.0),
    "shorter than wide": ([(0, 0), (1, 0)], 42.0),
    "open by a millimetre": ([(0, 0), (90, 0), (90, 90), (0, 90), (0, 0.001)], 9.0),
    "a millimetre long": ([(0, 0), (0.001, 0)], 9.0),
    "a millimetre and a bit wide": ([(0, 0), (100, 0)], 0.002),
}


@pytest.mark.parametrize("name", LINES)
def test_a_line_covers_what_shapely_buffers(session: Session, name: str) -> None:
    xy, width_m = LINES[name]
    line = plan(LineString(xy))
    assert_same(surface_of(session, line, width_m), buffered(line, width_m))


@given(
    xy=st.lists(
        st.tuples(st.integers(0, 400_000), st.integers(0, 400_000)),
        min_size=2,
        max_size=7,
        unique=True,
    ),
    width_mm=st.integers(500, 60_000),
)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_line_covers_what_shapely_buffers(
    session: Session, xy: list[tuple[int, int]], width_mm: int
) -> None:
    # Whole millimetres: rounding a line first could turn its ends, which is tested by itself.
    line = LineString(np.array([EAST_M, NORTH_M]) + np.array(xy) / 1000)
    line = shapely.set_precision(line, GRID_M, mode="pointwise")
    width_m = width_mm / 1000
    assert_same(surface_of(session, line, width_m), buffered(line, width_m))


def test_an_end_is_flat_and_a_bend_is_round(session: Session) -> None:
    line = plan(LineString([(0, 0), (100, 0), (100, 100)]))
    surface = surface_of(session, line, 20)
    assert surface is not None
    assert surface.bounds == plan(shapely.box(0, -10, 110, 100)).bounds
    corner = plan(shapely.Point(110, -10))
    assert corner.distance(surface) == pytest.approx(10 * (np.sqrt(2) - 1), abs=0.1)


def test_a_ring_is_a_bend_all_round(session: Session) -> None:
    ring = [(0, 0), (100, 0), (100, 100), (0, 100)]
    for n in range(4):
        begun = [*ring[n:], *ring[:n]]
        surface = surface_of(session, plan(LineString([*begun, begun[0]])), 10)
        assert_same(surface, buffered(plan(shapely.LinearRing(ring)), 10))
        assert isinstance(surface, MultiPolygon)
        assert [len(part.interiors) for part in surface.geoms] == [1]


def test_parts_that_meet_end_to_end_are_one_street(session: Session) -> None:
    whole = plan(LineString([(0, 0), (100, 0), (100, 80)]))
    for parts in (
        [[(0, 0), (100, 0)], [(100, 0), (100, 80)]],
        [[(0, 0), (100, 0)], [(100, 80), (100, 0)]],
        [[(100, 80), (100, 0)], [(100, 0), (0, 0)], [(0, 0), (100, 0)]],  # one is there twice
    ):
        line = plan(MultiLineString(parts))
        assert_same(surface_of(session, line, 9), buffered(whole, 9))


def test_parts_that_lie_apart_are_areas_apart(session: Session) -> None:
    line = plan(MultiLineString([[(0, 0), (100, 0)], [(0, 50), (100, 50)]]))
    surface = surface_of(session, line, 10)
    assert isinstance(surface, MultiPolygon)
    assert len(surface.geoms) == 2
    assert surface.equals(box(0, -5, 100, 5).union(box(0, 45, 100, 55)))


def test_points_that_stand_twice_change_nothing(session: Session) -> None:
    twice = plan(LineString([(0, 0), (0, 0), (100, 0), (100, 0.0004), (100, 80), (100, 80)]))
    once = plan(LineString([(0, 0), (100, 0), (100, 80)]))
    assert surface_of(session, twice, 9) == surface_of(session, once, 9)


def test_the_line_is_rounded_before_it_is_widened(session: Session) -> None:
    rough = plan(LineString([(0.00031, 0.00044), (99.99962, -0.00021)]))
    assert surface_of(session, rough, 9) == surface_of(
        session, plan(LineString([(0, 0), (100, 0)])), 9
    )


def test_heights_are_dropped(session: Session) -> None:
    line = plan(LineString([(0, 0), (100, 0)]))
    high = shapely.force_3d(line, 50.0)
    assert surface_of(session, high, 9) == surface_of(session, line, 9)


STRAIGHT = plan(LineString([(0, 0), (100, 0)]))
NOTHING: dict[str, tuple[BaseGeometry, float | None]] = {
    "no width": (STRAIGHT, None),
    "zero": (STRAIGHT, 0.0),
    "negative": (STRAIGHT, -9.0),
    "not a number": (STRAIGHT, float("nan")),
    "infinite": (STRAIGHT, float("inf")),
    "beyond all measure": (STRAIGHT, 1e300),
    "thinner than the grid": (STRAIGHT, 0.0005),
    "an empty line": (LineString(), 9.0),
    "one point": (plan(LineString([(0, 0), (0, 0)])), 9.0),
    "less than a millimetre long": (plan(LineString([(0, 0), (0.0004, 0)])), 9.0),
    "a point": (plan(shapely.Point(0, 0)), 9.0),
    "a polygon": (plan(Polygon([(0, 0), (10, 0), (10, 10)])), 9.0),
}


@pytest.mark.parametrize("name", NOTHING)
def test_what_covers_nothing_is_null(session: Session, name: str) -> None:
    assert surface_of(session, *NOTHING[name]) is None
