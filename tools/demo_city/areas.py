"""The city's layers are groups of the network's faces, bands along its edges and blocks between.

Tiling layers are exact sums of unit grids: every vertex of a parent is a vertex of its units.
"""

# ruff: noqa: PLR2004 -- a drawing is full of measures that are its own

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon
from shapely.affinity import rotate
from shapely.geometry.base import BaseGeometry
from shapely.ops import substring

from tools.demo_city import DISTRICT, EPSG, names, roads
from tools.demo_city.network import CENTRE, GRID_M, WIDTH_M, Array, Network, halve

Ints = NDArray[np.intp]
N_STREETS, N_PATROLS, N_ENFORCEMENT = 5, 24, 10
KINDS = {
    "arterial": ("大街", "Avenue"),
    "secondary": ("路", "Road"),
    "collector": ("街", "Street"),
    "lane": ("巷", "Lane"),
}


@dataclass
class City:
    """The layers, and where its life is.

    Attributes:
        layers: By layer code: `code`, `name`, `name_en` and `geometry` in EPSG:4548; street
            segments are lines and have a `width_m`.
        roads: The ground that each street segment takes up between the blocks.
        markets: Points, one for each street, with shops all round.
    """

    layers: dict[str, gpd.GeoDataFrame] = field(default_factory=dict)
    roads: Array = field(default_factory=lambda: np.array([], dtype=object))
    markets: Array = field(default_factory=lambda: np.array([], dtype=object))


def build(net: Network, rng: np.random.Generator) -> City:
    """Make all layers from the network."""
    city = City()
    _tilings(city, net)
    units = city.layers["unit"].geometry.to_numpy()
    city.markets = shapely.centroid(city.layers["street"].geometry.to_numpy())
    water, in_park = _open_spaces(city, net, units)
    grounds = _street_segments(city, net, shapely.union_all(units[in_park]), water)
    blocks = _less(units, np.array([*grounds, water]))
    rows = _shopfronts(city, net, blocks, rng)
    _courtyards_and_buildings(city, blocks, in_park, rows, rng)
    return city


def grow(areas: Array, seeds: Sequence[int]) -> Ints:
    """Give each area to the seed with the shortest way from neighbour to neighbour.

    Ways run through areas that share an edge, so every group hangs together.
    """
    mine, other = shapely.STRtree(areas).query(areas, predicate="touches")
    shared = shapely.length(shapely.intersection(areas[mine], areas[other])) > 1
    centres = shapely.centroid(areas)
    near: dict[int, list[int]] = {}
    for a, b in zip(mine[shared], other[shared], strict=True):
        near.setdefault(a, []).append(b)
    group = np.full(len(areas), -1)
    queue = [(0.0, int(seed), number) for number, seed in enumerate(seeds)]
    while queue:
        way_m, area, number = heapq.heappop(queue)
        if group[area] == -1:
            group[area] = number
            for b in near[area]:
                step_m = shapely.distance(centres[area], centres[b])
                heapq.heappush(queue, (way_m + step_m, int(b), number))
    return group


def _tilings(city: City, net: Network) -> None:
    """Group units into communities and streets, and across them into patrol and enforcement."""
    community = shapely.STRtree(net.communities).nearest(shapely.point_on_surface(net.units))
    communities = _sums(net.units, community)
    quarter = shapely.STRtree(net.quarters).nearest(shapely.point_on_surface(communities))
    quarters = _sums(communities, quarter)
    street = grow(quarters, _spread(quarters, N_STREETS))[quarter]
    # Codes count from north-west to south-east within each parent.
    order = np.lexsort((_reading_order(communities), street))
    code = np.empty(len(order), dtype=object)
    code[order] = [
        f"{DISTRICT}{s + 1:03}{n:03}"
        for s, n in zip(street[order], _count_within(street[order]), strict=True)
    ]
    order = np.lexsort((_reading_order(net.units), code[community]))
    units, of_unit = net.units[order], code[community[order]]
    number = _count_within(of_unit)
    unit_code = [f"{c}{n:03}" for c, n in zip(of_unit, number, strict=True)]

    _add(city, "district", [DISTRICT], [("演示区", "Demo District")], _sums(units, 0 * order))
    street_code = [f"{DISTRICT}{n:03}" for n in range(1, N_STREETS + 1)]
    named = [(f"{name}街道", f"{names.english(name)} Street Office") for name in names.STREETS]
    _add(city, "street", street_code, named, _sums(communities, street))
    named = [
        (f"{p}社区", f"{names.english(p)} Community") for p in map(names.place, range(len(code)))
    ]
    _add(city, "community", list(code), named, communities)
    _add(city, "unit", unit_code, [(f"第{n}单元网格", f"Unit grid {n}") for n in number], units)
    for layer, letter, parts, n, zh, en in (
        ("patrol_area", "P", units, N_PATROLS, "巡查区", "Patrol area"),
        ("enforcement_grid", "E", communities, N_ENFORCEMENT, "执法网格", "Enforcement grid"),
    ):
        count = range(1, n + 1)
        numbered = [(f"第{i}{zh}", f"{en} {i}") for i in count]
        sums = _sums(parts, grow(parts, _spread(parts, n)))
        _add(city, layer, [f"{DISTRICT}{letter}{i:02}" for i in count], numbered, sums)


