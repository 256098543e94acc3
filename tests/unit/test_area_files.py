from pathlib import Path

import geopandas as gpd
import pytest
import shapely

from gridsvc.errors import ImportRefused
from gridsvc.grids.area_files import areas_from_file
from tests.factories import STORAGE, box, make_scheme

SCHEME = make_scheme()


def write(path: Path, shapes: list[object], codes: list[object], crs: str = STORAGE) -> Path:
    frame = gpd.GeoDataFrame({"CODE": codes, "NAME": ["甲"] * len(codes)}, geometry=shapes, crs=crs)
    frame.to_file(path)
    return path


def test_areas_come_as_from_the_database(tmp_path: Path) -> None:
    """In the order of codes, as multipolygons in the storage CRS, with whole numbers as texts."""
    path = write(tmp_path / "a.gpkg", [box(100, 0, 200, 100), box(0, 0, 100, 100)], [2, 10])
    areas = areas_from_file(path, scheme=SCHEME, code="CODE", name="NAME")
    assert areas.columns.tolist() == ["code", "name", "geometry"]
    assert areas["code"].tolist() == ["10", "2"]
    assert areas["name"].tolist() == ["甲", "甲"]
    assert areas.index.tolist() == [0, 1]
    assert areas.crs == STORAGE
    assert set(areas.geom_type) == {"MultiPolygon"}
    assert areas.geometry[0].equals(box(0, 0, 100, 100))


def test_degrees_are_brought_to_metres(tmp_path: Path) -> None:
    frame = gpd.GeoDataFrame({"CODE": ["a"]}, geometry=[box(0, 0, 100, 100)], crs=STORAGE)
    frame.to_crs("EPSG:4326").to_file(tmp_path / "a.geojson")
    (shape,) = areas_from_file(tmp_path / "a.geojson", scheme=SCHEME, code="CODE").geometry
    assert shape.area == pytest.approx(10_000, rel=1e-3)
    assert shape.hausdorff_distance(box(0, 0, 100, 100)) < 0.02


def test_a_name_is_none_where_there_is_none(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpkg", [box(0, 0, 100, 100)], ["a"])
    assert areas_from_file(path, scheme=SCHEME, code="CODE")["name"].tolist() == [None]


def test_rings_that_touch_themselves_are_mended_and_rows_of_a_code_joined(tmp_path: Path) -> None:
    bow = shapely.Polygon([(0, 0), (100, 100), (100, 0), (0, 100)])
    path = write(tmp_path / "a.gpkg", [bow, shapely.box(300, 0, 400, 100)], ["a", "a"])
    areas = areas_from_file(path, scheme=SCHEME, code="CODE")
    assert areas["code"].tolist() == ["a"]
    assert areas.geometry.is_valid.all()
    assert areas.area.tolist() == pytest.approx([5_000 + 10_000])


@pytest.mark.parametrize(
    ("shapes", "codes", "asked", "told"),
    [
        ([box(0, 0, 1, 1)], ["a"], "UNIT", "Name one of: CODE, NAME"),
        ([box(0, 0, 1, 1), box(1, 0, 2, 1)], ["a", None], "CODE", "row 2 has no CODE"),
        ([shapely.LineString([(0, 0), (1, 1)])], ["a"], "CODE", "row 1 is no polygon"),
    ],
)
def test_what_is_no_layer_is_refused(
    tmp_path: Path, shapes: list[object], codes: list[object], asked: str, told: str
) -> None:
    path = write(tmp_path / "a.gpkg", shapes, codes)
    with pytest.raises(ImportRefused, match=told):
        areas_from_file(path, scheme=SCHEME, code=asked)
