"""Problem hours: when in the week a place has more cases than the city's own rhythm explains."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from gridsvc.hotspots.significance import false_discovery

Ints: TypeAlias = npt.NDArray[np.int64]

HOURS = 168
BLOCK_H = 3
"""Hours are tested three at a time: single ones hold too few cases to say anything."""

LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Peak:
    """A span of the week with more cases than expected.

    Attributes:
        weekday: 0 is Monday.
        from_hour: The first hour, local.
        to_hour: The last one, exclusive, up to 24.
        cases: In the span.
        expected: If the place had the rhythm of the city.
        q: Of its strongest three hours, after correction for all spans of all places.
    """

    weekday: int
    from_hour: int
    to_hour: int
    cases: int
    expected: float
    q: float


def by_hour(counts: pd.DataFrame, owner: dict[str, int], places: int) -> Ints:
    """Add up counts by weekday and hour for places that are made of areas.

    Args:
        counts: `code`, `weekday`, `hour`, `cases`, as `count_areas` gives them with `hours`.
        owner: Number of the place by code of its area; areas of no place are left out.
        places: How many places there are.

    Returns:
        (places, 168) cases by hour of the week, from Monday 0:00.
    """
    hours = np.zeros((places, HOURS), np.int64)
    place = counts["code"].map(owner)
    known = place.notna()
    rows = counts[known]
    hour = (rows["weekday"] * 24 + rows["hour"]).to_numpy(np.int64)
    np.add.at(hours, (place[known].to_numpy(np.int64), hour), rows["cases"].to_numpy(np.int64))
    return hours


def peaks(places: Ints, city: Ints) -> list[tuple[Peak, ...]]:
    """Find the hours at which each place has more cases than the rhythm of the city explains.

    Each block of three hours is held against a binomial law: of the place's cases, as large a share
    as of the city's. Blocks with q < 0.05 that follow each other on a day are told as one span.

    Args:
        places: (n, 168) cases by hour of the week.
        city: (168,) the same of the whole city.

    Returns:
        For each place its spans, in the order of the week.
    """
    blocks = places.reshape(len(places), HOURS // BLOCK_H, BLOCK_H).sum(axis=2)
    whole = city.reshape(-1, BLOCK_H).sum(axis=1)
    total = blocks.sum(axis=1, keepdims=True)
    share = whole / max(int(whole.sum()), 1)
    # P(at least as many); 1 where there are none.
    p = stats.binom.sf(blocks - 1, total, share)
    q = false_discovery(p.ravel()).reshape(p.shape)
    return [
        tuple(_spans(blocks[i], total[i] * share, np.asarray(q[i]))) for i in range(len(places))
    ]


def span_text(peak: Mapping[str, Any]) -> str:
    """Tell a span in figures that need no language: weekday from 1 (Monday), hours, how much.

    Args:
        peak: A `Peak` as a dict.
    """
    return "{}: {:02}-{:02} ({} / {:.0f})".format(
        peak["weekday"] + 1,
        *(peak[name] for name in ("from_hour", "to_hour", "cases", "expected")),
    )


def _spans(cases: Ints, expected: npt.NDArray[Any], q: npt.NDArray[Any]) -> Iterator[Peak]:
    in_a_day = 24 // BLOCK_H
    begin = None
    for block in range(len(q) + 1):
        is_peak = block < len(q) and q[block] < LEVEL
        ends_here = not is_peak or block % in_a_day == 0
        if begin is not None and ends_here:
            span = slice(begin, block)
            first = begin % in_a_day * BLOCK_H
            yield Peak(
                weekday=begin // in_a_day,
                from_hour=first,
                to_hour=first + (block - begin) * BLOCK_H,
                cases=int(cases[span].sum()),
                expected=float(expected[span].sum()),
                q=float(q[span].min()),
            )
            begin = None
        if is_peak and begin is None:
            begin = block
