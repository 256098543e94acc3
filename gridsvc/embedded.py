"""A private PostgreSQL cluster with PostGIS, so that one command needs no database server.

    HOME/postgres/           or /var/lib/gridsvc/HASH where the server's user cannot reach HOME
    ├── lock                 one start or stop at a time
    ├── password             of the superuser `gridsvc`, mode 0600, made with the cluster
    ├── port                 on 127.0.0.1, kept from start to start
    └── data/                the cluster, its Unix socket and its server.log

PostgreSQL refuses to run as root. A caller who is root hands the server to the owner of `data`,
which is `postgres` for a new cluster; the other files stay out of that user's hands.
"""

import fcntl
import hashlib
import logging
import os
import pwd
import re
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psycopg

from gridsvc.errors import ClusterFailed, PostgresMissing

log = logging.getLogger(__name__)

DATABASE = "gridsvc"
SUPERUSER = "gridsvc"
SERVER_USER = "postgres"
ELSEWHERE = Path("/var/lib/gridsvc")

MIN_POSTGRES = 15
MIN_POSTGIS = (3, 3)

# A cold start after a crash replays the log first, which takes a while on a slow disk.
START_WITHIN_S = 120
STOP_WITHIN_S = 60

# Above Linux's PID_MAX_LIMIT.
NOBODYS_PID = 2**22 + 1

CONFIGURATION = """
# --- gridsvc: written once with the cluster, yours to change ---
listen_addresses = '127.0.0.1'
# Relative to this folder, so that no length of path breaks the 107 bytes of a socket's address.
unix_socket_directories = '.'
# A planner in QGIS takes about six.
max_connections = 200
shared_buffers = 256MB
effective_cache_size = 1GB
work_mem = 16MB
maintenance_work_mem = 128MB
# Compiling costs more than these short questions take.
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
log_checkpoints = off
# Rows hold names and phone numbers; neither statements nor key values belong in a log.
log_error_verbosity = terse
log_min_error_statement = panic
"""


@dataclass(frozen=True)
class Installation:
    """A PostgreSQL on this machine that has PostGIS."""

    major: int
    bin: Path
    postgis: tuple[int, ...]


@dataclass(frozen=True)
class ClusterStatus:
    """What is known of a cluster without connecting to it."""

    state: Literal["absent", "stopped", "starting", "running"]
    data: Path
    pid: int | None = None
    port: int | None = None


def installation(*, major: int | None = None) -> Installation:
    """Find the newest PostgreSQL ≥ 15 that has PostGIS ≥ 3.3.

    Args:
        major: Ask for exactly this version, that of an existing cluster.

    Raises:
        PostgresMissing: none is installed; names the part that is missing.
    """
    folders = _bin_folders()
    looked_in = ", ".join(map(str, folders)) or "/usr/lib/postgresql, PATH, pg_config"
    servers = {folder: found for folder in folders if (found := _server_major(folder))}
    fitting = {
        folder: found
        for folder, found in servers.items()
        if found >= MIN_POSTGRES and major in (None, found)
    }
    if not fitting:
        part = f"PostgreSQL {major}" if major else f"PostgreSQL ≥ {MIN_POSTGRES}"
        raise PostgresMissing(part, looked_in=looked_in)
    complete = [
        Installation(found, folder, postgis)
        for folder, found in fitting.items()
        if (postgis := _postgis_version(folder)) >= MIN_POSTGIS
    ]
    if not complete:
        versions = " or ".join(str(found) for found in sorted(set(fitting.values())))
        part = f"PostGIS ≥ {MIN_POSTGIS[0]}.{MIN_POSTGIS[1]} for PostgreSQL {versions}"
        raise PostgresMissing(part, looked_in=looked_in)
    return max(complete, key=lambda one: (one.major, one.postgis))


