"""The city that notebooks show may be one that a database holds."""

import uuid

import pytest
from sqlalchemy.orm import Session

from gridsvc.db import create_engine
from gridsvc.hotspots.counts import count_areas
from gridsvc.reports.intake import Draft, file_report
from gridsvc.reports.terms import Channel
from notebooks import city as cities
from tests import small_city
from tests.db_fixtures import MakeDatabase
from tests.small_city import YARD


@pytest.fixture(scope="module")
def town(make_database: MakeDatabase) -> str:
    """Three cases in the yard."""
    url = make_database()
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        small_city.found(session)
        for _ in range(3):
            draft = Draft(x=YARD["lon"], y=YARD["lat"], channel=Channel.HOTLINE, category="0102")
            file_report(session, draft, idempotency_key=str(uuid.uuid4()), caller="desk")
    engine.dispose()
    return url


def test_it_has_its_cases_and_areas(town: str) -> None:
    told = cities.database(town)
    assert "revision" in told.source
    assert told.reports is None
    assert len(told.cases()) == 3
    for layer in (told.fine, told.coarse):
        counts = count_areas(told.parts, told.areas(layer))
        assert counts["cases"].sum() == 3
        assert counts["code"].is_monotonic_increasing
    assert len(told.areas(told.fine)) >= len(told.areas(told.coarse))


def test_the_environment_names_it(town: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDSVC_DATABASE_URL", town)
    for chosen in (cities.made_up(), cities.real()):
        assert len(chosen.cases()) == 3
    monkeypatch.delenv("GRIDSVC_DATABASE_URL")
    assert cities.made_up().reports == cities.demo().reports
