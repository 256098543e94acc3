"""A question becomes an Answer: the door judges and converts coordinates, then SQL decides."""

import difflib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from gridsvc.crs import WGS84, Crs, convert, parse_crs, to_wgs84
from gridsvc.db import sql
from gridsvc.errors import (
    BadCoordinates,
    BeforeFirstRevision,
    CrsNotAccepted,
    DefaultPointGiven,
    GridsvcError,
    NothingPublished,
    OutsideServiceArea,
    SwappedCoordinates,
    UnknownCategory,
)
from gridsvc.grids.component_rules import Tier
from gridsvc.grids.scheme_store import current_scheme
from gridsvc.grids.schemes import Scheme

DEFAULT_POINT_DEGREES = 1e-6
"""A default point is recognised within this, about a decimetre: files round it differently."""

MAX_ACCURACY_M = 10_000.0

STATEMENT_POINTS = 500
"""Points asked in one statement, so that no batch meets the statement timeout."""


ANSWER_KEYS = (
    "id",
    "revision",
    "at",
    "category",
    "point",
    "input",
    "areas",
    "responsible",
    "management",
    "enforcement",
    "supervisor",
    "vacant",
    "component",
    "candidates",
    "tier",
    "escalation",
    "edge",
    "ambiguous",
    "probability",
    "alternatives",
    "stale",
)
"""What an Answer holds, in the order that people read it; JSON from SQL has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One point, and what is asked of it.

    Attributes:
        x: Longitude or easting, in `crs`.
        y: Latitude or northing, in `crs`.
        crs: One that the scheme accepts; None is the scheme's first.
        at: Instant, aware; None is now.
        category: Class code; None asks for no category.
        accuracy_m: Radius of error in metres; None is exact.
        id: The caller's own, handed back.
    """

    x: float
    y: float
    crs: str | None = None
    at: datetime | None = None
    category: str | None = None
    accuracy_m: float | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """A question past the door: its point in WGS-84 and in the storage CRS."""

    question: Question
    lon: float
    lat: float
    crs: Crs
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Door:
    """What a point passes before it is asked: the scheme's CRSs, extent and default points."""

    scheme: Scheme

    def crs(self, name: str | None) -> Crs:
        """Find the CRS of an input.

        Raises:
            UnknownCrs: nothing is called so.
            CrsNotAccepted: the scheme does not take it.
        """
        accepted = self.scheme.input_crs
        crs = parse_crs(name or accepted[0])
        if crs.name not in accepted:
            raise CrsNotAccepted(crs.name, accepted=accepted)
        return crs

    def admit(self, question: Question) -> tuple[float, float, Crs]:
        """Judge a question's numbers and give its point in WGS-84, with the CRS it came in.

        Raises:
            BadCoordinates: a number is not finite or cannot be a place.
            SwappedCoordinates: the other way round it would lie in the city.
            DefaultPointGiven: it is where reports without a place are put.
        """
        crs = self.crs(question.crs)
        _require_numbers(question, crs)
        lon, lat = to_wgs84(question.x, question.y, crs=crs)
        extent = self.scheme.extent
        if not extent.covers(lon=lon, lat=lat):
            swapped_lon, swapped_lat = to_wgs84(question.y, question.x, crs=crs)
            if not math.isnan(swapped_lon) and extent.covers(lon=swapped_lon, lat=swapped_lat):
                raise SwappedCoordinates(lon=question.x, lat=question.y)
        if math.isnan(lon):
            beyond = crs.in_degrees and abs(question.y) > 90  # noqa: PLR2004 -- degrees of a pole
            field, value = ("lat", question.y) if beyond else ("lon", question.x)
            raise BadCoordinates(field, value, expected=f"a place that {crs} can hold")
        for point in self.scheme.default_points:
            if max(abs(lon - point.lon), abs(lat - point.lat)) <= DEFAULT_POINT_DEGREES:
                raise DefaultPointGiven(lon=lon, lat=lat, note=point.note)
        return lon, lat, crs

    def place(self, question: Question) -> Placed:
        """Let a question pass, and give its point in the storage CRS too.

        Raises:
            QuestionError: as `admit`, or no class can have such a code.
        """
        lon, lat, crs = self.admit(question)
        storage = parse_crs(self.scheme.storage_crs)
        if crs.epsg is None:  # the shift is undone already
            x, y = convert(lon, lat, source=WGS84, target=storage)
        else:
            x, y = convert(question.x, question.y, source=crs, target=storage)
        if math.isnan(x):
            raise BadCoordinates("lon", question.x, expected=f"a place that {storage} can hold")
        if "\0" in (question.category or ""):  # no text of PostgreSQL holds it
            raise UnknownCategory(question.category or "", close=())
        return Placed(question, lon, lat, crs, x, y)

    def unknown(self, category: str) -> UnknownCategory:
        """Say that a class is not in use, and which codes are like it."""
        codes = [known.code for known in self.scheme.categories]
        return UnknownCategory(category, close=tuple(difflib.get_close_matches(category, codes)))

    def complete(self, point: Placed, told: dict[str, Any]) -> dict[str, Any]:
        """Add what only the door knows, and put the keys in the order that people read them."""
        areas = told["areas"]
        known = told | {
            "areas": {
                layer.code: areas[layer.code] for layer in self.scheme.layers if layer.code in areas
            },
            "id": point.question.id,
            **self.told(point),
        }
        return {key: known[key] for key in ANSWER_KEYS}

    @staticmethod
    def told(point: Placed) -> dict[str, Any]:
        """Tell the point as it was given and as it was understood."""
        question = point.question
        return {
            "point": {"lon": round(point.lon, 8), "lat": round(point.lat, 8)},
            "input": {
                "x": question.x,
                "y": question.y,
                "crs": point.crs.name,
                "accuracy_m": question.accuracy_m,
            },
        }


