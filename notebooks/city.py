"""Which city the notebooks show: the demo city, Boston's real reports, a database, or one's own.

One's own takes what `demo` takes: a scheme, a Parquet file of reports with the names of its
columns, and a file of boundaries for each layer.
"""

import os
import tempfile
import tomllib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
from sqlalchemy.orm import Session

from gridsvc.db import create_engine
from gridsvc.grids.area_files import areas_from_file
from gridsvc.grids.areas import moment
from gridsvc.grids.frames import areas_frame
from gridsvc.grids.scheme_store import current_scheme
from gridsvc.grids.schemes import Scheme, read_scheme
from gridsvc.grids.terms import LayerKind
from gridsvc.hotspots.cases import Part, parts_of_cases, parts_of_reports
from gridsvc.reports.case_columns import write_cases
from gridsvc.reports.history import HistoryColumns

# What esda brings asks for progress bars as widgets, which nothing here needs.
warnings.filterwarnings("ignore", message="IProgress not found")

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "data"
BOSTON = ROOT.parent / "shared" / "data" / "boston"
DATABASE = "GRIDSVC_DATABASE_URL"


@dataclass(frozen=True, slots=True, kw_only=True)
class City:
    """What a notebook needs to know.

    Attributes:
        name: For titles.
        source: For the line under each picture.
        scheme: Says the CRS, the time zone, the default points, the categories.
        parts: The cases.
        layers: How to read the areas of each layer.
        fine: The layer of the smallest areas that fill the city.
        coarse: The one above it.
        reports: The file, and which column holds what; None for a database.
        columns: The same.
        planted: What is known to be in the data because it was put there; empty for a real city.
    """

    name: str
    source: str
    scheme: Scheme
    parts: tuple[Part, ...]
    layers: Mapping[str, Callable[[], gpd.GeoDataFrame]]
    fine: str
    coarse: str
    reports: Path | None = None
    columns: HistoryColumns | None = None
    planted: Mapping[str, Any] = field(default_factory=dict)

    def areas(self, layer: str) -> gpd.GeoDataFrame:
        """Read the areas of a layer: `code`, `name`, `geometry` in the storage CRS."""
        return self.layers[layer]()

    def cases(self) -> pd.DataFrame:
        """Read all cases at once; a city's few years fit into memory."""
        return pd.concat([part.read() for part in self.parts])

    def layer_title(self, layer: str) -> dict[str, str]:
        """Give the name of a layer by language."""
        return next(one.title for one in self.scheme.layers if one.code == layer)

    def category_title(self, code: str) -> str:
        """Give the name of a category in English; the code where it has none."""
        return next(
            (one.name_en for one in self.scheme.categories if one.code == code and one.name_en),
            code,
        )


def demo() -> City:
    """Read the made-up demo city. Copy these lines for your own."""
    scheme = read_scheme(DATA / "schemes" / "demo.toml")
    reports = DATA / "reports" / "demo.parquet"
    columns = HistoryColumns(
        id="id", lon="lon", lat="lat", crs="crs", opened="opened_at", closed="closed_at",
        category="category", accuracy="accuracy_m",
    )  # fmt: skip
    boundaries = DATA / "boundaries" / "demo.gpkg"
    layers = ("district", "street", "community", "unit", "open_space", "shopfront", "courtyard")
    return City(
        name="Demo district 演示区",
        source="demo city, made up (data/reports/demo.toml)",
        scheme=scheme,
        parts=parts_of_reports(reports, columns, scheme=scheme),
        layers={
            layer: partial(
                areas_from_file, boundaries, scheme=scheme, table=layer, code="code", name="name"
            )
            for layer in layers
        },
        fine="unit",
        coarse="community",
        reports=reports,
        columns=columns,
        planted=tomllib.loads((DATA / "reports" / "demo.toml").read_text(encoding="utf-8")),
    )


def boston() -> City:
    """Read Boston's reports of 2015, which lie beside the checkout."""
    scheme = read_scheme(DATA / "schemes" / "boston.toml")
    reports = BOSTON / "reports_2015.parquet"
    columns = HistoryColumns(
        id="case_enquiry_id", lon="longitude", lat="latitude", opened="open_dt",
        closed="closed_dt", category="type", time_format="%m/%d/%Y %I:%M:%S %p",
    )  # fmt: skip
    codes = {"ward": "WARD", "precinct": "WARD_PRECINCT", "police_district": "ID"}
    return City(
        name="Boston",
        source="City of Boston, 311 reports of 2015, Analyze Boston (data.boston.gov)",
        scheme=scheme,
        parts=parts_of_reports(reports, columns, scheme=scheme),
        layers={
            layer: partial(
                areas_from_file, BOSTON / f"{layer}s_4326.geojson", scheme=scheme, code=code
            )
            for layer, code in codes.items()
        },
        fine="precinct",
        coarse="ward",
        reports=reports,
        columns=columns,
    )


def database(url: str, *, at: datetime | None = None) -> City:
    """Read the city that a database holds, as `gridsvc cases export` writes it.

    Args:
        url: As in GRIDSVC_DATABASE_URL.
        at: The boundaries of then, aware; None is now.
    """
    engine = create_engine(url)
    cases = Path(tempfile.mkdtemp(prefix="gridsvc-notebook-")) / "cases.parquet"
    with Session(engine) as session:
        scheme, now = current_scheme(session), moment(session, at)
        write_cases(session, cases)
        tilings = [layer for layer in scheme.layers if layer.kind is LayerKind.TILING]
        frames = {layer.code: areas_frame(session, layer.code, now=now) for layer in scheme.layers}
    engine.dispose()
    fine = max(tilings, key=lambda layer: len(frames[layer.code]))
    return City(
        name=" ".join(reversed(scheme.title.values())),
        source=f"cases and boundaries of {scheme.code}, revision {now.revision}",
        scheme=scheme,
        parts=parts_of_cases(cases),
        layers={code: frame.copy for code, frame in frames.items()},
        fine=fine.code,
        coarse=fine.parent or fine.code,
    )


def made_up() -> City:
    """Read the database that GRIDSVC_DATABASE_URL names, else the demo city."""
    return database(os.environ[DATABASE]) if DATABASE in os.environ else demo()


def real() -> City:
    """Read that database, else Boston's reports if they are there, else the demo city."""
    is_there = (BOSTON / "reports_2015.parquet").is_file()
    return boston() if is_there and DATABASE not in os.environ else made_up()
