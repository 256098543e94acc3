"""How much of what was closed comes back in time, of each area or party, and how sure that is.

What closed a week ago has had a week to come back in. It is neither dropped nor counted as lasting:
it counts for that week (Kaplan and Meier 1958).
"""

from dataclasses import dataclass
from typing import Any, Literal

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import beta

from gridsvc.errors import HotspotsRefused
from gridsvc.hotspots.counts import CONFIDENCE, NOWHERE, owners
from gridsvc.hotspots.recurrence import DAY_US, Chains
from gridsvc.hotspots.spool import Floats, Ints

By = Literal["responsible", "category", "group"]


@dataclass(frozen=True, slots=True)
class Rates:
    """Chances to come back in time; arrays with an element a unit.

    Attributes:
        closed: Closings that were followed for any time.
        returned: Those of them after which something came back in time.
        rate: By Kaplan and Meier; missing where nothing was followed to the end and not all came
            back.
        low: Of the interval.
        high: The same; 1 where nothing was followed to the end.
    """

    closed: Ints
    returned: Ints
    rate: Floats
    low: Floats
    high: Floats


def return_rates(
    chains: Chains,
    by: gpd.GeoDataFrame | By,
    *,
    until: pd.Timestamp | None = None,
    confidence: float = CONFIDENCE,
) -> pd.DataFrame:
    """Estimate, area by area or party by party, how much of what was closed comes back in time.

    A closing counts if its case was no open duplicate. It came back if another case that is no
    duplicate was opened within the rule's reach and days. It is followed from then to the end of
    the days or of observation, whichever is first.

    Args:
        chains: What came back.
        by: Areas frame, a place going to the area that covers it; or the column of the cases that
            says whose they are. Cases of none are left out.
        until: The end of observation, what is later being unknown; that of the chains if left out.
        confidence: Of each interval, and of all rank intervals together.

    Returns:
        In the order of areas or of codes; columns `code`, `closed`, `returned`, `rate`, `low`,
        `high` as in `Rates`; `rank` by rate, 1 returns most, equals share the lower number;
        `rank_low`, `rank_high` the ranks that the true rate may have (missing without closings).

    Raises:
        HotspotsRefused: the confidence is no share between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise HotspotsRefused(
            "confidence", f"{confidence} is not between 0 and 1", remedy="Give a share, as 0.95"
        )
    end = until or chains.until
    told = _NO_CLOSINGS
    if end is not None:
        days = chains.rule.window_days
        told = pd.concat([_closings(frame, days, end) for frame in chains.frames()])
    if isinstance(by, gpd.GeoDataFrame):
        names = by["code"].to_numpy()
        unit = owners(told["x"].to_numpy(), told["y"].to_numpy(), by).astype(np.int64)
    else:
        # Only who has any closings: a categorical knows of more.
        unit, names = pd.factorize(told[by].astype(object), sort=True)
    told, unit = told[unit != NOWHERE], unit[unit != NOWHERE]
    given = (told["days"].to_numpy(float), told["returned"].to_numpy(bool), unit, len(names))
    window_days = chains.rule.window_days
    rates = kaplan_meier(*given, at_days=window_days, confidence=confidence)
    units = max(int((rates.closed > 0).sum()), 1)
    joint = kaplan_meier(*given, at_days=window_days, confidence=1 - (1 - confidence) / units)
    table = pd.DataFrame(
        {
            "code": names,
            "closed": rates.closed,
            "returned": rates.returned,
            "rate": rates.rate,
            "low": rates.low,
            "high": rates.high,
        }
    )
    table["rank"] = table["rate"].rank(ascending=False, method="min").astype("Int64")
    for name, ranks in zip(("rank_low", "rank_high"), _ranks(joint), strict=True):
        table[name] = pd.array(ranks, dtype="Int64")
        table.loc[table["closed"] == 0, name] = pd.NA
    return table


def kaplan_meier(  # noqa: PLR0913  what was seen, and what is asked of it
    days: Floats,
    returned: npt.NDArray[np.bool_],
    unit: npt.NDArray[np.integer[Any]],
    units: int,
    *,
    at_days: float,
    confidence: float = CONFIDENCE,
) -> Rates:
    """Estimate each unit's chance to return within some days, with an interval for small numbers.

    With Y(i) closings still followed as the i-th came back, the share that lasts is the product of
    1 - 1/Y(i) over all that came back in time. Its interval is the beta product confidence
    procedure: the share that lasts is at most like a product of Beta(Y(i), 1), and at least like
    that times one more Beta(Y, 1), Y followed to the end; each product is taken for the one beta
    distribution of its mean and variance. Where nothing is cut short this is Clopper and Pearson's
    exact interval; coverage does not fall below what is stated with few closings, as that of
    Greenwood's formula does. It takes closings as independent.

    Args:
        days: (n,) from each closing to its return, or for as long as it was followed.
        returned: (n,) which of the two.
        unit: (n,) number of its area or party.
        units: How many there are.
        at_days: Within which days; what returned or was followed at the last instant counts.
        confidence: Of the interval.

    Source: M. P. Fay, E. H. Brittain, M. A. Proschan: Pointwise confidence intervals for a survival
        distribution with small samples or heavy censoring. Biostatistics 14 (2013), 723-736.
    """
    # In the order of time; at one time what returned is taken before what is not followed on.
    order = np.lexsort((~returned, days, unit))
    days, returned, unit = days[order], returned[order], unit[order]
    closed = np.bincount(unit, minlength=units)
    ends = np.cumsum(closed)
    followed = ends[unit] - np.arange(len(unit))
    event = returned & (days <= at_days)

    def product(values: Floats) -> Floats:
        with np.errstate(divide="ignore"):  # of the last one, all of which returned
            logs = np.bincount(unit[event], weights=np.log(values), minlength=units)
        return logs.astype(np.float64)

    y = followed[event].astype(float)
    lasting = np.exp(product((y - 1) / y))
    mean, square = product(y / (y + 1)), product(y / (y + 2))
    # As numbers with a fraction, so that dividing by 0 gives infinity.
    still = np.bincount(unit[(days >= at_days) & ~event], minlength=units).astype(float)
    with np.errstate(divide="ignore"):  # nothing was followed to the end
        mean_low = mean + np.log(still / (still + 1))
        square_low = square + np.log(still / (still + 2))
    tail = (1 - confidence) / 2
    high = 1 - _beta_quantile(tail, mean_low, square_low, nothing=0.0)
    low = 1 - _beta_quantile(1 - tail, mean, square, nothing=1.0)
    known = (still > 0) | (lasting == 0)
    return Rates(
        closed=closed,
        returned=np.bincount(unit[event], minlength=units),
        rate=np.where(known & (closed > 0), 1 - lasting, np.nan),
        low=low,
        high=high,
    )


def _beta_quantile(at: float, log_mean: Floats, log_square: Floats, *, nothing: float) -> Floats:
    """Find a quantile of the beta distributions of these moments; a fixed value without any."""
    # Either no factor at all, or one of Beta(0, 1).
    real = np.isfinite(log_mean) & (log_mean < 0)
    mean = np.exp(log_mean[real])
    # The variance, without taking two near numbers from each other.
    variance = mean**2 * np.expm1(log_square[real] - 2 * log_mean[real])
    weight = mean * (1 - mean) / variance - 1
    quantile = np.full(len(log_mean), nothing)
    quantile[real] = beta.ppf(at, mean * weight, (1 - mean) * weight)
    return quantile


def _ranks(joint: Rates) -> tuple[Ints, Ints]:
    """Find the ranks that each may have while all intervals hold together.

    Those are surely ahead of a unit whose interval lies above its own.

    Source: M. Klein, T. Wright, J. Wieczorek: A joint confidence region for an overall ranking of
        populations. Journal of the Royal Statistical Society C 69 (2020), 589-606.
    """
    has = joint.closed > 0
    lows, highs = np.sort(joint.low[has]), np.sort(joint.high[has])
    ahead = len(lows) - np.searchsorted(lows, joint.high, side="right")
    behind = np.searchsorted(highs, joint.low, side="left")
    return ahead + 1, len(lows) - behind


def _closings(cases: pd.DataFrame, window_days: float, until: pd.Timestamp) -> pd.DataFrame:
    """Take what closed by the end of observation, for how long it was followed, and how it went."""
    closed = cases.loc[~cases["is_open_duplicate"] & (cases["closed_at"] <= until)]
    # In the same way as the days to return: of equal instants neither is longer by a last bit.
    closed_us = closed["closed_at"].dt.tz_localize(None).to_numpy("M8[us]").view(np.int64)
    followed = (round(until.timestamp() * 1e6) - closed_us) / DAY_US
    returned = closed["days_to_return"].to_numpy() <= followed
    days = np.where(returned, closed["days_to_return"], np.minimum(followed, window_days))
    return closed[["x", "y", "responsible", "category", "group"]].assign(
        days=days, returned=returned
    )


_NO_CLOSINGS = pd.DataFrame(
    {
        name: pd.Series(dtype=kind)
        for name, kind in (
            *(("x", "float64"), ("y", "float64"), ("responsible", "category")),
            *(("category", "category"), ("group", "category")),
            *(("days", "float64"), ("returned", "bool")),
        )
    }
)
