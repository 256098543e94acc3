"""How long viewers wait: OGC API Features and tiles of 100,000 areas, over HTTP and in QGIS.

A unit is a square of four sides, a community one of forty. Figures are printed; none decides the
test, but the plans must lean on their indexes and every area must arrive.
"""

import re
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx2 as httpx
import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from gridsvc.crs import to_wgs84
from gridsvc.db import create_engine
from gridsvc.grids.areas import moment
from gridsvc.grids.viewers import LON_LAT, Box, Tile, Wanted, draw_tile, list_features
from tests.api.test_tiles import tile_at
from tests.bench.grid_city import CELL_M, ORIGIN_M, SIDE, STORAGE
from tests.qgis.conftest import SCRIPTS, RunQgis, run_qgis  # noqa: F401  a fixture
from tests.serving import Serve

UNITS = SIDE * SIDE


def degrees(side_m: float) -> list[float]:
    """A box of this side in the middle of the city: west, south, east, north."""
    middle = SIDE * CELL_M / 2
    lon, lat = to_wgs84(
        [ORIGIN_M[0] + middle - side_m / 2, ORIGIN_M[0] + middle + side_m / 2],
        [ORIGIN_M[1] + middle - side_m / 2, ORIGIN_M[1] + middle + side_m / 2],
        crs=STORAGE,
    )
    return [float(lon[0]), float(lat[0]), float(lon[1]), float(lat[1])]


THOUSAND = degrees(2450)
"""About a thousand units."""


@pytest.fixture(scope="module")
def address(city_url: str, serve: Serve) -> str:
    return serve(city_url)


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=60) as client:
        yield client


def median_ms(call: Callable[[], object], *, times: int = 20) -> float:
    def once() -> float:
        begun = time.perf_counter()
        call()
        return (time.perf_counter() - begun) * 1000

    once()
    return statistics.median(once() for _ in range(times))


def test_pages(client: httpx.Client) -> None:
    items = "/ogc/collections/{}/items"
    bbox = ",".join(map(str, THOUSAND))

    def get(layer: str, **params: object) -> httpx.Response:
        return client.get(items.format(layer), params=params).raise_for_status()

    print("\nover HTTP, median of 20:")
    for name, params in {
        "1,000 units, the first page": {"layer": "unit", "limit": 1000},
        "1,000 units in a box": {"layer": "unit", "limit": 1000, "bbox": bbox},
        "1,000 units of all, in a box round all": {
            "layer": "unit",
            "limit": 1000,
            "bbox": "116,39.5,117,40.3",
        },
        "1,000 communities": {"layer": "community", "limit": 1000},
        "one unit": {"layer": "unit", "code": "157157"},
        "units of a name": {"layer": "unit", "name": "nobody"},
    }.items():
        response = get(**params)
        body, size_kb = response.json(), len(response.content) / 1024
        took_ms = median_ms(lambda asked=params: get(**asked))
        print(
            f"  {name}: {took_ms:.0f} ms, {body['numberReturned']} features, {size_kb:.0f} KiB,"
            f" of {body.get('numberMatched', 'many')}"
        )
    begun = time.perf_counter()
    seen: list[str] = []
    url: str | None = f"{items.format('unit')}?limit=1000"
    while url:
        page = client.get(url).raise_for_status().json()
        seen += [feature["id"] for feature in page["features"]]
        url = next((link["href"] for link in page["links"] if link["rel"] == "next"), None)
    print(f"  all {len(seen):,} by pages of 1,000: {time.perf_counter() - begun:.1f} s")
    assert len(set(seen)) == len(seen) == UNITS


def test_tiles(client: httpx.Client) -> None:
    west, south, _, _ = THOUSAND
    print("\na tile over HTTP, median of 20:")
    for layer in ("unit", "community", "street", "district"):
        told = client.get(f"/tiles/{layer}.json").json()
        for z in (told["minzoom"], 10, 12, 14, 16, 18):
            x, y = tile_at(z, lon=west, lat=south)
            path = f"/tiles/{layer}/{z}/{x}/{y}.mvt"
            size_kb = len(client.get(path).content) / 1024
            took_ms = median_ms(lambda asked=path: client.get(asked).raise_for_status())
            least = " (minzoom)" if z == told["minzoom"] else ""
            print(f"  {layer} at zoom {z}{least}: {took_ms:.1f} ms, {size_kb:.1f} KiB")


