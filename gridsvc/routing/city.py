"""The state of the city that holds for a whole run of many points."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from sqlalchemy import Connection, Engine, func, select, text
from sqlalchemy.orm import Session

from gridsvc.crs import parse_crs
from gridsvc.db import sql
from gridsvc.errors import NothingPublished
from gridsvc.grids.scheme_store import current_scheme
from gridsvc.grids.schemes import Scheme
from gridsvc.routing.ladders import FOREVER_US, Ints, microseconds


@dataclass(frozen=True, slots=True)
class City:
    """What holds for the whole run; later publishes do not change it.

    Attributes:
        scheme: The newest.
        srid: Of the storage CRS.
        now_us: When the run began, microseconds since 1970 UTC.
        revisions: Numbers, by the instants from which they answer.
        effective_us: Those instants.
        scheme_ids: The version of the scheme of each.
        categories: By version of the scheme and code, when the class is in use.
    """

    scheme: Scheme
    srid: int
    now_us: int
    revisions: Ints
    effective_us: Ints
    scheme_ids: Ints
    categories: dict[int, dict[str, list[tuple[int, int]]]]

    @classmethod
    def load(cls, engine: Engine) -> Self:
        """Read the state of this moment.

        Raises:
            NothingLoaded: the database has no scheme.
            NothingPublished: no revision answers yet.
        """
        with Session(engine) as session:
            scheme = current_scheme(session)
            connection = session.connection()
            # The clock that dates revisions.
            now = connection.execute(select(func.now())).scalar_one()
            revisions = connection.execute(
                text(
                    "SELECT number, effective_at, scheme_id FROM gridsvc.revision "
                    "ORDER BY effective_at, number"
                )
            ).all()
            if not revisions:
                raise NothingPublished
            categories = {
                scheme_id: _categories(connection, scheme_id)
                for scheme_id in {row.scheme_id for row in revisions}
            }
        return cls(
            scheme=scheme,
            srid=parse_crs(scheme.storage_crs).epsg or 0,
            now_us=microseconds(now),
            revisions=np.array([row.number for row in revisions], np.int64),
            effective_us=np.array([microseconds(row.effective_at) for row in revisions], np.int64),
            scheme_ids=np.array([row.scheme_id for row in revisions], np.int64),
            categories=categories,
        )

    def revision_at(self, at_us: Ints) -> Ints:
        """Find the revision that answers at each instant, as an index; -1 is none."""
        return np.searchsorted(self.effective_us, at_us, side="right") - 1


def _categories(connection: Connection, scheme_id: int) -> dict[str, list[tuple[int, int]]]:
    periods: dict[str, list[tuple[int, int]]] = {}
    for row in connection.execute(
        sql("gridsvc.routing", "bulk_categories"), {"scheme_id": scheme_id}
    ):
        end = microseconds(row.valid_to) if row.valid_to else FOREVER_US
        periods.setdefault(row.code, []).append((microseconds(row.valid_from), end))
    return periods
