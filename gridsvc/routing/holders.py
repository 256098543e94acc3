"""Who holds which duty where, in columns: a city's assignments, absences and parties.

Assignments are sorted by area, so that those on one area are a slice; objects are made only of what
is asked for. Names and phones are held as the database masks them, never in full.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gridsvc.grids.terms import Duty
from gridsvc.grids.weekhours import ALWAYS, WeekHours, merge_week_hours
from gridsvc.routing.ladders import FOREVER_US, AreaKey, Held, Ints, Watch
from gridsvc.routing.registers import Register

DUTIES = tuple(Duty)
NO_CATEGORY = -1

HOLDER = np.dtype(
    [
        ("id", np.int64),
        ("area", np.int32),
        ("duty", np.int8),
        ("rank", np.int8),
        ("party", np.int32),
        ("role", np.int32),
        ("category", np.int32),
        ("hours", np.int32),
        ("from_us", np.int64),
        ("to_us", np.int64),
    ]
)
"""An assignment. Area, party, role, category and hours are numbers in their registers, the duty is
one in `DUTIES`; a category of `NO_CATEGORY` is all."""

ABSENCE = np.dtype(
    [("id", np.int64), ("party", np.int32), ("from_us", np.int64), ("to_us", np.int64)]
)

Records: TypeAlias = npt.NDArray[np.void]
Row: TypeAlias = Sequence[Any]

_SPAN = re.compile(r"\[(\d+),(\d+)\)")
_KEPT_AREAS = 5_000


class Party(NamedTuple):
    """A person or a body as anyone may see it."""

    code: str
    kind: str
    name: str
    phone: str | None


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Words that many assignments share, by number."""

    roles: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    hours: tuple[str, ...] = ()

    def with_words_of(self, rows: Sequence[Row]) -> Self:
        """Number the words of rows of `sql/snapshot_holders.sql`; the others keep their numbers."""
        return type(self)(
            tuple(dict.fromkeys((*self.roles, *(row[6] for row in rows)))),
            tuple(dict.fromkeys((*self.categories, *(row[7] for row in rows if row[7])))),
            tuple(dict.fromkeys((*self.hours, *(row[8] for row in rows)))),
        )


@dataclass(frozen=True, slots=True)
class Parties:
    """All parties, by number.

    Attributes:
        codes: Their codes.
        faces: Kind, name and phone, in the order of the codes.
        renamed: What holds instead for those named anew since.
    """

    codes: Register
    faces: pa.Table
    renamed: dict[int, Party] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Self:
        """Take up code, kind, name and phone of each, sorted by code."""
        codes, kinds, names, phones = zip(*rows, strict=True) if rows else ((), (), (), ())
        return cls(
            Register(pa.chunked_array([codes], pa.string()), len(codes)),
            pa.table(
                {
                    "kind": pa.array(kinds, pa.string()),
                    "name": pa.array(names, pa.string()),
                    "phone": pa.array(phones, pa.string()),
                }
            ),
        )

    def party(self, number: int) -> Party:
        """Give one."""
        if (renamed := self.renamed.get(number)) is not None:
            return renamed
        kind, name, phone = (column[number].as_py() for column in self.faces.columns)
        return Party(self.codes.text(number), kind, name, phone)

    def table(self) -> pa.Table:
        """Give code, kind, name and phone of all in one table, those named anew in their place."""
        if not self.renamed:
            return self.faces.add_column(0, "code", self.codes.texts)
        rows = [self.party(number)._asdict() for number in range(len(self.codes))]
        return pa.Table.from_pylist(
            rows, self.faces.schema.insert(0, pa.field("code", pa.string()))
        )

    def with_more(self, rows: Sequence[Row]) -> Self:
        """Take up parties that are new or named anew."""
        if not rows:
            return self
        codes = self.codes.with_more(row[0] for row in rows)
        numbers = [codes.number(row[0]) or 0 for row in rows]
        renamed = self.renamed | {n: Party(*row) for n, row in zip(numbers, rows, strict=True)}
        return replace(self, codes=codes, renamed=renamed)


