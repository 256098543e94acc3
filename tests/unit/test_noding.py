"""Tidying closes what is narrower than 3 mm, and does nothing else."""

from collections.abc import Callable

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gridsvc.grids.noding import REACH_MM, Left, Tidied, tidy_nodes

Corner = tuple[float, float]
Rings = dict[tuple[str, str], list[Corner]]
"""Areas by layer and code; coordinates in whole millimetres, for those add up."""

LEVELS = ("street", "community", "unit")
EAST_M, NORTH_M = 449_825.0, 4_418_731.0


def tidy(rings: Rings, *, concerned: str | None = None) -> Tidied:
    layers = np.array([kind for kind, _ in rings])
    order = sorted(rings, key=lambda name: (LEVELS.index(name[0]), name[1]))
    return tidy_nodes(
        shapes(rings),
        layers=layers,
        precedence=np.array([order.index(name) for name in rings]),
        concerned=None if concerned is None else np.array([concerned in name for name in rings]),
    )


def shapes(rings: Rings) -> np.ndarray:
    drawn = np.empty(len(rings), dtype=object)
    drawn[:] = [
        shapely.MultiPolygon(
            [shapely.Polygon([(EAST_M + x / 1000, NORTH_M + y / 1000) for x, y in ring])]
        )
        for ring in rings.values()
    ]
    return shapely.transform(drawn, on_grid)


def on_grid(xy: np.ndarray) -> np.ndarray:
    """As ST_SnapToGrid writes a number of millimetres, to the last bit."""
    return np.rint(xy / 0.001) * 0.001


def after(rings: Rings, done: Tidied) -> np.ndarray:
    drawn = shapes(rings)
    for area, change in done.changes.items():
        drawn[area] = change.boundary
    return drawn


def halves(x: float, y: float = 100_000) -> Rings:
    """One area west of a slanted border of 200 m, two east of it that meet at a node near it."""
    south, north = (0, 0), (13_457, 200_003)
    return {
        ("unit", "W"): [(-90_000, 0), south, north, (-90_000, 200_000)],
        ("unit", "SE"): [south, (90_000, 0), (90_000, 100_000), (x, y)],
        ("unit", "NE"): [(x, y), (90_000, 100_000), (90_000, 200_000), north],
    }


def straight(x: float) -> Rings:
    """The same with a border due north."""
    return {
        ("unit", "W"): [(-90_000, 0), (0, 0), (0, 200_000), (-90_000, 200_000)],
        ("unit", "SE"): [(0, 0), (90_000, 0), (90_000, 100_000), (x, 100_000)],
        ("unit", "NE"): [(x, 100_000), (90_000, 100_000), (90_000, 200_000), (0, 200_000)],
    }


@pytest.mark.parametrize("x", [6_727, 6_728, 6_729, 6_730, 6_731])
def test_a_node_on_a_slanted_edge_is_added_across(x: int) -> None:
    done = tidy(halves(x))
    assert set(done.changes) == {0}
    assert (done.changes[0].nodes_added, done.changes[0].vertices_moved) == (1, 0)
    assert done.slivers_closed == done.changes[0].slivers_closed == 1
    assert shapely.coverage_is_valid(after(halves(x), done))
    assert not done.left


@pytest.mark.parametrize(("x", "closes"), [(3, True), (-3, True), (4, False), (-4, False)])
def test_three_millimetres_are_closed_and_four_are_not(x: int, closes: bool) -> None:  # noqa: FBT001
    done = tidy(straight(x))
    assert bool(done.changes) == closes
    if closes:
        assert done.changes[0].largest_move_mm == pytest.approx(3)
        assert shapely.coverage_is_valid(after(straight(x), done))


def test_a_node_exactly_on_the_edge_closes_nothing_and_is_added() -> None:
    done = tidy(straight(0))
    assert done.changes[0].nodes_added == 1
    assert (done.slivers_closed, done.changes[0].largest_move_mm) == (0, 0)


def test_of_two_corners_the_older_areas_stays() -> None:
    rings = straight(0)
    rings["unit", "W"] = [(-90_000, 0), (0, 0), (0, 99_998), (0, 200_000), (-90_000, 200_000)]
    done = tidy(rings)
    assert set(done.changes) == {0}  # "NE" comes before "W"
    assert done.changes[0].vertices_moved == 1
    assert done.changes[0].largest_move_mm == pytest.approx(2)
    assert (0, 100_000) in mm(done.changes[0].boundary)
    assert shapely.coverage_is_valid(after(rings, done))


