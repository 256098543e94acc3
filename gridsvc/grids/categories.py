"""A category is one class of event or component; its code's beginning names the classes above it.

The classes of a city change over the years, so each row holds for a period and a code may come
again with another name once its earlier period is over.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from gridsvc.errors import CategoriesError
from gridsvc.grids import csv_text
from gridsvc.grids.terms import CategoryKind

COLUMNS = ("code", "kind", "name_zh", "name_en", "valid_from", "valid_to")

CategoryCode = Annotated[str, StringConstraints(pattern=re.compile(r"^[A-Za-z0-9_.-]{1,40}$"))]


class Category(BaseModel):
    """One class, for a half-open period of local days; None leaves an end open."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    code: CategoryCode
    kind: CategoryKind
    name_zh: str | None = None
    name_en: str | None = None
    valid_from: date | None = None
    valid_to: date | None = None


def read_categories(path: Path) -> tuple[Category, ...]:
    """Read a file of categories.

    Args:
        path: CSV with the columns of `COLUMNS` (the last four may be missing), in UTF-8 with or
            without BOM, or GB18030.

    Raises:
        CategoriesError: all that is wrong, each with its line.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise CategoriesError(str(path), (f"{error.strerror}",)) from error
    try:
        text = csv_text.decode(raw)
    except ValueError as error:
        raise CategoriesError(path.name, (str(error),)) from error
    rows = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
    header = rows.fieldnames or []
    faults = [f"line 1: no column {name}" for name in ("code", "kind") if name not in header]
    faults += [f"line 1: odd column {name!r}" for name in header if name not in COLUMNS]
    if faults:
        raise CategoriesError(path.name, tuple(faults))
    categories: dict[int, Category] = {}
    for row in rows:
        try:
            categories[rows.line_num] = _category(row)
        except ValidationError as error:
            faults += [
                f"line {rows.line_num}: {'.'.join(map(str, item['loc']))}: {item['msg']}"
                for item in error.errors()
            ]
    faults += _conflicts(categories)
    if faults:
        raise CategoriesError(path.name, tuple(faults))
    return tuple(categories.values())


def _category(row: Mapping[str | None, str | list[str] | None]) -> Category:
    # Cells beyond the header come under None; the empty name makes the model refuse them.
    return Category.model_validate({key or "": value for key, value in row.items() if value})


def _conflicts(categories: Mapping[int, Category]) -> Iterator[str]:
    by_code: dict[str, list[tuple[int, Category]]] = {}
    for line, category in categories.items():
        if not (category.name_zh or category.name_en):
            yield f"line {line}: {category.code} has no name"
        if category.valid_from and category.valid_to and category.valid_to <= category.valid_from:
            yield f"line {line}: {category.code} ends before it begins"
        for other_line, other in by_code.get(category.code, []):
            if _overlap(category, other):
                yield f"line {line}: {category.code} stands on line {other_line} too"
        by_code.setdefault(category.code, []).append((line, category))


def _overlap(a: Category, b: Category) -> bool:
    return (a.valid_from or date.min) < (b.valid_to or date.max) and (b.valid_from or date.min) < (
        a.valid_to or date.max
    )


def longest_prefix(code: str, prefixes: Iterable[str]) -> str | None:
    """Find the most special of the classes that a code falls under; None if it is under none."""
    return max((prefix for prefix in prefixes if code.startswith(prefix)), key=len, default=None)


def categories_on(categories: Iterable[Category], day: date) -> Iterator[Category]:
    """Give the classes in force on a local day."""
    for item in categories:
        if (item.valid_from or date.min) <= day < (item.valid_to or date.max):
            yield item
