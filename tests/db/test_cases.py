"""A case goes where its events lead, one act at a time, and its log alone would make it again."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from gridsvc.errors import ActRefused, CaseMovedOn, ReportWithoutCase, UnknownCase, UnknownReport
from gridsvc.grids.scheme_store import load_scheme
from gridsvc.reports.case_log import TRANSITIONS, replay
from gridsvc.reports.case_records import (
    CaseFilter,
    CaseSummary,
    case_of,
    list_cases,
    read_case,
    read_log,
    standing_of,
)
from gridsvc.reports.cases import Act, act, act_on_report, merge, part
from gridsvc.reports.intake import Draft, FiledReport, file_report, find_report
from gridsvc.reports.models import Case, ReportAnswer
from gridsvc.reports.terms import CaseState, Channel, EventKind
from tests import small_city
from tests.factories import EAST_M, NORTH_M, STORAGE, make_scheme

S = CaseState
K = EventKind
WORDS: dict[str, Any] = {"reason": "as told", "details": {"to": "the water works"}}


def file_at(
    session: Session, east_m: float = 200, north_m: float = 200, category: str | None = "0102"
) -> FiledReport:
    draft = Draft(
        x=EAST_M + east_m,
        y=NORTH_M + north_m,
        crs=STORAGE,
        channel=Channel.PATROL,
        category=category,
    )
    return file_report(session, draft, idempotency_key=str(uuid.uuid4()), caller="desk")


def do(session: Session, case_id: int, *kinds: EventKind, **told: Any) -> CaseSummary:  # noqa: ANN401 -- the words of an Act
    for kind in kinds:
        case = act(session, case_id, Act(kind=kind, actor="desk", **(WORDS | told)))
    return case


def filed(session: Session, *kinds: EventKind) -> int:
    case = file_at(session).case
    assert case
    if kinds:
        do(session, case.id, *kinds)
    return case.id


@pytest.fixture
def town(session: Session) -> Session:
    small_city.found(session)
    return session


@pytest.fixture(autouse=True)
def every_row_is_its_log(session: Session) -> Iterator[None]:
    """After each test, each case's row is what its log alone gives."""
    yield
    session.expire_all()
    for row in session.query(Case):
        assert standing_of(row) == replay(read_log(session, row.id))


WAYS: dict[CaseState, tuple[EventKind, ...]] = {
    S.FILED: (),
    S.DISPATCHED: (K.DISPATCHED,),
    S.RETURNED: (K.DISPATCHED, K.RETURNED),
    S.HANDLED: (K.DISPATCHED, K.HANDLED),
    S.VERIFIED: (K.DISPATCHED, K.HANDLED, K.VERIFIED),
    S.CLOSED: (K.DISPATCHED, K.HANDLED, K.VERIFIED, K.CLOSED),
    S.SUSPENDED: (K.SUSPENDED,),
    S.NOT_OURS: (K.NOT_OURS,),
}

# Written out a second time: what a dispatcher is promised.
ALLOWED: dict[EventKind, dict[CaseState, CaseState]] = {
    K.DISPATCHED: {S.FILED: S.DISPATCHED, S.RETURNED: S.DISPATCHED},
    K.RETURNED: {S.DISPATCHED: S.RETURNED},
    K.HANDLED: {S.DISPATCHED: S.HANDLED},
    K.NO_EFFECT: {S.DISPATCHED: S.DISPATCHED},
    K.VERIFIED: {S.HANDLED: S.VERIFIED},
    K.FAILED_VERIFICATION: {S.HANDLED: S.DISPATCHED},
    K.CLOSED: {S.VERIFIED: S.CLOSED},
    K.REOPENED: {S.CLOSED: S.FILED, S.NOT_OURS: S.FILED},
    K.SUSPENDED: dict.fromkeys((S.FILED, S.DISPATCHED, S.RETURNED), S.SUSPENDED),
    K.RESUMED: {S.SUSPENDED: S.FILED},
    K.NOT_OURS: dict.fromkeys((S.FILED, S.DISPATCHED, S.RETURNED), S.NOT_OURS),
    K.DECLARED_HARD: {state: state for state in (S.FILED, S.DISPATCHED, S.RETURNED)},
}


