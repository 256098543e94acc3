"""A planner moves, splits, merges and draws boundaries in the packaged project.

Each session opens a change set, saves as QGIS saves, looks at what the problems layer says, and
withdraws. Coordinates are metres on the plan of tests/planning_city.py.
"""

from collections.abc import Callable
from typing import Any

import headless
from package_session import KEPT, fill_in, layer, row
from qgis.core import (
    QgsDataSourceUri,
    QgsFeature,
    QgsFeatureRequest,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsProviderRegistry,
    QgsVectorLayer,
    QgsVectorLayerEditUtils,
    QgsVectorLayerUtils,
)
from qgis.gui import QgsAttributeEditorContext, QgsAttributeForm, QgsGui, QgsRelationReferenceWidget

FIRST, THIRD, FOURTH = (f"11010500100100{n}" for n in (1, 3, 4))
THEIRS = "110105002001001"


class Session:
    """What the sessions ask of the open project."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.east, self.north = given["origin"]
        self.given = given
        self.units = layer("gridsvc_edit_unit")
        self.communities = layer("gridsvc_edit_community")
        self.yards = layer("gridsvc_edit_courtyard")
        self.sets = layer("gridsvc_change_set")

    def at(self, east_m: float, north_m: float) -> QgsPointXY:
        return QgsPointXY(self.east + east_m, self.north + north_m)

    def box(self, west_m: float, south_m: float, east_m: float, north_m: float) -> QgsGeometry:
        corners = [
            (west_m, south_m), (east_m, south_m), (east_m, north_m), (west_m, north_m),
        ]  # fmt: skip
        return QgsGeometry.fromPolygonXY([[self.at(*it) for it in [*corners, corners[0]]]])

    def open(self, name: str) -> None:
        new = QgsVectorLayerUtils.createFeature(self.sets)
        done = fill_in(self.sets, new, {"name": name}, new=True)
        assert done["saved"], done["errors"]
        for one in (self.units, self.communities, self.yards):
            one.dataProvider().reloadData()

    def act(self, name: str, action: str) -> dict[str, Any]:
        return fill_in(self.sets, row(self.sets, name, "name"), {"action": action})

    def move_node(self, of: QgsVectorLayer, here: QgsPointXY, there: QgsPointXY) -> int:
        """Move a node in all features that have it, as the vertex tool does with topology on."""
        moved = 0
        near = QgsGeometry.fromPointXY(here).buffer(0.01, 2).boundingBox()
        for feature in list(of.getFeatures(QgsFeatureRequest().setFilterRect(near))):
            point, vertex, _, _, squared = feature.geometry().closestVertex(here)
            if squared < 1e-6 and point.distance(here) < 1e-3:
                QgsVectorLayerEditUtils(of).moveVertex(there.x(), there.y(), feature.id(), vertex)
                moved += 1
        return moved

    def save(self, *layers: QgsVectorLayer) -> list[str]:
        """Save each layer; gives what was said where one could not be."""
        said = []
        for one in layers:
            if not one.commitChanges():
                said += one.commitErrors()
        return said

    def problems(self) -> list[str]:
        found = layer("gridsvc_problem_part")
        return sorted({it["kind"] for it in found.getFeatures()} | {
            it["kind"] for it in layer("gridsvc_problem_point").getFeatures()
        })  # fmt: skip


def shared_vertex(session: Session) -> dict[str, Any]:
    """Two communities and four units meet at (500, 200); all six follow."""
    here, there = session.at(500, 200), session.at(507.5, 203.25)
    moved = {}
    for name, one in (("units", session.units), ("communities", session.communities)):
        one.startEditing()
        moved[name] = session.move_node(one, here, there)
    return {"moved": moved, "said": session.save(session.units, session.communities)}


def one_sided(session: Session) -> dict[str, Any]:
    """One unit moves its edge alone: a gap and an overlap, until the neighbours follow."""
    told: dict[str, Any] = {}
    corners = (session.at(250, 200), session.at(250, 400))
    third = row(session.units, THIRD)
    session.units.startEditing()
    for corner, shift_m in zip(corners, (5, -5), strict=True):
        _, vertex, _, _, _ = row(session.units, THIRD).geometry().closestVertex(corner)
        session.units.moveVertex(corner.x() + shift_m, corner.y(), third.id(), vertex)
    told["said"] = session.save(session.units)
    told["wrong"] = session.problems()
    session.units.startEditing()
    for corner, shift_m in zip(corners, (5, -5), strict=True):
        session.move_node(
            session.units, corner, session.at(250 + shift_m, corner.y() - session.north)
        )
    told["said"] += session.save(session.units)
    told["mended"] = session.problems()
    return told


def split(session: Session, *, topological: bool) -> dict[str, Any]:
    session.units.startEditing()
    session.units.removeSelection()
    session.units.selectByExpression(f"code = '{THIRD}'")
    cut = [session.at(100, 190), session.at(110, 410)]
    result = session.units.splitFeatures(cut, topological)
    said = session.save(session.units)
    codes = sorted(it["code"] for it in session.units.getFeatures() if it["state"] == "new")
    return {"result": int(result), "said": said, "new": codes}


def split_alone(session: Session) -> dict[str, Any]:
    """Neighbours do not get the nodes at which the cut meets their edges."""
    return split(session, topological=False)


def split_with_topology(session: Session) -> dict[str, Any]:
    """Neighbours of the same layer get them; the community, which is not in edit, does not."""
    return split(session, topological=True)


def merge(session: Session) -> dict[str, Any]:
    """As the merge tool does: the shape goes to one, the other is deleted."""
    third, fourth = row(session.units, THIRD), row(session.units, FOURTH)
    session.units.startEditing()
    session.units.beginEditCommand("merge")
    session.units.deleteFeature(fourth.id())
    session.units.changeGeometry(third.id(), third.geometry().combine(fourth.geometry()))
    session.units.endEditCommand()
    said = session.save(session.units)
    return {"said": said, "left": sorted(it["code"] for it in session.units.getFeatures()
                                         if it["code"] in (THIRD, FOURTH))}  # fmt: skip


def invalid(session: Session) -> dict[str, Any]:
    """A ring that crosses itself is refused with its place, and the edit is not lost."""
    ring = [(0, 200), (250, 400), (250, 200), (0, 400), (0, 200)]
    bow_tie = QgsGeometry.fromPolygonXY([[session.at(*it) for it in ring]])
    session.units.startEditing()
    session.units.changeGeometry(row(session.units, THIRD).id(), bow_tie)
    said = session.save(session.units)
    kept = session.units.isModified()
    session.units.rollBack()
    return {"said": said, "kept": kept}


def other_street(session: Session) -> dict[str, Any]:
    session.units.startEditing()
    session.units.changeGeometry(row(session.units, THEIRS).id(), session.box(1000, 0, 1240, 200))
    said = session.save(session.units)
    session.units.rollBack()
    return {"said": said}


def along_one_edge(session: Session) -> dict[str, Any]:
    """The edge between two communities moves, and with it the units' on both sides."""
    moved = 0
    for one in (session.communities, session.units):
        one.startEditing()
        for north_m in range(0, 1001, 200):
            moved += session.move_node(one, session.at(500, north_m), session.at(490, north_m))
    return {"moved": moved, "said": session.save(session.communities, session.units)}


