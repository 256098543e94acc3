"""Cases as columns, in parts: one machine reads them one after the other, a cluster all at once.

A part is small to send and reads itself where it is worked on, so memory is that of a part however
many there are. Results are taken in the order of the parts: sums come out the same on a cluster.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy.orm import Session

from gridsvc.errors import TableError
from gridsvc.grids.schemes import Scheme
from gridsvc.reports.case_columns import write_cases
from gridsvc.reports.history import NO_TIME, HistoryColumns
from gridsvc.routing import admission
from gridsvc.routing.bulk import require_columns
from gridsvc.routing.reasons import Reasons
from gridsvc.routing.router import Door
from gridsvc.routing.tables import open_table

COLUMNS = ("id", "x", "y", "opened_at", "closed_at", "category", "responsible")
"""What a frame of cases holds.

The index is the number of the row, over all parts; `id` as the source calls it; `x` and `y` metres
in the storage CRS, never missing; `opened_at` UTC, never missing; `closed_at` UTC or NaT;
`category` and `responsible` (party code) categorical texts or missing.
"""

OUTSIDE_EXTENT = "outside the extent"
"""Why a row is not read that lies beyond the box of the scheme."""

_INSTANT = pd.DatetimeTZDtype("us", "UTC")

Item = TypeVar("Item")
Result = TypeVar("Result")


class Part(Protocol):
    """Some of the cases."""

    def read(self) -> pd.DataFrame:
        """Read them: columns `COLUMNS`, index the number of the row."""
        ...


@dataclass(frozen=True, slots=True)
class Frame:
    """Cases that are in memory already, as a frame of `COLUMNS`."""

    cases: pd.DataFrame

    def read(self) -> pd.DataFrame:
        """Give them."""
        return self.cases


@dataclass(frozen=True, slots=True)
class FilePart:
    """One row group of a Parquet file of cases (`gridsvc cases export`) or of reports.

    Attributes:
        path: The file; on a cluster all workers must reach it under this name.
        row_group: Number of the row group.
        first_row: Number of its first row in the file.
        columns: Which column holds what; None where they bear the names of `COLUMNS`.
        scheme: Of the city; None likewise.
    """

    path: Path
    row_group: int
    first_row: int
    columns: HistoryColumns | None = None
    scheme: Scheme | None = None

    def read(self) -> pd.DataFrame:
        """Read the columns that are needed; rows without a usable place or time are left out."""
        if self.columns is None or self.scheme is None:
            with pq.ParquetFile(self.path) as file:
                rows = file.read_row_group(self.row_group, columns=list(COLUMNS))
            return _frame(rows, self.first_row)
        return _admitted(self.path, self.row_group, self.first_row, self.columns, self.scheme)

    def reasons(self) -> Reasons:
        """Say of each row of the group why it is not read."""
        if self.columns is None or self.scheme is None:
            with pq.ParquetFile(self.path) as file:
                return Reasons.none(file.metadata.row_group(self.row_group).num_rows)
        _, told = _judged(self.path, self.row_group, self.columns, self.scheme)
        return told.reasons


def parts_of_cases(path: Path) -> tuple[FilePart, ...]:
    """Split a Parquet file of cases, whose columns are `COLUMNS`, by its row groups.

    Raises:
        TableError: the file cannot be read, lacks a column or holds something else in it.
    """
    table = open_table(path)
    remedy = "Write it with `gridsvc cases export`, or name the columns of reports"
    for name in COLUMNS:
        if name not in table.schema.names:
            raise TableError(path, f"has no column {name!r} of cases", remedy=remedy)
    for name in ("x", "y", "opened_at", "closed_at"):
        kind = table.schema.field(name).type
        is_place = name in {"x", "y"}
        if not (_is_number(kind) if is_place else pa.types.is_timestamp(kind) and kind.tz):
            raise TableError(
                path,
                f"column {name} is {kind}, not {'metres' if is_place else 'instants with a zone'}",
                remedy=remedy,
            )
    return tuple(FilePart(path, number, first) for number, first in _row_groups(path))


@contextmanager
def parts_of_database(
    session: Session, *, from_at: datetime | None = None, to_at: datetime | None = None
) -> Iterator[tuple[FilePart, ...]]:
    """Write the database's cases to a temporary file, which is there until the block ends.

    Args:
        session: Reads only.
        from_at: Opened at or after then, aware; None is from the first.
        to_at: Opened before then; None is to the last.
    """
    with tempfile.TemporaryDirectory(prefix="gridsvc-") as folder:
        path = Path(folder) / "cases.parquet"
        write_cases(session, path, from_at=from_at, to_at=to_at)
        yield parts_of_cases(path)


def parts_of_reports(
    path: Path, columns: HistoryColumns, *, scheme: Scheme
) -> tuple[FilePart, ...]:
    """Split a Parquet file of reports by its row groups; each report is taken for a case.

    Rows on a default point, outside the extent or without a usable place or time are not read.

    Args:
        path: Parquet or GeoParquet.
        columns: Which column holds what, as for `gridsvc reports import`.
        scheme: Says the storage CRS, the default points, the extent and the time zone.

    Raises:
        TableError: the file cannot be read, is no Parquet file or lacks a column.
        UnknownCrs: `columns.crs` is neither a column nor the name of a CRS.
        CrsNotAccepted: the scheme does not take it.
    """
    table = open_table(path)
    require_columns(
        table,
        columns.id,
        columns.lon,
        columns.lat,
        columns.opened,
        columns.closed,
        columns.category,
    )
    if columns.crs not in table.schema.names:
        Door(scheme).crs(columns.crs)  # a wrong name is told before any work
    return tuple(
        FilePart(path, number, first, columns, scheme) for number, first in _row_groups(path)
    )


def each(
    function: Callable[[Item], Result],
    parts: Iterable[Item],
    *,
    client: Any = None,  # noqa: ANN401
) -> Iterator[Result]:
    """Do something with each part and give the results in the order of the parts.

    Args:
        function: What to do; on a cluster it must be picklable, and what it holds (areas, say)
            goes to each worker once.
        parts: The parts, or other small things that stand for much.
        client: A `dask.distributed.Client`; None works on this machine, one part at a time.
    """
    if client is None:
        yield from map(function, parts)
        return
    sent = client.scatter(function, broadcast=True, hash=False)
    futures = client.map(_call, list(parts), function=sent, pure=False)
    while futures:
        # Let go of each as it is taken, so that the cluster need not keep its result.
        yield futures.pop(0).result()


def _call(part: Item, function: Callable[[Item], Result]) -> Result:
    return function(part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which cases are meant.

    Attributes:
        from_at: Opened at or after then, aware; None is from the first.
        to_at: Opened before then, aware; None is to the last.
        category: A category or the beginning of its code; None is all.
    """

    from_at: datetime | None = None
    to_at: datetime | None = None
    category: str | None = None

    def of(self, cases: pd.DataFrame) -> pd.DataFrame:
        """Take the cases that are meant out of a frame."""
        meant = np.ones(len(cases), dtype=bool)
        opened = cases["opened_at"]
        if self.from_at is not None:
            meant &= (opened >= self.from_at).to_numpy()
        if self.to_at is not None:
            meant &= (opened < self.to_at).to_numpy()
        if self.category is not None:
            begins = cases["category"].cat.categories.str.startswith(self.category)
            # Code -1, of no category, takes the last element.
            meant &= np.append(begins, False)[cases["category"].cat.codes]
        return cases if meant.all() else cases[meant]


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _row_groups(path: Path) -> Iterator[tuple[int, int]]:
    try:
        with pq.ParquetFile(path) as file:
            metadata = file.metadata
    except pa.ArrowInvalid as error:
        raise TableError(
            path, f"is no Parquet file ({error})", remedy="Save it as Parquet"
        ) from error
    first = 0
    for number in range(metadata.num_row_groups):
        yield number, first
        first += metadata.row_group(number).num_rows


