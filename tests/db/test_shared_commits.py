"""Reports filed together: one commit for many, and for each what it would be alone."""

import asyncio
import random
import uuid
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from gridsvc.api.app import SERVICE_ROLE
from gridsvc.db import create_engine
from gridsvc.errors import GridsvcError, IdempotencyKeyReused
from gridsvc.grids.changesets import publish
from gridsvc.grids.scheme_store import load_scheme
from gridsvc.reports.case_log import replay
from gridsvc.reports.case_records import read_log, standing_of
from gridsvc.reports.intake import (
    AnswerEach,
    Draft,
    FiledReport,
    Sent,
    ToldBefore,
    file_report,
    file_reports,
    find_report,
)
from gridsvc.reports.models import Case, CaseReport, Report
from gridsvc.reports.shared_commits import MOST_TOGETHER, MakeEngine, taking_in
from gridsvc.reports.terms import Channel, Mark
from gridsvc.routing.live import Live
from gridsvc.routing.router import Question, answer, answer_each
from tests import small_city
from tests.db_fixtures import MakeDatabase
from tests.factories import EAST_M, NORTH_M, STORAGE, box, make_scheme, new_change_set, propose_area
from tests.small_city import OUTSIDE, YARD

JOINING = """
[[duplicates]]
category = "01"
within_m = 30
window_hours = 72
join = "automatic"

[[duplicates]]
category = "02"
within_m = 20
window_hours = 72

[[limit]]
stage = "close"
within = "P2D"
"""


def found_city(url: str) -> str:
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        small_city.found(session)
        load_scheme(session, make_scheme(extra=JOINING))
    engine.dispose()
    return url


@pytest.fixture(scope="module")
def town(make_database: MakeDatabase) -> str:
    return found_city(make_database())


@pytest.fixture
def make_engine(town: str) -> MakeEngine:
    return partial(create_engine, town, role=SERVICE_ROLE)


@pytest.fixture
def service(make_engine: MakeEngine) -> Iterator[Engine]:
    engine = make_engine()
    yield engine
    engine.dispose()


def sent(key: str | None = None, **told: object) -> Sent:
    draft = {"x": YARD["lon"], "y": YARD["lat"], "channel": Channel.PATROL} | told
    return Sent(
        draft=Draft(**draft),  # type: ignore[arg-type]
        idempotency_key=key or str(uuid.uuid4()),
        caller="desk",
    )


def at(east_m: float, north_m: float, category: str | None) -> Sent:
    return sent(x=EAST_M + east_m, y=NORTH_M + north_m, crs=STORAGE, category=category)


Outcome = FiledReport | BaseException
_Told = TypeVar("_Told")


