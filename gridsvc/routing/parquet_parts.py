"""Parquet files become one by laying their row groups one behind the other, nothing decoded.

A Parquet file is its row groups and then a footer that says where each column of each group
begins. So parts can be encoded by many threads at once, and what a run has written stays when it
is broken off: only footers are read and written anew.

Source: the footer is the struct FileMetaData of apache/parquet-format `parquet.thrift`, in the
Thrift compact protocol (apache/thrift `doc/specs/thrift-compact-protocol.md`).
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

MAGIC = b"PAR1"
_TAIL_BYTES = 8  # the footer's length, and the magic again

Struct: TypeAlias = dict[int, tuple[int, Any]]
"""Fields by id: the type in the protocol's numbers, and the value."""

_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)
_LONG_LIST = 15

# Fields of FileMetaData, RowGroup and ColumnChunk.
_FILE_ROWS, _FILE_GROUPS = 3, 4
_GROUP_COLUMNS, _GROUP_OFFSET, _GROUP_ORDINAL = 1, 5, 7
_COLUMN_OFFSET, _COLUMN_METADATA, _COLUMN_INDEXES = 2, 3, (4, 6)
_METADATA_OFFSETS = (9, 10, 11, 14)  # of data, index and dictionary pages, of the bloom filter
_ORDINAL_MAX = 2**15 - 1


@dataclass(frozen=True, slots=True)
class Part:
    """A whole Parquet file in memory, taken apart.

    Attributes:
        body: Its row groups as they lie in the file.
        footer: What it says of them.
    """

    body: memoryview
    footer: bytes

    @classmethod
    def of(cls, file: bytes | memoryview) -> "Part":
        """Take a file apart."""
        view = memoryview(file)
        (length,) = struct.unpack("<i", view[-_TAIL_BYTES : -len(MAGIC)])
        end = len(view) - _TAIL_BYTES - length
        return cls(view[len(MAGIC) : end], bytes(view[end : end + length]))


def joined_footer(footers: Sequence[bytes], begins: Sequence[int]) -> bytes:
    """Write the end of a file in which the bodies of parts lie.

    Args:
        footers: Of the parts, which have the same columns.
        begins: Where each body begins in the file.

    Returns:
        All that follows the last body.
    """
    whole: Struct = {}
    groups: list[Struct] = []
    rows = 0
    for footer, begin in zip(footers, begins, strict=True):
        part = _Reader(footer).struct()
        whole = whole or part
        rows += part[_FILE_ROWS][1]
        _, (_, parts_groups) = part[_FILE_GROUPS]
        for group in parts_groups:
            _move(group, begin - len(MAGIC))
            if len(groups) <= _ORDINAL_MAX:
                group[_GROUP_ORDINAL] = _I16, len(groups)
            else:
                group.pop(_GROUP_ORDINAL, None)
            groups.append(group)
    whole[_FILE_ROWS] = _I64, rows
    whole[_FILE_GROUPS] = _LIST, (_STRUCT, groups)
    written = bytearray()
    _write_struct(written, whole)
    return bytes(written) + struct.pack("<i", len(written)) + MAGIC


def _move(group: Struct, by: int) -> None:
    """Say of a row group that it lies further on by some bytes."""

    def move(fields: Struct, *numbers: int) -> None:
        for number in numbers:
            # An offset of 0 is one that older writers left out.
            if number in fields and fields[number][1]:
                kind, offset = fields[number]
                fields[number] = kind, offset + by

    move(group, _GROUP_OFFSET)
    _, (_, columns) = group[_GROUP_COLUMNS]
    for column in columns:
        move(column, _COLUMN_OFFSET, *_COLUMN_INDEXES)
        move(column[_COLUMN_METADATA][1], *_METADATA_OFFSETS)


class _Reader:
    """Reads the Thrift compact protocol."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def struct(self) -> Struct:
        fields: Struct = {}
        number = 0
        while head := self._byte():
            delta, kind = head >> 4, head & 15
            number = number + delta if delta else self._zigzag()
            fields[number] = kind, self._value(kind)
        return fields

    def _value(self, kind: int) -> Any:  # noqa: ANN401  whatever the type says
        if kind in {_TRUE, _FALSE}:
            return kind == _TRUE
        readers: dict[int, Callable[[], Any]] = {
            _BYTE: self._byte,
            _I16: self._zigzag,
            _I32: self._zigzag,
            _I64: self._zigzag,
            _DOUBLE: lambda: self._bytes(8),
            _BINARY: lambda: self._bytes(self._varint()),
            _LIST: self._list,
            _STRUCT: self.struct,
        }
        if kind not in readers:  # sets and maps: the format has none
            raise ValueError(kind)
        return readers[kind]()

    def _list(self) -> tuple[int, list[Any]]:
        head = self._byte()
        kind, count = head & 15, head >> 4
        if count == _LONG_LIST:
            count = self._varint()
        if kind in {_TRUE, _FALSE}:  # in lists a byte each
            return kind, [self._byte() for _ in range(count)]
        return kind, [self._value(kind) for _ in range(count)]

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _bytes(self, count: int) -> bytes:
        self._at += count
        return self._data[self._at - count : self._at]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004 -- no further byte
                return value
            shift += 7

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)


def _write_struct(into: bytearray, fields: Struct) -> None:
    for before, number in pairwise([0, *sorted(fields)]):
        kind, value = fields[number]
        if isinstance(value, bool):
            kind = _TRUE if value else _FALSE
        delta = number - before
        if 0 < delta <= _LONG_LIST:
            into.append(delta << 4 | kind)
        else:
            into.append(kind)
            _write_varint(into, _zigzagged(number))
        _write_value(into, kind, value)
    into.append(0)


def _write_value(into: bytearray, kind: int, value: Any) -> None:  # noqa: ANN401  as `_value`
    if kind in {_I16, _I32, _I64}:
        _write_varint(into, _zigzagged(value))
    elif kind == _BYTE:
        into.append(value)
    elif kind == _DOUBLE:
        into += value
    elif kind == _BINARY:
        _write_varint(into, len(value))
        into += value
    elif kind == _STRUCT:
        _write_struct(into, value)
    elif kind == _LIST:
        of, values = value
        into.append(min(len(values), _LONG_LIST) << 4 | of)
        if len(values) >= _LONG_LIST:
            _write_varint(into, len(values))
        for one in values:
            if of in {_TRUE, _FALSE}:
                into.append(one)
            else:
                _write_value(into, of, one)


def _write_varint(into: bytearray, value: int) -> None:
    while value >= 0x80:  # noqa: PLR2004 -- more than seven bits
        into.append(value & 0x7F | 0x80)
        value >>= 7
    into.append(value)


def _zigzagged(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1
