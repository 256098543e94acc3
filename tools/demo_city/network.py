"""Every boundary of the demo city is a piece of one noded network of streets and a river.

The ground is halved street by street. After each round all lines are noded together on the
1 mm grid and polygonised again, so neighbours always share the very same vertices, and a
coarser face is always an exact sum of finer ones.
"""

# ruff: noqa: PLR2004 -- a drawing is full of measures that are its own

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer
from shapely import LineString, Polygon
from shapely.geometry.base import BaseGeometry
from shapely.ops import split

from tools.demo_city import EPSG

Array = NDArray[np.object_]

GRID_M = 0.001
CENTRE = Transformer.from_crs(4326, EPSG, always_xy=True).transform(116.4605, 39.9255)
N_COMMUNITIES, N_COLLECTED, N_UNITS = 30, 130, 600
WIDTH_M = {"river": 84.0, "arterial": 42.0, "secondary": 27.0, "collector": 17.0, "lane": 9.0}


@dataclass(frozen=True)
class Network:
    """Faces at three depths, and the lines between them.

    Attributes:
        quarters: Faces between arterials and the river.
        communities: `N_COMMUNITIES` faces that halve the quarters.
        units: `N_UNITS` faces that halve the communities.
        edges: Lines from crossing to crossing.
        edge_kind: Kind of each edge, a key of `WIDTH_M`.
        edge_road: Number of the drawn line that each edge is a piece of.
    """

    quarters: Array
    communities: Array
    units: Array
    edges: Array
    edge_kind: NDArray[np.str_]
    edge_road: NDArray[np.intp]


