"""A file of past reports is answered and stored batch by batch, with no row dropped.

Answers are those of `gridsvc.routing.bulk` and are kept as codes: a year of whole Answers would
repeat the same names a million times.
"""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from gridsvc.crs import Floats
from gridsvc.errors import ImportRefused
from gridsvc.reports.bulk_cases import Lives, PastLives, open_cases
from gridsvc.reports.bulk_copy import copy_rows, keys_by_construction, new_ids, point_texts
from gridsvc.reports.terms import Cause, Channel, Mark
from gridsvc.routing import admission, batches
from gridsvc.routing.admission import Ints
from gridsvc.routing.batches import PARTY_COLUMNS, BatchRouter, Grounds, Routed
from gridsvc.routing.bulk import BATCH_ROWS, WORKERS, DatumGuard, in_order, require_columns
from gridsvc.routing.city import City
from gridsvc.routing.reasons import Reasons
from gridsvc.routing.router import Door
from gridsvc.routing.tables import open_table

_MARKS = {
    batches.OUTSIDE: Mark.OUTSIDE,
    batches.TOO_EARLY: Mark.TOO_EARLY,
    batches.UNKNOWN_CATEGORY: Mark.UNKNOWN_CATEGORY,
    admission.DEFAULT_POINT: Mark.DEFAULT_POINT,
    admission.BAD_TIME: Mark.BAD_TIME,
    admission.BAD_CRS: Mark.BAD_COORDINATES,
    admission.BAD: Mark.BAD_COORDINATES,
    admission.SWAPPED: Mark.BAD_COORDINATES,
}
"""By the beginning of a row's reason."""

_REPORT = (
    *("source_id", "channel", "x", "y", "crs", "lon", "lat", "accuracy_m", "category"),
    *("received_at", "closed_at", "status"),
)
"""Columns of a report that come from the file."""
_WRITTEN = tuple(
    f"gridsvc.{table}" for table in ("report", "report_answer", "case", "case_report", "case_event")
)
_LOCK = 0x68697374  # "hist"

NO_TIME = f"{admission.BAD_TIME}: empty"


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryColumns:
    """Which column holds what.

    Attributes:
        id: The file's own name for a report, never empty.
        lon: Longitude or easting.
        lat: Latitude or northing.
        opened: When it came in; without an offset in the city's time.
        closed: When it was done with.
        category: Class code.
        status: In the file's words.
        channel: How it came, one of `Channel`.
        accuracy: Metres.
        crs: A CRS that the scheme accepts, or the column that names one a row; None is the
            scheme's first.
        time_format: How times are written, as strptime has it; None is ISO 8601.
    """

    id: str
    lon: str
    lat: str
    opened: str
    closed: str | None = None
    category: str | None = None
    status: str | None = None
    channel: str | None = None
    accuracy: str | None = None
    crs: str | None = None
    time_format: str | None = None


@dataclass(slots=True)
class HistoryReport:
    """What became of a file.

    Attributes:
        source: Whose reports they are.
        rows: All rows.
        stored: Reports by mark.
        repeated: Rows whose id the source told before, in this file or an earlier one.
        unknown_channels: Rows by a channel that there is not; stored without.
        bad_closed: Rows whose end cannot be read; stored without.
        revision: The newest one that answered.
        opened: Cases, each by its first report.
        joined: Reports that are one more of a case.
        datum_message: Set when the points fit the city markedly better in another CRS.
    """

    source: str
    rows: int = 0
    stored: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    unknown_channels: int = 0
    bad_closed: int = 0
    revision: int = 0
    opened: int = 0
    joined: int = 0
    datum_message: str | None = None


