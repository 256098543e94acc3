"""The people of five ways to run a city, all of them made up, on the demo city's areas.

Each city is told by a scheme of its name in data/schemes; the areas are the demo's own, called
what each scheme calls them.
"""

# ruff: noqa: PLR2004 -- a drawing is full of measures that are its own

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import shapely
from pyproj import Transformer

from tools.demo_city import DISTRICT, EPSG
from tools.demo_city.areas import City
from tools.demo_city.people import COLUMNS, Book, chiefs, pair

HAND_OVER_AT = "2026-10-12T09:00:00+08:00"
"""When a community of Chaoyang's kind gets another officer to lead."""

Areas = dict[str, str]
"""Names by code."""


def chaoyang(book: Book, named: dict[str, Areas], _rng: np.random.Generator) -> None:
    """Four parties: shop-front units, staff and clerks, pairs of officers, supervisors."""
    _district(book, "朝阳式")
    for code, name in named["shopfront"].items():
        book.hold(book.body(name), "shop_unit", "responsibility", "shopfront", code)
    for code, name in named["street"].items():
        office = book.body(f"{name}办事处")
        book.hold(office, "street_office", "responsibility", "street", code)
        book.hold(book.person(), "section_clerk", "management", "street", code)
    for n, (code, name) in enumerate(named["community"].items()):
        committee = book.body(f"{name}居民委员会")
        book.hold(committee, "residents_committee", "responsibility", "community", code)
        book.hold(book.person(), "community_staff", "management", "community", code)
        if n == 0:
            lead = ("enforcement_lead", "enforcement", "community", code)
            book.pass_on(*lead, at=HAND_OVER_AT)
            book.hold(
                book.person(), "enforcement_assistant", "enforcement", "community", code, rank=2
            )
        else:
            pair(book, "community", code)
    for n, code in enumerate(named["unit"]):
        if n % 4 == 0:
            supervisor = book.person()
        book.hold(supervisor, "supervisor", "supervision", "unit", code)


def qingdao(book: Book, named: dict[str, Areas], rng: np.random.Generator) -> None:
    """Three chiefs and one station: building, courtyard, street lane; area and station above."""
    _district(book, "青岛式")
    for trade, categories in (
        ("供水站", "0402;0404;C0101;C0102;C0103;C0104"),
        ("燃气站", "0403;C0111;C0129"),
        ("供热站", "0405;C0110"),
        ("电力站", "0406;C0105;C0116;C0127;C0128"),
    ):
        specialist = book.body(f"青岛式{trade}")
        book.hold(
            specialist, "specialist", "responsibility", "district", DISTRICT, categories=categories
        )
    for code, name in named["street"].items():
        office = book.body(f"{name}办事处")
        book.hold(office, "street_office", "responsibility", "street", code)
        book.hold(book.person(), "section_clerk", "management", "street", code)
        pair(book, "street", code)
        for trade, categories in (("路灯队", "C0118;C0119;C0120"), ("园林队", "C04")):
            squad = book.body(name + trade)
            book.hold(squad, "specialist", "responsibility", "street", code, categories=categories)
    for code in named["community"]:
        station = book.person()
        for duty in ("responsibility", "management"):
            book.hold(station, "station_chief", duty, "community", code)
    for n, code in enumerate(named["unit"]):
        if n % 8 == 0:
            area_chief, supervisor = book.person(), book.person()
        book.hold(area_chief, "area_chief", "responsibility", "unit", code)
        book.hold(supervisor, "supervisor", "supervision", "unit", code)
    chiefs(book, "courtyard", list(named["courtyard"]), 4, rng)
    chiefs(book, "building", list(named["building"])[::4], 25, rng)
    roads = named["street_segment"]
    chiefs(book, "street_segment", sorted(roads, key=lambda code: roads[code]), 14, rng)
    for code, name in named["shopfront"].items():
        book.hold(book.body(name), "shop_unit", "responsibility", "shopfront", code)


def nanan(book: Book, named: dict[str, Areas], rng: np.random.Generator) -> None:
    """Five chiefs and three tiers: street, road, courtyard, building and quarter chiefs."""
    _district(book, "南安式")
    for owner, categories in OWNERS.items():
        party = book.body(f"南安式{owner}")
        book.hold(
            party, "specialist", "responsibility", "district", DISTRICT, categories=categories
        )
    for code, name in named["street"].items():
        chief = book.person()
        book.hold(chief, "street_chief", "responsibility", "street", code)
        book.hold(book.body(f"{name}办事处"), "street_office", "management", "street", code)
        pair(book, "street", code)
    for code in named["community"]:
        chief = book.person()
        for duty in ("responsibility", "management"):
            book.hold(chief, "quarter_chief", duty, "community", code)
        book.hold(book.person(), "supervisor", "supervision", "community", code)
    chiefs(book, "courtyard", list(named["courtyard"]), 4, rng)
    chiefs(book, "building", list(named["building"])[::4], 25, rng)
    roads = named["street_segment"]
    chiefs(book, "street_segment", sorted(roads, key=lambda code: roads[code]), 14, rng)


