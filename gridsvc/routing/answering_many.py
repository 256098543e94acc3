"""Many plain questions are answered at once, in JSON: each step is taken for all of them.

Plain is what most callers ask: exact points in one CRS, at one instant. Whatever is not, or is out
of the ordinary (on an edge between more areas than two, outside the city, about a component), is
left to `Answerer.answer_json`, which gives the same bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import orjson

from gridsvc.crs import WGS84, Floats, convert
from gridsvc.routing.answering import ENDS, ON_EDGE_M, Answerer, Moment, written
from gridsvc.routing.borders import NOBODY
from gridsvc.routing.ladders import Ints
from gridsvc.routing.rounding import rounded
from gridsvc.routing.router import DEFAULT_POINT_DEGREES

_PLACES = 8
"""Digits of degrees that an Answer tells."""

_TIE = 1e-3
_Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """Plain questions, in columns of one length.

    Attributes:
        x: Longitudes or eastings.
        y: Latitudes or northings.
        crs: Of all; None is the scheme's first.
        at: Of all, aware; None is now.
        categories: Class codes, or None for no category.
        ids: The callers' own, handed back.
    """

    x: Floats
    y: Floats
    crs: str | None = None
    at: datetime | None = None
    categories: Sequence[str | None]
    ids: Sequence[str | None]


def answers_json(
    answerer: Answerer, points: Points, *, is_stale: bool = False
) -> list[bytes | None]:
    """Answer plain questions.

    Returns:
        Their answers in JSON, in order; None for those that are to be asked one by one.

    Raises:
        UnknownCrs: nothing is called so.
        CrsNotAccepted: the scheme does not take it.
    """
    crs = answerer.door.crs(points.crs)
    answers: list[bytes | None] = [None] * len(points.x)
    moment = Moment.of(points.at or datetime.now(UTC), answerer.zone)
    if moment.us < answerer.snapshot.effective_us:
        return answers
    lon, lat = convert(points.x, points.y, source=crs, target=WGS84)
    x, y = convert(points.x, points.y, source=crs, target=answerer.snapshot.scheme.storage_crs)
    plain = np.flatnonzero(_is_plain(answerer, lon, lat) & np.isfinite(x))
    found = answerer.snapshot.index.find(x[plain], y[plain]).combination.astype(np.int64)
    kept = found < answerer.snapshot.index.combinations
    plain, found = plain[kept], found[kept]
    groups = _Groups.of(answerer, points.categories, plain, found, moment)
    kept = groups.is_answered[groups.of_point]
    plain, of_point = plain[kept], groups.of_point[kept]
    rows = groups.rows[of_point]
    edged = rows >= 0
    distance_m, across = np.full(len(rows), np.nan), np.full(len(rows), NOBODY)
    px, py = x[plain], y[plain]
    nearest = answerer.snapshot.index.nearest_edge(rows[edged], px[edged], py[edged])
    distance_m[edged] = nearest.distance_m
    at_us = np.full(len(nearest.distance_m), moment.us)
    across[edged] = answerer.borders.across(rows[edged], nearest, at_us)
    ambiguous = (distance_m <= ON_EDGE_M) & (across != NOBODY)
    area_texts = {row: answerer.area_json(row) for row in np.unique(across).tolist() if row >= 0}
    area_texts[NOBODY] = b"null"
    ends = [ENDS[False, is_stale], ENDS[True, is_stale]]
    after_y = b',"crs":' + written(crs.name) + b',"accuracy_m":null},'
    ids, given = points.ids, plain.tolist()
    heads, bodies = groups.heads, groups.bodies
    for n, group, told_lon, told_lat, told_x, told_y, row, edge_m, end in zip(
        given,
        of_point.tolist(),
        _texts(_degrees(lon[plain])),
        _texts(_degrees(lat[plain])),
        _texts(points.x[plain]),
        _texts(points.y[plain]),
        across.tolist(),
        _texts(_millimetres(distance_m)),
        ambiguous.tolist(),
        strict=True,
    ):
        name = ids[n]
        answers[n] = b"".join(
            (
                b'{"id":',
                b"null" if name is None else orjson.dumps(name),
                heads[group],
                told_lon,
                b',"lat":',
                told_lat,
                b'},"input":{"x":',
                told_x,
                b',"y":',
                told_y,
                after_y,
                bodies[group],
                b',"across":',
                area_texts[row],
                b',"distance_m":',
                edge_m,
                ends[end],
            )
        )
    return answers


def _is_plain(answerer: Answerer, lon: Floats, lat: Floats) -> _Mask:
    """Tell which points lie in the city's extent and are no default points."""
    scheme = answerer.snapshot.scheme
    west, south, east, north = scheme.extent.bounds
    plain = (west <= lon) & (lon <= east) & (south <= lat) & (lat <= north)
    for point in scheme.default_points:
        off = np.maximum(np.abs(lon - point.lon), np.abs(lat - point.lat))
        plain &= off > DEFAULT_POINT_DEGREES
    return np.asarray(plain, bool)


