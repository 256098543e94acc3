"""The index against GEOS: random points, and all those on which arithmetic could stumble."""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry.base import BaseGeometry

from gridsvc.routing import index_engine, lookup, lookup_numpy
from gridsvc.routing.index import AreaIndex
from gridsvc.routing.orientation import sides

WEST_M, SOUTH_M = 440_000.0, 4_405_000.0
ORIGIN_M = np.array([WEST_M, SOUTH_M])
SIDE = 30
STEP_M = 83.0


@pytest.fixture(scope="module")
def areas() -> dict[int, BaseGeometry]:
    """Crooked units, blocks of ten by ten, ragged overlays with holes, boxes on the grid."""
    rng = np.random.default_rng(1)
    nodes = np.stack(np.meshgrid(np.arange(SIDE + 1.0), np.arange(SIDE + 1.0)), axis=-1) * STEP_M
    nodes = np.round(nodes + rng.uniform(-0.3, 0.3, nodes.shape) * STEP_M + ORIGIN_M, 3)
    units = [_block(nodes, i, j, 1) for i in range(SIDE) for j in range(SIDE)]
    blocks = [_block(nodes, i, j, 10) for i in range(0, SIDE, 10) for j in range(0, SIDE, 10)]
    overlays = []
    for n, centre in enumerate(rng.uniform(0, SIDE * STEP_M, (400, 2)) + ORIGIN_M):
        middle = shapely.Point(centre)
        ground = shapely.buffer(middle, rng.uniform(5, 60), quad_segs=int(rng.integers(1, 6)))
        if n % 5 == 0:
            ground = shapely.difference(ground, shapely.buffer(middle, 4.0))
        overlays.append(shapely.set_precision(ground, 0.001))
    # Their edges lie on the lines of the index's own cells.
    boxes = [
        shapely.box(WEST_M + k, SOUTH_M + k, WEST_M + k + 64, SOUTH_M + k + 32)
        for k in range(0, 1280, 64)
    ]
    return dict(enumerate([*units, *blocks, *overlays, *boxes]))


def _block(nodes: np.ndarray, i: int, j: int, side: int) -> BaseGeometry:
    ring = [
        *nodes[i, j : j + side],
        *nodes[i : i + side, j + side],
        *nodes[i + side, j + side : j : -1],
        *nodes[i + side : i : -1, j],
    ]
    return shapely.Polygon(ring)


def build(areas: dict[int, BaseGeometry]) -> AreaIndex:
    return AreaIndex.build(np.array(list(areas)), _array(areas.values()))


def _array(boundaries: object) -> np.ndarray:
    listed = list(boundaries)  # type: ignore[call-overload]
    array = np.empty(len(listed), object)
    array[:] = listed
    return array


@pytest.fixture(scope="module")
def built(areas: dict[int, BaseGeometry]) -> AreaIndex:
    return build(areas)


