"""Tidying works on a change set: what it does are edits like those of QGIS, and it says them."""

import json
from collections.abc import Callable

import numpy as np
import pytest
import shapely
from shapely.geometry.base import BaseGeometry
from sqlalchemy import text
from sqlalchemy.orm import Session
from typer.testing import CliRunner, Result

from gridsvc.cli import app
from gridsvc.db import create_engine
from gridsvc.errors import GridsvcError
from gridsvc.grids.changesets import open_change_set, publish
from gridsvc.grids.models import ChangeSet
from gridsvc.grids.scheme_store import current_scheme, load_scheme
from gridsvc.grids.tidying import Tidying, tidy
from gridsvc.grids.validation import check
from tests.db_fixtures import MakeDatabase
from tests.factories import Areas, make_scheme, plan
from tests.small_city import FOUNDED_AT, SRID

Cli = Callable[..., Result]

UNIT = """
[[layer]]
code = "unit"
title = { zh = "网格", en = "Unit grid" }
kind = "tiling"
parent = "street"
"""

SOUTH, MIDDLE, NORTH = (0.0, 0.0), (6.729, 100.0), (13.457, 200.003)


def shape(*corners: tuple[float, float]) -> BaseGeometry:
    return plan(shapely.Polygon(corners))


def town(*, middle: tuple[float, float] = MIDDLE) -> Areas:
    """A street of four units along a slanted border; only east of it has the middle node."""
    west, east = -100, 120
    return {
        ("district", "D"): shape(
            (west, 0), SOUTH, (east, 0), (east, 100), (east, 200), NORTH, (west, 200)
        ),
        ("street", "W"): shape((west, 0), SOUTH, NORTH, (west, 200)),
        ("street", "E"): shape(SOUTH, (east, 0), (east, 100), (east, 200), NORTH),
        ("unit", "W1"): shape((west, 0), SOUTH, NORTH, (west, 200)),
        ("unit", "E1"): shape(SOUTH, (east, 0), (east, 100), middle),
        ("unit", "E2"): shape(middle, (east, 100), (east, 200), NORTH),
    }


def found(session: Session, areas: Areas) -> int:
    """Publish areas whose coordinates the database has rounded to its grid."""
    load_scheme(session, make_scheme(extra=UNIT))
    change_set = open_change_set(session, name="founding")
    propose(session, change_set, areas)
    return publish(session, change_set).revision


def propose(session: Session, change_set: ChangeSet, areas: Areas) -> None:
    session.execute(
        text("""
            INSERT INTO gridsvc.area_edit (change_set_id, layer, code, boundary, valid_from)
            VALUES (:change_set, :layer, :code,
                    ST_SnapToGrid(ST_SetSRID(ST_Multi(ST_GeomFromWKB(:shape)), :srid), 0.001),
                    :since)
        """),
        [
            {
                "change_set": change_set.id,
                "layer": layer,
                "code": code,
                "shape": shapely.to_wkb(drawn),
                "srid": SRID,
                "since": FOUNDED_AT,
            }
            for (layer, code), drawn in areas.items()
        ],
    )


def live(session: Session) -> dict[tuple[str, str], bytes]:
    """The boundaries that hold now, as bytes."""
    rows = session.execute(
        text("""
            SELECT layer, code, ST_AsBinary(boundary) AS boundary FROM gridsvc.area
            WHERE rev_to IS NULL AND valid_from <= now() AND (valid_to IS NULL OR valid_to > now())
        """)
    )
    return {(row.layer, row.code): bytes(row.boundary) for row in rows}


def run(session: Session, name: str = "tidy", *, whole: bool = True) -> Tidying:
    change_set = open_change_set(session, name=name)
    return tidy(session, current_scheme(session), change_set, whole=whole)


def redraw(session: Session, change_set: ChangeSet, code: str, drawn: BaseGeometry) -> None:
    """Propose another boundary of a live unit as QGIS does."""
    session.execute(
        text("""
            SELECT gridsvc.redraw_area(
                :change_set,
                (SELECT version FROM gridsvc.draft_area(:change_set, now())
                 WHERE layer = 'unit' AND code = :code),
                ST_SnapToGrid(ST_SetSRID(ST_Multi(ST_GeomFromWKB(:shape)), :srid), 0.001))
        """),
        {
            "change_set": change_set.id,
            "code": code,
            "shape": shapely.to_wkb(drawn),
            "srid": SRID,
        },
    )


