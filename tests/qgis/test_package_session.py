"""A planner's session in real QGIS, in the packaged project, with a planner's own login."""

from typing import Any

import pytest

from tests.qgis.conftest import Planners, RunQgis

UNIT = "110105001001003"


@pytest.fixture(scope="module")
def told(run_qgis: RunQgis, planners: Planners) -> dict[str, Any]:
    """What happened in the session."""
    with planners.town.login("li") as li:
        found = li.execute(
            "SELECT ST_X(c.geom) AS x, ST_Y(c.geom) AS y, c.path[3] - 1 AS vertex"
            " FROM edit.unit AS u, ST_DumpPoints(u.boundary) AS c WHERE u.code = %s"
            " ORDER BY ST_X(c.geom) DESC, ST_Y(c.geom) DESC LIMIT 1",
            [UNIT],
        ).fetchone()
    assert found is not None
    to = [found["x"] + 7.5, found["y"] + 3.25]
    given = {"project": planners.project, "code": UNIT, "vertex": found["vertex"], "to": to}
    return run_qgis("package_session.py", given=given, env=planners.environment("li"))


def test_a_viewer_sees_all_and_can_edit_nothing(run_qgis: RunQgis, planners: Planners) -> None:
    given = {"project": planners.project}
    found = run_qgis("package.py", given=given, env=planners.environment("guest"))
    assert found["invalid"] == []
    layers = found["layers"]
    assert layers["gridsvc_edit_unit"]["count"] == 40
    assert not [name for name, layer in layers.items() if layer["can_be_edited"]]


def test_a_change_set_is_opened_from_its_form(told: dict[str, Any]) -> None:
    assert told["read"]
    assert told["opened"]["accepted"]
    assert told["opened"]["saved"], told["opened"]["errors"]


def test_a_shape_is_saved_on_whole_millimetres_with_the_row_that_was_looked_at(
    told: dict[str, Any],
) -> None:
    assert told["precision_m"]["saved"], told["precision_m"]["errors"]
    assert told["precision_m"]["sent"] == ["row_number"]
    assert told["millimetres"] < 1e-3
    assert told["state"] == "changed"


def test_an_action_is_sent_from_the_form_and_nothing_else(told: dict[str, Any]) -> None:
    """A time that the form shows to the minute must not go back cut to the minute."""
    assert told["checked"]["saved"], told["checked"]["errors"]
    assert told["checked"]["sent"] == ["action"]


def test_what_is_wrong_stands_in_the_problems_layer(told: dict[str, Any]) -> None:
    assert "overlap" in told["problems"]


def test_a_stale_row_is_refused_and_the_edit_is_kept(told: dict[str, Any]) -> None:
    assert not told["stale"]["saved"]
    assert UNIT in told["stale"]["said"]
    assert told["kept"]


def test_what_is_drawn_keeps_off_its_own_layer_and_not_off_those_it_lies_in(
    told: dict[str, Any],
) -> None:
    """Why overlap is avoided on the edited layer, not on a list: docs/qgis.md."""
    assert told["drawn"]["overlap_m2"] < 0.01
    assert told["drawn"]["left_by_a_list_m2"] == 0  # its street covers all of it


def test_it_is_published_from_the_form(told: dict[str, Any]) -> None:
    assert told["mended"]["saved"], told["mended"]["errors"]
    assert told["published"]["saved"], told["published"]["errors"]
    assert told["closed"] == ["published", 2]


def test_the_slider_of_history_shows_the_state_of_its_day(told: dict[str, Any]) -> None:
    before, after = told["slider"]
    assert before != after
    assert after == ["甲"]
