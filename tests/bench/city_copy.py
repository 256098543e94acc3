"""A made-up city laid straight into the tables by COPY: importing checks for minutes what is sound.

What comes out is what `gridsvc.publish` leaves: one revision, its areas with their pieces, parties
and what they hold.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

import psycopg
import shapely
from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from gridsvc.crs import parse_crs
from gridsvc.db import create_engine
from gridsvc.grids.scheme_store import load_scheme
from gridsvc.grids.weekhours import week_hours_to_range
from tests.bench.made_up_city import STORAGE, MadeUpCity

FOUNDED_AT = datetime(2026, 1, 1, tzinfo=UTC)

# As `gridsvc.apply_change_set` cuts them.
PIECES = """
INSERT INTO gridsvc.area_piece (area_id, piece)
SELECT a.id, part.geom
FROM gridsvc.area AS a
CROSS JOIN LATERAL ST_Subdivide(a.boundary, 128) AS cut
CROSS JOIN LATERAL ST_Dump(cut) AS part
"""

# Built row by row these cost ten times as much as built once; they are made again as they were.
INDEXED = """
SELECT c.conname, c.conrelid::regclass::text AS of, pg_get_constraintdef(c.oid) AS made
FROM pg_constraint AS c
WHERE c.contype = 'x' AND c.conrelid IN ('gridsvc.area'::regclass, 'gridsvc.assignment'::regclass)
"""


def copy_city(url: str, city: MadeUpCity) -> None:
    """Fill a database that is migrated to head and holds no city yet."""
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        load_scheme(session, city.scheme())
        connection = session.connection()
        connection.execute(
            text(
                "INSERT INTO gridsvc.revision (number, published_at, effective_at, scheme_id)"
                " SELECT 1, clock_timestamp(), :since, max(id) FROM gridsvc.scheme"
            ),
            {"since": FOUNDED_AT},
        )
        guards = connection.execute(text(INDEXED)).all()
        for guard in guards:
            connection.execute(text(f"ALTER TABLE {guard.of} DROP CONSTRAINT {guard.conname}"))
        _copy(
            connection,
            "area (layer, code, name, boundary, valid_from, rev_from)",
            _areas(city),
        )
        people = city.people()
        _copy(
            connection,
            "party (code, name, kind, phone)",
            ((party.code, party.name, party.kind, party.phone) for party in people.parties),
        )
        _copy(
            connection,
            "assignment (party_code, layer, area_code, duty, role, rank, category, hours,"
            " valid_from, rev_from)",
            (
                (
                    row.party_code,
                    row.layer,
                    row.area_code,
                    row.duty,
                    row.role,
                    row.rank,
                    row.category,
                    week_hours_to_range(row.hours),
                    FOUNDED_AT,
                    1,
                )
                for row in people.assignments
            ),
        )
        connection.execute(text(PIECES))
        for guard in guards:
            connection.execute(
                text(f"ALTER TABLE {guard.of} ADD CONSTRAINT {guard.conname} {guard.made}")
            )
        connection.execute(text("SELECT pg_notify('gridsvc_revision', '1')"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    engine.dispose()


def _areas(city: MadeUpCity) -> Iterable[tuple[object, ...]]:
    srid = parse_crs(STORAGE).epsg
    for layer, table in city.layers.items():
        shapes = table.geometry.to_numpy().copy()
        simple = shapely.get_type_id(shapes) == shapely.GeometryType.POLYGON
        shapes[simple] = shapely.multipolygons(shapes[simple], indices=range(int(simple.sum())))
        written = shapely.to_wkb(shapely.set_srid(shapes, srid), hex=True, include_srid=True)
        for code, boundary in zip(table["code"], written, strict=True):
            yield layer, code, f"{layer} {int(code[-7:])}", boundary, FOUNDED_AT, 1


def _copy(connection: Connection, into: str, rows: Iterable[tuple[object, ...]]) -> None:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    with driver.cursor() as cursor, cursor.copy(f"COPY gridsvc.{into} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
