"""Who stands in for a lead who is off, when, and what the answer says of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import shapely
from sqlalchemy import text
from sqlalchemy.orm import Session

from gridsvc.api.responsible import Answer
from gridsvc.grids.changesets import publish
from gridsvc.grids.scheme_store import load_scheme
from gridsvc.grids.schemes import Scheme
from tests.factories import (
    appoint,
    ask,
    box,
    found,
    make_scheme,
    new_change_set,
    plan,
    propose_area,
    send_away,
)

BOTH = """
[[stand_in]]
duty = "enforcement"
by = ["assistant", "neighbour"]
"""
GAPS = ('parent = "district"', 'parent = "district"\nfindings = { gap = "report" }')


def scheme_with(extra: str) -> Scheme:
    """The small city, whose streets need not fill the district, with more tables."""
    return make_scheme(GAPS, extra=extra)


NONE = scheme_with("")
STANDING_IN = scheme_with(BOTH)
ASSISTANTS_ONLY = scheme_with(BOTH.replace('"assistant", "neighbour"', '"assistant"'))
NEIGHBOURS_ONLY = scheme_with(BOTH.replace('"assistant", "neighbour"', '"neighbour"'))
NEIGHBOURS_FIRST = scheme_with(BOTH.replace('"assistant", "neighbour"', '"neighbour", "assistant"'))

TICK = timedelta(microseconds=1)
NINE = datetime(2030, 3, 4, 1, tzinfo=UTC)  # 09:00 of a Monday in Beijing
LATER = NINE + timedelta(hours=3)

# S0 in the middle: it shares 100 m with East, 60 m with North, 60 m with South, and touches Corner
# in a point. West lies a centimetre away.
TOWN = {
    ("district", "D"): box(-100, -100, 300, 300),
    ("street", "S0"): box(0, 0, 100, 100),
    ("street", "East"): box(100, -50, 200, 100),
    ("street", "North"): box(40, 100, 100, 200),
    ("street", "South"): box(0, -100, 60, 0),
    ("street", "Corner"): box(100, 100, 300, 300),
    ("street", "West"): box(-100, 0, -0.01, 100),
}
IN_S0 = {"east_m": 50.0, "north_m": 50.0}


def enforce(
    party: str, area: str, *, rank: int = 1, hours: str = "", **more: object
) -> dict[str, Any]:
    layer = "district" if area == "D" else "street"
    duty = {"layer": layer, "area": area, "duty": "enforcement", "role": "officer"}
    return {"party": party, "rank": rank, "hours": hours, **duty, **more}


PAIRS = [
    holder
    for area in ("S0", "East", "North", "South", "Corner", "West")
    for holder in (enforce(f"{area} lead", area), enforce(f"{area} assistant", area, rank=2))
]


@pytest.fixture
def town(session: Session) -> Session:
    """A pair on each street, a locality above, and the scheme's rule in force."""
    found(session, TOWN, scheme=STANDING_IN)
    appoint(session, *PAIRS, enforce("Team", "D"))
    return session


def enforcement(session: Session, at: datetime = LATER, **asked: object) -> dict[str, Any]:
    given = ask(session, **IN_S0, at=at, **asked)
    Answer.model_validate(given)
    pair: dict[str, Any] = given["enforcement"]
    return pair


def codes(session: Session, at: datetime = LATER) -> tuple[str, str | None]:
    """Give who leads and who assists."""
    pair = enforcement(session, at)
    assistant = pair["assistant"]
    return pair["lead"]["party"]["code"], assistant and assistant["party"]["code"]


# Hand-overs, shifts and absences in time


def test_a_hand_over_takes_effect_at_its_minute(session: Session) -> None:
    found(session, TOWN, scheme=STANDING_IN)
    appoint(
        session,
        enforce("Day", "S0", valid_to=NINE),
        enforce("Next", "S0", valid_from=NINE),
    )
    assert codes(session, NINE - timedelta(seconds=1))[0] == "Day"
    assert codes(session, NINE - TICK)[0] == "Day"
    assert codes(session, NINE)[0] == "Next"


def test_a_staggered_shift_hands_over_at_its_minute(session: Session) -> None:
    found(session, TOWN, scheme=STANDING_IN)
    appoint(
        session,
        enforce("Early", "S0", hours="mon-sun 00:17-08:43"),
        enforce("Late", "S0", hours="mon-sun 08:43-00:17"),
    )
    handed_over_at = NINE - timedelta(minutes=17)
    assert codes(session, handed_over_at - TICK)[0] == "Early"
    assert codes(session, handed_over_at)[0] == "Late"
    assert codes(session, handed_over_at + timedelta(hours=15, minutes=34) - TICK)[0] == "Late"
    assert codes(session, handed_over_at + timedelta(hours=15, minutes=34))[0] == "Early"


