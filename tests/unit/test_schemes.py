"""A scheme is right or refused, with every problem at its key and line."""

import csv
import json
from datetime import date
from pathlib import Path

import pytest

from gridsvc.errors import SchemeError, SchemeProblem
from gridsvc.grids.limits import Limit
from gridsvc.grids.schemes import Scheme, parse_scheme, read_scheme
from gridsvc.grids.terms import Duty, FindingKind, LayerKind, Severity
from gridsvc.grids.toml_lines import KeyLines
from gridsvc.grids.weekhours import ALWAYS, parse_week_hours

DATA = Path(__file__).parents[2] / "data"

GOOD = """\
code = "town"
title = { zh = "镇", en = "Town" }
time_zone = "Asia/Shanghai"
storage_crs = "epsg:4547"
input_crs = ["EPSG:4326", "GCJ-02"]
extent = { west = 116.40, south = 39.88, east = 116.52, north = 39.97 }
categories = "classes.csv"

[calendar]
working_hours = ["mon-fri 09:00-12:00", "mon-fri 13:00-18:00"]
holidays = [2026-10-01]
workdays = [2026-10-10]

[[layer]]
code = "district"
title = { zh = "区" }
kind = "tiling"

[[layer]]
code = "street"
title = { zh = "街道" }
kind = "tiling"
parent = "district"
code_pattern = '\\d{9}'
findings = { gap = "report", narrow = "stop" }

[[layer]]
code = "building"
title = { zh = "楼" }
kind = "overlay"
parent = "street"

[[role]]
code = "chief"
title = { zh = "长" }

[[ladder]]
duty = "responsibility"
layers = ["building", "street", "district"]

[[ladder]]
duty = "responsibility"
category = "02"
layers = ["street"]

[[ladder]]
duty = "management"
layers = ["street"]

[[ladder]]
duty = "enforcement"
layers = ["district"]

[[ladder]]
duty = "supervision"
layers = ["district"]

[[escalation]]
duty = "responsibility"
layer = "street"
within = "PT4H"

[people]
findings = { vacancy = "report" }
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "classes.csv").write_text(
        "code,kind,name_zh,name_en,valid_from,valid_to\n0101,event,暴露垃圾,,,\n0201,event,广告,,,\n"
    )
    return tmp_path


def problems(text: str, base: Path) -> tuple[SchemeProblem, ...]:
    with pytest.raises(SchemeError) as caught:
        parse_scheme(text, source="town.toml", base=base)
    return caught.value.problems


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def test_reads_a_scheme(base: Path) -> None:
    scheme = parse_scheme(GOOD, source="town.toml", base=base)
    assert scheme.storage_crs == "EPSG:4547"
    assert scheme.input_crs == ("EPSG:4326", "gcj02")
    assert [layer.code for layer in scheme.layers] == ["district", "street", "building"]
    assert scheme.calendar.week_hours == parse_week_hours(
        "mon-fri 09:00-12:00; mon-fri 13:00-18:00"
    )
    assert scheme.escalation[0].within == Limit.parse("PT4H")
    assert [item.code for item in scheme.categories] == ["0101", "0201"]
    assert scheme.extent.covers(lon=116.40, lat=39.88)
    assert not scheme.extent.covers(lon=39.88, lat=116.40)
    street = scheme.layer("street")
    assert street is not None
    assert street.kind is LayerKind.TILING
    assert scheme.layer("quarter") is None
    assert scheme.zone.key == "Asia/Shanghai"


def test_the_longest_category_of_a_ladder_wins(base: Path) -> None:
    scheme = parse_scheme(GOOD, source="town.toml", base=base)
    assert scheme.ladder(Duty.RESPONSIBILITY, category="0201").layers == ("street",)
    assert len(scheme.ladder(Duty.RESPONSIBILITY, category="0101").layers) == 3
    assert len(scheme.ladder(Duty.RESPONSIBILITY).layers) == 3
    assert scheme.ladder(Duty.MANAGEMENT, category="0201").layers == ("street",)


def test_findings_stop_or_report(base: Path) -> None:
    scheme = parse_scheme(GOOD, source="town.toml", base=base)
    district, street = scheme.layer("district"), scheme.layer("street")
    assert district is not None
    assert street is not None
    assert street.severity(FindingKind.GAP) is Severity.REPORT
    assert street.severity(FindingKind.NARROW) is Severity.STOP
    assert district.severity(FindingKind.GAP) is Severity.STOP
    assert district.severity(FindingKind.EMPTY_NAME) is Severity.REPORT
    assert scheme.people.severity(FindingKind.VACANCY) is Severity.REPORT
    assert scheme.layer("quarter") is None


def test_a_scheme_may_credit_reporters(base: Path) -> None:
    assert parse_scheme(GOOD, source="town.toml", base=base).credit is None
    text = GOOD + "\n[credit]\nfirst_points = 5\njoined_points = 5\n"
    scheme = parse_scheme(text, source="town.toml", base=base)
    assert scheme.credit is not None
    assert (scheme.credit.first_points, scheme.credit.joined_points) == (5, 5)
    assert Scheme.from_document(scheme.document()) == scheme


@pytest.mark.parametrize(
    ("rules", "key", "remedy"),
    [
        ("joined_points = 1", "credit.first_points", "Add it"),
        ("first_points = -1", "credit.first_points", ""),
        ("first_points = 1\njoined_points = 2", "credit", "Swap"),
        ("first_points = 1\njoint_points = 1", "credit.joint_points", "joined_points"),
    ],
)
def test_odd_credit_is_refused(base: Path, rules: str, key: str, remedy: str) -> None:
    (problem,) = problems(f"{GOOD}\n[credit]\n{rules}\n", base)
    assert problem.key == key
    assert remedy in problem.remedy


def with_hotspots(*rules: str) -> str:
    return "\n".join([GOOD, "[hotspots]", *rules, ""])


def test_a_scheme_may_say_what_rates_are_held_against(base: Path) -> None:
    without = parse_scheme(GOOD, source="town.toml", base=base).hotspots
    assert (without.shops, without.residents) == (None, None)
    (base / "people.csv").write_bytes(
        '\ufeffcode,residents\r\n110199001,"12,345"\r\n110199002,0\r\n'.encode()
    )
    text = with_hotspots('shops = "building"', 'residents = "people.csv"')
    scheme = parse_scheme(text, source="town.toml", base=base)
    assert scheme.hotspots.shops == "building"
    assert scheme.hotspots.residents == {"110199001": 12345, "110199002": 0}
    stored = json.loads(json.dumps(scheme.document()))
    assert Scheme.from_document(stored) == scheme


@pytest.mark.parametrize(
    "case",
    [
        ('shops = "bilding"', "", "shops", "no layer 'bilding'", "Did you mean 'building'?"),
        ('shop = "building"', "", "shop", "no key called 'shop'", "Did you mean 'shops'?"),
        ('residents = "none.csv"', "", "residents", "No such file", "Name a file that exists"),
        ("residents = [1]", "", "residents", "valid dictionary", "Correct"),
        ("residents = { a = -1 }", "", "residents.a", "greater than or equal to 0", "Correct"),
        ('residents = "people.csv"', "code,people\na,1\n", "residents", "no column residents", "code, residents"),
        ('residents = "people.csv"', "code,residents\na,1\na,2\n", "residents", "people.csv: line 3: a stands on line 2 too", "Mend"),
        ('residents = "people.csv"', "code,residents\na,many\n", "residents", "line 2: 'many' is no number of people", "Mend"),
        ('residents = "people.csv"', "code,residents\na,-3\n", "residents", "line 2: '-3' is no number of people", "Mend"),
        ('residents = "people.csv"', "code,residents\n,5\n", "residents", "line 2: no code", "Mend"),
    ],
)  # fmt: skip
def test_what_rates_cannot_be_held_against_is_refused(
    base: Path, case: tuple[str, str, str, str, str]
) -> None:
    rule, file, key, message, remedy = case
    if file:
        (base / "people.csv").write_text(file)
    text = with_hotspots(rule)
    (problem,) = problems(text, base)
    assert problem.key == f"hotspots.{key}"
    assert message in problem.message
    assert remedy in problem.remedy
    assert problem.line == line_of(text, rule)


def test_a_stored_scheme_is_the_same_and_needs_no_file(base: Path) -> None:
    scheme = parse_scheme(GOOD, source="town.toml", base=base)
    stored = json.loads(json.dumps(scheme.document()))
    assert stored["escalation"][0]["within"] == "PT4H"
    assert stored["layer"][1]["parent"] == "district"
    assert Scheme.from_document(stored) == scheme


def test_a_stored_scheme_is_checked_too(base: Path) -> None:
    stored = parse_scheme(GOOD, source="town.toml", base=base).document()
    stored["layer"][1]["parent"] = "distrct"
    with pytest.raises(SchemeError) as caught:
        Scheme.from_document(stored)
    (problem,) = caught.value.problems
    assert (problem.key, problem.line) == ("layer[1].parent", None)


def test_without_a_calendar_the_city_always_works(base: Path) -> None:
    start, end = GOOD.index("[calendar]"), GOOD.index("[[layer]]")
    scheme = parse_scheme(GOOD[:start] + GOOD[end:], source="town.toml", base=base)
    assert scheme.calendar.week_hours == ALWAYS


@pytest.mark.parametrize(
    ("told", "kept"), [("P1D", "P1D"), ("PT24H", "PT24H"), ("PT90M", "PT1H30M")]
)
def test_a_limit_in_days_is_not_one_in_hours(told: str, kept: str, base: Path) -> None:
    scheme = parse_scheme(GOOD.replace("PT4H", told), source="town.toml", base=base)
    assert scheme.document()["escalation"][0]["within"] == kept
    assert Scheme.from_document(scheme.document()) == scheme


def test_a_make_up_workday_has_the_hours_of_a_working_day(base: Path) -> None:
    hours = '["mon-thu 09:00-17:00", "fri 09:00-12:00", "sat 20:00-24:00"]'
    text = GOOD.replace('["mon-fri 09:00-12:00", "mon-fri 13:00-18:00"]', hours)
    scheme = parse_scheme(text, source="town.toml", base=base)
    assert scheme.calendar.hours_of(date(2026, 10, 10)) == ((540, 1020), (1200, 1440))
    like_friday = text.replace("[2026-10-10]", '[2026-10-10]\nworkdays_as = { 2026-10-10 = "fri" }')
    scheme = parse_scheme(like_friday, source="town.toml", base=base)
    assert scheme.calendar.hours_of(date(2026, 10, 10)) == ((540, 720), (1200, 1440))
    assert scheme.calendar.hours_of(date(2026, 10, 9)) == ((540, 720),)
    assert scheme.calendar.hours_of(date(2026, 10, 11)) == ()
    assert scheme.calendar.hours_of(date(2026, 10, 1)) == ()
    assert Scheme.from_document(json.loads(json.dumps(scheme.document()))) == scheme


STANDS_IN = '[[stand_in]]\nduty = "enforcement"\nby = [{}]\n\n'

# (what stands in GOOD, what is put there, key, words of the message, words of the remedy)
WRONG = [
    ('code = "street"', 'code = "district"', "layer[1].code", "code of layer[0] too", "own code"),
    ('code = "street"', 'code = "edge_m"', "layer[1].code", "name of something", "another code"),
    ('code = "street"', 'code = "Street 1"', "layer[1].code", "pattern", "small letters"),
    ('parent = "district"', 'parent = "distrct"', "layer[1].parent", "no layer 'distrct'", "Did you mean 'district'"),
    ('parent = "district"', 'parent = "building"', "layer[1].parent", "street lies in building lies in street", "Remove the parent"),
    ('parent = "district"', 'parent = "street"', "layer[1].parent", "street lies in street", "Remove the parent"),
    ('kind = "overlay"', 'kind = "overlap"', "layer[2].kind", "'overlap' is none of", "Did you mean 'overlay'"),
    ("'\\d{9}'", "'(\\d{9}'", "layer[1].code_pattern", "no regular expression", "single quotes"),
    ('gap = "report"', 'gapp = "report"', "layer[1].findings.gapp", "'gapp' is none of", "Did you mean 'gap'"),
    ('gap = "report"', 'gap = "warn"', "layer[1].findings.gap", "'warn' is none of", "Use one of"),
    ('gap = "report"', 'vacancy = "report"', "layer[1].findings.vacancy", "not found in areas", "[people]"),
    ('{ vacancy = "report" }', '{ gap = "report" }', "people.findings.gap", "found in areas", "a layer"),
    ('kind = "tiling"\nparent', 'kind = "tiling"\ndrawn_as = "line"\nparent', "layer[1].drawn_as", "street is a tiling layer", 'kind = "overlay"'),
    ('code = "building"\n', 'code = "lane"\ntitle = { zh = "路" }\nkind = "overlay"\ndrawn_as = "line"\n\n[[layer]]\ncode = "lane_surface"\n', "layer[3].code", "lines of another layer cover", "another code"),
    ('kind = "overlay"\n', 'kind = "overlay"\ndrawn_as = "lines"\n', "layer[2].drawn_as", "'lines' is none of", "Did you mean 'line'"),
    ('kind = "overlay"\n', 'kind = "overlay"\nfindings = { gap = "stop" }\n', "layer[2].findings.gap", "tiling layers only", "tiling"),
    ('"building", "street", "district"]', '"buildng", "street", "district"]', "ladder[0].layers[0]", "no layer 'buildng'", "'building'"),
    ('"building", "street", "district"]', '"street", "street", "district"]', "ladder[0].layers[1]", "a rung twice", "first"),
    ('"building", "street", "district"]', '"street", "building"]', "ladder[0].layers[1]", "need not cover", "tiling layer"),
    ('category = "02"\n', "", "ladder[1]", "responsibility has a ladder for all categories in ladder[0]", "Remove one"),
    ('category = "02"', 'category = "09"', "ladder[1].category", "no category begins with '09'", "category"),
    ('duty = "supervision"', 'duty = "management"', "ladder", "supervision has no ladder", "Add [[ladder]]"),
    ('"epsg:4547"', '"EPSG:4326"', "storage_crs", "not a projected CRS in metres", "EPSG:4548"),
    ('"epsg:4547"', '"EPSG:2249"', "storage_crs", "not a projected CRS in metres", "EPSG:4548"),
    ('"GCJ-02"', '"mars"', "input_crs[1]", "No coordinate reference system is called 'mars'", "EPSG:number"),
    ("south = 39.88", "south = 39.98", "extent", "south 39.98 is not less than north", "Swap south"),
    ("west = 116.40", "west = 116.60", "extent", "west 116.6 is not less than east", "Swap west"),
    ("west = 116.40, south = 39.88, east = 116.52, north = 39.97", "west = 39.88, south = 116.40, east = 39.97, north = 116.52", "extent", "look like longitudes", "Swap west with south"),
    ("west = 116.40, south = 39.88, east = 116.52, north = 39.97", "west = 2.2, south = 48.8, east = 2.4, north = 48.9", "extent", "outside the area of EPSG:4547", "Correct the extent"),
    ("west = 116.40", "west = nan", "extent.west", "finite", "Correct"),
    ('"Asia/Shanghai"', '"Asia/Beijing"', "time_zone", "no time zone is called", "IANA"),
    ('"Asia/Shanghai"', '"Asia"', "time_zone", "no time zone is called", "IANA"),
    ('"mon-fri 09:00-12:00"', '"mon-fry 09:00-12:00"', "calendar.working_hours[0]", "no such day as «fry»", "mon, tue"),
    ("[2026-10-10]", "[2026-10-01]", "calendar", "2026-10-01 is a holiday and a workday", "one list"),
    ("[2026-10-10]", '["soon"]', "calendar.workdays[0]", "date", "Correct"),
    ('"PT4H"', '"4h"', "escalation[0].within", "no ISO 8601 duration", "PT4H"),
    ('"PT4H"', '"P1M"', "escalation[0].within", "no ISO 8601 duration", "PT4H"),
    ('"PT4H"', "4", "escalation[0].within", "no ISO 8601 duration", "PT4H"),
    ("[2026-10-10]", '[2026-10-10]\nworkdays_as = { 2026-10-11 = "fri" }', "calendar", "2026-10-11, which is no workday", "Add it"),
    ("[2026-10-10]", '[2026-10-10]\nworkdays_as = { 2026-10-10 = "sun" }', "calendar", "as sun, which has no hours", "working_hours"),
    ('"PT4H"', '"P1W"', "escalation[0].within", "no ISO 8601 duration", "P5D"),
    ('"PT4H"', '"P3661D"', "escalation[0].within", "longer than ten years", "Shorten"),
    ('"PT4H"', '"PT0S"', "escalation[0].within", "some time", "PT4H"),
    ('layer = "street"\nwithin', 'layer = "streets"\nwithin', "escalation[0].layer", "no layer 'streets'", "'street'"),
    ('parent = "street"', 'parrent = "street"', "layer[2].parrent", "no key called 'parrent'", "Did you mean 'parent'"),
    ('kind = "overlay"\n', "", "layer[2].kind", "kind is missing", "Add it"),
    ('"classes.csv"', '"absent.csv"', "categories", "No such file", "CSV"),
    ("[[escalation]]", STANDS_IN.format('"assistnt"') + "[[escalation]]", "stand_in[0].by[0]", "'assistnt' is none of", "Did you mean 'assistant'"),
    ("[[escalation]]", STANDS_IN.format("") + "[[escalation]]", "stand_in[0].by", "at least 1", "at least one"),
    ("[[escalation]]", STANDS_IN.format('"neighbour", "neighbour"') + "[[escalation]]", "stand_in[0].by[1]", "named twice", "Keep the first"),
    ("[[escalation]]", STANDS_IN.format('"neighbour"') * 2 + "[[escalation]]", "stand_in[1].duty", "enforcement has stand-ins in stand_in[0] already", "one table"),
    ('title = { zh = "长" }', "title = {}", "role[0].title", "at least 1", "at least one"),
]  # fmt: skip


@pytest.mark.parametrize("case", WRONG, ids=lambda case: f"{case[2]}-{case[1]}"[:60])
def test_names_the_key_the_line_and_the_remedy(
    base: Path, case: tuple[str, str, str, str, str]
) -> None:
    old, new, key, message, remedy = case
    text = GOOD.replace(old, new, 1)
    assert text != GOOD
    found = problems(text, base)
    problem = next((item for item in found if item.key == key), None)
    assert problem is not None, found
    assert message in problem.message
    assert remedy in problem.remedy
    assert problem.line


def test_lines_are_those_of_the_text(base: Path) -> None:
    text = GOOD.replace('parent = "district"', 'parent = "distrct"').replace('"PT4H"', '"4h"')
    lines = {problem.key: problem.line for problem in problems(text, base)}
    assert lines["layer[1].parent"] == line_of(text, 'parent = "distrct"')
    assert lines["escalation[0].within"] == line_of(text, 'within = "4h"')


def test_all_problems_come_at_once_in_the_order_of_the_text(base: Path) -> None:
    text = GOOD
    for old, new in [
        ('"Asia/Shanghai"', '"Asia/Beijing"'),
        ('parent = "district"', 'parent = "distrct"'),
        ('category = "02"', 'category = "09"'),
        ('"PT4H"', '"4h"'),
    ]:
        text = text.replace(old, new, 1)
    with pytest.raises(SchemeError) as caught:
        parse_scheme(text, source="town.toml", base=base)
    keys = [problem.key for problem in caught.value.problems]
    assert keys == ["time_zone", "layer[1].parent", "ladder[1].category", "escalation[0].within"]
    told = str(caught.value)
    assert told.startswith("The scheme town.toml has 4 problems:\n  line 3, time_zone: ")
    assert told.count("\n  line ") == 4


def test_a_list_whose_members_are_all_wrong_is_not_called_short(base: Path) -> None:
    text = GOOD.replace('kind = "tiling"', 'kind = "tilling"')
    text = text.replace('kind = "overlay"', 'kind = "overlap"')
    keys = [problem.key for problem in problems(text, base)]
    assert keys == ["layer[0].kind", "layer[1].kind", "layer[2].kind"]


def test_a_parent_stands_before_its_children(base: Path) -> None:
    first, second = GOOD.index('[[layer]]\ncode = "district"'), GOOD.index('[[layer]]\ncode = "st')
    end = GOOD.index('[[layer]]\ncode = "b')
    text = GOOD[:first] + GOOD[second:end] + GOOD[first:second] + GOOD[end:]
    (problem,) = problems(text, base)
    assert problem.key == "layer[0].parent"
    assert "Move [[layer]] district before street" in problem.remedy


def test_a_tiling_layer_in_an_overlay_is_no_locality(base: Path) -> None:
    text = GOOD.replace('kind = "tiling"', 'kind = "overlay"', 1)
    found = {problem.key: problem.message for problem in problems(text, base)}
    assert "for district, in which it lies, is an overlay" in found["ladder[2].layers[0]"]


def test_a_default_point_lies_in_the_extent(base: Path) -> None:
    point = "default_points = [{ lon = 39.9, lat = 116.45 }, { lon = 39.9, lat = 16.45 }]\n"
    found = {problem.key: problem for problem in problems(point + GOOD, base)}
    assert found["default_points[0].lat"].line == 1
    assert "outside the extent" in found["default_points[1]"].message


def test_degrees_that_could_be_either_are_held_against_the_storage_crs(base: Path) -> None:
    text = read_text("boston").replace(
        "west = -71.20, south = 42.22, east = -70.94, north = 42.41",
        "west = 42.22, south = -71.20, east = 42.41, north = -70.94",
    )
    found = {problem.key: problem for problem in problems(text, base)}
    assert found["extent"].remedy == "Swap west with south and east with north"


def read_text(code: str) -> str:
    return (DATA / f"schemes/{code}.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "line"),
    [("code = 'a'\ncode = 'b'\n", 2), ("code = 'a'\n[layer\n", 2), ("a = 1\nb = [1,\n", 3)],
)
def test_what_is_not_toml_is_named_by_its_line(base: Path, text: str, line: int) -> None:
    (problem,) = problems(text, base)
    assert "not TOML" in problem.message
    assert problem.line == line


def test_an_empty_scheme_lacks_everything(base: Path) -> None:
    keys = {problem.key for problem in problems("", base)}
    assert {"code", "title", "time_zone", "storage_crs", "input_crs", "extent", "layer"} <= keys


@pytest.mark.parametrize(
    "text",
    [
        "layer = 1",
        "layer = [1]",
        "layer = [{ code = 1, parent = 2, findings = 3 }]",
        "[[ladder]]\nlayers = [1]\nduty = 1",
        "[[ladder]]\nlayers = 'street'\nduty = []\ncategory = [1]",
        "[[layer]]\ncode = ['x']\nparent = 'y'",
        "[[escalation]]\nlayer = [1]",
        "[[stand_in]]\nduty = [1]\nby = 1",
        "people = 1\ncalendar = 1\nextent = 1\ncategories = 1\nstorage_crs = 1",
        "categories = [1, { code = 1 }]",
    ],
)
def test_values_of_a_wrong_kind_are_problems_and_not_crashes(base: Path, text: str) -> None:
    assert problems(text, base)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SchemeError, match="No such file"):
        read_scheme(tmp_path / "absent.toml")
    path = tmp_path / "odd.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SchemeError, match="not UTF-8"):
        read_scheme(path)


def test_lines_of_keys_in_every_form() -> None:
    lines = KeyLines(
        "a.b = 1\n"
        '"q k" = { x = 1, y = [\n'
        "  { z = 2 } ] }\n"
        '[t."u.v"]\n'
        'c = """x\n'
        'y"""\n'
        "[[l]]\n"
        "d = [\n"
        "  # comment\n"
        "  1, 2 ]\n"
        "[[l]]\n"
        "[l.e]\n"
        "f = 1\n"
        "[[l.m]]\n"
        "g = 1\n"
    )
    assert lines.line(("a", "b")) == 1
    assert lines.line(("q k", "y", 0, "z")) == 3
    assert lines.line(("t", "u.v", "c")) == 5
    assert lines.line(("l", 0)) == 7
    assert lines.line(("l", 0, "d", 1)) == 10
    assert lines.line(("l", 1)) == 11
    assert lines.line(("l", 1, "e", "f")) == 13
    assert lines.line(("l", 1, "m", 0, "g")) == 15
    # What is missing is told where it should be.
    assert lines.line(("l", 1, "code")) == 11
    assert lines.line(("nowhere",)) == 1


