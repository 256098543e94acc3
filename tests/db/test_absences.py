"""Absences are proposed, published and taken back like assignments, and come from a flat file."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from gridsvc.errors import (
    ChangeSetConflict,
    ChangeSetError,
    ImportRefused,
    RowsRefused,
)
from gridsvc.grids.absences import import_absences, list_absences
from gridsvc.grids.areas import moment
from gridsvc.grids.changesets import (
    find_change_set,
    latest_revision,
    publish,
    rollback,
    withdraw,
)
from gridsvc.grids.people_files import AbsenceFile, read_absences
from gridsvc.grids.table_imports import TableReport
from tests.factories import (
    appoint,
    ask,
    box,
    found,
    make_scheme,
    new_change_set,
    propose_absence,
    propose_party,
    send_away,
)

SCHEME = make_scheme()
HEADER = "party_code,valid_from,valid_to,reason"
MONDAY = datetime(2030, 3, 4, tzinfo=SCHEME.zone)
TUESDAY, WEDNESDAY = MONDAY + timedelta(days=1), MONDAY + timedelta(days=2)


@pytest.fixture
def town(session: Session) -> Session:
    areas = {("district", "D"): box(0, 0, 100, 100), ("street", "S"): box(0, 0, 100, 100)}
    found(session, areas, scheme=SCHEME)
    appoint(
        session,
        {"party": "P1", "layer": "street", "area": "S"},
        {"party": "B1", "layer": "district", "area": "D"},
    )
    return session


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "away.csv"


def live(session: Session) -> list[tuple[object, ...]]:
    """Give the live absences with all they say."""
    rows = session.execute(
        text("""
            SELECT party_code, valid_from, valid_to, reason FROM gridsvc.absence
            WHERE rev_to IS NULL ORDER BY party_code, valid_from
        """)
    )
    return [tuple(row) for row in rows]


def absence_of(session: Session, party: str) -> int:
    found_id: int = session.execute(
        text("SELECT id FROM gridsvc.absence WHERE party_code = :party AND rev_to IS NULL"),
        {"party": party},
    ).scalar_one()
    return found_id


def responsible(session: Session, at: datetime) -> str:
    code: str = ask(session, east_m=50, north_m=50, at=at)["responsible"]["party"]["code"]
    return code


# Change sets


def test_a_proposed_absence_holds_once_it_is_published(town: Session) -> None:
    change_set = new_change_set(town)
    propose_absence(town, change_set, "P1", MONDAY, TUESDAY)
    assert (live(town), responsible(town, MONDAY)) == ([], "P1")
    publish(town, change_set)
    assert live(town) == [("P1", MONDAY, TUESDAY, None)]
    # Without a rule for stand-ins the next rung answers, as out of hours.
    assert responsible(town, MONDAY) == "B1"


def test_a_withdrawn_absence_never_was(town: Session) -> None:
    change_set = new_change_set(town)
    propose_absence(town, change_set, "P1", MONDAY, TUESDAY)
    withdraw(town, change_set)
    assert live(town) == []


def test_a_replaced_absence_is_kept_for_the_revisions_that_knew_it(town: Session) -> None:
    revision = send_away(town, "P1", MONDAY, WEDNESDAY)
    change_set = new_change_set(town, "back early")
    propose_absence(town, change_set, "P1", MONDAY, TUESDAY, replaces=absence_of(town, "P1"))
    publish(town, change_set)
    assert live(town) == [("P1", MONDAY, TUESDAY, None)]
    kept = town.execute(
        text("SELECT rev_from, rev_to FROM gridsvc.absence WHERE rev_to IS NOT NULL")
    ).all()
    assert [tuple(row) for row in kept] == [(revision, revision + 1)]


def test_an_absence_can_be_taken_back_whole(town: Session) -> None:
    send_away(town, "P1", MONDAY, TUESDAY)
    change_set = new_change_set(town, "stays")
    propose_absence(town, change_set, None, None, replaces=absence_of(town, "P1"))
    publish(town, change_set)
    assert (live(town), responsible(town, MONDAY)) == ([], "P1")


def test_a_rollback_brings_absences_back_and_takes_later_ones_away(town: Session) -> None:
    revision = send_away(town, "P1", MONDAY, TUESDAY)
    before = live(town)
    change_set = new_change_set(town, "later")
    propose_absence(town, change_set, "P1", MONDAY, WEDNESDAY, replaces=absence_of(town, "P1"))
    propose_absence(town, change_set, "B1", MONDAY)
    publish(town, change_set)
    rollback(town, revision)
    assert live(town) == before
    rollback(town, revision - 1)
    assert live(town) == []


def test_two_that_change_the_same_absence_conflict(town: Session) -> None:
    send_away(town, "P1", MONDAY, WEDNESDAY)
    for name, until in (("mine", TUESDAY), ("theirs", None)):
        change_set = new_change_set(town, name)
        propose_absence(town, change_set, "P1", MONDAY, until, replaces=absence_of(town, "P1"))
    theirs = publish(town, find_change_set(town, "theirs")).revision
    author = town.scalar(text("SELECT session_user"))
    with pytest.raises(ChangeSetConflict) as conflict:
        publish(town, find_change_set(town, "mine"))
    told = f"absence of P1 was changed by {author} in revision {theirs}"
    assert all(one.startswith(told) for one in conflict.value.conflicts)


def test_two_that_add_the_same_absence_conflict_and_the_tables_hold_it(town: Session) -> None:
    for name in ("mine", "theirs"):
        propose_absence(town, new_change_set(town, name), "P1", MONDAY)
    publish(town, find_change_set(town, "theirs"))
    with pytest.raises(ChangeSetConflict, match="absence of P1"):
        publish(town, find_change_set(town, "mine"))
    with pytest.raises(IntegrityError, match="absence_one_version_excl"), town.begin_nested():
        town.execute(
            text(
                "INSERT INTO gridsvc.absence (party_code, valid_from, rev_from)"
                " SELECT party_code, valid_from, rev_from FROM gridsvc.absence"
            )
        )


def test_absences_may_overlap(town: Session) -> None:
    send_away(town, "P1", MONDAY, WEDNESDAY)
    change_set = new_change_set(town, "more")
    propose_absence(town, change_set, "P1", TUESDAY, WEDNESDAY + timedelta(days=1))
    publish(town, change_set)
    assert responsible(town, WEDNESDAY) == "B1"
    assert responsible(town, WEDNESDAY + timedelta(days=1)) == "P1"


# Files


def read(path: Path, *rows: str, header: str = HEADER, encoding: str = "utf-8") -> AbsenceFile:
    path.write_bytes("\r\n".join([header, *rows, ""]).encode(encoding))
    return read_absences(path, SCHEME)


def bring(session: Session, path: Path, *rows: str, name: str = "away") -> TableReport:
    change_set = new_change_set(session, name)
    return import_absences(session, SCHEME, read(path, *rows), change_set=change_set)


def take_over(session: Session, path: Path, *rows: str) -> TableReport:
    report = bring(session, path, *rows)
    publish(session, find_change_set(session, "away"))
    return report


def changes(report: TableReport) -> dict[str, int]:
    return {change: count for change, count in report.changes["absences"].items() if count}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_a_file_is_read_in_the_citys_time(path: Path, encoding: str) -> None:
    rows = ["P1,2030/3/4 0:00,2030-03-05,年假", "B1,2030-03-04T00:00:00Z,,"]
    first, second = read(path, *rows, encoding=encoding).absences
    assert (first.valid_from, first.valid_to, first.reason) == (MONDAY, TUESDAY, "年假")
    assert (second.valid_from, second.valid_to) == (datetime(2030, 3, 4, tzinfo=UTC), None)
    assert second.reason is None


def test_the_columns_of_reason_and_end_may_be_missing(path: Path) -> None:
    (absence,) = read(path, "P1,2030-03-04", header="party_code,valid_from").absences
    assert (absence.valid_from, absence.valid_to) == (MONDAY, None)
    with pytest.raises(ImportRefused, match="no column valid_from"):
        read(path, "P1", header="party_code")


def test_all_faults_are_told_at_once_by_line(path: Path) -> None:
    with pytest.raises(RowsRefused) as refused:
        read(
            path,
            "P1,2030-03-04,2030-03-04,",
            "P1,soon,,",
            "P1,,2030-03-04,",
            ",2030-03-04,,",
            "P1,2030-03-04,,",
            "P1,2030-03-04,2030-03-05,",
        )
    assert [fault.split(":")[0] for fault in refused.value.faults] == [
        "line 2",
        "line 3",
        "line 4",
        "line 5",
        "line 7",
    ]
    for fault, words in zip(
        refused.value.faults,
        (
            "is not after valid_from",
            "'soon' is no date",
            "valid_from is empty",
            "party_code is empty",
            "P1 is away from that instant on line 6 already",
        ),
        strict=True,
    ):
        assert words in fault


def test_a_file_adds_absences_and_the_same_again_changes_nothing(town: Session, path: Path) -> None:
    rows = ["P1,2030-03-04,2030-03-05,年假", "B1,2030-03-04,,"]
    assert changes(take_over(town, path, *rows)) == {"added": 2}
    assert live(town) == [("B1", MONDAY, None, None), ("P1", MONDAY, TUESDAY, "年假")]
    assert changes(bring(town, path, *rows)) == {"unchanged": 2}
    with pytest.raises(ChangeSetError, match="proposes nothing"):
        publish(town, find_change_set(town, "away"))


def test_another_end_replaces_the_absence_that_began_then(town: Session, path: Path) -> None:
    take_over(town, path, "P1,2030-03-04,,")
    assert changes(take_over(town, path, "P1,2030-03-04,2030-03-05,")) == {"changed": 1}
    assert live(town) == [("P1", MONDAY, TUESDAY, None)]


def test_a_row_replaces_what_the_change_set_proposed_before(town: Session, path: Path) -> None:
    bring(town, path, "P1,2030-03-04,,")
    take_over(town, path, "P1,2030-03-04,2030-03-06,")
    assert live(town) == [("P1", MONDAY, WEDNESDAY, None)]


def test_an_unknown_party_is_a_fault_of_its_line(town: Session, path: Path) -> None:
    with pytest.raises(RowsRefused) as refused:
        bring(town, path, "P1,2030-03-04,,", "P11,2030-03-04,,", "X,2030-03-04,,")
    assert refused.value.faults == (
        "line 3: no party has the code 'P11'; did you mean P1?",
        "line 4: no party has the code 'X'; import the people first",
    )


def test_a_party_that_the_change_set_brings_is_known(town: Session, path: Path) -> None:
    propose_party(town, new_change_set(town, "away"), "P7")
    take_over(town, path, "P7,2030-03-04,,")
    assert live(town) == [("P7", MONDAY, None, None)]


# Lists


def test_the_list_is_of_those_who_are_away_at_a_moment(town: Session) -> None:
    revision = latest_revision(town)
    send_away(town, "P1", MONDAY, TUESDAY)
    send_away(town, "B1", MONDAY)

    def away(at: datetime, **narrowed: object) -> list[str]:
        page = list_absences(town, now=moment(town, at), reveal=False, limit=9, **narrowed)  # type: ignore[arg-type]
        return [row.party.code for row in page.rows]

    assert away(MONDAY - timedelta(microseconds=1)) == []
    assert away(MONDAY) == ["P1", "B1"]
    assert away(TUESDAY) == ["B1"]
    assert away(MONDAY, party="B1") == ["B1"]
    assert latest_revision(town) == revision + 2
    page = list_absences(town, now=moment(town, MONDAY), reveal=False, limit=1)
    rest = list_absences(
        town, now=moment(town, MONDAY), reveal=False, limit=1, after=int(page.after or 0)
    )
    assert [row.party.code for row in (*page.rows, *rest.rows)] == ["P1", "B1"]
    assert rest.after is None


def test_a_reason_is_for_those_who_may_see_people(town: Session, path: Path) -> None:
    take_over(town, path, "P1,2030-03-04,,病假")
    for reveal, seen in ((False, ("张*", None)), (True, ("张三", "病假"))):
        (row,) = list_absences(town, now=moment(town, MONDAY), reveal=reveal, limit=9).rows
        assert (row.party.name, row.reason) == seen
