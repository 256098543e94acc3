"""Does QGIS start here, with what the tests load layers through?"""

from typing import Any

import headless
from qgis.core import Qgis, QgsProviderRegistry

WANTED = {"postgres", "OAPIF", "vectortile", "ogr", "memory"}


def work(_given: None) -> dict[str, Any]:
    """Tell the version; a lacking provider is an error."""
    lacking = WANTED - set(QgsProviderRegistry.instance().providerList())
    if lacking:
        raise RuntimeError(f"QGIS lacks the providers {', '.join(sorted(lacking))}")
    return {"version": Qgis.QGIS_VERSION_INT}


headless.run(work)
