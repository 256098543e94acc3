"""What planners do in real QGIS with the packaged project, each with a login of their own."""

from typing import Any

import psycopg
import pytest

from tests import planning_city
from tests.qgis.conftest import Planners, RunQgis

FIRST, THIRD, FOURTH = (f"11010500100100{n}" for n in (1, 3, 4))


@pytest.fixture(scope="module")
def told(run_qgis: RunQgis, planners: Planners) -> dict[str, Any]:
    """What happened in each of the planner's sessions."""
    return run_qgis(
        "boundary_sessions.py",
        given={
            "project": planners.project,
            "origin": planning_city.at(0, 0),
            "other": {"login": planners.town.names["wang"], "password": planners.town.password},
        },
        env=planners.environment("li"),
    )


def test_a_vertex_of_two_communities_and_four_units_moves_whole(told: dict[str, Any]) -> None:
    assert told["shared_vertex"] == {
        "moved": {"units": 4, "communities": 2},
        "said": [],
        "problems": [],
    }


def test_a_one_sided_move_is_a_gap_and_an_overlap_until_it_is_mended(told: dict[str, Any]) -> None:
    session = told["one_sided"]
    assert session["said"] == []
    assert set(session["wrong"]) >= {"gap", "overlap"}
    assert session["mended"] == session["problems"] == []


@pytest.mark.parametrize("name", ["split_alone", "split_with_topology"])
def test_a_split_makes_a_code_and_only_reports(told: dict[str, Any], name: str) -> None:
    session = told[name]
    assert session["said"] == []
    assert session["new"] == ["110105001001011"]
    # Nobody holds the new half's duties, and the cut's ends are nodes that others lack.
    assert set(session["problems"]) <= {"orphan", "missing_node"}
    assert "orphan" in session["problems"]


def test_a_merge_ends_one_unit(told: dict[str, Any]) -> None:
    assert told["merge"]["said"] == []
    assert told["merge"]["left"] == [THIRD]
    # The one that ends still has holders, which is told and stops nothing.
    assert told["merge"]["problems"] == ["unknown_area"]


def test_an_invalid_polygon_is_refused_with_its_place_and_kept(told: dict[str, Any]) -> None:
    said = "\n".join(told["invalid"]["said"])
    east, north = planning_city.at(125, 300)
    assert "无效" in said
    assert "Self-intersection" in said
    assert f"{east:.2f}, {north:.2f}" in said
    assert told["invalid"]["kept"]


def test_another_streets_unit_is_refused(told: dict[str, Any]) -> None:
    said = "\n".join(told["other_street"]["said"])
    assert "不在您的范围内" in said
    assert "lies in street 110105002" in said


def test_two_layers_move_along_one_boundary(told: dict[str, Any]) -> None:
    session = told["along_one_edge"]
    # Two communities and the units beside each node.
    assert session["moved"] == 2 * 6 + 2 * 2 + 4 * 4
    assert session["said"] == []
    # Where the edge meets the rim of the street, which was not in edit, that has no node yet.
    assert session["problems"] == ["missing_node"]


def test_what_was_deleted_is_drawn_again_without_overlap(told: dict[str, Any]) -> None:
    session = told["delete_and_redraw"]
    assert session["said"] == []
    assert session["gap"] == ["gap", "unknown_area"]
    assert (session["state"], session["area_m2"]) == ("changed", 250 * 200)
    assert session["problems"] == []


def test_a_new_courtyard_counts_on(told: dict[str, Any]) -> None:
    session = told["a_courtyard"]
    assert session["said"] == []
    assert session["codes"] == ["Y01", "Y02"]


def test_a_hand_over_is_one_action_and_a_second_holder_is_refused(told: dict[str, Any]) -> None:
    session = told["hand_over"]
    assert session["done"]["saved"], session["done"]["errors"]
    assert session["holders"] == [["P1", "changed"], ["P2", "new"]]
    assert "already held by" in "\n".join(session["already"])


def test_the_preview_is_a_layer(told: dict[str, Any]) -> None:
    session = told["preview"]
    assert session["previewed"]["saved"], session["previewed"]["errors"]
    assert set(session["areas"]) >= {THIRD, FOURTH}


def test_a_conflict_names_the_other_planner_and_the_revision(
    told: dict[str, Any], planners: Planners
) -> None:
    session = told["conflict"]
    assert not session["refused"]["saved"]
    assert (
        f"was changed by {planners.town.names['wang']} in revision 2"
        in session["refused"]["errors"]
    )
    assert "conflict" in session["shown"]


def test_a_viewer_sees_all_layers_and_edits_none(run_qgis: RunQgis, planners: Planners) -> None:
    seen = run_qgis(
        "chief_and_viewer.py",
        given={"project": planners.project},
        env=planners.environment("guest"),
    )
    assert seen["invalid"] == []
    assert seen["editable"] == []
    assert seen["rows"] == 40
    assert seen["party"] == ["张**", "138****1234"]


def test_a_chief_rolls_back_byte_for_byte(
    run_qgis: RunQgis, planners: Planners, told: dict[str, Any]
) -> None:
    assert told  # its conflict has published revision 2

    def live(code: str) -> bytes:
        with psycopg.connect(planners.town.url) as owner:
            found = owner.execute(
                "SELECT ST_AsBinary(boundary) FROM gridsvc.area"
                " WHERE code = %s AND rev_to IS NULL AND valid_to IS NULL",
                [code],
            ).fetchall()
        [row] = found
        return bytes(row[0])

    def founded(code: str) -> bytes:
        with psycopg.connect(planners.town.url) as owner:
            found = owner.execute(
                "SELECT ST_AsBinary(boundary) FROM gridsvc.area WHERE code = %s AND rev_from = 1",
                [code],
            ).fetchall()
        [row] = found
        return bytes(row[0])

    assert live(THIRD) != founded(THIRD)
    seen = run_qgis(
        "chief_and_viewer.py",
        given={"project": planners.project, "rollback": "founding", "code": THIRD},
        env=planners.environment("wang"),
    )
    assert seen["invalid"] == []
    assert seen["done"]["saved"], seen["done"]["errors"]
    for code in (THIRD, FOURTH):
        assert live(code) == founded(code)
    assert seen["changes"] == [
        [1, "new", "gridsvc"],
        [2, "changed", planners.town.names["wang"]],
        [3, "changed", planners.town.names["wang"]],
    ]
