"""A year's reports are drawn month by month, so that memory does not grow with their number.

Their rhythm, their places and the faults of their channels are those of `tools.demo_city.reports`;
what a year of a busy city has besides is the same matter told again within days.
"""

import csv
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tools.demo_city import reports as demo
from tools.demo_city.__main__ import CATEGORIES, city
from tools.demo_city.areas import City

FROM, TO = np.datetime64("2025-11-01", "s"), np.datetime64("2026-11-01", "s")
"""Local time."""
AGAIN_SHARE = 0.16
AGAIN_M, AGAIN_HOURS = 5.0, 20.0
OUTSIDE_SHARE, PLACELESS_SHARE = 0.007, 0.02


def write(path: Path, count: int, seed: int) -> None:
    """Write reports as Parquet, a month at a time, in the order they came within each.

    Args:
        path: The file.
        count: How many.
        seed: The same seed gives the same reports.
    """
    drawn = city()
    writer = None
    try:
        for month in _months(drawn, count, np.random.default_rng([seed, 0])):
            table = pa.Table.from_pandas(month, preserve_index=False)
            writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table)
    finally:
        if writer:
            writer.close()


@cache
def hours_by_category() -> dict[str, float]:
    """Tell how long each class takes to handle, in the order of the demo's categories."""
    with CATEGORIES.open(encoding="utf-8") as lines:
        code = {row["name_zh"]: row["code"] for row in csv.DictReader(lines)}
    kinds = demo.CATEGORIES
    return {code[name]: hours for name, hours in zip(kinds["name"], kinds["hours"], strict=True)}


def _months(drawn: City, count: int, rng: np.random.Generator) -> Iterator[pd.DataFrame]:
    days = np.arange(FROM.astype("datetime64[D]"), TO.astype("datetime64[D]"))
    weight = demo.day_weights(days, rng)
    month_of = days.astype("datetime64[M]")
    months = np.unique(month_of)
    shares = np.array([weight[month_of == month].sum() for month in months])
    counts = rng.multinomial(count, shares / shares.sum())
    codes = np.array(list(hours_by_category()))
    # The careless places are the same all year.
    places = {
        where: demo.weighed_areas(drawn, where, rng) for where in demo.CATEGORIES["where"].unique()
    }
    first = 1
    for month, n in zip(months, counts.tolist(), strict=True):
        here = month_of == month
        frame = _month(drawn, places, days[here], weight[here], n, rng)
        frame["category"] = codes[frame.pop("kind")]
        frame.insert(0, "id", [f"Y{number:08}" for number in range(first, first + n)])
        first += n
        yield frame


def _month(  # noqa: PLR0913, PLR0917 -- what a month is drawn from
    drawn: City,
    places: dict[str, tuple[np.ndarray, np.ndarray]],
    days: np.ndarray,
    weight: np.ndarray,
    n: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    channel = rng.choice(list(demo.CHANNELS), size=n, p=list(demo.CHANNELS.values()))
    opened = demo.opening_times(channel, days, weight, rng)
    kind = demo.kinds(opened, rng)
    where_of = demo.CATEGORIES["where"].to_numpy()[kind]
    xy = np.empty((n, 2))
    for where, (areas, weighed) in places.items():
        chosen = where_of == where
        xy[chosen] = demo.points_in(areas, weighed, int(chosen.sum()), rng)
    _tell_again(xy, opened, kind, rng)
    order = np.lexsort((xy[:, 0], opened))
    frame = pd.DataFrame(
        {
            "x": xy[order, 0],
            "y": xy[order, 1],
            "channel": channel[order],
            "kind": kind[order],
            "chronic": False,
        }
    )
    frame["opened_at"] = (opened[order] - demo.UTC_OFFSET).astype("datetime64[ms]")
    frame["opened_at"] = frame["opened_at"].dt.tz_localize("UTC")
    demo.locate(
        frame,
        drawn,
        rng,
        strayed=round(n * OUTSIDE_SHARE),
        placeless=round(n * PLACELESS_SHARE),
    )
    return frame.drop(columns=["x", "y", "chronic"])


def _tell_again(
    xy: np.ndarray, opened: np.ndarray, kind: np.ndarray, rng: np.random.Generator
) -> None:
    """Make some reports repeat another one: the same matter, steps away, hours later."""
    n = len(xy)
    copies = rng.choice(n, size=int(n * AGAIN_SHARE), replace=False)
    originals = np.setdiff1d(np.arange(n), copies)
    if not len(originals):
        return
    copied = rng.choice(originals, size=len(copies))
    later_s = rng.exponential(AGAIN_HOURS * 3600, len(copies)).astype("timedelta64[s]")
    at = opened[copied] + later_s
    kept = at < TO
    copies, copied = copies[kept], copied[kept]
    opened[copies], kind[copies] = at[kept], kind[copied]
    xy[copies] = xy[copied] + rng.normal(0, AGAIN_M, (len(copies), 2))
