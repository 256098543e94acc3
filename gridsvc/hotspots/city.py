"""The survey of the database's own city: its newest revision, its cases, its scheme's layers."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

import shapely
from sqlalchemy.orm import Session

from gridsvc.db import sql
from gridsvc.errors import HotspotsRefused
from gridsvc.grids.areas import Moment, find_layer, moment
from gridsvc.grids.assignments import party_labels
from gridsvc.grids.frames import areas_frame
from gridsvc.grids.scheme_store import current_scheme
from gridsvc.grids.schemes import Layer, Scheme
from gridsvc.grids.terms import LayerKind
from gridsvc.hotspots.answering import parties_at
from gridsvc.hotspots.cases import Window, parts_of_database
from gridsvc.hotspots.looks import Title
from gridsvc.hotspots.recurrence import Rule
from gridsvc.hotspots.store import OVERLAY_GAP_M
from gridsvc.hotspots.survey import Ground, Outline, Survey, survey
from gridsvc.hotspots.tessellation import CELL_M, Tessellation
from gridsvc.reports.photos import photos_of

MOST_AREAS = 15_000
"""More than so many shapes make a page too large, and too slow to draw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapOptions:
    """What the map is to show.

    Attributes:
        layer: Code of the layer whose areas are shown first; None is the finest tiling layer.
        cell_m: Side of the square cells.
        from_at: Cases opened at or after then, aware; None is from the first.
        to_at: And before then; None is to the last.
    """

    layer: str | None = None
    cell_m: float = CELL_M
    from_at: datetime | None = None
    to_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Freshness:
    """What a survey rests on: when it is the same, so is the survey.

    Attributes:
        revision: Newest.
        newest_case: Its number; None without cases.
        newest_change: When a case last changed its state.
    """

    revision: int
    newest_case: int | None
    newest_change: datetime | None


def freshness(session: Session) -> Freshness:
    """Ask what a survey made now would rest on; two steps, however many cases.

    Raises:
        NothingPublished: there is no revision.
    """
    newest_case, newest_change = session.execute(sql("gridsvc.hotspots", "newest")).one()
    return Freshness(moment(session).revision, newest_case, newest_change)


def survey_city(session: Session, options: MapOptions) -> Survey:
    """Sum up the cases in the database for the map.

    Args:
        session: Reads only.
        options: What to show.

    Raises:
        UnknownLayer: no layer bears the code.
        HotspotsRefused: there is nothing to show, or too much.
        NothingPublished: there is no revision.
        NothingLoaded: there is no scheme.
    """
    scheme, now = current_scheme(session), moment(session)
    code = find_layer(session, options.layer or scheme.finest_tiling.code).code
    layer = scheme.layer(code)
    assert layer is not None  # noqa: S101  a scheme's layers are those that were found
    chain = scheme.chain(layer)
    with parts_of_database(session, from_at=options.from_at, to_at=options.to_at) as parts:
        return survey(
            parts,
            _grounds(session, layer, chain[0], options.cell_m, now),
            title=dict(scheme.title),
            crs=scheme.storage_crs,
            zone=scheme.zone,
            made_at=now.at,
            categories=scheme.categories,
            outlines=[
                Outline(title=dict(one.title), areas=areas_frame(session, one.code, now=now))
                for one in chain[:2]
            ],
            window=Window(from_at=options.from_at, to_at=options.to_at),
            rule=Rule(),
            photos=lambda cases: photos_of(session, cases),
            parties=lambda codes: _labels(session, scheme, codes),
            holders=lambda spots: parties_at(session, spots, crs=scheme.storage_crs),
            revision=now.revision,
        )


def _grounds(
    session: Session, layer: Layer, outermost: Layer, cell_m: float, now: Moment
) -> list[Ground]:
    areas = areas_frame(session, layer.code, now=now)
    if not len(areas):
        raise HotspotsRefused(
            "layer", f"layer {layer.code} has no areas", remedy="Import its boundaries first"
        )
    city = areas_frame(session, outermost.code, now=now)
    outline = shapely.union_all(city.geometry.to_numpy())
    square = Tessellation("square", cell_m)
    for name, count in (("layer", len(areas)), ("cell_m", outline.area / cell_m**2)):
        if count > MOST_AREAS:
            raise HotspotsRefused(
                name,
                f"{count:,.0f} areas are more than the {MOST_AREAS:,} that a page can draw",
                remedy="Choose a coarser layer" if name == "layer" else "Choose larger cells",
            )
    title = {"zh": f"{cell_m:g} 米方格", "en": f"Cells of {cell_m:g} m"}
    return [
        Ground(
            code=layer.code,
            title=dict(layer.title),
            areas=areas,
            within_m=OVERLAY_GAP_M if layer.kind == LayerKind.OVERLAY else 0.0,
        ),
        Ground(code="square", title=title, areas=square.areas(outline, areas.crs), cell_m=cell_m),
    ]


def _labels(session: Session, scheme: Scheme, codes: Collection[str]) -> Mapping[str, Title]:
    """Name bodies, and persons by what the city calls their role."""
    labels: dict[str, Title] = {}
    for code, label in party_labels(session, codes).items():
        role = scheme.role(label.role) if label.role else None
        if label.body:
            labels[code] = {"zh": label.body, "en": label.body}
        elif role:
            labels[code] = dict(role.title)
    return labels
