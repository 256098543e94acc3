"""Deadlines of cases against a hand's, and climbing at the very instant that a step's time is up.

2026-09-14 is a Monday. A working day has nine hours, 09:00 to 18:00; 1 to 7 October is a holiday,
and Saturday the 10th is worked for it.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.orm import Session

from gridsvc.grids.scheme_store import current_scheme, load_scheme
from gridsvc.reports.case_log import Event, replay
from gridsvc.reports.case_records import CaseSummary, read_case, read_log, standing_of
from gridsvc.reports.cases import Act, act, climb, open_case
from gridsvc.reports.models import Case
from gridsvc.reports.terms import CaseState, EventKind
from tests import small_city
from tests.factories import appoint, file_as_of, make_scheme

K = EventKind
MICROSECOND = timedelta(microseconds=1)
CALENDAR = """
holidays = [2026-10-01, 2026-10-02, 2026-10-03, 2026-10-04, 2026-10-05, 2026-10-06, 2026-10-07]
workdays = [2026-10-10]
"""
HOURS = 'working_hours = ["mon-fri 09:00-18:00"]\n'
LIMITS = """
[[limit]]
category = "01"
stage = "close"
within = "PT18H"

[[limit]]
category = "0103"
stage = "close"
within = "P2D"

[[limit]]
stage = "handle"
category = "02"
within = "PT2H"

[[limit]]
stage = "dispatch"
within = "PT1H"

[[limit]]
stage = "verify"
within = "PT3H"
"""
CHAIN = """
[[escalation]]
duty = "responsibility"
within = "PT4H"

[[escalation]]
duty = "management"
layer = "street"
within = "P1D"

[[escalation]]
duty = "supervision"
within = "PT4H"

[[escalation]]
duty = "responsibility"
layer = "district"
within = "PT4H"
"""
"""Nobody holds supervision; on the district it is B1, who manages the street too."""


def local(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=ZoneInfo("Asia/Shanghai"))


Found = Callable[[str], Session]


@pytest.fixture
def found(session: Session, monkeypatch: pytest.MonkeyPatch) -> Found:
    """Found the small city with this chain in its scheme."""

    def found(chain: str) -> Session:
        own = small_city.SCHEME.index("[[escalation]]"), small_city.SCHEME.index("[people]")
        scheme = small_city.SCHEME[: own[0]] + small_city.SCHEME[own[1] :]
        scheme = scheme.replace(HOURS, HOURS + CALENDAR) + LIMITS + chain
        monkeypatch.setattr(small_city, "SCHEME", scheme)
        small_city.found(session)
        return session

    return found


@pytest.fixture
def town(found: Found) -> Session:
    return found(CHAIN)


@pytest.fixture(autouse=True)
def every_row_is_its_log(session: Session) -> Iterator[None]:
    """After each test, each case's row is what its log alone gives."""
    yield
    session.expire_all()
    for row in session.query(Case):
        assert standing_of(row) == replay(read_log(session, row.id))


def opened(session: Session, at: str, category: str = "0102") -> CaseSummary:
    report = file_as_of(session, local(at), category=category)
    return open_case(session, report, actor="desk", at=local(at))


def do(session: Session, case: CaseSummary, kind: EventKind, at: str) -> CaseSummary:
    told = Act(kind=kind, actor="desk", reason="as told", details={"to": "the water works"})
    return act(session, case.id, told, local(at))


def last(session: Session, case: CaseSummary) -> Event:
    return read_log(session, case.id)[-1]


# Limits


