"""A shop's strip runs from its wall to the first line in front of it: kerb, else centreline."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import LineString, Point, Polygon, STRtree
from shapely.geometry.base import BaseGeometry

Geometries = NDArray[np.object_]

GRID_M = 0.001
_TOUCH_M = 2 * GRID_M
_AREAS = (int(shapely.GeometryType.POLYGON), int(shapely.GeometryType.MULTIPOLYGON))


class Refusal(StrEnum):
    """Why a shop has no strip."""

    NO_WALL = "no building within reach"
    NO_ROAD = "no kerb or road in front of the wall within reach"
    TAKEN = "its front is taken by a building or by other shops' strips"


@dataclass(frozen=True, slots=True)
class Draft:
    """Strips drafted.

    Attributes:
        strips: One per shop, in their order, storage CRS, on the 1 mm grid; None where refused.
        refused: Why, by the shop's position.
    """

    strips: list[Polygon | None]
    refused: dict[int, Refusal]


@dataclass(frozen=True, slots=True)
class _Front:
    shop: int
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    outward: NDArray[np.float64]


def draft_strips(  # noqa: PLR0913 -- three inputs and three lengths
    shops: Geometries,
    buildings: Geometries,
    lines: Geometries,
    *,
    reach_m: float = 30.0,
    wall_m: float = 5.0,
    half_front_m: float = 15.0,
) -> Draft:
    """Draft a strip for each shop, between its wall and the first line in front of it.

    Neighbours along one wall meet half-way. Where strips of two walls would overlap, the shop
    that comes first has the ground. The same input gives the same strips.

    Args:
        shops: (n,) Points on or near walls, or Polygons of the shops themselves, a metric CRS.
            A polygon's front is the middle of that wall of its that a line is nearest in front of.
        buildings: (m,) Polygons or MultiPolygons, same CRS.
        lines: (k,) kerbs and road centrelines, same CRS; the first that is met ends a strip.
        reach_m: A wall farther than this from any line in front of it has no strip.
        wall_m: A shop farther than this from any wall has none.
        half_front_m: The most that a strip goes along the wall to either side of its shop.
    """
    parts = shapely.get_parts(buildings[~shapely.is_missing(buildings)])
    is_area = np.isin(shapely.get_type_id(shops), _AREAS)
    # A shop's own walls are walls too, and keep others' strips out.
    parts = np.concatenate([parts, shapely.get_parts(shops[is_area])])
    solid = np.array(
        [
            shapely.orient_polygons(p)
            for p in shapely.get_parts(shapely.make_valid(parts))
            if p.geom_type == "Polygon"
        ],
        dtype=object,
    )
    barriers = shapely.get_parts(lines[~shapely.is_missing(lines)])
    barriers = barriers[~shapely.is_empty(barriers)]
    refused: dict[int, Refusal] = {}
    houses, roads = STRtree(solid), STRtree(barriers)
    shops = shops.copy()
    shops[is_area] = [_facade(shop, roads, reach_m) for shop in shops[is_area]]
    raw: dict[int, tuple[Polygon, LineString]] = {}
    for front in _fronts(shops, solid, wall_m, half_front_m, refused):
        piece = _piece(front, shops[front.shop], houses, roads, reach_m)
        if isinstance(piece, Refusal):
            refused[front.shop] = piece
        else:
            raw[front.shop] = (piece, LineString([front.start, front.end]))
    strips: list[Polygon | None] = [None] * len(shops)
    for shop, strip in _apart(raw).items():
        strips[shop] = strip
    refused |= {shop: Refusal.TAKEN for shop in raw if strips[shop] is None}
    return Draft(strips, dict(sorted(refused.items())))


def _facade(shop: BaseGeometry, roads: STRtree, reach_m: float) -> Point:
    """Find the middle of the wall that a line is nearest in front of; of equals the longest.

    Where no wall has a line in front, that of the longest wall.
    """
    best: tuple[float, float, NDArray[np.float64]] | None = None
    for part in shapely.get_parts(shapely.orient_polygons(shop)):
        ring = shapely.get_coordinates(shapely.get_exterior_ring(part))
        for start, end in pairwise(ring):
            length = float(np.hypot(*(end - start)))
            if length <= _TOUCH_M:
                continue
            middle = (start + end) / 2
            unit = (end - start) / length
            ray = LineString([middle, middle + reach_m * np.array([unit[1], -unit[0]])])
            hits = shapely.intersection(roads.geometries[roads.query(ray, "intersects")], ray)
            away = float(shapely.distance(hits, Point(middle)).min()) if len(hits) else np.inf
            # To the millimetre, so that equal walls do not change places by a last bit.
            found = round(away, 3) if np.isfinite(away) else away, -round(length, 3), middle
            if best is None or found[:2] < best[:2]:
                best = found
    return Point(best[2]) if best else shop.representative_point()


def _fronts(
    shops: Geometries,
    solid: Geometries,
    wall_m: float,
    half_front_m: float,
    refused: dict[int, Refusal],
) -> list[_Front]:
    """Put each shop on its nearest wall and part the wall among its shops."""
    rings = shapely.get_exterior_ring(solid)
    coordinates, owner = shapely.get_coordinates(rings, return_index=True)
    same = owner[1:] == owner[:-1]
    starts, ends = coordinates[:-1][same], coordinates[1:][same]
    long = np.hypot(*(ends - starts).T) > _TOUCH_M
    starts, ends = starts[long], ends[long]
    walls = STRtree([LineString(pair) for pair in zip(starts, ends, strict=True)])
    on_wall: dict[int, list[tuple[float, int]]] = {}
    for shop, point in enumerate(shops):
        # Of walls equally near, that of the lowest number, so that drafts repeat.
        near = walls.query_nearest(point, max_distance=wall_m)
        if len(near) == 0:
            refused[shop] = Refusal.NO_WALL
            continue
        wall = int(near.min())
        along = float(shapely.line_locate_point(walls.geometries[wall], point))
        on_wall.setdefault(wall, []).append((along, shop))
    fronts = []
    for wall, members in sorted(on_wall.items()):
        members.sort()
        length = float(walls.geometries[wall].length)
        middles = [(a + b) / 2 for (a, _), (b, _) in pairwise(members)]
        bounds = [0.0, *middles, length]
        unit = (ends[wall] - starts[wall]) / length
        # Exterior rings run counter-clockwise: the street is to the right.
        outward = np.array([unit[1], -unit[0]])
        for (along, shop), low, high in zip(members, bounds, bounds[1:], strict=False):
            first, last = max(low, along - half_front_m), min(high, along + half_front_m)
            if last - first <= _TOUCH_M:
                refused[shop] = Refusal.TAKEN
                continue
            fronts.append(
                _Front(shop, starts[wall] + first * unit, starts[wall] + last * unit, outward)
            )
    return fronts


def _piece(
    front: _Front, shop: Point, houses: STRtree, roads: STRtree, reach_m: float
) -> Polygon | Refusal:
    wall = LineString([front.start, front.end])
    foot: NDArray[np.float64] = shapely.get_coordinates(
        shapely.line_interpolate_point(wall, shapely.line_locate_point(wall, shop))
    )[0]
    depths = []
    for start in (front.start, foot, front.end):
        ray = LineString([start, start + reach_m * front.outward])
        hits = shapely.intersection(roads.geometries[roads.query(ray, "intersects")], ray)
        if len(hits):
            depths.append(float(shapely.distance(hits, Point(start)).min()))
    if not depths or max(depths) <= _TOUCH_M:
        return Refusal.NO_ROAD
    away = max(depths) * front.outward
    box = Polygon([front.start, front.end, front.end + away, front.start + away])
    free = shapely.difference(
        box, shapely.union_all(houses.geometries[np.sort(houses.query(box, "intersects"))])
    )
    cuts = roads.geometries[np.sort(roads.query(box, "intersects"))]
    edges = shapely.union_all([free.boundary, *cuts])
    faces = [
        face
        for face in shapely.get_parts(shapely.polygonize([edges]))
        if free.contains(face.representative_point())
    ]
    return _at_wall(faces, wall) or Refusal.TAKEN


def _at_wall(faces: Sequence[BaseGeometry], wall: LineString) -> Polygon | None:
    """Choose the face with the longest side on the wall."""
    near = wall.buffer(_TOUCH_M, cap_style="flat")
    shared = [face.boundary.intersection(near).length for face in faces]
    if not shared or max(shared) <= 4 * _TOUCH_M:
        return None
    best = faces[int(np.argmax(shared))]
    return best if isinstance(best, Polygon) else None


def _apart(raw: dict[int, tuple[Polygon, LineString]]) -> dict[int, Polygon]:
    """Lay all pieces on the grid as faces of one drawing, so that neighbours share their edges."""
    if not raw:
        return {}
    order = sorted(raw)
    pieces = np.array([raw[shop][0] for shop in order], dtype=object)
    drawing = shapely.union_all(shapely.boundary(pieces), grid_size=GRID_M)
    faces = shapely.get_parts(shapely.polygonize([drawing]))
    face, piece = STRtree(pieces).query(shapely.point_on_surface(faces), "within")
    first: dict[int, int] = {}
    for n, owner in sorted(zip(face.tolist(), piece.tolist(), strict=True)):
        first.setdefault(n, owner)
    owned: dict[int, list[int]] = {}
    for n, owner in first.items():
        owned.setdefault(owner, []).append(n)
    strips = {}
    for owner, numbers in sorted(owned.items()):
        whole = shapely.get_parts(shapely.union_all(faces[numbers]))
        strip = _at_wall(list(whole), raw[order[owner]][1])
        if strip is not None:
            strips[order[owner]] = shapely.normalize(strip)
    return strips
