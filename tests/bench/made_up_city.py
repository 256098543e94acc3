"""A made-up city of any size, on which speed is measured: the same one from the same seed.

Units tile the ground; communities and streets are blocks of them, so all three levels are built
of the same nodes. A border between two units is a bent line of 20 to 60 vertices. Every tenth
street has exclaves: ground that lies inside one unit and belongs to the unit across the border,
so there are holes and parts at every level. Over them lie street segments, courtyards, buildings
and shop-front strips, which overlap and leave gaps.

At full size, 25 by 25 km: 100 streets, 1,000 communities, 10,000 units, 28,689 street segments,
5,000 courtyards, 10,000 buildings, 100,000 shop-front strips; 154,789 areas.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely
from geopandas import GeoDataFrame, GeoSeries
from numpy.typing import NDArray

from gridsvc.crs import to_wgs84
from gridsvc.grids.people_files import AssignmentRow, PartyRow, PeopleFile
from gridsvc.grids.schemes import Scheme, parse_scheme
from gridsvc.grids.terms import Duty
from gridsvc.grids.weekhours import ALWAYS
from tests.small_city import SCHEMES

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Shapes = NDArray[np.object_]

STORAGE = "EPSG:4547"
CENTRE_M = (640_000.0, 4_420_000.0)
CELL_M = 250.0
STREET_UNITS = (10, 10)  # rows and columns of units in a street
COMMUNITY_UNITS = (5, 2)
BEND = 0.06  # of a border's length; more, and borders of one corner would cross

FULL_UNITS = 10_000
SHARE = {"street_segment": 2.8689, "courtyard": 0.5, "building": 1.0, "shopfront": 10.0}
"""Areas of an overlay for each unit."""

LAYERS = ("street", "community", "unit", "street_segment", "courtyard", "building", "shopfront")
TILINGS = LAYERS[:3]
FULL_AREAS = 154_789


@dataclass(frozen=True)
class MadeUpCity:
    """The city's layers.

    Attributes:
        layers: Code of a layer -> its areas (columns code, geometry), in `STORAGE`, on the
            millimetre; by layer from the outside in, by code within one.
        nodes: (rows + 1, columns + 1, 2) corners of units, in `STORAGE`.
        seed: Of all that is drawn at random.
    """

    layers: dict[str, GeoDataFrame]
    nodes: Floats
    seed: int

    @property
    def areas(self) -> int:
        """Number of areas of all layers."""
        return sum(map(len, self.layers.values()))

    @cached_property
    def places(self) -> Floats:
        """(n, 2) middles of shop-front strips, near which most reports are made."""
        strips = self.layers["shopfront"].geometry.to_numpy()
        return shapely.get_coordinates(shapely.centroid(strips))

    def stored_points(self, count: int, *, seed: int = 1) -> tuple[Floats, Floats]:
        """Draw points as reports come: in clusters, along shop fronts, few of them anywhere.

        Args:
            count: How many.
            seed: Another one gives other points round the same hot places.

        Returns:
            (count,) x and y in `STORAGE`, metres. About 1 in 200 lies outside the city.
        """
        (west, south), (east, north) = self.nodes.min((0, 1)), self.nodes.max((0, 1))
        hot = np.random.default_rng(self.seed)
        centres = max(20, self.areas // 400)
        at = hot.permutation(self.places)[:centres]
        spread = hot.uniform(20.0, 300.0, len(at))
        weight = 1.0 / np.arange(1, len(at) + 1) ** 0.8
        rng = np.random.default_rng([self.seed, seed])
        kind = rng.random(count)
        which = rng.choice(len(at), count, p=weight / weight.sum())
        points = at[which] + rng.standard_normal((count, 2)) * spread[which, None]
        strolling = (kind >= 0.55) & (kind < 0.85)
        strips = rng.integers(0, len(self.places), int(strolling.sum()))
        points[strolling] = self.places[strips] + rng.standard_normal((len(strips), 2)) * 5.0
        anywhere = kind >= 0.85
        margin = 0.01 * (east - west)
        points[anywhere] = rng.uniform(
            (west - margin, south - margin), (east + margin, north + margin), (anywhere.sum(), 2)
        )
        return points[:, 0].copy(), points[:, 1].copy()

    def points(self, count: int, *, seed: int = 1) -> tuple[Floats, Floats]:
        """Draw `stored_points` and give them as phones do.

        Returns:
            (count,) lon and lat, EPSG:4326, to 1e-7 degree, which is a centimetre.
        """
        lon, lat = to_wgs84(*self.stored_points(count, seed=seed), crs=STORAGE)
        return np.round(lon, 7), np.round(lat, 7)

    def scheme(self) -> Scheme:
        """Give the scheme that the city runs by."""
        corners = self.nodes[[0, 0, -1, -1], [0, -1, 0, -1]]
        lon, lat = to_wgs84(corners[:, 0], corners[:, 1], crs=STORAGE)
        west, south = np.floor([lon.min() * 50 - 2, lat.min() * 50 - 2]) / 50
        east, north = np.ceil([lon.max() * 50 + 2, lat.max() * 50 + 2]) / 50
        text = SCHEME.format(
            storage=STORAGE,
            extent=f"{{ west = {west}, south = {south}, east = {east}, north = {north} }}",
            layers="".join(
                f'[[layer]]\ncode = "{layer}"\ntitle = {{ en = "{layer}" }}\n'
                f'kind = "{"tiling" if layer in TILINGS else "overlay"}"\n'
                for layer in LAYERS
            ),
        )
        return parse_scheme(text, source="made-up city", base=SCHEMES)

    def people(self) -> PeopleFile:
        """Give everybody who holds a duty: one for each area of what the ladders ask, and pairs."""
        rows = [
            AssignmentRow(
                0, f"{prefix}{code}", layer, code, duty, "chief", rank, None, ALWAYS, None, None
            )
            for duty, prefix, rank, asked in HELD
            for layer in asked
            for code in self.layers[layer]["code"]
        ]
        codes = dict.fromkeys(row.party_code for row in rows)
        parties = tuple(PartyRow(code, "张三", "person", "13800001234") for code in codes)
        return PeopleFile("made-up city", parties, tuple(rows))


HELD: Sequence[tuple[Duty, str, int, tuple[str, ...]]] = (
    (Duty.RESPONSIBILITY, "R-", 1, ("street", "community", *LAYERS[3:])),
    (Duty.MANAGEMENT, "M-", 1, ("street", "community")),
    (Duty.ENFORCEMENT, "E-", 1, ("street", "community")),
    (Duty.ENFORCEMENT, "A-", 2, ("street", "community")),
    (Duty.SUPERVISION, "S-", 1, ("street", "unit")),
)
"""Duty, what its holders' codes begin with, rank, layers: each area there has a holder."""

