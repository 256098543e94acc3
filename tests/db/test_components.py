"""A component is its owner's: the nearest one's, where that is clear; else a tier's."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from gridsvc.db import create_engine
from gridsvc.errors import ChangeSetConflict, SchemeChangeRefused
from gridsvc.grids.changesets import publish, rollback, withdraw
from gridsvc.grids.scheme_store import load_scheme
from gridsvc.reports.case_log import replay
from gridsvc.reports.case_records import CaseSummary, read_case, read_log, standing_of
from gridsvc.reports.cases import Act, act
from gridsvc.reports.intake import Draft, file_report
from gridsvc.reports.models import Case
from gridsvc.reports.terms import Channel, EventKind
from gridsvc.routing.bulk import locate_file
from gridsvc.routing.router import Question, answer_many
from tests.db_fixtures import MakeDatabase
from tests.factories import (
    EAST_M,
    NORTH_M,
    STORAGE,
    appoint,
    ask,
    box,
    found,
    make_scheme,
    new_change_set,
    propose_component,
    propose_party,
    register,
)

RULES = """
[[tier]]
code = "ownership_unclear"
title = { zh = "权属不清", en = "Ownership unclear" }
duty = "management"
layer = "street"

[[component]]
category = "C01"
within_m = 15
apart_m = 3
"""
SCHEME = make_scheme(extra=RULES)
COVER, DRAIN, LAMP = "C0101", "C0104", "C0201"
AREAS = {
    ("district", "D"): box(0, 0, 200, 100),
    ("street", "S1"): box(0, 0, 100, 100),
    ("street", "S2"): box(100, 0, 200, 100),
    ("courtyard", "C"): box(10, 10, 40, 40),
}
HOLDERS = (
    {"party": "CHIEF", "layer": "courtyard", "area": "C"},
    {"party": "DISTRICT", "layer": "district", "area": "D"},
    {"party": "OFFICE", "layer": "street", "area": "S1", "duty": "management"},
)


def prepare(session: Session) -> None:
    found(session, AREAS, scheme=SCHEME)
    appoint(session, *HOLDERS)
    change_set = new_change_set(session, "owners")
    for owner in ("WATER", "POWER"):
        propose_party(session, change_set, owner, kind="body", name=f"{owner} works")
    publish(session, change_set)


@pytest.fixture
def town(session: Session) -> Session:
    prepare(session)
    return session


def at_yard(session: Session, category: str | None = COVER, **asked: object) -> dict[str, Any]:
    """Ask in the middle of the courtyard, where a component at (20 + d, 20) is d metres away."""
    return ask(session, east_m=20, north_m=20, category=category, **asked)


def party(told: dict[str, Any]) -> str:
    code: str = told["responsible"]["party"]["code"]
    return code


def cover(code: str, owner: str | None, away_m: float, **more: object) -> dict[str, Any]:
    return {"code": code, "owner": owner, "east_m": 20 + away_m, "north_m": 20} | more


# Whose it is


def test_the_owner_of_the_nearest_answers(town: Session) -> None:
    register(town, cover("W1", "WATER", 3.2), cover("P1", "POWER", 9))
    told = at_yard(town)
    assert told["component"] == {
        "code": "W1",
        "category": COVER,
        "distance_m": 3.2,
        "owner": told["responsible"]["party"],
    }
    assert (told["candidates"], told["tier"], told["ambiguous"]) == ([], None, False)
    assert told["responsible"]["role"] == "component_owner"
    assert told["responsible"]["area"]["code"] == "C"
    assert told["responsible"]["reason"] == "owner of the nearest Water manhole cover, 3.2 m away"
    assert party(told) == "WATER"
    # The other duties are the ladders', as ever.
    assert told["management"]["party"]["code"] == "OFFICE"


def test_two_near_of_one_owner_are_clear(town: Session) -> None:
    register(town, cover("W2", "WATER", 4), cover("W1", "WATER", 5))
    told = at_yard(town)
    assert (party(told), told["component"]["code"]) == ("WATER", "W2")


def test_two_owners_near_leave_it_to_the_tier(town: Session) -> None:
    register(town, cover("P1", "POWER", 6.999), cover("W1", "WATER", 4))
    told = at_yard(town)
    assert told["component"] is None
    near = [(it["code"], it["distance_m"], it["owner"]["code"]) for it in told["candidates"]]
    assert near == [("W1", 4, "WATER"), ("P1", 6.999, "POWER")]
    assert (told["tier"], told["ambiguous"]) == ("ownership_unclear", True)
    assert (party(told), told["responsible"]["area"]["code"]) == ("OFFICE", "S1")
    assert told["responsible"]["reason"] == (
        "ownership unclear: the nearest ones belong to several owners"
    )


def test_another_owner_exactly_apart_m_farther_is_out_of_it(town: Session) -> None:
    register(town, cover("W1", "WATER", 4), cover("P1", "POWER", 7))
    assert party(at_yard(town)) == "WATER"


def test_another_owner_in_between_is_seen_behind_one_of_the_same(town: Session) -> None:
    register(town, cover("W1", "WATER", 4), cover("W2", "WATER", 5), cover("P1", "POWER", -6))
    assert at_yard(town)["tier"] == "ownership_unclear"


def test_equally_near_ones_of_one_owner_go_to_the_lowest_code(town: Session) -> None:
    register(town, cover("b", "WATER", 4), cover("B", "WATER", -4))
    assert at_yard(town)["component"]["code"] == "B"


def test_with_none_near_the_tier_answers(town: Session) -> None:
    told = at_yard(town)
    assert (told["component"], told["candidates"]) == (None, [])
    assert (told["tier"], party(told)) == ("ownership_unclear", "OFFICE")
    assert told["responsible"]["reason"] == (
        "ownership unclear: no Water manhole cover within 15 m"
    )


def test_where_nobody_takes_the_tier_the_ladder_answers(town: Session) -> None:
    told = ask(town, east_m=150, north_m=50, category=COVER)
    assert (told["tier"], party(told)) == ("ownership_unclear", "DISTRICT")
    assert told["responsible"]["reason"].startswith("ownership unclear: no Water manhole cover")


@pytest.mark.parametrize(("away_m", "owner"), [(15, "WATER"), (15.001, "OFFICE")])
def test_the_distance_itself_is_near(town: Session, away_m: float, owner: str) -> None:
    register(town, cover("W1", "WATER", away_m))
    assert party(at_yard(town)) == owner


def test_last_bits_are_no_distance(town: Session) -> None:
    register(
        town,
        *({"code": f"K{n}", "owner": "WATER", "east_m": n * 0.1, "north_m": 90} for n in range(60)),
    )
    counts = [
        town.execute(
            text("""
                SELECT count(*) FROM gridsvc.components_near(
                    ST_SetSRID(ST_MakePoint(:x, :y), 4547), 'C0101', :away,
                    (SELECT max(number) FROM gridsvc.revision), now())
            """),
            {"x": EAST_M, "y": NORTH_M + 90, "away": round(n * 0.1, 1)},
        ).scalar_one()
        for n in range(1, 60)
    ]
    assert counts == list(range(2, 61))


def test_a_component_answers_across_an_edge(town: Session) -> None:
    register(town, {"code": "W1", "owner": "WATER", "east_m": 105, "north_m": 50})
    assert party(ask(town, east_m=98, north_m=50, category=COVER)) == "WATER"


def test_an_accuracy_gives_no_alternatives_of_areas(town: Session) -> None:
    register(town, cover("W1", "WATER", 1))
    told = at_yard(town, accuracy_m=50)
    assert (told["alternatives"], told["probability"]) == ([], None)
    assert at_yard(town, category="0101", accuracy_m=50)["alternatives"]


def test_a_vacant_ladder_is_no_matter_where_an_owner_answers(session: Session) -> None:
    found(session, AREAS, scheme=SCHEME)
    change_set = new_change_set(session, "owner")
    propose_party(session, change_set, "WATER")
    propose_component(session, change_set, **cover("W1", "WATER", 1))
    publish(session, change_set)
    told = at_yard(session)
    assert party(told) == "WATER"
    assert told["vacant"] == ["management", "enforcement", "supervisor"]
    # Without it nobody is left: neither the tier nor the ladder.
    told = ask(session, east_m=150, north_m=50, category=COVER)
    assert (told["responsible"], "responsible" in told["vacant"]) == (None, True)


# Which are asked


def test_a_component_of_another_category_is_not_asked(town: Session) -> None:
    register(town, cover("D1", "WATER", 1, category=DRAIN))
    assert party(at_yard(town, COVER)) == "OFFICE"
    assert party(at_yard(town, DRAIN)) == "WATER"


def test_the_longest_prefix_rules(town: Session) -> None:
    more = '\n[[component]]\ncategory = "C0104"\nwithin_m = 2\n'
    load_scheme(town, make_scheme(extra=RULES + more))
    register(town, cover("D1", "WATER", 3, category=DRAIN), cover("W1", "WATER", 3))
    assert party(at_yard(town, DRAIN)) == "OFFICE"
    assert party(at_yard(town, COVER)) == "WATER"


@pytest.mark.parametrize("category", [None, "0101", LAMP])
def test_questions_without_a_rule_are_answered_by_the_ladder(
    town: Session, category: str | None
) -> None:
    register(town, cover("L1", "POWER", 1, category=LAMP))
    told = at_yard(town, category)
    assert (told["component"], told["candidates"], told["tier"]) == (None, [], None)
    assert (party(told), told["responsible"]["reason"]) == ("CHIEF", "courtyard covers the point")


def test_without_the_rule_the_ladder_answers(town: Session) -> None:
    register(town, cover("W1", "WATER", 1))
    assert party(at_yard(town)) == "WATER"
    load_scheme(town, make_scheme())
    assert party(at_yard(town)) == "CHIEF"


def test_a_component_answers_from_its_first_instant_to_before_its_last(town: Session) -> None:
    begins, ends = datetime(2030, 5, 1, tzinfo=UTC), datetime(2031, 5, 1, tzinfo=UTC)
    register(town, cover("W1", "WATER", 1, valid_from=begins, valid_to=ends))
    tick = timedelta(microseconds=1)
    answered = [party(at_yard(town, at=at)) for at in (begins - tick, begins, ends - tick, ends)]
    assert answered == ["OFFICE", "WATER", "WATER", "OFFICE"]


# Change sets


def component_of(session: Session, code: str) -> int:
    found_id: int = session.execute(
        text("SELECT id FROM gridsvc.component WHERE code = :code AND rev_to IS NULL"),
        {"code": code},
    ).scalar_one()
    return found_id


def owner_at(session: Session, revision: int) -> str | None:
    """Give the owner that an earlier revision knew; a test's revisions share one instant."""
    owner: str | None = session.execute(
        text("""
            SELECT (SELECT n.owner FROM gridsvc.components_near(
                ST_SetSRID(ST_MakePoint(:x, :y), 4547), 'C0101', 15, r.number, now()) AS n)
            FROM gridsvc.revision AS r WHERE r.number = :revision
        """),
        {"x": EAST_M + 20, "y": NORTH_M + 20, "revision": revision},
    ).scalar_one()
    return owner


