"""Working time is an instant's place on a line on which only the city's working hours have length.

An instant is worked when the local clock then reads a time within the working hours of its local
day (`Calendar.hours_of`). So an hour that the clock skips is not worked, and one that it repeats is
worked twice. Suspended intervals ("pauses") are cut out. All spans are half-open, `[from, to)`.

A limit runs from the first instant of work at or after the start, by these rules:

- **Working time** (`PT4H`) is used up at the first instant by which so much work has been done. So
  a limit that ends exactly at closing time ends then, not at the next opening.
- **Working days** (`P2D`): a working day is a local calendar day with any working time. If the
  case starts when some working time `k` of its day is over, the limit ends when `k` of the n-th
  next working day is over, at the latest at that day's closing: in days of equal hours, at the same
  time of day. By the rule above `k = 0` means the closing of the day before: `P1D` from an opening
  is that whole day. One from closing time, or from the night after, is the next whole day, so the
  deadline does not jump between 17:59, 18:00 and the next morning at 9.
- **Both** (`P1DT2H`): days first.
- **A pause** puts the end off by the working time that it covers. Days are counted first, from the
  first instant that is worked and not suspended, and what lies between is the working time to use
  up: so it does not matter on which of the days a case rests.

`WorkTime.add` and `WorkTime.elapsed` walk from day to day. `add_many` and `elapsed_many` say the
same for arrays, by searching sums of working time; a test holds the two equal.

Source: docs/decisions/0006-working-time.md
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from gridsvc.grids.limits import Limit
from gridsvc.grids.schemes import Calendar, Scheme

Span = tuple[datetime, datetime]
"""Half-open, aware; those that this module makes are in UTC."""
Instants = NDArray[np.datetime64]
"""(n,) instants in UTC, as NumPy and pandas keep them without a zone; NaT where there is none."""
_Ints = NDArray[np.int64]

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_BEFORE_ALL = datetime(1, 1, 1)  # noqa: DTZ001 -- NumPy's instants have no zone
_MICROSECOND = np.timedelta64(1, "us")


@dataclass(frozen=True, slots=True)
class Pauses:
    """The suspended intervals of many cases, one row for each; in any order, overlapping or not.

    Attributes:
        case: (m,) place of the case in the arrays beside which the pauses are given.
        start: (m,) when it was suspended.
        end: (m,) when it was resumed, not before its start.
    """

    case: NDArray[np.integer]
    start: Instants
    end: Instants


class WorkTime:
    """Deadlines and elapsed working time in a scheme's calendar.

    Keep one: it remembers the days that it has laid out.
    """

    def __init__(self, scheme: Scheme) -> None:
        self._calendar: Calendar = scheme.calendar
        self._zone = scheme.zone
        self._spans: dict[date, tuple[Span, ...]] = {}
        self._line: _Line | None = None

    def add(self, start: datetime, limit: Limit, pauses: Iterable[Span] = ()) -> datetime:
        """Find when a limit is used up.

        Args:
            start: From when it runs, aware.
            limit: Working days, working time, or both.
            pauses: When the case was suspended and resumed. Leave out a pause that still lasts:
                what comes out is the deadline if it came before that pause.

        Returns:
            The deadline, in UTC.

        Raises:
            ValueError: an instant has no time zone, or a pause ends before it starts.
        """
        rests = _merged(pauses)
        first = next(self._worked(_utc(start), rests))[0]
        left = self._days_time(first, limit.days) + limit.time
        for from_at, to_at in self._worked(first, rests):
            if left <= to_at - from_at:
                return from_at + left
            left -= to_at - from_at
        raise AssertionError  # pragma: no cover -- work goes on for ever

    def elapsed(self, start: datetime, end: datetime, pauses: Iterable[Span] = ()) -> timedelta:
        """Sum the working time between two instants, less what pauses cover of it.

        Args:
            start: From when, aware.
            end: Until when, aware. Before the start, the time between counts as negative.
            pauses: When the case was suspended and resumed.

        Raises:
            ValueError: an instant has no time zone, or a pause ends before it starts.
        """
        from_at, to_at = sorted((_utc(start), _utc(end)))
        total = timedelta(0)
        for span_from, span_to in self._worked(from_at, _merged(pauses)):
            if span_from >= to_at:
                break
            total += min(span_to, to_at) - span_from
        return total if _utc(start) == from_at else -total

    def add_many(
        self, start: Instants, limit: Limit | Sequence[Limit], pauses: Pauses | None = None
    ) -> Instants:
        """Find when the limits of many cases are used up; each as `add` would.

        Laying out a year costs some milliseconds, once; a case then costs a few binary searches:
        see docs/decisions/0006-working-time.md.

        Args:
            start: (n,) from when each runs.
            limit: One for all, or one for each.
            pauses: When cases were suspended and resumed.

        Returns:
            (n,) deadlines, NaT where the start is.

        Raises:
            ValueError: a pause ends before it starts.
        """
        start = start.astype("datetime64[us]")
        limits = [limit] if isinstance(limit, Limit) else limit
        days = np.fromiter((one.days for one in limits), np.int64, len(limits))
        times = np.fromiter((one.time // _SECOND for one in limits), np.int64, len(limits))
        days, times = (np.broadcast_to(part, start.shape) for part in (days, times * 1_000_000))
        known = ~np.isnat(start)
        deadline = np.full(start.shape, np.datetime64("NaT", "us"))
        if not known.any():
            return deadline
        rounds = _rounds(pauses, known)
        instants = [start[known], *(part for _, *ends in rounds for part in ends)]
        first, last = (_day_of(edge) for edge in _range(instants))
        for reach in (62 << step for step in count()):
            line = self._laid_out(first, last + reach * _DAY)
            at = line.worked_us(start[known])
            for case, paused_at, resumed_at in rounds:
                begins, ends = line.worked_us(paused_at), line.worked_us(resumed_at)
                at[case] = np.where(begins <= at[case], np.maximum(at[case], ends), at[case])
            target, is_beyond = line.after_days(at, days[known])
            target += times[known]
            covered = at
            for case, paused_at, resumed_at in rounds:
                begins, ends = line.worked_us(paused_at), line.worked_us(resumed_at)
                rest = np.maximum(ends - np.maximum(begins, covered[case]), 0)
                # Used up before it was suspended, or at that very instant.
                is_open = begins < target[case]
                target[case] += np.where(is_open, rest, 0)
                covered[case] = np.maximum(covered[case], ends)
            if not is_beyond and target.max() <= line.sums_us[-1]:
                deadline[known] = line.instants(target)
                return deadline
        raise AssertionError  # pragma: no cover -- the line grows until it is long enough

    def elapsed_many(
        self, start: Instants, end: Instants, pauses: Pauses | None = None
    ) -> NDArray[np.timedelta64]:
        """Sum the working time of many cases; each as `elapsed` would.

        Args:
            start: (n,) from when.
            end: (n,) until when.
            pauses: When cases were suspended and resumed.

        Returns:
            (n,) working time, in microseconds, NaT where the start or the end is.

        Raises:
            ValueError: a pause ends before it starts.
        """
        start, end = (part.astype("datetime64[us]") for part in (start, end))
        known = ~(np.isnat(start) | np.isnat(end))
        total = np.full(start.shape, np.timedelta64("NaT", "us"))
        if not known.any():
            return total
        from_at, to_at = np.minimum(start, end)[known], np.maximum(start, end)[known]
        line = self._laid_out(*(_day_of(edge) for edge in _range([from_at, to_at])))
        begin_us, end_us = line.worked_us(from_at), line.worked_us(to_at)
        worked = end_us - begin_us
        covered = begin_us
        for case, paused_at, resumed_at in _rounds(pauses, known):
            # Beyond the line's ends nothing is asked for, and nothing counted.
            begins, ends = line.worked_us(paused_at), line.worked_us(resumed_at)
            ends = np.minimum(ends, end_us[case])
            worked[case] -= np.maximum(ends - np.maximum(begins, covered[case]), 0)
            covered[case] = np.maximum(covered[case], ends)
        total[known] = np.where(start <= end, 1, -1)[known] * worked * _MICROSECOND
        return total

    def _laid_out(self, first: date, last: date) -> "_Line":
        """Give a line that holds all local days which instants of these UTC days fall in."""
        first, last = first - _DAY, last + _DAY
        line = self._line
        if line is None or first < line.first or line.last < last:
            if line is not None:
                first, last = min(first, line.first), max(last, line.last)
            days = [first + step * _DAY for step in range((last - first).days + 1)]
            line = self._line = _Line(first, last, [self._spans_of(day) for day in days])
        return line

    def _days_time(self, at: datetime, days: int) -> timedelta:
        """Sum the working time from a worked instant to the same place in the n-th next day."""
        if not days:
            return timedelta(0)
        day = at.astimezone(self._zone).date()
        done = _length((span[0], min(span[1], at)) for span in self._spans_of(day) if span[0] < at)
        lengths = (_length(self._spans_of(day + step * _DAY)) for step in count())
        worked = (length for length in lengths if length)
        return sum((next(worked) for _ in range(days)), -done) + min(done, next(worked))

    def _worked(self, at: datetime, rests: Sequence[Span]) -> Iterator[Span]:
        """Give the spans of work from an instant on, without rests; none is empty."""
        today = at.astimezone(self._zone).date()
        for step in count():
            for span in self._spans_of(today + step * _DAY):
                begin, end = max(span[0], at), span[1]
                for rest_from, rest_to in rests:
                    if rest_from < end and rest_to > begin:
                        if begin < rest_from:
                            yield begin, rest_from
                        begin = rest_to
                if begin < end:
                    yield begin, end

    def _spans_of(self, day: date) -> tuple[Span, ...]:
        if day not in self._spans:
            hours = self._calendar.hours_of(day)
            self._spans[day] = tuple(_clock_spans(day, hours, self._zone)) if hours else ()
        return self._spans[day]


class _Line:
    """The working spans of some years in order, with the sums of working time at their ends."""

    def __init__(self, first: date, last: date, spans_of_days: Sequence[Sequence[Span]]) -> None:
        self.first, self.last = first, last
        # An empty span before all others, so that every instant has one that began before it.
        edges = [_BEFORE_ALL, _BEFORE_ALL]
        edges += [edge.replace(tzinfo=None) for spans in spans_of_days for s in spans for edge in s]
        edges_us = np.array(edges, "datetime64[us]").astype(np.int64)
        self._from_us, self._to_us = edges_us[0::2], edges_us[1::2]
        self.sums_us = _sums(self._to_us - self._from_us)
        """Worked before each span, and at last before the end."""
        lengths = [_length(spans) // timedelta(microseconds=1) for spans in spans_of_days if spans]
        self._days_us = _sums(np.array(lengths, np.int64))
        """The same for each working day."""

    def worked_us(self, at: Instants) -> _Ints:
        """Sum what is worked from the line's beginning to each instant."""
        at_us = at.astype(np.int64)
        span = np.searchsorted(self._from_us, at_us, side="right") - 1
        return self.sums_us[span] + np.minimum(at_us, self._to_us[span]) - self._from_us[span]

    def instants(self, worked_us: _Ints) -> Instants:
        """Find the first instant by which so much, more than nothing, is worked."""
        span = np.searchsorted(self.sums_us, worked_us, side="left") - 1
        return (self._from_us[span] + worked_us - self.sums_us[span]).astype("datetime64[us]")

    def after_days(self, worked_us: _Ints, days: _Ints) -> tuple[_Ints, bool]:
        """Find the same place in the n-th next working day; tell whether one is off the line."""
        day = np.searchsorted(self._days_us, worked_us, side="right") - 1
        done_us = worked_us - self._days_us[day]
        last = len(self._days_us) - 2
        then = np.minimum(day + days, last)
        done_us = np.minimum(done_us, self._days_us[then + 1] - self._days_us[then])
        return self._days_us[then] + done_us, bool((day + days > last).any())


