"""Loads a layer from OGC API Features and tells what QGIS makes of it."""

import time
from typing import Any

import headless
from qgis.core import (
    QgsFeatureRequest,
    QgsRectangle,
    QgsVectorDataProvider,
    QgsVectorLayer,
)

EDITS = (
    QgsVectorDataProvider.AddFeatures
    | QgsVectorDataProvider.DeleteFeatures
    | QgsVectorDataProvider.ChangeAttributeValues
    | QgsVectorDataProvider.ChangeGeometries
    | QgsVectorDataProvider.AddAttributes
)


def work(given: dict[str, Any]) -> dict[str, Any]:
    """Take the address, the layer, and what else is to be tried."""
    parts = {"url": given["url"], "typename": given["layer"]} | given.get("uri", {})
    if "basic" in given:
        parts["authcfg"] = headless.keep_basic_password(given["basic"])
    begun = time.perf_counter()
    layer = QgsVectorLayer(
        " ".join(f"{name}='{_escaped(value)}'" for name, value in parts.items()),
        "layer",
        "OAPIF",
    )
    if not layer.isValid():
        return {"valid": False}
    opened_s = time.perf_counter() - begun
    request = QgsFeatureRequest()
    if "extent" in given:
        request.setFilterRect(QgsRectangle(*given["extent"]))
    if "limit" in given:
        request.setLimit(given["limit"])
    names = [field.name() for field in layer.fields()]
    features = [
        {
            name: headless.plain(value)
            for name, value in zip(names, feature.attributes(), strict=True)
        }
        | {"wkt": feature.geometry().asWkt(9)}
        for feature in layer.getFeatures(request)
    ]
    extent = layer.extent()
    return {
        "valid": True,
        "count": layer.featureCount(),
        "crs": layer.crs().authid(),
        "fields": {field.name(): field.typeName() for field in layer.fields()},
        "extent": [
            extent.xMinimum(),
            extent.yMinimum(),
            extent.xMaximum(),
            extent.yMaximum(),
        ],
        "title": layer.dataProvider().layerMetadata().title(),
        "can_edit": bool(layer.dataProvider().capabilities() & EDITS),
        "editing": layer.startEditing(),
        "features": features if given.get("tell", True) else len(features),
        "opened_s": opened_s,
        "read_s": time.perf_counter() - begun,
    }


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


headless.run(work)
