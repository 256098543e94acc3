"""Parameters and bodies that several calls share, read strictly: a misspelled name is refused.

A parameter that is passed over in silence gives an answer to another question, so every model
here forbids what it does not know.
"""

import math
import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from gridsvc.crs import Bounds

MAX_LIMIT = 1000

Text = Annotated[
    str,
    # PostgreSQL's text holds every character but NUL.
    StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$"),
]
"""A code or a name."""

_RFC_3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)([Zz]|[+ -]\d\d:\d\d)", re.ASCII
)

# Beyond them an instant has no local time in some time zone.
_YEARS = range(1000, 9000)


def read_instant(text: str) -> datetime:
    """Read a time with its offset.

    Raises:
        PydanticCustomError: it is not written as RFC 3339 says, or is of no year in use.
    """
    match = _RFC_3339.fullmatch(text)
    try:
        # A + that was not escaped comes out of a URL as a space.
        instant = match and datetime.fromisoformat(
            f"{match[1]}T{match[2]}{match[3].replace(' ', '+').upper()}"
        )
    except ValueError:
        instant = None
    if not instant or instant.year not in _YEARS:
        raise PydanticCustomError(
            "instant",
            "Give a time with its offset as RFC 3339 writes it, "
            "such as 2026-11-22T08:00:00+08:00 (in a URL + is %2B)",
        )
    return instant.astimezone(UTC)


def _instant(value: object) -> object:
    if isinstance(value, datetime):
        return value
    return read_instant(value if isinstance(value, str) else "")


Instant = Annotated[
    AwareDatetime,
    BeforeValidator(_instant),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A time with its offset."""


def read_bounds(text: str) -> Bounds:
    """Read `west,south,east,north` in EPSG:4326 degrees."""
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        fault = "Give four numbers: west,south,east,north"
    else:
        if not all(map(math.isfinite, (west, south, east, north))):
            fault = "Give four finite numbers: west,south,east,north"
        elif not (abs(west) <= 180 and abs(east) <= 180):  # noqa: PLR2004  degrees
            fault = "west and east are longitudes, from -180 to 180"
        elif not (abs(south) <= 90 and abs(north) <= 90):  # noqa: PLR2004  degrees
            fault = "south and north are latitudes, from -90 to 90: west,south,east,north"
        elif not (west < east and south < north):
            fault = "west must be less than east and south less than north"
        else:
            return west, south, east, north
    raise PydanticCustomError("bbox", fault)


def _checked_bounds(text: str) -> str:
    read_bounds(text)
    return text


Bbox = Annotated[
    str,
    AfterValidator(_checked_bounds),
    Field(max_length=200, examples=["116.45,39.91,116.47,39.93"]),
]
"""West, south, east, north in EPSG:4326 degrees; a text, for FastAPI would repeat a list."""


class Strict(BaseModel):
    """A model that refuses names it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Paging(Strict):
    """Where a page begins and how long it is."""

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = 100
    """The most entries of a page."""
    after: Text | None = None
    """From the `next` link of the page before; not made by hand."""


class Link(BaseModel):
    """A link to another page."""

    rel: str = Field(examples=["next"])
    href: str
    """Relative to the address of this page's call."""
