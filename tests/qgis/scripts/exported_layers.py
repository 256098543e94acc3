"""Open what `hotspots export` wrote and tell how each layer looks, and draw them."""

from typing import Any

import headless
from qgis.core import (
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsRenderContext,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor


def look(given: dict[str, Any]) -> dict[str, Any]:
    """Load each source as a user adds it: with its own style, if QGIS finds one."""
    told = {}
    layers = []
    for name, source in given["sources"].items():
        layer = QgsVectorLayer(source, name, "ogr")
        _, found = layer.loadDefaultStyle()
        renderer = layer.renderer()
        drawn = layer.isValid() and layer.isSpatial()
        told[name] = {
            "valid": layer.isValid(),
            "features": layer.featureCount(),
            "crs": layer.crs().authid(),
            "has_style": found,
            "renderer": renderer.type() if drawn else None,
            "legend": [item.label() for item in renderer.legendSymbolItems()] if drawn else [],
            "labels": bool(drawn and layer.labelsEnabled() and layer.labeling()),
            "undrawn": _undrawn(layer) if drawn else 0,
        }
        if drawn:
            layers.append(layer)
    if given.get("picture"):
        _draw(layers, given["picture"])
    return told


def _undrawn(layer: QgsVectorLayer) -> int:
    """Count features that no class of the renderer takes."""
    context = QgsRenderContext()
    renderer = layer.renderer().clone()
    renderer.startRender(context, layer.fields())
    missed = 0
    for feature in layer.getFeatures():
        context.expressionContext().setFeature(feature)
        missed += renderer.symbolForFeature(feature, context) is None
    renderer.stopRender(context)
    return missed


def _draw(layers: list[QgsVectorLayer], path: str) -> None:
    settings = QgsMapSettings()
    settings.setLayers(layers)
    settings.setDestinationCrs(layers[0].crs())
    settings.setExtent(layers[-1].extent())
    settings.setOutputSize(QSize(1200, 900))
    settings.setBackgroundColor(QColor("white"))
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    job.renderedImage().save(path)


headless.run(look)
