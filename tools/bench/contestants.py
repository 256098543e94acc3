"""Who is compared: each is set up once, untimed, and then asked with arrays of lon and lat.

All are given what suits them: the coordinates are converted by PROJ in bulk, the better side of
the join drives, one thread works, and what they must write out is two integers a pair.
"""

import importlib
import importlib.metadata
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import psycopg
import pyarrow as pa
import shapely

from gridsvc.crs import Floats, from_wgs84
from gridsvc.db import create_engine
from gridsvc.routing import index_engine, lookup_numpy
from gridsvc.routing.admission import Columns
from gridsvc.routing.batches import BatchRouter, City, Grounds
from gridsvc.routing.index import AreaIndex
from gridsvc.routing.number_copy import copy_in, fetch_arrays
from tools.bench.ground import POSTS, Ground, Int32s


class Work(NamedTuple):
    """What came out.

    Attributes:
        owners: (layers, n) rows of areas; -1 for none.
        parties: (posts, n) numbers of parties; -1 for nobody.
    """

    owners: Int32s
    parties: Int32s


JOIN = "SELECT p.n, a.row FROM {layer} AS a JOIN asked AS p ON ST_Intersects(a.geom, p.geom)"

Ask = Callable[[Floats, Floats], Any]


@dataclass(frozen=True)
class Contestant:
    """One of those that are compared.

    Attributes:
        name: As the table shows it.
        version: Of the program.
        ask: Does the work.
        close: Ends what was opened for it.
        elsewhere_s: Tells the processor time spent for it in another process, seconds.
        read: Gives what `ask` gave as rows and numbers of the ground, to compare; untimed.
        judges_more: Whether it refuses points outside the city, and knows hours and stand-ins: then
            only the owners it tells are compared.
    """

    name: str
    version: str
    ask: Ask
    close: Callable[[], object] = lambda: None
    elsewhere_s: Callable[[], float] = lambda: 0.0
    read: Callable[[Any], Work] = lambda work: work
    judges_more: bool = False

    def cpu_s(self) -> float:
        """Give the processor time spent so far, here and elsewhere."""
        return time.process_time() + self.elsewhere_s()


def _finished(ground: Ground, point: npt.ArrayLike, row: npt.ArrayLike, count: int) -> Work:
    owners = ground.owners(np.asarray(point), np.asarray(row), count)
    return Work(owners, ground.answerable(owners))


def geopandas_join(ground: Ground) -> Contestant:
    """GeoPandas: `sjoin` a layer, areas on the left: five times as fast as points there."""

    def ask(lon: Floats, lat: Floats) -> Work:
        x, y = from_wgs84(lon, lat, crs=ground.crs)
        points = gpd.GeoDataFrame(geometry=gpd.points_from_xy(x, y), crs=ground.crs)
        found = [
            gpd.sjoin(areas, points, predicate="intersects") for areas in ground.tables.values()
        ]
        return _finished(
            ground,
            np.concatenate([pairs["index_right"].to_numpy() for pairs in found]),
            np.concatenate([pairs["row"].to_numpy() for pairs in found]),
            len(lon),
        )

    return Contestant("GeoPandas", importlib.metadata.version("geopandas"), ask)


def _numbered(x: Floats, y: Floats) -> pa.Table:
    return pa.table({"n": np.arange(len(x), dtype=np.int32), "x": x, "y": y})


def _wkb(ground: Ground) -> pa.Table:
    rows = np.arange(len(ground.ids), dtype=np.int32)
    return pa.table({"row": rows, "wkb": pa.array(shapely.to_wkb(ground.boundaries), pa.binary())})


