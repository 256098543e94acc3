"""Twenty planners publish 120 change sets at once, clients and servers die: the city stays whole.

What may happen is fixed by the plan and not by who is faster: of two who moved the same corner one
is published and the other told of it, of two who drew over each other on free ground likewise, a
border moved on one side only is refused, and everything else is published.
"""

import os
import random
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest
import shapely
from psycopg.rows import dict_row
from sqlalchemy import Engine, make_url, text
from sqlalchemy.orm import Session

from gridsvc.db import create_engine, migrate
from gridsvc.embedded import Cluster, installation
from gridsvc.errors import ChangeSetConflict, ChangeSetRefused, PostgresMissing
from gridsvc.grids.changesets import find_change_set, open_change_set, publish
from gridsvc.grids.planners import PlannerInfo, PlannerRole, add_planner
from gridsvc.grids.scheme_store import current_scheme
from gridsvc.grids.validation import check
from tests import wide_city
from tests.db_fixtures import MakeDatabase
from tests.factories import propose_holder, propose_party
from tests.wide_city import BLOCK, City, Node, Versions, street_code, wkt

PLANNERS, SETS = 20, 6
WIDE = City(columns=80, rows=50)
STREETS = WIDE.columns // wide_city.STREET_COLUMNS
SMALL = City(columns=20, rows=20)
PATIENCE_S = 60
"""How long something that must happen is waited for; nothing is decided by how long it took."""

Login = psycopg.Connection[dict[str, Any]]
Ring = list[tuple[float, float]]


@dataclass
class Job:
    """One change set: what it draws, and what must become of it.

    Attributes:
        name: Of the change set.
        kind: move, border, split, merge, one_sided, same_corner or same_ground.
        street: Number of the street.
        node: The corner that it is about.
        rival: Name of the one that draws at the same place.
        planner: Login that draws it.
        revision: As which it was published.
        refusal: What its planner was told.
        codes: Of the areas that it proposes.
    """

    name: str
    kind: str
    street: int
    node: Node
    rival: str | None = None
    planner: str = ""
    revision: int | None = None
    refusal: str = ""
    codes: list[str] = field(default_factory=list)


def plan_of_work() -> list[Job]:
    """Thirty change sets a street, each at a corner of its own but for the rivals."""
    jobs = []
    for street in range(STREETS):
        west = street * wide_city.STREET_COLUMNS
        # Corners three apart touch no unit in common.
        corners = iter(
            [
                (west + i, j)
                for i in range(wide_city.STREET_COLUMNS)
                for j in range(WIDE.rows)
                if i % BLOCK in (2, 5, 8) and j % BLOCK in (2, 5, 8)
            ]
        )
        # Where two communities of the street meet, and no corner of a third.
        borders = iter([(west + BLOCK, j) for j in (5, 15, 25)])
        last = street == STREETS - 1
        kinds = {
            "border": 3,
            "move": 11,
            "split": 4,
            "merge": 4,
            "same_corner": 1 if last else 2,
            "same_ground": 1,
            "one_sided": 4 if last else 2,
        }
        for kind, count in kinds.items():
            for n in range(count):
                node = next(borders if kind == "border" else corners)
                name = f"{kind} {street}.{n}"
                if kind.startswith("same"):
                    jobs.append(Job(f"{name} a", kind, street, node, rival=f"{name} b"))
                    jobs.append(Job(f"{name} b", kind, street, node, rival=f"{name} a"))
                else:
                    jobs.append(Job(name, kind, street, node))
    return jobs


