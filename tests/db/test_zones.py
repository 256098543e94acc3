"""A zone's grade follows its record; the latest signed letter counts."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from gridsvc.cli import app
from gridsvc.db import create_engine
from gridsvc.errors import ImportRefused, NoZones, RowsRefused, SchemeError
from gridsvc.grids.letters import read_letters, store_letters
from gridsvc.grids.scheme_store import current_scheme, load_scheme
from gridsvc.reports.models import Case, CaseEvent
from gridsvc.reports.zones import Zone, list_zones
from tests import small_city
from tests.db_fixtures import MakeDatabase
from tests.factories import make_scheme

SIGNED = hashlib.sha256(b"signed").hexdigest()


@pytest.fixture
def town(session: Session) -> Session:
    small_city.found(session)
    return session


def proved(
    session: Session, opened_at: datetime, *, state: str = "closed", zone: str = "A"
) -> None:
    """Add a case that was verified, opened at an instant."""
    case = Case(
        category="0101",
        areas={"shop_front": zone},
        opened_at=opened_at,
        state=state,
        state_since=opened_at,
        closed_at=opened_at if state == "closed" else None,
        last_event=1,
    )
    session.add(case)
    session.flush()
    session.add(
        CaseEvent(
            case_id=case.id,
            number=1,
            kind="verified",
            at=opened_at,
            actor="test",
            state="verified",
            details={},
        )
    )
    session.flush()


def zone(session: Session, at: datetime, code: str = "A") -> Zone:
    (found,) = (one for one in list_zones(session, at=at, limit=10).rows if one.code == code)
    return found


def test_a_grade_holds_up_to_its_bound(town: Session) -> None:
    now = datetime.now(UTC)
    grades = []
    for _ in range(3):
        found = zone(town, now)
        grades.append((found.substantiated, found.grade, found.inspect_every_days))
        proved(town, now - timedelta(days=1))
    assert grades == [(0, "A", 30), (1, "A", 30), (2, "B", 7)]
    assert zone(town, now, "B").substantiated == 0


def test_a_case_counts_for_the_window_and_no_microsecond_longer(town: Session) -> None:
    now = datetime.now(UTC)
    proved(town, now)
    last = now + timedelta(days=100) - timedelta(microseconds=1)
    assert zone(town, now).substantiated == 1
    assert zone(town, now - timedelta(microseconds=1)).substantiated == 0
    assert zone(town, last).substantiated == 1
    assert zone(town, last + timedelta(microseconds=1)).substantiated == 0


def test_what_is_not_verified_or_open_again_does_not_count(town: Session) -> None:
    now = datetime.now(UTC)
    proved(town, now, state="filed")
    assert zone(town, now).substantiated == 0
    proved(town, now, state="verified")
    assert zone(town, now).substantiated == 1


def test_without_the_rule_there_are_no_grades(town: Session, tmp_path: Path) -> None:
    load_scheme(town, make_scheme((small_city.ZONES, "")))
    with pytest.raises(NoZones):
        list_zones(town, at=datetime.now(UTC), limit=10)
    with pytest.raises(ImportRefused, match="no \\[zones\\]"):
        read_letters(town, tmp_path / "none.csv", current_scheme(town))


def test_zones_come_by_page(town: Session) -> None:
    first = list_zones(town, at=datetime.now(UTC), limit=1)
    assert [one.code for one in first.rows] == ["A"]
    second = list_zones(town, at=datetime.now(UTC), limit=1, after=first.after)
    assert ([one.code for one in second.rows], second.after) == (["B"], None)


# Letters


def letters(folder: Path, *rows: str) -> Path:
    file = folder / "letters.csv"
    header = "area_code,unit,signatory,signed_at,valid_from,valid_to,document_sha256"
    file.write_text("\n".join((f"{header},self_governing_group", *rows, "")))
    return file


def store(session: Session, file: Path) -> int:
    read = read_letters(session, file, current_scheme(session))
    return store_letters(session, read, layer="shop_front")


def test_the_latest_letter_in_force_counts(town: Session, tmp_path: Path) -> None:
    old, new = SIGNED, hashlib.sha256(b"new").hexdigest()
    file = letters(
        tmp_path,
        f"A,P1,P2,2026-02-01T10:00,,,{old},G1",
        f"A,P3,,2026-05-20,2026-06-01,2026-07-01,{new},",
    )
    assert store(town, file) == 2
    assert store(town, file) == 0  # told twice

    def unit(local: str) -> str | None:
        letter = zone(town, datetime.fromisoformat(f"{local}+08:00")).letter
        return letter and letter.unit

    assert unit("2026-02-01T09:59:59") is None
    assert unit("2026-02-01T10:00:00") == "P1"
    assert unit("2026-05-31T23:59:59") == "P1"
    assert unit("2026-06-01T00:00:00") == "P3"
    assert unit("2026-07-01T00:00:00") == "P1"
    letter = zone(town, datetime.fromisoformat("2026-03-01T00:00+08:00")).letter
    assert letter
    assert (letter.unit_name, letter.signatory) == ("张**", "P2")
    assert (letter.document_sha256, letter.self_governing_group) == (old, "G1")


def test_a_corrected_letter_is_not_dropped_in_silence(town: Session, tmp_path: Path) -> None:
    store(town, letters(tmp_path, f"A,P1,,2026-02-01,,,{SIGNED},"))
    ended = letters(tmp_path, f"A,P1,,2026-02-01,,2026-06-01,{SIGNED},")
    with pytest.raises(RowsRefused, match="A: this document is stored with other words"):
        store(town, ended)
    taken_over = letters(tmp_path, f"A,P1,,2026-02-01,2026-02-02,2026-06-01,{SIGNED},")
    assert store(town, taken_over) == 1


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (f"Z,P1,,2026-02-01,,,{SIGNED},", "line 2: no zone has the code 'Z'"),
        (f"A,P9,,2026-02-01,,,{SIGNED},", "unit: no party has the code 'P9'"),
        (f"A,,,2026-02-01,,,{SIGNED},", "unit: no party has the code ''"),
        (f"A,P1,P9,2026-02-01,,,{SIGNED},", "signatory: no party has the code 'P9'"),
        (f"A,P1,,,,,{SIGNED},", "signed_at is empty"),
        (f"A,P1,,soon,,,{SIGNED},", "signed_at 'soon' is no date"),
        (f"A,P1,,2026-02-01,,2026-02-01,{SIGNED},", "is not after valid_from"),
        (f"A,P1,,2026-02-01,,,{SIGNED[1:]},", "document_sha256 is not 64 hexadecimal digits"),
    ],
)
def test_a_wrong_letter_is_refused_with_its_line(
    town: Session, tmp_path: Path, row: str, fault: str
) -> None:
    with pytest.raises(RowsRefused) as caught:
        store(town, letters(tmp_path, row))
    assert fault in str(caught.value)


@pytest.fixture
def own(make_database: MakeDatabase) -> Iterator[Engine]:
    engine = create_engine(make_database())
    with Session(engine) as session, session.begin():
        small_city.found(session)
        proved(session, datetime.now(UTC) - timedelta(hours=1))
    yield engine
    engine.dispose()


def test_the_commands(own: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = own.url.set(drivername="postgresql").render_as_string(hide_password=False)
    monkeypatch.setenv("GRIDSVC_DATABASE_URL", url)
    file = str(letters(tmp_path, f"A,P1,P2,2026-02-01,,,{SIGNED},G1"))
    run = CliRunner().invoke
    dry = run(app, ["zones", "letters", file])
    assert "new: 1" in dry.output
    assert "Store them with --store" in dry.output
    assert "no letter" in run(app, ["zones", "grades"]).stdout
    assert '"added": 1' in run(app, ["zones", "letters", file, "--store", "--json"]).stdout
    shown = run(app, ["zones", "grades"])
    assert "张**" in shown.stdout
    assert "30 days" in shown.stdout
    assert '"substantiated": 1' in run(app, ["zones", "grades", "--json"]).stdout


# The scheme


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('layer = "shop_front"', 'layer = "shop_frnt"', "Did you mean 'shop_front'?"),
        ("at_most = 1\n", "", "do not rise"),
        ("inspect_every_days = 7", "at_most = 3\ninspect_every_days = 7", "would have no grade"),
        ('code = "B"', 'code = "A"', "two grades have one code"),
    ],
)
def test_wrong_rules_are_refused(old: str, new: str, fault: str) -> None:
    with pytest.raises(SchemeError) as caught:
        make_scheme((old, new))
    assert fault in str(caught.value)
