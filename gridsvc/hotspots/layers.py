"""What `hotspots export` writes: every layer that the database's cases give, with its look."""

from collections.abc import Iterator
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from sqlalchemy.orm import Session

from gridsvc.grids.scheme_store import current_scheme
from gridsvc.hotspots import styles
from gridsvc.hotspots.answering import responsible_for
from gridsvc.hotspots.cases import parts_of_database
from gridsvc.hotspots.chronic import rounds, score
from gridsvc.hotspots.density import Surface
from gridsvc.hotspots.exports import Layer
from gridsvc.hotspots.looks import KINDS, PATTERNS
from gridsvc.hotspots.profiles import span_text
from gridsvc.hotspots.recurrence import Rule, chains
from gridsvc.hotspots.store import Hotspots

# ColorBrewer's YlOrRd: lighter is less, in grey too (colorbrewer2.org).
_MORE = ("#ffffb2", "#fecc5c", "#fd8d3c", "#f03b20", "#bd0026")

# Below this share of the peak the surface would only colour the whole city.
_SEEN_FROM = 0.02

LEAST_SCORE = 40.0
"""Two fresh returns: what came back once may do so by chance."""


def area_layer(found: Hotspots, *, name: str = "areas") -> Layer:
    """Make the layer of the areas that were tested: their classes, trends and counts."""
    rows = found.areas.rename(columns={"kind": "class"})
    looks = {
        "class": styles.classes("class", KINDS),
        "cases": styles.spans("cases", styles.ramp(rows["cases"], _MORE, unit="件 cases")),
    }
    if rows["pattern"].notna().any():
        seen = {key: look for key, look in PATTERNS.items() if (rows["pattern"] == key).any()}
        looks["pattern"] = styles.classes("pattern", seen)
    return Layer(name, f"热点检验 Gi* ({found.question.layer})", rows, looks)


def place_layer(session: Session, found: Hotspots) -> Layer:
    """Make the layer of the ranked hotspots, each with who is responsible, masked."""
    places = found.places
    holders = [holder or {} for holder in responsible_for(session, found)]
    rows = places[["rank", "previous_rank", "cases", "expected", "z", "q"]].assign(
        codes=[" ".join(codes) for codes in places["codes"]],
        hours=["; ".join(map(span_text, peaks)) for peaks in places["peaks"]],
        responsible=[holder.get("party", {}).get("code") for holder in holders],
        responsible_name=[holder.get("party", {}).get("name") for holder in holders],
        role=[holder.get("role") for holder in holders],
        geometry=places.geometry,
    )
    return Layer(
        "hotspots",
        "热点排名 Hotspots by rank",
        gpd.GeoDataFrame(rows, geometry="geometry", crs=places.crs),
        {"rank": styles.outlines("#67001f", label="rank")},
    )


def surface_layer(surface: Surface, crs: Any) -> Layer:  # noqa: ANN401  as GeoPandas has it
    """Make the layer of the density surface: its cells, where there is something to see."""
    density = surface.values  # noqa: PD011  no frame
    row, column = np.nonzero(density > density.max(initial=0.0) * _SEEN_FROM)
    west, south = surface.x0 + column * surface.cell_m, surface.y0 + row * surface.cell_m
    rows = gpd.GeoDataFrame(
        {"per_km2": density[row, column]},
        geometry=shapely.box(west, south, west + surface.cell_m, south + surface.cell_m),
        crs=crs,
    )
    ramp = styles.ramp(rows["per_km2"], _MORE, unit="件/km² cases per km²")
    return Layer(
        "density",
        "案件密度 Density of cases",
        rows,
        {"density": styles.spans("per_km2", ramp, has_outline=False)},
    )


def chronic_layer(session: Session, found: Hotspots, rule: Rule) -> Layer:
    """Make the layer of the places that keep coming back, with the rounds that are suggested."""
    zone = current_scheme(session).zone
    asked = found.question
    with parts_of_database(session, from_at=asked.from_at, to_at=asked.to_at) as parts:
        came = chains(parts, rule, window=asked.window)
        scored = score(came, zone=zone)
    scored = scored[scored["score"] >= LEAST_SCORE]
    suggested = rounds(came, scored, zone=zone).drop(columns="place")
    rows = gpd.GeoDataFrame(
        pd.concat([scored.rename(columns={"group": "category"}), suggested], axis=1),
        geometry=gpd.points_from_xy(scored["x"], scored["y"]),
        crs=found.areas.crs,
    ).drop(columns=["x", "y"])
    rows["score"] = rows["score"].round(1)
    look = styles.markers("#5e3c99", label="score")
    return Layer("chronic_places", "顽疾点 Chronic places", rows, {"score": look})


def about_layer(found: Hotspots, cells: Hotspots, rule: Rule) -> Layer:
    """Make the table that says what the layers rest on."""
    asked = found.question
    told = {
        "revision": found.revision,
        "made_at": found.made_at.isoformat(),
        "from": asked.from_at.isoformat(),
        "to": asked.to_at.isoformat(),
        "category": asked.category,
        "layer": asked.layer,
        "cell_m": cells.question.cell_m,
        "per": asked.per or "case",
        "cells_per": cells.question.per or "case",
        "cases": found.cases,
        "method": found.method,
        **found.parameters,
        "return_within_m": rule.within_m,
        "return_window_days": rule.window_days,
    }
    rows = pd.DataFrame({"what": list(told), "value": [str(value) for value in told.values()]})
    return Layer("about", "说明 About these layers", rows, {})


def export_layers(
    session: Session, areas: Hotspots, cells: Hotspots, rule: Rule
) -> Iterator[Layer]:
    """Make all layers, for `gridsvc.hotspots.exports.write_layers`.

    Args:
        session: Reads only.
        areas: What was found for a layer.
        cells: What was found for cells, in the same window.
        rule: What counts as coming back.
    """
    yield area_layer(areas)
    yield area_layer(cells, name="cells")
    yield place_layer(session, areas)
    yield surface_layer(areas.surface, areas.areas.crs)
    yield chronic_layer(session, areas, rule)
    yield about_layer(areas, cells, rule)
