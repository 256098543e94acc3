"""Draw the pictures of the guide: a planner's session in real QGIS, window by window.

    make qgis-pictures                              # calls the line below on a copy of the demo
    PGSERVICEFILE=… /usr/bin/python3 -m tools.qgis_pictures.draw PROJECT.qgz FOLDER

It opens a change set, edits and publishes, so the database should be a copy. What is drawn is
what QGIS Desktop draws: its layer panel, its map, its forms; only the frame around them is ours.
"""

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from qgis.core import (
    QgsApplication,
    QgsDataSourceUri,
    QgsFeature,
    QgsFeatureRequest,
    QgsGeometry,
    QgsLayerTreeModel,
    QgsLayoutExporter,
    QgsPointXY,
    QgsProject,
    QgsProviderRegistry,
    QgsRectangle,
    QgsVectorLayer,
    QgsVectorLayerUtils,
)
from qgis.gui import (
    QgsAttributeDialog,
    QgsAttributeEditorContext,
    QgsGui,
    QgsLayerTreeMapCanvasBridge,
    QgsLayerTreeView,
    QgsMapCanvas,
)
from qgis.PyQt.QtCore import QDateTime, Qt
from qgis.PyQt.QtGui import QFont, QImage
from qgis.PyQt.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

EDIT, PROBLEMS, IMPACT, HISTORY = "编辑 Edit", "问题 Problems", "影响 Impact", "历史 History"

WIDTH_PX, HEIGHT_PX, PANEL_PX = 1360, 820, 375
MOVED_M = (-42.0, 30.0)
"""East and north: the one node leaves a gap on one side and an overlap on another."""
REACH_M = 230.0
PREVIEWED_DAYS = 730
_SAME_M2 = 1e-6  # of a distance squared


def main() -> None:
    """Draw them all."""
    project_file, folder = sys.argv[1:]
    QgsApplication.setPrefixPath("/usr", True)
    application = QgsApplication([], True)
    application.initQgis()
    application.setFont(QFont("WenQuanYi Zen Hei", 10))
    QgsGui.editorWidgetRegistry().initEditors()
    project = QgsProject.instance()
    if not project.read(project_file):
        sys.exit(f"{project_file} cannot be opened: {project.error()}")
    session = _Session(project, Path(folder))
    session.play()
    print(f"{folder}: {', '.join(session.drawn)}")
    sys.stdout.flush()
    os._exit(0)  # the destructors of QGIS's Python objects are known to crash


