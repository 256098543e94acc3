"""Boston: its real layers and a year of reports, held against what the city itself assigned."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import shapely
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from gridsvc.crs import Floats, convert
from gridsvc.errors import ChangeSetRefused, GridsvcError
from gridsvc.grids.changesets import open_change_set, publish
from gridsvc.grids.importing import ImportOptions, ImportReport
from gridsvc.grids.people import import_people
from gridsvc.grids.people_files import read_people
from gridsvc.grids.scheme_store import current_scheme
from gridsvc.grids.schemes import read_scheme
from gridsvc.grids.terms import FindingKind
from gridsvc.routing.bulk import BulkSummary, locate_file
from gridsvc.routing.router import Question, answer, answer_many
from tests.db_fixtures import MakeDatabase
from tests.scenarios.loading import (
    PEOPLE,
    SCHEMES,
    draft,
    founded,
    load,
    publish_layer,
    read,
)

STORAGE_CRS = "EPSG:26986"

CODES = {"ward": "WARD", "precinct": "WARD_PRECINCT", "police_district": "ID"}
FILES = {
    "ward": "wards_4326.geojson",
    "precinct": "precincts_4326.geojson",
    "police_district": "police_districts_4326.geojson",
}
INVALID = {"ward": {"5", "16", "17"}, "precinct": {"1713", "0511"}, "police_district": set[str]()}
UNDECLARED_FEET = "precincts_asis_epsg2249_undeclared.geojson"


class Boston(NamedTuple):
    engine: Engine
    folder: Path
    reports: Mapping[str, ImportReport]


@pytest.fixture(scope="module")
def boston(make_database: MakeDatabase, shared_data: Path) -> Iterator[Boston]:
    """Wards, precincts, police districts and their people; parcels come with a test."""
    folder = shared_data / "boston"
    with founded(make_database(), read_scheme(SCHEMES / "boston.toml")) as engine:
        reports = {
            layer: load(
                engine, folder / FILES[layer], ImportOptions(layer=layer, code=code, repair=True)
            )
            for layer, code in CODES.items()
        }
        with Session(engine) as session, session.begin():
            scheme = current_scheme(session)
            change_set = open_change_set(session, name="people")
            people = read_people(PEOPLE / "boston.csv", scheme)
            report = import_people(session, scheme, people, change_set=change_set)
            publish(session, change_set, findings=report.findings)
        yield Boston(engine, folder, reports)


# Import


def test_the_layers_load_with_their_invalid_rings_repaired(boston: Boston) -> None:
    assert {layer: report.counts["added"] for layer, report in boston.reports.items()} == {
        "ward": 22,
        "precinct": 255,
        "police_district": 12,
    }
    for layer, report in boston.reports.items():
        assert {repair.code for repair in report.repairs} == INVALID[layer]
        for repair in report.repairs:
            assert "Self-intersection" in repair.reason
            assert repair.area_after_m2 == pytest.approx(repair.area_before_m2, abs=0.01)


@pytest.mark.parametrize("layer", ["ward", "precinct"])
def test_without_repair_invalid_rings_are_found_and_refused(boston: Boston, layer: str) -> None:
    with Session(boston.engine) as session:
        file = read(session, boston.folder / FILES[layer])
        report = draft(session, file, ImportOptions(layer=layer, code=CODES[layer]))
        invalid = [found for found in report.findings if found.kind is FindingKind.INVALID_RING]
        assert {found.code for found in invalid} == INVALID[layer]
        assert all(found.stops and found.lonlat for found in invalid)
        with pytest.raises(ChangeSetRefused, match="--repair would mend it"):
            publish_layer(session, layer, report)


def test_undeclared_feet_are_refused_with_what_they_are(boston: Boston) -> None:
    with Session(boston.engine) as session:
        file = read(session, boston.folder / UNDECLARED_FEET)
        report = draft(
            session, file, ImportOptions(layer="precinct", code="WARD_PRECINCT", repair=True)
        )
        (finding,) = report.findings
        assert finding.kind is FindingKind.UNDECLARED_CRS
        assert "They fit the extent when read as EPSG:2249" in finding.message
        with pytest.raises(ChangeSetRefused, match="EPSG:2249"):
            publish_layer(session, "precinct", report)


def test_declared_feet_give_the_same_areas(boston: Boston) -> None:
    with Session(boston.engine) as session:
        file = read(session, boston.folder / UNDECLARED_FEET, crs="EPSG:2249")
        report = draft(
            session, file, ImportOptions(layer="precinct", code="WARD_PRECINCT", repair=True)
        )
        assert not report.stopped
        assert {repair.code for repair in report.repairs} == INVALID["precinct"]
        assert (report.counts["added"], report.counts["closed"]) == (0, 0)
        # The file in degrees has 8 decimals, so millimetres are all that may differ.
        apart_m = session.scalar(
            text(
                "SELECT max(ST_HausdorffDistance(d.boundary, a.boundary)) "
                "FROM pg_temp.draft AS d JOIN gridsvc.area AS a USING (layer, code) "
                "WHERE layer = 'precinct' AND a.rev_to IS NULL"
            )
        )
        assert apart_m < 0.01


def test_the_command_of_the_handbook_goes_through(
    make_database: MakeDatabase, shared_data: Path
) -> None:
    environment = os.environ | {"GRIDSVC_DATABASE_URL": make_database()}

    def run(command: str) -> str:
        program, *arguments = shlex.split(command)
        done = subprocess.run(
            [Path(sys.executable).with_name(program), *arguments],
            cwd=shared_data / "boston",
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(f"gridsvc scheme load {shlex.quote(str(SCHEMES / 'boston.toml'))}")
    run(f"gridsvc areas import {FILES['ward']} --layer ward --code WARD --repair --publish")
    told = run(
        f"gridsvc areas import {FILES['precinct']} "
        "--layer precinct --code WARD_PRECINCT --repair --publish"
    )
    assert "255" in told
    assert "1713: Ring Self-intersection" in told
    answered = json.loads(run("gridsvc locate -71.0648 42.3574 --json"))
    assert answered["areas"]["precinct"]["code"] == "0503"


def test_parcels_load_ward_by_ward(boston: Boston) -> None:
    folder = boston.folder / "parcels"
    with Session(boston.engine) as session, session.begin():
        reports = [
            draft(
                session,
                read(session, path),
                ImportOptions(layer="parcel", code="PID_LONG", repair=True, part=True),
            )
            for path in sorted(folder.iterdir())
        ]
        # Of 32,533 rows, 7 have no code, and 6 repeat that of another.
        assert sum(report.counts["skipped"] for report in reports) == 7
        assert not any(report.stopped for report in reports)
        mended = {repair.code for report in reports for repair in report.repairs}
        assert {"2102569000", "0401862000"} <= mended
        publish_layer(session, "parcel", reports[-1])
    with boston.engine.connect() as connection:
        live = text("SELECT count(*) FROM gridsvc.area WHERE layer = 'parcel' AND rev_to IS NULL")
        assert connection.scalar(live) == 32_520
        lon, lat = connection.execute(
            text(
                "SELECT ST_X(p), ST_Y(p) FROM gridsvc.area, "
                "ST_Transform(ST_PointOnSurface(boundary), 4326) AS p WHERE code = '2102569000'"
            )
        ).one()
    with Session(boston.engine) as session:
        told = answer(session, Question(x=lon, y=lat))
    assert told["areas"]["parcel"]["code"] == "2102569000"
    # Nobody holds a duty on a parcel, so the next rung of the ladder answers.
    assert told["responsible"]["area"]["layer"] == "precinct"


def test_a_point_is_answered_by_the_holders_of_its_areas(boston: Boston) -> None:
    with Session(boston.engine) as session:
        told = answer(session, Question(x=-71.0648, y=42.3574))
    assert told["areas"]["ward"]["code"] == "5"
    assert told["areas"]["precinct"]["code"] == "0503"
    assert told["areas"]["police_district"]["code"] == "A1"
    assert told["responsible"]["party"]["code"] == "EX-P0503"
    assert told["vacant"] == []


# Reports


class Routed(NamedTuple):
    summary: BulkSummary
    rows: pd.DataFrame


@pytest.fixture(scope="module")
def routed(boston: Boston, tmp_path_factory: pytest.TempPathFactory) -> Routed:
    """Every report of the year, through `locate_file`."""
    target = tmp_path_factory.mktemp("boston") / "routed.parquet"
    source = boston.folder / "reports_2015.parquet"
    summary = locate_file(boston.engine, source, target, lon="longitude", lat="latitude")
    return Routed(summary, pd.read_parquet(target))


@pytest.fixture(scope="module")
def placed(routed: Routed) -> pd.DataFrame:
    """The reports that are not on the default point, with numbers as coordinates."""
    rows = routed.rows[~routed.rows["gridsvc_reason"].fillna("").str.startswith("default point")]
    return rows.assign(lon=rows["longitude"].astype(float), lat=rows["latitude"].astype(float))


def test_the_default_point_is_recognised_and_not_routed(routed: Routed) -> None:
    assert (routed.summary.rows, routed.summary.default_point) == (121_145, 17_070)
    assert routed.summary.bad == 0
    assert routed.summary.routed + routed.summary.outside == 104_075
    unplaced = routed.rows[routed.rows["latitude"].eq("42.3594")]
    unplaced = unplaced[unplaced["longitude"].eq("-71.0587")]
    assert len(unplaced) == 17_070
    assert unplaced["gridsvc_reason"].str.startswith("default point").all()
    assert unplaced[["gridsvc_ward", "gridsvc_precinct", "responsible"]].isna().all(axis=None)


def test_nothing_is_said_of_the_datum_of_points_that_fit(routed: Routed) -> None:
    assert routed.summary.datum_message is None


# The city writes "Ward 3" and "03", 503.0 for 0503, "D4" and "D-4"; 0502A was split off 0502.
OWN_CODE: Mapping[str, Callable[[pd.Series], pd.Series]] = {
    "precinct": lambda own: own.str.extract(r"(\d+)", expand=False).str.zfill(4),
    "ward": lambda own: own.str.extract(r"(\d+)", expand=False).str.zfill(2),
    "police_district": lambda own: own.str.replace("-", "").replace("", None),
}
OUR_CODE: Mapping[str, Callable[[pd.Series], pd.Series]] = {
    "precinct": lambda code: code.str[:4],
    "ward": lambda code: code.str.zfill(2),
    "police_district": lambda code: code,
}


class Agreement(NamedTuple):
    """One row of the table in the data's README, and the counts behind its shares."""

    layer: str
    property_type: str
    asked: int
    nowhere: int
    agreed: tuple[int, ...]
    percent: tuple[float, ...]


