"""No report is dropped, one told twice is one, and every answer that it was given is kept."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import orjson
import pandas as pd
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, func, insert, select, text
from sqlalchemy.exc import IntegrityError, ProgrammingError
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from gridsvc.cli import app
from gridsvc.crs import from_wgs84
from gridsvc.db import create_engine
from gridsvc.errors import (
    IdempotencyKeyReused,
    ImportRefused,
    SchemeChangeRefused,
    TableError,
    UnknownReport,
)
from gridsvc.grids.changesets import publish
from gridsvc.grids.models import Area, Assignment, AssignmentEdit
from gridsvc.grids.scheme_store import load_scheme
from gridsvc.reports.answers import codes
from gridsvc.reports.history import HistoryColumns, HistoryReport, import_history
from gridsvc.reports.intake import Draft, FiledReport, file_report, find_report
from gridsvc.reports.models import Report, ReportAnswer
from gridsvc.reports.rerouting import next_same_hour, reroute
from gridsvc.reports.terms import Cause, Channel, Mark
from gridsvc.routing.router import Question, answer
from tests import small_city
from tests.db_fixtures import MakeDatabase
from tests.factories import box, make_scheme, new_change_set, propose_area
from tests.small_city import OPEN_STREET, OUTSIDE, YARD

DEMO = Path(__file__).parents[2] / "data" / "reports" / "demo.parquet"
DEMO_COLUMNS = HistoryColumns(
    id="id",
    lon="lon",
    lat="lat",
    crs="crs",
    opened="opened_at",
    closed="closed_at",
    category="category",
    channel="channel",
    status="status",
    accuracy="accuracy_m",
)
FEW = HistoryColumns(id="id", lon="x", lat="y", crs="crs", opened="at", category="category")


@pytest.fixture
def town(session: Session) -> Session:
    small_city.found(session)
    return session


@pytest.fixture
def own(make_database: MakeDatabase) -> Iterator[Engine]:
    """The small city in a database of the test's own."""
    engine = create_engine(make_database())
    with Session(engine) as session, session.begin():
        small_city.found(session)
    yield engine
    engine.dispose()


def draft(where: dict[str, float], **more: object) -> Draft:
    told = {"x": where["lon"], "y": where["lat"], "channel": Channel.PHONE_APP} | more
    return Draft(**told)  # type: ignore[arg-type]


def filed(session: Session, told: Draft, key: str = "one") -> FiledReport:
    return file_report(session, told, idempotency_key=key, caller="key:1")


# Intake


def test_a_report_keeps_its_point_raw_and_converted_and_its_answer(town: Session) -> None:
    x, y = map(float, from_wgs84(YARD["lon"], YARD["lat"], crs="gcj02"))
    told = Draft(
        x=x,
        y=y,
        crs="gcj02",
        channel=Channel.PATROL,
        category="0102",
        accuracy_m=12,
        description="渣土",
        photo_urls=("https://photos.example/1.jpg",),
        observed_at=datetime(2026, 11, 1, tzinfo=UTC),
    )
    report = filed(town, told)
    assert report.created
    stored = report.report
    assert (stored.x, stored.y, stored.crs) == (x, y, "gcj02")
    assert (stored.lon, stored.lat) == pytest.approx((YARD["lon"], YARD["lat"]), abs=1e-7)
    assert (stored.channel, stored.category, stored.accuracy_m) == ("patrol", "0102", 12)
    assert stored.photo_urls == ["https://photos.example/1.jpg"]
    covered = select(Area.code).join(Report, func.ST_Covers(Area.boundary, Report.point))
    assert set(town.scalars(covered)) == {"D1", "S1", "C/1"}
    (given,) = report.answers
    assert (given.mark, given.cause, given.revision) == (Mark.ROUTED, Cause.INTAKE, 1)
    question = Question(
        x=x, y=y, crs="gcj02", at=stored.received_at, category="0102", accuracy_m=12
    )
    assert given.answer == answer(town, question)
    assert find_report(town, str(stored.id)).answers == report.answers


