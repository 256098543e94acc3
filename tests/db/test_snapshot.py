"""Memory answers what SQL answers, key for key and byte for byte."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from gridsvc.db import create_engine
from gridsvc.errors import NothingPublished
from gridsvc.grids.changesets import publish, rollback
from gridsvc.grids.scheme_store import load_scheme
from gridsvc.routing import index_engine, lookup_numpy
from gridsvc.routing.answering import Answerer, NotHeld
from gridsvc.routing.kept_snapshots import keep, last_kept
from gridsvc.routing.router import Question
from gridsvc.routing.snapshot import Snapshot
from tests import small_city
from tests.asking import differences, in_memory, questions_about
from tests.db_fixtures import MakeDatabase
from tests.factories import (
    appoint,
    box,
    live_area,
    make_scheme,
    new_change_set,
    propose_absence,
    propose_area,
    propose_component,
    propose_holder,
    propose_party,
    register,
    send_away,
)
from tests.scenarios.loading import found_city

QUESTIONS = 400
RULES = """
[[tier]]
code = "ownership_unclear"
title = { zh = "权属不清", en = "Ownership unclear" }
duty = "management"
layer = "street"

[[component]]
category = "C01"
within_m = 15
apart_m = 3

[[stand_in]]
duty = "enforcement"
by = ["neighbour", "assistant"]
"""
_SHOPS = {"x": small_city.SHOPS["lon"], "y": small_city.SHOPS["lat"]}
CITIES = {
    "chaoyang": {"stand-in", "assistant", "also"},
    "demo": {"specialist", "also"},
    "nanan": {"component", "unclear"},
    "qingdao": {"specialist"},
    "xuzhou": {"skipped"},
}
EVERYWHERE = {"alternatives", "edge", "across", "OutsideServiceArea", "UnknownCategory"}


@pytest.fixture(scope="module", params=CITIES)
def unrest(
    request: pytest.FixtureRequest, make_database: MakeDatabase
) -> Iterator[tuple[Engine, Snapshot]]:
    """A made-up city in which people are away, hand over and work in shifts, and areas change.

    With it comes what it was before.
    """
    url = make_database()
    found_city(url, request.param)
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        before = Snapshot.load(session.connection())
        _stir(session)
    yield engine, before
    engine.dispose()


def _stir(session: Session) -> None:
    """Publish absences, hand-overs and shifts, and areas that are there for a while only."""
    rng = random.Random(6)
    now = datetime.now(UTC)
    change_set = new_change_set(session, "unrest")
    leads = session.execute(
        text(
            "SELECT id, party_code FROM gridsvc.assignment WHERE rev_to IS NULL AND rank = 1 "
            "AND valid_to IS NULL AND hours = '{[0,10080)}' ORDER BY party_code, id"
        )
    ).all()
    parties = sorted({lead.party_code for lead in leads})
    for party in rng.sample(parties, len(parties) // 3):
        since = now + timedelta(days=rng.uniform(-5, 20))
        propose_absence(session, change_set, party, since, since + timedelta(days=30))
    later = now + timedelta(days=40)
    for lead in rng.sample(leads, len(leads) // 10):
        _replace_assignment(session, change_set.id, lead.id, later, to=rng.choice(parties))
    overlays = session.scalars(
        text(
            "SELECT a.id FROM gridsvc.area AS a JOIN gridsvc.layer AS l ON l.code = a.layer "
            "WHERE l.kind = 'overlay' AND a.rev_to IS NULL AND a.valid_to IS NULL ORDER BY a.id"
        )
    ).all()
    for area_id in rng.sample(overlays, len(overlays) // 10):
        _rename_area(session, change_set.id, area_id, now + timedelta(days=60))
    session.flush()
    publish(session, change_set, findings=[])  # what is vacant now is meant to be


def _replace_assignment(
    session: Session, change_set: int, replaced: int, at: datetime, *, to: str
) -> None:
    """Let a lead hand over at an instant: by day to another party, the nights are left open."""
    session.execute(
        text("""
            WITH had AS (SELECT * FROM gridsvc.assignment WHERE id = :replaced)
            INSERT INTO gridsvc.assignment_edit
                (change_set_id, replaces, party_code, layer, area_code, duty, role, rank, category,
                 hours, valid_from, valid_to)
            SELECT CAST(:change_set AS integer), id, party_code, layer, area_code, duty, role, rank,
                   category, hours, valid_from, CAST(:at AS timestamptz)
            FROM had
            UNION ALL
            SELECT :change_set, NULL, :to, layer, area_code, duty, role, rank, category,
                   hours * '{[480,1200),[1920,2640),[3360,4080)}'::int4multirange,
                   CAST(:at AS timestamptz), NULL
            FROM had
        """),
        {"change_set": change_set, "replaced": replaced, "at": at, "to": to},
    )


def _rename_area(session: Session, change_set: int, replaced: int, at: datetime) -> None:
    """Let an area have another name from an instant on, and be gone 20 days later."""
    session.execute(
        text("""
            WITH had AS (SELECT * FROM gridsvc.area WHERE id = :replaced)
            INSERT INTO gridsvc.area_edit
                (change_set_id, replaces, layer, code, name, boundary, centre_line, width_m,
                 valid_from, valid_to)
            SELECT CAST(:change_set AS integer), id, layer, code, name, boundary, centre_line,
                   width_m, valid_from, CAST(:at AS timestamptz)
            FROM had
            UNION ALL
            SELECT :change_set, NULL, layer, code, concat(name, ' II'), boundary, centre_line,
                   width_m, :at, CAST(:at AS timestamptz) + interval '20 days'
            FROM had
        """),
        {"change_set": change_set, "replaced": replaced, "at": at},
    )


def test_memory_answers_what_sql_answers(
    unrest: tuple[Engine, Snapshot], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    engine, before = unrest
    with Session(engine) as session:
        loaded = Snapshot.load(session.connection())
        advanced = before.advanced(session.connection())
        keep(advanced, tmp_path)
        kept = last_kept(tmp_path)
        assert kept
        answerers = [Answerer(snapshot) for snapshot in (loaded, advanced, kept)]
        questions = questions_about(loaded, QUESTIONS)
        other, kinds = differences(session, answerers, questions)
    assert other == []
    city: str = request.node.callspec.params["unrest"]
    assert (CITIES[city] | EVERYWHERE) - kinds.keys() == set()


def test_an_earlier_instant_is_left_to_sql(city: str) -> None:
    with Session(engine := create_engine(city)) as session:
        answerer = Answerer(Snapshot.load(session.connection()))
    engine.dispose()
    before = datetime.fromtimestamp(answerer.snapshot.effective_us / 1e6, UTC) - timedelta(
        seconds=1
    )
    with pytest.raises(NotHeld):
        answerer.answer(Question(**_SHOPS, at=before))


def test_nothing_is_held_before_the_first_revision(session: Session) -> None:
    with pytest.raises(NothingPublished):
        Snapshot.load(session.connection())


def test_no_name_and_no_phone_is_held_in_full(city: str) -> None:
    with Session(engine := create_engine(city)) as session:
        snapshot = Snapshot.load(session.connection())
    engine.dispose()
    held = str(snapshot.holders.parties.faces.to_pydict())
    assert "张*" in held
    assert "李大力" not in held
    assert "13800001234" not in held


@dataclass
class Follower:
    """A snapshot that is advanced after each publish and must answer as SQL and as a new one."""

    session: Session
    answerer: Answerer

    def follow(self) -> Snapshot:
        """Go on to the newest revision, and hold it against SQL."""
        connection = self.session.connection()
        advanced = self.answerer.snapshot.advanced(connection)
        questions = questions_about(advanced, 150, seed=advanced.revision)
        for question in questions:
            in_memory(self.answerer.answer, question)  # which prepares what may be taken over
        self.answerer = Answerer(advanced, self.answerer)
        loaded = Answerer(Snapshot.load(connection))
        assert differences(self.session, [self.answerer, loaded], questions)[0] == []
        return advanced


@pytest.fixture
def follower(session: Session) -> Follower:
    small_city.found(session)
    load_scheme(session, make_scheme(extra=RULES))
    return Follower(session, Answerer(Snapshot.load(session.connection())))


def test_it_goes_on_as_boundaries_change(session: Session, follower: Follower) -> None:
    change_set = new_change_set(session, "moved")
    for code, shape in {"S1": box(0, 0, 900, 1000), "S2": box(900, 0, 2000, 1000)}.items():
        propose_area(session, change_set, "street", code, shape, replaces=live_area(session, code))
    publish(session, change_set)
    rows = len(follower.answerer.snapshot.index.ids)
    assert len(follower.follow().index.ids) == rows

    change_set = new_change_set(session, "split, ended and new")
    propose_area(session, change_set, "street", "S2", None, replaces=live_area(session, "S2"))
    for code, shape in {"S0": box(900, 0, 1500, 1000), "S11": box(1500, 0, 2000, 1000)}.items():
        propose_area(session, change_set, "street", code, shape, name=code)
    propose_area(session, change_set, "shop_front", "A", None, replaces=live_area(session, "A"))
    propose_area(session, change_set, "courtyard", "C/0", box(950, 100, 1100, 200), name="new")
    publish(session, change_set)
    advanced = follower.follow()
    key, *_ = (advanced.key(row) for row in advanced.areas.sorted(np.array([1, 2])).tolist())
    assert key.code == "S1"

    rollback(session, 1)
    follower.follow()


def test_what_no_publish_touched_is_not_prepared_again(
    session: Session, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(east_m: float) -> bytes:
        at = datetime.now(UTC) + timedelta(days=1)
        point = small_city.place(east_m=east_m, north_m=800)
        question = Question(x=point["lon"], y=point["lat"], at=at)
        return follower.answerer.answer_json(question)

    def rename(code: str, shape: BaseGeometry) -> None:
        change_set = new_change_set(session, "renamed")
        replaced = live_area(session, code)
        propose_area(session, change_set, "street", code, shape, name="New", replaces=replaced)
        publish(session, change_set)

    # Shifts on S1 make its answers hang on the time; nothing on S2 does.
    ask(1800)
    rename("S1", box(0, 0, 1000, 1000))
    later = follower.answerer.snapshot.advanced(session.connection())
    follower.answerer = Answerer(later, follower.answerer)
    made: list[tuple[int, ...]] = []
    make_place = Answerer._make_place
    monkeypatch.setattr(
        Answerer, "_make_place", lambda *asked: made.append(tuple(asked[1])) or make_place(*asked)
    )
    ask(1800)
    assert made == []
    assert b'"name":"New"' in ask(500)
    rename("S2", box(1000, 0, 2000, 1000))
    later = later.advanced(session.connection())
    follower.answerer = Answerer(later, follower.answerer)
    assert b'"name":"New"' in ask(1800)
    assert len(made) == 2


def test_it_goes_on_as_people_change(session: Session, follower: Follower) -> None:
    now = datetime.now(UTC)
    change_set = new_change_set(session, "hand-over")
    held = session.execute(
        text("SELECT id FROM gridsvc.assignment WHERE area_code = 'C/1' AND rev_to IS NULL")
    ).scalar_one()
    shift = {"hours": "mon-fri 08:00-20:00", "valid_from": now}
    propose_holder(session, change_set, "P1", "courtyard", "C/1", replaces=held, valid_to=now)
    propose_party(session, change_set, "P9", name="赵钱孙", phone="13712345678")
    propose_holder(session, change_set, "P9", "courtyard", "C/1", **shift)
    propose_holder(session, change_set, "P9", "courtyard", "C/1", category="0102", **shift)
    propose_holder(session, change_set, "P9", "street", "S2", duty="enforcement", role="officer")
    publish(session, change_set)
    follower.follow()
    send_away(session, "P2", now - timedelta(days=1), now + timedelta(days=3))
    follower.follow()
    change_set = new_change_set(session, "renamed")
    propose_party(session, change_set, "P2", name="欧阳修", phone="13700001111")
    publish(session, change_set)
    follower.follow()
    # With a lead who is away, neighbours are sought where the border moves.
    change_set = new_change_set(session, "moved")
    for code, shape in {"S1": box(0, 0, 900, 1000), "S2": box(900, 0, 2000, 1000)}.items():
        propose_area(session, change_set, "street", code, shape, replaces=live_area(session, code))
    publish(session, change_set)
    advanced = follower.follow()
    assert advanced.ladders.neighbours
    rollback(session, advanced.revision - 1)
    follower.follow()


def test_it_goes_on_as_components_and_the_scheme_change(
    session: Session, follower: Follower
) -> None:
    appoint(session, {"party": "WATER", "layer": "street", "area": "S1", "rank": 2})
    register(session, {"code": "W1", "owner": "WATER", "east_m": 500, "north_m": 800})
    follower.follow()
    register(session, {"code": "W2", "owner": "B1", "east_m": 502, "north_m": 800}, name="more")
    change_set = new_change_set(session, "gone")
    gone = session.scalar(text("SELECT id FROM gridsvc.component WHERE code = 'W1'"))
    propose_component(session, change_set, "W1", None, replaces=gone)
    publish(session, change_set)
    follower.follow()
    load_scheme(session, make_scheme())
    assert not follower.follow().rules.reaches


def test_a_snapshot_of_another_database_is_not_gone_on_with(
    session: Session, follower: Follower
) -> None:
    snapshot = follower.answerer.snapshot
    stamp = replace(snapshot.stamp, published_us=snapshot.stamp.published_us - 1, revision=1)
    foreign = replace(snapshot, stamp=stamp)
    assert foreign.advanced(session.connection()).stamp == snapshot.stamp
    assert snapshot.advanced(session.connection()) is snapshot


def test_the_last_two_revisions_are_kept(follower: Follower, tmp_path: Path) -> None:
    snapshot = follower.answerer.snapshot
    assert last_kept(tmp_path / "nothing") is None
    for later in range(3):
        stamp = replace(snapshot.stamp, published_us=snapshot.stamp.published_us + later)
        keep(replace(snapshot, stamp=stamp), tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    kept = last_kept(tmp_path)
    assert kept
    assert kept.stamp == stamp
    state = keep(snapshot, tmp_path / "other") / "state.json"
    state.write_text(state.read_text(encoding="utf-8").replace('"format": 1', '"format": 0'))
    assert last_kept(tmp_path / "other") is None


def test_without_the_compiler_the_answers_are_the_same(
    follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_engine, "engine", lambda: lookup_numpy)
    follower.follow()