@pytest.mark.parametrize("state", WAYS)
def test_every_transition_is_allowed_or_refused(town: Session, state: CaseState) -> None:
    assert set(ALLOWED) == set(TRANSITIONS)
    for kind, leads in ALLOWED.items():
        case_id = filed(town, *WAYS[state])
        before = read_case(town, case_id)
        assert before.case.state == state
        if state in leads:
            assert do(town, case_id, kind).state == leads[state]
        else:
            with pytest.raises(CaseMovedOn, match=f"is {state}") as refused:
                do(town, case_id, kind)
            assert refused.value.case.state == state
            assert read_case(town, case_id) == before


def test_a_merged_case_takes_nothing_more(town: Session) -> None:
    case_id, other = filed(town), filed(town)
    merge(town, case_id, other, actor="desk")
    for kind in TRANSITIONS:
        with pytest.raises(CaseMovedOn, match="is merged"):
            do(town, case_id, kind)
    for pair in ((case_id, other), (other, case_id)):
        with pytest.raises(CaseMovedOn, match="is merged"):
            merge(town, *pair, actor="desk")


@pytest.mark.parametrize("before", [S.FILED, S.DISPATCHED, S.RETURNED])
def test_resuming_gives_the_state_before(town: Session, before: CaseState) -> None:
    case_id = filed(town, *WAYS[before])
    held = read_case(town, case_id).case
    do(town, case_id, K.SUSPENDED)
    resumed = do(town, case_id, K.RESUMED)
    assert (resumed.state, resumed.holder, resumed.step) == (before, held.holder, held.step)


def test_a_routed_report_opens_a_case_and_a_marked_one_none(town: Session) -> None:
    told = file_at(town)
    assert told.case
    assert (told.case.state, told.case.responsible, told.case.areas["street"]) == (
        S.FILED,
        "P1",
        "S1",
    )
    assert told.case.opened_at == told.report.received_at
    (event,) = read_log(town, told.case.id)
    assert (event.kind, event.at, event.actor) == (K.FILED, told.report.received_at, "desk")
    outside = file_at(town, east_m=2300)
    assert outside.case is None
    assert outside.duplicates == ()
    with pytest.raises(ReportWithoutCase):
        case_of(town, outside.report.id)
    with pytest.raises(UnknownReport):
        case_of(town, uuid.uuid4())


def test_a_dispatch_goes_to_who_is_responsible_or_to_whom_it_says(town: Session) -> None:
    assert do(town, filed(town), K.DISPATCHED).holder == "P1"
    assert do(town, filed(town), K.DISPATCHED, to_party="P2").holder == "P2"
    told = Act(kind=K.DISPATCHED, actor="desk", to_party="P0")
    with pytest.raises(ActRefused, match="no party 'P0'") as refused:
        act(town, filed(town), told)
    assert refused.value.field == "to_party"


def test_a_dispatch_follows_rerouting_and_the_case_does_not(town: Session) -> None:
    told = file_at(town)
    assert told.case
    (given,) = told.answers
    assert given.answer
    responsible = given.answer["responsible"]
    moved = responsible | {"party": responsible["party"] | {"code": "P2"}}
    town.add(
        ReportAnswer(
            report_id=told.report.id,
            number=2,
            cause="reroute",
            mark="routed",
            revision=given.revision,
            answer=given.answer | {"responsible": moved},
        )
    )
    assert read_case(town, told.case.id).case == told.case
    done = do(town, told.case.id, K.DISPATCHED)
    assert (done.holder, done.responsible) == ("P2", "P1")


def test_counts_and_holders_follow_the_log(town: Session) -> None:
    case_id = filed(town)
    case = do(town, case_id, K.DISPATCHED, K.RETURNED, K.DISPATCHED, K.RETURNED)
    assert (case.return_count, case.holder, case.step_due_at) == (2, None, None)
    case = do(town, case_id, K.DECLARED_HARD, K.DISPATCHED, K.HANDLED, K.FAILED_VERIFICATION)
    assert (case.tier, case.failed_verification_count, case.holder) == ("hard", 1, "P1")
    case = do(town, case_id, K.HANDLED, K.VERIFIED, K.CLOSED)
    assert (case.state, case.holder, case.closed_at) == (S.CLOSED, None, case.state_since)
    case = do(town, case_id, K.REOPENED)
    assert (case.state, case.closed_at, case.step) == (S.FILED, None, 0)


@pytest.mark.parametrize("kind", [kind for kind, way in TRANSITIONS.items() if way.needs_reason])
def test_some_acts_must_say_why(town: Session, kind: EventKind) -> None:
    case_id = filed(town)
    for reason in (None, " "):
        with pytest.raises(ActRefused, match="needs a reason"):
            do(town, case_id, kind, reason=reason)


