"""A city as every contestant gets it, and the last step that all of them take alike.

The work is: lon and lat to the storage CRS, the owner in each layer (the lowest code of the areas
that cover the point), and from the owners, by the ladders, who answers for each duty.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import shapely
from geopandas import GeoDataFrame
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from gridsvc.crs import Floats, Geometries
from gridsvc.db import create_engine
from gridsvc.grids.scheme_store import current_scheme
from gridsvc.grids.schemes import Scheme
from gridsvc.grids.terms import Duty
from tests.bench import made_up_city
from tools.bench.cities import points_in

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]

POSTS = (
    (Duty.RESPONSIBILITY, 1),
    (Duty.MANAGEMENT, 1),
    (Duty.ENFORCEMENT, 1),
    (Duty.ENFORCEMENT, 2),
    (Duty.SUPERVISION, 1),
)
"""Duty and rank of the columns of parties."""

AREAS = """
SELECT a.id, a.layer, a.code, ST_AsBinary(a.boundary)
FROM gridsvc.area AS a JOIN gridsvc.layer AS l ON l.code = a.layer
WHERE a.rev_to IS NULL AND a.valid_from <= now() AND (a.valid_to IS NULL OR now() < a.valid_to)
ORDER BY l.position, a.code COLLATE "C"
"""

# Who holds a post at all hours and for all categories; a contestant that knows neither can use
# no others.
HOLDERS = """
SELECT s.layer, s.area_code, s.duty, s.rank, s.party_code
FROM gridsvc.assignment AS s
WHERE s.rev_to IS NULL AND s.category IS NULL AND s.hours = '{[0,10080)}'
  AND s.valid_from <= now() AND (s.valid_to IS NULL OR now() < s.valid_to)
"""


@dataclass(frozen=True)
class Ground:
    """A city's areas of this moment, by layer from the outside in, then by code.

    Attributes:
        name: Of the city.
        url: Of its database.
        scheme: In force.
        ids: (areas,) of `gridsvc.area`.
        codes: (areas,) codes.
        boundaries: (areas,) in the storage CRS.
        first: (layers + 1,) where each layer begins.
        holders: (areas, posts) number of the party; -1 where nobody.
        parties: Codes by number.
    """

    name: str
    url: str
    scheme: Scheme
    ids: Int64s
    codes: npt.NDArray[np.object_]
    boundaries: Geometries
    first: Int64s
    holders: Int32s
    parties: tuple[str, ...]

    @classmethod
    def read(cls, name: str, url: str) -> "Ground":
        """Read a city from its database."""
        engine = create_engine(url)
        with Session(engine) as session:
            scheme = current_scheme(session)
        with engine.connect() as connection:
            rows = connection.execute(text(AREAS)).all()
            held = connection.execute(text(HOLDERS)).all()
        engine.dispose()
        layer_of = np.array([row[1] for row in rows], object)
        codes = np.array([row[2] for row in rows], object)
        layers = [layer.code for layer in scheme.layers]
        counts = [int((layer_of == layer).sum()) for layer in layers]
        row_of = {(row[1], row[2]): n for n, row in enumerate(rows)}
        holders = np.full((len(rows), len(POSTS)), -1, np.int32)
        post_of = {(duty.value, rank): n for n, (duty, rank) in enumerate(POSTS)}
        parties: dict[str, int] = {}
        for layer, code, duty, rank, party in held:
            area, post = row_of.get((layer, code)), post_of.get((duty, rank))
            if area is not None and post is not None:
                holders[area, post] = parties.setdefault(party, len(parties))
        return cls(
            name,
            url,
            scheme,
            np.array([row[0] for row in rows], np.int64),
            codes,
            np.asarray(shapely.from_wkb([row[3] for row in rows])),
            np.concatenate([[0], np.cumsum(counts)]),
            holders,
            tuple(parties),
        )

    @property
    def crs(self) -> str:
        """The storage CRS."""
        return self.scheme.storage_crs

    @property
    def layers(self) -> tuple[str, ...]:
        """Codes of the layers, from the outside in."""
        return tuple(layer.code for layer in self.scheme.layers)

    @cached_property
    def tables(self) -> dict[str, GeoDataFrame]:
        """The areas of each layer that has any, with their row in `row`."""
        return {
            layer: GeoDataFrame(
                {"row": np.arange(begin, end, dtype=np.int32)},
                geometry=self.boundaries[begin:end],
                crs=self.crs,
            )
            for layer, begin, end in zip(self.layers, self.first[:-1], self.first[1:], strict=True)
            if end > begin
        }

    @cached_property
    def ladders(self) -> tuple[tuple[int, ...], ...]:
        """For each post the layers to ask, most specific first, where no category is given."""
        rungs = {
            ladder.duty: tuple(self.layers.index(layer) for layer in ladder.layers)
            for ladder in self.scheme.ladders
            if not ladder.category
        }
        return tuple(rungs.get(duty, ()) for duty, _ in POSTS)

    def points(self, count: int, *, seed: int = 1) -> tuple[Floats, Floats]:
        """Draw points as reports come; lon and lat."""
        if self.name == "made-up":
            return made_up_city.make(len(self.ids)).points(count, seed=seed)
        smallest = max(self.tables.values(), key=len).geometry.to_numpy()
        return points_in(smallest, self.crs, count, seed=seed)

    def owners(self, point: Int64s | Int32s, row: Int64s | Int32s, count: int) -> Int32s:
        """Give the owner in each layer.

        Args:
            point: (pairs,) numbers of points.
            row: (pairs,) rows of areas that cover them.
            count: Of points.

        Returns:
            (layers, count) rows of areas; -1 where there is none.
        """
        nobody = np.int32(np.iinfo(np.int32).max)
        owners = np.full((len(self.layers), count), nobody, np.int32)
        row = row.astype(np.int32, copy=False)
        place = (np.searchsorted(self.first, row, "right") - 1) * count + point
        flat = owners.reshape(-1)
        flat[place] = row
        # Of several areas of a layer the lowest code owns the point; few points lie in several.
        while (lower := row < flat[place]).any():
            place, row = place[lower], row[lower]
            flat[place] = row
        owners[owners == nobody] = -1
        return owners

    def answerable(self, owners: Int32s) -> Int32s:
        """Climb the ladders.

        Args:
            owners: (layers, n) rows of areas.

        Returns:
            (posts, n) numbers of parties; -1 where nobody holds the post at any rung.
        """
        parties = np.full((len(POSTS), owners.shape[1]), -1, np.int32)
        for post, ladder in enumerate(self.ladders):
            held = self.holders[:, post]
            left = np.arange(owners.shape[1])
            for layer in ladder:
                at = owners[layer, left]
                found = np.where(at >= 0, held[at], -1)
                parties[post, left] = found
                left = left[found < 0]
                if not len(left):
                    break
        return parties


def engine_of(ground: Ground) -> Engine:
    """Open a city's database."""
    return create_engine(ground.url)
