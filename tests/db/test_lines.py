"""Streets come as centre lines with a width: drawn, widened, published, and told when odd."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from shapely import LineString, MultiLineString
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Row, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session
from typer.testing import CliRunner, Result

from gridsvc.cli import app
from gridsvc.crs import convert_geometries, parse_crs
from gridsvc.db import create_engine
from gridsvc.errors import ImportRefused
from gridsvc.grids.boundary_files import BoundaryFile
from gridsvc.grids.changesets import find_change_set, publish, rollback
from gridsvc.grids.importing import ImportOptions, ImportReport, import_areas
from gridsvc.grids.scheme_store import current_scheme, load_scheme
from gridsvc.grids.schemes import Scheme
from gridsvc.grids.validation import check
from tests.db_fixtures import MakeDatabase
from tests.factories import FOUNDED_AT, STORAGE, box, make_scheme, new_change_set, plan

AS_LINES = (
    'code = "courtyard"\ntitle = { zh = "院落", en = "Courtyard" }\nkind = "overlay"\n',
    'code = "lane"\ntitle = { zh = "路段", en = "Lane" }\nkind = "overlay"\ndrawn_as = "line"\n',
)
EAST_WEST = plan(LineString([(0, 0), (100, 0)]))
BENT = plan(LineString([(0, 50), (100, 50), (100, 130)]))


@pytest.fixture(scope="module")
def scheme() -> Scheme:
    return make_scheme(AS_LINES, ('["courtyard", ', '["lane", '))


@pytest.fixture
def town(session: Session, scheme: Scheme) -> Session:
    load_scheme(session, scheme)
    return session


def bring(
    session: Session,
    shapes: dict[str, BaseGeometry | None],
    *,
    width: str | None = "width",
    widths: Sequence[object] | None = None,
    crs: str = STORAGE,
    change_set: str = "import",
    **options: Any,  # noqa: ANN401 -- of ImportOptions
) -> ImportReport:
    """Import rows of lines and polygons into the lanes, or the layer named."""
    columns: dict[str, Any] = {"code": list(shapes)}
    if widths is not None:
        columns["width"] = list(widths)
    places = list(shapes.values())
    rows = gpd.GeoDataFrame(columns, geometry=places, crs=parse_crs(crs).epsg)
    chosen = {"layer": "lane", "code": "code", "width": width} | options
    return import_areas(
        session,
        current_scheme(session),
        BoundaryFile("lanes.gpkg", rows, parse_crs(crs)),
        ImportOptions(**chosen),
        change_set=new_change_set(session, change_set),
    )


def publish_lines(session: Session, change_set: str = "import") -> int:
    return publish(session, find_change_set(session, change_set)).revision


def stored(session: Session, table: str = "area_edit") -> dict[str, Row[Any]]:
    """Give what is drafted, or live, by code; each surface is what its line and width make."""
    live = "rev_to IS NULL" if table == "area" else "boundary IS NOT NULL"
    rows = session.execute(
        text(
            "SELECT code, ST_AsBinary(boundary) AS boundary, ST_AsBinary(centre_line) AS line, "
            "width_m, boundary = gridsvc.surface_of(centre_line, width_m) AS as_drawn "
            f"FROM gridsvc.{table} WHERE {live} ORDER BY id"
        )
    ).all()
    assert all(row.as_drawn for row in rows if row.line is not None)
    return {row.code: row for row in rows}


def shape(wkb: bytes | None) -> BaseGeometry:
    assert wkb is not None
    found: BaseGeometry = shapely.from_wkb(bytes(wkb))
    return found


def counts(report: ImportReport) -> dict[str, int]:
    return {change: count for change, count in report.counts.items() if count}


def told(report: ImportReport) -> list[str]:
    return [str(finding) for finding in report.findings]


def near(place: tuple[float, float] | None, ground: BaseGeometry) -> bool:
    assert place is not None
    point = convert_geometries(shapely.Point(place), source="EPSG:4326", target=STORAGE)
    return bool(shapely.dwithin(point, ground, 1))


# What is drawn


def test_lines_with_a_column_of_widths_become_areas(town: Session) -> None:
    report = bring(town, {"A": EAST_WEST, "B": BENT}, widths=[10, 9.5])
    assert (report.findings, counts(report)) == ([], {"added": 2})
    lanes = stored(town)
    assert (lanes["A"].width_m, lanes["B"].width_m) == (10, 9.5)
    assert shape(lanes["A"].boundary).equals(box(0, -5, 100, 5))
    assert shape(lanes["A"].line).equals_exact(MultiLineString([EAST_WEST]), 1e-9)
    surface = shapely.buffer(BENT, 4.75, cap_style="flat", quad_segs=8)
    assert shapely.symmetric_difference(shape(lanes["B"].boundary), surface).area < 0.1


def test_one_number_is_the_width_of_all(town: Session) -> None:
    assert bring(town, {"A": EAST_WEST, "B": BENT}, width="12.5").findings == []
    assert {row.width_m for row in stored(town).values()} == {12.5}


def test_a_column_goes_before_a_number(town: Session) -> None:
    rows = gpd.GeoDataFrame({"code": ["A"], "9": [12.0]}, geometry=[EAST_WEST], crs=STORAGE)
    import_areas(
        town,
        current_scheme(town),
        BoundaryFile("lanes.gpkg", rows, parse_crs(STORAGE)),
        ImportOptions(layer="lane", code="code", width="9"),
        change_set=new_change_set(town),
    )
    assert stored(town)["A"].width_m == 12


@pytest.mark.parametrize("crs", ["EPSG:4326", "gcj02"])
def test_lines_in_degrees_have_their_width_in_metres(town: Session, crs: str) -> None:
    there = convert_geometries(BENT, source=STORAGE, target=crs)
    rows = gpd.GeoDataFrame({"code": ["B"]}, geometry=[there])
    report = import_areas(
        town,
        current_scheme(town),
        BoundaryFile("lanes.geojson", rows, parse_crs(crs)),
        ImportOptions(layer="lane", code="code", width="9"),
        change_set=new_change_set(town),
    )
    assert report.findings == []
    surface = shapely.buffer(BENT, 4.5, cap_style="flat", quad_segs=8)
    assert shapely.symmetric_difference(shape(stored(town)["B"].boundary), surface).area < 1


def test_metres_that_say_degrees_are_refused(town: Session) -> None:
    report = bring(town, {"A": EAST_WEST}, width="9", crs="EPSG:4326")
    assert [finding.kind for finding in report.findings] == ["undeclared_crs"]
    assert stored(town) == {}


def test_lines_and_widths_are_kept_to_the_millimetre(town: Session) -> None:
    rough = plan(LineString([(0.00031, 0.0004), (50, 0.00031), (50.0004, 0), (99.99962, 0)]))
    assert bring(town, {"A": rough}, widths=["9.00049 "]).findings == []
    lane = stored(town)["A"]
    assert lane.width_m == 9
    xy = shapely.get_coordinates(shape(lane.line))
    assert np.abs(xy * 1000 - np.round(xy * 1000)).max() < 1e-4
    assert len(xy) == 3  # two points were less than a millimetre apart
    assert shape(lane.boundary).equals(box(0, -4.5, 100, 4.5))


ODD_LINES: dict[str, BaseGeometry] = {
    "a bend sharper than the width": plan(LineString([(0, 0), (60, 0), (0, 3)])),
    "a ring": plan(LineString([(0, 0), (90, 0), (90, 90), (0, 90), (0, 0)])),
    "points that stand twice": plan(LineString([(0, 0), (0, 0), (90, 0), (90, 0)])),
    "several parts": plan(MultiLineString([[(0, 0), (90, 0)], [(0, 50), (90, 50)]])),
    "a part within another": plan(MultiLineString([[(0, 0), (90, 0)], [(20, 0), (40, 0)]])),
    "a line across itself": plan(LineString([(0, 0), (90, 90), (90, 0), (0, 90)])),
    "a millimetre": plan(LineString([(0, 0), (0.001, 0)])),
    "heights": shapely.force_3d(EAST_WEST, 40.0),
}


@pytest.mark.parametrize("name", ODD_LINES)
def test_odd_lines_are_taken_and_published(town: Session, name: str) -> None:
    assert not bring(town, {"A": ODD_LINES[name]}, width="12").stopped
    publish_lines(town)
    lane = stored(town, "area")["A"]
    assert lane.width_m == 12
    assert shape(lane.boundary).is_valid
    assert shapely.covers(shape(lane.boundary).buffer(0.002), shape(lane.line))


def test_polygons_in_a_layer_of_lines_are_taken_as_they_are(town: Session) -> None:
    square = box(0, 200, 50, 250)
    report = bring(town, {"A": EAST_WEST, "square": square}, widths=[9, None])
    assert report.findings == []
    publish_lines(town)
    lanes = stored(town, "area")
    assert shape(lanes["square"].boundary).equals(square)
    assert (lanes["square"].line, lanes["square"].width_m) == (None, None)
    assert lanes["A"].width_m == 9
    assert bring(town, {"square": square}, width=None, part=True).findings == []


# What is refused


def test_a_layer_of_polygons_takes_no_lines_and_no_widths(town: Session) -> None:
    report = bring(town, {"A": box(0, 0, 9, 9), "L": EAST_WEST}, width=None, layer="shop_front")
    (finding,) = report.findings
    assert (finding.kind, finding.code, finding.stops) == ("not_polygon", "L", True)
    assert finding.message == (
        "shop_front L is a LineString, and layer shop_front is drawn as polygons; "
        "give the areas themselves"
    )
    assert near(finding.lonlat, EAST_WEST)
    assert set(stored(town)) == {"A"}
    with pytest.raises(ImportRefused, match="layer shop_front is drawn as polygons") as refused:
        bring(town, {"A": box(0, 0, 9, 9)}, width="9", layer="shop_front")
    assert "Leave --width out" in refused.value.remedy


def test_points_are_no_streets(town: Session) -> None:
    report = bring(town, {"A": EAST_WEST, "P": plan(shapely.Point(5, 5))}, width="9")
    assert told(report) == [
        "not_polygon: lane P is a Point, and layer lane is drawn as lines; give those, or polygons"
    ]


def test_lines_need_a_width(town: Session) -> None:
    with pytest.raises(ImportRefused, match="nothing tells how wide they are") as refused:
        bring(town, {"A": EAST_WEST}, width=None)
    assert "--width" in refused.value.remedy


def test_a_width_that_is_neither_column_nor_number_names_the_columns(town: Session) -> None:
    with pytest.raises(ImportRefused, match="no column 'widht'") as refused:
        bring(town, {"A": EAST_WEST}, width="widht", widths=[9])
    assert refused.value.remedy == "Name one of width with --width, or metres for all rows"


@pytest.mark.parametrize("width", ["0", "-9", "0.09", "200.1", "900", "inf", "nan"])
def test_one_width_for_all_that_no_street_has(town: Session, width: str) -> None:
    with pytest.raises(ImportRefused, match=f"no street is {width} m wide") as refused:
        bring(town, {"A": EAST_WEST}, width=width)
    assert "metres from 0.1 to 200" in refused.value.remedy


@pytest.mark.parametrize(
    ("width", "words"),
    [
        (None, "has no width in width"),
        ("  ", "has no width in width"),
        (float("nan"), "has no width in width"),
        (0, "has a width of '0' in width"),
        (-9.5, "has a width of '-9.5' in width"),
        (900, "has a width of '900' in width"),
        (0.02, "has a width of '0.02' in width"),
        (float("inf"), "has a width of 'inf' in width"),
        ("9,5", "has a width of '9,5' in width"),
        ("wide", "has a width of 'wide' in width"),
    ],
)
def test_a_width_that_no_street_has_is_found_by_row(
    town: Session, width: object, words: str
) -> None:
    widths = [9.0, width] if isinstance(width, int | float | None) else ["9", width]
    report = bring(town, {"A": EAST_WEST, "B": BENT}, widths=widths)
    (finding,) = report.findings
    assert (finding.kind, finding.code, finding.stops) == ("odd_width", "B", True)
    assert finding.message == f"lane B {words}; give metres from 0.1 to 200"
    assert finding.area_m2 is None
    assert near(finding.lonlat, BENT)
    assert counts(report) == {"added": 1, "skipped": 1}
    (kept,) = check(town, current_scheme(town), change_set=find_change_set(town, "import"))
    assert (kept.kind, kept.lonlat) == ("odd_width", pytest.approx(finding.lonlat))


@pytest.mark.parametrize("width", [0.1, 200, "0.10", "2e2"])
def test_the_bounds_of_widths_themselves_are_widths(town: Session, width: object) -> None:
    assert not bring(town, {"A": EAST_WEST}, widths=[width]).stopped


def test_a_row_without_a_code_is_told_by_its_number_in_the_file(town: Session) -> None:
    shapes: list[BaseGeometry | None] = [None, EAST_WEST, BENT]
    rows = gpd.GeoDataFrame({"code": ["N", "A", None], "w": [9, 9, 0]}, geometry=shapes)
    report = import_areas(
        town,
        current_scheme(town),
        BoundaryFile("lanes.gpkg", rows.set_crs(STORAGE), parse_crs(STORAGE)),
        ImportOptions(layer="lane", code="code", width="w"),
        change_set=new_change_set(town),
    )
    assert "odd_width: row 3 has a width of '0' in w; give metres from 0.1 to 200" in told(report)


@pytest.mark.parametrize("away_m", [0.0, 0.0004])
def test_a_line_without_length_is_found_and_left_out(town: Session, away_m: float) -> None:
    dot = plan(LineString([(200, 0), (200 + away_m, 0)]))
    report = bring(town, {"A": EAST_WEST, "dot": dot}, width="9")
    (finding,) = report.findings
    assert (finding.kind, finding.code, finding.stops) == ("null_geometry", "dot", True)
    assert "a line without length" in finding.message
    assert near(finding.lonlat, dot)
    assert set(stored(town)) == {"A"}


def test_a_street_beyond_the_extent_is_found_by_what_it_covers(town: Session) -> None:
    far = plan(LineString([(30_000, 0), (30_100, 0)]))
    (finding,) = bring(town, {"A": EAST_WEST, "far": far}, width="9").findings
    assert (finding.kind, finding.code) == ("outside_extent", "far")
    assert finding.area_m2 == pytest.approx(900)


# Several rows of one street


def parts() -> gpd.GeoDataFrame:
    lines = [LineString([(0, 0), (100, 0)]), LineString([(100, 0), (100, 80)])]
    return gpd.GeoDataFrame(
        {"code": ["A", "A"], "width": [9, 9]}, geometry=list(map(plan, lines)), crs=STORAGE
    )


@pytest.fixture
def bring_parts(town: Session) -> Callable[..., ImportReport]:
    def brought(rows: gpd.GeoDataFrame, *, dissolve: bool = True) -> ImportReport:
        return import_areas(
            town,
            current_scheme(town),
            BoundaryFile("lanes.gpkg", rows, parse_crs(STORAGE)),
            ImportOptions(layer="lane", code="code", width="width", dissolve=dissolve),
            change_set=new_change_set(town),
        )

    return brought


def test_rows_of_one_street_become_parts_of_its_line(
    town: Session, bring_parts: Callable[..., ImportReport]
) -> None:
    report = bring_parts(parts())
    assert (report.findings, counts(report)) == ([], {"added": 1})
    lane = stored(town)["A"]
    assert len(shape(lane.line).geoms) == 2
    whole = plan(LineString([(0, 0), (100, 0), (100, 80)]))
    surface = shapely.buffer(whole, 4.5, cap_style="flat", quad_segs=8)
    assert shapely.symmetric_difference(shape(lane.boundary), surface).area < 0.2


def test_without_dissolve_they_are_found(bring_parts: Callable[..., ImportReport]) -> None:
    (finding,) = bring_parts(parts(), dissolve=False).findings
    assert (finding.kind, finding.code) == ("duplicate_code", "A")


def test_parts_of_several_widths_are_no_one_street(
    town: Session, bring_parts: Callable[..., ImportReport]
) -> None:
    (finding,) = bring_parts(parts().assign(width=[9, 12])).findings
    assert (finding.kind, finding.code, finding.stops) == ("odd_width", "A", True)
    assert "parts of several widths" in finding.message
    assert near(finding.lonlat, EAST_WEST)
    assert stored(town) == {}


def test_a_polygon_is_no_part_of_a_line(
    town: Session, bring_parts: Callable[..., ImportReport]
) -> None:
    mixed = parts()
    mixed.loc[1, "geometry"] = box(100, 0, 120, 80)
    (finding,) = bring_parts(mixed).findings
    assert (finding.kind, finding.code) == ("odd_width", "A")
    assert stored(town) == {}


# What would change


@pytest.fixture
def published(town: Session) -> Session:
    bring(town, {"A": EAST_WEST, "B": BENT}, widths=[10, 9], valid_from=FOUNDED_AT)
    publish_lines(town)
    return town


def test_the_same_lines_again_change_nothing(published: Session) -> None:
    again = bring(published, {"A": EAST_WEST, "B": BENT}, widths=[10, 9], change_set="again")
    assert counts(again) == {"unchanged": 2}


def test_another_width_or_line_is_a_change(published: Session) -> None:
    shapes: dict[str, BaseGeometry | None] = {"A": EAST_WEST, "B": BENT}
    assert counts(bring(published, shapes, widths=[10, 9.001], change_set="wider")) == {
        "unchanged": 1,
        "changed": 1,
    }
    # Of the same surface, but drawn in two strokes.
    strokes = MultiLineString(
        [
            [*EAST_WEST.coords[:1], plan(shapely.Point(40, 0)).coords[0]],
            [plan(shapely.Point(40, 0)).coords[0], *EAST_WEST.coords[1:]],
        ]
    )
    assert counts(bring(published, shapes | {"A": strokes}, widths=[10, 9], change_set="two")) == {
        "unchanged": 1,
        "changed": 1,
    }


def test_a_polygon_of_the_same_shape_is_a_change(published: Session) -> None:
    report = bring(published, {"A": box(0, -5, 100, 5), "B": BENT}, widths=[10, 9])
    assert counts(report) == {"unchanged": 1, "changed": 1}
    publish_lines(published)
    assert stored(published, "area")["A"].line is None


def test_a_street_that_ends_keeps_its_line_for_the_time_before(published: Session) -> None:
    bring(published, {"A": EAST_WEST}, width="10")
    publish_lines(published)
    ended = stored(published, "area")["B"]
    assert ended.width_m == 9
    assert shape(ended.line).equals_exact(MultiLineString([BENT]), 1e-9)


def test_a_rollback_brings_line_and_width_back(published: Session) -> None:
    before = stored(published, "area")
    bring(published, {"A": EAST_WEST, "B": BENT}, widths=[20, 9])
    publish_lines(published)
    assert stored(published, "area")["A"].width_m == 20
    rollback(published, 1)
    after = stored(published, "area")
    assert {code: tuple(row) for code, row in after.items()} == {
        code: tuple(row) for code, row in before.items()
    }


def test_the_layer_tells_how_it_is_drawn(town: Session, scheme: Scheme) -> None:
    drawn = town.execute(text("SELECT code, drawn_as FROM gridsvc.layer")).all()
    assert {row.code for row in drawn if row.drawn_as == "line"} == {"lane"}
    assert current_scheme(town) == scheme


def test_a_line_drawn_in_qgis_covers_what_an_imported_one_does(published: Session) -> None:
    published.execute(text("INSERT INTO edit.change_set (name) VALUES ('june')"))
    published.execute(
        text(
            "INSERT INTO edit.lane (code, width_m, centre_line) "
            "SELECT 'C', width_m, centre_line FROM edit.lane WHERE code = 'B'"
        )
    )
    published.execute(text("UPDATE edit.lane SET width_m = 12 WHERE code = 'A'"))
    drafted, live = stored(published), stored(published, "area")
    assert tuple(drafted["C"])[1:] == tuple(live["B"])[1:]
    assert shape(drafted["A"].boundary).equals(box(0, -6, 100, 6))
    (seen,) = published.execute(
        text("SELECT ST_AsBinary(boundary) FROM edit.lane_surface WHERE code = 'A'")
    ).scalars()
    assert shape(seen).equals(box(0, -6, 100, 6))


@pytest.mark.parametrize("width", ["NULL", "0", "0.0999", "200.001", "'NaN'"])
def test_qgis_refuses_the_widths_that_an_import_does(published: Session, width: str) -> None:
    published.execute(text("INSERT INTO edit.change_set (name) VALUES ('june')"))
    with pytest.raises(DatabaseError, match=r"from 0\.1 to 200"), published.begin_nested():
        published.execute(text(f"UPDATE edit.lane SET width_m = {width} WHERE code = 'A'"))
    for bound in (0.1, 200):
        published.execute(text(f"UPDATE edit.lane SET width_m = {bound} WHERE code = 'A'"))
        assert stored(published)["A"].width_m == bound


# On the command line


@pytest.fixture
def command(
    make_database: MakeDatabase, scheme: Scheme, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Result]:
    """Import a file of one lane, without the arguments of its width, into a city of lanes."""
    url = make_database()
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        load_scheme(session, scheme)
    engine.dispose()
    monkeypatch.setenv("GRIDSVC_DATABASE_URL", url)
    monkeypatch.setenv("COLUMNS", "200")
    file = tmp_path / "lanes.geojson"
    lanes = gpd.GeoDataFrame({"code": ["A"], "w": [9]}, geometry=[EAST_WEST], crs=STORAGE)
    lanes.to_crs(4326).to_file(file, COORDINATE_PRECISION=9)
    given = ("areas", "import", str(file), "--layer", "lane", "--code", "code")
    return lambda *args: CliRunner().invoke(app, [*given, *args])


def test_lanes_come_in_by_command(command: Callable[..., Result]) -> None:
    without = command()
    assert without.exit_code == 1
    assert "nothing tells how wide they are" in without.stderr
    assert command("--width", "-9").exit_code == 1
    published = command("--width", "w", "--publish", "--json")
    assert (published.exit_code, json.loads(published.stdout)["counts"]["added"]) == (0, 1)
    again = command("--width", "9", "--json")
    assert json.loads(again.stdout)["counts"]["unchanged"] == 1