def test_not_ours_says_to_whom(town: Session) -> None:
    case_id = filed(town)
    told = Act(kind=K.NOT_OURS, actor="desk", reason="a private road")
    with pytest.raises(ActRefused, match="to whom"):
        act(town, case_id, told)
    act(town, case_id, replace(told, details={"to": "the owner"}))
    event = read_log(town, case_id)[-1]
    assert (event.reason, event.details) == ("a private road", {"to": "the owner"})


def test_a_caller_cannot_write_what_the_service_reads(town: Session) -> None:
    with pytest.raises(ActRefused, match="'step'"):
        do(town, filed(town), K.HANDLED, details={"step": "9"})


def test_what_was_seen_must_be_the_last_event(town: Session) -> None:
    case_id = filed(town, K.DISPATCHED)
    with pytest.raises(CaseMovedOn, match="at event 2, not 1") as refused:
        do(town, case_id, K.HANDLED, seen=1)
    now = refused.value.case
    assert (now.id, now.state, now.holder, now.last_event) == (case_id, S.DISPATCHED, "P1", 2)
    assert do(town, case_id, K.HANDLED, seen=2).last_event == 3


def test_there_is_no_such_case(town: Session) -> None:
    for call in (
        lambda: read_case(town, 10**9),
        lambda: do(town, 10**9, K.HANDLED),
        lambda: merge(town, 10**9, filed(town), actor="desk"),
    ):
        with pytest.raises(UnknownCase):
            call()


# Merging and parting.


def first_of(session: Session, case_id: int) -> uuid.UUID:
    (first,) = (one.id for one in read_case(session, case_id).reports if one.is_first)
    return first


@pytest.mark.parametrize("into", ["older", "younger"])
def test_the_older_case_keeps_the_first_reporter(town: Session, into: str) -> None:
    older, younger = file_at(town), file_at(town, east_m=203, north_m=204)
    assert older.case
    assert younger.case
    kept, emptied = older.case, younger.case
    if into == "younger":
        kept, emptied = emptied, kept
    case = merge(town, emptied.id, kept.id, actor="desk")
    assert (case.id, case.report_count, case.opened_at) == (kept.id, 2, older.case.opened_at)
    record = read_case(town, kept.id)
    assert [(one.id, one.is_first, one.distance_m) for one in record.reports] == [
        (older.report.id, True, 0.0),
        (younger.report.id, False, 5.0),
    ]
    gone = read_case(town, emptied.id)
    assert (gone.case.state, gone.case.merged_into, gone.case.report_count) == (
        S.MERGED,
        kept.id,
        0,
    )
    assert gone.reports == ()
    assert record.events[-1].details["from"] == emptied.id
    assert (
        act_on_report(town, younger.report.id, Act(kind=K.DISPATCHED, actor="desk")).id == kept.id
    )


def test_a_case_is_not_merged_into_itself_nor_into_an_ended_one(town: Session) -> None:
    case_id = filed(town)
    with pytest.raises(ActRefused, match="itself"):
        merge(town, case_id, case_id, actor="desk")
    with pytest.raises(CaseMovedOn, match="is closed"):
        merge(town, case_id, filed(town, *WAYS[S.CLOSED]), actor="desk")
    with pytest.raises(CaseMovedOn, match="not 7"):
        merge(town, case_id, filed(town), actor="desk", seen=7)


def test_a_parted_report_has_a_case_of_its_own(town: Session) -> None:
    first, second = file_at(town), file_at(town, east_m=210)
    assert first.case
    assert second.case
    merge(town, second.case.id, first.case.id, actor="desk")
    own = part(town, second.report.id, actor="desk")
    assert own.id not in {first.case.id, second.case.id}
    assert (own.state, own.report_count, own.opened_at) == (
        S.FILED,
        1,
        second.report.received_at,
    )
    assert case_of(town, second.report.id) == own.id
    left = read_case(town, first.case.id)
    assert (left.case.report_count, [one.id for one in left.reports]) == (1, [first.report.id])
    parted = left.events[-1]
    assert (parted.kind, parted.details["report"]) == (K.PARTED, str(second.report.id))
    (filed_again,) = read_log(town, own.id)
    assert (filed_again.kind, filed_again.details["parted_from"]) == (K.FILED, first.case.id)


