"""The schema climbs, comes down and climbs again; group roles get no more rights than they need."""

from collections.abc import Iterator

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session

from gridsvc.db import create_engine, migrate
from tests import small_city
from tests.db_fixtures import MakeDatabase


@pytest.fixture
def own(make_database: MakeDatabase) -> Iterator[Engine]:
    """A database of the test's own, at head."""
    engine = create_engine(make_database())
    yield engine
    engine.dispose()


def alembic(engine: Engine, what: str, *arguments: str) -> None:
    config = Config()
    config.set_main_option("script_location", "gridsvc:migrations")
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        getattr(command, what)(config, *arguments)


def objects(engine: Engine) -> set[tuple[str, str]]:
    with engine.connect() as connection:
        found = connection.execute(
            text("""
                    SELECT 'table', tablename FROM pg_tables WHERE schemaname = 'gridsvc'
                    UNION SELECT 'index', indexname FROM pg_indexes WHERE schemaname = 'gridsvc'
                    UNION SELECT 'function', p.oid::regprocedure::text FROM pg_proc AS p
                          WHERE pronamespace = 'gridsvc'::regnamespace
                    UNION SELECT 'constraint', conrelid::regclass || ' ' || conname
                          FROM pg_constraint WHERE connamespace = 'gridsvc'::regnamespace
                """)
        )
        return {(kind, name) for kind, name in found}


def test_the_models_and_the_history_say_the_same(own: Engine) -> None:
    alembic(own, "check")


def test_climbing_twice_changes_nothing(own: Engine) -> None:
    before = objects(own)
    migrate(own)
    assert objects(own) == before


def test_down_to_nothing_and_up_again(own: Engine) -> None:
    before = objects(own)
    alembic(own, "downgrade", "base")
    assert {name for _, name in objects(own)} <= {"alembic_version", "alembic_version_pkc"} | {
        name for _, name in before if "alembic_version" in name
    }
    migrate(own)
    assert objects(own) == before


def test_down_step_by_step_and_up_again(own: Engine) -> None:
    before = objects(own)
    script = Config()
    script.set_main_option("script_location", "gridsvc:migrations")
    for _ in ScriptDirectory.from_config(script).walk_revisions():
        alembic(own, "downgrade", "-1")
    migrate(own)
    assert objects(own) == before


@pytest.fixture
def town(session: Session) -> Session:
    small_city.found(session)
    return session


def refused(session: Session, statement: str) -> bool:
    """Tell whether PostgreSQL refuses a statement for want of rights."""
    try:
        with session.begin_nested():
            session.execute(text(statement))
    except ProgrammingError as error:
        return getattr(error.orig, "sqlstate", None) == "42501"
    return False


def act_as(session: Session, role: str) -> None:
    session.execute(text(f"SET LOCAL ROLE {role}"))


YARD = "lon => {lon}, lat => {lat}".format(**small_city.YARD)


def test_a_reader_locates_and_sees_no_person(town: Session) -> None:
    act_as(town, "gridsvc_reader")
    found = town.execute(text(f"SELECT gridsvc.locate({YARD})")).scalar_one()
    assert found["responsible"]["party"]["name"] == "张**"
    assert town.scalar(text("SELECT count(*) FROM gridsvc.area")) == len(small_city.AREAS)
    for table in (
        "party",
        "assignment",
        "party_edit",
        "assignment_edit",
        "absence",
        "absence_edit",
        "api_key",
        "read_log",
    ):
        assert refused(town, f"SELECT * FROM gridsvc.{table}"), table


def test_a_reader_cannot_ask_for_full_names(town: Session) -> None:
    act_as(town, "gridsvc_reader")
    assert refused(
        town,
        "SELECT gridsvc.answer(ST_Centroid(boundary), now(), NULL, NULL, true)"
        " FROM gridsvc.area LIMIT 1",
    )
    assert refused(town, "SELECT gridsvc.party_json('P1', true)")


def test_a_readers_own_objects_do_not_stand_in_for_the_services(town: Session) -> None:
    # Temporary objects are found first unless the search path says otherwise.
    act_as(town, "gridsvc_reader")
    town.execute(text("CREATE TEMPORARY TABLE geometry (x integer)"))
    town.execute(text("CREATE TEMPORARY TABLE area (id bigint)"))
    found = town.execute(text(f"SELECT gridsvc.locate({YARD})")).scalar_one()
    assert found["areas"]["courtyard"]["code"] == "C/1"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE gridsvc.area SET name = 'x'",
        "DELETE FROM gridsvc.area",
        "INSERT INTO gridsvc.change_set (name, base_revision) VALUES ('x', 0)",
        "UPDATE gridsvc.party SET phone = '1'",
        "UPDATE gridsvc.api_key SET scopes = '{admin}'",
        "DELETE FROM gridsvc.read_log",
        "CREATE TABLE gridsvc.mine (x integer)",
    ],
)
@pytest.mark.parametrize("role", ["gridsvc_service", "gridsvc_reader"])
def test_neither_role_writes(town: Session, role: str, statement: str) -> None:
    act_as(town, role)
    assert refused(town, statement)


def test_the_service_reads_people_and_writes_its_read_log(town: Session) -> None:
    act_as(town, "gridsvc_service")
    assert town.scalar(text("SELECT count(*) FROM gridsvc.party")) == len(small_city.PEOPLE)
    town.execute(
        text("INSERT INTO gridsvc.read_log (request_id, path, party_codes) VALUES ('r', '/', '{}')")
    )
