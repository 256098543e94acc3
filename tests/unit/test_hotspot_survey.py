"""The map's survey is the same as counting and testing choice by choice."""

from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from gridsvc.errors import HotspotsRefused
from gridsvc.grids.categories import Category
from gridsvc.grids.terms import CategoryKind
from gridsvc.hotspots.cases import Frame, Window
from gridsvc.hotspots.clusters import getis_ord
from gridsvc.hotspots.counts import count_areas
from gridsvc.hotspots.emerging import emerging
from gridsvc.hotspots.recurrence import Rule
from gridsvc.hotspots.survey import LEAST_CASES, Ground, Survey, answering, periods, survey
from tests.case_frames import areas_frame, cases, instants
from tests.factories import STORAGE

ZONE = ZoneInfo("Asia/Shanghai")
MADE_AT = datetime(2026, 3, 1, tzinfo=UTC)
SIDE_M = 100
NAMES = (
    Category(code="01", kind=CategoryKind.EVENT, name_zh="市容", name_en="Appearance"),
    Category(code="0101", kind=CategoryKind.EVENT, name_zh="垃圾", name_en="Rubbish"),
)


def squares(count: int = 8) -> gpd.GeoDataFrame:
    """Nearly square: rates of areas of one size would tie, which those of a city never do."""
    edge = [i * SIDE_M + (i * 37 % 23 - 11 if 0 < i < count else 0) for i in range(count + 1)]
    return areas_frame(
        {
            f"A{i}{j}": shapely.box(edge[i], edge[j], edge[i + 1], edge[j + 1])
            for i in range(count)
            for j in range(count)
        }
    )


def some_cases(count: int = 3000) -> pd.DataFrame:
    """Over fourteen months, more in the south-west; some without a category, some outside."""
    rng = np.random.default_rng(5)
    place = rng.beta(1, 2, (count, 2)) * 8.2 * SIDE_M
    opened = pd.Timestamp("2025-01-01", tz="UTC") + pd.to_timedelta(rng.uniform(0, 423, count), "D")
    kinds = rng.choice(
        np.array(["0101", "0102", "C07", None], object), count, p=[0.5, 0.3, 0.1, 0.1]
    )
    return cases(place[:, 0], place[:, 1], list(opened), kinds.tolist())


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return some_cases()


@pytest.fixture(scope="module")
def found(frame: pd.DataFrame) -> Survey:
    return make(frame)


def make(frame: pd.DataFrame, **more: object) -> Survey:
    ground = Ground(code="unit", title={"zh": "格", "en": "Unit"}, areas=squares())
    return survey(
        [Frame(frame)],
        [ground],
        title={"en": "Town"},
        crs=STORAGE,
        zone=ZONE,
        made_at=MADE_AT,
        categories=NAMES,
        **more,  # type: ignore[arg-type]
    )


def test_what_is_tested_are_whole_spans_and_each_once() -> None:
    months = [f"2025-{month:02}" for month in range(11, 13)] + ["2026-01"]
    assert list(periods(months)) == [(0, 2), (0, 1), (2, 2), (0, 0), (1, 1)]
    assert (2, 13) in set(periods([str(m) for m in np.arange("2025-01", "2026-03", dtype="M8[M]")]))


def test_months_are_the_citys_and_have_no_gap(found: Survey) -> None:
    assert found.months[0] == "2025-01"
    assert found.months[-1] == "2026-02"
    assert len(found.months) == 14
    midnight = cases([50, 50], [50, 50], ["2025-12-31T15:59Z", "2025-12-31T16:00Z"])
    assert make(midnight).months == ("2025-12", "2026-01")


def test_categories_have_their_names_and_the_classes_above(found: Survey) -> None:
    assert found.categories == ("0101", "0102", "C07", None)
    assert found.groups == ("01",)
    assert found.titles["0101"] == {"zh": "垃圾", "en": "Rubbish"}


@pytest.mark.parametrize("choice", ["", "01", "0101", "C07"])
def test_counts_are_those_of_counting_one_choice(
    frame: pd.DataFrame, found: Survey, choice: str
) -> None:
    ground = found.grounds[0]
    meant = [
        number for number, code in enumerate(found.categories) if (code or "").startswith(choice)
    ]
    counts = ground.counts
    for month in ("2025-01", "2025-07", "2026-02"):
        begin = pd.Timestamp(month).tz_localize(ZONE)
        window = Window(
            from_at=begin.to_pydatetime(),
            to_at=(begin + pd.DateOffset(months=1)).to_pydatetime(),
            category=choice or None,
        )
        straight = count_areas([Frame(frame)], ground.ground.areas, window=window)["cases"]
        rows = counts[
            counts["category"].isin(meant) & (counts["month"] == found.months.index(month))
        ]
        told = rows.groupby("area")["cases"].sum().reindex(range(64), fill_value=0)
        assert told.tolist() == straight.tolist()
        assert straight.sum() > 0


