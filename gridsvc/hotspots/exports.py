"""Layers leave for QGIS, spreadsheets and other programs, with the styles that QGIS picks up."""

import sqlite3
import uuid
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pyogrio

from gridsvc.errors import TableError

ENDINGS = (".gpkg", ".parquet", ".csv")

# The table that QGIS keeps styles in and reads a layer's own look from.
_STYLES = """
CREATE TABLE layer_styles (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    f_table_catalog TEXT, f_table_schema TEXT, f_table_name TEXT, f_geometry_column TEXT,
    styleName TEXT, styleQML TEXT, styleSLD TEXT, useAsDefault BOOLEAN, description TEXT,
    owner TEXT, ui TEXT, update_time DATETIME DEFAULT CURRENT_TIMESTAMP
);
INSERT INTO gpkg_contents (table_name, data_type, identifier)
VALUES ('layer_styles', 'attributes', 'layer_styles');
"""
_STYLE = """
INSERT INTO layer_styles
    (f_table_catalog, f_table_schema, f_table_name, f_geometry_column,
     styleName, styleQML, styleSLD, useAsDefault, description, owner, update_time)
VALUES ('', '', ?, 'geom', ?, ?, '', ?, ?, '', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
"""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer to write.

    Attributes:
        name: Its table, or the end of its file's name.
        title: What it shows, in both languages.
        rows: Features in the storage CRS, or a plain table.
        looks: Styles of QGIS by name; the first is the layer's own.
    """

    name: str
    title: str
    rows: gpd.GeoDataFrame | pd.DataFrame
    looks: Mapping[str, str]


def write_layers(layers: Iterable[Layer], out: Path) -> tuple[Path, ...]:
    """Write layers to one GeoPackage, or to a Parquet or CSV file each.

    `OUT.gpkg` holds all of them and their styles; `OUT.parquet` (GeoParquet) stands for
    `OUT-NAME.parquet` with `OUT-NAME.qml` beside it, which QGIS reads together; `OUT.csv` for
    `OUT-NAME.csv`, whose places are `lon` and `lat` in EPSG:4326 and in which a text that a
    spreadsheet would take for a formula gets an apostrophe in front.

    Returns:
        The files, each whole or not there.

    Raises:
        TableError: the ending names no format, or a file cannot be written.
    """
    if out.suffix not in ENDINGS:
        raise TableError(
            out, f"the ending {out.suffix!r} names no format", remedy=f"Use {', '.join(ENDINGS)}"
        )
    try:
        if out.suffix == ".gpkg":
            return (_write_geopackage(layers, out),)
        return tuple(file for layer in layers for file in _write_file(layer, out))
    except (
        OSError,
        sqlite3.Error,
        pyogrio.errors.DataSourceError,
        pyogrio.errors.DataLayerError,
    ) as error:
        raise TableError(
            out, f"cannot be written: {error}", remedy="Choose another folder"
        ) from error


def _write_geopackage(layers: Iterable[Layer], out: Path) -> Path:
    part = _unfinished(out)
    try:
        written: list[Layer] = []
        for layer in layers:
            pyogrio.write_dataframe(
                layer.rows,
                part,
                layer=layer.name,
                driver="GPKG",
                # What QGIS 3.22 knows; a newer one would only make it warn.
                dataset_options={"VERSION": "1.2"},
                layer_options={
                    "DESCRIPTION": layer.title,
                    # No two tables may share it, and two layers of cells have one title.
                    "IDENTIFIER": layer.title
                    if layer.title not in {one.title for one in written}
                    else f"{layer.title} {layer.name}",
                },
                append=bool(written),
            )
            written.append(layer)
        with closing(sqlite3.connect(part)) as file, file:
            file.executescript(_STYLES)
            file.executemany(
                _STYLE,
                [
                    (one.name, name, style, number == 0, one.title)
                    for one in written
                    for number, (name, style) in enumerate(one.looks.items())
                ],
            )
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    return out


def _write_file(layer: Layer, out: Path) -> Iterable[Path]:
    path = out.with_name(f"{out.stem}-{layer.name}{out.suffix}")
    part = _unfinished(path)
    try:
        if out.suffix == ".csv":
            # With its mark a spreadsheet takes the Chinese for what it is.
            _plain(_flat(layer.rows)).to_csv(part, index=False, encoding="utf-8-sig")
        else:
            layer.rows.to_parquet(part, compression="zstd")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    yield path
    if out.suffix == ".parquet" and layer.looks:
        style = path.with_suffix(".qml")
        style.write_text(next(iter(layer.looks.values())), encoding="utf-8")
        yield style


def _flat(rows: pd.DataFrame) -> pd.DataFrame:
    """Give a point in each feature in place of its geometry."""
    if not isinstance(rows, gpd.GeoDataFrame):
        return rows
    places = rows.geometry.representative_point().to_crs(4326)
    flat: pd.DataFrame = rows.drop(columns=rows.geometry.name).assign(
        lon=places.x.round(7), lat=places.y.round(7)
    )
    return flat


def _plain(rows: pd.DataFrame) -> pd.DataFrame:
    """Put an apostrophe before texts that a spreadsheet would take for a formula."""
    plain: pd.DataFrame = rows.apply(
        lambda column: (
            column.map(_no_formula)
            if pd.api.types.is_string_dtype(column.dtype)
            or column.dtype == object
            or isinstance(column.dtype, pd.CategoricalDtype)
            else column
        )
    )
    return plain


def _no_formula(value: object) -> object:
    is_formula = isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{value}" if is_formula else value


def _unfinished(path: Path) -> Path:
    return path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}{path.suffix}")
