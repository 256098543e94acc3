"""What `bench_hotspots` measures: each method, and the obvious way to the same end.

    python -m tests.bench.hotspot_methods METHOD ours|peer CASES.parquet

A process of its own measures one run and prints it as JSON, so that no other run's memory counts.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from scipy.spatial import cKDTree

from gridsvc.hotspots import clusters
from gridsvc.hotspots.cases import parts_of_cases
from gridsvc.hotspots.counts import count_areas, count_cells
from gridsvc.hotspots.density import kernel_density
from gridsvc.hotspots.recurrence import Rule, chains
from gridsvc.hotspots.tessellation import Tessellation
from tools import hotspot_reports

CELL_M = 250.0
DENSITY_CELL_M, BANDWIDTH_M = 100.0, 200.0


@dataclass(frozen=True, slots=True)
class City:
    """What a method finds made: its making is not measured."""

    units: gpd.GeoDataFrame
    tessellation: Tessellation
    cells: gpd.GeoDataFrame


def make_city() -> City:
    units, tessellation = hotspot_reports.units(), Tessellation("square", CELL_M)
    outline = shapely.box(*hotspot_reports.BOUNDS)
    return City(units, tessellation, tessellation.areas(outline, hotspot_reports.CRS))


Run = Callable[[Path, City], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A method on a file of cases.

    Attributes:
        title: What it is called in the table.
        ours: The method.
        peer: What a user would write instead, that reads the same file to the same end.
        peer_title: What that is.
        peer_rows: The most cases that it is asked for.
    """

    title: str
    ours: Run
    peer: Run | None = None
    peer_title: str = ""
    peer_rows: int = 10**8


def counts_per_area(path: Path, city: City) -> pd.DataFrame:
    return count_areas(parts_of_cases(path), city.units)


def joined_to_areas(path: Path, city: City) -> pd.DataFrame:
    return _joined(path, city.units)


def counts_per_cell(path: Path, city: City) -> pd.DataFrame:
    return count_cells(parts_of_cases(path), city.tessellation, city.cells)


def joined_to_cells(path: Path, city: City) -> pd.DataFrame:
    return _joined(path, city.cells)


def _joined(path: Path, areas: gpd.GeoDataFrame) -> pd.DataFrame:
    cases = pd.read_parquet(path)
    points = gpd.GeoDataFrame(
        cases, geometry=gpd.points_from_xy(cases["x"], cases["y"]), crs=areas.crs
    )
    joined = points.sjoin(areas[["code", "geometry"]], predicate="intersects")
    owned = joined.sort_values("code").loc[lambda it: ~it.index.duplicated()]
    counts = owned.groupby("code").size().reindex(areas["code"], fill_value=0)
    return counts.rename("cases").reset_index()


def density(path: Path, _: City) -> np.ndarray:
    surface = kernel_density(
        parts_of_cases(path),
        hotspot_reports.BOUNDS,
        cell_m=DENSITY_CELL_M,
        bandwidth_m=BANDWIDTH_M,
    )
    return surface.values  # noqa: PD011  no frame


def density_of_scikit_learn(path: Path, _: City) -> np.ndarray:
    from sklearn.neighbors import KernelDensity  # noqa: PLC0415  so that ours does not carry it

    cases = pd.read_parquet(path, columns=["x", "y"])
    west, south, east, north = hotspot_reports.BOUNDS
    x = np.arange(west + DENSITY_CELL_M / 2, east, DENSITY_CELL_M)
    y = np.arange(south + DENSITY_CELL_M / 2, north, DENSITY_CELL_M)
    middles = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    kernel = KernelDensity(bandwidth=BANDWIDTH_M).fit(cases[["x", "y"]].to_numpy())
    share = np.exp(kernel.score_samples(middles))
    return share.reshape(len(y), len(x)) * len(cases) * 1e6


RULE = Rule(within_m=30, window_days=30, duplicate_days=None)