SCHEME = """
code = "made_up"
title = {{ en = "Made-up city" }}
time_zone = "Asia/Shanghai"
storage_crs = "{storage}"
input_crs = ["EPSG:4326", "{storage}", "gcj02"]
extent = {extent}
categories = "../categories/gbt30428.csv"

{layers}
[[role]]
code = "chief"
title = {{ en = "Chief" }}

[[ladder]]
duty = "responsibility"
layers = ["building", "courtyard", "street_segment", "community", "street"]

[[ladder]]
duty = "responsibility"
category = "0102"
layers = ["shopfront", "building", "courtyard", "street_segment", "community", "street"]

[[ladder]]
duty = "management"
layers = ["community", "street"]

[[ladder]]
duty = "enforcement"
layers = ["community", "street"]

[[ladder]]
duty = "supervision"
layers = ["unit", "street"]

[[escalation]]
duty = "management"
layer = "community"
within = "PT8H"

[[escalation]]
duty = "enforcement"
layer = "street"
within = "P2D"
"""


def make(areas: int = FULL_AREAS, *, seed: int = 7) -> MadeUpCity:
    """Make the city.

    Args:
        areas: About how many areas all layers have together; each keeps its share, and the city
            grows, not the density.
        seed: Of all that is drawn at random.

    Returns:
        The city, valid for shapely, its tilings without gaps or overlaps.
    """
    rng = np.random.default_rng(seed)
    units = FULL_UNITS * areas / FULL_AREAS
    rows = max(2, round(units**0.5))
    columns = max(2, round(units / rows))
    nodes = _nodes(rows, columns, rng)
    borders = _borders(nodes, rng)
    ground = {
        "street": _blocks(borders, *STREET_UNITS),
        "community": _blocks(borders, *COMMUNITY_UNITS, within=STREET_UNITS),
        "unit": _blocks(borders, 1, 1),
    }
    ground = _with_exclaves(ground, nodes, rng)
    units = rows * columns
    wanted = {layer: max(1, round(share * units)) for layer, share in SHARE.items()}
    roads, widths = _roads(borders, nodes, wanted["street_segment"], rng)
    courtyards = _courtyards(nodes, wanted["courtyard"], rng)
    shapes = {
        **ground,
        "street_segment": shapely.set_precision(
            shapely.buffer(
                roads, widths / 2, quad_segs=2, cap_style="flat", join_style="mitre", mitre_limit=2
            ),
            0.001,
        ),
        "courtyard": courtyards,
        "building": _buildings(courtyards, nodes, wanted["building"], rng),
        "shopfront": _strips(roads, widths, wanted["shopfront"], rng),
    }
    return MadeUpCity({layer: _table(layer, shapes[layer]) for layer in LAYERS}, nodes, seed)


