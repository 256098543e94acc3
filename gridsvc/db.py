"""The way to PostGIS: engines with the right role, the declarative base and SQL kept in files."""

import re
from functools import cache
from importlib.resources import files

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Engine, MetaData, TextClause, make_url, text
from sqlalchemy import create_engine as sqlalchemy_create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import DeclarativeBase, Session

from gridsvc.errors import DatabaseUnavailable, SettingsError

SCHEMA = "gridsvc"

# Names of constraints are part of the schema: a migration drops them by name, and an error is
# told apart by them.
NAMING = {
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    "pk": "%(table_name)s_pkey",
}


class Base(DeclarativeBase):
    """Base of every table; all live in the schema `gridsvc`."""

    metadata = MetaData(schema=SCHEMA, naming_convention=NAMING)


def database_url(url: str) -> URL:
    """`postgresql://…` as users write it, as SQLAlchemy wants it: psycopg 3.

    Raises:
        SettingsError: it names another kind of database.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise SettingsError(
            f"GRIDSVC_DATABASE_URL begins with {parsed.drivername}://, which is no PostgreSQL",
            remedy="Write postgresql://user:password@host:5432/name",
        )
    return parsed.set(drivername="postgresql+psycopg")


def complaint(error: OperationalError) -> str:
    """What the server or the system said, without the advice that follows it."""
    return str(error.orig).strip().partition("\n")[0]


def create_engine(
    url: str,
    *,
    role: str | None = None,
    statement_timeout_s: float | None = None,
    lock_timeout_s: float | None = None,
    pool_size: int = 5,
) -> Engine:
    """Make an engine whose sessions run in UTC and find `gridsvc` and PostGIS by search path.

    Args:
        url: `postgresql://…` of a database.
        role: Role each connection takes on, so that a login with more rights does not use them.
        statement_timeout_s: The longest a statement may run.
        lock_timeout_s: The longest a statement may wait for a lock.
        pool_size: Connections kept open.
    """
    settings = {
        "search_path": f"{SCHEMA},public",
        "timezone": "UTC",
        # A point query over many layers is planned in parallel and then takes 40 ms, not 1 ms.
        "max_parallel_workers_per_gather": "0",
        "jit": "off",
    }
    if role:
        settings["role"] = role
    if statement_timeout_s:
        settings["statement_timeout"] = str(int(statement_timeout_s * 1000))
    if lock_timeout_s:
        settings["lock_timeout"] = str(int(lock_timeout_s * 1000))
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    return sqlalchemy_create_engine(
        database_url(url),
        connect_args={"options": options, "application_name": "gridsvc"},
        pool_size=pool_size,
        pool_pre_ping=True,
        # A statement that fails is logged; what was asked and about whom is not.
        hide_parameters=True,
    )


@cache
def sql_text(package: str, name: str) -> str:
    """Read `package/sql/name.sql` without its comments, whose `:parameters` would be bound too."""
    lines = (files(package) / "sql" / f"{name}.sql").read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("--"))


@cache
def sql(package: str, name: str) -> TextClause:
    """Make a statement of `package/sql/name.sql`; its `:parameters` are bound by the caller."""
    return text(sql_text(package, name))


def run_sql(session: Session, package: str, name: str, **parameters: object) -> None:
    """Run the statements of `package/sql/name.sql`, each with the parameters that it uses.

    A statement ends with a semicolon at the end of a line.
    """
    for statement in re.split(r";\s*\n", sql_text(package, name)):
        clause = text(statement)
        used = {key: parameters[key] for key in clause.compile().params}
        session.execute(clause, used)


def migrate(engine: Engine, revision: str = "head") -> None:
    """Bring the schema to a revision of Alembic's history, under an advisory lock.

    Raises:
        DatabaseUnavailable: no server answers, or its PostGIS is missing or older than 3.3.
    """
    require_postgis(engine)
    config = Config()
    config.set_main_option("script_location", "gridsvc:migrations")
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def require_postgis(engine: Engine) -> None:
    """Refuse a server that does not answer or has no PostGIS ≥ 3.3.

    Raises:
        DatabaseUnavailable: with the place asked and the remedy.
    """
    place = engine.url.render_as_string(hide_password=True)
    try:
        with engine.connect() as connection:
            version = connection.scalar(
                text("SELECT default_version FROM pg_available_extensions WHERE name = 'postgis'")
            )
    except OperationalError as error:
        raise DatabaseUnavailable(
            f"No PostgreSQL answers at {place}: {complaint(error)}",
            remedy="Start it with `gridsvc up`, or name another in GRIDSVC_DATABASE_URL",
        ) from error
    found = re.match(r"(\d+)\.(\d+)", version or "")
    if not found or (int(found[1]), int(found[2])) < (3, 3):
        raise DatabaseUnavailable(
            f"The server at {place} offers PostGIS {version or 'not at all'}",
            remedy="Install PostGIS 3.3 or newer there, or use the embedded one (`gridsvc up`)",
        )
