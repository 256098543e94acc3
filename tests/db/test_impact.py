"""What a change set would mean is what publishing it does mean, report by report."""

import json
import random
import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import geopandas as gpd
import psycopg
import pytest
import shapely
from geoalchemy2.shape import from_shape
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from typer.testing import CliRunner, Result

from gridsvc.cli import app
from gridsvc.crs import from_wgs84
from gridsvc.db import create_engine
from gridsvc.errors import QuestionError
from gridsvc.grids.changesets import open_change_set, publish
from gridsvc.grids.models import ChangeSet
from gridsvc.grids.scheme_store import load_scheme
from gridsvc.reports.models import Report
from tests import planning_city, small_city
from tests.db_fixtures import MakeDatabase
from tests.factories import (
    EAST_M,
    NORTH_M,
    STORAGE,
    appoint,
    ask,
    box,
    found,
    live_area,
    make_scheme,
    new_change_set,
    propose_absence,
    propose_area,
    propose_component,
    propose_holder,
    propose_party,
)

WEST = box(0, 0, 100, 100)
EAST = box(100, 0, 200, 100)
TOWN = {("district", "D"): box(0, 0, 200, 100), ("street", "W"): WEST, ("street", "E"): EAST}
GAPS = ('parent = "district"', 'parent = "district"\nfindings = { gap = "report" }')
DUTIES = ("responsible", "management", "enforcement_lead", "enforcement_assistant", "supervisor")


def report(
    session: Session,
    east_m: float,
    north_m: float,
    *,
    category: str | None = None,
    days_ago: float = 1.0,
    received_at: datetime | None = None,
) -> uuid.UUID:
    """Store a report at a point of the plan."""
    report_id = uuid.uuid4()
    x, y = EAST_M + east_m, NORTH_M + north_m
    session.add(
        Report(
            id=report_id,
            source="test",
            source_id=str(report_id),
            x=x,
            y=y,
            crs=STORAGE,
            lon=116.45,
            lat=39.92,
            point=from_shape(shapely.Point(x, y), srid=small_city.SRID),
            category=category,
            received_at=received_at or datetime.now(UTC) - timedelta(days=days_ago),
        )
    )
    session.flush()
    return report_id


def preview(
    session: Session, change_set: ChangeSet, *, days: int = 90, at: datetime | None = None
) -> dict[str, Any]:
    """Preview a change set; gives the row of its totals."""
    session.flush()
    row = session.execute(
        text("SELECT * FROM gridsvc.preview_impact(:id, :days, :at)"),
        {"id": change_set.id, "days": days, "at": at},
    ).one()
    return dict(row._mapping)


Moves = dict[uuid.UUID, dict[str, tuple[str | None, str | None]]]


def moves(session: Session, change_set: ChangeSet) -> Moves:
    """Give for each report that moves its duties with from whom to whom."""
    rows = session.execute(
        text("""
            SELECT report_id, duties, parties_from, parties_to
            FROM gridsvc.impact_report WHERE change_set_id = :id
        """),
        {"id": change_set.id},
    )
    return {
        row.report_id: {
            duty: (old, new)
            for duty, old, new in zip(row.duties, row.parties_from, row.parties_to, strict=True)
        }
        for row in rows
    }


def parties(session: Session, change_set: ChangeSet) -> dict[tuple[str, str | None], Any]:
    """Give gains and losses by duty and party."""
    rows = session.execute(
        text("""
            SELECT duty, party_code, gains, losses
            FROM gridsvc.impact_party WHERE change_set_id = :id
        """),
        {"id": change_set.id},
    )
    return {(row.duty, row.party_code): (row.gains, row.losses) for row in rows}


def areas(session: Session, change_set: ChangeSet) -> dict[str, Any]:
    """Give what is said of each changed area, by code."""
    rows = session.execute(
        text("SELECT * FROM gridsvc.impact_area WHERE change_set_id = :id"), {"id": change_set.id}
    )
    return {row.code: row for row in rows}


def move_border(session: Session, to_m: float) -> ChangeSet:
    change_set = new_change_set(session, "border")
    for code, shape in (("W", box(0, 0, to_m, 100)), ("E", box(to_m, 0, 200, 100))):
        propose_area(session, change_set, "street", code, shape, replaces=live_area(session, code))
    return change_set


@pytest.fixture
def town(session: Session) -> Session:
    found(session, TOWN)
    appoint(
        session,
        {"party": "PW", "layer": "street", "area": "W"},
        {"party": "PE", "layer": "street", "area": "E"},
        {"party": "MW", "layer": "street", "area": "W", "duty": "management"},
        {"party": "ME", "layer": "street", "area": "E", "duty": "management"},
        {"party": "S", "layer": "district", "area": "D", "duty": "supervision"},
    )
    return session


