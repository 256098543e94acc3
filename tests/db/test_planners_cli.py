"""`gridsvc planner`: logins with least rights, whose passwords are written nowhere."""

import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from click.testing import Result
from sqlalchemy import make_url
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from gridsvc.cli import app
from gridsvc.db import create_engine
from tests import planning_city
from tests.db_fixtures import CLUSTER_HOME, MakeDatabase

Cli = Callable[..., Result]
STREET = planning_city.STREETS[0]


@pytest.fixture(scope="module")
def town(make_database: MakeDatabase) -> str:
    url = make_database()
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        planning_city.found(session)
    engine.dispose()
    return url


@pytest.fixture
def name(town: str) -> Iterator[str]:
    """A login's name that no other test has; logins belong to the whole server."""
    name = f"li_{secrets.token_hex(4)}"
    yield name
    with psycopg.connect(town, autocommit=True) as owner:
        owner.execute(f'DROP ROLE IF EXISTS "{name}"')


@pytest.fixture
def cli(town: str) -> Cli:
    def run(*args: str, stdin: str | None = None) -> Result:
        env = {"GRIDSVC_DATABASE_URL": town, "COLUMNS": "200"}
        return CliRunner().invoke(app, ["planner", *args], env=env, input=stdin)

    return run


def connect(town: str, login: str, password: str) -> psycopg.Connection[tuple[object, ...]]:
    url = make_url(town).set(username=login, password=password)
    return psycopg.connect(
        url.set(drivername="postgresql").render_as_string(hide_password=False), autocommit=True
    )


def test_a_planner_is_added_with_a_password_from_standard_input(
    cli: Cli, town: str, name: str
) -> None:
    made = cli("add", name, "--streets", STREET, "--password-stdin", stdin="first-secret\n")
    assert made.exit_code == 0, made.output
    assert f"{name} is now a login: edits in street {STREET}" in made.stdout
    assert "gridsvc qgis package DIR" in made.stdout
    with connect(town, name, "first-secret") as login:
        assert login.execute("SELECT count(*) FROM edit.unit").fetchone() == (40,)
    told = json.loads(cli("list", "--json").stdout)
    assert {
        "login": name,
        "role": "planner",
        "ground": [{"layer": "street", "code": STREET}],
        "publishes": False,
    } in told


def test_added_again_its_rights_change_and_its_password_stays(
    cli: Cli, town: str, name: str
) -> None:
    cli("add", name, "--streets", STREET, "--password-stdin", stdin="first-secret\n")
    again = cli("add", name, "--viewer")
    assert again.exit_code == 0, again.output
    assert f"{name} is still a login: looks" in again.stdout
    with (
        connect(town, name, "first-secret") as login,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        login.execute("INSERT INTO edit.change_set (name) VALUES ('x')")
    changed = cli("add", name, "--chief", "--password-stdin", stdin="second-secret\n")
    assert changed.exit_code == 0, changed.output
    with pytest.raises(psycopg.OperationalError):
        connect(town, name, "first-secret")
    connect(town, name, "second-secret").close()


def test_a_removed_login_is_gone(cli: Cli, town: str, name: str) -> None:
    cli("add", name, "--chief", "--password-stdin", stdin="secret\n")
    with connect(town, name, "secret") as login:
        login.execute("INSERT INTO edit.change_set (name) VALUES (%s)", [name])
    assert cli("remove", name).exit_code == 0
    with pytest.raises(psycopg.OperationalError):
        connect(town, name, "secret")
    with psycopg.connect(town) as owner:
        kept = owner.execute("SELECT author FROM gridsvc.change_set WHERE name = %s", [name])
        assert kept.fetchone() == (name,)


def test_no_log_holds_the_password(cli: Cli, town: str, name: str) -> None:
    """Even where the server is told to log each statement."""
    log = next(iter(sorted(CLUSTER_HOME.glob("postgres/data/server.log"))), None)
    if log is None:
        pytest.skip("the server is not the tests' own, so its log cannot be read")
    database = make_url(town).database
    secret = f"pass{secrets.token_hex(8)}"
    with psycopg.connect(town, autocommit=True) as owner:
        owner.execute(f"ALTER DATABASE \"{database}\" SET log_statement = 'all'")
    offset = Path(log).stat().st_size
    made = cli("add", name, "--chief", "--password-stdin", stdin=f"{secret}\n")
    with psycopg.connect(town, autocommit=True) as owner:
        owner.execute(f'ALTER DATABASE "{database}" RESET log_statement')
    assert made.exit_code == 0, made.output
    said = Path(log).read_bytes()[offset:].decode(errors="replace")
    assert f'ALTER ROLE "{name}" PASSWORD \'SCRAM-SHA-256$' in said
    assert secret not in said
    assert secret not in made.output


@pytest.mark.parametrize(
    ("args", "stdin", "said"),
    [
        (("--streets", "110109"), "x\n", "No area of a tiling layer has the code 110109"),
        (("--streets", f"unit:{STREET}"), "x\n", "No area of a tiling layer has the code unit:"),
        (("--chief",), "\n", "Standard input holds no password"),
    ],
)
def test_what_cannot_be_is_refused(
    *, cli: Cli, town: str, name: str, args: tuple[str, ...], stdin: str, said: str
) -> None:
    refused = cli("add", name, *args, "--password-stdin", stdin=stdin)
    assert refused.exit_code == 1
    assert said in refused.stderr
    with psycopg.connect(town) as owner:
        found = owner.execute("SELECT FROM pg_roles WHERE rolname = %s", [name]).fetchone()
    assert found is None


def test_without_a_terminal_the_way_to_give_a_password_is_named(cli: Cli, name: str) -> None:
    refused = cli("add", name, "--chief")
    assert refused.exit_code == 1
    assert "--password-stdin" in refused.stderr


def test_another_login_is_not_taken_over(cli: Cli, town: str) -> None:
    owner = make_url(town).username
    assert owner
    for login in (owner, "gridsvc_service"):
        refused = cli("add", login, "--chief", "--password-stdin", stdin="x\n")
        assert refused.exit_code == 1
        assert "not a planner's" in refused.stderr
    removed = cli("remove", owner)
    assert removed.exit_code == 1
    assert f"There is no planner '{owner}'" in removed.stderr


@pytest.mark.parametrize(
    "args",
    [("li",), ("li", "--chief", "--viewer"), ("li", "--chief", "--publishes"),
     ("li", "--streets", " ,")],
)  # fmt: skip
def test_wrong_use_is_2(cli: Cli, args: tuple[str, ...]) -> None:
    assert cli("add", *args).exit_code == 2