def test_an_earlier_revision_keeps_its_owner(town: Session) -> None:
    first = register(town, cover("W1", "WATER", 1))
    second = register(town, cover("W1", "POWER", 1, replaces=component_of(town, "W1")), name="sold")
    third = register(town, cover("W1", None, 1, replaces=component_of(town, "W1")), name="gone")
    assert [owner_at(town, n) for n in (first - 1, first, second, third)] == [
        None,
        "WATER",
        "POWER",
        None,
    ]
    assert party(at_yard(town)) == "OFFICE"
    rollback(town, first)
    assert party(at_yard(town)) == "WATER"


def test_a_proposed_component_holds_once_it_is_published(town: Session) -> None:
    change_set = new_change_set(town)
    propose_component(town, change_set, **cover("W1", "WATER", 1))
    assert party(at_yard(town)) == "OFFICE"
    publish(town, change_set)
    assert party(at_yard(town)) == "WATER"


def test_a_withdrawn_component_never_was(town: Session) -> None:
    change_set = new_change_set(town)
    propose_component(town, change_set, **cover("W1", "WATER", 1))
    withdraw(town, change_set)
    assert party(at_yard(town)) == "OFFICE"


@pytest.mark.parametrize("replaces", [True, False])
def test_of_two_changes_of_one_component_the_second_conflicts(
    town: Session, *, replaces: bool
) -> None:
    register(town, cover("W1", "WATER", 1))
    slow = new_change_set(town, "slow")
    old = component_of(town, "W1") if replaces else None
    propose_component(town, slow, **cover("W1", "POWER", 2, replaces=old))
    if replaces:
        register(town, cover("W1", "WATER", 3, replaces=old), name="quick")
    with pytest.raises(ChangeSetConflict) as refused:
        publish(town, slow)
    assert "component W1" in str(refused.value)


