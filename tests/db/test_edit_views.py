"""What planners do through the edit views: as QGIS does it, with their own logins."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import shapely
from typer.testing import CliRunner

from gridsvc.cli import app
from tests import planning_city
from tests.db_fixtures import MakeDatabase
from tests.planning_city import Planning, rectangle, wkt

U3, U4 = "110105001001003", "110105001001004"


@pytest.fixture
def town(make_database: MakeDatabase) -> Iterator[Planning]:
    with planning_city.settled(make_database()) as town:
        yield town


Login = psycopg.Connection[dict[str, Any]]


@pytest.fixture
def li(town: Planning) -> Iterator[Login]:
    with town.login("li") as connection:
        yield connection


def open_set(login: Login, name: str = "june") -> int:
    row = login.execute(
        "INSERT INTO edit.change_set (name, note) VALUES (%s, 'why') RETURNING id", [name]
    ).fetchone()
    assert row
    return int(row["id"])


def one(login: Login, query: str, *values: object) -> dict[str, Any]:
    row = login.execute(query, values).fetchone()
    assert row is not None
    return row


def unit(login: Login, code: str) -> dict[str, Any]:
    return one(login, "SELECT *, ST_AsText(boundary) AS wkt FROM edit.unit WHERE code = %s", code)


def move(login: Login, code: str, shape: str, layer: str = "unit") -> None:
    done = login.execute(f"UPDATE edit.{layer} SET boundary = %s WHERE code = %s", [shape, code])
    assert done.rowcount == 1


def act(login: Login, name: str, action: str) -> None:
    done = login.execute("UPDATE edit.change_set SET action = %s WHERE name = %s", [action, name])
    assert done.rowcount == 1


def problems(login: Login, *, nodes: bool = False) -> list[str]:
    """Name what the problems layer shows; missing nodes, which are only reported, if asked."""
    rows = login.execute(
        "SELECT kind, code, other FROM edit.problem WHERE (kind = 'missing_node') = %s"
        " ORDER BY kind, code, other",
        [nodes],
    )
    return [" ".join(filter(None, row.values())) for row in rows]


def refusal(login: Login, statement: str, *values: object) -> str:
    """Give all that the planner reads."""
    with pytest.raises(psycopg.DatabaseError) as refused:
        login.execute(statement, values)
    told = refused.value.diag
    assert told.sqlstate == "GS001", refused.value
    assert told.message_hint, "each refusal says what to do"
    return "\n".join(filter(None, (told.message_primary, told.message_detail, told.message_hint)))


def live(town: Planning, code: str) -> list[bytes]:
    with psycopg.connect(town.url) as owner:
        rows = owner.execute(
            "SELECT ST_AsBinary(boundary) FROM gridsvc.area"
            " WHERE code = %s AND rev_to IS NULL AND valid_to IS NULL",
            [code],
        ).fetchall()
    return [bytes(row[0]) for row in rows]


def test_a_planner_sees_the_newest_state_and_may_not_touch_its_tables(li: Login) -> None:
    assert one(li, "SELECT count(*) AS n, count(parent_code) AS p FROM edit.unit") == {
        "n": 40,
        "p": 40,
    }
    assert unit(li, U3)["parent_code"] == "110105001001"
    for table in ("area", "area_edit", "party", "change_set"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            li.execute(f"SELECT * FROM gridsvc.{table}")


def test_without_a_change_set_nothing_is_saved(li: Login) -> None:
    told = refusal(li, "UPDATE edit.unit SET name = 'x' WHERE code = %s", U3)
    assert "没有打开的变更集 / no change set is open for you" in told
    assert "Add a row to the table of change sets" in told


def test_an_edit_shows_in_the_own_draft_only(town: Planning, li: Login) -> None:
    open_set(li)
    before = unit(li, U3)
    move(li, U3, rectangle(0, 200, 240, 400))
    after = unit(li, U3)
    assert (after["key"], after["row_number"], after["state"]) == (before["key"], 1, "changed")
    assert after["area_m2"] == pytest.approx(240 * 200)
    with town.login("zhao") as zhao:
        assert unit(zhao, U3)["state"] == "base"
    assert live(town, U3) == [shapely.wkb.dumps(shapely.from_wkt(before["wkt"]))]


def test_a_one_sided_move_is_a_gap_until_the_neighbour_follows(li: Login) -> None:
    open_set(li)
    move(li, U3, rectangle(0, 200, 240, 400))
    assert problems(li) == ["gap 110105001001"]
    told = one(li, "SELECT * FROM edit.problem WHERE kind = 'gap'")
    assert told["stops"]
    assert told["message"] == (
        "in community 110105001001, 2000.00 m² belong to no unit (width 9.524 m)"
    )
    assert told["message_zh"] == (
        "社区 110105001001 内有 2000.00 平方米不属于任何单元网格（宽 9.524 米）"
    )
    move(li, U4, rectangle(230, 200, 500, 400))
    assert problems(li) == [f"overlap {U3} {U4}"]
    move(li, U4, rectangle(240, 200, 500, 400))
    assert problems(li) == []


def test_a_vertex_shared_by_two_communities_and_four_units_moves(li: Login) -> None:
    """The node at (500, 200) moves: all six that meet there follow in one save."""
    open_set(li)
    with li.transaction():
        for layer in ("community", "unit"):
            li.execute(
                f"""
                UPDATE edit.{layer} SET boundary = ST_Multi(ST_GeomFromText(replace(
                    ST_AsText(boundary), %s, %s), %s))
                WHERE ST_Intersects(boundary, ST_SetSRID(ST_MakePoint(%s, %s), %s))
                """,
                [
                    "{} {}".format(*planning_city.at(500, 200)),
                    "{} {}".format(*planning_city.at(507.5, 203.25)),
                    planning_city.SRID,
                    *planning_city.at(500, 200),
                    planning_city.SRID,
                ],
            )
    assert one(li, "SELECT count(*) AS n FROM edit.proposal")["n"] == 6
    assert problems(li) == []


def test_a_published_change_set_is_live_and_rolled_back_byte_for_byte(
    town: Planning, li: Login
) -> None:
    before = live(town, U3), live(town, U4)
    open_set(li)
    with li.transaction():
        move(li, U3, rectangle(0, 200, 240.1234, 400))
        move(li, U4, rectangle(240.1234, 200, 500, 400))
    act(li, "june", "check")
    assert one(li, "SELECT state FROM edit.change_set WHERE name = 'june'")["state"] == "checked"
    act(li, "june", "publish")
    row = one(li, "SELECT * FROM edit.change_set WHERE name = 'june'")
    assert (row["state"], row["revision"], row["is_shown"]) == ("published", 2, False)
    (boundary,) = live(town, U3)
    assert shapely.from_wkb(boundary).bounds[2] == pytest.approx(planning_city.at(240.123, 0)[0])
    told = one(li, "SELECT * FROM hist.change WHERE code = %s AND revision = 2", U3)
    assert (told["what"], told["author"], told["change_set"], told["note"]) == (
        "changed",
        town.names["li"],
        "june",
        "why",
    )
    with town.login("wang") as wang:
        act(wang, "founding", "rollback")
    assert (live(town, U3), live(town, U4)) == before


def test_split_makes_a_code_and_keeps_the_lineage(li: Login) -> None:
    """QGIS shrinks the original and adds a copy of its row, code and all."""
    open_set(li)
    with li.transaction():
        move(li, U3, rectangle(0, 200, 100, 400))
        new = one(
            li,
            "INSERT INTO edit.unit (key, row_number, code, name, state, boundary)"
            " VALUES (NULL, 0, %s, 'half', 'base', %s) RETURNING key, code, parent_code, state",
            U3,
            rectangle(100, 200, 250, 400),
        )
    assert new["code"] == "110105001001011"
    assert (new["parent_code"], new["state"]) == ("110105001001", "new")
    assert problems(li) == [
        "orphan 110105001001011 responsibility",
        "orphan 110105001001011 supervision",
    ]
    # Where the cut meets the units below and above, these have no node yet.
    assert problems(li, nodes=True) == [
        f"missing_node 110105001001001 {U3}",
        f"missing_node 110105001001005 {U3}",
    ]
    act(li, "june", "publish")
    told = one(li, "SELECT * FROM hist.change WHERE code = %s", new["code"])
    assert (told["what"], told["came_from"]) == ("new", U3)


def test_a_merge_ends_one_and_keeps_the_lineage(li: Login) -> None:
    """QGIS gives the merged shape to one row and deletes the other."""
    open_set(li)
    with li.transaction():
        move(li, U3, rectangle(0, 200, 500, 400))
        assert li.execute("DELETE FROM edit.unit WHERE code = %s", [U4]).rowcount == 1
    # P1 holds two duties on the one that ends.
    assert problems(li) == [f"unknown_area {U4} P1"] * 2
    rows = li.execute("SELECT code, what FROM edit.proposal ORDER BY code").fetchall()
    assert [tuple(row.values()) for row in rows] == [(U3, "changed"), (U4, "ended")]
    act(li, "june", "publish")
    told = one(li, "SELECT * FROM hist.change WHERE code = %s AND revision = 2", U3)
    assert (told["what"], told["came_from"]) == ("changed", U4)
    assert one(li, "SELECT count(*) AS n FROM edit.unit")["n"] == 39


def test_deleted_and_drawn_again_it_is_the_same_area(li: Login) -> None:
    open_set(li)
    key = unit(li, U3)["key"]
    li.execute("DELETE FROM edit.unit WHERE code = %s", [U3])
    # P1 holds two duties on it.
    assert problems(li) == ["gap 110105001001", *[f"unknown_area {U3} P1"] * 2]
    drawn = one(
        li,
        "INSERT INTO edit.unit (code, boundary) VALUES (%s, %s) RETURNING key, code, state",
        U3,
        rectangle(0, 200, 250, 400),
    )
    assert drawn == {"key": key, "code": U3, "state": "changed"}
    assert problems(li) == []


def test_an_edit_is_taken_back(li: Login) -> None:
    open_set(li)
    before = unit(li, U3)
    move(li, U3, rectangle(0, 200, 240, 400))
    li.execute("DELETE FROM edit.unit WHERE code = %s", [U4])
    for code in (U3, U4):
        assert li.execute("DELETE FROM edit.proposal WHERE code = %s", [code]).rowcount == 1
    assert unit(li, U3) == before
    assert problems(li) == []
    assert one(li, "SELECT count(*) AS n FROM edit.unit")["n"] == 40


def test_an_invalid_polygon_is_refused_with_its_place(li: Login) -> None:
    open_set(li)
    bow_tie = shapely.Polygon([(0, 200), (250, 400), (250, 200), (0, 400)])
    told = refusal(li, "UPDATE edit.unit SET boundary = %s WHERE code = %s", wkt(bow_tie), U3)
    east, north = planning_city.at(125, 300)
    assert f"the boundary of unit {U3} is not valid: Self-intersection" in told
    assert f"{east:.2f}, {north:.2f}" in told


def test_what_cannot_be_drawn_is_refused(li: Login) -> None:
    open_set(li)
    assert "has no boundary" in refusal(li, "INSERT INTO edit.unit (code) VALUES (NULL)")
    assert "smaller than a millimetre" in refusal(
        li,
        "INSERT INTO edit.unit (boundary) VALUES (%s)",
        rectangle(10, 10, 10.0003, 10.0003),
    )
    taken = refusal(li, "UPDATE edit.unit SET code = %s WHERE code = %s", U4, U3)
    assert f"another unit has the code {U4}" in taken


def test_another_streets_area_is_refused(town: Planning, li: Login) -> None:
    open_set(li)
    theirs = "110105002001001"
    told = refusal(
        li,
        "UPDATE edit.unit SET boundary = %s WHERE code = %s",
        rectangle(1000, 0, 1240, 200),
        theirs,
    )
    assert f"unit {theirs} lies in street 110105002 street 110105002, not on your ground" in told
    assert "Your ground: street 110105001; the place: " in told
    assert "not on your ground" in refusal(
        li,
        "INSERT INTO edit.courtyard (code, boundary) VALUES ('Y', %s)",
        rectangle(1100, 0, 1200, 99),
    )
    assert "not on your ground" in refusal(li, "DELETE FROM edit.unit WHERE code = %s", theirs)
    # Neither may an own area be moved over there.
    assert "not on your ground" in refusal(
        li, "UPDATE edit.unit SET boundary = %s WHERE code = %s", rectangle(1000, 0, 1240, 200), U3
    )
    with town.login("wang") as wang:
        open_set(wang, "chief's")
        move(wang, theirs, rectangle(1000, 0, 1240, 200))


def test_a_stale_row_is_refused(li: Login) -> None:
    """QGIS sends with each update which row it has seen: -1 - its number."""
    open_set(li)
    update = "UPDATE edit.unit SET boundary = %s, row_number = %s WHERE code = %s"
    li.execute(update, [rectangle(0, 200, 240, 400), -1, U3])
    li.execute(update, [rectangle(0, 200, 230, 400), -2, U3])
    told = refusal(li, update, rectangle(0, 200, 220, 400), -2, U3)
    assert f"unit {U3} was changed since you loaded it" in told
    assert "saved 2 times by li_" in told
    assert "Reload" in told


def test_someone_elses_change_set_is_looked_at_and_not_edited(town: Planning, li: Login) -> None:
    open_set(li)
    move(li, U3, rectangle(0, 200, 240, 400))
    with town.login("zhao") as zhao, town.login("wang") as wang:
        for other in (zhao, wang):
            act(other, "june", "show")
            assert unit(other, U3)["state"] == "changed"
            assert problems(other) == ["gap 110105001001"]
            told = refusal(other, "UPDATE edit.unit SET name = 'x' WHERE code = %s", U3)
            assert f'the change set "june" belongs to {town.names["li"]}' in told
        for action in ("withdraw", "check", "rebase"):
            told = refusal(
                zhao, "UPDATE edit.change_set SET action = %s WHERE name = 'june'", action
            )
            assert "belongs to" in told
        act(wang, "june", "withdraw")
    told = refusal(li, "UPDATE edit.unit SET name = 'x' WHERE code = %s", U3)
    assert 'the change set "june" is withdrawn already' in told


def test_a_viewer_looks_and_changes_nothing(town: Planning) -> None:
    with town.login("guest") as guest:
        assert one(guest, "SELECT count(*) AS n FROM edit.unit")["n"] == 40
        assert one(guest, "SELECT count(*) AS n FROM hist.unit")["n"] == 40
        assert one(guest, "SELECT name, phone FROM edit.party WHERE code = 'P1'") == {
            "name": "张**",
            "phone": "138****1234",
        }
        for statement in (
            "UPDATE edit.unit SET name = 'x'",
            "DELETE FROM edit.unit",
            "INSERT INTO edit.change_set (name) VALUES ('x')",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                guest.execute(statement)


def test_publishing_with_problems_names_them(li: Login) -> None:
    open_set(li)
    move(li, U3, rectangle(0, 200, 240, 400))
    told = refusal(li, "UPDATE edit.change_set SET action = 'publish' WHERE name = 'june'")
    assert "有 1 个问题阻止发布 / 1 problem stops it" in told
    assert "gap: in community 110105001001, 2000.00 m²" in told
    act(li, "june", "check")
    row = one(li, "SELECT state, problems FROM edit.change_set WHERE name = 'june'")
    # Two units beside the gap lack its corners' nodes.
    assert row == {"state": "open", "problems": 3}


def test_two_planners_in_conflict(town: Planning, li: Login) -> None:
    with town.login("wang") as wang:
        for login, name, east_m in ((li, "mine", 240), (wang, "theirs", 230)):
            open_set(login, name)
            with login.transaction():
                move(login, U3, rectangle(0, 200, east_m, 400))
                move(login, U4, rectangle(east_m, 200, 500, 400))
        act(wang, "theirs", "publish")
    # The planner's base does not move under the hands.
    assert unit(li, "110105001001005")["state"] == "base"
    assert problems(li) == [
        f"conflict {U3} {town.names['wang']}",
        f"conflict {U4} {town.names['wang']}",
    ]
    told = refusal(li, "UPDATE edit.change_set SET action = 'publish' WHERE name = 'mine'")
    assert f"conflict: unit {U3} was changed by {town.names['wang']} in revision 2 at " in told
    for code in (U3, U4):
        li.execute("DELETE FROM edit.proposal WHERE code = %s", [code])
    act(li, "mine", "rebase")
    assert unit(li, U3)["area_m2"] == pytest.approx(230 * 200)
    with li.transaction():
        move(li, U3, rectangle(0, 200, 235, 400))
        move(li, U4, rectangle(235, 200, 500, 400))
    act(li, "mine", "publish")


def test_a_planner_without_the_right_does_not_publish(town: Planning, li: Login) -> None:
    with psycopg.connect(town.url) as owner:
        owner.execute("UPDATE gridsvc.planner SET publishes = false")
    open_set(li)
    move(li, U3, rectangle(0, 200, 250, 400))
    told = refusal(li, "UPDATE edit.change_set SET action = 'publish' WHERE name = 'june'")
    assert "may not publish" in told
    with town.login("wang") as wang:
        act(wang, "june", "publish")
        row = one(wang, "SELECT state, author FROM edit.change_set WHERE name = 'june'")
        assert row == {"state": "published", "author": town.names["li"]}


def test_an_unknown_action_and_a_deleted_change_set_are_refused(li: Login) -> None:
    open_set(li)
    assert 'no action "launch"' in refusal(
        li, "UPDATE edit.change_set SET action = 'launch' WHERE name = 'june'"
    )
    assert "not deleted" in refusal(li, "DELETE FROM edit.change_set WHERE name = 'june'")
    assert "needs a name" in refusal(li, "INSERT INTO edit.change_set (name) VALUES (' ')")
    assert "is open already" in refusal(li, "INSERT INTO edit.change_set (name) VALUES ('june')")
    assert "takes edits back only" in refusal(
        li, "INSERT INTO edit.proposal (layer, code) VALUES ('unit', 'x')"
    )


def hand_over(login: Login, to: str, at: str | None, area: str = U3) -> int:
    return login.execute(
        "UPDATE edit.assignment SET hand_over_to = %s, hand_over_at = %s"
        " WHERE area_code = %s AND duty = 'supervision' AND hand_over_to IS NULL",
        [to, at, area],
    ).rowcount


def test_a_hand_over_is_one_action(town: Planning, li: Login) -> None:
    open_set(li)
    assert hand_over(li, "P2", "2026-12-01 08:00") == 1
    rows = li.execute(
        "SELECT party_code, valid_from::text, valid_to::text, state FROM edit.assignment"
        " WHERE area_code = %s AND duty = 'supervision' ORDER BY valid_from",
        [U3],
    ).fetchall()
    assert [tuple(row.values()) for row in rows] == [
        ("P1", "2026-01-01 08:00:00", "2026-12-01 08:00:00", "changed"),
        ("P2", "2026-12-01 08:00:00", None, "new"),
    ]
    assert problems(li) == []
    act(li, "june", "publish")
    with psycopg.connect(town.url) as owner:
        holders = owner.execute(
            "SELECT party_code, valid_from = '2026-12-01T08:00+08:00' FROM gridsvc.assignment"
            " WHERE area_code = %s AND duty = 'supervision' AND rev_to IS NULL ORDER BY valid_from",
            [U3],
        ).fetchall()
    assert holders == [("P1", False), ("P2", True)]


def test_who_holds_it_already_is_named(li: Login) -> None:
    open_set(li)
    told = refusal(
        li,
        "INSERT INTO edit.assignment (party_code, layer, area_code, duty, role, valid_from)"
        " VALUES ('P3', 'unit', %s, 'supervision', 'supervisor', '2026-06-01')",
        U3,
    )
    assert "already held by P1 from 2026-01-01T08:00+08:00 to …" in told
    assert "Hand over on that row" in told


@pytest.mark.parametrize(
    ("to", "at", "said"),
    [
        ("P9", "2026-12-01", "there is no party P9"),
        ("P1", "2026-12-01", "P1 holds"),
        ("P2", "2025-12-01", "is not within the term"),
        ("P2", "2026-01-01 08:00", "is not within the term"),
    ],
)
def test_a_hand_over_that_cannot_be_is_refused(li: Login, to: str, at: str, said: str) -> None:
    open_set(li)
    told = refusal(
        li,
        "UPDATE edit.assignment SET hand_over_to = %s, hand_over_at = %s"
        " WHERE area_code = %s AND duty = 'supervision'",
        to,
        at,
        U3,
    )
    assert said in told


def test_the_past_of_an_assignment_is_not_rewritten(li: Login) -> None:
    open_set(li)
    told = refusal(
        li,
        "UPDATE edit.assignment SET party_code = 'P2'"
        " WHERE area_code = %s AND duty = 'supervision'",
        U3,
    )
    assert "the past is not rewritten" in told


def test_people_of_another_street_are_not_touched(li: Login) -> None:
    open_set(li)
    theirs = "110105002001001"
    told = refusal(
        li,
        "UPDATE edit.assignment SET hand_over_to = 'P2'"
        " WHERE area_code = %s AND duty = 'supervision'",
        theirs,
    )
    assert "not on your ground" in told
    # P1 holds areas in both streets, so neither street's planner renames it.
    assert "not on your ground" in refusal(li, "UPDATE edit.party SET name = 'x' WHERE code = 'P1'")


def test_a_party_is_added_and_its_phone_is_kept_out_of_sight(town: Planning, li: Login) -> None:
    open_set(li)
    li.execute(
        "INSERT INTO edit.party (code, name, kind, phone)"
        " VALUES ('N1', '王芳', 'person', '13911112222')"
    )
    assert one(li, "SELECT name, phone, state FROM edit.party WHERE code = 'N1'") == {
        "name": "王芳",
        "phone": "139****2222",
        "state": "new",
    }
    li.execute("UPDATE edit.party SET name = '王方' WHERE code = 'N1'")
    act(li, "june", "publish")
    with psycopg.connect(town.url) as owner:
        stored = owner.execute("SELECT name, phone FROM gridsvc.party WHERE code = 'N1'").fetchone()
    assert stored == ("王方", "13911112222")


def test_hours_are_written_as_people_write_them(li: Login) -> None:
    open_set(li)
    row = one(
        li,
        "INSERT INTO edit.assignment"
        " (party_code, layer, area_code, duty, role, hours, valid_from)"
        " VALUES ('P3', 'community', '110105001001', 'supervision', 'supervisor',"
        " '周一至周五 08:00-20:00；sat 22:00-06:00', '2026-06-01') RETURNING hours",
    )
    assert row["hours"] == "mon,tue,wed,thu,fri 08:00-20:00; sat 22:00-24:00; sun 00:00-06:00"
    told = refusal(
        li,
        "INSERT INTO edit.assignment (party_code, layer, area_code, duty, role, hours)"
        " VALUES ('P3', 'community', '110105001001', 'enforcement', 'chief', 'daily')",
    )
    assert '"daily" is not days and a span of time' in told


def test_routing_serves_the_new_revision_within_a_second(town: Planning, li: Login) -> None:
    """The publish's notification names the revision, and SQL answers from it at once."""
    open_set(li)
    with li.transaction():
        move(li, U3, rectangle(0, 200, 240, 400))
        move(li, U4, rectangle(240, 200, 500, 400))
    lon_lat = planning_city.at(245, 300)
    with psycopg.connect(town.url, autocommit=True) as owner:
        owner.execute("LISTEN gridsvc_revision")
        act(li, "june", "publish")
        note = next(owner.notifies(timeout=1))
        assert note.payload == "2"
        row = owner.execute(
            "SELECT c.code"
            " FROM gridsvc.covering(ST_SetSRID(ST_MakePoint(%s, %s), %s), 2, now()) AS c"
            " WHERE c.layer = 'unit'",
            [*lon_lat, planning_city.SRID],
        ).fetchone()
        assert row == (U4,)


