"""A made city of any number of cases, with hot places and places that return, to measure on.

    python -m tools.hotspot_reports OUT.parquet --rows 10000000 [--seed 1]

The city is the same at every number: a square of 20 km, 4,900 units with bent edges, two years.
Of its cases 60 % lie anywhere, 25 % round 28 hot places, and 15 % at places where a case of one
category opens again 14 days after the one before it closed.
"""

import argparse
from pathlib import Path

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

CRS = "EPSG:4547"
WEST_M, SOUTH_M, SIDE_M = 440_000.0, 4_400_000.0, 20_000.0
BOUNDS = (WEST_M, SOUTH_M, WEST_M + SIDE_M, SOUTH_M + SIDE_M)
UNITS_ACROSS = 70
HOT_PLACES = 28
HOT_SPREAD_M = 80.0
RETURNS_AFTER_DAYS = 14
BEGIN, DAYS = pd.Timestamp("2024-01-01", tz="UTC"), 730
CATEGORIES = tuple(f"{group:02}{kind:02}" for group in (1, 2) for kind in range(1, 11))
PARTIES = 600
ROWS_OF_A_GROUP = 500_000

_DAY_US = 86_400_000_000


def units() -> gpd.GeoDataFrame:
    """Draw the units, 80 corners each: an areas frame that fills the city without gap."""
    step_m = SIDE_M / UNITS_ACROSS
    column, row = (it.ravel() for it in np.meshgrid(*[np.arange(UNITS_ACROSS)] * 2))
    squares = shapely.box(column * step_m, row * step_m, (column + 1) * step_m, (row + 1) * step_m)
    bent = shapely.transform(shapely.segmentize(squares, step_m / 20), _bend)
    codes = [f"{east:02}{north:02}" for east, north in zip(column, row, strict=True)]
    frame = gpd.GeoDataFrame({"code": codes, "name": codes}, geometry=bent, crs=CRS)
    return frame.sort_values("code", ignore_index=True)


def _bend(corners: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    x, y = corners.T
    # No wave at the city's own edge, and whole millimetres as in storage.
    bent_x = x + 25 * np.sin(np.pi * x / SIDE_M) * np.sin(y / 90)
    bent_y = y + 25 * np.sin(np.pi * y / SIDE_M) * np.sin(x / 70)
    return np.round(np.column_stack([WEST_M + bent_x, SOUTH_M + bent_y]), 3)


def cases(rows: int, *, seed: int = 1) -> pd.DataFrame:
    """Make cases, in the order of their opening, as `gridsvc.hotspots.cases.COLUMNS`.

    One in ten is still open.
    """
    rng = np.random.default_rng(seed)
    returning, hot = rows * 15 // 100, rows // 4
    anywhere = rows - hot - returning
    centres = rng.uniform(0, SIDE_M, (HOT_PLACES, 2))
    places = np.concatenate(
        [
            rng.uniform(0, SIDE_M, (anywhere, 2)),
            rng.normal(centres[rng.integers(0, HOT_PLACES, hot)], HOT_SPREAD_M),
        ]
    )
    opened_us = rng.integers(0, DAYS * _DAY_US, anywhere + hot)
    lasts_us = (rng.gamma(2, 1.5, anywhere + hot) * _DAY_US).astype(np.int64)
    is_open = rng.random(anywhere + hot) < 0.1  # noqa: PLR2004  one in ten
    category = rng.integers(0, len(CATEGORIES), anywhere + hot)
    again = _returning(rng, returning)
    x, y = (np.concatenate([places, again[0]]).clip(0, SIDE_M) + np.array(BOUNDS[:2])).T
    opened_us = np.concatenate([opened_us, again[1]])
    closed_us = opened_us + np.concatenate([lasts_us, again[2]])
    is_open = np.concatenate([is_open, np.zeros(returning, dtype=bool)])
    category = np.concatenate([category, again[3]])
    order = np.argsort(opened_us, kind="stable")
    begin_us = BEGIN.value // 1000
    closed = (closed_us + begin_us).view("M8[us]")
    closed[is_open] = np.datetime64("NaT")
    return pd.DataFrame(
        {
            "id": np.arange(rows).astype(str).astype(object),
            "x": np.round(x[order], 3),
            "y": np.round(y[order], 3),
            "opened_at": pd.DatetimeIndex((opened_us + begin_us).view("M8[us]")[order], tz="UTC"),
            "closed_at": pd.DatetimeIndex(closed[order], tz="UTC"),
            "category": pd.Categorical.from_codes(category[order], list(CATEGORIES)),
            "responsible": pd.Categorical.from_codes(
                # A party answers for the ground on which its cases lie.
                (x[order] // 800 * 25 + y[order] // 800).astype(np.int64) % PARTIES,
                [f"P{number:04}" for number in range(PARTIES)],
            ),
        }
    )


Returning = tuple[
    npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]
]


def _returning(rng: np.random.Generator, rows: int) -> Returning:
    """Make chains of cases: where, when opened, how long open, of which category."""
    lasts_us = 2 * _DAY_US
    period_us = lasts_us + RETURNS_AFTER_DAYS * _DAY_US
    length = DAYS * _DAY_US // period_us
    chain, number = np.divmod(np.arange(rows), length)
    chains = rows // length + 1
    place = rng.uniform(0, SIDE_M, (chains, 2))[chain] + rng.normal(0, 3, (rows, 2))
    opened_us = rng.integers(0, period_us, chains)[chain] + number * period_us
    category = rng.integers(0, len(CATEGORIES), chains)[chain]
    return place, opened_us, np.full(rows, lasts_us), category


def write(path: Path, rows: int, *, seed: int = 1) -> None:
    """Write a file of cases, `ROWS_OF_A_GROUP` rows a group."""
    table = pa.Table.from_pandas(cases(rows, seed=seed), preserve_index=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=ROWS_OF_A_GROUP)


def main() -> None:
    """Write a file and say so."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    write(asked.path, asked.rows, seed=asked.seed)
    print(f"{asked.path}: {asked.rows:,} cases")


if __name__ == "__main__":
    main()
