"""Does real QGIS find in the package what planners need, for any city's scheme?"""

import json
import os
import re
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url
from sqlalchemy.orm import Session
from typer.testing import CliRunner, Result

from gridsvc.cli import app
from gridsvc.db import create_engine
from gridsvc.errors import PackageRefused
from gridsvc.grids.scheme_store import load_scheme
from gridsvc.grids.schemes import Scheme, parse_scheme, read_scheme
from gridsvc.grids.terms import FindingKind, LayerKind
from gridsvc.qgis.package import address
from tests import small_city
from tests.db_fixtures import MakeDatabase
from tests.qgis.conftest import RunQgis

SCHEMES = small_city.SCHEMES
FIXED = {
    "gridsvc_problem_point", "gridsvc_problem_part", "gridsvc_change_set", "gridsvc_proposal",
    "gridsvc_impact_total", "gridsvc_impact", "gridsvc_impact_area", "gridsvc_impact_report",
    "gridsvc_party", "gridsvc_assignment", "gridsvc_hist_change",
}  # fmt: skip
EDIT, PROBLEMS, IMPACT, HISTORY = "编辑 Edit", "问题 Problems", "影响 Impact", "历史 History"

Opened = Callable[[str], "City"]


class City:
    """A city, the package made for it, and what QGIS told of the project."""

    def __init__(self, scheme: Scheme, folder: Path, said: Result, found: dict[str, Any]) -> None:
        self.scheme = scheme
        self.folder = folder
        self.said = said
        self.found = found
        self.layers: dict[str, Any] = found["layers"]
        self.project: dict[str, Any] = found["project"]

    def edited(self, kind: LayerKind | None = None) -> list[dict[str, Any]]:
        return [
            self.layers[f"gridsvc_edit_{layer.code}"]
            for layer in self.scheme.layers
            if kind in {None, layer.kind}
        ]


def package(url: str, folder: Path, *args: str) -> Result:
    env = {"GRIDSVC_DATABASE_URL": url, "COLUMNS": "200"}
    return CliRunner().invoke(app, ["qgis", "package", str(folder), *args], env=env)


def environment(url: str, folder: Path) -> dict[str, str]:
    """What a planner's machine has: the service file of the package, a login, a password file."""
    parsed = make_url(url)
    passwords = folder.parent / f"{folder.name}.pgpass"
    passwords.write_text(f"*:*:*:*:{parsed.password}\n", encoding="utf-8")
    passwords.chmod(stat.S_IRUSR | stat.S_IWUSR)
    return {
        "PGSERVICEFILE": str(folder / "pg_service.conf"),
        "PGPASSFILE": str(passwords),
        "PGUSER": str(parsed.username),
    }


def found_city(session: Session, name: str) -> Scheme:
    if name == "small":
        small_city.found(session)
        return parse_scheme(small_city.SCHEME, source="small", base=SCHEMES)
    scheme = read_scheme(SCHEMES / f"{name}.toml")
    load_scheme(session, scheme)
    return scheme


@pytest.fixture(scope="module")
def opened(
    run_qgis: RunQgis, make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory
) -> Opened:
    """Open the package of a city in QGIS, once."""
    cities: dict[str, City] = {}

    def open_city(name: str) -> City:
        if name not in cities:
            url = make_database()
            engine = create_engine(url)
            with Session(engine) as session, session.begin():
                scheme = found_city(session, name)
            engine.dispose()
            folder = tmp_path_factory.mktemp(name) / "planners"
            said = package(url, folder)
            assert said.exit_code == 0, said.output
            pictures = folder.parent / "pictures"
            pictures.mkdir()
            given = {
                "project": str(folder / "gridsvc.qgz"),
                "theme": EDIT,
                "forms": sorted(
                    {"gridsvc_change_set", "gridsvc_assignment", "gridsvc_party"}
                    | {f"gridsvc_edit_{layer.code}" for layer in scheme.layers}
                ),
            }
            if name == "small":
                given["pictures"] = str(pictures)
            found = run_qgis("package.py", given=given, env=environment(url, folder))
            assert found["read"], found["error"]
            assert found["invalid"] == []
            cities[name] = City(scheme, folder, said, found)
        return cities[name]

    return open_city


