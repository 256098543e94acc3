"""What drafted strips promise: apart, on their side of the road, at their wall, parted at half."""

from itertools import combinations
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from gridsvc.grids.frontage import Refusal, draft_strips

WALL = shapely.box(0, 10, 60, 20)
CENTRE = shapely.LineString([(-50, 0), (110, 0)])
KERB = shapely.LineString([(-50, 4), (110, 4)])


def objects(*items: shapely.Geometry) -> np.ndarray:
    return np.array(items, dtype=object)


def shop(x: float) -> shapely.Point:
    return shapely.Point(x, 10)


places = st.lists(st.integers(1, 59_000).map(lambda mm: mm / 1000), min_size=1, max_size=8)


@given(xs=places, slope=st.floats(-0.1, 0.1), with_kerb=st.booleans())
def test_strips_do_not_overlap_and_stay_between_wall_and_line(
    xs: list[float], slope: float, *, with_kerb: bool
) -> None:
    road = shapely.LineString([(-50, -50 * slope), (110, 110 * slope)])
    kerb = shapely.LineString([(-50, 4 - 50 * slope / 4), (110, 4 + 110 * slope / 4)])
    lines = objects(road, kerb) if with_kerb else objects(road)
    draft = draft_strips(objects(*map(shop, xs)), objects(WALL), lines)
    strips = [strip for strip in draft.strips if strip is not None]
    assert len(strips) + len(draft.refused) == len(xs)
    beyond = shapely.Polygon([*road.coords, (110, -99), (-50, -99)])
    for one, other in combinations(strips, 2):
        assert not shapely.relate_pattern(one, other, "T********")
    for strip in strips:
        assert strip.distance(WALL) <= 0.001
        assert strip.intersection(WALL).area <= 0.001 * 61
        assert strip.intersection(beyond).area <= 0.001 * 100
    again = draft_strips(objects(*map(shop, xs)), objects(WALL), lines)
    assert again == draft


def test_the_gap_between_neighbours_is_split_at_half() -> None:
    left, right = draft_strips(objects(shop(10), shop(21)), objects(WALL), objects(CENTRE)).strips
    assert left is not None
    assert right is not None
    assert left.bounds == pytest.approx((0, 0, 15.5, 10), abs=0.001)
    assert right.bounds == pytest.approx((15.5, 0, 36, 10), abs=0.001)


def test_a_shop_drawn_as_a_polygon_has_its_front_at_the_street() -> None:
    left, right = shapely.box(0, 10, 8, 20), shapely.box(8, 10, 20, 20)
    # A wall towards a yard is longer than the front; a street behind is farther away.
    lane = shapely.LineString([(-50, 45), (110, 45)])
    draft = draft_strips(objects(left, right), objects(), objects(CENTRE, lane))
    one, other = draft.strips
    assert draft.refused == {}
    assert one is not None
    assert other is not None
    assert one.bounds == pytest.approx((0, 0, 8, 10), abs=0.001)
    assert other.bounds == pytest.approx((8, 0, 20, 10), abs=0.001)
    assert not shapely.relate_pattern(one, other, "T********")


def test_a_house_whose_ring_crosses_itself_keeps_strips_out() -> None:
    bow = shapely.Polygon([(20, 3), (40, 3), (20, 8), (40, 8)])
    (strip,) = draft_strips(objects(shop(30)), objects(WALL, bow), objects(CENTRE)).strips
    assert strip is not None
    assert strip.intersection(shapely.make_valid(bow)).area <= 0.1


def test_a_polygon_away_from_any_road_is_refused() -> None:
    draft = draft_strips(objects(shapely.box(0, 60, 8, 70)), objects(), objects(CENTRE))
    assert (draft.strips, draft.refused) == ([None], {0: Refusal.NO_ROAD})


def test_a_strip_ends_at_the_kerb_where_there_is_one() -> None:
    (strip,) = draft_strips(objects(shop(30)), objects(WALL), objects(CENTRE, KERB)).strips
    assert strip is not None
    assert strip.bounds == pytest.approx((15, 4, 45, 10), abs=0.001)


def test_a_shop_out_of_reach_of_any_road_or_wall_is_refused() -> None:
    shops = objects(shop(30), shapely.Point(30, -40))
    draft = draft_strips(shops, objects(WALL), objects(CENTRE), reach_m=9.9)
    assert draft.refused == {0: Refusal.NO_ROAD, 1: Refusal.NO_WALL}


def test_a_building_in_front_is_not_entered() -> None:
    kiosk = shapely.box(28, 5, 32, 7)
    (strip,) = draft_strips(objects(shop(30)), objects(WALL, kiosk), objects(CENTRE)).strips
    assert strip is not None
    assert strip.intersection(kiosk).area == 0


def test_the_hefei_campus(shared_data: Path) -> None:
    """Made-up shops at the middle of each building's longest wall."""
    folder = shared_data / "china"
    read = [
        gpd.read_file(folder / f"hefei_hfut_{name}_osm.geojson").to_crs("EPSG:32650").geometry
        for name in ("buildings", "roads")
    ]
    buildings, roads = (frame[~frame.is_empty].dropna().to_numpy() for frame in read)
    shops = []
    for ring in shapely.get_exterior_ring(shapely.get_parts(buildings)):
        ends = shapely.get_coordinates(ring)
        n = int(np.argmax(np.hypot(*np.diff(ends, axis=0).T)))
        shops.append(shapely.Point(ends[n : n + 2].mean(axis=0)))
    draft = draft_strips(objects(*shops), buildings, roads)
    strips = objects(*(strip for strip in draft.strips if strip is not None))
    assert len(strips) + len(draft.refused) == len(shops)
    assert len(strips) > 0
    left, right = shapely.STRtree(strips).query(strips, "intersects")
    pairs = left < right
    inner = shapely.relate_pattern(strips[left[pairs]], strips[right[pairs]], "T********")
    assert not inner.any()
    tree = shapely.STRtree(shapely.make_valid(buildings))
    which, building = tree.query(strips, "intersects")
    inside = shapely.intersection(strips[which], tree.geometries[building])
    assert shapely.area(inside).max(initial=0) < 0.1