def test_a_planner_does_not_roll_others_back(town: Planning, li: Login) -> None:
    with town.login("zhao") as zhao:
        open_set(zhao, "theirs")
        move(zhao, "110105002001001", rectangle(1000, 0, 1250, 200))
        act(zhao, "theirs", "publish")
    told = refusal(li, "UPDATE edit.change_set SET action = 'rollback' WHERE name = 'founding'")
    assert "may not roll back" in told


def test_nobody_draws_the_own_ground_larger(li: Login) -> None:
    """The street's border reaches over only to let the neighbour's units be edited."""
    open_set(li)
    move(li, "110105001", rectangle(0, 0, 1900, 1000), layer="street")
    assert "not on your ground" in refusal(
        li,
        "UPDATE edit.unit SET boundary = %s WHERE code = '110105002001001'",
        rectangle(1000, 0, 1240, 200),
    )


def test_no_login_hangs_the_services_triggers_on_a_table_of_its_own(town: Planning) -> None:
    """A cast from a type of its own would be run with the rights of the service."""
    with psycopg.connect(town.url, autocommit=True) as owner:
        functions = owner.execute(
            "SELECT proname FROM pg_proc WHERE pronamespace = 'gridsvc'::regnamespace"
            " AND prosecdef AND prorettype = 'trigger'::regtype"
        ).fetchall()
        assert ("recheck_now",) in functions
        owner.execute("SET ROLE gridsvc_reader")
        owner.execute("CREATE TEMPORARY TABLE bait (change_set_id integer)")
        for (function,) in functions:
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match=function):
                owner.execute(
                    "CREATE TRIGGER bait AFTER INSERT ON bait"
                    f" FOR EACH ROW EXECUTE FUNCTION gridsvc.{function}()"
                )