@pytest.mark.parametrize(
    ("name", "crs"),
    [
        ("demo", "EPSG:4548"),
        ("small", "EPSG:4547"),
        ("taipei", "EPSG:3826"),
        ("boston", "EPSG:26986"),
    ],
)
def test_every_layer_of_the_scheme_opens_in_its_crs(opened: Opened, name: str, crs: str) -> None:
    city = opened(name)
    codes = [layer.code for layer in city.scheme.layers]
    drawn = {f"gridsvc_{schema}_{code}" for code in codes for schema in ("edit", "hist")}
    surfaces = {
        f"gridsvc_edit_{layer.code}_surface"
        for layer in city.scheme.layers
        if layer.drawn_as == "line"
    }
    # A layer that lost its id would stand under another, and in no theme or dropdown.
    assert set(city.layers) == drawn | surfaces | FIXED
    assert city.project["crs"] == city.project["view_crs"] == crs
    located = [layer for layer in city.layers.values() if layer["geometry"] != "NoGeometry"]
    assert {layer["crs"] for layer in located} == {crs}
    srid = crs.partition(":")[2]
    for layer in located:
        assert f"srid={srid} " in layer["source"]
    for layer in city.layers.values():
        assert "service='gridsvc'" in layer["source"]
        assert "password" not in layer["source"]
        assert " user=" not in layer["source"]


def test_layers_are_named_in_both_languages_from_the_outside_in(opened: Opened) -> None:
    groups = opened("demo").project["groups"]
    # What is above is drawn above.
    assert list(groups) == [PROBLEMS, IMPACT, EDIT, "人员 People", HISTORY]
    names = [name for _, name, _ in groups[EDIT]]
    assert names[:6] == [
        "变更集 Change sets",
        "本次修改 Proposed changes",
        "区 District",
        "街道 Street office",
        "社区 Community",
        "单元网格 Unit grid",
    ]
    assert "单元网格历史 Unit grid, history" in [name for _, name, _ in groups[HISTORY]]


def test_what_matters_to_editing_is_set(opened: Opened) -> None:
    project = opened("demo").project
    assert project["topological"] is True
    assert project["avoid"] == 1  # on the layer that is edited
    assert project["avoid_layers"] == []
    assert project["snapping"] == {
        "enabled": True,
        "mode": 2,  # all layers
        "types": 3,  # vertex and segment
        "tolerance": 12,
        "units": 1,  # pixels
    }
    assert (project["distances"], project["areas"]) == ("meters", "square meters")
    assert project["ellipsoid"] == "NONE"
    assert project["one_transaction"] is False
    assert project["trusted"] is False  # else counts of rows are guesses
    for layer in opened("demo").edited():
        assert layer["precision_m"] == 0.001
        assert not layer["read_only"]


def test_forms_speak_both_languages_and_offer_choices(opened: Opened) -> None:
    city = opened("demo")
    forms = city.found["forms"]
    assert {"编码 Code", "名称 Name", "状态 State", "上级编码 Parent", "面积 Area (m²)"} <= set(
        forms["gridsvc_edit_unit"]["labels"]
    )
    shown = [text for box in forms["gridsvc_change_set"]["dropdowns"] for text in box]
    assert {"检查 Check", "预览影响 Preview", "发布 Publish", "撤回 Withdraw"} <= set(shown)
    chosen = [text for box in forms["gridsvc_assignment"]["dropdowns"] for text in box]
    assert {"责任主体 Responsibility", "主办 Lead", "协办 Assistant"} <= set(chosen)
    assert {"楼长 Building chief", "单元网格 Unit grid"} <= set(chosen)
    assert "? ?" not in chosen
    fields = city.layers["gridsvc_assignment"]["fields"]
    assert fields["role"]["config"]["map"] == [
        {f"{role.title['zh']} {role.title['en']}": role.code} for role in city.scheme.roles
    ]
    for name in ("party_code", "hand_over_to"):
        assert fields[name]["widget"] == "RelationReference"
        relation = fields[name]["config"]["Relation"]
        assert city.project["relations"][relation] == [
            "gridsvc_assignment",
            "gridsvc_party",
            True,
        ]


