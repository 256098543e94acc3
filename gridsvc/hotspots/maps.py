"""The managers' map as one page: a survey, folium's layers, and everything they need, inlined.

folium lays out the map, the layer groups and their control. Its own scripts and styles from five
other hosts are left out: Leaflet, which the service brings along, is all that this page uses, and
it stands in the page. What comes from the city's data is packed (`gridsvc.hotspots.packing`) and
becomes text on the screen, never markup.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any, cast

import folium
import geopandas as gpd
import numpy as np
import numpy.typing as npt
import orjson
import shapely
from branca.element import Figure
from jinja2 import Environment, PackageLoader, StrictUndefined

from gridsvc.crs import WGS84, convert_geometries, to_wgs84
from gridsvc.hotspots.clusters import NONE, UNTESTED
from gridsvc.hotspots.looks import KINDS, PATTERNS
from gridsvc.hotspots.packing import pack
from gridsvc.hotspots.survey import (
    LEAST_CASES,
    Finding,
    GroundSurvey,
    Outline,
    Place,
    Survey,
    answering,
)
from gridsvc.hotspots.tessellation import M2_IN_KM2

SEQUENCE = ("#ffffcc", "#a1dab4", "#41b6c4", "#2c7fb8", "#253494")
"""ColorBrewer's YlGnBu: each darker than the one before, so that grey tells them apart too."""

UNKNOWN = "unknown"
"""Of a choice that was not tested."""

NO_CASES = "no_cases"
"""Of an area where nothing happened, which a pale colour must not be taken for."""

_SCALE_DEG = 1e-5  # about a metre
_INK = "#1c2733"
_GLARE = 0.05  # what WCAG adds to both luminances of a contrast
_DIAGONAL_PARTS = 4000  # lines are simplified by this part of the city's diagonal
_STEADY = 0.4  # a rank correlation below it is taken for none
_Q_STEPS = 1_000

_VIEWS = {
    "counts": ("案件数", "Number of cases"),
    "rates": ("每平方公里案件数", "Cases per km²"),
    "significance": ("热点与冷点（Gi*）", "Hot and cold spots (Gi*)"),
    "patterns": ("时间规律", "Patterns over time"),
    "density": ("密度面", "Density surface"),
}
_OVERLAYS = {
    "outlines": ("边界与名称", "Boundaries and names"),
    "hotspots": ("热点排名", "Hotspots by rank"),
    "chronic": ("顽疾点", "Chronic places"),
}


@dataclass(frozen=True, slots=True)
class Page:
    """A page and what it may do.

    Attributes:
        html: The document.
        policy: Its Content-Security-Policy, which also stands in it.
    """

    html: str
    policy: str


@dataclass(frozen=True, slots=True)
class _Hatch:
    """How a class is filled, for those too who do not see its colour."""

    colour: str
    size: int = 10
    path: str = ""
    ink: str = "#1c2733"
    width: float = 0


_env = Environment(
    loader=PackageLoader("gridsvc.hotspots"),
    autoescape=False,  # noqa: S701  scripts and styles go in as they are; no data does
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)

_SCRIPTS = ("words.js", "unpack.js", "figures.js", "drawing.js", "page.js")

# Up, down and both diagonals tell more from less and strong from weak without any colour.
_UP = "M-2 2L2 -2M0 10L10 0M8 12L12 8"
_UP_WIDE = "M-3 3L3 -3M0 20L20 0M17 23L23 17"
_FLAT = "M0 2.5H10M0 7.5H10"
_HATCHES: dict[str, tuple[str, int, float]] = {
    "hot_99": (_UP + "M-2 7L7 -2M3 12L12 3", 10, 1.4),
    "hot_95": (_UP, 10, 1.2),
    "hot_90": (_UP_WIDE, 20, 1.0),
    "cold_99": (_FLAT, 10, 1.4),
    "cold_95": ("M0 5H10", 10, 1.2),
    "cold_90": ("M0 10H20", 20, 1.0),
    UNTESTED: ("M2 2L8 8M8 2L2 8", 10, 0.8),
    UNKNOWN: ("", 10, 0),
    NO_CASES: ("M5 5h1.5", 10, 1.5),
    # Patterns over time: drawn like what they do, in hot and cold colours.
    "new": ("M8 3V13M3 8H13", 16, 1.8),
    "consecutive": ("M4 2V14M10 2V14", 16, 1.6),
    "intensifying": ("M3 13L8 4L13 13", 16, 1.8),
    "persistent": ("M0 4H16M0 12H16", 16, 1.8),
    "diminishing": ("M3 4L8 13L13 4", 16, 1.8),
    "sporadic": ("M4 4h2M11 11h2", 16, 2.2),
    "oscillating": ("M0 8Q4 1 8 8T16 8", 16, 1.6),
    "historical": ("M3 3L13 13M13 3L3 13", 16, 1.4),
}