@pytest.mark.parametrize(
    ("filed", "due", "category"),
    [
        # Over a weekend: 3 h on Friday, 9 on Monday, 6 on Tuesday.
        ("09-18 15:00", "09-22 15:00", "0102"),
        # A Saturday worked for the holiday: 3 h on Friday, 9 on Saturday, 6 on Monday.
        ("10-09 15:00", "10-12 15:00", "0102"),
        # A week of holidays: 3 h on Wednesday, 9 on Thursday the 8th, 6 on Friday.
        ("09-30 15:00", "10-09 15:00", "0102"),
        # It ends exactly at closing time, not at the next opening.
        ("09-14 09:00", "09-15 18:00", "0102"),
        # Filed at night it runs from the opening.
        ("09-13 22:00", "09-15 18:00", "0102"),
        # Two working days; the longest beginning of the category wins.
        ("09-18 15:00", "09-22 15:00", "0103"),
        ("09-30 15:00", "10-09 15:00", "0103"),
    ],
)
def test_a_case_is_due_by_a_hand_worked_time(
    town: Session, filed: str, due: str, category: str
) -> None:
    assert opened(town, filed, category).due_at == local(due)


def test_a_category_without_a_limit_is_never_due(town: Session) -> None:
    assert opened(town, "09-14 09:00", "0201").due_at is None


def test_without_the_limit_nothing_is_due(town: Session) -> None:
    load_scheme(town, make_scheme((LIMITS, "")))
    assert opened(town, "09-14 09:00").due_at is None


def test_a_suspension_puts_the_end_off_by_its_working_time(town: Session) -> None:
    case = opened(town, "09-14 09:00")
    # Six of eighteen hours are used.
    case = do(town, case, K.SUSPENDED, "09-14 15:00")
    assert case.due_at == local("09-15 18:00")  # stands still
    # Six more on Wednesday, and six on Thursday.
    case = do(town, case, K.RESUMED, "09-16 12:00")
    assert case.due_at == local("09-17 15:00")
    # A second one, over a weekend: from Thursday at 12 to Monday at 12 with three hours left.
    do(town, case, K.SUSPENDED, "09-17 12:00")
    assert do(town, case, K.RESUMED, "09-21 12:00").due_at == local("09-21 15:00")


def test_a_step_is_put_off_by_a_suspension_too(town: Session) -> None:
    case = do(town, opened(town, "09-14 09:00"), K.DISPATCHED, "09-18 16:00")
    assert case.step_due_at == local("09-21 11:00")  # two hours on Friday, two on Monday
    do(town, case, K.SUSPENDED, "09-18 17:00")
    case = do(town, case, K.RESUMED, "09-22 09:00")
    assert (case.state, case.holder, case.step) == (CaseState.DISPATCHED, "P1", 1)
    assert case.step_due_at == local("09-22 12:00")


def test_what_is_due_while_it_stands_where_it_stands(town: Session) -> None:
    case = opened(town, "09-14 09:00")

    def due() -> datetime | None:
        return read_case(town, case.id).stage_due_at

    assert due() == local("09-14 10:00")
    do(town, case, K.SUSPENDED, "09-14 09:30")
    assert due() is None
    do(town, case, K.RESUMED, "09-14 11:00")
    assert due() == local("09-14 11:30")
    do(town, case, K.DISPATCHED, "09-14 11:10")
    assert due() == local("09-14 15:10")
    do(town, case, K.RETURNED, "09-14 12:00")
    assert due() == local("09-14 13:00")
    do(town, case, K.DISPATCHED, "09-14 13:00")
    do(town, case, K.HANDLED, "09-14 17:00")
    assert due() == local("09-15 11:00")
    do(town, case, K.VERIFIED, "09-15 10:00")
    assert due() is None


def test_the_handling_limit_of_a_category_is_the_first_step_s(town: Session) -> None:
    case = do(town, opened(town, "09-14 09:00", "0201"), K.DISPATCHED, "09-14 09:00")
    assert case.step_due_at == local("09-14 11:00")
    # The next step has its own.
    case = do(town, case, K.NO_EFFECT, "09-14 10:00")
    assert (case.step, case.step_due_at) == (2, local("09-15 10:00"))


# Climbing