WITHIN_M = (0, 1, 5, 15)
"""The first is strict: the first answer itself."""

AGREEMENTS = (
    Agreement(
        *("precinct", "", 103_848, 2),
        (98_196, 99_193, 101_454, 101_825),
        (94.56, 95.52, 97.70, 98.05),
    ),
    Agreement(
        *("precinct", "Address", 80_059, 2),
        (78_282, 78_286, 78_293, 78_477),
        (97.78, 97.79, 97.80, 98.03),
    ),
    Agreement(
        *("precinct", "Intersection", 23_789, 0),
        (19_914, 20_907, 23_161, 23_348),
        (83.73, 87.89, 97.36, 98.15),
    ),
    Agreement(
        *("ward", "", 104_045, 5),
        (102_953, 103_179, 103_788, 103_817),
        (98.96, 99.17, 99.76, 99.79),
    ),
    Agreement(
        *("police_district", "", 104_037, 4),
        (103_490, 103_539, 103_795, 103_933),
        (99.48, 99.53, 99.77, 99.90),
    ),
)


def compared(placed: pd.DataFrame, layer: str) -> pd.DataFrame:
    """Put the city's own code beside the first answer, where the city gave one."""
    rows = placed.assign(
        own=OWN_CODE[layer](placed[layer]), first=OUR_CODE[layer](placed[f"gridsvc_{layer}"])
    )
    return rows[rows["own"].notna()]


