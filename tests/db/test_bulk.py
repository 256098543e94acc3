"""Files answer as single questions do: point by point, at edges, in time, for each category."""

import csv
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from geoalchemy2.shape import from_shape
from sqlalchemy import Engine, insert, select, text
from sqlalchemy.orm import Session

from gridsvc.crs import convert
from gridsvc.db import create_engine, sql
from gridsvc.errors import (
    CrsNotAccepted,
    GridsvcError,
    OutsideServiceArea,
    TableError,
    UnknownCrs,
)
from gridsvc.grids.boundary_files import read_boundaries
from gridsvc.grids.changesets import open_change_set, publish
from gridsvc.grids.importing import ImportOptions, import_areas
from gridsvc.grids.models import AreaEdit, Assignment, AssignmentEdit, ChangeSet
from gridsvc.grids.scheme_store import current_scheme, load_scheme
from gridsvc.grids.schemes import read_scheme
from gridsvc.grids.weekhours import parse_week_hours, week_hours_to_range
from gridsvc.routing.bulk import BulkSummary, locate_file
from gridsvc.routing.kept_snapshots import keep
from gridsvc.routing.router import Question, answer_many
from gridsvc.routing.snapshot import Snapshot
from tests import small_city
from tests.db_fixtures import MakeDatabase
from tests.factories import (
    FOUNDED_AT,
    box,
    make_scheme,
    new_change_set,
    propose_absence,
    propose_area,
    propose_holder,
    propose_party,
)
from tests.small_city import _ORIGIN, SRID, place

STORAGE = f"EPSG:{SRID}"
HANDED_OVER_AT = datetime(2026, 6, 1, tzinfo=UTC)


def _polygon(*corners: tuple[float, float]) -> shapely.MultiPolygon:
    moved = [(_ORIGIN[0] + east_m, _ORIGIN[1] + north_m) for east_m, north_m in corners]
    return shapely.MultiPolygon([shapely.Polygon(moved)])


