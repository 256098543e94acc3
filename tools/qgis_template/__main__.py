"""Build the template of the planners' project: `make qgis-template`.

It takes the columns of the edit views from this installation's database, in which a city with a
line layer must be loaded (`make demo`), and writes gridsvc/qgis/template.qgs.
"""

from pathlib import Path

from sqlalchemy.orm import Session

from gridsvc.cli.database import open_engine
from gridsvc.crs import parse_crs
from gridsvc.grids.scheme_store import current_scheme
from gridsvc.grids.terms import DrawnAs, LayerKind
from tools.system_qgis import run_module

TEMPLATE = Path(__file__).resolve().parents[2] / "gridsvc" / "qgis" / "template.qgs"


def main() -> None:
    """Choose a layer of each kind and have QGIS write the project of them."""
    with open_engine() as engine:
        with Session(engine) as session:
            scheme = current_scheme(session)
        examples = [
            next(layer.code for layer in reversed(scheme.layers) if fits(layer))
            for fits in (
                lambda layer: layer.kind is LayerKind.TILING,
                lambda layer: layer.kind is LayerKind.OVERLAY and layer.drawn_as != DrawnAs.LINE,
                lambda layer: layer.drawn_as == DrawnAs.LINE,
            )
        ]
        srid = parse_crs(scheme.storage_crs).epsg
        url = engine.url.render_as_string(hide_password=False)
    run_module("tools.qgis_template.build", *examples, str(srid), str(TEMPLATE), url=url)


if __name__ == "__main__":
    main()
