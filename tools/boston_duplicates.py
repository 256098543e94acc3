"""How many of the closures that Boston itself marked as duplicates are found, and where not, why.

    python -m tools.boston_duplicates ../shared/data/boston/reports_2015.parquet \
        docs/images/boston-duplicates.png

The file is the city's reports of 2015; `closure_says_duplicate` tells which were closed as
duplicates of an existing case. Prints the tables of docs/benchmarks.md and draws the curve.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from gridsvc.grids.schemes import read_scheme
from gridsvc.hotspots.cases import Frame, parts_of_reports
from gridsvc.hotspots.recurrence import Rule, chains
from gridsvc.reports.history import HistoryColumns

SCHEME = Path(__file__).resolve().parents[1] / "data" / "schemes" / "boston.toml"
COLUMNS = HistoryColumns(
    id="case_enquiry_id",
    lon="longitude",
    lat="latitude",
    opened="open_dt",
    closed="closed_dt",
    category="type",
    time_format="%m/%d/%Y %I:%M:%S %p",
)
REACHES_M = (1, 12, 25, 50, 75, 100, 150)
DAYS = (1, 7, 30, 90, None)
CHOSEN = Rule(within_m=50, duplicate_days=90)
LOOKED_FOR_M = 50
_TYPES = 12


def read(path: Path) -> tuple[pd.DataFrame, pd.Series, int]:
    """Read the cases with a place, which of them are marked, and how many are marked in all."""
    parts = parts_of_reports(path, COLUMNS, scheme=read_scheme(SCHEME))
    cases = pd.concat([part.read() for part in parts])
    marked = pd.read_parquet(path, columns=["closure_says_duplicate"])["closure_says_duplicate"]
    return cases, marked.loc[cases.index], int(marked.sum())


def curve(cases: pd.DataFrame, marked: pd.Series) -> pd.DataFrame:
    """Count what is found at each distance and number of days.

    Returns:
        `within_m`, `days` (missing is for as long as it is open); `found` cases that are open
        duplicates, `hits` of them marked; `in_pair`, marked cases that are one of the two, for the
        city closes the earlier one too; `or_returned`, marked that are a duplicate or a return.
    """
    rows = []
    for days in DAYS:
        for within_m in REACHES_M:
            found = chains([Frame(cases)], Rule(within_m=within_m, duplicate_days=days)).cases()
            is_found = found["is_open_duplicate"]
            in_pair = is_found | found.index.isin(found["duplicate_of"])
            or_returned = is_found | found["days_after"].notna()
            rows.append(
                {
                    "within_m": within_m,
                    "days": days,
                    "found": is_found.sum(),
                    "hits": (is_found & marked).sum(),
                    "in_pair": (in_pair & marked).sum(),
                    "or_returned": (or_returned & marked).sum(),
                }
            )
    return pd.DataFrame(rows)


def reasons(cases: pd.DataFrame, marked: pd.Series) -> pd.Series:
    """Say of each marked case what lies within reach of it."""
    xy = cases[["x", "y"]].to_numpy()
    opened, closed = cases["opened_at"].to_numpy(), cases["closed_at"].to_numpy()
    kind = cases["category"].cat.codes.to_numpy()
    places = np.flatnonzero(marked)
    near = cKDTree(xy).query_ball_point(xy[places], LOOKED_FOR_M)

    def of(case: int, others: list[int]) -> str:
        other = np.array([one for one in others if one != case], int)
        same = other[kind[other] == kind[case]]
        earlier = same[opened[same] <= opened[case]]
        if (~(closed[earlier] <= opened[case])).any():
            return "an earlier one of the type, still open"
        if len(earlier):
            return "an earlier one of the type, closed before"
        if len(same):
            return "only later ones of the type: the city closed the first"
        others_open = other[opened[other] <= opened[case]]
        if (~(closed[others_open] <= opened[case])).any():
            return "no other of the type, but an open one of another type"
        return "nothing that it could repeat"

    told = [of(case, others) for case, others in zip(places, near, strict=True)]
    return pd.Series(told).value_counts()


def by_type(cases: pd.DataFrame, marked: pd.Series) -> pd.DataFrame:
    """Count by type what is marked, found, and both, at the chosen distance and days."""
    found = chains([Frame(cases)], CHOSEN).cases()["is_open_duplicate"]
    table = pd.DataFrame({"marked": marked, "found": found, "hits": marked & found})
    counts = table.groupby(cases["category"], observed=True).sum()
    return counts.sort_values("marked", ascending=False)


def _lines(table: pd.DataFrame, cases: int, marked: int) -> Iterator[str]:
    for row in table.itertuples():
        days = "open" if np.isnan(row.days) else f"{row.days:g}"
        yield (
            f"| {row.within_m} | {days} | {row.found:,} | {row.hits / marked:.1%} "
            f"| {row.hits / row.found:.1%} | {row.hits / row.found / (marked / cases):.1f} "
            f"| {row.in_pair / marked:.1%} | {row.or_returned / marked:.1%} |"
        )


def draw(table: pd.DataFrame, cases: int, marked: int, path: Path) -> None:
    """Draw recall and precision over distance, and how good the last ones found are."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415  after its way of drawing is chosen

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
    shades = plt.get_cmap("viridis")(np.linspace(0, 0.85, len(DAYS)))
    for shade, marker, days in zip(shades, "os^Dv", DAYS, strict=True):
        of = table[table["days"].isna() if days is None else table["days"] == days]
        label = "while it is open" if days is None else f"{days} day{'s' * (days > 1)}"
        look = {"color": shade, "marker": marker, "label": label}
        left.plot(of["within_m"], of["hits"] / marked, **look)
        middle.plot(of["hits"] / marked, of["hits"] / of["found"], **look)
        last = of["hits"].diff() / of["found"].diff()
        right.plot(of["within_m"], last, **look)
    left.set(xlabel="distance, m", ylabel="recall", ylim=(0, 1), title="Marked ones that are found")
    middle.set(xlabel="recall", ylabel="precision", ylim=(0, None), title="Found ones are marked")
    right.axhline(marked / cases, color="black", linestyle="--", label="of all reports")
    right.axvline(CHOSEN.within_m, color="grey", linewidth=1)
    right.set(xlabel="distance, m", ylabel="share marked", ylim=(0, None))
    right.set_title("Of those that the last metres added")
    left.legend(title="after the earlier one was opened", fontsize="small", ncols=2)
    right.legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Print the tables and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("reports", type=Path)
    parser.add_argument("picture", type=Path)
    asked = parser.parse_args()
    cases, marked, in_all = read(asked.reports)
    table = curve(cases, marked)
    print(f"{len(cases):,} with a place; {marked.sum():,} of {in_all:,} marked ones among them")
    print(*_lines(table, len(cases), marked.sum()), sep="\n")
    print(reasons(cases, marked).to_string())
    types = by_type(cases, marked)
    shares = types.assign(recall=types["hits"] / types["marked"])
    print(shares.assign(precision=types["hits"] / types["found"])[:_TYPES].round(2).to_string())
    draw(table, len(cases), int(marked.sum()), asked.picture)


if __name__ == "__main__":
    main()
