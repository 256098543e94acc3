"""The made-up cities, each founded once a session; what a test does to one is undone after it."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from gridsvc.db import create_engine
from tests.db_fixtures import MakeDatabase
from tests.scenarios.desk import Desk
from tests.scenarios.loading import found_city

Open = Callable[[str], Desk]


@pytest.fixture(scope="session")
def founded_city(make_database: MakeDatabase) -> Iterator[Callable[[str], Engine]]:
    engines: dict[str, Engine] = {}

    def founded(name: str) -> Engine:
        if name not in engines:
            url = make_database()
            found_city(url, name)
            engines[name] = create_engine(url)
        return engines[name]

    yield founded
    for engine in engines.values():
        engine.dispose()


@pytest.fixture
def open_city(founded_city: Callable[[str], Engine]) -> Iterator[Open]:
    """Open a city's desk; all that is done there is undone at the test's end."""
    opened = []

    def open_desk(name: str) -> Desk:
        connection = founded_city(name).connect()
        transaction = connection.begin()
        session = Session(connection, join_transaction_mode="create_savepoint")
        opened.append((session, transaction, connection))
        return Desk(session)

    yield open_desk
    for session, transaction, connection in opened:
        session.close()
        transaction.rollback()
        connection.close()
