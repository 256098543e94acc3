"""A city is loaded in tests as the command line does it: the scheme, then file by file."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from gridsvc.db import create_engine
from gridsvc.grids.boundary_files import BoundaryFile, read_boundaries
from gridsvc.grids.changesets import open_change_set, publish
from gridsvc.grids.components import ComponentColumns, import_components, read_components
from gridsvc.grids.importing import ImportOptions, ImportReport, import_areas
from gridsvc.grids.people import import_people
from gridsvc.grids.people_files import read_people
from gridsvc.grids.scheme_store import current_scheme, load_scheme
from gridsvc.grids.schemes import Scheme, parse_scheme, read_scheme
from gridsvc.grids.terms import DrawnAs

SCHEMES = Path(__file__).resolve().parents[2] / "data" / "schemes"
PEOPLE = SCHEMES.parent / "people"
COMPONENTS = SCHEMES.parent / "components"


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


# The made-up cities


BOUNDARIES = SCHEMES.parent / "boundaries" / "demo.gpkg"
FOUNDED_AT = datetime(2024, 11, 1, tzinfo=ZoneInfo("Asia/Shanghai"))


def found_city(url: str, name: str) -> None:
    """Load one of the made-up cities as `make demo SCHEME=name` does, as one revision."""
    with founded(url, read_scheme(SCHEMES / f"{name}.toml")) as engine, Session(engine) as session:
        scheme = current_scheme(session)
        change_set = open_change_set(session, name="demo")
        for layer in scheme.layers:
            file = read_boundaries(BOUNDARIES, default_crs=scheme.input_crs[0], table=layer.code)
            options = ImportOptions(
                layer=layer.code,
                code="code",
                name="name",
                width="width_m" if layer.drawn_as is DrawnAs.LINE else None,
                valid_from=FOUNDED_AT,
            )
            import_areas(session, scheme, file, options, change_set=change_set)
        people = read_people(PEOPLE / f"{name}.csv", scheme)
        import_people(session, scheme, people, change_set=change_set)
        if (things := COMPONENTS / f"{name}.csv").is_file():
            columns = ComponentColumns(code="code", category="category", owner="owner")
            read_in = read_components(things, scheme, columns, crs="EPSG:4326")
            import_components(
                session, scheme, read_in, change_set=change_set, valid_from=FOUNDED_AT
            )
        publish(session, change_set)
        session.commit()


def without(name: str, *pieces: str | tuple[str, str]) -> Scheme:
    """Read a made-up city's scheme with pieces of its text taken out, or replaced."""
    text = (SCHEMES / f"{name}.toml").read_text(encoding="utf-8")
    for piece in pieces:
        old, new = (piece, "") if isinstance(piece, str) else piece
        assert old in text
        text = text.replace(old, new)
    return parse_scheme(text, source=name, base=SCHEMES)