def test_a_new_change_set_can_be_saved_as_soon_as_it_has_a_name(opened: Opened) -> None:
    fields = opened("demo").layers["gridsvc_change_set"]["fields"]
    required = {name for name, it in fields.items() if it["constraints"] & 1}
    assert required == {"name", "id"}
    # QGIS takes a key for required; the database gives it, so it must not stand in the form.
    tree = json.dumps(opened("demo").layers["gridsvc_change_set"]["tree"])
    assert '"id"' not in tree
    for name in ("state", "author", "problems", "base_revision"):
        assert fields[name]["read_only"]


def test_keys_and_row_numbers_are_out_of_sight_and_sent_back(opened: Opened) -> None:
    for layer in opened("demo").edited():
        fields = layer["fields"]
        assert fields["key"]["widget"] == fields["row_number"]["widget"] == "Hidden"
        assert {"key", "row_number"} <= set(layer["hidden_columns"])
        assert not {"key", "row_number"} & set(layer["tree"])
        # Without this an edit of a stale row would go through.
        assert fields["row_number"]["default"].startswith('if("row_number" >= 0, -1 - ')
        assert fields["row_number"]["on_update"]
        for name in ("state", "parent_code", "area_m2"):
            assert fields[name]["read_only"]
        for name in ("code", "name"):
            assert not fields[name]["read_only"]


def test_every_column_of_every_view_has_a_label(opened: Opened) -> None:
    """A column that came after the template was built has none: `make qgis-template`."""
    for layer_id, layer in opened("demo").layers.items():
        for name, field in layer["fields"].items():
            # Where nothing is told of a column the template shows it as it is called.
            assert field["alias"] not in {"", name}, f"{layer_id}.{name}"


def test_what_is_only_looked_at_cannot_be_edited(opened: Opened) -> None:
    layers = opened("demo").layers
    for name, layer in layers.items():
        looked_at = name.startswith(
            ("gridsvc_problem", "gridsvc_hist", "gridsvc_impact")
        ) or name.endswith("_surface")
        assert layer["read_only"] is looked_at, name
    # Each such layer keeps a connection open.
    assert {name for name, it in layers.items() if it["refreshed_by"] == "problems"} == {
        "gridsvc_problem_point",
        "gridsvc_problem_part",
    }


def test_a_problem_of_every_kind_has_a_name(opened: Opened) -> None:
    field = opened("demo").layers["gridsvc_problem_part"]["fields"]["kind"]
    named = {value for one in field["config"]["map"] for value in one.values()}
    assert {kind.value for kind in FindingKind} <= named


@pytest.mark.parametrize("name", ["demo", "taipei"])
def test_layers_are_told_apart_by_colour_and_labelled_where_they_can_be_read(
    opened: Opened, name: str
) -> None:
    city = opened(name)
    for kind in LayerKind:
        strokes = [tuple(layer["symbols"][0]["stroke"]) for layer in city.edited(kind)]
        assert len(set(strokes)) == len(strokes)
    for layer in city.edited(LayerKind.TILING):
        assert layer["symbols"][0]["fill"][3] == 0  # what lies beneath stays visible
        assert layer["symbols"][0]["stroke"][3] == 255
    for layer in city.edited():
        label = layer["label"]
        assert label["buffer"]
        assert label["by_scale"]
        assert label["from"] > label["to"] > 0
        assert {"Microsoft YaHei", "PingFang SC", "WenQuanYi Zen Hei"} <= set(label["families"])


def test_themes_show_what_they_are_named_for(opened: Opened) -> None:
    themes = opened("demo").project["themes"]
    assert set(themes) == {EDIT, PROBLEMS, IMPACT, HISTORY}
    spine = ["district", "street", "community", "unit"]
    assert {f"gridsvc_edit_{code}" for code in spine} <= set(themes[EDIT])
    assert "gridsvc_edit_patrol_area" not in themes[EDIT]  # it runs across the others
    assert themes[PROBLEMS] == [
        "gridsvc_problem_point",
        "gridsvc_problem_part",
        "gridsvc_proposal",
        *(f"gridsvc_edit_{code}" for code in spine),
    ]
    assert "gridsvc_impact_area" in themes[IMPACT]
    assert set(themes[HISTORY]) == {
        "gridsvc_hist_change",
        *(f"gridsvc_hist_{code}" for code in spine),
    }
    # What is on when the project opens is the first theme.
    on = {
        name
        for rows in opened("demo").project["groups"].values()
        for name, _, visible in rows
        if visible
    }
    assert on == set(themes[EDIT])