def _judged(
    path: Path, row_group: int, columns: HistoryColumns, scheme: Scheme
) -> tuple[pa.RecordBatch, admission.Admitted]:
    """Read the rows of a group, all of them, and pass them through the door."""
    names: Sequence[str | None] = (
        *(columns.id, columns.lon, columns.lat, columns.opened, columns.closed, columns.category),
    )
    with pq.ParquetFile(path) as file:
        has_crs = columns.crs in file.schema_arrow.names
        wanted = [name for name in (*names, columns.crs if has_crs else None) if name]
        table = file.read_row_group(row_group, columns=wanted)
    batch = pa.record_batch([_whole(column) for column in table.columns], schema=table.schema)
    asked = admission.Columns(
        lon=columns.lon,
        lat=columns.lat,
        crs=None if has_crs else columns.crs,
        crs_column=columns.crs if has_crs else None,
        category=columns.category,
        at=columns.opened,
        time_format=columns.time_format,
    )
    told = admission.admit(batch, asked, scheme=scheme, now_us=_NEVER_US)
    west, south, east, north = scheme.extent.bounds
    inside = (west <= told.lon) & (told.lon <= east) & (south <= told.lat) & (told.lat <= north)
    # Where an answer is sought, far away is a reason of its own; here it is no place.
    told.reasons.refuse(~inside, OUTSIDE_EXTENT)
    told.reasons.refuse(told.at_us == _NEVER_US, NO_TIME)
    return batch, told