def test_an_absence_is_half_open_to_the_microsecond(town: Session) -> None:
    send_away(town, "S0 lead", NINE, LATER)
    assert codes(town, NINE - TICK) == ("S0 lead", "S0 assistant")
    assert codes(town, NINE) == ("S0 assistant", None)
    assert codes(town, LATER - TICK) == ("S0 assistant", None)
    assert codes(town, LATER) == ("S0 lead", "S0 assistant")


def test_an_absence_without_an_end_lasts(town: Session) -> None:
    send_away(town, "S0 lead", NINE)
    assert codes(town, NINE + timedelta(days=9_000)) == ("S0 assistant", None)


def test_a_question_of_before_an_absence_was_published_is_answered_as_then(town: Session) -> None:
    before = datetime.now(UTC)
    send_away(town, "S0 lead", before)
    assert codes(town, before) == ("S0 lead", "S0 assistant")
    assert codes(town, datetime.now(UTC)) == ("S0 assistant", None)


def test_what_one_holds_elsewhere_is_looked_after_too(town: Session) -> None:
    appoint(town, {"party": "East lead", "layer": "district", "area": "D"}, name="more")
    assert ask(town, **IN_S0, at=LATER)["responsible"]["party"]["code"] == "East lead"
    send_away(town, "East lead")
    assert ask(town, **IN_S0, at=LATER)["responsible"] is None  # no stand-in for this duty


# Who stands in


def test_the_assistant_stands_in_and_the_answer_says_so(town: Session) -> None:
    send_away(town, "S0 lead")
    pair = enforcement(town)
    assert pair["assistant"] is None
    lead = pair["lead"]
    assert (lead["party"]["code"], lead["role"]) == ("S0 assistant", "officer")
    assert lead["area"] == {"layer": "street", "code": "S0", "name": None}
    assert lead["stand_in"] == {
        "for": {"code": "S0 lead", "name": "张*", "phone": None, "kind": "person"},
        "why": "absent",
        "by": "assistant",
        "from": None,
    }
    assert lead["reason"] == (
        "street covers the point; the lead is absent, the assistant stands in"
    )


def test_names_of_those_away_are_masked_unless_revealed(town: Session) -> None:
    send_away(town, "S0 lead")
    assert enforcement(town, reveal=True)["lead"]["stand_in"]["for"]["name"] == "张三"


def test_nobody_stands_in_where_the_lead_is_on_duty(town: Session) -> None:
    pair = enforcement(town)
    assert pair["lead"]["stand_in"] is None
    assert pair["lead"]["reason"] == "street covers the point"
    assert pair["assistant"]["stand_in"] is None


def test_an_absent_assistant_is_nobody(town: Session) -> None:
    send_away(town, "S0 assistant")
    assert codes(town) == ("S0 lead", None)


def test_the_pair_with_the_longest_shared_edge_stands_in(town: Session) -> None:
    for party in ("S0 lead", "S0 assistant"):
        send_away(town, party)
    pair = enforcement(town)
    assert codes(town) == ("East lead", "East assistant")
    lead = pair["lead"]
    assert lead["area"]["code"] == "S0"
    assert lead["stand_in"]["for"]["code"] == "S0 lead"
    assert lead["stand_in"]["by"] == "neighbour"
    assert lead["stand_in"]["from"] == {"layer": "street", "code": "East", "name": None}
    assert lead["reason"] == (
        "street covers the point; the lead is absent, the pair of street East stands in"
    )
    assert pair["assistant"]["stand_in"] == lead["stand_in"]


def test_one_after_the_other_until_the_next_rung(town: Session) -> None:
    expected = [
        ("S0 lead", ("S0 assistant", None)),
        ("S0 assistant", ("East lead", "East assistant")),
        ("East lead", ("East assistant", None)),
        # North and South share 60 m each: the lowest code comes first.
        ("East assistant", ("North lead", "North assistant")),
        ("North assistant", ("North lead", None)),
        ("North lead", ("South lead", "South assistant")),
        ("South lead", ("South assistant", None)),
        # Corner touches in a point and West not at all: neither is a neighbour.
        ("South assistant", ("Team", None)),
    ]
    for party, answered in expected:
        send_away(town, party)
        assert codes(town) == answered, party
    lead = enforcement(town)["lead"]
    assert lead["stand_in"] is None
    assert lead["reason"].endswith("nobody is on duty for enforcement at street S0")


