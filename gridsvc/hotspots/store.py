"""Hotspots of the database's own cases: found once for a question on a revision, then kept.

What is kept names the revision, the method and its parameters. It is made again when another
revision is published, and when cases came in or changed since.
"""

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, time, timedelta
from typing import Any, Literal, TypeAlias, cast
from zoneinfo import ZoneInfo

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import shapely
from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from gridsvc.crs import Bounds, to_wgs84
from gridsvc.db import sql
from gridsvc.errors import HotspotsRefused, UnknownCategory, UnknownLayer
from gridsvc.grids.areas import Moment, find_layer, moment
from gridsvc.grids.frames import areas_frame
from gridsvc.grids.scheme_store import current_scheme
from gridsvc.grids.terms import LayerKind
from gridsvc.grids.viewers import pinned
from gridsvc.hotspots.analysis import Analysis, Ground, analyse, month_before
from gridsvc.hotspots.cases import Window, parts_of_database
from gridsvc.hotspots.clusters import LEVELS
from gridsvc.hotspots.counts import Base
from gridsvc.hotspots.density import Surface, kernel_density
from gridsvc.hotspots.models import HotspotArea, HotspotPlace, HotspotRun, HotspotSurface
from gridsvc.hotspots.tessellation import CELL_M, M2_IN_KM2, Shape, Tessellation
from gridsvc.reports.bulk_copy import copy_rows

MOST_CELLS = 100_000

BANDWIDTH_M = 150.0
"""Of the kernel: a report speaks for its surroundings of some 300 m across."""

OVERLAY_GAP_M = 50.0
"""Shop fronts and courtyards leave gaps: up to this one they are neighbours."""

FRESH_FOR = timedelta(minutes=5)
"""So long a result is given although cases came in since: a large city takes seconds to ask."""

KEPT_RUNS = 500

Per: TypeAlias = Literal["case"] | Base
"""What is tested: cases themselves, or by what."""

METHOD = "getis_ord_gi_star"

