"""Who answers, and why: ladders, hours, categories, times, edges, alternatives and masks."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import shapely
from sqlalchemy import text
from sqlalchemy.orm import Session

from gridsvc.api.responsible import Answer
from gridsvc.crs import to_wgs84
from gridsvc.errors import (
    BadCoordinates,
    BeforeFirstRevision,
    GridsvcError,
    NothingPublished,
    OutsideServiceArea,
    SwappedCoordinates,
    UnknownCategory,
)
from gridsvc.grids.changesets import latest_revision, publish
from gridsvc.grids.scheme_store import load_scheme
from gridsvc.routing.router import Question, answer, answer_many
from tests import small_city
from tests.factories import (
    EAST_M,
    FOUNDED_AT,
    NORTH_M,
    STORAGE,
    appoint,
    ask,
    box,
    found,
    live_area,
    make_scheme,
    new_change_set,
    propose_area,
    propose_holder,
    propose_party,
)

BEIJING = ZoneInfo("Asia/Shanghai")
NOON = datetime(2026, 3, 4, 12, tzinfo=BEIJING)  # a Wednesday

AREAS = {
    ("district", "D"): box(0, 0, 400, 100),
    ("street", "S1"): box(0, 0, 200, 100),
    ("street", "S2"): box(200, 0, 400, 100),
    ("courtyard", "Y"): box(20, 20, 80, 80),
    ("courtyard", "X"): box(60, 20, 120, 80),
    ("shop_front", "F"): box(100, 0, 110, 100),
}
IN_YARD = {"east_m": 40.0, "north_m": 50.0}
IN_BOTH_YARDS = {"east_m": 70.0, "north_m": 50.0}
IN_S1 = {"east_m": 150.0, "north_m": 50.0}
IN_S2 = {"east_m": 300.0, "north_m": 50.0}


@pytest.fixture
def town(session: Session) -> Session:
    found(session, AREAS)
    return session


def party(duty: dict[str, Any] | None) -> str | None:
    return duty and duty["party"]["code"]


def responsible(session: Session, **asked: object) -> str | None:
    return party(ask(session, **asked)["responsible"])


# Ladders


def test_the_innermost_rung_with_a_holder_answers(town: Session) -> None:
    appoint(
        town,
        {"party": "yard", "layer": "courtyard", "area": "Y"},
        {"party": "street", "layer": "street", "area": "S1"},
        {"party": "city", "layer": "district", "area": "D"},
    )
    yard = ask(town, **IN_YARD)["responsible"]
    assert (party(yard), yard["area"]["code"]) == ("yard", "Y")
    assert yard["reason"] == "courtyard covers the point"
    street = ask(town, **IN_S1)["responsible"]
    assert (party(street), street["reason"]) == ("street", "street covers the point")


def test_a_rung_without_a_holder_is_passed_and_named(town: Session) -> None:
    appoint(town, {"party": "city", "layer": "district", "area": "D"})
    given = ask(town, **IN_BOTH_YARDS)["responsible"]
    assert party(given) == "city"
    assert given["reason"] == (
        "locality (属地兜底): district is the last rung; "
        "nobody is on duty for responsibility at courtyard X, courtyard Y, street S1"
    )


def test_each_of_two_overlapping_yards_is_asked_the_lowest_code_first(town: Session) -> None:
    appoint(town, {"party": "y", "layer": "courtyard", "area": "Y"})
    assert responsible(town, **IN_BOTH_YARDS) == "y"
    appoint(town, {"party": "x", "layer": "courtyard", "area": "X"})
    assert responsible(town, **IN_BOTH_YARDS) == "x"


@pytest.mark.parametrize(
    ("duty", "key", "layer", "area"),
    [
        ("responsibility", "responsible", "courtyard", "Y"),
        ("management", "management", "street", "S1"),
        ("supervision", "supervisor", "district", "D"),
    ],
)
def test_each_duty_has_its_own_ladder(
    town: Session, duty: str, key: str, layer: str, area: str
) -> None:
    appoint(town, {"party": "P", "layer": layer, "area": area, "duty": duty})
    given = ask(town, **IN_YARD)
    assert party(given[key]) == "P"
    others = {"responsible", "management", "enforcement", "supervisor"} - {key}
    assert set(given["vacant"]) == others
    assert all(given[other] is None for other in others)


def test_enforcement_is_a_pair_of_one_area(town: Session) -> None:
    here: dict[str, Any] = {"layer": "street", "area": "S1", "duty": "enforcement"}
    appoint(
        town,
        here | {"party": "lead"},
        here | {"party": "aide", "rank": 2, "hours": "mon-fri 09:00-18:00"},
        here | {"party": "other", "layer": "district", "area": "D", "rank": 2},
    )
    pair = ask(town, **IN_S1, at=NOON)["enforcement"]
    assert (party(pair["lead"]), party(pair["assistant"])) == ("lead", "aide")
    assert ask(town, **IN_S1, at=NOON + timedelta(hours=8))["enforcement"]["assistant"] is None


def test_a_point_without_any_holder_says_so_and_still_names_its_edge(town: Session) -> None:
    given = ask(town, **IN_YARD)
    assert given["vacant"] == ["responsible", "management", "enforcement", "supervisor"]
    assert given["edge"]["of"]["code"] == "Y"


def test_a_point_that_no_rung_covers_has_no_edge(session: Session) -> None:
    apart = make_scheme(
        ('["courtyard", "shop_front", "street", "district"]', '["street", "district"]'),
        ('kind = "overlay"\nfindings', 'kind = "tiling"\nfindings'),
    )
    areas = {("district", "D"): box(0, 0, 400, 100), ("courtyard", "Z"): box(350, 0, 600, 100)}
    found(session, areas, scheme=apart)
    given = ask(session, east_m=550, north_m=50, accuracy_m=20)
    assert set(given["areas"]) == {"courtyard"}
    assert given["vacant"] == ["responsible", "management", "enforcement", "supervisor"]
    assert given["edge"] == {"distance_m": None, "of": None, "across": None}
    Answer.model_validate(given)


# Categories


CATEGORY_LADDER = """
[[ladder]]
duty = "responsibility"
category = "02"
layers = ["street", "district"]

