"""How many points a second `locate_file` answers: `python tests/bench/bench_locate_file.py URL`.

URL names a database with a published city, such as the demo's. The points are spread over the
city's outline with categories of its scheme; reading and writing the file counts.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from sqlalchemy import text
from sqlalchemy.orm import Session

from gridsvc.crs import convert
from gridsvc.db import create_engine
from gridsvc.grids.scheme_store import current_scheme
from gridsvc.routing.bulk import locate_file

EXTENT = "SELECT ST_XMin(e), ST_YMin(e), ST_XMax(e), ST_YMax(e) FROM (SELECT ST_Extent(piece) AS e"


def main() -> None:
    """Make a file of points, answer it and print the speed."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("url")
    arguments.add_argument("--rows", type=int, default=200_000)
    arguments.add_argument("--ending", default="csv", choices=["csv", "parquet"])
    given = arguments.parse_args()
    engine = create_engine(given.url)
    with Session(engine) as session:
        scheme = current_scheme(session)
        box = session.execute(text(f"{EXTENT} FROM gridsvc.area_piece) AS x")).one()
    rng = np.random.default_rng(1)
    lon, lat = convert(
        rng.uniform(box[0], box[2], given.rows),
        rng.uniform(box[1], box[3], given.rows),
        source=scheme.storage_crs,
        target=scheme.input_crs[0],
    )
    codes = ["", *(category.code for category in scheme.categories[:40])]
    table = pa.table(
        {
            "id": [f"{number:08}" for number in range(given.rows)],
            "lon": [f"{value:.7f}" for value in lon],
            "lat": [f"{value:.7f}" for value in lat],
            "category": np.array(codes)[rng.integers(0, len(codes), given.rows)],
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        source, target = (Path(folder) / f"{name}.{given.ending}" for name in ("in", "out"))
        if given.ending == "csv":
            pyarrow.csv.write_csv(table, source)
        else:
            pq.write_table(table, source)
        start_s, start_cpu_s = time.perf_counter(), time.process_time()
        summary = locate_file(engine, source, target, lon="lon", lat="lat", category="category")
        wall_s, cpu_s = time.perf_counter() - start_s, time.process_time() - start_cpu_s
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(summary)
    print(
        f"{summary.rows / wall_s:,.0f} points/s: {wall_s:.1f} s, of which {cpu_s:.1f} s of this "
        f"process's own CPU; peak {peak_mb:.0f} MB"
    )


if __name__ == "__main__":
    main()
