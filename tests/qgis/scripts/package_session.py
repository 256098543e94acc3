"""A planner works in the packaged project: forms, an edit, a stale row, a publish, the slider."""

from datetime import timedelta
from typing import Any

import headless
from qgis.core import (
    QgsDataSourceUri,
    QgsDateTimeRange,
    QgsFeature,
    QgsFeatureRequest,
    QgsGeometry,
    QgsProject,
    QgsProviderRegistry,
    QgsVectorLayer,
    QgsVectorLayerTemporalContext,
    QgsVectorLayerUtils,
)
from qgis.gui import QgsAttributeEditorContext, QgsAttributeForm, QgsGui
from qgis.PyQt.QtCore import QDateTime

KEPT: list[Any] = []  # a form that Python drops takes its layer down with it


def work(given: dict[str, Any]) -> dict[str, Any]:
    QgsGui.editorWidgetRegistry().initEditors()
    project = QgsProject.instance()
    told: dict[str, Any] = {"read": project.read(given["project"])}
    sets, units = layer("gridsvc_change_set"), layer("gridsvc_edit_unit")
    problems = layer("gridsvc_problem_part")

    new = QgsVectorLayerUtils.createFeature(sets)
    told["opened"] = fill_in(sets, new, {"name": "june", "note": "why"}, new=True)

    code = given["code"]
    before = row(units, code)
    moved = QgsGeometry(before.geometry())
    moved.moveVertex(*given["to"], given["vertex"])
    told["precision_m"] = save_shape(units, before, rounded_off(moved))
    after = row(units, code)
    told["millimetres"] = max(
        abs(value * 1000 - round(value * 1000))
        for point in after.geometry().vertices()
        for value in (point.x(), point.y())
    )
    told["state"] = after["state"]
    told["checked"] = fill_in(sets, row(sets, "june", "name"), {"action": "check"})
    told["problems"] = sorted(it["kind"] for it in problems.getFeatures())

    # Somebody with the same login changes the row while it waits in QGIS to be saved.
    units.startEditing()
    units.changeAttributeValue(after.id(), units.fields().indexOf("name"), "mine")
    elsewhere(units, f"UPDATE edit.unit SET name = 'theirs' WHERE code = '{code}'")
    told["stale"] = {"saved": units.commitChanges(), "said": "\n".join(units.commitErrors())}
    told["kept"] = units.isModified()
    units.rollBack()

    told["drawn"] = draw_over(before, units)
    told["mended"] = save_shape(units, row(units, code), before.geometry())
    units.startEditing()
    fill_in(units, row(units, code), {"name": "甲"})
    told["published"] = fill_in(sets, row(sets, "june", "name"), {"action": "publish"})
    closed = row(sets, "june", "name")
    told["closed"] = [closed["state"], closed["revision"]]
    told["slider"] = slide(layer("gridsvc_hist_unit"), code)
    return told


def layer(name: str) -> QgsVectorLayer:
    found = QgsProject.instance().mapLayer(name)
    assert found is not None, name
    assert found.isValid(), name
    return found


def row(of: QgsVectorLayer, value: str, column: str = "code") -> QgsFeature:
    [found] = of.getFeatures(QgsFeatureRequest().setFilterExpression(f"\"{column}\" = '{value}'"))
    return found


def fill_in(
    of: QgsVectorLayer, feature: QgsFeature, values: dict[str, str], *, new: bool = False
) -> dict[str, Any]:
    """Type into the form, as a planner does, and save the layer."""
    of.startEditing()
    form = QgsAttributeForm(of, feature, QgsAttributeEditorContext())
    if new:
        form.setMode(QgsAttributeEditorContext.AddFeatureMode)
    KEPT.extend([form, feature])
    for name, value in values.items():
        form.changeAttribute(name, value)
    accepted = form.save()
    sent = of.editBuffer().changedAttributeValues()
    names = [of.fields()[index].name() for changed in sent.values() for index in changed]
    saved = of.commitChanges()
    errors = "\n".join(of.commitErrors())
    if not saved:
        of.rollBack()
    return {"accepted": accepted, "saved": saved, "sent": sorted(names), "errors": errors}


def rounded_off(shape: QgsGeometry) -> QgsGeometry:
    """Move a node by less than a millimetre, as a mouse does."""
    point = shape.vertexAt(0)
    shape.moveVertex(point.x() + 0.0003, point.y() + 0.0003, 0)
    return shape


def save_shape(of: QgsVectorLayer, feature: QgsFeature, shape: QgsGeometry) -> dict[str, Any]:
    of.startEditing()
    of.geometryOptions().apply(shape)  # as every tool of QGIS does
    of.changeGeometry(feature.id(), shape)
    of.updateExtents()
    sent = [
        of.fields()[index].name()
        for changed in of.editBuffer().changedAttributeValues().values()
        for index in changed
    ]
    saved = of.commitChanges()
    return {"saved": saved, "sent": sent, "errors": "\n".join(of.commitErrors())}


def draw_over(own: QgsFeature, units: QgsVectorLayer) -> dict[str, float]:
    """Draw a unit grid beside its neighbours; tell what QGIS leaves of it by either setting."""
    drawn = own.geometry().buffer(20, 1)
    on_its_layer, on_a_list = QgsGeometry(drawn), QgsGeometry(drawn)
    on_its_layer.avoidIntersections([units])
    on_a_list.avoidIntersections([layer("gridsvc_edit_street")])
    return {
        "overlap_m2": max(
            on_its_layer.intersection(unit.geometry()).area() for unit in units.getFeatures()
        ),
        "left_by_a_list_m2": on_a_list.intersection(own.geometry()).area(),
    }


def elsewhere(of: QgsVectorLayer, statement: str) -> None:
    metadata = QgsProviderRegistry.instance().providerMetadata("postgres")
    uri = QgsDataSourceUri(of.source()).connectionInfo(True)
    connection = metadata.createConnection(uri, {})
    connection.executeSql(statement)


def slide(history: QgsVectorLayer, code: str) -> list[list[str]]:
    """Name the area as the temporal controller shows it just before and after the publish."""
    versions = [it for it in history.getFeatures() if it["code"] == code]
    turn = max(it["shown_from"] for it in versions).toPyDateTime()
    context = QgsVectorLayerTemporalContext()
    context.setLayer(history)
    seen = []
    for moment in (turn - timedelta(seconds=1), turn + timedelta(seconds=1)):
        instant = QDateTime(moment)
        clause = history.temporalProperties().createFilterString(
            context, QgsDateTimeRange(instant, instant)
        )
        request = QgsFeatureRequest().setFilterExpression(f"({clause}) AND \"code\" = '{code}'")
        seen.append([str(it["name"]) for it in history.getFeatures(request)])
    return seen


if __name__ == "__main__":
    headless.run(work)
