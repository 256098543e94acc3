"""A batch of rows passes the door that a single question passes, all rows at once.

The rules are those of `gridsvc.routing.router.Door`; here they answer with a reason a row
instead of an error.
"""

from dataclasses import dataclass
from datetime import UTC
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from gridsvc.crs import WGS84, Crs, Floats, convert, parse_crs, to_wgs84
from gridsvc.errors import CrsNotAccepted, UnknownCrs
from gridsvc.grids.schemes import Scheme
from gridsvc.routing.reasons import Mask, Reasons
from gridsvc.routing.router import DEFAULT_POINT_DEGREES, Door

Ints: TypeAlias = npt.NDArray[np.int64]

BAD = "bad coordinates"
SWAPPED = "swapped coordinates"
DEFAULT_POINT = "default point"
BAD_CRS = "bad crs"
BAD_TIME = "bad time"

_NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
_OFFSET = r"(?i)\d(z|[+-]\d\d(:?\d\d)?)\s*$"
_DATE_ONLY = r"^\s*\d{4}-\d\d-\d\d\s*$"


@dataclass(slots=True)
class Columns:
    """The columns of a table that ask: their names, or one CRS for all rows.

    `time_format` is how times are written, as strptime has it; None is ISO 8601.
    """

    lon: str
    lat: str
    crs: str | None
    crs_column: str | None
    category: str | None
    at: str | None
    time_format: str | None = None


@dataclass(slots=True)
class Admitted:
    """A batch as judged; arrays of one length.

    Attributes:
        raw_x: As given; NaN where no number was.
        raw_y: The same.
        crs: What each row is in, an index into `crs_names`; -1 where it is none.
        crs_names: Normalised names.
        lon: WGS-84 degrees, NaN where there is no place.
        lat: The same.
        x: In the storage CRS.
        y: The same.
        at_us: Microseconds since 1970 UTC.
        category: Index into `categories`; -1 is none.
        categories: Class codes.
        reasons: Why a row cannot be asked.
    """

    raw_x: Floats
    raw_y: Floats
    crs: Ints
    crs_names: list[str]
    lon: Floats
    lat: Floats
    x: Floats
    y: Floats
    at_us: Ints
    category: Ints
    categories: list[str]
    reasons: Reasons


def admit(batch: pa.RecordBatch, columns: Columns, *, scheme: Scheme, now_us: int) -> Admitted:
    """Judge every row of a batch and convert its point."""
    count = batch.num_rows
    reasons = Reasons.none(count)
    raw_x = numbers(batch.column(columns.lon))
    raw_y = numbers(batch.column(columns.lat))
    crs, crs_names = _crs(batch, columns, scheme, reasons)
    door = Judge(scheme, parse_crs(scheme.storage_crs))
    if count and crs[0] >= 0 and (crs == crs[0]).all():
        lon, lat, x, y = door.judge(raw_x, raw_y, parse_crs(crs_names[crs[0]]), reasons)
    else:
        lon, lat, x, y = (np.full(count, np.nan) for _ in range(4))
        for number, name in enumerate(crs_names):
            rows = np.flatnonzero(crs == number)
            some = Reasons.none(len(rows))
            lon[rows], lat[rows], x[rows], y[rows] = door.judge(
                raw_x[rows], raw_y[rows], parse_crs(name), some
            )
            for code, text in enumerate(some.texts, 1):
                reasons.refuse(rows[some.codes == code], text)
    at_us = instants(batch, columns.at, scheme, now_us, reasons, time_format=columns.time_format)
    category, categories = _categories(batch, columns.category)
    return Admitted(
        raw_x, raw_y, crs, crs_names, lon, lat, x, y, at_us, category, categories, reasons
    )


@dataclass(frozen=True, slots=True)
class Judge:
    """Applies `Door.admit` to rows of one CRS.

    A row inside the extent can only be on a default point. So whatever else may be wrong is asked
    of the few others.
    """

    scheme: Scheme
    storage: Crs

    def judge(
        self, x: Floats, y: Floats, crs: Crs, reasons: Reasons
    ) -> tuple[Floats, Floats, Floats, Floats]:
        """Give longitudes, latitudes, and x and y in the storage CRS; note why rows are none."""
        lon, lat = to_wgs84(x, y, crs=crs)
        away = np.flatnonzero(~_inside(self.scheme, lon, lat))
        if len(away):
            self._away(away, x[away], y[away], lon[away], crs, reasons)
        for point in self.scheme.default_points:
            near = np.abs(lon - point.lon) <= DEFAULT_POINT_DEGREES
            near &= np.abs(lat - point.lat) <= DEFAULT_POINT_DEGREES
            reasons.refuse(near, f"{DEFAULT_POINT}: {point.note or 'no note'}")
        if crs.epsg is None:  # a shifted datum goes by way of WGS-84, and there we are
            stored_x, stored_y = convert(lon, lat, source=WGS84, target=self.storage)
        else:
            stored_x, stored_y = convert(x, y, source=crs, target=self.storage)
        reasons.refuse(np.isnan(stored_x), f"{BAD}: no place in {self.storage}")
        return lon, lat, stored_x, stored_y

    def _away(  # noqa: PLR0913, PLR0917  rows and all that is known of them
        self, rows: Ints, x: Floats, y: Floats, lon: Floats, crs: Crs, reasons: Reasons
    ) -> None:
        """Say what is wrong with rows that are not inside the extent."""
        for field, values in (("lon", x), ("lat", y)):
            reasons.refuse(rows[~np.isfinite(values)], f"{BAD}: {field} is not a finite number")
            if crs.in_degrees:
                # As at the door: a latitude up to 180 may prove to be swapped.
                beyond = np.abs(values) > 180  # noqa: PLR2004
                reasons.refuse(rows[beyond], f"{BAD}: {field} is beyond its degrees")
        swapped = _inside(self.scheme, *to_wgs84(y, x, crs=crs))
        reasons.refuse(rows[np.isnan(lon) & ~swapped], f"{BAD}: no place in {crs}")
        reasons.refuse(rows[swapped], SWAPPED)


