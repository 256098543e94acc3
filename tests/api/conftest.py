"""The app on the small city: once open to anyone, as on loopback, once behind keys."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy.orm import Session

from gridsvc.api.app import create_app
from gridsvc.db import create_engine
from gridsvc.grids.keys import create_key
from gridsvc.settings import Settings


@pytest.fixture(scope="session")
def app(city: str) -> FastAPI:
    return create_app(Settings(database_url=SecretStr(city), api_keys_required=False))


@pytest.fixture(scope="session")
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app) as client:
        yield client


@pytest.fixture(scope="session")
def guarded(city: str) -> Iterator[TestClient]:
    """The app as it is served to a network: keys are asked for."""
    with TestClient(create_app(Settings(database_url=SecretStr(city)))) as client:
        yield client


@pytest.fixture(scope="session")
def key_of(city: str) -> Iterator[dict[str, dict[str, str]]]:
    """Headers with a key for each set of scopes."""
    engine = create_engine(city)
    headers = {}
    with Session(engine) as session, session.begin():
        for name, scopes in {
            "dispatch": ["locate"],
            "managers": ["manage"],
            "people": ["locate", "manage", "people:read"],
            "operator": ["admin"],
            "readers": ["people:read"],
        }.items():
            token, _ = create_key(session, name=name, scopes=scopes)
            headers[name] = {"Authorization": f"Bearer {token}"}
    yield headers
    engine.dispose()