def edits(session: Session, change_set: ChangeSet) -> list[tuple[object, ...]]:
    rows = session.execute(
        text("""
            SELECT layer, code, replaces IS NOT NULL, origin IS NOT NULL, boundary IS NOT NULL,
                   valid_from = :founded, valid_to IS NOT NULL, row_number
            FROM gridsvc.area_edit WHERE change_set_id = :id ORDER BY layer, code, id
        """),
        {"id": change_set.id, "founded": FOUNDED_AT},
    )
    return [tuple(row) for row in rows]


@pytest.fixture
def slanted(session: Session) -> Session:
    found(session, town())
    return session


def test_levels_get_the_node_and_the_rest_keeps_its_bytes(slanted: Session) -> None:
    before = live(slanted)
    done = run(slanted)
    assert [(area.layer, area.code) for area in done.areas] == [
        ("street", "E"),
        ("street", "W"),
        ("unit", "W1"),
    ]
    assert {area.change.nodes_added for area in done.areas} == {1}
    assert all(area.change.largest_move_mm <= 3 for area in done.areas)
    assert not done.left
    publish(slanted, open_change_set(slanted, name="tidy"))
    after = live(slanted)
    same = {name for name in before if before[name] == after[name]}
    assert same == {("district", "D"), ("unit", "E1"), ("unit", "E2")}
    for layer in ("street", "unit"):
        drawn = [shapely.from_wkb(wkb) for (kind, _), wkb in after.items() if kind == layer]
        assert shapely.coverage_is_valid(drawn)
        assert shapely.union_all(drawn).equals(shapely.from_wkb(after["district", "D"]))
    assert not run(slanted, "again").areas


def test_what_it_does_are_edits_as_of_qgis(slanted: Session) -> None:
    run(slanted)
    change_set = open_change_set(slanted, name="tidy")
    # layer, code, replaces, origin, boundary, begins as before, ends, row number
    ended = (True, False, True, True, True, 1)
    begun = (False, True, True, False, False, 1)
    assert edits(slanted, change_set) == [
        ("street", "E", *ended),
        ("street", "E", *begun),
        ("street", "W", *ended),
        ("street", "W", *begun),
        ("unit", "W1", *ended),
        ("unit", "W1", *begun),
    ]
    slanted.execute(
        text("UPDATE gridsvc.change_set SET state = 'checked' WHERE id = :id"),
        {"id": change_set.id},
    )
    assert not run(slanted).areas
    assert len(edits(slanted, change_set)) == 6


def test_a_version_that_the_change_set_proposes_is_changed_in_place(session: Session) -> None:
    found(session, town(middle=(6.73, 100.0)))
    change_set = open_change_set(session, name="june")
    redraw(session, change_set, "W1", shape((-100, 0), SOUTH, NORTH, (-100, 200), (-100, 150)))
    done = run(session, "june", whole=False)
    assert ("unit", "W1") in {(area.layer, area.code) for area in done.areas}
    mine = [row for row in edits(session, change_set) if row[:2] == ("unit", "W1")]
    assert [row[2] for row in mine] == [True, False]
    assert [row[-1] for row in mine] == [1, 2]  # QGIS sees that the row it loaded is stale


def test_only_what_the_change_set_proposes_is_tidied(session: Session) -> None:
    far = {
        (layer, f"far {code}"): shapely.transform(drawn, lambda xy: xy + np.array([500, 0]))
        for (layer, code), drawn in town().items()
    }
    found(session, town() | far)
    change_set = open_change_set(session, name="june")
    redraw(session, change_set, "W1", shape((-100, 0), SOUTH, NORTH, (-100, 200), (-100, 150)))
    done = run(session, "june", whole=False)
    assert done.areas
    assert not [area.code for area in done.areas if area.code.startswith("far")]
    assert [area.code for area in run(session).areas if area.code.startswith("far")]