def _open_spaces(city: City, net: Network, units: Array) -> tuple[BaseGeometry, NDArray[np.bool_]]:
    """Lay the river, in reaches from bridge to bridge, and a park on its bank.

    Returns:
        All the water, and which units the park fills.
    """
    river = shapely.line_merge(shapely.union_all(net.edges[net.edge_kind == "river"]))
    middle = shapely.line_interpolate_point(river, 0.46, normalized=True)
    in_park = np.zeros(len(units), dtype=bool)
    in_park[np.argsort(shapely.distance(shapely.centroid(units), middle), kind="stable")[:7]] = True
    band = river.buffer(WIDTH_M["river"] / 2, quad_segs=3)
    water = band.intersection(shapely.union_all(units))
    avenues = shapely.union_all(
        shapely.buffer(net.edges[net.edge_kind == "arterial"], WIDTH_M["arterial"] / 2, quad_segs=2)
    )
    park = shapely.union_all(units[in_park]).buffer(-10).difference(water.buffer(4))
    reaches, lawns = (
        parts[shapely.area(parts) > 500]  # m²
        for parts in map(shapely.get_parts, (water.difference(avenues), park))
    )
    named = [(f"云溪河{n}段", f"Yunxi River, reach {n}") for n in range(1, len(reaches) + 1)]
    named += [(f"晴岭公园{n}区", f"Qingling Park, part {n}") for n in range(1, len(lawns) + 1)]
    code = [f"{DISTRICT}K{n:02}" for n in range(1, len(named) + 1)]
    _add(city, "open_space", code, named, np.append(reaches, lawns))
    return water, in_park


def _street_segments(city: City, net: Network, park: BaseGeometry, water: BaseGeometry) -> Array:
    """Widen each edge to a road; the wider one keeps the crossing. Only avenues have bridges.

    Returns:
        The ground that the roads take up.
    """
    middles = shapely.line_interpolate_point(net.edges, 0.5, normalized=True)
    width_m = np.array([WIDTH_M[kind] for kind in net.edge_kind])
    order = np.lexsort((_reading_order(net.edges), -width_m))
    order = order[((net.edge_kind != "river") & ~shapely.contains_properly(park, middles))[order]]
    edges, kind, road, width_m = (
        each[order] for each in (net.edges, net.edge_kind, net.edge_road, width_m)
    )
    bands = shapely.buffer(shapely.simplify(edges, 0.5), width_m / 2, quad_segs=2)
    bands = shapely.intersection(bands, city.layers["district"].geometry.iloc[0])
    bands = np.where(kind == "arterial", bands, shapely.difference(bands, water))
    bands = _largest(_apart(bands))
    whole = shapely.area(bands) > 40  # m²; less is a crossing's leftover
    bands, edges, width_m = bands[whole], edges[whole], width_m[whole]
    kind, road = kind[whole], road[whole]
    by_road = np.argsort(road, kind="stable")
    part = np.empty(len(road), dtype=int)
    part[by_road] = _count_within(road[by_road])
    place = [names.place(n + 37) for n in road]
    named = [
        (f"{p}{KINDS[k][0]}{n}段", f"{names.english(p)} {KINDS[k][1]}, part {n}")
        for p, k, n in zip(place, kind, part, strict=True)
    ]
    code = [f"{DISTRICT}R{n:04}" for n in range(1, len(bands) + 1)]
    lines, width_m = roads.draw(bands, edges, width_m, city.layers["district"].geometry.iloc[0])
    _add(city, "street_segment", code, named, lines, width_m=width_m)
    city.roads = _largest(shapely.set_precision(bands, GRID_M))
    return bands