def packed(survey: Survey) -> bytes:
    """Write a survey down as the page reads it."""
    return pack(document(survey))


def page(survey: bytes | None) -> Page:
    """Make the page.

    Args:
        survey: What it shows, as `packed` gives it; None makes a page that asks the service for it,
            with its reader's key.
    """
    drawn = _folium()
    parts = {
        "leaflet_css": _leaflet("leaflet.css"),
        "css": _text("hotspots.css"),
        "leaflet_js": _leaflet("leaflet.js"),
        "map_js": drawn.script,
        "js": "\n".join(map(_text, _SCRIPTS)),
    }
    scripts = _hashes(parts[name] for name in ("leaflet_js", "map_js", "js"))
    styles = _hashes(parts[name] for name in ("leaflet_css", "css"))
    asks = "'none'" if survey else "'self'"
    policy = (
        f"default-src 'none'; script-src {scripts}; style-src {styles}; img-src data:; "
        f"connect-src {asks}; base-uri 'none'; form-action 'none'"
    )
    html = _env.get_template("hotspots.html").render(
        **parts,
        policy=policy,
        survey=base64.b64encode(survey).decode() if survey else "",
        map_html=drawn.html,
        hatches=_hatches(),
        looks=_looks(),
    )
    return Page(html, policy)


def document(survey: Survey) -> dict[str, Any]:
    """Lay a survey out as the page's script reads it; lists of numbers are NumPy arrays."""
    west, south, east, north = survey.grounds[0].ground.areas.total_bounds
    corner = to_wgs84(west, south, crs=survey.crs)
    origin = np.floor(np.array(corner) / _SCALE_DEG).astype(np.int64)
    diagonal_m = float(np.hypot(east - west, north - south))
    drawing = _Drawing(survey.crs, origin, diagonal_m / _DIAGONAL_PARTS)
    codes = sorted(answering(survey.grounds, survey.chronic))
    party = {code: number for number, code in enumerate(codes)}
    first_day = np.datetime64(survey.months[0], "D")
    return {
        "title": survey.title,
        "revision": survey.revision,
        "made_at": survey.made_at.astimezone(survey.zone).isoformat(timespec="minutes"),
        "months": survey.months,
        "first_day": str(first_day),
        "categories": [
            {"code": code} | survey.titles.get(code or "", {}) for code in survey.categories
        ],
        "groups": [{"code": code} | survey.titles[code] for code in survey.groups],
        "cases": survey.cases,
        "origin": (origin * _SCALE_DEG).round(5).tolist(),
        "scale": _SCALE_DEG,
        "grounds": [_ground(one, survey, drawing, party) for one in survey.grounds],
        "outlines": [_outline(one, drawing) for one in survey.outlines],
        "chronic": _chronic(survey, party, first_day),
        "parties": [{"code": code} | survey.parties.get(code, {}) for code in codes],
        "method": {
            "bandwidth_m": survey.bandwidth_m,
            "least_cases": LEAST_CASES,
            "within_m": survey.within_m,
            "window_days": survey.window_days,
        },
    }


# folium: the map, the layer groups by kind, their control.


@dataclass(frozen=True, slots=True)
class _Folium:
    html: str
    script: str


@cache
def _folium() -> _Folium:
    drawn = folium.Map(
        location=(0, 0),
        zoom_start=2,
        tiles=None,
        attribution_control=False,
        zoom_snap=0.25,
        zoom_delta=0.5,
        max_zoom=19,
    )
    # Names as the page's script calls them, instead of random ones: the page is the same each time.
    drawn._id = "hotspots"  # noqa: SLF001  folium has no other way
    for is_overlay, groups in ((False, _VIEWS), (True, _OVERLAYS)):
        for name, (zh, en) in groups.items():
            group = folium.FeatureGroup(
                name=f'<span lang="zh">{zh}</span><span lang="en">{en}</span>',
                overlay=is_overlay,
                show=is_overlay or name == "counts",
            )
            group._id = name  # noqa: SLF001
            group.add_to(drawn)
    control = folium.LayerControl(collapsed=False)
    control._id = "hotspots"  # noqa: SLF001
    control.add_to(drawn)
    figure = cast("Figure", drawn.get_root())
    for child in figure._children.values():  # noqa: SLF001
        child.render()
    return _Folium(figure.html.render().strip(), figure.script.render().strip())


