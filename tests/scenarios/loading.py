"""A city is loaded in tests as the command line does it: the scheme, then file by file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from gridsvc.db import create_engine
from gridsvc.grids.boundary_files import BoundaryFile, read_boundaries
from gridsvc.grids.changesets import open_change_set, publish
from gridsvc.grids.importing import ImportOptions, ImportReport, import_areas
from gridsvc.grids.scheme_store import current_scheme, load_scheme
from gridsvc.grids.schemes import Scheme

SCHEMES = Path(__file__).resolve().parents[2] / "data" / "schemes"
PEOPLE = SCHEMES.parent / "people"


@contextmanager
def founded(url: str, scheme: Scheme) -> Iterator[Engine]:
    """An engine on a database in which a scheme is in force."""
    engine = create_engine(url)
    try:
        with Session(engine) as session, session.begin():
            load_scheme(session, scheme)
        yield engine
    finally:
        engine.dispose()


def read(session: Session, path: Path, *, crs: str | None = None) -> BoundaryFile:
    """Read a file for the scheme in force."""
    return read_boundaries(path, crs=crs, default_crs=current_scheme(session).input_crs[0])


def draft(session: Session, file: BoundaryFile, options: ImportOptions) -> ImportReport:
    """Import into the layer's change set; the caller commits, or rolls back for a dry run."""
    change_set = open_change_set(session, name=options.layer)
    return import_areas(session, current_scheme(session), file, options, change_set=change_set)


def publish_layer(session: Session, layer: str, report: ImportReport | None = None) -> int:
    """Publish the layer's change set, on the findings of its import or on a check of its own."""
    change_set = open_change_set(session, name=layer)
    return publish(session, change_set, findings=report and report.findings).revision


def load(engine: Engine, path: Path, options: ImportOptions) -> ImportReport:
    """Import a file and publish it, as one revision."""
    with Session(engine) as session, session.begin():
        report = draft(session, read(session, path), options)
        publish_layer(session, options.layer, report)
    return report