def in_a_loop(work: Coroutine[Any, Any, _Told]) -> _Told:
    """Run in a thread of its own: the browser's tests keep a loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def file_all(
    make_engine: MakeEngine, reports: Sequence[Sent], answering: AnswerEach = answer_each
) -> list[Outcome]:
    """File at once; gives for each the report or what was raised."""

    async def run() -> list[Outcome]:
        with taking_in(make_engine, answer_each=answering) as intake:
            return await asyncio.gather(*map(intake.file, reports), return_exceptions=True)

    return in_a_loop(run())


def test_many_share_a_commit(make_engine: MakeEngine, service: Engine) -> None:
    reports = [sent() for _ in range(100)]
    told = file_all(make_engine, reports)
    assert all(isinstance(one, FiledReport) and one.created for one in told)
    ids = [one.report.id for one in told if isinstance(one, FiledReport)]
    with Session(service) as session:
        stored = session.execute(
            text("SELECT id, xmin FROM gridsvc.report WHERE id = ANY(:ids)"), {"ids": ids}
        ).all()
        assert len(stored) == 100
        assert len({row.xmin for row in stored}) < 10
        for one in told[::20]:
            assert isinstance(one, FiledReport)
            again = find_report(session, str(one.report.id))
            assert (again.report, again.answers) == (one.report, one.answers)
            assert (again.case, again.duplicates) == (one.case, one.duplicates)


def test_more_than_fit_into_a_commit_are_filed_too(make_engine: MakeEngine) -> None:
    told = file_all(make_engine, [sent(**OUTSIDE_AT) for _ in range(2 * MOST_TOGETHER + 1)])
    assert {one.answers[0].mark for one in told if isinstance(one, FiledReport)} == {Mark.OUTSIDE}
    assert len(told) == 2 * MOST_TOGETHER + 1


OUTSIDE_AT = {"x": OUTSIDE["lon"], "y": OUTSIDE["lat"]}


def test_what_stands_in_the_way_of_one_fails_no_neighbour(make_engine: MakeEngine) -> None:
    reports = [sent(description="a\0b" if n == 7 else "渣土") for n in range(20)]
    told = file_all(make_engine, reports)
    failed = [n for n, one in enumerate(told) if isinstance(one, BaseException)]
    assert failed == [7]
    assert all(one.created for one in told if isinstance(one, FiledReport))


def test_nobody_waits_for_one_whose_name_another_is_storing(
    make_engine: MakeEngine, service: Engine
) -> None:
    first = file_all(make_engine, [sent("template")])[0]
    assert isinstance(first, FiledReport)

    async def run(other: Session) -> tuple[list[Outcome], FiledReport]:
        with taking_in(make_engine, answer_each=answer_each) as intake:
            late = asyncio.create_task(intake.file(sent("held")))
            others = await asyncio.wait_for(
                asyncio.gather(*(intake.file(sent()) for _ in range(20)), return_exceptions=True),
                timeout=10,
            )
            assert not late.done()
            other.commit()
            return others, await asyncio.wait_for(late, timeout=10)

    with Session(service) as session:
        held = session.scalar(
            text(
                "INSERT INTO gridsvc.report (source, source_id, body_hash, received_at)"
                " SELECT source, 'held', body_hash, received_at FROM gridsvc.report"
                " WHERE id = :id RETURNING id"
            ),
            {"id": first.report.id},
        )
        session.execute(
            text(
                "INSERT INTO gridsvc.report_answer (report_id, number, cause, mark, reason)"
                " VALUES (:id, 1, 'intake', 'outside', 'told by the other')"
            ),
            {"id": held},
        )
        others, late = in_a_loop(run(session))
    assert all(isinstance(one, FiledReport) and one.created for one in others)
    assert (late.report.id, late.created) == (held, False)


def test_a_name_that_comes_several_times_is_one_report(
    make_engine: MakeEngine, service: Engine
) -> None:
    same = [sent("same", category="0102") for _ in range(6)]
    other = sent("same", category="0102", description="something else")
    told = file_all(make_engine, [*same, other, sent()])
    created = [one for one in told[:6] if isinstance(one, FiledReport) and one.created]
    assert len(created) == 1
    ids = {one.report.id for one in told[:6] if isinstance(one, FiledReport)}
    assert len(ids) == 1
    assert isinstance(told[6], IdempotencyKeyReused)
    assert isinstance(told[7], FiledReport)
    with Session(service) as session:
        # In one and the same group.
        first, *repeats, another = file_reports(
            session, [sent("twice"), sent("twice"), sent("twice", accuracy_m=3)]
        )
        assert isinstance(first, FiledReport)
        assert [one for one in (*repeats, another) if isinstance(one, ToldBefore)] == [
            ToldBefore(first.report.id, "twice", same=True),
            ToldBefore(first.report.id, "twice", same=False),
        ]


def test_an_answer_that_fails_a_group_fails_only_whom_it_concerns(make_engine: MakeEngine) -> None:
    def fail(
        session: Session, questions: Sequence[Question]
    ) -> Sequence[dict[str, object] | GridsvcError]:
        if any(question.category == "0103" for question in questions):
            raise RuntimeError("no answer")
        return answer_each(session, questions)

    reports = [sent(category=category) for category in ("0102", "0103", "0102", "0102")]
    told = file_all(make_engine, reports, fail)
    assert [isinstance(one, RuntimeError) for one in told] == [False, True, False, False]


def test_without_a_database_each_is_told_so() -> None:
    away = partial(create_engine, "postgresql://nobody@127.0.0.1:1/none")
    told = file_all(away, [sent() for _ in range(10)])
    assert [type(one) for one in told] == [OperationalError] * 10


def test_together_is_as_one_by_one(make_database: MakeDatabase) -> None:
    """The same reports, once one by one and once in groups: the same cases with the same logs."""
    dice = random.Random(6)
    reports = [
        at(
            dice.uniform(50, 400),
            dice.uniform(50, 400),
            dice.choice(("0102", "0105", "0201", None)),
        )
        for _ in range(300)
    ]
    reports[40] = sent(**OUTSIDE_AT, category="0102")
    found = []
    for most in (1, 64):
        engine = create_engine(found_city(make_database()), role=SERVICE_ROLE)
        names = {}
        for start in range(0, len(reports), most):
            with Session(engine) as session, session.begin():
                if most == 1:
                    one = reports[start]
                    told = [
                        file_report(
                            session,
                            one.draft,
                            idempotency_key=one.idempotency_key,
                            caller=one.caller,
                        )
                    ]
                else:
                    told = file_reports(session, reports[start : start + most])  # type: ignore[assignment]
            names |= {one.report.id: start + n for n, one in enumerate(told)}
        with Session(engine) as session:
            times = session.scalars(
                select(Report.received_at).order_by(Report.received_at, Report.id)
            ).all()
            assert len(set(times)) == len(reports)
            first = dict(
                session.execute(
                    select(CaseReport.case_id, CaseReport.report_id).where(CaseReport.is_first)
                ).all()
            )
            cases = {
                names[report_id]: (
                    names[first[case_id]],
                    is_first,
                    distance_m,
                    [
                        one.report_id and names[first[one.case_id]]
                        for one in find_report(session, str(report_id)).duplicates
                    ],
                )
                for report_id, case_id, is_first, distance_m in session.execute(
                    select(
                        CaseReport.report_id,
                        CaseReport.case_id,
                        CaseReport.is_first,
                        CaseReport.distance_m,
                    )
                )
            }
            logs = {}
            for row in session.scalars(select(Case)):
                log = read_log(session, row.id)
                assert standing_of(row) == replay(log)
                logs[names[first[row.id]]] = [
                    (event.number, event.kind, names[uuid.UUID(event.details["report"])])
                    for event in log
                ]
            assert session.scalar(select(func.count()).select_from(Report)) == len(reports)
        found.append((cases, logs))
        engine.dispose()
    assert found[0] == found[1]
    assert any(len(log) > 2 for log in found[0][1].values())
    assert any(duplicates for *_, duplicates in found[0][0].values())


def test_answers_from_memory_are_those_of_the_moment_of_receipt(
    make_database: MakeDatabase,
) -> None:
    url = found_city(make_database())
    engine = create_engine(url, role=SERVICE_ROLE)
    live = Live()
    with engine.execution_options(isolation_level="REPEATABLE READ").connect() as connection:
        live.refresh(connection)
    told = file_all(partial(create_engine, url), [sent()], live.answer_newest)[0]
    assert isinstance(told, FiledReport)
    owner = create_engine(url)
    with Session(owner) as session, session.begin():
        change_set = new_change_set(session)
        propose_area(session, change_set, "courtyard", "C/0", box(150, 150, 250, 250))
        publish(session, change_set)
    owner.dispose()
    # Nobody has told memory yet.
    later = file_all(partial(create_engine, url), [sent()], live.answer_newest)[0]
    assert isinstance(later, FiledReport)
    with Session(engine) as session:
        for one, revision in ((told, 2), (later, 3)):
            (given,) = one.answers
            question = Question(x=YARD["lon"], y=YARD["lat"], at=one.report.received_at)
            assert given.answer == answer(session, question)
            assert given.revision == revision
            assert find_report(session, str(one.report.id)).answers == one.answers
    engine.dispose()