SUPERVISION = "WHERE area_code = %s AND duty = 'supervision'"


@pytest.mark.parametrize("change", ["party_code = 'P2'", "area_code = '110105001001004', rank = 2"])
def test_the_past_is_not_rewritten_in_two_steps(li: Login, change: str) -> None:
    open_set(li)
    li.execute(f"UPDATE edit.assignment SET role = 'chief' {SUPERVISION}", [U3])
    told = refusal(li, f"UPDATE edit.assignment SET {change} {SUPERVISION}", U3)
    assert f"P1 holds supervision of unit {U3} already: the past is not rewritten" in told


def test_what_is_changed_and_then_deleted_leaves_a_vacancy(li: Login) -> None:
    open_set(li)
    li.execute(f"UPDATE edit.assignment SET role = 'chief' {SUPERVISION}", [U3])
    for _ in range(2):
        li.execute(f"DELETE FROM edit.assignment {SUPERVISION}", [U3])
        assert problems(li) == [f"vacancy {U3}"]


def test_a_duty_is_not_moved_away_unseen(li: Login) -> None:
    open_set(li)
    told = refusal(
        li,
        f"UPDATE edit.assignment SET layer = 'community', area_code = '110105001001' {SUPERVISION}",
        U3,
    )
    assert "the past is not rewritten" in told


