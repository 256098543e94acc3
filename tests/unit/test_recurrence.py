import math
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from gridsvc.hotspots.cases import Frame, Window
from gridsvc.hotspots.recurrence import Rule, chains
from tests.clusters import three_workers
from tests.recurring import START, cases_of


@dataclass(frozen=True)
class Plain:
    row: int
    x: float
    y: float
    opened_at: pd.Timestamp
    closed_at: pd.Timestamp  # NEVER while open
    group: str | None

    def near(self, other: "Plain", within_m: float) -> bool:
        apart_m = math.sqrt((self.x - other.x) ** 2 + (self.y - other.y) ** 2)
        return self.group == other.group and apart_m <= within_m + 0.0005

    def stands(self, rule: Rule) -> pd.Timestamp:
        """Tell until when others are duplicates of it."""
        if rule.duplicate_days is None:
            return self.closed_at
        lasts = pd.Timedelta(days=rule.duplicate_days) + pd.Timedelta(microseconds=1)
        return min(self.closed_at, self.opened_at + lasts)


NEVER = pd.Timestamp("2200-01-01", tz="UTC")


def read_plainly(frame: pd.DataFrame, rule: Rule) -> list[Plain]:
    """List the cases in the order of their openings, of equals in that of rows."""
    cases = []
    for row, case in zip(frame.index, frame.itertuples(), strict=True):
        closed_at = NEVER if pd.isna(case.closed_at) else max(case.closed_at, case.opened_at)
        group = None if pd.isna(case.category) else case.category
        if group is not None and isinstance(rule.groups, int):
            group = group[: rule.groups]
        cases.append(Plain(row, case.x, case.y, case.opened_at, closed_at, group))
    return sorted(cases, key=lambda case: (case.opened_at, case.row))


def plainly(frame: pd.DataFrame, rule: Rule) -> pd.DataFrame:
    """Find the same as `chains` by comparing each case with each other, one after the other."""
    cases, day = read_plainly(frame, rule), pd.Timedelta(days=1)
    told: dict[int, dict[str, Any]] = {}
    first: dict[int, Plain] = {}
    count: dict[int, int] = {}
    for place, case in enumerate(cases):
        earlier = [other for other in cases[:place] if case.near(other, rule.within_m)]
        still_open = [other for other in earlier if other.stands(rule) > case.opened_at]
        closed = [other for other in earlier if other.closed_at <= case.opened_at]
        duplicate_of = previous = -1
        days_after = math.nan
        if still_open:
            # Python's max takes the first of equals, which is the first opened.
            duplicate_of = max(still_open, key=lambda other: other.stands(rule)).row
        elif closed:
            last = max(closed, key=lambda other: (other.closed_at, other.opened_at, other.row))
            days = (case.opened_at - last.closed_at) / day
            if days <= rule.window_days:
                previous, days_after = last.row, days
        parent = max(duplicate_of, previous)
        joins = parent >= 0 and case.near(first[parent], rule.within_m)
        first[case.row] = first[parent] if joins else case
        chain = first[case.row].row
        count[chain] = count.get(chain, 0) + (duplicate_of < 0 or chain == case.row)
        told[case.row] = {
            "chain": chain,
            "number": count[chain],
            "is_open_duplicate": duplicate_of >= 0,
            "duplicate_of": duplicate_of,
            "previous": previous,
            "days_after": days_after,
            "days_to_return": math.nan,
        }
    for place, case in enumerate(cases):
        for later in cases[place + 1 :]:
            if (
                case.near(later, rule.within_m)
                and later.opened_at >= case.closed_at
                and not told[case.row]["is_open_duplicate"]
                and not told[later.row]["is_open_duplicate"]
            ):
                days = (later.opened_at - case.closed_at) / day
                if days <= rule.window_days:
                    told[case.row]["days_to_return"] = days
                break
    return pd.DataFrame.from_dict(told, orient="index").sort_index().rename_axis("row")


