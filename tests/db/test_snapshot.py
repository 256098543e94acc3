"""Memory answers what SQL answers, key for key and byte for byte."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from gridsvc.db import create_engine
from gridsvc.errors import NothingPublished
from gridsvc.grids.changesets import publish
from gridsvc.routing.answering import Answerer, NotHeld
from gridsvc.routing.kept_snapshots import keep, last_kept
from gridsvc.routing.router import Question
from gridsvc.routing.snapshot import Snapshot
from tests import small_city
from tests.asking import differences, questions_about
from tests.db_fixtures import MakeDatabase
from tests.factories import new_change_set, propose_absence
from tests.scenarios.loading import found_city

QUESTIONS = 500
_SHOPS = {"x": small_city.SHOPS["lon"], "y": small_city.SHOPS["lat"]}
CITIES = {
    "chaoyang": {"stand-in", "assistant", "also"},
    "demo": {"specialist", "also"},
    "nanan": {"component", "unclear"},
    "qingdao": {"specialist"},
    "xuzhou": {"skipped"},
}
EVERYWHERE = {"alternatives", "edge", "across", "left", "OutsideServiceArea", "UnknownCategory"}


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
        other, kinds = differences(session, answerers, questions_about(loaded, QUESTIONS))
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
