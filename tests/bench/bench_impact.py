"""What a preview costs in a city of 100,000 units with 200,000 reports in 90 days.

The peer is asking every report of the ground concerned twice, before and after, one by one. Figures
are printed; none decides the test.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from gridsvc.db import create_engine
from gridsvc.grids.scheme_store import load_scheme
from gridsvc.grids.schemes import parse_scheme
from gridsvc.routing.router import Question, answer_many
from tests.db_fixtures import MakeDatabase
from tests.small_city import SCHEMES

SIDE = 316  # 99,856 unit grids
CELL_M = 80
ORIGIN_M = (440_000, 4_405_000)
STORAGE = "EPSG:4548"
BLOCK = {"unit": 1, "community": 10, "street": 79, "district": SIDE}
REPORTS = 200_000
SAMPLE = 300
LADDERS = {
    "responsibility": ("unit", "community", "street", "district"),
    "management": ("community", "street", "district"),
    "enforcement": ("street", "district"),
    "supervision": ("unit", "district"),
}
HELD = (
    ("unit", "responsibility", 1),
    ("unit", "supervision", 1),
    ("community", "management", 1),
    ("street", "enforcement", 1),
    ("street", "enforcement", 2),
    ("district", "responsibility", 1),
)

SCHEME = (
    f"""
code = "bench"
title = {{ en = "Bench" }}
time_zone = "Asia/Shanghai"
storage_crs = "{STORAGE}"
input_crs = ["EPSG:4326", "{STORAGE}"]
extent = {{ west = 116.0, south = 39.5, east = 117.0, north = 40.3 }}
categories = "../categories/gbt30428.csv"

[calendar]
working_hours = ["mon-fri 09:00-18:00"]

[[role]]
code = "chief"
title = {{ en = "Chief" }}
"""
    + "".join(
        f"""
[[layer]]
code = "{layer}"
title = {{ en = "{layer}" }}
kind = "tiling"
{f'parent = "{parent}"' if parent else ""}
"""
        for layer, parent in (
            ("district", ""),
            ("street", "district"),
            ("community", "street"),
            ("unit", "community"),
        )
    )
    + "".join(
        f"""
[[ladder]]
duty = "{duty}"
layers = {list(layers)!r}
"""
        for duty, layers in LADDERS.items()
    )
)

# Cells of `block` units a side; a unit of row r and column c is called u-r-c.
AREAS = """
INSERT INTO gridsvc.area_edit (change_set_id, layer, code, boundary, valid_from)
SELECT :change_set, :layer, :layer || '-' || r || '-' || c,
       ST_Multi(ST_MakeEnvelope(
           :east + c * :step, :north + r * :step,
           :east + least((c + 1) * :step, :width), :north + least((r + 1) * :step, :width), 4548)),
       '2026-01-01Z'
FROM generate_series(0, :count - 1) AS r, generate_series(0, :count - 1) AS c
"""
PEOPLE = """
INSERT INTO gridsvc.assignment_edit
    (change_set_id, party_code, layer, area_code, duty, role, rank, hours, valid_from)
SELECT :change_set, 'P' || (row_number() OVER ()) % 5000, :layer, e.code, :duty, 'chief', :rank,
       '{[0,10080)}', '2026-01-01Z'
FROM gridsvc.area_edit AS e WHERE e.change_set_id = :change_set AND e.layer = :layer
"""
# Half of them in the middle, where the change sets are.
FILED = """
INSERT INTO gridsvc.report (source, source_id, lon, lat, point, category, received_at)
SELECT 'bench', n::text, 116.5, 39.9,
       ST_SetSRID(ST_MakePoint(
           :east + CASE n % 2 WHEN 0 THEN random() * :width ELSE (100 + random() * 10) * :cell END,
           :north + CASE n % 2 WHEN 0 THEN random() * :width ELSE (100 + random() * 10) * :cell END
       ), 4548),
       (ARRAY['0101', '0102', '0201', '0301', '0401', NULL])[1 + n % 6],
       now() - random() * interval '89 days'
FROM generate_series(1, :reports) AS n
"""
# The edge between two columns, moved by 10 m, in 100 units of the middle.
MOVED = """
INSERT INTO gridsvc.area_edit (change_set_id, layer, code, boundary, valid_from, replaces)
SELECT :change_set, 'unit', a.code,
       ST_Multi(ST_MakeEnvelope(
           ST_XMin(a.boundary) + CASE WHEN c % 2 = 1 THEN 10 ELSE 0 END, ST_YMin(a.boundary),
           ST_XMax(a.boundary) + CASE WHEN c % 2 = 0 THEN 10 ELSE 0 END, ST_YMax(a.boundary),
           4548)), '2026-01-01Z', a.id
