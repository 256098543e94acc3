"""A report is stored with the answer of the moment it came in, or marked with why it has none.

Whatever a point turns out to be, the report is kept; and told twice it is one report. Reports that
arrive together are stored together, in a few statements for all (`file_reports`), with the outcome
of one by one.
"""

import hashlib
import math
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import orjson
from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from gridsvc import errors
from gridsvc.crs import Crs, Floats, convert, parse_crs, to_wgs84
from gridsvc.db import sql
from gridsvc.grids.scheme_store import current_scheme, scheme_and_time
from gridsvc.grids.schemes import Scheme
from gridsvc.reports.bulk_copy import new_uuids
from gridsvc.reports.case_opening import Filed, Routed, open_or_join
from gridsvc.reports.case_records import CaseSummary, summary_of
from gridsvc.reports.duplicates import Duplicate, Suspect, likely_duplicates
from gridsvc.reports.models import Report, ReportAnswer
from gridsvc.reports.row_texts import as_lines, as_rows, bytes_text, number
from gridsvc.reports.terms import Cause, Channel, Mark
from gridsvc.routing.router import Door, Question, answer_each

MARKS: Mapping[type[errors.GridsvcError], Mark] = {
    errors.OutsideServiceArea: Mark.OUTSIDE,
    errors.DefaultPointGiven: Mark.DEFAULT_POINT,
    errors.UnknownCategory: Mark.UNKNOWN_CATEGORY,
    errors.BeforeFirstRevision: Mark.TOO_EARLY,
    errors.NothingPublished: Mark.TOO_EARLY,
    errors.BadCoordinates: Mark.BAD_COORDINATES,
    errors.SwappedCoordinates: Mark.BAD_COORDINATES,
    errors.UnknownCrs: Mark.BAD_COORDINATES,
    errors.CrsNotAccepted: Mark.BAD_COORDINATES,
    errors.DatumNotInverted: Mark.BAD_COORDINATES,
}
"""What keeps a report from an answer, and how it is marked then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A report as told.

    Attributes:
        x: Longitude or easting, in `crs`.
        y: Latitude or northing.
        crs: None is the scheme's first.
        channel: How it came.
        category: Class code.
        accuracy_m: Radius of error in metres; None is exact.
        description: In the reporter's words.
        photo_urls: Where photos are; they are not fetched.
        reporter: A token of the source's own for the reporter; only its hash is kept.
        observed_at: When it was seen, aware.
    """

    x: float
    y: float
    crs: str | None = None
    channel: Channel
    category: str | None = None
    accuracy_m: float | None = None
    description: str | None = None
    photo_urls: tuple[str, ...] = ()
    reporter: str | None = None
    observed_at: datetime | None = None

    def digest(self) -> bytes:
        """Hash all that was told, so that a repetition is known without keeping its text."""
        told = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A report as a caller sent it.

    Attributes:
        draft: What it says.
        idempotency_key: The caller's name for it.
        caller: Among whose keys it is one.
    """

    draft: Draft
    idempotency_key: str
    caller: str

    @property
    def name(self) -> tuple[str, str]:
        """Tells it from all others."""
        return self.caller, self.idempotency_key


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenAnswer:
    """An answer that a report was given.

    Attributes:
        cause: Why it was answered.
        answered_at: When.
        mark: Whether there is an answer.
        reason: Why there is none.
        revision: From which the answer came.
        answer: An Answer, names and phones masked; of an imported report codes alone.
    """

    cause: Cause
    answered_at: datetime
    mark: Mark
    reason: str | None
    revision: int | None
    answer: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredReport:
    """A report as received; columns of its row."""

    id: uuid.UUID
    channel: str | None
    x: float | None
    y: float | None
    crs: str | None
    lon: float | None
    lat: float | None
    accuracy_m: float | None
    category: str | None
    description: str | None
    photo_urls: list[str]
    reporter_hash: bytes | None
    observed_at: datetime | None
    received_at: datetime | None
    closed_at: datetime | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FiledReport:
    """A report as stored, with what it led to.

    Attributes:
        report: As received.
        answers: The one it was filed with first; the last one holds.
        case: That it belongs to now; None where it was marked.
        duplicates: Other open cases that it may be one more of, nearest first.
        created: Whether this call stored it; False where it was there.
    """

    report: StoredReport
    answers: tuple[GivenAnswer, ...]
    case: CaseSummary | None
    duplicates: tuple[Duplicate, ...]
    created: bool = False


@dataclass(frozen=True, slots=True)
class ToldBefore:
    """What was sent under a name that a report bears already.

    Attributes:
        report_id: That report.
        key: Its caller's name for it.
        same: Whether the same was sent.
    """

    report_id: uuid.UUID
    key: str
    same: bool


AnswerEach = Callable[[Session, Sequence[Question]], Sequence[dict[str, Any] | errors.GridsvcError]]
"""Answers questions one like the other: an Answer for each, masked, or what was wrong with it."""


def file_report(
    session: Session, draft: Draft, *, idempotency_key: str, caller: str
) -> FiledReport:
    """Store a report with its answer, once however often it is told.

    The answer is that of the moment of receipt, not of observation: who is on duty now has to
    act. It is durable once the caller has committed.

    Args:
        session: At READ COMMITTED, so that of two calls at once the later one sees the earlier.
        draft: The report.
        idempotency_key: The caller's name for it.
        caller: Among whose keys it is one.

    Raises:
        IdempotencyKeyReused: another report was filed under the key.
        NothingLoaded: the database has no scheme.
    """
    sent = Sent(draft=draft, idempotency_key=idempotency_key, caller=caller)
    (told,) = file_reports(session, [sent])
    return told if isinstance(told, FiledReport) else read_again(session, told)


def file_reports(
    session: Session, sent: Sequence[Sent], *, answer_each: AnswerEach = answer_each
) -> list[FiledReport | ToldBefore]:
    """Store reports that arrived together, each with its answer, as if they came one by one.

    What stands in the way of one fails all; the caller files them alone then.

    Args:
        session: As for `file_report`. It takes its locks in one order: names of reports, squares
            that joining takes, cases; so no two that file wait for each other.
        sent: In the order they came in.
        answer_each: Who answers.

    Returns:
        For each the report, or which one was told before, in this very group too.

    Raises:
        NothingLoaded: the database has no scheme.
    """
    session.flush()
    # Those that come together are a microsecond apart, in their order, so that it is known of any
    # two which came first.
    scheme, now = scheme_and_time(session)
    firsts: dict[tuple[str, str], Sent] = {}
    for one in sent:
        firsts.setdefault(one.name, one)
    received = _store(session, scheme, list(firsts.values()), now)
    given = _answer(session, received, answer_each)
    routed = [row for row, told in zip(received, given, strict=True) if told.answer is not None]
    answers = {row.stored.id: told for row, told in zip(received, given, strict=True)}
    cases = open_or_join(
        session,
        scheme,
        [_routed(row, answers[row.stored.id].answer) for row in routed],
    )
    # A report that was marked is like no other: nobody can be named for it.
    suspects = [
        Suspect(row.stored.id, row.stored.category, row.at, cases[row.stored.id].id)
        for row in routed
    ]
    duplicates = likely_duplicates(session, scheme, suspects)
    # What is in the session from before has been written past.
    session.expire_all()
    filed: dict[tuple[str, str], FiledReport | ToldBefore] = {
        row.sent.name: FiledReport(
            report=row.stored,
            answers=(answers[row.stored.id],),
            case=cases.get(row.stored.id),
            duplicates=duplicates.get(row.stored.id, ()),
            created=True,
        )
        for row in received
    }
    repeated = [one for one in sent if firsts[one.name] is not one or one.name not in filed]
    told = dict(zip(map(id, repeated), _told_before(session, repeated), strict=True))
    return [told.get(id(one)) or filed[one.name] for one in sent]


def read_again(session: Session, told: ToldBefore) -> FiledReport:
    """Read the report that was sent once more.

    Raises:
        IdempotencyKeyReused: another was sent under its name.
    """
    if not told.same:
        raise errors.IdempotencyKeyReused(told.key, report_id=str(told.report_id))
    return _read(session, told.report_id)


def find_report(session: Session, report_id: str) -> FiledReport:
    """Read a report with all answers it was given.

    Raises:
        UnknownReport: there is none of this id.
    """
    wanted = report_key(report_id)
    if session.get(Report, wanted) is None:
        raise errors.UnknownReport(report_id)
    return _read(session, wanted)


def report_key(report_id: str) -> uuid.UUID:
    """Read the id of a report.

    Raises:
        UnknownReport: it is no such id.
    """
    try:
        return uuid.UUID(report_id)
    except ValueError:
        raise errors.UnknownReport(report_id) from None


def judge(told: dict[str, Any] | errors.GridsvcError) -> dict[str, Any]:
    """Make of an answer, or of what stood in its way, the columns that keep it.

    Raises:
        GridsvcError: the same, where it says nothing about the report.
    """
    if not isinstance(told, errors.GridsvcError):
        return {
            "mark": Mark.ROUTED.value,
            "reason": None,
            "revision": told["revision"],
            "answer": told,
        }
    mark = next((MARKS[cls] for cls in type(told).__mro__ if cls in MARKS), None)
    if mark is None:
        raise told
    return {"mark": mark.value, "reason": told.detail, "revision": None, "answer": None}


@dataclass(frozen=True, slots=True)
class _Received:
    """A report that was not there before."""

    sent: Sent
    at: datetime
    point: tuple[float, float] | None
    stored: StoredReport


def _store(
    session: Session, scheme: Scheme, sent: Sequence[Sent], now: datetime
) -> list[_Received]:
    """Store reports of different names; gives those that were not there, in the order given."""
    times = [now - timedelta(microseconds=left) for left in reversed(range(len(sent)))]
    drafts = [one.draft for one in sent]
    rows = [
        _Received(one, at, place.point, _as_stored(one, report_id, place, scheme, at))
        for one, at, place, report_id in zip(
            sent, times, _places(drafts, scheme), new_uuids(len(sent)), strict=True
        )
    ]
    # In one order, so that of two that store the same reports none waits for the other's last.
    ordered = sorted(rows, key=lambda row: row.sent.name)
    there = set(
        session.scalars(
            sql("gridsvc.reports", "file_reports"),
            {
                "rows": as_rows([_columns(row) for row in ordered]),
                "srid": parse_crs(scheme.storage_crs).epsg,
            },
        )
    )
    return [row for row in rows if row.stored.id in there]


def _columns(row: _Received) -> dict[str, Any]:
    stored = row.stored
    return {
        "id": stored.id,
        "source": row.sent.caller,
        "source_id": row.sent.idempotency_key,
        "body_hash": bytes_text(row.sent.draft.digest()),
        "channel": stored.channel,
        "x": number(stored.x),
        "y": number(stored.y),
        "crs": stored.crs,
        "lon": stored.lon,
        "lat": stored.lat,
        "point": row.point,
        "accuracy_m": number(stored.accuracy_m),
        "category": stored.category,
        "description": stored.description,
        "photo_urls": stored.photo_urls,
        "reporter_hash": bytes_text(stored.reporter_hash),
        "observed_at": stored.observed_at,
        "received_at": stored.received_at,
    }


def _as_stored(
    sent: Sent, report_id: uuid.UUID, place: "_Place", scheme: Scheme, at: datetime
) -> StoredReport:
    draft = sent.draft
    return StoredReport(
        id=report_id,
        channel=draft.channel.value,
        x=float(draft.x),
        y=float(draft.y),
        # What it was taken for, so that another first CRS later does not move it.
        crs=draft.crs or scheme.input_crs[0],
        lon=place.lon_lat[0],
        lat=place.lon_lat[1],
        accuracy_m=None if draft.accuracy_m is None else float(draft.accuracy_m),
        category=draft.category,
        description=draft.description,
        photo_urls=list(draft.photo_urls),
        reporter_hash=reporter_hash(draft.reporter, sent.caller) if draft.reporter else None,
        observed_at=draft.observed_at,
        received_at=at,
    )


def _answer(
    session: Session, received: Sequence[_Received], answer_each: AnswerEach
) -> list[GivenAnswer]:
    """Answer reports as of the moment they came in, and store the answers."""
    questions = [
        Question(
            x=row.sent.draft.x,
            y=row.sent.draft.y,
            crs=row.sent.draft.crs,
            at=row.at,
            category=row.sent.draft.category,
            accuracy_m=row.sent.draft.accuracy_m,
        )
        for row in received
    ]
    if not questions:
        return []
    judged = [judge(told) for told in answer_each(session, questions)]
    rows = [
        {
            "report_id": row.stored.id,
            "answered_at": row.at,
            "mark": one["mark"],
            "reason": one["reason"],
            "revision": one["revision"],
        }
        for row, one in zip(received, judged, strict=True)
    ]
    session.execute(
        sql("gridsvc.reports", "file_answers"),
        {"rows": as_rows(rows), "answers": as_lines(one["answer"] for one in judged)},
    )
    return [
        GivenAnswer(
            cause=Cause.INTAKE,
            answered_at=row.at,
            **one | {"mark": Mark(one["mark"])},
        )
        for row, one in zip(received, judged, strict=True)
    ]


def _routed(row: _Received, answer: dict[str, Any] | None) -> Filed:
    report = Routed(
        report_id=row.stored.id,
        category=row.stored.category,
        point=row.point,
        received_at=row.at,
        answer=answer,
    )
    return Filed(report, row.at, row.sent.caller)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a report is: EPSG:4326, and in the storage CRS; None where that is no place."""

    lon_lat: tuple[float, float] | tuple[None, None] = (None, None)
    point: tuple[float, float] | None = None