def _shopfronts(
    city: City, net: Network, blocks: Array, rng: np.random.Generator
) -> dict[int, list[Polygon]]:
    """Put strips of 5 to 9 m between kerb and wall along the streets near the markets.

    Returns:
        The rows of shops behind the strips, by the number of their block.
    """
    middles = shapely.line_interpolate_point(net.edges, 0.5, normalized=True)
    market_m = shapely.distance(middles[:, None], city.markets[None, :]).min(axis=1)
    share = 0.9 * np.exp(-((market_m / 330) ** 2)) + 0.08 * (net.edge_kind == "secondary")
    share *= ~np.isin(net.edge_kind, ["river", "arterial"])
    tree = shapely.STRtree(blocks)
    strips, houses, block_of = [], [], []
    for i in np.flatnonzero(rng.random(len(share)) < share):
        edge, kerb_m = net.edges[i], WIDTH_M[net.edge_kind[i]] / 2
        wall_m = kerb_m + rng.uniform(5, 9)
        at_m = 22.0
        while at_m < edge.length - 40:
            front_m = rng.uniform(12, 26)
            front = substring(edge, at_m, at_m + front_m)
            band = front.buffer(wall_m, cap_style="flat")
            house = front.buffer(wall_m + 13, cap_style="flat").difference(band)
            at_m += front_m + (rng.uniform(8, 20) if rng.random() < 0.12 else 0.0)
            for block in tree.query(band, predicate="intersects"):
                strips.append(blocks[block].intersection(band))
                houses.append(blocks[block].intersection(house))
                block_of.append(block)
    # At a corner two streets want the same ground.
    fronts, rows = np.split(_largest(_apart(np.array([*strips, *houses]))), 2)
    community = city.layers["unit"].code.str[:12].to_numpy()[block_of]
    order = np.lexsort((_reading_order(fronts), community))
    order = order[shapely.area(fronts[order]) > 50]  # m²
    within = _count_within(community[order])
    trades = list(names.TRADES.items())
    named = [
        (p + trades[t][0], f"{names.english(p)} {trades[t][1]}")
        for p, t in zip(
            map(names.place, rng.integers(132, size=len(order))),
            rng.integers(len(trades), size=len(order)),
            strict=True,
        )
    ]
    code = [f"{c}S{n:03}" for c, n in zip(community[order], within, strict=True)]
    _add(city, "shopfront", code, named, fronts[order])
    return {block: list(rows[np.array(block_of) == block]) for block in set(block_of)}