def test_a_hole_on_a_hair_is_a_gap(li: Login) -> None:
    """On the whole 2 mm wide, for the hair is long; yet a fifth of a metre where it is a hole."""
    open_set(li)
    hair, hole = 249.999, 249.8
    shape = [(0, 200), (hair, 200), (hair, 300), (hole, 300), (hole, 300.2), (hair, 300.2)]
    move(li, U3, wkt(shapely.Polygon([*shape, (hair, 400), (0, 400)])))
    assert problems(li) == ["gap 110105001001"]
    told = one(li, "SELECT area_m2, width_m FROM edit.problem WHERE kind = 'gap'")
    assert told["area_m2"] == pytest.approx(0.04, rel=0.02)
    assert told["width_m"] > 0.1


def schedule(li: Login) -> None:
    """Publish that the border of two units moves in a year to come."""
    li.execute("INSERT INTO edit.change_set (name, takes_effect_at) VALUES ('later', '2050-06-01')")
    with li.transaction():
        move(li, U3, rectangle(0, 200, 240, 400))
        move(li, U4, rectangle(240, 200, 500, 400))
    act(li, "later", "publish")


def test_an_edit_that_a_scheduled_one_follows_is_shown_and_judged_now(li: Login) -> None:
    schedule(li)
    open_set(li, "now")
    move(li, U3, rectangle(0, 200, 260, 400))
    assert unit(li, U3)["area_m2"] == pytest.approx(260 * 200)
    assert problems(li) == [f"overlap {U3} {U4}"]


