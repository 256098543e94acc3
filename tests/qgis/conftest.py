"""Real QGIS, headless, in a process of its own: the system's Python has it, ours does not."""

import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
from typer.testing import CliRunner

from gridsvc.cli import app
from tests import planning_city
from tests.db_fixtures import MakeDatabase
from tests.planning_city import Planning

PYTHON = Path("/usr/bin/python3")
SCRIPTS = Path(__file__).resolve().parent / "scripts"

# Of a machine that runs other tests beside it, a session in QGIS may take this long.
TIMEOUT_S = 180.0


class RunQgis(Protocol):
    """How a test runs a script in QGIS."""

    def __call__(
        self,
        script_path: Path | str,
        *args: str,
        given: object = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> dict[str, Any]:
        """Run a script to its end.

        Each run has an empty home and QGIS profile, so runs may go on side by side, from threads.

        Args:
            script_path: A file, or the name of one in tests/qgis/scripts. It does its work under
                `headless.run`, which see.
            args: Its command line, which others on the machine can read: no passwords.
            given: What it reads on standard input, as JSON.
            env: Variables beside those that every run has, such as PGSERVICEFILE.
            timeout_s: After this time it is killed and the test fails.

        Returns:
            The JSON object that it answers.
        """


@pytest.fixture(scope="session")
def run_qgis(pytestconfig: pytest.Config) -> RunQgis:
    """Run scripts in QGIS; skips, or fails under --require-qgis, where there is none."""
    try:
        _run(SCRIPTS / "providers.py", (), given=None, env={}, timeout_s=TIMEOUT_S)
    except (OSError, AssertionError) as error:
        reason = (
            f"no QGIS to test with (Debian: apt-get install python3-qgis qgis-providers): {error}"
        )
        if pytestconfig.getoption("--require-qgis"):
            pytest.fail(f"{reason} (--require-qgis was given)")
        pytest.skip(reason)

    def run(
        script_path: Path | str,
        *args: str,
        given: object = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> dict[str, Any]:
        script = SCRIPTS / script_path  # an absolute path stays what it is
        return _run(script, args, given=given, env=env or {}, timeout_s=timeout_s)

    return run


@dataclass(frozen=True)
class Planners:
    """The planning city, and the package that its planners got.

    Attributes:
        town: Its database and logins.
        folder: The package.
    """

    town: Planning
    folder: Path

    @property
    def project(self) -> str:
        """The project file."""
        return str(self.folder / "gridsvc.qgz")

    def environment(self, who: str) -> dict[str, str]:
        """What the machine of one of them has: the service file, a login, a password file."""
        passwords = self.folder.parent / "pgpass"
        passwords.write_text(f"*:*:*:*:{self.town.password}\n", encoding="utf-8")
        passwords.chmod(stat.S_IRUSR | stat.S_IWUSR)
        return {
            "PGSERVICEFILE": str(self.folder / "pg_service.conf"),
            "PGPASSFILE": str(passwords),
            "PGUSER": self.town.names[who],
        }


@pytest.fixture(scope="module")
def planners(
    make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Planners]:
    """A module's own city, with the package made by the command."""
    folder = tmp_path_factory.mktemp("package") / "planners"
    with planning_city.settled(make_database()) as town:
        made = CliRunner().invoke(
            app, ["qgis", "package", str(folder)], env={"GRIDSVC_DATABASE_URL": town.url}
        )
        assert made.exit_code == 0, made.output
        yield Planners(town, folder)


def _run(
    script: Path, args: tuple[str, ...], *, given: object, env: Mapping[str, str], timeout_s: float
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="qgis-", ignore_cleanup_errors=True) as home:
        # Not by inheritance: a virtual environment's Python, a proxy, a planner's own profile and
        # PG* variables would all be taken up.
        environment = {
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "HOME": home,
            "XDG_CONFIG_HOME": f"{home}/config",
            "XDG_DATA_HOME": f"{home}/data",
            "XDG_CACHE_HOME": f"{home}/cache",
            "XDG_RUNTIME_DIR": home,
            "QGIS_CUSTOM_CONFIG_PATH": f"{home}/profile",
            "QT_QPA_PLATFORM": "offscreen",
            "PYTHONPATH": str(SCRIPTS),  # for `import headless`, wherever the script is
            "PYTHONDONTWRITEBYTECODE": "1",
            **env,
        }
        process = subprocess.Popen(
            [PYTHON, "-s", script, *args],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        try:
            out, said = process.communicate(json.dumps(given), timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            out, said = process.communicate()
            raise AssertionError(
                f"{script.name} was killed after {timeout_s:g} s, having said:\n{said}"
            ) from None
    # pytest shows it with whatever assertion fails later.
    print(said, file=sys.stderr, end="")
    ending = f"{script.name} ended with {process.returncode}"
    assert process.returncode == 0, f"{ending}, having said:\n{said}"
    lines = out.splitlines()
    assert len(lines) == 1, f"{ending}, but answered {len(lines)} lines, not one: {lines}\n{said}"
    answer = json.loads(lines[0])
    assert isinstance(answer, dict), f"{ending}, but answered no JSON object: {answer!r}"
    return answer