def recurrence(path: Path, _: City) -> pd.DataFrame:
    found = chains(parts_of_cases(path), RULE)
    found.places()
    counts = [
        (frame["is_open_duplicate"].sum(), frame["days_after"].count()) for frame in found.frames()
    ]
    return pd.DataFrame([np.sum(counts, axis=0)], columns=["duplicates", "returns"])


def recurrence_by_pairs(path: Path, _: City) -> pd.DataFrame:
    """Take all pairs within reach, category by category; it makes no chains of them."""
    cases = pd.read_parquet(path, columns=["x", "y", "opened_at", "closed_at", "category"])
    links = []
    for _name, kind in cases.groupby("category", observed=True):
        tree = cKDTree(kind[["x", "y"]].to_numpy())
        pairs = tree.query_pairs(RULE.within_m + 0.0005, output_type="ndarray")
        pairs.sort(axis=1)  # cases are in the order of opening
        earlier, later = kind.iloc[pairs[:, 0]], kind.iloc[pairs[:, 1]]
        link = pd.DataFrame(
            {
                "row": later.index,
                "earlier": earlier.index,
                "closed_at": earlier["closed_at"].to_numpy(),
                "opened_at": later["opened_at"].to_numpy(),
            }
        )
        link["is_open"] = ~(link["closed_at"] <= link["opened_at"])
        link = link.sort_values(["is_open", "closed_at", "earlier"], na_position="last")
        last = link.drop_duplicates("row", keep="last")
        days = (last["opened_at"] - last["closed_at"]) / pd.Timedelta(days=1)
        is_return = ~last["is_open"] & (days <= RULE.window_days)
        links.append((last["is_open"].sum(), is_return.sum()))
    return pd.DataFrame([np.sum(links, axis=0)], columns=["duplicates", "returns"])


def gi_star(path: Path, city: City) -> pd.DataFrame:
    counts = counts_per_cell(path, city)
    return clusters.getis_ord(counts["cases"].to_numpy(), clusters.neighbours(city.cells))


def gi_star_of_esda(path: Path, city: City) -> np.ndarray:
    from esda.getisord import G_Local  # noqa: PLC0415  so that ours does not carry it
    from libpysal.weights import Queen  # noqa: PLC0415  the same

    counts = joined_to_cells(path, city)
    weights = Queen.from_dataframe(city.cells, use_index=False)
    told = G_Local(
        counts["cases"].to_numpy(float), weights, transform="B", star=True, permutations=999
    )
    return told.p_sim


METHODS = {
    "recurrence": Method(
        title="recurrence",
        ours=recurrence,
        peer=recurrence_by_pairs,
        peer_title="SciPy query_pairs by category, pandas",
        peer_rows=1_000_000,
    ),
    "counts": Method(
        title="counts per area",
        ours=counts_per_area,
        peer=joined_to_areas,
        peer_title="GeoPandas sjoin, groupby",
    ),
    "cells": Method(
        title="counts per cell",
        ours=counts_per_cell,
        peer=joined_to_cells,
        peer_title="GeoPandas sjoin, groupby",
    ),
    "gi_star": Method(
        title="Gi* per cell",
        ours=gi_star,
        peer=gi_star_of_esda,
        peer_title="GeoPandas sjoin, esda with 999 permutations",
    ),
    "density": Method(
        title="density",
        ours=density,
        peer=density_of_scikit_learn,
        peer_title="scikit-learn KernelDensity",
        peer_rows=10_000,
    ),
}
"""A new method is one more entry."""


def peak_mb() -> float:
    """The most memory this process has held.

    Not by `resource.getrusage`: its figure outlives exec, so that it would be that of pytest.
    """
    status = Path("/proc/self/status").read_text()
    kilobytes = next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]
    return int(kilobytes) / 1024


def main() -> None:
    name, side, path = sys.argv[1:]
    run = getattr(METHODS[name], side)
    city = make_city()
    clock, processor = time.perf_counter(), time.process_time()
    run(Path(path), city)
    told = {
        "seconds": time.perf_counter() - clock,
        "processor_seconds": time.process_time() - processor,
        "peak_mb": peak_mb(),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