# Cases


HARD = (
    RULES
    + """
[[tier]]
code = "hard"
title = { zh = "疑难", en = "Hard" }
duty = "responsibility"
layer = "district"
"""
)


def open_case(session: Session) -> int:
    draft = Draft(
        x=EAST_M + 20, y=NORTH_M + 20, crs=STORAGE, channel=Channel.HOTLINE, category=COVER
    )
    filed = file_report(session, draft, idempotency_key=str(uuid.uuid4()), caller="desk")
    assert filed.case
    return filed.case.id


def do(session: Session, case_id: int, kind: EventKind) -> CaseSummary:
    return act(session, case_id, Act(kind=kind, actor="desk", reason="why"))


def test_a_case_carries_the_tier_of_its_answer(town: Session) -> None:
    assert read_case(town, open_case(town)).case.tier == "ownership_unclear"
    register(town, cover("W1", "WATER", 1))
    case_id = open_case(town)
    assert read_case(town, case_id).case.tier is None
    assert do(town, case_id, EventKind.DISPATCHED).holder == "WATER"
    rows = town.query(Case)
    assert all(standing_of(row) == replay(read_log(town, row.id)) for row in rows)


@pytest.mark.parametrize(("rules", "holder"), [(HARD, "DISTRICT"), (RULES, "OFFICE")])
def test_a_hard_case_goes_to_the_tier_of_hard_ones(town: Session, rules: str, holder: str) -> None:
    load_scheme(town, make_scheme(extra=rules))
    waiting, sent = open_case(town), open_case(town)
    assert do(town, sent, EventKind.DISPATCHED).holder == "OFFICE"
    told = do(town, sent, EventKind.DECLARED_HARD)
    assert (told.tier, told.state, told.holder) == ("hard", "dispatched", holder)
    assert do(town, waiting, EventKind.DECLARED_HARD).holder is None
    assert do(town, waiting, EventKind.DISPATCHED).holder == holder
    rows = town.query(Case)
    assert all(standing_of(row) == replay(read_log(town, row.id)) for row in rows)