def test_a_moved_border_moves_what_lies_between_its_old_and_its_new_place(town: Session) -> None:
    # On an edge that two share, the lower code has it: "E".
    between = {
        report(town, east, north): east
        for east, north in ((100.001, 50), (120, 3), (149.999, 99), (120, 0), (120, 100))
    }
    on_the_old_edge = report(town, 100, 50)
    on_an_old_corner = report(town, 100, 100)
    staying = [
        report(town, east, north)
        for east, north in ((150, 50), (150, 0), (99.999, 50), (150.001, 50), (10, 10), (200, 100))
    ]
    change_set = move_border(town, 150)
    told = preview(town, change_set)
    moved = moves(town, change_set)
    assert set(moved) == {*between, on_the_old_edge, on_an_old_corner}
    assert not set(staying) & set(moved)
    assert moved[on_the_old_edge] == {"responsible": ("PE", "PW"), "management": ("ME", "MW")}
    assert (told["reports"], told["moved"], told["stops"], told["conflicts"]) == (13, 7, 0, 0)
    assert parties(town, change_set) == {
        ("responsible", "PE"): (0, 7),
        ("responsible", "PW"): (7, 0),
        ("management", "ME"): (0, 7),
        ("management", "MW"): (7, 0),
    }


def test_areas_tell_what_they_gain_and_how_much_of_the_edge_moved(town: Session) -> None:
    change_set = move_border(town, 150)
    preview(town, change_set)
    west, east = areas(town, change_set)["W"], areas(town, change_set)["E"]
    assert (west.what, east.what) == ("changed", "changed")
    assert (west.area_before_m2, west.area_after_m2) == pytest.approx((10_000, 15_000))
    assert (east.area_before_m2, east.area_after_m2) == pytest.approx((10_000, 5_000))
    assert (west.length_before_m, west.length_after_m) == pytest.approx((400, 500))
    # The new eastern edge and 50 m more of the northern and southern ones.
    assert west.moved_edge_m == pytest.approx(200, abs=0.05)
    assert east.moved_edge_m == pytest.approx(100, abs=0.05)
    ground = town.scalar(text("SELECT ST_AsBinary(part) FROM gridsvc.impact_area WHERE code = 'W'"))
    assert shapely.from_wkb(bytes(ground)).equals(box(100, 0, 150, 100))


def test_the_length_of_a_street_drawn_as_a_line_is_that_of_its_line(town: Session) -> None:
    change_set = new_change_set(town)
    propose_area(town, change_set, "courtyard", "L", box(0, 40, 100, 60))
    town.execute(
        text("""
            UPDATE gridsvc.area_edit SET width_m = 20, centre_line = ST_SetSRID(ST_Multi(
                ST_MakeLine(ST_MakePoint(:x, :y), ST_MakePoint(:x + 100, :y))), :srid)
        """),
        {"x": EAST_M, "y": NORTH_M + 50, "srid": small_city.SRID},
    )
    preview(town, change_set)
    street = areas(town, change_set)["L"]
    assert (street.length_before_m, street.length_after_m) == (None, 100)
    assert (street.what, street.area_after_m2) == ("new", pytest.approx(2_000))


def test_a_node_put_on_an_edge_changes_no_ground(town: Session) -> None:
    report(town, 100, 50)
    change_set = new_change_set(town)
    noded = shapely.union_all([box(0, 0, 100, 33.333), box(0, 33.333, 100, 100)])
    propose_area(town, change_set, "street", "W", noded, replaces=live_area(town, "W"))
    assert preview(town, change_set)["moved"] == 0
    assert areas(town, change_set) == {}


def test_a_published_draft_can_still_be_looked_at(town: Session) -> None:
    one = report(town, 120, 50)
    change_set = move_border(town, 150)
    publish(town, change_set)
    preview(town, change_set)
    assert moves(town, change_set)[one]["responsible"] == ("PE", "PW")


def test_a_hand_over_moves_all_reports_of_the_area_for_that_duty_only(town: Session) -> None:
    inside = {report(town, east, 50) for east in (1, 50, 99)}
    report(town, 150, 50)
    change_set = new_change_set(town)
    propose_party(town, change_set, "NEW")
    held = town.scalar(text("SELECT id FROM gridsvc.assignment WHERE party_code = 'MW'"))
    propose_holder(town, change_set, "NEW", "street", "W", duty="management", replaces=held)
    told = preview(town, change_set)
    assert moves(town, change_set) == {one: {"management": ("MW", "NEW")} for one in inside}
    assert (told["compared"], told["moved"]) == (3, 3)
    assert areas(town, change_set) == {}


def test_a_hand_over_in_a_month_is_shown_as_it_will_be(town: Session) -> None:
    one = report(town, 50, 50)
    next_month = datetime.now(UTC) + timedelta(days=30)
    change_set = new_change_set(town)
    propose_party(town, change_set, "NEW")
    held = town.scalar(text("SELECT id FROM gridsvc.assignment WHERE party_code = 'PW'"))
    propose_holder(town, change_set, "PW", "street", "W", valid_to=next_month, replaces=held)
    propose_holder(town, change_set, "NEW", "street", "W", valid_from=next_month)
    told = preview(town, change_set)
    assert told["judged_at"] == next_month
    assert moves(town, change_set) == {one: {"responsible": ("PW", "NEW")}}


