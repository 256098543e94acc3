"""A file of boundaries becomes the areas it holds, whatever its format, and tells its faults."""

import gzip
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from shapely import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry
from sqlalchemy import text
from sqlalchemy.orm import Session

from gridsvc.crs import convert_geometries
from gridsvc.errors import ChangeSetRefused, ImportRefused
from gridsvc.grids.boundary_files import read_boundaries
from gridsvc.grids.changesets import find_change_set, latest_revision, publish
from gridsvc.grids.importing import ImportOptions, ImportReport, import_areas
from gridsvc.grids.scheme_store import current_scheme, load_scheme
from gridsvc.grids.terms import FindingKind
from gridsvc.grids.validation import check
from tests.factories import STORAGE, box, live_area, make_scheme, new_change_set, plan

WEST, EAST = box(0, 0, 100, 100), box(100, 0, 200, 100)
TOWN = {"W": WEST, "E": EAST}


@pytest.fixture
def town(session: Session) -> Session:
    load_scheme(session, make_scheme())
    return session


def frame(shapes: dict[str, BaseGeometry | None], **columns: Any) -> gpd.GeoDataFrame:  # noqa: ANN401
    """Lay areas out as a file's rows, in the storage CRS."""
    return gpd.GeoDataFrame(
        {"code": list(shapes), **columns}, geometry=list(shapes.values()), crs=STORAGE
    )


def bring(
    session: Session,
    source: gpd.GeoDataFrame | Path,
    *,
    crs: str | None = None,
    change_set: str = "import",
    **options: object,
) -> ImportReport:
    """Import a file, or a frame by way of one, into a change set."""
    scheme = current_scheme(session)
    with TemporaryDirectory() as folder:
        path = source if isinstance(source, Path) else Path(folder) / "areas.parquet"
        if not isinstance(source, Path):
            source.to_parquet(path)
        file = read_boundaries(path, crs=crs, default_crs=scheme.input_crs[0])
    chosen = {"layer": "street", "code": "code"} | options
    return import_areas(
        session,
        scheme,
        file,
        ImportOptions(**chosen),  # type: ignore[arg-type]
        change_set=new_change_set(session, change_set),
    )


def stored(session: Session) -> dict[str, BaseGeometry]:
    """Give the drafted boundaries of the import, by code."""
    rows = session.execute(
        text(
            "SELECT code, ST_AsBinary(boundary) AS shape FROM gridsvc.area_edit"
            " WHERE boundary IS NOT NULL"
        )
    )
    return {row.code: shapely.from_wkb(bytes(row.shape)) for row in rows}


def kinds(report: ImportReport) -> list[str]:
    return [finding.kind.value for finding in report.findings]


# Formats


def zipped_shapefile(rows: gpd.GeoDataFrame, path: Path) -> None:
    inside = path.parent / "shp"
    inside.mkdir()
    rows.to_file(inside / "areas.shp", encoding="utf-8")
    shutil.make_archive(str(path.with_suffix("")), "zip", inside)


def gzipped_geojson(rows: gpd.GeoDataFrame, path: Path) -> None:
    plain = path.with_suffix("")
    rows.to_file(plain, COORDINATE_PRECISION=9)
    path.write_bytes(gzip.compress(plain.read_bytes()))