def distances_m(engine: Engine, layer: str, rows: pd.DataFrame) -> Floats:
    """Measure from each report to the area that the city names; infinite where there is none."""
    with engine.connect() as connection:
        stored = connection.execute(
            text(
                "SELECT code, ST_AsBinary(boundary) AS boundary FROM gridsvc.area "
                "WHERE layer = :layer AND rev_to IS NULL"
            ),
            {"layer": layer},
        ).all()
    boundaries = pd.Series(shapely.from_wkb([bytes(row.boundary) for row in stored]), dtype=object)
    codes = OUR_CODE[layer](pd.Series([row.code for row in stored]))
    whole = boundaries.groupby(codes).agg(lambda parts: shapely.union_all(list(parts)))
    x, y = convert(
        rows["lon"].to_numpy(), rows["lat"].to_numpy(), source="EPSG:4326", target=STORAGE_CRS
    )
    named = whole.reindex(rows["own"]).where(lambda found: found.notna(), None)
    distance_m = shapely.distance(named.to_numpy(), shapely.points(x, y))
    return np.where(np.isnan(distance_m), np.inf, distance_m)


@pytest.mark.parametrize(
    "agreement", AGREEMENTS, ids=lambda row: f"{row.layer} {row.property_type}".strip()
)
def test_agreement_with_the_city_equals_the_table(
    boston: Boston, placed: pd.DataFrame, agreement: Agreement
) -> None:
    rows = compared(placed, agreement.layer)
    if agreement.property_type:
        rows = rows[rows["property_type"] == agreement.property_type]
    assert (len(rows), rows["first"].isna().sum()) == (agreement.asked, agreement.nowhere)
    rows = rows[rows["first"].notna()]
    same = (rows["first"] == rows["own"]).to_numpy()
    apart_m = np.zeros(len(rows))
    apart_m[~same] = distances_m(boston.engine, agreement.layer, rows[~same])
    agreed = (same.sum(), *((same | (apart_m <= within_m)).sum() for within_m in WITHIN_M[1:]))
    assert agreed == agreement.agreed
    percent = [100 * count / len(rows) for count in agreed]
    assert percent == pytest.approx(agreement.percent, abs=0.1)


