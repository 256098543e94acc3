"""Do layers appear where they can be read, whatever a city calls them and however large it is?"""

import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise

import pytest

from gridsvc.grids.schemes import Scheme, read_scheme
from gridsvc.qgis.ground import Ground, extent
from gridsvc.qgis.looks import looks, main_tilings
from gridsvc.qgis.project import project
from tests import small_city

DEMO = read_scheme(small_city.SCHEMES / "demo.toml")
SIDES_M = {
    "district": 4751.0,
    "street": 2072.0,
    "community": 879.0,
    "unit": 190.0,
    "building": 17.0,
}
COUNTS = {"district": 1, "street": 5, "community": 30, "unit": 600, "building": 6362}
GROUND = Ground(extent(DEMO), SIDES_M, COUNTS)


def scheme(name: str) -> Scheme:
    return read_scheme(small_city.SCHEMES / f"{name}.toml")


def test_the_finest_of_the_longest_chains_of_tilings_is_on() -> None:
    assert [it.code for it in main_tilings(DEMO, GROUND)] == [
        "district",
        "street",
        "community",
        "unit",
    ]
    taipei = scheme("taipei")
    sizes = Ground(extent(taipei), {"district": 4700.0, "village": 770.0, "unit": 240.0})
    assert [it.code for it in main_tilings(taipei, sizes)] == ["district", "unit"]


def test_finer_layers_appear_later() -> None:
    given = looks(DEMO, GROUND)
    assert given["district"].seen_from is None
    order = [given[code] for code in ("street", "community", "unit", "building")]
    for coarse, fine in pairwise(order):
        assert coarse.seen_from is not None
        assert fine.seen_from is not None
        assert coarse.seen_from > fine.seen_from
        assert coarse.labelled_from > fine.labelled_from
    for look in given.values():
        assert look.labelled_up_to < look.labelled_from
        # Labels of what is not drawn would hang in the air.
        assert look.seen_from is None or look.labelled_from <= look.seen_from


def test_many_areas_are_drawn_only_where_a_screen_holds_few_of_them() -> None:
    crowded = replace(GROUND, counts=COUNTS | {"unit": 60_000})
    few, many = looks(DEMO, GROUND)["unit"], looks(DEMO, crowded)["unit"]
    assert few.seen_from is not None
    assert many.seen_from is not None
    assert many.seen_from < few.seen_from / 5


@pytest.mark.parametrize(
    "name", ["boston", "cangzhou", "chaoyang", "nanan", "qingdao", "taipei", "xuzhou"]
)
def test_any_city_gets_a_project_before_it_has_areas(name: str) -> None:
    city = scheme(name)
    root = ET.fromstring(project(city, Ground(extent(city)), service="gridsvc").decode())  # noqa: S314
    ids = [layer.findtext("id") or "" for layer in root.iterfind("projectlayers/maplayer")]
    assert len(set(ids)) == len(ids)
    # Of shorter ones QGIS makes its own.
    assert min(map(len, ids)) > 10
    for layer in city.layers:
        assert f"gridsvc_edit_{layer.code}" in ids
        assert f"gridsvc_hist_{layer.code}" in ids
    assert not {"gridsvc_tiling", "gridsvc_overlay", "gridsvc_line", "gridsvc_hist"} & set(ids)
    told = ET.tostring(root, encoding="unicode")
    srid = city.storage_crs.partition(":")[2]
    assert "EPSG:4548" not in told or srid == "4548"