WRITERS: dict[str, tuple[Callable[[gpd.GeoDataFrame, Path], None], str]] = {
    "areas.geojson": (lambda rows, path: rows.to_file(path, COORDINATE_PRECISION=9), "code"),
    "areas.geojson.gz": (gzipped_geojson, "code"),
    "areas.gpkg": (lambda rows, path: rows.to_file(path), "code"),
    "areas.zip": (zipped_shapefile, "code"),
    "areas.parquet": (lambda rows, path: rows.to_parquet(path), "code"),
    "areas.fgb": (lambda rows, path: rows.to_file(path), "code"),
    "areas.kml": (
        lambda rows, path: rows.rename(columns={"code": "Name"}).to_file(path, driver="KML"),
        "Name",
    ),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_areas(town: Session, tmp_path: Path, name: str) -> None:
    write, code = WRITERS[name]
    path = tmp_path / name
    write(frame(TOWN).to_crs(4326), path)
    report = bring(town, path, code=code)
    assert (report.findings, report.counts["added"]) == ([], 2)
    areas = stored(town)
    for known, shape in TOWN.items():
        assert shapely.hausdorff_distance(areas[known], shape) < 0.002


@pytest.mark.parametrize("name", WRITERS)
def test_a_truncated_file_is_refused_and_nothing_is_drafted(
    town: Session, tmp_path: Path, name: str
) -> None:
    write, code = WRITERS[name]
    path = tmp_path / name
    many = {f"{n:03}": box(n, 0, n + 1, 100) for n in range(200)}
    write(frame(many).to_crs(4326), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ImportRefused, match=path.name.removesuffix(".gz")):
        bring(town, path, code=code)
    assert stored(town) == {}


def test_a_zip_whose_shapefile_lies_in_a_folder(town: Session, tmp_path: Path) -> None:
    inside = tmp_path / "zip" / "街道"
    inside.mkdir(parents=True)
    frame(TOWN, 名称=["西", "东"]).to_file(inside / "街道.shp", encoding="utf-8")
    shutil.make_archive(str(tmp_path / "areas"), "zip", tmp_path / "zip")
    report = bring(town, tmp_path / "areas.zip", name="名称")
    assert report.counts["added"] == 2


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8"])
def test_a_shapefile_that_does_not_name_its_encoding(
    town: Session, tmp_path: Path, encoding: str
) -> None:
    inside = tmp_path / "shp"
    inside.mkdir()
    frame(TOWN, name=["百草街道", "青禾街道"]).to_file(inside / "areas.shp", encoding=encoding)
    (inside / "areas.cpg").unlink()
    table = bytearray((inside / "areas.dbf").read_bytes())
    table[29] = 0  # the language driver: none
    (inside / "areas.dbf").write_bytes(table)
    shutil.make_archive(str(tmp_path / "areas"), "zip", inside)
    bring(town, tmp_path / "areas.zip", name="name")
    names = town.scalars(text("SELECT name FROM gridsvc.area_edit ORDER BY name")).all()
    assert names == ["百草街道", "青禾街道"]


def test_a_missing_file_and_one_that_is_no_map_are_refused(town: Session, tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="no such file"):
        bring(town, tmp_path / "none.gpkg")
    table = tmp_path / "table.csv"
    table.write_text("code,x\n1,2\n")
    with pytest.raises(ImportRefused, match=r"table\.csv"):
        bring(town, table)


def test_of_several_tables_one_must_be_named(town: Session, tmp_path: Path) -> None:
    path = tmp_path / "two.gpkg"
    for layer in ("first", "second"):
        frame(TOWN).to_file(path, layer=layer)
    with pytest.raises(ImportRefused, match="it holds 2 tables with geometry: first, second"):
        bring(town, path)
    with pytest.raises(ImportRefused, match=r"no table 'third'; it holds 2 .* first, second"):
        read_boundaries(path, default_crs="EPSG:4326", table="third")
    read = read_boundaries(path, default_crs="EPSG:4326", table="second")
    assert (len(read.frame), read.crs.name) == (2, STORAGE)


# Codes, names, columns


def test_a_wrong_column_names_those_there_are(town: Session) -> None:
    with pytest.raises(ImportRefused, match="no column 'cod'") as refused:
        bring(town, frame(TOWN), code="cod")
    assert "code" in refused.value.remedy
    with pytest.raises(ImportRefused, match="no column 'title'"):
        bring(town, frame(TOWN), name="title")


def test_an_unknown_layer_names_those_there_are(town: Session) -> None:
    with pytest.raises(ImportRefused, match="no layer 'lane'") as refused:
        bring(town, frame(TOWN), layer="lane")
    assert "shop_front" in refused.value.remedy


def test_numbers_and_blanks_become_codes_and_names_as_people_read_them(town: Session) -> None:
    rows = frame(TOWN, number=[503.0, 7.0], name=[" 西街 ", "  "])
    report = bring(town, rows, code="number", name="name")
    assert set(stored(town)) == {"503", "7"}
    (nameless,) = report.findings
    assert (nameless.kind, nameless.code, nameless.stops) == ("empty_name", "7", False)
    assert nameless.area_m2 == pytest.approx(10_000)
    assert near(nameless.lonlat, EAST)
    names = town.execute(text("SELECT code, name FROM gridsvc.area_edit")).all()
    assert {tuple(row) for row in names} == {("503", "西街"), ("7", None)}


@pytest.mark.parametrize("blank", [None, "", "  "])
def test_a_row_without_a_code_is_found_and_left_out(town: Session, blank: str | None) -> None:
    report = bring(town, frame(TOWN, street=["W", blank]), code="street")
    assert kinds(report) == ["odd_code"]
    assert (report.counts["added"], report.counts["skipped"]) == (1, 1)


def test_codes_are_held_to_the_layers_pattern_and_format(session: Session) -> None:
    pattern = ('kind = "tiling"\nparent', 'kind = "tiling"\ncode_pattern = "[A-V]"\nparent')
    load_scheme(session, make_scheme(pattern))
    report = bring(session, frame(TOWN))
    assert [str(finding) for finding in report.findings] == [
        "odd_code: street 'W' does not match [A-V]"
    ]
    (odd,) = report.findings
    assert (odd.code, odd.area_m2) == ("W", pytest.approx(10_000))
    assert near(odd.lonlat, WEST)


def test_unit_grid_codes_are_checked_digit_by_digit(session: Session) -> None:
    unit = ('kind = "tiling"\nparent', 'kind = "tiling"\ncode_format = "unit_grid"\nparent')
    load_scheme(session, make_scheme(unit))
    good = "110105001002003"
    report = bring(session, frame({good: WEST, "110105001002000": EAST}))
    (finding,) = report.findings
    assert (finding.kind, finding.code, finding.stops) == ("odd_code", "110105001002000", True)
    assert "has 000 for its unit" in finding.message


# Findings, each with its place


def near(finding_place: tuple[float, float] | None, shape: BaseGeometry) -> bool:
    """Tell whether a finding's point lies in, or a metre about, a shape of the storage CRS."""
    assert finding_place is not None
    point = convert_geometries(shapely.Point(finding_place), source="EPSG:4326", target=STORAGE)
    return bool(shapely.dwithin(point, shape, 1))


BOW_TIE = plan(Polygon([(100, 0), (200, 100), (200, 0), (100, 100)]))


def test_a_null_geometry_is_found_and_the_rest_goes_on(town: Session, tmp_path: Path) -> None:
    path = tmp_path / "areas.geojson"
    frame({"W": WEST, "E": None, "F": Polygon()}).to_crs(4326).to_file(path)
    report = bring(town, path)
    assert [(f.kind, f.code) for f in report.findings] == [
        ("null_geometry", "E"),
        ("null_geometry", "F"),
    ]
    assert report.stopped
    assert set(stored(town)) == {"W"}


def test_a_file_of_nothing_is_found(town: Session) -> None:
    assert kinds(bring(town, frame({"W": None}))) == ["null_geometry"]
    assert kinds(bring(town, frame({}))) == ["null_geometry"]


def test_lines_and_points_are_found(town: Session) -> None:
    report = bring(town, frame({"W": WEST, "L": EAST.boundary}))
    (finding,) = report.findings
    assert (finding.kind, finding.code, finding.area_m2) == ("not_polygon", "L", None)
    assert near(finding.lonlat, EAST.boundary)
    assert finding.message == (
        "street L is a LineString, and layer street is drawn as polygons; give the areas themselves"
    )


def test_an_invalid_ring_is_found_at_its_crossing(town: Session) -> None:
    report = bring(town, frame({"W": WEST, "E": BOW_TIE}))
    (finding,) = report.findings
    assert (finding.kind, finding.code, finding.stops) == ("invalid_ring", "E", True)
    assert near(finding.lonlat, plan(shapely.Point(150, 50)))
    assert finding.area_m2 is not None
    assert set(stored(town)) == {"W"}


def test_a_repair_says_what_it_changed(town: Session) -> None:
    report = bring(town, frame({"W": WEST, "E": BOW_TIE}), repair=True)
    assert report.findings == []
    (repair,) = report.repairs
    assert repair.code == "E"
    assert repair.reason.startswith("Self-intersection[")
    assert repair.area_after_m2 == pytest.approx(5000)
    assert stored(town)["E"].is_valid
    assert stored(town)["E"].area == pytest.approx(5000)


def test_a_code_that_stands_twice_is_found_or_dissolved(town: Session) -> None:
    rows = frame({"W": WEST, "E": EAST})
    rows["code"] = "W"
    found = bring(town, rows)
    (finding,) = found.findings
    assert (finding.kind, finding.code) == ("duplicate_code", "W")
    assert finding.message.startswith("street W stands in 2 rows")
    assert finding.area_m2 == pytest.approx(10_000)
    assert near(finding.lonlat, WEST)
    dissolved = bring(town, rows, dissolve=True)
    assert (dissolved.findings, dissolved.counts["added"]) == ([], 1)
    assert shapely.equals(stored(town)["W"], box(0, 0, 200, 100))


def test_feet_that_say_degrees_are_refused_with_the_right_suggestion(session: Session) -> None:
    feet = ('"EPSG:4547"]', '"EPSG:4547", "EPSG:3857"]')
    load_scheme(session, make_scheme(feet))
    rows = frame(TOWN).to_crs(3857).set_crs(4326, allow_override=True)
    report = bring(session, rows)
    (finding,) = report.findings
    assert (finding.kind, finding.stops) == ("undeclared_crs", True)
    assert "EPSG:3857" in finding.message
    assert stored(session) == {}


def test_the_callers_crs_wins_over_the_files(town: Session) -> None:
    shifted = frame(TOWN).to_crs(4326).geometry.to_numpy()
    gcj = convert_geometries(shifted, source="EPSG:4326", target="gcj02")
    rows = gpd.GeoDataFrame({"code": list(TOWN)}, geometry=list(gcj), crs=4326)
    bring(town, rows, crs="gcj02")
    assert shapely.hausdorff_distance(stored(town)["W"], WEST) < 0.002


def test_a_layer_in_another_datum_is_recognised_by_its_relatives(town: Session) -> None:
    bring(town, frame({"D": box(0, 0, 2000, 1000)}), layer="district", change_set="d")
    publish(town, find_change_set(town, "d"))
    streets = {f"{n:02}": box(200 * n, 0, 200 * n + 200, 1000) for n in range(10)}
    gcj = convert_geometries(list(streets.values()), source=STORAGE, target="gcj02")
    rows = gpd.GeoDataFrame({"code": list(streets)}, geometry=list(gcj), crs=4326)
    (wrong,) = (f for f in bring(town, rows).findings if f.kind == "wrong_datum")
    assert "gcj02" in wrong.message
    assert wrong.lonlat is not None
    assert bring(town, rows, crs="gcj02").findings == []


def test_an_area_beyond_the_extent_is_found(town: Session) -> None:
    report = bring(town, frame({"W": WEST, "far": box(30_000, 0, 30_100, 100)}))
    (finding,) = report.findings
    assert (finding.kind, finding.code) == ("outside_extent", "far")
    assert finding.area_m2 == pytest.approx(10_000)
    assert near(finding.lonlat, box(30_000, 0, 30_100, 100))


def test_overlap_gap_and_spill_are_found_with_place_and_size(town: Session) -> None:
    bring(town, frame({"D": box(0, 0, 200, 100)}), layer="district", change_set="d")
    publish(town, find_change_set(town, "d"))
    report = bring(
        town, frame({"W": box(0, 0, 90, 100), "V": box(80, 0, 90, 50), "E": box(100, 0, 210, 100)})
    )
    found = {finding.kind: finding for finding in report.findings if finding.stops}
    assert set(found) == {"overlap", "gap", "spill"}
    # Where they overlap, edges also pass nodes that they lack, which is only reported.
    assert {f.kind for f in report.findings if not f.stops} == {"missing_node"}
    for kind, codes, area_m2, part in (
        ("overlap", ("V", "W"), 500, box(80, 0, 90, 50)),
        ("gap", ("D", None), 1000, box(90, 0, 100, 100)),
        ("spill", ("E", "D"), 1000, box(200, 0, 210, 100)),
    ):
        finding = found[kind]
        assert (finding.code, finding.other) == codes
        assert finding.area_m2 == pytest.approx(area_m2)
        assert near(finding.lonlat, part)


def test_a_sliver_is_found_as_narrow_and_only_reported(town: Session) -> None:
    report = bring(town, frame({"W": box(0, 0, 0.4, 100)}))
    assert kinds(report) == ["narrow"]
    assert not report.stopped


def test_slivers_of_rounding_are_missing_nodes_and_nothing_else(town: Session) -> None:
    # Neighbours with a vertex more on one side: once rounded, it lies off the other's edge.
    middle = (33.333333, 33.333333 * 97.7 / 100)
    below = plan(Polygon([(0, 0), (100, 0), (100, 97.7), middle]))
    above = plan(Polygon([(0, 0), (100, 97.7), (0, 97.7)]))
    assert kinds(bring(town, frame({"W": below, "E": above}))) == ["missing_node"]


# What would change


@pytest.fixture
def published(town: Session) -> Session:
    bring(town, frame(TOWN, name=["西", "东"]), name="name")
    publish(town, find_change_set(town, "import"))
    return town


def counts(report: ImportReport) -> dict[str, int]:
    return {change: count for change, count in report.counts.items() if count}


def test_the_same_file_again_changes_nothing(published: Session) -> None:
    report = bring(published, frame(TOWN, name=["西", "东"]), name="name")
    assert counts(report) == {"unchanged": 2}
    assert stored(published).keys() == {"W", "E"}  # those of the first import


def test_the_same_ring_begun_elsewhere_is_unchanged(published: Session) -> None:
    turned = Polygon(np.roll(WEST.exterior.coords[:-1], 2, axis=0))
    report = bring(
        published, frame({"W": MultiPolygon([turned]), "E": EAST}, name=["西", "东"]), name="name"
    )
    assert counts(report) == {"unchanged": 2}


def test_added_changed_closed_and_unchanged(published: Session) -> None:
    rows = frame({"W": WEST, "N": box(0, 100, 100, 200)}, name=["西二", "北"])
    now = datetime.now(UTC)
    report = bring(published, rows, name="name", valid_from=now)
    assert counts(report) == {"added": 1, "changed": 1, "closed": 1}
    revision = publish(published, find_change_set(published, "import")).revision
    periods = published.execute(
        text("SELECT code, name, valid_to FROM gridsvc.area WHERE rev_to IS NULL ORDER BY 1, 2")
    ).all()
    assert [tuple(row) for row in periods] == [
        ("E", "东", now),
        ("N", "北", None),
        ("W", "西", now),
        ("W", "西二", None),
    ]
    assert latest_revision(published) == revision


def test_a_part_of_the_layer_closes_nothing(published: Session) -> None:
    rows = frame({"W": WEST}, name=["西二"])
    assert counts(bring(published, rows, name="name", part=True)) == {"changed": 1}
    publish(published, find_change_set(published, "import"))
    assert live_area(published, "E")


def test_a_second_import_into_a_change_set_replaces_the_first(published: Session) -> None:
    bring(published, frame({"W": WEST}), change_set="again")
    bring(published, frame(TOWN, name=["西", "东"]), name="name", change_set="again")
    drafted = published.scalar(
        text("SELECT count(*) FROM gridsvc.area_edit WHERE change_set_id = :id"),
        {"id": find_change_set(published, "again").id},
    )
    assert drafted == 0


def test_what_stopped_a_file_still_stops_its_change_set(published: Session) -> None:
    crossed = Polygon([(0, 0), (100, 100), (100, 0), (0, 100)])
    bring(published, frame({"W": plan(crossed), "E": EAST}), change_set="kept")
    kept = find_change_set(published, "kept")
    with pytest.raises(ChangeSetRefused, match=r"invalid_ring: .* W"):
        publish(published, kept)
    found = check(published, current_scheme(published), change_set=kept)
    assert FindingKind.INVALID_RING in {finding.kind for finding in found}
    bring(published, frame({"W": WEST, "E": EAST}), change_set="kept")
    assert publish(published, kept).revision == latest_revision(published)


def test_refused_rows_close_nothing(published: Session) -> None:
    crossed = Polygon([(0, 0), (100, 100), (100, 0), (0, 100)])
    report = bring(published, frame({"W": plan(crossed), "E": EAST}))
    assert counts(report) == {"changed": 1, "skipped": 1}
    assert kinds(report) == ["invalid_ring"]


def test_a_state_from_a_date_on_leaves_the_days_before(published: Session) -> None:
    from_then = datetime.now(UTC) + timedelta(days=30)
    bring(published, frame({"W": box(0, 0, 200, 100)}), valid_from=from_then)
    publish(published, find_change_set(published, "import"))
    periods = published.execute(
        text(
            "SELECT code, valid_to, round(ST_Area(boundary)) AS area_m2 FROM gridsvc.area"
            " WHERE rev_to IS NULL ORDER BY valid_from, code"
        )
    ).all()
    assert [tuple(row) for row in periods] == [
        ("E", from_then, 10_000),
        ("W", from_then, 10_000),
        ("W", None, 20_000),
    ]


def test_a_dry_run_leaves_no_trace(published: Session) -> None:
    def everything() -> list[tuple[object, ...]]:
        tables = ("change_set", "area_edit", "area", "area_piece", "revision")
        return [
            tuple(row)
            for table in tables
            for row in published.execute(text(f"SELECT t.* FROM gridsvc.{table} AS t ORDER BY 1"))
        ]

    before = everything()
    dry_run = published.begin_nested()
    report = bring(published, frame({"N": WEST}), change_set="dry")
    assert counts(report) == {"added": 1, "closed": 2}
    dry_run.rollback()
    assert everything() == before


# Geometry


def test_heights_are_dropped_and_single_polygons_stored_as_many(town: Session) -> None:
    tall = shapely.force_3d(WEST, 51.2)
    two = MultiPolygon([EAST, box(300, 0, 310, 10)])
    bring(town, frame({"W": tall, "E": two}))
    areas = stored(town)
    assert not areas["W"].has_z
    assert [areas[code].geom_type for code in "WE"] == ["MultiPolygon"] * 2
    assert len(areas["E"].geoms) == 2


def test_boundaries_lie_on_the_millimetre_grid_and_neighbours_share_their_edge(
    town: Session,
) -> None:
    corner = [(100.00049, 0.12345678), (99.9996, 50.55551), (100.1, 99.99999)]
    west = plan(Polygon([(0, 0), *corner, (0, 100)]))
    east = plan(Polygon([*corner, (200, 100), (200, 0)]))
    report = bring(town, frame({"W": west, "E": east}))
    assert report.findings == []
    areas = stored(town)
    for area in areas.values():
        xy = shapely.get_coordinates(area)
        assert np.abs(xy * 1000 - np.rint(xy * 1000)).max() < 1e-5
    assert areas["W"].intersection(areas["E"]).geom_type in {"LineString", "MultiLineString"}
    publish(town, find_change_set(town, "import"))
    assert live_area(town, "W")


def test_a_ring_that_breaks_in_rounding_is_mended_and_named(town: Session) -> None:
    spike = plan(
        Polygon([(0, 0), (50, 0), (50, 80), (50.0001, 0.0001), (100, 0), (100, 100), (0, 100)])
    )
    assert spike.is_valid
    report = bring(town, frame({"W": spike}))
    (repair,) = report.repairs
    assert (repair.code, repair.reason.endswith("after rounding to 1 mm")) == ("W", True)
    assert not report.stopped


def test_coordinates_that_cannot_exist_are_found(town: Session, tmp_path: Path) -> None:
    path = tmp_path / "odd.geojson"
    path.write_text(
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties":'
        ' {"code": "W"}, "geometry": {"type": "Polygon", "coordinates":'
        " [[[116.4, 39.9], [1e300, 39.9], [116.5, 40], [116.4, 39.9]]]}}]}"
    )
    assert bring(town, path).stopped
