"""Questions of every kind about a city, and how two engines answer them."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import numpy as np
import orjson
import shapely
from shapely.geometry.base import BaseGeometry
from sqlalchemy.orm import Session

from gridsvc.errors import GridsvcError
from gridsvc.routing.answering import Answerer, NotHeld, Told
from gridsvc.routing.router import Question, answer_many
from gridsvc.routing.snapshot import Snapshot

_T = TypeVar("_T")

FAR = datetime(2100, 1, 1, tzinfo=UTC)


def questions_about(snapshot: Snapshot, count: int, *, seed: int = 1) -> list[Question]:
    """Ask inside areas, on their edges and vertices, outside, by components and around instants.

    The instants reach from before the revision to years after it.
    """
    rng = random.Random(seed)
    rows = np.flatnonzero(snapshot.index.ids >= 0).tolist()
    shapes = [snapshot.index.boundary(row) for row in rows]
    classes = sorted(snapshot.rules.classes)
    categories = [
        None,
        *rng.sample(classes, min(30, len(classes))),
        *snapshot.holders.words.categories,
        *snapshot.components.categories,
        "9999",
    ]
    changes_us = snapshot.instants_us[snapshot.instants_us < FAR.timestamp() * 1e6]
    effective_at = datetime.fromtimestamp(snapshot.effective_us / 1e6, UTC)

    def at() -> datetime:
        if len(changes_us) and rng.random() < 0.5:
            change_at = datetime.fromtimestamp(int(rng.choice(changes_us)) / 1e6, UTC)
            return change_at + timedelta(seconds=rng.choice([-1, 0, 1, 3600]))
        return effective_at + timedelta(days=rng.uniform(-1, 900))

    return [
        Question(
            x=x,
            y=y,
            crs=snapshot.scheme.storage_crs,
            at=at(),
            category=rng.choice(categories),
            accuracy_m=rng.choice([None, None, 0.0, rng.uniform(5, 200)]),
            id=str(number),
        )
        for number in range(count)
        for x, y in [_place(snapshot, shapes, rng)]
    ]


def _place(
    snapshot: Snapshot, shapes: Sequence[BaseGeometry], rng: random.Random
) -> tuple[float, float]:
    records = snapshot.components.records
    kind = rng.choice(["anywhere", "edge", "edge", "area", "area", "component"])
    if kind == "anywhere":
        west, south, east, north = shapely.total_bounds(shapes).tolist()
        return rng.uniform(west - 500, east + 500), rng.uniform(south - 500, north + 500)
    if kind == "component" and len(records):
        record = records[rng.randrange(len(records))]
        return float(record["x"]) + rng.gauss(0, 8), float(record["y"]) + rng.gauss(0, 8)
    shape = rng.choice(shapes)
    if kind == "edge":
        xy = shapely.get_coordinates(shape)
        first = rng.randrange(len(xy) - 1)
        along = rng.choice([0.0, 0.5, rng.random()])
        x, y = xy[first] + along * (xy[first + 1] - xy[first])
        return float(x), float(y)
    middle = shapely.point_on_surface(shape)
    return middle.x + rng.gauss(0, 20), middle.y + rng.gauss(0, 20)


def in_memory(answer: Callable[[Question], _T], question: Question) -> _T | GridsvcError | None:
    """Answer in memory; None where the snapshot leaves it to SQL."""
    try:
        return answer(question)
    except GridsvcError as error:
        return error
    except NotHeld:
        return None


def differences(
    session: Session, answerers: Sequence[Answerer], questions: Sequence[Question]
) -> tuple[list[Question], Counter[str]]:
    """List the questions that memory answers otherwise than SQL, to the byte, and count the kinds.

    Those that the snapshots leave to SQL are counted as `left`.
    """
    _, expected = answer_many(session, questions)
    other: list[Question] = []
    kinds: Counter[str] = Counter()
    for question, wanted in zip(questions, expected, strict=True):
        told = in_memory(answerers[0].answer, question)
        kinds.update(_kinds(told))
        texts = {
            _text(in_memory(answer, question))
            for answerer in answerers
            for answer in (answerer.answer, answerer.answer_json)
        }
        if texts != {_text(None if told is None else wanted)}:
            other.append(question)
    return other, kinds


def _text(told: Told | bytes | GridsvcError | None) -> bytes | str:
    """Write an answer or what was wrong as the API does."""
    if isinstance(told, bytes):
        return told
    if isinstance(told, dict):
        return orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY)
    return repr(told) + str(told)


def _kinds(told: Told | GridsvcError | None) -> list[str]:
    if told is None:
        return ["left"]
    if isinstance(told, GridsvcError):
        return [type(told).__name__]
    text = orjson.dumps(told)
    marks = {
        "answered": True,
        "alternatives": bool(told["alternatives"]),
        "component": told["component"] is not None,
        "unclear": told["tier"] is not None,
        "stand-in": b'"why"' in text,
        "vacant": bool(told["vacant"]),
        "edge": told["edge"]["distance_m"] == 0,
        "across": told["edge"]["across"] is not None,
        "assistant": bool((told["enforcement"] or {}).get("assistant")),
        "also": b'"also"' in text,
        "skipped": b"nobody is on duty" in text,
        "specialist": b"specialist for" in text,
    }
    return [mark for mark, holds in marks.items() if holds]