def test_components_keep_the_storage_crs(session: Session) -> None:
    load_scheme(session, SCHEME)
    propose_component(session, new_change_set(session), **cover("W1", "WATER", 1))
    with pytest.raises(SchemeChangeRefused, match="Components are stored or drafted"):
        load_scheme(session, make_scheme(('"EPSG:4547"\n', '"EPSG:4548"\n')))


# In bulk


def test_bulk_answers_are_those_of_single_questions(
    make_database: MakeDatabase, tmp_path: Path
) -> None:
    rng = np.random.default_rng(11)
    engine = create_engine(make_database())
    owners = ("WATER", "POWER", "CHIEF")
    moved_at = datetime(2030, 6, 1, tzinfo=UTC)
    with Session(engine) as session, session.begin():
        prepare(session)
        change_set = new_change_set(session, "many")
        places = rng.integers(-5, 205, (120, 2))
        for n, (east, north) in enumerate(places):
            propose_component(
                session,
                change_set,
                f"K{rng.permutation(1000)[0]:03}-{n}",
                owners[rng.integers(3)],
                east_m=float(east),
                north_m=float(north) / 2,
                category=(COVER, DRAIN, LAMP)[rng.integers(3)],
                valid_from=datetime(2026, 1, 1, tzinfo=UTC),
                valid_to=moved_at if n % 5 == 0 else None,
            )
        publish(session, change_set)
    # On whole metres many are equally near, or exactly on within_m (9, 12, 15) and apart_m.
    points = np.vstack(
        [
            rng.uniform((0, 0), (200, 100), (300, 2)),
            rng.integers((0, 0), (200, 100), (500, 2)),
            places[:60] * (1, 0.5) + (9, 12),
            places[:60] * (1, 0.5) + (15, 0),
        ]
    )
    ticks = [moved_at + timedelta(microseconds=step) for step in (-1, 0)]
    rows = [
        {
            "lon": EAST_M + float(x),
            "lat": NORTH_M + float(y),
            "category": (COVER, DRAIN, LAMP, "0101", "")[rng.integers(5)],
            "at": ticks[rng.integers(2)],
        }
        for x, y in points
    ]
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    pq.write_table(pa.Table.from_pylist(rows), source)
    locate_file(
        engine, source, target, lon="lon", lat="lat", crs=STORAGE, category="category", at="at"
    )
    question = Question(x=0, y=0, crs=STORAGE)
    with Session(engine) as session:
        _, expected = answer_many(
            session,
            [
                replace(
                    question,
                    x=row["lon"],
                    y=row["lat"],
                    at=row["at"],
                    category=row["category"] or None,
                )
                for row in rows
            ],
        )
    engine.dispose()
    told = [one for one in expected if isinstance(one, dict)]
    kinds = {(one["tier"], bool(one["candidates"]), one["component"] is None) for one in told}
    assert len(kinds) == 4, kinds  # the ladder's, clear, unclear, none near
    for got, wanted in zip(pq.read_table(target).to_pylist(), expected, strict=True):
        if isinstance(wanted, dict):
            code = wanted["responsible"]["party"]["code"]
            assert got["responsible"] == code, (got, wanted)
            assert got["edge_m"] == pytest.approx(wanted["edge"]["distance_m"], abs=1e-3)
    assert len(told) > 700