@pytest.mark.parametrize("path", sorted((DATA / "schemes").glob("*.toml")), ids=lambda it: it.stem)
def test_the_schemes_shipped_are_right(path: Path) -> None:
    scheme = read_scheme(path)
    assert scheme.code == path.stem
    assert Scheme.from_document(json.loads(json.dumps(scheme.document()))) == scheme


def test_boston_reports_what_its_layers_are_known_for() -> None:
    scheme = read_scheme(DATA / "schemes/boston.toml")
    assert [layer.code for layer in scheme.layers] == [
        "ward",
        "precinct",
        "police_district",
        "parcel",
    ]
    precinct = scheme.layer("precinct")
    assert precinct is not None
    for kind in (FindingKind.OVERLAP, FindingKind.GAP, FindingKind.SPILL):
        assert precinct.severity(kind) is Severity.REPORT
    assert precinct.severity(FindingKind.INVALID_RING) is Severity.STOP


def test_boston_bodies_fill_every_last_rung() -> None:
    scheme = read_scheme(DATA / "schemes/boston.toml")
    with (DATA / "people/boston.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["role"] for row in rows} == {role.code for role in scheme.roles}
    held = {(row["duty"], row["layer"], row["area_code"]) for row in rows}
    wards = {area for _, layer, area in held if layer == "ward"}
    assert len(wards) == 22
    for duty in Duty:
        locality = scheme.ladder(duty).layers[-1]
        assert {
            area for held_duty, layer, area in held if (held_duty, layer) == (duty, locality)
        } == wards
    assert ("responsibility", "precinct", "0502A") in held
