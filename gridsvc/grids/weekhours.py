"""Hours of the week are half-open intervals of local minutes; Monday 00:00 = 0, the end 10080.

People write them `mon-fri 08:00-20:00; sat 09:00-12:00`, PostgreSQL keeps them as an
int4multirange. Pieces may overlap and may run over midnight and over the end of the week.
"""

import re
from collections.abc import Iterable

from psycopg.types.multirange import Multirange
from psycopg.types.range import Range

from gridsvc.errors import WeekHoursError

WeekHours = tuple[tuple[int, int], ...]
"""Sorted, disjoint, not touching, half-open minutes of the local week in [0, 10080)."""

DAY_MIN = 24 * 60
WEEK_MIN = 7 * DAY_MIN
ALWAYS: WeekHours = ((0, WEEK_MIN),)

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_OF = (
    {day: index for index, day in enumerate(DAYS)}
    | {f"周{day}": index for index, day in enumerate("一二三四五六日")}
    | {f"星期{day}": index for index, day in enumerate("一二三四五六日")}
    | {"周天": 6, "星期天": 6}
)
# Typed on a Chinese keyboard the same signs come out full-width.
_PLAIN_SIGNS = str.maketrans("：；，－—–~～至", ":;,------")
_PIECE = re.compile(
    r"(?:(?P<days>[^\d\s]+(?:\s*[,-]\s*[^\d\s]+)*)\s*)?"
    r"(?P<from_h>\d{1,2}):(?P<from_m>\d{2})\s*-\s*(?P<to_h>\d{1,2}):(?P<to_m>\d{2})"
)
_REMEDY = "Write it like «mon-fri 08:00-20:00; sat 09:00-12:00», or leave it empty for all hours"


def parse_week_hours(text: str) -> WeekHours:
    """Read hours of the week.

    A piece is days and a span of time; without days it holds for every day. A span that ends
    at or before its start runs into the next day: `sun 22:00-06:00` ends on Monday.

    Args:
        text: Pieces parted by `;`, empty for all hours. `周一至周五 08:00-20:00` will do too.

    Returns:
        Local minutes of the week.

    Raises:
        WeekHoursError: a piece cannot be read; it is named.
    """
    pieces = [piece.strip() for piece in text.translate(_PLAIN_SIGNS).split(";")]
    spans = [span for piece in pieces if piece for span in _piece_spans(piece)]
    return merge_week_hours(spans) if spans else ALWAYS


def merge_week_hours(spans: Iterable[tuple[int, int]]) -> WeekHours:
    """Sort spans of minutes of the week and join those that overlap or touch.

    Args:
        spans: Half-open, within [0, 10080].
    """
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


def format_week_hours(hours: WeekHours) -> str:
    """Write hours so that `parse_week_hours` reads the same hours again; `""` for always."""
    if hours == ALWAYS:
        return ""
    spans = list(hours)
    # The two ends of the week are one night: written as one piece, as a person would.
    if len(spans) > 1 and spans[0][0] == 0 and spans[-1][1] == WEEK_MIN:
        spans[-1] = (spans[-1][0], WEEK_MIN + spans.pop(0)[1])
    days_of: dict[str, list[int]] = {}
    for start, end in (part for span in spans for part in _by_day(*span)):
        minutes = start % DAY_MIN, (end - 1) % DAY_MIN + 1
        text = "-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in minutes)
        days_of.setdefault(text, []).append(start // DAY_MIN % 7)
    return "; ".join(f"{_days_text(sorted(days))} {span}" for span, days in days_of.items())


def week_hours_to_range(hours: WeekHours) -> Multirange[int]:
    """Turn hours into PostgreSQL's int4multirange."""
    return Multirange([Range(start, end, "[)") for start, end in hours])


def week_hours_from_range(stored: Multirange[int]) -> WeekHours:
    """Turn PostgreSQL's int4multirange, whose bounds it always writes `[)`, into hours."""
    return merge_week_hours(
        (span.lower, span.upper)
        for span in stored
        if span.lower is not None and span.upper is not None
    )


def covers_minute(hours: WeekHours, minute: int) -> bool:
    """Tell whether a minute of the week, in [0, 10080), lies in the hours."""
    return any(start <= minute < end for start, end in hours)


def _piece_spans(piece: str) -> Iterable[tuple[int, int]]:
    match = _PIECE.fullmatch(piece)
    if match is None:
        raise WeekHoursError(piece, "is not days and a span of time", remedy=_REMEDY)
    start = _minute(piece, match["from_h"], match["from_m"])
    end = _minute(piece, match["to_h"], match["to_m"])
    if start == DAY_MIN:
        raise WeekHoursError(
            piece, "begins at 24:00", remedy="Begin at 00:00 of the next day instead"
        )
    if start == end:
        raise WeekHoursError(
            piece, "ends when it begins", remedy="Write 00:00-24:00 for a whole day"
        )
    length = end - start if end > start else end + DAY_MIN - start
    for day in _days(piece, match["days"]):
        first = day * DAY_MIN + start
        yield first, min(first + length, WEEK_MIN)
        if first + length > WEEK_MIN:
            yield 0, first + length - WEEK_MIN


def _minute(piece: str, hour: str, minute: str) -> int:
    total = int(hour) * 60 + int(minute)
    if int(minute) >= 60 or total > DAY_MIN:  # noqa: PLR2004 -- minutes of an hour
        raise WeekHoursError(
            piece, f"has no such time as {hour}:{minute}", remedy="Use 00:00 to 24:00"
        )
    return total


def _days(piece: str, text: str | None) -> Iterable[int]:
    if text is None:
        yield from range(7)
        return
    for part in text.split(","):
        first, dash, last = (end.strip() for end in part.partition("-"))
        for name in (first, last) if dash else (first,):
            if name.lower() not in _DAY_OF:
                raise WeekHoursError(
                    piece, f"has no such day as «{name}»", remedy=f"Use {', '.join(DAYS)}"
                )
        start = _DAY_OF[first.lower()]
        length = (_DAY_OF[last.lower()] - start) % 7 if dash else 0
        yield from ((start + step) % 7 for step in range(length + 1))


def _by_day(start: int, end: int) -> Iterable[tuple[int, int]]:
    """Cut a span into pieces of at most a day that `parse_week_hours` can read."""
    # A night that ends before the next day's start time stays one piece.
    while end - start > DAY_MIN or (end - start == DAY_MIN and start % DAY_MIN):
        cut = (start // DAY_MIN + 1) * DAY_MIN
        yield start, cut
        start = cut
    yield start, end


def _days_text(days: list[int]) -> str:
    runs: list[list[int]] = []
    for day in days:
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ",".join(DAYS[run[0]] + (f"-{DAYS[run[-1]]}" if len(run) > 1 else "") for run in runs)