@dataclass
class Desk:
    """A planner at work in QGIS.

    Attributes:
        login: Its connection; a statement is a transaction, as a save is.
        keys: Of areas by code, as QGIS has read them.
    """

    login: Login
    keys: dict[str, int]

    def draw(self, job: Job) -> None:
        """Draw a change set through the edit views and save it."""
        self.login.execute("INSERT INTO edit.change_set (name) VALUES (%s)", [job.name])
        i, j = job.node
        with self.login.transaction():
            match job.kind:
                case "move" | "border" | "same_corner" | "one_sided":
                    self._move(job)
                case "split":
                    ring = WIDE.ring(i, j, i + 1, j + 1)
                    self._redraw(job, WIDE.unit_at(i, j), ring[:3])
                    self._add(job, "unit", WIDE.unit_at(i, j), [ring[0], *ring[2:]])
                case "merge":
                    gone = self.login.execute(
                        "DELETE FROM edit.unit WHERE key = %s", [self.keys[WIDE.unit_at(i, j)]]
                    )
                    assert gone.rowcount == 1
                    both = WIDE.ring(i - 1, j, i + 1, j + 1)
                    self._redraw(job, WIDE.unit_at(i - 1, j), both)
                case "same_ground":
                    reach = 2 if job.name.endswith("b") else 1
                    ring = WIDE.ring(i, j, i + reach, j + 2)
                    self._add(job, "patrol", f"P{job.street}{job.name[-1]}", ring)

    def publish(self, job: Job) -> None:
        """Publish by the form."""
        refusal = attempt_action(self.login, job.name, "publish")
        if refusal is not None:
            assert refusal.sqlstate == "GS001"
            job.refusal = f"{refusal.message_primary}\n{refusal.message_detail}"
            return
        row = self.login.execute(
            "SELECT revision FROM edit.change_set WHERE name = %s", [job.name]
        ).fetchone()
        assert row
        job.revision = row["revision"]

    def _move(self, job: Job) -> None:
        i, j = job.node
        moved = {job.node: (3.0, 2.0) if job.name.endswith("b") else (-2.0, 3.5)}
        around = [(i - 1, j - 1), (i, j - 1), (i - 1, j), (i, j)]
        for a, b in around[:1] if job.kind == "one_sided" else around:
            self._redraw(job, WIDE.unit_at(a, b), WIDE.ring(a, b, a + 1, b + 1, moved=moved))
        if job.kind == "border":
            touched = {WIDE.community_at(*corner) for corner in around}
            for code, (a, b) in WIDE.communities:
                if code in touched:
                    ring = WIDE.ring(a, b, a + BLOCK, b + BLOCK, moved=moved)
                    self._redraw(job, code, ring, layer="community")

    def _redraw(self, job: Job, code: str, ring: Ring, layer: str = "unit") -> None:
        done = self.login.execute(
            f"UPDATE edit.{layer} SET boundary = %s WHERE key = %s", [wkt(ring), self.keys[code]]
        )
        assert done.rowcount == 1
        job.codes.append(code)

    def _add(self, job: Job, layer: str, code: str, ring: Ring) -> None:
        row = self.login.execute(
            f"INSERT INTO edit.{layer} (code, boundary) VALUES (%s, %s) RETURNING code",
            [code, wkt(ring)],
        ).fetchone()
        assert row
        job.codes.append(row["code"])


def attempt_action(login: Login, name: str, action: str) -> psycopg.errors.Diagnostic | None:
    """Write an action into the table of change sets; gives what the planner is told instead."""
    try:
        login.execute("UPDATE edit.change_set SET action = %s WHERE name = %s", [action, name])
    except psycopg.DatabaseError as refused:
        return refused.diag
    return None


def publish_by_command(engine: Engine, job: Job) -> None:
    """As a chief does for the planner with `gridsvc publish`."""
    with Session(engine) as session:
        try:
            job.revision = publish(session, find_change_set(session, job.name)).revision
        except ChangeSetConflict as refused:
            job.refusal = "\n".join(refused.conflicts)
        except ChangeSetRefused as refused:
            job.refusal = "\n".join(refused.findings)
        session.commit()


@dataclass
class Storm:
    """What the twenty did."""

    url: str
    jobs: list[Job]
    founded: int
    seen: list[int]
    torn: list[str]


@pytest.fixture(scope="module")
def storm(make_database: MakeDatabase) -> Iterator[Storm]:
    """Let twenty planners draw, then all publish at once, while somebody watches."""
    url = make_database()
    engine = create_engine(url, pool_size=PLANNERS)
    password = secrets.token_urlsafe(12)
    mark = secrets.token_hex(3)
    logins = [f"p{n:02}_{mark}" for n in range(PLANNERS)]
    founded, keys = settle(engine, logins, password)
    jobs = shared_out(logins)
    drawn = threading.Barrier(PLANNERS)

    def work(login: str) -> None:
        mine = [job for job in jobs if job.planner == login]
        random.Random(login[:3]).shuffle(mine)
        with psycopg.connect(
            as_login(url, login, password), row_factory=dict_row, autocommit=True
        ) as connection:
            desk = Desk(connection, keys)
            try:
                for job in mine:
                    desk.draw(job)
            except BaseException:
                drawn.abort()
                raise
            drawn.wait()
            assert looked.wait(PATIENCE_S)
            for n, job in enumerate(mine):
                if n % 2:
                    publish_by_command(engine, job)
                else:
                    desk.publish(job)

    looked, over = threading.Event(), threading.Event()
    try:
        with ThreadPoolExecutor(PLANNERS + 1) as pool:
            watching = pool.submit(watch, url, looked, over)
            try:
                list(pool.map(work, logins))
            finally:
                over.set()
            seen, torn = watching.result()
        yield Storm(url, jobs, founded, seen, torn)
    finally:
        engine.dispose()
        with psycopg.connect(url, autocommit=True) as owner:
            for login in logins:
                owner.execute(f'DROP ROLE "{login}"')


