"""A city of two streets that fits on a sheet of paper: every telling case has one place in it.

1000 ┌──────────────┬──────────────┐
     │ S1           │ S2           │      metres east and north of ORIGIN
 300 │  ┌───────┐   │              │
     │  │ yard  │   │ shops A ▭▭ B │      A and B overlap
 100 │  └───────┘   │              │
   0 └──────────────┴──────────────┘
     0             1000           2000
"""

from datetime import UTC, datetime
from pathlib import Path

import shapely
from geoalchemy2.shape import from_shape
from sqlalchemy import insert
from sqlalchemy.orm import Session

from gridsvc.crs import from_wgs84, to_wgs84
from gridsvc.grids.changesets import open_change_set, publish
from gridsvc.grids.models import AreaEdit, AssignmentEdit, PartyEdit
from gridsvc.grids.scheme_store import load_scheme
from gridsvc.grids.schemes import parse_scheme
from gridsvc.grids.weekhours import parse_week_hours, week_hours_to_range

SRID = 4547
SCHEMES = Path(__file__).resolve().parents[1] / "data" / "schemes"
FOUNDED_AT = datetime(2026, 1, 1, tzinfo=UTC)

ZONES = """
[zones]
layer = "shop_front"
window_days = 100

[[zones.grade]]
code = "A"
title = { zh = "优", en = "good" }
at_most = 1
inspect_every_days = 30

[[zones.grade]]
code = "B"
title = { zh = "差", en = "poor" }
inspect_every_days = 7
"""

SCHEME = """
code = "small"
title = { zh = "小城", en = "Small town" }
time_zone = "Asia/Shanghai"
storage_crs = "EPSG:4547"
input_crs = ["EPSG:4326", "gcj02", "EPSG:4547"]
extent = { west = 116.40, south = 39.88, east = 116.52, north = 39.97 }
default_points = [{ lon = 116.41, lat = 39.89, note = "the town hall" }]
categories = "../categories/gbt30428.csv"

[calendar]
working_hours = ["mon-fri 09:00-18:00"]

[[layer]]
code = "district"
title = { zh = "区", en = "District" }
kind = "tiling"

[[layer]]
code = "street"
title = { zh = "街道", en = "Street" }
kind = "tiling"
parent = "district"

[[layer]]
code = "courtyard"
title = { zh = "院落", en = "Courtyard" }
kind = "overlay"
findings = { narrow = "report" }

[[layer]]
code = "shop_front"
title = { zh = "门前", en = "Shop front" }
kind = "overlay"

[[role]]
code = "chief"
title = { zh = "院长", en = "Chief" }

[[role]]
code = "officer"
title = { zh = "执法员", en = "Officer" }

[[ladder]]
duty = "responsibility"
layers = ["courtyard", "shop_front", "street", "district"]

[[ladder]]
duty = "management"
layers = ["street", "district"]

[[ladder]]
duty = "enforcement"
layers = ["street", "district"]

[[ladder]]
duty = "supervision"
layers = ["district"]

[[escalation]]
duty = "responsibility"
within = "PT4H"

[[escalation]]
duty = "management"
layer = "street"
within = "P1D"

[people]
findings = { vacancy = "report" }
"""
SCHEME += ZONES

AREAS = (
    ("district", "D1", "小区", (0, 0, 2000, 1000)),
    ("street", "S1", "甲街道", (0, 0, 1000, 1000)),
    ("street", "S2", "乙街道", (1000, 0, 2000, 1000)),
    ("courtyard", "C/1", None, (100, 100, 300, 300)),
    ("shop_front", "A", "甲店", (1400, 100, 1500, 200)),
    ("shop_front", "B", "乙店", (1450, 100, 1550, 200)),
)

PEOPLE = (
    ("P1", "张小明", "person", "13800001234"),
    ("P2", "李大力", "person", "13900005678"),
    ("P3", "王芳", "person", None),
    ("B1", "甲街道办事处", "body", "01012345678"),
)

# party, layer, area, duty, role, rank, category, hours
HELD = (
    ("P1", "courtyard", "C/1", "responsibility", "chief", 1, None, ""),
    ("P2", "street", "S1", "enforcement", "officer", 1, None, ""),
    ("P3", "street", "S1", "enforcement", "officer", 2, None, "mon-fri 08:00-20:00"),
    ("B1", "street", "S1", "management", "chief", 1, None, ""),
    ("B1", "street", "S2", "management", "chief", 1, None, ""),
    ("P2", "shop_front", "A", "responsibility", "chief", 1, "01", ""),
    ("B1", "district", "D1", "responsibility", "chief", 1, None, ""),
)

_ORIGIN = tuple(round(value) for value in from_wgs84(116.45, 39.92, crs=f"EPSG:{SRID}"))


def place(*, east_m: float, north_m: float) -> dict[str, float]:
    """Name a point of the plan as the API wants it."""
    lon, lat = to_wgs84(_ORIGIN[0] + east_m, _ORIGIN[1] + north_m, crs=f"EPSG:{SRID}")
    return {"lon": float(lon), "lat": float(lat)}


YARD = place(east_m=200, north_m=200)
SHOPS = place(east_m=1475, north_m=150)
OPEN_STREET = place(east_m=1800, north_m=800)
OUTSIDE = place(east_m=2300, north_m=500)


def found(session: Session) -> int:
    """Load the scheme and publish the city; gives the revision."""
    load_scheme(session, parse_scheme(SCHEME, source="small", base=SCHEMES))
    change_set = open_change_set(session, name="founding")
    session.execute(
        insert(AreaEdit),
        [
            {
                "change_set_id": change_set.id,
                "layer": layer,
                "code": code,
                "name": name,
                "boundary": from_shape(_box(*sides), srid=SRID),
                "valid_from": FOUNDED_AT,
            }
            for layer, code, name, sides in AREAS
        ],
    )
    session.execute(
        insert(PartyEdit),
        [
            {"change_set_id": change_set.id, "code": code, "name": name}
            | {"kind": kind, "phone": phone}
            for code, name, kind, phone in PEOPLE
        ],
    )
    session.execute(
        insert(AssignmentEdit),
        [
            {
                "change_set_id": change_set.id,
                "party_code": party,
                "layer": layer,
                "area_code": area,
                "duty": duty,
                "role": role,
                "rank": rank,
                "category": category,
                "hours": week_hours_to_range(parse_week_hours(hours)),
                "valid_from": FOUNDED_AT,
            }
            for party, layer, area, duty, role, rank, category, hours in HELD
        ],
    )
    return publish(session, change_set).revision


def _box(west_m: float, south_m: float, east_m: float, north_m: float) -> shapely.MultiPolygon:
    east, north = _ORIGIN
    return shapely.MultiPolygon(
        [shapely.box(east + west_m, north + south_m, east + east_m, north + north_m)]
    )
