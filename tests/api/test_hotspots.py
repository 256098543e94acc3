"""`GET /v1/hotspots`: counts, z, p, q and class of areas, and the hotspots that they make."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import shapely
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from gridsvc.api.app import create_app
from gridsvc.api.hotspots import HotspotCollection
from gridsvc.db import create_engine
from gridsvc.settings import Settings
from tests import wide_city
from tests.api.shapes import assert_problem
from tests.db_fixtures import MakeDatabase
from tests.factories import add_cases, appoint

CITY = wide_city.City(20, 20)
FROM = datetime(2026, 3, 1, tzinfo=UTC)
TO = datetime(2026, 4, 1, tzinfo=UTC)
WINDOW = {"from": FROM.isoformat(), "to": TO.isoformat()}
HOT = {CITY.unit_at(i, j) for i in (3, 4, 5) for j in (3, 4, 5)}
"""Nine units in the middle of the first community."""


def middles() -> dict[str, np.ndarray]:
    """A point in each unit, in the storage CRS."""
    return {
        code: shapely.get_coordinates(shape.representative_point())[0]
        for layer, code, shape in CITY.areas()
        if layer == "unit"
    }


@pytest.fixture(scope="module")
def engine(make_database: MakeDatabase) -> Iterator[Engine]:
    """A city of 400 units with one case each in March, ten more in nine of them, at night."""
    engine = create_engine(make_database())
    with Session(engine) as session, session.begin():
        wide_city.found(session, CITY)
        place = middles()
        everywhere = np.array(list(place.values()))
        add_cases(session, everywhere, [FROM + timedelta(days=9, hours=h % 24) for h in range(400)])
        hot = np.repeat([place[code] for code in sorted(HOT)], 10, axis=0)
        # 16:00 in UTC is midnight in the city; Tuesdays.
        night = datetime(2026, 3, 9, 16, 30, tzinfo=UTC)
        add_cases(session, hot, [night + timedelta(days=7 * (i % 3)) for i in range(len(hot))])
        # The month before, the hotspot was elsewhere; in another class nothing gathers.
        far = np.repeat([place[CITY.unit_at(15, 15)]], 60, axis=0)
        add_cases(session, far, [datetime(2026, 2, 10, tzinfo=UTC)] * 60)
        spread = everywhere[::80]
        add_cases(session, spread, [FROM + timedelta(days=1)] * len(spread), category="0501")
        # On the first instant and on the last, which is no longer meant.
        add_cases(session, everywhere[:1], [FROM])
        add_cases(session, everywhere[:1], [TO])
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def client(engine: Engine) -> Iterator[TestClient]:
    url = engine.url.render_as_string(hide_password=False)
    settings = Settings(database_url=SecretStr(url), api_keys_required=False)
    with TestClient(create_app(settings)) as client:
        yield client


def ask(client: TestClient, **parameters: object) -> dict[str, Any]:
    response = client.get("/v1/hotspots", params=WINDOW | parameters)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/geo+json"
    body: dict[str, Any] = response.json()
    HotspotCollection.model_validate(body)
    return body


def test_planted_hot_units_are_found_and_ranked(client: TestClient) -> None:
    told = ask(client)
    assert (told["layer"], told["cell_m"], told["per"], told["revision"]) == (
        "unit",
        None,
        "km2",
        1,
    )
    assert told["cases"] == 400 + 90 + 5 + 1
    by_code = {one["id"]: one["properties"] for one in told["features"]}
    assert len(by_code) == 400
    assert sum(one["cases"] for one in by_code.values()) == told["cases"]
    found = {code for code, one in by_code.items() if one["class"] in {"hot_95", "hot_99"}}
    assert found >= HOT
    assert by_code[CITY.unit_at(4, 4)]["cases"] == 11
    assert by_code[CITY.unit_at(4, 4)]["neighbours"] == 8
    (first,) = told["hotspots"]
    assert (first["rank"], first["previous_rank"]) == (1, None)
    assert set(first["codes"]) == found
    assert first["codes"][0] in HOT
    assert first["cases"] == sum(by_code[code]["cases"] for code in found)
    # By ground: crooked units are not of one size.
    assert first["expected"] == pytest.approx(told["cases"] / 400 * len(found), rel=0.1)
    # By the city's clock, at night, on Tuesdays.
    assert [(peak["weekday"], peak["from_hour"]) for peak in first["peaks"]] == [(1, 0)]
    # Too short for trends.
    assert {one["pattern"] for one in by_code.values()} == {None}


def test_who_is_responsible_is_asked_now_and_masked(client: TestClient, engine: Engine) -> None:
    (first,) = ask(client)["hotspots"]
    assert first["responsible"] is None
    with Session(engine) as session, session.begin():
        appoint(session, {"party": "P9", "layer": "community", "area": CITY.community_at(3, 3)})
    told = ask(client)
    assert told["revision"] == 2
    (first,) = told["hotspots"]
    assert first["responsible"]["party"]["code"] == "P9"
    assert first["responsible"]["party"]["name"] == "张*"


def test_the_rank_of_the_month_before_is_told(client: TestClient) -> None:
    window = {"from": "2026-02-15T00:00:00Z", "to": "2026-04-15T00:00:00Z"}
    (first,) = ask(client, **window)["hotspots"]
    assert first["previous_rank"] is None
    moved = {"from": "2026-03-12T00:00:00Z", "to": "2026-04-15T00:00:00Z"}
    (first,) = ask(client, **moved)["hotspots"]
    assert first["previous_rank"] == 1


def test_a_category_is_a_class_or_the_beginning_of_its_code(client: TestClient) -> None:
    assert ask(client, category="0501")["cases"] == 5
    assert ask(client, category="05")["cases"] == 5
    told = ask(client, category="0501")
    assert told["hotspots"] == []
    assert_problem(
        client.get("/v1/hotspots", params=WINDOW | {"category": "99"}), 422, "unknown-category"
    )


def test_cells_are_laid_over_the_city(client: TestClient) -> None:
    told = ask(client, layer="square", cell_m=50)
    assert (told["layer"], told["cell_m"], told["cases"]) == ("square", 50, 496)
    assert all(one["id"].startswith("S50:") for one in told["features"])
    hexagons = ask(client, layer="hexagon", cell_m=50)
    assert hexagons["cases"] == 496
    assert all(one["id"].startswith("H50:") for one in hexagons["features"])
    assert len(hexagons["hotspots"]) == 1
    shape = shapely.from_geojson(str(told["features"][0]["geometry"]).replace("'", '"'))
    west, south, _, _ = shape.bounds
    assert 116 < west < 117
    assert 39 < south < 41


def test_rates_are_tested_where_they_are_asked_for(client: TestClient) -> None:
    told = ask(client, per="km2")
    one = told["features"][0]["properties"]
    assert told["per"] == "km2"
    # A crooked unit of some 20 m by 20 m with one case has some 2,500 a square kilometre.
    assert 500 < one["value"] / one["cases"] < 10_000
    for per in ("shop", "resident"):
        body = assert_problem(
            client.get("/v1/hotspots", params=WINDOW | {"per": per}), 422, "hotspots-refused"
        )
        assert body["errors"][0]["loc"] == ["query", "per"]


def test_what_is_kept_is_given_again_until_it_is_out_of_date(
    client: TestClient, engine: Engine
) -> None:
    first = ask(client, layer="community")
    assert ask(client, layer="community")["made_at"] == first["made_at"]
    with Session(engine) as session, session.begin():
        add_cases(session, np.array([list(middles().values())[7]]), [FROM + timedelta(days=3)])
    # Cases that came in since are awaited for five minutes, for others ask at the same time.
    assert ask(client, layer="community")["made_at"] == first["made_at"]
    with Session(engine) as session, session.begin():
        session.execute(
            text("UPDATE gridsvc.hotspot_run SET made_at = made_at - interval '6 minutes'")
        )
    again = ask(client, layer="community")
    assert again["made_at"] > first["made_at"]
    assert again["cases"] == first["cases"] + 1
    with engine.connect() as connection:
        runs = connection.execute(
            text(
                "SELECT count(*), min(seed), min(method) FROM gridsvc.hotspot_run"
                " WHERE layer = 'community'"
            )
        ).one()
    assert tuple(runs) == (1, None, "getis_ord_gi_star")


def test_an_instant_may_be_written_by_any_clock(client: TestClient, engine: Engine) -> None:
    first = ask(client, layer="district")
    local = {"from": "2026-03-01T08:00:00+08:00", "to": "2026-04-01T08:00:00+08:00"}
    assert ask(client, layer="district", **local) == first
    # By the city's clock.
    assert first["from"] == local["from"]
    with engine.connect() as connection:
        question = "SELECT count(*) FROM gridsvc.hotspot_run WHERE layer = 'district'"
        assert connection.scalar(text(question)) == 1


def test_a_case_taken_back_is_counted_no_more(client: TestClient, engine: Engine) -> None:
    before = ask(client, layer="street")["cases"]
    with Session(engine) as session, session.begin():
        session.execute(
            text(
                "UPDATE gridsvc.case SET state = 'merged', merged_into = 1, state_since = now()"
                " WHERE id = 2"
            )
        )
        session.execute(
            text("UPDATE gridsvc.hotspot_run SET made_at = made_at - interval '6 minutes'")
        )
    assert ask(client, layer="street")["cases"] == before - 1


def test_a_case_dated_in_the_future_hides_no_change(client: TestClient, engine: Engine) -> None:
    with Session(engine) as session, session.begin():
        session.execute(
            text("UPDATE gridsvc.case SET state_since = '2999-01-01T00:00:00Z' WHERE id = 3")
        )
    before = ask(client, layer="district")["cases"]
    with Session(engine) as session, session.begin():
        session.execute(
            text(
                "UPDATE gridsvc.case SET state = 'merged', merged_into = 1, state_since = now()"
                " WHERE id = 4"
            )
        )
        session.execute(
            text("UPDATE gridsvc.hotspot_run SET made_at = made_at - interval '6 minutes'")
        )
    assert ask(client, layer="district")["cases"] == before - 1


@pytest.mark.parametrize(
    ("given", "name", "field"),
    [
        ({"layer": "nowhere"}, "unknown-layer", "layer"),
        ({"cell_m": "100"}, "hotspots-refused", "cell_m"),
        ({"layer": "square", "cell_m": "1"}, "invalid-input", "cell_m"),
        ({"from": TO.isoformat()}, "hotspots-refused", "from"),
        ({"from": "yesterday"}, "invalid-input", "from"),
        ({"layer": "courtyard"}, "hotspots-refused", "layer"),
        ({"month": "2026-03"}, "invalid-input", "month"),
    ],
)
def test_what_cannot_be_asked_is_named(
    client: TestClient, given: dict[str, str], name: str, field: str
) -> None:
    response = client.get("/v1/hotspots", params=WINDOW | given)
    body = assert_problem(response, 422, name)
    assert body["errors"][0]["loc"] == ["query", field]


def test_too_many_cells_are_refused(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gridsvc.hotspots.store.MOST_CELLS", 10)
    response = client.get("/v1/hotspots", params=WINDOW | {"layer": "square", "cell_m": 20})
    body = assert_problem(response, 422, "hotspots-refused")
    assert "Choose larger cells" in body["detail"]
