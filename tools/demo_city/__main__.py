"""`python -m tools.demo_city data` writes the demo city; the same seed gives the same city.

Sidecar files tell where each came from and its sha256.
"""

import argparse
import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyogrio

from tools.demo_city import EPSG, SEED, areas, cities, network, people, reports

MADE_ON = "2026-11-22"
CATEGORIES = Path(__file__).parents[2] / "data/categories/gbt30428.csv"


def city() -> areas.City:
    """Draw the network and all layers."""
    return areas.build(network.draw(_chance(0)), _chance(1))


def write(out: Path) -> None:
    """Write boundaries, people and reports with their sidecars below a folder."""
    drawn = city()
    table = people.build(drawn, _chance(2))
    received, chronic = reports.build(drawn, CATEGORIES, _chance(3))
    paths = [
        out / name for name in ("boundaries/demo.gpkg", "people/demo.csv", "reports/demo.parquet")
    ]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
    boundaries, persons, history = paths
    # GeoPackage notes when it was written; a fixed instant keeps the file the same.
    things = out / "components/nanan.csv"
    things.parent.mkdir(exist_ok=True)
    cities.components(drawn, _chance(20)).to_csv(things, index=False, lineterminator="\n")
    _sidecar(things, 'crs = "EPSG:4326"\n')
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": f"{MADE_ON}T00:00:00.000Z"})
    for layer, frame in drawn.layers.items():
        kind = "LineString" if "width_m" in frame else "Polygon"
        pyogrio.write_dataframe(
            frame, boundaries, layer=layer, geometry_type=kind, layer_options={"FID": "fid"}
        )
    _people(persons, table)
    for name in cities.CITIES:
        _people(out / f"people/{name}.csv", cities.build(drawn, name, city_chance(name)))
    received.to_parquet(history, index=False, compression="zstd")
    _sidecar(boundaries, f'crs = "EPSG:{EPSG}"\n')
    _sidecar(
        history, 'crs = "per row, in column crs"\n' + "".join(map(_chronic, chronic.itertuples()))
    )


def city_chance(name: str) -> np.random.Generator:
    """Give the chance by which one of the cities gets its people."""
    return _chance(10 + list(cities.CITIES).index(name))


def _people(path: Path, table: pd.DataFrame) -> None:
    table.to_csv(path, index=False, lineterminator="\n")
    _sidecar(path, 'phones = "numbers beginning 1380000 and 010-0000, made up"\n')


def _chronic(place: Any) -> str:  # noqa: ANN401 -- a row of pandas has no type of its own
    return (
        f"\n[[chronic]]  # {place.cases} cases within 6 m, each 15 to 29 days after a closing\n"
        f'lon = {place.lon}\nlat = {place.lat}\ncategory = "{place.category}"\n'
    )


def _sidecar(path: Path, more: str) -> None:
    told = {
        "source": f"python -m tools.demo_city, seed {SEED}; made up, no real place or person",
        "licence": "Apache-2.0",
        "date": MADE_ON,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    lines = "".join(f'{key} = "{value}"\n' for key, value in told.items())
    path.with_suffix(".toml").write_text(lines + more, encoding="utf-8")


def _chance(part: int) -> np.random.Generator:
    return np.random.default_rng([SEED, part])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tools.demo_city", description=__doc__)
    parser.add_argument("out", type=Path, metavar="OUT_DIR", help="such as data")
    write(parser.parse_args(sys.argv[1:]).out)
