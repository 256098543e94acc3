"""What benches measure is right: the made-up city's index, peers and SQL give the same answers."""

import numpy as np
import pytest
from rich.console import Console
from sqlalchemy import text
from sqlalchemy.orm import Session

from gridsvc.db import create_engine
from gridsvc.routing.index import AreaIndex
from gridsvc.routing.router import Question, answer
from tests.bench.city_copy import copy_city
from tests.bench.made_up_city import make
from tests.db_fixtures import MakeDatabase
from tools.bench.changes import publishes
from tools.bench.contestants import Prepared, geopandas_join
from tools.bench.ground import HOLDERS, Ground
from tools.bench.page import machine, section
from tools.bench.throughput import all_layers
from tools.equality import holds, judge


@pytest.fixture(scope="module")
def ground(make_database: MakeDatabase) -> Ground:
    url = make_database()
    copy_city(url, make(2_000))
    return Ground.read("made-up", url)


@pytest.fixture(scope="module")
def prepared(ground: Ground) -> Prepared:
    return Prepared.of(ground, AreaIndex.build(ground.ids, ground.boundaries))


def test_the_index_and_a_spatial_join_do_the_same_work(prepared: Prepared) -> None:
    lon, lat = prepared.ground.points(20_000)
    mine = prepared.ask(lon, lat)
    peer = geopandas_join(prepared.ground).ask(lon, lat)
    assert (mine.owners >= 0).mean(axis=1).min() > 0  # every layer is met
    assert np.array_equal(mine.owners, peer.owners)
    assert np.array_equal(mine.parties, peer.parties)


def test_ladders_of_the_bench_name_whom_sql_names(prepared: Prepared) -> None:
    ground = prepared.ground
    lon, lat = ground.points(40, seed=3)
    parties = prepared.ask(lon, lat).parties
    engine = create_engine(ground.url)
    with Session(engine) as session:
        codes: dict[str, int] = {}
        for row in session.execute(text(HOLDERS)):
            codes.setdefault(row.party_code, len(codes))
        for n in np.flatnonzero(parties[1] >= 0):
            told = answer(session, Question(x=lon[n], y=lat[n]))
            named = [
                told["responsible"],
                told["management"],
                told["enforcement"]["lead"],
                told["enforcement"]["assistant"],
                told["supervisor"],
            ]
            assert [codes[one["party"]["code"]] for one in named] == parties[:, n].tolist()
    engine.dispose()


def test_nobody_is_wrong_about_points_anywhere_and_on_edges(ground: Ground) -> None:
    tally = judge(ground, points=20_000, torture=20_000, sql=400, console=Console(quiet=True))
    assert tally.points == {"random": 20_000, "torture": 20_000, "put to SQL too": 400}
    assert not tally.wrong["index"]


def test_the_judge_knows_corners_edges_and_holes(ground: Ground) -> None:
    yard = next(
        shape
        for shape in ground.tables["courtyard"].geometry
        if any(part.interiors for part in shape.geoms)
    )
    (part,) = yard.geoms
    corner = part.interiors[0].coords[0]
    assert holds(yard, *corner)
    middle = part.interiors[0].centroid
    assert not holds(yard, middle.x, middle.y)


def test_publishes_are_taken_up_and_a_run_can_be_shown(ground: Ground) -> None:
    run = {
        "day": "2026-01-01",
        "machine": machine(),
        "cities": [all_layers(ground, 2_000, 1, lambda _: None)],
        "workers": {"one": 1.0, "two": 1.8, "ratio": 1.8},
        "growth_areas": [
            {"areas": 1, "points_s": 1.0, "built_s": 1.0, "opened_s": 1.0, "bytes": 1,
             "combinations": 1, "cell_m": 8.0},
        ],
        "growth_points": [{"points": 1, "points_s": 1.0, "peak_bytes": 1}],
        "changes": publishes(ground, 2, lambda _: None),
        "http": {"bytes": 1, "connections": 16, "servers": [], "share_of_bare": 0.7,
                 "times_sql": 9.0},
    }  # fmt: skip
    assert run["changes"]["publishes"] == 2
    city = run["cities"][0]
    assert {one["differences"] for one in city["contestants"]} == {0}
    assert "GeoPandas" in section(run)
