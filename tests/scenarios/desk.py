"""A city's desk as a story needs it: reports come in, cases are acted on, the month is counted."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import geopandas as gpd
import shapely
from sqlalchemy.orm import Session

from gridsvc.crs import from_wgs84, to_wgs84
from gridsvc.grids.scheme_store import load_scheme
from gridsvc.grids.schemes import Scheme
from gridsvc.reports import cases, indicators
from gridsvc.reports.case_records import CaseRecord, CaseSummary, read_case
from gridsvc.reports.cases import Act, Climbed, climb
from gridsvc.reports.intake import Draft, FiledReport, file_report
from gridsvc.reports.terms import Channel, EventKind
from gridsvc.routing.router import Question, answer
from tests.scenarios.loading import BOUNDARIES
from tools.demo_city.roads import surfaces

STORAGE = "EPSG:4548"
REPORTER = "a-citizen-with-a-random-token-{}"


@cache
def areas(layer: str) -> gpd.GeoSeries:
    """Boundaries by code, in the storage CRS."""
    frame = surfaces(gpd.read_file(BOUNDARIES, layer=layer))
    return gpd.GeoSeries(frame.geometry.to_numpy(), index=frame.code)


def inside(layer: str, code: str) -> shapely.Point:
    """Give a point well inside an area."""
    point: shapely.Point = areas(layer)[code].representative_point()
    return point


def free_of(layer: str, code: str, *others: str) -> shapely.Point:
    """Give a point well inside an area where no area of other layers is."""
    ground = areas(layer)[code]
    for other in others:
        over = areas(other)
        ground = ground.difference(over[over.intersects(ground)].union_all())
    point: shapely.Point = ground.buffer(-1).representative_point()
    return point


@dataclass
class Desk:
    """A city that takes reports and sees to cases."""

    session: Session
    keys: Iterator[int] = field(default_factory=itertools.count)

    def put_in_force(self, scheme: Scheme) -> None:
        """Go on by another scheme."""
        load_scheme(self.session, scheme)

    def ask(self, place: shapely.Point, **asked: object) -> dict[str, Any]:
        """Ask who answers at a point of the storage CRS."""
        lon, lat = to_wgs84(place.x, place.y, crs=STORAGE)
        question = Question(x=float(lon), y=float(lat), crs="EPSG:4326", **asked)
        return answer(self.session, question, reveal=True)

    def report(
        self,
        place: shapely.Point,
        category: str,
        *,
        crs: str = "EPSG:4326",
        by: str = "1",
        **more: Any,  # noqa: ANN401 -- what a draft takes
    ) -> FiledReport:
        """File a report at a point of the storage CRS, told in another."""
        lon, lat = to_wgs84(place.x, place.y, crs=STORAGE)
        x, y = (float(lon), float(lat)) if crs == "EPSG:4326" else _told(lon, lat, crs)
        draft = Draft(
            x=x,
            y=y,
            crs=crs,
            channel=Channel.PHONE_APP,
            category=category,
            reporter=REPORTER.format(by),
            **more,
        )
        key = str(next(self.keys))
        return file_report(self.session, draft, idempotency_key=key, caller="key:1")

    def act(  # what an act takes
        self,
        case: int,
        *kinds: str,
        now: datetime | None = None,
        **told: Any,  # noqa: ANN401
    ) -> CaseSummary:
        """Do one thing after another to a case."""
        for kind in kinds:
            act = Act(kind=EventKind(kind), actor="key:1", **told)
            done = cases.act(self.session, case, act, now)
        return done

    def close(self, case: int) -> CaseSummary:
        """See a filed case to its end."""
        return self.act(case, "dispatched", "handled", "verified", "closed")

    def climb(self, now: datetime) -> tuple[Climbed, ...]:
        """Let what is late climb."""
        return climb(self.session, now)

    def case(self, number: int) -> CaseRecord:
        """Read a case."""
        return read_case(self.session, number)

    def log(self, number: int) -> list[str]:
        """Read what happened to a case."""
        return [str(event.kind) for event in self.case(number).events]

    @property
    def season(self) -> indicators.Period:
        """The months round now, so that no story hangs on the day it is told."""
        now = datetime.now(UTC)
        return indicators.Period(now - timedelta(days=1), now + timedelta(days=90))

    def figures(self, by: str = "total", layer: str | None = None) -> dict[str, indicators.Row]:
        """Count by a key."""
        table = indicators.indicators(self.session, self.season, by=indicators.By(by), layer=layer)
        return {row.key: row for row in table.rows}


def _told(lon: float, lat: float, crs: str) -> tuple[float, float]:
    x, y = from_wgs84(lon, lat, crs=crs)
    return float(x), float(y)
