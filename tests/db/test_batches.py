"""A batch says, byte for byte, what its points are told one by one."""

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy.orm import Session

from gridsvc.api.batches import batch_json
from gridsvc.api.problems import problem_of
from gridsvc.crs import convert
from gridsvc.db import create_engine
from gridsvc.errors import GridsvcError
from gridsvc.routing import index_engine, kept_texts, lookup_numpy
from gridsvc.routing.answering import Answerer
from gridsvc.routing.router import Question
from gridsvc.routing.snapshot import Snapshot
from tests.asking import questions_about
from tests.db_fixtures import MakeDatabase
from tests.scenarios.loading import found_city

COUNT = 2000


@pytest.fixture(scope="module", params=["chaoyang", "demo", "xuzhou"])
def answerer(request: pytest.FixtureRequest, make_database: MakeDatabase) -> Iterator[Answerer]:
    """A made-up city, in memory."""
    url = make_database()
    found_city(url, request.param)
    engine = create_engine(url)
    with Session(engine) as session:
        yield Answerer(Snapshot.load(session.connection()))
    engine.dispose()


def _asked(answerer: Answerer, **same: object) -> list[Question]:
    """Ask at instants that memory holds, in all systems and with names of all kinds."""
    rng = random.Random(5)
    snapshot = answerer.snapshot
    first = datetime.fromtimestamp(snapshot.effective_us / 1e6, UTC) + timedelta(seconds=1)
    names = ["", 'a"b\\', "朝阳区", "\0\n", "\\", None, "x" * 200]
    questions = []
    for question in questions_about(snapshot, COUNT):
        crs = rng.choice([None, *snapshot.scheme.input_crs])
        x, y = convert(
            question.x,
            question.y,
            source=snapshot.scheme.storage_crs,
            target=crs or snapshot.scheme.input_crs[0],
        )
        if rng.random() < 0.3:
            x, y = round(x, 6), round(y, 6)
        told: dict[str, Any] = {
            "x": x,
            "y": y,
            "crs": crs,
            "at": max(question.at or first, first),
            "category": question.category,
            "accuracy_m": question.accuracy_m if rng.random() < 0.1 else None,  # takes long
            "id": rng.choice(names),
        }
        questions.append(Question(**(told | same)))
    questions += [
        Question(x=x, y=y, at=first, id="odd", crs=crs)
        for x, y, crs in [
            (0.0, 0.0, None), (-0.0, 1e-7, None), (181.0, 10.0, None), (1e16, -1e22, None),
            (39.9, 116.4, None), (116.0, 40.0, "EPSG:3857"), (1.0, 2.0, "nonsense"),
        ]
    ]  # fmt: skip
    return questions


def _body(questions: Sequence[Question]) -> bytes:
    return orjson.dumps(
        {
            "points": [
                {
                    "lon": one.x,
                    "lat": one.y,
                    **{
                        name: value
                        for name in ("crs", "at", "category", "accuracy_m", "id")
                        if (value := getattr(one, name)) is not None
                    },
                }
                for one in questions
            ]
        }
    )


def _one_by_one(answerer: Answerer, questions: Sequence[Question], *, is_stale: bool) -> bytes:
    answers = []
    for place, question in enumerate(questions):
        try:
            answers.append(answerer.answer_json(question, is_stale=is_stale))
        except GridsvcError as error:
            loc = ("body", "points", place)
            problem = problem_of(error, instance="/v1/responsible", loc=loc)
            answers.append(orjson.dumps({"id": question.id, "error": problem}))
    return b'{"revision":%d,"answers":[%b]}' % (answerer.snapshot.revision, b",".join(answers))


def _differences(answerer: Answerer, questions: Sequence[Question], **how: bool) -> list[Any]:
    """List answers that differ; once found, the same once more from what was kept."""
    wanted = _one_by_one(answerer, questions, **how)
    other = []
    for _ in range(2):
        told = batch_json(answerer, _body(questions), **how)
        assert told is not None
        if told != wanted:
            pairs = zip(
                questions, orjson.loads(told)["answers"], orjson.loads(wanted)["answers"],
                strict=True,
            )  # fmt: skip
            other += [three for three in pairs if three[1] != three[2]] or ["spelling"]
    return other


def test_a_batch_is_told_as_its_points_are(answerer: Answerer) -> None:
    assert _differences(answerer, _asked(answerer), is_stale=False) == []


def test_a_batch_of_one_kind_is_too(answerer: Answerer) -> None:
    at = datetime.now(UTC) + timedelta(days=1)
    same = {"crs": None, "category": None, "at": at, "accuracy_m": None}
    questions = _asked(answerer, **same)[:COUNT]
    assert _differences(answerer, questions, is_stale=True) == []


def test_a_batch_is_the_same_without_a_compiler(
    answerer: Answerer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_engine, "engine", lambda: lookup_numpy)
    plain = Answerer(answerer.snapshot)
    assert _differences(plain, _asked(answerer)[:200], is_stale=False) == []


def test_texts_are_not_kept_without_end(
    answerer: Answerer, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = [one for one in _asked(answerer) if not one.accuracy_m][:200]
    monkeypatch.setattr(kept_texts, "KEPT_KEYS", 50)
    small = Answerer(answerer.snapshot)
    assert _differences(small, questions, is_stale=False) == []
    kept = small.kept_texts()
    assert not kept.number_of


_LEFT = {
    "cut short": b'{"points":[',
    "number as text": b'{"points":[{"lon":"116.4","lat":39.9}]}',
    "no number": b'{"points":[{"lon":NaN,"lat":39.9}]}',
    "number missing": b'{"points":[{"lon":116.4}]}',
    "field too many": b'{"points":[{"lon":116.4,"lat":39.9,"x":1}]}',
    "empty text": b'{"points":[{"lon":116.4,"lat":39.9,"category":""}]}',
    "NUL": b'{"points":[{"lon":116.4,"lat":39.9,"category":"a\\u0000"}]}',
    "long text": b'{"points":[{"lon":116.4,"lat":39.9,"crs":"%b"}]}' % (b"x" * 201),
    "no time": b'{"points":[{"lon":116.4,"lat":39.9,"at":"2026-01-01"}]}',
    "past": b'{"points":[{"lon":116.4,"lat":39.9,"at":"1999-01-01T00:00Z"}]}',
    "too many": b'{"points":[%b]}' % b",".join([b'{"lon":116.4,"lat":39.9}'] * 10_001),
}


@pytest.mark.parametrize("body", _LEFT.values(), ids=_LEFT)
def test_what_is_wrong_or_past_is_left_to_the_route(answerer: Answerer, body: bytes) -> None:
    assert batch_json(answerer, body, is_stale=False) is None


def test_an_empty_batch_has_no_answers(answerer: Answerer) -> None:
    told = batch_json(answerer, b'{"points":[]}', is_stale=False)
    assert told is not None
    assert orjson.loads(told)["answers"] == []


def test_whole_numbers_are_coordinates_too(answerer: Answerer) -> None:
    at = datetime.now(UTC) + timedelta(days=1)
    question = Question(x=116.0, y=40.0, at=at)
    body = b'{"points":[{"lon":116,"lat":40,"at":"%b"}]}' % at.isoformat().encode()
    told = batch_json(answerer, body, is_stale=False)
    assert told == _one_by_one(answerer, [question], is_stale=False)
