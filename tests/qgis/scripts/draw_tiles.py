"""Loads vector tiles by their address, draws them to an image and tells what is on it."""

import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import headless
from qgis.core import QgsVectorTileLayer
from tile_drawing import draw


def work(given: dict[str, Any]) -> dict[str, Any]:
    """Take the template of the tiles, their zooms, the box in degrees and the image's place."""
    # As the URI of the project file has it: the address encoded, the braces left.
    address = quote(given["url"], safe=":/{}")
    uri = f"type=xyz&url={address}&zmin={given['zmin']}&zmax={given['zmax']}"
    if "basic" in given:
        uri += f"&authcfg={headless.keep_basic_password(given['basic'])}"
    told = draw(QgsVectorTileLayer(uri, "tiles"), given)
    if "again_at" in given:
        # The test does something meanwhile, and says when it is done.
        Path(given["drawn_at"]).touch()
        while not Path(given["again_at"]).exists():
            time.sleep(0.05)
        told["again"] = draw(QgsVectorTileLayer(uri, "tiles"), given)
    return told


headless.run(work)
