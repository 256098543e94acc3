"""A planner's session in real QGIS, in the packaged project, with a planner's own login."""

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url
from typer.testing import CliRunner

from gridsvc.cli import app
from tests import planning_city
from tests.db_fixtures import MakeDatabase
from tests.planning_city import Planning
from tests.qgis.conftest import RunQgis

UNIT = "110105001001003"


@pytest.fixture(scope="module")
def town(make_database: MakeDatabase) -> Iterator[Planning]:
    town = planning_city.settle(make_database())
    yield town
    with psycopg.connect(town.url, autocommit=True) as owner:
        for name in town.names.values():
            owner.execute(f'DROP ROLE "{name}"')


@pytest.fixture(scope="module")
def project(town: Planning, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project in the package of the town."""
    folder = tmp_path_factory.mktemp("session") / "planners"
    made = CliRunner().invoke(
        app, ["qgis", "package", str(folder)], env={"GRIDSVC_DATABASE_URL": town.url}
    )
    assert made.exit_code == 0, made.output
    return folder / "gridsvc.qgz"


@pytest.fixture(scope="module")
def told(run_qgis: RunQgis, town: Planning, project: Path) -> dict[str, Any]:
    """What happened in the session."""
    with town.login("li") as li:
        found = li.execute(
            "SELECT ST_X(c.geom) AS x, ST_Y(c.geom) AS y, c.path[3] - 1 AS vertex"
            " FROM edit.unit AS u, ST_DumpPoints(u.boundary) AS c WHERE u.code = %s"
            " ORDER BY ST_X(c.geom) DESC, ST_Y(c.geom) DESC LIMIT 1",
            [UNIT],
        ).fetchone()
    assert found is not None
    to = [found["x"] + 7.5, found["y"] + 3.25]
    given = {"project": str(project), "code": UNIT, "vertex": found["vertex"], "to": to}
    return run_qgis("package_session.py", given=given, env=_environment(town, project, "li"))


def _environment(town: Planning, project: Path, who: str) -> dict[str, str]:
    passwords = project.parents[1] / "pgpass"
    passwords.write_text(f"*:*:*:*:{town.password}\n", encoding="utf-8")
    passwords.chmod(stat.S_IRUSR | stat.S_IWUSR)
    assert make_url(town.url).host
    return {
        "PGSERVICEFILE": str(project.parent / "pg_service.conf"),
        "PGPASSFILE": str(passwords),
        "PGUSER": town.names[who],
    }


def test_a_viewer_sees_all_and_can_edit_nothing(
    run_qgis: RunQgis, town: Planning, project: Path
) -> None:
    given = {"project": str(project)}
    found = run_qgis("package.py", given=given, env=_environment(town, project, "guest"))
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
