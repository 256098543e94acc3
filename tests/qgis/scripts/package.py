"""Open a packaged project and tell all that QGIS found in it."""

import time
from pathlib import Path
from typing import Any

import headless
from qgis.core import (
    QgsAttributeEditorContainer,
    QgsExpressionContext,
    QgsExpressionContextUtils,
    QgsLayoutExporter,
    QgsMapRendererSequentialJob,
    QgsMapSettings,
    QgsProject,
    QgsUnitTypes,
    QgsVectorLayer,
    QgsVectorLayerTemporalProperties,
    QgsVectorLayerUtils,
    QgsWkbTypes,
)
from qgis.gui import QgsAttributeEditorContext, QgsAttributeForm, QgsGui
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QImage
from qgis.PyQt.QtWidgets import QComboBox, QDialogButtonBox, QLabel


def work(given: dict[str, Any]) -> dict[str, Any]:
    QgsGui.editorWidgetRegistry().initEditors()
    project = QgsProject.instance()
    begun = time.monotonic()
    read = project.read(given["project"])
    opened_s = time.monotonic() - begun
    layers = project.mapLayers()
    invalid = sorted(layer.name() for layer in layers.values() if not layer.isValid())
    told: dict[str, Any] = {
        "read": read,
        "error": project.error(),
        "opened_s": opened_s,
        "invalid": invalid,
    }
    if invalid:  # the provider of an invalid layer must not be touched
        return told
    told |= {
        "layers": {layer.id(): layer_facts(layer) for layer in layers.values()},
        "project": project_facts(project),
        "forms": {name: form_facts(layers[name]) for name in given.get("forms", [])},
    }
    if pictures := given.get("pictures"):
        told["pictures"] = {
            "theme": theme_picture(project, given["theme"], Path(pictures) / "theme.png"),
            "sheets": sheets(project, Path(pictures)),
        }
    return told


def project_facts(project: QgsProject) -> dict[str, Any]:
    snapping = project.snappingConfig()
    themes = project.mapThemeCollection()
    extent = project.viewSettings().defaultViewExtent()
    root = project.layerTreeRoot()
    return {
        "title": project.title(),
        "crs": project.crs().authid(),
        "ellipsoid": project.ellipsoid(),
        "distances": QgsUnitTypes.toString(project.distanceUnits()),
        "areas": QgsUnitTypes.toString(project.areaUnits()),
        "trusted": project.trustLayerMetadata(),
        "one_transaction": project.autoTransaction(),
        "topological": project.topologicalEditing(),
        "avoid": int(project.avoidIntersectionsMode()),
        "avoid_layers": [layer.id() for layer in project.avoidIntersectionsLayers()],
        "snapping": {
            "enabled": snapping.enabled(),
            "mode": int(snapping.mode()),
            "types": int(snapping.typeFlag()),
            "tolerance": snapping.tolerance(),
            "units": int(snapping.units()),
        },
        "view": [extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum()],
        "view_crs": extent.crs().authid(),
        "groups": {
            group.name(): [
                [node.layerId(), node.name(), node.isVisible()] for node in group.findLayers()
            ]
            for group in root.findGroups()
        },
        "themes": {
            name: [layer.id() for layer in themes.mapThemeVisibleLayers(name)]
            for name in themes.mapThemes()
        },
        "relations": {
            name: [one.referencingLayerId(), one.referencedLayerId(), one.isValid()]
            for name, one in project.relationManager().relations().items()
        },
    }


def layer_facts(layer: QgsVectorLayer) -> dict[str, Any]:
    form = layer.editFormConfig()
    facts: dict[str, Any] = {
        "name": layer.name(),
        "source": layer.source(),
        "geometry": QgsWkbTypes.displayString(layer.wkbType()),
        "crs": layer.crs().authid(),
        "read_only": layer.readOnly(),
        "can_be_edited": layer.supportsEditing(),
        "precision_m": layer.geometryOptions().geometryPrecision(),
        "refreshed_by": layer.refreshOnNotifyMessage() if layer.isRefreshOnNotifyEnabled() else "",
        "display": layer.displayExpression(),
        "seen_from": layer.minimumScale() if layer.hasScaleBasedVisibility() else None,
        "count": layer.featureCount(),
        "fields": {},
        "tree": tree(form.invisibleRootContainer()),
        "hidden_columns": [
            column.name for column in layer.attributeTableConfig().columns() if column.hidden
        ],
    }
    for index, field in enumerate(layer.fields()):
        widget = layer.editorWidgetSetup(index)
        constraints = field.constraints()
        facts["fields"][field.name()] = {
            "alias": field.alias(),
            "widget": widget.type(),
            "config": widget.config(),
            "read_only": form.readOnly(index),
            "default": field.defaultValueDefinition().expression(),
            "on_update": field.defaultValueDefinition().applyOnUpdate(),
            "constraints": int(constraints.constraints()),
            "must": constraints.constraintExpression(),
        }
    temporal = layer.temporalProperties()
    if temporal.isActive():
        [mode] = [
            name
            for name in dir(QgsVectorLayerTemporalProperties)
            if name.startswith("Mode")
            and getattr(QgsVectorLayerTemporalProperties, name) == temporal.mode()
        ]
        facts["temporal"] = [mode, temporal.startField(), temporal.endField()]
    if layer.isSpatial():
        facts["symbols"] = symbols(layer)
        if layer.labelsEnabled():
            settings = layer.labeling().settings()
            text = settings.format()
            buffer = text.buffer()
            facts["label"] = {
                "expression": settings.fieldName,
                "families": text.families(),
                "buffer": buffer.enabled(),
                "by_scale": settings.scaleVisibility,
                "from": settings.minimumScale,
                "to": settings.maximumScale,
            }
    return facts