def settle(engine: Engine, logins: list[str], password: str) -> tuple[int, dict[str, int]]:
    """Found the city and make the logins; gives the revision, and areas' keys by their codes."""
    with Session(engine) as session, session.begin():
        founded = wide_city.found(session, WIDE)
        for n, login in enumerate(logins):
            ground = (("street", street_code(n % STREETS)),)
            planner = PlannerInfo(
                login=login, role=PlannerRole.PLANNER, ground=ground, publishes=True
            )
            add_planner(session, planner, password=password)
        rows = session.execute(text("SELECT code, id FROM gridsvc.area"))
        return founded, {row.code: row.id for row in rows}


def shared_out(logins: list[str]) -> list[Job]:
    """Share the work out: six each, in the own street, no planner its own rival."""
    jobs = plan_of_work()
    for street in range(STREETS):
        own = [login for n, login in enumerate(logins) if n % STREETS == street]
        for n, job in enumerate(job for job in jobs if job.street == street):
            job.planner = own[n % len(own)]
    assert set(Counter(job.planner for job in jobs).values()) == {SETS}
    return jobs


def watch(url: str, looked: threading.Event, over: threading.Event) -> tuple[list[int], list[str]]:
    """Look at the live state again and again: which revisions were seen, and what was torn."""
    seen, torn = [], []
    with psycopg.connect(url, autocommit=True) as connection:
        while True:
            last = over.is_set()
            rows = connection.execute("""
                SELECT a.layer, ST_AsBinary(a.boundary),
                       (SELECT max(number) FROM gridsvc.revision)
                FROM gridsvc.area AS a
                WHERE a.rev_to IS NULL AND a.valid_from <= now()
                  AND (a.valid_to IS NULL OR now() < a.valid_to)
            """).fetchall()
            seen.append(rows[0][2])
            drawn: dict[str, list[shapely.Geometry]] = {}
            for layer, wkb, _ in rows:
                drawn.setdefault(layer, []).append(shapely.from_wkb(bytes(wkb)))
            area_m2 = {layer: sum(shapely.area(shapes)) for layer, shapes in drawn.items()}
            torn += [
                f"{layer} in revision {seen[-1]}"
                for layer, shapes in drawn.items()
                if not shapely.coverage_is_valid(shapes)
                or (layer != "patrol" and abs(area_m2[layer] - area_m2["district"]) > 1e-3)
            ]
            looked.set()
            if last:
                return seen, torn
            over.wait(0.5)


def as_login(url: str, login: str, password: str) -> str:
    named = make_url(url).set(username=login, password=password, drivername="postgresql")
    return named.render_as_string(hide_password=False)


def by_name(storm: Storm) -> dict[str, Job]:
    return {job.name: job for job in storm.jobs}


def test_what_is_published_is_what_must_be(storm: Storm) -> None:
    published = Counter(job.kind for job in storm.jobs if job.revision)
    assert published == {
        "border": 12,
        "move": 44,
        "split": 16,
        "merge": 16,
        "same_corner": 7,
        "same_ground": 4,
    }
    revisions = sorted(job.revision for job in storm.jobs if job.revision)
    assert revisions == list(range(storm.founded + 1, storm.founded + 100))


