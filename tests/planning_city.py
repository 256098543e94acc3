"""A city for planners: two streets, four communities, forty unit grids that meet node to node.

1000 ┌──────┬──────┬──────┬──────┐   Each community is 500 m wide and holds ten units of
     │ 001  │ 002  │ 001  │ 002  │   250 × 200 m, numbered by row from the south, west first.
     │      │      │      │      │   At (500, 200) two communities and four units meet.
   0 └──────┴──────┴──────┴──────┘
     0  street 001  1000  street 002  2000
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import psycopg
import shapely
from psycopg.rows import dict_row
from shapely.geometry.base import BaseGeometry
from sqlalchemy import make_url
from sqlalchemy.orm import Session

from gridsvc.db import create_engine
from gridsvc.grids.changesets import open_change_set, publish
from gridsvc.grids.planners import PlannerInfo, PlannerRole, add_planner
from gridsvc.grids.scheme_store import load_scheme
from gridsvc.grids.schemes import parse_scheme
from tests import small_city
from tests.factories import EAST_M, NORTH_M, plan, propose_area, propose_holder, propose_party

SRID = small_city.SRID
DISTRICT = "110105"
STREETS = ("110105001", "110105002")

SCHEME = """
code = "planning"
title = { zh = "规划区", en = "Planning town" }
time_zone = "Asia/Shanghai"
storage_crs = "EPSG:4547"
input_crs = ["EPSG:4326", "EPSG:4547"]
extent = { west = 116.40, south = 39.88, east = 116.52, north = 39.97 }

[[layer]]
code = "district"
title = { zh = "区", en = "District" }
kind = "tiling"
code_pattern = '\\d{6}'

[[layer]]
code = "street"
title = { zh = "街道", en = "Street office" }
kind = "tiling"
parent = "district"
code_pattern = '\\d{9}'

[[layer]]
code = "community"
title = { zh = "社区", en = "Community" }
kind = "tiling"
parent = "street"
code_pattern = '\\d{12}'

[[layer]]
code = "unit"
title = { zh = "单元网格", en = "Unit grid" }
kind = "tiling"
parent = "community"
code_format = "unit_grid"

[[layer]]
code = "courtyard"
title = { zh = "院落", en = "Courtyard" }
kind = "overlay"
parent = "community"

[[role]]
code = "chief"
title = { zh = "院长", en = "Chief" }

[[role]]
code = "supervisor"
title = { zh = "监督员", en = "Supervisor" }

[[ladder]]
duty = "responsibility"
layers = ["courtyard", "unit", "community"]

[[ladder]]
duty = "management"
layers = ["community"]

[[ladder]]
duty = "enforcement"
layers = ["street"]

[[ladder]]
duty = "supervision"
layers = ["unit"]
"""


def communities() -> Iterator[tuple[str, float]]:
    """Give each community's code and its western edge on the plan."""
    for street, west_m in zip(STREETS, (0, 1000), strict=True):
        for number in (1, 2):
            yield f"{street}{number:03}", west_m + 500 * (number - 1)


def units() -> Iterator[tuple[str, BaseGeometry]]:
    """Give each unit's code and shape on the plan."""
    for community, west_m in communities():
        for number in range(10):
            row, column = divmod(number, 2)
            x, y = west_m + 250 * column, 200 * row
            yield f"{community}{number + 1:03}", shapely.box(x, y, x + 250, y + 200)