def _table(layer: str, shapes: Shapes) -> GeoDataFrame:
    prefix = {"street": "J", "community": "C", "unit": "U"}.get(layer, layer[:2].upper())
    codes = [f"{prefix}{number:07}" for number in range(len(shapes))]
    shapes = shapely.transform(shapes, on_the_millimetre)
    return GeoDataFrame({"code": codes}, geometry=GeoSeries(shapes, crs=STORAGE))


def on_the_millimetre(metres: Floats) -> Floats:
    """Round as ST_SnapToGrid does, which differs from `np.round` in the last bit."""
    return np.asarray(np.rint(metres / 0.001) * 0.001)


# The ground: nodes, borders, and blocks of units


@dataclass(frozen=True)
class _Borders:
    """Bent lines between neighbouring nodes, each drawn once.

    Attributes:
        points: (n, 2) vertices of all lines one after the other, both ends included.
        first: (lines + 1,) where each line begins.
        eastward: (rows + 1, columns) numbers of the lines from a node to its eastern neighbour.
        northward: (rows, columns + 1) numbers of the lines from a node to its northern one.
    """

    points: Floats
    first: Ints
    eastward: Ints
    northward: Ints


def _nodes(rows: int, columns: int, rng: np.random.Generator) -> Floats:
    grid = np.stack(np.meshgrid(np.arange(columns + 1.0), np.arange(rows + 1.0)), axis=-1)
    corner = np.array(CENTRE_M) - np.array([columns, rows]) * CELL_M / 2
    return np.round((grid + rng.uniform(-0.15, 0.15, grid.shape)) * CELL_M + corner, 3)