[[ladder]]
duty = "responsibility"
category = "0202"
layers = ["district"]
"""


def test_the_ladder_of_the_longest_matching_category_is_climbed(session: Session) -> None:
    found(session, AREAS, scheme=make_scheme(extra=CATEGORY_LADDER))
    appoint(
        session,
        {"party": "yard", "layer": "courtyard", "area": "Y"},
        {"party": "street", "layer": "street", "area": "S1"},
        {"party": "city", "layer": "district", "area": "D"},
    )
    by_category = {None: "yard", "0101": "yard", "02": "street", "0201": "street", "0202": "city"}
    for category, expected in by_category.items():
        assert responsible(session, **IN_YARD, category=category) == expected, category


def test_the_specialist_of_the_longest_prefix_goes_before_the_general_holder(
    town: Session,
) -> None:
    here = {"layer": "street", "area": "S1"}
    appoint(
        town,
        here | {"party": "all"},
        here | {"party": "dirt", "category": "01"},
        here | {"party": "rubbish", "category": "0101"},
    )
    by_category = {None: "all", "0201": "all", "0102": "dirt", "0101": "rubbish", "01": "dirt"}
    for category, expected in by_category.items():
        assert responsible(town, **IN_S1, category=category) == expected, category
    reason = ask(town, **IN_S1, category="0101")["responsible"]["reason"]
    assert reason == "street covers the point, specialist for category 0101"


@pytest.mark.parametrize("category", ["9999", "", "0101x", "01\x00"])
def test_a_category_that_the_scheme_lacks_is_refused(town: Session, category: str) -> None:
    with pytest.raises(UnknownCategory):
        ask(town, **IN_S1, category=category)


def test_a_category_close_to_one_is_suggested(town: Session) -> None:
    with pytest.raises(UnknownCategory, match="Did you mean 010"):
        ask(town, **IN_S1, category="01011")


# Hours of the week


def week(day: int, clock: str, zone: ZoneInfo = BEIJING) -> datetime:
    """Name an instant of the week of Monday 2 March 2026; day 0 is Monday."""
    hour, minute, second = (float(part) for part in (clock + ":00")[:15].split(":")[:3])
    start = datetime(2026, 3, 2, int(hour), int(minute), tzinfo=zone)
    return start + timedelta(days=day, seconds=second)


@pytest.mark.parametrize(
    ("hours", "inside", "outside"),
    [
        ("mon-fri 09:00-18:00", [(0, "09:00"), (4, "17:59:59")], [(0, "08:59:59"), (4, "18:00")]),
        ("sat 09:00-12:00", [(5, "11:59")], [(6, "10:00")]),
        ("mon 22:00-06:00", [(0, "23:00"), (1, "05:59:59")], [(0, "05:00"), (1, "06:00")]),
        ("sun 22:00-06:00", [(6, "23:59:59"), (0, "00:00")], [(0, "06:00"), (6, "21:59:59")]),
        ("mon-sun 20:00-08:00", [(6, "00:00"), (2, "20:00")], [(3, "08:00"), (3, "19:59:59")]),
    ],
)
def test_hours_of_the_week(
    town: Session, hours: str, inside: list[tuple[int, str]], outside: list[tuple[int, str]]
) -> None:
    appoint(town, {"party": "P", "layer": "street", "area": "S1", "hours": hours})
    assert [responsible(town, **IN_S1, at=week(*when)) for when in inside] == ["P"] * len(inside)
    assert [responsible(town, **IN_S1, at=week(*when)) for when in outside] == [None] * len(outside)


def test_two_shifts_share_a_week(town: Session) -> None:
    here = {"layer": "street", "area": "S1"}
    appoint(
        town,
        here | {"party": "day", "hours": "mon-sun 08:00-20:00"},
        here | {"party": "night", "hours": "mon-sun 20:00-08:00"},
    )
    changes = ["07:59:59.999999", "08:00", "19:59:59.999999", "20:00"]
    on_duty = [responsible(town, **IN_S1, at=week(2, clock)) for clock in changes]
    assert on_duty == ["night", "day", "day", "night"]


def test_hours_are_the_citys_own_through_the_change_of_clocks(session: Session) -> None:
    boston = ("Asia/Shanghai", "America/New_York")
    found(session, AREAS, scheme=make_scheme(boston))
    appoint(
        session,
        {"party": "P", "layer": "street", "area": "S1", "hours": "mon-sun 09:00-17:00"},
    )
    # Clocks go forward on 8 March 2026: nine in the morning is 14:00 UTC before, 13:00 after.
    for day, hour, held in ((7, 13, None), (7, 14, "P"), (9, 12, None), (9, 13, "P")):
        at = datetime(2026, 3, day, hour, tzinfo=UTC)
        assert responsible(session, **IN_S1, at=at) == held, at
    assert ask(session, **IN_S1, at=datetime(2026, 7, 1, tzinfo=UTC))["at"].endswith("-04:00")


# Times


def test_a_hand_over_happens_at_its_instant(town: Session) -> None:
    nine = datetime(2026, 5, 1, 9, tzinfo=BEIJING)
    here = {"layer": "street", "area": "S1"}
    appoint(
        town,
        here | {"party": "old", "valid_to": nine},
        here | {"party": "new", "valid_from": nine},
    )
    before = [timedelta(seconds=1), timedelta(microseconds=1)]
    assert [responsible(town, **IN_S1, at=nine - gap) for gap in before] == ["old", "old"]
    assert responsible(town, **IN_S1, at=nine) == "new"


def test_a_boundary_holds_in_its_period_only(town: Session) -> None:
    change_set = new_change_set(town)
    nine = datetime(2026, 5, 1, 9, tzinfo=BEIJING)
    propose_area(
        town,
        change_set,
        "courtyard",
        "Z",
        box(300, 20, 320, 40),
        valid_from=nine,
        valid_to=nine + timedelta(hours=1),
    )
    publish(town, change_set)
    there = {"east_m": 310, "north_m": 30}
    seen = [
        "courtyard" in ask(town, **there, at=nine + gap)["areas"]
        for gap in (-timedelta(microseconds=1), timedelta(), timedelta(hours=1))
    ]
    assert seen == [False, True, False]


def test_a_later_correction_does_not_change_what_was_answered(town: Session) -> None:
    appoint(town, {"party": "old", "layer": "street", "area": "S1"})
    revision = latest_revision(town)
    load_scheme(town, make_scheme(('en = "Small town"', 'en = "Town"')))  # the service is live
    asked_at = datetime.now(UTC)
    change_set = new_change_set(town, "correction")
    replaced = town.execute(
        text("SELECT id FROM gridsvc.assignment WHERE area_code = 'S1'")
    ).scalar_one()
    propose_party(town, change_set, "right")
    propose_holder(town, change_set, "right", "street", "S1", replaces=replaced)
    corrected = publish(town, change_set).revision
    then = ask(town, **IN_S1, at=asked_at)
    assert (party(then["responsible"]), then["revision"]) == ("old", revision + 1)
    now = ask(town, **IN_S1)
    assert (party(now["responsible"]), now["revision"]) == ("right", corrected)


def test_while_history_is_loaded_revisions_answer_for_what_they_describe(town: Session) -> None:
    appoint(town, {"party": "P", "layer": "street", "area": "S1"})
    long_ago = FOUNDED_AT + timedelta(days=1)
    then = ask(town, **IN_S1, at=long_ago)
    assert (party(then["responsible"]), then["revision"]) == ("P", 2)


def test_a_change_of_now_ends_the_loading_of_history(town: Session) -> None:
    change_set = new_change_set(town, "now")
    propose_area(
        town, change_set, "courtyard", "Z", box(300, 20, 320, 40), valid_from=change_set.created_at
    )
    live = publish(town, change_set).revision
    asked_at = datetime.now(UTC)
    appoint(town, {"party": "late", "layer": "street", "area": "S1"})
    then = ask(town, **IN_S1, at=asked_at)
    assert (then["responsible"], then["revision"]) == (None, live)
    assert responsible(town, **IN_S1) == "late"


def test_nothing_answers_before_the_first_revision(town: Session) -> None:
    with pytest.raises(BeforeFirstRevision) as refused:
        ask(town, **IN_S1, at=FOUNDED_AT - timedelta(microseconds=1))
    assert refused.value.first_at == FOUNDED_AT
    assert ask(town, **IN_S1, at=FOUNDED_AT)["revision"] == 1


def test_nothing_answers_before_anything_is_published(session: Session) -> None:
    load_scheme(session, make_scheme())
    with pytest.raises(NothingPublished):
        ask(session, **IN_S1)


# Escalation


def test_the_escalation_chain_keeps_steps_that_nobody_holds(town: Session) -> None:
    appoint(town, {"party": "yard", "layer": "courtyard", "area": "Y"})
    first, second = ask(town, **IN_YARD)["escalation"]
    assert (first["step"], party(first), first["area"]["code"], first["within"]) == (
        1,
        "yard",
        "Y",
        "PT4H",
    )
    assert (second["step"], second["party"], second["area"]["code"], second["within"]) == (
        2,
        None,
        "S1",
        "P1D",
    )


# Edges and alternatives


@pytest.mark.parametrize(
    ("east_m", "north_m"), [(150, 50), (199.5, 50), (200, 50), (215.25, 99), (399, 3), (200, 0)]
)
def test_the_edge_is_as_far_as_shapely_says(town: Session, east_m: float, north_m: float) -> None:
    appoint(town, *({"party": s, "layer": "street", "area": s} for s in ("S1", "S2")))
    edge = ask(town, east_m=east_m, north_m=north_m)["edge"]
    point = shapely.Point(EAST_M + east_m, NORTH_M + north_m)
    own = AREAS["street", edge["of"]["code"]]
    assert edge["distance_m"] == pytest.approx(own.boundary.distance(point), abs=5e-4)


def test_the_neighbour_across_is_named_and_none_at_the_edge_of_the_city(town: Session) -> None:
    appoint(town, *({"party": s, "layer": "street", "area": s} for s in ("S1", "S2")))
    near = ask(town, east_m=198, north_m=50)
    assert near["edge"]["across"] == {"layer": "street", "code": "S2", "name": None}
    assert not near["ambiguous"]
    assert ask(town, east_m=2, north_m=50)["edge"]["across"] is None
    on_edge = ask(town, east_m=200, north_m=50)
    assert (on_edge["areas"]["street"]["code"], on_edge["ambiguous"]) == ("S1", True)


def disc_shares(east_m: float, north_m: float, accuracy_m: float) -> dict[str, float]:
    """Share the disc of error out in the order of the ladder, as shapely measures it."""
    disc = shapely.Point(EAST_M + east_m, NORTH_M + north_m).buffer(accuracy_m, quad_segs=16)
    whole_m2, shares = disc.area, {}
    for layer, code in sorted(AREAS, key=lambda key: (LADDER.index(key[0]), key[1])):
        shares[code] = disc.intersection(AREAS[layer, code]).area / whole_m2
        disc = disc.difference(AREAS[layer, code])
    return {code: share for code, share in shares.items() if share > 1e-6}


LADDER = ("courtyard", "shop_front", "street", "district")


@pytest.mark.parametrize("accuracy_m", [1, 15, 60, 500])
@pytest.mark.parametrize("spot", [IN_YARD, IN_BOTH_YARDS, {"east_m": 199.0, "north_m": 1.0}])
def test_alternatives_share_the_disc_of_error(
    town: Session, spot: dict[str, float], accuracy_m: float
) -> None:
    appoint(town, *({"party": code, "layer": layer, "area": code} for layer, code in AREAS))
    given = ask(town, **spot, accuracy_m=accuracy_m)
    shares = {given["responsible"]["area"]["code"]: given["probability"]}
    for other in given["alternatives"]:
        assert party(other["responsible"]) == other["area"]["code"]
        shares[other["area"]["code"]] = other["probability"]
    expected = disc_shares(**spot, accuracy_m=accuracy_m)
    assert shares == pytest.approx(expected, abs=1e-4)
    assert sum(shares.values()) <= 1.0001
    assert given["ambiguous"] == (len(expected) > 1)
    assert [other["probability"] for other in given["alternatives"]] == sorted(
        (other["probability"] for other in given["alternatives"]), reverse=True
    )


@pytest.mark.parametrize("accuracy_m", [None, 0])
def test_without_an_accuracy_there_are_no_alternatives(
    town: Session, accuracy_m: float | None
) -> None:
    given = ask(town, **IN_YARD, accuracy_m=accuracy_m)
    assert (given["alternatives"], given["probability"], given["ambiguous"]) == ([], None, False)


# Areas and masks


def test_overlapping_overlays_are_all_named(town: Session) -> None:
    areas = ask(town, **IN_BOTH_YARDS)["areas"]
    assert areas["courtyard"] == {
        "code": "X",
        "name": None,
        "also": [{"code": "Y", "name": None}],
    }
    assert "also" not in areas["street"]
    assert "shop_front" not in areas


@pytest.mark.parametrize(
    ("name", "kind", "phone", "masked_name", "masked_phone"),
    [
        ("张伟", "person", "13800001234", "张*", "138****1234"),
        ("欧阳小明", "person", "13800001234", "欧**", "138****1234"),
        ("王", "person", None, "王*", None),
        ("城管队", "body", "01065551234", "城管队", "010****1234"),
        ("李四", "person", "65551234", "李*", "********"),
        ("李四", "person", "110", "李*", "***"),
    ],
)
def test_names_and_phones_are_masked_unless_revealed(
    town: Session, *, name: str, kind: str, phone: str | None, masked_name: str, masked_phone: str
) -> None:
    change_set = new_change_set(town)
    propose_party(town, change_set, "P", name=name, kind=kind, phone=phone)
    propose_holder(town, change_set, "P", "street", "S1")
    publish(town, change_set)
    masked = ask(town, **IN_S1)
    assert masked["responsible"]["party"]["name"] == masked_name
    assert masked["responsible"]["party"]["phone"] == masked_phone
    assert masked["escalation"][0]["party"] == masked["responsible"]["party"]
    shown = ask(town, **IN_S1, reveal=True)["responsible"]["party"]
    assert (shown["name"], shown["phone"]) == (name, phone)


# The door, and SQL beside it


def test_sql_and_the_router_give_the_same_answer(session: Session) -> None:
    small_city.found(session)
    for place in (small_city.YARD, small_city.SHOPS, small_city.OPEN_STREET):
        for category in (None, "0101"):
            by_router = answer(
                session, Question(x=place["lon"], y=place["lat"], at=NOON, category=category)
            )
            by_sql = session.execute(
                text("SELECT gridsvc.locate(:lon, :lat, :at, :category)"),
                place | {"at": NOON, "category": category},
            ).scalar_one()
            assert by_sql.pop("point") == pytest.approx(by_router.pop("point"), abs=1e-8)
            assert by_sql == by_router


def test_a_point_outside_names_the_nearest_area_and_its_distance(town: Session) -> None:
    with pytest.raises(OutsideServiceArea) as outside:
        ask(town, east_m=410, north_m=50)
    assert outside.value.nearest == {
        "layer": "street",
        "code": "S2",
        "name": None,
        "distance_m": 10.0,
    }


def test_swapped_degrees_are_recognised_though_a_latitude_of_116_cannot_be(town: Session) -> None:
    lon, lat = to_wgs84(EAST_M + 150, NORTH_M + 50, crs=STORAGE)
    with pytest.raises(SwappedCoordinates):
        answer(town, Question(x=lat, y=lon))


@pytest.mark.parametrize(
    ("x", "y", "field"), [(116.45, 95.0, "lat"), (200.0, 39.92, "lon"), (116.45, 1e300, "lat")]
)
def test_a_number_that_is_no_place_is_named(town: Session, x: float, y: float, field: str) -> None:
    with pytest.raises(BadCoordinates) as bad:
        answer(town, Question(x=x, y=y))
    assert bad.value.field == field


def test_one_bad_point_does_not_fail_its_neighbours(town: Session) -> None:
    good = Question(x=EAST_M + 150, y=NORTH_M + 50, crs=STORAGE, id="good")
    bad = [
        Question(x=float("nan"), y=1.0),
        Question(x=EAST_M + 150, y=NORTH_M + 50, crs=STORAGE, category="nope"),
        Question(x=EAST_M + 150, y=NORTH_M + 50, crs=STORAGE, category="\x00"),
        Question(x=EAST_M - 9000, y=NORTH_M, crs=STORAGE),
        Question(x=EAST_M + 150, y=NORTH_M + 50, crs="EPSG:2249"),
    ]
    revision, answers = answer_many(town, [good, *bad, good])
    assert revision == latest_revision(town)
    first, *errors, last = answers
    assert all(isinstance(error, GridsvcError) for error in errors)
    assert isinstance(first, dict)
    assert isinstance(last, dict)
    assert first["id"] == last["id"] == "good"
    assert live_area(town, first["areas"]["street"]["code"])
