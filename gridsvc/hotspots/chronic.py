"""Which places come back again and again, as one number, and how often to look after them."""

from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from gridsvc.hotspots.recurrence import Chains
from gridsvc.hotspots.spool import Floats, Ints

HALF_LIFE_DAYS = 180.0
FRESH_RETURNS_AT_50 = 3.0

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""As in a scheme's hours of the week."""

_FEWEST = 5  # openings, below which a place has no hours of its own


def score(chains: Chains, *, zone: ZoneInfo, until: pd.Timestamp | None = None) -> pd.DataFrame:
    """Score each place at which something came back, from 0 to 100.

    A day on which it came back counts 1 today, half as much half a year ago, a quarter a year ago.
    With F the sum of that, the score is 100 · F / (F + 3): 25 is one fresh return, 50 three, 75
    nine; a place that is left in peace loses half of F in half a year. Days count, not cases: what
    is logged twenty times in an hour came back once.

    Args:
        chains: What came back.
        zone: Whose days they are.
        until: Today; what is later does not count. The end of observation if left out.

    Returns:
        Highest score first; `score`, `fresh_returns` (F), `days` (on which it came back), and the
        columns of `Chains.places`.
    """
    today = until or chains.until
    places = chains.places()
    days = pd.DataFrame({"place": [], "fresh": []})
    if today is not None:
        days = pd.concat([_days(frame, zone, today) for frame in chains.frames()])
    by_place = days.groupby("place")["fresh"].agg(["sum", "size"]).reindex(places["place"])
    fresh = by_place["sum"].fillna(0.0).to_numpy(float)
    places.insert(0, "score", 100 * fresh / (fresh + FRESH_RETURNS_AT_50))
    places.insert(1, "fresh_returns", fresh)
    places.insert(2, "days", by_place["size"].fillna(0).to_numpy(np.int64))
    return places.sort_values(
        ["score", "cases", "place"], ascending=[False, False, True], ignore_index=True
    )


def rounds(chains: Chains, places: pd.DataFrame, *, zone: ZoneInfo) -> pd.DataFrame:
    """Suggest how often, on which days and at what hours to look after places.

    A round every `every_days` after a closing is there before three of four returns were: it is the
    lower quartile of the days after which it came back, in whole days, at least one. Days and hours
    are those at which at least half of all cases were opened there, open duplicates too: when it
    is seen, which need not be when it happens. They are no finding; whether a place has hours of
    its own at all, `profiles` tests.

    Args:
        chains: What came back.
        places: Which places; any rows of `score` or `Chains.places`.
        zone: Whose hours they are.

    Returns:
        In the order of `places`: `place`; `every_days`; `next_round_at`, that long after the last
        closing, missing while a case is open; `weekdays`, the fewest that hold half, in the order
        of the week; `from_hour`, `to_hour`, the shortest run of hours that holds half, 22 to 2
        over midnight. Days and hours are missing for fewer than five cases.
    """
    kept = [frame[frame["place"].isin(places["place"])] for frame in chains.frames()]
    if not kept:
        kept = [pd.DataFrame({"place": [], "opened_at": pd.DatetimeIndex([], tz="UTC")})]
        kept[0]["days_after"] = []
    cases = pd.concat(kept)
    quartile = cases.groupby("place")["days_after"].quantile(0.25).reindex(places["place"])
    every = np.maximum(np.floor(quartile.to_numpy(float)), 1)
    row = pd.Index(places["place"]).get_indexer(cases["place"])
    local = cases["opened_at"].dt.tz_convert(zone)
    of_week = _counts(row, local.dt.day_of_week.to_numpy(), len(places), 7)
    of_day = _counts(row, local.dt.hour.to_numpy(), len(places), 24)
    many = of_week.sum(axis=1) >= _FEWEST
    first, hours = _shortest_run(of_day)
    due = pd.to_datetime(places["last_closed_at"], utc=True) + pd.to_timedelta(every, unit="D")
    table = pd.DataFrame(
        {
            "place": places["place"],
            "every_days": pd.array(every, dtype="Int64"),
            "next_round_at": due.where(places["still_open"] == 0),
            "weekdays": [
                " ".join(name for name, on in zip(WEEKDAYS, held, strict=True) if on) or None
                for held in _fewest(of_week)
            ],
            "from_hour": pd.array(first, dtype="Int64"),
            "to_hour": pd.array((first + hours) % 24, dtype="Int64"),
        }
    )
    table.loc[~many, ["weekdays", "from_hour", "to_hour"]] = None
    return table.reset_index(drop=True)


def _days(cases: pd.DataFrame, zone: ZoneInfo, today: pd.Timestamp) -> pd.DataFrame:
    """Find the days on which each place came back, and what each still counts."""
    came = cases.loc[cases["days_after"].notna() & (cases["opened_at"] <= today)]
    day = came["opened_at"].dt.tz_convert(zone).dt.tz_localize(None).dt.normalize()
    age_days = (today - came["opened_at"]).dt.total_seconds() / 86_400
    fresh = 0.5 ** (age_days / HALF_LIFE_DAYS)
    found = pd.DataFrame({"place": came["place"], "day": day, "fresh": fresh})
    # The last of a day: however many there are, the day counts as it stands then.
    return found.groupby(["place", "day"])["fresh"].max().reset_index()


def _counts(row: Ints, step: npt.NDArray[Any], rows: int, steps: int) -> Ints:
    return np.bincount(row * steps + step, minlength=rows * steps).reshape(rows, steps)


def _fewest(counts: Ints) -> npt.NDArray[np.bool_]:
    """Choose in each row the fewest steps that hold half of it; of equals the earlier."""
    order = np.argsort(-counts, axis=1, kind="stable")
    largest = np.take_along_axis(counts, order, axis=1)
    before = np.cumsum(largest, axis=1) - largest
    chosen = np.zeros(counts.shape, bool)
    np.put_along_axis(chosen, order, before < counts.sum(axis=1, keepdims=True) / 2, axis=1)
    return chosen


def _shortest_run(counts: Ints) -> tuple[Ints, Ints]:
    """Find in each row the shortest run of steps, round the end too, that holds half of it.

    Of equally short ones it is the one that holds most, then the first.
    """
    steps = counts.shape[1]
    sums = np.cumsum(np.concatenate([np.zeros((len(counts), 1), int), counts, counts], 1), 1)
    half = sums[:, steps] / 2
    first, length = np.zeros(len(counts), np.int64), np.zeros(len(counts), np.int64)
    for wide in range(1, steps + 1):
        held: Floats = sums[:, wide : wide + steps] - sums[:, :steps]
        start = held.argmax(axis=1)
        found = (length == 0) & (held[np.arange(len(held)), start] >= half)
        first[found], length[found] = start[found], wide
    return first, length