def _places(drafts: Sequence[Draft], scheme: Scheme) -> list[_Place]:
    """Convert reports' points wherever they are, for they are kept outside the city too."""
    door = Door(scheme)
    places = [_Place()] * len(drafts)
    by_crs: defaultdict[str | None, list[int]] = defaultdict(list)
    for n, draft in enumerate(drafts):
        by_crs[draft.crs].append(n)
    for name, members in by_crs.items():
        try:
            crs = door.crs(name)
        except errors.GridsvcError:
            continue
        x, y = (np.array([getattr(drafts[n], axis) for n in members]) for axis in "xy")
        for n, place in zip(
            members, _placed(x, y, crs, parse_crs(scheme.storage_crs)), strict=True
        ):
            places[n] = place
    return places


def _placed(x: Floats, y: Floats, crs: Crs, storage: Crs) -> list[_Place]:
    try:
        lon, lat = to_wgs84(x, y, crs=crs)
        east, north = convert(x, y, source=crs, target=storage)
    except errors.DatumNotInverted:
        if len(x) == 1:
            return [_Place()]
        # Only the one that has no place loses it.
        return [_placed(x[n : n + 1], y[n : n + 1], crs, storage)[0] for n in range(len(x))]
    return [
        _Place(
            (a, b) if math.isfinite(a) and math.isfinite(b) else (None, None),
            (e, n) if math.isfinite(e) and math.isfinite(n) else None,
        )
        for a, b, e, n in zip(
            lon.tolist(), lat.tolist(), east.tolist(), north.tolist(), strict=True
        )
    ]