def test_an_edit_is_judged_with_what_is_scheduled(li: Login) -> None:
    """Right today, but when the border of its neighbour moves, both claim the same ground."""
    schedule(li)
    open_set(li, "now")
    with li.transaction():
        move(li, U3, rectangle(0, 200, 250, 390))
        move(li, "110105001001005", rectangle(0, 390, 250, 600))
    assert problems(li) == [f"overlap {code} 110105001001005" for code in (U3, U4)]
    told = one(li, "SELECT message FROM edit.problem WHERE kind = 'overlap'")["message"]
    assert told.endswith("(at 2050-06-01T00:00+08:00)")


def test_what_is_only_told_is_not_written_in_silence(li: Login) -> None:
    open_set(li)
    for column, value in (("state", "published"), ("author", "somebody"), ("base_revision", 0)):
        told = refusal(li, f"UPDATE edit.change_set SET {column} = %s WHERE name = 'june'", value)
        assert "not written by hand" in told
    for column in ("parent_code", "state"):
        told = refusal(li, f"UPDATE edit.unit SET {column} = 'x' WHERE code = %s", U3)
        assert "not written by hand" in told


def test_duties_left_on_an_area_that_ends_are_told(li: Login) -> None:
    open_set(li)
    with li.transaction():
        move(li, U3, rectangle(0, 200, 500, 400))
        li.execute("DELETE FROM edit.unit WHERE code = %s", [U4])
    rows = li.execute(
        "SELECT message, stops FROM edit.problem WHERE kind = 'unknown_area' ORDER BY message"
    ).fetchall()
    assert [tuple(row.values()) for row in rows] == [
        (f"P1 still holds responsibility of unit {U4}, which ends", False),
        (f"P1 still holds supervision of unit {U4}, which ends", False),
    ]