def test_a_planned_end_does_not_move_the_instant_to_it(town: Session) -> None:
    one = report(town, 50, 50)
    change_set = new_change_set(town)
    propose_party(town, change_set, "NEW")
    held = town.scalar(text("SELECT id FROM gridsvc.assignment WHERE party_code = 'PW'"))
    propose_holder(
        town,
        change_set,
        "NEW",
        "street",
        "W",
        valid_to=datetime(2099, 1, 1, tzinfo=UTC),
        replaces=held,
    )
    preview(town, change_set)
    assert moves(town, change_set) == {one: {"responsible": ("PW", "NEW")}}


def test_a_split_and_a_merge(town: Session) -> None:
    north, south = report(town, 50, 75), report(town, 50, 25)
    change_set = new_change_set(town)
    propose_party(town, change_set, "PN")
    propose_area(town, change_set, "street", "W", box(0, 0, 100, 50), replaces=live_area(town, "W"))
    propose_area(town, change_set, "street", "N", box(0, 50, 100, 100))
    propose_holder(town, change_set, "PN", "street", "N")
    preview(town, change_set)
    # Nobody manages the new half yet.
    assert moves(town, change_set) == {
        north: {"responsible": ("PW", "PN"), "management": ("MW", None)}
    }
    assert parties(town, change_set)["management", None] == (1, 0)
    assert {code: row.what for code, row in areas(town, change_set).items()} == {
        "W": "changed",
        "N": "new",
    }

    merged = new_change_set(town, "merge")
    propose_area(town, merged, "street", "W", None, replaces=live_area(town, "W"))
    propose_area(town, merged, "street", "E", box(0, 0, 200, 100), replaces=live_area(town, "E"))
    preview(town, merged)
    expected = {"responsible": ("PW", "PE"), "management": ("MW", "ME")}
    assert moves(town, merged) == {north: expected, south: expected}
    ended = areas(town, merged)["W"]
    assert (ended.what, ended.area_after_m2, ended.moved_edge_m) == ("ended", None, None)


def test_a_specialist_takes_the_reports_of_the_category_alone(town: Session) -> None:
    theirs = report(town, 50, 50, category="0102")
    for category in (None, "0201", "0302"):
        report(town, 50, 50, category=category)
    change_set = new_change_set(town)
    propose_party(town, change_set, "WATER")
    propose_holder(town, change_set, "WATER", "street", "W", category="01")
    preview(town, change_set)
    assert moves(town, change_set) == {theirs: {"responsible": ("PW", "WATER")}}


def test_a_report_of_a_category_that_the_city_does_not_know_stays(town: Session) -> None:
    report(town, 120, 50, category="9999")
    told = preview(town, move_border(town, 150))
    assert (told["reports"], told["compared"], told["moved"]) == (1, 0, 0)


def test_a_shift_is_judged_by_the_hour_at_which_reports_came(town: Session) -> None:
    tuesday = datetime(2026, 11, 10, tzinfo=UTC)
    by_day = report(town, 50, 50, received_at=tuesday + timedelta(hours=2))  # 10:00 in Beijing
    report(town, 50, 50, received_at=tuesday + timedelta(hours=15))  # 23:00
    change_set = new_change_set(town)
    propose_party(town, change_set, "DAY")
    held = town.scalar(text("SELECT id FROM gridsvc.assignment WHERE party_code = 'PW'"))
    propose_holder(
        town, change_set, "DAY", "street", "W", hours="mon-sun 08:00-20:00", replaces=held
    )
    propose_holder(town, change_set, "PW", "street", "W", hours="mon-sun 20:00-08:00")
    preview(town, change_set, days=3650)
    assert moves(town, change_set) == {by_day: {"responsible": ("PW", "DAY")}}


def test_only_the_last_days_count(town: Session) -> None:
    new = report(town, 120, 50, days_ago=29)
    old = report(town, 120, 50, days_ago=31)
    report(town, 120, 50, days_ago=-1)  # received tomorrow, by a clock that is wrong
    change_set = move_border(town, 150)
    assert preview(town, change_set, days=30)["reports"] == 1
    assert set(moves(town, change_set)) == {new}
    assert preview(town, change_set)["moved"] == 2
    assert set(moves(town, change_set)) == {new, old}


def test_an_empty_change_set_means_nothing(town: Session) -> None:
    report(town, 120, 50)
    told = preview(town, new_change_set(town))
    assert (told["reports"], told["compared"], told["moved"]) == (1, 0, 0)


