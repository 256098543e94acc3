"""Made cases and areas as frames, for tests that need no database."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import geopandas as gpd
import numpy as np
import pandas as pd
from shapely.geometry.base import BaseGeometry

from tests.factories import STORAGE


def cases(
    x: Iterable[float],
    y: Iterable[float],
    opened: Sequence[str | datetime] | None = None,
    category: Sequence[str | None] | None = None,
    **columns: object,
) -> pd.DataFrame:
    """Make a frame of cases; without a word they open at one noon and never close."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    if opened is None:
        opened = ["2026-03-01T12:00Z"] * len(x)
    frame = pd.DataFrame(
        {
            "id": [str(number) for number in range(len(x))],
            "x": x,
            "y": y,
            "opened_at": instants(opened),
            "closed_at": instants([None] * len(x)),
            "category": pd.Categorical(category or ["0101"] * len(x)),
            "responsible": pd.Categorical([None] * len(x), categories=pd.Index([], dtype=str)),
        }
    )
    return frame.assign(**columns)


def instants(told: Sequence[str | datetime | None]) -> pd.Series:
    """Read instants as columns of cases hold them."""
    texts = pd.Series(list(told), dtype=object)
    return pd.to_datetime(texts, utc=True, format="ISO8601").dt.as_unit("us")


def areas_frame(shapes: Mapping[str, BaseGeometry]) -> gpd.GeoDataFrame:
    """Make an areas frame of shapes in the storage CRS."""
    codes = sorted(shapes)
    return gpd.GeoDataFrame(
        {"code": codes, "name": codes}, geometry=[shapes[code] for code in codes], crs=STORAGE
    )
