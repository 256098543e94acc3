"""Notebooks are kept without what they showed; nbmake runs them beside these tests."""

import json
import re
from pathlib import Path
from typing import Any

import geopandas as gpd
import matplotlib as mpl
import numpy as np
import pytest

from gridsvc.grids.schemes import read_scheme
from gridsvc.hotspots.counts import count_areas

mpl.use("agg")  # the kernel's way to draw is not that of tests

from notebooks import city, pictures

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def test_there_are_five() -> None:
    assert [path.stem for path in NOTEBOOKS] == [
        "01-first-look",
        "02-hotspots",
        "03-what-keeps-coming-back",
        "04-before-and-after",
        "05-data-quality",
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_not_kept(path: Path) -> None:
    notebook = read(path)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert code
    for cell in code:
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
        assert cell["metadata"] == {}
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_opening_says_what_for_and_for_whom(path: Path) -> None:
    first = "".join(read(path)["cells"][0]["source"])
    assert first.startswith("# ")
    assert "**The question:**" in first
    assert "**For whom:**" in first


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_pictures_are_finished(path: Path) -> None:
    """Each figure has a title, its source and what it does not say."""
    source = "\n".join("".join(cell["source"]) for cell in read(path)["cells"])
    drawn = source.count("plt.subplots(")
    assert drawn > 0
    assert source.count("pictures.finish(") == drawn
    assert len(re.findall(r"\bsilent=", source)) == drawn


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path) -> None:
    source = "\n".join("".join(cell["source"]) for cell in read(path)["cells"])
    links = re.findall(r"\]\(([^)#:]+)\)", source)
    assert links
    for link in links:
        assert (FOLDER / link).exists(), link


def test_the_example_for_ones_own_city_works(tmp_path: Path) -> None:
    """What the first notebook tells to write down, on copies of the demo city's files."""
    demo = city.demo()
    assert demo.reports
    text = "\n".join("".join(cell["source"]) for cell in read(NOTEBOOKS[0])["cells"])
    (example,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    scheme = city.DATA / "schemes" / "demo.toml"
    for name, columns in (("units.geojson", "unit"), ("communities.gpkg", "community")):
        demo.areas(columns).rename(columns={"code": "CODE"}).to_file(tmp_path / name)
    renamed = {"opened_at": "reported", "closed_at": "closed", "category": "class", "lon": "lng"}
    reports = gpd.pd.read_parquet(demo.reports)
    phones = reports[reports["crs"] == "gcj02"].drop(columns="crs").rename(columns=renamed)
    phones.to_parquet(tmp_path / "reports.parquet")

    def found(name: str) -> Path:
        return scheme if name == "my-city.toml" else tmp_path / name

    names: dict[str, Any] = {**vars(city), "Path": found, "read_scheme": read_scheme}
    exec(example, names)  # noqa: S102  our own text
    own = names["CITY"]
    whole = demo.cases()
    expected = whole[whole["id"].isin(phones["id"])]
    assert len(own.cases()) == len(expected)
    assert np.allclose(own.cases()["x"], expected["x"], atol=0.002)
    told = count_areas(own.parts, own.areas(own.fine))
    assert told["cases"].sum() > 0.97 * len(expected)


def test_letters_that_no_font_shows_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "_found", [])
    assert pictures.words({"zh": "单元网格", "en": "Unit grid"}) == "Unit grid"
    assert pictures.readable("竹霞社区", "110199001003") == "110199001003"
    monkeypatch.setattr(pictures, "_found", ["WenQuanYi Zen Hei"])
    assert pictures.words({"zh": "单元网格", "en": "Unit grid"}) == "Unit grid 单元网格"
    assert pictures.readable("竹霞社区", "110199001003") == "竹霞社区"
    assert pictures.readable(None, "110199001003") == "110199001003"


@pytest.mark.parametrize(
    ("metres", "told"),
    [(2000, "2 km"), (500, "500 m"), (11.132, "11 m"), (0.11, "11 cm"), (0.0011, "1.1 mm")],
)
def test_lengths_have_the_unit_that_suits_them(metres: float, told: str) -> None:
    assert pictures.length(metres) == told