def _clock_spans(day: date, hours: Iterable[tuple[int, int]], zone: ZoneInfo) -> Iterator[Span]:
    """Find when the local clock reads times within the hours of a day, in order."""
    midnight = datetime.combine(day, time())
    readings = [
        (midnight + timedelta(minutes=a), midnight + timedelta(minutes=b)) for a, b in hours
    ]
    # Offsets are below a day, so these instants lie before and after all that the day may hold.
    early, late = (edge.replace(tzinfo=UTC) for edge in (midnight - _DAY, midnight + 2 * _DAY))
    before, after = (edge.astimezone(zone).utcoffset() or timedelta(0) for edge in (early, late))
    if before == after:
        yield from (
            ((a - before).replace(tzinfo=UTC), (b - before).replace(tzinfo=UTC))
            for a, b in readings
        )
        return
    # Clocks are not put forward or back twice within three days, and do so at a full second.
    low, high = 0, (late - early) // _SECOND
    while high - low > 1:
        middle = (low + high) // 2
        is_before = (early + middle * _SECOND).astimezone(zone).utcoffset() == before
        low, high = (middle, high) if is_before else (low, middle)
    change = early + high * _SECOND
    for offset, from_at, to_at in ((before, early, change), (after, change, late)):
        for reading in readings:
            begin, end = ((edge - offset).replace(tzinfo=UTC) for edge in reading)
            if max(begin, from_at) < min(end, to_at):
                yield max(begin, from_at), min(end, to_at)


