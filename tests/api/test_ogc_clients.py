"""GDAL reads the collections as it reads anybody's: it keeps to Part 2 and its order of axes.

It does what newer QGIS does: asks for the storage CRS and swaps axes by EPSG's rule.
"""

import json
import subprocess
import sys
from typing import Any

import pyogrio
import pytest
import shapely
from geoalchemy2.shape import to_shape
from shapely.geometry.base import BaseGeometry
from sqlalchemy import select
from sqlalchemy.orm import Session

from gridsvc.crs import convert_geometries
from gridsvc.db import create_engine
from gridsvc.grids.models import Area
from tests.factories import STORAGE, box
from tests.serving import Serve
from tests.small_city import AREAS

pytestmark = pytest.mark.skipif(
    "OAPIF" not in pyogrio.list_drivers(), reason="this GDAL reads no OGC API"
)


@pytest.fixture(scope="module")
def source(city: str, serve: Serve) -> str:
    return f"OAPIF:{serve(city)}/ogc"


@pytest.fixture(scope="module")
def boundaries(city: str) -> dict[str, BaseGeometry]:
    engine = create_engine(city)
    with Session(engine) as session:
        found = {
            code: to_shape(boundary)
            for code, boundary in session.execute(select(Area.code, Area.boundary))
        }
    engine.dispose()
    return found


def read(source: str, *asked: dict[str, Any]) -> list[list[tuple[str, str | None, str]]]:
    """Read layers with GDAL, each asked in its way; gives codes, names and WKT.

    In a process of its own: in ours it would wait for our server with Python's lock held.
    """
    done = subprocess.run(
        [sys.executable, "-c", READ, source, json.dumps(asked)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: list[list[tuple[str, str | None, str]]] = json.loads(done.stdout)
    return told


READ = """
import json, sys
import pyogrio
source, asked = sys.argv[1], json.loads(sys.argv[2])
assert [name for name, _ in pyogrio.list_layers(source)] == [
    "district", "street", "courtyard", "shop_front"
]
told = []
for how in asked:
    if "bbox" in how:
        how["bbox"] = tuple(how["bbox"])
    areas = pyogrio.read_dataframe(source, **how)
    told.append([*zip(areas.code, areas.name, areas.geometry.to_wkt(rounding_precision=-1))])
print(json.dumps(told))
"""


@pytest.mark.parametrize(
    ("asked", "crs", "within"),
    [
        (None, STORAGE, 0.0),
        (STORAGE, STORAGE, 0.0),
        ("OGC:CRS84", "EPSG:4326", 1e-7),
        ("EPSG:3857", "EPSG:3857", 1e-3),
    ],
)
def test_gdal_reads_what_the_database_has(
    source: str, boundaries: dict[str, BaseGeometry], asked: str | None, crs: str, within: float
) -> None:
    layers = ("district", "street", "courtyard", "shop_front")
    # With a page of one, it must follow the links.
    how = {"PAGE_SIZE": 1} | ({"CRS": asked} if asked else {})
    told = read(source, *({"layer": layer, **how} for layer in layers))
    for layer, areas in zip(layers, told, strict=True):
        assert {code: name for code, name, _ in areas} == {
            code: name for its_layer, code, name, _ in AREAS if its_layer == layer
        }
        for code, _, wkt in areas:
            shape, true = shapely.from_wkt(wkt), boundaries[code]
            if crs != STORAGE:
                true = convert_geometries(true, source=STORAGE, target=crs)
            assert shapely.hausdorff_distance(shape, true) <= within


def test_gdal_asks_for_a_box_in_the_storage_crs(source: str) -> None:
    boxes = {
        (100, 100, 200, 200): ["S1"],
        (1100, 100, 1200, 200): ["S2"],
        (900, 100, 1100, 200): ["S1", "S2"],
        (5000, 5000, 5100, 5100): [],
    }
    told = read(source, *({"layer": "street", "bbox": box(*sides).bounds} for sides in boxes))
    assert [[code for code, _, _ in areas] for areas in told] == [*boxes.values()]