def import_history(  # noqa: PLR0913  two ways into the database, a file and how to take it
    session: Session,
    engine: Engine,
    file: Path,
    columns: HistoryColumns,
    *,
    source: str = "history",
    lives: Lives | None = None,
    progress: Callable[[int], None] | None = None,
) -> HistoryReport:
    """Store every row of a file as a report, answered as of the time it came in.

    Reports that were answered become cases, or join those that are open
    (`gridsvc.reports.bulk_cases`).

    A file may be imported again: what the source told before stays as it is.

    Args:
        session: Writes; its caller commits, so a file is stored whole or not at all.
        engine: Reads, and makes temporary tables.
        file: CSV, Parquet or GeoParquet.
        columns: Which column holds what.
        source: Whose ids the file's are.
        lives: What becomes of the cases; None is what the file knows.
        progress: Told the number of rows each time some are stored.

    Raises:
        TableError: the file cannot be read or lacks a column.
        ImportRefused: a row has no id.
        UnknownCrs: `crs` is neither a column nor the name of a CRS.
        CrsNotAccepted: the scheme does not take it.
        NothingLoaded: the database has no scheme.
        NothingPublished: no revision answers yet.
    """
    table = open_table(file)
    crs_column = columns.crs if columns.crs in table.schema.names else None
    asked = admission.Columns(
        columns.lon,
        columns.lat,
        None if crs_column else columns.crs,
        crs_column,
        columns.category,
        columns.opened,
        columns.time_format,
    )
    require_columns(
        table,
        *(columns.id, columns.lon, columns.lat, columns.opened, columns.closed),
        *(columns.category, columns.status, columns.channel, columns.accuracy),
    )
    city = City.load(engine)
    if crs_column is None:
        Door(city.scheme).crs(columns.crs)  # a wrong name is told before any work
    router = BatchRouter(Grounds(engine), city, asked)
    report = HistoryReport(source, revision=int(city.revisions[-1]))
    guard = DatumGuard()
    _one_import_at_a_time(session, source)
    with ThreadPoolExecutor(WORKERS) as pool, keys_by_construction(session):

        def route(batch: pa.RecordBatch) -> Future[Routed]:
            return pool.submit(router.route, batch)

        for routed in in_order(route, table.batches(BATCH_ROWS), at_once=WORKERS + 1):
            guard.notice(routed.asked)
            incoming = _incoming(routed, columns, city, report, file)
            new = _untold(session, incoming, source)
            report.rows += incoming.num_rows
            report.repeated += incoming.num_rows - new.num_rows
            report.stored.update(new.column("mark").to_pylist())
            _store(session, new, source, city)
            if progress:
                progress(incoming.num_rows)
        made = open_cases(session, city.scheme, source=source, lives=lives or PastLives())
    report.opened, report.joined = made.opened, made.joined
    if report.rows > report.repeated:
        # What is asked next is planned for the tables as they are now.
        session.execute(text(f"ANALYZE {', '.join(_WRITTEN)}"))
    report.datum_message = guard.message(engine, city)
    return report


def _one_import_at_a_time(session: Session, source: str) -> None:
    """Let a second import of the same source wait, and then see what the first one told."""
    session.execute(
        text("SELECT pg_advisory_xact_lock(:key, hashtext(:source))"),
        {"key": _LOCK, "source": source},
    )


def _untold(session: Session, rows: pa.RecordBatch, source: str) -> pa.RecordBatch:
    """Leave out rows whose id the source told before, in the batch itself or earlier."""
    ids = rows.column("source_id")
    told = session.scalars(
        text(
            "SELECT source_id FROM gridsvc.report"
            " WHERE source = :source AND source_id = ANY(CAST(:ids AS text[]))"
        ),
        {"source": source, "ids": ids.to_pylist()},
    ).all()
    repeated = pd.Series(ids.to_numpy(zero_copy_only=False)).duplicated().to_numpy()
    known = pc.is_in(ids, pa.array(told, pa.string())).to_numpy(zero_copy_only=False)
    new = ~(repeated | known)
    return rows if new.all() else rows.filter(pa.array(new))


def _store(session: Session, rows: pa.RecordBatch, source: str, city: City) -> None:
    """Write a batch of new reports with their first answers."""
    columns = dict(zip(rows.schema.names, rows.columns, strict=True))
    ids = new_ids(rows.num_rows)
    copy_rows(
        session,
        "gridsvc.report",
        pa.record_batch(
            {
                "id": ids,
                "source": pa.repeat(source, rows.num_rows),
                **{name: columns[name] for name in _REPORT},
                "point": point_texts(
                    admission.numbers(columns["stored_x"]),
                    admission.numbers(columns["stored_y"]),
                    srid=city.srid,
                ),
            }
        ),
    )
    routed = pc.equal(columns["mark"], Mark.ROUTED.value)
    copy_rows(
        session,
        "gridsvc.report_answer",
        pa.record_batch(
            {
                "report_id": ids,
                "number": pa.repeat(1, rows.num_rows),
                "cause": pa.repeat(Cause.IMPORT.value, rows.num_rows),
                **{name: columns[name] for name in ("mark", "reason", "revision")},
                "answer": pc.if_else(routed, columns["answer"], pa.scalar(None, pa.string())),
            }
        ),
    )