def _borders(nodes: Floats, rng: np.random.Generator) -> _Borders:
    rows, columns = nodes.shape[0] - 1, nodes.shape[1] - 1
    eastward = np.arange((rows + 1) * columns).reshape(rows + 1, columns)
    northward = np.arange(rows * (columns + 1)).reshape(rows, columns + 1) + eastward.size
    start = np.concatenate([nodes[:, :-1].reshape(-1, 2), nodes[:-1].reshape(-1, 2)])
    end = np.concatenate([nodes[:, 1:].reshape(-1, 2), nodes[1:].reshape(-1, 2)])
    size = rng.integers(20, 61, len(start))
    first = np.concatenate([[0], np.cumsum(size)])
    line, step = _ragged(size)
    along = step / (size[line] - 1)
    # A bent line is a graph over its chord, so it never meets itself.
    phase, height = rng.uniform(0, 2 * np.pi, (3, len(start))), rng.uniform(0.2, 1, (3, len(start)))
    wave = sum(
        height[n, line] * np.sin((n + 1) * np.pi * 2 * along + phase[n, line]) for n in range(3)
    )
    rough = rng.uniform(-0.15, 0.15, len(line))
    aside = BEND * 4 * along * (1 - along) * (wave / 3 + rough)
    chord = (end - start)[line]
    across = np.column_stack([-chord[:, 1], chord[:, 0]])
    points = np.round(start[line] + chord * along[:, None] + across * aside[:, None], 3)
    points[first[:-1]], points[first[1:] - 1] = start, end
    return _Borders(points, first, eastward, northward)


def _ragged(sizes: Ints) -> tuple[Ints, Ints]:
    """For each of the items of groups of these sizes: its group, and its place in the group."""
    group = np.repeat(np.arange(len(sizes)), sizes)
    begins = np.cumsum(sizes) - sizes
    return group, np.arange(len(group)) - begins[group]


def _blocks(
    borders: _Borders, tall: int, wide: int, *, within: tuple[int, int] | None = None
) -> Shapes:
    """Give the outlines of blocks of units, row by row; those at the rim may be smaller."""
    rows, columns = borders.eastward.shape[0] - 1, borders.eastward.shape[1]
    south, north = _steps(rows, tall, within and within[0])
    west, east = _steps(columns, wide, within and within[1])
    shapes = np.empty((len(south), len(west)), dtype=object)
    heights, widths = north - south, east - west
    for height in np.unique(heights):
        for width in np.unique(widths):
            of = np.ix_(heights == height, widths == width)
            low, left = (a.ravel() for a in np.broadcast_arrays(south[:, None], west))
            low, left = (
                low.reshape(shapes.shape)[of].ravel(),
                left.reshape(shapes.shape)[of].ravel(),
            )
            outlines = _outlines(borders, low, left, int(height), int(width))
            shapes[of] = outlines.reshape(shapes[of].shape)
    return shapes.ravel()


def _steps(total: int, step: int, within: int | None) -> tuple[Ints, Ints]:
    cuts = set(range(0, total, step)) | set(range(0, total, within or total)) | {total}
    at = np.array(sorted(cuts))
    return at[:-1], at[1:]


def _outlines(borders: _Borders, low: Ints, left: Ints, height: int, width: int) -> Shapes:
    up, across = np.arange(height), np.arange(width)
    lines = np.concatenate(
        [
            borders.eastward[low[:, None], left[:, None] + across],
            borders.northward[low[:, None] + up, left[:, None] + width],
            borders.eastward[low[:, None] + height, left[:, None] + across[::-1]],
            borders.northward[low[:, None] + up[::-1], left[:, None]],
        ],
        axis=1,
    )
    backwards = np.zeros(lines.shape, dtype=bool)
    backwards[:, height + width :] = True
    return _rings(borders, lines, backwards)


def _rings(borders: _Borders, lines: Ints, backwards: NDArray[np.bool_]) -> Shapes:
    """Join lines, the last vertex of each being the first of the next, to polygons."""
    number = lines.ravel()
    size = np.diff(borders.first)[number] - 1
    line, step = _ragged(size)
    vertex = np.where(
        backwards.ravel()[line],
        borders.first[number + 1][line] - 1 - step,
        borders.first[number][line] + step,
    )
    ring = np.repeat(np.arange(len(lines)), size.reshape(lines.shape).sum(axis=1))
    return np.asarray(shapely.polygons(shapely.linearrings(borders.points[vertex], indices=ring)))


