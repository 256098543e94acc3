"""Taipei: 11,490 units that tile their districts exactly, and villages whose outlines do not."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Engine, func, select, text
from sqlalchemy.orm import Session

from gridsvc.grids.changesets import latest_revision, open_change_set, rollback
from gridsvc.grids.importing import ImportOptions, ImportReport
from gridsvc.grids.models import ChangeSet
from gridsvc.grids.scheme_store import current_scheme
from gridsvc.grids.schemes import read_scheme
from gridsvc.grids.terms import FindingKind
from gridsvc.grids.tidying import tidy
from gridsvc.grids.validation import check
from tests.db_fixtures import MakeDatabase
from tests.scenarios.loading import SCHEMES, founded, load

UNITS = "taipei_units.parquet"


class Taipei(NamedTuple):
    engine: Engine
    district: ImportReport
    unit: ImportReport
    village: ImportReport


@pytest.fixture(scope="module")
def taipei(make_database: MakeDatabase, shared_data: Path) -> Iterator[Taipei]:
    folder = shared_data / "taipei"
    with founded(make_database(), read_scheme(SCHEMES / "taipei.toml")) as engine:
        yield Taipei(
            engine,
            load(
                engine,
                folder / UNITS,
                ImportOptions(layer="district", code="TOWN_ID", dissolve=True),
            ),
            load(engine, folder / UNITS, ImportOptions(layer="unit", code="CODEBASE")),
            load(
                engine,
                folder / "taipei_villages.geojson",
                ImportOptions(layer="village", code="VILLCODE", name="VILLNAME", repair=True),
            ),
        )


def test_all_of_the_city_loads(taipei: Taipei) -> None:
    reports = (taipei.district, taipei.unit, taipei.village)
    assert [report.counts["added"] for report in reports] == [12, 11_490, 456]
    assert not any(report.stopped for report in reports)
    with taipei.engine.connect() as connection:
        live = connection.execute(
            text("SELECT layer, count(*) FROM gridsvc.area WHERE rev_to IS NULL GROUP BY layer")
        )
        assert dict(map(tuple, live)) == {"district": 12, "unit": 11_490, "village": 456}


def test_villages_bear_their_names(taipei: Taipei) -> None:
    with taipei.engine.connect() as connection:
        name = connection.scalar(
            text("SELECT name FROM gridsvc.area WHERE layer = 'village' AND code = '63000080031'")
        )
    assert name == "樟新里"


def test_no_gap_and_no_overlap_is_reported_where_there_is_none(taipei: Taipei) -> None:
    assert taipei.district.findings == []
    assert taipei.unit.findings == []
    with Session(taipei.engine) as session:
        assert check(session, current_scheme(session), layers=["district", "unit"]) == []


def test_the_simplified_villages_are_reported_and_do_not_stop(taipei: Taipei) -> None:
    assert [repair.code for repair in taipei.village.repairs] == ["63000080037"]
    # They still meet each other; it is the edge of their district that they miss.
    assert {found.kind for found in taipei.village.findings} == {FindingKind.GAP, FindingKind.SPILL}


def test_every_unit_is_found_in_its_own_district(taipei: Taipei, shared_data: Path) -> None:
    with taipei.engine.connect() as connection:
        asked = connection.execute(
            text(
                "SELECT u.code, array_agg(c.code) FILTER (WHERE c.layer = 'district'), "
                "array_agg(c.code) FILTER (WHERE c.layer = 'unit') "
                "FROM gridsvc.area AS u CROSS JOIN LATERAL gridsvc.covering("
                "  ST_PointOnSurface(u.boundary), gridsvc.revision_at(now()), now()) AS c "
                "WHERE u.layer = 'unit' AND u.rev_to IS NULL GROUP BY u.code"
            )
        )
        found = {unit: (districts, units) for unit, districts, units in asked}
    own = pd.read_parquet(shared_data / "taipei" / UNITS, columns=["CODEBASE", "TOWN_ID"])
    assert found == {
        unit: ([town], [unit]) for unit, town in own.itertuples(index=False, name=None)
    }


def live_units(engine: Engine) -> dict[str, bytes]:
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT code, ST_AsEWKB(boundary) FROM gridsvc.area"
                " WHERE layer = 'unit' AND rev_to IS NULL AND valid_to IS NULL"
            )
        )
        return {code: bytes(boundary) for code, boundary in rows}


SRID = 3826


def middle_of(engine: Engine) -> dict[str, shapely.MultiPolygon]:
    """Give the larger units well inside one district, by code."""
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT a.code, ST_AsBinary(a.boundary) FROM gridsvc.area AS a,"
                " (SELECT ST_PointOnSurface(boundary) AS point, ST_Buffer(boundary, -50) AS inner"
                "  FROM gridsvc.area WHERE layer = 'district' ORDER BY code LIMIT 1) AS d"
                " WHERE a.layer = 'unit' AND a.rev_to IS NULL"
                " AND a.boundary && ST_Expand(d.point, 600) AND ST_Within(a.boundary, d.inner)"
            )
        )
        return {code: shapely.from_wkb(bytes(boundary)) for code, boundary in rows}


def shared_node(units: dict[str, shapely.MultiPolygon]) -> tuple[tuple[float, float], list[str]]:
    """Find a node at which at least three units meet, and them."""
    at: dict[tuple[float, float], set[str]] = {}
    for code, shape in units.items():
        for x, y in shapely.get_coordinates(shape):
            at.setdefault((x, y), set()).add(code)
    node, codes = next((n, c) for n, c in sorted(at.items()) if len(c) >= 3)
    return node, sorted(codes)


def test_edited_published_and_rolled_back_the_units_are_the_original_byte_for_byte(
    taipei: Taipei,
) -> None:
    before = live_units(taipei.engine)
    units = middle_of(taipei.engine)
    node, meeting = shared_node(units)

    def shift(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        moved: NDArray[np.float64] = np.where(
            (xy == node).all(axis=1)[:, None], xy + np.array([0.3, 0.2]), xy
        )
        return moved

    edits = {code: shapely.transform(units.pop(code), shift) for code in meeting}
    kept, ended = next(
        (a, b)
        for a, b in itertools.combinations(sorted(units), 2)
        if shapely.intersection(units[a], units[b]).length > 20
    )
    edits[kept] = shapely.union(units.pop(kept), units.pop(ended), grid_size=0.001)
    split, whole = max(units.items(), key=lambda item: item[1].area)
    west, south, east, north = whole.bounds
    cut = (west + east) / 2
    edits[split] = shapely.intersection(whole, shapely.box(west, south, cut, north))
    half = shapely.intersection(whole, shapely.box(cut, south, east, north))
    shape = f"ST_Multi(ST_GeomFromWKB(:shape, {SRID}))"
    with Session(taipei.engine) as session, session.begin():
        revision = latest_revision(session)
        session.execute(text("INSERT INTO edit.change_set (name) VALUES ('june')"))
        for code, edited in edits.items():
            session.execute(
                text(f"UPDATE edit.unit SET boundary = {shape} WHERE code = :code"),
                {"shape": edited.wkb, "code": code},
            )
        session.execute(text("DELETE FROM edit.unit WHERE code = :code"), {"code": ended})
        new = session.scalar(
            text(f"INSERT INTO edit.unit (code, boundary) VALUES (:code, {shape}) RETURNING code"),
            {"shape": half.wkb, "code": split},
        )
        session.execute(text("UPDATE edit.change_set SET action = 'publish' WHERE name = 'june'"))
    published = live_units(taipei.engine)
    assert new not in before
    assert published.keys() == (before.keys() - {ended}) | {new}
    both = published.keys() & before.keys()
    assert {code for code in both if published[code] != before[code]} == edits.keys()
    with Session(taipei.engine) as session, session.begin():
        found = check(session, current_scheme(session), layers=["district", "unit"])
        assert not any(finding.stops for finding in found)
        rollback(session, revision)
    assert live_units(taipei.engine) == before


def test_tidying_mends_units_that_lost_nodes_and_nothing_else(taipei: Taipei) -> None:
    """Every tenth unit gets a node on its longest edge that none of its neighbours has."""
    with Session(taipei.engine) as session:
        scheme = current_scheme(session)
        assert not tidy(session, scheme, open_change_set(session, name="sound"), whole=True).areas
        change_set = open_change_set(session, name="halved")
        halved = session.execute(
            text("""
                WITH longest AS (
                    SELECT DISTINCT ON (a.id) a.id, a.boundary, s.path, s.geom AS line
                    FROM gridsvc.area AS a CROSS JOIN LATERAL ST_DumpSegments(a.boundary) AS s
                    WHERE a.layer = 'unit' AND a.rev_to IS NULL AND a.id % 10 = 0
                      AND ST_NumGeometries(a.boundary) = 1
                      AND ST_NumInteriorRings(ST_GeometryN(a.boundary, 1)) = 0
                    ORDER BY a.id, ST_Length(s.geom) DESC
                )
                SELECT gridsvc.redraw_area(:change_set, id, ST_SnapToGrid(ST_Multi(ST_MakePolygon(
                    ST_AddPoint(ST_ExteriorRing(ST_GeometryN(boundary, 1)),
                                ST_LineInterpolatePoint(line, 0.37), path[3]))), 0.001))
                FROM longest
            """),
            {"change_set": change_set.id},
        ).all()
        assert len(halved) > 1_000
        assert not shapely.coverage_is_valid(_drawn(session, change_set, "unit"))
        done = tidy(session, scheme, change_set, whole=True)
        assert not done.left
        assert {area.layer for area in done.areas} == {"unit", "district"}
        assert max(area.change.largest_move_mm for area in done.areas) < 1
        units, districts = (_drawn(session, change_set, layer) for layer in ("unit", "district"))
        assert shapely.coverage_is_valid(units)
        assert shapely.coverage_is_valid(districts)
        assert shapely.coverage_union_all(units).equals(shapely.coverage_union_all(districts))
        assert not tidy(session, scheme, change_set, whole=True).areas


def _drawn(session: Session, change_set: ChangeSet, layer: str) -> list[BaseGeometry]:
    at = session.scalar(select(func.gridsvc.draft_instant(change_set.id)))
    rows = session.scalars(
        text("""
            SELECT ST_AsBinary(boundary) FROM gridsvc.draft_area(:change_set, :at)
            WHERE layer = :layer
        """),
        {"change_set": change_set.id, "at": at, "layer": layer},
    )
    return [shapely.from_wkb(bytes(wkb)) for wkb in rows]
