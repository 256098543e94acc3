"""The packaged project as a chief planner or a viewer opens it."""

from typing import Any

import headless
from package_session import fill_in, layer, row
from qgis.core import QgsProject, QgsVectorDataProvider, QgsVectorLayer
from qgis.gui import QgsGui


def work(given: dict[str, Any]) -> dict[str, Any]:
    QgsGui.editorWidgetRegistry().initEditors()
    project = QgsProject.instance()
    assert project.read(given["project"])
    layers = [it for it in project.mapLayers().values() if isinstance(it, QgsVectorLayer)]
    told: dict[str, Any] = {"invalid": [it.name() for it in layers if not it.isValid()]}
    can = QgsVectorDataProvider.AddFeatures | QgsVectorDataProvider.ChangeGeometries
    told["editable"] = sorted(
        it.id() for it in layers if it.isValid() and it.dataProvider().capabilities() & can
    )
    told["rows"] = len(list(layer("gridsvc_edit_unit").getFeatures()))
    parties = {it["code"]: [it["name"], it["phone"]] for it in layer("gridsvc_party").getFeatures()}
    told["party"] = parties["P1"]
    if "rollback" in given:
        sets = layer("gridsvc_change_set")
        told["done"] = fill_in(sets, row(sets, given["rollback"], "name"), {"action": "rollback"})
        told["changes"] = sorted(
            [it["revision"], it["what"], it["author"]]
            for it in layer("gridsvc_hist_change").getFeatures()
            if it["code"] == given["code"]
        )
    return told


if __name__ == "__main__":
    headless.run(work)
