"""A flat table of people, as offices save it, becomes assignments; each fault has its line."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from gridsvc.errors import ChangeSetRefused, ImportRefused, RowsRefused
from gridsvc.grids.changesets import find_change_set, publish
from gridsvc.grids.people import import_people
from gridsvc.grids.people_files import PeopleFile, read_people
from gridsvc.grids.scheme_store import load_scheme
from gridsvc.grids.table_imports import TableReport
from gridsvc.grids.weekhours import ALWAYS, parse_week_hours
from tests.factories import FOUNDED_AT, ask, box, found, make_scheme, new_change_set

SCHEME = make_scheme(('findings = { vacancy = "report" }', 'findings = { vacancy = "stop" }'))
HEADER = (
    "party_code,party_name,party_kind,phone,role,duty,rank,layer,area_code,categories,hours,"
    "valid_from,valid_to"
)
TODAY = datetime.now(SCHEME.zone).replace(hour=0, minute=0, second=0, microsecond=0)
TOMORROW, YESTERDAY = TODAY + timedelta(days=1), TODAY - timedelta(days=1)


def row(
    party: str = "P1",
    *,
    name: str = "张伟",
    kind: str = "person",
    phone: str = "13800001234",
    role: str = "chief",
    duty: str = "responsibility",
    rank: str = "",
    layer: str = "street",
    area: str = "0012",
    categories: str = "",
    hours: str = "",
    since: str | datetime = "2026-01-05",
    until: str | datetime = "",
) -> str:
    cells = [party, name, kind, phone, role, duty, rank, layer, area, categories, hours]
    return ",".join(
        f'"{cell}"' if "," in cell else cell
        for cell in [
            *cells,
            *(when if isinstance(when, str) else when.isoformat() for when in (since, until)),
        ]
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "people.csv"


def read(path: Path, *rows: str, header: str = HEADER, encoding: str = "utf-8") -> PeopleFile:
    path.write_bytes("\r\n".join([header, *rows, ""]).encode(encoding))
    return read_people(path, SCHEME)


def faults(path: Path, *rows: str) -> tuple[str, ...]:
    with pytest.raises(RowsRefused) as refused:
        read(path, *rows)
    return refused.value.faults


# Encodings


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "gbk", "utf-16"])
def test_every_encoding_of_an_office_gives_the_same(path: Path, encoding: str) -> None:
    rows = [row(name="张伟"), row("P2", name="段喆·买买提", area="0013")]
    read_as = read(path, *rows, encoding=encoding)
    assert [party.name for party in read_as.parties] == ["张伟", "段喆·买买提"]
    assert read_as == read(path, *rows)


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("big5", "陳美玲信義區"),
        ("latin-1", "Müller"),
        ("latin-1", "José García"),
        ("shift_jis", "田中太郎"),
        ("utf-16-le", "张伟"),
    ],
)
def test_another_encoding_is_refused_not_misread(path: Path, encoding: str, name: str) -> None:
    with pytest.raises(ImportRefused) as refused:
        read(path, row(name=name), encoding=encoding)
    assert refused.value.source == "people.csv"


# Excel's habits


@pytest.mark.parametrize(
    "area", ["0012", '=""0012""', "'0012", "００１２", " 0012 ", "\u30000012", "0012\xa0"]
)
def test_a_code_is_read_as_the_person_meant_it(path: Path, area: str) -> None:
    cell = f'"{area}"' if '""' in area else area
    (assignment,) = read(path, row(area=cell)).assignments
    assert assignment.area_code == "0012"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("area", "1.10105E+14"),
        ("party", "1.1E+14"),
        ("phone", "1.38E+10"),
    ],
)
def test_a_number_that_a_spreadsheet_rounded_is_refused(
    path: Path, column: str, value: str
) -> None:
    (fault,) = faults(path, row(**{column: value}))  # type: ignore[arg-type]
    assert fault.startswith("line 2: ")
    assert f"{value} was rounded by a spreadsheet" in fault


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators(path: Path, separator: str) -> None:
    lines = [line.replace(",", separator) for line in (HEADER, row())]
    path.write_text("\n".join(lines), encoding="utf-8")
    assert read_people(path, SCHEME).assignments == read(path, row()).assignments


def test_blank_lines_and_empty_columns_at_the_end_are_no_rows(path: Path) -> None:
    padded = read(path, row() + ",,", "", ",,,,,,,,,,,,", "  ,,", "")
    assert padded.assignments == read(path, row()).assignments


def test_a_cell_beyond_the_header_is_refused(path: Path) -> None:
    with pytest.raises(ImportRefused, match="line 2 has more cells than the header"):
        read(path, row() + ",shifted")


@pytest.mark.parametrize(
    "text_of_it",
    [
        "2026/1/5 9:00",
        "2026-01-05T09:00",
        "2026年1月5日 9:00",
        "2026.1.5 09:00:00",
        "2026-01-05T01:00:00Z",
        "2026-01-05T09:00:00+08:00",
        "2026-01-05T01:00:00.000Z",
    ],
)
def test_an_instant_is_read_in_the_citys_time(path: Path, text_of_it: str) -> None:
    (assignment,) = read(path, row(since=text_of_it)).assignments
    assert assignment.valid_from == datetime(2026, 1, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize("text_of_it", ["5.1.2026", "46027", "2026-02-30", "soon"])
def test_what_is_no_date_is_refused(path: Path, text_of_it: str) -> None:
    (fault,) = faults(path, row(since=text_of_it))
    assert f"valid_from {text_of_it!r} is no date" in fault


# Rows


def test_columns_may_stand_in_any_order_and_optional_ones_be_missing(path: Path) -> None:
    header = "area_code,layer,duty,role,party_kind,party_name,party_code"
    (assignment,) = read(
        path, "0012,street,responsibility,chief,person,张伟,P1", header=header
    ).assignments
    assert (assignment.hours, assignment.rank, assignment.valid_from) == (ALWAYS, 1, None)
    with pytest.raises(ImportRefused, match="no column party_code"):
        read(path, "0012,street", header="area_code,layer,duty,role,party_kind,party_name")


def test_each_category_prefix_is_an_assignment_of_its_own(path: Path) -> None:
    given = read(path, row(categories="01;0203；05; 01")).assignments
    assert [assignment.category for assignment in given] == ["01", "0203", "05"]


def test_rank_and_hours_are_read(path: Path) -> None:
    hours = "mon-fri 08:00-20:00; sat 09:00-12:00"
    (assignment,) = read(path, row(rank="2", hours=hours)).assignments
    assert (assignment.rank, assignment.hours) == (2, parse_week_hours(hours))


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"layer": "stret"}, "layer 'stret' is unknown; did you mean street?"),
        ({"role": "boss"}, "role 'boss' is unknown; use one of chief, officer"),
        ({"duty": "responsability"}, "did you mean responsibility?"),
        ({"kind": "robot"}, "party_kind 'robot' is unknown; use one of person, body"),
        ({"rank": "3"}, "rank '3' is unknown"),
        ({"categories": "01;99"}, "no category of the scheme begins with '99'"),
        ({"name": ""}, "party_name is empty"),
        ({"area": ""}, "area_code is empty"),
        ({"hours": "mon-fry 08:00-20:00"}, "fry"),
        ({"since": "2026-05-01", "until": "2026-05-01"}, "is not after valid_from"),
    ],
)
def test_a_fault_names_its_line_and_remedy(path: Path, cells: dict[str, str], words: str) -> None:
    (fault,) = faults(path, row("P9", area="0013"), row(**cells))  # type: ignore[arg-type]
    assert fault.startswith("line 3: ")
    assert words in fault


def test_all_faults_are_told_at_once(path: Path) -> None:
    found_faults = faults(path, row(rank="9"), row(), row(name="张三"), row(layer="x"))
    assert [fault.split(":")[0] for fault in found_faults] == ["line 2", "line 4", "line 5"]
    assert "P1 has another name, kind or phone on line 3" in found_faults[1]


def test_a_file_of_nothing_is_refused(path: Path, tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="no rows"):
        read(path)
    with pytest.raises(ImportRefused, match="cannot be read"):
        read_people(tmp_path / "none.csv", SCHEME)


# Into the database


@pytest.fixture
def town(session: Session) -> Session:
    found(
        session,
        {
            ("district", "D"): box(0, 0, 200, 100),
            ("street", "0012"): box(0, 0, 100, 100),
            ("street", "0013"): box(100, 0, 200, 100),
        },
        scheme=SCHEME,
    )
    return session


def bring(session: Session, path: Path, *rows: str, name: str = "people") -> TableReport:
    return import_people(
        session, SCHEME, read(path, *rows), change_set=new_change_set(session, name)
    )


def take_over(session: Session, path: Path, *rows: str) -> TableReport:
    report = bring(session, path, *rows)
    publish(session, find_change_set(session, "people"))
    return report


def holder(session: Session, at: datetime | None = None) -> str | None:
    given = ask(session, east_m=50, north_m=50, at=at)["responsible"]
    return given and given["party"]["code"]


def changes(report: TableReport) -> dict[str, int]:
    return {change: count for change, count in report.changes["assignments"].items() if count}


def words(report: TableReport) -> list[str]:
    return [str(finding) for finding in report.findings]


def test_a_file_adds_its_people_and_the_same_again_changes_nothing(
    town: Session, path: Path
) -> None:
    rows = [row(categories="01;02"), row("B1", name="街道办", kind="body", area="0013", since="")]
    report = take_over(town, path, *rows)
    assert (changes(report), report.changes["parties"]["added"]) == ({"added": 3}, 2)
    again = bring(town, path, *rows)
    assert (changes(again), again.changes["parties"]["unchanged"]) == ({"unchanged": 3}, 2)
    assert again.findings == []


def test_a_changed_phone_changes_the_party_only(town: Session, path: Path) -> None:
    take_over(town, path, row())
    report = take_over(town, path, row(phone="13900001234"))
    assert (report.changes["parties"]["changed"], changes(report)) == (1, {"unchanged": 1})
    shown = ask(town, east_m=50, north_m=50, reveal=True)["responsible"]["party"]["phone"]
    assert shown == "13900001234"


def test_a_party_taken_back_to_what_it_is_proposes_nothing(town: Session, path: Path) -> None:
    take_over(town, path, row())
    bring(town, path, row(phone="13900001234"))
    bring(town, path, row())
    edits = town.scalar(
        text("SELECT count(*) FROM gridsvc.party_edit WHERE change_set_id = :id"),
        {"id": find_change_set(town, "people").id},
    )
    assert edits == 0


def test_two_holders_at_once_are_refused_with_who_and_when(town: Session, path: Path) -> None:
    take_over(town, path, row(until="2026-06-01"), row("P2", since="2026-06-01"))
    report = bring(town, path, row("P3", since="2026-05-01"))
    assert report.stopped
    assert words(report) == [
        (
            "already_held: P3 cannot hold responsibility of street 0012: already held by P1"
            " from 2026-01-05T00:00+08:00 to 2026-06-01T00:00+08:00"
        ),
        (
            "already_held: P3 cannot hold responsibility of street 0012: already held by P2"
            " from 2026-06-01T00:00+08:00 to …"
        ),
    ]


def test_two_of_one_file_are_refused_too(town: Session, path: Path) -> None:
    (finding,) = bring(town, path, row(), row("P2")).findings
    assert (finding.kind, finding.other, finding.stops) == ("already_held", "P1", True)


def test_no_scheme_can_let_two_hold_the_same(town: Session, path: Path) -> None:
    lenient = make_scheme(('{ vacancy = "report" }', '{ already_held = "report" }'))
    load_scheme(town, lenient)
    change_set = new_change_set(town)
    report = import_people(town, lenient, read(path, row(), row("P2")), change_set=change_set)
    assert report.stopped
    with pytest.raises(ChangeSetRefused, match="already held by P1"):
        publish(town, change_set)


@pytest.mark.parametrize(
    "other",
    [
        {"categories": "01"},
        {"rank": "2", "duty": "enforcement"},
        {"duty": "management"},
        {"area": "0013"},
    ],
)
def test_another_category_rank_duty_or_area_is_no_clash(
    town: Session, path: Path, other: dict[str, str]
) -> None:
    assert take_over(town, path, row(), row("P2", **other)).findings == []  # type: ignore[arg-type]


def test_shifts_that_meet_are_no_clash_and_those_that_overlap_are(
    town: Session, path: Path
) -> None:
    day = row(hours="mon-sun 08:00-20:00")
    assert bring(town, path, day, row("P2", hours="mon-sun 20:00-08:00")).findings == []
    assert bring(town, path, day, row("P2", hours="mon-sun 19:59-08:00"), name="b").stopped


def test_a_hand_over_ends_the_one_and_begins_the_other(town: Session, path: Path) -> None:
    take_over(town, path, row())
    report = take_over(town, path, row(until=TOMORROW), row("P2", since=TOMORROW))
    assert (changes(report), report.findings) == ({"changed": 1, "added": 1}, [])
    assert holder(town, TOMORROW - timedelta(microseconds=1)) == "P1"
    assert holder(town, TOMORROW) == "P2"


def test_one_who_leaves_without_a_successor_stops_the_publish(town: Session, path: Path) -> None:
    take_over(town, path, row())
    report = bring(town, path, row(since="", until=TOMORROW))
    assert report.stopped
    assert words(report) == [
        (
            "vacancy: P1 leaves responsibility of street 0012 at "
            f"{TOMORROW.isoformat(timespec='minutes')} without a successor"
        )
    ]


def test_an_unknown_area_is_found(town: Session, path: Path) -> None:
    report = bring(town, path, row(area="9999"))
    assert words(report) == [
        (
            "unknown_area: P1 cannot hold responsibility of street 9999: "
            "no such area at 2026-01-05T00:00+08:00"
        )
    ]
    assert report.stopped


def test_an_area_that_begins_later_cannot_be_held_yet(town: Session, path: Path) -> None:
    before = FOUNDED_AT - timedelta(days=1)
    assert [f.kind for f in bring(town, path, row(since=before)).findings] == ["unknown_area"]


def test_an_end_without_a_start_that_ends_nobody_is_refused(town: Session, path: Path) -> None:
    with pytest.raises(RowsRefused, match=r"line 3: valid_to .* give valid_from"):
        bring(town, path, row("P2", area="0013"), row(since="", until=YESTERDAY))


def test_an_end_given_twice_without_a_start_changes_nothing_the_second_time(
    town: Session, path: Path
) -> None:
    take_over(town, path, row())
    leaving = [row(since="", until=YESTERDAY), row("P2", since=YESTERDAY)]
    assert changes(take_over(town, path, *leaving)) == {"changed": 1, "added": 1}
    assert changes(bring(town, path, *leaving)) == {"unchanged": 2}


def test_one_who_comes_back_holds_from_now_on_and_not_all_along(town: Session, path: Path) -> None:
    take_over(town, path, row(until="2026-02-01"), row("P2", since="2026-02-01"))
    back = [row("P2", since="", until=TOMORROW), row(since=TOMORROW)]
    assert changes(take_over(town, path, *back)) == {"changed": 1, "added": 1}
    report = bring(town, path, row(since=""))
    assert (changes(report), report.findings) == ({"unchanged": 1}, [])
    assert holder(town, datetime(2026, 3, 1, tzinfo=UTC)) == holder(town) == "P2"
    assert holder(town, TOMORROW) == "P1"


def test_a_dry_run_leaves_no_trace(town: Session, path: Path) -> None:
    dry_run = town.begin_nested()
    bring(town, path, row())
    dry_run.rollback()
    for table in ("party_edit", "assignment_edit", "party", "assignment"):
        assert town.scalar(text(f"SELECT count(*) FROM gridsvc.{table}")) == 0