def test_ending_the_last_areas_of_a_layer_leaves_a_gap(town: Planning) -> None:
    with town.login("wang") as wang:
        open_set(wang)
        wang.execute("DELETE FROM edit.street")
        told = refusal(wang, "UPDATE edit.change_set SET action = 'publish' WHERE name = 'june'")
    assert "gap: in district 110105" in told
    assert "spill: community" in told


def test_two_who_change_one_party_conflict(town: Planning, li: Login) -> None:
    with psycopg.connect(town.url) as owner:
        owner.execute("INSERT INTO gridsvc.party VALUES ('P7', '赵七', 'person', '13700000000')")
    open_set(li, "mine")
    li.execute("UPDATE edit.party SET name = '赵柒' WHERE code = 'P7'")
    with town.login("wang") as wang:
        open_set(wang, "theirs")
        wang.execute("UPDATE edit.party SET phone = '13711112222' WHERE code = 'P7'")
        act(wang, "theirs", "publish")
    told = refusal(li, "UPDATE edit.change_set SET action = 'publish' WHERE name = 'mine'")
    assert f"party P7 was changed by {town.names['wang']} in revision 2 at " in told
    # Taken back and made again, it leaves the other's change as it is.
    li.execute("DELETE FROM edit.party WHERE code = 'P7'")
    act(li, "mine", "rebase")
    li.execute("UPDATE edit.party SET name = '赵柒' WHERE code = 'P7'")
    act(li, "mine", "publish")
    with psycopg.connect(town.url) as owner:
        row = owner.execute("SELECT name, phone FROM gridsvc.party WHERE code = 'P7'").fetchone()
    assert row == ("赵柒", "13711112222")


