"""A file of boundaries becomes a draft change set; what is wrong with the file is told, row by row.

The steps, each over all rows at once: codes and names, null and odd geometries, widths of lines,
the CRS guard, projection, rounding to a millimetre, repair, duplicates, the surfaces of lines,
extent, datum guard, and the difference from the live state.
"""

import difflib
import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import shapely
from geoalchemy2.shape import from_shape
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Connection, delete, func, select, text
from sqlalchemy.orm import Session

from gridsvc.crs import convert_geometries, guard_bounds, guard_layer, parse_crs
from gridsvc.db import run_sql, sql
from gridsvc.errors import ImportRefused
from gridsvc.grids import models
from gridsvc.grids.boundary_files import BoundaryFile
from gridsvc.grids.codes import unit_grid_code_faults
from gridsvc.grids.schemes import Layer, Scheme
from gridsvc.grids.terms import DrawnAs, FindingKind, LayerKind, Severity
from gridsvc.grids.validation import Finding, check_state

Geometries = NDArray[np.object_]
Mask = NDArray[np.bool_]
Metres = NDArray[np.float64]

WGS84 = "EPSG:4326"
MILLIMETRE_M = 0.001
UNSEEN_M2 = 0.005
"""A change of area that two decimals do not show."""
NARROWEST_M, WIDEST_M = 0.1, 200.0
"""Widths of streets: what is less was told in kilometres, what is more in centimetres or feet, or
is the length. The widest avenue of the world has 160 m."""


@dataclass(frozen=True, slots=True)
class Repair:
    """What a repair did to one area.

    Attributes:
        code: The area's code.
        reason: What was wrong, as GEOS says it, with its place in storage coordinates.
        area_before_m2: By the shoelace formula, so that of a broken ring too.
        area_after_m2: Of the mended boundary.
    """

    code: str
    reason: str
    area_before_m2: float
    area_after_m2: float

    def __str__(self) -> str:
        change_m2 = self.area_after_m2 - self.area_before_m2
        change = "as before" if abs(change_m2) < UNSEEN_M2 else f"{change_m2:+,.2f} m²"
        return f"{self.code}: {self.reason}; area {self.area_after_m2:,.2f} m², {change}"


