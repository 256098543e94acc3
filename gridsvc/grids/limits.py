"""A time limit keeps working days and working hours apart: P1D is not PT24H.

ISO 8601 writes both, but a duration of the standard library would make one of the other. How a
limit runs in a city's calendar is `gridsvc.grids.worktime`.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from gridsvc.errors import LimitError

# Years, months and weeks have no fixed number of working days, so a limit in them could not run.
_DURATION = re.compile(
    r"P(?=.)(?:(?P<days>\d{1,6})D)?"
    r"(?:T(?=.)(?:(?P<hours>\d{1,6})H)?(?:(?P<minutes>\d{1,6})M)?(?:(?P<seconds>\d{1,6})S)?)?"
)
_MOST_DAYS = 3660
"""Ten years of days: a longer limit is a slip, and would run out of the calendar."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Working days, then working time on top; together more than nothing.

    Attributes:
        days: Whole working days.
        time: Working time, in whole seconds.

    Raises:
        LimitError: the limit leaves no time, or more than ten years.
    """

    days: int = 0
    time: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        if self.days < 0 or self.time < timedelta(0) or not (self.days or self.time):
            raise LimitError("a limit must leave some time", remedy='Write "PT4H" for four hours')
        if self.time.microseconds:
            raise LimitError("a limit has whole seconds only", remedy="Round it")
        if self.days + self.time / timedelta(days=1) > _MOST_DAYS:
            raise LimitError(f"{self} is longer than ten years", remedy="Shorten it")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an ISO 8601 duration in days, hours, minutes and seconds.

        Raises:
            LimitError: it cannot be read, leaves no time, or more than ten years.
        """
        match = _DURATION.fullmatch(text)
        if match is None:
            raise LimitError(
                f"{text!r} is no ISO 8601 duration in days, hours, minutes",
                remedy='Write "PT4H" for four working hours, "P5D" for five working days',
            )
        days, hours, minutes, seconds = (int(number or 0) for number in match.groups())
        return cls(days, timedelta(hours=hours, minutes=minutes, seconds=seconds))

    def __str__(self) -> str:
        """Write it so that `parse` reads the same limit again."""
        minutes, seconds = divmod(self.time // timedelta(seconds=1), 60)
        hours, minutes = divmod(minutes, 60)
        clock = "".join(
            f"{number}{unit}"
            for number, unit in ((hours, "H"), (minutes, "M"), (seconds, "S"))
            if number
        )
        return "P" + (f"{self.days}D" if self.days else "") + (f"T{clock}" if clock else "")
