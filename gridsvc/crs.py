"""Every coordinate enters and leaves here: WGS-84, EPSG systems and China's shifted datums.

GCJ-02 is WGS-84 moved some 100 to 700 m by a fixed formula; maps published in China are drawn in
it. BD-09 moves GCJ-02 once more. Neither has an EPSG code, nor an inverse in closed form. The
guards at the end say when coordinates look as if another system was meant than the declared one;
they report and never move anything.
"""

import difflib
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Literal, TypeAlias, overload

import numpy as np
import numpy.typing as npt
import pyproj
import shapely
from pyproj.exceptions import CRSError
from shapely.geometry.base import BaseGeometry

from gridsvc.errors import DatumNotInverted, UnknownCrs

Floats: TypeAlias = npt.NDArray[np.float64]
Geometries: TypeAlias = npt.NDArray[np.object_]
Bounds: TypeAlias = tuple[float, float, float, float]
_Forward: TypeAlias = Callable[..., tuple[Any, Any]]


# Names


@dataclass(frozen=True, slots=True)
class Crs:
    """A coordinate reference system by its one normalised name; made by `parse_crs`.

    Attributes:
        name: "gcj02", "bd09" or "EPSG:" and a number.
    """

    name: str

    def __str__(self) -> str:
        return self.name

    @property
    def epsg(self) -> int | None:
        """The EPSG code; None for the shifted datums, which have none."""
        return _code(self.name)

    @property
    def in_degrees(self) -> bool:
        """Whether x is a longitude and y a latitude, in degrees."""
        return _is_in_degrees(self.name)

    @property
    def in_metres(self) -> bool:
        """Whether this is a projected system in metres, fit to store areas in."""
        return self.epsg is not None and _unit(self.epsg) == "metre"

    @property
    def north_first(self) -> bool:
        """Whether its authority writes the latitude or northing first, as EPSG does for 4547.

        Nothing here does: x before y everywhere, but standards that name systems ask for it.
        """
        return self.epsg is not None and _axis(self.epsg) == "north"


WGS84 = Crs("EPSG:4326")
CGCS2000 = Crs("EPSG:4490")
GCJ02 = Crs("gcj02")
BD09 = Crs("bd09")

# Without case, space, hyphen and underscore, as `_squeeze` leaves a name. bd09mc, Baidu's own
# Mercator in metres, is another system and left out on purpose.
_SPELLINGS = {
    "gcj02": GCJ02,
    "gcj02ll": GCJ02,
    "bd09": BD09,
    "bd09ll": BD09,
    "wgs84": WGS84,
    "crs84": WGS84,
    "ogc:crs84": WGS84,
    "urn:ogc:def:crs:ogc:1.3:crs84": WGS84,
    "urn:ogc:def:crs:ogc::crs84": WGS84,
    "cgcs2000": CGCS2000,
}
_EPSG = re.compile(r"(?:urn:ogc:def:crs:)?(?:epsg:?(?:[\d.]*:)?)?(\d{4,6})", re.ASCII)


def parse_crs(name: str | Crs) -> Crs:
    """Read the name of a coordinate reference system in any usual spelling.

    "GCJ-02", "bd_09", "WGS 84", "CGCS2000", "epsg:4547", "4547" and the URNs that GeoJSON files
    carry are all understood. An EPSG code must be of a horizontal system, geographic in degrees
    or projected: heights, geocentric systems and grads are refused.

    Raises:
        UnknownCrs: no such system; names those that are spelled alike.
    """
    return name if isinstance(name, Crs) else _parse(name)


@lru_cache(maxsize=256)  # callers send names, so the spellings have no end
def _parse(name: str) -> Crs:
    squeezed = _squeeze(name)
    if known := _SPELLINGS.get(squeezed):
        return known
    if match := _EPSG.fullmatch(squeezed):
        if _unit(int(match[1])):
            return Crs(f"EPSG:{int(match[1])}")
        raise UnknownCrs(name, matches=())  # a number that is nearly right means nothing
    usual = [*_SPELLINGS, "epsg:4326", "epsg:4490"]
    close = (parse_crs(spelling) for spelling in difflib.get_close_matches(squeezed, usual))
    raise UnknownCrs(name, matches=tuple(dict.fromkeys(crs.name for crs in close)))