def test_it_climbs_at_the_instant_and_not_a_microsecond_earlier(town: Session) -> None:
    case = do(town, opened(town, "09-14 09:00"), K.DISPATCHED, "09-14 09:00")
    due_at = local("09-14 13:00")
    assert (case.holder, case.step, case.step_due_at) == ("P1", 1, due_at)
    assert climb(town, due_at - MICROSECOND) == ()
    (climbed,) = climb(town, due_at)
    assert (climbed.from_party, climbed.to_party, climbed.step) == ("P1", "B1", 2)
    now = read_case(town, case.id).case
    assert (now.state, now.holder, now.step) == (CaseState.DISPATCHED, "B1", 2)
    assert now.step_due_at == local("09-15 13:00")
    told = last(town, case)
    assert (told.kind, told.actor, told.party, told.to_party) == (
        K.ESCALATED,
        "gridsvc",
        "P1",
        "B1",
    )
    assert told.details == {
        "step": 2,
        "within": "P1D",
        "due_at": local("09-15 13:00").astimezone(ZoneInfo("UTC")).isoformat(),
        "cause": "timeout",
        "skipped": [],
    }
    assert climb(town, due_at) == ()  # once


def test_no_effect_climbs_at_once(town: Session) -> None:
    case = do(town, opened(town, "09-14 09:00"), K.DISPATCHED, "09-14 09:00")
    case = do(town, case, K.NO_EFFECT, "09-14 09:01")
    assert (case.holder, case.step) == ("B1", 2)
    *_, said, climbed = read_log(town, case.id)
    assert (said.kind, said.party, said.reason) == (K.NO_EFFECT, "P1", "as told")
    assert (climbed.kind, climbed.details["cause"]) == (K.ESCALATED, "no_effect")


def test_a_step_that_nobody_holds_is_skipped_and_the_last_one_waits(town: Session) -> None:
    case = do(town, opened(town, "09-14 09:00"), K.DISPATCHED, "09-14 09:00")
    do(town, case, K.NO_EFFECT, "09-14 10:00")
    case = do(town, case, K.NO_EFFECT, "09-14 11:00")
    assert (case.holder, case.step, case.step_due_at) == ("B1", 4, None)
    assert last(town, case).details["skipped"] == [3]
    # The chain is exhausted: it stays, is not asked again, and the log says so.
    assert climb(town, local("12-31 12:00")) == ()
    case = do(town, case, K.NO_EFFECT, "09-14 12:00")
    assert (case.state, case.holder, case.step) == (CaseState.DISPATCHED, "B1", 4)
    told = last(town, case)
    assert told.kind is K.ESCALATED
    assert told.to_party is None
    assert told.details["exhausted"] is True
    assert do(town, case, K.HANDLED, "09-14 13:00").state == CaseState.HANDLED


def test_where_no_further_step_is_held_a_timeout_comes_once(found: Found) -> None:
    town = found(CHAIN[: CHAIN.rindex("[[escalation]]")])  # only supervision is left on top
    case = do(town, opened(town, "09-14 09:00"), K.DISPATCHED, "09-14 09:00")
    do(town, case, K.NO_EFFECT, "09-14 09:00")
    (climbed,) = climb(town, local("09-15 09:00"))
    assert (climbed.to_party, climbed.step) == (None, 2)
    told = last(town, case).details
    assert (told["skipped"], told["exhausted"], told["due_at"]) == ([3], True, None)
    assert climb(town, local("12-31 12:00")) == ()


def test_a_case_climbs_from_where_it_is_whatever_comes_first_in_the_scheme_now(
    town: Session,
) -> None:
    case = opened(town, "09-14 09:00")
    do(town, case, EventKind.DISPATCHED, "09-14 10:00")
    scheme = current_scheme(town)
    # Read in GCJ-02 the same numbers lie some hundred metres away.
    load_scheme(town, scheme.model_copy(update={"input_crs": ("gcj02", "EPSG:4326")}))
    climbed = act(town, case.id, Act(kind=EventKind.NO_EFFECT, actor="desk", reason="shut"))
    assert (climbed.step, climbed.holder) == (2, "B1")


