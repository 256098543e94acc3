"""Layers as files: what a spreadsheet must not run, and names that two layers share."""

from pathlib import Path

import pandas as pd
import pyogrio
import shapely

from gridsvc.hotspots.exports import Layer, write_layers
from tests.case_frames import areas_frame

AREAS = areas_frame({"1": shapely.box(500000, 4400000, 500100, 4400100)})


def test_no_text_in_a_csv_begins_a_formula(tmp_path: Path) -> None:
    names = ['=HYPERLINK("http://x")', "+1", "-1", "@SUM(A1)", "\tx", "5=5", None]
    rows = pd.DataFrame({"name": names, "code": pd.Categorical(names), "trend_z": [-1.5] * 7})
    (path,) = write_layers([Layer("areas", "Areas", rows, {})], tmp_path / "out.csv")
    told = pd.read_csv(path)
    expected = [f"'{name}" for name in names[:5]]
    for column in ("name", "code"):
        assert told[column][:5].tolist() == expected
        assert told[column][5] == "5=5"
        assert told[column].isna().tolist() == [False] * 6 + [True]
    # A number below zero is a number.
    assert told["trend_z"].tolist() == [-1.5] * 7


def test_two_layers_may_bear_one_title(tmp_path: Path) -> None:
    out = tmp_path / "out.gpkg"
    write_layers([Layer(name, "Gi* (square)", AREAS, {}) for name in ("areas", "cells")], out)
    assert {name for name, _ in pyogrio.list_layers(out)} == {"areas", "cells", "layer_styles"}