def test_history_follows_the_temporal_controller(opened: Opened) -> None:
    layers = opened("demo").layers
    for layer in opened("demo").scheme.layers:
        assert layers[f"gridsvc_hist_{layer.code}"]["temporal"] == [
            "ModeFeatureDateTimeStartAndEndFromFields",
            "shown_from",
            "shown_to",
        ]
    assert "temporal" not in layers["gridsvc_edit_unit"]


def test_the_map_and_the_sheets_of_the_streets_are_not_blank(opened: Opened) -> None:
    pictures = opened("small").found["pictures"]
    assert pictures["theme"] > 10
    *sheets, pdf = pictures["sheets"]
    assert [sheet["file"] for sheet in sheets] == ["street-S1", "street-S2"]
    for sheet, street in zip(sheets, ("甲街道", "乙街道"), strict=True):
        assert sheet["result"] == 0
        assert sheet["colours"] > 10
        assert any(f"小城 Small town · {street}" in text for text in sheet["texts"])
        assert any("版本 Revision 1" in text for text in sheet["texts"])
    assert pdf["pdf"] == 0
    assert pdf["bytes"] > 10_000


def test_the_package_is_three_files_and_pictures_without_a_password(opened: Opened) -> None:
    city = opened("demo")
    assert {path.name for path in city.folder.iterdir()} == {
        "gridsvc.qgz",
        "pg_service.conf",
        "guide.html",
        "pictures",
    }
    with zipfile.ZipFile(city.folder / "gridsvc.qgz") as archive:
        [name] = archive.namelist()
        text = archive.read(name).decode()
    guide = (city.folder / "guide.html").read_text(encoding="utf-8")
    service = (city.folder / "pg_service.conf").read_text(encoding="utf-8")
    password = os.environ.get("PGPASSWORD") or "password="
    for content in (text, service):
        assert password not in content
    drawn = {f"pictures/{path.name}" for path in city.folder.glob("pictures/*")}
    assert set(re.findall(r'src="([^"]+)"', guide)) == drawn
    assert "院落、楼栋、门前三包责任区" in guide
    assert "Courtyard, Building, Shop-front zone" in guide
    assert "https://" not in guide.replace("https://qgis.org", "")  # opens without a network
    assert "gridsvc planner add" in city.said.output


def test_the_address_is_what_planners_machines_reach(city: str, tmp_path: Path) -> None:
    here = package(city, tmp_path / "here")
    assert "this machine alone" in here.output
    there = package(
        city, tmp_path / "there", "--host", "gis.example.org", "--port", "6543",
        "--dbname", "city", "--service", "beijing", "--json",
    )  # fmt: skip
    told = json.loads(there.stdout)
    assert (told["host"], told["port"], told["dbname"]) == ("gis.example.org", 6543, "city")
    service = (tmp_path / "there" / "pg_service.conf").read_text(encoding="utf-8")
    assert "[beijing]\nhost=gis.example.org\nport=6543\ndbname=city\n" in service
    with zipfile.ZipFile(tmp_path / "there" / "gridsvc.qgz") as archive:
        text = archive.read("gridsvc.qgs").decode()
    assert "service='beijing'" in text
    assert "service='gridsvc'" not in text
    with pytest.raises(PackageRefused, match="--host"):
        address("postgresql:///city?host=/run/postgresql")


def test_a_folder_with_something_in_it_is_left_alone(city: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    refused = package(city, tmp_path)
    assert refused.exit_code == 1
    assert "is not empty" in refused.output
    assert "Name a new folder" in refused.output
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    refused = package(city, tmp_path / "notes.txt")
    assert "is a file" in refused.output
    refused = package(city, tmp_path / "new", "--service", "o'clock")
    assert refused.exit_code == 2


def test_a_database_without_a_city_is_told(database_url: str, tmp_path: Path) -> None:
    refused = package(database_url, tmp_path / "new")
    assert refused.exit_code == 1
    assert "gridsvc scheme load" in refused.output
    assert not (tmp_path / "new").exists()
