"""`python -m tools.equality` holds the index, GEOS and SQL against each other, point by point.

Random points come as reports do, in clusters and anywhere, half of them on the millimetre, where
they may meet edges. Torture points are what is hardest: vertices, holes' ones too, middles of edges
and points along them, seams of the pieces that SQL asks, and all of these moved by the least that a
number can be. Where answers differ, rational arithmetic judges; only what the index gets wrong
counts against it, and the exit code then is 1.
"""

import argparse
import itertools
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import shapely
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from shapely.geometry.base import BaseGeometry
from sqlalchemy import text

from gridsvc.crs import Floats, from_wgs84
from gridsvc.db import create_engine
from gridsvc.routing.index import AreaIndex
from tests.bench.made_up_city import FULL_AREAS, on_the_millimetre
from tools.bench.cities import CITIES, available, city_url, cluster
from tools.bench.ground import Ground

CHUNK = 250_000
SQL_CHUNK = 2_000
OF_SEAMS = 0.1
EXAMPLES = 10

Pairs = npt.NDArray[np.int64]
"""Sorted, a number a pair: the point's times the count of areas, plus the area's row."""

COVERING = """
SELECT q.n, c.area_id
FROM unnest(CAST(:n AS integer[]), CAST(:x AS float8[]), CAST(:y AS float8[])) AS q (n, x, y)
CROSS JOIN LATERAL gridsvc.covering(
    ST_SetSRID(ST_MakePoint(q.x, q.y), :srid), (SELECT max(number) FROM gridsvc.revision), now()
) AS c
"""


@dataclass
class Tally:
    """What was compared, and who was wrong about how many pairs of a point and an area."""

    points: Counter[str] = field(default_factory=Counter)
    pairs: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)


def holds(area: BaseGeometry, x: float, y: float) -> bool:
    """Judge by rational arithmetic whether the closure of an area holds a point."""
    px, py = Fraction(x), Fraction(y)
    inside = False
    for polygon in shapely.get_parts(area):
        for ring in shapely.get_rings(polygon):
            corners = shapely.get_coordinates(ring).tolist()
            for (ax, ay), (bx, by) in itertools.pairwise(corners):
                if max(ay, by) < y or min(ay, by) > y:
                    continue
                side = (Fraction(bx) - Fraction(ax)) * (py - Fraction(ay)) - (
                    Fraction(by) - Fraction(ay)
                ) * (px - Fraction(ax))
                if side == 0 and min(ax, bx) <= x <= max(ax, bx):
                    return True
                if (ay <= y) != (by <= y) and (side > 0) == (by > ay):
                    inside = not inside
    return inside


def random_points(ground: Ground, count: int) -> Iterator[tuple[Floats, Floats]]:
    """Draw points as reports come, and every other chunk anywhere on the millimetre."""
    west, south, east, north = shapely.total_bounds(ground.boundaries)
    for seed, begin in enumerate(range(0, count, CHUNK)):
        size = min(CHUNK, count - begin)
        if seed % 2:
            rng = np.random.default_rng(seed)
            yield (
                on_the_millimetre(rng.uniform(west - 50, east + 50, size)),
                on_the_millimetre(rng.uniform(south - 50, north + 50, size)),
            )
        else:
            yield from_wgs84(*ground.points(size, seed=seed + 10), crs=ground.crs)


def torture_points(ground: Ground, count: int) -> Iterator[tuple[Floats, Floats]]:
    """Draw points on and beside what bounds areas."""
    rng = np.random.default_rng(3)
    rings = shapely.get_rings(shapely.get_parts(ground.boundaries))
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    joined = np.flatnonzero(ring[:-1] == ring[1:])
    seams = _seams(ground)
    for begin in range(0, count, CHUNK):
        size = min(CHUNK, count - begin)
        edge = rng.choice(joined, size)
        a, b = xy[edge], xy[edge + 1]
        along = rng.choice([0.0, 0.5, 0.25, np.nan], (size, 1))
        along = np.where(np.isnan(along), rng.random((size, 1)), along)
        at = a + (b - a) * along
        exact = along[:, 0] == 0
        at[exact] = a[exact]
        if len(seams):
            of_seams = rng.random(size) < OF_SEAMS
            at[of_seams] = rng.choice(seams, int(of_seams.sum()))
        moved = rng.integers(-1, 2, (size, 2))
        at = np.where(moved, np.nextafter(at, np.where(moved > 0, np.inf, -np.inf)), at)
        yield at[:, 0].copy(), at[:, 1].copy()


def _seams(ground: Ground) -> Floats:
    engine = create_engine(ground.url)
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT ST_AsBinary(piece) FROM gridsvc.area_piece ORDER BY id LIMIT 20000")
        )
        pieces = shapely.from_wkb([row[0] for row in rows])
    engine.dispose()
    return np.asarray(shapely.get_coordinates(pieces))


