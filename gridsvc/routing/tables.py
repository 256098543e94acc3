"""Tables of any size go through in batches: CSV, Parquet and GeoParquet, told by the ending.

Columns keep their types; those of a CSV are text, so that leading zeros stay. Batches are encoded
apart from one another, so that many can be at the same time.
"""

import base64
import codecs
import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import shapely

from gridsvc.crs import Floats
from gridsvc.errors import TableError
from gridsvc.routing.parquet_parts import MAGIC, Part, joined_footer

PARQUET = (".parquet", ".pq", ".geoparquet")
ENDINGS = (".csv", *PARQUET)
GEO_ENDING = ".geoparquet"
GEOMETRY = "geometry"

_ENCODINGS = ("utf-8-sig", "gb18030")
_BLOCK_BYTES = 8 << 20
_DICTIONARY_BYTES = 256 << 20
_STORED_SCHEMA = b"ARROW:schema"
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

    def batches(self, rows: int, *, skip: int = 0) -> Iterator[pa.RecordBatch]:
        """Read some rows at a time, in order; at most `rows` of them.

        Args:
            rows: How many at most.
            skip: So many of the first are left out.

        Raises:
            TableError: the file is damaged.
        """
        try:
            if _is_parquet(self.path):
                yield from self._parquet_batches(rows, skip)
            else:
                yield from _without_first(skip, self._csv_batches(rows))
        except (pa.ArrowInvalid, OSError) as error:
            raise TableError(
                self.path, str(error), remedy="Mend the file or save it anew"
            ) from error

    def _parquet_batches(self, rows: int, skip: int) -> Iterator[pa.RecordBatch]:
        # Without reading ahead: what is read ahead is kept until the end of the file.
        with pq.ParquetFile(self.path, pre_buffer=False, buffer_size=_BLOCK_BYTES) as file:
            groups = file.metadata.num_row_groups
            first = 0
            while first < groups and file.metadata.row_group(first).num_rows <= skip:
                skip -= file.metadata.row_group(first).num_rows
                first += 1
            batches = file.iter_batches(batch_size=rows, row_groups=range(first, groups))
            yield from _without_first(skip, batches)

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