def delete_and_redraw(session: Session) -> dict[str, Any]:
    """What is drawn again too large is cut to the gap by avoid-overlap."""
    told: dict[str, Any] = {}
    session.units.startEditing()
    session.units.deleteFeature(row(session.units, FIRST).id())
    told["said"] = session.save(session.units)
    told["gap"] = session.problems()
    drawn = session.box(0, 0, 300, 250)
    # As the tool for drawing does where overlaps with the current layer are avoided.
    drawn.avoidIntersections([session.units])
    new = QgsVectorLayerUtils.createFeature(session.units, drawn)
    new["code"] = FIRST
    session.units.startEditing()
    session.units.addFeature(new)
    told["said"] += session.save(session.units)
    again = row(session.units, FIRST)
    told["state"], told["area_m2"] = again["state"], round(again.geometry().area(), 2)
    return told


def a_courtyard(session: Session) -> dict[str, Any]:
    """A new area of an overlay gets its code from the last of its kind; the first is typed."""
    said = []
    codes = []
    for west_m, code in ((10, "Y01"), (60, None)):
        new = QgsVectorLayerUtils.createFeature(
            session.yards, session.box(west_m, 10, west_m + 40, 60)
        )
        new["code"] = code
        session.yards.startEditing()
        session.yards.addFeature(new)
        said += session.save(session.yards)
        codes = sorted(it["code"] for it in session.yards.getFeatures())
    return {"said": said, "codes": codes}


