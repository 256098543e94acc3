"""What the managers' map shows, summed up: counts, tests and places; no report is in it.

Cases are read a few times over and leave sums behind. What remains is small whatever their number,
can be pickled, and is what `gridsvc.hotspots.maps` puts on a page.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
from libpysal.graph import Graph

from gridsvc.crs import Floats
from gridsvc.errors import HotspotsRefused
from gridsvc.grids.categories import Category
from gridsvc.hotspots import chronic as chronicle
from gridsvc.hotspots.analysis import whole_months
from gridsvc.hotspots.cases import Part, Window
from gridsvc.hotspots.clusters import kinds, neighbours, places
from gridsvc.hotspots.counts import count_areas
from gridsvc.hotspots.emerging import FEWEST_STEPS, emerging, gi_star
from gridsvc.hotspots.looks import Title
from gridsvc.hotspots.profiles import Peak, by_hour, peaks
from gridsvc.hotspots.recurrence import Chains, Rule, chains
from gridsvc.hotspots.tessellation import M2_IN_KM2

Ints = npt.NDArray[np.int64]

Photos = Callable[[Collection[int]], Mapping[int, tuple[str, ...]]]
"""Gives the addresses of the pictures of cases, by `id`."""

Holders = Callable[[Sequence[tuple[float, float, str | None]]], Sequence[str | None]]
"""Gives for places (x and y in the storage CRS, class or None) the responsible party's code."""

Parties = Callable[[Collection[str]], Mapping[str, Title]]
"""Names parties that may be named, by code."""

LEAST_CASES = 50
"""With fewer, a test finds hardly anything, and a reader takes that for calm."""

MOST_TESTED = 1_000_000
"""Areas times choices: more would take minutes to test, and megabytes to tell."""

BANDWIDTH_M = 300.0
"""Of the smoothed surface: as far as one walks in five minutes."""

MOST_CHRONIC = 150
"""Places on the map; more of them hide each other."""

FEWEST_VISITS = 3
"""Of a chronic place: twice the same may be bad luck."""

EVERYTHING = ""
"""The choice of all categories."""

