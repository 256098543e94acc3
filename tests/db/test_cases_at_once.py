"""Two at once, on connections of their own and with the rights that the API has."""

import logging
import math
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session, sessionmaker

from gridsvc.api.app import SERVICE_ROLE
from gridsvc.api.climbing import climb_all, climbing
from gridsvc.db import create_engine
from gridsvc.errors import CaseMovedOn
from gridsvc.grids.scheme_store import load_scheme
from gridsvc.reports.case_log import replay
from gridsvc.reports.case_records import CaseSummary, read_case, read_log, standing_of
from gridsvc.reports.cases import Act, act, act_on_report, climb, merge
from gridsvc.reports.intake import Draft, file_report
from gridsvc.reports.models import Case
from gridsvc.reports.terms import CaseState, Channel, EventKind
from tests import small_city
from tests.db_fixtures import MakeDatabase
from tests.factories import EAST_M, NORTH_M, STORAGE, make_scheme
from tests.small_city import YARD

K = EventKind
JOINING = """
[[duplicates]]
category = "01"
within_m = 5
window_hours = 72
join = "automatic"
"""


@pytest.fixture(scope="module")
def service(make_database: MakeDatabase) -> Iterator[Engine]:
    """The small city as the API's own role finds it."""
    url = make_database()
    owner = create_engine(url)
    with Session(owner) as session, session.begin():
        small_city.found(session)
        load_scheme(session, make_scheme(extra=JOINING))
    owner.dispose()
    engine = create_engine(url, role=SERVICE_ROLE, pool_size=10)
    yield engine
    with Session(engine) as session:
        for row in session.query(Case):
            assert standing_of(row) == replay(read_log(session, row.id))
    engine.dispose()


@pytest.fixture
def sessions(service: Engine) -> sessionmaker[Session]:
    return sessionmaker(service)


def filed(sessions: sessionmaker[Session], *kinds: EventKind, category: str = "0201") -> int:
    draft = Draft(x=YARD["lon"], y=YARD["lat"], channel=Channel.PATROL, category=category)
    with sessions.begin() as session:
        told = file_report(session, draft, idempotency_key=str(uuid.uuid4()), caller="desk")
        assert told.case
        for kind in kinds:
            act(session, told.case.id, Act(kind=kind, actor="desk", reason="as told"))
        return told.case.id


def wait_for_lock(sessions: sessionmaker[Session]) -> None:
    """Wait until a connection waits for another one's lock."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        with sessions() as session:
            waiting = session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted"))
        if waiting:
            return
        time.sleep(0.01)
    pytest.fail("nobody waits")


def test_of_two_dispatchers_at_once_one_wins(sessions: sessionmaker[Session]) -> None:
    case_id = filed(sessions)

    def dispatch(to_party: str) -> CaseSummary:
        with sessions.begin() as session:
            return act(session, case_id, Act(kind=K.DISPATCHED, actor=to_party, to_party=to_party))

    with ThreadPoolExecutor(1) as other, sessions.begin() as session:
        act(session, case_id, Act(kind=K.DISPATCHED, actor="P2", to_party="P2"))
        second = other.submit(dispatch, "P3")
        wait_for_lock(sessions)  # it is held up until the first one commits
        session.commit()
        with pytest.raises(CaseMovedOn) as lost:
            second.result()
    assert (lost.value.case.state, lost.value.case.holder) == (CaseState.DISPATCHED, "P2")
    with sessions() as session:
        log = read_log(session, case_id)
    assert [(event.kind, event.to_party) for event in log] == [
        (K.FILED, None),
        (K.DISPATCHED, "P2"),
    ]


def test_of_many_at_once_exactly_one_wins(sessions: sessionmaker[Session]) -> None:
    for _ in range(5):
        case_id = filed(sessions, K.DISPATCHED)
        begin = threading.Barrier(8)

        def handle(n: int, case_id: int = case_id, begin: threading.Barrier = begin) -> str:
            begin.wait()
            try:
                with sessions.begin() as session:
                    act(session, case_id, Act(kind=K.HANDLED, actor=f"desk {n}"))
            except CaseMovedOn as lost:
                return lost.case.state
            return "won"

        with ThreadPoolExecutor(8) as pool:
            told = sorted(pool.map(handle, range(8)))
        assert told == ["handled"] * 7 + ["won"]


def test_two_merges_of_each_other_leave_one_case(sessions: sessionmaker[Session]) -> None:
    one, other = filed(sessions), filed(sessions)
    begin = threading.Barrier(2)

    def join(pair: tuple[int, int]) -> bool:
        begin.wait()
        try:
            with sessions.begin() as session:
                merge(session, *pair, actor="desk")
        except CaseMovedOn:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(join, [(one, other), (other, one)])) == 1
    with sessions() as session:
        states = {read_case(session, case_id).case.state for case_id in (one, other)}
    assert states == {CaseState.FILED, CaseState.MERGED}


def test_reports_that_join_by_themselves_open_one_case(sessions: sessionmaker[Session]) -> None:
    begin = threading.Barrier(8)

    def file(n: int) -> int:
        begin.wait()
        # On both sides of where four squares of locks meet, four metres from each other at most.
        corner = [math.ceil(edge / 50) * 50.0 for edge in (EAST_M + 120, NORTH_M + 120)]
        at = {"x": corner[0] - 1 + n % 2 * 2, "y": corner[1] - 1 + n // 4 * 2, "crs": STORAGE}
        draft = Draft(channel=Channel.PATROL, category="0101", **at)
        with sessions.begin() as session:
            told = file_report(session, draft, idempotency_key=str(uuid.uuid4()), caller="desk")
        assert told.case
        return told.case.id

    with ThreadPoolExecutor(8) as pool:
        (case_id,) = set(pool.map(file, range(8)))
    with sessions() as session:
        record = read_case(session, case_id)
    assert record.case.report_count == len(record.reports) == 8


def test_a_case_that_somebody_acts_on_climbs_later(sessions: sessionmaker[Session]) -> None:
    case_id = filed(sessions, K.DISPATCHED)
    with sessions() as session:
        due_at = read_case(session, case_id).case.step_due_at
    assert due_at
    later = due_at + timedelta(minutes=1)
    with sessions.begin() as session:
        act(session, case_id, Act(kind=K.DECLARED_HARD, actor="desk", reason="old pipes"))
        with sessions() as other:
            assert case_id not in {one.case_id for one in climb(other, later)}
    with sessions.begin() as session:
        assert case_id in {one.case_id for one in climb(session, later)}


def put_off(service: Engine, case_id: int) -> None:
    """Write, past the log, that a case's step ended a minute ago."""
    with service.begin() as connection:
        connection.execute(
            text(
                "UPDATE gridsvc.case SET step_due_at = now() - interval '1 minute' WHERE id = :id"
            ),
            {"id": case_id},
        )


