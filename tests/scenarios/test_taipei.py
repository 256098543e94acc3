"""Taipei: 11,490 units that tile their districts exactly, and villages whose outlines do not."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from gridsvc.grids.importing import ImportOptions, ImportReport
from gridsvc.grids.scheme_store import current_scheme
from gridsvc.grids.schemes import read_scheme
from gridsvc.grids.terms import FindingKind
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
