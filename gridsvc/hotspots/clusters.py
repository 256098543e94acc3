"""Hot and cold spots: areas that have, with their neighbours, more cases than chance explains.

Getis and Ord's Gi* compares the sum over an area and its neighbours with what the same numbers,
dealt out over the city at random, would give there. The z-score is esda's; the p-value is exact
(`gridsvc.hotspots.significance`).
"""

from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from scipy.sparse.csgraph import connected_components

from gridsvc.crs import Floats
from gridsvc.hotspots.significance import false_discovery, scaled, tails, two_sided

if TYPE_CHECKING:
    from libpysal.graph import Graph

LEVELS = ((0.01, "99"), (0.05, "95"), (0.10, "90"))
"""Of q, and how the class is called."""

UNTESTED = "untested"
NONE = "none"


def neighbours(areas: gpd.GeoDataFrame, *, within_m: float = 0.0) -> "Graph":
    """Find the neighbours of each area: those that it touches, at a corner too.

    Real boundaries overlap by slivers, so touching is sharing any point. Areas that leave gaps
    between each other, as shop fronts do, have neighbours within a distance.

    Args:
        areas: Areas frame, in the storage CRS.
        within_m: From edge to edge, included.

    Returns:
        Binary weights over the row numbers of `areas`, none of an area to itself.
    """
    # PySAL takes 1.5 s to load, which whoever asks for something else need not wait for.
    from libpysal.graph import Graph  # noqa: PLC0415

    polygons = areas.geometry.to_numpy()
    tree = shapely.STRtree(polygons)
    if within_m:
        focal, other = tree.query(polygons, predicate="dwithin", distance=within_m)
    else:
        focal, other = tree.query(polygons, predicate="intersects")
    pairs = focal != other
    focal, other = focal[pairs], other[pairs]
    # An island is told as a pair with itself of weight 0.
    lonely = np.setdiff1d(np.arange(len(areas)), focal)
    return Graph.from_arrays(
        np.concatenate([focal, lonely]),
        np.concatenate([other, lonely]),
        np.concatenate([np.ones(len(focal)), np.zeros(len(lonely))]),
    )


def getis_ord(values: npt.NDArray[Any], graph: "Graph") -> pd.DataFrame:
    """Test each area, together with its neighbours, against the whole city.

    Gi* counts the area itself (star), each neighbour once (binary weights). The null hypothesis is
    that the same values lie on other areas at random, all of them, the area's own too. An area
    without neighbours is not tested, nor is one without a value; neither takes part in the
    correction for the number of tests.

    Args:
        values: (n,) cases, or a rate; NaN where there is none.
        graph: Of `neighbours`, over the same areas.

    Returns:
        (n,) `value`; `neighbours`, those with a value; `z`; `p`, two-sided; `q`, after Benjamini
        and Hochberg; `kind`: hot_99, hot_95, hot_90 by q < 0.01, 0.05, 0.10, likewise cold_…,
        none, untested.

    Source: Ord and Getis, Local spatial autocorrelation statistics, Geographical Analysis 27
    (1995), eq. 8; docs/decisions/0012-exact-permutations.md.
    """
    from esda.getisord import G_Local  # noqa: PLC0415  as above

    values = np.asarray(values, np.float64)
    known = np.flatnonzero(np.isfinite(values))
    kept, between = values[known], graph.subgraph(known)
    weights = between.sparse.tocsr()
    count = np.zeros(len(values), np.int64)
    count[known] = np.asarray(weights.sum(axis=1)).ravel()
    z, p = np.full(len(values), np.nan), np.full(len(values), np.nan)
    has_contrast = (count[known] > 0) & (count[known] + 1 < len(known))
    tested = known[has_contrast]
    if len(tested):
        drawn = count[tested] + 1
        scale = scaled(kept, most_drawn=int(drawn.max()))
        observed = scale.steps + (weights @ scale.steps).astype(np.int64)
        p[tested] = two_sided(*tails(scale.steps, drawn, observed[has_contrast]))
        z[tested] = 0.0
        if np.ptp(kept) > 0:
            # Where the neighbourhood is the whole city esda divides nothing by nothing.
            with np.errstate(invalid="ignore"):
                told = G_Local(kept, between, transform="B", star=True, permutations=0)
            z[tested] = told.Zs[has_contrast]
    q = false_discovery(p)
    return pd.DataFrame(
        {"value": values, "neighbours": count, "z": z, "p": p, "q": q, "kind": kinds(z, q)}
    )


def kinds(z: Floats, q: Floats) -> npt.NDArray[np.object_]:
    """Class areas by q and the sign of z; a q on the level itself is not below it."""
    told = np.full(len(q), NONE, dtype=object)
    for level, name in reversed(LEVELS):
        told[(q < level) & (z > 0)] = f"hot_{name}"
        told[(q < level) & (z < 0)] = f"cold_{name}"
    told[np.isnan(q)] = UNTESTED
    return told


def places(areas: gpd.GeoDataFrame, tested: pd.DataFrame, graph: "Graph") -> gpd.GeoDataFrame:
    """Merge hot areas that are neighbours into hotspots, and rank them.

    Areas with q < 0.05 make a hotspot, if they have more cases than expected: an area may be hot by
    its neighbours alone. The first is the one whose strongest area has the highest z;
    of equals the one with more cases, then the one with the lowest code.

    Args:
        areas: Areas frame with `cases`, and with `base` where their rates were tested: what cases
            are divided by.
        tested: What `getis_ord` gave for them.
        graph: Their neighbours.

    Returns:
        `rank` from 1; `codes` of its areas, the strongest first; `cases`; `expected`, what as many
        areas, or as much base, have on average; `z` and `q` of the strongest; `centre`, a point
        in it; `geometry`.
    """
    hot = np.flatnonzero(tested["kind"].isin(["hot_99", "hot_95"]))
    _, label = connected_components(graph.sparse.tocsr()[hot][:, hot], directed=False)
    z = tested["z"].to_numpy()
    cases = areas["cases"].to_numpy()
    codes = areas["code"].to_numpy()
    base = areas["base"].to_numpy(np.float64) if "base" in areas else np.ones(len(areas))
    known = (tested["kind"] != UNTESTED).to_numpy()
    mean = float(cases[known].sum() / base[known].sum()) if known.any() else 0.0
    found = []
    for number in range(label.max(initial=-1) + 1):
        rows = hot[label == number]
        rows = rows[np.lexsort((codes[rows], -cases[rows], -z[rows]))]
        strongest = rows[0]
        found.append(
            {
                "codes": tuple(codes[rows].tolist()),
                "cases": int(cases[rows].sum()),
                "expected": float(mean * base[rows].sum()),
                "z": float(z[strongest]),
                "q": float(tested["q"].iloc[strongest]),
                "centre": areas.geometry.iloc[strongest].representative_point(),
                "geometry": shapely.union_all(areas.geometry.iloc[rows].to_numpy()),
            }
        )
    # Hot by its neighbours alone, none of which is hot itself, is no place with many cases.
    found = [one for one in found if one["cases"] > one["expected"]]
    found.sort(key=lambda one: (-one["z"], -one["cases"], one["codes"][0]))
    columns = ["rank", "codes", "cases", "expected", "z", "q", "centre", "geometry"]
    ranked = [{"rank": rank, **one} for rank, one in enumerate(found, 1)]
    return gpd.GeoDataFrame(
        pd.DataFrame(ranked, columns=columns), geometry="geometry", crs=areas.crs
    )
