"""What the tables of a scheme are made of: values that are right or refused with a remedy."""

import re
from typing import Annotated, Literal, NoReturn
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
)
from pydantic_core import PydanticCustomError

from gridsvc.crs import parse_crs
from gridsvc.errors import LimitError, UnknownCrs, WeekHoursError
from gridsvc.grids.limits import Limit
from gridsvc.grids.weekhours import parse_week_hours

REFUSED = "scheme"
"""The type of our own errors among pydantic's."""


def refuse(message: str, remedy: str) -> NoReturn:
    """Tell pydantic what is wrong with a value, with the remedy that its own errors lack."""
    raise PydanticCustomError(REFUSED, "{message}", {"message": message, "remedy": remedy})


def _regex(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        refuse(
            f"{text!r} is no regular expression: {error}",
            "Write it in single quotes, like '\\d{9}'",
        )
    return text


def _crs_name(text: str) -> str:
    try:
        return parse_crs(text).name
    except UnknownCrs as error:
        refuse(error.detail, error.remedy)


def _storage_crs(name: str) -> str:
    if not parse_crs(name).in_metres:
        refuse(
            f"{name} is not a projected CRS in metres",
            "Name the city's own, such as EPSG:4548 (Beijing), EPSG:26986 (Boston), "
            "EPSG:3826 (Taipei)",
        )
    return name


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not found, odd characters, a folder's name
        refuse(f"no time zone is called {name!r}", "Use an IANA name, such as Asia/Shanghai")
    return name


def _hours(text: str) -> str:
    try:
        parse_week_hours(text)
    except WeekHoursError as error:
        refuse(error.detail, error.remedy)
    return text


def _limit(value: object) -> Limit:
    try:
        # What is no text is told as a text that is no duration.
        return value if isinstance(value, Limit) else Limit.parse(str(value))
    except LimitError as error:
        refuse(error.detail, error.remedy)


# Layer codes become column names of files and, in schema `edit`, names of views.
_RESERVED = frozenset(
    {
        "change_set",
        "problem",
        "responsible",
        "management",
        "enforcement_lead",
        "enforcement_assistant",
        "supervisor",
        "edge_m",
        "reason",
    }
)


def _not_reserved(code: str) -> str:
    if code in _RESERVED:
        refuse(f"{code!r} is the name of something else", "Choose another code")
    return code


Code = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
LayerCode = Annotated[Code, AfterValidator(_not_reserved)]
Title = Annotated[
    dict[
        Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]+)*$")],
        Annotated[str, StringConstraints(min_length=1)],
    ],
    Field(min_length=1),
]
"""What people read, by language."""
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Longitude = Annotated[float, Field(allow_inf_nan=False, ge=-180, le=180)]
Latitude = Annotated[float, Field(allow_inf_nan=False, ge=-90, le=90)]
CrsName = Annotated[str, AfterValidator(_crs_name)]
StorageCrsName = Annotated[CrsName, AfterValidator(_storage_crs)]
TimeZoneName = Annotated[str, AfterValidator(_time_zone)]
Regex = Annotated[str, AfterValidator(_regex)]
HoursText = Annotated[str, AfterValidator(_hours)]
LimitField = Annotated[Limit, BeforeValidator(_limit), PlainSerializer(str)]
"""Working time in the scheme's calendar, such as `PT4H` or `P2D`."""


class SchemeTable(BaseModel):
    """A table of a scheme: frozen, and a key it does not know is a fault."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True
    )