@dataclass(slots=True)
class ImportReport:
    """What an import would do, or did once the caller commits.

    Attributes:
        source: The file's name.
        layer: Code of the layer.
        counts: Areas added, changed, closed, unchanged; rows skipped.
        repairs: What was mended.
        findings: What is wrong, stops first.
    """

    source: str
    layer: str
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(
            ("added", "changed", "closed", "unchanged", "skipped"), 0
        )
    )
    repairs: list[Repair] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def stopped(self) -> bool:
        """Whether anything found stops a publish."""
        return any(finding.stops for finding in self.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """How a file is to be read.

    Attributes:
        layer: Code of the layer.
        code: Column of the areas' codes.
        name: Column of their names; None leaves them unnamed.
        repair: Mend invalid rings instead of only finding them.
        dissolve: Rows of one code are parts of one area.
        part: The file is a part of the layer: areas that it lacks stay as they are.
        width: Of lines: the column of their widths in metres, or one number for all; a column
            goes before a number.
        valid_from: Instant from which the file's state holds; None is now.
    """

    layer: str
    code: str
    name: str | None = None
    repair: bool = False
    dissolve: bool = False
    part: bool = False
    width: str | None = None
    valid_from: datetime | None = None


def import_areas(
    session: Session,
    scheme: Scheme,
    file: BoundaryFile,
    options: ImportOptions,
    *,
    change_set: models.ChangeSet,
) -> ImportReport:
    """Propose a file's areas in a change set and check the state that would result.

    Nothing is published. A dry run is the same call in a transaction that is rolled back.

    Raises:
        ImportRefused: the layer or a column is not there, or lines have no width.
    """
    layer = _layer(scheme, file, options.layer)
    report = ImportReport(file.source, layer.code)
    rows = _Rows(scheme, layer, report, file, options)
    placed_well = rows.placed_well()
    if placed_well:
        rows.drop_null_and_odd()
        rows.judge_widths()
        rows.mend(raw_valid=rows.project())
        rows.join_duplicates()
        _widen(session, rows)
        rows.judge_codes_and_names()
        rows.judge_extent()
        _judge_datum(session, rows)
        _propose(session, rows, change_set)
    _record(session, rows, change_set)
    # Rows that are refused leave holes; to list those as gaps would bury the cause.
    if placed_well and not (rows.left_out and report.stopped):
        report.findings += (
            finding
            for finding in check_state(
                session, scheme, change_set=change_set, layers=_touched(scheme, layer)
            )
            # Told already, with the rule that the code breaks.
            if finding.kind is not FindingKind.ODD_CODE
        )
    report.findings.sort(key=lambda finding: not finding.stops)
    return report


def _record(session: Session, rows: "_Rows", change_set: models.ChangeSet) -> None:
    """Keep what stops the file with the change set, until the layer is imported again."""
    earlier = delete(models.ImportFinding).where(
        models.ImportFinding.change_set_id == change_set.id,
        models.ImportFinding.layer == rows.layer.code,
    )
    if rows.options.part:
        earlier = earlier.where(models.ImportFinding.source == rows.file.source)
    session.execute(earlier)
    session.add_all(
        models.ImportFinding(
            change_set_id=change_set.id,
            layer=rows.layer.code,
            source=rows.file.source,
            kind=finding.kind.value,
            code=finding.code,
            message=finding.message,
            area_m2=finding.area_m2,
            place=None if finding.place is None else from_shape(finding.place, srid=4326),
        )
        for finding in rows.report.findings
        if finding.stops
    )
    session.flush()


def _touched(scheme: Scheme, layer: Layer) -> list[str]:
    return [item.code for item in scheme.layers if layer.code in (item.code, item.parent)]


def _layer(scheme: Scheme, file: BoundaryFile, code: str) -> Layer:
    layer = scheme.layer(code)
    if layer is None:
        codes = [item.code for item in scheme.layers]
        raise ImportRefused(
            file.source,
            f"the scheme has no layer {code!r}",
            remedy=f"Name one of {', '.join(codes)} with --layer",
        )
    return layer


class _Rows:
    """The rows of a file on their way into a layer: parallel arrays of code, name, geometry.

    Attributes:
        geometries: Polygons and, until they are widened, lines.
        lines: The line that a geometry was drawn as; None where it was drawn as it is.
        widths_m: Of lines; nan elsewhere.
    """

    def __init__(
        self,
        scheme: Scheme,
        layer: Layer,
        report: ImportReport,
        file: BoundaryFile,
        options: ImportOptions,
    ) -> None:
        self.scheme = scheme
        self.layer = layer
        self.report = report
        self.file = file
        self.options = options
        self.codes = _texts(self._column(options.code, "--code"))
        self.names = (
            _texts(self._column(options.name, "--name"))
            if options.name
            else np.full(len(file.frame), None, dtype=object)
        )
        self.geometries: Geometries = np.asarray(file.frame.geometry.array, dtype=object)
        self.lines: Geometries = np.full(len(file.frame), None, dtype=object)
        self.width_texts = self._widths()
        self.widths_m: Metres = np.full(len(file.frame), np.nan)
        self.numbers = np.arange(1, len(file.frame) + 1)
        self.crs = file.crs
        self.left_out: list[str] = []

    def _column(self, name: str, option: str) -> "pd.Series[Any]":
        columns = [column for column in self.file.frame.columns if column != "geometry"]
        if name not in columns:
            close = difflib.get_close_matches(name, columns, 3) or columns
            raise ImportRefused(
                self.file.source,
                f"it has no column {name!r}",
                remedy=f"Name one of {', '.join(map(str, close))} with {option}",
            )
        column: pd.Series[Any] = self.file.frame[name]
        return column

    def _widths(self) -> NDArray[np.object_]:
        """Read the widths as they are told: by a column, or one for all."""
        told, n_rows = self.options.width, len(self.file.frame)
        if told is None:
            return np.full(n_rows, None, dtype=object)
        if self.layer.drawn_as is not DrawnAs.LINE:
            raise ImportRefused(
                self.file.source,
                f"layer {self.layer.code} is drawn as polygons, which have no width",
                remedy='Leave --width out, or give the layer drawn_as = "line" in the scheme',
            )
        if told not in self.file.frame.columns and (width_m := _metres(told)) is not None:
            if not NARROWEST_M <= width_m <= WIDEST_M:
                raise ImportRefused(
                    self.file.source,
                    f"no street is {told} m wide",
                    remedy=f"Name {_WIDTHS} with --width, or the column that tells them",
                )
            return np.full(n_rows, told, dtype=object)
        return _texts(self._column(told, "--width, or metres for all rows"))

    def placed_well(self) -> bool:
        """Refuse coordinates that cannot be in the declared CRS: feet that say degrees."""
        present = self.geometries[~_missing(self.geometries)]
        if len(present) == 0:
            self.find(FindingKind.NULL_GEOMETRY, None, "no row has a geometry", stop=True)
            return False
        placement = guard_bounds(
            tuple(shapely.total_bounds(present)),
            declared=self.file.crs,
            candidates=self.scheme.input_crs,
            extent=self.scheme.extent.bounds,
        )
        if placement.impossible or (not placement.plausible and placement.inside):
            self.find(FindingKind.UNDECLARED_CRS, None, placement.message(), stop=True)
            return False
        return True

    def drop_null_and_odd(self) -> None:
        """Leave rows without a polygon, or a line where these are drawn, out, and say so."""
        missing = _missing(self.geometries)
        self.find_rows(
            FindingKind.NULL_GEOMETRY,
            _numbers(missing),
            lambda n: f"{self.label(n)} has no geometry",
        )
        drawn = np.isin(shapely.get_type_id(self.geometries), _POLYGONS)
        words = f"layer {self.layer.code} is drawn as polygons; give the areas themselves"
        if self.layer.drawn_as is DrawnAs.LINE:
            drawn |= self.are_lines
            words = f"layer {self.layer.code} is drawn as lines; give those, or polygons"
        self.find_rows(
            FindingKind.NOT_POLYGON,
            _numbers(~drawn & ~missing),
            lambda n: f"{self.label(n)} is a {self.geometries[n].geom_type}, and {words}",
        )
        self.keep(drawn & ~missing)

    @property
    def are_lines(self) -> Mask:
        """Which rows are lines."""
        are: Mask = np.isin(shapely.get_type_id(self.geometries), _LINES)
        return are

    def judge_widths(self) -> None:
        """Leave lines out that have no width a street can have, and say so."""
        are_lines = self.are_lines
        if not are_lines.any():
            return
        if self.options.width is None:
            raise ImportRefused(
                self.file.source,
                "its rows are lines, and nothing tells how wide they are",
                remedy=f"Name the column of their widths in metres, or {_WIDTHS}, with --width",
            )
        self.widths_m[are_lines] = [
            np.nan if (width_m := _metres(told)) is None else width_m
            for told in self.width_texts[are_lines]
        ]
        odd = are_lines & ~((self.widths_m >= NARROWEST_M) & (self.widths_m <= WIDEST_M))
        self.find_rows(
            FindingKind.ODD_WIDTH,
            _numbers(odd),
            lambda n: (
                f"{self.label(n)} has "
                + (f"a width of {told!r}" if (told := self.width_texts[n]) else "no width")
                + f" in {self.options.width}; give {_WIDTHS}"
            ),
        )
        self.keep(~odd)

    def project(self) -> Mask:
        """Take the boundaries to the storage CRS; those that it cannot hold are left out.

        Returns:
            Which of those that stay were valid as they came.
        """
        raw_valid: Mask = shapely.is_valid(self.geometries)
        projected = convert_geometries(
            shapely.force_2d(self.geometries),
            source=self.file.crs,
            target=self.scheme.storage_crs,
        )
        lost = _missing(projected)
        for n in _numbers(lost):
            words = f"{self.label(n)} has coordinates that do not exist in {self.file.crs}"
            self.find(FindingKind.OUTSIDE_EXTENT, n, words)
        self.geometries, self.crs = projected, parse_crs(self.scheme.storage_crs)
        self.keep(~lost)
        return raw_valid[~lost]

    def mend(self, *, raw_valid: Mask) -> None:
        """Round to a millimetre and mend the rings that this breaks; others only if asked.

        Rounding looks at each vertex alone, so neighbours that shared one still do.
        """
        before = self.geometries
        rounded = shapely.set_coordinates(
            before.copy(), np.round(shapely.get_coordinates(before), 3)
        )
        # A line is valid or without length, which the making of its surface finds.
        broken = ~shapely.is_valid(rounded) & ~self.are_lines
        refused = broken & ~raw_valid & (not self.options.repair)
        for n in _numbers(refused):
            reason = shapely.is_valid_reason(rounded[n])
            self.find(
                FindingKind.INVALID_RING,
                n,
                f"{self.label(n)}: {reason}; --repair would mend it",
                place=_reason_point(reason, self.scheme.storage_crs),
                area_m2=rounded[n].area,
            )
        for n in _numbers(broken & ~refused):
            mended = _valid_on_grid(rounded[n])
            reason = shapely.is_valid_reason(rounded[n])
            if raw_valid[n]:
                reason += " after rounding to 1 mm"
            self.report.repairs.append(
                Repair(
                    self.codes[n] or f"row {self.numbers[n]}",
                    reason,
                    rounded[n].area,
                    mended.area,
                )
            )
            rounded[n] = mended
        self.geometries = rounded
        self.keep(~refused & ~shapely.is_empty(rounded))

    def join_duplicates(self) -> None:
        """Make one area of the rows of one code; without --dissolve it is a finding.

        Lines become one line of several parts, so they must be of one width.
        """
        coded = self.codes != None  # noqa: E711 -- elementwise on an object array
        codes, first, inverse, count = np.unique(
            self.codes[coded].astype(str),
            return_index=True,
            return_inverse=True,
            return_counts=True,
        )
        if (count == 1).all():
            return
        if not self.options.dissolve:
            times = dict(zip(codes, count, strict=True))
            self.find_rows(
                FindingKind.DUPLICATE_CODE,
                np.flatnonzero(coded)[first[count > 1]].tolist(),
                lambda n: (
                    f"{self.layer.code} {self.codes[n]} stands in {times[self.codes[n]]} rows; "
                    "--dissolve would take them as parts of one area"
                ),
            )
        order = np.argsort(inverse, kind="stable")
        groups = np.split(np.flatnonzero(coded)[order], np.cumsum(count)[:-1])
        lines, widths_m = self.are_lines, self.widths_m
        uneven = np.array(
            [
                lines[group].any() and (widths_m[group] != widths_m[group[0]]).any()
                for group in groups
            ]
        )
        self.find_rows(
            FindingKind.ODD_WIDTH,
            [group[0] for group in itertools.compress(groups, uneven)],
            lambda n: (
                f"{self.layer.code} {self.codes[n]} has parts of several widths, or polygons among "
                "its lines; give its lines one width, or each part a code of its own"
            ),
        )
        joined = np.array(
            [
                _joined(self.geometries[group[:1] if apart else group])
                for group, apart in zip(groups, uneven, strict=True)
            ],
            dtype=object,
        )
        kept = np.concatenate([np.flatnonzero(coded)[first], np.flatnonzero(~coded)])
        self.geometries = np.concatenate([joined, self.geometries[~coded]])
        for column in _COLUMNS:
            if column != "geometries":
                setattr(self, column, getattr(self, column)[kept])
        self.keep(np.concatenate([~uneven, np.full((~coded).sum(), True)]))

    def judge_codes_and_names(self) -> None:
        """Find codes that the layer does not know the like of; rows without one are left out."""
        without = self.codes == None  # noqa: E711 -- elementwise on an object array
        self.find_rows(
            FindingKind.ODD_CODE, _numbers(without), lambda _: f"a row has no {self.options.code}"
        )
        odd = {n: fault for n in _numbers(~without) if (fault := self._code_fault(self.codes[n]))}
        self.find_rows(
            FindingKind.ODD_CODE,
            list(odd),
            lambda n: f"{self.layer.code} {self.codes[n]!r} {odd[n]}",
        )
        if self.options.name:
            self.find_rows(
                FindingKind.EMPTY_NAME,
                _numbers(self.missing_names & ~without),
                lambda n: f"{self.layer.code} {self.codes[n]} has no {self.options.name}",
            )
        self.keep(~without)

    def _code_fault(self, code: str) -> str | None:
        pattern = self.layer.code_pattern
        if pattern and not re.fullmatch(pattern, code):
            return f"does not match {pattern}"
        if self.layer.code_format == "unit_grid":
            return next(iter(unit_grid_code_faults(code)), None)
        return None

    @property
    def missing_names(self) -> Mask:
        """Which rows have no name."""
        missing: Mask = self.names == None  # noqa: E711 -- elementwise on an object array
        return missing

    def judge_extent(self) -> None:
        """Find areas that reach out of the city's extent."""
        box = shapely.box(*self.scheme.extent.bounds)
        lonlat = convert_geometries(
            shapely.box(*shapely.bounds(self.geometries).T),
            source=self.scheme.storage_crs,
            target=WGS84,
        )
        self.find_rows(
            FindingKind.OUTSIDE_EXTENT,
            _numbers(np.atleast_1d(~shapely.covered_by(lonlat, box))),
            lambda n: f"{self.label(n)} reaches out of the extent of the scheme",
        )

    def keep(self, mask: Mask) -> None:
        """Go on with these rows only; the areas of the others are neither changed nor closed."""
        self.report.counts["skipped"] += int((~mask).sum())
        self.left_out += [code for code in self.codes[~mask] if code]
        for column in _COLUMNS:
            setattr(self, column, getattr(self, column)[mask])

    def label(self, n: int) -> str:
        """Call a row by its code, or by its number."""
        return f"{self.layer.code} {self.codes[n]}" if self.codes[n] else f"row {self.numbers[n]}"

    def find_rows(
        self, kind: FindingKind, numbers: list[int], message: Callable[[int], str]
    ) -> None:
        """Make a finding of each of these rows: its place and size are the row's own."""
        geometries = self.geometries[numbers]
        places = convert_geometries(geometries, source=self.crs, target=WGS84)
        areas_m2 = shapely.area(
            convert_geometries(geometries, source=self.crs, target=self.scheme.storage_crs)
        )
        for n, place, area_m2 in zip(numbers, places, areas_m2, strict=True):
            # A row without a polygon has no size, and one without a geometry no place.
            size = float(area_m2) if area_m2 > 0 else None
            self.find(kind, n, message(n), place=place, area_m2=size)

    def find(  # noqa: PLR0913 -- the fields of a finding
        self,
        kind: FindingKind,
        n: int | None,
        message: str,
        *,
        place: BaseGeometry | None = None,
        area_m2: float | None = None,
        stop: bool = False,
    ) -> None:
        """Make a finding, of one row or of the whole file."""
        self.report.findings.append(
            Finding(
                kind=kind,
                severity=Severity.STOP if stop else self.layer.severity(kind),
                layer=self.layer.code,
                code=None if n is None else self.codes[n],
                message=message,
                place=place,
                area_m2=area_m2,
            )
        )


_POLYGONS = (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON)
_LINES = (shapely.GeometryType.LINESTRING, shapely.GeometryType.MULTILINESTRING)
_WIDTHS = f"metres from {NARROWEST_M:g} to {WIDEST_M:g}"
_COLUMNS = ("codes", "names", "geometries", "lines", "width_texts", "widths_m", "numbers")


def _numbers(mask: Mask) -> list[int]:
    numbers: list[int] = np.flatnonzero(mask).tolist()
    return numbers


def _missing(geometries: Geometries) -> Mask:
    missing: Mask = shapely.is_missing(geometries) | shapely.is_empty(geometries)
    return missing


def _texts(column: "pd.Series[Any]") -> NDArray[np.object_]:
    """Codes and names as text: 503.0 is "503", blanks are None."""
    if pd.api.types.is_float_dtype(column) and (column.dropna() % 1 == 0).all():
        column = column.astype("Int64")
    stripped = column.astype("string").str.strip()
    return np.array([None if pd.isna(cell) else cell or None for cell in stripped], dtype=object)


def _metres(told: str | None) -> float | None:
    """Read a width, on the millimetre grid; None where it is no number."""
    try:
        return round(float(told or ""), 3)
    except ValueError:
        return None


def _joined(parts: Geometries) -> BaseGeometry:
    """Make one geometry of the parts of an area, all of them polygons or all of them lines."""
    if len(parts) == 1:
        one: BaseGeometry = parts[0]
        return one
    if np.isin(shapely.get_type_id(parts), _LINES).all():
        return shapely.MultiLineString(list(shapely.get_parts(parts)))
    return _valid_on_grid(shapely.union_all(parts))


def _valid_on_grid(geometry: BaseGeometry) -> BaseGeometry:
    """Mend a geometry so that it is valid, polygonal and on the millimetre grid."""
    mended = shapely.make_valid(geometry, method="structure", keep_collapsed=False)
    return shapely.set_precision(mended, MILLIMETRE_M)


_POINT = re.compile(r"\[([-\d.e+]+) ([-\d.e+]+)\]")


def _reason_point(reason: str, crs: str) -> BaseGeometry | None:
    found = _POINT.search(reason)
    if not found:
        return None
    point: BaseGeometry = convert_geometries(
        shapely.Point(float(found[1]), float(found[2])), source=crs, target=WGS84
    )
    return point


def _judge_datum(session: Session, rows: _Rows) -> None:
    """Compare a tiling layer's outline with its relatives': a shifted datum fits them worse."""
    layer = rows.layer
    if layer.kind is not LayerKind.TILING or rows.options.part:
        return
    relatives = [layer.parent, layer.code] + [
        item.code
        for item in rows.scheme.layers
        if item.parent == layer.code and item.kind is LayerKind.TILING
    ]
    for relative in filter(None, relatives):
        outline = session.scalar(
            select(func.ST_AsBinary(func.ST_Union(models.Area.boundary))).where(
                models.Area.layer == relative,
                models.Area.rev_to.is_(None),
                models.Area.valid_to.is_(None),
            )
        )
        if outline is None:
            continue
        source = convert_geometries(
            rows.geometries, source=rows.scheme.storage_crs, target=rows.file.crs
        )
        fit = guard_layer(
            source,
            declared=rows.file.crs,
            candidates=rows.scheme.input_crs,
            outline=shapely.from_wkb(bytes(outline)),
            outline_crs=rows.scheme.storage_crs,
        )
        if fit.better:
            rows.find(
                FindingKind.WRONG_DATUM,
                None,
                f"{fit.message()} (against {relative})",
                place=convert_geometries(
                    shapely.box(*shapely.total_bounds(rows.geometries)),
                    source=rows.scheme.storage_crs,
                    target=WGS84,
                ),
            )
        return


def _widen(session: Session, rows: _Rows) -> None:
    """Give the lines their surfaces; those that cover nothing are left out."""
    are_lines = rows.are_lines
    if not are_lines.any():
        return
    lines = rows.geometries[are_lines]
    surfaces = session.scalars(
        sql("gridsvc.grids", "surfaces"),
        {
            "lines": shapely.to_wkb(lines).tolist(),
            "widths_m": rows.widths_m[are_lines].tolist(),
            "srid": parse_crs(rows.scheme.storage_crs).epsg,
        },
    )
    covered: Geometries = shapely.from_wkb(
        [None if surface is None else bytes(surface) for surface in surfaces]
    )
    empty = np.full(len(are_lines), False)
    empty[are_lines] = _missing(covered)
    rows.find_rows(
        FindingKind.NULL_GEOMETRY,
        _numbers(empty),
        lambda n: f"{rows.label(n)} is a line without length; draw it over a millimetre or more",
    )
    rows.lines[are_lines], rows.geometries[are_lines] = lines, covered
    rows.keep(~empty)


def _propose(session: Session, rows: _Rows, change_set: models.ChangeSet) -> None:
    connection = session.connection()
    connection.execute(text("DROP TABLE IF EXISTS pg_temp.incoming, pg_temp.difference"))
    connection.execute(
        text(
            "CREATE TEMPORARY TABLE incoming (code text, name text, boundary text, "
            "centre_line text, width_m double precision) ON COMMIT DROP"
        )
    )
    _copy(connection, rows)
    srid = parse_crs(rows.scheme.storage_crs).epsg
    connection.execute(
        text(
            "ALTER TABLE pg_temp.incoming "
            + ", ".join(
                f"ALTER COLUMN {column} TYPE geometry USING "
                f"ST_SnapToGrid(ST_SetSRID(ST_Multi({column}::geometry), {srid}), 0.001)"
                for column in ("boundary", "centre_line")
            )
        )
    )
    connection.execute(text("ANALYZE pg_temp.incoming"))
    valid_from = rows.options.valid_from or session.scalar(select(func.now()))
    run_sql(
        session,
        "gridsvc.grids",
        "import_edits",
        change_set=change_set.id,
        layer=rows.layer.code,
        valid_from=valid_from,
        part=rows.options.part,
        left_out=rows.left_out,
    )
    counted = session.execute(
        text("SELECT change, count(DISTINCT code) FROM pg_temp.difference GROUP BY change")
    )
    rows.report.counts.update(map(tuple, counted))


def _copy(connection: Connection, rows: _Rows) -> None:
    hexed, lines = (shapely.to_wkb(each, hex=True) for each in (rows.geometries, rows.lines))
    widths_m = [None if np.isnan(width_m) else float(width_m) for width_m in rows.widths_m]
    cursor = connection.connection.cursor()
    with cursor.copy("COPY pg_temp.incoming FROM STDIN") as copy:
        for row in zip(rows.codes, rows.names, hexed, lines, widths_m, strict=True):
            copy.write_row(row)