def _snapped(xy: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.rint(xy / 0.001) * 0.001  # as PostGIS snaps


# Slanted edges, shared by two, on the millimetre grid: where fast point-in-polygon tests err.
SLANTED = {
    "C/2": _polygon((400, 400), (700, 433.333), (651.017, 700)),
    "C/3": _polygon((400, 400), (651.017, 700), (413.7, 688.1)),
    # Over the street's edge, with a hole's worth of bends.
    "C/4": _polygon(
        *(
            (1000 + r * np.cos(t), 600 + r * np.sin(t))
            for t, r in zip(
                np.linspace(0, 2 * np.pi, 400, endpoint=False),
                np.tile([150.0, 140.0], 200),
                strict=True,
            )
        )
    ),
}


@pytest.fixture(scope="module")
def town(make_database: MakeDatabase) -> Iterator[Engine]:
    """The small city with slanted courtyards, a hand-over, shifts and specialists."""
    engine = create_engine(make_database())
    with Session(engine) as session, session.begin():
        small_city.found(session)
        change_set = open_change_set(session, name="slanted")
        session.execute(
            insert(AreaEdit),
            [
                {
                    "change_set_id": change_set.id,
                    "layer": "courtyard",
                    "code": code,
                    "boundary": from_shape(shapely.transform(shape, _snapped), srid=SRID),
                    "valid_from": small_city.FOUNDED_AT,
                }
                for code, shape in SLANTED.items()
            ],
        )
        chief = session.scalars(select(Assignment).where(Assignment.area_code == "C/1")).one()
        held: list[dict[str, Any]] = [
            _held("P1", "C/1", to=HANDED_OVER_AT, replaces=chief.id),
            _held("P2", "C/1", since=HANDED_OVER_AT),
            _held("P2", "C/2", hours="mon-sun 08:00-20:00"),
            _held("P3", "C/2", hours="mon-sun 20:00-08:00"),
            _held("P1", "C/3", category="01"),
            _held("P2", "C/3", category="0102"),
            _held("P3", "C/3", hours="sat,sun 00:00-24:00"),
            _held("P3", "B", layer="shop_front", category="02"),
        ]
        session.execute(
            insert(AssignmentEdit), [{"change_set_id": change_set.id} | one for one in held]
        )
        publish(session, change_set)
    yield engine
    engine.dispose()


def _held(
    party: str,
    area: str,
    *,
    layer: str = "courtyard",
    hours: str = "",
    category: str | None = None,
    since: datetime = small_city.FOUNDED_AT,
    to: datetime | None = None,
    replaces: int | None = None,
) -> dict[str, Any]:
    return {
        "party_code": party,
        "layer": layer,
        "area_code": area,
        "duty": "responsibility",
        "role": "chief",
        "rank": 1,
        "category": category,
        "hours": week_hours_to_range(parse_week_hours(hours)),
        "valid_from": since,
        "valid_to": to,
        "replaces": replaces,
    }


def _read_csv(path: Path, encoding: str = "utf-8") -> list[dict[str, str]]:
    with path.open(encoding=encoding, newline="") as text_file:
        return list(csv.DictReader(text_file))


def _torture_points(engine: Engine, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """Vertices, points on edges, points a hair off them, and points anywhere."""
    with engine.connect() as connection:
        stored = connection.scalars(text("SELECT ST_AsBinary(boundary) FROM gridsvc.area"))
        rings = [shapely.get_coordinates(shapely.from_wkb(bytes(wkb))) for wkb in stored]
    start = np.concatenate([ring[:-1] for ring in rings])
    end = np.concatenate([ring[1:] for ring in rings])
    along = rng.uniform(0, 1, (len(start), 1))
    on_edge = np.concatenate([(start + end) / 2, start + along * (end - start)])
    off = [on_edge + rng.normal(0, scale, on_edge.shape) for scale in (1e-10, 4e-4, 2e-3)]
    west, south = _ORIGIN
    anywhere = rng.uniform([west - 200, south - 200], [west + 2200, south + 1200], (800, 2))
    return np.concatenate([start, on_edge, *off, anywhere])


def _expected(engine: Engine, rows: list[dict[str, Any]]) -> list[dict[str, Any] | GridsvcError]:
    questions = [
        Question(
            x=row["lon"],
            y=row["lat"],
            crs=row.get("crs") or STORAGE,
            at=row.get("at"),
            category=row.get("category") or None,
        )
        for row in rows
    ]
    with Session(engine) as session:
        return answer_many(session, questions)[1]


def _codes(given: dict[str, Any]) -> dict[str, Any]:
    """Lay an Answer out as a file's added columns."""

    def party(duty: dict[str, Any] | None) -> str | None:
        return duty["party"]["code"] if duty else None

    enforcement = given["enforcement"] or {}
    layers = ("district", "street", "courtyard", "shop_front")
    return {layer: (given["areas"].get(layer) or {}).get("code") for layer in layers} | {
        "responsible": party(given["responsible"]),
        "management": party(given["management"]),
        "enforcement_lead": party(enforcement.get("lead")),
        "enforcement_assistant": party(enforcement.get("assistant")),
        "supervisor": party(given["supervisor"]),
    }


def test_a_file_is_answered_as_single_questions_are(town: Engine, tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    points = _torture_points(town, rng)
    around = [HANDED_OVER_AT + timedelta(microseconds=step) for step in (-1, 0, 1)]
    week = [datetime(2026, 7, 4, tzinfo=UTC) + timedelta(hours=5 * step) for step in range(34)]
    times = [*around, *week, datetime(2025, 12, 31, tzinfo=UTC)]
    categories = ["", "0101", "0102", "0201", "9999"]
    rows = [
        {
            "lon": float(x),
            "lat": float(y),
            "at": times[rng.integers(len(times))],
            "category": categories[rng.choice(5, p=[0.3, 0.25, 0.25, 0.15, 0.05])],
        }
        for x, y in points
    ]
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    pq.write_table(pa.Table.from_pylist(rows), source)
    summary = locate_file(
        town, source, target, lon="lon", lat="lat", crs=STORAGE, category="category", at="at"
    )
    found = pq.read_table(target).to_pylist()
    expected = _expected(town, rows)
    assert summary.rows == len(found) == len(rows) > 3000
    for row, got, wanted in zip(rows, found, expected, strict=True):
        if isinstance(wanted, GridsvcError):
            _assert_refused(got, wanted)
            continue
        assert {key: got[key] for key in _codes(wanted)} == _codes(wanted), row
        assert got["edge_m"] == pytest.approx(wanted["edge"]["distance_m"], abs=1e-3 + 1e-9)
        assert got["reason"] is None
    assert summary.routed == sum(isinstance(wanted, dict) for wanted in expected)
    assert summary.outside == sum(isinstance(wanted, OutsideServiceArea) for wanted in expected)
    assert summary.routed > 2000


# Shifts, absences and stand-ins


CELLS = 5
CELL_M = 180.0
BORDER_MOVED_AT = datetime(2026, 5, 1, tzinfo=UTC)
STAND_INS = """
[[stand_in]]
duty = "enforcement"
by = ["assistant", "neighbour"]

[[stand_in]]
duty = "responsibility"
by = ["neighbour", "assistant"]
"""
SHIFTS = ("", "", "mon-sun 07:30-15:30", "mon-fri 08:00-20:00", "mon-sun 22:00-06:00")


@dataclass(frozen=True)
class Staffed:
    """A database, and the instants at which somebody leaves or comes back in it."""

    engine: Engine
    instants: list[datetime]


@pytest.fixture(scope="module", params=[STAND_INS, ""], ids=["stand-ins", "no rule"])
def staffed(make_database: MakeDatabase, request: pytest.FixtureRequest) -> Iterator[Staffed]:
    """Slanted streets and courtyards with random pairs, shifts and absences."""
    rng = np.random.default_rng(23)
    reported = 'findings = { gap = "report", overlap = "report" }'
    scheme = make_scheme(
        ('parent = "district"', f'parent = "district"\n{reported}'), extra=request.param
    )
    engine = create_engine(make_database())
    with Session(engine) as session, session.begin():
        cells = _slanted_cells(rng)
        first, second = cells["G00"], cells["G01"]
        load_scheme(session, scheme)
        founding = new_change_set(session, "founding")
        propose_area(session, founding, "district", "D", box(-100, -100, 1100, 1100))
        for code, shape in cells.items():
            if code not in {"G00", "G01"}:
                propose_area(session, founding, "street", code, shape)
        # From an instant on, one street is joined to its neighbour, which then has other ones.
        for code, shape in (("G00", first), ("G01", second)):
            propose_area(session, founding, "street", code, shape, valid_to=BORDER_MOVED_AT)
        joined = shapely.unary_union([first, second])
        propose_area(session, founding, "street", "G01", joined, valid_from=BORDER_MOVED_AT)
        yards = {f"Y{n}": cells[code] for n, code in enumerate([*cells][:15])}
        for code, shape in yards.items():
            propose_area(session, founding, "courtyard", code, shape)
        parties = _staff(session, founding, rng, [*cells], [*yards])
        publish(session, founding)
        instants: list[datetime] = [BORDER_MOVED_AT]
        for name in ("spring", "summer"):
            change_set = new_change_set(session, name)
            for party in sorted({parties[n] for n in rng.integers(len(parties), size=25)}):
                since = FOUNDED_AT + timedelta(seconds=int(rng.integers(300 * 86_400)))
                until = since + timedelta(seconds=int(rng.integers(1, 90 * 86_400)))
                open_end = rng.random() < 0.2
                propose_absence(session, change_set, party, since, None if open_end else until)
                instants += [since, until]
            publish(session, change_set)
    yield Staffed(engine, instants)
    engine.dispose()


def _slanted_cells(rng: np.random.Generator) -> dict[str, shapely.MultiPolygon]:
    grid = np.stack(np.meshgrid(np.arange(CELLS + 1.0), np.arange(CELLS + 1.0)), axis=-1) * CELL_M
    nodes = np.round(grid + rng.uniform(-50, 50, grid.shape), 3)
    return {
        f"G{south}{west}": shapely.transform(
            _polygon(
                tuple(nodes[south, west]),
                tuple(nodes[south, west + 1]),
                tuple(nodes[south + 1, west + 1]),
                tuple(nodes[south + 1, west]),
            ),
            _snapped,
        )
        for south in range(CELLS)
        for west in range(CELLS)
    }


def _staff(
    session: Session,
    change_set: ChangeSet,
    rng: np.random.Generator,
    streets: list[str],
    yards: list[str],
) -> list[str]:
    """Appoint at random; gives the codes of the parties."""
    parties = [f"R{n:02}" for n in range(60)]
    for party in parties:
        propose_party(session, change_set, party)
    posts = [
        ("street", area, "enforcement", rank, category)
        for area in streets
        for rank in (1, 2)
        for category in (None, "0102")
    ] + [("courtyard", area, "responsibility", rank, None) for area in yards for rank in (1, 2)]
    for layer, area, duty, rank, category in posts:
        if rng.random() < (0.15 if category is None else 0.7):
            continue
        # A street's second year is somebody else's.
        since = FOUNDED_AT + timedelta(days=200 * int(rng.random() < 0.1))
        propose_holder(
            session,
            change_set,
            parties[rng.integers(len(parties))],
            layer,
            area,
            duty=duty,
            rank=rank,
            category=category,
            hours=SHIFTS[rng.integers(len(SHIFTS))],
            valid_from=since,
        )
    for duty in ("responsibility", "enforcement"):
        propose_holder(session, change_set, parties[0], "district", "D", duty=duty)
    return parties


def test_stand_ins_are_those_of_single_questions(staffed: Staffed, tmp_path: Path) -> None:
    rng = np.random.default_rng(29)
    points = rng.uniform(_ORIGIN, np.add(_ORIGIN, CELLS * CELL_M), (6000, 2))
    ticks = [timedelta(microseconds=step) for step in (-1, 0, 1)]
    sharp = [instant + tick for instant in staffed.instants for tick in ticks]
    anytime = [
        FOUNDED_AT + timedelta(seconds=int(second))
        for second in rng.integers(2 * 365 * 86_400, size=400)
    ]
    times = [*sharp, *anytime]
    rows = [
        {
            "lon": float(x),
            "lat": float(y),
            "at": times[rng.integers(len(times))],
            "category": ["", "0101", "0102"][rng.integers(3)],
        }
        for x, y in points
    ]
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    pq.write_table(pa.Table.from_pylist(rows), source)
    locate_file(
        staffed.engine,
        source,
        target,
        lon="lon",
        lat="lat",
        crs=STORAGE,
        category="category",
        at="at",
    )
    ways: Counter[tuple[str, str, str]] = Counter()
    expected = _expected(staffed.engine, rows)
    for row, got, wanted in zip(rows, pq.read_table(target).to_pylist(), expected, strict=True):
        if isinstance(wanted, GridsvcError):
            _assert_refused(got, wanted)
            continue
        assert {key: got[key] for key in _codes(wanted)} == _codes(wanted), row
        lead = (wanted["enforcement"] or {}).get("lead")
        for duty, holder in (("responsible", wanted["responsible"]), ("enforcement", lead)):
            if stand_in := holder and holder["stand_in"]:
                ways[duty, stand_in["by"], stand_in["why"]] += 1
    seen = {
        (duty, by, why)
        for duty in ("responsible", "enforcement")
        for by in ("assistant", "neighbour")
        for why in ("absent", "off_shift")
    }
    with staffed.engine.connect() as connection:
        has_rule = connection.scalar(text("SELECT EXISTS (SELECT FROM gridsvc.stand_in_rule)"))
    assert set(ways) == (seen if has_rule else set()), ways


def test_edges_are_measured_as_sql_measures_them(town: Engine) -> None:
    rng = np.random.default_rng(11)
    west, south = _ORIGIN
    with town.connect() as connection:
        ids = list(connection.scalars(text("SELECT id FROM gridsvc.area ORDER BY id")))
        fetched = connection.execute(sql("gridsvc.routing", "bulk_edges"), {"ids": ids})
        edges = {row.id: shapely.from_wkb(row.edge) for row in fetched}
        for area_id in ids:
            for x, y in rng.uniform([west, south], [west + 2000, south + 1000], (40, 2)):
                measured = connection.scalar(
                    text(
                        "SELECT distance_m FROM gridsvc.edge("
                        "ST_SetSRID(ST_MakePoint(:x, :y), :srid), "
                        "(SELECT ROW(layer, 0, 'overlay', id, code, name)::gridsvc.covered_area "
                        " FROM gridsvc.area WHERE id = :id), 2, now())"
                    ),
                    {"x": x, "y": y, "srid": SRID, "id": area_id},
                )
                ours = shapely.distance(edges[area_id], shapely.Point(x, y))
                assert ours == pytest.approx(measured, abs=1e-6, rel=0)


REASONS = {
    "BadCoordinates": "bad coordinates",
    "SwappedCoordinates": "swapped coordinates",
    "DefaultPointGiven": "default point: ",
    "UnknownCategory": "unknown category ",
    "BeforeFirstRevision": "before the first revision",
    "OutsideServiceArea": "outside the service area",
    "UnknownCrs": "bad crs: ",
    "CrsNotAccepted": "bad crs: ",
}


def _assert_refused(got: dict[str, Any], wanted: GridsvcError) -> None:
    assert str(got["reason"]).startswith(REASONS[type(wanted).__name__]), (got, wanted)
    assert not got["responsible"]
    assert not got["district"]


def test_bad_rows_get_the_reason_a_single_question_would(town: Engine, tmp_path: Path) -> None:
    yard = small_city.YARD
    nan, inf = float("nan"), float("inf")
    rows = [
        {"lon": x, "lat": y, "crs": crs, "category": category, "at": at}
        for x, y, crs, category, at in [
            (yard["lon"], yard["lat"], "EPSG:4326", "", None),
            (yard["lon"], yard["lat"], "GCJ-02", "", None),
            (nan, 39.9, "EPSG:4326", "", None),
            (116.45, inf, "EPSG:4326", "", None),
            (-inf, nan, "EPSG:4326", "", None),
            (200.0, 39.9, "EPSG:4326", "", None),
            (181.0, 95.0, "EPSG:4326", "", None),
            (10.0, 20.0, "EPSG:4326", "", None),
            (yard["lat"], yard["lon"], "EPSG:4326", "", None),
            (yard["lat"], yard["lon"], "gcj02", "", None),
            (116.41, 39.89, "EPSG:4326", "", None),
            (116.4100005, 39.8900005, "EPSG:4326", "", None),
            (116.41000112, 39.89, "EPSG:4326", "", None),
            (yard["lon"], yard["lat"], "EPSG:4326", "0101", None),
            (yard["lon"], yard["lat"], "EPSG:4326", "nonsense", None),
            (yard["lon"], yard["lat"], "EPSG:3857", "", None),
            (yard["lon"], yard["lat"], "EPSG:99999", "", None),
            (yard["lon"], yard["lat"], "EPSG:4326", "", datetime(2020, 1, 1, tzinfo=UTC)),
            (yard["lon"], yard["lat"], "EPSG:4326", "nonsense", datetime(2020, 1, 1, tzinfo=UTC)),
            (1e12, 1e12, STORAGE, "", None),
        ]
    ]
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    pd.DataFrame(rows).to_csv(source, index=False)
    summary = locate_file(
        town, source, target, lon="lon", lat="lat", crs="crs", category="category", at="at"
    )
    found = pd.read_csv(target, dtype=str, keep_default_na=False).to_dict("records")
    for got, wanted in zip(found, _expected(town, rows), strict=True):
        if isinstance(wanted, GridsvcError):
            _assert_refused(got, wanted)
        else:
            assert not got["reason"]
            assert got["street"] == wanted["areas"]["street"]["code"]
    assert (summary.rows, summary.default_point) == (20, 2)


def test_swapped_coordinates_are_called_so(town: Engine, tmp_path: Path) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text(f"lon,lat\n{small_city.YARD['lat']},{small_city.YARD['lon']}\n")
    summary = locate_file(town, source, target, lon="lon", lat="lat")
    assert summary.bad == 1
    assert _read_csv(target)[0]["reason"] == "swapped coordinates"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_csv_keeps_its_text(town: Engine, tmp_path: Path, encoding: str) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    yard, street = small_city.YARD, small_city.OPEN_STREET
    source.write_text(
        "编号,street,lon,lat,note\n"
        f'007,"甲, 乙",{yard["lon"]!r},{yard["lat"]!r},"said ""here"""\n'
        f"1e5,, {street['lon']!r} ,+{street['lat']!r},NA\n"
        "0x1,,,,\n",
        encoding=encoding,
    )
    summary = locate_file(town, source, target, lon="lon", lat="lat", crs="EPSG:4326")
    given = _read_csv(target, encoding)
    assert [row["编号"] for row in given] == ["007", "1e5", "0x1"]
    assert [row["street"] for row in given] == ["甲, 乙", "", ""]
    assert given[0]["note"] == 'said "here"'
    assert given[1]["note"] == "NA"
    assert given[1]["lon"] == f" {street['lon']!r} "
    # The file has a column of this name, so the added one steps aside.
    assert [row["gridsvc_street"] for row in given] == ["S1", "S2", ""]
    assert summary.columns[:2] == ("district", "gridsvc_street")
    assert given[2]["reason"].startswith("bad coordinates")


def test_times_without_an_offset_are_the_citys_own(town: Engine, tmp_path: Path) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    yard = f"{small_city.YARD['lon']!r},{small_city.YARD['lat']!r}"
    times = {
        "2026-06-01T00:00:00Z": "P2",
        "2026-05-31T23:59:59.999999Z": "P1",
        "2026-06-01 07:59:59": "P1",
        "2026-06-01 08:00": "P2",
        "2026-06-01": "P1",
        "2026-06-02": "P2",
        "2026-06-01T08:00:00+08:00": "P2",
        "2026-06-01T08:00:00+0900": "P1",
        "": "P2",
        "yesterday": "",
    }
    source.write_text("lon,lat,at\n" + "".join(f"{yard},{at}\n" for at in times))
    locate_file(town, source, target, lon="lon", lat="lat", at="at")
    given = _read_csv(target)
    assert {row["at"]: row["responsible"] for row in given} == times
    assert given[-1]["reason"].startswith("bad time")


def test_geoparquet_comes_from_points_and_keeps_what_there_is(town: Engine, tmp_path: Path) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.geoparquet"
    source.write_text(f"lon,lat\n{small_city.YARD['lon']!r},{small_city.YARD['lat']!r}\nx,y\n")
    locate_file(town, source, target, lon="lon", lat="lat")
    table = pq.read_table(target)
    assert json.loads(table.schema.metadata[b"geo"])["primary_column"] == "geometry"
    geometry = table["geometry"].to_pylist()
    assert shapely.from_wkb(geometry[0]).x == pytest.approx(small_city.YARD["lon"], abs=1e-9)
    assert geometry[1] is None
    again = tmp_path / "again.geoparquet"
    locate_file(town, target, again, lon="lon", lat="lat")
    assert pq.read_table(again)["geometry"].to_pylist() == geometry


def test_the_datum_guard_speaks(town: Engine, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    west, south = _ORIGIN
    lon, lat = convert(
        rng.uniform(west, west + 2000, 3000),
        rng.uniform(south, south + 1000, 3000),
        source=STORAGE,
        target="gcj02",
    )
    source = tmp_path / "in.parquet"
    pq.write_table(pa.table({"lon": lon, "lat": lat}), source)
    wrong = locate_file(town, source, tmp_path / "out.parquet", lon="lon", lat="lat")
    assert wrong.datum_message is not None
    assert "gcj02" in wrong.datum_message
    right = locate_file(town, source, tmp_path / "out.parquet", lon="lon", lat="lat", crs="gcj02")
    assert right.datum_message is None
    assert right.routed == 3000


def test_nothing_half_done_is_left(town: Engine, tmp_path: Path) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    yard = f"{small_city.YARD['lon']!r},{small_city.YARD['lat']!r}"
    source.write_text(f"lon,lat\n{yard}\n{yard},surplus\n")
    target.write_text("as it was")
    with pytest.raises(TableError, match=r"in\.csv"):
        locate_file(town, source, target, lon="lon", lat="lat")
    assert target.read_text() == "as it was"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "out.csv"]


def test_wrong_use_is_told_before_any_work(town: Engine, tmp_path: Path) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("lon,lat\n1,2\n")
    with pytest.raises(TableError, match="no column 'longitude'"):
        locate_file(town, source, target, lon="longitude", lat="lat")
    with pytest.raises(UnknownCrs):
        locate_file(town, source, target, lon="lon", lat="lat", crs="epgs:4326")
    with pytest.raises(CrsNotAccepted):
        locate_file(town, source, target, lon="lon", lat="lat", crs="bd09")
    with pytest.raises(TableError, match="names no format"):
        locate_file(town, source, tmp_path / "out.xlsx", lon="lon", lat="lat")
    with pytest.raises(TableError, match="no such file"):
        locate_file(town, tmp_path / "none.csv", target, lon="lon", lat="lat")
    damaged = tmp_path / "damaged.parquet"
    damaged.write_bytes(b"PAR1 and no more")
    with pytest.raises(TableError, match="damaged"):
        locate_file(town, damaged, target, lon="lon", lat="lat")
    big5 = tmp_path / "big5.csv"
    big5.write_bytes(b"lon,lat,n\n1,2,\xff\xff\n")
    with pytest.raises(TableError, match="neither in UTF-8 nor in GB18030"):
        locate_file(town, big5, target, lon="lon", lat="lat")
    assert not target.exists()


def test_rows_keep_their_order_over_many_batches(
    town: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridsvc.routing.bulk.BATCH_ROWS", 7)
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    spots = [place(east_m=50 + 187 * step % 1900, north_m=500) for step in range(100)]
    pq.write_table(pa.Table.from_pylist([{"n": n} | spot for n, spot in enumerate(spots)]), source)
    seen: list[int] = []
    locate_file(town, source, target, lon="lon", lat="lat", progress=seen.append)
    given = pq.read_table(target).to_pylist()
    assert [row["n"] for row in given] == list(range(100))
    assert [row["street"] for row in given] == [
        "S1" if 50 + 187 * step % 1900 < 1000 else "S2" for step in range(100)
    ]
    assert sum(seen) == 100
    assert len(seen) == 15


class _Stop(Exception):
    """As when a run is killed."""


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_run_that_was_broken_off_goes_on(
    town: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.setattr("gridsvc.routing.bulk.BATCH_ROWS", 7)
    source, target = tmp_path / f"in.{ending}", tmp_path / f"out.{ending}"
    spots = [{"n": n} | place(east_m=50 + 187 * n % 1900, north_m=500) for n in range(100)]
    if ending == "csv":
        pd.DataFrame(spots).to_csv(source, index=False)
    else:
        pq.write_table(pa.Table.from_pylist(spots), source, row_group_size=30)

    def run(out: Path, *, batches: int | None = None) -> BulkSummary:
        def stop(_: int) -> None:
            nonlocal batches
            if batches is not None and (batches := batches - 1) < 0:
                raise _Stop

        return locate_file(town, source, out, lon="lon", lat="lat", progress=stop)

    with pytest.raises(_Stop):
        run(target, batches=4)
    assert not target.exists()
    # The journal broke off in the middle of a line, and of a part there is more than it tells.
    part, journal = tmp_path / f".out.{ending}.part", tmp_path / f".out.{ending}.part.jsonl"
    journal.write_bytes(journal.read_bytes()[:-5])
    part.write_bytes(part.read_bytes() + b"torn")
    resumed = run(target)
    assert resumed.resumed_rows == 28
    whole = tmp_path / f"whole.{ending}"
    at_once = run(whole)
    assert (at_once.rows, at_once.routed) == (resumed.rows, resumed.routed) == (100, 100)
    if ending == "csv":
        assert target.read_bytes() == whole.read_bytes()
    else:
        assert pq.read_table(target).equals(pq.read_table(whole))
    assert not part.exists()
    assert not journal.exists()


def test_another_question_does_not_go_on_with_what_was_broken_off(
    town: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridsvc.routing.bulk.BATCH_ROWS", 7)
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    spots = [place(east_m=50 + 187 * n % 1900, north_m=500) for n in range(40)]
    pq.write_table(pa.Table.from_pylist(spots), source)

    def stop(_: int) -> None:
        raise _Stop

    with pytest.raises(_Stop):
        locate_file(town, source, target, lon="lon", lat="lat", progress=stop)
    told = locate_file(town, source, target, lon="lon", lat="lat", crs="EPSG:4326")
    assert (told.resumed_rows, told.rows) == (0, 40)
    assert pq.read_table(target).num_rows == 40


def test_the_revision_on_disk_answers_where_it_is_the_one_that_is_asked(
    town: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, folder = tmp_path / "in.parquet", tmp_path / "kept"
    spots = [place(east_m=50 + 187 * n % 1900, north_m=500) for n in range(40)]
    pq.write_table(pa.Table.from_pylist(spots), source)

    def run(name: str) -> pa.Table:
        target = tmp_path / name
        locate_file(town, source, target, lon="lon", lat="lat", folder=folder)
        return pq.read_table(target)

    expected = run("read.parquet")
    with town.connect() as connection:
        keep(Snapshot.load(connection), folder)
    monkeypatch.setattr(Snapshot, "load", None)
    assert run("kept.parquet").equals(expected)


BOSTON = {
    "ward": ("wards_4326.geojson", "WARD"),
    "precinct": ("precincts_4326.geojson", "WARD_PRECINCT"),
    "police_district": ("police_districts_4326.geojson", "ID"),
}


@pytest.fixture(scope="module")
def boston(make_database: MakeDatabase, shared_data: Path) -> Iterator[Engine]:
    engine = create_engine(make_database())
    with Session(engine) as session, session.begin():
        load_scheme(session, read_scheme(small_city.SCHEMES / "boston.toml"))
        scheme = current_scheme(session)
        for layer, (name, code) in BOSTON.items():
            file = read_boundaries(shared_data / "boston" / name, default_crs="EPSG:4326")
            change_set = open_change_set(session, name=layer)
            options = ImportOptions(layer=layer, code=code, repair=True)
            report = import_areas(session, scheme, file, options, change_set=change_set)
            publish(session, change_set, findings=report.findings)
    yield engine
    engine.dispose()


def test_bostons_reports_are_answered_as_single_questions_are(
    boston: Engine, shared_data: Path, tmp_path: Path
) -> None:
    source, target = shared_data / "boston" / "reports_2015.parquet", tmp_path / "out.parquet"
    summary = locate_file(boston, source, target, lon="longitude", lat="latitude")
    assert (summary.rows, summary.default_point) == (121_145, 17_070)
    every_sixtieth = slice(None, None, 60)
    found = pq.read_table(target).to_pylist()[every_sixtieth]
    rows = [
        {"lon": float(row["longitude"]), "lat": float(row["latitude"]), "crs": "EPSG:4326"}
        for row in found
    ]
    for got, wanted in zip(found, _expected(boston, rows), strict=True):
        if isinstance(wanted, GridsvcError):
            assert got["gridsvc_reason"].startswith(REASONS[type(wanted).__name__])
            continue
        areas = {layer: (wanted["areas"].get(layer) or {}).get("code") for layer in BOSTON}
        assert {layer: got[f"gridsvc_{layer}"] for layer in BOSTON} == areas
        measured = wanted["edge"]["distance_m"]
        assert got["edge_m"] == (measured and pytest.approx(measured, abs=1e-3 + 1e-9))
