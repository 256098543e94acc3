"""The areas of a layer as a GeoDataFrame, for whoever counts, tests or draws them."""

import geopandas as gpd
import shapely
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from gridsvc.crs import parse_crs
from gridsvc.grids.areas import Moment, find_layer, in_force
from gridsvc.grids.models import Area
from gridsvc.grids.scheme_store import current_scheme


def areas_frame(session: Session, layer: str, *, now: Moment) -> gpd.GeoDataFrame:
    """Read the areas of a layer that hold at a moment.

    Returns:
        `code`, `name` (None where it has none) and `geometry`, MultiPolygons in the storage CRS;
        in the order of codes, by their bytes.

    Raises:
        UnknownLayer: no layer bears this code.
        NothingLoaded: the database has no scheme.
    """
    find_layer(session, layer)
    rows = session.execute(
        select(Area.code, Area.name, func.ST_AsBinary(Area.boundary))
        .where(Area.layer == layer, *in_force(Area, now))
        .order_by(Area.code.collate("C"))
    ).all()
    codes, names, boundaries = zip(*rows, strict=True) if rows else ((), (), ())
    return gpd.GeoDataFrame(
        {"code": list(codes), "name": list(names)},
        geometry=shapely.from_wkb([bytes(boundary) for boundary in boundaries]),
        crs=parse_crs(current_scheme(session).storage_crs).name,
    )
