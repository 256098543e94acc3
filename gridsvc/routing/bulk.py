"""A file of points is answered batch by batch, with the meaning of single answers.

What one batch needs is dropped with it, so memory does not grow with the file.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import shapely
from sqlalchemy import Engine

from gridsvc.crs import Floats, guard_points
from gridsvc.db import sql
from gridsvc.errors import TableError
from gridsvc.grids.schemes import Scheme
from gridsvc.routing.admission import DEFAULT_POINT, Admitted, Columns, text_cells
from gridsvc.routing.batches import OUTSIDE, PARTY_COLUMNS, BatchRouter, City, Routed
from gridsvc.routing.router import Door
from gridsvc.routing.tables import Table, open_table, write_table

TAKEN_PREFIX = "gridsvc_"
"""Put before an added column whose name the file has already."""

_EPOCH_AT = datetime(1970, 1, 1, tzinfo=UTC)

BATCH_ROWS = 50_000
WORKERS = 2
_GUARD_POINTS = 50_000
_GUARD_POINTS_A_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class BulkSummary:
    """What became of a file.

    Attributes:
        rows: All rows.
        routed: Rows with an answer.
        outside: Rows that no area covers.
        default_point: Rows on a point that stands for "no place".
        bad: Rows that could not be asked: coordinates, CRS, category or time.
        revision: The newest revision that answered.
        datum_message: Set when the points fit the city markedly better in another CRS.
        columns: Names of the added columns, in order.
    """

    rows: int
    routed: int
    outside: int
    default_point: int
    bad: int
    revision: int
    datum_message: str | None
    columns: tuple[str, ...]


def locate_file(  # noqa: PLR0913  each names a column
    engine: Engine,
    source: Path,
    target: Path,
    *,
    lon: str,
    lat: str,
    crs: str | None = None,
    category: str | None = None,
    at: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> BulkSummary:
    """Answer every row of a file who is responsible at its point.

    Args:
        engine: Reads, and makes temporary tables.
        source: CSV (UTF-8 with or without BOM, GB18030), Parquet or GeoParquet.
        target: The same formats, by its ending; appears only when it is whole.
        lon: Column of longitudes or eastings.
        lat: Column of latitudes or northings.
        crs: A CRS that the scheme accepts, or the column that names one a row; None is the
            scheme's first.
        category: Column of class codes; an empty cell asks for none.
        at: Column of instants; without an offset in the city's time, an empty cell is now.
        progress: Told the number of rows each time some are written.

    Returns:
        The counts, and what the datum guard noticed.

    Raises:
        TableError: a file cannot be read or written, or lacks a column.
        UnknownCrs: `crs` is neither a column nor the name of a CRS.
        CrsNotAccepted: the scheme does not take it.
        NothingLoaded: the database has no scheme.
        NothingPublished: no revision answers yet.
    """
    table = open_table(source)
    crs_column = crs if crs in table.schema.names else None
    columns = Columns(lon, lat, None if crs_column else crs, crs_column, category, at)
    require_columns(table, columns.lon, columns.lat, columns.category, columns.at)
    city = City.load(engine)
    if crs_column is None:
        Door(city.scheme).crs(crs)  # a wrong name is told before any work
    router = BatchRouter(engine, city, columns, added=_added_schema(table, city.scheme))
    counts: Counter[str] = Counter()
    guard = DatumGuard()
    schema = pa.schema([*table.schema, *router.added], metadata=table.schema.metadata)
    with write_table(target, schema, like=table) as writer, ThreadPoolExecutor(WORKERS) as pool:
        for routed in in_order(pool, router.route, table.batches(BATCH_ROWS)):
            added = [
                text_cells(column) if pa.types.is_dictionary(column.type) else column
                for column in routed.added
            ]
            writer.write(
                pa.record_batch([*routed.source.columns, *added], schema=schema),
                lon=routed.asked.lon,
                lat=routed.asked.lat,
            )
            counts += _counts(routed.asked)
            guard.notice(routed.asked)
            if progress:
                progress(routed.source.num_rows)
    return BulkSummary(
        rows=counts.total(),
        routed=counts["routed"],
        outside=counts["outside"],
        default_point=counts["default_point"],
        bad=counts["bad"],
        revision=int(city.revisions[-1]),
        datum_message=guard.message(engine, city),
        columns=tuple(router.added.names),
    )


def require_columns(table: Table, *names: str | None) -> None:
    """Refuse a table that lacks a column.

    Raises:
        TableError: with the columns there are.
    """
    for name in names:
        if name is not None and name not in table.schema.names:
            raise TableError(
                table.path,
                f"has no column {name!r}",
                remedy=f"Use one of {', '.join(table.schema.names)}",
            )


def _added_schema(table: Table, scheme: Scheme) -> pa.Schema:
    taken = set(table.schema.names)

    def name(wanted: str) -> str:
        while wanted in taken:
            wanted = TAKEN_PREFIX + wanted
        taken.add(wanted)
        return wanted

    texts = [layer.code for layer in scheme.layers] + list(PARTY_COLUMNS)
    return pa.schema(
        [pa.field(name(wanted), pa.string()) for wanted in texts]
        + [pa.field(name("edge_m"), pa.float64()), pa.field(name("reason"), pa.string())]
    )


def _counts(asked: Admitted) -> Counter[str]:
    counts: Counter[str] = Counter()
    for reason, count in asked.reasons.counts().items():
        if reason is None:
            counts["routed"] += count
        elif reason == OUTSIDE:
            counts["outside"] += count
        elif reason.startswith(DEFAULT_POINT):
            counts["default_point"] += count
        else:
            counts["bad"] += count
    return counts


def in_order(
    pool: ThreadPoolExecutor,
    work: Callable[[pa.RecordBatch], Routed],
    batches: Iterator[pa.RecordBatch],
) -> Iterator[Routed]:
    """Work on a few batches at a time and give the results in the order of the file."""
    waiting: deque[Future[Routed]] = deque()
    try:
        for batch in batches:
            waiting.append(pool.submit(work, batch))
            if len(waiting) > WORKERS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


# The datum guard


@dataclass(slots=True)
class DatumGuard:
    """Keeps a sample of the points, by the CRS they were said to be in."""

    samples: dict[str, list[Floats]] = field(default_factory=dict)

    def notice(self, asked: Admitted) -> None:
        """Keep some points of a batch that are places in or near the city."""
        placed = asked.reasons.open | asked.reasons.begins(OUTSIDE)
        for number, name in enumerate(asked.crs_names):
            rows = np.flatnonzero(placed & (asked.crs == number))
            kept = self.samples.setdefault(name, [])
            if len(rows) and sum(map(len, kept)) < _GUARD_POINTS:
                rows = rows[:: -(-len(rows) // _GUARD_POINTS_A_BATCH)]
                kept.append(np.column_stack([asked.raw_x[rows], asked.raw_y[rows]]))

    def message(self, engine: Engine, city: City) -> str | None:
        """Say whether the points fit the city's outline better in another CRS."""
        with engine.connect() as connection:
            outline = connection.scalar(
                sql("gridsvc.routing", "bulk_outline"),
                {
                    "revision": int(city.revisions[-1]),
                    "at": _EPOCH_AT + timedelta(microseconds=city.now_us),
                },
            )
        if outline is None:
            return None
        area = shapely.from_wkb(outline)
        messages = []
        for name, kept in self.samples.items():
            if kept:
                points = np.concatenate(kept)
                fit = guard_points(
                    points[:, 0],
                    points[:, 1],
                    declared=name,
                    candidates=city.scheme.input_crs,
                    area=area,
                    area_crs=city.scheme.storage_crs,
                )
                messages += [fit.message()] if fit.better else []
        return " ".join(messages) or None