def _utc(at: datetime) -> datetime:
    if at.utcoffset() is None:
        raise ValueError(f"{at} has no time zone; give an aware instant")
    return at.astimezone(UTC)


def _merged(spans: Iterable[Span]) -> list[Span]:
    """Sort spans and join those that overlap or touch."""
    merged: list[Span] = []
    for start, end in sorted((_utc(start), _utc(end)) for start, end in spans):
        if end < start:
            raise ValueError(f"the pause from {start} ends before it starts, at {end}")
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        elif start < end:
            merged.append((start, end))
    return merged


def _length(spans: Iterable[Span]) -> timedelta:
    return sum((end - start for start, end in spans), timedelta(0))


def _sums(lengths: _Ints) -> _Ints:
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths)))


def _rounds(
    pauses: Pauses | None, known: NDArray[np.bool_]
) -> list[tuple[NDArray[np.intp], Instants, Instants]]:
    """Part pauses into the first of each case, the second of each, ...; in order of their start.

    Within a round no case occurs twice, so that it is one step for arrays. Cases are numbered
    among the known ones.
    """
    if pauses is None or not len(pauses.case):
        return []
    start, end = (part.astype("datetime64[us]") for part in (pauses.start, pauses.end))
    if (wrong := ~(start <= end)).any():
        row = int(np.argmax(wrong))
        raise ValueError(f"the pause in row {row} from {start[row]} ends before it starts")
    order = np.lexsort((start, pauses.case))
    order = order[known[pauses.case[order]]]
    case = pauses.case[order]
    is_first = np.append(True, case[1:] != case[:-1])[: len(case)]
    places = np.arange(len(case))
    nth = places - np.maximum.accumulate(np.where(is_first, places, 0))
    number = np.cumsum(known) - 1
    return [
        (number[case[at]], start[order[at]], end[order[at]])
        for at in (nth == n for n in range(int(nth.max(initial=-1)) + 1))
    ]


def _range(instants: Iterable[Instants]) -> tuple[np.datetime64, np.datetime64]:
    parts = list(instants)
    return min(part.min() for part in parts), max(part.max() for part in parts)


def _day_of(at: np.datetime64) -> date:
    day: date = at.astype("datetime64[D]").item()
    return day
