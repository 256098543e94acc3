"""Many questions become one body of JSON, from memory: what they have in common is written once.

It is, to the byte, what `Answerer.answer_json` says of each point. Points that fall into the same
set of areas, for categories of one kind and at moments at which the same assignments hold, share
all but their names and numbers; those are written by orjson for all points at once, and compiled
code puts the parts together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import orjson

from gridsvc.crs import Crs, Floats, parse_crs
from gridsvc.errors import GridsvcError
from gridsvc.routing import index_engine, lookup_numpy
from gridsvc.routing.admission import Judge
from gridsvc.routing.answering import ENDS, ON_EDGE_M, Answerer, Moment, NotHeld, written
from gridsvc.routing.index_layout import Int32s, Int64s
from gridsvc.routing.kept_texts import Bytes, Texts
from gridsvc.routing.reasons import Mask, Reasons
from gridsvc.routing.rounding import rounded
from gridsvc.routing.router import Question

Failed = Callable[[int, GridsvcError], bytes]
"""Tells, as JSON, what was wrong with the point in a place of the batch."""

_FIXED = (
    b'{"id":',
    b',"lat":',
    b'},"input":{"x":',
    b',"y":',
    b',"across":',
    b',"distance_m":',
)
_ENDING = len(_FIXED)
_NOT_SERVED = -1
_WHOLE = -1

# So near a half, in units of the last digit kept, rounding is left to the slow way.
_TIE = 1e-5
_PLAIN_MAX = 1e15


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """Questions by column, all of one length; see `Question`."""

    x: Floats
    y: Floats
    crs: Sequence[str | None]
    at: Sequence[datetime | None]
    category: Sequence[str | None]
    accuracy_m: Sequence[float | None]
    id: Sequence[str | None]

    def question(self, place: int, *, now: datetime) -> Question:
        """Give one of them."""
        return Question(
            x=float(self.x[place]),
            y=float(self.y[place]),
            crs=self.crs[place],
            at=self.at[place] or now,
            category=self.category[place],
            accuracy_m=self.accuracy_m[place],
            id=self.id[place],
        )


class _Group(NamedTuple):
    """What points ask for.

    Attributes:
        crs: None where it is none, or not accepted.
        situation: Its number among the kept texts; -1 where points are asked one by one.
    """

    crs: Crs | None
    category: str | None
    moment: Moment
    situation: int


def answers_json(
    answerer: Answerer, questions: Questions, *, is_stale: bool, failed: Failed
) -> memoryview:
    """Write the answers to many questions, each in its place, with commas between them.

    Args:
        answerer: Answers.
        questions: At most as many as memory holds answers, some 3 KB each.
        is_stale: Say that there may be a newer revision.
        failed: Writes what stands in place of an answer.

    Returns:
        `{"revision": …, "answers": […]}`.

    Raises:
        NotHeld: an older revision answers for one of the instants.
    """
    return _Batch(answerer, questions, is_stale=is_stale, failed=failed).body()


class _Batch:
    """A batch on its way; arrays have a place a point."""

    def __init__(
        self, answerer: Answerer, questions: Questions, *, is_stale: bool, failed: Failed
    ) -> None:
        self.answerer = answerer
        self.questions = questions
        self.is_stale = is_stale
        self.failed = failed
        self.count = len(questions.x)
        self.now = datetime.now(UTC)
        self.kept = answerer.kept_texts()

    def body(self) -> memoryview:
        """Write it."""
        opening = b'{"revision":%d,"answers":[' % self.answerer.snapshot.revision
        if not self.count:
            return memoryview(opening + b"]}")
        group, groups = self._groups()
        lon, lat, x, y, is_plain = self._placed(group, groups)
        body, deciding = self._bodies(group, groups, x, y, is_plain=is_plain)
        edge_m, across, on_edge = self._edges(group, groups, x, y, deciding)
        whole = [self._whole(place) for place in np.flatnonzero(body < 0).tolist()]
        questions = self.questions
        told = np.empty((self.count, 5))
        told[:, 0], told[:, 1] = _rounded(lon, 8, round), _rounded(lat, 8, round)
        told[:, 2], told[:, 3] = questions.x, questions.y
        told[:, 4] = _rounded(edge_m, 3, rounded)
        parts = _Parts(
            fixed=[
                *_FIXED,
                *(ENDS[is_on, self.is_stale] for is_on in (False, True)),
            ],
            numbers=orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY),
            ids=orjson.dumps(questions.id),
            heads=[part for one in groups for part in self._head(one)],
            group=group,
            kept=self.kept.texts,
            body=body,
            across=across,
            ending=on_edge + np.int32(_ENDING),
            whole=whole,
        )
        if index_engine.engine() is lookup_numpy:
            return memoryview(b"".join((opening, parts.joined(), b"]}")))
        return parts.copied(opening, b"]}")

    # What is asked

    def _groups(self) -> tuple[Int32s, list[_Group]]:
        """Number the points by CRS, category and time."""
        questions = self.questions
        columns = questions.crs, questions.category, questions.at
        if all(len(set(column)) == 1 for column in columns):
            first = self._group(questions.crs[0], questions.category[0], questions.at[0])
            return np.zeros(self.count, np.int32), [first]
        asked = list(zip(*columns, strict=True))
        number_of = {one: number for number, one in enumerate(dict.fromkeys(asked))}
        group = np.array([number_of[one] for one in asked], np.int32)
        return group, [self._group(*one) for one in number_of]

    def _group(self, crs: str | None, category: str | None, at: datetime | None) -> _Group:
        answerer = self.answerer
        rules = answerer.snapshot.rules
        moment = Moment.of(at or self.now, answerer.zone)
        if moment.us < answerer.snapshot.effective_us:
            raise NotHeld
        try:
            known = answerer.door.crs(crs)
        except GridsvcError:
            known = None
        situation = -1
        if category is None or (
            "\0" not in category
            and rules.knows(category, moment.us)
            and answerer.reach(category) is None
        ):
            with self.kept.adding:
                situation = self.kept.situation(answerer.situation(category, moment))
        return _Group(known, category, moment, situation)

    def _head(self, group: _Group) -> tuple[bytes, bytes]:
        """Write what stands before and behind the numbers of the place."""
        told = {
            "revision": self.answerer.snapshot.revision,
            "at": group.moment.written,
            "category": group.category,
        }
        crs = {"crs": group.crs.name if group.crs else None, "accuracy_m": None}
        return (
            b"," + written(told)[1:-1] + b',"point":{"lon":',
            b"," + written(crs)[1:] + b",",
        )

    # Where it is

    def _placed(
        self, group: Int32s, groups: list[_Group]
    ) -> tuple[Floats, Floats, Floats, Floats, Mask]:
        """Convert the points; those that do not pass the door are not plain."""
        questions, scheme = self.questions, self.answerer.snapshot.scheme
        judge = Judge(scheme, parse_crs(scheme.storage_crs))
        crs_of = [one.crs for one in groups]
        systems = [crs for crs in dict.fromkeys(crs_of) if crs]
        if len(systems) == 1 and None not in crs_of:
            reasons = Reasons.none(self.count)
            lon, lat, x, y = judge.judge(questions.x, questions.y, systems[0], reasons)
            is_plain = reasons.open
        else:
            lon, lat, x, y = np.full((4, self.count), np.nan)
            is_plain = np.zeros(self.count, bool)
            for crs in systems:
                rows = np.flatnonzero(np.array([one == crs for one in crs_of])[group])
                reasons = Reasons.none(len(rows))
                lon[rows], lat[rows], x[rows], y[rows] = judge.judge(
                    questions.x[rows], questions.y[rows], crs, reasons
                )
                is_plain[rows] = reasons.open
        if set(questions.accuracy_m) != {None}:
            is_plain &= [one is None for one in questions.accuracy_m]
        return lon, lat, x, y, is_plain

    def _bodies(
        self, group: Int32s, groups: list[_Group], x: Floats, y: Floats, *, is_plain: Mask
    ) -> tuple[Int32s, Int64s]:
        """Find the prepared text of each point, and the row whose edge matters; -1 is none."""
        index = self.answerer.snapshot.index
        combination = index.find(x, y).combination
        situation = np.array([one.situation for one in groups], np.int64)[group]
        is_plain &= (situation >= 0) & (combination < index.combinations)
        keys = np.where(is_plain, situation << 32 | combination, _WHOLE)
        number_of = self.kept.number_of
        numbers: list[int | None] = list(map(number_of.get, keys.tolist()))
        if None in numbers:
            for place, number in enumerate(numbers):
                if number is None:
                    key = int(keys[place])
                    if key not in number_of:
                        self._prepare(key, int(combination[place]), groups[group[place]])
                    numbers[place] = number_of[key]
        body = np.array(numbers, np.int32)
        return body, np.where(body < 0, -1, self.kept.texts.rows[body])

    def _prepare(self, key: int, combination: int, group: _Group) -> None:
        number = _NOT_SERVED
        if key >= 0:
            place = self.answerer.place(combination, group.category, group.moment)
            if place.is_served:
                prepared = self.answerer.prepared(place, group.moment)
                row = -1 if prepared.deciding is None else prepared.deciding
                with self.kept.adding:
                    number = self.kept.add_once(prepared.body, row)
        self.kept.number_of[key] = number

    def _edges(
        self, group: Int32s, groups: list[_Group], x: Floats, y: Floats, deciding: Int64s
    ) -> tuple[Floats, Int32s, Int32s]:
        """Find how far the edges are, the texts of the areas across, and who is on the edge."""
        answerer, kept = self.answerer, self.kept
        edge_m = np.full(self.count, np.nan)
        row = np.full(self.count, -1)
        some = np.flatnonzero(deciding >= 0)
        if len(some):
            rows = deciding[some]
            places = answerer.snapshot.index.nearest_edge(rows, x[some], y[some])
            at_us = np.array([one.moment.us for one in groups])[group[some]]
            edge_m[some] = places.distance_m
            row[some] = answerer.borders.across(rows, places, at_us)
        across = kept.of_area[row]
        if (across < 0).any():
            for new in np.unique(row[across < 0]).tolist():
                with kept.adding:
                    kept.of_area[new] = kept.texts.add(answerer.area_json(new))
            across = kept.of_area[row]
        on_edge = (edge_m <= ON_EDGE_M) & (row >= 0)
        return edge_m, across, on_edge.astype(np.int32)

    def _whole(self, place: int) -> bytes:
        """Answer a point by itself."""
        question = self.questions.question(place, now=self.now)
        try:
            return self.answerer.answer_json(question, is_stale=self.is_stale)
        except GridsvcError as error:
            return self.failed(place, error)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """The parts of answers; see `gridsvc.routing.writing.write_answers`."""

    fixed: list[bytes]
    numbers: bytes
    ids: bytes
    heads: list[bytes]
    group: Int32s
    kept: Texts
    body: Int32s
    across: Int32s
    ending: Int32s
    whole: list[bytes]

    def copied(self, opening: bytes, end: bytes) -> memoryview:
        """Put them together by compiled code."""
        from gridsvc.routing import writing  # noqa: PLC0415

        kept = self.kept.letters, self.kept.ends
        fixed, heads, whole = _table(self.fixed), _table(self.heads), _table(self.whole)
        head_lengths = np.diff(heads[1], prepend=0)
        most = (
            _length(kept[1], self.body) + _length(kept[1], self.across)
            + int((head_lengths[0::2] + head_lengths[1::2])[self.group].sum())
            + len(self.numbers) + len(self.ids) + len(whole[0])
            + (len(fixed[0]) + 1) * len(self.group)
            + len(opening) + len(end)
        )  # fmt: skip
        # NumPy asks for large pages, and nobody fills them with zeros first.
        out = np.empty(most, np.uint8)
        size = len(opening)
        out[:size] = np.frombuffer(opening, np.uint8)
        size += writing.write_answers(
            *fixed,
            np.frombuffer(self.numbers, np.uint8), np.frombuffer(self.ids, np.uint8),
            *heads, self.group, *kept, self.body, self.across, self.ending, *whole,
            out[size:],
        )  # fmt: skip
        out[size : size + len(end)] = np.frombuffer(end, np.uint8)
        return out[: size + len(end)].data

    def joined(self) -> bytes:
        """Put them together without a compiler."""
        numbers = self.numbers[2:-2].split(b"],[")
        whole = iter(self.whole)
        answers = []
        columns = (self.group, self.body, self.across, self.ending)
        ids = map(orjson.dumps, orjson.loads(self.ids))
        for one, told, group, body, across, ending in zip(
            ids, numbers, *(column.tolist() for column in columns), strict=True
        ):
            if body < 0:
                answers.append(next(whole))
                continue
            lon, lat, x, y, edge_m = told.split(b",")
            answers.append(
                b"".join(
                    (
                        self.fixed[0], one, self.heads[2 * group], lon, self.fixed[1], lat,
                        self.fixed[2], x, self.fixed[3], y, self.heads[2 * group + 1],
                        self.kept.text(body), self.fixed[4], self.kept.text(across),
                        self.fixed[5], edge_m, self.fixed[ending],
                    )
                )
            )  # fmt: skip
        return b",".join(answers)


def _table(texts: Sequence[bytes]) -> tuple[Bytes, Int64s]:
    """Lay texts one behind the other, and tell where each ends."""
    ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
    return np.frombuffer(b"".join(texts), np.uint8), ends


def _length(ends: Int64s, numbers: Int32s) -> int:
    """Add up how long texts are; -1 is none."""
    numbers = numbers[numbers >= 0]
    return int(ends[numbers].sum() - ends[numbers[numbers > 0] - 1].sum())


def _rounded(values: Floats, digits: int, slowly: Callable[[float, int], float]) -> Floats:
    """Round numbers as a function does one at a time; NaN stays."""
    scaled = values * 10.0**digits
    told = np.rint(scaled) / 10.0**digits
    unsure = np.abs(np.abs(scaled - np.trunc(scaled)) - 0.5) < _TIE
    unsure |= np.abs(scaled) > _PLAIN_MAX
    for place in np.flatnonzero(unsure).tolist():
        told[place] = slowly(float(values[place]), digits)
    return told
