"""Answers of a batch are put together from their parts, compiled.

`gridsvc.routing.batch_answers` does the same without a compiler, a part at a time.
"""

from typing import Final

import numpy as np

from gridsvc.routing.index_layout import Int32s, Int64s
from gridsvc.routing.kept_texts import Bytes
from gridsvc.routing.lookup import compiled

_COMMA: Final = np.uint8(ord(","))
_QUOTE: Final = np.uint8(ord('"'))
_BACKSLASH: Final = np.uint8(ord("\\"))
_BRACKET: Final = np.uint8(ord("]"))
_NULL: Final = np.uint8(ord("n"))
_LETTERS_OF_NULL: Final = 4


@compiled
def _copy(source: Bytes, begin: int, end: int, out: Bytes, at: int) -> int:
    # Views, for their places cannot be negative: only so the compiler copies many bytes at once.
    there, part = out[at : at + end - begin], source[begin:end]
    for k in range(len(part)):
        there[k] = part[k]
    return at + end - begin


@compiled
def _part(source: Bytes, ends: Int64s, number: int, out: Bytes, at: int) -> int:
    return _copy(source, ends[number - 1] if number else 0, ends[number], out, at)


@compiled
def _to_end_of_id(ids: Bytes, begin: int) -> int:
    """Find the end of a text or null that is written as JSON."""
    if ids[begin] == _NULL:
        return begin + _LETTERS_OF_NULL
    end = begin + 1
    while ids[end] != _QUOTE:
        end += 2 if ids[end] == _BACKSLASH else 1
    return end + 1


@compiled
def write_answers(  # noqa: PLR0913, PLR0917  tables of parts
    fixed: Bytes,
    fixed_ends: Int64s,
    numbers: Bytes,
    ids: Bytes,
    heads: Bytes,
    head_ends: Int64s,
    group: Int32s,
    kept: Bytes,
    kept_ends: Int64s,
    body: Int32s,
    across: Int32s,
    ending: Int32s,
    whole: Bytes,
    whole_ends: Int64s,
    out: Bytes,
) -> int:
    """Write the answers with commas between them.

    Args:
        fixed: The parts that all answers have.
        fixed_ends: Where each ends.
        numbers: (n, 5) as JSON: longitude, latitude, x, y as given, distance of the edge.
        ids: (n,) as JSON.
        heads: For each group of points what stands before and behind the numbers of the place.
        head_ends: Where each ends.
        group: (n,) groups.
        kept: Prepared parts.
        kept_ends: Where each ends.
        body: (n,) numbers of prepared parts; -1 for an answer that is whole.
        across: The same.
        ending: (n,) numbers of fixed parts.
        whole: Answers of points that were asked one by one, in their order.
        whole_ends: Where each ends.
        out: Gets the answers.

    Returns:
        How many bytes were written.
    """
    at, id_begin, number_begin, next_whole = 0, 1, 2, 0
    for i in range(len(group)):
        if i:
            out[at] = _COMMA
            at += 1
        id_end = _to_end_of_id(ids, id_begin)
        is_whole = body[i] < 0
        if is_whole:
            at = _part(whole, whole_ends, next_whole, out, at)
            next_whole += 1
        else:
            at = _part(fixed, fixed_ends, 0, out, at)
            at = _copy(ids, id_begin, id_end, out, at)
            at = _part(heads, head_ends, 2 * group[i], out, at)
        id_begin = id_end + 1
        for k in range(5):
            number_end = number_begin
            while numbers[number_end] != _COMMA and numbers[number_end] != _BRACKET:
                number_end += 1
            if not is_whole:
                if k == 4:  # noqa: PLR2004  the distance
                    at = _part(heads, head_ends, 2 * group[i] + 1, out, at)
                    at = _part(kept, kept_ends, body[i], out, at)
                    at = _part(fixed, fixed_ends, 4, out, at)
                    at = _part(kept, kept_ends, across[i], out, at)
                    at = _part(fixed, fixed_ends, 5, out, at)
                elif k:
                    at = _part(fixed, fixed_ends, k, out, at)
                at = _copy(numbers, number_begin, number_end, out, at)
            number_begin = number_end + 1
        number_begin += 2
        if not is_whole:
            at = _part(fixed, fixed_ends, ending[i], out, at)
    return at