class Cluster:
    """The embedded database under `home`; made on its first start."""

    def __init__(self, home: Path) -> None:
        """Name the cluster; nothing is made or started.

        Args:
            home: `Settings.home`; made if it is missing.
        """
        self.home = home.absolute()

    @property
    def base(self) -> Path:
        """The folder of everything that belongs to the cluster."""
        return (self.home / "postgres").resolve()

    @property
    def data(self) -> Path:
        """PostgreSQL's data folder."""
        return self.base / "data"

    @property
    def log_file(self) -> Path:
        """What the server said."""
        return self.data / "server.log"

    def start(self) -> str:
        """Start the server unless it runs, and return the URL of its database.

        The server is detached: it outlives the caller and a Ctrl-C in its terminal.

        Raises:
            PostgresMissing: PostgreSQL or PostGIS is not installed.
            ClusterFailed: the server did not come up; says what it said.
        """
        self._make_base()
        with self._locked():
            if not self.data.exists():
                self._create()
            if self._settled().state != "running":
                self._launch()
            port = self.status().port
            if port is None:
                raise ClusterFailed("start", place=self.base, reason=self._log_tail())
            self._create_database(port)
            return self._url(port, DATABASE)

    def stop(self) -> bool:
        """Stop the server, cutting its connections; whether it ran.

        Raises:
            ClusterFailed: it did not stop in time.
        """
        if not self.data.exists():
            return False
        with self._locked():
            if self._settled().state != "running":
                return False
            self._run("stop", "pg_ctl", "stop", "-m", "fast", "-w", "-t", str(STOP_WITHIN_S))
            return True

    def status(self) -> ClusterStatus:
        """Look at the cluster without touching it.

        Raises:
            ClusterFailed: it belongs to another user.
        """
        if not self.data.exists():
            return ClusterStatus("absent", self.data)
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return ClusterStatus("stopped", self.data)
        except PermissionError as error:
            raise self._not_ours() from error
        # Lines: pid, folder, start, port, socket folder, address, shared memory, status.
        pid = int(lines[0]) if lines else 0
        if not self._serves_here(pid):
            return ClusterStatus("stopped", self.data)
        ready = len(lines) > 7 and lines[7].strip() == "ready"  # noqa: PLR2004
        state: Literal["running", "starting"] = "running" if ready else "starting"
        return ClusterStatus(state, self.data, pid, int(lines[3]) if ready else None)

    def _make_base(self) -> None:
        """Make the cluster's folder where the server's user can reach it."""
        place = self.home / "postgres"
        if place.exists():
            return
        self.home.mkdir(parents=True, exist_ok=True)
        if os.geteuid() != 0 or _can_enter(self.home, self._server_user()):
            place.mkdir(exist_ok=True)
            place.chmod(0o755)  # whatever the umask: the server's user goes through it
            return
        target = ELSEWHERE / hashlib.sha256(os.fsencode(self.home)).hexdigest()[:12]
        target.mkdir(parents=True, exist_ok=True)
        for folder in (ELSEWHERE, target):
            folder.chmod(0o755)
        # `place` may be a link to a removed cluster or one that a concurrent start has just made;
        # a rename replaces either in one step.
        draft = self.home / f"postgres.{os.getpid()}"
        draft.symlink_to(target)
        draft.rename(place)
        log.warning(
            "The user %s cannot reach %s; the embedded database is in %s.",
            SERVER_USER,
            self.home,
            target,
        )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            handle = os.open(self.base / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except PermissionError as error:
            raise self._not_ours() from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _create(self) -> None:
        """Run initdb beside `data` and move the result there, so that a half one never counts."""
        found = installation()
        account = self._server_user()
        draft = self.base / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        password = self.base / "password"
        password.unlink(missing_ok=True)
        password.touch(mode=0o600, exist_ok=False)
        password.write_text(secrets.token_urlsafe(32))
        draft.mkdir(mode=0o700)
        if os.geteuid() == 0:
            for path in (password, draft):
                os.chown(path, account.pw_uid, account.pw_gid)
        command = [
            str(found.bin / "initdb"),
            f"--pgdata={draft}",
            f"--username={SUPERUSER}",
            f"--pwfile={password}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--data-checksums",
        ]
        done = _run_as(account, command)
        if done.returncode != 0:
            raise ClusterFailed("get made", place=self.base, reason=_gist(done.stderr))
        with (draft / "postgresql.conf").open("a") as file:
            file.write(CONFIGURATION)
        draft.rename(self.data)

    def _launch(self) -> None:
        """Run pg_ctl; once more where a port was lost in a race or a crash is still settling."""
        passing = ("could not create any TCP/IP sockets", "is still in use")
        self._forget_stranger()
        for last in (False, False, True):
            port = self._choose_port()
            said_before = self.log_file.stat().st_size if self.log_file.exists() else 0
            try:
                self._run(
                    "start",
                    *("pg_ctl", "start", "-w", "-t", str(START_WITHIN_S)),
                    *("-l", str(self.log_file), "-o", f"-p {port}"),
                )
            except ClusterFailed as error:
                said = self._said_since(said_before)
                if last or not any(phrase in said for phrase in passing):
                    reason = _gist(said) or error.reason
                    raise ClusterFailed("start", place=self.base, reason=reason) from error
                time.sleep(1)
            else:
                return

    def _settled(self) -> ClusterStatus:
        """The status once a start or stop that nobody waits for any more is over."""
        deadline = time.monotonic() + START_WITHIN_S
        while (now := self.status()).state == "starting" and time.monotonic() < deadline:
            time.sleep(0.05)
        return now

    def _forget_stranger(self) -> None:
        """Strike out a crashed server's number where another process, or its zombie, bears it.

        PostgreSQL sees for itself that a process is gone, but takes any living one of its own user
        for the server; small numbers come round soon in containers. The files stay, for they also
        name the shared memory that a dead server's children may still write to.
        """
        for file in (self.data / "postmaster.pid", *self.data.glob(".s.PGSQL.*.lock")):
            pid, _, rest = file.read_text().partition("\n") if file.exists() else ("", "", "")
            if pid and _alive(int(pid)) and not self._serves_here(int(pid)):
                file.write_text(f"{NOBODYS_PID}\n{rest}")

    def _serves_here(self, pid: int) -> bool:
        """Whether the process is a server of this cluster; its working folder is the data."""
        if not _alive(pid):
            return False
        try:
            return Path(f"/proc/{pid}/cwd").readlink() == self.data
        except PermissionError:
            return False  # another user's process
        except FileNotFoundError:
            return not Path("/proc/self").exists()  # no /proc: believe the pid file

    def _choose_port(self) -> int:
        """The remembered port if it is free, else a new one, remembered from now on."""
        file = self.base / "port"
        remembered = int(file.read_text()) if file.exists() else 0
        with socket.socket() as probe:
            # As PostgreSQL does; or connections of the last run would count as taking the port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", remembered))
            except OSError:
                probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port != remembered:
            draft = self.base / "port.new"
            draft.write_text(f"{port}\n")
            draft.rename(file)
        return port

    def _create_database(self, port: int) -> None:
        with psycopg.connect(self._url(port, "postgres"), autocommit=True) as connection:
            known = connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE])
            if known.fetchone() is None:
                connection.execute(f"CREATE DATABASE {DATABASE}")

    def _url(self, port: int, database: str) -> str:
        password = (self.base / "password").read_text()
        return f"postgresql://{SUPERUSER}:{password}@127.0.0.1:{port}/{database}"

    def _server_user(self) -> pwd.struct_passwd:
        """Whom the server runs as: the data's owner, or for a new cluster the caller."""
        if self.data.exists():
            return pwd.getpwuid(self.data.stat().st_uid)
        if os.geteuid() != 0:
            return pwd.getpwuid(os.geteuid())
        try:
            return pwd.getpwnam(SERVER_USER)
        except KeyError:
            part = f"The user {SERVER_USER}, as whom root must run PostgreSQL,"
            raise PostgresMissing(part, looked_in="/etc/passwd") from None

    def _run(self, action: str, program: str, *arguments: str) -> None:
        """Run a program of the cluster's own PostgreSQL version on its data."""
        account = self._server_user()
        if os.geteuid() not in (0, account.pw_uid):
            raise self._not_ours()
        found = installation(major=int((self.data / "PG_VERSION").read_text()))
        done = _run_as(account, [str(found.bin / program), "-D", str(self.data), *arguments])
        if done.returncode != 0:
            raise ClusterFailed(action, place=self.base, reason=_gist(done.stderr or done.stdout))

    def _not_ours(self) -> ClusterFailed:
        owner = (self.data if self.data.exists() else self.base).owner()
        return ClusterFailed(
            "open",
            place=self.base,
            reason=f"it belongs to the user {owner}",
            remedy="Run the command as root or as that user, or set GRIDSVC_HOME to a folder of "
            "your own",
        )

    def _said_since(self, offset: int) -> str:
        if not self.log_file.exists():
            return ""
        with self.log_file.open("rb") as file:
            file.seek(offset)
            return file.read().decode(errors="replace")

    def _log_tail(self) -> str:
        return _gist(self._said_since(0)) or f"see {self.log_file}"


