"""Roads are drawn as planners draw them: a centre line with a width, from crossing to crossing.

What a line covers keeps to the ground that the roads take up between the blocks, and apart from
what wider roads cover; where a crossing is not square, a wedge of ground is left over.
"""

# ruff: noqa: PLR2004 -- a drawing is full of measures that are its own

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import LineString, MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry
from shapely.ops import substring

from tools.demo_city.network import GRID_M, Array

Metres = NDArray[np.float64]


def draw(
    ground: Array, edges: Array, width_m: Metres, district: Polygon
) -> tuple[Array, NDArray[np.float64]]:
    """Draw each road's line.

    Args:
        ground: What each road takes up, the widest roads first.
        edges: The line of the network that each runs along.
        width_m: How wide each is.
        district: No road leaves it; of those along its edge only the inner half is there.

    Returns:
        Lines on the 1 mm grid, and the width of each.
    """
    lines, widths_m = np.empty(len(edges), dtype=object), width_m.copy()
    tree = shapely.STRtree(ground)
    covered: dict[int, BaseGeometry] = {}
    middles = shapely.line_interpolate_point(edges, 0.5, normalized=True)
    on_rim = shapely.dwithin(middles, district.exterior, 0.01)
    smooth = shapely.simplify(edges, 0.5)
    for i in range(len(edges)):
        if on_rim[i]:
            widths_m[i] /= 2
            line = _beside(edges[i], widths_m[i] / 2 + 0.05, district)
        else:
            line = _rounded(smooth[i], widths_m[i] / 2)
        near = tree.query(surface(line, widths_m[i]))
        whole = shapely.union_all(ground[near], grid_size=GRID_M)
        others = [covered[j] for j in near if j in covered]
        line = _freed(line, widths_m[i], whole, others, district)
        if line.length < 2:
            # What a crossing leaves over of a road is drawn along its own length.
            line, widths_m[i] = _along(ground[i])
            line = _freed(line, widths_m[i], whole, others, district)
        lines[i] = shapely.set_precision(line, GRID_M)
        covered[i] = surface(lines[i], widths_m[i])
    return lines, widths_m


def surface(line: BaseGeometry, width_m: float) -> BaseGeometry:
    """Give what a line of a width covers, as the service makes it of both."""
    covered: BaseGeometry = shapely.buffer(line, width_m / 2, cap_style="flat", quad_segs=8)
    return covered


def surfaces(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Give a layer's areas as they lie on the ground: of street segments what they cover."""
    if "width_m" not in frame:
        return frame
    covered = shapely.buffer(
        frame.geometry.to_numpy(), frame.width_m.to_numpy() / 2, cap_style="flat", quad_segs=8
    )
    return frame.set_geometry(gpd.GeoSeries(covered, index=frame.index, crs=frame.crs))


def _freed(
    line: LineString,
    width_m: float,
    ground: BaseGeometry,
    others: list[BaseGeometry],
    district: Polygon,
) -> LineString:
    """Shorten a line until it covers neither blocks nor water nor other roads."""
    for _ in range(4):  # a line that ends elsewhere ends at another angle, and meets others
        band = surface(line, width_m)
        # In bends the ground is cut off more bluntly than a band is; that is let pass.
        inner = surface(line, 0.9 * width_m)
        off = [
            *_parts_off(shapely.difference(inner, ground, grid_size=GRID_M), 0.05),
            # The service takes what is wider than 5 mm for a spill.
            *_parts_off(shapely.difference(band, district, grid_size=GRID_M), 0, wide_m=0.003),
        ]
        for other in others:
            off += _parts_off(shapely.intersection(band, other, grid_size=GRID_M), 0.005)
        if not off:
            break
        line = substring(line, *_longest_free(line, off))
        if line.length < 1:
            break
    return line


def _parts_off(shape: BaseGeometry, least_m2: float, *, wide_m: float = 0) -> list[BaseGeometry]:
    return [
        part
        for part in shapely.get_parts(shape)
        if part.area > least_m2 and 2 * part.area > wide_m * part.length
    ]


def _longest_free(line: LineString, off: list[BaseGeometry]) -> tuple[float, float]:
    """Find the longest stretch, metres along the line, beside which nothing is off."""
    taken = []
    for part in off:
        along_m = shapely.line_locate_point(line, shapely.points(shapely.get_coordinates(part)))
        taken.append((float(along_m.min()), float(along_m.max())))
    best, free_from = (0.0, 0.0), 0.0
    for begins, ends in [*sorted(taken), (line.length, line.length)]:
        best = max(best, (free_from, begins), key=lambda stretch: stretch[1] - stretch[0])
        free_from = max(free_from, ends)
    return best


def _beside(edge: LineString, away_m: float, district: Polygon) -> LineString:
    """Draw a line along the inner side of one on the edge of the district."""
    for side in (away_m, -away_m):
        line: LineString = shapely.offset_curve(edge, side, quad_segs=8)
        if district.contains(line.interpolate(0.5, normalized=True)):
            return line
    message = f"No side of the edge at {edge.centroid} is inside. Choose another seed."
    raise ValueError(message)


def _rounded(line: LineString, half_m: float) -> LineString:
    """Cut corners, so that outside of a bend a road keeps to ground that is cut off there."""
    xy = shapely.get_coordinates(line)
    bent = [xy[0]]
    for before, corner, after in zip(xy, xy[1:], xy[2:], strict=False):
        back, on = before - corner, after - corner
        back_m, on_m = np.hypot(*back), np.hypot(*on)
        turn = np.pi - np.arccos(np.clip(back @ on / back_m / on_m, -1, 1))
        cut_m = min(half_m * np.tan(turn / 4), back_m / 3, on_m / 3)
        sharp = turn > 0.1
        bent += [corner + back / back_m * cut_m, corner + on / on_m * cut_m] if sharp else [corner]
    return LineString([*bent, xy[-1]])


def _along(ground: Polygon | MultiPolygon) -> tuple[LineString, float]:
    """Draw a line along a piece of ground, narrow enough to lie in it for the most part."""
    corners = shapely.get_coordinates(shapely.minimum_rotated_rectangle(ground))
    sides_m = np.hypot(*np.diff(corners[:3], axis=0).T)
    first = int(sides_m.argmin())
    ends = [corners[first : first + 2].mean(axis=0), corners[first + 2 : first + 4].mean(axis=0)]
    width_m = round(0.6 * float(sides_m.min()), 1)
    return substring(LineString(ends), 0.15, 0.85, normalized=True), width_m
