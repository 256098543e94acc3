"""One question answered from columns: ranks of a month ago, whole months, rates, nothing at all."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
import shapely

from gridsvc.errors import HotspotsRefused
from gridsvc.hotspots.analysis import Analysis, Ground, analyse, month_before
from gridsvc.hotspots.cases import Frame, Window
from gridsvc.hotspots.tessellation import Tessellation
from tests.case_frames import areas_frame, cases
from tests.factories import STORAGE

SHANGHAI = ZoneInfo("Asia/Shanghai")
SIDE, UNIT_M = 12, 100.0
SHAPES = {
    f"{j * SIDE + i:03}": shapely.box(i * UNIT_M, j * UNIT_M, (i + 1) * UNIT_M, (j + 1) * UNIT_M)
    for j in range(SIDE)
    for i in range(SIDE)
}
AREAS = areas_frame(SHAPES)
YEAR = Window(
    from_at=datetime(2025, 1, 1, tzinfo=SHANGHAI), to_at=datetime(2026, 1, 1, tzinfo=SHANGHAI)
)
EVEN = [(i, j) for j in range(SIDE) for i in range(SIDE)]


def at(units: list[tuple[int, int]], *, month: int, year: int = 2025) -> Frame:
    """A case in the middle of each unit, at noon of the tenth of a month."""
    middle = (np.array(units) + 0.5) * UNIT_M
    opened = pd.DatetimeIndex([f"{year}-{month:02}-10T04:00:00"] * len(units), tz="UTC")
    return Frame(cases(middle[:, 0], middle[:, 1], opened))


def block(i: int, j: int, *, each: int) -> list[tuple[int, int]]:
    """Units around one, the same number of times each: one unit alone is no cluster."""
    return [(i + east, j + north) for east in (-1, 0, 1) for north in (-1, 0, 1)] * each


def look(*parts: Frame, window: Window = YEAR, ground: Ground | None = None) -> Analysis:
    return analyse(parts, ground or Ground(areas=AREAS), window, zone=SHANGHAI)


def test_a_hotspot_is_found_again_in_the_ranking_of_a_month_before() -> None:
    south_west, north_east = block(3, 3, each=5), block(8, 8, each=6)
    found = look(
        *(at(EVEN, month=month) for month in (1, 6)),
        at(EVEN, month=12, year=2024),
        at(south_west, month=3),
        at(north_east, month=12),
    )
    # Until December the south-west was the first; in the window of then there was no north-east.
    assert [codes[0] for codes in found.places["codes"]] == ["104", "039"]
    assert found.places["rank"].tolist() == [1, 2]
    assert found.places["previous_rank"].isna().tolist() == [True, False]
    assert found.places["previous_rank"][1] == 1
    assert found.places["hours"][0].sum() == found.places["cases"][0] > 40
    assert found.cases == 2 * 144 + 99


def test_trends_are_of_whole_months_alone() -> None:
    months = [at(EVEN + block(4, 4, each=month), month=month) for month in range(1, 11)]
    found = look(
        *months, window=Window(from_at=YEAR.from_at, to_at=datetime(2025, 11, 1, tzinfo=UTC))
    )
    patterns = found.areas.set_index("code")["pattern"]
    assert patterns["052"].endswith("_hot")
    assert found.areas.set_index("code")["trend_p"]["052"] < 0.05
    short = look(
        *months,
        window=Window(
            from_at=datetime(2025, 1, 2, tzinfo=SHANGHAI), to_at=datetime(2025, 10, 31, tzinfo=UTC)
        ),
    )
    assert short.areas["pattern"].isna().all()
    assert short.areas["trend_z"].isna().all()


def test_rates_have_an_interval_and_may_be_what_is_tested() -> None:
    ground = Ground(areas=AREAS, per="resident", residents=dict.fromkeys(SHAPES, 200) | {"000": 0})
    found = look(at(EVEN, month=5), at(block(7, 7, each=4), month=5), ground=ground)
    areas = found.areas.set_index("code")
    assert areas.loc["001", "rate"] == pytest.approx(1 / 200)
    assert areas.loc["001", "value"] == areas.loc["001", "rate"]
    # Of Garwood's interval of one case.
    assert areas.loc["001", "rate_low"] == pytest.approx(0.0253 / 200, rel=1e-2)
    assert areas.loc["001", "rate_high"] == pytest.approx(5.572 / 200, rel=1e-3)
    assert areas.loc["000", "kind"] == "untested"
    assert np.isnan(areas.loc["000", "rate"])
    with pytest.raises(HotspotsRefused, match=r"\[hotspots\] residents"):
        look(at(EVEN, month=5), ground=Ground(areas=AREAS, per="resident"))


def test_a_sliver_of_a_cell_does_not_drown_the_rates_of_the_others() -> None:
    outline = shapely.box(0.01, 0, SIDE * UNIT_M, SIDE * UNIT_M)
    cells = Tessellation("square", 100).areas(
        shapely.union_all([outline, shapely.box(-0.01, 0, 0.01, 100)]), STORAGE
    )
    middle = Frame(cases([-0.005], [50.0], ["2025-05-10T04:00Z"]))
    parts = (at(EVEN, month=5), at(block(5, 5, each=6), month=5), middle)
    found = look(*parts, ground=Ground(areas=cells, per="km2"))
    areas = found.areas.set_index("code")
    assert areas.loc["S100:-1:0", ["cases", "kind"]].tolist() == [1, "untested"]
    assert areas.loc["S100:5:5", "kind"] == "hot_99"


def test_without_cases_nothing_is_found_and_nothing_breaks() -> None:
    found = look(at(EVEN, month=5, year=2020))
    assert found.cases == 0
    assert len(found.places) == 0
    assert set(found.areas["kind"]) == {"none"}
    assert look(window=YEAR).cases == 0


@pytest.mark.parametrize(
    ("given", "before"),
    [
        (datetime(2026, 3, 31, 8, tzinfo=SHANGHAI), datetime(2026, 2, 28, 8, tzinfo=SHANGHAI)),
        (datetime(2026, 1, 1, tzinfo=SHANGHAI), datetime(2025, 12, 1, tzinfo=SHANGHAI)),
        # Midnight in Shanghai is the afternoon before in UTC; the city's months count.
        (datetime(2026, 2, 28, 16, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=SHANGHAI)),
    ],
)
def test_a_month_before_is_by_the_city_s_clock(given: datetime, before: datetime) -> None:
    assert month_before(given, SHANGHAI) == before


def test_a_month_before_keeps_the_hour_across_a_change_of_clocks() -> None:
    boston = ZoneInfo("America/New_York")
    moved = month_before(datetime(2026, 4, 1, tzinfo=boston), boston)
    assert moved == datetime(2026, 3, 1, tzinfo=boston)


def test_a_window_of_centuries_has_no_trends(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        pytest.fail("trends of thousands of months take hours")

    monkeypatch.setattr("gridsvc.hotspots.analysis.emerging", never)
    ages = Window(
        from_at=datetime(1000, 1, 1, tzinfo=SHANGHAI), to_at=datetime(8999, 1, 1, tzinfo=SHANGHAI)
    )
    found = analyse([at(EVEN, month=5)], Ground(areas=AREAS), ages, zone=SHANGHAI)
    assert found.cases == len(EVEN)
    assert found.areas["pattern"].isna().all()