def test_levels_have_one_border() -> None:
    rings: Rings = {
        ("street", "S"): [(0, 0), (200_000, 0), (200_000, 100_000), (0, 100_000)],
        ("community", "A"): [(0, 0), (100_000, 1), (100_000, 99_998), (0, 100_000)],
        ("community", "B"): [(100_000, 1), (200_000, 0), (200_000, 100_000), (100_000, 99_998)],
        ("unit", "A1"): [(0, 0), (50_000, -2), (50_000, 100_000), (0, 100_000)],
        ("unit", "A2"): [(50_000, -2), (100_000, 0), (100_000, 100_000), (50_000, 100_000)],
        ("unit", "B1"): [(100_000, 0), (200_000, 0), (200_000, 100_000), (100_000, 100_000)],
    }
    done = tidy(rings)
    drawn = dict(zip(rings, after(rings, done), strict=True))
    whole = drawn["street", "S"]
    for layer in ("community", "unit"):
        assert shapely.union_all([d for n, d in drawn.items() if n[0] == layer]).equals(whole)
    assert {(100_000, 1), (100_000, 99_998), (50_000, -2)} <= mm(whole)
    assert {(100_000, 1), (50_000, -2)} <= mm(drawn["community", "A"])
    assert not done.left
    for layer in ("street", "unit"):  # whichever layer is named, what is bound up with it follows
        some = tidy(rings, concerned=layer)
        assert some.changes
        assert shapely.union_all(
            [d for n, d in zip(rings, after(rings, some), strict=True) if n[0] == "unit"]
        ).equals(after(rings, some)[0])


def test_what_is_sound_and_fine_stays() -> None:
    """A strip of 2 mm between two areas, and an edge of 2 mm, are as their planner drew them."""
    rings: Rings = {
        ("unit", "W"): [(0, 0), (50_000, 0), (50_000, 2), (50_002, 90_000), (0, 90_000)],
        ("unit", "strip"): [(50_000, 0), (50_002, 0), (50_004, 90_000), (50_002, 90_000),
                            (50_000, 2)],
        ("unit", "E"): [(50_002, 0), (90_000, 0), (90_000, 90_000), (50_004, 90_000)],
    }  # fmt: skip
    assert shapely.coverage_is_valid(shapes(rings))
    done = tidy(rings)
    assert (done.changes, done.left) == ({}, [])


def test_a_wedge_is_left_whole() -> None:
    """Closing its narrow end would bend the border towards its wide one, run after run."""
    rings = straight(0)
    rings["unit", "W"] = [(-90_000, 0), (0, 0), (-2, 40_000), (-5, 70_000), (0, 200_000),
                          (-90_000, 200_000)]  # fmt: skip
    done = tidy(rings)
    assert [reason for _, _, reason in done.left] == [Left.WIDENS]
    assert done.changes.keys() <= {0}


def test_an_area_that_would_cross_itself_is_left() -> None:
    """A neck of 2 mm lies within reach of the neighbour's node: pulled there, it would close."""
    rings: Rings = {
        ("unit", "E"): [(0, 0), (90_000, 0), (90_000, 90_000), (0, 90_000), (0, 45_000)],
        ("unit", "W"): [(-90_000, 0), (0, 0), (0, 90_000), (-90_000, 90_000), (-90_000, 45_001),
                        (-1, 45_001), (-1, 45_000), (-90_000, 44_999)],
    }  # fmt: skip
    assert shapely.is_valid(shapes(rings)).all()
    done = tidy(rings)
    assert shapely.is_valid(after(rings, done)).all()


def test_only_places_at_the_areas_of_concern_are_looked_at() -> None:
    rings = straight(1) | {
        (kind, f"far {code}"): [(x + 500_000, y) for x, y in ring]
        for (kind, code), ring in straight(1).items()
    }
    assert set(tidy(rings).changes) == {0, 3}
    assert set(tidy(rings, concerned="SE").changes) == {0}


def test_holes_and_parts_keep_their_place() -> None:
    outer = shapely.box(0, 0, 90, 90)
    hole = shapely.Polygon([(30, 30), (60, 30), (60, 60), (30, 60)])
    island = shapely.box(200, 0, 250, 50)
    inner = shapely.Polygon([(30, 30), (45, 30), (60, 30), (60, 60), (30, 60)])
    beside = shapely.Polygon([(250, 0), (300, 0), (300, 50), (250, 50), (250, 25)])
    drawn = np.array(
        [
            shapely.MultiPolygon([outer.difference(hole), island]),
            shapely.MultiPolygon([inner]),
            shapely.MultiPolygon([beside]),
        ]
    )
    done = tidy_nodes(drawn, layers=np.array(["unit"] * 3), precedence=np.arange(3))
    assert set(done.changes) == {0}
    assert done.changes[0].nodes_added == 2
    assert done.changes[0].boundary.equals(drawn[0])
    assert {len(part.interiors) for part in done.changes[0].boundary.geoms} == {0, 1}


def mm(shape: shapely.MultiPolygon) -> set[tuple[int, int]]:
    local = shapely.get_coordinates(shape) - (EAST_M, NORTH_M)
    return {(round(x * 1000), round(y * 1000)) for x, y in local}


