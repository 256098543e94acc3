"""How many cases each area or cell has, and how many that is for its size.

Cases are read part by part and only sums are kept, so memory is that of a part. Sums of whole
numbers are the same on one machine and on a cluster.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias
from zoneinfo import ZoneInfo

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from scipy import special

from gridsvc.crs import Floats
from gridsvc.errors import HotspotsRefused
from gridsvc.hotspots.cases import Part, Window, each
from gridsvc.hotspots.tessellation import M2_IN_KM2, Keys, Tessellation, prepared

Rows: TypeAlias = npt.NDArray[np.int32]
Base: TypeAlias = Literal["km2", "shop", "resident"]

NOWHERE = -1
CONFIDENCE = 0.95


def owners(x: Floats, y: Floats, areas: gpd.GeoDataFrame) -> Rows:
    """Find the area that covers each point, by the rule that answers go by.

    The edge is included and ties go to the lowest code, so a point has one owner at most.

    Args:
        x: (n,) metres in the storage CRS; a point without a number has no owner.
        y: The same.
        areas: Areas frame: `code`, `geometry` in the storage CRS, in order of code.

    Returns:
        (n,) row numbers in `areas`; -1 where none covers the point.

    Source: docs/decisions/0004-shared-boundaries.md
    """
    found = np.full(len(x), NOWHERE, np.int32)
    # Asked by their boxes first and then as prepared areas: the tree's own predicate would prepare
    # the points instead, which is no gain.
    polygons = prepared(areas.geometry.to_numpy())
    places = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    point, area = shapely.STRtree(polygons).query(shapely.points(x[places], y[places]))
    point = places[point]
    covers = shapely.intersects_xy(polygons[area], x[point], y[point])
    point, area = point[covers], area[covers]
    # Written from the highest code to the lowest, so that the lowest stays.
    order = np.argsort(area)[::-1]
    found[point[order]] = area[order]
    return found


def count_areas(  # noqa: PLR0913  whose cases, where, which, and how to split them
    parts: Iterable[Part],
    areas: gpd.GeoDataFrame,
    *,
    window: Window = Window(),  # noqa: B008  frozen
    by_month: ZoneInfo | None = None,
    by_category: bool = False,
    hours: ZoneInfo | None = None,
    client: Any = None,  # noqa: ANN401
) -> pd.DataFrame:
    """Count the cases that opened in each area.

    A case on a shared edge counts once, see `owners`; one that no area covers is not counted.

    Args:
        parts: The cases.
        areas: Areas frame.
        window: Which cases are meant.
        by_month: Split by the calendar month of the opening in this zone.
        by_category: Split by category.
        hours: Split by the weekday and the hour of the opening in this zone.
        client: A `dask.distributed.Client`; None works on this machine.

    Returns:
        `code` and `cases`, and between them as asked for `month` ("2026-10"), `weekday` (0 is
        Monday) and `hour` (0 to 23), `category` (missing where a case has none). Unsplit there
        is a row for every area in its order, with 0 where nothing happened; split, only what
        happened has rows, in order of area, then of the columns.
    """
    split = _Split(by_month, hours, by_category=by_category)
    rows = _total(partial(_part_of_areas, areas, window, split), parts, split, client)
    return _placed(rows, areas["code"], split)


def count_cells(  # noqa: PLR0913  as for areas
    parts: Iterable[Part],
    tessellation: Tessellation,
    cells: gpd.GeoDataFrame,
    *,
    window: Window = Window(),  # noqa: B008  frozen
    by_month: ZoneInfo | None = None,
    by_category: bool = False,
    hours: ZoneInfo | None = None,
    client: Any = None,  # noqa: ANN401
) -> pd.DataFrame:
    """Count the cases that opened in each cell.

    Args:
        parts: The cases.
        tessellation: The lattice.
        cells: What `tessellation.areas` gave; cases in other cells are not counted.
        window: Which cases are meant.
        by_month: As for `count_areas`.
        by_category: The same.
        hours: The same.
        client: The same.

    Returns:
        As `count_areas`, in the order of `cells`.
    """
    split = _Split(by_month, hours, by_category=by_category)
    keys = cells["cell"].to_numpy()
    count = partial(_part_of_cells, tessellation, keys, window, split)
    return _placed(_total(count, parts, split, client), cells["code"], split)


def monthly(counts: pd.DataFrame, areas: gpd.GeoDataFrame) -> pd.DataFrame:
    """Lay counts by month out as a table, with 0 where nothing happened.

    Args:
        counts: What `count_areas` or `count_cells` gave with `by_month`; other splits are summed.
        areas: The areas or cells counted.

    Returns:
        (months, areas): a row for every month from the first to the last that has cases, a
        column for every code in the order of `areas`.
    """
    table = counts.pivot_table(
        index="month", columns="code", values="cases", aggfunc="sum", fill_value=0, observed=True
    )
    months = pd.Index([], dtype=str, name="month")
    if len(table):
        first, last = np.datetime64(table.index[0], "M"), np.datetime64(table.index[-1], "M")
        months = pd.Index(np.arange(first, last + 1).astype(str), name="month", dtype=str)
    codes = pd.Index(areas["code"], name="code")
    return table.reindex(index=months, columns=codes, fill_value=0).astype(np.int64)


def rates(
    counts: pd.DataFrame,
    areas: gpd.GeoDataFrame,
    *,
    per: Base = "km2",
    shops: gpd.GeoDataFrame | None = None,
    residents: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Hold counts against the size of their areas.

    The interval is that of a Poisson count, exact for small numbers (Garwood 1936): an area with
    3 cases may as well have had 0.6 or 8.8. It holds if cases come one by one; where they come
    in bursts the truth is wider.

    Args:
        counts: What `count_areas` or `count_cells` gave, split or not.
        areas: The areas or cells counted.
        per: Square kilometre (of a cell the part inside the city), shop or resident.
        shops: Areas of the layer whose areas are shops, for `per="shop"`: one belongs to the
            area that covers its centre.
        residents: Code to number of people, for `per="resident"`.

    Returns:
        `counts` with `base` (km², shops or residents of the area), `rate` (cases ÷ base) and
        `low` and `high`, 95 %; missing where the base is 0 or unknown.

    Raises:
        HotspotsRefused: shops or residents are asked for and not given.

    Source: Garwood, Fiducial limits for the Poisson distribution, Biometrika 28 (1936).
    """
    base = counts["code"].map(_base(areas, per, shops, residents)).astype(float)
    base = base.where(base > 0)
    cases = counts["cases"].to_numpy(np.float64)
    tail = (1 - CONFIDENCE) / 2
    # The inverses of the gamma distribution are those of the Poisson's sums.
    low = np.where(cases > 0, special.gammaincinv(np.maximum(cases, 1), tail), 0.0)
    high = special.gammaincinv(cases + 1, 1 - tail)
    return counts.assign(base=base, rate=cases / base, low=low / base, high=high / base)