def test_when_the_first_report_parts_the_next_oldest_is_the_first(town: Session) -> None:
    told = [file_at(town, east_m=200 + 10 * n) for n in range(3)]
    ids = [one.case.id for one in told if one.case]
    for case_id in ids[1:]:
        merge(town, case_id, ids[0], actor="desk")
    part(town, told[0].report.id, actor="desk")
    record = read_case(town, ids[0])
    assert [(one.id, one.is_first, one.distance_m) for one in record.reports] == [
        (told[1].report.id, True, 0.0),
        (told[2].report.id, False, 10.0),
    ]
    assert record.case.opened_at == told[1].report.received_at
    assert first_of(town, ids[0]) == told[1].report.id


def test_the_only_report_does_not_part_nor_one_of_an_ended_case(town: Session) -> None:
    told = file_at(town)
    assert told.case
    with pytest.raises(ActRefused, match="the only one"):
        part(town, told.report.id, actor="desk")
    do(town, told.case.id, K.NOT_OURS)
    with pytest.raises(CaseMovedOn, match="is not_ours"):
        part(town, told.report.id, actor="desk")


# Joining at filing.

RULE = """
[[duplicates]]
category = "01"
within_m = 30
window_hours = 72
join = "automatic"
"""


def test_a_report_within_reach_joins_by_itself_where_the_scheme_says_so(town: Session) -> None:
    load_scheme(town, make_scheme(extra=RULE))
    first, second, far = file_at(town), file_at(town, east_m=230), file_at(town, east_m=240)
    assert first.case
    assert second.case
    assert far.case
    assert second.case.id == first.case.id
    assert second.case.report_count == 2
    assert far.case.id != first.case.id
    event = read_log(town, first.case.id)[-1]
    assert (event.kind, event.details) == (
        K.JOINED,
        {"report": str(second.report.id), "distance_m": 30.0},
    )


def test_where_it_is_only_proposed_each_has_its_own_case(town: Session) -> None:
    load_scheme(town, make_scheme(extra=RULE.replace("automatic", "proposed")))
    first, second = file_at(town), file_at(town, east_m=230)
    assert first.case
    assert second.case
    assert second.case.id != first.case.id
    (near,) = second.duplicates
    assert (near.case_id, near.report_id, near.distance_m) == (first.case.id, first.report.id, 30.0)
    assert near.age_s > 0
    assert first.duplicates == ()
    # Read again later, it says the same; merged, it is no duplicate of its own case.
    assert find_report(town, str(second.report.id)).duplicates == second.duplicates
    merge(town, second.case.id, first.case.id, actor="desk")
    assert find_report(town, str(second.report.id)).duplicates == ()


def test_an_ended_case_is_not_joined(town: Session) -> None:
    load_scheme(town, make_scheme(extra=RULE))
    first = filed(town, *WAYS[S.CLOSED])
    assert filed(town) != first


# Lists.


def test_lists_narrow_by_what_is_asked(town: Session) -> None:
    yard, dispatched = filed(town), filed(town, K.DISPATCHED)
    shops = file_at(town, east_m=1475, north_m=150, category="0201").case
    assert shops
    town.execute(
        text("UPDATE gridsvc.case SET due_at = now() - interval '1 s' WHERE id = :id"),
        {"id": dispatched},
    )

    def ids(**asked: Any) -> list[int]:  # noqa: ANN401 -- the parts of a filter
        return [row.id for row in list_cases(town, CaseFilter(**asked), limit=10).rows]

    every = [yard, dispatched, shops.id]
    assert ids() == every
    assert ids(state=S.DISPATCHED) == [dispatched]
    assert ids(category="01") == [yard, dispatched]
    assert ids(category="0%") == []
    assert ids(layer="courtyard") == [yard, dispatched]
    assert ids(layer="street", area="S2") == [shops.id]
    assert ids(area="S1") == [yard, dispatched]
    assert ids(layer="district", area="S1") == []
    assert ids(holder="P1") == [dispatched]
    assert ids(overdue=True) == [dispatched]
    assert ids(overdue=False) == [yard, shops.id]
    do(town, dispatched, K.SUSPENDED)
    assert ids(overdue=True) == []
    # Nothing in the log puts a case behind time: that row was written by hand.
    town.execute(text("UPDATE gridsvc.case SET due_at = NULL"))


def test_lists_come_in_pages(town: Session) -> None:
    every = [filed(town) for _ in range(5)]
    seen: list[int] = []
    after: int | None = None
    for count in (2, 2, 1):
        page = list_cases(town, CaseFilter(), limit=2, after=after)
        assert len(page.rows) == count
        seen += [row.id for row in page.rows]
        after = page.after
    assert (seen, after) == (every, None)