_MONTHS_OF_A_YEAR = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """One set of areas that cases are counted in.

    Attributes:
        code: Of the layer, or of the cells, such as "S250".
        title: By language.
        areas: Areas frame.
        cell_m: Side of the cells, where the areas are cells.
        within_m: Up to what gap areas are neighbours; 0 where they touch.
    """

    code: str
    title: Title
    areas: gpd.GeoDataFrame
    cell_m: float | None = None
    within_m: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """Areas whose boundaries are drawn for orientation.

    Attributes:
        title: Of their layer, by language.
        areas: Areas frame.
    """

    title: Title
    areas: gpd.GeoDataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A hotspot.

    Attributes:
        rank: From 1.
        areas: Row numbers of its areas, the strongest first.
        x: A point in the strongest, metres in the storage CRS.
        y: The same.
        cases: In its areas.
        expected: What as much ground, or of cells as many, has on average.
        z: Gi* of the strongest.
        q: The same.
        peaks: Hours of the week with more cases than the city's rhythm explains.
        previous_rank: Of a single month: its rank in the month before, the highest that has an
            area in common; None where it was none.
        responsible: Code of the party that is responsible at this point when the map is made.
    """

    rank: int
    areas: tuple[int, ...]
    x: float
    y: float
    cases: int
    expected: float
    z: float
    q: float
    peaks: tuple[Peak, ...] = ()
    previous_rank: int | None = None
    responsible: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What Gi* says for one choice of category and months.

    Attributes:
        category: The beginning of the codes; "" is all.
        first: Number of the first month.
        last: Number of the last one, included.
        kinds: (n,) class of each area.
        q: (n,) NaN where an area was not tested.
        places: Hotspots by rank.
    """

    category: str
    first: int
    last: int
    kinds: npt.NDArray[np.object_]
    q: npt.NDArray[np.float64]
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundSurvey:
    """What was counted and found in one set of areas.

    Attributes:
        ground: The areas.
        counts: `category`, `month`, `area` as row numbers, and `cases`; sorted, nothing twice.
        graph: Which areas are neighbours.
        findings: The choices that were tested.
        patterns: Class of each area over time, by category.
    """

    ground: Ground
    counts: pd.DataFrame
    graph: Graph
    findings: tuple[Finding, ...]
    patterns: Mapping[str, npt.NDArray[np.object_]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One case of a chronic place.

    Attributes:
        opened_at: UTC.
        closed_at: UTC; None while it is open.
        party: Code of who was responsible; None where nobody was.
        photos: Addresses of the pictures that were sent.
    """

    opened_at: datetime
    closed_at: datetime | None
    party: str | None
    photos: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChronicPlace:
    """A place to which the same problem keeps coming back.

    Attributes:
        category: The class, or the beginning that its classes share.
        x: Metres in the storage CRS.
        y: The same.
        spread_m: How far its cases lie from there.
        score: 0 to 100, see docs/hotspots.md.
        median_days: From a closing to the next opening.
        trend: Of these days over time: below 0 it comes back ever sooner; None with too few.
        round_days: The suggested days between two rounds of a patrol; None without.
        visits: Its cases in order of opening.
    """

    category: str | None
    x: float
    y: float
    spread_m: float
    score: float
    median_days: float | None
    trend: float | None
    round_days: float | None
    visits: tuple[Visit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """Everything that the map shows.

    Attributes:
        title: Of the city.
        crs: The storage CRS, such as "EPSG:4547".
        zone: The city's clock.
        months: "2026-10" …, without a gap.
        categories: Those that occur, by code; None at the end where cases have none.
        groups: Classes above them that have a name.
        titles: Of categories and groups, by code.
        cases: How many there are.
        grounds: The first one is shown first.
        outlines: From the outermost in.
        chronic: The highest score first.
        parties: Names of those responsible that may be shown, by code.
        revision: Of the boundaries; None where they came from a file.
        made_at: Aware.
        bandwidth_m: Of the smoothed surface.
        within_m: How near a case is to be a return.
        window_days: How soon.
    """

    title: Title
    crs: str
    zone: ZoneInfo
    months: tuple[str, ...]
    categories: tuple[str | None, ...]
    groups: tuple[str, ...]
    titles: Mapping[str, Title]
    cases: int
    grounds: tuple[GroundSurvey, ...]
    outlines: tuple[Outline, ...]
    made_at: datetime
    revision: int | None = None
    chronic: tuple[ChronicPlace, ...] = ()
    parties: Mapping[str, Title] = field(default_factory=dict)
    bandwidth_m: float = BANDWIDTH_M
    within_m: float | None = None
    window_days: float | None = None


def survey(  # noqa: PLR0913  the cases, the city, and where to work
    parts: Sequence[Part],
    grounds: Sequence[Ground],
    *,
    title: Title,
    crs: str,
    zone: ZoneInfo,
    made_at: datetime,
    categories: Iterable[Category] = (),
    outlines: Sequence[Outline] = (),
    window: Window = Window(),  # noqa: B008  frozen
    rule: Rule | None = None,
    photos: Photos | None = None,
    parties: Parties | None = None,
    holders: Holders | None = None,
    revision: int | None = None,
    client: Any = None,  # noqa: ANN401
) -> Survey:
    """Sum up the cases for the map.

    Args:
        parts: The cases.
        grounds: What they are counted in; the first one is shown first.
        title: Of the city.
        crs: The storage CRS.
        zone: Whose calendar months count.
        made_at: Now, aware.
        categories: Of the scheme, for their names.
        outlines: For orientation, from the outermost in.
        window: Which cases are meant.
        rule: What counts as coming back; None shows no chronic places.
        photos: Finds the pictures of a chronic place's cases.
        parties: Names parties.
        holders: Tells who is responsible at hotspots now.
        revision: Of the boundaries.
        client: A `dask.distributed.Client`; None works on this machine.

    Raises:
        HotspotsRefused: there is nothing to show.
    """
    counted = [_count(parts, ground, zone, window, client) for ground in grounds]
    everything = pd.concat(counted, ignore_index=True)
    if everything.empty:
        raise HotspotsRefused(
            "from",
            "no case lies in the areas and the time asked for",
            remedy="Import reports with `gridsvc reports import`, or ask for another time",
        )
    months = _months(everything["month"])
    # A month that is cut short would look calm beside whole ones.
    begun_at = window.from_at or pd.Timestamp(months[0]).replace(tzinfo=zone).to_pydatetime()
    ended_at = min(window.to_at or made_at, made_at)
    named = whole_months(Window(from_at=begun_at, to_at=ended_at), zone)
    whole = [number for number, month in enumerate(months) if month in named]
    codes = _codes(everything["category"])
    titles = _titles(categories)
    groups = _groups(codes, titles)
    tables = [
        _numbered(rows, ground, months, codes)
        for rows, ground in zip(counted, grounds, strict=True)
    ]
    surveyed = tuple(
        _with_peaks(_find(ground, table, codes, groups, months, whole), parts, zone, window, client)
        for ground, table in zip(grounds, tables, strict=True)
    )
    if holders:
        surveyed = tuple(_with_holders(one, codes, holders) for one in surveyed)
    chronic = _chronic(parts, rule, window, zone, photos, client) if rule else ()
    return Survey(
        title=title,
        crs=crs,
        zone=zone,
        months=months,
        categories=codes,
        groups=groups,
        titles={code: titles[code] for code in (*groups, *filter(None, codes)) if code in titles},
        cases=max(int(table["cases"].sum()) for table in tables),
        grounds=surveyed,
        outlines=tuple(outlines),
        made_at=made_at,
        revision=revision,
        chronic=chronic,
        parties=parties(answering(surveyed, chronic)) if parties else {},
        within_m=rule.within_m if rule else None,
        window_days=rule.window_days if rule else None,
    )


def answering(grounds: Iterable[GroundSurvey], chronic: Iterable[ChronicPlace]) -> set[str]:
    """Gather the codes of all parties that a survey names."""
    then = (visit.party for place in chronic for visit in place.visits)
    now = (place.responsible for one in grounds for found in one.findings for place in found.places)
    return {code for code in (*then, *now) if code}


def periods(months: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Give the spans that are tested: all months, the last twelve, each year, each month."""
    last = len(months) - 1
    years: dict[str, list[int]] = {}
    for number, month in enumerate(months):
        years.setdefault(month[:4], []).append(number)
    spans = [
        (0, last),
        (max(last + 1 - _MONTHS_OF_A_YEAR, 0), last),
        *((numbers[0], numbers[-1]) for numbers in years.values()),
        *((number, number) for number in range(last + 1)),
    ]
    yield from dict.fromkeys(spans)


def _count(
    parts: Sequence[Part],
    ground: Ground,
    zone: ZoneInfo,
    window: Window,
    client: Any,  # noqa: ANN401
) -> pd.DataFrame:
    """Count as the API does, cells too: a case on the edge of two belongs to the same one here."""
    return count_areas(
        parts, ground.areas, window=window, by_month=zone, by_category=True, client=client
    )


def _months(found: pd.Series) -> tuple[str, ...]:
    first, last = np.datetime64(found.min(), "M"), np.datetime64(found.max(), "M")
    return tuple(np.arange(first, last + 1).astype(str).tolist())


def _codes(found: pd.Series) -> tuple[str | None, ...]:
    """List the categories that occur; those without one come last."""
    codes: list[str | None] = sorted(found.dropna().unique().tolist())
    return (*codes, None) if found.isna().any() else tuple(codes)


def _titles(categories: Iterable[Category]) -> dict[str, Title]:
    """Name categories; of several of one code the last in the file is the newest."""
    return {
        category.code: {
            language: name
            for language, name in (("zh", category.name_zh), ("en", category.name_en))
            if name
        }
        for category in categories
    }


def _groups(codes: Iterable[str | None], titles: Mapping[str, Title]) -> tuple[str, ...]:
    """Find the outermost named classes above those that occur."""
    groups = set()
    for code in filter(None, codes):
        above = (code[:length] for length in range(1, len(code)))
        outermost = next((prefix for prefix in above if prefix in titles), None)
        if outermost:
            groups.add(outermost)
    return tuple(sorted(groups))


def _numbered(
    rows: pd.DataFrame, ground: Ground, months: Sequence[str], codes: Sequence[str | None]
) -> pd.DataFrame:
    """Put row numbers for codes and months."""
    known = pd.Index([code for code in codes if code is not None])
    category = known.get_indexer(pd.Index(rows["category"]))
    category[category < 0] = len(known)
    table = pd.DataFrame(
        {
            "category": category.astype(np.int64),
            "month": pd.Index(months).get_indexer(pd.Index(rows["month"])).astype(np.int64),
            "area": pd.Index(ground.areas["code"]).get_indexer(pd.Index(rows["code"])),
            "cases": rows["cases"].to_numpy(np.int64),
        }
    )
    return table.sort_values(["category", "month", "area"], ignore_index=True)


def _find(  # noqa: PLR0913, PLR0917  what is counted, and how it is split
    ground: Ground,
    counts: pd.DataFrame,
    codes: Sequence[str | None],
    groups: Sequence[str],
    months: Sequence[str],
    whole: Sequence[int],
) -> GroundSurvey:
    graph = neighbours(ground.areas, within_m=ground.within_m)
    findings: list[Finding] = []
    patterns: dict[str, npt.NDArray[np.object_]] = {}
    # Of a layer, whose areas differ in size, cases per km² are tested, as the API does by itself.
    base = None if ground.cell_m else ground.areas.geometry.area.to_numpy() / M2_IN_KM2
    for choice, spans in _tests(ground, counts, codes, groups, months).items():
        meant = [number for number, code in enumerate(codes) if _means(choice, code)]
        cube = _cube(counts, meant, len(months), len(ground.areas))
        findings += [
            _test(ground, base, graph, choice, (first, last), cube[first : last + 1].sum(axis=0))
            for first, last in spans
        ]
        if len(whole) >= FEWEST_STEPS:
            patterns[choice] = emerging(_tested(cube[whole], base), graph)["pattern"].to_numpy(
                object
            )
    return GroundSurvey(
        ground=ground,
        counts=counts,
        graph=graph,
        findings=_moved(findings),
        patterns=patterns,
    )


def _moved(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Tell of the hotspots of each month how high they ranked in the month before."""
    by_month = {(one.category, one.first): one for one in findings if one.first == one.last}
    told = []
    for one in findings:
        before = by_month.get((one.category, one.first - 1)) if one.first == one.last else None
        rank_of = {
            area: place.rank
            for place in (reversed(before.places) if before else ())
            for area in place.areas
        }
        ranks = (
            min((rank_of[area] for area in place.areas if area in rank_of), default=None)
            for place in one.places
        )
        moved = (
            replace(place, previous_rank=rank)
            for place, rank in zip(one.places, ranks, strict=True)
        )
        told.append(replace(one, places=tuple(moved)))
    return tuple(told)


def _with_holders(
    found: GroundSurvey, codes: Sequence[str | None], holders: Holders
) -> GroundSurvey:
    """Ask who is responsible at each hotspot; the same place is asked once a class."""
    asked = {
        (place.x, place.y, one.category if one.category in codes else None)
        for one in found.findings
        for place in one.places
    }
    spots = sorted(asked, key=lambda spot: (*spot[:2], spot[2] or ""))
    party = dict(zip(spots, holders(spots), strict=True))

    def told(place: Place, category: str) -> Place:
        known = category if category in codes else None
        return replace(place, responsible=party[place.x, place.y, known])

    return replace(
        found,
        findings=tuple(
            replace(one, places=tuple(told(place, one.category) for place in one.places))
            for one in found.findings
        ),
    )


def _tests(
    ground: Ground,
    counts: pd.DataFrame,
    codes: Sequence[str | None],
    groups: Sequence[str],
    months: Sequence[str],
) -> dict[str, list[tuple[int, int]]]:
    """Choose what is tested: what has cases enough, the long spans and large classes first."""
    total = np.zeros((len(codes), len(months)), np.int64)
    np.add.at(total, (counts["category"], counts["month"]), counts["cases"])
    wanted = [
        (first == last, number, order, choice, (first, last))
        for number, choice in enumerate((EVERYTHING, *groups, *(code for code in codes if code)))
        for meant in [[_means(choice, code) for code in codes]]
        for order, (first, last) in enumerate(periods(months))
        if total[meant, first : last + 1].sum() >= LEAST_CASES
    ]
    chosen: dict[str, list[tuple[int, int]]] = {}
    for *_, choice, span in sorted(wanted)[: MOST_TESTED // len(ground.areas)]:
        chosen.setdefault(choice, []).append(span)
    return chosen


def _with_peaks(
    found: GroundSurvey,
    parts: Sequence[Part],
    zone: ZoneInfo,
    window: Window,
    client: Any,  # noqa: ANN401
) -> GroundSurvey:
    """Add the problem hours to the hotspots of all categories and all the time."""
    whole = next((one for one in found.findings if one.category == EVERYTHING), None)
    if whole is None or not whole.places:
        return found
    counted = count_areas(parts, found.ground.areas, window=window, hours=zone, client=client)
    codes = found.ground.areas["code"]
    owner = {codes[area]: row for row, place in enumerate(whole.places) for area in place.areas}
    hours = by_hour(counted, owner, len(whole.places))
    city = by_hour(counted, dict.fromkeys(codes, 0), 1)[0]
    told = tuple(
        replace(place, peaks=spans)
        for place, spans in zip(whole.places, peaks(hours, city), strict=True)
    )
    return replace(
        found,
        findings=tuple(
            replace(one, places=told) if one is whole else one for one in found.findings
        ),
    )


def _means(choice: str, code: str | None) -> bool:
    return choice == EVERYTHING or (code is not None and code.startswith(choice))


def _cube(counts: pd.DataFrame, meant: Sequence[int], months: int, areas: int) -> Ints:
    """Lay the counts of some categories out as (months, areas)."""
    rows = counts[counts["category"].isin(meant)]
    place = rows["month"].to_numpy() * areas + rows["area"].to_numpy()
    sums = np.bincount(place, weights=rows["cases"].to_numpy(), minlength=months * areas)
    return sums.astype(np.int64).reshape(months, areas)


def _tested(cases: Ints, base: Floats | None) -> npt.NDArray[Any]:
    return cases if base is None else cases / base


def _test(  # noqa: PLR0913, PLR0917  one choice
    ground: Ground,
    base: Floats | None,
    graph: Graph,
    choice: str,
    span: tuple[int, int],
    cases: Ints,
) -> Finding:
    # Of one step of time this is `clusters.getis_ord`, without its table: there are hundreds.
    z, q = (told[0] for told in gi_star(_tested(cases[np.newaxis], base), graph))
    tested = pd.DataFrame({"z": z, "q": q, "kind": kinds(z, q)})
    weighed = {} if base is None else {"base": base}
    found = places(ground.areas.assign(cases=cases, **weighed), tested, graph)
    number_of = {code: number for number, code in enumerate(ground.areas["code"])}
    return Finding(
        category=choice,
        first=span[0],
        last=span[1],
        kinds=tested["kind"].to_numpy(object),
        q=q,
        places=tuple(
            Place(
                rank=one.rank,
                areas=tuple(number_of[code] for code in one.codes),
                x=one.centre.x,
                y=one.centre.y,
                cases=one.cases,
                expected=one.expected,
                z=one.z,
                q=one.q,
            )
            for one in found.itertuples(index=False)
        ),
    )


def _chronic(  # noqa: PLR0913, PLR0917  what is asked, and who knows the rest
    parts: Sequence[Part],
    rule: Rule,
    window: Window,
    zone: ZoneInfo,
    photos: Photos | None,
    client: Any,  # noqa: ANN401
) -> tuple[ChronicPlace, ...]:
    found = chains(parts, rule, window=window, client=client)
    scored = chronicle.score(found, zone=zone)
    ranked = scored[scored["cases"] >= FEWEST_VISITS].head(MOST_CHRONIC)
    if ranked.empty:
        return ()
    visits = _visits(parts, found, set(ranked["place"]), photos)
    every = chronicle.rounds(found, ranked, zone=zone)["every_days"]
    return tuple(
        ChronicPlace(
            category=place["group"] if isinstance(place["group"], str) else None,
            x=place["x"],
            y=place["y"],
            spread_m=place["spread_m"],
            score=place["score"],
            median_days=_known(place["median_days"]),
            trend=_known(place["trend"]),
            round_days=_known(days),
            visits=visits[place["place"]],
        )
        for place, days in zip(ranked.to_dict("records"), every, strict=True)
    )


def _known(value: Any) -> float | None:  # noqa: ANN401  pandas' own missing value
    return None if pd.isna(value) else float(value)


def _visits(
    parts: Sequence[Part], found: Chains, wanted: set[int], photos: Photos | None
) -> dict[int, tuple[Visit, ...]]:
    """List the cases of places in order of opening; duplicates are none of their own."""
    rows = pd.concat(
        frame[frame["place"].isin(wanted) & ~frame["is_open_duplicate"]] for frame in found.frames()
    ).sort_values("opened_at", kind="stable")
    pictures: Mapping[int, tuple[str, ...]] = {}
    ids: dict[int, int] = {}
    if photos is not None:
        for part in parts:
            cases = part.read()["id"]
            meant = cases[cases.index.isin(rows.index)]
            ids.update(zip(meant.index.tolist(), meant.tolist(), strict=True))
        pictures = photos(set(ids.values()))
    visits: dict[int, list[Visit]] = {place: [] for place in wanted}
    # As Python's own values: a few thousand at most.
    columns = rows.astype(object).where(rows.notna(), None)
    for row, place, opened_at, closed_at, party in zip(
        rows.index.tolist(),
        *(columns[name].tolist() for name in ("place", "opened_at", "closed_at", "responsible")),
        strict=True,
    ):
        visits[place].append(
            Visit(
                opened_at=opened_at.to_pydatetime(),
                closed_at=closed_at and closed_at.to_pydatetime(),
                party=party,
                photos=pictures.get(ids[row], ()) if row in ids else (),
            )
        )
    return {place: tuple(those) for place, those in visits.items()}
