"""Components: what stands where, and whose it is; from a file to a draft change set, or by page.

Every fault is told with its row. Nothing ends because a file does not mention it.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from geoalchemy2.shape import from_shape
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from gridsvc.crs import WGS84, Bounds, Crs, convert, parse_crs, to_wgs84
from gridsvc.db import run_sql
from gridsvc.errors import CrsNotAccepted, ImportRefused, RowsRefused
from gridsvc.grids import csv_text
from gridsvc.grids.areas import DECIMALS, Moment, Page, begin, in_force, storage_box
from gridsvc.grids.boundary_files import read_boundaries
from gridsvc.grids.models import ChangeSet, Component, Party, PartyEdit
from gridsvc.grids.schemes import Scheme
from gridsvc.grids.table_imports import TableReport, report_import
from gridsvc.grids.terms import CategoryKind


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentColumns:
    """Which column holds what.

    Attributes:
        code: The component's stable code.
        category: Class code of the scheme, of kind component.
        owner: Code of the party whose it is.
        lon: Longitude or easting; only of a CSV, other files have points.
        lat: Latitude or northing, likewise.
    """

    code: str
    category: str
    owner: str
    lon: str = "lon"
    lat: str = "lat"


@dataclass(frozen=True, slots=True)
class ComponentFile:
    """What was read: one entry a row.

    Attributes:
        source: The file's name.
        crs: Of the coordinates.
        rows: Number of each row as people count them, from 1; of a CSV its line.
        codes: As in the file.
        categories: As in the file.
        owners: As in the file.
        x: Longitudes or eastings; NaN where there is no point.
        y: Latitudes or northings.
    """

    source: str
    crs: Crs
    rows: list[int]
    codes: list[str]
    categories: list[str]
    owners: list[str]
    x: np.ndarray[Any, np.dtype[np.float64]]
    y: np.ndarray[Any, np.dtype[np.float64]]


def read_components(
    path: Path, scheme: Scheme, columns: ComponentColumns, *, crs: str | None = None
) -> ComponentFile:
    """Read a CSV or Parquet with coordinates, or points of any format that boundaries come in.

    Args:
        path: Told apart by its ending.
        scheme: Names the CRS of a file that says nothing.
        columns: Which column holds what.
        crs: Declared by the caller; wins over what the file says.

    Raises:
        ImportRefused: it cannot be read, or lacks a column.
        UnknownCrs: `crs` names none.
        CrsNotAccepted: the scheme does not take it.
    """
    default = scheme.input_crs[0]
    if path.suffix.lower() == ".csv":
        read = _read_csv(path, parse_crs(crs or default), columns)
    elif (frame := _plain_parquet(path)) is not None:
        read = _read_columns(path, frame, parse_crs(crs or default), columns)
    else:
        file = read_boundaries(path, crs=crs, default_crs=default)
        frame = file.frame
        points = frame.geometry.to_numpy()
        is_point = shapely.get_type_id(points) == shapely.GeometryType.POINT
        points = np.where(is_point & ~shapely.is_empty(points), points, None)
        frame = frame.assign(
            **{columns.lon: shapely.get_x(points), columns.lat: shapely.get_y(points)}
        )
        read = _read_columns(path, frame, file.crs, columns)
    if read.crs.name not in scheme.input_crs:
        raise CrsNotAccepted(read.crs.name, accepted=scheme.input_crs)
    return read


def import_components(
    session: Session,
    scheme: Scheme,
    file: ComponentFile,
    *,
    change_set: ChangeSet,
    valid_from: datetime | None = None,
) -> TableReport:
    """Propose a file's components in a change set.

    Nothing is published. A dry run is the same call in a transaction that is rolled back.

    Args:
        session: Its caller commits.
        scheme: In force.
        file: What was read.
        change_set: Takes the edits.
        valid_from: From when the file's state holds; None is now.

    Raises:
        RowsRefused: all faults of its rows.
    """
    storage = parse_crs(scheme.storage_crs)
    x, y = convert(file.x, file.y, source=file.crs, target=storage)
    faults = list(_faults(session, scheme, file, change_set))
    if faults:
        raise RowsRefused(file.source, faults=tuple(faults))
    connection = session.connection()
    run_sql(session, "gridsvc.grids", "incoming_components")
    cursor = connection.connection.cursor()
    with cursor.copy(
        "COPY pg_temp.incoming_component (code, category, owner, x, y) FROM STDIN"
    ) as copy:
        for row in zip(
            file.codes, file.categories, file.owners, x.tolist(), y.tolist(), strict=True
        ):
            copy.write_row(row)
    run_sql(
        session,
        "gridsvc.grids",
        "import_components",
        change_set=change_set.id,
        srid=storage.epsg,
        valid_from=valid_from or datetime.now(UTC),
    )
    return report_import(
        session,
        scheme,
        file.source,
        change_set=change_set,
        differences={"components": "component_difference"},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentRow:
    """One component at an instant.

    Attributes:
        code: Its own.
        category: Code of its category.
        owner: Code of the party that it belongs to.
        valid_from: Since when it holds; None for always.
        valid_to: When it ends, exclusive; None for open.
        geometry: GeoJSON text of a Point, EPSG:4326.
    """

    code: str
    category: str
    owner: str
    valid_from: datetime | None
    valid_to: datetime | None
    geometry: str


def list_components(  # noqa: PLR0913  each narrows the list
    session: Session,
    *,
    now: Moment,
    limit: int,
    category: str | None = None,
    bbox: Bounds | None = None,
    after: str | None = None,
) -> Page[ComponentRow]:
    """Give a page of components by code.

    Args:
        session: Any.
        now: The moment asked.
        limit: The most rows of a page.
        category: Only of categories whose code begins so.
        bbox: West, south, east, north, EPSG:4326, its edge included. None for all.
        after: `Page.after` of the page before.
    """
    question = (
        select(
            Component.code,
            Component.category,
            Component.owner,
            begin(Component.valid_from),
            Component.valid_to,
            func.ST_AsGeoJSON(func.ST_Transform(Component.point, WGS84.epsg), DECIMALS),
        )
        .where(*in_force(Component, now))
        .order_by(Component.code)
        .limit(limit + 1)
    )
    if category is not None:
        question = question.where(Component.category.startswith(category, autoescape=True))
    if bbox is not None:
        box, srid = storage_box(session, now, bbox)
        if box is None:
            return Page((), None)
        question = question.where(func.ST_Intersects(Component.point, from_shape(box, srid=srid)))
    if after is not None:
        question = question.where(Component.code > after)
    names = ComponentRow.__dataclass_fields__
    rows = tuple(
        ComponentRow(**dict(zip(names, row, strict=True))) for row in session.execute(question)
    )
    return Page(rows[:limit], rows[limit - 1].code if len(rows) > limit else None)


def _read_csv(path: Path, crs: Crs, columns: ComponentColumns) -> ComponentFile:
    names = [
        name.lower()
        for name in (columns.code, columns.category, columns.owner, columns.lon, columns.lat)
    ]
    rows = csv_text.read(path, names)
    code, category, owner, lon, lat = ([cells[name] for _, cells in rows] for name in names)
    x, y = (np.array([_number(text) for text in part], np.float64) for part in (lon, lat))
    return ComponentFile(path.name, crs, [line for line, _ in rows], code, category, owner, x, y)


def _plain_parquet(path: Path) -> pd.DataFrame | None:
    """Read a Parquet file that has no geometry; None where it has, or is none."""
    if path.suffix.lower() != ".parquet":
        return None
    try:
        if b"geo" in (pq.read_schema(path).metadata or {}):
            return None
        return pd.read_parquet(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise ImportRefused(
            path.name,
            f"it cannot be read ({str(error).splitlines()[0]})",
            remedy="Give a whole Parquet file",
        ) from error


def _read_columns(
    path: Path, frame: pd.DataFrame, crs: Crs, columns: ComponentColumns
) -> ComponentFile:
    texts = (columns.code, columns.category, columns.owner)
    _require_columns(path, (*texts, columns.lon, columns.lat), list(map(str, frame.columns)))
    code, category, owner = (
        frame[name].astype("string").fillna("").str.strip().tolist() for name in texts
    )
    x, y = (
        pd.to_numeric(frame[name], errors="coerce").to_numpy(np.float64)
        for name in (columns.lon, columns.lat)
    )
    rows = list(range(1, len(frame) + 1))
    return ComponentFile(path.name, crs, rows, code, category, owner, x, y)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _require_columns(path: Path, wanted: tuple[str, ...], there: list[str]) -> None:
    if missing := [name for name in wanted if name not in there]:
        raise ImportRefused(
            path.name,
            f"it has no column {', '.join(missing)}",
            remedy=f"Use one of {', '.join(map(str, there))}"
            if there
            else "Give a header and rows",
        )


def _faults(
    session: Session, scheme: Scheme, file: ComponentFile, change_set: ChangeSet
) -> Iterator[str]:
    owners = set(session.scalars(select(Party.code)))
    owners |= set(
        session.scalars(select(PartyEdit.code).where(PartyEdit.change_set_id == change_set.id))
    )
    kinds = {category.code: category.kind for category in scheme.categories}
    components = [code for code, kind in kinds.items() if kind is CategoryKind.COMPONENT]
    lon, lat = to_wgs84(file.x, file.y, crs=file.crs)
    west, south, east, north = scheme.extent.bounds
    is_inside = (west <= lon) & (lon <= east) & (south <= lat) & (lat <= north)
    times = Counter(file.codes)
    told = zip(file.rows, file.codes, file.categories, file.owners, is_inside, lon, strict=True)
    for row, code, category, owner, inside, x in told:
        where = f"row {row}"
        if not code:
            yield f"{where}: it has no code"
        elif times[code] > 1:
            yield f"{where}: {code} is the code of {times[code]} rows"
        if kinds.get(category) is not CategoryKind.COMPONENT:
            close = get_close_matches(category, components, n=1)
            yield f"{where}: no component is of category {category!r}" + (
                f"; did you mean {close[0]}?" if close else ""
            )
        if owner not in owners:
            close = get_close_matches(owner, owners, n=1)
            yield f"{where}: no party has the code {owner!r}; " + (
                f"did you mean {close[0]}?" if close else "import the people first"
            )
        if np.isnan(x):
            yield f"{where}: it has no point"
        elif not inside:
            yield f"{where}: it lies outside the extent of the city"
