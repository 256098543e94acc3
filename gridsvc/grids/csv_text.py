"""The text of a CSV as city offices save it: UTF-8 with or without BOM, UTF-16, GB18030."""

import csv
import io
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from gridsvc.errors import ImportRefused

DELIMITERS = ",;\t"


def decode(raw: bytes) -> str:
    """Read bytes as text.

    Raises:
        ValueError: they are in none of the encodings, or in one that only looks like GB18030.
    """
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16")
    if b"\0" in raw:
        raise ValueError("it holds NUL characters")  # which no text of PostgreSQL does
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    try:
        text = raw.decode("gb18030")
    except UnicodeDecodeError as error:
        raise ValueError("the text is neither UTF-8 nor GB18030") from error
    # GB18030 has a character for nearly every pair of bytes, so that Big5 or Latin-1 decode to
    # nonsense; characters that no office writes give it away.
    if odd := next(
        (
            char
            for char in text
            if unicodedata.category(char) in {"Co", "Cn", "Cc"} and char not in "\r\n\t"
        ),
        None,
    ):
        raise ValueError(
            f"the text is not UTF-8, and read as GB18030 it holds U+{ord(odd):04X}, "
            "which no text does"
        )
    # Latin-1 or Shift-JIS decode to hanzi that hardly any name has; Chinese text, traditional
    # too, is mostly within the older and smaller set.
    beyond_ascii = [char for char in text if not char.isascii()]
    if 2 * sum(map(_is_rare, beyond_ascii)) > len(beyond_ascii):
        sample = next(filter(_is_rare, beyond_ascii))
        raise ValueError(
            f"the text is not UTF-8, and read as GB18030 it is mostly rare characters such as "
            f"{sample!r}, so it is in another encoding"
        )
    return text


def _is_rare(char: str) -> bool:
    try:
        char.encode("gb2312")
    except UnicodeEncodeError:
        return True
    return False


def read(
    path: Path, columns: Iterable[str], optional: Collection[str] = ()
) -> list[tuple[int, dict[str, str]]]:
    """Read a file's rows that are not blank, each with its line number.

    Args:
        path: In one of the encodings of `decode`.
        columns: Names it may have, in small letters.
        optional: Those of them that it may lack.

    Raises:
        ImportRefused: no such file, not its encoding, empty, or a column is missing.
    """
    columns = tuple(columns)
    try:
        found = list(rows(decode(path.read_bytes())))
    except OSError as error:
        raise ImportRefused(
            str(path), f"it cannot be read ({error.strerror})", remedy="Name a file that exists"
        ) from error
    except (ValueError, csv.Error) as error:
        raise ImportRefused(
            path.name, str(error), remedy="Save it as CSV UTF-8 or as GB18030"
        ) from error
    if not found:
        raise ImportRefused(path.name, "it has no rows", remedy="Give a header and rows below it")
    header = found[0][1]
    if missing := [name for name in columns if name not in header and name not in optional]:
        raise ImportRefused(
            path.name,
            f"it has no column {', '.join(missing)}",
            remedy=f"Give the columns {', '.join(columns)}",
        )
    return found


def rows(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Give each row that is not blank with its line number; cells as people meant them.

    The separator is whichever of comma, semicolon and tab the header has most of. Excel's
    ="0012" and '0012 are 0012; spaces around a cell, also full-width ones, are dropped.

    Raises:
        ValueError: a row has more cells than the header, so that some stand in a wrong column.
    """
    header = text.split("\n", 1)[0]
    delimiter = max(DELIMITERS, key=header.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, restval="")
    if reader.fieldnames:
        reader.fieldnames = [_cell(name).lower() for name in reader.fieldnames]
    for row in reader:
        cells = {
            name: _cell(value) for name, value in row.items() if name and isinstance(value, str)
        }
        if any(cell.strip() for cell in row.get(None, ())):
            raise ValueError(f"line {reader.line_num} has more cells than the header")
        if any(cells.values()):
            yield reader.line_num, cells


def _cell(value: str) -> str:
    value = value.strip().strip("\ufeff\u3000\xa0")
    if value.startswith('="') and value.endswith('"'):
        return value[2:-1].strip()
    return value.removeprefix("'")
