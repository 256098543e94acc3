"""A file of points is answered batch by batch, with the meaning of single answers.

Batches are read in their order, answered and encoded by all cores at once, and written in their
order. What one batch needs is dropped with it, so memory does not grow with the file. A run that
is broken off goes on where it stopped (`gridsvc.routing.growing`).
"""

import hashlib
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar

import numpy as np
import pyarrow as pa
import shapely
from sqlalchemy import Engine

from gridsvc.crs import Floats, guard_points
from gridsvc.db import sql
from gridsvc.errors import TableError
from gridsvc.grids.schemes import Scheme
from gridsvc.routing.admission import DEFAULT_POINT, Admitted, Columns, instants
from gridsvc.routing.batches import OUTSIDE, PARTY_COLUMNS, BatchRouter, Grounds
from gridsvc.routing.city import City
from gridsvc.routing.growing import forget, growing
from gridsvc.routing.reasons import Reasons
from gridsvc.routing.router import Door
from gridsvc.routing.tables import Encoded, Encoder, Table, encoder, open_table

TAKEN_PREFIX = "gridsvc_"
"""Put before an added column whose name the file has already."""

_EPOCH_AT = datetime(1970, 1, 1, tzinfo=UTC)

BATCH_ROWS = 1 << 17
WORKERS = len(os.sched_getaffinity(0))
_AHEAD = 1  # batches in hand beyond those that are worked on
_GUARD_POINTS = 50_000
_GUARD_POINTS_A_BATCH = 1_000

_Result = TypeVar("_Result")
_Given_co = TypeVar("_Given_co", covariant=True)


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
        resumed_rows: So many of the rows were written by a run that was broken off.
    """

    rows: int
    routed: int
    outside: int
    default_point: int
    bad: int
    revision: int
    datum_message: str | None
    columns: tuple[str, ...]
    resumed_rows: int = 0


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
    client: Any = None,  # noqa: ANN401
    folder: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> BulkSummary:
    """Answer every row of a file who is responsible at its point.

    Args:
        engine: Reads.
        source: CSV (UTF-8 with or without BOM, GB18030), Parquet or GeoParquet.
        target: The same formats, by its ending; appears only when it is whole. A run that is
            broken off is gone on with by the next that asks the same.
        lon: Column of longitudes or eastings.
        lat: Column of latitudes or northings.
        crs: A CRS that the scheme accepts, or the column that names one a row; None is the
            scheme's first.
        category: Column of class codes; an empty cell asks for none.
        at: Column of instants; without an offset in the city's time, an empty cell is now.
        client: A `dask.distributed.Client`, whose workers get the city once each and then the
            batches; None works on the cores of this machine.
        folder: Of revisions that are kept on disk: the newest is opened from there, if it is there.
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
    added = added_schema(table.schema.names, city.scheme)
    schema = pa.schema([*table.schema, *added], metadata=table.schema.metadata)
    write = encoder(target, schema, like=table)
    asked = {
        "source": [str(source.resolve()), source.stat().st_size, source.stat().st_mtime_ns],
        "columns": [lon, lat, crs, category, at],
        "city": _digest(city),
        "schema": schema.to_string(),
    }
    counts: Counter[str] = Counter()
    guard = DatumGuard()
    try:
        with growing(target, write, asked=asked, kept={"now_us": city.now_us}) as (file, kept):
            city = replace(city, now_us=kept["now_us"])
            work = Work(BatchRouter(Grounds(engine, folder), city, columns), write, schema)
            for note in file.noted:
                counts.update(note["counts"])
            resumed_rows = counts.total()
            if progress and resumed_rows:
                progress(resumed_rows)
            with _hands(work, table, client) as (submit, count):
                batches = table.batches(BATCH_ROWS, skip=resumed_rows)
                for done in in_order(submit, batches, at_once=count + _AHEAD):
                    file.append(done.encoded, {"counts": done.counts})
                    counts.update(done.counts)
                    guard.keep(done.sample)
                    if progress:
                        progress(done.rows)
    except TableError as error:
        if error.path == source:  # mended, it is another file
            forget(target)
        raise
    return BulkSummary(
        rows=counts.total(),
        routed=counts["routed"],
        outside=counts["outside"],
        default_point=counts["default_point"],
        bad=counts["bad"],
        revision=int(city.revisions[-1]),
        datum_message=guard.message(engine, city),
        columns=tuple(added.names),
        resumed_rows=resumed_rows,
    )


class Done(NamedTuple):
    """A batch that is answered and ready to be written.

    Attributes:
        encoded: Its rows.
        rows: How many.
        counts: What became of them.
        sample: Some of their points, for the datum guard.
    """

    encoded: Encoded
    rows: int
    counts: dict[str, int]
    sample: dict[str, Floats]


