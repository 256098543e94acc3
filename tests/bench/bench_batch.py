"""Points a second of `POST /v1/responsible` on one core, from body to body, in the made-up city.

What HTTP adds is not in it. Figures are printed; none decides the test.
"""

import statistics
import time

import numpy as np
import orjson
from sqlalchemy.orm import Session

from gridsvc.api.batches import batch_json
from gridsvc.api.responsible import MAX_POINTS
from gridsvc.crs import Floats
from gridsvc.db import create_engine
from gridsvc.routing.answering import Answerer
from gridsvc.routing.reasons import Mask
from gridsvc.routing.router import Question
from gridsvc.routing.snapshot import Snapshot
from tests.bench.city_copy import copy_city
from tests.bench.made_up_city import make
from tests.db_fixtures import MakeDatabase

BATCHES = 8
TURNS = 5
ONE_BY_ONE = 2000


def test_batches_in_the_made_up_city(make_database: MakeDatabase) -> None:
    city = make()
    url = make_database()
    copy_city(url, city)
    engine = create_engine(url)
    with Session(engine) as session:
        answerer = Answerer(Snapshot.load(session.connection()))
    engine.dispose()
    lon, lat = city.points(BATCHES * MAX_POINTS)
    print()
    _measure("as reports come, with those outside", answerer, lon, lat)
    inside = _answered(answerer, lon, lat)
    _measure("all inside", answerer, lon[inside], lat[inside])
    begun = time.process_time()
    for x, y in zip(lon[inside][:ONE_BY_ONE], lat[inside][:ONE_BY_ONE], strict=True):
        answerer.answer_json(Question(x=float(x), y=float(y)))
    print(f"one by one: {ONE_BY_ONE / (time.process_time() - begun):,.0f} points/s")


def _answered(answerer: Answerer, lon: Floats, lat: Floats) -> Mask:
    """Tell which points lie in the city."""
    inside = np.ones(len(lon), bool)
    for start in range(0, len(lon), MAX_POINTS):
        some = slice(start, start + MAX_POINTS)
        told = batch_json(answerer, _body(lon[some], lat[some]), is_stale=False)
        assert told is not None
        inside[some] = ["error" not in one for one in orjson.loads(told)["answers"]]
    return inside


def _body(lon: Floats, lat: Floats) -> bytes:
    points = [
        {"id": f"report-{n}", "lon": x, "lat": y}
        for n, (x, y) in enumerate(zip(lon.tolist(), lat.tolist(), strict=True))
    ]
    return orjson.dumps({"points": points})


def _measure(what: str, answerer: Answerer, lon: Floats, lat: Floats) -> None:
    batches = np.array_split(np.arange(len(lon)), BATCHES)
    bodies = [_body(lon[batch], lat[batch]) for batch in batches]
    seconds, size = [], 0
    for _ in range(TURNS):
        for body in bodies:
            begun = time.process_time()
            told = batch_json(answerer, body, is_stale=False)
            seconds.append(time.process_time() - begun)
            assert told is not None
            size += len(told)
    a_batch = len(lon) / BATCHES
    print(
        f"{what}: {a_batch / statistics.median(seconds[BATCHES:]):,.0f} points/s, "
        f"at first {a_batch / statistics.median(seconds[:BATCHES]):,.0f}; "
        f"{size / TURNS / len(lon):,.0f} bytes an answer"
    )