@dataclass(frozen=True, slots=True)
class Holders:
    """Assignments and absences of one revision.

    Attributes:
        records: `HOLDER`, sorted by area, duty, rank and the longest category prefix first.
        starts: (areas + 1,) where each area's begin in `records`.
        absences: `ABSENCE`, sorted by party.
        areas: Layer and code of each area that bears a duty or is drawn, as `area_text` writes it.
        parties: Who holds.
        words: Roles, categories and hours.
        hours: Hours of the week, by number.
        effective_us: The first instant for which the revision answers.
        always: (n,) of `records`, whether the party is on duty at every instant from then on.
    """

    records: Records
    starts: Ints
    absences: Records
    areas: Register
    parties: Parties
    words: Vocabulary
    hours: tuple[WeekHours, ...]
    effective_us: int
    always: npt.NDArray[np.bool_]
    _kept: dict[AreaKey, dict[tuple[Duty, int], Watch]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(  # noqa: PLR0913, PLR0917  the columns and what their numbers mean
        cls,
        records: Records,
        absences: Records,
        areas: Register,
        parties: Parties,
        words: Vocabulary,
        effective_us: int,
    ) -> Self:
        """Take up records in their order."""
        hours = tuple(
            merge_week_hours((int(start), int(end)) for start, end in _SPAN.findall(text))
            for text in words.hours
        )
        all_week = np.array([span == ALWAYS for span in hours], bool)
        always = (records["from_us"] <= effective_us) & (records["to_us"] == FOREVER_US)
        if not all_week.all():
            always &= all_week[records["hours"]]
        if len(absences):
            away = np.zeros(len(parties.codes), bool)
            away[absences["party"]] = True
            always &= ~away[records["party"]]
        starts = np.searchsorted(records["area"], np.arange(len(areas) + 1, dtype=np.int32))
        return cls(records, starts, absences, areas, parties, words, hours, effective_us, always)

    def changed(  # noqa: PLR0913  what may have changed
        self,
        *,
        ended: Iterable[int],
        rows: Sequence[Row],
        absent_ended: Iterable[int],
        absent_rows: Sequence[Row],
        areas: Register,
        parties: Parties,
        effective_us: int,
    ) -> Self:
        """Give the holders of a later revision.

        Args:
            ended: Ids of assignments that it holds no more.
            rows: Those that are new, as `sql/snapshot_holders.sql` gives them.
            absent_ended: Ids of absences that it holds no more.
            absent_rows: Those that are new, as `sql/snapshot_absences.sql` gives them.
            areas: The register, with the new areas.
            parties: With the new ones.
            effective_us: The first instant for which it answers.
        """
        ended, absent_ended = list(ended), list(absent_ended)
        if not (ended or rows or absent_ended or absent_rows):
            # Nobody stands elsewhere, though areas may have come.
            more = np.full(len(areas) - len(self.areas), len(self.records), np.int64)
            starts = np.concatenate([self.starts, more])
            return replace(self, starts=starts, areas=areas, parties=parties)
        words = self.words.with_words_of(rows)
        records = self.records
        if ended or rows:
            records = records[~np.isin(records["id"], ended)]
            added = holder_records(rows, areas, parties.codes, words)
            # Those of the areas concerned are sorted anew, the others keep their order.
            concerned = np.isin(records["area"], added["area"])
            added = np.concatenate([records[concerned], added])
            added = added[_order(added, words)]
            records = records[~concerned]
            records = np.insert(records, np.searchsorted(records["area"], added["area"]), added)
        absences = self.absences[~np.isin(self.absences["id"], absent_ended)]
        absences = np.concatenate([absences, absence_records(absent_rows, parties.codes)])
        absences = absences[np.lexsort((absences["id"], absences["party"]))]
        return self.of(records, absences, areas, parties, words, effective_us)

    def on(self, area: AreaKey, duty: Duty, rank: int) -> Watch:
        """List the assignments of a duty, at a rank, on one area; see `Ladders.held_on`."""
        slots = self._kept.get(area)
        if slots is None:
            slots = self.keep(area, self.areas.number(area_text(area)))
        return slots.get((duty, rank), ())

    def keep(self, area: AreaKey, number: int | None) -> dict[tuple[Duty, int], Watch]:
        """Make the assignments on one area, by duty and rank, and keep them for the next time."""
        slots: dict[tuple[Duty, int], Watch] = {}
        if number is not None:
            begin, end = int(self.starts[number]), int(self.starts[number + 1])
            always = self.always[begin:end].tolist()
            for row, is_always in zip(self.records[begin:end].tolist(), always, strict=True):
                held = self._held(area, row, always=is_always)
                slot = held.duty, held.rank
                slots[slot] = (*slots.get(slot, ()), held)
        if len(self._kept) >= _KEPT_AREAS:
            self._kept.clear()
        self._kept[area] = slots
        return slots

    def keeps(self, area: AreaKey) -> bool:
        """Tell whether the assignments on an area are made already."""
        return area in self._kept

    def _held(self, area: AreaKey, row: tuple[int, ...], *, always: bool) -> Held:
        _, _, duty, rank, party, role, category, hours, from_us, to_us = row
        return Held(
            area=area,
            duty=DUTIES[duty],
            rank=rank,
            party_code=self.parties.codes.text(party),
            role=self.words.roles[role],
            category=None if category == NO_CATEGORY else self.words.categories[category],
            hours=self.hours[hours],
            from_us=from_us,
            to_us=to_us,
            always=always,
            absences=self._absences(party),
        )

    def _absences(self, party: int) -> tuple[tuple[int, int], ...]:
        if not len(self.absences):
            return ()
        begin, end = np.searchsorted(self.absences["party"], [party, party + 1])
        return tuple((from_us, to_us) for _, _, from_us, to_us in self.absences[begin:end].tolist())

    def instants_us(self) -> Ints:
        """List the instants at which an assignment or an absence begins or ends, sorted."""
        timed = self.records[~self.always]
        ends = [timed["from_us"], timed["to_us"], self.absences["from_us"], self.absences["to_us"]]
        return np.unique(np.concatenate(ends))

    def week_marks(self) -> Ints:
        """List the minutes of the week at which hours begin or end, sorted."""
        numbers = np.unique(self.records["hours"][~self.always]).tolist()
        marks = {mark for number in numbers for span in self.hours[number] for mark in span}
        return np.array(sorted(marks), np.int64)


def area_text(area: AreaKey) -> str:
    """Write layer and code as one text; neither holds the character between."""
    return f"{area.layer}\x1f{area.code}"


def area_of(text: str) -> AreaKey:
    """Read what `area_text` wrote."""
    layer, _, code = text.partition("\x1f")
    return AreaKey(layer, code)


def holder_records(
    rows: Sequence[Row], areas: Register, parties: Register, words: Vocabulary
) -> Records:
    """Number what rows of `sql/snapshot_holders.sql` say, and sort them as `Holders` wants them."""
    records = np.empty(len(rows), HOLDER)
    if rows:
        ids, layers, codes, duties, ranks, holders, roles, categories, hours, froms, tos = zip(
            *rows, strict=True
        )
        texts = list(map(area_text, map(AreaKey, layers, codes)))
        records["id"] = ids
        records["area"] = areas.numbers(texts)
        records["duty"] = [DUTIES.index(Duty(duty)) for duty in duties]
        records["rank"] = ranks
        records["party"] = parties.numbers(holders)
        records["role"] = _places(roles, words.roles)
        records["category"] = _places(categories, words.categories)
        records["hours"] = _places(hours, words.hours)
        records["from_us"] = froms
        records["to_us"] = [FOREVER_US if end is None else end for end in tos]
    return records[_order(records, words)]


def _order(records: Records, words: Vocabulary) -> Ints:
    lengths = np.array([*map(len, words.categories), 0])  # the last is that of NO_CATEGORY
    by = (records["id"], -lengths[records["category"]], *(records[k] for k in ("rank", "duty")))
    return np.lexsort((*by, records["area"]))


def absence_records(rows: Sequence[Row], parties: Register) -> Records:
    """Number what rows of `sql/snapshot_absences.sql` say, sorted by party."""
    records = np.empty(len(rows), ABSENCE)
    if rows:
        ids, holders, froms, tos = zip(*rows, strict=True)
        records["id"] = ids
        records["party"] = parties.numbers(holders)
        records["from_us"] = froms
        records["to_us"] = [FOREVER_US if end is None else end for end in tos]
    return records[np.lexsort((records["id"], records["party"]))]


def _places(words: Sequence[str | None], vocabulary: Sequence[str]) -> list[int]:
    places = {word: place for place, word in enumerate(vocabulary)}
    return [NO_CATEGORY if word is None else places[word] for word in words]
