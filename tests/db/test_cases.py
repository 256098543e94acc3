"""A case goes where its events lead, one act at a time, and its log alone would make it again."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.orm import Session

from gridsvc.errors import CaseMovedOn
from gridsvc.reports.case_log import TRANSITIONS, replay
from gridsvc.reports.cases import (
    Act,
    CaseSummary,
    act,
    merge,
    read_case,
    read_log,
    standing_of,
)
from gridsvc.reports.intake import Draft, FiledReport, file_report
from gridsvc.reports.models import Case
from gridsvc.reports.terms import CaseState, Channel, EventKind
from tests import small_city
from tests.factories import EAST_M, NORTH_M, STORAGE

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


def do(session: Session, case_id: int, *kinds: EventKind, **told: object) -> CaseSummary:
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

# As PLAN and the front page tell it, written out a second time.
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
