"""Runs what a guide says for the Python console, and tells what became of the layers."""

from typing import Any

import headless
import qgis.core
from tile_drawing import draw


def work(given: dict[str, Any]) -> dict[str, Any]:
    """Take pieces of code, which share their names as in the console."""
    names = dict(vars(qgis.core))
    if given["master_password"]:
        manager = qgis.core.QgsApplication.authManager()
        manager.setMasterPassword(given["master_password"], True)
    for code in given["code"]:
        exec(compile(code, "the guide", "exec"), names)  # noqa: S102  that is the test
    told: dict[str, Any] = {}
    for name in given["areas"]:
        layer = names[name]
        told[name] = layer.isValid() and [it["code"] for it in layer.getFeatures()]
    for name in given["tiles"]:
        told[name] = draw(names[name], given)
    told["project"] = sorted(
        type(layer).__name__ for layer in qgis.core.QgsProject.instance().mapLayers().values()
    )
    return told


headless.run(work)