def _bin_folders() -> list[Path]:
    """Where PostgreSQL may be: Debian's and Red Hat's folders, PATH, pg_config."""
    folders = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/usr").glob("pgsql-*/bin")]
    if on_path := shutil.which("postgres"):
        folders.append(Path(on_path).resolve().parent)
    if pg_config := shutil.which("pg_config"):
        folders.append(Path(_output([pg_config, "--bindir"])))
    programs = ("postgres", "initdb", "pg_ctl", "pg_config")
    return sorted(
        {folder for folder in folders if all((folder / name).is_file() for name in programs)}
    )


def _server_major(folder: Path) -> int | None:
    version = re.search(r"\) (\d+)", _output([str(folder / "postgres"), "--version"]))
    return int(version[1]) if version else None


def _postgis_version(folder: Path) -> tuple[int, ...]:
    """The version that CREATE EXTENSION would install; empty without PostGIS."""
    control = Path(_output([str(folder / "pg_config"), "--sharedir"])) / "extension/postgis.control"
    if not control.is_file():
        return ()
    version = re.search(r"^default_version\s*=\s*'([\d.]+)", control.read_text(), re.MULTILINE)
    return tuple(int(part) for part in version[1].strip(".").split(".")) if version else ()


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _run_as(account: pwd.struct_passwd, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command as this user, away from the terminal and from PG… variables."""
    root = os.geteuid() == 0
    return subprocess.run(
        command,
        cwd="/",
        env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
        umask=0o077,
        user=account.pw_uid if root else None,
        group=account.pw_gid if root else None,
        extra_groups=os.getgrouplist(account.pw_name, account.pw_gid) if root else None,
    )


def _can_enter(folder: Path, account: pwd.struct_passwd) -> bool:
    """Whether this user can reach the folder; asked of the system, which knows of ACLs too."""
    return _run_as(account, ["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)]).returncode == 0


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _gist(text: str) -> str:
    """The last three lines without their times: the complaint is seldom in the very last one."""
    lines = [re.sub(r"^[\d-]+ [\d:.]+ \w+ \[\d+\] ", "", line) for line in text.splitlines()]
    return "; ".join([line.strip() for line in lines if line.strip()][-3:])
