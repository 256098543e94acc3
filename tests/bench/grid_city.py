"""A city of 100,000 areas for what is measured: a jittered grid, and blocks of it above."""

import itertools
import time

import numpy as np
import shapely
from geopandas import GeoDataFrame
from sqlalchemy import text
from sqlalchemy.orm import Session

from gridsvc.crs import Crs
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


def build(url: str) -> None:
    """Fill a database: units; communities, streets and the district are blocks of them."""
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
