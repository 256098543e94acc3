"""Which open cases a report may be one more of, at the very edges of reach."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.orm import Session

from gridsvc.grids.scheme_store import current_scheme, load_scheme
from gridsvc.reports.case_records import CaseSummary
from gridsvc.reports.cases import Act, act, merge, open_case
from gridsvc.reports.duplicates import Duplicate, Suspect, likely_duplicates
from gridsvc.reports.models import Report
from gridsvc.reports.terms import EventKind
from tests import small_city
from tests.factories import file_as_of, make_scheme

NOON = datetime(2026, 9, 14, 12, tzinfo=ZoneInfo("Asia/Shanghai"))
WINDOW = timedelta(hours=72)
MICROSECOND = timedelta(microseconds=1)
RULES = """
[[duplicates]]
category = "01"
within_m = 30
window_hours = 72

[[duplicates]]
category = "0103"
within_m = 5
window_hours = 1.5
"""


@pytest.fixture
def town(session: Session, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setattr(small_city, "SCHEME", small_city.SCHEME + RULES)
    small_city.found(session)
    return session


def opened(
    session: Session, at: datetime = NOON, *, east_m: float = 200, category: str = "0102"
) -> CaseSummary:
    report = file_as_of(session, at, east_m=east_m, category=category)
    return open_case(session, report, actor="desk", at=at)


def near(
    session: Session,
    at: datetime = NOON + timedelta(hours=1),
    *,
    east_m: float = 200,
    north_m: float = 200,
    category: str | None = "0102",
) -> list[Duplicate]:
    report = file_as_of(session, at, east_m=east_m, north_m=north_m, category=category)
    return found_for(session, report)


def found_for(session: Session, report: Report, own: int | None = None) -> list[Duplicate]:
    suspect = Suspect(report.id, report.category, report.received_at, own)
    found = likely_duplicates(session, current_scheme(session), [suspect])
    return list(found.get(report.id, ()))


def test_it_names_the_case_its_distance_and_its_age(town: Session) -> None:
    report = file_as_of(town, NOON)
    case = open_case(town, report, actor="desk", at=NOON)
    assert near(town, north_m=204, east_m=203) == [
        Duplicate(case.id, report.id, 5.0, NOON, 3600.0, "0102")
    ]


@pytest.mark.parametrize(("east_m", "found"), [(230, 1), (230.001, 0), (170, 1), (169.999, 0)])
def test_the_distance_itself_is_within_reach(town: Session, east_m: float, found: int) -> None:
    opened(town)
    assert len(near(town, east_m=east_m)) == found


@pytest.mark.parametrize(("late", "found"), [(timedelta(0), 1), (MICROSECOND, 0)])
def test_the_window_s_end_is_within_reach(town: Session, late: timedelta, found: int) -> None:
    opened(town)
    assert len(near(town, NOON + WINDOW + late)) == found


def test_the_longest_beginning_of_the_category_rules(town: Session) -> None:
    opened(town, category="0103")
    at = NOON + timedelta(hours=1.5)
    assert len(near(town, at, east_m=205, category="0103")) == 1
    assert near(town, at, east_m=205.001, category="0103") == []
    assert near(town, at + MICROSECOND, category="0103") == []


@pytest.mark.parametrize("category", ["0101", "0201", None])
def test_another_category_is_another_matter(town: Session, category: str | None) -> None:
    opened(town)
    assert near(town, category=category) == []


def test_a_category_without_a_rule_is_never_the_same(town: Session) -> None:
    opened(town, category="0201")
    assert near(town, category="0201") == []


def test_without_the_rule_nothing_is_the_same(town: Session) -> None:
    opened(town)
    assert len(near(town)) == 1
    load_scheme(town, make_scheme((RULES, "")))
    assert near(town) == []


ENDS = {
    "closed": ("dispatched", "handled", "verified", "closed"),
    "not ours": ("not_ours",),
}


@pytest.mark.parametrize("kinds", ENDS.values(), ids=ENDS)
def test_an_ended_case_takes_no_more_until_it_is_reopened(
    town: Session, kinds: tuple[str, ...]
) -> None:
    case = opened(town)
    for kind in kinds:
        assert len(near(town)) == 1
        told = Act(
            kind=EventKind(kind), actor="desk", reason="as told", details={"to": "the water works"}
        )
        act(town, case.id, told, NOON)
    assert near(town) == []
    act(town, case.id, Act(kind=EventKind.REOPENED, actor="desk", reason="again"), NOON)
    assert len(near(town)) == 1


def test_a_merged_case_takes_no_more(town: Session) -> None:
    kept, emptied = opened(town), opened(town)
    merge(town, emptied.id, kept.id, actor="desk", now=NOON)
    assert [one.case_id for one in near(town)] == [kept.id]


def test_the_nearest_comes_first_and_of_equals_the_oldest(town: Session) -> None:
    late = opened(town, NOON + timedelta(minutes=1), east_m=190)
    far = opened(town, NOON - timedelta(hours=2), east_m=220)
    early = opened(town, NOON, east_m=210)
    twin = opened(town, NOON, east_m=210)
    assert [one.case_id for one in near(town)] == [early.id, twin.id, late.id, far.id]


def test_its_own_case_and_later_ones_are_left_out(town: Session) -> None:
    early = opened(town)
    report = file_as_of(town, NOON + timedelta(hours=1))
    own = open_case(town, report, actor="desk", at=NOON + timedelta(hours=1))
    opened(town, NOON + timedelta(hours=2))
    found = found_for(town, report, own.id)
    assert [one.case_id for one in found] == [early.id]
