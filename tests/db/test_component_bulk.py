"""Files are answered for components as single questions are."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from gridsvc.db import create_engine
from gridsvc.grids.scheme_store import load_scheme
from gridsvc.routing.bulk import locate_file
from gridsvc.routing.router import Question, answer_many
from tests import small_city
from tests.db.test_component_answers import RULES, TIER, register
from tests.db_fixtures import MakeDatabase
from tests.factories import EAST_M, NORTH_M, STORAGE, make_scheme


@pytest.fixture
def town(make_database: MakeDatabase) -> Iterator[Engine]:
    engine = create_engine(make_database())
    rng = np.random.default_rng(5)
    with Session(engine) as session, session.begin():
        small_city.found(session)
        load_scheme(session, make_scheme(extra=TIER + RULES))
        register(
            session,
            ("E1", "GAS", 500, 500),
            ("E2", "WATER", 510, 500),
            *(
                (f"R{n}", str(rng.choice(["GAS", "WATER"])), *rng.uniform(600, 800, 2).tolist())
                for n in range(200)
            ),
        )
    yield engine
    engine.dispose()


def test_a_file_has_the_owners_that_single_questions_have(town: Engine, tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    # Exactly on within_m, equally far from two, and at random.
    points = [(485.0, 500.0), (525.0, 500.0), (505.0, 500.0)]
    points += [tuple(xy) for xy in rng.uniform(590, 810, (300, 2)).round(3).tolist()]
    kinds = ["C0101", "C0101", "C0101", *rng.choice(["C0101", "C0102", "0101", ""], 300).tolist()]
    given = tmp_path / "in.csv"
    with given.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("x", "y", "kind"))
        for (x, y), kind in zip(points, kinds, strict=True):
            writer.writerow((EAST_M + x, NORTH_M + y, kind))
    locate_file(town, given, tmp_path / "out.csv", lon="x", lat="y", crs=STORAGE, category="kind")
    with (tmp_path / "out.csv").open() as file:
        got = [row["responsible"] for row in csv.DictReader(file)]
    with Session(town) as session:
        _, told = answer_many(
            session,
            [
                Question(x=EAST_M + x, y=NORTH_M + y, crs=STORAGE, category=kind or None)
                for (x, y), kind in zip(points, kinds, strict=True)
            ],
        )
    assert got == [one["responsible"]["party"]["code"] for one in told]
    assert got[:3] == ["GAS", "WATER", "B1"]
    assert {one["tier"] for one in told} == {None, "ownership_unclear"}