def test_a_draft_that_could_not_be_published_is_previewed_and_says_so(town: Session) -> None:
    report(town, 120, 50)
    lost = report(town, 180, 50)
    change_set = new_change_set(town)
    # W takes ground that E keeps, and E gives ground to nobody.
    propose_area(
        town, change_set, "street", "W", box(0, 0, 150, 100), replaces=live_area(town, "W")
    )
    propose_area(
        town, change_set, "street", "E", box(100, 0, 160, 100), replaces=live_area(town, "E")
    )
    told = preview(town, change_set)
    assert told["stops"] == 2
    # Where two claim a point the lower code has it.
    assert set(moves(town, change_set)) == {lost}
    assert moves(town, change_set)[lost] == {
        "responsible": ("PE", None),
        "management": ("ME", None),
    }


def test_two_holders_of_one_duty_do_not_stop_a_preview(town: Session) -> None:
    one = report(town, 50, 50)
    change_set = new_change_set(town)
    propose_party(town, change_set, "TOO")
    propose_holder(town, change_set, "TOO", "street", "W")
    assert preview(town, change_set)["stops"] == 1
    assert moves(town, change_set) == {one: {"responsible": ("PW", "TOO")}}


def test_a_party_that_nobody_knows_does_not_stop_a_preview(town: Session) -> None:
    one = report(town, 50, 50)
    change_set = new_change_set(town)
    held = town.scalar(text("SELECT id FROM gridsvc.assignment WHERE party_code = 'PW'"))
    propose_holder(town, change_set, "GHOST", "street", "W", replaces=held)
    preview(town, change_set)
    assert moves(town, change_set) == {one: {"responsible": ("PW", "GHOST")}}
    assert town.scalar(text("SELECT count(*) FROM gridsvc.party WHERE code = 'GHOST'")) == 0


def test_an_old_draft_is_compared_with_its_own_base(town: Session) -> None:
    moved, later = report(town, 120, 50), report(town, 20, 50)
    change_set = move_border(town, 150)
    base = change_set.base_revision
    # Meanwhile W is handed over: no affair of this draft, which rests on what was before.
    meanwhile = new_change_set(town, "meanwhile")
    held = town.scalar(text("SELECT id FROM gridsvc.assignment WHERE party_code = 'PW'"))
    propose_party(town, meanwhile, "LATE")
    propose_holder(town, meanwhile, "LATE", "street", "W", replaces=held)
    propose_area(town, meanwhile, "street", "W", WEST, name="West", replaces=live_area(town, "W"))
    publish(town, meanwhile)
    told = preview(town, change_set)
    assert told["base_revision"] == base
    assert told["conflicts"] > 0
    assert moves(town, change_set)[moved]["responsible"] == ("PE", "PW")
    assert later not in moves(town, change_set)


def test_a_preview_takes_the_place_of_the_last_one(town: Session) -> None:
    report(town, 120, 50)
    change_set = move_border(town, 150)
    preview(town, change_set)
    preview(town, change_set)
    for table in ("impact", "impact_party", "impact_area", "impact_report"):
        rows = town.scalar(text(f"SELECT count(*) FROM gridsvc.{table}"))
        assert rows == {"impact": 1, "impact_party": 4, "impact_area": 2, "impact_report": 1}[table]


@pytest.mark.parametrize("days", [0, -1, 36_501, None])
def test_days_that_are_none_are_refused(town: Session, days: int | None) -> None:
    change_set = new_change_set(town)
    with pytest.raises(DBAPIError, match="days to replay must be from 1 to 36500"):
        town.execute(
            text("SELECT gridsvc.preview_impact(:id, :days)"), {"id": change_set.id, "days": days}
        )


def test_an_unknown_change_set_is_refused(town: Session) -> None:
    with pytest.raises(DBAPIError, match="there is no change set 987654"):
        town.execute(text("SELECT gridsvc.preview_impact(987654)"))


def test_before_anything_is_published_all_is_gained(session: Session) -> None:
    load_scheme(session, make_scheme())
    one = report(session, 50, 50)
    change_set = new_change_set(session)
    for (layer, code), shape in TOWN.items():
        propose_area(session, change_set, layer, code, shape)
    propose_party(session, change_set, "PW")
    propose_holder(session, change_set, "PW", "street", "W")
    preview(session, change_set)
    assert moves(session, change_set) == {one: {"responsible": (None, "PW")}}


# Nothing is left behind

LIVE = ("area", "area_piece", "revision", "assignment", "absence", "component", "party")


def whole(session: Session, table: str) -> str:
    """Tell a table's content, its geometry byte for byte."""
    return session.execute(
        text(
            f"SELECT md5(coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '')) "
            f"FROM gridsvc.{table} AS t"
        )
    ).scalar_one()


@pytest.fixture
def own(make_database: MakeDatabase) -> Iterator[Engine]:
    """A database of the test's own with the town committed in it and a draft over it."""
    engine = create_engine(make_database())
    with Session(engine) as session, session.begin():
        found(session, TOWN, scheme=make_scheme(GAPS, extra=STAND_INS))
        appoint(session, {"party": "PW", "layer": "street", "area": "W", "duty": "enforcement"})
        report(session, 120, 50)
        change_set = move_border(session, 150)
        propose_absence(session, change_set, "PW", small_city.FOUNDED_AT)
        propose_party(session, change_set, "PE")
        propose_holder(session, change_set, "PE", "street", "E", duty="enforcement")
    yield engine
    engine.dispose()