def duckdb_spatial(ground: Ground) -> Contestant:
    """DuckDB: its spatial join of all areas at once."""
    duckdb = importlib.import_module("duckdb")
    importing = importlib.import_module("duckdb_extensions")
    connection = duckdb.connect(config={"threads": 1})
    importing.import_extension("spatial", con=connection)
    connection.load_extension("spatial")
    connection.execute("SET enable_progress_bar = false")
    connection.register("given", _wkb(ground))
    connection.execute("CREATE TABLE area AS SELECT row, ST_GeomFromWKB(wkb) AS geom FROM given")

    def ask(lon: Floats, lat: Floats) -> Work:
        x, y = from_wgs84(lon, lat, crs=ground.crs)
        connection.register("asked", _numbered(x, y))
        pairs = connection.execute(
            "SELECT p.n, a.row FROM (SELECT n, ST_Point(x, y) AS geom FROM asked) AS p"
            " JOIN area AS a ON ST_Intersects(a.geom, p.geom)"
        ).fetchnumpy()
        return _finished(ground, pairs["n"], pairs["row"], len(lon))

    return Contestant("DuckDB spatial", duckdb.__version__, ask, connection.close)


def sedonadb(ground: Ground) -> Contestant:
    """SedonaDB: a layer at a time, areas on the left, which is the fastest of four ways."""
    sedona = importlib.import_module("sedonadb").connect()
    sedona.sql("SET datafusion.execution.target_partitions = 1").execute()
    for layer, areas in ground.tables.items():
        table = _wkb(ground).slice(int(areas["row"].iloc[0]), len(areas))
        sedona.create_data_frame(table).to_view("given", overwrite=True)
        made = sedona.sql("SELECT row, ST_GeomFromWKB(wkb) AS geom FROM given")
        made.to_memtable().to_view(layer, overwrite=True)

    def ask(lon: Floats, lat: Floats) -> Work:
        x, y = from_wgs84(lon, lat, crs=ground.crs)
        sedona.create_data_frame(_numbered(x, y)).to_view("given", overwrite=True)
        points = sedona.sql("SELECT n, ST_Point(x, y) AS geom FROM given")
        points.to_memtable().to_view("asked", overwrite=True)
        found = [sedona.sql(JOIN.format(layer=layer)).to_arrow_table() for layer in ground.tables]
        pairs = pa.concat_tables(found)
        return _finished(ground, pairs["n"].to_numpy(), pairs["row"].to_numpy(), len(lon))

    return Contestant("SedonaDB", importlib.metadata.version("sedonadb"), ask)


def postgis(ground: Ground) -> Contestant:
    """PostGIS: the areas drive, and look up points in a GiST index, which is part of the work."""
    connection = psycopg.connect(
        ground.url, options="-c max_parallel_workers_per_gather=0 -c jit=off -c work_mem=256MB"
    )
    cursor = connection.cursor()
    row = cursor.execute("SELECT postgis_lib_version(), current_setting('server_version')")
    postgis_version, server = row.fetchone() or ("?", "?")
    cursor.execute("CREATE TEMPORARY TABLE area (row integer, geom geometry)")
    with cursor.copy("COPY area FROM STDIN") as copy:
        for row_of, wkb in enumerate(shapely.to_wkb(ground.boundaries, hex=True)):
            copy.write_row((row_of, wkb))
    cursor.execute("ANALYZE area")

    def ask(lon: Floats, lat: Floats) -> Work:
        x, y = from_wgs84(lon, lat, crs=ground.crs)
        cursor.execute("CREATE TEMPORARY TABLE given (n integer, x float8, y float8)")
        numbers = np.arange(len(x), dtype=np.int32)
        copy_in(cursor, "COPY given FROM STDIN (FORMAT binary)", [numbers, x, y])
        cursor.execute(
            "CREATE TEMPORARY TABLE asked AS SELECT n, ST_MakePoint(x, y) AS geom FROM given"
        )
        cursor.execute("CREATE INDEX ON asked USING gist (geom)")
        cursor.execute("ANALYZE asked")
        point, row = fetch_arrays(
            cursor,
            "SELECT array_agg(p.n), array_agg(a.row) FROM area AS a CROSS JOIN LATERAL"
            " (SELECT q.n FROM asked AS q WHERE ST_Intersects(a.geom, q.geom) OFFSET 0) AS p",
            {},
            [np.dtype(np.int32)] * 2,
        )
        cursor.execute("DROP TABLE given, asked")
        return _finished(ground, point, row, len(lon))

    backend = Path(f"/proc/{connection.info.backend_pid}/stat")

    def elsewhere_s() -> float:
        if not backend.exists():  # the server is on another machine
            return 0.0
        fields = backend.read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    version_of_both = f"{postgis_version} ({server.split()[0]})"
    return Contestant("PostGIS", version_of_both, ask, connection.close, elsewhere_s)


