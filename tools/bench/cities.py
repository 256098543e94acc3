"""The cities that are measured, each in a database that is kept from run to run.

Demo comes with the project; Boston and Taipei are real and need `../shared/data` beside the
checkout; the made-up one is `tests.bench.made_up_city`, at any size.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psycopg
import shapely
from psycopg import sql as names
from sqlalchemy import make_url
from sqlalchemy.orm import Session

from gridsvc.crs import Floats, to_wgs84
from gridsvc.db import create_engine, migrate
from gridsvc.embedded import Cluster
from gridsvc.grids.changesets import open_change_set, publish
from gridsvc.grids.importing import ImportOptions
from gridsvc.grids.people import import_people
from gridsvc.grids.people_files import read_people
from gridsvc.grids.scheme_store import current_scheme
from gridsvc.grids.schemes import read_scheme
from tests.bench import city_copy, made_up_city
from tests.scenarios import loading

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".gridsvc" / "bench"
SHARED = ROOT.parent / "shared" / "data"
ANYWHERE = 0.15
"""The share of points that lie in no cluster."""

CITIES = ("demo", "boston", "taipei", "made-up")


def _demo(url: str) -> None:
    loading.found_city(url, "demo")


def _boston(url: str) -> None:
    files = {
        "ward": ("wards_4326.geojson", "WARD"),
        "precinct": ("precincts_4326.geojson", "WARD_PRECINCT"),
        "police_district": ("police_districts_4326.geojson", "ID"),
    }
    with loading.founded(url, read_scheme(loading.SCHEMES / "boston.toml")) as engine:
        for layer, (file, code) in files.items():
            options = ImportOptions(layer=layer, code=code, repair=True)
            loading.load(engine, SHARED / "boston" / file, options)
        with Session(engine) as session, session.begin():
            scheme = current_scheme(session)
            change_set = open_change_set(session, name="people")
            people = read_people(loading.PEOPLE / "boston.csv", scheme)
            report = import_people(session, scheme, people, change_set=change_set)
            publish(session, change_set, findings=report.findings)


def _taipei(url: str) -> None:
    folder = SHARED / "taipei"
    units = folder / "taipei_units.parquet"
    with loading.founded(url, read_scheme(loading.SCHEMES / "taipei.toml")) as engine:
        for file, options in (
            (units, ImportOptions(layer="district", code="TOWN_ID", dissolve=True)),
            (units, ImportOptions(layer="unit", code="CODEBASE")),
            (
                folder / "taipei_villages.geojson",
                ImportOptions(layer="village", code="VILLCODE", name="VILLNAME", repair=True),
            ),
        ):
            loading.load(engine, file, options)


def _made_up(areas: int) -> Callable[[str], None]:
    return lambda url: city_copy.copy_city(url, made_up_city.make(areas))


def available(city: str) -> bool:
    """Tell whether a city's data is there."""
    return city not in {"boston", "taipei"} or (SHARED / city).is_dir()


@contextmanager
def cluster() -> Iterator[str]:
    """Run the benches' cluster; gives the URL of its server."""
    home = Cluster(HOME)
    was_running = home.status().state == "running"
    try:
        yield home.start()
    finally:
        if not was_running:
            home.stop()


def city_url(server: str, city: str, *, areas: int = made_up_city.FULL_AREAS) -> str:
    """Give the URL of a database with the city, which is loaded where it is not there yet."""
    founders = {"demo": _demo, "boston": _boston, "taipei": _taipei, "made-up": _made_up(areas)}
    return kept_database(server, f"{city}_{areas}" if city == "made-up" else city, founders[city])


def kept_database(server: str, name: str, found: Callable[[str], None]) -> str:
    """Give the URL of a database that is made once and stays for the next run.

    Args:
        server: Where.
        name: What it holds.
        found: Fills a database that is migrated to head; whoever changes how is given a new one.
    """
    sources = b"".join(
        path.read_bytes()
        for folder, pattern in (
            (ROOT / "tests" / "bench", "*city*.py"),
            (ROOT / "gridsvc" / "migrations" / "versions", "*.py"),
        )
        for path in sorted(folder.glob(pattern))
    )
    database = f"{name.replace('-', '_')}_{hashlib.sha256(sources).hexdigest()[:8]}"
    url = make_url(server).set(database=database).render_as_string(hide_password=False)
    quoted = names.Identifier(database)
    with psycopg.connect(server, autocommit=True) as connection:
        found_before = connection.execute(
            "SELECT pg_catalog.shobj_description(oid, 'pg_database') FROM pg_database"
            " WHERE datname = %s",
            (database,),
        ).fetchone()
        if found_before is None or found_before[0] != "whole":
            for (older,) in connection.execute(
                "SELECT datname FROM pg_database WHERE datname ~ %s",
                (f"^{re.escape(name.replace('-', '_'))}_[0-9a-f]{{8}}$",),
            ).fetchall():
                drop = names.SQL("DROP DATABASE {} WITH (FORCE)").format(names.Identifier(older))
                connection.execute(drop)
            connection.execute(names.SQL("CREATE DATABASE {}").format(quoted))
            _migrated(url)
            found(url)
            whole = names.SQL("COMMENT ON DATABASE {} IS 'whole'").format(quoted)
            connection.execute(whole)
        else:
            _migrated(url)
    return url


def _migrated(url: str) -> None:
    engine = create_engine(url)
    migrate(engine)
    engine.dispose()


def points_in(
    boundaries: np.ndarray, crs: str, count: int, *, seed: int = 1
) -> tuple[Floats, Floats]:
    """Draw points as reports come, in clusters, over real ground.

    Args:
        boundaries: Areas whose middles are near hot places.
        crs: Theirs, metric.
        count: How many.
        seed: Of all that is drawn.

    Returns:
        (count,) lon and lat, EPSG:4326, to 1e-7 degree.
    """
    rng = np.random.default_rng(seed)
    centres = shapely.get_coordinates(shapely.centroid(rng.permutation(boundaries)[:400]))
    weight = 1.0 / np.arange(1, len(centres) + 1) ** 0.8
    which = rng.choice(len(centres), count, p=weight / weight.sum())
    spread = rng.uniform(20.0, 300.0, len(centres))
    points = centres[which] + rng.standard_normal((count, 2)) * spread[which, None]
    west, south, east, north = shapely.total_bounds(boundaries)
    anywhere = rng.random(count) < ANYWHERE
    points[anywhere] = rng.uniform((west, south), (east, north), (int(anywhere.sum()), 2))
    lon, lat = to_wgs84(points[:, 0].copy(), points[:, 1].copy(), crs=crs)
    return np.round(lon, 7), np.round(lat, 7)