def hand_over(session: Session) -> dict[str, Any]:
    """One action on the row of who holds it."""
    assignments = layer("gridsvc_assignment")
    held = f"area_code = '{THIRD}' AND duty = 'supervision'"

    def holders() -> list[QgsFeature]:
        assignments.dataProvider().reloadData()
        return list(assignments.getFeatures(QgsFeatureRequest().setFilterExpression(held)))

    [before] = holders()
    done = choose(assignments, before, "hand_over_to", "P2")
    after = [[it["party_code"], it["state"]] for it in holders()]
    again = QgsVectorLayerUtils.createFeature(assignments)
    for name, value in (
        ("party_code", "P3"), ("layer", "unit"), ("area_code", THIRD),
        ("duty", "supervision"), ("role", "supervisor"), ("rank", 1),
    ):  # fmt: skip
        again[name] = value
    assignments.startEditing()
    assignments.addFeature(again)
    said = session.save(assignments)
    assignments.rollBack()
    return {"done": done, "holders": sorted(after), "already": said}


def choose(of: QgsVectorLayer, feature: QgsFeature, name: str, code: str) -> dict[str, Any]:
    """Choose a party from the form's list."""
    of.startEditing()
    form = QgsAttributeForm(of, feature, QgsAttributeEditorContext())
    KEPT.extend([form, feature])
    [reference] = form.findChildren(QgsRelationReferenceWidget, name)
    reference.setForeignKeys([code])
    # Set by a program it keeps still; the planner's choice tells the form.
    reference.foreignKeysChanged.emit([code])
    accepted = form.save()
    saved = of.commitChanges()
    return {"accepted": accepted, "saved": saved, "errors": "\n".join(of.commitErrors())}


def preview(session: Session) -> dict[str, Any]:
    """What the draft would mean is a layer."""
    told = one_sided(session)
    told["previewed"] = session.act(session.given["name"], "preview")
    areas = layer("gridsvc_impact_area")
    told["areas"] = sorted(it["code"] for it in areas.getFeatures())
    return told


def conflict(session: Session) -> dict[str, Any]:
    """Somebody else publishes the same units first."""
    told = one_sided(session)
    uri = QgsDataSourceUri(session.units.source())
    uri.setUsername(session.given["other"]["login"])
    uri.setPassword(session.given["other"]["password"])
    other = QgsProviderRegistry.instance().providerMetadata("postgres").createConnection(
        uri.connectionInfo(True), {}
    )  # fmt: skip
    moved = (
        "UPDATE edit.unit SET boundary = ST_Multi(ST_SetSRID(ST_MakeEnvelope({}), 4547))"
        " WHERE code = '{}'"
    )
    for statement in (
        "INSERT INTO edit.change_set (name) VALUES ('theirs')",
        moved.format(self_box(session, 0, 200, 240, 400), THIRD),
        moved.format(self_box(session, 240, 200, 500, 400), FOURTH),
        "UPDATE edit.change_set SET action = 'publish' WHERE name = 'theirs'",
    ):
        other.executeSql(statement)
    told["refused"] = session.act(session.given["name"], "publish")
    told["shown"] = session.problems()
    return told


def self_box(session: Session, *sides: float) -> str:
    west, south, east, north = sides
    return ", ".join(
        str(it)
        for it in (
            session.east + west, session.north + south, session.east + east, session.north + north,
        )
    )  # fmt: skip


SESSIONS: dict[str, Callable[[Session], dict[str, Any]]] = {
    it.__name__: it
    for it in (
        shared_vertex, one_sided, split_alone, split_with_topology, merge, invalid, other_street,
        along_one_edge, delete_and_redraw, a_courtyard, hand_over, preview, conflict,
    )
}  # fmt: skip


def work(given: dict[str, Any]) -> dict[str, Any]:
    QgsGui.editorWidgetRegistry().initEditors()
    assert QgsProject.instance().read(given["project"])
    session = Session(given)
    told = {}
    for name, play in SESSIONS.items():
        session.open(name)
        given["name"] = name
        told[name] = play(session)
        told[name]["problems"] = session.problems()
        withdrawn = session.act(name, "withdraw")
        assert withdrawn["saved"], withdrawn["errors"]
    return told


if __name__ == "__main__":
    headless.run(work)
