"""Columns of numbers cross between NumPy and PostgreSQL in binary form, without a loop.

A row of fixed-width values that are never null has a fixed width itself, so an array of records
is the stream: a count of fields, then each value behind its length, all big-endian.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg

_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # no flags, no extension
_TRAILER = b"\xff\xff"
_ARRAY_HEAD_BYTES = 20  # of one dimension: dimensions, nulls, type, length, first index


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


def fetch_arrays(
    cursor: psycopg.Cursor[Any],
    statement: str,
    parameters: dict[str, Any],
    dtypes: list[npt.DTypeLike],
) -> list[npt.NDArray[Any]]:
    """Fetch the only row of a query, whose columns are arrays of numbers without nulls.

    A COPY would come as a message a row, each of which costs Python a step; an array comes as
    one value, and its binary form is again an array of records.
    """
    cursor.execute(statement, parameters, binary=True)
    result = cursor.pgresult
    columns = []
    for number, dtype in enumerate(dtypes):
        value = result.get_value(0, number) if result else None
        record = _record([np.dtype(dtype)], counted=False)
        stream = bytes(value or b"")[_ARRAY_HEAD_BYTES:]
        columns.append(np.frombuffer(stream, record)["value0"].astype(np.dtype(dtype)))
    return columns


def _record(dtypes: list[np.dtype[Any]], *, counted: bool = True) -> np.dtype[Any]:
    fields: list[tuple[str, Any]] = [("fields", ">i2")] if counted else []
    for number, dtype in enumerate(dtypes):
        fields += [(f"length{number}", ">i4"), (f"value{number}", dtype.newbyteorder(">"))]
    return np.dtype(fields)
