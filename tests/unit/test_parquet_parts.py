"""Parquet parts laid one behind the other are one file that every reader understands."""

import io
import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gridsvc.routing.parquet_parts import MAGIC, Part, joined_footer


def _part(table: pa.Table, row_group_rows: int) -> Part:
    file = io.BytesIO()
    pq.write_table(
        table,
        file,
        row_group_size=row_group_rows,
        compression="zstd",
        write_page_index=True,
        bloom_filter_options={"text": True},
    )
    return Part.of(file.getvalue())


def _join(path: Path, parts: list[Part]) -> None:
    begins = [*itertools.accumulate((len(part.body) for part in parts), initial=len(MAGIC))]
    bodies = b"".join(part.body for part in parts)
    footer = joined_footer([part.footer for part in parts], begins[:-1])
    path.write_bytes(MAGIC + bodies + footer)


def test_parts_come_back_as_one_table(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    rows = 1000
    table = pa.table(
        {
            "number": pa.array(rng.integers(-(2**60), 2**60, rows)),
            "metres": pa.array(rng.normal(size=rows), mask=rng.random(rows) < 0.2),
            "text": pa.array([f"甲{n}" for n in rng.integers(0, 50, rows)]).dictionary_encode(),
            "is": pa.array(rng.random(rows) < 0.5),
            "at": pa.array(rng.integers(0, 2**50, rows)).cast(pa.timestamp("us", "UTC")),
            "list": pa.array([[n, n + 1] for n in range(rows)]),
        },
        metadata={"geo": '{"primary_column": "geometry"}'},
    )
    cuts = [0, 1, 200, 200, 777, rows]  # one part is empty
    parts = [_part(table.slice(a, b - a), 100) for a, b in itertools.pairwise(cuts)]
    path = tmp_path / "joined.parquet"
    _join(path, parts)
    assert pq.read_table(path).equals(table)
    metadata = pq.read_metadata(path)
    assert (metadata.num_rows, metadata.num_row_groups) == (rows, 13)
    assert metadata.metadata[b"geo"] == table.schema.metadata[b"geo"]
    # Single groups and filters find their pages too.
    with pq.ParquetFile(path) as file:
        assert file.read_row_group(4).num_rows == 100
    few = pq.read_table(path, filters=[("number", "==", table["number"][700].as_py())])
    assert few["metres"].to_pylist() == [table["metres"][700].as_py()]


def test_many_columns_and_groups_are_counted_right(tmp_path: Path) -> None:
    table = pa.table({f"c{n}": pa.array(range(60)) for n in range(40)})
    path = tmp_path / "joined.parquet"
    _join(path, [_part(table.slice(n, 3), 1) for n in range(0, 60, 3)])
    assert pq.read_table(path).equals(table)
