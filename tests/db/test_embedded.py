"""A private cluster comes up, answers, survives what machines do to it, and goes away."""

import os
import pwd
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from gridsvc import embedded
from gridsvc.embedded import Cluster, installation
from gridsvc.errors import ClusterFailed, PostgresMissing


@pytest.fixture(autouse=True)
def _installed(pytestconfig: pytest.Config) -> None:
    try:
        installation()
    except PostgresMissing as missing:
        if pytestconfig.getoption("--require-db", default=False):
            pytest.fail(str(missing))
        pytest.skip(str(missing))


@pytest.fixture
def reachable(tmp_path: Path) -> Path:
    """A folder with a space and more than 107 bytes of path, open to the server's user."""
    # pytest keeps its folders to the caller, one level deeper for a worker of many.
    for folder in (tmp_path, *tmp_path.parents):
        if folder.name.startswith(("pytest-", "popen-", "test_")):
            folder.chmod(0o755)
    return tmp_path / ("a long name " * 9).strip()


@pytest.fixture
def cluster(reachable: Path) -> Iterator[Cluster]:
    one = Cluster(reachable / "home")
    yield one
    one.stop()


def ask(url: str, question: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(question.encode()).fetchone()
    return row[0] if row else None


def tell(url: str, statement: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statement.encode())


def test_it_starts_once_keeps_its_data_and_stops(cluster: Cluster) -> None:
    assert cluster.status().state == "absent"
    assert cluster.stop() is False

    url = cluster.start()
    tell(url, "CREATE TABLE kept AS SELECT 7 AS n")
    began = time.monotonic()
    assert cluster.start() == url
    assert time.monotonic() - began < 2
    status = cluster.status()
    assert status.state == "running"
    assert f":{status.port}/" in url

    assert cluster.stop() is True
    assert cluster.status().state == "stopped"
    assert cluster.start() == url
    assert ask(url, "SELECT n FROM kept") == 7


def test_it_has_postgis_and_safe_settings(cluster: Cluster) -> None:
    url = cluster.start()
    wanted = {
        "fsync": "on",
        "full_page_writes": "on",
        "jit": "off",
        "shared_buffers": "256MB",
        "max_connections": "200",
        "server_encoding": "UTF8",
        "lc_collate": "C.UTF-8",
        "password_encryption": "scram-sha-256",
        "listen_addresses": "127.0.0.1",
        "TimeZone": "UTC",
        # Statements and rows have people's names in them, and stay out of the server's log.
        "log_error_verbosity": "terse",
        "log_min_error_statement": "panic",
        "log_statement": "none",
    }
    # lc_collate left the settings in PostgreSQL 16; the database's own column stays.
    collate = wanted.pop("lc_collate")
    assert {name: ask(url, f"SHOW {name}") for name in wanted} == wanted
    assert ask(url, "SELECT datcollate FROM pg_database WHERE datname = 'gridsvc'") == collate
    tell(url, "CREATE EXTENSION postgis")
    assert str(ask(url, "SELECT postgis_lib_version()")) >= "3.3"


def test_only_the_password_opens_it(cluster: Cluster) -> None:
    url = cluster.start()
    password_file = cluster.base / "password"
    assert password_file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url.replace(password_file.read_text(), "wrong"))
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(url.replace(f":{password_file.read_text()}@", "@"), passfile="/dev/null")
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert password_file.read_bytes() not in process.read_bytes()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue


def test_a_taken_port_is_left_for_a_new_one(cluster: Cluster) -> None:
    url = cluster.start()
    port = cluster.status().port
    assert port is not None
    cluster.stop()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        moved = cluster.start()
        assert moved != url
        assert ask(moved, "SELECT 1") == 1
    cluster.stop()
    assert cluster.start() == moved


def test_it_comes_back_after_a_crash(cluster: Cluster) -> None:
    url = cluster.start()
    tell(url, "CREATE TABLE kept AS SELECT 7 AS n")
    with psycopg.connect(url):  # a child that holds the shared memory for a moment
        os.kill(cluster.status().pid or 0, signal.SIGKILL)
        assert (cluster.data / "postmaster.pid").exists()
        wait_for(lambda: cluster.status().state == "stopped")
        assert cluster.start() == url
    assert ask(url, "SELECT n FROM kept") == 7


