"""The city is founded as its files say: the scheme, every layer and the people, in one revision."""

from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from gridsvc.grids.boundary_files import read_boundaries
from gridsvc.grids.changesets import open_change_set, publish
from gridsvc.grids.importing import ImportOptions, import_areas
from gridsvc.grids.people import import_people
from gridsvc.grids.people_files import read_people
from gridsvc.grids.scheme_store import load_scheme
from gridsvc.grids.schemes import Scheme
from gridsvc.grids.terms import DrawnAs

DATA = Path(__file__).parents[2] / "data"
SCHEME = DATA / "schemes" / "xuzhou.toml"
"""The city whose year it is."""
BOUNDARIES = DATA / "boundaries" / "demo.gpkg"


def found(engine: Engine, scheme: Scheme, *, since: datetime) -> None:
    """Publish a scheme's areas on the demo geography, with its people.

    Args:
        engine: Of a migrated, empty database.
        scheme: Its people are `data/people/CODE.csv`, else the demo's.
        since: Local, from when the areas hold.
    """
    people = DATA / "people" / f"{scheme.code}.csv"
    with Session(engine) as session, session.begin():
        load_scheme(session, scheme)
        change_set = open_change_set(session, name="founding")
        for layer in scheme.layers:
            import_areas(
                session,
                scheme,
                read_boundaries(BOUNDARIES, default_crs="EPSG:4326", table=layer.code),
                ImportOptions(
                    layer=layer.code,
                    code="code",
                    name="name",
                    width="width_m" if layer.drawn_as is DrawnAs.LINE else None,
                    valid_from=since.replace(tzinfo=scheme.zone),
                ),
                change_set=change_set,
            )
        table = read_people(people if people.exists() else DATA / "people" / "demo.csv", scheme)
        import_people(session, scheme, table, change_set=change_set)
        publish(session, change_set)