@pytest.fixture(params=["compiled", "numpy"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name: str = request.param
    used = lookup if name == "compiled" else lookup_numpy
    monkeypatch.setattr(index_engine, "engine", lambda: used)
    return name


def random_points(count: int, seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-100, SIDE * STEP_M + 200, (2, count))
    return x + WEST_M, y + SOUTH_M


def torture_points(areas: dict[int, BaseGeometry]) -> tuple[np.ndarray, np.ndarray]:
    """All vertices, places on and a hair beside edges, and crossings of the cells' lines."""
    rng = np.random.default_rng(6)
    ends = [shapely.get_coordinates(ring) for ring in shapely.boundary(_array(areas.values()))]
    a = np.concatenate([ring[:-1] for ring in ends])
    b = np.concatenate([ring[1:] for ring in ends])
    middles = (a + b) / 2
    anywhere = a + (b - a) * rng.uniform(0, 1, (len(a), 1))
    corners = np.stack(np.meshgrid(np.arange(0, 400, 8.0), np.arange(0, 400, 8.0)), axis=-1)
    level = np.column_stack([a[:, 0] - rng.uniform(0, 30, len(a)), a[:, 1]])
    xy = np.concatenate(
        [
            a,
            middles,
            np.round(middles, 3),
            anywhere,
            np.nextafter(anywhere, np.inf),
            corners.reshape(-1, 2) + ORIGIN_M,
            level,
        ]
    )
    return xy[:, 0].copy(), xy[:, 1].copy()


def pairs_by_geos(
    areas: dict[int, BaseGeometry], x: np.ndarray, y: np.ndarray
) -> set[tuple[int, int]]:
    point, area = shapely.STRtree(list(areas.values())).query(
        shapely.points(x, y), predicate="intersects"
    )
    return set(zip(point.tolist(), np.array(list(areas))[area].tolist(), strict=True))


def pairs_by(index: AreaIndex, x: np.ndarray, y: np.ndarray) -> set[tuple[int, int]]:
    found = index.find(x, y)
    listed = {
        number: index.areas_of(number)
        if number < index.combinations
        else found.extra[number - index.combinations]
        for number in np.unique(found.combination).tolist()
    }
    return {
        (n, int(index.ids[row]))
        for n, number in enumerate(found.combination.tolist())
        for row in listed[number]
    }


@pytest.mark.usefixtures("engine")
def test_equals_geos_at_random_points(areas: dict[int, BaseGeometry], built: AreaIndex) -> None:
    x, y = random_points(60_000)
    assert pairs_by(built, x, y) == pairs_by_geos(areas, x, y)


@pytest.mark.usefixtures("engine")
def test_equals_geos_on_and_beside_every_edge(
    areas: dict[int, BaseGeometry], built: AreaIndex
) -> None:
    x, y = torture_points(areas)
    assert len(x) > 40_000
    assert pairs_by(built, x, y) == pairs_by_geos(areas, x, y)


def test_one_point_is_found_as_many_are(
    areas: dict[int, BaseGeometry], built: AreaIndex, engine: str
) -> None:
    assert engine
    x, y = random_points(300)
    edge_x, edge_y = torture_points(areas)
    x, y = np.concatenate([x, edge_x[::400]]), np.concatenate([y, edge_y[::400]])
    one_by_one = {
        (n, int(built.ids[row]))
        for n in range(len(x))
        for row in built.areas_at(float(x[n]), float(y[n]))
    }
    assert one_by_one == pairs_by(built, x, y)


@pytest.mark.usefixtures("engine")
def test_finds_no_area_where_there_is_no_number(built: AreaIndex) -> None:
    nowhere = np.array([np.nan, np.inf, -np.inf, WEST_M, 0.0])
    found = built.find(nowhere, np.array([SOUTH_M, SOUTH_M, SOUTH_M, np.nan, 0.0]))
    assert found.combination.tolist() == [0] * 5
    assert built.areas_of(0) == ()


def test_lists_nearly_every_place_in_the_tables(built: AreaIndex) -> None:
    """Only what is on an edge, or a sliver, may take the long way."""
    x, y = random_points(200_000, seed=7)
    found = np.empty(len(x), np.int32)
    assert lookup.find_all(built.layout, x, y, found) <= 2


def test_both_engines_walk_alike(built: AreaIndex) -> None:
    x, y = random_points(20_000, seed=8)
    found = [np.empty(len(x), np.int32) for _ in range(2)]
    engines: tuple[ModuleType, ...] = (lookup, lookup_numpy)
    for engine, numbers in zip(engines, found, strict=True):
        engine.find_all(built.layout, x, y, numbers)
    assert np.array_equal(*found)


@pytest.mark.usefixtures("engine")
def test_measures_to_the_areas_own_boundary(
    areas: dict[int, BaseGeometry], built: AreaIndex
) -> None:
    rng = np.random.default_rng(9)
    x, y = random_points(2_000)
    rows = rng.integers(0, len(areas), len(x))
    nearest = built.nearest_edge(rows, x, y)
    edges = shapely.boundary(_array(areas.values())[rows])
    assert np.allclose(
        nearest.distance_m, shapely.distance(edges, shapely.points(x, y)), rtol=0, atol=1e-8
    )
    assert np.allclose(built.edge_m(rows, x, y), nearest.distance_m, rtol=0, atol=1e-8)
    feet = shapely.points(nearest.x, nearest.y)
    assert shapely.distance(edges, feet).max() < 1e-8


def test_misses_no_area_near_a_point(areas: dict[int, BaseGeometry], built: AreaIndex) -> None:
    boundaries = _array(areas.values())
    for x, y in zip(*random_points(100), strict=True):
        for within_m in (0.0, 1.0, 40.0):
            meant = np.flatnonzero(shapely.dwithin(boundaries, shapely.Point(x, y), within_m))
            assert np.isin(meant, built.near(x, y, within_m)).all()


def test_keeps_boundaries_as_they_are(areas: dict[int, BaseGeometry], built: AreaIndex) -> None:
    assert all(
        shapely.equals_exact(built.boundary(row), boundary, 0.0) for row, boundary in areas.items()
    )


class _Edits:
    """Publishes, one after the other, of every kind."""

    def __init__(self, areas: dict[int, BaseGeometry]) -> None:
        self.areas = dict(areas)
        self.fresh = max(areas) + 1
        self.rng = np.random.default_rng(11)

    def publish(self, index: AreaIndex, step: int) -> AreaIndex:
        kinds = (self.moved_node, self.ended, self.added, self.shifted, self.unmoved)
        ended, new = kinds[step % len(kinds)]()
        ids = np.arange(self.fresh, self.fresh + len(new))
        self.fresh += len(new)
        patched = index.patched(
            ended=np.array(ended, np.int64),
            ids=ids,
            boundaries=_array(boundary for _, boundary in new),
            replaced=np.array([old for old, _ in new], np.int64),
        )
        for old in [*ended, *(old for old, _ in new if old >= 0)]:
            del self.areas[old]
        self.areas |= {int(one): boundary for one, (_, boundary) in zip(ids, new, strict=True)}
        return patched

    def _any(self) -> int:
        return int(self.rng.choice(list(self.areas)))

    def moved_node(self) -> tuple[list[int], list[tuple[int, BaseGeometry]]]:
        """Move one node for all areas that have it."""
        node = shapely.get_coordinates(self.areas[self._any()])[0]
        to = np.round(node + self.rng.uniform(-5, 5, 2), 3)
        moved = []
        for one, boundary in self.areas.items():
            if (shapely.get_coordinates(boundary) == node).all(axis=1).any():
                new = shapely.transform(
                    boundary, lambda xy: np.where((xy == node).all(axis=1)[:, None], to, xy)
                )
                if new.is_valid:
                    moved.append((one, new))
        return [], moved

    def ended(self) -> tuple[list[int], list[tuple[int, BaseGeometry]]]:
        return [self._any()], []

    def added(self) -> tuple[list[int], list[tuple[int, BaseGeometry]]]:
        """Add one with a hole, and one of two parts."""
        centre = shapely.Point(self.rng.uniform(400, 2000, 2) + ORIGIN_M)
        ring = shapely.difference(
            shapely.buffer(centre, self.rng.uniform(10, 400), quad_segs=3),
            shapely.buffer(centre, 6.0),
        )
        corner = np.round(self.rng.uniform(400, 1000, 2), 3) + ORIGIN_M
        parts = [
            shapely.box(*corner, *(corner + 20)),
            shapely.box(*(corner + 900), *(corner + 950)),
        ]
        return [], [(-1, shapely.set_precision(ring, 0.001)), (-1, shapely.MultiPolygon(parts))]

    def shifted(self) -> tuple[list[int], list[tuple[int, BaseGeometry]]]:
        one = self._any()
        return [], [(one, shapely.transform(self.areas[one], lambda xy: np.round(xy + 3.2, 3)))]

    def unmoved(self) -> tuple[list[int], list[tuple[int, BaseGeometry]]]:
        """Give an area a new version on the same ground."""
        one = self._any()
        return [], [(one, self.areas[one])]


def test_patched_equals_rebuilt_and_leaves_the_old_one_alone(
    areas: dict[int, BaseGeometry], built: AreaIndex
) -> None:
    x, y = random_points(20_000, seed=12)
    before = pairs_by(built, x, y)
    edits, index = _Edits(areas), built
    for step in range(40):
        index = edits.publish(index, step)
        if step % 8 == 7:
            edge_x, edge_y = torture_points(dict(list(edits.areas.items())[-8:]))
            all_x, all_y = np.concatenate([x, edge_x]), np.concatenate([y, edge_y])
            assert pairs_by(index, all_x, all_y) == pairs_by(build(edits.areas), all_x, all_y)
            assert pairs_by(index, all_x, all_y) == pairs_by_geos(edits.areas, all_x, all_y)
    assert pairs_by(built, x, y) == before


def test_two_patches_of_one_index_do_not_meet(
    areas: dict[int, BaseGeometry], built: AreaIndex
) -> None:
    first, second = _Edits(areas), _Edits(areas)
    one = first.publish(built, 2)
    second.rng = np.random.default_rng(99)
    other = second.publish(built, 2)
    x, y = random_points(20_000, seed=13)
    assert pairs_by(one, x, y) == pairs_by_geos(first.areas, x, y)
    assert pairs_by(other, x, y) == pairs_by_geos(second.areas, x, y)


def test_grows_beyond_its_grid(areas: dict[int, BaseGeometry], built: AreaIndex) -> None:
    far = shapely.box(WEST_M + 9000, SOUTH_M - 7000, WEST_M + 9100, SOUTH_M - 6900)
    index = built.patched(ids=np.array([5000]), boundaries=_array([far]), replaced=np.array([-1]))
    assert index.areas_at(WEST_M + 9050, SOUTH_M - 6950) == (len(areas),)
    x, y = random_points(5_000)
    assert pairs_by(index, x, y) == pairs_by_geos(areas, x, y)


def test_refuses_to_change_what_it_has_not(built: AreaIndex) -> None:
    with pytest.raises(ValueError, match="1 of the areas that change are not in the index"):
        built.patched(ended=np.array([123_456]))


def test_holds_no_area_at_all() -> None:
    index = AreaIndex.build(np.empty(0, np.int64), np.empty(0, object))
    assert index.areas_at(0.0, 0.0) == ()
    square = shapely.box(0, 0, 10, 10)
    index = index.patched(ids=np.array([7]), boundaries=_array([square]), replaced=np.array([-1]))
    assert index.areas_at(10.0, 10.0) == (0,)


@pytest.fixture
def saved(built: AreaIndex, tmp_path: Path) -> Path:
    built.save(tmp_path)
    return tmp_path


def test_is_the_same_once_saved_and_can_be_patched(
    areas: dict[int, BaseGeometry], saved: Path
) -> None:
    x, y = random_points(20_000)
    loaded = AreaIndex.load(saved)
    expected = pairs_by_geos(areas, x, y)
    assert pairs_by(loaded, x, y) == expected
    edits = _Edits(areas)
    patched = edits.publish(loaded, 2)
    assert pairs_by(patched, x, y) == pairs_by_geos(edits.areas, x, y)
    # What a process patches is its own: the files stay.
    assert pairs_by(AreaIndex.load(saved), x, y) == expected


def test_refuses_another_format(saved: Path) -> None:
    about = saved / "index.json"
    about.write_text(about.read_text().replace('"format": 1', '"format": 0'))
    with pytest.raises(ValueError, match="has format 0, not 1"):
        AreaIndex.load(saved)


def test_answers_where_the_compiler_is_off() -> None:
    code = (
        "import numpy, shapely; from gridsvc.routing import index, index_engine;"
        "assert index_engine.engine().__name__.endswith('lookup_numpy');"
        "made = index.AreaIndex.build(numpy.array([4]), numpy.array([shapely.box(0, 0, 9, 9)]));"
        "assert made.areas_at(3.0, 3.0) == (0,) == made.areas_at(9.0, 3.0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"NUMBA_DISABLE_JIT": "1"})


NUMBERS = st.integers(-(2**20), 2**20).map(lambda n: n / 1000)


@given(*[NUMBERS] * 4, st.fractions(0, 1), st.sampled_from([-1, 0, 1]))
def test_sides_are_those_of_rational_arithmetic(  # noqa: PLR0917
    ax: float, ay: float, bx: float, by: float, along: Fraction, beside: int
) -> None:
    shift = 4_405_000.123  # where coordinates have few digits left after the point
    ax, ay, bx, by = (value + shift for value in (ax, ay, bx, by))
    px, py = float(ax + (bx - ax) * along), float(ay + (by - ay) * along)
    px = float(np.nextafter(px, beside * np.inf)) if beside else px
    line = [Fraction(value) for value in (ax, ay, bx, by, px, py)]
    exact = (line[2] - line[0]) * (line[5] - line[1]) - (line[3] - line[1]) * (line[4] - line[0])
    (side,) = sides(*(np.array([value]) for value in (ax, ay, bx, by, px, py)))
    assert np.sign(side) == (exact > 0) - (exact < 0)
