"""The picture of the data model names every table, and no table or column that is none."""

import re
from pathlib import Path

from gridsvc.db import Base
from gridsvc.grids import models as grids  # noqa: F401 -- fills Base with the tables
from gridsvc.hotspots import models as hotspots  # noqa: F401 -- the same
from gridsvc.reports import models as reports  # noqa: F401 -- the same

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "data-model.md"


def test_the_picture_names_every_table_and_their_columns() -> None:
    tables = {table.name: set(table.columns.keys()) for table in Base.metadata.tables.values()}
    (drawing,) = re.findall(
        r"^```mermaid\n(.*?)^```$", PICTURE.read_text(), re.DOTALL | re.MULTILINE
    )
    ends = re.findall(r"^ +(\w+) [|}][|o]--[|o][|{] (\w+) :", drawing, re.MULTILINE)
    assert {name for pair in ends for name in pair} == set(tables)
    for table, columns in re.findall(
        r"^    (\w+) \{\n(.*?)^    \}", drawing, re.DOTALL | re.MULTILINE
    ):
        assert set(re.findall(r"^ +\w+ (\w+)", columns, re.MULTILINE)) <= tables[table]
