"""Telling points of a made tiling, each with the areas whose closure holds it.

400 ┌────┬────┬─────────┐
    │ a  │ b  │         │     `B` has a hole in the shape of a diamond; `lake` fills it, and the
200 ├────┼────┤    B    │     island in the lake belongs to `B` again.
    │ c  │ d  │   (◇)   │     The order of codes is bytewise: B < a < b < c < d < lake.
  0 └────┴────┴─────────┘
    0   200  400       1000
"""

from dataclasses import dataclass

import shapely
from shapely import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from tests.factories import plan

DIAMOND = ((600, 200), (700, 100), (800, 200), (700, 300))
ISLAND = shapely.box(690, 190, 710, 210)

AREAS: dict[str, BaseGeometry] = {
    code: plan(shape)
    for code, shape in {
        "a": shapely.box(0, 200, 200, 400),
        "b": shapely.box(200, 200, 400, 400),
        "c": shapely.box(0, 0, 200, 200),
        "d": shapely.box(200, 0, 400, 200),
        "B": MultiPolygon([Polygon(shapely.box(400, 0, 1000, 400).exterior, [DIAMOND]), ISLAND]),
        "lake": Polygon(DIAMOND, [ISLAND.exterior]),
    }.items()
}


@dataclass(frozen=True, slots=True)
class Place:
    """A point of the plan and the codes that cover it, its owner first."""

    east_m: float
    north_m: float
    codes: tuple[str, ...]


PLACES = {
    "inside": Place(100, 100, ("c",)),
    "shared edge": Place(200, 300, ("a", "b")),
    "edge of capital and small letter": Place(400, 300, ("B", "b")),
    "vertex of four": Place(200, 200, ("a", "b", "c", "d")),
    "vertex on a neighbour's edge": Place(400, 200, ("B", "b", "d")),
    "corner of the city": Place(0, 0, ("c",)),
    "outer edge": Place(0, 100, ("c",)),
    "hole": Place(700, 150, ("lake",)),
    "edge of the hole": Place(650, 150, ("B", "lake")),
    "vertex of the hole": Place(600, 200, ("B", "lake")),
    "island": Place(700, 200, ("B",)),
    "edge of the island": Place(690, 200, ("B", "lake")),
    "a millimetre inside": Place(199.999, 300, ("a",)),
    "a millimetre across": Place(200.001, 300, ("b",)),
    "a micrometre across": Place(200.000001, 300, ("b",)),
    "a micrometre outside": Place(-0.000001, 100, ()),
    "outside": Place(1500, 200, ()),
}