def _squeeze(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).casefold()


@lru_cache(maxsize=256)
def _code(name: str) -> int | None:
    authority, _, code = name.partition(":")
    return int(code) if authority == "EPSG" else None


@lru_cache(maxsize=256)
def _is_in_degrees(name: str) -> bool:
    epsg = _code(name)
    return epsg is None or _unit(epsg) == "degree"


@lru_cache(maxsize=256)
def _unit(epsg: int) -> str | None:
    """Give the unit of a horizontal system's axes; None where it is no system we can read."""
    try:
        crs = pyproj.CRS.from_epsg(epsg)
    except CRSError:
        return None
    unit = crs.axis_info[0].unit_name if crs.axis_info else None
    return unit if crs.is_projected or (crs.is_geographic and unit == "degree") else None


@lru_cache(maxsize=256)
def _axis(epsg: int) -> str:
    """Give the direction of a system's first axis."""
    return str(pyproj.CRS.from_epsg(epsg).axis_info[0].direction)


# The shifted datums

# The formula measures the shift in metres on the Krasovsky 1940 ellipsoid, though it is applied
# to WGS-84 degrees: f = 1/298.3 and e² = 2f - f².
_KRASOVSKY_A_M = 6378245.0
_KRASOVSKY_E2 = 0.00669342162296594323

# BD-09 lies this far beside GCJ-02, whatever the place, ...
_BD09_LON, _BD09_LAT = 0.0065, 0.006
# ... and ripples with this many waves in 2 * pi degrees.
_BD09_RIPPLE = math.pi * 3000 / 180

# Towards the poles a metre becomes any number of degrees and the formula folds over itself.
# Web maps, for which the shifted datums were made, end at 85 degrees too.
_SHIFTED_LAT_MAX = 85.0

# Degrees: some 11 micrometres, a hundredth of what is promised.
_TOLERANCE = 1e-10
_ROUNDS_MAX = 50


def _gcj02_forward(lon: Any, lat: Any, using: Any = np) -> tuple[Any, Any]:  # noqa: ANN401
    """Shift WGS-84 to GCJ-02.

    The shift east and north, in metres, is a polynomial in degrees from 105° E 35° N plus sines
    of periods 1/3° to 60°; it is then made degrees by the length of a degree of the ellipsoid.

    Args:
        lon: Degrees, arrays or floats.
        lat: The same.
        using: NumPy, or math for floats, which takes a twentieth of the time.

    Source: as published in eviltransform (googollee) and described term by term in prcoords
    (Artoria2e5). The official algorithm is secret; this one meets it to well under a metre.
    """
    x, y = lon - 105.0, lat - 35.0
    common = 20 * using.sin(6 * math.pi * x) + 20 * using.sin(2 * math.pi * x)
    root, product = using.sqrt(using.fabs(x)), 0.1 * x * y
    waves_north = common + (
        20 * using.sin(math.pi * y)
        + 40 * using.sin(math.pi / 3 * y)
        + 160 * using.sin(math.pi / 12 * y)
        + 320 * using.sin(math.pi / 30 * y)
    )
    waves_east = common + (
        20 * using.sin(math.pi * x)
        + 40 * using.sin(math.pi / 3 * x)
        + 150 * using.sin(math.pi / 12 * x)
        + 300 * using.sin(math.pi / 30 * x)
    )
    north_m = -100 + 2 * x + 3 * y + 0.2 * y * y + product + 0.2 * root + 2 / 3 * waves_north
    east_m = 300 + x + 2 * y + 0.1 * x * x + product + 0.1 * root + 2 / 3 * waves_east

    phi = using.radians(lat)
    w2 = 1 - _KRASOVSKY_E2 * using.sin(phi) ** 2
    w = using.sqrt(w2)
    metres_per_lat = using.radians(_KRASOVSKY_A_M * (1 - _KRASOVSKY_E2)) / (w2 * w)
    metres_per_lon = using.radians(_KRASOVSKY_A_M) * using.cos(phi) / w
    return lon + east_m / metres_per_lon, lat + north_m / metres_per_lat