def test_nothing_is_left_behind_and_no_lock_remains(own: Engine) -> None:
    with Session(own) as session:
        before = {table: whole(session, table) for table in LIVE}
    with Session(own) as session:
        change_set = open_change_set(session, name="border")
        preview(session, change_set)
        assert {table: whole(session, table) for table in LIVE} == before
        assert moves(session, change_set)
        session.commit()
        locks = session.scalar(
            text(
                "SELECT count(*) FROM pg_locks"
                " WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
            )
        )
        assert locks == 0
        left = session.scalar(
            text(
                "SELECT count(*) FROM pg_class"
                " WHERE relpersistence = 't' AND relname LIKE 'replay%'"
            )
        )
        assert left == 0
    with Session(own) as session:
        assert {table: whole(session, table) for table in LIVE} == before


def test_a_preview_neither_waits_for_a_publisher_nor_makes_one_wait(own: Engine) -> None:
    with Session(own) as previewing, Session(own) as publishing:
        preview(previewing, open_change_set(previewing, name="border"))  # not committed
        publishing.execute(text("SET lock_timeout = '2s'"))
        other = new_change_set(publishing, "other")
        propose_area(
            publishing, other, "street", "W", WEST, name="West", replaces=live_area(publishing, "W")
        )
        publish(publishing, other)
        # And while that one is not committed either, another preview.
        with Session(own) as third:
            third.execute(text("SET lock_timeout = '2s'"))
            mine = new_change_set(third, "mine")
            propose_area(third, mine, "courtyard", "Y", box(110, 10, 130, 90))
            propose_party(third, mine, "PY")
            propose_holder(third, mine, "PY", "courtyard", "Y")
            assert preview(third, mine)["moved"] == 1
        publishing.commit()


# The oracle: publish the draft and ask the service itself

STAND_INS = """
[[stand_in]]
duty = "enforcement"
by = ["neighbour", "assistant"]

[[tier]]
code = "ownership_unclear"
title = { zh = "权属不清", en = "Ownership unclear" }
duty = "management"
layer = "street"

[[component]]
category = "C01"
within_m = 15
apart_m = 3
"""
CATEGORIES = (None, "0102", "0103", "0201", "C0101", "C0102", "C0201")
SHIFTS = ("", "", "mon-fri 08:00-20:00", "mon-sun 20:00-08:00", "sat-sun 00:00-24:00")
SIDE = 4
CELL_M = 60.0
NOW_ON = datetime(2027, 3, 1, tzinfo=UTC)  # a Monday, 08:00 in Beijing


