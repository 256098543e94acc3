"""Columns of numbers cross between NumPy and PostgreSQL in COPY's binary form, without a loop.

A row of fixed-width values that are never null has a fixed width itself, so an array of records
is the stream: a count of fields, then each value behind its length, all big-endian.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg

_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # no flags, no extension
_TRAILER = b"\xff\xff"


def copy_in(cursor: psycopg.Cursor[Any], statement: str, columns: list[npt.NDArray[Any]]) -> None:
    """Send columns to a `COPY … FROM STDIN (FORMAT binary)`.

    Args:
        cursor: In a transaction.
        statement: The COPY.
        columns: In the order of the statement; int32, int64 or float64 like the table's own.
    """
    records = np.empty(len(columns[0]), _record([column.dtype for column in columns]))
    records["fields"] = len(columns)
    for number, column in enumerate(columns):
        records[f"length{number}"] = column.dtype.itemsize
        records[f"value{number}"] = column
    with cursor.copy(statement) as copy:
        copy.write(_SIGNATURE + records.tobytes() + _TRAILER)


def copy_out(
    cursor: psycopg.Cursor[Any],
    statement: str,
    parameters: dict[str, Any],
    dtypes: list[npt.DTypeLike],
) -> list[npt.NDArray[Any]]:
    """Fetch columns from a `COPY (…) TO STDOUT (FORMAT binary)`; none may hold a null."""
    with cursor.copy(statement, parameters) as copy:
        stream = b"".join(copy)
    record = _record([np.dtype(dtype) for dtype in dtypes])
    count = (len(stream) - len(_SIGNATURE) - len(_TRAILER)) // record.itemsize
    records = np.frombuffer(stream, record, count=count, offset=len(_SIGNATURE))
    return [
        records[f"value{number}"].astype(np.dtype(dtype)) for number, dtype in enumerate(dtypes)
    ]


def _record(dtypes: list[np.dtype[Any]]) -> np.dtype[Any]:
    fields: list[tuple[str, Any]] = [("fields", ">i2")]
    for number, dtype in enumerate(dtypes):
        fields += [(f"length{number}", ">i4"), (f"value{number}", dtype.newbyteorder(">"))]
    return np.dtype(fields)