def _leaflet(name: str) -> str:
    """Read Leaflet as it is vendored, without what it would fetch: images, a map of its source."""
    vendored = files("gridsvc").joinpath("api", "static", "vendor", "leaflet", name)
    text = vendored.read_text(encoding="utf-8")
    text = re.sub(r"url\(images/[^)]*\)", "none", text)
    return re.sub(r"//# sourceMappingURL=\S*", "", text)


@cache
def _text(name: str) -> str:
    return files("gridsvc.hotspots").joinpath("templates", name).read_text(encoding="utf-8")


def _hashes(texts: Iterable[str]) -> str:
    digests = (hashlib.sha256(text.encode()).digest() for text in texts)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


def _hatches() -> dict[str, _Hatch]:
    told = {name: _hatch(name, "#ffffff") for name in (UNKNOWN, NO_CASES)}
    told |= {name: _hatch(name, look.colour) for name, look in KINDS.items()}
    for name, look in PATTERNS.items():
        if name != NONE:
            pattern, _, kind = name.rpartition("_")
            # Cold ones stand on a line.
            told[name] = _hatch(pattern, look.colour, more="M0 15H16" if kind == "cold" else "")
    return told


def _hatch(name: str, colour: str, *, more: str = "") -> _Hatch:
    path, size, width = _HATCHES.get(name, ("", 10, 0))
    return _Hatch(colour, size, path + more, _ink(colour), width)


def _ink(colour: str) -> str:
    """Choose dark or white, whichever stands out more from a colour, by WCAG's contrast."""
    light = luminance(colour) + _GLARE
    dark = luminance(_INK) + _GLARE
    return _INK if light / dark > (1 + _GLARE) / light else "#ffffff"


def luminance(colour: str) -> float:
    """Give the relative luminance of #rrggbb, 0 to 1, as WCAG 2 defines it."""
    parts = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)  # noqa: PLR2004  sRGB's own
    return float(linear @ [0.2126, 0.7152, 0.0722])


