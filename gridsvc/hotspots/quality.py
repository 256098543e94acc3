"""What the data's own faults do to a map: rows without a place, rounding, borders within reach."""

from collections import Counter
from pathlib import Path

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from gridsvc.crs import Floats
from gridsvc.grids.schemes import Scheme
from gridsvc.hotspots.cases import parts_of_reports
from gridsvc.hotspots.counts import owners
from gridsvc.reports.history import HistoryColumns

USABLE = "usable"

_MOST_DECIMALS = 8
"""Of a degree: a millimetre."""


def reasons(path: Path, columns: HistoryColumns, *, scheme: Scheme) -> pd.DataFrame:
    """Count the reports that no map can show, by the reason why.

    Args:
        path: Parquet or GeoParquet, as for `parts_of_reports`.
        columns: Which column holds what.
        scheme: Says the default points, the extent and the accepted CRS.

    Returns:
        `reason` ("usable", or as `gridsvc locate-file` words it) and `reports`, most first.

    Raises:
        TableError: the file cannot be read, is no Parquet file or lacks a column.
    """
    told: Counter[str] = Counter()
    for part in parts_of_reports(path, columns, scheme=scheme):
        for reason, count in part.reasons().counts().items():
            told[reason or USABLE] += count
    told += Counter()  # without those that no row has
    return pd.DataFrame(told.most_common(), columns=["reason", "reports"])


def piles(lon: Floats, lat: Floats, category: pd.Series) -> pd.DataFrame:
    """Find the points that bear the most reports, to the last digit.

    A default point shows itself by its variety: nowhere else have reports of every kind the very
    same coordinates. A busy corner has many reports too, of few kinds.

    Args:
        lon: (n,) as given.
        lat: (n,) as given.
        category: (n,) of each report.

    Returns:
        `lon`, `lat`, `reports`, `categories` (how many kinds), most reports first.
    """
    frame = pd.DataFrame({"lon": lon, "lat": lat, "category": np.asarray(category)})
    points = frame.groupby(["lon", "lat"], as_index=False).agg(
        reports=("category", "size"), categories=("category", "nunique")
    )
    return points.sort_values(
        ["reports", "lon", "lat"], ascending=[False, True, True], ignore_index=True
    )


def decimals(degrees: Floats) -> npt.NDArray[np.int64]:
    """Count the decimals that each number is written with, its last zeros left out.

    A tenth of numbers written with d decimals end in 0 and count as d - 1 by chance.

    Args:
        degrees: (n,) finite.

    Returns:
        (n,) 0 to 8; more count as 8.
    """
    scaled = np.rint(np.asarray(degrees, np.float64) * 10**_MOST_DECIMALS).astype(np.int64)
    told = np.full(len(scaled), _MOST_DECIMALS, np.int64)
    for fewer in range(1, _MOST_DECIMALS + 1):
        told[scaled % 10**fewer == 0] = _MOST_DECIMALS - fewer
    return told


def edge_m(x: Floats, y: Floats, areas: gpd.GeoDataFrame) -> Floats:
    """Measure from each point to the nearest border of any area.

    Args:
        x: (n,) metres in the storage CRS.
        y: The same.
        areas: Areas frame.

    Returns:
        (n,) metres; NaN where a point has no number.
    """
    borders = shapely.get_parts(shapely.boundary(areas.geometry.to_numpy()))
    metres = np.full(len(x), np.nan)
    known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    if len(borders):
        (asked, _), distance = shapely.STRtree(borders).query_nearest(
            shapely.points(x[known], y[known]), return_distance=True, all_matches=False
        )
        metres[known[asked]] = distance
    return metres


def misplaced(  # noqa: PLR0913  points, how exact they are, areas, and how to draw
    x: Floats,
    y: Floats,
    accuracy_m: Floats | float,
    areas: gpd.GeoDataFrame,
    *,
    draws: int = 20,
    seed: int = 0,
) -> Floats:
    """Estimate how likely each point lies in another area than it seems to.

    The true place is drawn from the disc of error, as answers with an accuracy share it out; a
    point that lands where no area is counts as misplaced.

    Args:
        x: (n,) metres in the storage CRS.
        y: The same.
        accuracy_m: Radius of the disc, one or (n,); NaN is taken for 0.
        areas: Areas frame.
        draws: How often; the standard error of the mean over n points is at most
            0.5 / sqrt(n · draws).
        seed: Of the draws.

    Returns:
        (n,) shares, 0 to 1.
    """
    seeming = owners(x, y, areas)
    reach = np.broadcast_to(np.nan_to_num(np.asarray(accuracy_m, np.float64)), seeming.shape)
    rng = np.random.default_rng(seed)
    other = np.zeros(len(seeming))
    for _ in range(draws):
        # The root spreads points evenly over the disc.
        away = reach * np.sqrt(rng.random(len(seeming)))
        turn = rng.random(len(seeming)) * 2 * np.pi
        other += owners(x + away * np.cos(turn), y + away * np.sin(turn), areas) != seeming
    return other / draws
