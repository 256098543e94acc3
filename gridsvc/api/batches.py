"""Batches of look-ups answered from memory: body in, body out, at a twentieth of the usual cost.

Only what the model `gridsvc.api.responsible.Batch` takes without a word is read here, and stricter:
numbers written as texts, for example, are left to it, as is everything that is wrong.
"""

from datetime import datetime
from typing import Annotated

import msgspec
import numpy as np
import orjson

from gridsvc.api.fields import read_instant
from gridsvc.api.problems import problem_of
from gridsvc.api.responsible import MAX_POINTS, PATH
from gridsvc.errors import GridsvcError
from gridsvc.routing.answering import Answerer, NotHeld
from gridsvc.routing.batch_answers import Questions, answers_json

_TEXT_MAX = 200

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=_TEXT_MAX)]


class _Point(msgspec.Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    """See `gridsvc.api.responsible.BatchPoint`."""

    lon: float
    lat: float
    crs: _Text | None = None
    category: _Text | None = None
    at: str | None = None
    accuracy_m: float | None = None
    id: Annotated[str, msgspec.Meta(max_length=_TEXT_MAX)] | None = None


class _Batch(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    points: Annotated[list[_Point], msgspec.Meta(max_length=MAX_POINTS)]


_decode = msgspec.json.Decoder(_Batch).decode


def batch_json(answerer: Answerer, body: bytes, *, is_stale: bool) -> memoryview | None:
    """Answer the body of a batch.

    Args:
        answerer: Answers; names and phones are masked.
        body: JSON.
        is_stale: Say that there may be a newer revision.

    Returns:
        The body of the answer; None where the route is to judge the input or the database to
        answer.
    """
    try:
        points = _decode(body).points
        instants: dict[str | None, datetime | None] = {
            text: None if text is None else read_instant(text)
            for text in {one.at for one in points}
        }
    except (msgspec.MsgspecError, ValueError):
        return None
    categories = [one.category for one in points]
    systems = [one.crs for one in points]
    if any("\0" in (text or "") for text in {*categories, *systems}):
        return None
    ids = [one.id for one in points]

    def failed(place: int, error: GridsvcError) -> bytes:
        problem = problem_of(error, instance=PATH, loc=("body", "points", place))
        return orjson.dumps({"id": ids[place], "error": problem}, option=orjson.OPT_SERIALIZE_NUMPY)

    questions = Questions(
        x=np.array([one.lon for one in points], np.float64),
        y=np.array([one.lat for one in points], np.float64),
        crs=systems,
        at=[instants[one.at] for one in points],
        category=categories,
        accuracy_m=[one.accuracy_m for one in points],
        id=ids,
    )
    try:
        return answers_json(answerer, questions, is_stale=is_stale, failed=failed)
    except NotHeld:
        return None
