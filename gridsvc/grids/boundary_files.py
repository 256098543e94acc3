"""Reading a file of boundaries in any of the formats that cities hand over."""

import gzip
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError

from gridsvc.crs import Crs, parse_crs
from gridsvc.errors import ImportRefused, UnknownCrs
from gridsvc.grids import csv_text

GUESSED_ENCODING = "ISO-8859-1"
"""What GDAL takes the texts of a shapefile for that says nothing; in China it is GB18030."""

FORMATS = "GeoJSON, GeoPackage, Shapefile (.zip), GeoParquet, FlatGeobuf, KML; also gzipped"


@dataclass(frozen=True, slots=True)
class BoundaryFile:
    """What was read.

    Attributes:
        source: The file's name.
        frame: All columns and the geometry, as in the file.
        crs: What its coordinates are in: as the caller declared, else as the file says.
    """

    source: str
    frame: gpd.GeoDataFrame
    crs: Crs


def read_boundaries(
    path: Path, *, crs: str | None = None, default_crs: str, table: str | None = None
) -> BoundaryFile:
    """Read every feature of a file.

    Args:
        path: One of `FORMATS`, told apart by its ending.
        crs: Declared by the caller; wins over what the file says.
        default_crs: For a file that says nothing.
        table: Layer within a file that holds several; needed only there.

    Raises:
        ImportRefused: missing, damaged, of another format, or with several tables.
        UnknownCrs: `crs` names none.
    """
    declared = parse_crs(crs) if crs else None
    if not path.is_file():
        raise ImportRefused(str(path), "there is no such file", remedy="Name a file that exists")
    frame = _read_frame(path, table)
    if declared is None:
        declared = _stated_crs(path, frame) or parse_crs(default_crs)
    return BoundaryFile(path.name, frame, declared)


def _read_frame(path: Path, table: str | None) -> gpd.GeoDataFrame:
    if path.suffix == ".gz":
        with tempfile.TemporaryDirectory() as folder:
            plain = Path(folder) / path.stem
            try:
                plain.write_bytes(gzip.decompress(path.read_bytes()))
            except (OSError, EOFError, zlib.error) as error:
                raise _unreadable(path, error) from error
            return _read_frame(plain, table)
    try:
        if path.suffix in {".parquet", ".geoparquet"}:
            return gpd.read_parquet(path)
        place = _inside_zip(path) if path.suffix == ".zip" else path
        table = _table(path, place, table)
        frame = pyogrio.read_dataframe(place, layer=table)
        if pyogrio.read_info(place, layer=table)["encoding"] == GUESSED_ENCODING:
            frame = _decoded(frame)
    except (DataSourceError, DataLayerError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from error
    if not isinstance(frame, gpd.GeoDataFrame):
        raise ImportRefused(
            path.name, "it has no geometry", remedy="Give a file whose rows have boundaries"
        )
    return frame


def _decoded(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Read the texts of a shapefile that does not name its encoding as those of a CSV are read."""
    columns = frame.select_dtypes(include=["object", "string"]).columns.drop(
        "geometry", errors="ignore"
    )
    texts = frame[columns].melt()["value"].dropna().unique().astype(str)
    try:
        decoded = csv_text.decode("\n".join(texts).encode(GUESSED_ENCODING)).split("\n")
    except ValueError:
        return frame
    return frame.assign(**frame[columns].replace(dict(zip(texts, decoded, strict=True))))


def _unreadable(path: Path, error: Exception) -> ImportRefused:
    return ImportRefused(
        path.name,
        f"it cannot be read ({str(error).splitlines()[0]})",
        remedy=f"Give a whole file in one of {FORMATS}",
    )


def _inside_zip(path: Path) -> str:
    """Name what to read of an archive: its one shapefile, in whichever folder it lies, else all."""
    with zipfile.ZipFile(path) as archive:
        shapefiles = [
            name
            for name in archive.namelist()
            if name.lower().endswith(".shp") and not name.startswith("__MACOSX/")
        ]
    return f"/vsizip/{path}/{shapefiles[0]}" if len(shapefiles) == 1 else f"/vsizip/{path}"


def _table(path: Path, place: Path | str, wanted: str | None) -> str:
    tables = [str(name) for name, kind in pyogrio.list_layers(place) if kind is not None]
    if wanted in tables:
        return wanted
    if wanted is None and len(tables) == 1:
        return tables[0]
    has_not = f"it has no table {wanted!r}; " if wanted else ""
    raise ImportRefused(
        path.name,
        f"{has_not}it holds {len(tables)} tables with geometry: {', '.join(tables)}",
        remedy="Name one with --table",
    )


def _stated_crs(path: Path, frame: gpd.GeoDataFrame) -> Crs | None:
    stated = frame.crs
    if stated is None:
        return None
    code = stated.to_epsg(min_confidence=70)
    if code is None and stated.name == "WGS 84 (CRS84)":
        code = 4326
    if code is None:
        raise ImportRefused(
            path.name,
            f"its CRS ({stated.name}) has no EPSG code",
            remedy="Name the CRS with --crs EPSG:number",
        )
    try:
        return parse_crs(f"EPSG:{code}")
    except UnknownCrs as error:
        raise ImportRefused(path.name, error.detail, remedy="Name it with --crs") from error