def _inside(scheme: Scheme, lon: Floats, lat: Floats) -> Mask:
    west, south, east, north = scheme.extent.bounds
    return (west <= lon) & (lon <= east) & (south <= lat) & (lat <= north)


def _crs(
    batch: pa.RecordBatch, columns: Columns, scheme: Scheme, reasons: Reasons
) -> tuple[Ints, list[str]]:
    door = Door(scheme)
    if columns.crs_column is None:
        return np.zeros(batch.num_rows, np.int64), [door.crs(columns.crs).name]
    codes, spellings = _factorize(batch.column(columns.crs_column))
    names: list[str] = [door.crs(None).name]
    number_of: list[int] = []
    for number, spelling in enumerate(spellings):
        try:
            name = door.crs(spelling).name
        except (UnknownCrs, CrsNotAccepted) as error:
            reasons.refuse(codes == number, f"{BAD_CRS}: {error.detail}")
            number_of.append(-1)
        else:
            if name not in names:
                names.append(name)
            number_of.append(names.index(name))
    # An empty cell, code -1, takes the last element: the scheme's first CRS.
    return np.array([*number_of, 0], np.int64)[codes], names


def _categories(batch: pa.RecordBatch, name: str | None) -> tuple[Ints, list[str]]:
    if name is None:
        return np.full(batch.num_rows, -1, np.int64), []
    return _factorize(batch.column(name))


def _factorize(column: pa.Array) -> tuple[Ints, list[str]]:
    """Number the different texts of a column; empty ones are -1."""
    texts = pc.utf8_trim_whitespace(text_cells(column))
    texts = pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
    coded = texts.dictionary_encode()
    codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return codes, coded.dictionary.to_pylist()


def text_cells(column: pa.Array) -> pa.Array:
    """Read a column as text."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(pa.string())


def numbers(column: pa.Array) -> Floats:
    """Read a column of numbers or of their texts; NaN for what is none."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        readable = pc.match_substring_regex(column, _NUMBER)
        column = pc.utf8_trim_whitespace(pc.if_else(readable, column, pa.scalar(None, column.type)))
        column = pc.utf8_ltrim(column, characters="+")
    numbers = column.cast(pa.float64()).fill_null(np.nan)
    return np.asarray(numbers.to_numpy(zero_copy_only=False), np.float64)


def instants(  # noqa: PLR0913  a column, how to read it, and where to tell what cannot be read
    batch: pa.RecordBatch,
    name: str | None,
    scheme: Scheme,
    now_us: int,
    reasons: Reasons,
    *,
    time_format: str | None = None,
) -> Ints:
    """Read instants; those without an offset are in the city's own time, empty ones are now."""
    if name is None:
        return np.full(batch.num_rows, now_us, np.int64)
    column = batch.column(name)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        zone = column.type.tz if pa.types.is_timestamp(column.type) else None
        # Without its zone the column counts from 1970 UTC.
        plain = column.cast(pa.timestamp("us", zone), safe=False).cast(pa.int64())
        at_us = plain.fill_null(0).to_numpy(zero_copy_only=False).copy()
        if zone is None:
            at_us = _from_local(pd.DatetimeIndex(at_us.view("M8[us]")), scheme)
        at_us[column.is_null().to_numpy(zero_copy_only=False)] = now_us
        return np.asarray(at_us, np.int64)
    return _read_instants(text_cells(column), scheme, now_us, reasons, time_format)


def _read_instants(
    column: pa.Array, scheme: Scheme, now_us: int, reasons: Reasons, time_format: str | None
) -> Ints:
    texts = pc.utf8_trim_whitespace(column.fill_null(""))
    empty = pc.equal(texts, "").to_numpy(zero_copy_only=False)
    if time_format is None:
        told, expected = "ISO8601", "a date or time of ISO 8601"
        dated = pc.match_substring_regex(texts, _DATE_ONLY).to_numpy(zero_copy_only=False)
        absolute = pc.match_substring_regex(texts, _OFFSET).to_numpy(zero_copy_only=False) & ~dated
    else:
        told, expected = time_format, f"a time written as {time_format}"
        absolute = np.full(len(texts), "%z" in time_format) & ~empty
    spelled = texts.to_numpy(zero_copy_only=False)
    at_us = np.full(len(texts), now_us, np.int64)
    for rows, is_local in ((absolute, False), (~absolute & ~empty, True)):
        if not rows.any():
            continue
        read = pd.DatetimeIndex(
            pd.to_datetime(spelled[rows], format=told, errors="coerce", utc=not is_local)
        ).as_unit("us")
        unread = np.zeros(len(texts), dtype=bool)
        unread[rows] = read.isna()
        reasons.refuse(unread, f"{BAD_TIME}: not {expected}")
        read = pd.DatetimeIndex(read.fillna(pd.Timestamp(0, tz=None if is_local else UTC)))
        at_us[rows] = _from_local(read, scheme) if is_local else read.asi8
    return at_us


def _from_local(local: pd.DatetimeIndex, scheme: Scheme) -> Ints:
    # As Python's fold=0: the first of two equal clock times, and across a gap by the old offset.
    aware = local.as_unit("us").tz_localize(
        scheme.zone,
        ambiguous=np.ones(len(local), dtype=bool),
        nonexistent=pd.Timedelta(hours=1),
    )
    at_us: Any = aware.tz_convert(UTC).as_unit("us").asi8
    return np.asarray(at_us, np.int64)
