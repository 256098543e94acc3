"""The areas of a layer straight from a file of boundaries, for whoever counts without a database.

Nothing is checked as an import checks it: what the file says is taken, and only what no geometry
library could work with is mended.
"""

from pathlib import Path

import geopandas as gpd
import shapely

from gridsvc.crs import convert_geometries, parse_crs
from gridsvc.errors import ImportRefused
from gridsvc.grids.boundary_files import read_boundaries
from gridsvc.grids.schemes import Scheme

_POLYGONS = 2  # dimensions


def areas_from_file(  # noqa: PLR0913  a file, its columns, and what it is in
    path: Path,
    *,
    scheme: Scheme,
    code: str,
    name: str | None = None,
    table: str | None = None,
    crs: str | None = None,
) -> gpd.GeoDataFrame:
    """Read boundaries as `gridsvc.grids.frames.areas_frame` reads them from the database.

    Rings that touch themselves are mended; rows of one code are one area.

    Args:
        path: GeoJSON, GeoPackage, Shapefile (.zip), GeoParquet, FlatGeobuf or KML.
        scheme: Says the storage CRS, and the CRS of a file that says nothing.
        code: Column of the codes; never empty.
        name: Column of the names; None where areas have none.
        table: Layer within a file that holds several.
        crs: Declared by the caller; wins over what the file says.

    Returns:
        `code`, `name` (None where it has none) and `geometry`, MultiPolygons in the storage CRS;
        in the order of codes, by their bytes.

    Raises:
        ImportRefused: the file cannot be read, lacks a column or holds what is no area.
        UnknownCrs: `crs` names none.
    """
    file = read_boundaries(path, crs=crs, default_crs=scheme.input_crs[0], table=table)
    frame = file.frame
    for column in filter(None, (code, name)):
        if column not in frame.columns:
            columns = ", ".join(frame.columns.drop(frame.geometry.name).astype(str))
            raise ImportRefused(
                file.source, f"it has no column {column!r}", remedy=f"Name one of: {columns}"
            )
    if frame[code].isna().any():
        row = int(frame[code].isna().to_numpy().argmax())
        raise ImportRefused(
            file.source, f"row {row + 1} has no {code}", remedy="Give each area its code"
        )
    polygons = shapely.make_valid(frame.geometry.to_numpy(), method="structure")
    if not (shapely.get_dimensions(polygons) == _POLYGONS).all():
        row = int((shapely.get_dimensions(polygons) != _POLYGONS).argmax())
        raise ImportRefused(
            file.source, f"row {row + 1} is no polygon", remedy="Give boundaries as polygons"
        )
    areas = gpd.GeoDataFrame(
        {
            "code": frame[code].astype(str),
            "name": frame[name].astype(object).where(frame[name].notna(), None) if name else None,
        },
        geometry=convert_geometries(polygons, source=file.crs, target=scheme.storage_crs),
        crs=parse_crs(scheme.storage_crs).name,
    )
    # Python's order of texts is that of their code points, which is that of their bytes in UTF-8.
    joined = areas.dissolve("code", aggfunc="first", as_index=False, sort=True)
    joined.geometry = [
        shapely.multipolygons(
            [part for part in shapely.get_parts(shape) if shapely.get_dimensions(part) == _POLYGONS]
        )
        for shape in joined.geometry
    ]
    return joined[["code", "name", "geometry"]]