def test_a_lead_out_of_hours_is_off_shift(session: Session) -> None:
    found(session, TOWN, scheme=STANDING_IN)
    appoint(
        session,
        enforce("Lead", "S0", hours="mon-sun 08:00-09:00"),
        enforce("Assistant", "S0", rank=2, hours="mon-sun 08:00-10:00"),
        enforce("Neighbour", "East"),
        enforce("Team", "D"),
    )
    assert codes(session, NINE - TICK) == ("Lead", "Assistant")
    assert codes(session, NINE) == ("Assistant", None)
    lead = enforcement(session, NINE)["lead"]
    assert (lead["stand_in"]["why"], lead["stand_in"]["for"]["code"]) == ("off_shift", "Lead")
    assert lead["reason"].endswith("; the lead is off shift, the assistant stands in")
    assert codes(session, NINE + timedelta(hours=1) - TICK) == ("Assistant", None)
    assert codes(session, NINE + timedelta(hours=1)) == ("Neighbour", None)


def test_the_absent_one_whose_shift_it_is_is_stood_in_for(session: Session) -> None:
    found(session, TOWN, scheme=STANDING_IN)
    appoint(
        session,
        enforce("Day", "S0", hours="mon-sun 08:00-20:00"),
        enforce("A night", "S0", hours="mon-sun 20:00-08:00"),
        enforce("Neighbour", "East"),
    )
    send_away(session, "Day")
    stand_in = enforcement(session, NINE)["lead"]["stand_in"]
    assert (stand_in["for"]["code"], stand_in["why"]) == ("Day", "absent")
    assert codes(session, NINE + timedelta(hours=12)) == ("A night", None)


def test_a_specialist_who_is_away_leaves_it_to_the_general_lead(town: Session) -> None:
    appoint(town, enforce("Expert", "S0", category="0101"), name="expert")
    asked = {"category": "0101", "at": LATER}
    assert ask(town, **IN_S0, **asked)["enforcement"]["lead"]["party"]["code"] == "Expert"
    send_away(town, "Expert")
    lead = ask(town, **IN_S0, **asked)["enforcement"]["lead"]
    assert (lead["party"]["code"], lead["stand_in"]) == ("S0 lead", None)


def test_an_area_that_nobody_leads_has_no_stand_in(session: Session) -> None:
    found(session, TOWN, scheme=STANDING_IN)
    appoint(
        session,
        enforce("Assistant", "S0", rank=2),
        enforce("Former", "S0", valid_to=NINE),
        enforce("Neighbour", "East"),
        enforce("Team", "D"),
    )
    assert codes(session, NINE - TICK) == ("Former", "Assistant")
    assert codes(session, NINE) == ("Team", None)


# The scheme decides


@pytest.mark.parametrize(
    ("scheme", "one_away", "both_away"),
    [
        (STANDING_IN, ("S0 assistant", None), ("East lead", "East assistant")),
        (ASSISTANTS_ONLY, ("S0 assistant", None), ("Team", None)),
        (NEIGHBOURS_ONLY, ("East lead", "East assistant"), ("East lead", "East assistant")),
        (NEIGHBOURS_FIRST, ("East lead", "East assistant"), ("East lead", "East assistant")),
        (NONE, ("Team", None), ("Team", None)),
    ],
    ids=["both", "assistants", "neighbours", "neighbours first", "no rule"],
)
def test_the_scheme_says_who_stands_in(
    town: Session,
    scheme: Scheme,
    one_away: tuple[str, str | None],
    both_away: tuple[str, str | None],
) -> None:
    load_scheme(town, scheme)
    assert codes(town) == ("S0 lead", "S0 assistant")
    send_away(town, "S0 lead")
    assert codes(town) == one_away
    send_away(town, "S0 assistant")
    assert codes(town) == both_away


def test_a_rule_holds_from_the_revision_of_its_scheme_on(town: Session) -> None:
    send_away(town, "S0 lead")
    before = datetime.now(UTC)
    load_scheme(town, NONE)
    assert codes(town, before) == ("S0 assistant", None)
    assert codes(town, datetime.now(UTC)) == ("Team", None)


# Escalation and alternatives