def test_findings_are_those_of_the_test_itself(frame: pd.DataFrame, found: Survey) -> None:
    ground = found.grounds[0]
    km2 = ground.ground.areas.geometry.area.to_numpy() / 1e6
    assert {one.category for one in ground.findings} == {"", "01", "0101", "0102", "C07"}
    for one in ground.findings:
        begin = pd.Timestamp(found.months[one.first]).tz_localize(ZONE)
        end = pd.Timestamp(found.months[one.last]).tz_localize(ZONE) + pd.DateOffset(months=1)
        window = Window(
            from_at=begin.to_pydatetime(),
            to_at=end.to_pydatetime(),
            category=one.category or None,
        )
        straight = count_areas([Frame(frame)], ground.ground.areas, window=window)["cases"]
        assert straight.sum() >= LEAST_CASES
        tested = getis_ord(straight.to_numpy() / km2, ground.graph)
        np.testing.assert_allclose(one.q, tested["q"], rtol=1e-12)
        assert one.kinds.tolist() == tested["kind"].tolist()
        assert [place.rank for place in one.places] == list(range(1, len(one.places) + 1))
    whole = ground.findings[0]
    assert (whole.first, whole.last) == (0, 13)
    assert whole.places[0].cases > whole.places[0].expected
    assert "hot_99" in whole.kinds


def test_too_few_cases_are_not_tested(frame: pd.DataFrame, found: Survey) -> None:
    month = frame[frame["category"] == "C07"]["opened_at"].dt.tz_convert(ZONE)
    assert (month.dt.strftime("%Y-%m").value_counts() < LEAST_CASES).all()
    tested = [(one.first, one.last) for one in found.grounds[0].findings if one.category == "C07"]
    assert (0, 13) in tested
    assert all(first != last for first, last in tested)


def test_of_too_many_choices_the_widest_are_tested(
    frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridsvc.hotspots.survey.MOST_TESTED", 64 * 21)
    tested = [(one.category, one.first, one.last) for one in make(frame).grounds[0].findings]
    assert len(tested) == 21
    # Long spans of each of five choices, and what room is left for months.
    assert {choice for choice, *_ in tested} == {"", "01", "0101", "0102", "C07"}
    assert {choice for choice, first, last in tested if first == last} == {""}


def test_patterns_are_those_of_emerging(found: Survey) -> None:
    ground = found.grounds[0]
    km2 = ground.ground.areas.geometry.area.to_numpy() / 1e6
    cube = np.zeros((14, 64), np.int64)
    np.add.at(cube, (ground.counts["month"], ground.counts["area"]), ground.counts["cases"])
    straight = emerging(cube / km2, ground.graph)["pattern"]
    assert ground.patterns[""].tolist() == straight.tolist()
    assert (straight != "none").any()


def test_nothing_to_show_is_refused() -> None:
    with pytest.raises(HotspotsRefused, match="no case lies in the areas"):
        make(cases([-5000], [50]))
    with pytest.raises(HotspotsRefused, match="no case lies in the areas"):
        make(some_cases(10), window=Window(to_at=datetime(2020, 1, 1, tzinfo=UTC)))


def test_a_chronic_place_has_its_cases_with_photos_and_who_answered() -> None:
    days = ["01-02", "01-20", "02-10", "02-28", "03-15"]
    opened = [f"2026-{day}T02:00Z" for day in days]
    closed = [f"2026-{day}T08:00Z" for day in days[:-1]] + [None]
    far = cases([700], [700], ["2026-01-05T00:00Z"])
    back = cases(
        [50, 52, 50, 49, 50],
        [50, 50, 51, 50, 50],
        opened,
        closed_at=instants(closed),
        id=[11, 12, 13, 14, 15],
        responsible=pd.Categorical(["P1", "P1", "B1", None, "P1"]),
    )
    frame = pd.concat([far.assign(id=[10]), back], ignore_index=True).astype(
        {"category": "category", "responsible": "category"}
    )
    asked: list[set[int]] = []

    def photos(ids: object) -> dict[int, tuple[str, ...]]:
        asked.append(set(ids))  # type: ignore[call-overload]
        return {12: ("https://photos.example/1.jpg",)}

    told = make(
        frame,
        rule=Rule(within_m=20, window_days=30),
        photos=photos,
        parties=lambda codes: {code: {"en": f"role of {code}"} for code in codes},
    )
    assert asked == [{11, 12, 13, 14, 15}]
    (place,) = told.chronic
    assert place.category == "0101"
    assert [visit.opened_at.day for visit in place.visits] == [2, 20, 10, 28, 15]
    assert [visit.party for visit in place.visits] == ["P1", "P1", "B1", None, "P1"]
    assert place.visits[1].photos == ("https://photos.example/1.jpg",)
    assert place.visits[-1].closed_at is None
    assert 0 < place.score < 100
    assert told.parties == {"P1": {"en": "role of P1"}, "B1": {"en": "role of B1"}}
    assert (told.within_m, told.window_days) == (20, 30)


def test_hotspots_of_a_month_tell_their_rank_of_the_month_before_and_who_answers(
    frame: pd.DataFrame,
) -> None:
    asked: list[tuple[float, float, str | None]] = []

    def holders(spots: Sequence[tuple[float, float, str | None]]) -> list[str | None]:
        asked.extend(spots)
        return ["P1" if category else "B1" for *_, category in spots]

    found = make(frame, holders=holders)
    of_months = [one for one in found.grounds[0].findings if one.first == one.last and one.places]
    assert of_months
    by_month = {(one.category, one.first): one for one in of_months}
    moved = [
        (one, place) for one in of_months for place in one.places if place.previous_rank is not None
    ]
    assert moved
    for one, place in moved:
        before = by_month[one.category, one.first - 1].places
        shared = [other.rank for other in before if set(other.areas) & set(place.areas)]
        assert place.previous_rank == min(shared)
    assert len(asked) == len(set(asked))
    for one in found.grounds[0].findings:
        expected = "P1" if one.category in found.categories else "B1"
        assert {place.responsible for place in one.places} <= {expected}
    assert answering(found.grounds, found.chronic) >= {"P1", "B1"}