def test_the_node_that_others_have_had_stays(session: Session) -> None:
    """A planner's corner 2 mm beside that of two unedited areas comes to theirs."""
    base = town() | {
        ("unit", "W1"): shape((-100, 0), SOUTH, MIDDLE, NORTH, (-100, 200)),
    }
    found(session, base)
    before = live(session)
    change_set = open_change_set(session, name="june")
    beside = (MIDDLE[0] - 0.002, MIDDLE[1])
    redraw(session, change_set, "W1", shape((-100, 0), SOUTH, beside, NORTH, (-100, 200)))
    done = run(session, "june", whole=False)
    moved = {area.code: area.change for area in done.areas if area.layer == "unit"}
    assert moved.keys() == {"W1"}
    assert moved["W1"].vertices_moved == 1
    assert moved["W1"].largest_move_mm == pytest.approx(2, abs=0.01)
    drawn = session.scalar(
        text("""SELECT ST_AsBinary(boundary) FROM gridsvc.area_edit
                WHERE change_set_id = :id AND code = 'W1' AND origin IS NOT NULL"""),
        {"id": change_set.id},
    )
    assert shapely.from_wkb(bytes(drawn)).equals(shapely.from_wkb(before["unit", "W1"]))


def test_the_checks_find_no_missing_node_afterwards(slanted: Session) -> None:
    def missing() -> set[str | None]:
        slanted.execute(
            text("SELECT gridsvc.lay_draft(:id, now(), '{district,street,unit}', false)"),
            {"id": open_change_set(slanted, name="tidy").id},
        )
        return {
            row.code
            for layer in ("district", "street", "unit")
            for row in slanted.execute(
                text("SELECT code FROM gridsvc.missing_nodes(:layer)"), {"layer": layer}
            )
        }

    assert missing() == {"W1"}  # its street has the very same edge, and lacks nothing yet
    run(slanted)
    assert missing() == set()
    change_set = open_change_set(slanted, name="tidy")
    assert not check(slanted, current_scheme(slanted), change_set=change_set)


def test_a_layer_that_is_not_tidied_is_refused(slanted: Session) -> None:
    change_set = open_change_set(slanted, name="tidy")
    for layer in ("courtyard", "lane"):
        with pytest.raises(GridsvcError, match=f"'{layer}' is no layer that tiles"):
            tidy(slanted, current_scheme(slanted), change_set, whole=True, layer=layer)


@pytest.fixture
def cli(make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch) -> Cli:
    url = make_database()
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        found(session, town())
    engine.dispose()
    monkeypatch.setenv("GRIDSVC_DATABASE_URL", url)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *args: CliRunner().invoke(app, [str(arg) for arg in args])


def test_the_command_says_what_it_did(cli: Cli) -> None:
    dry = cli("tidy", "--dry-run", "--json")
    assert dry.exit_code == 0, dry.output
    planned = json.loads(dry.stdout)
    assert planned["change_set"] is None
    assert [area["code"] for area in planned["areas"]] == ["E", "W", "W1"]
    assert planned["areas"][2] == {
        "layer": "unit",
        "code": "W1",
        "name": None,
        "nodes_added": 1,
        "vertices_moved": 0,
        "largest_move_mm": pytest.approx(0.6, abs=0.1),
        "slivers_closed": 1,
    }
    said = cli("tidy", "--layer", "unit")
    assert said.exit_code == 0, said.output
    assert "3 areas: 3 nodes added, 0 vertices moved, by 0.6 mm at most" in said.stdout
    name = said.stdout.rsplit(maxsplit=1)[-1]
    assert name.startswith("tidy-2")
    again = cli("tidy", "--change-set", name)
    assert "Nothing to tidy; nothing was changed." in again.stdout
    assert cli("publish", name).exit_code == 0
    assert json.loads(cli("tidy", "--json").stdout) == {
        "change_set": None,
        "dry_run": False,
        "slivers_closed": 0,
        "areas": [],
        "left": [],
    }
    unknown = cli("tidy", "--change-set", "july")
    assert unknown.exit_code == 1
    assert "july" in unknown.stderr