def _admitted(
    path: Path, row_group: int, first_row: int, columns: HistoryColumns, scheme: Scheme
) -> pd.DataFrame:
    batch, told = _judged(path, row_group, columns, scheme)
    usable = told.reasons.open
    closed_us = np.full(batch.num_rows, _NEVER_US, np.int64)
    if columns.closed:
        unread = Reasons.none(batch.num_rows)
        closed_us = admission.instants(
            *(batch, columns.closed, scheme, _NEVER_US, unread), time_format=columns.time_format
        )
        closed_us[~unread.open] = _NEVER_US
    cases = pd.DataFrame(
        {
            # Without its index, which counts from 0 in every part.
            "id": batch.column(columns.id).to_pandas().array,
            "x": told.x,
            "y": told.y,
            "opened_at": _instants(told.at_us),
            "closed_at": _instants(closed_us),
            "category": pd.Categorical.from_codes(
                told.category, pd.Index(told.categories, dtype=str)
            ),
            "responsible": pd.Categorical(
                [None] * batch.num_rows, categories=pd.Index([], dtype=str)
            ),
        },
        index=pd.RangeIndex(first_row, first_row + batch.num_rows),
    )
    admitted: pd.DataFrame = cases.loc[usable]
    return admitted


# What the reader of times puts where there is none; pandas calls this one NaT.
_NEVER_US = int(np.iinfo(np.int64).min)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


def _instants(us: admission.Ints) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(us.view("M8[us]")).tz_localize("UTC")


def _frame(rows: pa.Table, first_row: int) -> pd.DataFrame:
    """Give a table of cases the types of `COLUMNS`."""
    cases: pd.DataFrame = rows.select(COLUMNS).to_pandas()
    cases.index = pd.RangeIndex(first_row, first_row + len(cases))
    typed: pd.DataFrame = cases.astype(
        {
            "opened_at": _INSTANT,
            "closed_at": _INSTANT,
            "category": "category",
            "responsible": "category",
        }
    )
    usable = np.isfinite(typed["x"]) & np.isfinite(typed["y"]) & typed["opened_at"].notna()
    return typed if usable.all() else typed[usable]
