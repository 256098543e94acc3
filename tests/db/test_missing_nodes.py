"""A neighbour's node that an edge passes without having it is found, wherever it comes from."""

import pytest
import shapely
from geoalchemy2.shape import from_shape
from shapely.geometry.base import BaseGeometry
from sqlalchemy import text
from sqlalchemy.orm import Session

from gridsvc.grids.scheme_store import load_scheme
from tests.factories import Areas, make_scheme, plan
from tests.small_city import SRID

# A slanted border of 200 m on which no other node of a millimetre's grid lies exactly.
SOUTH, NORTH = (0, 0), (13.457, 200.003)
WEST = ((-100, 0), SOUTH, NORTH, (-100, 200))
EAST = (SOUTH, (100, 0), (100, 200), NORTH)


def shape(*corners: tuple[float, float]) -> BaseGeometry:
    return plan(shapely.Polygon(corners))


def halves(offset_mm: float) -> Areas:
    """One area west of the border and two east of it, which meet this far from its middle."""
    middle = (6.729 + offset_mm / 1000, 100.001)
    return {
        ("street", "W"): shape(*WEST),
        ("street", "SE"): shape(SOUTH, (100, 0), (100, 100), middle),
        ("street", "NE"): shape(middle, (100, 100), (100, 200), NORTH),
    }


@pytest.fixture
def drawing(session: Session) -> Session:
    """A session with a scheme of districts and streets; nothing is drawn."""
    load_scheme(session, make_scheme())
    return session


def missing(
    session: Session, layer: str, areas: Areas, *, changed: frozenset[str] = frozenset()
) -> list[tuple[str, str, str | None]]:
    """Ask for nodes that areas of a layer lack: code, whose, and of which other layer."""
    session.execute(text("SELECT gridsvc.lay_draft(NULL, now(), '{}', false)"))
    for (kind, code), drawn in areas.items():
        session.execute(
            text("""
                INSERT INTO pg_temp.draft (layer, code, boundary, changed)
                VALUES (:layer, :code, ST_SnapToGrid(ST_Multi(CAST(:shape AS geometry)), 0.001),
                        :changed)
            """),
            {
                "layer": kind,
                "code": code,
                "shape": str(from_shape(drawn, srid=SRID)),
                "changed": not changed or code in changed,
            },
        )
    rows = session.execute(text("SELECT * FROM gridsvc.missing_nodes(:layer)"), {"layer": layer})
    return [(row.code, row.other, row.detail) for row in rows]


def test_a_node_on_a_slanted_edge_is_missed_by_the_area_across(drawing: Session) -> None:
    for offset_mm in (-2, -1, 0, 1, 2):
        assert missing(drawing, "street", halves(offset_mm)) == [("W", "NE", None)], offset_mm
    width_mm = drawing.scalar(text("SELECT width_m * 1000 FROM gridsvc.missing_nodes('street')"))
    assert width_mm == pytest.approx(2.5, abs=0.1)  # the middle itself is half a millimetre off


@pytest.mark.parametrize(("offset_m", "is_missed"), [(0.003, True), (0.004, False)])
def test_three_millimetres_are_in_reach_and_four_are_not(
    drawing: Session, offset_m: float, *, is_missed: bool
) -> None:
    beside = {
        ("street", "W"): shape((-100, 0), (0, 0), (0, 200), (-100, 200)),
        ("street", "SE"): shape((0, 0), (100, 0), (100, 100), (offset_m, 100)),
        ("street", "NE"): shape((offset_m, 100), (100, 100), (100, 200), (0, 200)),
    }
    assert bool(missing(drawing, "street", beside)) == is_missed


def test_an_area_that_has_the_node_misses_nothing(drawing: Session) -> None:
    middle = (6.731, 100.001)
    whole = halves(2) | {("street", "W"): shape(WEST[0], SOUTH, middle, NORTH, WEST[3])}
    assert missing(drawing, "street", whole) == []


def test_levels_miss_each_others_nodes(drawing: Session) -> None:
    town = {
        ("district", "D"): shape((-100, 0), (100, 0), (100, 200), (-100, 200)),
        ("street", "W"): shape((-100, 0), (0, 0), (0, 200), (-100, 200)),
        ("street", "E"): shape((0, 0), (100, 0), (100, 80), (100, 200), (0, 200)),
    }
    assert sorted(missing(drawing, "district", town)) == [
        ("D", "E", "street"),
        ("D", "E", "street"),
        ("D", "E", "street"),
    ]
    town["district", "D"] = shape(
        (-100, 0), (0, 0), (100, 0), (100, 80), (100, 200), (0, 200), (-100, 200), (-100, 50)
    )
    assert missing(drawing, "district", town) == []
    assert missing(drawing, "street", town) == [("W", "D", "district")]


def test_a_short_edge_and_a_corner_miss_nothing(drawing: Session) -> None:
    """Two nodes of one area 2 mm apart are its own affair; so is a corner where another turns."""
    corner = {
        ("street", "W"): shape((-100, 0), SOUTH, (0.001, 0.002), NORTH, (-100, 200)),
        ("street", "E"): shape((0.001, 0.002), SOUTH, (100, 0), (100, 200), NORTH),
        ("street", "S"): shape((-100, -90), (100, -90), (100, 0), SOUTH, (-100, 0)),
    }
    assert missing(drawing, "street", corner) == []


def test_what_nobody_changed_is_not_told_of(drawing: Session) -> None:
    assert missing(drawing, "street", halves(1), changed=frozenset({"W"})) == [("W", "NE", None)]
    assert missing(drawing, "street", halves(1), changed=frozenset({"X"})) == []


def test_nothing_is_missed_of_a_layer_that_is_not_drawn(drawing: Session) -> None:
    assert missing(drawing, "district", {("district", "D"): shape(*EAST)}) == []
    assert missing(drawing, "street", {("street", "E"): shape(*EAST)}) == []