def _without_first(skip: int, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Leave out so many of the first rows."""
    for batch in batches:
        if skip < batch.num_rows:
            yield batch.slice(skip)
        skip = max(skip - batch.num_rows, 0)


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


class Encoded(NamedTuple):
    """Rows as they lie in a file, and what its end has to say of them."""

    body: bytes | memoryview
    footer: bytes


class Encoder(Protocol):
    """Writes batches for one file; used by several threads at once."""

    def head(self) -> bytes:
        """Give what comes before all rows."""

    def encode(self, batch: pa.RecordBatch, *, lon: Floats, lat: Floats) -> Encoded:
        """Write a batch.

        Args:
            batch: Of the target's columns.
            lon: WGS-84 degrees of each row's point, NaN where there is none.
            lat: The same.
        """

    def tail(self, footers: Sequence[bytes], begins: Sequence[int]) -> bytes:
        """Give what comes after all rows: batches of these footers begin at these bytes."""


def encoder(path: Path, schema: pa.Schema, *, like: Table) -> Encoder:
    """Choose how to write a table.

    A CSV is written in the encoding and with the delimiter of the one that was read.
    «.geoparquet» gets the rows' points as its geometry unless the source brought its own.

    Args:
        path: Where to; its ending tells the format.
        schema: Of the batches; columns with a dictionary come back as plain text.
        like: What was read.

    Raises:
        TableError: the ending names no format.
    """
    _require_known(path)
    if _is_parquet(path):
        return _ParquetEncoder(schema, with_points=_needs_points(path, like))
    return _CsvEncoder(schema, like=like)


class _ParquetEncoder:
    def __init__(self, schema: pa.Schema, *, with_points: bool) -> None:
        self._with_points = with_points
        metadata = dict(schema.metadata or {})
        if with_points:
            schema = schema.append(pa.field(GEOMETRY, pa.binary()))
            metadata[b"geo"] = json.dumps(_GEO).encode()
        plain = pa.schema([_plain(field) for field in schema], metadata=metadata)
        # Dictionaries are how columns are sent; what a reader wants is the text.
        stored = {_STORED_SCHEMA: base64.b64encode(plain.serialize().to_pybytes())}
        self._schema, self._stored = schema.remove_metadata(), metadata | stored
        # Coordinates hardly repeat: looking for repetitions takes half the time of writing.
        self._repeating = [field.name for field in schema if not pa.types.is_floating(field.type)]

    def head(self) -> bytes:
        return MAGIC

    def encode(self, batch: pa.RecordBatch, *, lon: Floats, lat: Floats) -> Encoded:
        columns = [*map(_compact, batch.columns)]
        if self._with_points:
            points = shapely.to_wkb(np.asarray(shapely.points(lon, lat)))
            columns.append(pa.array(points, pa.binary(), mask=np.isnan(lon)))
        sink = pa.BufferOutputStream()
        with pq.ParquetWriter(
            sink,
            self._schema,
            compression="zstd",
            use_dictionary=self._repeating,
            dictionary_pagesize_limit=_DICTIONARY_BYTES,
            store_schema=False,
        ) as file:
            file.write_batch(pa.record_batch(columns, schema=self._schema))
            file.add_key_value_metadata(self._stored)
        part = Part.of(memoryview(sink.getvalue()))
        return Encoded(part.body, part.footer)

    def tail(self, footers: Sequence[bytes], begins: Sequence[int]) -> bytes:
        if not footers:
            sink = pa.BufferOutputStream()
            with pq.ParquetWriter(sink, self._schema, store_schema=False) as file:
                file.add_key_value_metadata(self._stored)
            footers, begins = [Part.of(memoryview(sink.getvalue())).footer], [len(MAGIC)]
        return joined_footer(footers, begins)


class _CsvEncoder:
    def __init__(self, schema: pa.Schema, *, like: Table) -> None:
        self._names = schema.names
        self._encoding, self._delimiter = like.encoding, like.delimiter

    def head(self) -> bytes:
        header = io.StringIO()
        csv.writer(header, delimiter=self._delimiter, lineterminator="\n").writerow(self._names)
        return header.getvalue().encode(self._encoding)

    def encode(self, batch: pa.RecordBatch, *, lon: Floats, lat: Floats) -> Encoded:  # noqa: ARG002
        sink = pa.BufferOutputStream()
        cells = pa.record_batch([_cells(column) for column in batch.columns], self._names)
        options = pa.csv.WriteOptions(
            include_header=False, delimiter=self._delimiter, quoting_style="needed"
        )
        pa.csv.write_csv(cells, sink, options)
        written = sink.getvalue()
        if self._encoding == "gb18030":
            return Encoded(memoryview(written.to_pybytes().decode().encode("gb18030")), b"")
        return Encoded(memoryview(written), b"")

    def tail(self, footers: Sequence[bytes], begins: Sequence[int]) -> bytes:  # noqa: ARG002
        return b""


def _cells(column: pa.Array) -> pa.Array:
    """Write values as the cells of a CSV; a cell of nothing is empty."""
    kind = column.type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        return column
    if pa.types.is_boolean(kind):
        return pc.if_else(column, "True", "False")
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        # Without quotes round what is empty.
        return pc.if_else(pc.equal(column, ""), pa.scalar(None, column.type), column)
    return pa.array([_cell(value) for value in column.to_pylist()], pa.string())


def _cell(value: Any) -> str | None:  # noqa: ANN401  of any column
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return value.isoformat()
    return None if value is None else str(value)


def _plain(field: pa.Field) -> pa.Field:
    if pa.types.is_dictionary(field.type):
        return field.with_type(field.type.value_type)
    return field


def plain_columns(columns: Iterable[pa.Array]) -> list[pa.Array]:
    """Give columns without dictionaries."""
    return [
        column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        for column in columns
    ]


def _compact(column: pa.Array) -> pa.Array:
    """Leave out of a column's dictionary what none of its rows has: it is written with them."""
    if not pa.types.is_dictionary(column.type) or len(column.dictionary) * 4 <= len(column):
        return column
    numbers = column.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    used = np.zeros(len(column.dictionary) + 1, bool)
    used[numbers] = True
    number_of = np.append(np.cumsum(used[:-1], dtype=np.int32) - 1, np.int32(-1))
    numbers = number_of[numbers]
    return pa.DictionaryArray.from_arrays(
        pa.array(numbers, column.type.index_type, mask=numbers < 0),
        column.dictionary.take(pa.array(np.flatnonzero(used[:-1]))),
    )


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() in PARQUET


def _needs_points(path: Path, like: Table) -> bool:
    return path.suffix.lower() == GEO_ENDING and not like.is_geographic


def _require_known(path: Path) -> None:
    if path.suffix.lower() not in ENDINGS:
        raise TableError(
            path, f"the ending {path.suffix!r} names no format", remedy=f"Use {', '.join(ENDINGS)}"
        )