OWNERS = {
    "自来水公司": "C0101",
    "电力公司": "C0105",
    "通信公司": "C0107",
    "市政养护公司": "C0102",
}
"""Who owns components, and the class of which each owns most."""


def xuzhou(book: Book, named: dict[str, Areas], _rng: np.random.Generator) -> None:
    """One centre, offices that are compared, patrols that hand over in turn, kiosks."""
    _district(book, "徐州式")
    for code, name in named["street"].items():
        office = book.body(f"{name}指挥分中心")
        for duty in ("responsibility", "management"):
            book.hold(office, "branch_centre", duty, "street", code)
        pair(book, "street", code)
    for code, name in named["community"].items():
        office = book.body(f"{name}办事处")
        for duty in ("responsibility", "management"):
            book.hold(office, "office", duty, "community", code)
    for n, code in enumerate(named["patrol_area"]):
        kiosk = book.body(f"第{n + 1}便民岗亭")
        book.hold(kiosk, "kiosk", "responsibility", "patrol_area", code, categories="0101;0102")
        for hours in _shifts(n % 4 * 30):
            book.hold(book.person(), "patrol", "supervision", "patrol_area", code, hours=hours)


def cangzhou(book: Book, named: dict[str, Areas], rng: np.random.Generator) -> None:
    """Everyone reports; streets and communities act, shops answer for their fronts."""
    _district(book, "沧州式")
    for code, name in named["street"].items():
        office = book.body(f"{name}办事处")
        for duty in ("responsibility", "management"):
            book.hold(office, "street_office", duty, "street", code)
        pair(book, "street", code)
    for code, name in named["community"].items():
        committee = book.body(f"{name}居民委员会")
        for duty in ("responsibility", "management"):
            book.hold(committee, "residents_committee", duty, "community", code)
        book.hold(book.person(), "inspector", "supervision", "community", code)
    for code, name in named["shopfront"].items():
        if rng.random() > 0.04:
            book.hold(book.body(name), "shop_unit", "responsibility", "shopfront", code)


CITIES: dict[str, Callable[[Book, dict[str, Areas], np.random.Generator], None]] = {
    "chaoyang": chaoyang,
    "qingdao": qingdao,
    "nanan": nanan,
    "xuzhou": xuzhou,
    "cangzhou": cangzhou,
}


def build(city: City, name: str, rng: np.random.Generator) -> pd.DataFrame:
    """Tell who holds what in one of the cities, as the flat people table does."""
    book = Book()
    named = {
        layer: dict(zip(frame.code, frame.name, strict=True))
        for layer, frame in city.layers.items()
    }
    CITIES[name](book, named, rng)
    return pd.DataFrame(book.rows, columns=COLUMNS)


def _district(book: Book, style: str) -> None:
    office, centre = book.body(f"{style}城市管理局"), book.body(f"{style}监督指挥中心")
    for duty in ("responsibility", "management"):
        book.hold(office, "district_office", duty, "district", DISTRICT)
    for rank, name in ((1, "综合执法大队"), (2, "联合执法办公室")):
        team = book.body(style + name)
        book.hold(team, "enforcement_team", "enforcement", "district", DISTRICT, rank=rank)
    book.hold(centre, "supervision_centre", "supervision", "district", DISTRICT)


def _shifts(late_min: int) -> Iterator[str]:
    """Write two shifts round the clock that hand over `late_min` after 07:00 and 19:00."""
    first, second = (f"{hour + late_min // 60:02}:{late_min % 60:02}" for hour in (7, 19))
    yield f"mon-sun {first}-{second}"
    yield f"mon-sun {second}-{first}"


def components(city: City, rng: np.random.Generator) -> pd.DataFrame:
    """Register manhole covers along the streets, some of them side by side with another owner's."""
    owners = {f"B{6 + n:04}": code for n, code in enumerate(OWNERS.values())}
    roads = city.roads
    chosen = shapely.point_on_surface(roads[rng.choice(len(roads), size=400, replace=False)])
    xy = shapely.get_coordinates(chosen)
    owner = rng.choice(list(owners), size=len(xy))
    rows = [(x, y, who, owners[who]) for (x, y), who in zip(xy, owner, strict=True)]
    # Every eighth has a twin of the same class two metres on: whose it is, is not clear.
    rows += [
        (x + 2, y, next(other for other in owners if other != who), kind)
        for x, y, who, kind in rows[::8]
    ]
    x, y, who, kind = (np.array(part) for part in zip(*rows, strict=True))
    lon, lat = Transformer.from_crs(EPSG, 4326, always_xy=True).transform(x, y)
    code = [f"{DISTRICT}J{n:04}" for n in range(1, len(rows) + 1)]
    told = {"code": code, "category": kind, "owner": who, "lon": lon.round(8), "lat": lat.round(8)}
    return pd.DataFrame(told)
