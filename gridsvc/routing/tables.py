"""Tables of any size go through in batches: CSV, Parquet and GeoParquet, told by the ending.

Columns keep their types; those of a CSV are text, so that leading zeros stay. What is written
appears under its name only when it is whole.
"""

import codecs
import csv
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import shapely

from gridsvc.crs import Floats
from gridsvc.errors import TableError

PARQUET = (".parquet", ".pq", ".geoparquet")
ENDINGS = (".csv", *PARQUET)
GEO_ENDING = ".geoparquet"
GEOMETRY = "geometry"

_ENCODINGS = ("utf-8-sig", "gb18030")
_BLOCK_BYTES = 8 << 20
_GEO = {
    "version": "1.1.0",
    "primary_column": GEOMETRY,
    "columns": {GEOMETRY: {"encoding": "WKB", "geometry_types": ["Point"]}},
}


@dataclass(frozen=True, slots=True)
class Table:
    """A file that can be read in batches.

    Attributes:
        path: The file.
        schema: Its columns.
        encoding: Of a CSV; Parquet has none.
        delimiter: Of a CSV.
    """

    path: Path
    schema: pa.Schema
    encoding: str = "utf-8"
    delimiter: str = ","

    @property
    def is_geographic(self) -> bool:
        """Whether it says that it is GeoParquet."""
        return b"geo" in (self.schema.metadata or {})

    def batches(self, rows: int) -> Iterator[pa.RecordBatch]:
        """Read some rows at a time, in order; at most `rows` of them.

        Raises:
            TableError: the file is damaged.
        """
        try:
            yield from (
                self._parquet_batches(rows) if _is_parquet(self.path) else self._csv_batches(rows)
            )
        except (pa.ArrowInvalid, OSError) as error:
            raise TableError(
                self.path, str(error), remedy="Mend the file or save it anew"
            ) from error

    def _parquet_batches(self, rows: int) -> Iterator[pa.RecordBatch]:
        with pq.ParquetFile(self.path) as file:
            yield from file.iter_batches(batch_size=rows)

    def _csv_batches(self, rows: int) -> Iterator[pa.RecordBatch]:
        names = self.schema.names
        with pa.csv.open_csv(
            self.path,
            read_options=pa.csv.ReadOptions(
                encoding="utf-8" if self.encoding == "utf-8-sig" else self.encoding,
                block_size=_BLOCK_BYTES,
                column_names=names,
                skip_rows_after_names=1,
            ),
            parse_options=pa.csv.ParseOptions(delimiter=self.delimiter, newlines_in_values=True),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        ) as reader:
            for block in reader:
                for start in range(0, block.num_rows, rows):
                    yield block.slice(start, rows)


def open_table(path: Path) -> Table:
    """Find out what columns a file has.

    Raises:
        TableError: missing, of another format, damaged, in no known encoding, or with columns of
            one name.
    """
    _require_known(path)
    if not path.is_file():
        raise TableError(path, "there is no such file", remedy="Name a file that exists")
    if _is_parquet(path):
        try:
            table = Table(path, pq.read_schema(path))
        except pa.ArrowInvalid as error:
            raise TableError(
                path, f"is no Parquet file or a damaged one ({error})", remedy="Save it anew"
            ) from error
    else:
        table = _open_csv(path)
    names = table.schema.names
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise TableError(
            path, f"has two columns called {twice!r}", remedy="Give each column its own name"
        )
    return table


def _open_csv(path: Path) -> Table:
    encoding = _encoding(path)
    with path.open(encoding=encoding, newline="") as text:
        first = text.readline()
    delimiter = max(",;\t", key=first.count)
    with path.open(encoding=encoding, newline="") as text:
        header = next(csv.reader(text, delimiter=delimiter), [])
    if not header:
        raise TableError(path, "has no header", remedy="Give the columns' names in the first line")
    return Table(path, pa.schema([(name, pa.string()) for name in header]), encoding, delimiter)


def _encoding(path: Path) -> str:
    """Find the encoding of a whole file: its Chinese may begin long after the first block."""
    for encoding in _ENCODINGS:
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            with path.open("rb") as raw:
                marked = raw.peek(3)[:3] == codecs.BOM_UTF8
                while block := raw.read(_BLOCK_BYTES):
                    decoder.decode(block)
                decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return "utf-8" if encoding == "utf-8-sig" and not marked else encoding
    raise TableError(
        path, "is neither in UTF-8 nor in GB18030", remedy="Save it as «CSV UTF-8» and try again"
    )


class Writer(Protocol):
    """Takes batches in order."""

    def write(self, batch: pa.RecordBatch, *, lon: Floats, lat: Floats) -> None:
        """Append a batch.

        Args:
            batch: Of the target's columns.
            lon: WGS-84 degrees of each row's point, NaN where there is none.
            lat: The same.
        """


@contextmanager
def write_table(path: Path, schema: pa.Schema, *, like: Table) -> Iterator[Writer]:
    """Write a table under another name and rename it once it is whole.

    A CSV is written in the encoding and with the delimiter of the one that was read.
    «.geoparquet» gets the rows' points as its geometry unless the source brought its own.

    Raises:
        TableError: the ending names no format, or the folder cannot be written.
    """
    _require_known(path)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with (
            _ParquetWriter(part, schema, with_points=_needs_points(path, like))
            if _is_parquet(path)
            else _CsvWriter(part, schema, like=like)
        ) as writer:
            yield writer
        part.replace(path)
    except OSError as error:
        raise TableError(
            path, f"cannot be written: {error.strerror}", remedy="Choose another folder"
        ) from error
    finally:
        part.unlink(missing_ok=True)


class _ParquetWriter:
    def __init__(self, path: Path, schema: pa.Schema, *, with_points: bool) -> None:
        self._with_points = with_points
        if with_points:
            schema = schema.append(pa.field(GEOMETRY, pa.binary()))
            schema = schema.with_metadata(
                {**(schema.metadata or {}), b"geo": json.dumps(_GEO).encode()}
            )
        self._schema = schema
        self._file = pq.ParquetWriter(path, schema, compression="zstd")

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, batch: pa.RecordBatch, *, lon: Floats, lat: Floats) -> None:
        columns = batch.columns
        if self._with_points:
            points = shapely.to_wkb(np.asarray(shapely.points(lon, lat)))
            columns = [*columns, pa.array(points, pa.binary(), mask=np.isnan(lon))]
        self._file.write_batch(pa.record_batch(columns, schema=self._schema))


class _CsvWriter:
    def __init__(self, path: Path, schema: pa.Schema, *, like: Table) -> None:
        self._text = path.open("w", encoding=like.encoding, newline="")
        self._rows = csv.writer(self._text, delimiter=like.delimiter, lineterminator="\n")
        self._rows.writerow(schema.names)

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self._text.close()

    def write(self, batch: pa.RecordBatch, *, lon: Floats, lat: Floats) -> None:  # noqa: ARG002
        self._rows.writerows(zip(*map(_cells, batch.columns), strict=True))


def _cells(column: pa.Array) -> list[Any]:
    values: list[Any] = column.to_pylist()
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return [None if value is None else value.hex() for value in values]
    if pa.types.is_timestamp(column.type):
        return [None if value is None else value.isoformat() for value in values]
    return values


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() in PARQUET


def _needs_points(path: Path, like: Table) -> bool:
    return path.suffix.lower() == GEO_ENDING and not like.is_geographic


def _require_known(path: Path) -> None:
    if path.suffix.lower() not in ENDINGS:
        raise TableError(
            path, f"the ending {path.suffix!r} names no format", remedy=f"Use {', '.join(ENDINGS)}"
        )