def test_no_name_phone_or_token_is_stored(town: Session) -> None:
    report = filed(town, draft(YARD, reporter="app-user-6f2a9c1d4b7e"))
    stored = "".join(
        town.scalars(
            text(
                "SELECT r::text FROM gridsvc.report AS r"
                " UNION ALL SELECT a::text FROM gridsvc.report_answer AS a"
            )
        )
    )
    assert report.report.reporter_hash
    assert len(report.report.reporter_hash) == 32
    for personal in ("app-user", "张小明", "13800001234"):
        assert personal not in stored
    assert "P1" in stored
    # The same reporter is known again, but not across sources.
    again = filed(town, draft(OPEN_STREET, reporter="app-user-6f2a9c1d4b7e"), key="two")
    assert again.report.reporter_hash == report.report.reporter_hash
    other = file_report(
        town,
        draft(YARD, reporter="app-user-6f2a9c1d4b7e"),
        idempotency_key="one",
        caller="key:2",
    )
    assert other.report.reporter_hash != report.report.reporter_hash


@pytest.mark.parametrize(
    ("told", "mark", "word"),
    [
        (draft(OUTSIDE), Mark.OUTSIDE, "nearest area"),
        (draft({"lon": 116.41, "lat": 39.89}), Mark.DEFAULT_POINT, "town hall"),
        (draft(YARD, category="9999"), Mark.UNKNOWN_CATEGORY, "9999"),
        (draft({"lon": YARD["lat"], "lat": YARD["lon"]}), Mark.BAD_COORDINATES, "inside"),
        (draft({"lon": float("nan"), "lat": 39.9}), Mark.BAD_COORDINATES, "lon"),
        (draft({"lon": 1e300, "lat": 39.9}), Mark.BAD_COORDINATES, "lon"),
        (draft(YARD, crs="bd09"), Mark.BAD_COORDINATES, "bd09"),
        (draft(YARD, crs="nonsense"), Mark.BAD_COORDINATES, "nonsense"),
        (draft(YARD, accuracy_m=-1), Mark.BAD_COORDINATES, "accuracy_m"),
    ],
)
def test_what_cannot_be_answered_is_kept_and_marked(
    town: Session, told: Draft, mark: Mark, word: str
) -> None:
    report = filed(town, told)
    (given,) = report.answers
    assert (given.mark, given.answer, given.revision) == (mark, None, None)
    assert given.reason
    assert word in given.reason
    town.expire_all()
    assert town.get_one(Report, report.report.id).category == told.category


def test_before_anything_is_published_reports_are_kept(session: Session) -> None:
    load_scheme(session, make_scheme())
    (given,) = filed(session, draft(YARD)).answers
    assert given.mark is Mark.TOO_EARLY


def test_the_same_key_and_report_is_one_report(town: Session) -> None:
    first = filed(town, draft(YARD))
    again = filed(town, draft(YARD))
    assert (first.created, again.created) == (True, False)
    assert (again.report.id, again.answers) == (first.report.id, first.answers)
    assert town.scalar(select(func.count()).select_from(Report)) == 1
    with pytest.raises(IdempotencyKeyReused) as refused:
        filed(town, draft(YARD, description="another"))
    assert refused.value.report_id == str(first.report.id)
    other = file_report(town, draft(YARD), idempotency_key="one", caller="key:2")
    assert other.created


@pytest.mark.parametrize("report_id", ["x", "00000000-0000-0000-0000-000000000000", "\0"])
def test_an_unknown_report_is_named(town: Session, report_id: str) -> None:
    with pytest.raises(UnknownReport):
        find_report(town, report_id)


def test_the_schema_holds_marks_to_answers(town: Session) -> None:
    report = filed(town, draft(YARD)).report
    for mark, given in (("routed", None), ("outside", {"a": 1})):
        row = insert(ReportAnswer).values(
            report_id=report.id, number=2, cause="reroute", mark=mark, answer=given
        )
        with pytest.raises(IntegrityError, match="answered_check"), town.begin_nested():
            town.execute(row)


def test_the_service_adds_reports_and_changes_none(town: Session) -> None:
    town.execute(text("SET LOCAL ROLE gridsvc_service"))
    assert filed(town, draft(YARD)).created
    for statement in (
        "UPDATE gridsvc.report SET category = 'x'",
        "DELETE FROM gridsvc.report_answer",
        "UPDATE gridsvc.report_answer SET mark = 'outside'",
    ):
        with pytest.raises(ProgrammingError, match="permission denied"), town.begin_nested():
            town.execute(text(statement))
    town.execute(text("SET LOCAL ROLE gridsvc_reader"))
    with pytest.raises(ProgrammingError, match="permission denied"), town.begin_nested():
        town.execute(text("SELECT * FROM gridsvc.report"))


