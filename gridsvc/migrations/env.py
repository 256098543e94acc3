"""Run Alembic on the connection that `gridsvc.db.migrate` hands over, one migrator at a time."""

from importlib.resources import files

from alembic import context
from geoalchemy2 import alembic_helpers
from sqlalchemy import Connection, text

from gridsvc.db import SCHEMA, Base
from gridsvc.grids import models as grids
from gridsvc.hotspots import models as hotspots
from gridsvc.reports import models as reports

# Each module of tables adds its own to the one metadata.
_DECLARED = (grids.Area, reports.Report, hotspots.HotspotRun)
TABLES = Base.metadata

# Functions are derived from their files, not from the history: each climb lays them anew, in
# this order, in the same transaction.
FUNCTIONS = (
    ("gridsvc.grids", "functions"),
    ("gridsvc.routing", "functions"),
    ("gridsvc.reports", "functions"),
)

ADVISORY_LOCK = 0x67726964  # "grid"


def lay_functions(connection: Connection) -> None:
    """Create or replace the service's SQL functions and views, where the newest tables are."""
    if context.get_context().get_current_revision() != context.get_head_revision():
        return  # climbed down: these functions ask tables that are gone
    for package, folder in FUNCTIONS:
        directory = files(package) / "sql" / folder
        for file in sorted(directory.iterdir(), key=lambda entry: entry.name):
            connection.exec_driver_sql(file.read_text(encoding="utf-8").replace("%", "%%"))
    connection.execute(text("SELECT gridsvc.lay_edit_views()"))


def drop_views(connection: Connection) -> None:
    """Drop the views of planners, which would keep columns from being changed."""
    if connection.scalar(text("SELECT to_regprocedure('gridsvc.drop_edit_views()')")):
        connection.execute(text("SELECT gridsvc.drop_edit_views()"))


def run(connection: Connection) -> None:
    """Climb under a lock; give up rather than block a running service for long."""
    connection.execute(text("SET lock_timeout = '10s'"))
    # Tables are compared by their full names; those of a default schema would have none.
    connection.execute(text("SET search_path = public"))
    connection.dialect.default_schema_name = "public"
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK})
    connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    connection.commit()
    try:
        context.configure(
            connection=connection,
            target_metadata=TABLES,
            version_table_schema=SCHEMA,
            include_schemas=True,
            include_name=include_name,
            process_revision_directives=alembic_helpers.writer,
            render_item=alembic_helpers.render_item,
            compare_type=True,
            compare_server_default=True,
        )
        with context.begin_transaction():
            drop_views(connection)
            context.run_migrations()
            lay_functions(connection)
        connection.commit()
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": ADVISORY_LOCK})
        connection.execute(text("RESET search_path"))
        connection.commit()


def include_name(name: str | None, kind: str, _parents: object) -> bool:
    """Leave what is not ours alone: PostGIS's own tables and other schemas."""
    return kind != "schema" or name == SCHEMA


run(context.config.attributes["connection"])
