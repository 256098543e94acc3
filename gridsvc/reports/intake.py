"""A report is stored with the answer of the moment it came in, or marked with why it has none.

Whatever a point turns out to be, the report is kept; and told twice it is one report.
"""

import hashlib
import math
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import orjson
from geoalchemy2.shape import from_shape
from shapely import Point
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from gridsvc import errors
from gridsvc.crs import convert, parse_crs, to_wgs84
from gridsvc.grids.scheme_store import current_scheme
from gridsvc.grids.schemes import Scheme
from gridsvc.reports.case_records import CaseSummary, summary_of
from gridsvc.reports.cases import join_case, lock_joining, open_case
from gridsvc.reports.duplicates import Duplicate, likely_duplicates
from gridsvc.reports.models import Report, ReportAnswer
from gridsvc.reports.terms import Cause, Channel, Mark
from gridsvc.routing.router import Door, Question, answer

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
        return hashlib.sha256(orjson.dumps(asdict(self), option=orjson.OPT_SORT_KEYS)).digest()


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
class FiledReport:
    """A report as stored.

    Attributes:
        report: As received.
        answers: The one it was filed with first; the last one holds.
        case: That it belongs to now; None where it was marked.
        duplicates: Other open cases that it may be one more of, nearest first.
        created: Whether this call stored it; False where it was there.
    """

    report: Report
    answers: tuple[GivenAnswer, ...]
    case: CaseSummary | None
    duplicates: tuple[Duplicate, ...]
    created: bool = False


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
    digest = draft.digest()
    if told := _told_before(session, digest, key=idempotency_key, caller=caller):
        return told
    # By the clock that dates revisions.
    received_at = session.execute(select(func.clock_timestamp())).scalar_one()
    scheme = current_scheme(session)
    given = _first_answer(session, draft, received_at)
    stored_id = session.scalar(
        insert(Report)
        .values(
            source=caller,
            source_id=idempotency_key,
            body_hash=digest,
            channel=draft.channel.value,
            x=draft.x,
            y=draft.y,
            # What it was taken for, so that another first CRS later does not move it.
            crs=draft.crs or scheme.input_crs[0],
            **_place(draft, scheme),
            accuracy_m=draft.accuracy_m,
            category=draft.category,
            description=draft.description,
            photo_urls=list(draft.photo_urls),
            reporter_hash=draft.reporter and reporter_hash(draft.reporter, caller),
            observed_at=draft.observed_at,
            received_at=received_at,
        )
        .on_conflict_do_nothing(index_elements=["source", "source_id"])
        .returning(Report.id)
    )
    if stored_id is None:  # the same was told meanwhile, and is committed
        told = _told_before(session, digest, key=idempotency_key, caller=caller)
        assert told is not None  # noqa: S101  reports are never deleted
        return told
    session.add(ReportAnswer(report_id=stored_id, number=1, **given))
    session.flush()
    if given["mark"] == Mark.ROUTED:
        _open_or_join(session, scheme, session.get_one(Report, stored_id), actor=caller)
    return _read(session, stored_id, created=True)


def _open_or_join(session: Session, scheme: Scheme, report: Report, *, actor: str) -> None:
    at = report.received_at
    assert at is not None  # noqa: S101  what is filed has a time
    rule = scheme.duplicate_rule(report.category)
    if rule is not None and rule.join == "automatic":
        lock_joining(session, report, within_m=rule.within_m)
        for near in likely_duplicates(session, scheme, report):
            if join_case(session, near.case_id, report, distance_m=near.distance_m, actor=actor):
                return
    open_case(session, report, actor=actor, at=at)


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


def _first_answer(session: Session, draft: Draft, at: datetime) -> dict[str, Any]:
    question = Question(
        x=draft.x,
        y=draft.y,
        crs=draft.crs,
        at=at,
        category=draft.category,
        accuracy_m=draft.accuracy_m,
    )
    try:
        told: dict[str, Any] | errors.GridsvcError = answer(session, question)
    except errors.GridsvcError as error:
        told = error
    return {"cause": Cause.INTAKE.value, "answered_at": at} | judge(told)


def _place(draft: Draft, scheme: Scheme) -> dict[str, Any]:
    """Convert a report's point wherever it is, for it is kept outside the city too."""
    storage = parse_crs(scheme.storage_crs)
    try:
        crs = Door(scheme).crs(draft.crs)
        lon, lat = to_wgs84(draft.x, draft.y, crs=crs)
        x, y = convert(draft.x, draft.y, source=crs, target=storage)
    except errors.GridsvcError:
        return {}
    place: dict[str, Any] = {}
    if math.isfinite(lon) and math.isfinite(lat):
        place |= {"lon": float(lon), "lat": float(lat)}
    if math.isfinite(x) and math.isfinite(y):
        place["point"] = from_shape(Point(x, y), srid=storage.epsg or 0)
    return place


def reporter_hash(token: str, source: str) -> bytes:
    """Hash a source's token for a reporter; the same token of another source gives another."""
    return hashlib.sha256(f"{source}\0{token}".encode()).digest()


def _told_before(session: Session, digest: bytes, *, key: str, caller: str) -> FiledReport | None:
    stored = session.execute(
        select(Report.id, Report.body_hash).where(Report.source == caller, Report.source_id == key)
    ).one_or_none()
    if stored is None:
        return None
    if stored.body_hash != digest:
        raise errors.IdempotencyKeyReused(key, report_id=str(stored.id))
    return _read(session, stored.id)


def _read(session: Session, report_id: uuid.UUID, *, created: bool = False) -> FiledReport:
    rows = session.scalars(
        select(ReportAnswer)
        .where(ReportAnswer.report_id == report_id)
        .order_by(ReportAnswer.number)
    )
    report = session.get_one(Report, report_id)
    case = summary_of(session, report_id)
    return FiledReport(
        report=report,
        case=case,
        # A report that was marked is like no other: nobody can be named for it.
        duplicates=likely_duplicates(session, current_scheme(session), report, own=case.id)
        if case
        else (),
        answers=tuple(
            GivenAnswer(
                cause=Cause(row.cause),
                answered_at=row.answered_at,
                mark=Mark(row.mark),
                reason=row.reason,
                revision=row.revision,
                answer=row.answer,
            )
            for row in rows
        ),
        created=created,
    )