def _require_numbers(question: Question, crs: Crs) -> None:
    # A latitude beyond 90 is named as swapped later, if that helps; so both may reach 180 here.
    limit = 180.0 if crs.in_degrees else math.inf
    for field, value, degrees in (("lon", question.x, 180), ("lat", question.y, 90)):
        if not math.isfinite(value):
            raise BadCoordinates(field, value, expected="a finite number")
        if abs(value) > limit:
            raise BadCoordinates(field, value, expected=f"degrees, at most ±{degrees}")
    accuracy_m = question.accuracy_m
    if accuracy_m is not None and not 0 <= accuracy_m <= MAX_ACCURACY_M:
        raise BadCoordinates(
            "accuracy_m", accuracy_m, expected=f"metres from 0 to {MAX_ACCURACY_M:g}"
        )


def answer(session: Session, question: Question, *, reveal: bool = False) -> dict[str, Any]:
    """Answer who is responsible at a point, for a category, at an instant.

    Args:
        session: Reads only.
        question: See `Question`.
        reveal: Give names and phones in full.

    Returns:
        The Answer that CONTRACT.md shapes. Beyond it: `edge.of`, the area whose edge it is, and
        `probability`, the first answer's own share of the error disc.

    Raises:
        QuestionError: the point or its time cannot be answered.
        NothingLoaded: the database has no scheme.
    """
    (given,) = _answers(session, [question], reveal=reveal)
    if isinstance(given, GridsvcError):
        raise given
    return given


def answer_many(
    session: Session, questions: Iterable[Question], *, reveal: bool = False
) -> tuple[int, list[dict[str, Any] | GridsvcError]]:
    """Answer many points; one bad point never fails its neighbours.

    Returns:
        The newest revision, and for each question its Answer or what was wrong with it.

    Raises:
        NothingPublished: there is no revision.
        NothingLoaded: the database has no scheme.
    """
    revision = session.scalar(text("SELECT max(number) FROM gridsvc.revision"))
    if revision is None:
        raise NothingPublished
    return revision, answer_each(session, list(questions), reveal=reveal)


def answer_each(
    session: Session, questions: Sequence[Question], *, reveal: bool = False
) -> list[dict[str, Any] | GridsvcError]:
    """Answer points one like the other, also where nothing is published.

    Returns:
        For each question its Answer or what was wrong with it.

    Raises:
        NothingLoaded: the database has no scheme.
    """
    answers: list[dict[str, Any] | GridsvcError] = []
    for start in range(0, len(questions), STATEMENT_POINTS):
        batch = questions[start : start + STATEMENT_POINTS]
        answers += _answers(session, batch, reveal=reveal)
    return answers


def tier_holder(session: Session, tier: Tier, question: Question) -> str | None:
    """Find who takes a tier's problems at a point: a party code; None where nobody does.

    Raises:
        QuestionError: the point cannot be answered.
        NothingLoaded: the database has no scheme.
    """
    scheme = current_scheme(session)
    point = Door(scheme).place(question)
    found: str | None = session.scalar(
        sql("gridsvc.routing", "tier_holder"),
        {
            "x": point.x,
            "y": point.y,
            "srid": parse_crs(scheme.storage_crs).epsg,
            "at": question.at or datetime.now(UTC),
            "duty": tier.duty.value,
            "layer": tier.layer,
            "category": question.category,
        },
    )
    return found


def _answers(
    session: Session, questions: Sequence[Question], *, reveal: bool
) -> list[dict[str, Any] | GridsvcError]:
    door = Door(current_scheme(session))
    admitted: dict[int, Placed] = {}
    answers: dict[int, dict[str, Any] | GridsvcError] = {}
    for n, question in enumerate(questions):
        try:
            admitted[n] = door.place(question)
        except GridsvcError as error:
            answers[n] = error
    rows = session.scalars(
        sql("gridsvc.routing", "answer"),
        {
            "x": [point.x for point in admitted.values()],
            "y": [point.y for point in admitted.values()],
            "srid": parse_crs(door.scheme.storage_crs).epsg,
            "at": [point.question.at for point in admitted.values()],
            "categories": [point.question.category for point in admitted.values()],
            "accuracies_m": [point.question.accuracy_m for point in admitted.values()],
            "reveal": reveal,
        },
    )
    for (n, point), row in zip(admitted.items(), rows, strict=True):
        answers[n] = (
            _problem(session, door, point, row["problem"])
            if "problem" in row
            else door.complete(point, row)
        )
    return [answers[n] for n in range(len(questions))]


def _problem(session: Session, door: Door, point: Placed, problem: str) -> GridsvcError:
    """Make of what `gridsvc.answer` could not answer the error that tells place and remedy."""
    at = point.question.at or datetime.now(UTC)
    if problem == "before-first-revision":
        first_at = session.scalar(text("SELECT min(effective_at) FROM gridsvc.revision"))
        if first_at is None:
            return NothingPublished()
        return BeforeFirstRevision(at=at, first_at=first_at.astimezone(at.tzinfo))
    if problem == "unknown-category":
        return door.unknown(point.question.category or "")
    nearest = (
        session.execute(
            sql("gridsvc.routing", "nearest"),
            {
                "x": point.x,
                "y": point.y,
                "srid": parse_crs(door.scheme.storage_crs).epsg,
                "at": at,
            },
        )
        .mappings()
        .first()
    )
    return OutsideServiceArea(
        lon=point.lon, lat=point.lat, nearest=dict(nearest) if nearest else None
    )