def test_while_serving_cases_climb_by_themselves(
    service: Engine, sessions: sessionmaker[Session]
) -> None:
    case_id = filed(sessions, K.DISPATCHED)
    put_off(service, case_id)
    with climbing(sessions, interval_s=0.05):
        end = time.monotonic() + 10
        while time.monotonic() < end:
            with sessions() as session:
                case = read_case(session, case_id).case
            if case.step == 2:
                break
            time.sleep(0.05)
    assert (case.step, case.holder) == (2, "B1")


def test_one_process_climbs_at_a_time(service: Engine, sessions: sessionmaker[Session]) -> None:
    case_id = filed(sessions, K.DISPATCHED)
    put_off(service, case_id)
    with sessions.begin() as busy:
        busy.execute(text("SELECT pg_advisory_xact_lock(x'636C696D62'::bigint)"))
        assert climb_all(sessions, threading.Event()) == 0
    assert climb_all(sessions, threading.Event()) == 1


def test_a_pass_that_fails_is_logged_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    away = create_engine("postgresql://nobody@127.0.0.1:1/none")
    with (
        caplog.at_level(logging.ERROR, "gridsvc"),
        climbing(sessionmaker(away), interval_s=0.01),
    ):
        end = time.monotonic() + 10
        while len(caplog.records) < 2 and time.monotonic() < end:
            time.sleep(0.01)
    away.dispose()
    assert len(caplog.records) >= 2
    assert {record.message for record in caplog.records} == {
        "cases did not climb: OperationalError"
    }


def test_who_acts_on_a_report_follows_it_through_a_merge(sessions: sessionmaker[Session]) -> None:
    kept, moved = filed(sessions), filed(sessions)
    with sessions() as session:
        (report,) = read_case(session, moved).reports

    def dispatch() -> CaseSummary:
        with sessions.begin() as session:
            return act_on_report(session, report.id, Act(kind=K.DISPATCHED, actor="desk"))

    with ThreadPoolExecutor(1) as other, sessions.begin() as session:
        merge(session, moved, kept, actor="desk")
        second = other.submit(dispatch)
        wait_for_lock(sessions)
        session.commit()
        done = second.result()
    assert (done.id, done.state) == (kept, CaseState.DISPATCHED)


def test_a_report_does_not_join_what_has_just_been_closed(sessions: sessionmaker[Session]) -> None:
    case_id = filed(sessions, K.DISPATCHED, K.HANDLED, K.VERIFIED, category="0106")
    with ThreadPoolExecutor(1) as other, sessions.begin() as session:
        act(session, case_id, Act(kind=K.CLOSED, actor="desk"))
        second = other.submit(filed, sessions, category="0106")
        wait_for_lock(sessions)
        session.commit()
        assert second.result() != case_id