def _with_exclaves(
    ground: dict[str, Shapes], nodes: Floats, rng: np.random.Generator
) -> dict[str, Shapes]:
    """Give ground inside units east of a border of streets to the units west of it."""
    rows, columns = nodes.shape[0] - 1, nodes.shape[1] - 1
    tall, wide = STREET_UNITS
    row, column = np.meshgrid(np.arange(2, rows, tall), np.arange(wide, columns, wide))
    row, column = row.ravel(), column.ravel()
    if not len(row):
        return ground
    middle = (nodes[row, column] + nodes[row + 1, column + 1]) / 2
    islands = shapely.polygons(_round(middle, 12, rng.uniform(20, 50, len(row)), rng))
    shapes = dict(ground)
    for layer, (high, broad) in {
        "street": STREET_UNITS,
        "community": COMMUNITY_UNITS,
        "unit": (1, 1),
    }.items():
        within = STREET_UNITS if layer == "community" else (None, None)
        south, west = _steps(rows, high, within[0])[0], _steps(columns, broad, within[1])[0]
        mine = np.searchsorted(south, row, "right") - 1
        host = mine * len(west) + np.searchsorted(west, column, "right") - 1
        owner = mine * len(west) + np.searchsorted(west, column - 1, "right") - 1
        all_of = shapes[layer].copy()
        for area in np.unique(host):
            holes = shapely.get_exterior_ring(islands[host == area])
            all_of[area] = shapely.polygons(shapely.get_exterior_ring(all_of[area]), holes)
        for area in np.unique(owner):
            all_of[area] = shapely.multipolygons([all_of[area], *islands[owner == area]])
        shapes[layer] = all_of
    return shapes


# What lies on it


def _round(middle: Floats, corners: int, radius: Floats, rng: np.random.Generator) -> Floats:
    """Give (n, corners, 2) vertices of star-shaped rings, counter-clockwise."""
    count = len(middle)
    turn = rng.uniform(0, 2 * np.pi, (count, 1))
    wobble = rng.uniform(-0.3, 0.3, (count, corners))
    angle = (np.arange(corners) + wobble) * 2 * np.pi / corners + turn
    reach = radius[:, None] * rng.uniform(0.7, 1.0, (count, corners))
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=-1) * reach[..., None]
    return np.round(middle[:, None] + ring, 3)


def _roads(
    borders: _Borders, nodes: Floats, count: int, rng: np.random.Generator
) -> tuple[Shapes, Floats]:
    """Give centre lines and widths (m): along inner borders first, then lanes through units."""
    inner = np.concatenate([borders.eastward[1:-1].ravel(), borders.northward[:, 1:-1].ravel()])
    inner = inner[:count] if len(inner) > count else inner
    size = np.diff(borders.first)[inner]
    kept = 8  # vertices of a road; a border has more
    vertex = borders.first[inner][:, None] + np.round(
        np.linspace(0, 1, kept) * (size - 1)[:, None]
    ).astype(np.int64)
    along = borders.points[vertex]
    lanes = count - len(inner)
    rows, columns = nodes.shape[0] - 1, nodes.shape[1] - 1
    unit = rng.permutation(np.resize(np.arange(rows * columns), max(lanes, rows * columns)))[:lanes]
    row, column = unit // columns, unit % columns
    from_, to = rng.uniform(0.3, 0.7, (2, lanes, 1))
    south = nodes[row, column] * (1 - from_) + nodes[row, column + 1] * from_
    north = nodes[row + 1, column] * (1 - to) + nodes[row + 1, column + 1] * to
    share = np.linspace(0.02, 0.98, kept)[None, :, None]
    lane = south[:, None] * (1 - share) + north[:, None] * share
    lane[:, 1:-1] += rng.uniform(-3, 3, (lanes, kept - 2, 2))
    lines = shapely.linestrings(np.round(np.concatenate([along, lane]), 3))
    widths = np.concatenate([rng.uniform(12, 30, len(inner)), rng.uniform(4, 9, lanes)])
    return np.asarray(lines), widths


