"""Category files are read whole or refused with every line that is wrong; so are unit codes."""

from datetime import date
from pathlib import Path

import pytest

from gridsvc.errors import CategoriesError
from gridsvc.grids.categories import longest_prefix, read_categories
from gridsvc.grids.codes import unit_grid_code_faults
from gridsvc.grids.terms import CategoryKind

GBT30428 = Path(__file__).parents[2] / "data/categories/gbt30428.csv"
HEADER = "code,kind,name_zh,name_en,valid_from,valid_to\n"


def write(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "classes.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_the_classes_shipped_are_whole() -> None:
    categories = {item.code: item for item in read_categories(GBT30428)}
    assert categories["0101"].name_zh == "暴露垃圾"
    assert categories["0504"].name_zh == "店外经营"
    assert categories["C0118"].name_zh == "路灯"
    assert categories["C0305"].name_zh == "垃圾箱"
    for code, item in categories.items():
        component = code.startswith("C")
        assert item.kind is (CategoryKind.COMPONENT if component else CategoryKind.EVENT)
        assert item.name_zh
        assert item.name_en
        # Every minor class stands under a major one.
        assert code[: 3 if component else 2] in categories


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_reads_what_spreadsheets_save(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path, HEADER + "0101,event,暴露垃圾,,2020-01-01,\n", encoding)
    (category,) = read_categories(path)
    assert category.name_zh == "暴露垃圾"
    assert category.name_en is None
    assert category.valid_from == date(2020, 1, 1)
    assert category.valid_to is None


def test_a_code_may_come_again_after_its_period(tmp_path: Path) -> None:
    rows = "0101,event,旧,,,2020-01-01\n0101,event,新,,2020-01-01,\n"
    assert [item.name_zh for item in read_categories(write(tmp_path, HEADER + rows))] == [
        "旧",
        "新",
    ]


def test_names_every_wrong_line(tmp_path: Path) -> None:
    rows = (
        "0101,event,一,,,\n"
        "0101,event,二,,,\n"
        "0102,thing,三,,,\n"
        "0103,event,,,,\n"
        "0104,event,四,,2020-01-02,2020-01-01\n"
        "0105,event,五,,yesterday,\n"
        "0106,event,六,,,,surplus\n"
    )
    with pytest.raises(CategoriesError) as caught:
        read_categories(write(tmp_path, HEADER + rows))
    told = "\n".join(caught.value.faults)
    for part in (
        "line 3: 0101 stands on line 2 too",
        "line 4: kind:",
        "line 5: 0103 has no name",
        "line 6: 0104 ends before it begins",
        "line 7: valid_from:",
        "line 8: ",
    ):
        assert part in told
    assert len(caught.value.faults) == 6


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("code,name_zh\n0101,x\n", "line 1: no column kind"),
        ("code,kind,colour\n", "line 1: odd column 'colour'"),
        ("", "line 1: no column code"),
    ],
)
def test_refuses_another_table(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(CategoriesError) as caught:
        read_categories(write(tmp_path, text))
    assert fault in caught.value.faults


def test_refuses_another_encoding_and_a_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "classes.csv"
    path.write_bytes(b"code,kind\n0101,\xff\xff\n")
    with pytest.raises(CategoriesError, match="neither UTF-8 nor GB18030"):
        read_categories(path)
    with pytest.raises(CategoriesError, match="No such file"):
        read_categories(tmp_path / "absent.csv")


def test_the_longest_prefix_wins() -> None:
    assert longest_prefix("0101", ["", "01", "02", "010"]) == "010"
    assert longest_prefix("0101", ["02"]) is None


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("110105001002003", []),
        ("110105001002", ["has 12 digits, a community's code, not 15"]),
        ("1101050010020031", ["has 16 digits, not 15"]),
        ("990105001002003", ["begins with '99', which is no province"]),
        ("110105001000003", ["has 000 for its community (digits 10-12); they count from 001"]),
        ("1101050O1002003", ["has 'O', not a digit 0-9, at place 8"]),
        ("11010500100200３", ["has '３', not a digit 0-9, at place 15"]),
        ("1.10105E+14", ["is a number that a spreadsheet has rounded; keep the column as text"]),
        ("", ["has 0 digits, not 15", "begins with '', which is no province"]),
    ],
)
def test_says_what_is_wrong_with_a_unit_grid_code(text: str, faults: list[str]) -> None:
    assert list(unit_grid_code_faults(text)) == faults
