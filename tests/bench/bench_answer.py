"""What one answer costs over HTTP with the SQL engine, in a city of 100,000 areas.

The peer is the least that any service would ask PostGIS: which polygon of one layer covers the
point, by GiST. Figures are printed; none decides the test.
"""

import statistics
import time
from collections.abc import Callable

import httpx2 as httpx
import numpy as np
from sqlalchemy import text

from gridsvc.crs import to_wgs84
from gridsvc.db import create_engine
from tests.bench.grid_city import CELL_M, ORIGIN_M, SIDE, STORAGE
from tests.serving import Serve

REQUESTS = 600


def test_single_answers_in_a_city_of_100_000_areas(city_url: str, serve: Serve) -> None:
    rng = np.random.default_rng(11)
    span = SIDE * CELL_M
    x, y = rng.uniform(0.02 * span, 0.98 * span, (2, REQUESTS)) + np.array(ORIGIN_M)[:, None]
    lon, lat = to_wgs84(x, y, crs=STORAGE)
    engine = create_engine(city_url)
    cover = text(
        "SELECT code FROM gridsvc.area WHERE layer = 'unit' AND ST_Covers(boundary,"
        f" ST_Transform(ST_SetSRID(ST_MakePoint(:lon, :lat), 4326), {STORAGE[5:]}))"
    )
    with engine.begin() as connection:
        connection.execute(text("CREATE INDEX bench_idx ON gridsvc.area USING gist (boundary)"))
        connection.execute(text("ANALYZE gridsvc.area"))
    with httpx.Client(base_url=serve(city_url)) as client, engine.connect() as connection:

        def ours(n: int) -> str:
            reply = client.get("/v1/responsible", params={"lon": lon[n], "lat": lat[n]})
            code: str = reply.raise_for_status().json()["areas"]["unit"]["code"]
            return code

        def peer(n: int) -> str:
            code: str = connection.execute(cover, {"lon": lon[n], "lat": lat[n]}).scalar_one()
            return code

        assert [ours(n) for n in range(50)] == [peer(n) for n in range(50)]
        timed = [(_ms(ours, n), _ms(peer, n)) for n in range(REQUESTS)]
    with engine.begin() as connection:
        connection.execute(text("DROP INDEX gridsvc.bench_idx"))
    engine.dispose()
    answers, covers = zip(*timed, strict=True)
    ratio = statistics.median(a / b for a, b in timed)
    print(
        f"one answer over HTTP: median {statistics.median(answers):.1f} ms, "
        f"p95 {np.percentile(answers, 95):.1f} ms; "
        f"one ST_Covers: median {statistics.median(covers):.2f} ms; ratio {ratio:.1f}"
    )


def _ms(call: Callable[[int], str], n: int) -> float:
    started = time.perf_counter()
    call(n)
    return (time.perf_counter() - started) * 1000
