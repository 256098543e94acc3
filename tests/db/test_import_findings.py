"""What stopped a file is told of its change set later just as it was told of the file."""

import geopandas as gpd
import pytest
import shapely
from sqlalchemy.orm import Session

from gridsvc.crs import convert_geometries, parse_crs
from gridsvc.grids.boundary_files import BoundaryFile
from gridsvc.grids.importing import ImportOptions, import_areas
from gridsvc.grids.scheme_store import load_scheme
from gridsvc.grids.validation import check
from tests.factories import STORAGE, box, make_scheme, new_change_set, plan

BOW_TIE = plan(shapely.Polygon([(100, 0), (200, 100), (200, 0), (100, 100)]))


def test_what_stopped_a_file_keeps_its_place_and_size(session: Session) -> None:
    scheme = make_scheme()
    load_scheme(session, scheme)
    rows = gpd.GeoDataFrame(
        {"code": ["W", "W", "E", "N"]},
        geometry=[box(0, 0, 100, 100), box(0, 100, 100, 150), BOW_TIE, None],
        crs=STORAGE,
    )
    change_set = new_change_set(session)
    told = import_areas(
        session,
        scheme,
        BoundaryFile("streets.gpkg", rows, parse_crs(STORAGE)),
        ImportOptions(layer="street", code="code"),
        change_set=change_set,
    )
    session.expire_all()
    kept = {finding.kind: finding for finding in check(session, scheme, change_set=change_set)}
    for finding in told.findings:
        again = kept[finding.kind]
        assert (again.code, again.lonlat, again.area_m2) == (
            finding.code,
            pytest.approx(finding.lonlat),
            finding.area_m2,
        )
    assert kept["null_geometry"].lonlat is None
    assert kept["duplicate_code"].area_m2 == pytest.approx(10_000)
    crossing = kept["invalid_ring"].place
    assert crossing is not None
    there = convert_geometries(crossing, source="EPSG:4326", target=STORAGE)
    assert shapely.dwithin(there, plan(shapely.Point(150, 50)), 0.01)