def test_plans_lean_on_indexes(city_url: str) -> None:
    engine = create_engine(city_url)
    with ExitStack() as done, Session(engine) as session:
        done.callback(engine.dispose)
        now = moment(session)
        for name, box, after, index in (
            ("a page of all", None, None, "area_code_idx"),
            ("a later page", None, "200000", "area_code_idx"),
            ("a small box", THOUSAND, None, "area_boundary_idx"),
            ("a box round all", [116.0, 39.5, 117.0, 40.3], None, "area_code_idx"),
        ):
            plan = _plan(
                session,
                lambda box=box, after=after: list_features(
                    session,
                    now=now,
                    wanted=Wanted(
                        layer="unit",
                        box=Box(tuple(box), LON_LAT) if box else None,
                    ),
                    frame=LON_LAT,
                    limit=1000,
                    after=after,
                ),
            )
            print(f"{name}: {', '.join(re.findall(r'(?:using|on) (area_[a-z_]*idx)', plan))}")
            assert index in plan.replace("area_live_idx", "area_code_idx"), plan
            assert "Seq Scan on area" not in plan, plan
        x, y = tile_at(14, lon=THOUSAND[0], lat=THOUSAND[1])
        plan = _plan(
            session, lambda: draw_tile(session, now=now, layer="unit", tile=Tile(14, x, y))
        )
        assert "area_boundary_idx" in plan, plan


def _plan(session: Session, read: Callable[[], object]) -> str:
    """Explain what a call asks of areas."""
    asked: list[tuple[str, Any]] = []
    engine = session.get_bind()

    def keep(_c: object, _k: object, statement: str, parameters: object, *_: object) -> None:
        if "gridsvc.area" in statement:
            asked.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", keep)
    read()
    event.remove(engine, "before_cursor_execute", keep)
    return "\n".join(
        line
        for statement, parameters in asked
        for line in session.connection()
        .exec_driver_sql(f"EXPLAIN {statement}", parameters)
        .scalars()
    )


def test_qgis_shows_a_thousand_areas(run_qgis: RunQgis, address: str) -> None:  # noqa: F811
    print("\nin QGIS:")
    for _ in range(3):
        told = run_qgis(
            SCRIPTS / "read_features.py",
            given={
                "url": f"{address}/ogc",
                "layer": "unit",
                "uri": {"restrictToRequestBBOX": "1"},
                "extent": THOUSAND,
                "tell": False,
            },
        )
        assert told["count"] == UNITS
        print(
            f"  {told['features']} units in view: opened {told['opened_s']:.2f} s, "
            f"opened and read {told['read_s']:.2f} s"
        )
    whole = run_qgis(
        SCRIPTS / "read_features.py",
        given={"url": f"{address}/ogc", "layer": "unit", "tell": False},
        timeout_s=600,
    )
    print(f"  all {whole['features']:,} units: {whole['read_s']:.1f} s")
    assert whole["features"] == UNITS


def test_qgis_draws_tiles(run_qgis: RunQgis, address: str) -> None:  # noqa: F811
    print("\nin QGIS, drawn on 1600 by 1000 pixels:")
    for layer, side_m in (
        ("unit", 2450),
        ("unit", 8000),
        ("community", 25_000),
        ("street", 25_000),
    ):
        told = run_qgis(
            SCRIPTS / "draw_tiles.py",
            given={
                "url": f"{address}/tiles/{layer}/{{z}}/{{x}}/{{y}}.mvt",
                "layer": layer,
                "zmin": 13 if layer == "unit" else 0,
                "zmax": 18,
                "extent": degrees(side_m),
                "size": [1600, 1000],
            },
        )
        print(f"  {layer}, {side_m / 1000:.0f} km: {told['drawn_s']:.2f} s")
        assert told["shares"].get("#cce0ff", 0) > 0.02
