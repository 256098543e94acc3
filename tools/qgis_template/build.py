"""Write the template of the planners' project with real QGIS.

QGIS drops, without a word, what it does not find as it writes it itself, so nobody writes this
project by hand: it holds one styled layer of each kind, and `gridsvc.qgis.project` copies them
for the layers of a city. Each bears its kind as its id.

    make qgis-template            # calls the line below on this installation's database
    QT_HASH_SEED=0 PGSERVICEFILE=… \
        /usr/bin/python3 -m tools.qgis_template.build unit courtyard street_segment 4548 OUT.qgs

The system's Python runs it (Debian: python3-qgis, qgis-providers), with the oldest QGIS that
planners have: newer ones open what older ones wrote. It reads the columns of the edit views from
the service `gridsvc`, and needs layers of the three kinds: tiling, overlay and drawn as a line.
"""

import os
import re
import sys
import uuid
import xml.etree.ElementTree as ET
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from qgis.core import (
    Qgis,
    QgsApplication,
    QgsDataSourceUri,
    QgsLayerTreeGroup,
    QgsMapThemeCollection,
    QgsProject,
    QgsReferencedRectangle,
    QgsSnappingConfig,
    QgsTolerance,
    QgsUnitTypes,
    QgsVectorLayer,
    QgsWkbTypes,
)
from qgis.gui import QgsMapCanvas

from tools.qgis_template.forms import lay_forms, relate
from tools.qgis_template.sheet import lay_out
from tools.qgis_template.styles import FONTS, style

SERVICE = "gridsvc"

MILLIMETRE = 0.001
SNAP_PX = 12


def main() -> None:
    """Build the template; the layers to take as examples and the file come as arguments."""
    tiling, overlay, line, srid, target = sys.argv[1:]
    QgsApplication.setPrefixPath("/usr", True)
    application = QgsApplication([], True)
    application.initQgis()
    project = QgsProject.instance()
    layers = {
        "problem_point": _layer("edit", "problem", "point", "Point", srid=srid, kind="problem"),
        "problem_part": _layer(
            "edit", "problem", "part", "MultiPolygon", srid=srid, kind="problem"
        ),
        "change_set": _layer("edit", "change_set", key="id"),
        "proposal": _layer("edit", "proposal", "boundary", "MultiPolygon", srid=srid),
        "tiling": _layer("edit", tiling, "boundary", "MultiPolygon", srid=srid, kind="tiling"),
        "overlay": _layer("edit", overlay, "boundary", "MultiPolygon", srid=srid, kind="overlay"),
        "line": _layer("edit", line, "centre_line", "MultiLineString", srid=srid, kind="line"),
        "surface": _layer(
            "edit", f"{line}_surface", "boundary", "MultiPolygon", srid=srid, kind="surface"
        ),
        "impact_report": _layer("edit", "impact_report", "point", "Point", srid=srid),
        "impact_area": _layer("edit", "impact_area", "part", "MultiPolygon", srid=srid),
        "impact_total": _layer("edit", "impact_total"),
        "impact": _layer("edit", "impact"),
        "party": _layer("edit", "party", key="code"),
        "assignment": _layer("edit", "assignment"),
        "hist_change": _layer(
            "hist", "change", "boundary", "MultiPolygon", srid=srid, kind="hist_change"
        ),
        "hist": _layer("hist", tiling, "boundary", "MultiPolygon", srid=srid, kind="hist"),
    }
    project.setCrs(layers["tiling"].crs())
    for layer in layers.values():
        project.addMapLayer(layer, False)
    relate(project, layers)
    lay_forms(layers)
    style(layers)
    _plant(project, layers)
    _set_editing(project, layers)
    _set_themes(project, layers)
    lay_out(project, layers)
    _write(project, layers, Path(target))
    print(f"{target}: {len(layers)} layers, QGIS {Qgis.QGIS_VERSION}")
    sys.stdout.flush()
    os._exit(0)  # the destructors of QGIS's Python objects are known to crash


