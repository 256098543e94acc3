"""A real PostGIS for tests: one migrated template a worker, clones of it, savepoints in a clone.

The server is `GRIDSVC_TEST_DATABASE_URL`, or an embedded cluster of the tests' own, which lives
only as long as they run. Databases are made there and dropped again; nothing else is touched.
"""

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import URL, Engine, make_url
from sqlalchemy.orm import Session

from gridsvc.db import create_engine, migrate
from gridsvc.embedded import Cluster
from gridsvc.errors import DatabaseUnavailable
from tests import small_city

SERVER = "GRIDSVC_TEST_DATABASE_URL"
CLUSTER_HOME = Path(__file__).resolve().parents[1] / ".gridsvc" / "tests"

MakeDatabase = Callable[[], str]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-db",
        action="store_true",
        help="fail, instead of skipping, tests that find no PostGIS",
    )


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the tests' own cluster when all workers, and other runs, are done with it."""
    cluster = Cluster(CLUSTER_HOME)
    if hasattr(config, "workerinput") or cluster.status().state != "running":
        return
    with psycopg.connect(cluster.start()) as connection:
        others = connection.execute(
            "SELECT FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        ).fetchall()
    if not others:
        cluster.stop()


@pytest.fixture(scope="session")
def database_server(pytestconfig: pytest.Config) -> URL:
    """A server on which databases may be made."""
    try:
        url = os.environ.get(SERVER) or Cluster(CLUSTER_HOME).start()
        with psycopg.connect(_plain(make_url(url)), connect_timeout=5):
            return make_url(url)
    except (DatabaseUnavailable, psycopg.OperationalError) as error:
        reason = f"no PostGIS to test with: {error}"
        if pytestconfig.getoption("--require-db"):
            pytest.fail(f"{reason} (--require-db was given)")
        pytest.skip(reason)


@pytest.fixture(scope="session")
def make_database(database_server: URL) -> Iterator[MakeDatabase]:
    """Make databases migrated to head, for tests that commit; all are dropped at the end."""
    run = uuid.uuid4().hex[:8]
    with (
        psycopg.connect(_plain(database_server), autocommit=True) as server,
        ExitStack() as made,
    ):

        def create(name: str, template: str) -> str:
            server.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
            made.callback(server.execute, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            return _plain(database_server.set(database=name))

        template = f"gridsvc_test_{run}_template"
        engine = create_engine(create(template, "template1"))
        migrate(engine)
        engine.dispose()  # a database with a connection cannot be a template
        count = iter(range(10**6))
        yield lambda: create(f"gridsvc_test_{run}_{next(count)}", template)


@pytest.fixture(scope="session")
def database_url(make_database: MakeDatabase) -> str:
    """A database migrated to head in which nothing is ever committed."""
    return make_database()


@pytest.fixture(scope="session")
def engine(database_url: str) -> Iterator[Engine]:
    """An engine with the owner's rights on `database_url`."""
    engine = create_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """A session whose commits are savepoints; the test's end undoes all."""
    with engine.connect() as connection:
        transaction = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            yield session
        transaction.rollback()


@pytest.fixture(scope="session")
def city(make_database: MakeDatabase) -> str:
    """The URL of a database with `tests.small_city` in it."""
    url = make_database()
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        small_city.found(session)
    engine.dispose()
    return url


def _plain(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
