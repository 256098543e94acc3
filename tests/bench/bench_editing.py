"""What planners' work costs in a city of 100,000 unit grids: reading, checking, publishing.

The peer of each figure is the least that PostGIS would do for it. Figures are printed; none decides
the test.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests import planning_city
from tests.db_fixtures import MakeDatabase
from tests.planning_city import Planning

SIDE = 316  # 99,856 unit grids
CELL_M = 100
BLOCK = 10  # units in a row of a community
CHANGED = (1, 10, 100)
READS = 200

# The town of the tests is replaced by a big one: straight into the tables, as nobody imports it.
CITY = """
DELETE FROM gridsvc.area_piece;
DELETE FROM gridsvc.assignment;
DELETE FROM gridsvc.area;
WITH cell AS (
    SELECT x, y, x / %(block)s AS bx, y / %(block)s AS by,
           ST_MakeEnvelope(x0 + x * c, y0 + y * c, x0 + (x + 1) * c, y0 + (y + 1) * c,
                           %(srid)s) AS g
    FROM generate_series(0, %(side)s - 1) AS x, generate_series(0, %(side)s - 1) AS y,
         (VALUES (%(cell)s, %(east)s, %(north)s)) AS o (c, x0, y0)
), community AS (
    -- A street holds sixteen columns of communities, of the thirty-two.
    SELECT bx, by, '110105' || lpad((bx / 16 + 1)::text, 3, '0')
               || lpad((bx %% 16 * 32 + by + 1)::text, 3, '0') AS code, ST_Union(g) AS g
    FROM cell GROUP BY bx, by
), made AS (
    SELECT 'unit' AS layer, k.code || lpad(
               ((c.x %% %(block)s) * %(block)s + c.y %% %(block)s + 1)::text, 3, '0') AS code, c.g
    FROM cell AS c JOIN community AS k USING (bx, by)
    UNION ALL SELECT 'community', code, g FROM community
    UNION ALL SELECT 'street', left(code, 9), ST_Union(g) FROM community GROUP BY left(code, 9)
    UNION ALL SELECT 'district', '110105', ST_Union(g) FROM community
)
INSERT INTO gridsvc.area (layer, code, boundary, valid_from, rev_from)
SELECT layer, code, ST_Multi(g), '2026-01-01', 1 FROM made ORDER BY layer, ST_GeoHash(
    ST_Transform(ST_Centroid(g), 4326));
