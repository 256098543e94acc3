"""Two outlines drawn in GCJ-02: each is recognised against its towns, which are in WGS-84."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from gridsvc.grids.importing import ImportOptions, ImportReport
from gridsvc.grids.schemes import parse_scheme
from gridsvc.grids.terms import FindingKind
from tests.db_fixtures import MakeDatabase
from tests.scenarios.loading import SCHEMES, draft, founded, load, read

SCHEME = """
code = "{code}"
title = {{ zh = "{zh}", en = "{en}" }}
time_zone = "Asia/Shanghai"
storage_crs = "{storage_crs}"
input_crs = ["EPSG:4326", "gcj02", "bd09"]
extent = {extent}

[[layer]]
code = "district"
title = {{ zh = "区", en = "District" }}
kind = "tiling"
findings = {{ gap = "report", spill = "report" }}

[[layer]]
code = "town"
title = {{ zh = "镇街", en = "Town" }}
kind = "tiling"
parent = "district"
findings = {{ overlap = "report", gap = "report", spill = "report" }}

[[ladder]]
duty = "responsibility"
layers = ["town", "district"]

[[ladder]]
duty = "management"
layers = ["town", "district"]

[[ladder]]
duty = "enforcement"
layers = ["town", "district"]

[[ladder]]
duty = "supervision"
layers = ["district"]
"""

# Of the district that the draft proposes and all towns.
IOU = """
SELECT ST_Area(ST_Intersection(fence.boundary, towns.ground))
     / ST_Area(ST_Union(fence.boundary, towns.ground))
FROM pg_temp.draft AS fence,
     (SELECT ST_Union(boundary) AS ground FROM gridsvc.area WHERE layer = 'town') AS towns
WHERE fence.layer = 'district'
"""


@dataclass(frozen=True, kw_only=True)
class City:
    """Its scheme and files, and how well its fence fits its towns when read wrongly and rightly."""

    code: str
    zh: str
    en: str
    storage_crs: str
    extent: str
    fence: str
    towns: str
    town_code: str
    town_name: str
    count: int
    overlaps: int
    iou_as_wgs84: float
    iou_as_gcj02: float


DONGGUAN = City(
    code="dongguan",
    zh="东莞市",
    en="Dongguan",
    storage_crs="EPSG:4547",
    extent="{ west = 113.45, south = 22.60, east = 114.35, north = 23.20 }",
    fence="fence_441900_gcj02.json",
    towns="dongguan_towns_wgs84.geojson",
    town_code="name",
    town_name="name",
    count=35,
    overlaps=16,
    iou_as_wgs84=0.961,
    iou_as_gcj02=0.9985,
)

JIANGNING = City(
    code="jiangning",
    zh="江宁区",
    en="Jiangning",
    storage_crs="EPSG:4549",
    extent="{ west = 118.40, south = 31.55, east = 119.20, north = 32.20 }",
    fence="fence_320115_gcj02.json",
    towns="nanjing_jiangning_jiedao_wgs84.geojson",
    town_code="GEOCODE",
    town_name="NAME",
    count=18,
    overlaps=0,
    iou_as_wgs84=0.927,
    iou_as_gcj02=0.980,
)


class Loaded(NamedTuple):
    """A city with its towns published, and nothing else."""

    city: City
    engine: Engine
    folder: Path
    towns: ImportReport

    def fence(self, *, crs: str) -> tuple[ImportReport, float]:
        """Import the fence as the district, dry: what is found, and its IoU with the towns."""
        with Session(self.engine) as session:
            file = read(session, self.folder / self.city.fence, crs=crs)
            # The file is a bare geometry, so its code is ours to give.
            file = replace(file, frame=file.frame.assign(code=self.city.code))
            report = draft(session, file, ImportOptions(layer="district", code="code"))
            return report, session.execute(text(IOU)).scalar_one()


@pytest.fixture(scope="module", params=[DONGGUAN, JIANGNING], ids=lambda city: city.code)
def loaded(
    request: pytest.FixtureRequest, make_database: MakeDatabase, shared_data: Path
) -> Iterator[Loaded]:
    city: City = request.param
    folder = shared_data / "china"
    scheme = parse_scheme(SCHEME.format_map(vars(city)), source=city.code, base=SCHEMES)
    options = ImportOptions(layer="town", code=city.town_code, name=city.town_name, repair=True)
    with founded(make_database(), scheme) as engine:
        yield Loaded(city, engine, folder, load(engine, folder / city.towns, options))


def test_the_towns_load_and_their_overlaps_are_reported(loaded: Loaded) -> None:
    assert loaded.towns.counts["added"] == loaded.city.count
    assert {found.kind for found in loaded.towns.findings} <= {FindingKind.OVERLAP}
    assert len(loaded.towns.findings) == loaded.city.overlaps


def test_the_datum_guard_names_gcj02(loaded: Loaded) -> None:
    report, iou = loaded.fence(crs="EPSG:4326")
    (finding,) = [found for found in report.findings if found.kind is FindingKind.WRONG_DATUM]
    assert "If the source is in gcj02, declare it so" in finding.message
    assert iou == pytest.approx(loaded.city.iou_as_wgs84, abs=0.001)


def test_read_as_gcj02_the_fence_meets_the_towns(loaded: Loaded) -> None:
    report, iou = loaded.fence(crs="gcj02")
    assert FindingKind.WRONG_DATUM not in {found.kind for found in report.findings}
    assert iou == pytest.approx(loaded.city.iou_as_gcj02, abs=0.001)