class RandomCity:
    """A city of chance, and a draft of chance over it, by one seed."""

    def __init__(self, session: Session, seed: int) -> None:
        self.session = session
        self.chance = random.Random(seed)
        self.codes = [f"U{row}{column}" for row in range(SIDE) for column in range(SIDE)]
        self.party_count = 0
        specialists = """
[[ladder]]
duty = "enforcement"
category = "02"
layers = ["shop_front", "district"]
"""
        extra = STAND_INS + (specialists if seed % 2 else "")
        self.scheme = make_scheme(GAPS, extra=extra)

    def shape(self, code: str, grow_m: float = 0.0) -> shapely.Geometry:
        """Draw a street's cell; a grown one reaches over its eastern neighbour."""
        row, column = int(code[1]), int(code[2])
        return box(
            column * CELL_M, row * CELL_M, (column + 1) * CELL_M + grow_m, (row + 1) * CELL_M
        )

    def somebody(self, change_set: ChangeSet) -> str:
        """Propose a party."""
        self.party_count += 1
        code = f"P{self.party_count}"
        propose_party(self.session, change_set, code)
        return code

    def found(self) -> None:
        """Publish areas, people, absences and components."""
        session, chance = self.session, self.chance
        shapes = {("district", "D"): box(0, 0, SIDE * CELL_M, SIDE * CELL_M)}
        shapes |= {("street", code): self.shape(code) for code in self.codes}
        for n in range(6):
            west, south = chance.randrange(200), chance.randrange(200)
            layer = chance.choice(("courtyard", "shop_front"))
            shapes[layer, f"{layer[0]}{n}"] = box(west, south, west + 40, south + 40)
        self.places = list(shapes)
        found(session, shapes, scheme=self.scheme)
        people = new_change_set(session, "people")
        for layer, code in shapes:
            for duty in ("responsibility", "management", "enforcement", "supervision"):
                if chance.random() < 0.8:
                    self.propose_holders(people, layer, code, duty)
        for n in range(self.party_count // 5):
            propose_absence(session, people, f"P{1 + n * 5}", small_city.FOUNDED_AT)
        publish(session, people)
        components = new_change_set(session, "components")
        for n in range(12):
            propose_component(
                session,
                components,
                f"K{n}",
                f"P{1 + chance.randrange(self.party_count)}",
                east_m=round(chance.uniform(0, 240), 3),
                north_m=round(chance.uniform(0, 240), 3),
                category=chance.choice(("C0101", "C0102")),
            )
        publish(session, components)

    def propose_holders(self, change_set: ChangeSet, layer: str, code: str, duty: str) -> None:
        """Propose who leads, by what shift, and perhaps an assistant and a specialist."""
        chance = self.chance
        put = {"duty": duty, "hours": chance.choice(SHIFTS)}
        propose_holder(self.session, change_set, self.somebody(change_set), layer, code, **put)
        if chance.random() < 0.5:
            propose_holder(
                self.session, change_set, self.somebody(change_set), layer, code, rank=2, **put
            )
        if chance.random() < 0.3:
            propose_holder(
                self.session,
                change_set,
                self.somebody(change_set),
                layer,
                code,
                duty=duty,
                category=chance.choice(("01", "0102", "02", "C01")),
            )

    def report_all_over(self, count: int) -> dict[uuid.UUID, tuple[float, float, Any, datetime]]:
        """Store reports anywhere, many of them on edges, on nodes and by components."""
        chance, told = self.chance, {}
        for _ in range(count):
            east, north = chance.uniform(-5, 245), chance.uniform(-5, 245)
            kind = chance.random()
            if kind < 0.25:
                east = chance.randrange(SIDE + 1) * CELL_M + chance.choice((0, 0, 10, 20))
            if 0.15 < kind < 0.35:
                north = chance.randrange(SIDE + 1) * CELL_M
            category = chance.choice(CATEGORIES)
            received_at = datetime(2026, 10, 1, tzinfo=UTC) + timedelta(
                minutes=chance.randrange(40 * 24 * 60)
            )
            one = report(self.session, east, north, category=category, received_at=received_at)
            told[one] = (east, north, category, received_at)
        return told

    def draft(self) -> ChangeSet:
        """Propose a few changes of every kind."""
        session, chance = self.session, self.chance
        change_set = new_change_set(session, "draft")
        for code in chance.sample([c for c in self.codes if int(c[2]) % 2 == 0], 2):
            self.move_edge(change_set, code, chance.choice((10.0, 20.0, -20.0)))
        for layer, code in chance.sample([p for p in self.places if p[0] != "district"], 3):
            self.hand_over(change_set, layer, code)
        if chance.random() < 0.5:
            self.hand_over(change_set, "district", "D")
        propose_area(session, change_set, "courtyard", "NEW", box(20, 30, 70, 90))
        propose_holder(session, change_set, self.somebody(change_set), "courtyard", "NEW")
        away = f"P{1 + chance.randrange(self.party_count)}"
        if not session.scalar(
            text("SELECT count(*) FROM gridsvc.absence WHERE party_code = :party"), {"party": away}
        ):
            propose_absence(session, change_set, away, small_city.FOUNDED_AT)
        back = session.execute(text("SELECT id FROM gridsvc.absence ORDER BY id LIMIT 1")).scalar()
        propose_absence(session, change_set, None, None, replaces=back)
        gone = session.execute(text("SELECT id, code FROM gridsvc.component LIMIT 1")).one()
        propose_component(session, change_set, gone.code, None, replaces=gone.id)
        for n in range(3):
            propose_component(
                session,
                change_set,
                f"new{n}",
                f"P{1 + chance.randrange(self.party_count)}",
                east_m=round(chance.uniform(0, 240), 3),
                north_m=round(chance.uniform(0, 240), 3),
            )
        return change_set

    def move_edge(self, change_set: ChangeSet, code: str, by_m: float) -> None:
        """Propose another edge between a street and its eastern neighbour."""
        row, column = int(code[1]), int(code[2])
        other = f"U{row}{column + 1}"
        edge = (column + 1) * CELL_M + by_m
        south, north = row * CELL_M, (row + 1) * CELL_M
        for one, west, east in (
            (code, column * CELL_M, edge),
            (other, edge, (column + 2) * CELL_M),
        ):
            propose_area(
                self.session,
                change_set,
                "street",
                one,
                box(west, south, east, north),
                replaces=live_area(self.session, one),
            )

    def hand_over(self, change_set: ChangeSet, layer: str, code: str) -> None:
        """Propose another holder in place of each, or none."""
        held = self.session.execute(
            text("""
                SELECT * FROM gridsvc.assignment
                WHERE layer = :layer AND area_code = :code AND rev_to IS NULL ORDER BY id
            """),
            {"layer": layer, "code": code},
        ).all()
        for row in held:
            if self.chance.random() < 0.5:
                self.session.execute(
                    text("""
                        INSERT INTO gridsvc.assignment_edit
                            (change_set_id, replaces, party_code, layer, area_code, duty, role,
                             rank, category, hours, valid_from)
                        SELECT :change_set, s.id, :party, s.layer, s.area_code, s.duty, s.role,
                               s.rank, s.category, s.hours, s.valid_from
                        FROM gridsvc.assignment AS s WHERE s.id = :id
                    """),
                    {
                        "change_set": change_set.id,
                        "id": row.id,
                        "party": self.somebody(change_set),
                    },
                )


def same_hour(received_at: datetime) -> datetime:
    """Give the instant, in the week that is judged, of a report's hour of the week."""
    return NOW_ON + (received_at - NOW_ON) % timedelta(days=7)


def holders(session: Session, told: tuple[float, float, Any, datetime]) -> dict[str, str | None]:
    """Ask the service who has each duty."""
    east, north, category, received_at = told
    answer = ask_or_none(session, east, north, category, same_hour(received_at))
    if answer is None:
        return dict.fromkeys(DUTIES)
    enforcement = answer["enforcement"] or {"lead": None, "assistant": None}
    given = (
        answer["responsible"],
        answer["management"],
        enforcement["lead"],
        enforcement["assistant"],
        answer["supervisor"],
    )
    return {
        duty: holder and holder["party"]["code"] for duty, holder in zip(DUTIES, given, strict=True)
    }


def ask_or_none(
    session: Session, east_m: float, north_m: float, category: str | None, at: datetime
) -> dict[str, Any] | None:
    try:
        return ask(session, east_m=east_m, north_m=north_m, category=category, at=at)
    except QuestionError:
        return None


@pytest.mark.parametrize("seed", range(16))
def test_it_is_what_the_service_answers_before_and_after_the_publish(
    session: Session, seed: int
) -> None:
    city = RandomCity(session, seed)
    city.found()
    reports = city.report_all_over(200)
    before = {one: holders(session, told) for one, told in reports.items()}
    change_set = city.draft()
    told = preview(session, change_set, days=3650, at=NOW_ON)
    found_moves = moves(session, change_set)
    publish(session, change_set)
    expected: Moves = {}
    for one, place in reports.items():
        after = holders(session, place)
        moved = {
            duty: (before[one][duty], after[duty])
            for duty in DUTIES
            if before[one][duty] != after[duty]
        }
        if moved:
            expected[one] = moved
    assert found_moves == expected
    assert told["moved"] == len(expected) > 10
    gains = Counter((d, new) for one in expected.values() for d, (_, new) in one.items())
    losses = Counter((d, old) for one in expected.values() for d, (old, _) in one.items())
    assert parties(session, change_set) == {
        key: (gains[key], losses[key]) for key in gains | losses
    }


# On the command line


@pytest.fixture
def cli(own: Engine, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run a command on the database with the draft "border"."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("GRIDSVC_DATABASE_URL", own.url.render_as_string(hide_password=False))
    return lambda *args: CliRunner().invoke(app, [str(arg) for arg in args])


def test_the_command_tells_who_gains_and_who_loses(cli: Callable[..., Result]) -> None:
    shown = cli("impact", "border")
    assert shown.exit_code == 0, shown.output
    assert "1 of 1 reports since" in shown.stdout
    assert "would go to somebody else, if border were in effect" in shown.stdout
    # PW is sent away and nobody stands in for it but the neighbour's new holder.
    assert re.search(r"enforcement_lead +PE +张\* +1 +0 +\+1", shown.stdout), shown.stdout
    assert re.search(r"street W +changed +10,000 +15,000 +\+5,000 +200\.0 m", shown.stdout)
    assert "张三" not in shown.stdout


def test_the_command_writes_what_a_map_shows(cli: Callable[..., Result], tmp_path: Path) -> None:
    out = tmp_path / "border.geojson"
    shown = cli("impact", "border", "--days", 30, "--out", out, "--json")
    assert shown.exit_code == 0, shown.output
    told = json.loads(shown.stdout)
    assert (told["days"], told["moved"], told["out"]) == (30, 1, str(out))
    assert told["from_at"].endswith("+08:00")
    drawn = gpd.read_file(out)
    assert drawn.crs.to_epsg() == 4326
    assert list(drawn["kind"]) == ["area", "area", "report"]
    ground = drawn[drawn.code == "W"].to_crs(STORAGE).area.sum()
    assert ground == pytest.approx(5_000, abs=0.1)
    moved = json.loads(out.read_text())["features"][-1]
    assert moved["properties"]["moves"] == {"enforcement_lead": {"from": None, "to": "PE"}}
    east_m, north_m = from_wgs84(*moved["geometry"]["coordinates"], crs=STORAGE)
    assert (east_m, north_m) == pytest.approx((EAST_M + 120, NORTH_M + 50), abs=0.002)


def test_the_command_says_what_stops_a_publish(own: Engine, cli: Callable[..., Result]) -> None:
    with Session(own) as session, session.begin():
        change_set = open_change_set(session, name="border")
        propose_area(session, change_set, "street", "X", box(0, 0, 10, 10))
    shown = cli("impact", "border")
    assert shown.exit_code == 0, shown.output
    assert "It cannot be published yet: 1 finding stops it" in shown.stdout
    assert "gridsvc check --change-set border" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("bordr",), 1, "border"),
        (("border", "--days", "0"), 2, "--days"),
        (("border", "--out", "x.gpkg"), 2, "does not end in .geojson"),
    ],
)
def test_wrong_use_is_told(
    cli: Callable[..., Result], arguments: tuple[str, ...], code: int, told: str
) -> None:
    shown = cli("impact", *arguments)
    assert shown.exit_code == code
    assert told in shown.output