def test_each_refusal_names_its_reason(storm: Storm) -> None:
    jobs = by_name(storm)
    refused = [job for job in storm.jobs if not job.revision]
    assert Counter(job.kind for job in refused) == {
        "same_corner": 7,
        "same_ground": 4,
        "one_sided": 10,
    }
    for job in refused:
        rival = jobs[job.rival] if job.rival else None
        match job.kind:
            case "same_corner":
                assert rival
                for unit in job.codes:
                    assert (
                        f"unit {unit} was changed by {rival.planner} in revision {rival.revision} "
                        in job.refusal
                    )
            case "same_ground":
                first, second = sorted([f"P{job.street}a", f"P{job.street}b"])
                assert f"overlap: patrol {first} and {second} both claim" in job.refusal
            case "one_sided":
                assert re.search(rf"overlap: unit .*{job.codes[0]}.* both claim", job.refusal)
                assert re.search(r"gap: in community \d{12}, ", job.refusal)


def test_what_was_refused_is_shown_at_its_place(storm: Storm) -> None:
    engine = create_engine(storm.url)
    with Session(engine) as session:
        scheme = current_scheme(session)
        job = next(job for job in storm.jobs if job.kind == "one_sided")
        found = check(session, scheme, change_set=find_change_set(session, job.name))
        assert {finding.kind.value for finding in found if finding.stops} == {"overlap", "gap"}
        assert all(finding.lonlat for finding in found)
    engine.dispose()


def test_every_revision_tiles(storm: Storm) -> None:
    with psycopg.connect(storm.url) as connection:
        versions = Versions.read(connection)
    since = None
    for revision in range(storm.founded, storm.founded + 100):
        assert versions.faults(revision, since=since) == [], revision
        since = revision


def test_no_overlap_was_ever_live(storm: Storm) -> None:
    assert not storm.torn
    assert storm.seen == sorted(storm.seen)
    assert (storm.seen[0], storm.seen[-1]) == (storm.founded, storm.founded + 99)


def test_no_lock_outlives_the_storm(storm: Storm) -> None:
    with psycopg.connect(storm.url) as connection:
        assert locks(connection) == 0


def locks(connection: psycopg.Connection[Any], pid: int | None = None) -> int:
    """Count locks of others in this database: advisory ones, rows and tables."""
    row = connection.execute(
        """
        SELECT count(*) FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database
        WHERE d.datname = current_database() AND l.pid <> pg_backend_pid()
          AND (l.pid = %(pid)s OR %(pid)s IS NULL AND l.locktype = 'advisory')
        """,
        {"pid": pid},
    ).fetchone()
    assert row
    return int(row[0])


def wait_for(happens: Callable[[], int | bool | None], what: str) -> int:
    deadline = time.monotonic() + PATIENCE_S
    while not (given := happens()):
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.02)
    return int(given)


def propose_move(session: Session, name: str, node: Node, by: tuple[float, float]) -> None:
    """Propose that four units share another corner, and that somebody answers for one of them."""
    i, j = node
    change_set = open_change_set(session, name=name)
    for a, b in ((i - 1, j - 1), (i, j - 1), (i - 1, j), (i, j)):
        session.execute(
            text("""
                SELECT gridsvc.redraw_area(
                    :change_set,
                    (SELECT id FROM gridsvc.area
                     WHERE layer = 'unit' AND code = :code AND rev_to IS NULL AND valid_to IS NULL),
                    ST_SnapToGrid(ST_GeomFromEWKT(:shape), 0.001))
            """),
            {
                "change_set": change_set.id,
                "code": SMALL.unit_at(a, b),
                "shape": wkt(SMALL.ring(a, b, a + 1, b + 1, moved={node: by})),
            },
        )
    propose_party(session, change_set, name)
    propose_holder(
        session, change_set, name, "unit", SMALL.unit_at(i, j), duty="supervision",
        role="supervisor",
    )  # fmt: skip


NODES = [(i, j) for i in (2, 5, 8, 12, 15, 18) for j in (2, 5, 8, 12, 15, 18)]


@pytest.fixture
def small(make_database: MakeDatabase) -> Iterator[Engine]:
    """A city of 400 units with six change sets to publish, k0 to k5."""
    engine = create_engine(make_database())
    settle_small(engine, 6)
    yield engine
    engine.dispose()


def settle_small(engine: Engine, count: int) -> None:
    with Session(engine) as session, session.begin():
        wide_city.found(session, SMALL)
        for n in range(count):
            propose_move(session, f"k{n}", NODES[n], (1.5, 2.5))


def url_of(engine: Engine) -> str:
    return engine.url.set(drivername="postgresql").render_as_string(hide_password=False)


