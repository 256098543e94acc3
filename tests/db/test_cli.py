"""The real command line on a real database, as a planner, a script and a shell call it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pandas as pd
import pyogrio
import pytest
import shapely
import typer
from sqlalchemy import text
from sqlalchemy.orm import Session
from typer.testing import CliRunner, Result

from gridsvc.cli import app
from gridsvc.crs import from_wgs84
from gridsvc.db import create_engine
from tests import small_city
from tests.db_fixtures import MakeDatabase

Cli = Callable[..., Result]
Box = tuple[float, float, float, float]

STREETS: dict[str, Box] = {"S1": (0, 0, 1000, 1000), "S2": (1000, 0, 2000, 1000)}
YARD = (str(small_city.YARD["lon"]), str(small_city.YARD["lat"]))
PROGRAM = [sys.executable, "-c", "from gridsvc.cli import app; app()"]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Run a command in this process, on whatever database the test has named."""
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *args: CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture
def town(make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with the small city in it that a test may change."""
    url = make_database()
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        small_city.found(session)
    engine.dispose()
    monkeypatch.setenv("GRIDSVC_DATABASE_URL", url)
    return url


@pytest.fixture
def reading(city: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The small city, only to be read."""
    monkeypatch.setenv("GRIDSVC_DATABASE_URL", city)
    return city


def state(url: str) -> tuple[Any, ...]:
    """All that an import could leave behind."""
    engine = create_engine(url)
    with engine.connect() as connection:
        row = connection.execute(
            text(
                "SELECT (SELECT max(number) FROM gridsvc.revision),"
                " (SELECT count(*) FROM gridsvc.change_set),"
                " (SELECT count(*) FROM gridsvc.area_edit),"
                " (SELECT count(*) FROM gridsvc.assignment_edit),"
                " (SELECT count(*) FROM gridsvc.party_edit),"
                " (SELECT count(*) FROM gridsvc.import_finding),"
                " (SELECT count(*) FROM gridsvc.scheme),"
                " (SELECT md5(string_agg(a::text, '' ORDER BY a.id)) FROM gridsvc.area AS a),"
                " (SELECT md5(string_agg(a::text, '' ORDER BY a.id)) FROM gridsvc.assignment AS a),"
                " (SELECT md5(string_agg(a::text, '' ORDER BY a.id)) FROM gridsvc.absence AS a),"
                " (SELECT count(*) FROM gridsvc.absence_edit),"
                " (SELECT md5(string_agg(p::text, '' ORDER BY p.code)) FROM gridsvc.party AS p)"
            )
        ).one()
    engine.dispose()
    return tuple(row)


def geojson(file: Path, boxes: Mapping[str, Box | None], **properties: str) -> Path:
    """Write boxes, metres of the small city's plan, as WGS-84."""

    def geometry(box: Box | None) -> dict[str, Any] | None:
        if box is None:
            return None
        west, south, east, north = box
        ring = [(west, south), (east, south), (east, north), (west, north), (west, south)]
        return {"type": "Polygon", "coordinates": [[list(_lonlat(*corner)) for corner in ring]]}

    features = [
        {
            "type": "Feature",
            "properties": {"code": code, "name": f"街道{code}"} | properties,
            "geometry": geometry(box),
        }
        for code, box in boxes.items()
    ]
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return file


def _lonlat(east_m: float, north_m: float) -> tuple[float, float]:
    point = small_city.place(east_m=east_m, north_m=north_m)
    return point["lon"], point["lat"]


def commands(group: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:  # noqa: ANN401 -- Typer's types are private
    """Name every command there is."""
    found: list[tuple[str, ...]] = []
    for name, command in group.commands.items():
        inner = (*path, name)
        found += commands(command, inner) if hasattr(command, "commands") else [inner]
    return found


EVERY = commands(typer.main.get_command(app))


# Help and wrong use


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_help_of_every_command_has_an_example_of_itself(cli: Cli, path: tuple[str, ...]) -> None:
    shown = cli(*path, "--help")
    assert shown.exit_code == 0
    assert re.search(r"Examples?:", shown.stdout)
    assert f"gridsvc {' '.join(path)}" in shown.stdout.split("Example")[-1]
    assert "--json" in shown.stdout


def test_contract_names_are_there() -> None:
    assert {" ".join(path) for path in EVERY} >= {
        *(
            "up",
            "down",
            "status",
            "scheme load",
            "areas import",
            "people import",
            "people absences",
            "check",
            "tidy",
        ),
        *("publish", "withdraw", "rollback", "locate", "locate-file", "serve"),
        *("key create", "key list", "key revoke"),
        *("reports import", "reports reroute"),
        *("cases list", "cases show", "cases climb", "cases export"),
        *("hotspots list", "hotspots map", "hotspots export"),
        *(
            "indicators",
            "records",
            "recurrence",
            "components import",
            "zones draft",
            "zones letters",
            "zones grades",
        ),
    }


def test_people_import_documents_its_columns(cli: Cli) -> None:
    shown = cli("people", "import", "--help").stdout
    for column in ("party_code", "area_code", "categories", "valid_to"):
        assert column in shown


def test_version(cli: Cli) -> None:
    assert re.fullmatch(r"gridsvc \d+\.\d+\.\d+\n", cli("--version").stdout)


@pytest.mark.parametrize(
    "args",
    [
        ("locate", "here", "there"),
        ("locate", "116.4"),
        ("locate", "116.4", "39.9", "--catgory", "01"),
        ("locate", "116.4", "39.9", "--at", "yesterday"),
        ("rollback", "one"),
        ("check", "--out", "findings.shp"),
        ("areas", "import", "no_such_file.geojson", "--layer", "street", "--code", "code"),
        ("serve", "--workers", "0"),
    ],
    ids=" ".join,
)
def test_wrong_use_exits_2(cli: Cli, args: tuple[str, ...]) -> None:
    result = cli(*args)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Error" in result.stderr


# The database


def test_stopped_embedded_database_names_the_remedy(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GRIDSVC_DATABASE_URL", raising=False)
    monkeypatch.setenv("GRIDSVC_HOME", str(tmp_path / "home"))
    result = cli("locate", *YARD)
    assert result.exit_code == 1
    assert "gridsvc up" in result.stderr
    told = cli("status", "--json")
    assert told.exit_code == 0
    assert json.loads(told.stdout)["state"] == "absent"
    assert json.loads(cli("down", "--json").stdout) == {"state": "stopped", "was_running": False}


def test_unreachable_server_is_named_without_its_password(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIDSVC_DATABASE_URL", "postgresql://me:s3cret@127.0.0.1:1/none")
    for command in (("check",), ("up",), ("status",)):
        result = cli(*command)
        assert result.exit_code == 1
        assert "127.0.0.1:1" in result.stderr
        assert "s3cret" not in result.output
        assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "url",
    [
        "nonsense s3cret",
        "postgresql://me:s3cret@host:port/name",
        "mysql://me:s3cret@host:3306/name",
    ],
)
def test_unreadable_url_is_refused_without_repeating_it(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("GRIDSVC_DATABASE_URL", url)
    result = cli("status")
    assert result.exit_code == 1
    assert "GRIDSVC_DATABASE_URL" in result.stderr
    assert "s3cret" not in result.output


def test_up_migrates_an_empty_database(cli: Cli, town: str) -> None:
    engine = create_engine(town)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA gridsvc CASCADE"))
    refused = cli("check")
    assert refused.exit_code == 1
    assert "`gridsvc up`" in refused.stderr
    told = json.loads(cli("up", "--json").stdout)
    assert told["state"] == "running"
    assert not told["embedded"]
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT to_regclass('gridsvc.area') IS NOT NULL"))
    engine.dispose()
    empty = cli("locate", *YARD)
    assert empty.exit_code == 1
    assert "gridsvc scheme load" in empty.stderr


def test_a_database_older_than_the_program_is_named(cli: Cli, town: str) -> None:
    engine = create_engine(town)
    with engine.begin() as connection:
        connection.execute(text("DROP FUNCTION gridsvc.utc_offset CASCADE"))
    engine.dispose()
    old = cli("locate", *YARD)
    assert old.exit_code == 1
    assert "utc_offset" in old.stderr
    assert "`gridsvc up`" in old.stderr
    assert cli("up").exit_code == 0
    assert cli("locate", *YARD).exit_code == 0


@pytest.mark.usefixtures("reading")
def test_status_tells_what_is_loaded(cli: Cli) -> None:
    told = json.loads(cli("status", "--json").stdout)
    assert told["state"] == "running"
    assert told["scheme"] == "small"
    assert told["revision"] == 1
    assert told["layers"] == ["district", "street", "courtyard", "shop_front"]
    assert told["open_change_sets"] == []
    assert "small" in cli("status").stdout


# Schemes


def test_scheme_load_and_again(
    cli: Cli, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIDSVC_DATABASE_URL", make_database())
    file = small_city.SCHEMES / "boston.toml"
    told = json.loads(cli("scheme", "load", file, "--json").stdout)
    assert told == {
        "scheme": "boston",
        "layers": ["ward", "precinct", "police_district", "parcel"],
        "revision": None,
    }
    assert "boston" in cli("scheme", "load", file).stdout


def test_wrong_scheme_prints_all_problems_with_line_and_remedy(
    cli: Cli, town: str, tmp_path: Path
) -> None:
    text_ = small_city.SCHEME.replace("Asia/Shanghai", "Asia/Beijing").replace(
        'parent = "district"', 'parent = "districts"'
    )
    file = tmp_path / "wrong.toml"
    file.write_text(text_.replace("../categories", str(small_city.SCHEMES.parent / "categories")))
    before = state(town)
    result = cli("scheme", "load", file)
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    zone = next(line for line in lines if "Asia/Beijing" in line)
    parent = next(line for line in lines if "districts" in line)
    assert re.search(r"line \d+, time_zone: .*Asia/Shanghai", zone)
    assert re.search(r"line \d+, layer\[1\]\.parent: .*district", parent)
    assert state(town) == before


# Areas


def test_dry_run_changes_nothing_and_publish_does(cli: Cli, town: str, tmp_path: Path) -> None:
    boxes = STREETS | {"S1": (0, 0, 800, 1000), "S3": (800, 0, 1000, 1000)}
    file = geojson(tmp_path / "streets.geojson", boxes)
    args = ("areas", "import", file, "--layer", "street", "--code", "code", "--name", "name")
    before = state(town)
    dry = cli(*args)
    assert dry.exit_code == 0, dry.output
    assert "Dry run: nothing was changed" in dry.stdout
    assert "--publish" in dry.stdout
    assert state(town) == before
    told = json.loads(cli(*args, "--json").stdout)
    assert told["outcome"] == "dry_run"
    assert told["crs"] == "EPSG:4326"
    assert told["counts"] == {
        "added": 1,
        "changed": 2,
        "closed": 0,
        "unchanged": 0,
        "skipped": 0,
    }
    assert told["repairs"] == []
    # Nobody is assigned to the new street yet, which does not stop it.
    assert {(one["kind"], one["stops"]) for one in told["findings"]} == {("orphan", False)}
    assert state(town) == before

    done = cli(*args, "--publish")
    assert done.exit_code == 0, done.output
    assert "revision 2" in done.stdout
    lon, lat = _lonlat(900, 500)
    assert json.loads(cli("locate", lon, lat, "--json").stdout)["areas"]["street"]["code"] == "S3"

    again = json.loads(cli(*args, "--publish", "--json").stdout)
    assert again["outcome"] == "unchanged"
    assert again["revision"] is None
    assert again["counts"]["unchanged"] == 3


def test_stopping_findings_refuse_and_exit_1(cli: Cli, town: str, tmp_path: Path) -> None:
    file = geojson(tmp_path / "streets.geojson", STREETS | {"S1": (0, 0, 1100, 1000)})
    args = ("areas", "import", file, "--layer", "street", "--code", "code")
    before = state(town)
    dry = cli(*args)
    assert dry.exit_code == 1
    assert "overlap" in dry.stdout
    assert "1 finding stops a publish" in dry.stdout
    told = json.loads(cli(*args, "--publish", "--json").stdout)
    assert told["outcome"] == "refused"
    (overlap,) = [one for one in told["findings"] if one["stops"]]
    assert overlap["kind"] == "overlap"
    assert overlap["stops"]
    assert overlap["area_m2"] == pytest.approx(100_000, rel=1e-4)
    x, _ = from_wgs84(overlap["place"]["lon"], overlap["place"]["lat"], crs="EPSG:4547")
    west, _ = from_wgs84(*_lonlat(1000, 500), crs="EPSG:4547")
    assert 0 <= x - west <= 100
    assert cli(*args, "--publish").exit_code == 1
    assert state(town) == before


@pytest.mark.usefixtures("town")
def test_repairs_are_told(cli: Cli, tmp_path: Path) -> None:
    file = geojson(tmp_path / "yards.geojson", {})
    ring = [_lonlat(*p) for p in [(500, 500), (600, 600), (600, 500), (500, 600), (500, 500)]]
    bow_tie = {
        "type": "Feature",
        "properties": {"code": "C/2"},
        "geometry": {"type": "Polygon", "coordinates": [[list(p) for p in ring]]},
    }
    file.write_text(json.dumps({"type": "FeatureCollection", "features": [bow_tie]}))
    args = ("areas", "import", file, "--layer", "courtyard", "--code", "code", "--part")
    refused = cli(*args)
    assert refused.exit_code == 1
    assert "invalid_ring" in refused.stdout
    assert "--repair" in refused.stdout
    mended = cli(*args, "--repair")
    assert mended.exit_code == 0, mended.output
    assert "1 repaired" in mended.stdout
    assert "C/2: Self-intersection" in mended.stdout
    (repair,) = json.loads(cli(*args, "--repair", "--json").stdout)["repairs"]
    assert repair["code"] == "C/2"
    assert repair["area_after_m2"] == pytest.approx(5000, rel=1e-3)


def test_null_geometry_is_found(cli: Cli, town: str, tmp_path: Path) -> None:
    file = geojson(tmp_path / "streets.geojson", STREETS | {"S9": None})
    before = state(town)
    result = cli("areas", "import", file, "--layer", "street", "--code", "code", "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    found = {(one["kind"], one["code"]) for one in told["findings"]}
    assert ("null_geometry", "S9") in found
    assert told["counts"]["skipped"] == 1
    assert state(town) == before


def test_truncated_geopackage_is_refused(cli: Cli, town: str, tmp_path: Path) -> None:
    whole = tmp_path / "whole.gpkg"
    frame = pyogrio.read_dataframe(geojson(tmp_path / "streets.geojson", STREETS))
    pyogrio.write_dataframe(frame, whole)
    broken = tmp_path / "broken.gpkg"
    broken.write_bytes(whole.read_bytes()[:50_000])
    before = state(town)
    result = cli("areas", "import", broken, "--layer", "street", "--code", "code", "--publish")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "broken.gpkg" in result.stderr
    assert "whole file" in result.stderr
    assert state(town) == before


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--layer", "street", "--code", "cod"), ("no column 'cod'", "code", "--code")),
        (("--layer", "strete", "--code", "code"), ("no layer 'strete'", "street", "--layer")),
        (("--layer", "street", "--code", "code", "--name", "x"), ("no column 'x'", "--name")),
        (("--layer", "street", "--code", "code", "--crs", "gcj2"), ("'gcj2'", "gcj02")),
    ],
    ids=["code", "layer", "name", "crs"],
)
def test_wrong_names_are_told_with_the_right_ones(
    cli: Cli, town: str, tmp_path: Path, args: tuple[str, ...], said: tuple[str, ...]
) -> None:
    file = geojson(tmp_path / "streets.geojson", STREETS)
    before = state(town)
    result = cli("areas", "import", file, *args, "--publish")
    assert result.exit_code == 1
    assert result.stdout == ""
    for words in said:
        assert words in result.stderr
    assert state(town) == before


# Change sets


@pytest.mark.usefixtures("town")
def test_change_set_is_kept_checked_and_published(cli: Cli, tmp_path: Path) -> None:
    file = geojson(tmp_path / "streets.geojson", STREETS | {"S1": (0, 0, 990, 1000)})
    args = ("areas", "import", file, "--layer", "street", "--code", "code", "--name", "name")
    kept = cli(*args, "--change-set", "june")
    assert kept.exit_code == 1
    assert "Kept in the change set june" in kept.stdout
    assert json.loads(cli("status", "--json").stdout)["open_change_sets"] == ["june"]
    assert cli("check").exit_code == 0
    out = tmp_path / "found.gpkg"
    checked = cli("check", "--change-set", "june", "--out", out, "--json")
    assert checked.exit_code == 1
    (gap,) = json.loads(checked.stdout)["findings"]
    assert gap["kind"] == "gap"
    drawn = pyogrio.read_dataframe(out)
    assert list(drawn["kind"]) == ["gap"]
    assert drawn.crs.to_epsg() == 4326
    assert shapely.area(drawn.to_crs(4547).geometry.iloc[0]) == pytest.approx(10_000, rel=1e-3)
    refused = cli("publish", "june")
    assert refused.exit_code == 1
    assert "gap" in refused.stderr

    geojson(file, STREETS | {"S1": (0, 0, 990, 1000), "S2": (990, 0, 2000, 1000)})
    assert cli(*args, "--change-set", "june").exit_code == 0
    done = cli("publish", "june", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"revision": 2, "findings": []}


@pytest.mark.usefixtures("reading")
@pytest.mark.parametrize(
    "args", [("publish", "july"), ("withdraw", "july"), ("check", "--change-set", "july")]
)
def test_unknown_change_set(cli: Cli, args: tuple[str, ...]) -> None:
    result = cli(*args)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "No open change set is called 'july'" in result.stderr


@pytest.mark.usefixtures("town")
def test_withdraw(cli: Cli, tmp_path: Path) -> None:
    file = geojson(tmp_path / "yards.geojson", {"C/2": (500, 500, 600, 600)})
    args = ("areas", "import", file, "--layer", "courtyard", "--code", "code", "--part")
    assert cli(*args, "--change-set", "june").exit_code == 0
    assert json.loads(cli("withdraw", "june", "--json").stdout)["state"] == "withdrawn"
    assert cli("publish", "june").exit_code == 1


@pytest.mark.usefixtures("town")
def test_rollback_brings_the_earlier_state_back(cli: Cli, tmp_path: Path) -> None:
    def street() -> str:
        told = json.loads(cli("locate", *_lonlat(500, 500), "--json").stdout)
        code: str = told["areas"]["street"]["code"]
        return code

    swapped = {"S1": STREETS["S2"], "S2": STREETS["S1"]}
    file = geojson(tmp_path / "streets.geojson", swapped)
    args = ("areas", "import", file, "--layer", "street", "--code", "code", "--publish")
    assert street() == "S1"
    assert cli(*args).exit_code == 0
    assert street() == "S2"
    done = cli("rollback", "1", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["revision"] == 3
    assert street() == "S1"
    wrong = cli("rollback", "9")
    assert wrong.exit_code == 1
    assert "from 1 to 2" in wrong.stderr


# People


HEADER = (
    "party_code,party_name,party_kind,phone,role,duty,rank,layer,area_code,categories,hours,"
    "valid_from,valid_to\n"
)
LEAVER = "P2,李大力,person,13900005678,officer,enforcement,1,street,S1,,,,2030-01-01\n"
ROW = "P9,赵九,person,13700000000,officer,enforcement,1,street,S2,,,2026-02-01,\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_people_import(cli: Cli, town: str, tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "people.csv"
    file.write_text(HEADER + ROW, encoding=encoding)
    before = state(town)
    dry = cli("people", "import", file)
    assert dry.exit_code == 0, dry.output
    assert "Dry run" in dry.stdout
    assert state(town) == before
    told = json.loads(cli("people", "import", file, "--publish", "--json").stdout)
    assert told["outcome"] == "published"
    assert told["parties"] == {"added": 1, "changed": 0, "unchanged": 0}
    assert told["assignments"]["added"] == 1
    lead = json.loads(cli("locate", *_lonlat(1500, 500), "--json").stdout)["enforcement"]["lead"]
    assert lead["party"]["code"] == "P9"
    assert lead["party"]["name"] == "赵*"
    again = json.loads(cli("people", "import", file, "--publish", "--json").stdout)
    assert again["outcome"] == "unchanged"


def test_wrong_people_are_told_by_line(cli: Cli, town: str, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text(HEADER + ROW + ROW.replace("street,S2", "streat,S2"))
    before = state(town)
    result = cli("people", "import", file, "--publish")
    assert result.exit_code == 1
    assert "line 3" in result.stderr
    assert "street" in result.stderr
    assert state(town) == before


@pytest.mark.parametrize(
    ("row", "encoding", "said"),
    [
        (ROW.replace("S2", "S1"), "utf-8", "already held by P2"),
        (LEAVER, "utf-8", "without a successor"),
        (ROW.replace("S2,,", "S2,zz,"), "utf-8", "zz"),
        (ROW.replace("S2", "S7"), "utf-8", "no such area"),
        (ROW.replace("赵九", "陳美玲"), "big5", "people.csv"),
    ],
    ids=["overlapping", "no successor", "category", "area", "encoding"],
)
def test_people_that_cannot_be_published_change_nothing(  # noqa: PLR0917 -- three are the case
    cli: Cli, town: str, tmp_path: Path, row: str, encoding: str, said: str
) -> None:
    scheme = small_city.SCHEME.replace('vacancy = "report"', 'vacancy = "stop"')
    toml = tmp_path / "strict.toml"
    toml.write_text(scheme.replace("../categories", str(small_city.SCHEMES.parent / "categories")))
    assert cli("scheme", "load", toml).exit_code == 0
    file = tmp_path / "people.csv"
    file.write_bytes((HEADER + row).encode(encoding))
    before = state(town)
    for options in ((), ("--publish",)):
        result = cli("people", "import", file, *options)
        assert result.exit_code == 1
        assert said in " ".join(result.output.split())
        assert "Traceback" not in result.output
        assert state(town) == before


# Absences


AWAY = "party_code,valid_from,valid_to,reason\nP2,2026-02-01,,年假\n"


def test_absences_are_imported_and_locate_tells_who_stands_in(
    cli: Cli, town: str, tmp_path: Path
) -> None:
    toml = tmp_path / "standing_in.toml"
    scheme = small_city.SCHEME.replace(
        "../categories", str(small_city.SCHEMES.parent / "categories")
    )
    toml.write_text(scheme + '[[stand_in]]\nduty = "enforcement"\nby = ["assistant"]\n')
    assert cli("scheme", "load", toml).exit_code == 0
    file = tmp_path / "away.csv"
    file.write_text(AWAY, encoding="gb18030")
    before = state(town)
    dry = cli("people", "absences", file)
    assert dry.exit_code == 0, dry.output
    assert "Dry run" in dry.stdout
    assert state(town) == before
    told = json.loads(cli("people", "absences", file, "--publish", "--json").stdout)
    assert told["outcome"] == "published"
    assert told["absences"] == {"added": 1, "changed": 0, "unchanged": 0}
    at = ("--at", "2030-03-04T12:00")  # a Monday: P3 is on shift
    shown = " ".join(cli("locate", *_lonlat(500, 500), *at).stdout.split())
    assert "the lead is absent, the assistant stands in" in shown
    assert "stands in for 李** 139****5678 P2, absent" in shown
    again = json.loads(cli("people", "absences", file, "--change-set", "x", "--json").stdout)
    assert again["outcome"] == "unchanged"


def test_absences_of_nobody_known_are_told_by_line(cli: Cli, town: str, tmp_path: Path) -> None:
    file = tmp_path / "away.csv"
    file.write_text(AWAY + "P22,2026-02-01,,\n")
    before = state(town)
    result = cli("people", "absences", file, "--publish")
    assert result.exit_code == 1
    assert "line 3: no party has the code 'P22'; did you mean P2?" in " ".join(
        result.stderr.split()
    )
    assert state(town) == before


# Components


COMPONENTS = """
[[tier]]
code = "ownership_unclear"
title = { zh = "权属不清" }
duty = "management"
layer = "street"

[[component]]
category = "C01"
within_m = 15
apart_m = 3
"""


def test_components_are_imported_and_locate_tells_whose_it_is(
    cli: Cli, town: str, tmp_path: Path
) -> None:
    toml = tmp_path / "components.toml"
    scheme = small_city.SCHEME.replace(
        "../categories", str(small_city.SCHEMES.parent / "categories")
    )
    toml.write_text(scheme + COMPONENTS)
    assert cli("scheme", "load", toml).exit_code == 0
    lon, lat = _lonlat(500, 500)
    file = tmp_path / "covers.csv"
    file.write_text(f"no,kind,unit,x,y\nW1,C0101,B1,{lon},{lat}\n")
    columns = ("--code", "no", "--category", "kind", "--owner", "unit", "--lon", "x", "--lat", "y")
    before = state(town)
    dry = cli("components", "import", file, *columns)
    assert dry.exit_code == 0, dry.output
    assert "Dry run" in dry.stdout
    assert state(town) == before
    told = json.loads(cli("components", "import", file, *columns, "--publish", "--json").stdout)
    assert told["outcome"] == "published"
    assert told["components"] == {"added": 1, "changed": 0, "unchanged": 0}
    shown = " ".join(cli("locate", lon, lat, "--category", "C0101").stdout.split())
    assert "component W1: 0.0 m away, 甲街道办事处 010****5678 B1" in shown
    shown = " ".join(cli("locate", *_lonlat(600, 500), "--category", "C0101").stdout.split())
    assert "no component is near" in shown
    file.write_text(f"no,kind,unit,x,y\nW1,C0101,B1,{lon},{lat}\nW2,C0101,B7,{lon},{lat}\n")
    result = cli("components", "import", file, *columns, "--publish")
    assert result.exit_code == 1
    assert "row 3: no party has the code 'B7'" in " ".join(result.stderr.split())


# Locate


@pytest.mark.usefixtures("reading")
def test_locate_for_people(cli: Cli) -> None:
    result = cli("locate", *YARD)
    assert result.exit_code == 0, result.output
    for words in (
        "P1",
        "张**",
        "courtyard C/1",
        "courtyard covers the point",
        "院长",
        "100.0 m",
        "within 4 h",
        "within 1 working day\n",
        "revision 1",
        "supervisor",
        "nobody",
    ):
        assert words in result.stdout
    assert "张小明" not in result.output
    assert "13800001234" not in result.output


@pytest.mark.usefixtures("reading")
def test_locate_json_is_the_answer(cli: Cli) -> None:
    result = cli("locate", *YARD, "--at", "2026-11-22T08:00", "--accuracy", "150", "--json")
    told = json.loads(result.stdout)
    assert told["at"].startswith("2026-11-22T08:00:00")
    assert told["at"].endswith("+08:00")
    assert told["responsible"]["party"]["code"] == "P1"
    assert told["alternatives"]
    assert result.stderr == ""


@pytest.mark.usefixtures("reading")
def test_locate_takes_local_times_and_offsets(cli: Cli) -> None:
    def at(text_: str) -> str:
        told = json.loads(cli("locate", *YARD, "--at", text_, "--json").stdout)
        given: str = told["at"]
        return given

    assert at("2026-11-22T08:00") == at("2026-11-22T00:00:00Z") == at("2026-11-22T08:00+08:00")
    assert at("2026-11-22").startswith("2026-11-22T00:00:00")


@pytest.mark.usefixtures("reading")
@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("nan", "39.9"), "lon is nan"),
        (("inf", "39.9"), "lon is inf"),
        (("-inf", "39.9"), "lon is -inf"),
        (("-71.0648", "42.3574"), "lies outside the service area"),
        (tuple(reversed(YARD)), "Swap the two"),
        (("116.41", "39.89"), "the town hall"),
        ((*YARD, "--crs", "bd09"), "does not accept"),
        ((*YARD, "--crs", "epgs:1"), "No coordinate reference system"),
        ((*YARD, "--category", "zz"), "'zz' is not in the scheme"),
        ((*YARD, "--at", "1999-01-01"), "no revision was in force"),
        ((*YARD, "--accuracy", "-5"), "accuracy_m is -5"),
    ],
)
def test_points_without_an_answer(cli: Cli, args: tuple[str, ...], said: str) -> None:
    for json_ in ((), ("--json",)):
        result = cli("locate", *args, *json_)
        assert result.exit_code == 1
        assert result.stdout == ""
        assert said in result.stderr
        assert "Traceback" not in result.stderr


# Locate a file


@pytest.mark.usefixtures("reading")
def test_locate_file_keeps_rows_and_adds_columns(cli: Cli, tmp_path: Path) -> None:
    source, target = tmp_path / "points.csv", tmp_path / "routed.csv"
    outside = small_city.OUTSIDE
    rows = [
        ("a", *YARD),
        ("b", str(outside["lon"]), str(outside["lat"])),
        ("c", "116.41", "39.89"),
        ("d", "nan", "39.9"),
        ("e", *reversed(YARD)),
        ("f", *YARD),
    ]
    lines = ["id,x,y", *(",".join(row) for row in rows)]
    source.write_text("\n".join(lines) + "\n")
    args = ("locate-file", source, target, "--lon", "x", "--lat", "y")
    result = cli(*args, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    counts = {name: told[name] for name in ("rows", "routed", "outside", "default_point", "bad")}
    assert counts == {"rows": 6, "routed": 2, "outside": 1, "default_point": 1, "bad": 2}
    assert told["revision"] == 1
    assert told["out"] == str(target)
    routed = pd.read_csv(target, dtype=str)
    assert list(routed["id"]) == list("abcdef")
    assert routed["responsible"].fillna("").tolist() == ["P1", "", "", "", "", "P1"]
    assert routed["courtyard"][0] == "C/1"
    assert "6 " in cli(*args).stdout
    again = cli("locate-file", target, tmp_path / "again.csv", "--lon", "x", "--lat", "y").stdout
    assert "gridsvc_reason says why" in again
    assert "gridsvc_street" in again

    refused = cli("locate-file", source, target, "--lon", "lon", "--lat", "y")
    assert refused.exit_code == 1
    assert "'lon'" in refused.stderr
    same = cli("locate-file", source, source, "--lon", "x", "--lat", "y")
    assert same.exit_code == 2
    assert source.read_text().splitlines() == lines


# Keys


@pytest.mark.usefixtures("town")
def test_keys(cli: Cli) -> None:
    made = json.loads(
        cli(
            "key", "create", "--name", "desk", "--scope", "locate", "--scope", "plan", "--json"
        ).stdout
    )
    assert made["key"].startswith("gridsvc_")
    assert made["scopes"] == ["locate", "plan"]
    shown = cli("key", "create", "--name", "van", "--scope", "locate,report")
    assert re.fullmatch(r"gridsvc_\S+\n", shown.stdout)
    listed = cli("key", "list", "--json")
    assert [key["name"] for key in json.loads(listed.stdout)] == ["desk", "van"]
    assert made["key"] not in listed.output
    assert json.loads(cli("key", "revoke", "desk", "--json").stdout)["revoked_at"]
    assert "desk" in cli("key", "list").stdout
    for args, said in (
        (("revoke", "desk"), "No API key in force"),
        (("create", "--name", "x", "--scope", "lokate"), "There is no scope 'lokate'"),
        (("create", "--name", "van", "--scope", "locate"), "already"),
    ):
        result = cli("key", *args)
        assert result.exit_code == 1
        assert said in result.stderr


# Serving, and a real shell


@pytest.mark.usefixtures("reading")
def test_serve_without_keys_stays_on_loopback(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDSVC_API_KEYS_REQUIRED", "false")
    for host in ("::", "192.0.2.1", "example.org"):
        result = cli("serve", "--host", host)
        assert result.exit_code == 2
        assert "GRIDSVC_API_KEYS_REQUIRED" in re.sub(r"[\s│]+", " ", result.stderr)


def test_serve_answers_and_ends_quietly_on_ctrl_c(city: str, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "GRIDSVC_DATABASE_URL": city,
        "GRIDSVC_API_KEYS_REQUIRED": "false",
        "PYTHONUNBUFFERED": "1",
    }
    log = tmp_path / "log"
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            [*PROGRAM, "serve", "--port", str(port), "--json"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        ) as server,
    ):
        try:
            url = f"http://127.0.0.1:{port}"
            told = _wait_for(
                f"{url}/v1/responsible?lon={YARD[0]}&lat={YARD[1]}", server, within_s=60
            )
            assert told["responsible"]["party"]["code"] == "P1"
            taken = subprocess.run(
                [*PROGRAM, "serve", "--port", str(port)],
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert taken.returncode == 1
            assert f"port {port} cannot be listened on" in taken.stderr
            server.send_signal(signal.SIGINT)
            stdout, _ = server.communicate(timeout=30)
        finally:
            server.kill()
    assert server.returncode == 0
    assert json.loads(stdout) == {"url": url, "workers": 1}
    assert "/v1/responsible" in log.read_text()
    assert YARD[0] not in log.read_text()
    assert "Traceback" not in log.read_text()


def _wait_for(url: str, server: subprocess.Popen[str], *, within_s: float) -> dict[str, Any]:
    deadline = time.monotonic() + within_s
    while True:
        try:
            answered = httpx.get(url, timeout=10)
        except httpx.ConnectError:
            assert server.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server did not come up"
            time.sleep(0.1)
        else:
            told: dict[str, Any] = answered.json()
            return told


def test_unusable_setting_is_named_without_its_value(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIDSVC_API_KEYS_REQUIRED", "perhaps")
    result = cli("status")
    assert result.exit_code == 1
    assert "GRIDSVC_API_KEYS_REQUIRED" in result.stderr
    assert "perhaps" not in result.output


def test_a_real_shell_gets_clean_streams_and_codes(city: str) -> None:
    environment = os.environ | {"GRIDSVC_DATABASE_URL": city}

    def run(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, *args], env=environment, capture_output=True, text=True, check=False
        )

    good = run("locate", *YARD, "--json")
    assert good.returncode == 0
    assert json.loads(good.stdout)["responsible"]["party"]["code"] == "P1"
    assert good.stderr == ""
    bad = run("locate", "-71.0648", "42.3574")
    assert bad.returncode == 1
    assert bad.stdout == ""
    assert bad.stderr.startswith("error: ")
    assert len(bad.stderr.splitlines()) == 1
    assert run("locate").returncode == 2


# Shop-front zones


def test_strips_of_shops_are_kept_for_a_planner(cli: Cli, town: str, tmp_path: Path) -> None:
    buildings = geojson(tmp_path / "buildings.geojson", {"B": (300, 300, 360, 310)})

    def drawn(name: str, shapes: Mapping[str, tuple[str, Any]]) -> Path:
        file = tmp_path / f"{name}.geojson"
        features = [
            {
                "type": "Feature",
                "properties": {"code": code, "name": code},
                "geometry": {"type": kind, "coordinates": coordinates},
            }
            for code, (kind, coordinates) in shapes.items()
        ]
        file.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
        return file

    shops = {
        "Z1": ("Point", _lonlat(310, 300)),
        "Z2": ("Point", _lonlat(320, 300)),
        "Z3": ("Point", _lonlat(330, 310)),
    }
    line = [_lonlat(200, 290), _lonlat(500, 290)]
    args = (
        *("zones", "draft", "--shops", drawn("shops", shops), "--buildings", buildings),
        *("--roads", drawn("roads", {"R": ("LineString", line)}), "--layer", "shop_front"),
        *("--code", "code", "--name", "name"),
    )
    before = state(town)
    told = json.loads(cli(*args, "--json").stdout)
    assert told["outcome"] == "dry_run"
    assert told["counts"]["added"] == 2
    assert [one["code"] for one in told["refused"]] == ["Z3"]
    assert state(town) == before
    kept = cli(*args, "--change-set", "shops")
    assert kept.exit_code == 0, kept.output
    assert "3 shops, 2 strips, 1 refused" in kept.stdout
    assert state(town) != before
    wrong = cli(*args[:3], args[7], *args[4:])  # roads for shops
    assert wrong.exit_code == 1
    assert "not every shop is a point or a polygon" in wrong.stderr
