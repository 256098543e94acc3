"""`GET /maps/hotspots`: its rights, its headers, and that it is not made anew on each call."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import numpy as np
import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from gridsvc.api import hotspot_map
from gridsvc.api.app import create_app
from gridsvc.db import create_engine
from gridsvc.grids.changesets import publish
from gridsvc.grids.keys import create_key
from gridsvc.hotspots import city
from gridsvc.hotspots.city import survey_city
from gridsvc.hotspots.survey import survey
from gridsvc.settings import Settings
from tests import small_city
from tests.api.shapes import assert_problem
from tests.db_fixtures import MakeDatabase
from tests.factories import EAST_M, NORTH_M, add_cases, new_change_set, propose_party
from tests.unit.test_packing import unpack

PAGE = "/maps/hotspots"
SURVEY = "/maps/hotspots/survey"


@pytest.fixture
def engine(make_database: MakeDatabase) -> Iterator[Engine]:
    """The small city with cases in two months."""
    engine = create_engine(make_database())
    with Session(engine) as session, session.begin():
        small_city.found(session)
        points = np.array([[EAST_M + 20 * i, NORTH_M + 500] for i in range(60)])
        begin = datetime(2026, 3, 30, tzinfo=UTC)
        add_cases(session, points, [begin + timedelta(hours=i) for i in range(60)])
    yield engine
    engine.dispose()


def serve(engine: Engine, *, keys: bool = False) -> TestClient:
    url = engine.url.render_as_string(hide_password=False)
    return TestClient(
        create_app(Settings(database_url=SecretStr(url), api_keys_required=keys)),
    )


def test_the_page_names_its_own_scripts_and_nothing_else(engine: Engine) -> None:
    with serve(engine) as client:
        page = client.get(PAGE)
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert policy.endswith("; frame-ancestors 'self'")
    assert "unsafe" not in policy
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "private, no-store"
    assert 'id="survey"' in page.text


def test_without_a_key_the_page_holds_nothing_of_the_city(engine: Engine) -> None:
    with Session(engine) as session, session.begin():
        manager, _ = create_key(session, name="m", scopes=["manage"])
        reader, _ = create_key(session, name="r", scopes=["locate"])
    with serve(engine, keys=True) as client:
        empty = client.get(PAGE)
        assert empty.status_code == 200
        assert 'id="survey"' not in empty.text
        assert_problem(client.get(SURVEY), 401, "key-refused")
        bearer = {"Authorization": f"Bearer {reader}"}
        assert_problem(client.get(PAGE, headers=bearer), 403, "scope-missing")
        assert_problem(client.get(SURVEY, headers=bearer), 403, "scope-missing")
        wrong = {"Authorization": "Bearer no-such-key"}
        assert_problem(client.get(PAGE, headers=wrong), 401, "key-refused")
        bearer = {"Authorization": f"Bearer {manager}"}
        assert 'id="survey"' in client.get(PAGE, headers=bearer).text
        assert client.get(SURVEY, headers=bearer).status_code == 200


def test_what_is_asked_for_is_shown(engine: Engine) -> None:
    with serve(engine) as client:
        whole = unpack(client.get(SURVEY).content)
        assert (whole["cases"], whole["months"]) == (60, ["2026-03", "2026-04"])  # type: ignore[index]
        assert [it["code"] for it in whole["grounds"]] == ["street", "square"]  # type: ignore[index]
        asked = {"layer": "district", "cell_m": 500, "from": "2026-04-01T00:00:00+08:00"}
        april = unpack(client.get(SURVEY, params=asked).content)
        assert april["months"] == ["2026-04"]  # type: ignore[index]
        with patch.object(city, "survey", wraps=survey) as made:
            client.get(SURVEY, params={"from": "2026-03-15T00:00:00+08:00"})
        # By the window the survey knows which months are cut short.
        assert made.call_args.kwargs["window"].from_at == datetime(2026, 3, 14, 16, tzinfo=UTC)
        assert april["grounds"][0]["code"] == "district"  # type: ignore[index]
        assert april["grounds"][1]["cell_m"] == 500  # type: ignore[index]
        assert april["revision"] == 1  # type: ignore[index]
        assert_problem(client.get(SURVEY, params={"layer": "moon"}), 422, "unknown-layer")
        assert_problem(client.get(SURVEY, params={"cell_m": 1}), 422, "invalid-input")
        nothing = {"to": "2020-01-01T00:00:00Z"}
        told = client.get(SURVEY, params=nothing)
        assert_problem(told, 422, "hotspots-refused")
        assert "gridsvc reports import" in told.text


def test_it_is_made_once_until_something_changes(engine: Engine) -> None:
    with (
        serve(engine) as client,
        patch.object(hotspot_map, "survey_city", wraps=survey_city) as made,
    ):
        client.get(PAGE)
        client.get(PAGE)
        client.get(SURVEY)
        assert made.call_count == 1
        client.get(PAGE, params={"cell_m": 500})
        assert made.call_count == 2
        # New cases show after minutes, a new revision at once.
        with Session(engine) as session, session.begin():
            add_cases(session, np.array([[EAST_M, NORTH_M]]), [datetime(2026, 5, 1, tzinfo=UTC)])
        assert unpack(client.get(SURVEY).content)["cases"] == 60  # type: ignore[index]
        with patch.object(hotspot_map, "FRESH_FOR", timedelta(0)):
            assert unpack(client.get(SURVEY).content)["cases"] == 61  # type: ignore[index]
        assert made.call_count == 3
        with Session(engine) as session, session.begin():
            change_set = new_change_set(session)
            propose_party(session, change_set, "P9")
            publish(session, change_set)
        assert unpack(client.get(SURVEY).content)["revision"] == 2  # type: ignore[index]
        assert made.call_count == 4
