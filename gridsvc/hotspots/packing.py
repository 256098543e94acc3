"""Many whole numbers in few bytes, so that a year of a city fits into one page.

A document is JSON whose lists of numbers stand apart, as varints: seven bits a byte, the eighth
says that more follow. The whole is then deflated, which a browser undoes by itself
(`DecompressionStream`). `templates/unpack.js` is the other half.

    ┌──────────────┬───────────────┬─────────────────────────────┐
    │ JSON's bytes │ JSON, UTF-8   │ varints, one list after the │
    │ 4, low first │               │ other                       │
    └──────────────┴───────────────┴─────────────────────────────┘

In the JSON a list of numbers is {"@": [first byte, how many, how written]}, bytes counted from
the first list on. They are written 0 as they are, 1 with a sign (0, -1, 1, -2 … become 0, 1, 2,
3 …), 2 as differences with a sign.
"""

import zlib
from collections.abc import Mapping
from enum import IntEnum
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import orjson

Ints: TypeAlias = npt.NDArray[np.integer[Any]]

_BITS = 7
_HEAD_BYTES = 4
# 2**53 is the last number up to which a browser counts without gaps.
_LARGEST = 1 << 53


class Written(IntEnum):
    """How a list of numbers is written."""

    PLAIN = 0
    SIGNED = 1
    DIFFERENCES = 2


def pack(document: Mapping[str, Any]) -> bytes:
    """Write a document down.

    Args:
        document: What JSON can hold, and anywhere in it NumPy arrays of integers, (n,).

    Returns:
        The bytes, deflated (zlib).

    Raises:
        ValueError: a number is too large for a browser.
    """
    lists = bytearray()

    def told(value: Any) -> Any:  # noqa: ANN401  whatever JSON holds
        if isinstance(value, np.ndarray):
            way, written = _written(value)
            first = len(lists)
            lists.extend(written)
            return {"@": [first, len(value), way]}
        if isinstance(value, Mapping):
            return {key: told(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [told(item) for item in value]
        return value

    head = orjson.dumps(told(document))
    size = len(head).to_bytes(_HEAD_BYTES, "little")
    return zlib.compress(b"".join((size, head, lists)), level=9)


def _written(values: Ints) -> tuple[int, bytes]:
    """Choose the shortest way to write a list; sorted and smooth ones as differences."""
    numbers: npt.NDArray[np.int64] = values.astype(np.int64)
    if np.abs(numbers).max(initial=0) >= _LARGEST:
        raise ValueError("a number is too large for a browser to count with")
    ways = {
        Written.SIGNED: _unsigned(numbers),
        Written.DIFFERENCES: _unsigned(np.diff(numbers, prepend=0)),
    }
    if numbers.min(initial=0) >= 0:
        ways = {Written.PLAIN: numbers.astype(np.uint64)} | ways
    written = {way: varints(unsigned) for way, unsigned in ways.items()}
    best = min(written, key=lambda way: len(written[way]))
    return int(best), written[best]


def _unsigned(values: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Fold the signs in, so that small numbers of either sign stay small."""
    return np.asarray((values << 1) ^ (values >> 63), dtype=np.int64).view(np.uint64)


def varints(values: npt.NDArray[np.uint64]) -> bytes:
    """Write each number with seven bits a byte, the low ones first."""
    lengths = np.ones(len(values), np.int64)
    rest = values >> np.uint64(_BITS)
    while rest.any():
        lengths += rest > 0
        rest >>= np.uint64(_BITS)
    ends = np.cumsum(lengths)
    starts = ends - lengths
    out = np.zeros(int(ends[-1]) if len(ends) else 0, np.uint8)
    for place in range(int(lengths.max(initial=0))):
        longer = lengths > place
        byte = (values[longer] >> np.uint64(_BITS * place)) & np.uint64(0x7F)
        more = (lengths[longer] > place + 1).astype(np.uint8) << _BITS
        out[starts[longer] + place] = byte.astype(np.uint8) | more
    return out.tobytes()