def _incoming(
    routed: Routed, columns: HistoryColumns, city: City, report: HistoryReport, file: Path
) -> pa.RecordBatch:
    """Shape a batch as the table `incoming` wants it."""
    batch, asked = routed.source, routed.asked
    count = batch.num_rows
    ids = _texts(batch, columns.id)
    if ids.null_count:
        row = report.rows + pc.index(ids.is_null(), True).as_py() + 1
        raise ImportRefused(
            file.name,
            f"row {row} has no {columns.id}",
            remedy="Give every row an id, by which it is known when the file comes again",
        )
    no_time = _is_empty(batch, columns.opened)
    reasons = asked.reasons.copy()
    reasons.override(no_time, NO_TIME)
    bad_time = reasons.begins(admission.BAD_TIME)
    closed, bad_closed = _closed(batch, columns, city)
    report.bad_closed += bad_closed
    channel = _texts(batch, columns.channel)
    known = pc.is_in(channel, pa.array([str(one) for one in Channel]))
    report.unknown_channels += pc.sum(pc.and_(pc.invert(known), channel.is_valid())).as_py() or 0
    # The revision in force at each row's time.
    index = np.searchsorted(city.effective_us, asked.at_us, side="right") - 1
    layers = len(city.scheme.layers)
    codes, parties = routed.added[:layers], routed.added[layers : layers + len(PARTY_COLUMNS)]
    crs = pa.array(asked.crs_names, pa.string()).take(pa.array(asked.crs, mask=asked.crs < 0))
    if columns.crs in batch.schema.names:
        crs = pc.coalesce(crs, _texts(batch, columns.crs))
    return pa.record_batch(
        {
            "source_id": ids,
            "channel": pc.if_else(known, channel, pa.scalar(None, pa.string())),
            "x": _finite(asked.raw_x),
            "y": _finite(asked.raw_y),
            "crs": crs,
            "lon": _finite(asked.lon, asked.lat),
            "lat": _finite(asked.lat, asked.lon),
            "stored_x": _finite(asked.x, asked.y),
            "stored_y": _finite(asked.y, asked.x),
            "accuracy_m": _finite(admission.numbers(batch.column(columns.accuracy)))
            if columns.accuracy
            else pa.nulls(count, pa.float64()),
            "category": _texts(batch, columns.category),
            "received_at": _instants(asked.at_us, bad_time),
            "closed_at": closed,
            "status": _texts(batch, columns.status),
            "mark": marks_of(reasons),
            "reason": reasons.array().dictionary_decode(),
            "revision": pa.array(city.revisions[index], mask=~reasons.open),
            "answer": _answers(
                dict(zip((layer.code for layer in city.scheme.layers), codes, strict=True)),
                dict(zip(PARTY_COLUMNS, parties, strict=True)),
                routed.added[layers + len(PARTY_COLUMNS)],
            ),
        }
    )


def marks_of(reasons: Reasons) -> pa.Array:
    """Tell the mark of each row."""
    names = [Mark.ROUTED.value, *(_mark(text).value for text in reasons.texts)]
    return pa.array(names, pa.string()).take(pa.array(reasons.codes))


def _mark(reason: str) -> Mark:
    return next(mark for beginning, mark in _MARKS.items() if reason.startswith(beginning))


def _texts(batch: pa.RecordBatch, name: str | None) -> pa.Array:
    """Read a column as text; what is empty is null."""
    if name is None:
        return pa.nulls(batch.num_rows, pa.string())
    # PostgreSQL's text holds every character but NUL.
    cells = pc.replace_substring(admission.text_cells(batch.column(name)), "\0", "")
    cells = pc.utf8_trim_whitespace(cells)
    return pc.if_else(pc.equal(cells, ""), pa.scalar(None, pa.string()), cells)


def _is_empty(batch: pa.RecordBatch, name: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.asarray(_texts(batch, name).is_null().to_numpy(zero_copy_only=False), bool)


def _closed(batch: pa.RecordBatch, columns: HistoryColumns, city: City) -> tuple[pa.Array, int]:
    name = columns.closed
    if name is None:
        return pa.nulls(batch.num_rows, pa.timestamp("us", "UTC")), 0
    unread = Reasons.none(batch.num_rows)
    at_us = admission.instants(batch, name, city.scheme, 0, unread, time_format=columns.time_format)
    bad = ~unread.open
    return _instants(at_us, bad | _is_empty(batch, name)), int(bad.sum())


def _instants(at_us: Ints, missing: Any) -> pa.Array:  # noqa: ANN401  a mask
    return pa.array(at_us, pa.int64(), mask=missing).cast(pa.timestamp("us", "UTC"))


def _finite(values: Floats, *others: Floats) -> pa.Array:
    """Leave out what is no number, or whose other half is none."""
    bad = ~np.isfinite(values)
    for other in others:
        bad |= ~np.isfinite(other)
    return pa.array(values, pa.float64(), mask=bad)


def _answers(
    areas: dict[str, pa.Array], parties: dict[str, pa.Array], edge_m: pa.Array
) -> pa.Array:
    """Write each row's codes as JSON: areas that cover it, parties, and metres to the edge."""
    members = [_member(layer, _quoted(codes)) for layer, codes in areas.items()]
    inside = pc.utf8_rtrim(pc.binary_join_element_wise(*members, ""), characters=",")
    parts = ['{"areas":{', inside, "}"]
    for name, value in (
        *((name, _quoted(codes)) for name, codes in parties.items()),
        ("edge_m", edge_m.cast(pa.string())),
    ):
        parts += [f",{_json(name)}:", value.fill_null("null")]
    return pc.binary_join_element_wise(*parts, "}", "")


def _member(name: str, value: pa.Array) -> pa.Array:
    """Spell a member with its comma; nothing where there is no value."""
    return pc.binary_join_element_wise(f"{_json(name)}:", value, ",", "").fill_null("")


def _quoted(codes: pa.Array) -> pa.Array:
    """Spell codes as JSON; a batch has few different ones."""
    coded = admission.text_cells(codes).dictionary_encode()
    spelled = pa.array([_json(code) for code in coded.dictionary.to_pylist()], pa.string())
    return spelled.take(coded.indices)


def _json(value: str) -> str:
    return orjson.dumps(value).decode()
