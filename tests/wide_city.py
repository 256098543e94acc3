"""A wide city of crooked unit grids in communities in streets, and what it means to be whole.

Units stand in columns and rows, ten by ten in a community; each level has the nodes of the level
below it, so that all of them tile to the last bit. Layer `patrol` tiles too, lies in nothing and
is empty: whoever draws there first has the ground.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
import psycopg
import shapely
from shapely.geometry.base import BaseGeometry
from sqlalchemy import text
from sqlalchemy.orm import Session

from gridsvc.grids.changesets import open_change_set, publish
from gridsvc.grids.scheme_store import load_scheme
from gridsvc.grids.schemes import parse_scheme
from tests import planning_city, small_city

SRID = small_city.SRID
STEP_M = 20.0
BLOCK = 10
STREET_COLUMNS = 20
DISTRICT = "110105"
LEVELS = ("district", "street", "community", "unit")

PATROL = """
[[layer]]
code = "patrol"
title = { zh = "巡逻区", en = "Patrol area" }
kind = "tiling"
"""

CATEGORIES = 'categories = "../categories/gbt30428.csv"\n'

Node = tuple[int, int]


@dataclass(frozen=True)
class City:
    """So many columns and rows of units; both in whole communities."""

    columns: int
    rows: int

    @property
    def communities(self) -> Iterator[tuple[str, Node]]:
        """Give each community's code and its south-western node."""
        for i in range(0, self.columns, BLOCK):
            for j in range(0, self.rows, BLOCK):
                street, column = divmod(i, STREET_COLUMNS)
                number = column // BLOCK * (self.rows // BLOCK) + j // BLOCK + 1
                yield f"{street_code(street)}{number:03}", (i, j)

    def unit_at(self, i: int, j: int) -> str:
        """Give the code of the unit whose south-western node this is."""
        return f"{self.community_at(i, j)}{i % BLOCK * BLOCK + j % BLOCK + 1:03}"

    def community_at(self, i: int, j: int) -> str:
        """Give the code of the community in which a unit lies."""
        west_south = (i // BLOCK * BLOCK, j // BLOCK * BLOCK)
        return next(code for code, corner in self.communities if corner == west_south)

    def areas(self) -> Iterator[tuple[str, str, BaseGeometry]]:
        """Give layer, code and boundary of every area."""
        yield "district", DISTRICT, shapely.Polygon(self.ring(0, 0, self.columns, self.rows))
        for street, i in enumerate(range(0, self.columns, STREET_COLUMNS)):
            east = min(i + STREET_COLUMNS, self.columns)
            yield (
                "street",
                street_code(street),
                shapely.Polygon(self.ring(i, 0, east, self.rows)),
            )
        for community, (i, j) in self.communities:
            yield "community", community, shapely.Polygon(self.ring(i, j, i + BLOCK, j + BLOCK))
            for a in range(i, i + BLOCK):
                for b in range(j, j + BLOCK):
                    code = f"{community}{a % BLOCK * BLOCK + b % BLOCK + 1:03}"
                    yield "unit", code, shapely.Polygon(self.ring(a, b, a + 1, b + 1))

    def ring(
        self,
        west: int,
        south: int,
        east: int,
        north: int,
        *,
        moved: dict[Node, tuple[float, float]] | None = None,
    ) -> list[tuple[float, float]]:
        """Go round a box of nodes; those in `moved` lie elsewhere by so many metres."""
        nodes = (
            [(i, south) for i in range(west, east)]
            + [(east, j) for j in range(south, north)]
            + [(i, north) for i in range(east, west, -1)]
            + [(west, j) for j in range(north, south, -1)]
        )
        places = self._places()
        by = moved or {}
        return [
            (x + by.get(node, (0, 0))[0], y + by.get(node, (0, 0))[1])
            for node, (x, y) in ((node, places[node]) for node in nodes)
        ]

    @cache  # noqa: B019 -- cities are few and live as long as the tests
    def _places(self) -> dict[Node, tuple[float, float]]:
        rng = np.random.default_rng(20)
        east_m, north_m = small_city._ORIGIN
        return {
            (i, j): (
                east_m + STEP_M * i + int(rng.integers(-4_000, 4_000)) / 1000,
                north_m + STEP_M * j + int(rng.integers(-4_000, 4_000)) / 1000,
            )
            for i in range(self.columns + 1)
            for j in range(self.rows + 1)
        }


def street_code(number: int) -> str:
    """Give the code of a street, counted from the west and zero."""
    return f"{DISTRICT}{number + 1:03}"


def found(session: Session, city: City) -> int:
    """Load the scheme and publish the city; gives the revision."""
    scheme = planning_city.SCHEME.replace(
        '\n[[layer]]\ncode = "courtyard"', PATROL + '\n[[layer]]\ncode = "courtyard"'
    ).replace("time_zone", CATEGORIES + "time_zone", 1)
    load_scheme(session, parse_scheme(scheme, source="wide", base=small_city.SCHEMES))
    change_set = open_change_set(session, name="founding")
    session.execute(
        text("""
            INSERT INTO gridsvc.area_edit (change_set_id, layer, code, boundary, valid_from)
            VALUES (:change_set, :layer, :code,
                    ST_SnapToGrid(ST_SetSRID(ST_Multi(ST_GeomFromWKB(:shape)), :srid), 0.001),
                    :since)
        """),
        [
            {
                "change_set": change_set.id,
                "layer": layer,
                "code": code,
                "shape": shapely.to_wkb(shape),
                "srid": SRID,
                "since": small_city.FOUNDED_AT,
            }
            for layer, code, shape in city.areas()
        ],
    )
    # Statistics as a city has them: 4,000 areas came at once.
    session.execute(text("ANALYZE gridsvc.area_edit"))
    revision = publish(session, change_set).revision
    session.execute(text("ANALYZE gridsvc.area"))
    return revision


def wkt(corners: Sequence[tuple[float, float]]) -> str:
    """Write an area as QGIS hands it to the database."""
    return f"SRID={SRID};{shapely.MultiPolygon([shapely.Polygon(corners)]).wkt}"


@dataclass(frozen=True)
class Versions:
    """Every version of every area of the tiling layers, as the database holds them."""

    layer: np.ndarray
    code: np.ndarray
    rev_from: np.ndarray
    rev_to: np.ndarray
    boundary: np.ndarray

    @classmethod
    def read(cls, connection: psycopg.Connection[tuple[object, ...]]) -> "Versions":
        """Read them, without those that had ended when they were published."""
        rows = connection.execute("""
            SELECT a.layer, a.code, a.rev_from, coalesce(a.rev_to, 2147483647),
                   ST_AsBinary(a.boundary)
            FROM gridsvc.area AS a JOIN gridsvc.revision AS r ON r.number = a.rev_from
            WHERE a.valid_to IS NULL OR a.valid_to > r.published_at
        """).fetchall()
        layer, code, rev_from, rev_to, boundary = zip(*rows, strict=True)
        return cls(
            np.array(layer),
            np.array(code),
            np.array(rev_from),
            np.array(rev_to),
            shapely.from_wkb([bytes(wkb) for wkb in boundary]),
        )

    def faults(self, revision: int, *, since: int | None = None) -> list[str]:
        """Say where a revision does not tile, by shapely alone.

        Args:
            revision: The one to judge.
            since: A revision that was judged: parents are compared with their children only
                where something was replaced after it. None compares all.
        """
        live = (self.rev_from <= revision) & (revision < self.rev_to)
        found = []
        for layer in (*LEVELS, "patrol"):
            drawn = self.boundary[live & (self.layer == layer)]
            if not shapely.coverage_is_valid(drawn):
                wrong = shapely.get_parts(shapely.coverage_invalid_edges(drawn))
                found.append(f"{layer}: edges {[edge.wkt for edge in wrong if not edge.is_empty]}")
        for parent, child in pairwise(LEVELS):
            children = live & (self.layer == child)
            own = np.array([code[: len(code) - 3] for code in self.code[children]])
            changed = {
                code[: len(code) - 3] if layer == child else code
                for layer, code in zip(*self._changed(since, revision), strict=True)
                if layer in (parent, child)
            }
            for at in np.flatnonzero(live & (self.layer == parent)):
                code = self.code[at]
                if since is not None and code not in changed:
                    continue
                filled = shapely.coverage_union_all(self.boundary[children][own == code])
                area_m2 = filled.symmetric_difference(self.boundary[at]).area
                if area_m2 > 0:
                    found.append(f"{parent} {code}: {area_m2} m² are not its {child}s'")
        return found

    def _changed(self, since: int | None, revision: int) -> tuple[np.ndarray, np.ndarray]:
        new = (self.rev_from <= revision) & (self.rev_from > (since or 0))
        gone = (self.rev_to <= revision) & (self.rev_to > (since or 0))
        return self.layer[new | gone], self.code[new | gone]
