"""Whole numbers come out of a packed document as they went in; templates/unpack.js is the peer."""

import json
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gridsvc.hotspots.packing import pack, varints

BOUND = 1 << 53


def unpack(packed: bytes) -> object:
    """Read a packed document slowly and plainly."""
    content = zlib.decompress(packed)
    size = int.from_bytes(content[:4], "little")
    lists = content[4 + size :]

    def told(value: dict[str, Any]) -> object:
        return numbers(lists, *value["@"]) if "@" in value else value

    return json.loads(content[4 : 4 + size], object_hook=told)


def numbers(content: bytes, first: int, count: int, way: int) -> list[int]:
    found: list[int] = []
    at = first
    for _ in range(count):
        value, shift = 0, 0
        while True:
            byte = content[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        if way:
            value = -(value + 1) // 2 if value % 2 else value // 2
        found.append(value)
    return np.cumsum(found, dtype=int).tolist() if way == 2 else found


@given(arrays(np.int64, st.integers(0, 60), elements=st.integers(1 - BOUND, BOUND - 1)))
def test_numbers_come_out_as_they_went_in(values: np.ndarray) -> None:
    # Differences of the widest span need a bit more than a browser counts with.
    values //= 2
    assert unpack(pack({"n": values, "deep": [{"m": values[::-1]}]})) == {
        "n": values.tolist(),
        "deep": [{"m": values[::-1].tolist()}],
    }


def test_what_is_no_list_of_numbers_stays() -> None:
    document = {"title": {"zh": "区", "en": '</script>"'}, "n": [1.5, None, True], "none": []}
    assert unpack(pack(document | {"a": np.array([], np.int64)})) == document | {"a": []}


def test_small_and_smooth_lists_are_short() -> None:
    assert len(varints(np.full(1000, 127, np.uint64))) == 1000
    assert len(varints(np.full(1000, 128, np.uint64))) == 2000
    climbing = np.arange(1_000_000, 1_100_000)
    assert len(pack({"n": climbing})) < 300


def test_a_number_beyond_a_browser_is_refused() -> None:
    with pytest.raises(ValueError, match="too large"):
        pack({"n": np.array([BOUND])})