# In QGIS


@pytest.fixture
def planners(make_database: MakeDatabase) -> Iterator[planning_city.Planning]:
    with planning_city.settled(make_database()) as town:
        engine = create_engine(town.url)
        with Session(engine) as session, session.begin():
            report(session, 260, 300)
            report(session, 100, 300)
        engine.dispose()
        yield town


U3, U4 = "110105001001003", "110105001001004"


def test_a_planner_previews_from_qgis_and_sees_it_as_layers(
    planners: planning_city.Planning,
) -> None:
    with planners.login("li") as li:
        li.execute("INSERT INTO edit.change_set (name, note) VALUES ('june', 'why')")
        with li.transaction():
            for code, sides in ((U3, (0, 200, 300, 400)), (U4, (300, 200, 500, 400))):
                li.execute(
                    "UPDATE edit.unit SET boundary = %s WHERE code = %s",
                    [planning_city.rectangle(*sides), code],
                )
            li.execute(
                "UPDATE edit.assignment SET hand_over_to = 'P3' WHERE area_code = %s"
                " AND duty = 'responsibility'",
                [U3],
            )
        assert li.execute("SELECT * FROM edit.impact").fetchall() == []
        li.execute("UPDATE edit.change_set SET action = 'preview' WHERE name = 'june'")
        totals = li.execute("SELECT * FROM edit.impact_total").fetchone()
        assert totals is not None
        assert (totals["reports"], totals["moved"], totals["stops"]) == (2, 2, 0)
        assert totals["is_out_of_date"] is False
        assert li.execute(
            "SELECT duty, party_code, name, gains, losses, change FROM edit.impact ORDER BY gains"
        ).fetchall() == [
            {
                "duty": "responsible",
                "party_code": party,
                "name": "张**"[: len(party) + 1],
                "gains": gains,
                "losses": 2 - gains,
                "change": 2 * gains - 2,
            }
            for party, gains in (("P1", 0), ("P3", 2))
        ]
        drawn = li.execute(
            "SELECT code, what, area_change_m2, ST_SRID(part) AS srid FROM edit.impact_area"
            " ORDER BY code"
        ).fetchall()
        assert drawn == [
            {"code": U3, "what": "changed", "area_change_m2": 10_000, "srid": planning_city.SRID},
            {"code": U4, "what": "changed", "area_change_m2": -10_000, "srid": planning_city.SRID},
        ]
        moved = li.execute(
            "SELECT responsible_from, responsible_to, duties, moves FROM edit.impact_report"
        ).fetchall()
        assert (
            moved
            == [
                {
                    "responsible_from": "P1",
                    "responsible_to": "P3",
                    "duties": "responsible",
                    "moves": "responsible: P1 → P3",
                }
            ]
            * 2
        )
        # What is edited afterwards makes it old.
        li.execute("UPDATE edit.unit SET name = 'x' WHERE code = %s", [U3])
        totals = li.execute("SELECT is_out_of_date FROM edit.impact_total").fetchone()
        assert totals == {"is_out_of_date": True}
    with planners.login("zhao") as zhao:
        assert zhao.execute("SELECT * FROM edit.impact_total").fetchall() == []
    with planners.login("wang") as wang:
        wang.execute("UPDATE edit.change_set SET action = 'show' WHERE name = 'june'")
        assert len(wang.execute("SELECT * FROM edit.impact_report").fetchall()) == 2
    with planners.login("guest") as guest:
        for table in ("impact", "impact_report"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                guest.execute(f"SELECT * FROM gridsvc.{table}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            guest.execute("SELECT gridsvc.preview_impact(1)")


def test_columns_are_such_as_qgis_reads(planners: planning_city.Planning) -> None:
    with psycopg.connect(planners.url) as owner:
        rows = owner.execute("""
            SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
            FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
            WHERE c.relnamespace = 'edit'::regnamespace AND c.relname LIKE 'impact%' AND attnum > 0
        """).fetchall()
    kinds = {(view, column): kind for view, column, kind in rows}
    for view in ("impact_total", "impact", "impact_area", "impact_report"):
        assert kinds[view, "key"] == "integer"
    assert kinds["impact_area", "part"] == "geometry(MultiPolygon,4547)"
    assert kinds["impact_report", "point"] == "geometry(Point,4547)"
    assert set(kinds.values()) <= {
        "integer", "text", "boolean", "double precision", "timestamp without time zone",
        "geometry(MultiPolygon,4547)", "geometry(Point,4547)",
    }  # fmt: skip
