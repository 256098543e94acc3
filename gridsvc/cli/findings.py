"""How findings are shown: grouped by kind for people, whole for machines, on a map for QGIS."""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyogrio

from gridsvc.cli.console import console, say, table
from gridsvc.grids.validation import Finding

SHOWN = 20
"""How many findings people see; each kind has its share."""

SHOWN_OF_A_KIND = 3
"""The least share of a kind."""


def as_json(finding: Finding) -> dict[str, Any]:
    """Give a finding as JSON can hold it; its place is a point in it, WGS-84 degrees."""
    point = finding.lonlat
    return {
        "kind": finding.kind.value,
        "stops": finding.stops,
        "layer": finding.layer,
        "code": finding.code,
        "other": finding.other,
        "message": finding.message,
        "area_m2": finding.area_m2,
        "width_m": finding.width_m,
        "place": {"lon": round(point[0], 7), "lat": round(point[1], 7)} if point else None,
    }


def show(findings: Sequence[Finding]) -> None:
    """Print how many there are of each kind, and the largest of each with size and place."""
    if not findings:
        say("No findings.")
        return
    ordered = sorted(findings, key=lambda one: (not one.stops, one.kind.value, -(one.area_m2 or 0)))
    kinds = Counter((one.kind.value, one.stops) for one in ordered)
    share = max(SHOWN_OF_A_KIND, SHOWN // len(kinds))
    grid = table("finding", "what", "size", "place (lon lat)")
    for (kind, stops), group in groupby(ordered, key=lambda one: (one.kind.value, one.stops)):
        head = f"{kind} × {kinds[kind, stops]:,}"
        for number, one in enumerate(group):
            if number == share:
                grid.add_row("", f"… and {kinds[kind, stops] - share:,} more", "", "")
                break
            grid.add_row(
                "" if number else f"{head} {'stops' if stops else 'reported'}",
                one.message,
                "" if one.area_m2 is None else f"{one.area_m2:,.2f} m²",
                "{:.6f} {:.6f}".format(*one.lonlat) if one.lonlat else "",
            )
    console().print(grid)
    if any(count > share for count in kinds.values()):
        say("All of them: --json.")


def write(findings: Sequence[Finding], file: Path) -> None:
    """Write findings as a layer that QGIS draws; those without a place are rows without one."""
    rows = [as_json(one) for one in findings]
    columns = ("kind", "stops", "layer", "code", "other", "message", "area_m2", "width_m")
    frame = gpd.GeoDataFrame(
        {column: [row[column] for row in rows] for column in columns},
        geometry=[one.place for one in findings],
        crs="EPSG:4326",
    )
    file.unlink(missing_ok=True)
    pyogrio.write_dataframe(frame, file, layer="finding", driver="GPKG", geometry_type="Unknown")