WIDE, HIGH, STEP = 4, 3, 10_000
CLEAR = st.sampled_from([-9, -8, -1, 0, 1, 8, 9])
"""Millimetres by which nodes are either near to each other or not, whoever else moved."""
ANY = st.integers(-5, 5)


BOXES: dict[tuple[str, str], tuple[int, int, int, int]] = {
    ("street", "S"): (0, 0, WIDE, HIGH),
    ("community", "A"): (0, 0, 2, HIGH),
    ("community", "B"): (2, 0, WIDE, HIGH),
} | {("unit", f"{i}{j}"): (i, j, i + 1, j + 1) for i in range(WIDE) for j in range(HIGH)}
"""Twelve units in two communities in a street, by the columns and rows that they take."""


@st.composite
def sound_drawings(draw: Callable[..., int]) -> Rings:
    """All levels with the same crooked corners."""
    corners = {
        (i, j): (
            i * STEP + draw(st.integers(-3_000, 3_000)),
            j * STEP + draw(st.integers(-3_000, 3_000)),
        )
        for i in range(WIDE + 1)
        for j in range(HIGH + 1)
    }
    return {name: outline(corners, *box) for name, box in BOXES.items()}


def outline(
    corners: dict[tuple[int, int], Corner], west: int, south: int, east: int, north: int
) -> list[Corner]:
    around = (
        [(i, south) for i in range(west, east)]
        + [(east, j) for j in range(south, north)]
        + [(i, north) for i in range(east, west, -1)]
        + [(west, j) for j in range(north, south, -1)]
    )
    return [corners[node] for node in around]


@st.composite
def drawings(draw: Callable[..., int], off: st.SearchStrategy[int]) -> Rings:
    """The same, and then each area with small faults of its own."""
    rings = draw(sound_drawings())
    for here in rings.values():
        for _ in range(draw(st.integers(0, 2))):
            at = draw(st.integers(0, len(here) - 1))
            (x, y), (x2, y2) = here[at], here[(at + 1) % len(here)]
            match draw(st.integers(0, 2)):
                case 0:
                    here[at] = (x + draw(off), y + draw(off))
                case 1:
                    part = draw(st.integers(1, 99)) / 100
                    here.insert(
                        at + 1,
                        (
                            round(x + (x2 - x) * part) + draw(off),
                            round(y + (y2 - y) * part) + draw(off),
                        ),
                    )
                case _ if len(here) > 4:
                    del here[at]
    return rings


@settings(max_examples=100)
@given(drawings(CLEAR))
def test_a_second_run_does_nothing(rings: Rings) -> None:
    done = promises_kept(rings)
    mended = {
        name: [(round(x), round(y)) for x, y in 1000 * (corners - (EAST_M, NORTH_M))]
        for name, corners in zip(
            rings, (shapely.get_coordinates(one)[:-1] for one in after(rings, done)), strict=True
        )
    }
    again = tidy(mended)
    assert not again.changes
    assert again.left == done.left


@settings(max_examples=100)
@given(drawings(ANY))
def test_nothing_moves_far_or_becomes_invalid_whatever_the_faults(rings: Rings) -> None:
    promises_kept(rings)


def promises_kept(rings: Rings) -> Tidied:
    """Tidy a drawing and hold the result against what is promised of every one."""
    before = shapes(rings)
    assume(shapely.is_valid(before).all())
    done = tidy(rings)
    drawn = after(rings, done)
    assert shapely.is_valid(drawn).all()
    places = set(map(tuple, shapely.get_coordinates(before)))
    for area, change in done.changes.items():
        old = before[area].boundary
        assert 1000 * shapely.hausdorff_distance(change.boundary.boundary, old) <= REACH_MM + 0.001
        assert set(map(tuple, shapely.get_coordinates(change.boundary))) <= places
        assert change.nodes_added or change.vertices_moved
        assert change.largest_move_mm <= REACH_MM + 0.001
    return done


@settings(max_examples=50)
@given(sound_drawings(), st.data())
def test_a_single_fault_goes(sound: Rings, data: st.DataObject) -> None:
    """One node that one area lacks, or has up to 2 mm beside the others': all tile again."""
    name = data.draw(st.sampled_from(list(sound)))
    here = sound[name]
    at = data.draw(st.integers(0, len(here) - 1))
    (x, y), (x2, y2) = here[at], here[(at + 1) % len(here)]
    if data.draw(st.booleans()):
        here[at] = (x + data.draw(st.integers(-2, 2)), y + data.draw(st.integers(-2, 2)))
    else:
        part = data.draw(st.integers(5, 95)) / 100
        here.insert(at + 1, (round(x + (x2 - x) * part), round(y + (y2 - y) * part)))
    done = tidy(sound)
    drawn = after(sound, done)
    assert not done.left
    layers = np.array([layer for layer, _ in sound])
    for layer in LEVELS:
        assert shapely.coverage_is_valid(drawn[layers == layer])
        assert shapely.union_all(drawn[layers == layer]).equals(
            shapely.union_all(drawn[layers == "street"])
        )
