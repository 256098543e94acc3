"""What `hotspots export` writes looks in QGIS as it is meant to, without a click."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from gridsvc.cli import app
from gridsvc.hotspots.looks import KINDS
from tests.db.test_hotspots_cli import WINDOW, town  # noqa: F401  a fixture
from tests.qgis.conftest import RunQgis

DRAWN = ("chronic_places", "hotspots", "areas", "cells", "density")


def test_qgis_takes_each_layer_with_its_own_style(
    run_qgis: RunQgis,
    town: str,  # noqa: F811  the fixture
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GRIDSVC_DATABASE_URL", town)
    out = tmp_path / "out.gpkg"
    assert CliRunner().invoke(app, ["hotspots", "export", str(out), *WINDOW]).exit_code == 0
    sources = {name: f"{out}|layername={name}" for name in (*DRAWN, "about")}
    picture = tmp_path / "layers.png"
    told = run_qgis("exported_layers.py", given={"sources": sources, "picture": str(picture)})
    assert all(layer["valid"] for layer in told.values())
    for name in DRAWN:
        layer = told[name]
        assert layer["has_style"], name
        assert layer["crs"] == "EPSG:4547"
        assert layer["features"] > 0
        assert layer["undrawn"] == 0, f"{name}: no class of its style takes some features"
    assert told["areas"]["renderer"] == "categorizedSymbol"
    assert told["areas"]["legend"] == [
        f"{one.title['zh']} {one.title['en']}" for one in KINDS.values()
    ]
    assert told["density"]["renderer"] == "graduatedSymbol"
    assert told["hotspots"]["labels"]
    assert told["chronic_places"]["labels"]
    assert picture.stat().st_size > 10_000