def draw(rng: np.random.Generator) -> Network:
    """Draw the outline, the arterials and the river, then halve the faces down to unit grids."""
    outline = _outline(rng)
    drawn = [(outline.exterior, "arterial"), *_main_lines(outline)]
    noded = _noded([line for line, _ in drawn])
    faces = quarters = communities = _faces(noded)
    while len(faces) < N_UNITS:
        target = N_COMMUNITIES if len(faces) < N_COMMUNITIES else N_UNITS
        n_new = min(max(len(faces) // 2, 1), target - len(faces))
        kind = "secondary" if target == N_COMMUNITIES else "collector"
        kind = "lane" if len(faces) > N_COLLECTED else kind
        crowd = shapely.distance(shapely.centroid(faces), shapely.Point(CENTRE)) / 2500
        largest = np.argsort(-shapely.area(faces) / (0.6 + crowd), kind="stable")[:n_new]
        ends: list[NDArray[np.float64]] = []
        cuts = [_cut(faces[i], rng, ends) for i in largest]
        drawn += [(cut, kind) for cut in cuts]
        # What is noded goes in again as it is: lines noded afresh would move by a grid step.
        noded = _noded([noded, *cuts])
        faces = _faces(noded)
        communities = faces if len(faces) == N_COMMUNITIES else communities
    rims = shapely.union_all(shapely.boundary(faces))
    edges = shapely.get_parts(shapely.line_merge(rims))
    sources = shapely.STRtree([line for line, _ in drawn])
    road = sources.nearest(shapely.line_interpolate_point(edges, 0.37, normalized=True))
    kinds = np.array([kind for _, kind in drawn])[road]
    return Network(quarters, communities, faces, edges, kinds, road)


def halve(face: Polygon, rng: np.random.Generator, *, bow: float = 0.0) -> tuple[LineString, Array]:
    """Halve a face across its long side by a slightly turned, slightly bent line.

    Returns:
        The line, longer than the face, and the two halves.

    Raises:
        ValueError: no line gives two sound halves; another seed is needed.
    """
    corners = shapely.get_coordinates(shapely.minimum_rotated_rectangle(face))
    sides = np.diff(corners[:3], axis=0)
    long, short = (0, 1) if np.hypot(*sides[0]) > np.hypot(*sides[1]) else (1, 0)
    across = sides[short] / np.hypot(*sides[short])
    reach = np.linspace(-1, 1, 9)[:, None] * np.hypot(*sides[short])
    round_enough = min(0.42, 0.8 * _roundness(np.array([face]))[0])
    reach_m = np.abs(reach).max()
    for tries in range(60):
        loose = 0.1 + tries / 200
        middle = (corners[0] + corners[2]) / 2 + sides[long] * rng.uniform(-loose, loose)
        turned = _turn(across, rng.normal(0, 0.07 + tries / 200))
        bent = rng.normal(0, bow) * reach_m * np.cos(reach / reach_m * np.pi)
        line = LineString(middle + reach * turned + bent * _turn(turned, np.pi / 2))
        parts = np.array(split(face, line).geoms)
        if len(parts) == 2 and (_roundness(parts) > round_enough).all():
            return line, parts
    message = f"No line halves the face at {face.centroid}. Choose another seed."
    raise ValueError(message)


def _cut(face: Polygon, rng: np.random.Generator, ends: list[NDArray[np.float64]]) -> LineString:
    """Give the part of a halving line inside a face, led to crossings that are already near.

    Args:
        face: The face to halve.
        rng: Where chance comes from.
        ends: Ends of the cuts of this round, so that two cuts meet from both sides; added to.
    """
    line, _ = halve(face, rng, bow=0.03)
    inside = shapely.get_coordinates(line.intersection(face))
    meets = np.vstack([shapely.get_coordinates(face.exterior), *ends])
    meets = meets[shapely.dwithin(shapely.points(meets), face.exterior, 2 * GRID_M)]
    led = inside.copy()
    for end in (0, -1):
        away = np.hypot(*(meets - inside[end]).T)
        if away.min() < 0.2 * np.sqrt(face.area):
            led[end] = meets[away.argmin()]
    halves = shapely.get_parts(shapely.polygonize([_noded([LineString(led), face.exterior])]))
    sound = len(halves) == 2 and shapely.area(halves).min() > 0.25 * face.area
    cut = led if sound else np.round(inside, 3)
    ends += [cut[:1], cut[-1:]]
    return LineString(cut)


def _noded(lines: list[BaseGeometry]) -> BaseGeometry:
    return shapely.union_all(lines, grid_size=GRID_M)


def _faces(noded: BaseGeometry) -> Array:
    faces = shapely.get_parts(shapely.polygonize([noded]))
    faces = shapely.transform(shapely.normalize(faces), lambda xy: np.round(xy, 3))
    corner = shapely.bounds(faces)
    return faces[np.lexsort((corner[:, 0], -np.round(corner[:, 3], -2)))]


def _outline(rng: np.random.Generator) -> Polygon:
    turn = np.linspace(0, 2 * np.pi, 56, endpoint=False)
    radius = 2500 / (np.abs(np.cos(turn)) ** 3.4 + np.abs(np.sin(turn)) ** 3.4) ** (1 / 3.4)
    for wave in (2, 3, 5, 9):
        radius *= 1 + rng.normal(0, 0.028) * np.cos(wave * turn + rng.uniform(0, 6))
    return Polygon(_place(radius * np.cos(turn), radius * np.sin(turn)))


def _main_lines(outline: Polygon) -> list[tuple[BaseGeometry, str]]:
    """Draw two avenues each way, one slanting away from their crossing, and the river."""
    t = np.linspace(-3200, 3200, 90)
    north = LineString(_place(t, 980 + 130 * np.sin(t / 800 + 0.4) + 0.05 * t))
    south = LineString(_place(t, -760 + 110 * np.sin(t / 950 + 2.2) - 0.07 * t))
    west = LineString(_place(-930 + 120 * np.sin(t / 900 + 1.0) + 0.08 * t, t))
    east = LineString(_place(1010 + 100 * np.sin(t / 1000 - 0.6) - 0.06 * t, t))
    river = LineString(
        _place(t, -0.72 * t + 60 + 330 * np.sin(t / 620 + 0.9) + 90 * np.sin(t / 260 + 2))
    )
    start = shapely.get_coordinates(north.intersection(east))[0]
    slant = np.linspace(0, 1, 30)[:, None]
    away = start + slant * (_place(2900, 2350)[0] - start)
    away[:, 1] += 130 * np.sin(slant[:, 0] * np.pi)
    lines = [(river, "river")]
    lines += [(line, "arterial") for line in (north, south, west, east, LineString(away))]
    return [(line.intersection(outline), kind) for line, kind in lines]


def _place(
    x_m: float | NDArray[np.float64], y_m: float | NDArray[np.float64]
) -> NDArray[np.float64]:
    """Turn the drawing a little off north and put it on the ground, on the 1 mm grid."""
    drawing = np.column_stack(np.broadcast_arrays(x_m, y_m)).astype(float)
    return np.round(np.array(CENTRE) + _turn(drawing, 0.11), 3)


def _turn(xy: NDArray[np.float64], by: float) -> NDArray[np.float64]:
    """Turn counter-clockwise by radians."""
    turn = np.array([[np.cos(by), np.sin(by)], [-np.sin(by), np.cos(by)]])
    return np.asarray(xy @ turn)


def _roundness(faces: Array) -> NDArray[np.float64]:
    return 4 * np.pi * shapely.area(faces) / shapely.length(faces) ** 2
