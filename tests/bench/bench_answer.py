"""What one answer costs over HTTP with the SQL engine, in a city of 100,000 areas.

The peer is the least that any service would ask PostGIS: which polygon of one layer covers the
point, by GiST. Figures are printed; none decides the test.
"""

import itertools
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx2 as httpx
import numpy as np
import pytest
import shapely
import uvicorn
from geopandas import GeoDataFrame
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.orm import Session

from gridsvc.api.app import create_app
from gridsvc.crs import Crs, to_wgs84
from gridsvc.db import create_engine
from gridsvc.grids.boundary_files import BoundaryFile
from gridsvc.grids.changesets import open_change_set, publish
from gridsvc.grids.importing import ImportOptions, import_areas
from gridsvc.grids.people import import_people
from gridsvc.grids.people_files import AssignmentRow, PartyRow, PeopleFile
from gridsvc.grids.scheme_store import load_scheme
from gridsvc.grids.schemes import parse_scheme
from gridsvc.grids.terms import Duty
from gridsvc.grids.weekhours import ALWAYS
from gridsvc.settings import Settings
from tests.db_fixtures import MakeDatabase
from tests.small_city import SCHEMES

SIDE = 316  # 99,856 unit grids
CELL_M = 80.0
ORIGIN_M = (440_000.0, 4_405_000.0)
STORAGE = "EPSG:4548"
DUTY_LAYER = {
    Duty.RESPONSIBILITY: "unit",
    Duty.MANAGEMENT: "community",
    Duty.ENFORCEMENT: "street",
    Duty.SUPERVISION: "street",
}
BLOCK = {"unit": 1, "community": 10, "street": 79, "district": SIDE}
REQUESTS = 600

SCHEME = f"""
code = "bench"
title = {{ en = "Bench" }}
time_zone = "Asia/Shanghai"
storage_crs = "{STORAGE}"
input_crs = ["EPSG:4326", "{STORAGE}"]
extent = {{ west = 116.0, south = 39.5, east = 117.0, north = 40.3 }}
{
    "".join(
        f'''
[[layer]]
code = "{layer}"
title = {{ en = "{layer}" }}
kind = "tiling"
'''
        for layer in reversed(BLOCK)
    )
}
[[role]]
code = "chief"
title = {{ en = "Chief" }}
{
    "".join(
        f'''
[[ladder]]
duty = "{duty}"
layers = {[layer for layer in BLOCK if BLOCK[layer] >= BLOCK[first]]!r}
'''
        for duty, first in DUTY_LAYER.items()
    )
}
[[escalation]]
duty = "management"
layer = "street"
within = "PT8H"
"""


@pytest.fixture(scope="module")
def city_url(make_database: MakeDatabase) -> str:
    """A jittered grid of units; communities, streets and the district are blocks of it."""
    url = make_database()
    engine = create_engine(url)
    scheme = parse_scheme(SCHEME, source="bench", base=SCHEMES)
    started = time.perf_counter()
    with Session(engine) as session, session.begin():
        load_scheme(session, scheme)
        change_set = open_change_set(session, name="bench")
        for layer in reversed(BLOCK):
            import_areas(
                session,
                scheme,
                BoundaryFile("bench", _blocks(BLOCK[layer]), Crs(STORAGE)),
                ImportOptions(layer=layer, code="code"),
                change_set=change_set,
            )
        import_people(session, scheme, _people(), change_set=change_set)
        publish(session, change_set, findings=[])
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
        count = connection.scalar(text("SELECT count(*) FROM gridsvc.area"))
    engine.dispose()
    took_s = time.perf_counter() - started
    print(f"\nimported, checked and published {count:,} areas: {took_s:.0f} s")
    return url


def _blocks(side: int) -> GeoDataFrame:
    rng = np.random.default_rng(7)
    grid = np.stack(np.meshgrid(np.arange(SIDE + 1.0), np.arange(SIDE + 1.0)), axis=-1) * CELL_M
    inner = rng.uniform(-0.3, 0.3, grid.shape) * CELL_M
    nodes = np.round(grid + inner + ORIGIN_M, 3)
    steps = [*range(0, SIDE, side), SIDE]
    codes, polygons = [], []
    for south, north in itertools.pairwise(steps):
        for west, east in itertools.pairwise(steps):
            ring = [
                *nodes[south, west:east],
                *nodes[south:north, east],
                *nodes[north, east:west:-1],
                *nodes[north:south:-1, west],
            ]
            codes.append(f"{south:03}{west:03}")
            polygons.append(shapely.Polygon(ring))
    return GeoDataFrame({"code": codes}, geometry=polygons, crs=STORAGE)


def _people() -> PeopleFile:
    rows = [
        AssignmentRow(0, f"P-{code}", layer, code, duty, "chief", 1, None, ALWAYS, None, None)
        for duty, layer in DUTY_LAYER.items()
        for code in _blocks(BLOCK[layer])["code"]
    ]
    parties = {row.party_code: PartyRow(row.party_code, "张三", "person", None) for row in rows}
    return PeopleFile("bench", tuple(parties.values()), tuple(rows))


@contextmanager
def _serving(url: str) -> Iterator[httpx.Client]:
    settings = Settings(database_url=SecretStr(url), api_keys_required=False)
    server = uvicorn.Server(uvicorn.Config(create_app(settings), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        yield client
    server.should_exit = True
    thread.join()


def test_single_answers_in_a_city_of_100_000_areas(city_url: str) -> None:
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
    with _serving(city_url) as client, engine.connect() as connection:

        def ours(n: int) -> str:
            reply = client.get("/v1/responsible", params={"lon": lon[n], "lat": lat[n]})
            code: str = reply.raise_for_status().json()["areas"]["unit"]["code"]
            return code

        def peer(n: int) -> str:
            code: str = connection.execute(cover, {"lon": lon[n], "lat": lat[n]}).scalar_one()
            return code

        assert [ours(n) for n in range(50)] == [peer(n) for n in range(50)]
        timed = [(_ms(ours, n), _ms(peer, n)) for n in range(REQUESTS)]
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
