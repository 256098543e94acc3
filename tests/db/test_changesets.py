"""A change set is published whole or not at all, and every state can be had back."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError, ProgrammingError
from sqlalchemy.orm import Session

from gridsvc.db import create_engine
from gridsvc.errors import (
    ChangeSetConflict,
    ChangeSetError,
    ChangeSetRefused,
    SchemeChangeRefused,
    UnknownChangeSet,
)
from gridsvc.grids.changesets import (
    find_change_set,
    latest_revision,
    open_change_set,
    publish,
    rollback,
    withdraw,
)
from gridsvc.grids.scheme_store import current_scheme, load_scheme
from gridsvc.grids.validation import check
from tests import small_city
from tests.db_fixtures import MakeDatabase
from tests.factories import (
    appoint,
    ask,
    box,
    found,
    live_area,
    make_scheme,
    new_change_set,
    propose_area,
    propose_holder,
    propose_party,
)

WEST = box(0, 0, 100, 100)
EAST = box(100, 0, 200, 100)
TOWN = {("district", "D"): box(0, 0, 200, 100), ("street", "W"): WEST, ("street", "E"): EAST}


@pytest.fixture
def town(session: Session) -> Session:
    found(session, TOWN)
    appoint(session, {"party": "P1", "layer": "street", "area": "W"})
    return session


def state(session: Session) -> list[tuple[object, ...]]:
    """Give all that is live: areas with their bytes, assignments with all they say."""
    rows = session.execute(
        text("""
            SELECT layer, code, name, ST_AsBinary(boundary), valid_from::text, valid_to::text
            FROM gridsvc.area WHERE rev_to IS NULL
            UNION ALL
            SELECT layer, area_code, party_code || duty || role || rank || coalesce(category, ''),
                   convert_to(hours::text, 'UTF8'), valid_from::text, valid_to::text
            FROM gridsvc.assignment WHERE rev_to IS NULL
            ORDER BY 1, 2, 3
        """)
    )
    return [
        tuple(bytes(cell) if isinstance(cell, memoryview) else cell for cell in row) for row in rows
    ]


def move_border(session: Session, *, to_m: float, name: str = "border") -> None:
    """Propose another border between the two streets."""
    change_set = new_change_set(session, name)
    for code, shape in (("W", box(0, 0, to_m, 100)), ("E", box(to_m, 0, 200, 100))):
        propose_area(session, change_set, "street", code, shape, replaces=live_area(session, code))


def test_a_publish_makes_one_revision_of_areas_and_people(town: Session) -> None:
    before = latest_revision(town)
    move_border(town, to_m=150)
    change_set = find_change_set(town, "border")
    propose_party(town, change_set, "P2")
    propose_holder(town, change_set, "P2", "street", "E")
    published = publish(town, change_set)
    assert published.revision == before + 1 == latest_revision(town)
    assert change_set.state == "published"
    there = ask(town, east_m=120, north_m=50)
    assert there["areas"]["street"]["code"] == "W"
    assert there["revision"] == before + 1


def test_a_finding_that_stops_leaves_nothing(town: Session) -> None:
    before = state(town)
    change_set = new_change_set(town)
    propose_area(town, change_set, "street", "X", box(50, 0, 150, 100))
    with pytest.raises(ChangeSetRefused) as refused:
        publish(town, change_set)
    assert any("W and X both claim" in finding for finding in refused.value.findings)
    assert any("E and X both claim" in finding for finding in refused.value.findings)
    assert state(town) == before


def test_a_publish_that_fails_half_way_leaves_nothing(town: Session) -> None:
    before, revision = state(town), latest_revision(town)
    change_set = new_change_set(town)
    propose_area(town, change_set, "courtyard", "Y", box(1, 1, 9.00005, 9))
    savepoint = town.begin_nested()
    with pytest.raises(IntegrityError, match="millimetre"):
        publish(town, change_set)
    savepoint.rollback()
    town.refresh(change_set)
    assert (state(town), latest_revision(town), change_set.state) == (before, revision, "open")


def test_an_empty_change_set_is_refused(town: Session) -> None:
    with pytest.raises(ChangeSetError, match="proposes nothing"):
        publish(town, new_change_set(town))


def test_a_conflict_names_what_was_changed_by_whom_in_which_revision(town: Session) -> None:
    move_border(town, to_m=150, name="mine")
    move_border(town, to_m=120, name="theirs")
    theirs = publish(town, find_change_set(town, "theirs")).revision
    with pytest.raises(ChangeSetConflict) as conflict:
        publish(town, find_change_set(town, "mine"))
    assert len(conflict.value.conflicts) == 2
    author = town.scalar(text("SELECT session_user"))
    assert f"street E was changed by {author} in revision {theirs}" in conflict.value.conflicts[0]


def test_two_that_add_the_same_area_conflict_too(town: Session) -> None:
    for name in ("mine", "theirs"):
        propose_area(town, new_change_set(town, name), "courtyard", "Y", box(10, 10, 40, 40))
    theirs = publish(town, find_change_set(town, "theirs")).revision
    with pytest.raises(ChangeSetConflict) as conflict:
        publish(town, find_change_set(town, "mine"))
    author = town.scalar(text("SELECT session_user"))
    assert f"courtyard Y was changed by {author} in revision {theirs}" in str(conflict.value)


def test_a_withdrawn_change_set_is_closed_and_its_name_free_again(town: Session) -> None:
    move_border(town, to_m=150)
    change_set = find_change_set(town, "border")
    withdraw(town, change_set)
    assert change_set.state == "withdrawn"
    with pytest.raises(UnknownChangeSet, match="border"):
        find_change_set(town, "border")
    assert open_change_set(town, name="border").id != change_set.id


@pytest.mark.parametrize("end", [publish, withdraw])
def test_what_is_published_or_withdrawn_cannot_be_published_or_withdrawn(
    town: Session, end: object
) -> None:
    move_border(town, to_m=150)
    published = find_change_set(town, "border")
    publish(town, published)
    with pytest.raises(ChangeSetError, match="published already"):
        end(town, published)  # type: ignore[operator]
    assert published.state == "published"


def test_open_ones_are_named_where_the_name_is_unknown(town: Session) -> None:
    new_change_set(town, "spring")
    with pytest.raises(UnknownChangeSet) as unknown:
        find_change_set(town, "sprong")
    assert unknown.value.open_names == ("spring",)


def test_a_rollback_brings_every_byte_back(town: Session) -> None:
    before, revision = state(town), latest_revision(town)
    move_border(town, to_m=150)
    change_set = find_change_set(town, "border")
    propose_party(town, change_set, "P2")
    propose_holder(town, change_set, "P2", "street", "E", hours="mon-fri 08:00-20:00")
    publish(town, change_set)
    assert state(town) != before
    back = rollback(town, revision)
    assert back.revision == revision + 2
    assert state(town) == before
    assert ask(town, east_m=120, north_m=50)["areas"]["street"]["code"] == "E"


def test_a_rollback_does_not_rewrite_what_was_answered_meanwhile(town: Session) -> None:
    revision = latest_revision(town)
    move_border(town, to_m=150)
    moved = publish(town, find_change_set(town, "border")).revision
    meanwhile = datetime.now(UTC)
    rollback(town, revision)
    assert ask(town, east_m=120, north_m=50, at=meanwhile)["revision"] == moved


@pytest.mark.parametrize("revision", [0, 2, 99])
def test_a_rollback_to_no_earlier_revision_is_refused(town: Session, revision: int) -> None:
    with pytest.raises(ChangeSetError, match="Name a revision from 1 to 1"):
        rollback(town, revision)


def test_a_rollback_to_what_is_live_is_refused(town: Session) -> None:
    before = latest_revision(town)
    load_scheme(town, make_scheme(('en = "Small town"', 'en = "Town"')))
    with pytest.raises(ChangeSetError, match="proposes nothing"):
        rollback(town, before)


def test_a_hole_that_opens_only_later_is_found(town: Session) -> None:
    change_set = new_change_set(town)
    next_year = datetime.now(UTC) + timedelta(days=365)
    propose_area(
        town,
        change_set,
        "street",
        "E",
        EAST,
        valid_to=next_year,
        replaces=live_area(town, "E"),
    )
    kinds = [
        finding.kind.value for finding in check(town, current_scheme(town), change_set=change_set)
    ]
    assert kinds == ["gap"]


# The scheme


def test_reloading_the_same_scheme_makes_no_revision(town: Session) -> None:
    assert load_scheme(town, make_scheme()) is None


def test_a_changed_scheme_makes_a_revision_and_old_answers_keep_their_ladder(
    town: Session,
) -> None:
    appoint(town, {"party": "P9", "layer": "district", "area": "D"}, name="district")
    before = datetime.now(UTC)
    ladder = 'layers = ["courtyard", "shop_front", "street", "district"]'
    revision = load_scheme(town, make_scheme((ladder, 'layers = ["district"]')))
    assert revision == latest_revision(town)
    assert ask(town, east_m=50, north_m=50)["responsible"]["party"]["code"] == "P9"
    earlier = ask(town, east_m=50, north_m=50, at=before)
    assert earlier["responsible"]["party"]["code"] == "P1"
    assert earlier["revision"] == revision - 1


def test_a_rollback_brings_back_who_had_left_without_a_successor(session: Session) -> None:
    left_at = datetime.now(UTC) - timedelta(days=1)
    place = {"layer": "street", "area": "W"}
    found(session, TOWN)
    once_gone = appoint(session, {"party": "GONE", "valid_to": left_at} | place, name="gone")
    load_scheme(session, make_scheme(('vacancy = "report"', 'vacancy = "stop"')))
    closing = new_change_set(session, "closing")
    gone = session.scalar(text("SELECT id FROM gridsvc.assignment WHERE party_code = 'GONE'"))
    propose_holder(session, closing, "GONE", "street", "W", replaces=gone)
    publish(session, closing)
    assert rollback(session, once_gone).revision == latest_revision(session)


SHOP_FRONT = """[[layer]]
code = "shop_front"
title = { zh = "门前", en = "Shop front" }
kind = "overlay"
"""
WITHOUT_SHOPS = ((small_city.ZONES, ""), (SHOP_FRONT, ""), ('"shop_front", ', ""))


def test_a_layer_with_areas_cannot_be_dropped_until_they_are_closed(town: Session) -> None:
    change_set = new_change_set(town)
    propose_area(town, change_set, "shop_front", "A", box(10, 10, 20, 20))
    publish(town, change_set)
    with pytest.raises(SchemeChangeRefused, match="drops shop_front"):
        load_scheme(town, make_scheme(*WITHOUT_SHOPS))
    closing = new_change_set(town, "closing")
    propose_area(
        town,
        closing,
        "shop_front",
        "A",
        box(10, 10, 20, 20),
        valid_to=datetime.now(UTC) - timedelta(seconds=1),
        replaces=live_area(town, "A"),
    )
    publish(town, closing)
    assert load_scheme(town, make_scheme(*WITHOUT_SHOPS)) == latest_revision(town)


def test_the_storage_crs_stays_once_areas_rest_on_it(town: Session) -> None:
    with pytest.raises(SchemeChangeRefused, match="EPSG:4548"):
        load_scheme(town, make_scheme(('"EPSG:4547"\ninput', '"EPSG:4548"\ninput')))


def test_the_storage_crs_stays_while_a_draft_rests_on_it(session: Session) -> None:
    load_scheme(session, make_scheme())
    draft = new_change_set(session)
    propose_area(session, draft, "district", "D", WEST)
    other = make_scheme(('"EPSG:4547"\ninput', '"EPSG:4548"\ninput'))
    with pytest.raises(SchemeChangeRefused, match="EPSG:4548"):
        load_scheme(session, other)
    withdraw(session, draft)
    load_scheme(session, other)
    assert current_scheme(session).storage_crs == "EPSG:4548"


# Two publishers at once, on connections of their own


HOLES_MAY_BE = ('parent = "district"', 'parent = "district"\nfindings = { gap = "report" }')


@pytest.fixture
def shared(make_database: MakeDatabase) -> Iterator[Engine]:
    """A database with the town committed in it."""
    engine = create_engine(make_database())
    with Session(engine) as session, session.begin():
        found(session, TOWN, scheme=make_scheme(HOLES_MAY_BE))
    yield engine
    engine.dispose()


def in_turn(shared: Engine, first: str, second: str) -> tuple[Future[int], Future[int]]:
    """Publish two change sets at once: the second begins while the first is not committed."""
    published, waiting = threading.Event(), threading.Event()

    def lead() -> int:
        with Session(shared) as session, session.begin():
            revision = publish(session, find_change_set(session, first)).revision
            published.set()
            waiting.wait(timeout=10)
            return revision

    def follow() -> int:
        published.wait(timeout=10)
        with Session(shared) as session, session.begin():
            change_set = find_change_set(session, second)
            return publish(session, change_set).revision

    with ThreadPoolExecutor(2) as pool:
        futures = pool.submit(lead), pool.submit(follow)
        published.wait(timeout=10)
        with shared.connect() as watcher:
            for _ in range(500):
                blocked = watcher.scalar(
                    text(
                        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                        " AND database = (SELECT oid FROM pg_database"
                        " WHERE datname = current_database())"
                    )
                )
                if blocked:
                    break
                watcher.rollback()
            assert blocked == 1
        assert not futures[1].done()
        waiting.set()
    return futures


def test_of_two_that_publish_at_once_one_waits_and_then_sees_the_conflict(shared: Engine) -> None:
    with Session(shared) as session, session.begin():
        move_border(session, to_m=150, name="mine")
        move_border(session, to_m=120, name="theirs")
    first, second = in_turn(shared, "mine", "theirs")
    assert first.result() == 2
    with pytest.raises(ChangeSetConflict, match="in revision 2"):
        second.result()


def test_an_overlap_of_two_that_publish_at_once_never_becomes_live(shared: Engine) -> None:
    with Session(shared) as session, session.begin():
        for name, code in (("mine", "X"), ("theirs", "Y")):
            change_set = new_change_set(session, name)
            propose_area(session, change_set, "district", code, box(300, 0, 400, 100))
    first, second = in_turn(shared, "mine", "theirs")
    assert first.result() == 2
    with pytest.raises(ChangeSetRefused, match="X and Y both claim"):
        second.result()
    with Session(shared) as session:
        assert latest_revision(session) == 2
        assert [f for f in check(session, current_scheme(session)) if f.kind == "overlap"] == []


def test_two_that_do_not_meet_both_go_through(shared: Engine) -> None:
    with Session(shared) as session, session.begin():
        for name, west_m in (("mine", 10), ("theirs", 110)):
            change_set = new_change_set(session, name)
            propose_area(session, change_set, "courtyard", name, box(west_m, 10, west_m + 20, 50))
    first, second = in_turn(shared, "mine", "theirs")
    assert (first.result(), second.result()) == (2, 3)


def test_one_change_set_published_twice_at_once_is_published_once(shared: Engine) -> None:
    with Session(shared) as session, session.begin():
        change_set = new_change_set(session, "mine")
        propose_area(session, change_set, "courtyard", "Y", box(10, 10, 30, 50))
    first, second = in_turn(shared, "mine", "mine")
    assert first.result() == 2
    with pytest.raises(ChangeSetError, match="published already"):
        second.result()


def test_publishing_in_an_older_snapshot_is_refused(shared: Engine) -> None:
    with (
        shared.connect().execution_options(isolation_level="REPEATABLE READ") as connection,
        Session(connection) as session,
    ):
        change_set = new_change_set(session)
        propose_area(session, change_set, "courtyard", "Y", box(10, 10, 30, 50))
        with pytest.raises(ProgrammingError, match="READ COMMITTED"):
            publish(session, change_set)


def test_a_publish_is_announced(shared: Engine) -> None:
    with shared.connect() as listener:
        raw = listener.connection.driver_connection
        assert raw is not None
        raw.autocommit = True
        raw.execute("LISTEN gridsvc_revision")
        with Session(shared) as session, session.begin():
            move_border(session, to_m=150)
            publish(session, find_change_set(session, "border"))
        heard = next(raw.notifies(timeout=10))
    assert heard.payload == "2"