def tree(container: QgsAttributeEditorContainer) -> list[Any]:
    return [
        [child.name(), tree(child)] if hasattr(child, "children") else child.name()
        for child in container.children()
    ]


def symbols(layer: QgsVectorLayer) -> list[dict[str, Any]]:
    found = []
    for item in layer.renderer().legendSymbolItems():
        part = item.symbol().symbolLayer(0)
        fill, stroke = part.fillColor(), part.strokeColor()
        found.append(
            {
                "label": item.label(),
                "fill": [fill.red(), fill.green(), fill.blue(), fill.alpha()],
                "stroke": [stroke.red(), stroke.green(), stroke.blue(), stroke.alpha()],
                "colour": item.symbol().color().name(),
            }
        )
    return found


def form_facts(layer: QgsVectorLayer) -> dict[str, Any]:
    """What a planner sees in the form of a new row."""
    if not layer.readOnly():
        layer.startEditing()
    feature = QgsVectorLayerUtils.createFeature(layer)
    form = QgsAttributeForm(layer, feature, QgsAttributeEditorContext())
    form.setMode(QgsAttributeEditorContext.AddFeatureMode)
    buttons = form.findChild(QDialogButtonBox)
    facts = {
        "labels": [label.text() for label in form.findChildren(QLabel) if label.text()],
        "dropdowns": [
            [box.itemText(row) for row in range(box.count())]
            for box in form.findChildren(QComboBox)
        ],
        "can_be_saved": bool(buttons) and buttons.button(QDialogButtonBox.Ok).isEnabled(),
    }
    KEPT.extend([form, feature])
    return facts


KEPT: list[Any] = []  # a form that Python drops takes its layer down with it


def theme_picture(project: QgsProject, theme: str, path: Path) -> int:
    settings = QgsMapSettings()
    settings.setDestinationCrs(project.crs())
    settings.setLayers(project.mapThemeCollection().mapThemeVisibleLayers(theme))
    settings.setExtent(project.viewSettings().defaultViewExtent())
    settings.setOutputSize(QSize(800, 600))
    context = QgsExpressionContext()
    context.appendScope(QgsExpressionContextUtils.globalScope())
    context.appendScope(QgsExpressionContextUtils.projectScope(project))
    context.appendScope(QgsExpressionContextUtils.mapSettingsScope(settings))
    settings.setExpressionContext(context)
    job = QgsMapRendererSequentialJob(settings)
    job.start()
    job.waitForFinished()
    job.renderedImage().save(str(path))
    return colours(job.renderedImage())


def sheets(project: QgsProject, folder: Path) -> list[dict[str, Any]]:
    """Print every sheet of the atlas as PNG, and all as one PDF."""
    [layout] = project.layoutManager().layouts()
    atlas = layout.atlas()
    printed = []
    picture = QgsLayoutExporter.ImageExportSettings()
    picture.dpi = 60
    atlas.updateFeatures()
    atlas.beginRender()
    for number in range(atlas.count()):
        atlas.seekTo(number)
        path = folder / f"{number}.png"
        result = QgsLayoutExporter(layout).exportToImage(str(path), picture)
        texts = [item.currentText() for item in layout.items() if hasattr(item, "currentText")]
        printed.append(
            {
                "file": atlas.currentFilename(),
                "result": int(result),
                "colours": colours(QImage(str(path))),
                "texts": texts,
            }
        )
    atlas.endRender()
    pdf = folder / "all.pdf"
    result, error = QgsLayoutExporter.exportToPdf(
        atlas, str(pdf), QgsLayoutExporter.PdfExportSettings()
    )
    printed.append({"pdf": int(result), "error": error, "bytes": pdf.stat().st_size})
    return printed


def colours(image: QImage) -> int:
    return len(
        {image.pixel(x, y) for x in range(0, image.width(), 3) for y in range(0, image.height(), 3)}
    )


if __name__ == "__main__":
    headless.run(work)