PEERS: dict[str, Callable[[Ground], Contestant]] = {
    "GeoPandas": geopandas_join,
    "DuckDB spatial": duckdb_spatial,
    "SedonaDB": sedonadb,
    "PostGIS": postgis,
}


# Ours


@dataclass(frozen=True)
class Prepared:
    """The index with owners and parties of every combination, as the service keeps them.

    Attributes:
        ground: The city.
        index: Its rows are the ground's.
        owners: (combinations, layers).
        parties: (combinations, posts).
    """

    ground: Ground
    index: AreaIndex
    owners: Int32s
    parties: Int32s

    @classmethod
    def of(cls, ground: Ground, index: AreaIndex) -> "Prepared":
        """Decide for every combination, once."""
        sets = index.sets
        combination, row = sets.pairs(np.arange(index.combinations))
        owners = ground.owners(combination, row, index.combinations)
        parties = ground.answerable(owners)
        return cls(ground, index, np.ascontiguousarray(owners.T), np.ascontiguousarray(parties.T))

    def ask(self, lon: Floats, lat: Floats) -> Work:
        """Answer points."""
        x, y = from_wgs84(lon, lat, crs=self.ground.crs)
        found = self.index.find(x, y)
        owners, parties = self.owners, self.parties
        if found.extra:
            lengths = [len(rows) for rows in found.extra]
            point = np.repeat(np.arange(len(lengths)), lengths)
            row = np.array([row for rows in found.extra for row in rows], np.int64)
            more = self.ground.owners(point, row, len(lengths))
            owners = np.concatenate([owners, more.T])
            parties = np.concatenate([parties, self.ground.answerable(more).T])
        return Work(
            owners.take(found.combination, axis=0).T, parties.take(found.combination, axis=0).T
        )


def version() -> str:
    """Give the version of numba, which compiles the look-ups."""
    return f"numba {importlib.metadata.version('numba')}"


def ours(prepared: Prepared) -> Contestant:
    """The service's index, compiled."""
    return Contestant("gridsvc", version(), prepared.ask)


def locate_file_of_ours(ground: Ground) -> Contestant:
    """The service's way of files, but for reading and writing; times and reasons are judged too."""
    engine = create_engine(ground.url)
    city = City.load(engine)
    router = BatchRouter(
        Grounds(engine),
        city,
        Columns("lon", "lat", None, None, None, None),
        with_edges=False,
    )
    row_of = [
        dict(zip(ground.codes[begin:end], range(begin, end), strict=True))
        for begin, end in pairwise(ground.first.tolist())
    ]
    number_of = {code: number for number, code in enumerate(ground.parties)}

    def ask(lon: Floats, lat: Floats) -> list[pa.DictionaryArray]:
        return router.route(pa.record_batch({"lon": lon, "lat": lat})).added

    def read(columns: list[pa.DictionaryArray]) -> Work:
        layers = len(row_of)
        return Work(
            np.stack([_read(*pair) for pair in zip(columns[:layers], row_of, strict=True)]),
            np.stack(
                [_read(column, number_of) for column in columns[layers : layers + len(POSTS)]]
            ),
        )

    return Contestant(
        "gridsvc, all of a file", version(), ask, engine.dispose, read=read, judges_more=True
    )


def _read(column: pa.DictionaryArray, number_of: dict[str, int]) -> Int32s:
    words = [number_of.get(word, -2) for word in column.dictionary.to_pylist()]
    numbers = np.array([*words, -1], np.int32)
    return numbers[column.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)]


def ours_without_compiler(prepared: Prepared) -> Contestant:
    """The service's index where numba cannot be installed."""

    def ask(lon: Floats, lat: Floats) -> Work:
        compiled = index_engine.engine
        index_engine.engine = lambda: lookup_numpy  # type: ignore[assignment]
        try:
            return prepared.ask(lon, lat)
        finally:
            index_engine.engine = compiled

    return Contestant("gridsvc, no compiler", f"NumPy {np.__version__}", ask)


def on_one_core() -> set[int]:
    """Let this process work on one core; gives those that it had."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    return cores