def client(url: str, name: str) -> subprocess.Popen[bytes]:
    """Publish in a process of its own, by the command."""
    return subprocess.Popen(
        [sys.executable, "-c", "from gridsvc.cli import app; app()", "publish", name],
        env=os.environ | {"GRIDSVC_DATABASE_URL": url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def waiting_publisher(connection: psycopg.Connection[Any]) -> int | None:
    """The backend of a publish that waits for a lock."""
    row = connection.execute("""
        SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'
          AND query LIKE '%gridsvc.publish(%' AND pid <> pg_backend_pid()
    """).fetchone()
    return row[0] if row else None


HOLD = {
    "before it begins": "SELECT gridsvc.lock_publishing()",
    "half of its areas carried over": """
        SELECT FROM gridsvc.area WHERE id = (
            SELECT max(e.replaces) FROM gridsvc.area_edit AS e
            JOIN gridsvc.change_set AS c ON c.id = e.change_set_id WHERE c.name = 'k0')
        FOR UPDATE""",
}


@pytest.mark.parametrize("when", HOLD)
def test_a_killed_client_leaves_no_locks(small: Engine, when: str) -> None:
    url = url_of(small)
    with (
        psycopg.connect(url) as holder,
        psycopg.connect(url, autocommit=True) as looker,
        client(url, "k0") as publisher,
    ):
        holder.execute(HOLD[when])
        pid = wait_for(lambda: waiting_publisher(looker), "the client waits in its publish")
        publisher.send_signal(signal.SIGKILL)
        publisher.wait()
        holder.rollback()
        wait_for(lambda: not locks(looker, pid), "the dead client's locks are gone")
        assert locks(looker) == 0
    assert whole(url) == {"founding"}
    with Session(small) as session:
        publish(session, find_change_set(session, "k1"))
        publish(session, find_change_set(session, "k0"))
        session.commit()
    assert whole(url) == {"founding", "k0", "k1"}


def test_a_client_killed_before_its_commit_leaves_nothing(small: Engine) -> None:
    url = url_of(small)
    program = (
        "import sys, psycopg\n"
        "connection = psycopg.connect(sys.argv[1])\n"
        'connection.execute("SELECT gridsvc.publish(id, false, false) FROM gridsvc.change_set'
        " WHERE name = 'k0'\")\n"
        "print(connection.info.backend_pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    with (
        subprocess.Popen(
            [sys.executable, "-c", program, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as publisher,
        psycopg.connect(url, autocommit=True) as looker,
    ):
        assert publisher.stdout
        pid = int(publisher.stdout.readline())
        assert locks(looker, pid) > 0
        publisher.send_signal(signal.SIGKILL)
        wait_for(lambda: not locks(looker, pid), "the dead client's locks are gone")
    assert whole(url) == {"founding"}
    with Session(small) as session:
        publish(session, find_change_set(session, "k0"))
        session.commit()
    assert whole(url) == {"founding", "k0"}


def whole(url: str) -> set[str]:
    """Hold every revision against its change set, row by row; gives the names of those published.

    All of a change set is there or none: areas that begin and end, their pieces, who holds what;
    and each revision tiles.
    """
    with psycopg.connect(url, row_factory=dict_row) as connection:
        rows = connection.execute("""
            SELECT c.name, c.state, r.number,
                (SELECT count(*) FROM gridsvc.area_edit AS e
                 WHERE e.change_set_id = c.id AND e.boundary IS NOT NULL) AS begun,
                (SELECT count(*) FROM gridsvc.area AS a WHERE a.rev_from = r.number) AS begun_here,
                (SELECT count(*) FROM gridsvc.area_edit AS e
                 WHERE e.change_set_id = c.id AND e.replaces IS NOT NULL) AS ended,
                (SELECT count(*) FROM gridsvc.area AS a WHERE a.rev_to = r.number) AS ended_here,
                (SELECT count(*) FROM gridsvc.area AS a
                 JOIN gridsvc.area_piece AS p ON p.area_id = a.id AND ST_Equals(p.piece, a.boundary)
                 WHERE a.rev_from = r.number AND a.layer = 'unit') AS pieces,
                (SELECT count(*) FROM gridsvc.area AS a
                 WHERE a.rev_from = r.number AND a.layer = 'unit') AS with_pieces,
                (SELECT count(*) FROM gridsvc.assignment_edit AS e
                 WHERE e.change_set_id = c.id) AS held,
                (SELECT count(*) FROM gridsvc.assignment AS s
                 WHERE s.rev_from = r.number) AS held_here,
                (SELECT count(*) FROM gridsvc.area_piece AS p
                 WHERE NOT EXISTS (SELECT FROM gridsvc.area AS a WHERE a.id = p.area_id)) AS lost
            FROM gridsvc.change_set AS c
            LEFT JOIN gridsvc.revision AS r ON r.change_set_id = c.id
            ORDER BY r.number
        """).fetchall()
    with psycopg.connect(url) as connection:
        versions = Versions.read(connection)
        newest = connection.execute("SELECT max(number) FROM gridsvc.revision").fetchone()
    published = [row for row in rows if row["number"]]
    assert newest == (len(published),)
    since = None
    for row in published:
        assert row["state"] == "published", row
        assert row["begun"] == row["begun_here"], row
        assert row["ended"] == row["ended_here"], row
        assert row["pieces"] == row["with_pieces"], row
        assert row["held"] == row["held_here"], row
        assert row["lost"] == 0, row
        assert versions.faults(row["number"], since=since) == []
        since = row["number"]
    assert all(row["state"] in ("open", "checked") for row in rows if not row["number"])
    return {row["name"] for row in published}


@pytest.fixture
def own_cluster(pytestconfig: pytest.Config) -> Iterator[Cluster]:
    """A server of this test's own, which it may kill."""
    try:
        installation()
    except PostgresMissing as missing:
        if pytestconfig.getoption("--require-db"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    # Not one of pytest's own folders: the next run of another pytest closes them to the server's
    # user while the server is starting.
    with TemporaryDirectory(prefix="gridsvc-") as folder:
        Path(folder).chmod(0o755)
        cluster = Cluster(Path(folder) / "home")
        yield cluster
        cluster.stop()
        shutil.rmtree(cluster.base)


def kill_server(cluster: Cluster) -> None:
    """Kill the server that the cluster's pid file names, and wait until it is gone."""
    pid = int((cluster.data / "postmaster.pid").read_text().split()[0])
    assert Path(f"/proc/{pid}/cwd").readlink() == cluster.data
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: cluster.status().state == "stopped", "the server is gone")


def test_a_killed_server_leaves_the_old_revision_or_the_new_whole(own_cluster: Cluster) -> None:
    url = own_cluster.start()
    engine = create_engine(url)
    migrate(engine)
    settle_small(engine, 18)
    names = iter([f"k{n}" for n in range(18)])

    # Half carried over: nothing of it is there afterwards.
    first = next(names)
    with (
        closing(psycopg.connect(url)) as holder,
        closing(psycopg.connect(url, autocommit=True)) as looker,
    ):
        holder.execute(HOLD["half of its areas carried over"])
        with ThreadPoolExecutor(1) as pool:
            publishing = pool.submit(attempt, url, first)
            wait_for(lambda: waiting_publisher(looker), "the publish waits half way")
            kill_server(own_cluster)
            assert publishing.result() is None
    assert own_cluster.start() == url
    assert whole(url) == {"founding"}

    # Wherever four publishers are: what was confirmed is there, and nothing in part.
    ready = threading.Semaphore(0)
    shares = [[next(names) for _ in range(4)] for _ in range(4)]

    def publish_all(share: list[str]) -> set[str]:
        confirmed = set()
        for name in share:
            if not attempt(url, name):
                break
            confirmed.add(name)
            ready.release()
        return confirmed

    with ThreadPoolExecutor(len(shares)) as pool:
        running = [pool.submit(publish_all, share) for share in shares]
        for _ in range(5):
            assert ready.acquire(timeout=PATIENCE_S)
        kill_server(own_cluster)
        told = set().union(*(one.result() for one in running))
    assert own_cluster.start() == url
    published = whole(url)
    assert told <= published
    assert len(published - told - {"founding"}) <= len(shares)  # only the word of it was lost

    # And the next publish goes on from there.
    left = next(names)
    assert attempt(url, left)
    assert whole(url) == published | {left}
    engine.dispose()


def attempt(url: str, name: str) -> bool | None:
    """Publish by SQL; whether it was confirmed, None where the server went away."""
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            row = connection.execute(
                "SELECT p.revision FROM gridsvc.change_set AS c,"
                " LATERAL gridsvc.publish(c.id, false, false) AS p WHERE c.name = %s",
                [name],
            ).fetchone()
    except psycopg.OperationalError:
        return None
    return bool(row and row[0])
