"""Does a case come back? Chains of cases of a kind at a place, each after the one before closed.

A return is a case within reach of an earlier one of its group, opened when that had closed and not
long after. A case opened while an earlier one within reach is still open is a duplicate of it: kept
apart, and no return. docs/decisions/0013-what-a-return-is.md
"""

import shutil
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gridsvc.hotspots import links
from gridsvc.hotspots.cases import Part, Window, each
from gridsvc.hotspots.spool import (
    NEVER_US,
    ROW,
    Bucket,
    Floats,
    Groups,
    Ints,
    Net,
    Rows,
    Spool,
    spool,
)

DAY_US = 86_400_000_000
_BUCKET_ROWS = 250_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What counts as coming back.

    Attributes:
        within_m: How far from the earlier case, in metres to the millimetre; itself included.
        window_days: How long after its closing, in days of 24 hours; both ends included: a case
            opened in the instant of the closing comes back after 0 days.
        duplicate_days: How long after an open case was opened others are duplicates of it, the end
            included; None is for as long as it is open. A case that nobody ever closes would
            otherwise hide for good what comes back beside it.
        groups: Which categories are the same problem: the group of each category, the length of
            the beginning of the code that counts, or None for each category on its own. A category
            that the mapping does not name is a group of its own; cases without a category are a
            group together.
    """

    within_m: float = 30.0
    window_days: float = 30.0
    duplicate_days: float | None = 30.0
    groups: Groups = None


class Chains:
    """What came back; the cases lie in a temporary folder for as long as this object lives.

    Attributes:
        rule: By which they were found.
        until: The end of observation: the newest instant in the data, or the window's end if that
            is earlier; None without cases.
    """

    def __init__(self, rule: Rule, until: pd.Timestamp | None, folder: Path) -> None:
        self.rule = rule
        self.until = until
        self._folder = folder
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)

    def frames(self) -> Iterator[pd.DataFrame]:
        """Give the cases group by group, so that memory is that of the largest.

        Yields:
            A row a case, all cases of one or more groups; index `row`, the number of the case's
            row, ascending. Columns:

            - `x`, `y`, `opened_at`, `closed_at`, `category`, `responsible` as in `cases.COLUMNS`,
              but `closed_at` is never before `opened_at`; `group`, text or missing;
            - `place` (see `places`) and `chain`, named by the row of their first case: what came
              after none is a chain, and a chain near no larger one a place, of its own;
            - `number` in the chain from 1; duplicates bear that of the case before them;
            - `is_open_duplicate`, `duplicate_of`: the row of the open case, -1 if none;
            - `previous`: the row of the closed case that a return came back after, -1 if none;
              `days_after` from that closing to the opening, missing where it is no return;
            - `days_to_return` from its own closing to the first return within reach, missing where
              none came within the window, where it is open and for duplicates.
        """
        for path in sorted(self._folder.glob("cases-*.parquet")):
            yield pd.read_parquet(path)

    def cases(self) -> pd.DataFrame:
        """Give all cases in the order of their rows, as `frames` does."""
        frames = list(self.frames())
        return (pd.concat(frames) if frames else _no_cases()).sort_index()

    def places(self, *, at_least: int = 2) -> pd.DataFrame:
        """Sum up the places where something came back.

        A chain stays within reach of its first case: a return out of its reach begins another
        chain. Of chains of a group whose mean points are within reach, those with fewer cases are
        one place with the one that has the most.

        Args:
            at_least: Only places with as many cases, duplicates not counted.

        Returns:
            Most cases first, of equals the earlier first case. Columns: `place`; `group`;
            `chains` that make it up; `cases`; `returns`, those of them that came back in time;
            `duplicates`; `x`, `y` mean point in the storage CRS; `spread_m` from there to the
            farthest case; `first_opened_at`, `last_opened_at`, `last_closed_at` (NaT if none);
            `median_days` from closing to return; `trend`, the rank correlation of these days with
            their order: below 0 it comes back ever sooner, above 0 ever later, missing for fewer
            than four returns or equal days; `still_open` cases.
        """
        frames = [_places(frame, at_least) for frame in self.frames()]
        places = pd.concat(frames) if frames else _places(_no_cases(), at_least)
        return places.sort_values(
            ["cases", "first_opened_at", "place"], ascending=[False, True, True], ignore_index=True
        )


def chains(  # noqa: PLR0913  the cases, the rule, and where to work
    parts: Iterable[Part],
    rule: Rule,
    *,
    window: Window | None = None,
    client: Any = None,  # noqa: ANN401  as in `each`
    folder: Path | None = None,
    bucket_rows: int = _BUCKET_ROWS,
) -> Chains:
    """Find what came back.

    The outcome does not depend on how cases are split into parts or buckets. Cases opened in one
    instant are taken in the order of their rows; where several had closed before, the one that
    closed last counts, of equals the last opened. A closing before its opening counts as at it.

    Memory is that of `bucket_rows` cases and, while chains are put together, some 200 bytes for
    each case of the largest group.

    Args:
        parts: The cases, without default points.
        rule: What counts as coming back.
        window: Which cases are meant; those opened earlier are not looked back to.
        client: A `dask.distributed.Client`; None works on this machine.
        folder: Where to keep cases while at it; on a cluster all workers must reach it under this
            name. The system's temporary folder if left out.
        bucket_rows: How many cases to compare at once, about.
    """
    window = window or Window()
    place = Path(tempfile.mkdtemp(prefix="recurrence-", dir=folder))
    # What a case came after depends on which of its neighbours are duplicates, and that on theirs.
    net = Net(2 * rule.within_m + 1, rule.groups, window)
    try:
        spooled = spool(parts, net, place, rows=bucket_rows, client=client)
        linked = partial(_linked, rule=rule, at_once=max(bucket_rows // 10, 1))
        found = each(linked, spooled.buckets, client=client)
        whole = _whole_groups(spooled.buckets, found)
        for number, cases in enumerate(whole):
            frame = _chained(cases, rule, spooled)
            frame.to_parquet(place / f"cases-{number:06}.parquet", index=True)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    for path in place.glob("part-*.npy"):
        path.unlink()
    return Chains(rule, _until(spooled, window), place)


@dataclass(frozen=True, slots=True)
class _Linked:
    """Cases and the rows of those that they came after."""

    rows: Rows
    duplicate_of: Ints
    previous: Ints
    days_after: Floats
    days_to_return: Floats


def _linked(bucket: Bucket, *, rule: Rule, at_once: int) -> _Linked:
    rows, own = bucket.read()
    lasts = rule.duplicate_days
    reach = links.Reach(
        within_m=rule.within_m,
        window_us=round(rule.window_days * DAY_US),
        lasts_us=None if lasts is None else round(lasts * DAY_US),
    )
    found = links.find(rows, reach, at_once=at_once)
    opened, closed = rows["opened_us"], rows["closed_us"]
    row_of = np.append(rows["row"], links.NONE)
    returned, returns = found.previous != links.NONE, found.next != links.NONE
    after, until = opened - closed[found.previous], opened[found.next] - closed
    return _Linked(
        rows=rows[:own],
        duplicate_of=row_of[found.duplicate_of][:own],
        previous=row_of[found.previous][:own],
        days_after=np.where(returned, after / DAY_US, np.nan)[:own],
        days_to_return=np.where(returns, until / DAY_US, np.nan)[:own],
    )


def _whole_groups(buckets: tuple[Bucket, ...], found: Iterable[_Linked]) -> Iterator[_Linked]:
    """Put buckets together until no group goes on in the next: chains stay within groups."""
    kept: list[_Linked] = []
    last = None
    for bucket, linked in zip(buckets, found, strict=True):
        if kept and bucket.groups[0] != last:
            yield _joined(kept)
            kept = []
        kept.append(linked)
        last = bucket.groups[1]
    if kept:
        yield _joined(kept)


def _joined(some: list[_Linked]) -> _Linked:
    rows = np.concatenate([one.rows for one in some])
    order = np.argsort(rows["row"], kind="stable")

    def both(name: str) -> npt.NDArray[Any]:
        return np.concatenate([getattr(one, name) for one in some])[order]

    return _Linked(
        rows[order],
        both("duplicate_of"),
        both("previous"),
        both("days_after"),
        both("days_to_return"),
    )


def _chained(linked: _Linked, rule: Rule, spooled: Spool) -> pd.DataFrame:
    rows, is_duplicate = linked.rows, linked.duplicate_of != links.NONE
    parent_row = np.where(is_duplicate, linked.duplicate_of, linked.previous)
    parent = np.where(
        parent_row == links.NONE, links.NONE, np.searchsorted(rows["row"], parent_row)
    )
    first = _firsts(rows["x"], rows["y"], parent, rule.within_m)
    # Number the cases of a chain in the order of their openings.
    order = np.lexsort((rows["row"], rows["opened_us"], first))
    begins = first[order] == order
    counted = np.cumsum(~is_duplicate[order] | begins)
    number = np.empty(len(rows), np.int32)
    before = counted[begins] - 1
    number[order] = counted - before[np.cumsum(begins) - 1]
    place = _of_places(rows, first, is_duplicate, rule.within_m)
    closed_us = np.where(rows["closed_us"] == NEVER_US, np.iinfo(np.int64).min, rows["closed_us"])
    return pd.DataFrame(
        {
            "x": rows["x"],
            "y": rows["y"],
            "opened_at": _instants(rows["opened_us"]),
            "closed_at": _instants(closed_us),
            "category": _labelled(rows["category"], spooled.categories),
            "responsible": _labelled(rows["responsible"], spooled.responsible),
            "group": _labelled(rows["group"], spooled.groups),
            "place": rows["row"][place],
            "chain": rows["row"][first],
            "number": number,
            "is_open_duplicate": is_duplicate,
            "duplicate_of": linked.duplicate_of,
            "previous": linked.previous,
            "days_after": linked.days_after,
            "days_to_return": linked.days_to_return,
        },
        index=pd.Index(rows["row"], name="row"),
    )


def _firsts(x: Floats, y: Floats, parent: Ints, within_m: float) -> Ints:
    """Find the first case of each case's chain.

    Generation by generation, since where a chain began decides whether the next belongs to it.
    """
    first = np.arange(len(x))
    children = np.argsort(parent, kind="stable")
    starts = np.searchsorted(parent[children], np.arange(len(x) + 1))
    parents = np.unique(parent[parent != links.NONE])
    generation = parents[parent[parents] == links.NONE]
    while len(generation):
        count = starts[generation + 1] - starts[generation]
        begins = np.repeat(starts[generation] - (np.cumsum(count) - count), count)
        born = children[begins + np.arange(count.sum())]
        theirs = first[parent[born]]
        stays = links.within(x[born] - x[theirs], y[born] - y[theirs], within_m)
        first[born] = np.where(stays, theirs, born)
        generation = born[starts[born + 1] > starts[born]]
    return first


def _of_places(
    rows: Rows, first: Ints, is_duplicate: npt.NDArray[np.bool_], within_m: float
) -> Ints:
    """Find the place of each case: the first case of the largest chain about its own chain."""
    n = len(rows)
    cases = np.bincount(first, weights=~is_duplicate, minlength=n)
    every = np.maximum(np.bincount(first, minlength=n), 1)
    chosen = np.flatnonzero(cases >= 2)  # noqa: PLR2004  a case alone came back to nowhere
    # The largest first, of equals the one whose first case has the lowest row.
    chosen = chosen[np.lexsort((chosen, -cases[chosen]))]
    x, y = (np.bincount(first, weights=rows[name], minlength=n) / every for name in ("x", "y"))
    one, other = links.pairs_within(x[chosen], y[chosen], rows["group"][chosen], within_m)
    larger, smaller = np.minimum(one, other), np.maximum(one, other)
    # Taken by size, each chain is a place unless a larger one within reach is. All that no
    # undecided larger one is left for are decided at once, until none is left.
    undecided, is_place = np.ones(len(chosen), bool), np.zeros(len(chosen), bool)
    while undecided.any():
        waits = undecided.copy()
        waits[smaller[undecided[larger]]] = False
        is_place |= undecided & waits
        undecided &= ~is_place
        undecided[smaller[is_place[larger]]] = False
    taken = np.arange(len(chosen))
    taking = is_place[larger]
    np.minimum.at(taken, smaller[taking], larger[taking])
    place = np.arange(n)
    place[chosen] = chosen[taken]
    return place[first]


def _places(cases: pd.DataFrame, at_least: int) -> pd.DataFrame:
    """Sum up the places of whole groups."""
    counts = cases.groupby("place")["is_open_duplicate"].agg(["size", "sum"])
    chosen = counts.index[counts["size"] - counts["sum"] >= at_least]
    cases = cases[cases["place"].isin(chosen)].sort_values(["place", "opened_at"])
    place = cases.groupby("place", sort=True)
    places = pd.DataFrame(
        {
            "group": place["group"].first(),
            "chains": place["chain"].nunique(),
            "cases": place.size() - place["is_open_duplicate"].sum(),
            "returns": place["days_after"].count(),
            "duplicates": place["is_open_duplicate"].sum(),
            "x": place["x"].mean(),
            "y": place["y"].mean(),
            "first_opened_at": place["opened_at"].min(),
            "last_opened_at": place["opened_at"].max(),
            "last_closed_at": place["closed_at"].max(),
            "median_days": place["days_after"].median(),
            "still_open": place.size() - place["closed_at"].count(),
        }
    )
    dx, dy = (cases[name] - cases["place"].map(places[name]) for name in ("x", "y"))
    away_m = pd.Series(np.hypot(dx, dy), index=cases.index)
    places.insert(7, "spread_m", away_m.groupby(cases["place"]).max())
    places.insert(12, "trend", _trend(cases))
    return places.reset_index()


_TREND_FROM = 4  # returns; with fewer, three in a row by chance would count as a trend


def _trend(cases: pd.DataFrame) -> pd.Series:
    """Correlate the ranks of the days after which a place came back with their order."""
    came = cases.loc[cases["days_after"].notna(), ["place", "days_after"]]
    place = came.groupby("place")
    came = came.assign(order=place.cumcount(), rank=place["days_after"].rank())
    order, rank = (
        came[name] - came.groupby("place")[name].transform("mean") for name in ("order", "rank")
    )
    products = came.assign(both=order * rank, order=order**2, rank=rank**2).groupby("place")
    both, orders, ranks = (products[name].sum() for name in ("both", "order", "rank"))
    spread = np.sqrt(orders * ranks)
    trend: pd.Series = (both / spread).where((spread > 0) & (products.size() >= _TREND_FROM))
    return trend


def _until(spooled: Spool, window: Window) -> pd.Timestamp | None:
    if spooled.newest_us is None:
        return None
    newest = pd.Timestamp(spooled.newest_us, unit="us", tz="UTC")
    return newest if window.to_at is None else min(newest, pd.Timestamp(window.to_at))


def _instants(us: Ints) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(us.view("M8[us]")).tz_localize("UTC")


def _labelled(numbers: npt.NDArray[np.int32], labels: tuple[str, ...]) -> "pd.Categorical[str]":
    return pd.Categorical.from_codes(numbers, pd.Index(labels, dtype=str))


def _no_cases() -> pd.DataFrame:
    nothing = Spool((), (), (), None, ())
    none = np.empty(0, np.int64)
    rows = np.empty(0, ROW)
    linked = _Linked(rows, none, none, none.astype(float), none.astype(float))
    return _chained(linked, Rule(), nothing)