def test_reports_hold_the_storage_crs(session: Session) -> None:
    load_scheme(session, make_scheme())
    filed(session, draft(YARD))
    with pytest.raises(SchemeChangeRefused, match="Reports are stored"):
        load_scheme(
            session, make_scheme(('storage_crs = "EPSG:4547"', 'storage_crs = "EPSG:4548"'))
        )


def test_a_city_that_was_loaded_before_gets_the_table_in_its_crs(own: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", "gridsvc:migrations")
    with own.connect() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
        command.upgrade(config, "head")
    with own.connect() as connection:
        srid = connection.scalar(text("SELECT Find_SRID('gridsvc', 'report', 'point')"))
    assert srid == small_city.SRID


# History


def take(engine: Engine, file: Path, columns: HistoryColumns = FEW) -> HistoryReport:
    with Session(engine) as session, session.begin():
        return import_history(session, engine, file, columns)


def rows(engine: Engine) -> pd.DataFrame:
    query = (
        "SELECT r.*, a.mark, a.reason, a.answer, a.revision FROM gridsvc.report AS r"
        " JOIN gridsvc.report_answer AS a ON a.report_id = r.id"
    )
    with engine.connect() as connection:
        return pd.read_sql(text(query), connection).set_index("source_id")


def csv(file: Path, *lines: str) -> Path:
    file.write_text("\n".join(("id,x,y,crs,at,category", *lines)) + "\n", encoding="utf-8")
    return file


def yard(name: str, *, at: str = "2026-03-01T08:00", category: str = "", crs: str = "") -> str:
    return f"{name},{YARD['lon']},{YARD['lat']},{crs},{at},{category}"


def test_the_demos_history_is_stored_whole(own: Engine) -> None:
    # Its two years began before the small city was founded, and most of it lies elsewhere.
    told = take(own, DEMO, DEMO_COLUMNS)
    source = pd.read_parquet(DEMO).set_index("id")
    assert told.rows == sum(told.stored.values()) == len(source)
    assert (told.repeated, told.unknown_channels, told.bad_closed) == (0, 0, 0)
    stored = rows(own).loc[source.index]
    assert Counter(stored["mark"]) == told.stored
    assert {"routed", "outside", "too_early"} <= set(told.stored)
    for column, name in (("x", "lon"), ("y", "lat"), ("accuracy_m", "accuracy_m")):
        pd.testing.assert_series_equal(stored[column], source[name], check_names=False)
    for column in ("crs", "category", "channel", "status"):
        assert (stored[column].fillna("") == source[column].fillna("")).all(), column
    for column, name in (("received_at", "opened_at"), ("closed_at", "closed_at")):
        assert (stored[column].isna() == source[name].isna()).all()
        assert ((stored[column] - source[name]).dropna() == pd.Timedelta(0)).all()
    # Codes as single answers have them.
    routed = stored[stored["mark"] == "routed"].iloc[::50]
    assert len(routed) > 10
    with Session(own) as session:
        for row in routed.itertuples():
            question = Question(
                x=row.x, y=row.y, crs=row.crs, at=row.received_at, category=row.category
            )
            single = answer(session, question)
            assert codes(row.answer) == codes(single)
            assert row.answer["edge_m"] == pytest.approx(single["edge"]["distance_m"])
            assert row.revision == single["revision"]
    again = take(own, DEMO, DEMO_COLUMNS)
    assert (again.repeated, sum(again.stored.values())) == (len(source), 0)
    assert len(rows(own)) == len(source)


def test_rows_that_cannot_be_answered_are_kept_and_marked(own: Engine, tmp_path: Path) -> None:
    file = csv(
        tmp_path / "odd.csv",
        yard("ok", category="0102"),
        f"outside,{OUTSIDE['lon']},{OUTSIDE['lat']},,2026-03-01,",
        "default,116.41,39.89,,2026-03-01,",
        yard("category", category="9999"),
        "words,here,there,,2026-03-01,",
        f"swapped,{YARD['lat']},{YARD['lon']},,2026-03-01,",
        yard("datum", crs="nowhere"),
        yard("time", at="yesterday"),
        yard("no time", at=""),
        yard("early", at="2025-01-01"),
        yard("ok", category="0101"),
    )
    told = take(own, file)
    stored = rows(own)
    assert stored["mark"].to_dict() == {
        "ok": "routed",
        "outside": "outside",
        "default": "default_point",
        "category": "unknown_category",
        "words": "bad_coordinates",
        "swapped": "bad_coordinates",
        "datum": "bad_coordinates",
        "time": "bad_time",
        "no time": "bad_time",
        "early": "too_early",
    }
    assert (told.rows, told.repeated) == (11, 1)
    assert stored.loc["ok", "category"] == "0102"
    assert stored.loc["ok", "received_at"] == pd.Timestamp("2026-03-01T00:00Z")
    assert stored.loc["ok", "answer"]["areas"] == {
        "district": "D1",
        "street": "S1",
        "courtyard": "C/1",
    }
    assert stored.loc["ok", "answer"]["responsible"] == "P1"
    assert stored.loc["datum", "crs"] == "nowhere"
    assert pd.isna(stored.loc["no time", "received_at"])
    assert stored.loc[stored["mark"] != "routed", "reason"].notna().all()


AMERICAN = "%m/%d/%Y %I:%M:%S %p"


def test_times_may_be_written_in_another_format(own: Engine, tmp_path: Path) -> None:
    file = tmp_path / "past.csv"
    lines = [
        "id,x,y,at,ended",
        *(
            f"{name},{YARD['lon']},{YARD['lat']},{at},{ended}"
            for name, at, ended in [
                ("noon", "03/01/2026 12:00:00 PM", "03/02/2026 12:30:00 AM"),
                ("open", "03/01/2026 01:02:03 PM", ""),
                ("iso end", "03/01/2026 01:02:03 PM", "2026-03-02 01:00"),
                ("iso", "2026-03-01 12:00", ""),
                ("day first", "13/01/2026 12:00:00 PM", ""),
            ]
        ),
    ]
    file.write_text("\n".join(lines), encoding="utf-8")
    told = take(
        own,
        file,
        HistoryColumns(
            id="id", lon="x", lat="y", opened="at", closed="ended", time_format=AMERICAN
        ),
    )
    assert told.stored == {"routed": 3, "bad_time": 2}
    assert told.bad_closed == 1
    stored = rows(own)
    zone = ZoneInfo("Asia/Shanghai")
    assert stored.loc["noon", "received_at"] == datetime(2026, 3, 1, 12, tzinfo=zone)
    assert stored.loc["noon", "closed_at"] == datetime(2026, 3, 2, 0, 30, tzinfo=zone)
    assert stored.loc["open", "received_at"] == datetime(2026, 3, 1, 13, 2, 3, tzinfo=zone)
    assert stored.loc[["open", "iso end"], "closed_at"].isna().all()
    assert stored.loc["iso", "reason"] == f"bad time: not a time written as {AMERICAN}"


def test_a_refused_file_leaves_nothing_behind(own: Engine, tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="row 2 has no id"):
        take(own, csv(tmp_path / "nameless.csv", yard("a"), yard(" ")))
    with pytest.raises(TableError, match="no column 'x'"):
        take(own, DEMO, FEW)
    assert rows(own).empty


# Rerouting


def hand_over(session: Session, *, to: str) -> None:
    """Give the courtyard's chief's duty to another, now."""
    chief = session.scalars(select(Assignment).where(Assignment.area_code == "C/1")).one()
    change_set = new_change_set(session)
    for party, since, until, replaces in (
        ("P1", chief.valid_from, datetime.now(UTC), chief.id),
        (to, datetime.now(UTC), None, None),
    ):
        session.add(
            AssignmentEdit(
                change_set_id=change_set.id,
                party_code=party,
                layer="courtyard",
                area_code="C/1",
                duty="responsibility",
                role="chief",
                rank=1,
                hours=chief.hours,
                valid_from=since,
                valid_to=until,
                replaces=replaces,
            )
        )
    session.flush()
    publish(session, change_set)


def test_rerouting_keeps_the_old_answer_and_adds_the_new(own: Engine, tmp_path: Path) -> None:
    take(own, csv(tmp_path / "past.csv", yard("past")))
    with Session(own) as session, session.begin():
        live = filed(session, draft(YARD), key="live").report.id
        outside = filed(session, draft(OUTSIDE), key="outside").report.id
        street = filed(session, draft(OPEN_STREET), key="street").report.id
    since = datetime(2026, 1, 1, tzinfo=UTC)
    with Session(own) as session, session.begin():
        unchanged = reroute(session, own, since=since)
        assert (unchanged.asked, unchanged.changed) == (4, 0)
    with Session(own) as session, session.begin():
        change_set = new_change_set(session, "growth")
        propose_area(session, change_set, "courtyard", "C/2", box(1750, 750, 1850, 850))
        publish(session, change_set)
        publish_after = session.scalar(text("SELECT max(number) FROM gridsvc.revision"))
    with Session(own) as session, session.begin():
        done = reroute(session, own, since=since)
        assert (done.asked, done.changed, done.revision) == (4, 1, publish_after)
        first, second = find_report(session, str(street)).answers
        assert (first.cause, second.cause) == (Cause.INTAKE, Cause.REROUTE)
        assert first.answer
        assert second.answer
        assert "courtyard" not in first.answer["areas"]
        assert second.answer["areas"]["courtyard"]["code"] == "C/2"
        assert (first.revision, second.revision) == (1, publish_after)
    with Session(own) as session, session.begin():
        hand_over(session, to="P2")
    with Session(own) as session, session.begin():
        assert reroute(session, own, since=datetime.now(UTC)).asked == 0
        assert reroute(session, own, since=since).changed == 2
        for report_id in (
            live,
            session.scalars(select(Report.id).where(Report.source_id == "past")).one(),
        ):
            given = find_report(session, str(report_id)).answers
            assert [(codes(one.answer) or {})["responsible"] for one in given] == ["P1", "P2"]
        assert len(find_report(session, str(outside)).answers) == 1


def test_shifts_alone_reroute_nothing(own: Engine, tmp_path: Path) -> None:
    # An assistant of the street works on weekdays from 08:00 to 20:00.
    hours = {"monday": "2026-03-02T10:00", "night": "2026-03-03T21:00", "sunday": "2026-03-01"}
    take(own, csv(tmp_path / "week.csv", *(yard(name, at=at) for name, at in hours.items())))
    given = rows(own)["answer"].to_dict()
    assistants = {name: told["enforcement_assistant"] for name, told in given.items()}
    assert assistants == {"monday": "P3", "night": None, "sunday": None}
    with Session(own) as session, session.begin():
        done = reroute(session, own, since=datetime(2026, 1, 1, tzinfo=UTC))
    assert (done.asked, done.changed) == (3, 0)


@pytest.mark.parametrize(
    ("at", "now", "expected"),
    [
        ("2026-03-02T10:00", "2026-11-22T12:00", "2026-11-23T10:00"),
        ("2026-03-02T10:00", "2026-11-23T10:00", "2026-11-23T10:00"),
        ("2026-03-02T10:00", "2026-11-23T10:01", "2026-11-30T10:00"),
        ("2026-03-01T00:00", "2026-11-23T00:00", "2026-11-29T00:00"),
    ],
)
def test_the_next_same_hour_of_the_week(at: str, now: str, expected: str) -> None:
    zone = ZoneInfo("Asia/Shanghai")

    def local(text: str) -> datetime:
        return datetime.fromisoformat(text).replace(tzinfo=zone)

    assert next_same_hour(local(at), now=local(now), zone=zone) == local(expected)


# The command line


def test_the_commands_import_and_reroute(
    own: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = own.url.set(drivername="postgresql").render_as_string(hide_password=False)
    monkeypatch.setenv("GRIDSVC_DATABASE_URL", url)
    monkeypatch.setenv("COLUMNS", "200")
    file = csv(tmp_path / "past.csv", yard("a"), yard("b", category="9999"))
    columns = ("--id", "id", "--lon", "x", "--lat", "y", "--crs", "crs", "--opened", "at")
    options = (*columns, "--category", "category")
    command_line = ["reports", "import", str(file), *options]
    told = CliRunner().invoke(app, command_line)
    assert told.exit_code == 0, told.output
    assert "Stored as reports of history" in told.stdout
    with Session(own) as session, session.begin():
        hand_over(session, to="P3")
    told = CliRunner().invoke(app, ["reports", "reroute", "--since", "2026-02-01"])
    assert "Reports asked again: 2; new answers: 1" in told.stdout
    told = CliRunner().invoke(app, [*command_line, "--json"])
    assert '"repeated": 2' in told.stdout
    american = csv(tmp_path / "american.csv", yard("c", at="03/01/2026 08:00:00 PM"))
    told = CliRunner().invoke(
        app, ["reports", "import", str(american), *columns, "--time-format", AMERICAN, "--json"]
    )
    assert told.exit_code == 0, told.output
    assert orjson.loads(told.stdout)["stored"] == {"routed": 1}
    missing = CliRunner().invoke(app, ["reports", "import", str(file), *options[:-1], "kind"])
    assert missing.exit_code == 1