class _Session:
    """A planner at work; each step leaves a picture."""

    def __init__(self, project: QgsProject, folder: Path) -> None:
        self._project = project
        self._folder = folder
        self._window = _Window(project)
        self._kept: list[object] = []
        self.drawn: list[str] = []

    def play(self) -> None:
        """Go through the day in the order of the guide."""
        self._shoot("project", EDIT, self._project.viewSettings().defaultViewExtent())
        name = self._open_change_set()
        before, after = self._move_alone()
        near = _around(after, REACH_M)
        self._shoot("edit", EDIT, near)
        self._shoot("problems", PROBLEMS, near)
        [row] = self._rows("gridsvc_change_set", f"\"name\" = '{name}'")
        row["action"] = "check"
        self._form("change-set", "gridsvc_change_set", row)
        self._form("assignment", "gridsvc_assignment", self._handed_over())
        self._move_with_it(before, after)
        self._preview(name)
        self._shoot("impact", IMPACT, near)
        self._act(name, "publish")
        self._shoot("history", HISTORY, near)
        self._sheet()

    def _open_change_set(self) -> str:
        layer = self._layer("gridsvc_change_set")
        layer.startEditing()
        row = QgsVectorLayerUtils.createFeature(layer)
        row["name"] = "春和路口调整"
        row["note"] = "路口拓宽，边界移到新的路中线 The junction was widened: follow its new middle"
        layer.addFeature(row)
        self._commit(layer)
        return str(row["name"])

    def _act(self, name: str, action: str) -> None:
        layer = self._layer("gridsvc_change_set")
        [row] = self._rows(layer.id(), f"\"name\" = '{name}'")
        layer.startEditing()
        layer.changeAttributeValue(row.id(), layer.fields().indexOf("action"), action)
        self._commit(layer)

    def _preview(self, name: str) -> None:
        """As the action does it, but over more days, so that the picture has reports to show."""
        layer = self._layer("gridsvc_change_set")
        [row] = self._rows(layer.id(), f"\"name\" = '{name}'")
        provider = QgsProviderRegistry.instance().providerMetadata("postgres")
        connection = provider.createConnection(
            QgsDataSourceUri(layer.source()).connectionInfo(True), {}
        )
        connection.executeSql(f"SELECT gridsvc.preview_impact({row['id']}, {PREVIEWED_DAYS})")

    def _move_alone(self) -> tuple[QgsPointXY, QgsPointXY]:
        """Move a node of one unit grid and of nothing else, as without topological editing."""
        before = self._crossing()
        units = self._layer("gridsvc_edit_unit")
        [unit, *_] = self._at(units, before)
        after = QgsPointXY(before.x() + MOVED_M[0], before.y() + MOVED_M[1])
        self._move(units, [unit], before, after)
        return before, after

    def _crossing(self) -> QgsPointXY:
        """Find where two communities of one street and four unit grids meet, near the middle."""
        middle = QgsPointXY(self._project.viewSettings().defaultViewExtent().center())
        streets = list(self._layer("gridsvc_edit_street").getFeatures())
        communities = self._layer("gridsvc_edit_community")
        units = self._layer("gridsvc_edit_unit")
        nodes = {
            (node.x(), node.y())
            for community in communities.getFeatures()
            for node in community.geometry().vertices()
        }
        for x, y in sorted(nodes, key=lambda it: middle.distance(QgsPointXY(*it))):
            place = QgsPointXY(x, y)
            around = QgsGeometry.fromPointXY(place).buffer(REACH_M / 2, 8)
            if (
                any(street.geometry().contains(around) for street in streets)
                and len(self._at(communities, place)) == 2  # noqa: PLR2004 -- as said
                and len(self._at(units, place)) == 4  # noqa: PLR2004
            ):
                return place
        sys.exit("nowhere do two communities of one street and four unit grids meet")

    def _move_with_it(self, before: QgsPointXY, after: QgsPointXY) -> None:
        """Move the same node of all that meet there: what planners do next."""
        for name in ("unit", "community"):
            layer = self._layer(f"gridsvc_edit_{name}")
            self._move(layer, self._at(layer, before), before, after)

    def _at(self, layer: QgsVectorLayer, place: QgsPointXY) -> list[QgsFeature]:
        """Give the areas that have a node at a place, those of the lowest codes first."""
        near = layer.getFeatures(QgsFeatureRequest(_around(place, 1)))
        having = [it for it in near if it.geometry().closestVertex(place)[-1] < _SAME_M2]
        return sorted(having, key=lambda it: it["code"])

    def _move(
        self, layer: QgsVectorLayer, areas: list[QgsFeature], before: QgsPointXY, after: QgsPointXY
    ) -> None:
        layer.startEditing()
        for area in areas:
            shape = QgsGeometry(area.geometry())
            shape.moveVertex(after.x(), after.y(), shape.closestVertex(before)[1])
            layer.changeGeometry(area.id(), shape)
        self._commit(layer)

    def _handed_over(self) -> QgsFeature:
        """A row as a planner fills it in, to hand an area over on the first of a month."""
        row, *_ = self._rows("gridsvc_assignment", '"layer" = \'community\' AND "rank" = 1')
        others = self._rows("gridsvc_party", "\"kind\" = 'person'")
        row["hand_over_to"] = next(it["code"] for it in others if it["code"] != row["party_code"])
        row["hand_over_at"] = QDateTime(2026, 12, 1, 9, 0)
        return row

    def _rows(self, layer_id: str, expression: str) -> list[QgsFeature]:
        request = QgsFeatureRequest().setFilterExpression(expression)
        return list(self._layer(layer_id).getFeatures(request))

    def _shoot(self, name: str, theme: str, extent: QgsRectangle) -> None:
        self._window.show_theme(theme, extent)
        self._keep(name, self._window.grab().toImage())

    def _form(self, name: str, layer_id: str, row: QgsFeature) -> None:
        layer = self._layer(layer_id)
        with _editing(layer):
            dialog = QgsAttributeDialog(layer, row, False, None, True, QgsAttributeEditorContext())
            dialog.resize(640, 560)
            dialog.show()
            _settle(5.0)  # until its choices have come from the database
            self._keep(name, dialog.grab().toImage())
            dialog.hide()
            self._kept += [dialog, row]

    def _sheet(self) -> None:
        [layout] = self._project.layoutManager().layouts()
        atlas = layout.atlas()
        atlas.updateFeatures()
        atlas.beginRender()
        atlas.seekTo(atlas.count() // 2)
        self._keep("sheet", QgsLayoutExporter(layout).renderPageToImage(0, dpi=90))
        atlas.endRender()

    def _keep(self, name: str, picture: QImage) -> None:
        path = self._folder / f"qgis-{name}.png"
        picture = picture.convertToFormat(QImage.Format_RGB32)
        palette = _palette(picture)
        picture = picture.convertToFormat(QImage.Format_Indexed8, palette, Qt.ThresholdDither)
        if not picture.save(str(path), "PNG", 0):
            sys.exit(f"{path} was not written")
        self.drawn.append(path.name)

    def _layer(self, layer_id: str) -> QgsVectorLayer:
        layer = self._project.mapLayer(layer_id)
        if layer is None or not layer.isValid():
            sys.exit(f"the project has no usable layer {layer_id}")
        return layer

    def _commit(self, layer: QgsVectorLayer) -> None:
        if not layer.commitChanges():
            sys.exit(f"{layer.name()} was not saved: {'; '.join(layer.commitErrors())}")


@contextmanager
def _editing(layer: QgsVectorLayer) -> Iterator[None]:
    begun = layer.isEditable()
    layer.startEditing()
    yield
    if not begun:
        layer.rollBack()


class _Window(QWidget):
    """The layer panel beside the map, as in QGIS's own window."""

    def __init__(self, project: QgsProject) -> None:
        super().__init__()
        self._project = project
        self.setStyleSheet("background: white")
        self._title = QLabel()
        self._title.setStyleSheet("background: #eceff1; padding: 6px; font-size: 15px")
        self._tree = QgsLayerTreeView()
        model = QgsLayerTreeModel(project.layerTreeRoot())
        model.setFlag(QgsLayerTreeModel.AllowNodeChangeVisibility)
        self._model = model
        self._tree.setModel(model)
        self._tree.setFixedWidth(PANEL_PX)
        self._tree.setFrameShape(QFrame.NoFrame)
        self._tree.setHorizontalScrollBarPolicy(Qt.ScrollBarAlwaysOff)
        self._tree.setVerticalScrollBarPolicy(Qt.ScrollBarAlwaysOff)
        self._canvas = QgsMapCanvas()
        self._canvas.setObjectName("theMapCanvas")
        self._canvas.setDestinationCrs(project.crs())
        self._canvas.enableAntiAliasing(True)
        self._bridge = QgsLayerTreeMapCanvasBridge(project.layerTreeRoot(), self._canvas)
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self._tree)
        row.addWidget(self._canvas)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._title)
        column.addLayout(row)
        self.resize(WIDTH_PX, HEIGHT_PX)
        self.show()
        _settle(0.3)

    def show_theme(self, theme: str, extent: QgsRectangle) -> None:
        """Choose a map theme, as in the eye menu of the layer panel, and look at a place."""
        root = self._project.layerTreeRoot()
        self._project.mapThemeCollection().applyTheme(theme, root, self._model)
        for group in root.findGroups():
            group.setExpanded(any(node.isVisible() for node in group.findLayers()))
        for node in root.findLayers():
            node.setExpanded(False)
        scale = "" if extent.width() > 3000 else f"  ·  1:{round(self._scale(extent), -2):,.0f}"  # noqa: PLR2004 -- metres
        self._title.setText(f"  {self._project.title()}  ·  地图主题 Theme: {theme}{scale}")
        self._bridge.setCanvasLayers()
        self._canvas.setExtent(extent)
        for layer in self._canvas.layers():
            layer.triggerRepaint()
        self._canvas.refreshAllLayers()
        self._canvas.waitWhileRendering()
        _settle(1.0)
        self._canvas.waitWhileRendering()
        _settle(0.3)

    def _scale(self, extent: QgsRectangle) -> float:
        self._canvas.setExtent(extent)
        return float(self._canvas.scale())


def _palette(picture: QImage) -> list[int]:
    """Choose 256 colours: a map has few, and with a palette takes half the bytes.

    Half are the commonest; the others stand for the rest, so that no rare colour, such as that of
    a small symbol, is turned into a common one. Unlike one that Qt chooses it dots no flat ground.
    """
    pixels = picture.bits()
    pixels.setsize(picture.sizeInBytes())
    counts = Counter(memoryview(pixels).cast("B").cast("I")).most_common()
    chosen = [colour for colour, _ in counts[:128]]
    shades: dict[int, int] = {}
    for colour, _ in counts[128:]:
        shades.setdefault(colour & 0xFFE0E0E0, colour)  # the three first bits of each
    return [*chosen, *shades.values()][:256]


def _around(place: QgsPointXY, reach_m: float) -> QgsRectangle:
    return QgsRectangle(
        place.x() - reach_m, place.y() - reach_m, place.x() + reach_m, place.y() + reach_m
    )


def _settle(seconds: float) -> None:
    """Let QGIS draw and answer what it has queued."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QgsApplication.processEvents()
        time.sleep(0.01)


if __name__ == "__main__":
    main()
