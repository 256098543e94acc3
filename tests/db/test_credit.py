"""What proved true counts: once a case for each reporter, and on the record of the place."""

import json
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from gridsvc.cli import app
from gridsvc.db import create_engine
from gridsvc.errors import NothingLoaded, UnknownLayer
from gridsvc.grids.scheme_store import load_scheme
from gridsvc.reports.credit import (
    Credit,
    RecordRow,
    credit_of,
    record_of_area,
    record_of_party,
)
from gridsvc.reports.intake import Draft, file_report
from gridsvc.reports.terms import Channel
from tests import small_city
from tests.db_fixtures import MakeDatabase
from tests.factories import lead_case, make_scheme
from tests.small_city import OPEN_STREET, YARD

RULES = "\n[credit]\nfirst_points = 5\njoined_points = 1\n"
ANN, BEN = "reporter-of-the-app-ann", "reporter-of-the-app-ben"


@pytest.fixture
def town(session: Session) -> Session:
    """The small city, which credits its reporters."""
    small_city.found(session)
    load_scheme(session, make_scheme(extra=RULES))
    return session


def report(
    session: Session,
    reporter: str | None,
    *,
    where: dict[str, float] = YARD,
    category: str = "0102",
    caller: str = "key:1",
) -> UUID:
    draft = Draft(
        x=where["lon"],
        y=where["lat"],
        channel=Channel.PHONE_APP,
        category=category,
        reporter=reporter,
    )
    filed = file_report(session, draft, idempotency_key=str(uuid4()), caller=caller)
    return filed.report.id


def earned(session: Session, reporter: str, source: str = "key:1") -> tuple[int, int, int]:
    credit = credit_of(session, reporter, source=source)
    return credit.points, credit.accepted, credit.reports


# Credit


def test_the_first_reporter_of_a_case_gets_more_than_those_who_join(town: Session) -> None:
    lead_case(town, [report(town, ANN), report(town, BEN)], "handled", "verified", state="verified")
    assert credit_of(town, ANN, source="key:1") == Credit(points=5, accepted=1, reports=1)
    assert credit_of(town, BEN, source="key:1") == Credit(points=1, accepted=1, reports=1)


def test_points_add_up_over_cases(town: Session) -> None:
    for _ in range(2):
        lead_case(town, [report(town, ANN)], "verified", "closed", state="closed")
    lead_case(town, [report(town, BEN), report(town, ANN)], "verified", state="verified")
    report(town, ANN)
    assert earned(town, ANN) == (11, 3, 4)


@pytest.mark.parametrize(
    ("kinds", "state"),
    [
        ((), "filed"),
        (("dispatched", "handled"), "handled"),
        (("not_ours",), "not_ours"),
        (("suspended",), "suspended"),
        (("closed",), "closed"),  # by hand, without anybody having looked
        (("verified", "closed", "reopened"), "filed"),
        (("verified", "closed", "reopened", "not_ours"), "not_ours"),
    ],
)
def test_what_was_not_verified_gives_nothing(
    town: Session, kinds: tuple[str, ...], state: str
) -> None:
    lead_case(town, [report(town, ANN)], *kinds, state=state)
    assert earned(town, ANN) == (0, 0, 1)
    assert record_of_party(town, "P1") == []


def test_a_reopened_case_counts_once_when_it_is_verified_again(town: Session) -> None:
    kinds = ("verified", "closed", "reopened", "verified", "closed")
    lead_case(town, [report(town, ANN)], *kinds, state="closed")
    assert earned(town, ANN) == (5, 1, 1)


def test_a_case_credits_a_reporter_once(town: Session) -> None:
    """Or whoever reports a heap ten times would be paid ten times."""
    first, second, third = (report(town, ANN) for _ in range(3))
    lead_case(town, [first, second, third], "verified", state="verified")
    assert earned(town, ANN) == (5, 3, 3)
    joined = [report(town, BEN), report(town, ANN), report(town, ANN)]
    lead_case(town, joined, "verified", state="verified")
    assert earned(town, ANN) == (6, 5, 5)


def test_a_parted_report_is_credited_in_its_own_case(town: Session) -> None:
    first, other = report(town, ANN), report(town, BEN)
    lead_case(town, [first, other], "verified", state="verified")
    assert earned(town, BEN) == (1, 1, 1)
    town.execute(text("DELETE FROM gridsvc.case_report WHERE report_id = :id"), {"id": other})
    lead_case(town, [other], "filed", state="filed")
    assert earned(town, BEN) == (0, 0, 1)
    lead_case(town, [other], "verified", state="verified")
    assert earned(town, BEN) == (5, 1, 1)
    assert earned(town, ANN) == (5, 1, 1)


def test_two_sources_with_one_token_are_two_reporters(town: Session) -> None:
    lead_case(town, [report(town, ANN, caller="key:1")], "verified", state="verified")
    lead_case(town, [report(town, ANN, caller="key:2")], "handled", state="handled")
    assert earned(town, ANN, "key:1") == (5, 1, 1)
    assert earned(town, ANN, "key:2") == (0, 0, 1)
    assert earned(town, ANN, "key:3") == (0, 0, 0)