def same(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(
        ours[list(theirs.columns)], theirs, check_dtype=False, check_exact=True
    )


@st.composite
def some_cases(draw: st.DrawFn) -> pd.DataFrame:
    """Cases on both sides of a cell's border at x = 500, many at one point or in one instant."""
    rows = st.tuples(
        st.integers(40, 60).map(lambda n: n * 10.0),
        st.integers(0, 6).map(lambda n: n * 10.0),
        st.integers(0, 40),
        st.one_of(st.none(), st.integers(0, 45)),
        st.sampled_from(["0101", "0102", "02", None]),
    )
    return cases_of(draw(st.lists(rows, min_size=1, max_size=40)))


rules = st.builds(
    Rule,
    within_m=st.sampled_from([0.0, 10.0, 25.0, 50.0]),
    window_days=st.sampled_from([0, 1, 7, 30]),
    duplicate_days=st.sampled_from([None, 0, 3, 30]),
    groups=st.sampled_from([None, 2]),
)


@settings(max_examples=200)
@given(some_cases(), rules, st.sampled_from([1, 3, 1000]), st.integers(0, 40))
def test_chains_are_those_of_a_plain_reading_of_the_rule(
    frame: pd.DataFrame, rule: Rule, bucket_rows: int, cut: int
) -> None:
    parts = [Frame(frame.iloc[:cut]), Frame(frame.iloc[cut:])]
    ours = chains(parts, rule, bucket_rows=bucket_rows).cases()
    same(ours, plainly(frame, rule))


@given(some_cases(), rules, st.randoms(use_true_random=False))
def test_the_order_of_rows_decides_ties_only(
    frame: pd.DataFrame, rule: Rule, rng: random.Random
) -> None:
    # No two instants alike, so none is left to the rows' order.
    n = len(frame)
    frame["opened_at"] += pd.to_timedelta(np.arange(n), unit="s")
    frame["closed_at"] += pd.to_timedelta(np.arange(n) + n, unit="s")
    order = list(range(n))
    rng.shuffle(order)
    shuffled = frame.iloc[order].reset_index(drop=True)
    ours = chains([Frame(frame)], rule).cases()
    theirs = chains([Frame(shuffled)], rule).cases().set_axis(order).sort_index()
    for name in ("chain", "place", "duplicate_of", "previous"):
        theirs[name] = np.append(order, -1)[theirs[name]]
    columns = [name for name in ours.columns if name != "place"]
    pd.testing.assert_frame_equal(ours[columns], theirs[columns], check_names=False)


def told(frame: pd.DataFrame, rule: Rule) -> list[tuple[int, int]]:
    """Give (previous, duplicate_of) of each case."""
    cases = chains([Frame(frame)], rule).cases()
    return list(zip(cases["previous"], cases["duplicate_of"], strict=True))


NONE = (-1, -1)


def test_opened_as_the_earlier_one_closes_is_a_return_of_0_days() -> None:
    frame = cases_of([(0, 0, 0, 5, "a"), (0, 0, 5, 6, "a")])
    cases = chains([Frame(frame)], Rule()).cases()
    assert cases["previous"].tolist() == [-1, 0]
    assert cases["days_after"].tolist()[1] == 0.0
    assert cases["days_to_return"].tolist()[0] == 0.0


def test_a_microsecond_before_it_is_a_duplicate() -> None:
    frame = cases_of(
        [(0, 0, 0, 5_000_000, "a"), (0, 0, 4_999_999, 6_000_000, "a")], days=1e-6 / 86400
    )
    assert told(frame, Rule()) == [NONE, (-1, 0)]


def test_the_end_of_the_window_is_within_it() -> None:
    rule, hour = Rule(window_days=2), 1 / 24
    frame = cases_of([(0, 0, 0, 1, "a"), (0, 0, 49, 50, "a")], days=hour)
    assert told(frame, rule) == [NONE, (0, -1)]
    frame["opened_at"] += pd.to_timedelta([0, 1], unit="us")
    assert told(frame, rule) == [NONE, NONE]


@pytest.mark.parametrize(
    ("apart_m", "expected"), [((18, 24), (0, -1)), ((30.0003, 0), (0, -1)), ((30.001, 0), NONE)]
)
def test_the_reach_is_within_it_to_the_millimetre(
    apart_m: tuple[float, float], expected: tuple[int, int]
) -> None:
    # Eastings and northings as large as real ones, whose last bits are 0.1 nm and 1 nm.
    x, y = 456_789.123, 4_421_234.567
    frame = cases_of([(x, y, 0, 1, "a"), (x + apart_m[0], y + apart_m[1], 2, 3, "a")])
    assert told(frame, Rule(within_m=30)) == [NONE, expected]


def test_of_several_the_one_closed_last_is_the_previous() -> None:
    frame = cases_of(
        [(0, 0, 0, 9, "a"), (20, 0, 0, 5, "a"), (40, 0, 0, 12, "a"), (15, 0, 14, 15, "a")]
    )
    assert told(frame, Rule(within_m=16)) == [NONE, NONE, NONE, (0, -1)]
    assert told(frame, Rule(within_m=30))[3] == (2, -1)


def test_a_case_alike_in_everything_is_a_duplicate_of_the_lower_row_alone() -> None:
    frame = cases_of([(0, 0, 0, 3, "a")] * 3)
    assert told(frame, Rule()) == [NONE, (-1, 0), (-1, 0)]
    # Closed as soon as opened, the one comes back after the other, and none after itself.
    frame = cases_of([(0, 0, 3, 3, "a")] * 3)
    assert told(frame, Rule()) == [NONE, (0, -1), (1, -1)]


def test_an_open_case_never_returned_and_hides_no_return_for_ever() -> None:
    rows = [(0, 0, 0, None, "a"), (0, 0, 10, 11, "a"), (0, 0, 40, 41, "a"), (0, 0, 50, 51, "a")]
    cases = chains([Frame(cases_of(rows))], Rule(duplicate_days=30)).cases()
    assert cases["duplicate_of"].tolist() == [-1, 0, -1, -1]
    assert cases["previous"].tolist() == [-1, -1, 1, 2]
    assert np.isnan(cases["days_to_return"][0])
    cases = chains([Frame(cases_of(rows))], Rule(duplicate_days=None)).cases()
    assert cases["duplicate_of"].tolist() == [-1, 0, 0, 0]
    assert cases["days_to_return"].isna().all()


def test_a_closing_before_the_opening_counts_as_at_it() -> None:
    frame = cases_of([(0, 0, 5, 2, "a"), (0, 0, 5.5, 6, "a")])
    cases = chains([Frame(frame)], Rule()).cases()
    assert cases["days_after"].tolist()[1] == 0.5
    assert cases["closed_at"].tolist()[0] == cases["opened_at"].tolist()[0]


def test_categories_come_back_apart_or_as_groups() -> None:
    frame = cases_of(
        [(0, 0, 0, 1, "0101"), (0, 0, 2, 3, "0102"), (0, 0, 4, 5, None), (0, 0, 6, 7, None)]
    )
    assert told(frame, Rule()) == [NONE, NONE, NONE, (2, -1)]
    assert told(frame, Rule(groups=2)) == [NONE, (0, -1), NONE, (2, -1)]
    alike = {"0101": "waste", "0102": "waste"}
    cases = chains([Frame(frame)], Rule(groups=alike)).cases()
    assert cases["previous"].tolist() == [-1, 0, -1, 2]
    assert cases["group"].tolist()[:2] == ["waste", "waste"]


def test_a_place_that_returns_every_14_days_is_found_among_noise() -> None:
    rng = np.random.default_rng(14)
    rows = []
    day = 3.0
    while day < 360:
        dx, dy = rng.uniform(-4, 4, 2)
        rows.append((1000 + dx, 1000 + dy, day, day + 0.5, "a"))
        day += 14.5
    noise = [
        (*rng.uniform(0, 3000, 2), opened, opened + rng.exponential(2), str(rng.choice(["a", "b"])))
        for opened in rng.uniform(0, 365, 3000)
    ]
    places = chains([Frame(cases_of(noise + rows))], Rule()).places()
    top = places.iloc[0]
    assert top["cases"] == pytest.approx(len(rows), abs=2)  # noise may join it
    assert top["returns"] == top["cases"] - 1
    assert top["median_days"] == pytest.approx(14, abs=1e-6)
    assert np.hypot(top["x"] - 1000, top["y"] - 1000) < 4
    assert places.iloc[1]["cases"] <= 6


def test_a_trend_says_that_it_comes_back_ever_sooner() -> None:
    gaps = [28, 20, 21, 13, 9, 4]
    opened = np.cumsum([0, *(gap + 1 for gap in gaps)])
    frame = cases_of([(0, 0, day, day + 1, "a") for day in opened])
    place = chains([Frame(frame)], Rule()).places().iloc[0]
    assert place["trend"] == pytest.approx(scipy.stats.spearmanr(range(6), gaps).statistic)
    assert chains([Frame(frame[:4])], Rule()).places()["trend"].isna().all()


def test_a_chain_does_not_wander_off() -> None:
    # Each is 20 m on: within reach of the one before, but not all of the first.
    frame = cases_of([(20.0 * n, 0, 2 * n, 2 * n + 1, "a") for n in range(12)])
    found = chains([Frame(frame)], Rule(within_m=30))
    cases = found.cases()
    assert (cases["previous"].to_numpy() == np.arange(-1, 11)).all()
    assert cases["chain"].tolist() == [0, 0, 2, 2, 4, 4, 6, 6, 8, 8, 10, 10]
    assert found.places()["spread_m"].max() <= 60


def test_thousands_of_cases_on_one_point_are_no_trouble() -> None:
    rng = np.random.default_rng(1)
    n = 17_070
    opened = rng.uniform(0, 365, n)
    closed = np.where(rng.random(n) < 0.1, np.nan, opened + rng.exponential(3, n))
    frame = cases_of([(0.0, 0.0, 0.0, None, "a")] * n)
    frame["opened_at"] = START + pd.to_timedelta(opened, unit="D").round("us")
    frame["closed_at"] = START + pd.to_timedelta(closed, unit="D").round("us")
    cases = chains([Frame(frame)], Rule()).cases()
    # Something is open all the time but for the very first hours.
    assert cases["is_open_duplicate"].sum() > n - 10


def test_what_is_opened_outside_the_window_is_not_looked_at() -> None:
    frame = cases_of(
        [(0, 0, 0, 1, "a"), (0, 0, 10, 11, "a"), (0, 0, 20, 21, "a"), (0, 0, 30, 31, "b")]
    )
    window = Window(
        from_at=START + pd.Timedelta(days=5), to_at=START + pd.Timedelta(days=20.5), category="a"
    )
    found = chains([Frame(frame)], Rule(), window=window)
    assert found.cases().index.tolist() == [1, 2]
    assert found.cases()["previous"].tolist() == [-1, 1]
    assert found.until == START + pd.Timedelta(days=20.5)
    assert chains([Frame(frame)], Rule()).until == START + pd.Timedelta(days=31)


def test_no_cases_have_no_chains() -> None:
    nothing = Window(category="z")
    for parts in ([], [Frame(cases_of([(0, 0, 0, 1, "a")]))]):
        found = chains(parts, Rule(), window=nothing)
        assert found.until is None
        assert found.cases().empty
        assert found.places().empty
    assert list(found.places().columns) == list(
        chains([Frame(cases_of([(0, 0, 0, 1, "a")]))], Rule()).places(at_least=1).columns
    )


def test_the_temporary_folder_goes_with_the_chains(tmp_path: Path) -> None:
    found = chains([Frame(cases_of([(0, 0, 0, 1, "a")]))], Rule(), folder=tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    del found
    assert not list(tmp_path.iterdir())


def test_a_cluster_finds_exactly_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    n = 20_000
    frame = cases_of([(0.0, 0.0, 0.0, None, "a")] * n)
    frame["x"], frame["y"] = rng.uniform(0, 3000, (2, n)).round(0)
    frame["opened_at"] = START + pd.to_timedelta(rng.integers(0, 365 * 24, n), unit="h")
    frame["closed_at"] = frame["opened_at"] + pd.to_timedelta(rng.integers(0, 200, n), unit="h")
    frame["category"] = pd.Categorical(rng.choice(["a", "b", "c"], n))
    parts = [Frame(frame.iloc[start : start + 6_000]) for start in range(0, n, 6_000)]
    here = chains(parts, Rule())
    with three_workers() as client:
        there = chains(parts, Rule(), client=client, folder=tmp_path, bucket_rows=2_000)
    pd.testing.assert_frame_equal(here.cases(), there.cases(), check_exact=True)
    pd.testing.assert_frame_equal(here.places(), there.places(), check_exact=True)
    assert here.until == there.until
