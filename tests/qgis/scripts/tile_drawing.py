"""Draws vector tiles to an image and tells what is on it."""

import collections
import time
from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsFillSymbol,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsPalLayerSettings,
    QgsProject,
    QgsRectangle,
    QgsVectorTileBasicLabeling,
    QgsVectorTileBasicLabelingStyle,
    QgsVectorTileBasicRenderer,
    QgsVectorTileBasicRendererStyle,
    QgsVectorTileLayer,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor

MERCATOR = QgsCoordinateReferenceSystem("EPSG:3857")
LON_LAT = QgsCoordinateReferenceSystem("EPSG:4326")


def draw(layer: QgsVectorTileLayer, given: dict[str, Any]) -> dict[str, Any]:
    """Draw a layer of vector tiles.

    Args:
        layer: Of which the style is replaced.
        given: `layer`, the name of the layer in the tiles; `extent` in degrees; and what may be
            left out, `label`, `size`, and `png`, where to keep the image.

    Returns:
        What became of it, with the shares of the image that its colours take.
    """
    if not layer.isValid():
        return {"valid": False}
    layer.setRenderer(_renderer(given["layer"]))
    if given.get("label"):
        layer.setLabeling(_labeling(given["layer"]))
    settings = QgsMapSettings()
    settings.setDestinationCrs(MERCATOR)
    settings.setLayers([layer])
    settings.setOutputSize(QSize(*given.get("size", [900, 600])))
    settings.setBackgroundColor(QColor("white"))
    to_mercator = QgsCoordinateTransform(LON_LAT, MERCATOR, QgsProject.instance())
    settings.setExtent(to_mercator.transformBoundingBox(QgsRectangle(*given["extent"])))
    begun = time.perf_counter()
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    image = job.renderedImage()
    drawn_s = time.perf_counter() - begun
    if "png" in given:
        image.save(given["png"])
    colours = collections.Counter(
        image.pixelColor(x, y).name()
        for x in range(0, image.width(), 3)
        for y in range(0, image.height(), 3)
    )
    sampled = sum(colours.values())
    return {
        "valid": True,
        "editable": layer.isEditable() or layer.supportsEditing(),
        "drawn_s": drawn_s,
        "errors": [error.message for error in job.errors()],
        "shares": {name: count / sampled for name, count in colours.most_common(4)},
    }


def _renderer(layer: str) -> QgsVectorTileBasicRenderer:
    symbol = QgsFillSymbol.createSimple(
        {"color": "204,224,255", "outline_color": "0,51,153", "outline_width": "0.6"}
    )
    style = QgsVectorTileBasicRendererStyle("areas", layer, QgsWkbTypes.PolygonGeometry)
    style.setSymbol(symbol)
    renderer = QgsVectorTileBasicRenderer()
    renderer.setStyles([style])
    return renderer


def _labeling(layer: str) -> QgsVectorTileBasicLabeling:
    settings = QgsPalLayerSettings()
    settings.fieldName = "coalesce(name, code)"
    settings.isExpression = True
    style = QgsVectorTileBasicLabelingStyle()
    style.setStyleName("names")
    style.setLayerName(layer)
    style.setGeometryType(QgsWkbTypes.PolygonGeometry)
    style.setLabelSettings(settings)
    labeling = QgsVectorTileBasicLabeling()
    labeling.setStyles([style])
    return labeling