def _layer(  # noqa: PLR0913 -- what a data source is made of
    schema: str,
    table: str,
    column: str | None = None,
    geometry: str | None = None,
    *,
    srid: str = "",
    kind: str | None = None,
    key: str = "key",
) -> QgsVectorLayer:
    uri = QgsDataSourceUri()
    uri.setConnection(SERVICE, "", "", "", QgsDataSourceUri.SslPrefer)
    uri.setDataSource(schema, table, column, "", key)
    if geometry:
        uri.setWkbType(QgsWkbTypes.parseType(geometry))
        uri.setSrid(srid)
    # The view's key is unique by its making; asking QGIS to count that takes a scan at each open.
    uri.setParam("checkPrimaryKeyUnicity", "0")
    layer = QgsVectorLayer(uri.uri(False), kind or table, "postgres")
    if not layer.isValid():
        sys.exit(f"{schema}.{table} cannot be read: {layer.error().message()}")
    layer.setCustomProperty("gridsvc/kind", kind or table)
    return layer


GROUPS = (
    ("问题 Problems", ("problem_point", "problem_part")),
    ("影响 Impact", ("impact_total", "impact_report", "impact_area", "impact")),
    ("编辑 Edit", ("change_set", "proposal", "tiling", "overlay", "line", "surface")),
    ("人员 People", ("party", "assignment")),
    ("历史 History", ("hist_change", "hist")),
)
THEMES = {
    "编辑 Edit": ("proposal", "problem_part", "tiling", "overlay", "line", "surface"),
    "问题 Problems": ("problem_point", "problem_part", "proposal", "tiling"),
    "影响 Impact": ("impact_report", "impact_area", "tiling"),
    "历史 History": ("hist_change", "hist"),
}
TITLES = {
    "problem_point": "问题位置 Problem points",
    "problem_part": "问题范围 Problem areas",
    "change_set": "变更集 Change sets",
    "proposal": "本次修改 Proposed changes",
    "impact_total": "影响总览 Impact in total",
    "impact_report": "受影响的上报 Affected reports",
    "impact_area": "换归属的范围 Ground that moves",
    "impact": "影响统计 Impact by party",
    "party": "责任人 Parties",
    "assignment": "分工 Assignments",
    "hist_change": "改动记录 Changes",
}


def _plant(project: QgsProject, layers: dict[str, QgsVectorLayer]) -> None:
    root = project.layerTreeRoot()
    for name, kinds in GROUPS:
        group: QgsLayerTreeGroup = root.addGroup(name)
        for kind in kinds:
            layer = layers[kind]
            layer.setName(TITLES.get(kind, kind))
            node = group.addLayer(layer)
            node.setExpanded(False)
            node.setItemVisibilityChecked(kind in THEMES["编辑 Edit"])


def _set_editing(project: QgsProject, layers: dict[str, QgsVectorLayer]) -> None:
    project.setTopologicalEditing(True)
    # On the layer that is edited, not on a list of layers: on a list, whatever is drawn is cut by
    # all of them, so a unit grid would lose all that its own street covers.
    project.setAvoidIntersectionsMode(
        QgsProject.AvoidIntersectionsMode.AvoidIntersectionsCurrentLayer
    )
    snapping = QgsSnappingConfig(project)
    snapping.setEnabled(True)
    snapping.setMode(QgsSnappingConfig.AllLayers)
    snapping.setTypeFlag(
        QgsSnappingConfig.SnappingTypes(
            QgsSnappingConfig.VertexFlag | QgsSnappingConfig.SegmentFlag
        )
    )
    snapping.setTolerance(SNAP_PX)
    snapping.setUnits(QgsTolerance.Pixels)
    snapping.setIntersectionSnapping(False)
    project.setSnappingConfig(snapping)
    project.setDistanceUnits(QgsUnitTypes.DistanceMeters)
    project.setAreaUnits(QgsUnitTypes.AreaSquareMeters)
    # Lengths and areas on the plane of the storage CRS, as the database reckons them.
    project.setEllipsoid("NONE")
    # Trusted, QGIS would show the planner's guess of how many rows there are, and zoom to all of
    # the scheme's extent. Asking takes less than a second for 100,000 areas.
    project.setTrustLayerMetadata(False)
    project.setAutoTransaction(False)
    project.setEvaluateDefaultValues(False)
    project.writeEntry("PositionPrecision", "/Automatic", False)
    project.writeEntry("PositionPrecision", "/DecimalPlaces", 3)
    # The slider of history goes by days.
    project.timeSettings().setTimeStep(1)
    project.timeSettings().setTimeStepUnit(QgsUnitTypes.TemporalDays)
    for kind in ("tiling", "overlay", "line"):
        options = layers[kind].geometryOptions()
        options.setGeometryPrecision(MILLIMETRE)
        options.setRemoveDuplicateNodes(True)