def test_escalation_climbs_to_who_is_on_duty(session: Session) -> None:
    steps = '[[escalation]]\nduty = "enforcement"\nwithin = "PT1H"\n'
    layered = steps.replace('"enforcement"', '"enforcement"\nlayer = "street"')
    found(session, TOWN, scheme=scheme_with(BOTH + steps + layered))
    appoint(session, *PAIRS)

    def climbed() -> list[tuple[str | None, str | None]]:
        given = ask(session, **IN_S0, at=LATER)
        Answer.model_validate(given)
        return [
            (step["party"]["code"], step["stand_in"] and step["stand_in"]["by"])
            for step in given["escalation"][-2:]
        ]

    assert climbed() == [("S0 lead", None)] * 2
    send_away(session, "S0 lead")
    assert climbed() == [("S0 assistant", "assistant")] * 2
    send_away(session, "S0 assistant")
    assert climbed() == [("East lead", "neighbour")] * 2


def test_alternatives_name_who_is_on_duty(session: Session) -> None:
    rule = BOTH.replace("enforcement", "responsibility")
    found(session, TOWN, scheme=scheme_with(rule))
    streets = ("S0", "East", "North")
    appoint(session, *({"party": area, "layer": "street", "area": area} for area in streets))

    def alternative() -> dict[str, Any]:
        given = ask(session, east_m=99, north_m=50, accuracy_m=5, at=LATER)
        Answer.model_validate(given)
        assert given["responsible"]["party"]["code"] == "S0"
        (other,) = given["alternatives"]
        assert other["area"]["code"] == "East"
        found_other: dict[str, Any] = other["responsible"]
        return found_other

    assert alternative()["party"]["code"] == "East"
    send_away(session, "East")
    other = alternative()
    assert other["party"]["code"] == "S0"  # 100 m of shared edge, the only neighbour with a lead
    assert other["stand_in"]["for"]["code"] == "East"
    assert other["stand_in"]["from"]["code"] == "S0"


# Neighbours


def neighbours(session: Session, code: str) -> list[tuple[str, float]]:
    rows = session.execute(
        text("""
            SELECT (n.area).code, n.shared_m FROM gridsvc.area AS a
            CROSS JOIN LATERAL gridsvc.neighbours(
                a.id, (SELECT max(number) FROM gridsvc.revision)) AS n
            WHERE a.code = :code AND a.rev_to IS NULL
        """),
        {"code": code},
    )
    return [(code, round(shared_m, 3)) for code, shared_m in rows]


def test_neighbours_share_more_than_a_millimetre_of_edge(town: Session) -> None:
    assert neighbours(town, "S0") == [("East", 100.0), ("North", 60.0), ("South", 60.0)]
    assert neighbours(town, "Corner") == [("East", 100.0), ("North", 100.0)]
    assert neighbours(town, "West") == []


def test_an_edge_is_shared_although_only_one_side_has_the_node(session: Session) -> None:
    # Three areas meet on a slanted edge; the node, snapped to the millimetre, lies off it.
    def snapped(*corners: tuple[float, float]) -> shapely.Polygon:
        return shapely.Polygon(np.round(shapely.get_coordinates(plan(shapely.Polygon(corners))), 3))

    node = (61.0, 20.337)
    found(
        session,
        {
            ("district", "D"): box(-10, -10, 120, 120),
            ("street", "Below"): snapped((0, 0), (100, 33.333), (100, -5), (0, -5)),
            ("street", "Left"): snapped((0, 0), node, (61, 100), (0, 100)),
            ("street", "Right"): snapped(node, (100, 33.333), (100, 100), (61, 100)),
        },
        scheme=STANDING_IN,
    )
    whole_m = float(np.hypot(100, 33.333))
    lengths = dict(neighbours(session, "Below"))
    assert list(lengths) == ["Left", "Right"]
    assert lengths["Left"] == pytest.approx(0.61 * whole_m, abs=0.01)
    assert lengths["Right"] == pytest.approx(0.39 * whole_m, abs=0.01)
    assert dict(neighbours(session, "Left"))["Below"] == pytest.approx(lengths["Left"], abs=0.001)


def test_a_neighbour_stands_in_only_while_its_area_is_there(session: Session) -> None:
    found(
        session, {key: shape for key, shape in TOWN.items() if key[1] != "East"}, scheme=STANDING_IN
    )
    change_set = new_change_set(session, "east")
    propose_area(session, change_set, "street", "East", TOWN["street", "East"], valid_from=NINE)
    publish(session, change_set)
    appoint(
        session,
        enforce("East", "East", valid_from=NINE),
        enforce("S0", "S0"),
        enforce("N", "North"),
    )
    send_away(session, "S0")
    assert codes(session, NINE - TICK)[0] == "N"
    assert codes(session, NINE)[0] == "East"