def test_a_pid_file_that_names_another_process_is_forgotten(cluster: Cluster) -> None:
    url = cluster.start()
    pid_file = cluster.data / "postmaster.pid"
    left = pid_file.read_text()
    cluster.stop()
    account = pwd.getpwuid(cluster.data.stat().st_uid)
    root = os.geteuid() == 0
    with subprocess.Popen(["/bin/sleep", "60"], user=account.pw_uid if root else None) as stranger:
        pid_file.write_text(left.replace(left.split()[0], str(stranger.pid), 1))
        os.chown(pid_file, account.pw_uid, account.pw_gid)
        assert cluster.status().state == "stopped"
        assert cluster.start() == url
        stranger.kill()


def test_starts_at_the_same_time_make_one_cluster(reachable: Path, cluster: Cluster) -> None:
    program = (
        "import pathlib, sys; from gridsvc.embedded import Cluster; "
        "print(Cluster(pathlib.Path(sys.argv[1])).start())"
    )
    command = [sys.executable, "-c", program, str(reachable / "home")]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    urls = {run.communicate()[0].strip() for run in runs}
    assert urls == {cluster.start()}


def test_it_outlives_an_interrupt_of_its_callers_group(reachable: Path, cluster: Cluster) -> None:
    program = (
        "import os, pathlib, signal, sys; from gridsvc.embedded import Cluster; "
        "Cluster(pathlib.Path(sys.argv[1])).start(); os.killpg(0, signal.SIGINT)"
    )
    command = [sys.executable, "-c", program, str(reachable / "home")]
    done = subprocess.run(command, start_new_session=True, capture_output=True, check=False)
    assert done.returncode != 0
    time.sleep(0.3)
    assert cluster.status().state == "running"


def test_a_half_made_cluster_does_not_count(reachable: Path, cluster: Cluster) -> None:
    draft = reachable / "home/postgres/data.new"
    draft.mkdir(parents=True)
    (draft / "PG_VERSION").write_text("15\n")
    assert ask(cluster.start(), "SELECT 1") == 1
    assert not draft.exists()


def test_a_server_that_cannot_start_says_why(cluster: Cluster) -> None:
    cluster.start()
    cluster.stop()
    with (cluster.data / "postgresql.conf").open("a") as file:
        file.write("shared_buffers = 'a lot'\n")
    with pytest.raises(ClusterFailed, match="shared_buffers") as caught:
        cluster.start()
    assert caught.value.action == "start"
    assert caught.value.place == cluster.base


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the server to another user")
def test_root_hands_it_to_postgres(cluster: Cluster) -> None:
    cluster.start()
    assert cluster.data.owner() == "postgres"
    assert Path(f"/proc/{cluster.status().pid}").owner() == "postgres"
    assert cluster.base.owner() == "root"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the server to another user")
def test_data_goes_elsewhere_where_postgres_cannot_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reachable: Path
) -> None:
    reachable.mkdir()
    monkeypatch.setattr(embedded, "ELSEWHERE", reachable / "elsewhere")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    cluster = Cluster(closed / "home")
    try:
        url = cluster.start()
        assert cluster.base.parent == reachable / "elsewhere"
        assert Cluster(closed / "home").start() == url
        assert ask(url, "SELECT 1") == 1
    finally:
        cluster.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
def test_another_user_is_told_whose_it_is(cluster: Cluster) -> None:
    cluster.start()
    nobody = pwd.getpwnam("nobody").pw_uid
    child = os.fork()
    if child == 0:  # pragma: no cover
        os.setgid(pwd.getpwnam("nobody").pw_gid)
        os.setuid(nobody)
        try:
            cluster.start()
        except ClusterFailed as error:
            os._exit(0 if "belongs to the user postgres" in str(error) else 2)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PostgresMissing, match=r"PostgreSQL 99 is missing.*GRIDSVC_DATABASE_URL"):
        installation(major=99)
    monkeypatch.setattr(embedded, "MIN_POSTGIS", (99, 0))
    with pytest.raises(PostgresMissing, match=r"PostGIS ≥ 99\.0 for PostgreSQL \d+.*apt-get"):
        installation()


def wait_for(condition: Callable[[], bool], within_s: float = 5) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