def _looks() -> str:
    told = {
        "sequence": SEQUENCE,
        "rgb": [[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in SEQUENCE],
        "kinds": {name: look.title for name, look in KINDS.items()},
        "kindOrder": list(KINDS),
        "patterns": {name: look.title for name, look in PATTERNS.items()},
        "patternOrder": list(PATTERNS),
    }
    return orjson.dumps(told).decode().replace("<", "\\u003c")


# The survey, laid out.


@dataclass(frozen=True, slots=True)
class _Drawing:
    """Whole numbers of a grid in longitude and latitude for areas in the storage CRS."""

    crs: str
    origin: npt.NDArray[np.int64]
    tolerance_m: float

    def shape(self, areas: gpd.GeoDataFrame) -> dict[str, Any]:
        simple = shapely.coverage_simplify(areas.geometry.to_numpy(), self.tolerance_m)
        degrees = convert_geometries(simple, source=self.crs, target=WGS84)
        whole = [
            shapely.multipolygons([one]) if one.geom_type == "Polygon" else one for one in degrees
        ]
        _, coordinates, (rings, polygons, parts) = shapely.to_ragged_array(np.array(whole))
        steps = np.rint(coordinates / _SCALE_DEG).astype(np.int64) - self.origin
        return {
            "polygons": np.diff(parts),
            "rings": np.diff(polygons),
            "points": np.diff(rings),
            "x": steps[:, 0],
            "y": steps[:, 1],
        }


def _ground(
    found: GroundSurvey, survey: Survey, drawing: _Drawing, party: Mapping[str, int]
) -> dict[str, Any]:
    areas = found.ground.areas
    counts = found.counts
    size = len(areas)
    place = counts["category"].to_numpy() * len(survey.months) + counts["month"].to_numpy()
    place = place * size + counts["area"].to_numpy()
    km2 = (
        areas["inside_km2"] if "inside_km2" in areas else areas.geometry.area / M2_IN_KM2
    ).to_numpy()
    if found.ground.cell_m is not None:
        # Of a cell that the city hardly reaches into, a rate would be chance: none is told.
        km2 = np.where(km2 < found.ground.cell_m**2 / M2_IN_KM2 / 2, 0, km2)
    adjacency = found.graph.sparse.tocsr()
    adjacency.eliminate_zeros()
    adjacency.sort_indices()
    names = [name if isinstance(name, str) and name else None for name in areas["name"]]
    return {
        "code": found.ground.code,
        "title": found.ground.title,
        "cell_m": found.ground.cell_m,
        "codes": areas["code"].tolist(),
        "names": [
            None if name == code else name for name, code in zip(names, areas["code"], strict=True)
        ],
        "m2": np.rint(km2 * M2_IN_KM2).astype(np.int64),
        "shape": drawing.shape(areas),
        "counts": {"gaps": np.diff(place, prepend=-1) - 1, "cases": counts["cases"].to_numpy()},
        "neighbours": {
            "counts": np.diff(adjacency.indptr).astype(np.int64),
            "areas": adjacency.indices.astype(np.int64),
        },
        "findings": [_finding(one, survey, party) for one in found.findings],
        "patterns": [
            {"category": category, "patterns": _numbers(names, list(PATTERNS))}
            for category, names in found.patterns.items()
        ],
    }


def _numbers(names: npt.NDArray[np.object_], order: list[str]) -> npt.NDArray[np.int64]:
    number = {name: place for place, name in enumerate(order)}
    return np.array([number[name] for name in names], np.int64)


def _finding(found: Finding, survey: Survey, party: Mapping[str, int]) -> dict[str, Any]:
    """Tell classes other than "no more than chance" only: they are few."""
    telling = np.flatnonzero((found.kinds != NONE) & (found.kinds != UNTESTED))
    return {
        "category": found.category,
        "first": found.first,
        "last": found.last,
        "areas": telling,
        "kinds": _numbers(found.kinds[telling], list(KINDS)),
        "q": np.rint(found.q[telling] * _Q_STEPS).astype(np.int64),
        "places": [_place(one, survey, party) for one in found.places],
    }


def _place(place: Place, survey: Survey, party: Mapping[str, int]) -> dict[str, Any]:
    lon, lat = _lonlat(place.x, place.y, survey)
    return {
        "rank": place.rank,
        "lon": lon,
        "lat": lat,
        "areas": np.array(place.areas, np.int64),
        "cases": place.cases,
        "expected": round(float(place.expected), 2),
        "z": round(float(place.z), 2),
        "q": round(float(place.q), 3),
        "peaks": [(peak.weekday, peak.from_hour, peak.to_hour) for peak in place.peaks],
        "previous": place.previous_rank,
        "parties": [party[place.responsible]] if place.responsible else [],
    }


def _lonlat(x: float, y: float, survey: Survey) -> tuple[float, float]:
    lon, lat = to_wgs84(x, y, crs=survey.crs)
    return round(float(lon), 6), round(float(lat), 6)


def _outline(told: Outline, drawing: _Drawing) -> dict[str, Any]:
    inside = told.areas.geometry.representative_point()
    labels = np.stack(to_wgs84(inside.x.to_numpy(), inside.y.to_numpy(), crs=drawing.crs), axis=1)
    return {
        "title": told.title,
        "names": [
            name if isinstance(name, str) else code
            for name, code in zip(told.areas["name"], told.areas["code"], strict=True)
        ],
        "labels": labels.round(5).tolist(),
        "shape": drawing.shape(told.areas),
    }


def _chronic(
    survey: Survey, party: Mapping[str, int], first_day: np.datetime64
) -> list[dict[str, Any]]:
    kind = {code: number for number, code in enumerate(survey.categories)}
    told = []
    for place in survey.chronic:
        lon, lat = _lonlat(place.x, place.y, survey)
        opened = _days([visit.opened_at for visit in place.visits], survey, first_day)
        closed = _days(
            [visit.closed_at or visit.opened_at for visit in place.visits], survey, first_day
        )
        is_open = np.array([visit.closed_at is None for visit in place.visits])
        told.append(
            {
                "lon": lon,
                "lat": lat,
                "category": place.category,
                "kind": kind[place.category],
                "cases": len(place.visits),
                "score": round(place.score),
                "median_days": place.median_days and round(place.median_days, 1),
                "trend": _trend(place.trend),
                "spread_m": round(float(place.spread_m), 1),
                "round_days": place.round_days and round(place.round_days, 1),
                "visits": {
                    "opened": opened,
                    "open_days": np.where(is_open, -1, closed - opened),
                    "parties": np.array(
                        [party.get(v.party or "", -1) for v in place.visits], np.int64
                    ),
                },
                # Whatever is no web address would be a script in a link's clothing.
                "photos": {
                    str(number): [
                        it for it in visit.photos if it.startswith(("https://", "http://"))
                    ]
                    for number, visit in enumerate(place.visits)
                    if visit.photos
                },
            }
        )
    return told


def _days(
    instants: list[datetime], survey: Survey, first_day: np.datetime64
) -> npt.NDArray[np.int64]:
    """Count the days from the first one on, by the city's clock."""
    local = [at.astimezone(survey.zone).date() for at in instants]
    return (np.array(local, "M8[D]") - first_day).astype(np.int64)


def _trend(trend: float | None) -> str | None:
    """Put a rank correlation in words; a weak one is none."""
    if trend is None:
        return None
    if abs(trend) < _STEADY:
        return "steady"
    return "longer" if trend > 0 else "shorter"