def _courtyards(nodes: Floats, count: int, rng: np.random.Generator) -> Shapes:
    """Give walled yards inside units, each with 6 to 12 corners; one in ten has a hole."""
    rows, columns = nodes.shape[0] - 1, nodes.shape[1] - 1
    unit = rng.integers(0, rows * columns, count)
    row, column = unit // columns, unit % columns
    share = rng.uniform(0.25, 0.75, (count, 1))
    middle = nodes[row, column] * (1 - share) + nodes[row + 1, column + 1] * share
    middle += rng.uniform(-40, 40, (count, 2))
    radius = rng.uniform(25, 70, count)
    corners = rng.integers(6, 13, count)
    shapes = np.empty(count, dtype=object)
    for number in range(6, 13):
        of = corners == number
        shapes[of] = shapely.polygons(_round(middle[of], number, radius[of], rng))
    holed = np.arange(0, count, 10)
    holes = shapely.linearrings(_round(middle[holed], 6, radius[holed] * 0.3, rng))
    shapes[holed] = shapely.polygons(shapely.get_exterior_ring(shapes[holed]), holes[:, None])
    return shapes


def _buildings(courtyards: Shapes, nodes: Floats, count: int, rng: np.random.Generator) -> Shapes:
    """Give L-shaped houses, half of them in courtyards."""
    yards = shapely.get_coordinates(shapely.centroid(courtyards))
    middle = yards[rng.integers(0, len(yards), count)] + rng.uniform(-25, 25, (count, 2))
    loose = np.arange(count) % 2 == 1
    middle[loose] = rng.uniform(nodes.min((0, 1)), nodes.max((0, 1)), (loose.sum(), 2))
    long, deep = rng.uniform(15, 50, (count, 1)), rng.uniform(8, 16, (count, 1))
    notch = rng.uniform(0.3, 0.7, (count, 2))
    u = np.hstack([0 * long, long, long, long * notch[:, :1], long * notch[:, :1], 0 * long])
    v = np.hstack(
        [0 * deep, 0 * deep, deep, deep, deep * (1 + notch[:, 1:]), 1 * deep * (1 + notch[:, 1:])]
    )
    return _placed(middle, u, v, rng.uniform(0, 2 * np.pi, count))


def _placed(at: Floats, u: Floats, v: Floats, turn: Floats) -> Shapes:
    cos, sin = np.cos(turn)[:, None], np.sin(turn)[:, None]
    ring = np.stack([u * cos - v * sin, u * sin + v * cos], axis=-1) + at[:, None]
    return np.asarray(shapely.polygons(np.round(ring, 3)))


def _strips(roads: Shapes, widths: Floats, count: int, rng: np.random.Generator) -> Shapes:
    """Give the ground before shops: rows of strips along a road, each sharing its sides."""
    in_a_row = 10
    lines = -(-count // in_a_row)
    # Shops crowd: a road near the first ones is taken far more often.
    order = rng.permutation(len(roads))
    road = order[(len(roads) * rng.random(lines) ** 1.5).astype(np.int64)]
    points = shapely.get_coordinates(roads).reshape(len(roads), -1, 2)[road]
    leg = rng.integers(0, points.shape[1] - 1, lines)
    start, end = points[np.arange(lines), leg], points[np.arange(lines), leg + 1]
    ahead = (end - start) / np.hypot(*(end - start).T)[:, None]
    side = np.where(rng.random(lines) < 0.5, 1.0, -1.0)[:, None]
    aside = np.column_stack([-ahead[:, 1], ahead[:, 0]]) * side
    fronts = rng.uniform(3, 12, (lines, in_a_row))
    cuts = np.concatenate([np.zeros((lines, 1)), np.cumsum(fronts, axis=1)], axis=1)
    deep = rng.uniform(2, 6, lines)[:, None, None]
    near = (
        start[:, None]
        + ahead[:, None] * cuts[..., None]
        + aside[:, None] * (widths[road][:, None, None] / 2)
    )
    far = near + aside[:, None] * deep
    near, far = np.round(near, 3), np.round(far, 3)
    ring = np.stack([near[:, :-1], near[:, 1:], far[:, 1:], far[:, :-1]], axis=2)
    return np.asarray(shapely.polygons(ring.reshape(-1, 4, 2)[:count]))