@dataclass(frozen=True, slots=True)
class Work:
    """What is done with each batch, by several threads at once."""

    router: BatchRouter
    encoder: Encoder
    schema: pa.Schema

    def __call__(self, batch: pa.RecordBatch) -> Done:
        """Answer and encode a batch."""
        routed = self.router.route(batch)
        asked = routed.asked
        encoded = self.encoder.encode(
            pa.record_batch([*batch.columns, *routed.added], schema=self.schema),
            lon=asked.lon,
            lat=asked.lat,
        )
        return Done(encoded, batch.num_rows, _counts(asked), sample(asked))


def _digest(city: City) -> str:
    """Tell states of the city apart."""
    parts = [city.revisions, city.effective_us, city.scheme_ids]
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()


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


def added_schema(names: Iterable[str], scheme: Scheme) -> pa.Schema:
    """Give the columns that are added to those there are."""
    taken = set(names)

    def name(wanted: str) -> str:
        while wanted in taken:
            wanted = TAKEN_PREFIX + wanted
        taken.add(wanted)
        return wanted

    coded = pa.dictionary(pa.int32(), pa.string())
    texts = [layer.code for layer in scheme.layers] + list(PARTY_COLUMNS)
    return pa.schema(
        [pa.field(name(wanted), coded) for wanted in texts]
        + [pa.field(name("edge_m"), pa.float64()), pa.field(name("reason"), coded)]
    )


def _counts(asked: Admitted) -> dict[str, int]:
    counts = dict.fromkeys(("routed", "outside", "default_point", "bad"), 0)
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


class Promise(Protocol[_Given_co]):
    """What will be there: a future of this machine's or of a cluster's."""

    def result(self) -> _Given_co:
        """Wait for it."""

    def cancel(self) -> object:
        """Do without it, if it has not begun."""


def in_order(
    submit: Callable[[pa.RecordBatch], Promise[_Result]],
    batches: Iterator[pa.RecordBatch],
    *,
    at_once: int,
) -> Iterator[_Result]:
    """Work on a few batches at a time and give the results in the order of the file."""
    waiting: deque[Promise[_Result]] = deque()
    try:
        for batch in batches:
            waiting.append(submit(batch))
            if len(waiting) >= at_once:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for promise in waiting:
            promise.cancel()


_Submit: TypeAlias = Callable[[pa.RecordBatch], Promise[Done]]


@contextmanager
def _hands(work: Work, table: Table, client: Any) -> Iterator[tuple[_Submit, int]]:  # noqa: ANN401
    """Give a way to have batches worked on, and how many can be at once."""
    if client is None:
        with ThreadPoolExecutor(WORKERS) as pool:
            yield lambda batch: pool.submit(work, batch), WORKERS
        return
    from gridsvc.routing import on_workers  # noqa: PLC0415  only who has a cluster has Dask

    router = work.router
    # Workers have no database: they get every revision that is asked.
    router.grounds.hold(_revisions_asked(table, router))
    with on_workers.sent(client, work) as name:
        yield (
            lambda batch: client.submit(_at_worker, batch, name, pure=False),
            sum(client.nthreads().values()),
        )


def _at_worker(batch: pa.RecordBatch, name: str) -> Done:
    from gridsvc.routing import on_workers  # noqa: PLC0415

    done: Done = on_workers.held(name)(batch)
    body, footer = done.encoded
    return done._replace(encoded=Encoded(bytes(body), footer))


def _revisions_asked(table: Table, router: BatchRouter) -> list[int]:
    """Find the revisions that answer for the rows of a table."""
    city, columns = router.city, router.columns
    numbers = {int(city.revision_at(np.array([city.now_us]))[0])}
    if columns.at is not None:
        for batch in table.batches(BATCH_ROWS):
            unread = Reasons.none(batch.num_rows)
            at_us = instants(batch, columns.at, city.scheme, city.now_us, unread)
            numbers.update(np.unique(city.revision_at(at_us)).tolist())
    return [int(city.revisions[number]) for number in sorted(numbers) if number >= 0]


# The datum guard


def sample(asked: Admitted) -> dict[str, Floats]:
    """Take some points of a batch that are places in or near the city, by CRS, as given."""
    placed = asked.reasons.open | asked.reasons.begins(OUTSIDE)
    points = {}
    for number, name in enumerate(asked.crs_names):
        rows = np.flatnonzero(placed & (asked.crs == number))
        if len(rows):
            rows = rows[:: -(-len(rows) // _GUARD_POINTS_A_BATCH)]
            points[name] = np.column_stack([asked.raw_x[rows], asked.raw_y[rows]])
    return points


@dataclass(slots=True)
class DatumGuard:
    """Keeps a sample of the points, by the CRS they were said to be in."""

    samples: dict[str, list[Floats]] = field(default_factory=dict)

    def notice(self, asked: Admitted) -> None:
        """Keep some points of a batch."""
        self.keep(sample(asked))

    def keep(self, points: dict[str, Floats]) -> None:
        """Keep points by CRS, as long as there is room."""
        for name, some in points.items():
            kept = self.samples.setdefault(name, [])
            if sum(map(len, kept)) < _GUARD_POINTS:
                kept.append(some)

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