def _set_themes(project: QgsProject, layers: dict[str, QgsVectorLayer]) -> None:
    for name, kinds in THEMES.items():
        theme = QgsMapThemeCollection.MapThemeRecord()
        for kind in kinds:
            record = QgsMapThemeCollection.MapThemeLayerRecord(layers[kind])
            record.isVisible = True
            record.usingCurrentStyle = True
            record.currentStyle = "default"
            theme.addLayerRecord(record)
        project.mapThemeCollection().insert(name, theme)


def _write(project: QgsProject, layers: dict[str, QgsVectorLayer], target: Path) -> None:
    project.setTitle("gridsvc")
    project.setFilePathStorage(Qgis.FilePathType.Relative)
    extent = layers["tiling"].extent()
    project.viewSettings().setDefaultViewExtent(QgsReferencedRectangle(extent, project.crs()))
    canvas = QgsMapCanvas()  # writes itself into the project that it shows
    canvas.setObjectName("theMapCanvas")
    canvas.setDestinationCrs(project.crs())
    canvas.setExtent(extent)
    written = target.with_suffix(".writing.qgs")
    if not project.write(str(written)):
        sys.exit(f"{written} was not written: {project.error()}")
    text = written.read_text(encoding="utf-8")
    for name in (written.name, f"{written.name}~", f"{written.stem}_attachments.zip"):
        (written.parent / name).unlink(missing_ok=True)
    target.write_text(_tidy(text, layers), encoding="utf-8")


def _id(kind: str) -> str:
    # Of a layer whose id has ten letters or fewer QGIS drops the id, and with it the layer's place
    # in the tree, in themes and in dropdowns.
    return f"gridsvc_{kind}"


def _tidy(text: str, layers: dict[str, QgsVectorLayer]) -> str:
    """Make two builds the same, so that a difference between them means something."""
    for kind, layer in layers.items():
        text = text.replace(layer.id(), _id(kind))
    text = re.sub(r' (saveUser|saveUserFull|saveDateTime)="[^"]*"', r' \1=""', text)
    text = re.sub(r"<creation>[^<]*", "<creation>", text)
    text = re.sub(r"(Annotations)_[0-9a-f_]{36}", r"\1", text)
    # The first family stands for all; the machine that builds may have another of them.
    text = re.sub(r'fontFamily="[^"]*"', f'fontFamily="{FONTS[0]}"', text)
    root = ET.fromstring(text)  # noqa: S314 -- QGIS wrote it a moment ago
    for parent in root.iter():
        # Twice the same: `prop` is for QGIS before 3.20, which cannot open this project anyway.
        for old in parent.findall("prop"):
            parent.remove(old)
    order = [_id(kind) for kind in layers]
    for parent in root.iter("projectlayers"):
        parent[:] = sorted(parent, key=lambda layer: order.index(layer.findtext("id") or ""))
    for parent in root.iter("individual-layer-settings"):
        parent[:] = sorted(parent, key=lambda layer: order.index(layer.get("id") or ""))
    ET.indent(root, " ")
    text = ET.tostring(root, encoding="unicode") + "\n"
    for number, found in enumerate(dict.fromkeys(re.findall(r"\{[0-9a-f-]{36}\}", text))):
        text = text.replace(found, f"{{{uuid.uuid5(uuid.NAMESPACE_OID, str(number))}}}")
    return text


if __name__ == "__main__":
    main()