INSERT INTO gridsvc.area_piece (area_id, piece)
SELECT a.id, (ST_Dump(ST_Subdivide(a.boundary, 128))).geom FROM gridsvc.area AS a;
"""


@pytest.fixture(scope="module")
def big(make_database: MakeDatabase) -> Iterator[Planning]:
    east, north = planning_city.at(0, 0)
    with planning_city.settled(make_database()) as town:
        with psycopg.connect(town.url, autocommit=True) as owner:
            owner.execute("SET session_replication_role = replica")
            _load(owner, east, north)
            owner.execute("VACUUM ANALYZE")
        yield town


def _load(owner: "psycopg.Connection[Any]", east: float, north: float) -> None:
    values = {
        "side": SIDE,
        "cell": CELL_M,
        "block": BLOCK,
        "east": round(east),
        "north": round(north),
        "srid": planning_city.SRID,
    }
    with psycopg.ClientCursor(owner) as cursor:
        cursor.execute(CITY, values)


def timed(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return (time.perf_counter() - begin) * 1000


def test_reading_a_box_of_the_edit_view(big: Planning) -> None:
    east, north = planning_city.at(0, 0)
    box = f"ST_MakeEnvelope(%s, %s, %s, %s, {planning_city.SRID})"
    queries = {
        "edit.unit, 1 km²": f"SELECT key, boundary FROM edit.unit WHERE boundary && {box}",
        "the bare table": "SELECT id, boundary FROM gridsvc.area"
        f" WHERE layer = 'unit' AND boundary && {box}",
    }
    with big.login("wang") as wang, psycopg.connect(big.url, autocommit=True) as owner:
        wang.execute("INSERT INTO edit.change_set (name) VALUES ('reading')")
        for (name, query), login in zip(queries.items(), (wang, owner), strict=True):
            times = []
            for n in range(READS):
                x, y = east + 137 * n % 30_000, north + 271 * n % 30_000
                at = [x, y, x + 1000, y + 1000]
                times.append(timed(lambda q=query, a=at, li=login: li.execute(q, a).fetchall()))
            print(
                f"\n{name}: median {statistics.median(times):.2f} ms, p99 {sorted(times)[-3]:.2f}"
            )


@pytest.mark.parametrize("changed", CHANGED)
def test_saving_checking_and_publishing(big: Planning, changed: int) -> None:
    """Moves the edge between pairs of neighbours, each in another place."""
    with big.login("wang") as wang, psycopg.connect(big.url, autocommit=True) as owner:
        name = f"{changed} pairs"
        wang.execute("INSERT INTO edit.change_set (name) VALUES (%s)", [name])
        codes = [
            row["code"]
            for row in wang.execute(
                "SELECT code FROM edit.unit WHERE right(code, 3) = '001' ORDER BY code LIMIT %s",
                [max(1, changed // 2)],
            )
        ]
        moved = """
            UPDATE edit.unit SET boundary = ST_Multi(ST_MakeEnvelope(
                ST_XMin(boundary), ST_YMin(boundary) + %s, ST_XMax(boundary),
                ST_YMax(boundary) + %s, 4547)) WHERE code = %s
        """

        def save(code: str) -> None:
            with wang.transaction():
                wang.execute(moved, [0, 10, code])
                if changed > 1:
                    wang.execute(moved, [10, 0, code[:-3] + "002"])

        one = timed(lambda: save(codes[0]))
        saves = timed(lambda: [save(code) for code in codes[1:]])
        number = owner.execute("SELECT max(id) FROM gridsvc.change_set").fetchone()
        checks = [
            timed(
                lambda: owner.execute(
                    "SELECT count(*) FROM gridsvc.find_problems(%s)", number
                ).fetchall()
            )
            for _ in range(5)
        ]
        with owner.transaction():
            owner.execute("SELECT count(*) FROM gridsvc.find_problems(%s)", number)
            judged = owner.execute(
                "SELECT count(*) FILTER (WHERE changed),"
                " count(*) FILTER (WHERE layer = 'unit') FROM pg_temp.draft"
            ).fetchone()
        check = statistics.median(checks)
        publish = (
            timed(
                lambda: wang.execute(
                    "UPDATE edit.change_set SET action = 'publish' WHERE name = %s", [name]
                )
            )
            if changed > 1
            else float("nan")
        )
        print(
            f"\n{changed} changed: first save {one:.0f} ms, the others {saves:.0f} ms; a check"
            f" {check:.0f} ms ({check / changed:.1f} ms a changed unit; work table {judged});"
            f" publish {publish:.0f} ms"
        )


def test_checking_everything(big: Planning) -> None:
    with psycopg.connect(big.url, autocommit=True) as owner:
        peer = timed(
            lambda: owner.execute(
                "SELECT count(*) FROM gridsvc.area AS a JOIN gridsvc.area AS b ON a.layer = b.layer"
                " AND a.id < b.id AND a.boundary && b.boundary"
                " WHERE a.layer = 'unit' AND a.rev_to IS NULL AND b.rev_to IS NULL"
                " AND ST_Relate(a.boundary, b.boundary, '2********')"
            ).fetchall()
        )
        begin = time.perf_counter()
        found = owner.execute("SELECT count(*) FROM gridsvc.find_problems(NULL)").fetchone()
        took_s = time.perf_counter() - begin
        pid = owner.info.backend_pid
        peak = next(
            line.split()[1]
            for line in Path(f"/proc/{pid}/status").read_text().splitlines()
            if line.startswith("VmHWM")
        )
    print(
        f"\nall of {SIDE * SIDE} units: {took_s:.1f} s, {found} findings, the server's process at"
        f" most {int(peak) / 1024:.0f} MiB; the pairwise overlap alone: {peer / 1000:.1f} s"
    )