def _courtyards_and_buildings(
    city: City,
    blocks: Array,
    in_park: NDArray[np.bool_],
    rows: dict[int, list[Polygon]],
    rng: np.random.Generator,
) -> None:
    """Wall off most blocks into courtyards with rows of slabs; leave others to large buildings."""
    yards: dict[str, BaseGeometry] = {}
    houses: dict[str, Polygon] = {}
    fronts = shapely.union_all(city.layers["shopfront"].geometry.to_numpy())
    for i, (block, code) in enumerate(zip(blocks, city.layers["unit"].code, strict=True)):
        trade = rng.random() < 0.1 + 0.5 * (shapely.distance(block, city.markets).min() < 150)
        built = [house for house in rows.get(i, []) if house.area > 100]  # m²
        taken = shapely.union_all([*built, fronts.intersection(block)]).buffer(2, quad_segs=1)
        plots = [] if in_park[i] or rng.random() < 0.03 else _plots(block.buffer(-4), rng)
        n_yards = 0
        for plot in plots:
            walled = plot.buffer(-2.5, join_style="mitre").difference(taken)
            yard = _largest_of(walled.simplify(0.3))
            if yard.area < 1500:  # m²
                continue
            if not trade:
                n_yards += 1
                yards[f"{code}Y{n_yards:02}"] = yard
            flats = (12.5, rng.uniform(30, 48), rng.uniform(18, 24))
            built += _slabs(yard.buffer(-3), (30.0, 44.0, 14.0) if trade else flats, rng)
        houses |= {f"{code}B{n:03}": house for n, house in enumerate(built, 1)}
    number = [(names.place(7 * n), n // 132 + 1) for n in range(len(yards))]
    named = [(f"{p}{n}号院", f"{names.english(p)} Courtyard {n}") for p, n in number]
    _add(city, "courtyard", list(yards), named, np.array(list(yards.values())))
    named = [(f"{int(c[-3:])}号楼", f"Building {int(c[-3:])}") for c in houses]
    _add(city, "building", list(houses), named, np.array(list(houses.values())))


def _plots(block: BaseGeometry, rng: np.random.Generator) -> list[Polygon]:
    block = _largest_of(block)
    if block.area < 21_000:  # m²
        return [block]
    try:
        _, halves = halve(_largest_of(block.simplify(1)), rng)
    except ValueError:  # Too odd a shape to halve is left whole.
        return [block]
    return [plot for half in halves for plot in _plots(half.intersection(block), rng)]


def _slabs(
    yard: Polygon, shape: tuple[float, float, float], rng: np.random.Generator
) -> list[Polygon]:
    """Set slabs of (depth, length, gap) m in rows, facing south as flats in the north do."""
    depth_m, length_m, gap_m = shape
    ring = shapely.get_coordinates(shapely.minimum_rotated_rectangle(yard))
    if not len(ring):
        return []
    turn = (np.degrees(np.arctan2(*(ring[1] - ring[0])[::-1])) + 45) % 90 - 45
    level = rotate(yard, -turn, origin=CENTRE)
    west, south, east, north = level.bounds
    slabs = []
    for y in np.arange(south + rng.uniform(0, 4), north - depth_m, depth_m + gap_m):
        free = level.intersection(shapely.box(west, y, east, y + depth_m))
        if free.is_empty:
            continue
        left, _, right, _ = free.bounds
        # What is left over at the ends becomes wider gaps between the houses.
        fit = int((right - left + 9) // (length_m + 9))
        for x in np.linspace(left, right - length_m, fit) if fit else []:
            slab = shapely.box(x, y, x + length_m, y + depth_m)
            for shorter in (slab, shapely.box(x + 8, y, x + length_m - 8, y + depth_m)):
                if level.covers(shorter):
                    slabs.append(rotate(shorter, turn, origin=CENTRE))
                    break
    return slabs


def _less(areas: Array, others: Array) -> Array:
    """Take from each area the others that it meets, and keep the largest part."""
    mine, other = shapely.STRtree(others).query(areas, predicate="intersects")
    return np.array(
        [
            _largest_of(area.difference(shapely.union_all(others[other[mine == i]])))
            for i, area in enumerate(areas)
        ]
    )


def _apart(shapes: Array) -> Array:
    """Take from each shape those before it."""
    mine, other = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    apart = shapes.copy()
    for i in np.unique(mine[other < mine]):
        apart[i] = shapes[i].difference(shapely.union_all(apart[other[(mine == i) & (other < i)]]))
    return apart


def _sums(areas: Array, group: Ints) -> Array:
    sums = [shapely.coverage_union_all(areas[group == g]) for g in np.unique(group)]
    return shapely.normalize(np.array(sums))


def _spread(areas: Array, n: int) -> list[int]:
    """Choose areas far from each other, the first in the north-west."""
    centres = shapely.centroid(areas)
    chosen = [int(_reading_order(areas).argmin())]
    while len(chosen) < n:
        away = shapely.distance(centres[:, None], centres[chosen][None, :]).min(axis=1)
        chosen.append(int(away.argmax()))
    return chosen


def _reading_order(areas: Array) -> NDArray[np.float64]:
    """Rank from north-west to south-east, in rows of 400 m."""
    xy = shapely.get_coordinates(shapely.centroid(areas))
    return -np.round(xy[:, 1] / 400) * 1e5 + (xy[:, 0] - 7e5)


def _count_within(group: NDArray[np.object_] | Ints) -> Ints:
    """Number the members of each run of equal values from 1."""
    starts = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    return np.arange(len(group)) - np.repeat(starts, np.diff(np.r_[starts, len(group)])) + 1


def _largest_of(shape: BaseGeometry) -> Polygon:
    return max(shapely.get_parts(shape), key=shapely.area, default=Polygon())


_largest: Callable[[Array], Array] = np.vectorize(_largest_of, otypes=[object])


def _add(
    city: City,
    layer: str,
    codes: Sequence[str],
    named: list[tuple[str, str]],
    shapes: Array,
    **more: object,
) -> None:
    """Add a layer, on the 1 mm grid and in the order of its codes."""
    name, name_en = zip(*named, strict=True)
    columns = {"code": codes, "name": name, "name_en": name_en, **more}
    # Snapping may pinch a narrow neck in two. Tiling areas are on the grid and stay as they are.
    on_grid = shapely.set_precision(shapes, GRID_M)
    if "width_m" not in more:
        on_grid = _largest(on_grid)
    frame = gpd.GeoDataFrame(columns, geometry=on_grid, crs=EPSG)
    city.layers[layer] = frame.sort_values("code", ignore_index=True)