def test_reports_without_a_token_are_nobodys(town: Session) -> None:
    lead_case(town, [report(town, None)], "verified", state="verified")
    assert earned(town, ANN) == (0, 0, 0)


def test_a_scheme_without_the_rule_gives_no_points(town: Session) -> None:
    lead_case(town, [report(town, ANN)], "verified", state="verified")
    load_scheme(town, make_scheme())
    assert earned(town, ANN) == (0, 1, 1)


def test_joining_is_worth_nothing_where_the_scheme_does_not_say(town: Session) -> None:
    load_scheme(town, make_scheme(extra="\n[credit]\nfirst_points = 5\n"))
    lead_case(town, [report(town, ANN), report(town, BEN)], "verified", state="verified")
    assert (earned(town, ANN)[0], earned(town, BEN)[0]) == (5, 0)


def test_credit_needs_a_scheme(session: Session) -> None:
    with pytest.raises(NothingLoaded):
        credit_of(session, ANN, source="key:1")


# Records


def opened(session: Session, case_id: int, at: datetime) -> None:
    session.execute(
        text("UPDATE gridsvc.case SET opened_at = :at WHERE id = :id"), {"at": at, "id": case_id}
    )


def test_a_record_is_by_month_and_category(town: Session) -> None:
    """Months are the city's: eight hours ahead of UTC."""
    for at, category, reports in (
        (datetime(2026, 3, 31, 15, 59, 59, tzinfo=UTC), "0102", 2),
        (datetime(2026, 3, 31, 16, tzinfo=UTC), "0102", 1),
        (datetime(2026, 4, 20, tzinfo=UTC), "0201", 1),
        (datetime(2026, 4, 21, tzinfo=UTC), "0102", 3),
    ):
        told = [report(town, None, category=category) for _ in range(reports)]
        opened(town, lead_case(town, told, "verified", "closed", state="closed"), at)
    expected = [
        RecordRow(month="2026-03", category="0102", cases=1, reports=2),
        RecordRow(month="2026-04", category="0102", cases=2, reports=4),
        RecordRow(month="2026-04", category="0201", cases=1, reports=1),
    ]
    assert record_of_party(town, "P1") == expected
    assert record_of_area(town, layer="courtyard", code="C/1") == expected
    assert record_of_area(town, layer="street", code="S1") == expected


def test_a_record_is_of_its_own_area_and_party(town: Session) -> None:
    lead_case(town, [report(town, None)], "verified", state="verified")
    lead_case(town, [report(town, None, where=OPEN_STREET)], "verified", state="verified")
    assert [row.cases for row in record_of_area(town, layer="district", code="D1")] == [2]
    assert [row.cases for row in record_of_area(town, layer="street", code="S2")] == [1]
    assert [row.cases for row in record_of_area(town, layer="courtyard", code="C/1")] == [1]
    # A code of another layer is another area.
    assert record_of_area(town, layer="shop_front", code="C/1") == []
    assert [row.cases for row in record_of_party(town, "P1")] == [1]
    assert record_of_party(town, "P9") == []


def test_a_record_of_no_layer_is_refused(town: Session) -> None:
    with pytest.raises(UnknownLayer):
        record_of_area(town, layer="ward", code="1")


def test_credit_and_records_are_found_by_their_indexes(town: Session) -> None:
    town.execute(text("SET LOCAL enable_seqscan = off"))
    for asked, index in (
        ('case WHERE areas @> \'{"street": "S1"}\'', "case_areas_idx"),
        ("case WHERE responsible = 'P1'", "case_responsible_idx"),
        ("report WHERE reporter_hash = '\\x00'", "report_reporter_hash_idx"),
    ):
        plan = town.scalars(text(f"EXPLAIN SELECT FROM gridsvc.{asked}")).all()
        assert index in "\n".join(plan)


# The command


def test_records_are_shown_for_people_and_machines(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make_database()
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        small_city.found(session)
        case_id = lead_case(session, [report(session, None)], "verified", state="verified")
        opened(session, case_id, datetime(2026, 4, 20, tzinfo=UTC))
    engine.dispose()
    monkeypatch.setenv("GRIDSVC_DATABASE_URL", url)

    def run(*args: str) -> str:
        done = CliRunner().invoke(app, ["records", *args])
        assert done.exit_code == 0, done.output
        return done.stdout

    row = {"month": "2026-04", "category": "0102", "cases": 1, "reports": 1}
    assert json.loads(run("--party", "P1", "--json")) == [row]
    assert json.loads(run("--layer", "street", "--area", "S1", "--json")) == [row]
    assert "2026-04" in run("--party", "P1")
    assert "Nothing" in run("--party", "P9")
    for wrong in (
        (),
        ("--layer", "street"),
        ("--layer", "street", "--area", "S1", "--party", "P1"),
    ):
        assert CliRunner().invoke(app, ["records", *wrong]).exit_code == 2
    assert CliRunner().invoke(app, ["records", "--layer", "ward", "--area", "1"]).exit_code == 1