def reporter_hash(token: str, source: str) -> bytes:
    """Hash a source's token for a reporter; the same token of another source gives another."""
    return hashlib.sha256(f"{source}\0{token}".encode()).digest()


def _told_before(session: Session, repeated: Sequence[Sent]) -> list[ToldBefore]:
    """Find the reports that bear the names of what was sent."""
    if not repeated:
        return []
    names = [one.name for one in repeated]
    rows = session.execute(
        select(Report.source, Report.source_id, Report.id, Report.body_hash).where(
            tuple_(Report.source, Report.source_id).in_(names)
        )
    )
    there = {(row.source, row.source_id): row for row in rows}
    return [
        ToldBefore(
            there[one.name].id,
            one.idempotency_key,
            there[one.name].body_hash == one.draft.digest(),
        )
        for one in repeated
    ]


def _read(session: Session, report_id: uuid.UUID) -> FiledReport:
    answers = session.scalars(
        select(ReportAnswer)
        .where(ReportAnswer.report_id == report_id)
        .order_by(ReportAnswer.number)
    )
    row = session.get_one(Report, report_id)
    report = StoredReport(
        **{name: getattr(row, name) for name in StoredReport.__dataclass_fields__}
    )
    case = summary_of(session, report_id)
    # A report that was marked is like no other: nobody can be named for it.
    suspects = [Suspect(report_id, report.category, report.received_at, case.id)] if case else []
    duplicates = likely_duplicates(session, current_scheme(session), suspects)
    return FiledReport(
        report=report,
        case=case,
        duplicates=duplicates.get(report_id, ()),
        answers=tuple(
            GivenAnswer(
                cause=Cause(one.cause),
                answered_at=one.answered_at,
                mark=Mark(one.mark),
                reason=one.reason,
                revision=one.revision,
                answer=one.answer,
            )
            for one in answers
        ),
    )