def _base(
    areas: gpd.GeoDataFrame,
    per: Base,
    shops: gpd.GeoDataFrame | None,
    residents: Mapping[str, float] | None,
) -> pd.Series:
    codes = areas["code"]
    if per == "km2":
        told = areas.get("inside_km2", areas.geometry.area / M2_IN_KM2)
        return pd.Series(np.asarray(told), index=codes)
    if per == "shop":
        if shops is None:
            raise HotspotsRefused(
                "per",
                "the scheme does not say which layer's areas are shops",
                remedy='Name it: [hotspots] shops = "LAYER"',
            )
        centres = shops.geometry.centroid
        owner = owners(centres.x.to_numpy(), centres.y.to_numpy(), areas)
        number = np.bincount(owner[owner != NOWHERE], minlength=len(areas))
        return pd.Series(number, index=codes)
    if residents is None:
        raise HotspotsRefused(
            "per",
            "the scheme does not say how many people live where",
            remedy='Name a table: [hotspots] residents = "residents.csv"',
        )
    return pd.Series(codes.map(residents).to_numpy(np.float64), index=codes)


# Counting. A part becomes a small table: row of the place, what it is split by, cases.

_MERGE_ROWS = 1_000_000


@dataclass(frozen=True, slots=True)
class _Split:
    by_month: ZoneInfo | None
    hours: ZoneInfo | None
    by_category: bool

    @property
    def columns(self) -> list[str]:
        """By what there are rows of their own."""
        return [
            *(["month"] if self.by_month else []),
            *(["weekday", "hour"] if self.hours else []),
            *(["category"] if self.by_category else []),
        ]

    def count(self, cases: pd.DataFrame, place: npt.NDArray[Any]) -> pd.DataFrame:
        """Count cases by their place, a row number; those nowhere are left out."""
        somewhere = place != NOWHERE
        if not somewhere.all():
            cases, place = cases[somewhere], place[somewhere]
        keys: dict[str, Any] = {"place": place}
        if self.by_month:
            keys["month"] = _local(cases, self.by_month).astype("M8[M]").astype(np.int64)
        if self.hours:
            local = _local(cases, self.hours).astype("M8[h]").astype(np.int64)
            # 1970-01-01 was a Thursday.
            keys["weekday"], keys["hour"] = (local // 24 + 3) % 7, local % 24
        if self.by_category:
            # Numbers mean something else in every part.
            keys["category"] = cases["category"].array
        grouped = pd.DataFrame(keys).groupby(list(keys), observed=True, dropna=False, sort=False)
        rows = grouped.size().rename("cases").reset_index()
        return rows.astype({"category": object}) if self.by_category else rows


def _local(cases: pd.DataFrame, zone: ZoneInfo) -> npt.NDArray[np.datetime64]:
    local = cases["opened_at"].dt.tz_convert(zone).dt.tz_localize(None)
    return np.asarray(local, "M8[us]")


def _part_of_areas(
    areas: gpd.GeoDataFrame, window: Window, split: _Split, part: Part
) -> pd.DataFrame:
    cases = window.of(part.read())
    return split.count(cases, owners(cases["x"].to_numpy(), cases["y"].to_numpy(), areas))


def _part_of_cells(
    tessellation: Tessellation, cells: Keys, window: Window, split: _Split, part: Part
) -> pd.DataFrame:
    cases = window.of(part.read())
    asked = tessellation.cell_of(cases["x"].to_numpy(), cases["y"].to_numpy())
    return split.count(cases, pd.Index(cells).get_indexer(pd.Index(asked)))


def _total(
    count: Callable[[Part], pd.DataFrame],
    parts: Iterable[Part],
    split: _Split,
    client: Any,  # noqa: ANN401
) -> pd.DataFrame:
    """Add up the tables of all parts, keeping little more than the sum in memory."""
    keys = ["place", *split.columns]
    kept: list[pd.DataFrame] = []
    for rows in each(count, parts, client=client):
        kept.append(rows)
        if len(kept[0]) + _MERGE_ROWS < sum(map(len, kept)):
            kept = [_added(kept, keys)]
    if not kept:
        return pd.DataFrame({name: [] for name in [*keys, "cases"]}).astype({"cases": np.int64})
    return _added(kept, keys)


def _added(tables: Iterable[pd.DataFrame], keys: list[str]) -> pd.DataFrame:
    rows = pd.concat(tables, ignore_index=True)
    return rows.groupby(keys, dropna=False, sort=True)["cases"].sum().reset_index()


def _placed(rows: pd.DataFrame, codes: pd.Series, split: _Split) -> pd.DataFrame:
    """Put codes for row numbers, and zeros where a count without splits has nothing."""
    place = rows["place"].to_numpy(np.int64)
    if not split.columns:
        cases = np.zeros(len(codes), np.int64)
        cases[place] = rows["cases"]
        return pd.DataFrame({"code": codes.to_numpy(), "cases": cases})
    told = rows.drop(columns="place")
    told.insert(0, "code", codes.to_numpy()[place])
    if split.by_month:
        told["month"] = told["month"].to_numpy(np.int64).view("M8[M]").astype(str)
    return told.reset_index(drop=True)