def test_where_precincts_overlap_the_lowest_code_owns_the_point(
    boston: Boston, placed: pd.DataFrame
) -> None:
    on_both = placed[(placed["longitude"] == "-71.1348") & (placed["latitude"] == "42.2769")]
    assert on_both["gridsvc_precinct"].tolist() == ["1810"] * 5
    with Session(boston.engine) as session:
        told = answer(session, Question(x=-71.1348, y=42.2769))
        x, y = convert(-71.1348, 42.2769, source="EPSG:4326", target=STORAGE_CRS)
        covering = session.scalars(
            text(
                "SELECT code FROM gridsvc.covering(ST_SetSRID(ST_MakePoint(:x, :y), 26986), "
                "gridsvc.revision_at(now()), now()) WHERE layer = 'precinct'"
            ),
            {"x": x, "y": y},
        ).all()
    assert told["areas"]["precinct"]["code"] == "1810"
    assert covering[0] == "1810"
    assert len(covering) == 2


def test_with_15_m_of_doubt_the_citys_own_precinct_is_named(
    boston: Boston, placed: pd.DataFrame
) -> None:
    rows = compared(placed, "precinct")
    # Where the first answer is the city's own, nothing is left to ask.
    doubtful = rows.loc[rows["first"] != rows["own"], ["lon", "lat", "own"]]
    points = doubtful[["lon", "lat"]].drop_duplicates()
    with Session(boston.engine) as session:
        _, answers = answer_many(
            session,
            (
                Question(x=lon, y=lat, accuracy_m=15)
                for lon, lat in points.itertuples(index=False, name=None)
            ),
        )
    named = {
        (lon, lat, other["area"]["code"][:4])
        for (lon, lat), told in zip(points.itertuples(index=False, name=None), answers, strict=True)
        if not isinstance(told, GridsvcError)
        for other in told["alternatives"]
        if other["area"]["layer"] == "precinct"
    }
    # Two reports lie 3 m off every area: the router says so and names the nearest, no alternatives.
    found = sum(row in named for row in doubtful.itertuples(index=False, name=None))
    agreed = len(rows) - len(doubtful) + found
    assert (agreed, len(rows)) == (101_825, 103_848)
    assert agreed / len(rows) >= 0.975
