"""`python -m tools.city_year --reports 1560000` lives through a city's year and says what it cost.

The reports are made up from a seed, on the demo geography. They are loaded, routed and joined into
cases as `gridsvc reports import` does it; what becomes of each case is drawn from the seed too.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import psycopg
from psycopg import sql as names
from sqlalchemy import Engine, make_url, text
from sqlalchemy.orm import Session

from gridsvc.db import create_engine, migrate
from gridsvc.embedded import Cluster
from gridsvc.grids.indicator_rules import COUNTS
from gridsvc.grids.schemes import Scheme, read_scheme
from gridsvc.reports.history import HistoryColumns, HistoryReport, import_history
from gridsvc.reports.indicators import By, Indicators, Period, indicators, month_of
from gridsvc.settings import Settings
from tools.city_year import founding, reports
from tools.city_year.lives import DrawnLives
from tools.city_year.meter import Meter

DATABASE = "city_year"
COLUMNS = HistoryColumns(
    id="id",
    lon="lon",
    lat="lat",
    crs="crs",
    opened="opened_at",
    category="category",
    channel="channel",
    accuracy="accuracy_m",
)


def live(  # noqa: PLR0913 -- a city, its year and its chance
    engine: Engine, scheme: Scheme, file: Path, *, count: int, seed: int, meter: Meter
) -> HistoryReport:
    """Found the city and live through its year.

    Args:
        engine: Of a migrated, empty database.
        scheme: Of the city.
        file: Where the reports are written.
        count: How many.
        seed: Where chance comes from.
        meter: Is told of each phase.
    """
    reports.write(file, count, seed)
    meter.lap("reports made")
    founding.found(engine, scheme, since=datetime(2024, 11, 1))  # noqa: DTZ001 -- local
    meter.lap("city founded")
    left = count

    def progress(rows: int) -> None:
        nonlocal left
        left -= rows
        if left == 0:
            meter.lap("loaded and routed")

    with Session(engine) as session, session.begin():
        told = import_history(
            session,
            engine,
            file,
            COLUMNS,
            lives=DrawnLives(scheme, seed),
            progress=progress,
        )
    meter.lap("joined and lived through")
    return told


def months(session: Session, scheme: Scheme) -> Indicators:
    """Count the year's cases month by month, as the service does."""
    since, until = (
        moment.astype(datetime).replace(tzinfo=scheme.zone) for moment in (reports.FROM, reports.TO)
    )
    return indicators(session, Period(since, until), by=By.MONTH)


def tables(session: Session, scheme: Scheme) -> Iterator[Indicators]:
    """Give each month's tables: by area of the second layer, by party and by category."""
    layer = scheme.layers[min(1, len(scheme.layers) - 1)].code
    for row in months(session, scheme).rows:
        period = month_of(row.key, scheme.zone)
        yield indicators(session, period, by=By.AREA, layer=layer)
        yield indicators(session, period, by=By.PARTY)
        yield indicators(session, period, by=By.CATEGORY)


def _new_database() -> str:
    """Make the tool's own database anew, on the server that the service uses."""
    settings = Settings()
    given = settings.database_url
    server = make_url(given.get_secret_value() if given else Cluster(settings.home).start())
    with psycopg.connect(
        server.set(drivername="postgresql").render_as_string(hide_password=False), autocommit=True
    ) as connection:
        name = names.Identifier(DATABASE)
        connection.execute(names.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        connection.execute(names.SQL("CREATE DATABASE {}").format(name))
    return server.set(database=DATABASE).render_as_string(hide_password=False)


def main(arguments: list[str]) -> None:
    """Live through a year in a database of its own and print what it cost."""
    parser = argparse.ArgumentParser(prog="python -m tools.city_year", description=__doc__)
    parser.add_argument("--reports", type=int, required=True, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scheme", type=Path, default=founding.SCHEME, help="Xuzhou's if left out")
    given = parser.parse_args(arguments)
    scheme = read_scheme(given.scheme)
    engine = create_engine(_new_database())
    migrate(engine)
    with tempfile.TemporaryDirectory() as folder, Meter(engine) as meter:
        file = Path(folder) / "reports.parquet"
        told = live(engine, scheme, file, count=given.reports, seed=given.seed, meter=meter)
        with Session(engine) as session:
            year = months(session, scheme)
            count = sum(1 for _ in tables(session, scheme))
        meter.lap(f"{count} monthly tables")
        with engine.connect() as connection:
            size = connection.scalar(
                text("SELECT pg_size_pretty(pg_database_size(:name))"), {"name": DATABASE}
            )
            events = connection.scalar(text("SELECT count(*) FROM gridsvc.case_event"))
    engine.dispose()
    print()
    print(*(f"{name:>12}" for name in ("month", *COUNTS)))
    for row in year.rows:
        print(f"{row.key:>12}", *(f"{row.now.counts[name]:>12,}" for name in COUNTS))
    print(
        f"\n{told.rows:,} reports, {dict(told.stored)}; {told.opened:,} cases, {told.joined:,} "
        f"reports joined; {events:,} events; database {size}"
    )
    print(
        f"{sum(lap.wall_s for lap in meter.laps):,.0f} s on the clock; peak memory: this process "
        f"{meter.own_peak_mib:,.0f} MiB, PostgreSQL {meter.postgres_peak_mib:,.0f} MiB"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