def _bd09_forward(lon: Any, lat: Any, using: Any = np) -> tuple[Any, Any]:  # noqa: ANN401
    """Shift GCJ-02 to BD-09.

    Degrees are taken as plane polar coordinates about (0, 0); radius and angle are rippled, and
    a constant is added.

    Source: as published in coord-convert and prcoords.
    """
    radius = using.hypot(lon, lat) + 2e-5 * using.sin(_BD09_RIPPLE * lat)
    angle = using.atan2(lat, lon) + 3e-6 * using.cos(_BD09_RIPPLE * lon)
    return radius * using.cos(angle) + _BD09_LON, radius * using.sin(angle) + _BD09_LAT


def _inverse(forward: _Forward, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Find the points that `forward` takes to (x, y), by stepping back by what is still missed.

    The shifts change by less than 2 % of the way one moves, so each round gains about two
    digits and four or five are enough. What is returned has been put through `forward` and met
    (x, y) to `_TOLERANCE`. NaN stays NaN.

    Raises:
        DatumNotInverted: a point was still missed after `_ROUNDS_MAX` rounds.
    """
    lon, lat = x.copy(), y.copy()
    for _ in range(_ROUNDS_MAX):
        there_x, there_y = forward(lon, lat)
        missed_x, missed_y = there_x - x, there_y - y
        missed = np.maximum(np.abs(missed_x), np.abs(missed_y)) > _TOLERANCE
        if not missed.any():
            return lon, lat
        # Whoever is there stays there, so that a point ends where it would end by itself.
        lon -= np.where(missed, missed_x, 0.0)
        lat -= np.where(missed, missed_y, 0.0)
    first = int(np.flatnonzero(missed)[0])
    raise DatumNotInverted(int(missed.sum()), x=float(x[first]), y=float(y[first]))


def _inverse_of_point(forward: _Forward, x: float, y: float) -> tuple[float, float]:
    """Find one point as `_inverse` finds many."""
    lon, lat = x, y
    for _ in range(_ROUNDS_MAX):
        there_x, there_y = forward(lon, lat, math)
        missed_x, missed_y = there_x - x, there_y - y
        if max(abs(missed_x), abs(missed_y)) <= _TOLERANCE:
            return lon, lat
        lon -= missed_x
        lat -= missed_y
    raise DatumNotInverted(1, x=x, y=y)


# Conversion


@cache
def _transformer(source_epsg: int, target_epsg: int) -> pyproj.Transformer:
    """Build each pyproj transformer once; they are slow to make and safe to share by threads."""
    return pyproj.Transformer.from_crs(source_epsg, target_epsg, always_xy=True)


@overload
def convert(x: float, y: float, *, source: Crs | str, target: Crs | str) -> tuple[float, float]: ...
@overload
def convert(
    x: npt.NDArray[Any] | Sequence[float],
    y: npt.NDArray[Any] | Sequence[float],
    *,
    source: Crs | str,
    target: Crs | str,
) -> tuple[Floats, Floats]: ...
def convert(
    x: npt.ArrayLike, y: npt.ArrayLike, *, source: Crs | str, target: Crs | str
) -> tuple[Any, Any]:
    """Convert coordinates from one system to another.

    Axes are x = east or longitude, y = north or latitude, whatever the authority says. The
    shifted datums are inverted to under 1 mm. CGCS2000 (EPSG:4490 and the zones on it, such as
    EPSG:4547) is taken as WGS-84: pyproj knows only a ballpark step between them, which moves
    nothing, and in truth they differ by centimetres.

    No rectangle "in China" is tested: where a datum may be used is for a scheme to say.

    Args:
        x: Eastings or longitudes, scalar or array.
        y: Northings or latitudes, same shape.
        source: What x and y are in.
        target: What they shall be in.

    Returns:
        x and y in `target`, scalars for scalars, arrays of the same shape for arrays. Both are
        NaN where either input is NaN or infinite, where degrees are beyond 180 or 90 (a shifted
        datum: latitude beyond 85), and where the point has no place in `target`.

    Raises:
        UnknownCrs: `source` or `target` is no known name.
        DatumNotInverted: an inverse did not reach its accuracy.

    Source: `_gcj02_forward`, `_bd09_forward`; PROJ for the rest.
    """
    source, target = parse_crs(source), parse_crs(target)
    if isinstance(x, float) and isinstance(y, float):
        return _convert_point(float(x), float(y), source, target)
    x, y = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
    shape = x.shape
    x, y = _only_valid(x.ravel(), y.ravel(), source)
    if source != target:
        x, y = _from_shifted(x, y, source)
        x, y = _by_proj(x, y, source.epsg or 4326, target.epsg or 4326)
        x, y = _to_shifted(x, y, target)
    return x.reshape(shape)[()], y.reshape(shape)[()]


_NOWHERE = math.nan, math.nan


def _convert_point(x: float, y: float, source: Crs, target: Crs) -> tuple[float, float]:
    """Convert one point, as `convert` does many, without making arrays."""
    if not _is_valid(x, y, source):
        return _NOWHERE
    if source == target:
        return x, y
    if source == BD09:
        x, y = _inverse_of_point(_bd09_forward, x, y)
    if source.epsg is None:
        x, y = _inverse_of_point(_gcj02_forward, x, y)
    if (from_epsg := source.epsg or 4326) != (to_epsg := target.epsg or 4326):
        x, y = _transformer(from_epsg, to_epsg).transform(x, y)
    if not (math.isfinite(x) and math.isfinite(y)):  # PROJ says infinity
        return _NOWHERE
    if target.epsg is None:
        if not _is_valid(x, y, target):
            return _NOWHERE
        x, y = _gcj02_forward(x, y, math)
    if target == BD09:
        x, y = _bd09_forward(x, y, math)
    return x, y


def _is_valid(x: float, y: float, crs: Crs) -> bool:
    if not (math.isfinite(x) and math.isfinite(y)):
        return False
    return not crs.in_degrees or (
        abs(x) <= 180.0 and abs(y) <= (90.0 if crs.epsg else _SHIFTED_LAT_MAX)  # noqa: PLR2004
    )


def _only_valid(x: Floats, y: Floats, crs: Crs) -> tuple[Floats, Floats]:
    valid = np.isfinite(x) & np.isfinite(y)
    if crs.in_degrees:
        lon_max, lat_max = 180.0, 90.0 if crs.epsg else _SHIFTED_LAT_MAX
        valid &= (np.abs(x) <= lon_max) & (np.abs(y) <= lat_max)
    return np.where(valid, x, np.nan), np.where(valid, y, np.nan)


def _from_shifted(x: Floats, y: Floats, source: Crs) -> tuple[Floats, Floats]:
    if source == BD09:
        x, y = _inverse(_bd09_forward, x, y)
    if source in {BD09, GCJ02}:
        x, y = _inverse(_gcj02_forward, x, y)
    return x, y


def _to_shifted(x: Floats, y: Floats, target: Crs) -> tuple[Floats, Floats]:
    if target in {BD09, GCJ02}:
        x, y = _gcj02_forward(*_only_valid(x, y, target))
    if target == BD09:
        x, y = _bd09_forward(x, y)
    return x, y


def _by_proj(x: Floats, y: Floats, source: int, target: int) -> tuple[Floats, Floats]:
    if source == target:
        return x, y
    x, y = _transformer(source, target).transform(x, y)
    placed = np.isfinite(x) & np.isfinite(y)  # PROJ says infinity where a point has no place
    return np.where(placed, x, np.nan), np.where(placed, y, np.nan)


@overload
def to_wgs84(x: float, y: float, *, crs: Crs | str) -> tuple[float, float]: ...
@overload
def to_wgs84(
    x: npt.NDArray[Any] | Sequence[float], y: npt.NDArray[Any] | Sequence[float], *, crs: Crs | str
) -> tuple[Floats, Floats]: ...
def to_wgs84(x: Any, y: Any, *, crs: Crs | str) -> tuple[Any, Any]:
    """Convert to longitude and latitude, EPSG:4326; see `convert`."""
    return convert(x, y, source=crs, target=WGS84)


@overload
def from_wgs84(lon: float, lat: float, *, crs: Crs | str) -> tuple[float, float]: ...
@overload
def from_wgs84(
    lon: npt.NDArray[Any] | Sequence[float],
    lat: npt.NDArray[Any] | Sequence[float],
    *,
    crs: Crs | str,
) -> tuple[Floats, Floats]: ...
def from_wgs84(lon: Any, lat: Any, *, crs: Crs | str) -> tuple[Any, Any]:
    """Convert longitude and latitude, EPSG:4326, to x and y of `crs`; see `convert`."""
    return convert(lon, lat, source=WGS84, target=crs)


@overload
def convert_geometries(
    geometries: Geometries | Sequence[BaseGeometry | None], *, source: Crs | str, target: Crs | str
) -> Geometries: ...
@overload
def convert_geometries(
    geometries: BaseGeometry, *, source: Crs | str, target: Crs | str
) -> BaseGeometry: ...
def convert_geometries(geometries: Any, *, source: Crs | str, target: Crs | str) -> Any:
    """Convert every vertex of one geometry or an array of them, in one pass.

    Heights are dropped. None stays None and an empty geometry empty. A geometry with a vertex
    that has no place in `target`, where `convert` gives NaN, becomes None. Edges are straight
    between the converted vertices.
    """
    shapes = np.asarray(geometries, dtype=object)
    flat = shapely.force_2d(shapes.ravel())
    xy, owner = shapely.get_coordinates(flat, return_index=True)
    x, y = convert(xy[:, 0], xy[:, 1], source=source, target=target)
    lost = np.zeros(flat.size, dtype=bool)
    lost[owner[np.isnan(x)]] = True
    flat[lost] = None
    kept = ~lost[owner]
    shapely.set_coordinates(flat, np.column_stack([x[kept], y[kept]]))
    return flat.reshape(shapes.shape)[()]


# Guards: what else could the coordinates be in?

# A candidate fits markedly better when it gains at least this much of the whole (500 m more or
# less move 2 % of the points of a city 60 km across over its edge) ...
_GAIN_MIN = 0.01
# ... and leaves at most this part of what the declared system leaves unexplained ...
_UNEXPLAINED_MAX = 0.5
# ... and, counting points, moves in more than out by this many standard deviations.
_SIGMAS_MIN = 3.0


@dataclass(frozen=True, slots=True)
class Fit:
    """How well coordinates fit a known area when read in each of several systems.

    Attributes:
        measure: "points", the share of points inside the area, or "outline", the intersection
            of the union of the geometries and the area over the union of the two (IoU).
        declared: The system they were said to be in.
        scores: Each candidate and its score from 0 to 1, the declared one first.
        better: The candidate that fits markedly better than the declared one; None if none.
        count: How many points or geometries were judged.
    """

    measure: Literal["points", "outline"]
    declared: Crs
    scores: tuple[tuple[Crs, float], ...]
    better: Crs | None
    count: int

    def score(self, crs: Crs | str) -> float:
        """Give the score of one candidate."""
        return dict(self.scores)[parse_crs(crs)]

    def message(self) -> str:
        """Say in one or two sentences what fits, and what to do."""
        if not self.count:
            return f"Nothing to judge: no usable coordinates, declared {self.declared}."
        if self.measure == "points":
            form, says = "{:.1%}", f"{{}} of {self.count:,} points lie inside the area"
        else:
            form, says = "{:.4f}", "The layer meets the known outline with an IoU of {}"
        now = says.format(form.format(self.score(self.declared)))
        if self.better is None:
            return f"{now} when read as {self.declared}; no other candidate is markedly better."
        then = form.format(self.score(self.better))
        return (
            f"{now} when read as {self.declared}, {then} when read as {self.better}. "
            f"If the source is in {self.better}, declare it so; nothing was moved."
        )


def guard_points(  # noqa: PLR0913  an area needs its CRS beside it
    x: npt.NDArray[Any] | Sequence[float],
    y: npt.NDArray[Any] | Sequence[float],
    *,
    declared: Crs | str,
    candidates: Iterable[Crs | str],
    area: BaseGeometry,
    area_crs: Crs | str,
) -> Fit:
    """Ask whether more points lie inside an area when read in another system.

    Another system is named when it puts at least 1 percentage point more inside, leaves at
    most half as many outside, and the difference is no accident of a small batch: of the points
    that change sides, those that come in outnumber those that leave by three standard
    deviations, 3 * sqrt(in + out). One-way, that takes 9 points.

    Args:
        x: (n,) eastings or longitudes, as declared.
        y: (n,) northings or latitudes.
        declared: What the points were said to be in.
        candidates: What else they may be in; usually the scheme's `input_crs`.
        area: The city: its outline in the storage CRS, or a box about it. The sharper it is,
            the more the guard sees; a box half a kilometre too wide hides a shifted datum.
        area_crs: What `area` is in.

    Returns:
        The verdict. Points with NaN or infinity are not counted.
    """
    declared, area_crs = parse_crs(declared), parse_crs(area_crs)
    all_x, all_y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    usable = np.isfinite(all_x) & np.isfinite(all_y)
    some_x, some_y = all_x[usable], all_y[usable]
    count = int(usable.sum())
    shapely.prepare(area)
    inside = {
        crs: shapely.intersects_xy(area, *convert(some_x, some_y, source=crs, target=area_crs))
        for crs in _candidates(declared, candidates)
    }
    scores = {crs: float(mask.mean()) if count else 0.0 for crs, mask in inside.items()}
    best = _best(scores, declared)
    if best is not None:
        came_in = int((inside[best] & ~inside[declared]).sum())
        went_out = int((inside[declared] & ~inside[best]).sum())
        if came_in - went_out < _SIGMAS_MIN * np.sqrt(came_in + went_out):
            best = None
    return Fit("points", declared, tuple(scores.items()), best, count)


def guard_layer(
    geometries: Geometries | Sequence[BaseGeometry | None],
    *,
    declared: Crs | str,
    candidates: Iterable[Crs | str],
    outline: BaseGeometry,
    outline_crs: Crs | str,
) -> Fit:
    """Ask whether a layer agrees better with a known outline when read in another system.

    Another system is named when its IoU is higher by at least 0.01 and at most half as far from
    1 as the declared one's. So `outline` must be of what the layer covers: the union of its
    parents, the layer as it stood, or the city for a layer that fills it.

    Args:
        geometries: Polygons as declared, valid or not; None and empty ones are passed over.
        declared: What the layer was said to be in.
        candidates: What else it may be in; usually the scheme's `input_crs`.
        outline: What the layer should cover, in a metric system such as the storage CRS.
        outline_crs: What `outline` is in.
    """
    declared, outline_crs = parse_crs(declared), parse_crs(outline_crs)
    shapes = np.asarray(geometries, dtype=object)
    shapes = shapes[~(shapely.is_missing(shapes) | shapely.is_empty(shapes))]
    # Which polygons touch does not hang on the system, so the costly union is made only once.
    union = shapely.union_all(shapely.make_valid(shapes))
    outline = shapely.make_valid(outline)
    scores = {
        crs: _iou(convert_geometries(union, source=crs, target=outline_crs), outline)
        for crs in _candidates(declared, candidates)
    }
    best = _best(scores, declared)
    return Fit("outline", declared, tuple(scores.items()), best, int(shapes.size))


def _candidates(declared: Crs, candidates: Iterable[Crs | str]) -> tuple[Crs, ...]:
    """Put the declared system first and drop repetitions."""
    return tuple(dict.fromkeys([declared, *map(parse_crs, candidates)]))


def _best(scores: dict[Crs, float], declared: Crs) -> Crs | None:
    best = max(scores, key=lambda crs: scores[crs])  # the first of equals, so the declared one
    gain = scores[best] - scores[declared]
    halved = 1 - scores[best] <= _UNEXPLAINED_MAX * (1 - scores[declared])
    return best if best != declared and gain >= _GAIN_MIN and halved else None


def _iou(shape: BaseGeometry | None, outline: BaseGeometry) -> float:
    if shape is None:  # it has no place in the outline's system
        return 0.0
    shape = shapely.make_valid(shape)
    union_area = shapely.union(shape, outline).area
    return float(shapely.intersection(shape, outline).area / union_area) if union_area else 0.0


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the bounds of some coordinates come to lie when read in each of several systems.

    Attributes:
        declared: The system they were said to be in, or that is meant when nothing is said.
        bounds: West, south, east, north, as given.
        impossible: Whether they cannot be in the declared system at all: degrees beyond 180 or
            90, or no place on Earth.
        inside: The candidates that put all of the bounds inside the extent.
    """

    declared: Crs
    bounds: Bounds
    impossible: bool
    inside: tuple[Crs, ...]

    @property
    def plausible(self) -> bool:
        """Whether the declared system puts the bounds inside the extent."""
        return self.declared in self.inside

    def message(self) -> str:
        """Say in one or two sentences what is wrong, and what to do."""
        x_min, y_min, x_max, y_max = (f"{value:.7g}" for value in self.bounds)
        place = f"Coordinates from ({x_min}, {y_min}) to ({x_max}, {y_max})"
        if self.plausible:
            return f"{place} lie inside the extent when read as {self.declared}."
        wrong = "cannot be in" if self.impossible else "lie outside the extent when read as"
        others = " or ".join(crs.name for crs in self.inside)
        remedy = (
            f"They fit the extent when read as {others}; declare that if the source agrees"
            if others
            else "No candidate puts them inside; ask the source for its CRS"
        )
        return f"{place} {wrong} {self.declared}. {remedy}."


def guard_bounds(
    bounds: Bounds | Sequence[float] | Floats,
    *,
    declared: Crs | str,
    candidates: Iterable[Crs | str],
    extent: Bounds,
) -> Placement:
    """Ask which systems put the bounds of a file inside the extent of a scheme.

    This is for coordinates that were declared as nothing or as something they cannot be, such
    as feet in a GeoJSON. Inside means the whole box, its edges followed at 11 points each; one
    stray coordinate puts it outside.

    Args:
        bounds: x min, y min, x max, y max.
        declared: What the coordinates were said to be in, or are in when nothing is said.
        candidates: What else they may be in; usually the scheme's `input_crs`.
        extent: West, south, east, north of the scheme, WGS-84 degrees.
    """
    declared = parse_crs(declared)
    x_min, y_min, x_max, y_max = (float(value) for value in bounds)
    ring_x, ring_y = np.meshgrid(np.linspace(x_min, x_max, 11), np.linspace(y_min, y_max, 11))
    west, south, east, north = extent

    def lonlat(crs: Crs) -> tuple[Floats, Floats]:
        return to_wgs84(ring_x.ravel(), ring_y.ravel(), crs=crs)

    def fits(crs: Crs) -> bool:
        lon, lat = lonlat(crs)
        return bool(((west <= lon) & (lon <= east) & (south <= lat) & (lat <= north)).all())

    return Placement(
        declared=declared,
        bounds=(x_min, y_min, x_max, y_max),
        impossible=bool(np.isnan(lonlat(declared)).any()),
        inside=tuple(crs for crs in _candidates(declared, candidates) if fits(crs)),
    )
