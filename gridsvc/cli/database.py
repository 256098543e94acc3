"""Which database a command works on: GRIDSVC_DATABASE_URL, else the embedded one."""

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError
from sqlalchemy import URL, Engine, make_url, text
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.orm import Session

from gridsvc.db import complaint, create_engine
from gridsvc.embedded import Cluster
from gridsvc.errors import DatabaseUnavailable, SettingsError
from gridsvc.settings import Settings


def read_settings() -> Settings:
    """Read the environment.

    Raises:
        SettingsError: a variable cannot be used.
    """
    try:
        return Settings()
    except ValidationError as error:
        faults = [f"GRIDSVC_{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors()]
        raise SettingsError(
            f"The environment cannot be used ({'; '.join(faults)})",
            remedy="Set it as .env.example shows, or unset it",
        ) from None  # pydantic's own text repeats the value, which may be a secret


def database_url(settings: Settings) -> str:
    """Give the URL of the database, password included.

    Raises:
        DatabaseUnavailable: the embedded database does not run.
    """
    if settings.database_url:
        return settings.database_url.get_secret_value()
    cluster = Cluster(settings.home)
    status = cluster.status()
    if status.state not in ("running", "starting"):
        raise DatabaseUnavailable(
            f"The embedded database in {cluster.base} is {status.state}",
            remedy="Start it with `gridsvc up`, or name another server in GRIDSVC_DATABASE_URL",
        )
    return cluster.start()  # it runs: this only gives its URL


def make_engine(url: str) -> Engine:
    """Make an engine whose errors keep people's names and places to themselves.

    Raises:
        SettingsError: the URL cannot be read.
    """
    try:
        engine = create_engine(url)
    except (ArgumentError, ValueError):
        raise SettingsError(
            "GRIDSVC_DATABASE_URL cannot be read",
            remedy="Write postgresql://user:password@host:5432/name",
        ) from None  # the original repeats the URL
    engine.hide_parameters = True
    return engine


def place(url: str | URL) -> str:
    """Name a database without its password."""
    shown = make_url(url).set(drivername="postgresql", query={})
    return shown.render_as_string(hide_password=True)


@contextmanager
def open_engine() -> Iterator[Engine]:
    """Open the database of this installation, which must be reachable and migrated.

    Raises:
        DatabaseUnavailable: it is not.
    """
    url = database_url(read_settings())
    engine = make_engine(url)
    try:
        _require_migrated(engine)
        yield engine
    finally:
        engine.dispose()


def _require_migrated(engine: Engine) -> None:
    try:
        with engine.connect() as connection:
            migrated = connection.scalar(text("SELECT to_regclass('gridsvc.scheme') IS NOT NULL"))
    except OperationalError as error:
        raise DatabaseUnavailable(
            f"No PostgreSQL answers at {place(engine.url)}: {complaint(error)}",
            remedy="Start it (`gridsvc up` for the embedded one), or correct GRIDSVC_DATABASE_URL",
        ) from None
    if not migrated:
        raise DatabaseUnavailable(
            f"The database {place(engine.url)} has no tables of gridsvc yet",
            remedy="Make them with `gridsvc up`",
        )


@contextmanager
def open_session() -> Iterator[Session]:
    """Open a session; what its user does not commit is undone."""
    with open_engine() as engine, Session(engine) as session:
        yield session
