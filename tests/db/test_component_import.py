"""A file of components becomes a change set; rows that cannot be used are told by line."""

from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pytest
import shapely
from sqlalchemy import text
from sqlalchemy.orm import Session

from gridsvc.errors import ImportRefused, RowsRefused
from gridsvc.grids.changesets import publish
from gridsvc.grids.components import (
    ComponentColumns,
    import_components,
    read_components,
)
from gridsvc.grids.table_imports import TableReport
from tests.factories import (
    EAST_M,
    NORTH_M,
    STORAGE,
    appoint,
    box,
    found,
    make_scheme,
    new_change_set,
    propose_party,
)

SCHEME = make_scheme()
COLUMNS = ComponentColumns(code="no", category="kind", owner="unit", lon="x", lat="y")
LAMPS = (("L1", "C0201", "P1", 10.0), ("L2", "C0201", "P2", 20.0))


@pytest.fixture
def town(session: Session) -> Session:
    found(session, {("district", "D"): box(0, 0, 100, 100)}, scheme=SCHEME)
    appoint(session, {"party": "P1", "layer": "district", "area": "D"})
    change_set = new_change_set(session, "another")
    propose_party(session, change_set, "P2")
    publish(session, change_set)
    return session


def frame(*rows: tuple[object, object, object, float | None]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"no": no, "kind": kind, "unit": unit, "x": east and EAST_M + east, "y": NORTH_M + 5}
            for no, kind, unit, east in rows
        ]
    )


def take(session: Session, path: Path, columns: ComponentColumns = COLUMNS) -> TableReport:
    """Import a file in the storage CRS and publish what it changes."""
    file = read_components(path, SCHEME, columns, crs=STORAGE)
    change_set = new_change_set(session, f"import {path.name}")
    report = import_components(session, SCHEME, file, change_set=change_set)
    if report.changes["components"]["added"] or report.changes["components"]["changed"]:
        publish(session, change_set)
    return report


def live(session: Session) -> list[tuple[Any, ...]]:
    rows = session.execute(
        text("""
            SELECT code, category, owner, round(ST_X(point) - :east), valid_to IS NULL
            FROM gridsvc.component WHERE rev_to IS NULL ORDER BY code, valid_from
        """),
        {"east": EAST_M},
    )
    return [tuple(row) for row in rows]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_tables_are_imported_once(town: Session, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"lamps.{ending}"
    rows = frame(*LAMPS)
    rows.to_csv(path, index=False) if ending == "csv" else rows.to_parquet(path)
    assert take(town, path).changes["components"] == {"added": 2, "changed": 0, "unchanged": 0}
    assert live(town) == [("L1", "C0201", "P1", 10, True), ("L2", "C0201", "P2", 20, True)]
    assert take(town, path).changes["components"] == {"added": 0, "changed": 0, "unchanged": 2}


@pytest.mark.parametrize("ending", ["geojson", "gpkg"])
def test_files_of_points_are_imported(town: Session, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"lamps.{ending}"
    rows = frame(*LAMPS)
    points = gpd.GeoDataFrame(
        rows[["no", "kind", "unit"]], geometry=gpd.points_from_xy(rows.x, rows.y), crs=STORAGE
    )
    points.to_file(path)
    columns = ComponentColumns(code="no", category="kind", owner="unit")
    file = read_components(path, SCHEME, columns)
    report = import_components(town, SCHEME, file, change_set=new_change_set(town))
    assert report.changes["components"]["added"] == 2


def test_a_changed_component_ends_and_begins_anew(town: Session, tmp_path: Path) -> None:
    path = tmp_path / "lamps.csv"
    frame(*LAMPS).to_csv(path, index=False)
    take(town, path)
    # In one test's transaction time stands still: the old version began before.
    town.execute(text("UPDATE gridsvc.component SET valid_from = valid_from - interval '1 day'"))
    frame(("L1", "C0201", "P2", 10)).to_csv(path, index=False)
    assert take(town, path).changes["components"] == {"added": 0, "changed": 1, "unchanged": 0}
    # What the file does not mention stays.
    assert live(town) == [
        ("L1", "C0201", "P1", 10, False),
        ("L1", "C0201", "P2", 10, True),
        ("L2", "C0201", "P2", 20, True),
    ]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (("L3", "C0201", "P1", None), "it has no point"),
        (("L3", "C0201", "P1", 90_000.0), "it lies outside the extent of the city"),
        ((None, "C0201", "P1", 1.0), "it has no code"),
        (("L1", "C0201", "P1", 1.0), "L1 is the code of 2 rows"),
        (("L3", None, "P1", 1.0), "no component is of category ''"),
        (("L3", "C0299", "P1", 1.0), "no component is of category 'C0299'; did you mean"),
        (("L3", "0101", "P1", 1.0), "no component is of category '0101'"),
        (("L3", "C0201", None, 1.0), "no party has the code ''"),
        (("L3", "C0201", "P22", 1.0), "no party has the code 'P22'; did you mean P2?"),
    ],
)
def test_rows_that_cannot_be_used_are_told_by_line(
    town: Session, tmp_path: Path, row: tuple[Any, Any, Any, float | None], fault: str
) -> None:
    path = tmp_path / "lamps.csv"
    frame(*LAMPS, row).to_csv(path, index=False)
    with pytest.raises(RowsRefused) as refused:
        take(town, path)
    assert f"row 4: {fault}" in refused.value.faults[-1]
    assert live(town) == []


def test_an_area_is_no_component(town: Session, tmp_path: Path) -> None:
    path = tmp_path / "lamps.geojson"
    gpd.GeoDataFrame(
        {"no": ["L1"], "kind": ["C0201"], "unit": ["P1"]},
        geometry=[shapely.box(116.45, 39.92, 116.46, 39.93)],
        crs="EPSG:4326",
    ).to_file(path)
    columns = ComponentColumns(code="no", category="kind", owner="unit")
    file = read_components(path, SCHEME, columns)
    with pytest.raises(RowsRefused, match="row 1: it has no point"):
        import_components(town, SCHEME, file, change_set=new_change_set(town))


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_missing_column_is_named(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"lamps.{ending}"
    rows = frame(*LAMPS)
    rows.to_csv(path, index=False) if ending == "csv" else rows.to_parquet(path)
    columns = ComponentColumns(code="nr", category="kind", owner="unit", lon="x", lat="y")
    with pytest.raises(ImportRefused, match="it has no column nr"):
        read_components(path, SCHEME, columns)


def test_a_damaged_parquet_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lamps.parquet"
    path.write_bytes(b"PAR1 no more")
    with pytest.raises(ImportRefused, match="cannot be read"):
        read_components(path, SCHEME, COLUMNS)