def test_the_command_line_gives_the_list_of_the_problems_layer(town: Planning, li: Login) -> None:
    with town.login("wang") as wang:
        for login, name, east_m in ((li, "mine", 240), (wang, "theirs", 230)):
            open_set(login, name)
            move(login, U3, rectangle(0, 200, east_m, 400))
        move(wang, U4, rectangle(230, 200, 500, 400))
        act(wang, "theirs", "publish")
    shown = li.execute("SELECT kind, stops, code, message FROM edit.problem").fetchall()
    run = CliRunner().invoke(
        app, ["check", "--change-set", "mine", "--json"], env={"GRIDSVC_DATABASE_URL": town.url}
    )
    assert run.exit_code == 1
    told = json.loads(run.stdout)["findings"]
    assert {"gap", "missing_node", "conflict"} == {row["kind"] for row in shown}
    assert sorted(tuple(row.values()) for row in shown) == sorted(
        (one["kind"], one["stops"], one["code"], one["message"]) for one in told
    )


def test_what_takes_effect_later_is_answered_from_then_on(town: Planning, li: Login) -> None:
    li.execute(
        "INSERT INTO edit.change_set (name, takes_effect_at) VALUES ('later', '2050-06-01 08:00')"
    )
    with li.transaction():
        move(li, U3, rectangle(0, 200, 240, 400))
        move(li, U4, rectangle(240, 200, 500, 400))
    assert problems(li) == []
    act(li, "later", "publish")
    with psycopg.connect(town.url) as owner:
        held = [
            owner.execute(
                "SELECT c.code FROM gridsvc.covering("
                "ST_SetSRID(ST_MakePoint(%s, %s), %s), 2, %s) AS c WHERE c.layer = 'unit'",
                [*planning_city.at(245, 300), planning_city.SRID, at],
            ).fetchall()
            for at in ("2050-06-01T07:59:59+08:00", "2050-06-01T08:00:00+08:00")
        ]
    assert held == [[(U3,)], [(U4,)]]