def test_a_case_whose_category_is_out_of_use_climbs_as_a_general_one(town: Session) -> None:
    case = opened(town, "09-14 09:00")
    do(town, case, EventKind.DISPATCHED, "09-14 10:00")
    scheme = current_scheme(town)
    left = tuple(one for one in scheme.categories if one.code != "0102")
    load_scheme(town, scheme.model_copy(update={"categories": left}))
    climbed = act(town, case.id, Act(kind=EventKind.NO_EFFECT, actor="desk", reason="shut"))
    assert (climbed.step, climbed.holder) == (2, "B1")


def test_a_hand_over_changes_who_gets_it(town: Session) -> None:
    # From nine on the 15th the street's management has somebody else for waste.
    holder = {"party": "P9", "layer": "street", "area": "S1", "duty": "management"}
    appoint(town, holder | {"category": "0102", "valid_from": local("09-15 09:00")})
    early, late = (
        do(town, opened(town, "09-14 09:00"), K.DISPATCHED, "09-14 09:00") for _ in range(2)
    )
    at = local("09-15 09:00")
    told = Act(kind=K.NO_EFFECT, actor="desk", reason="nobody there")
    assert act(town, early.id, told, at - MICROSECOND).holder == "B1"
    assert act(town, late.id, told, at).holder == "P9"


def test_a_suspended_case_does_not_climb(town: Session) -> None:
    case = do(town, opened(town, "09-14 09:00"), K.DISPATCHED, "09-14 09:00")
    do(town, case, K.SUSPENDED, "09-14 12:00")
    assert climb(town, local("09-30 12:00")) == ()
    do(town, case, K.RESUMED, "10-08 09:00")  # an hour is left
    assert climb(town, local("10-08 10:00") - MICROSECOND) == ()
    assert len(climb(town, local("10-08 10:00"))) == 1


@pytest.mark.parametrize("kind", [K.HANDLED, K.RETURNED, K.NOT_OURS])
def test_what_is_not_dispatched_does_not_climb(town: Session, kind: EventKind) -> None:
    case = do(town, opened(town, "09-14 09:00"), K.DISPATCHED, "09-14 09:00")
    assert do(town, case, kind, "09-14 10:00").step_due_at is None
    assert climb(town, local("12-31 12:00")) == ()


def test_what_failed_verification_has_its_step_s_time_again(town: Session) -> None:
    case = do(town, opened(town, "09-14 09:00"), K.DISPATCHED, "09-14 09:00")
    do(town, case, K.HANDLED, "09-14 12:00")
    case = do(town, case, K.FAILED_VERIFICATION, "09-15 09:00")
    assert (case.holder, case.step, case.failed_verification_count) == ("P1", 1, 1)
    assert case.step_due_at == local("09-15 13:00")


def test_many_climb_batch_by_batch_the_longest_waiting_first(town: Session) -> None:
    cases = [
        do(town, opened(town, "09-14 09:00"), K.DISPATCHED, f"09-14 09:0{n}") for n in (2, 0, 1)
    ]
    now = local("09-15 09:00")
    batches = [[one.case_id for one in climb(town, now, limit=2)] for _ in range(3)]
    assert batches == [[cases[1].id, cases[2].id], [cases[0].id], []]


def test_without_a_chain_nothing_climbs(found: Found) -> None:
    town = found("")
    case = do(town, opened(town, "09-14 09:00"), K.DISPATCHED, "09-14 09:00")
    assert (case.step, case.step_due_at) == (1, None)
    case = do(town, case, K.NO_EFFECT, "09-14 10:00")
    assert (case.holder, case.step) == ("P1", 1)
    assert last(town, case).details["exhausted"] is True
