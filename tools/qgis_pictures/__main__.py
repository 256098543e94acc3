"""Draw the pictures of the planners' guide: `make qgis-pictures`.

In a copy of this installation's database, in which the demo city must be loaded (`make demo`) and
to which nobody may be connected: the planner of the pictures edits and publishes.
"""

import tempfile
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.orm import Session

from gridsvc.cli.database import database_url, make_engine, read_settings
from gridsvc.qgis.package import PROJECT_FILE, address, write_package
from tools.system_qgis import run_module

PICTURES = Path(__file__).resolve().parents[2] / "gridsvc" / "qgis" / "pictures"
COPY = "gridsvc_pictures"


def main() -> None:
    """Copy the database, package its project, and have QGIS draw a planner's day."""
    url = make_engine(database_url(read_settings())).url
    server = make_engine(url.set(database="postgres").render_as_string(hide_password=False))
    copied = url.set(database=COPY, drivername="postgresql").render_as_string(hide_password=False)
    with server.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {COPY}"))
        connection.execute(text(f'CREATE DATABASE {COPY} TEMPLATE "{url.database}"'))
        try:
            with tempfile.TemporaryDirectory() as folder:
                engine = make_engine(copied)
                with Session(engine) as session:
                    package = Path(folder, "planners")
                    write_package(session, package, to=address(copied))
                engine.dispose()
                project = str(package / PROJECT_FILE)
                run_module("tools.qgis_pictures.draw", project, str(PICTURES), url=copied)
        finally:
            connection.execute(text(f"DROP DATABASE {COPY} WITH (FORCE)"))


if __name__ == "__main__":
    main()