def of_index(index: AreaIndex, x: Floats, y: Floats) -> Pairs:
    """Give the index's pairs."""
    found = index.find(x, y)
    known = np.flatnonzero(found.combination < index.combinations)
    position, row = index.sets.pairs(found.combination[known].astype(np.int64))
    pairs = [known[position] * len(index.ids) + row]
    for n in np.flatnonzero(found.combination >= index.combinations):
        rows = found.extra[found.combination[n] - index.combinations]
        pairs.append(n * len(index.ids) + np.array(rows, np.int64))
    return np.sort(np.concatenate(pairs))


def of_geos(ground: Ground, x: Floats, y: Floats) -> Pairs:
    """Give the pairs of shapely's tree."""
    tree = shapely.STRtree(shapely.points(x, y))
    row, point = tree.query(ground.boundaries, predicate="intersects")
    return np.sort(point * len(ground.ids) + row)


def of_sql(ground: Ground, x: Floats, y: Floats) -> Pairs:
    """Give the pairs of `gridsvc.covering`, the reference."""
    engine = create_engine(ground.url)
    order = np.argsort(ground.ids)
    srid = int(ground.crs.rpartition(":")[2])
    pairs = []
    with engine.connect() as connection:
        for begin in range(0, len(x), SQL_CHUNK):
            cut = slice(begin, begin + SQL_CHUNK)
            asked = {
                "n": list(range(begin, begin + len(x[cut]))),
                "x": x[cut].tolist(),
                "y": y[cut].tolist(),
                "srid": srid,
            }
            rows = connection.execute(text(COVERING), asked).all()
            point, area = np.array(rows, np.int64).reshape(-1, 2).T
            row = order[np.searchsorted(ground.ids, area, sorter=order)]
            pairs.append(point * len(ground.ids) + row)
    engine.dispose()
    return np.sort(np.concatenate(pairs))


def compare(  # noqa: PLR0913  who is compared, and on what
    ground: Ground, index: AreaIndex, tally: Tally, x: Floats, y: Floats, *, sql_points: int
) -> None:
    """Compare on some points; the first `sql_points` of them are put to SQL too."""
    mine, geos = of_index(index, x, y), of_geos(ground, x, y)
    tally.pairs += len(mine)
    told = {"GEOS": (geos, len(x))}
    if sql_points:
        told["SQL"] = (of_sql(ground, x[:sql_points], y[:sql_points]), min(sql_points, len(x)))
    for name, (theirs, count) in told.items():
        bound = np.searchsorted(mine, count * len(ground.ids))
        for pair in np.setxor1d(mine[:bound], theirs).tolist():
            point, row = divmod(pair, len(ground.ids))
            truth = holds(ground.boundaries[row], x[point], y[point])
            is_mine = mine[min(np.searchsorted(mine, pair), len(mine) - 1)] == pair
            who = name if is_mine == truth else "index"
            tally.wrong[who] += 1
            if len(tally.examples) < EXAMPLES:
                code = ground.codes[row]
                tally.examples.append(
                    f"{who} is wrong about {code} at {x[point]!r} {y[point]!r} (held: {truth})"
                )


def judge(ground: Ground, *, points: int, torture: int, sql: int, console: Console) -> Tally:
    """Compare on a city."""
    tally = Tally()
    index = AreaIndex.build(ground.ids, ground.boundaries)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task(ground.name, total=points + torture)
        for kind, drawn in (
            ("random", random_points(ground, points)),
            ("torture", torture_points(ground, torture)),
        ):
            left = sql // 2
            for x, y in drawn:
                compare(ground, index, tally, x, y, sql_points=left)
                tally.points[kind] += len(x)
                tally.points["put to SQL too"] += min(left, len(x))
                left = max(0, left - len(x))
                progress.advance(bar, len(x))
    return tally


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(prog="python -m tools.equality", description=__doc__)
    parser.add_argument("--city", action="append", choices=CITIES, help="all if left out")
    parser.add_argument("--points", type=int, default=10_000_000, help="random ones, a city")
    parser.add_argument("--torture", type=int, default=1_000_000, help="hard ones, a city")
    parser.add_argument("--sql", type=int, default=20_000, help="of them put to SQL too, a city")
    parser.add_argument("--areas", type=int, default=FULL_AREAS, help="of the made-up city")
    given = parser.parse_args(arguments)
    console = Console()
    table = Table(title="Who is wrong about how many pairs of a point and an area")
    for column in ("city", "random", "torture", "put to SQL", "pairs", "index", "GEOS", "SQL"):
        table.add_column(column, justify="left" if column == "city" else "right")
    failed = False
    with cluster() as server:
        for city in given.city or CITIES:
            if not available(city):
                console.print(f"{city}: left out, its data is not beside the checkout")
                continue
            ground = Ground.read(city, city_url(server, city, areas=given.areas))
            tally = judge(
                ground, points=given.points, torture=given.torture, sql=given.sql, console=console
            )
            counts = (
                *(tally.points[kind] for kind in ("random", "torture", "put to SQL too")),
                tally.pairs,
                *(tally.wrong[who] for who in ("index", "GEOS", "SQL")),
            )
            table.add_row(city, *(f"{count:,}" for count in counts))
            for example in tally.examples:
                console.print(example)
            failed |= tally.wrong["index"] > 0
    console.print(table)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