_CELLS: tuple[Shape, ...] = ("square", "hexagon")
_SURFACE_CELLS = 40_000
_MONTHS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked.

    Attributes:
        layer: Code of a layer, or square or hexagon for cells.
        cell_m: Side of a cell; None of a layer.
        per: By what cases are divided before they are tested; None tests the cases themselves.
        from_at: Cases opened at or after then, aware.
        to_at: And before then.
        category: A class or the beginning of its code; None is all.
    """

    layer: str
    cell_m: float | None
    per: Base | None
    from_at: datetime
    to_at: datetime
    category: str | None

    @property
    def window(self) -> Window:
        """Which cases are meant."""
        return Window(from_at=self.from_at, to_at=self.to_at, category=self.category)

    @property
    def digest(self) -> str:
        """Tell it from other questions."""
        told = json.dumps(asdict(self) | {"parameters": _parameters(self)}, default=str)
        return hashlib.sha256(told.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hotspots:
    """What was found, as kept.

    Attributes:
        question: What was asked.
        revision: On which published state.
        method: How it was judged.
        parameters: Of the method.
        seed: None: the method draws no random numbers.
        cases: In the window, on the ground asked for.
        made_at: When.
        areas: `code`, `name`, `geometry` (storage CRS), `cases`, `rate`, `rate_low`, `rate_high`,
            `value`, `neighbours`, `z`, `p`, `q`, `kind`, `pattern`, `trend_z`, `trend_p`.
        places: `rank`, `previous_rank`, `codes`, `lon`, `lat`, `cases`, `expected`, `z`, `q`,
            `hours`, `peaks` (dicts of `profiles.Peak`), `geometry` (storage CRS).
        surface: The density of the cases.
    """

    question: Question
    revision: int
    method: str
    parameters: dict[str, Any]
    seed: int | None
    cases: int
    made_at: datetime
    areas: gpd.GeoDataFrame
    places: gpd.GeoDataFrame
    surface: Surface


def question(  # noqa: PLR0913  each narrows it
    session: Session,
    *,
    layer: str | None = None,
    cell_m: float | None = None,
    per: Per | None = None,
    from_at: datetime | None = None,
    to_at: datetime | None = None,
    category: str | None = None,
) -> Question:
    """Complete a question, and refuse one that has no meaning.

    Args:
        session: Reads the scheme.
        layer: Code of a layer, square or hexagon; None is the scheme's finest tiling layer.
        cell_m: Side of the cells; None is 250 of cells.
        per: km2, shop, resident, or case for cases themselves; None is km2 of a layer, whose areas
            differ in size, and case of cells.
        from_at: None is the beginning of the month a year before the end.
        to_at: None is the coming midnight by the city's clock.
        category: None is all.

    Raises:
        UnknownLayer: no layer bears this code.
        UnknownCategory: no class of the scheme begins so.
        HotspotsRefused: the window is empty, or there is no such cell.
        NothingLoaded: the database has no scheme.
    """
    scheme = current_scheme(session)
    layer = layer or scheme.finest_tiling.code
    is_cell = layer in _CELLS
    if not is_cell:
        try:
            find_layer(session, layer)
        except UnknownLayer as unknown:
            raise UnknownLayer(layer, known=(*unknown.known, *_CELLS)) from None
        if cell_m is not None:
            raise HotspotsRefused(
                "cell_m",
                f"the areas of layer {layer} have a size of their own",
                remedy="Leave it out, or ask for layer=square or layer=hexagon",
            )
    # By one clock, so that the same instants are the same question however they were written.
    to_at = (to_at or _coming_midnight(session, scheme.zone)).astimezone(scheme.zone)
    from_at = (from_at or _months_before(to_at, scheme.zone)).astimezone(scheme.zone)
    if from_at >= to_at:
        raise HotspotsRefused(
            "from",
            f"{from_at.isoformat()} is not before the end, {to_at.isoformat()}",
            remedy="Give a later end",
        )
    if category and not any(one.code.startswith(category) for one in scheme.categories):
        raise UnknownCategory(category, close=())
    return Question(
        layer=layer,
        cell_m=(cell_m or CELL_M) if is_cell else None,
        per=_divided_by(per, is_cell=is_cell),
        from_at=from_at,
        to_at=to_at,
        category=category,
    )


def find_hotspots(
    session: Session, asked: Question, *, fresh_for: timedelta = FRESH_FOR
) -> Hotspots:
    """Give what was found, or find it now and keep it.

    Args:
        session: Writes; its caller commits. It must see what others commit meanwhile.
        asked: Of `question`.
        fresh_for: How old a result may be although cases came in or changed since.

    Raises:
        HotspotsRefused: the cells would be too many, or the rate has no base.
        NothingPublished: no revision answers yet.
    """
    # Of two that ask the same at once the second waits, and finds it kept.
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(asked.digest, 0))))
    now = moment(session)
    kept = session.scalar(
        select(HotspotRun).where(
            HotspotRun.question == asked.digest, HotspotRun.revision == now.revision
        )
    )
    newest_case, newest_change = session.execute(sql("gridsvc.hotspots", "newest")).one()
    if kept and (
        (kept.newest_case, kept.newest_change) == (newest_case, newest_change)
        or now.at - kept.made_at < fresh_for
    ):
        return _read(session, kept, asked)
    if kept:
        session.execute(delete(HotspotRun).where(HotspotRun.id == kept.id))
    ground = _ground(session, asked, now)
    if not len(ground.areas):
        raise HotspotsRefused(
            "layer", f"layer {asked.layer} has no areas", remedy="Import its boundaries first"
        )
    found, surface = _find(session, asked, ground)
    run = _keep(
        session,
        HotspotRun(
            question=asked.digest,
            revision=now.revision,
            layer=asked.layer,
            cell_m=asked.cell_m,
            per=asked.per,
            from_at=asked.from_at,
            to_at=asked.to_at,
            category=asked.category,
            method=METHOD,
            parameters=_parameters(asked),
            cases=found.cases,
            newest_case=newest_case,
            newest_change=newest_change,
            made_at=now.at,
        ),
        found,
        surface,
    )
    return _read(session, run, asked)


def _parameters(asked: Question) -> dict[str, Any]:
    is_overlay_gap = asked.layer not in _CELLS
    return {
        "star": True,
        "weights": "binary",
        "neighbours": "touching; of overlay layers within overlay_gap_m"
        if is_overlay_gap
        else "touching",
        **({"overlay_gap_m": OVERLAY_GAP_M} if is_overlay_gap else {}),
        "p": "exact permutation distribution of all values, two-sided",
        "q": "Benjamini-Hochberg",
        "levels": [level for level, _ in LEVELS],
        "bandwidth_m": BANDWIDTH_M,
        "kernel": "product normal",
    }


def _ground(session: Session, asked: Question, now: Moment) -> Ground:
    """Read the areas, or lay the cells, and what their cases are divided by.

    Raises:
        HotspotsRefused: the cells would be too many.
    """
    scheme = current_scheme(session)
    rules = scheme.hotspots
    shops = None
    if asked.per == "shop" and rules.shops:
        shops = areas_frame(session, rules.shops, now=now)
    kind = next((one.kind for one in scheme.layers if one.code == asked.layer), None)
    return Ground(
        areas=_areas(session, asked.layer, asked.cell_m, now),
        within_m=OVERLAY_GAP_M if kind == LayerKind.OVERLAY else 0.0,
        per=asked.per,
        shops=shops,
        residents=rules.residents,
    )


def _areas(session: Session, layer: str, cell_m: float | None, now: Moment) -> gpd.GeoDataFrame:
    if cell_m is None:
        return areas_frame(session, layer, now=now)
    outermost = next(
        one.code for one in current_scheme(session).layers if one.kind == LayerKind.TILING
    )
    city = areas_frame(session, outermost, now=now)
    outline = shapely.union_all(city.geometry.to_numpy())
    cells = Tessellation(cast("Shape", layer), cell_m)
    number = outline.area / M2_IN_KM2 / cells.cell_km2
    if number > MOST_CELLS:
        raise HotspotsRefused(
            "cell_m",
            f"{number:,.0f} cells of {cell_m:g} m are more than the {MOST_CELLS:,} that are tested",
            remedy="Choose larger cells",
        )
    return cells.areas(outline, city.crs)


def _find(session: Session, asked: Question, ground: Ground) -> tuple[Analysis, Surface]:
    zone = current_scheme(session).zone
    bounds = _bounds(ground.areas)
    cell_m = _surface_cell_m(bounds)
    before = month_before(asked.from_at, zone)
    with parts_of_database(session, from_at=before, to_at=asked.to_at) as parts:
        found = analyse(parts, ground, asked.window, zone=zone)
        surface = kernel_density(
            parts,
            bounds,
            cell_m=cell_m,
            bandwidth_m=max(BANDWIDTH_M, cell_m),
            window=asked.window,
        )
    return found, surface


def _bounds(areas: gpd.GeoDataFrame) -> Bounds:
    west, south, east, north = map(float, areas.total_bounds)
    return west, south, east, north


def _surface_cell_m(bounds: Bounds) -> float:
    """Choose whole metres: half the bandwidth, or coarser where the city is too large for that."""
    west, south, east, north = bounds
    needed = math.sqrt((east - west) * (north - south) / _SURFACE_CELLS)
    return float(max(math.ceil(needed), BANDWIDTH_M / 2))


def _keep(session: Session, run: HotspotRun, found: Analysis, surface: Surface) -> HotspotRun:
    session.add(run)
    session.flush()
    areas = found.areas
    copy_rows(
        session,
        "gridsvc.hotspot_area",
        pa.RecordBatch.from_pandas(
            pd.DataFrame(
                {
                    "run_id": run.id,
                    **{
                        column.key: areas[column.key]
                        for column in HotspotArea.__table__.columns
                        if column.key != "run_id"
                    },
                }
            ).assign(pattern=areas["pattern"].astype("string")),
            preserve_index=False,
        ),
    )
    rows = list(_place_rows(run.id, found.places))
    if rows:
        session.execute(insert(HotspotPlace), rows)
    session.execute(
        insert(HotspotSurface).values(
            run_id=run.id,
            west_m=surface.x0,
            south_m=surface.y0,
            cell_m=surface.cell_m,
            columns=surface.values.shape[1],  # noqa: PD011  no frame
            bandwidth_m=surface.bandwidth_m,
            per_km2=surface.values.ravel().tolist(),  # noqa: PD011
        )
    )
    session.execute(sql("gridsvc.hotspots", "forget"), {"kept": KEPT_RUNS})
    return run


def _place_rows(run_id: int, places: gpd.GeoDataFrame) -> Iterator[dict[str, Any]]:
    for place in places.itertuples():
        lon, lat = to_wgs84(place.centre.x, place.centre.y, crs=str(places.crs))
        yield {
            "run_id": run_id,
            "rank": place.rank,
            "previous_rank": None if pd.isna(place.previous_rank) else int(place.previous_rank),
            "codes": list(place.codes),
            "lon": lon,
            "lat": lat,
            "cases": place.cases,
            "expected": place.expected,
            "z": place.z,
            "q": place.q,
            "hours": place.hours.tolist(),
            "peaks": [asdict(peak) for peak in place.peaks],
        }


def _read(session: Session, run: HotspotRun, asked: Question) -> Hotspots:
    then = pinned(session, at=run.made_at, revision=run.revision)
    assert then is not None  # noqa: S101  a foreign key holds it
    ground = _areas(session, run.layer, run.cell_m, then)
    areas = _merged(session, run.id, ground)
    shape_of = dict(zip(areas["code"], areas.geometry, strict=True))
    places = pd.DataFrame(
        [
            {name: getattr(row, name) for name in HotspotPlace.__table__.columns.keys()}  # noqa: SIM118
            for row in session.scalars(
                select(HotspotPlace)
                .where(HotspotPlace.run_id == run.id)
                .order_by(HotspotPlace.rank)
            )
        ],
        columns=list(HotspotPlace.__table__.columns.keys()),
    ).drop(columns="run_id")
    shapes = [shapely.union_all([shape_of[code] for code in codes]) for codes in places["codes"]]
    surface = session.get_one(HotspotSurface, run.id)
    values = np.array(surface.per_km2)
    return Hotspots(
        question=asked,
        revision=run.revision,
        method=run.method,
        parameters=run.parameters,
        seed=run.seed,
        cases=run.cases,
        made_at=run.made_at,
        areas=areas,
        places=gpd.GeoDataFrame(
            places.astype({"previous_rank": "Int64"}), geometry=shapes, crs=ground.crs
        ),
        surface=Surface(
            values=values.reshape(-1, surface.columns),
            x0=surface.west_m,
            y0=surface.south_m,
            cell_m=surface.cell_m,
            bandwidth_m=surface.bandwidth_m,
        ),
    )


def _merged(session: Session, run_id: int, ground: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    names = [key for key in HotspotArea.__table__.columns.keys() if key != "run_id"]  # noqa: SIM118
    rows = session.execute(
        select(*(getattr(HotspotArea, name) for name in names)).where(HotspotArea.run_id == run_id)
    ).all()
    kept = pd.DataFrame(rows, columns=names)
    for name in ("rate", "rate_low", "rate_high", "value", "z", "p", "q", "trend_z", "trend_p"):
        kept[name] = kept[name].astype(float)
    merged: gpd.GeoDataFrame = ground[["code", "name", "geometry"]].merge(
        kept, on="code", how="inner", validate="one_to_one"
    )
    return merged


def _divided_by(per: Per | None, *, is_cell: bool) -> Base | None:
    if per is None:
        return None if is_cell else "km2"
    return None if per == "case" else per


def _coming_midnight(session: Session, zone: ZoneInfo) -> datetime:
    now: datetime = session.scalars(select(func.now())).one()
    return datetime.combine(now.astimezone(zone).date() + timedelta(days=1), time(), zone)


def _months_before(at: datetime, zone: ZoneInfo) -> datetime:
    """Begin twelve whole months before the month in which `at` lies."""
    local = at.astimezone(zone)
    months = local.year * 12 + local.month - 1 - _MONTHS
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=zone)
