"""Everybody who holds a duty in the demo city is made up; the flat people table tells who."""

# ruff: noqa: PLR2004 -- a drawing is full of measures that are its own

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from tools.demo_city import DISTRICT, names
from tools.demo_city.areas import City

FROM = "2024-11-01"
CHANGED_AT, CHANGES_AT = "2025-07-01T09:00:00+08:00", "2026-12-01T09:00:00+08:00"
_PARTY = ["party_code", "party_name", "party_kind", "phone"]
_HELD = ["role", "duty", "rank", "layer", "area_code", "categories", "hours"]
COLUMNS = [*_PARTY, *_HELD, "valid_from", "valid_to"]
SPECIALISTS = {
    "供水服务所": "0402;0404;C0101;C0102;C0103;C0104",
    "燃气服务所": "0403;C0111;C0129",
    "供热服务所": "0405;C0110",
    "供电服务所": "0406;C0105;C0116;C0127;C0128",
    "道路养护所": "0401;0409;C02",
}


@dataclass
class Book:
    """The table as it is written, and the numbers given out so far."""

    rows: list[dict[str, object]] = field(default_factory=list)
    n_people: int = 0
    n_bodies: int = 0

    def person(self) -> dict[str, object]:
        """Make up the next person."""
        self.n_people += 1
        # Spread, so that neighbours do not share a surname; 1380000xxxx belongs to no one here.
        name = names.person(self.n_people * 1009 % 3000)
        return _party(f"P{self.n_people:04}", name, "person", f"1380000{self.n_people:04}")

    def body(self, name: str) -> dict[str, object]:
        """Make up the next body."""
        self.n_bodies += 1
        return _party(f"B{self.n_bodies:04}", name, "body", f"010-0000{self.n_bodies:04}")

    def hold(  # noqa: PLR0913
        self,
        party: dict[str, object],
        role: str,
        duty: str,
        layer: str,
        area: str,
        *,
        rank: int = 1,
        categories: str = "",
        hours: str = "",
        since: str = FROM,
        until: str = "",
    ) -> None:
        """Let a party hold a duty on an area."""
        told = (role, duty, rank, layer, area, categories, hours, since, until)
        self.rows.append({**party, **dict(zip(COLUMNS[len(_PARTY) :], told, strict=True))})

    def pass_on(self, role: str, duty: str, layer: str, area: str, *, at: str) -> None:
        """Let one person hold a duty until an instant and another from then on."""
        self.hold(self.person(), role, duty, layer, area, until=at)
        self.hold(self.person(), role, duty, layer, area, since=at)


def build(city: City, rng: np.random.Generator) -> pd.DataFrame:
    """Give every area its people, and a few overlay areas nobody so that ladders fall through."""
    book = Book()
    named = {
        layer: dict(zip(frame.code, frame.name, strict=True))
        for layer, frame in city.layers.items()
    }
    _district(book)
    for code, name in named["street"].items():
        _street(book, code, name)
    for n, (code, name) in enumerate(named["community"].items()):
        _community(book, n, code, name)
    for code in named["enforcement_grid"]:
        pair(book, "enforcement_grid", code)
    for n, code in enumerate(named["patrol_area"]):
        for hours in _shifts(n % 4 * 30):
            book.hold(book.person(), "supervisor", "supervision", "patrol_area", code, hours=hours)
    river, park = book.person(), book.person()
    for code, name in named["open_space"].items():
        chief, role = (river, "river_chief") if "河" in name else (park, "park_keeper")
        book.hold(chief, role, "responsibility", "open_space", code)
    roads = named["street_segment"]
    chiefs(book, "courtyard", list(named["courtyard"]), 4, rng)
    chiefs(book, "building", list(named["building"]), 25, rng)
    chiefs(book, "street_segment", sorted(roads, key=lambda code: roads[code]), 14, rng)
    for code, name in named["shopfront"].items():
        _shop(book, code, name, rng)
    return pd.DataFrame(book.rows, columns=COLUMNS)


def _party(code: str, name: str, kind: str, phone: str) -> dict[str, object]:
    return dict(zip(_PARTY, (code, name, kind, phone), strict=True))


def _district(book: Book) -> None:
    office = book.body("演示区城市管理委员会")
    for duty in ("responsibility", "management"):
        book.hold(office, "district_office", duty, "district", DISTRICT)
    for rank, name in ((1, "演示区综合执法大队"), (2, "演示区联合执法办公室")):
        book.hold(
            book.body(name), "enforcement_team", "enforcement", "district", DISTRICT, rank=rank
        )
    centre = book.body("演示区监督指挥中心")
    book.hold(centre, "supervision_centre", "supervision", "district", DISTRICT)
    for name, categories in SPECIALISTS.items():
        party = book.body(f"演示区{name}")
        book.hold(
            party, "specialist", "responsibility", "district", DISTRICT, categories=categories
        )


def _street(book: Book, code: str, name: str) -> None:
    book.hold(book.body(f"{name}办事处"), "street_office", "responsibility", "street", code)
    book.hold(book.person(), "section_clerk", "management", "street", code)
    pair(book, "street", code)
    for trade, categories in (("路灯班", "C0118;C0119;C0120"), ("园林绿化队", "C04")):
        party = book.body(name + trade)
        book.hold(party, "specialist", "responsibility", "street", code, categories=categories)


def _community(book: Book, number: int, code: str, name: str) -> None:
    committee = book.body(f"{name}居民委员会")
    book.hold(committee, "residents_committee", "responsibility", "community", code)
    if number % 5 == 0:
        at = CHANGES_AT if number == 0 else CHANGED_AT
        book.pass_on("community_manager", "management", "community", code, at=at)
    else:
        book.hold(book.person(), "community_manager", "management", "community", code)


def pair(book: Book, layer: str, code: str) -> None:
    """Let two officers enforce, one leading and one assisting."""
    for rank, role in ((1, "enforcement_lead"), (2, "enforcement_assistant")):
        book.hold(book.person(), role, "enforcement", layer, code, rank=rank)


def chiefs(book: Book, layer: str, codes: list[str], each: int, rng: np.random.Generator) -> None:
    """Give every `each` areas in a row one chief; some courtyards have changed theirs."""
    role = layer.removesuffix("_segment") + "_chief"
    held = [code for code in codes if rng.random() > 0.03]
    for n, code in enumerate(held):
        if n % each == 0:
            chief = book.person()
        if layer == "courtyard" and n % (25 * each) == 0:
            book.pass_on(role, "responsibility", layer, code, at=CHANGED_AT)
        else:
            book.hold(chief, role, "responsibility", layer, code)


def _shop(book: Book, code: str, name: str, rng: np.random.Generator) -> None:
    """Let the shop answer as a body; in some, a named person stands in."""
    if rng.random() < 0.04:
        return
    book.hold(book.body(name), "shop_unit", "responsibility", "shopfront", code)
    if rng.random() < 0.13:
        book.hold(book.person(), "shop_keeper", "responsibility", "shopfront", code, rank=2)


def _shifts(late_min: int) -> Iterator[str]:
    """Write three shifts round the clock that hand over `late_min` after 06:00, 14:00, 22:00."""
    clock = [f"{hour:02}:{late_min % 60:02}" for hour in (h + late_min // 60 for h in (6, 14, 22))]
    for begins, ends in zip(clock, [*clock[1:], clock[0]], strict=True):
        yield f"mon-sun {begins}-{ends}"