@dataclass(frozen=True, slots=True)
class _Groups:
    """Points with the same areas and category: all but place and edge of their answers.

    Attributes:
        of_point: (n,) each point's group.
        is_answered: (groups,) whether it is answered here.
        rows: (groups,) whose edge matters; -1 is none.
        heads: (groups,) JSON between the id and the longitude.
        bodies: (groups,) JSON between the input and the area across.
    """

    of_point: Ints
    is_answered: _Mask
    rows: Ints
    heads: list[bytes]
    bodies: list[bytes]

    @classmethod
    def of(
        cls,
        answerer: Answerer,
        categories: Sequence[str | None],
        plain: Ints,
        found: Ints,
        moment: Moment,
    ) -> "_Groups":
        distinct = list(dict.fromkeys(categories))
        number_of = {category: number for number, category in enumerate(distinct)}
        numbers = np.array([number_of[category] for category in categories], np.int64)
        asked, of_point = np.unique(found * len(distinct) + numbers[plain], return_inverse=True)
        groups = cls(of_point, np.zeros(len(asked), bool), np.full(len(asked), NOBODY), [], [])
        heads = [_head(answerer, category, moment) for category in distinct]
        rules = answerer.snapshot.rules
        open_to = [
            category is None
            or (rules.knows(category, moment.us) and answerer.reach(category) is None)
            for category in distinct
        ]
        for group, key in enumerate(asked.tolist()):
            combination, number = divmod(key, len(distinct))
            groups.heads.append(heads[number])
            body = b""
            if open_to[number]:
                place = answerer.place(combination, distinct[number], moment)
                if place.is_served:
                    prepared = answerer.prepared(place, moment)
                    body = prepared.body
                    groups.is_answered[group] = True
                    if prepared.deciding is not None:
                        groups.rows[group] = prepared.deciding
            groups.bodies.append(body)
        return groups


def _head(answerer: Answerer, category: str | None, moment: Moment) -> bytes:
    told = {"revision": answerer.snapshot.revision, "at": moment.written, "category": category}
    return b"," + written(told)[1:-1] + b',"point":{"lon":'


def _texts(values: Floats) -> list[bytes]:
    """Write numbers as JSON does; no number is null."""
    if not len(values):
        return []
    written_all = orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)
    return written_all[1:-1].split(b",")


def _degrees(values: Floats) -> Floats:
    """Round as `round` does each of them."""
    scaled = values * 10.0**_PLACES
    told = np.rint(scaled) / 10.0**_PLACES
    for n in np.flatnonzero(np.abs(scaled - np.floor(scaled) - 0.5) < _TIE).tolist():
        told[n] = round(float(values[n]), _PLACES)
    return told


def _millimetres(values: Floats) -> Floats:
    """Round as `rounded` does each of them."""
    scaled = values * 1000.0
    told = np.rint(scaled) / 1000.0
    for n in np.flatnonzero(np.abs(scaled - np.floor(scaled) - 0.5) < _TIE).tolist():
        told[n] = rounded(float(values[n]), 3)
    return told
