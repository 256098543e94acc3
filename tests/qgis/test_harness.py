"""Does what runs QGIS for the tests keep its promises?"""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.qgis.conftest import RunQgis


def script(tmp_path: Path, *body: str) -> Path:
    path = tmp_path / "script.py"
    lines = [
        "import os, sys, time, headless",
        "from qgis.core import QgsApplication",
        "def work(given):",
        *(f"    {line}" for line in body),
        "headless.run(work)",
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_a_script_is_given_json_and_answers_one_line(run_qgis: RunQgis, tmp_path: Path) -> None:
    echo = script(
        tmp_path,
        "print('said on the way')",
        "os.write(1, b'and below Python')",
        "return {'given': given, 'args': sys.argv[1:]}",
    )
    given = {"街道": [1, None, "甲\n乙"]}
    assert run_qgis(echo, "a b", given=given) == {"given": given, "args": ["a b"]}


def test_a_run_is_alone(run_qgis: RunQgis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONHOME", "PGSERVICEFILE", "http_proxy", "VIRTUAL_ENV"):
        monkeypatch.setenv(name, "/nowhere")
    look = script(
        tmp_path,
        "return {'env': dict(os.environ), 'python': sys.prefix, 'path': sys.path,"
        " 'profile': QgsApplication.qgisSettingsDirPath(), 'platform': QgsApplication.platform()}",
    )
    with ThreadPoolExecutor() as pool:
        one, other = pool.map(lambda _: run_qgis(look, env={"PGSERVICE": "x"}), range(2))
    assert one["python"] == "/usr"
    assert not any(".venv" in place for place in one["path"])
    assert one["env"]["PGSERVICE"] == "x"
    assert "/nowhere" not in json.dumps(one["env"])
    assert one["profile"].startswith(one["env"]["HOME"])
    assert one["profile"] != other["profile"]
    assert not Path(one["profile"]).exists()


def test_a_failure_shows_what_was_said(run_qgis: RunQgis, tmp_path: Path) -> None:
    failing = script(
        tmp_path, "QgsApplication.messageLog().logMessage('into the panel', 'T')", "1/0"
    )
    with pytest.raises(AssertionError, match=r"(?s)T: into the panel.*ZeroDivisionError"):
        run_qgis(failing)


def test_a_script_that_hangs_is_killed(run_qgis: RunQgis, tmp_path: Path) -> None:
    begun = time.monotonic()
    hanging = script(tmp_path, "print('I wait', flush=True)", "time.sleep(600)")
    with pytest.raises(AssertionError, match=r"(?s)killed after 6 s.*I wait"):
        run_qgis(hanging, timeout_s=6)
    assert time.monotonic() - begun < 60
