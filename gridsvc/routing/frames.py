"""A frame of points goes in, the same frame with who is responsible comes out."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
import pyarrow as pa
from sqlalchemy import Engine

from gridsvc.errors import UnknownCrs
from gridsvc.routing.admission import Columns, instants
from gridsvc.routing.batches import BatchRouter, Grounds
from gridsvc.routing.bulk import BATCH_ROWS, added_schema
from gridsvc.routing.city import City
from gridsvc.routing.reasons import Reasons
from gridsvc.routing.router import Door
from gridsvc.routing.tables import plain_columns

_LON, _LAT = "gridsvc_x", "gridsvc_y"
_KEPT: WeakKeyDictionary[Engine, Grounds] = WeakKeyDictionary()
"""What was read through an engine, for the next frame."""


@dataclass(frozen=True, slots=True)
class Located:
    """How to answer frames; can be sent to another machine."""

    router: BatchRouter

    @classmethod
    def of(  # noqa: PLR0913  each names a column
        cls,
        engine: Engine,
        frame: Any,  # noqa: ANN401  of pandas or of Dask
        *,
        lon: str | None,
        lat: str | None,
        crs: str | None,
        category: str | None,
        at: str | None,
    ) -> Self:
        """Read the city, and find out which columns ask."""
        city = City.load(engine)
        if lon is None or lat is None:
            if getattr(frame, "crs", None) is None:
                raise UnknownCrs("", matches=city.scheme.input_crs)
            lon, lat, crs = _LON, _LAT, f"EPSG:{frame.crs.to_epsg()}"
        crs_column = crs if crs in frame.columns else None
        if crs_column is None:
            Door(city.scheme).crs(crs)
        columns = Columns(lon, lat, None if crs_column else crs, crs_column, category, at)
        grounds = _KEPT.setdefault(engine, Grounds(engine))
        return cls(BatchRouter(grounds, city, columns))

    def answer(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Give a frame with the columns added."""
        columns = self.router.columns
        asked = {
            name: _array(frame[name])
            for name in (columns.lon, columns.lat, columns.crs_column, columns.category, columns.at)
            if name is not None and name not in {_LON, _LAT}
        }
        if columns.lon == _LON:
            points = frame.geometry
            asked |= {_LON: pa.array(points.x.to_numpy()), _LAT: pa.array(points.y.to_numpy())}
        batch = pa.record_batch(asked)
        schema = added_schema(frame.columns, self.router.city.scheme)
        parts = [
            pa.record_batch(
                plain_columns(self.router.route(batch.slice(start, BATCH_ROWS)).added),
                names=schema.names,
            )
            for start in range(0, max(len(batch), 1), BATCH_ROWS)
        ]
        added = pa.Table.from_batches(parts).to_pandas()
        added.index = frame.index
        located: pd.DataFrame = frame.join(added)
        return located


def locate(  # noqa: PLR0913  each names a column
    frame: pd.DataFrame,
    engine: Engine,
    *,
    lon: str | None = None,
    lat: str | None = None,
    crs: str | None = None,
    category: str | None = None,
    at: str | None = None,
) -> pd.DataFrame:
    """Answer every row of a frame who is responsible at its point.

    What was read of the city is kept as long as the engine: the next frame is answered at once.

    Args:
        frame: A GeoDataFrame of points with its CRS, or any frame with `lon` and `lat`.
        engine: Reads.
        lon: Column of longitudes or eastings; left out, the geometry is asked.
        lat: Column of latitudes or northings; the same.
        crs: A CRS that the scheme accepts, or the column that names one a row; None is the
            scheme's first. A geometry has its own.
        category: Column of class codes; an empty cell asks for none.
        at: Column of instants; without an offset in the city's time, an empty cell is now.

    Returns:
        A copy with the columns that `gridsvc locate-file` adds: one code a layer, the parties,
        `edge_m` and `reason`; of a GeoDataFrame a GeoDataFrame.

    Raises:
        UnknownCrs: `crs` or the geometry's is none.
        CrsNotAccepted: the scheme does not take it.
        NothingLoaded: the database has no scheme.
        NothingPublished: no revision answers yet.
    """
    located = Located.of(engine, frame, lon=lon, lat=lat, crs=crs, category=category, at=at)
    return located.answer(frame)


def locate_dask(  # noqa: PLR0913  each names a column
    frame: Any,  # noqa: ANN401
    engine: Engine,
    client: Any,  # noqa: ANN401
    *,
    lon: str | None = None,
    lat: str | None = None,
    crs: str | None = None,
    category: str | None = None,
    at: str | None = None,
) -> Any:  # noqa: ANN401
    """Answer the rows of a Dask frame, each partition where it is.

    The city is sent to each worker once and stays there as long as the cluster: partitions are
    worked on only when their result is asked for. Nothing is shuffled.

    Args:
        frame: A `dask.dataframe.DataFrame`, or one whose partitions are GeoDataFrames.
        engine: Reads; workers need no database.
        client: A `dask.distributed.Client`.
        lon: See `locate`; the rest too.
        lat: The same.
        crs: The same.
        category: The same.
        at: The same. The column is read once beforehand, to find the revisions that it asks.

    Returns:
        A Dask frame with the columns added.

    Raises:
        UnknownCrs: see `locate`; the others too.
    """
    from gridsvc.routing import on_workers  # noqa: PLC0415  only who has a cluster has Dask

    located = Located.of(engine, frame, lon=lon, lat=lat, crs=crs, category=category, at=at)
    router = located.router
    grounds = Grounds(engine)  # with those alone that are to be sent
    located = replace(located, router=replace(router, grounds=grounds))
    numbers = {int(router.city.revisions[-1])}
    if at is not None:
        partitions = frame[[at]].map_partitions(
            _revisions, router.city, at, meta={"revision": "int64"}
        )
        numbers = {int(number) for number in partitions.compute()["revision"]}
    grounds.hold(sorted(numbers))
    meta = located.answer(frame._meta)  # noqa: SLF001  the only way to learn the columns
    name = on_workers.send(client, located)
    return frame.map_partitions(_answer_there, name, meta=meta)


def _array(column: "pd.Series[Any]") -> pa.Array:
    array = pa.array(column, from_pandas=True)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _revisions(frame: pd.DataFrame, city: City, at: str) -> pd.DataFrame:
    """List the revisions that answer for a column of instants."""
    batch = pa.record_batch({at: _array(frame[at])})
    at_us = instants(batch, at, city.scheme, city.now_us, Reasons.none(len(frame)))
    numbers = np.unique(city.revision_at(at_us))
    return pd.DataFrame({"revision": city.revisions[numbers[numbers >= 0]]})


def _answer_there(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    from gridsvc.routing import on_workers  # noqa: PLC0415

    answer: Callable[[pd.DataFrame], pd.DataFrame] = on_workers.held(name).answer
    return answer(frame)
