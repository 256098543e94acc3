"""How large a city's areas are and where it lies, so that its map shows what can be read."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import shapely
from sqlalchemy.orm import Session

from gridsvc.crs import WGS84, Bounds, convert_geometries, parse_crs
from gridsvc.db import sql
from gridsvc.grids.schemes import Scheme


@dataclass(frozen=True, slots=True)
class Ground:
    """What there is to be shown.

    Attributes:
        bounds: West, south, east, north of the areas, or of the scheme's extent where there are
            none yet; storage CRS, metres.
        sides_m: For each layer that has areas, the side of a square as large as their median.
        counts: For each layer that has areas, how many.
    """

    bounds: Bounds
    sides_m: Mapping[str, float] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def area_m2(self) -> float:
        """Of the box round all areas."""
        west, south, east, north = self.bounds
        return (east - west) * (north - south)


def survey(session: Session, scheme: Scheme) -> Ground:
    """Look at the newest published areas."""
    rows = session.execute(sql("gridsvc.qgis", "ground")).all()
    if not rows:
        return Ground(extent(scheme))
    bounds = (
        min(row.xmin for row in rows),
        min(row.ymin for row in rows),
        max(row.xmax for row in rows),
        max(row.ymax for row in rows),
    )
    return Ground(
        bounds,
        {row.layer: row.side_m for row in rows},
        {row.layer: row.areas for row in rows},
    )


def extent(scheme: Scheme) -> Bounds:
    """The scheme's extent in its storage CRS, metres."""
    box = shapely.segmentize(shapely.box(*scheme.extent.bounds), 0.01)
    [box] = convert_geometries([box], source=WGS84, target=parse_crs(scheme.storage_crs))
    west, south, east, north = shapely.bounds(box)
    return float(west), float(south), float(east), float(north)