FROM generate_series(100, 109) AS r, generate_series(100, 109) AS c
JOIN gridsvc.area AS a ON true
WHERE a.layer = 'unit' AND a.code = 'unit-' || r || '-' || c
"""
HANDED = """
INSERT INTO gridsvc.assignment_edit
    (change_set_id, replaces, party_code, layer, area_code, duty, role, rank, hours, valid_from)
SELECT :change_set, s.id, 'P1', s.layer, s.area_code, s.duty, s.role, s.rank, s.hours, s.valid_from
FROM gridsvc.assignment AS s
WHERE s.layer = :layer AND s.duty = :duty AND s.rev_to IS NULL
  AND s.area_code = ANY(ARRAY(SELECT a.code FROM gridsvc.area AS a
                              WHERE a.layer = :layer AND a.boundary && ST_MakeEnvelope(
                                  :east + 100.5 * :cell, :north + 100.5 * :cell,
                                  :east + 109.5 * :cell, :north + 109.5 * :cell, 4548)))
"""
EXTENT = {
    "east": ORIGIN_M[0],
    "north": ORIGIN_M[1],
    "width": SIDE * CELL_M,
    "cell": CELL_M,
}


@pytest.fixture(scope="module")
def city(make_database: MakeDatabase) -> Iterator[Engine]:
    """The city, its people and its reports."""
    engine = create_engine(make_database())
    with Session(engine) as session, session.begin():
        load_scheme(session, parse_scheme(SCHEME, source="bench", base=SCHEMES))
        change_set = opened(session, "founding")
        for layer, block in BLOCK.items():
            session.execute(
                text(AREAS),
                EXTENT
                | {
                    "change_set": change_set,
                    "layer": layer,
                    "step": block * CELL_M,
                    "count": -(-SIDE // block),
                },
            )
        session.execute(
            text("""
                INSERT INTO gridsvc.party_edit (change_set_id, code, name, kind)
                SELECT :id, 'P' || n, 'P' || n, 'body' FROM generate_series(0, 4999) AS n
            """),
            {"id": change_set},
        )
        for layer, duty, rank in HELD:
            session.execute(
                text(PEOPLE),
                {"change_set": change_set, "layer": layer, "duty": duty, "rank": rank},
            )
        session.execute(text("SELECT gridsvc.publish(:id, true, true)"), {"id": change_set})
        session.execute(text(FILED), EXTENT | {"reports": REPORTS})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    yield engine
    engine.dispose()


def opened(session: Session, name: str) -> int:
    """Open a change set; gives its id."""
    return session.execute(
        text("""
            INSERT INTO gridsvc.change_set (name, base_revision)
            VALUES (:name, gridsvc.draft_base(NULL)) RETURNING id
        """),
        {"name": name},
    ).scalar_one()


CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "edges of 100 units moved by 10 m": (MOVED, {}),
    "100 units handed over": (HANDED, {"layer": "unit", "duty": "responsibility"}),
    "4 communities handed over": (HANDED, {"layer": "community", "duty": "management"}),
    "a street handed over": (HANDED, {"layer": "street", "duty": "enforcement"}),
}


@pytest.mark.parametrize("name", CASES)
def test_a_preview_against_asking_every_report_twice(city: Engine, name: str) -> None:
    statement, parameters = CASES[name]
    with Session(city) as session:
        change_set = opened(session, name)
        used = text(statement)
        session.execute(
            used,
            {
                key: value
                for key, value in (EXTENT | parameters | {"change_set": change_set}).items()
                if key in used.compile().params
            },
        )
        begun = time.perf_counter()
        checked = session.scalar(
            text("SELECT count(*) FROM gridsvc.find_problems(:id)"), {"id": change_set}
        )
        checking_s = time.perf_counter() - begun
        begun = time.perf_counter()
        told = session.execute(
            text("SELECT * FROM gridsvc.preview_impact(:id)"), {"id": change_set}
        ).one()
        took_s = time.perf_counter() - begun
        points = session.execute(
            text("""
                SELECT ST_X(point) AS x, ST_Y(point) AS y, category FROM replay_report
                ORDER BY random() LIMIT :sample
            """),
            {"sample": SAMPLE},
        ).all()
        begun = time.perf_counter()
        answer_many(
            session,
            [Question(x=one.x, y=one.y, crs=STORAGE, category=one.category) for one in points],
        )
        each_s = (time.perf_counter() - begun) / len(points)
        session.rollback()
    twice_s = 2 * each_s * told.compared
    print(
        f"\n{name}: {took_s:.2f} s, of which checks {checking_s:.2f} s ({checked} findings);"
        f" {told.compared:,} of {told.reports:,} reports asked, {told.moved:,} would move:"
        f" {1000 * (took_s - checking_s) / max(told.compared, 1):.3f} ms a report; asking each"
        f" twice at {1000 * each_s:.1f} ms an answer: {twice_s:.0f} s,"
        f" {twice_s / took_s:.0f} times as long"
    )