def found(session: Session) -> int:
    """Load the scheme and publish the city with its people; gives the revision."""
    load_scheme(session, parse_scheme(SCHEME, source="planning", base=small_city.SCHEMES))
    change_set = open_change_set(session, name="founding")
    tall = {"district": [(DISTRICT, 0, 2000)], "street": [], "community": []}
    tall["street"] = [(code, 1000 * n, 1000) for n, code in enumerate(STREETS)]
    tall["community"] = [(code, west_m, 500) for code, west_m in communities()]
    # Neighbours share every node: where rows of units meet, communities have nodes too.
    for layer, rows in tall.items():
        for code, west_m, width_m in rows:
            shape = shapely.box(west_m, 0, west_m + width_m, 1000)
            propose_area(
                session, change_set, layer, code, plan(_noded(shape)), name=f"{layer} {code}"
            )
    for code, shape in units():
        propose_area(session, change_set, "unit", code, plan(shape))
    for party in ("P1", "P2", "P3"):
        propose_party(session, change_set, party, name=f"张{party}", phone="13800001234")
    for code, _ in units():
        propose_holder(
            session, change_set, "P1", "unit", code, duty="supervision", role="supervisor"
        )
        propose_holder(session, change_set, "P1", "unit", code)
    for community, _ in communities():
        propose_holder(session, change_set, "P2", "community", community)
        propose_holder(session, change_set, "P2", "community", community, duty="management")
    for street in STREETS:
        propose_holder(session, change_set, "P3", "street", street, duty="enforcement")
    return publish(session, change_set).revision


@cache
def _nodes() -> tuple[BaseGeometry, ...]:
    return tuple(shapely.Point(x, y) for x in range(0, 2001, 250) for y in range(0, 1001, 200))


def _noded(shape: BaseGeometry) -> BaseGeometry:
    """Put the units' corners on a boundary that passes through them."""
    ring = shape.exterior
    on_it = sorted((p for p in _nodes() if ring.distance(p) == 0), key=ring.project)
    return shapely.Polygon([(p.x, p.y) for p in on_it])


def wkt(shape: BaseGeometry) -> str:
    """Write a shape of the plan as QGIS hands it to the database."""
    placed = plan(shape)
    if placed.geom_type == "Polygon":
        placed = shapely.MultiPolygon([placed])
    return f"SRID={SRID};{placed.wkt}"


def rectangle(west_m: float, south_m: float, east_m: float, north_m: float) -> str:
    """Write a rectangle of the plan likewise."""
    return wkt(shapely.box(west_m, south_m, east_m, north_m))


@dataclass(frozen=True)
class Planning:
    """A database with the city in it, and logins for it.

    Attributes:
        url: Of the database's owner.
        names: The logins by what they are: li and zhao plan street 001 and 002, wang is chief,
            guest looks.
        password: Of each.
    """

    url: str
    names: dict[str, str]
    password: str

    @contextmanager
    def login(self, who: str) -> Iterator[psycopg.Connection[dict[str, Any]]]:
        """Connect as one of them; each statement is a transaction of its own."""
        with psycopg.connect(self.dsn(who), row_factory=dict_row, autocommit=True) as connection:
            yield connection

    def dsn(self, who: str) -> str:
        """Name the database as one of them."""
        url = make_url(self.url).set(username=self.names[who], password=self.password)
        return url.set(drivername="postgresql").render_as_string(hide_password=False)


@contextmanager
def settled(url: str) -> Iterator[Planning]:
    """Found the city in an empty database, with logins that last as long as the context."""
    town = _settle(url)
    try:
        yield town
    finally:
        # Logins belong to the whole server, not to the database.
        with psycopg.connect(url, autocommit=True) as owner:
            for name in town.names.values():
                owner.execute(f'DROP ROLE "{name}"')


def _settle(url: str) -> Planning:
    mark = secrets.token_hex(3)
    password = secrets.token_urlsafe(12)
    names = {who: f"{who}_{mark}" for who in ("li", "zhao", "wang", "guest")}
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        found(session)
        for who, street in (("li", STREETS[0]), ("zhao", STREETS[1])):
            add_planner(
                session,
                PlannerInfo(
                    login=names[who],
                    role=PlannerRole.PLANNER,
                    ground=(("street", street),),
                    publishes=True,
                ),
                password=password,
            )
        for who, role in (("wang", PlannerRole.CHIEF), ("guest", PlannerRole.VIEWER)):
            add_planner(session, PlannerInfo(login=names[who], role=role), password=password)
    engine.dispose()
    return Planning(url, names, password)


def at(east_m: float, north_m: float) -> tuple[float, float]:
    """Give a place of the plan in the storage CRS."""
    return EAST_M + east_m, NORTH_M + north_m
