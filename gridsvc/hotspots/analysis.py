"""One question about where cases gather, answered from columns of cases and a frame of areas.

It knows no database, so a notebook asks it as the service does; `gridsvc.hotspots.store` keeps what
it finds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import geopandas as gpd
import numpy as np
import pandas as pd

from gridsvc.hotspots import clusters, profiles
from gridsvc.hotspots.cases import Part, Window
from gridsvc.hotspots.counts import Base, count_areas, monthly, rates
from gridsvc.hotspots.emerging import FEWEST_STEPS, emerging
from gridsvc.hotspots.tessellation import M2_IN_KM2

if TYPE_CHECKING:
    from libpysal.graph import Graph

MOST_MONTHS = 240
"""Trends of more are not worked out: each month is held against every other."""

LEAST_INSIDE = 0.5
"""The part of a cell that lies in the city, from which on its rate is tested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What cases are counted on.

    Attributes:
        areas: Areas frame, of a layer or of cells.
        within_m: Up to what gap areas are neighbours; 0 where they touch.
        per: What is tested: cases themselves (None), which is right where areas are alike, or by
            km², shop or resident. Where 10,000 cases are spread evenly over the demo city's 600
            unit grids of 1 to 7 ha, counts call 46 of them hot or cold.
        shops: Areas frame of shops, for `per="shop"`.
        residents: Code to people, for `per="resident"`.
    """

    areas: gpd.GeoDataFrame
    within_m: float = 0.0
    per: Base | None = None
    shops: gpd.GeoDataFrame | None = None
    residents: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Analysis:
    """What was found.

    Attributes:
        areas: The areas, in their order, with `cases`; `rate`, `rate_low`, `rate_high` (per km²,
            or as asked); `value` (as tested), `neighbours`, `z`, `p`, `q`, `kind`; `pattern`,
            `trend_z`, `trend_p` (missing where the window has fewer than ten whole months,
            or more than 240).
        places: Hotspots by rank, as `clusters.places` gives them, with `previous_rank` (missing
            where it was none a month before), `hours` (168 counts) and `peaks`.
    """

    areas: gpd.GeoDataFrame
    places: gpd.GeoDataFrame

    @property
    def cases(self) -> int:
        """How many cases were counted."""
        return int(self.areas["cases"].sum())


def analyse(
    parts: Sequence[Part],
    ground: Ground,
    window: Window,
    *,
    zone: ZoneInfo,
    client: Any = None,  # noqa: ANN401
) -> Analysis:
    """Count, test and rank.

    Args:
        parts: The cases; those of the month before the window too, for the ranks of then.
        ground: What they are counted on.
        window: Which cases are meant; both its ends are given.
        zone: The city's clock: months, weekdays and hours are local.
        client: A `dask.distributed.Client`; None works on this machine.

    Raises:
        HotspotsRefused: the rate asked for has no base.
    """
    graph = clusters.neighbours(ground.areas, within_m=ground.within_m)
    split = count_areas(
        parts, ground.areas, window=window, by_month=zone, hours=zone, client=client
    )
    areas, tested = _tested(split.groupby("code")["cases"].sum(), ground, graph)
    areas = areas.assign(**_trends(split, areas, graph, window, zone))
    places = clusters.places(areas, tested, graph)
    before = count_areas(parts, ground.areas, window=_a_month_before(window, zone), client=client)
    then, then_tested = _tested(before.set_index("code")["cases"], ground, graph)
    return Analysis(
        areas,
        places.assign(
            previous_rank=_previous_ranks(places, clusters.places(then, then_tested, graph)),
            **_rhythm(split, places),
        ),
    )


def _tested(
    cases: pd.Series, ground: Ground, graph: "Graph"
) -> tuple[gpd.GeoDataFrame, pd.DataFrame]:
    """Count, rate and test the areas of one window."""
    counted = pd.DataFrame(
        {
            "code": ground.areas["code"],
            "cases": ground.areas["code"].map(cases).fillna(0).astype(np.int64),
        }
    )
    told = rates(
        counted,
        ground.areas,
        per=ground.per or "km2",
        shops=ground.shops,
        residents=ground.residents,
    )
    value = np.array(told["rate"] if ground.per else told["cases"], np.float64)
    if ground.per and "inside_km2" in ground.areas:
        # A sliver of a cell with one case has an enormous rate, beside which nothing else shows.
        whole_km2 = ground.areas.geometry.area / M2_IN_KM2
        value[ground.areas["inside_km2"] < LEAST_INSIDE * whole_km2] = np.nan
    tested = clusters.getis_ord(value, graph)
    columns = told[["cases", "rate", "low", "high"]].rename(
        columns={"low": "rate_low", "high": "rate_high"}
    )
    if ground.per:
        columns["base"] = told["base"].mask(np.isnan(value))
    return gpd.GeoDataFrame(pd.concat([ground.areas, columns, tested], axis=1)), tested


def _trends(
    split: pd.DataFrame, areas: gpd.GeoDataFrame, graph: "Graph", window: Window, zone: ZoneInfo
) -> dict[str, Any]:
    """Class the areas by their whole months; a month that is cut short would look cold."""
    months = whole_months(window, zone)
    if not FEWEST_STEPS <= len(months) <= MOST_MONTHS:
        return {"pattern": None, "trend_z": np.nan, "trend_p": np.nan}
    cube = monthly(split, areas).reindex(index=months, fill_value=0).to_numpy(np.float64)
    if "base" in areas:
        # An area without a base, or a sliver, has no rate: it is told as one where nothing happens.
        cube = np.nan_to_num(cube / areas["base"].to_numpy(np.float64))
    found = emerging(cube, graph)
    return {name: found[name].to_numpy() for name in ("pattern", "trend_z", "trend_p")}


def _rhythm(split: pd.DataFrame, places: gpd.GeoDataFrame) -> dict[str, Any]:
    owner = {code: number for number, codes in enumerate(places["codes"]) for code in codes}
    hours = profiles.by_hour(split, owner, len(places))
    city = profiles.by_hour(split, dict.fromkeys(split["code"], 0), 1)[0]
    return {
        "hours": pd.Series(list(hours), index=places.index, dtype=object),
        "peaks": pd.Series(profiles.peaks(hours, city), index=places.index, dtype=object),
    }


def _previous_ranks(now: gpd.GeoDataFrame, before: gpd.GeoDataFrame) -> pd.Series:
    """Find each hotspot in the ranking of a month before: the highest with an area in common."""
    rank_of: dict[str, int] = {}
    for rank, codes in zip(before["rank"], before["codes"], strict=True):
        rank_of |= dict.fromkeys(codes, rank)
    ranks = [
        min((rank_of[code] for code in codes if code in rank_of), default=None)
        for codes in now["codes"]
    ]
    return pd.Series(ranks, index=now.index, dtype="Int64")


def _a_month_before(window: Window, zone: ZoneInfo) -> Window:
    return replace(
        window, from_at=month_before(window.from_at, zone), to_at=month_before(window.to_at, zone)
    )


def month_before(at: datetime | None, zone: ZoneInfo) -> datetime | None:
    """Go back a calendar month by the city's clock; of a longer one to the shorter's last day."""
    if at is None:
        return None
    local = pd.Timestamp(at.astimezone(zone).replace(tzinfo=None)) - pd.DateOffset(months=1)
    moved: datetime = local.to_pydatetime().replace(tzinfo=zone)
    return moved


def whole_months(window: Window, zone: ZoneInfo) -> list[str]:
    """Name the calendar months that lie in the window from their first instant to their last."""
    if window.from_at is None or window.to_at is None:
        return []
    first = np.datetime64(window.from_at.astimezone(zone).replace(tzinfo=None), "us")
    end = np.datetime64(window.to_at.astimezone(zone).replace(tzinfo=None), "us")
    begin = first.astype("M8[M]")
    if begin < first:
        begin += 1
    return [str(month) for month in np.arange(begin, end.astype("M8[M]"))]
