"""The density surface is the sum it claims to be, and its units are what they say."""

import math
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gridsvc.errors import HotspotsRefused
from gridsvc.hotspots.cases import Frame, Window
from gridsvc.hotspots.density import Bounds, Surface, kernel_density
from tests.case_frames import cases

X0, Y0 = 451_000.0, 4_418_000.0
"""As far from the origin as the demo city."""

Numbers = NDArray[np.float64]


def direct_sum(x: Numbers, y: Numbers, surface: Surface) -> Numbers:
    """Do what the docstring of `kernel_density` says, term by term."""
    along_x = (surface.x[None, :, None] - x) ** 2
    along_y = (surface.y[:, None, None] - y) ** 2
    terms = np.exp(-(along_x + along_y) / (2 * surface.bandwidth_m**2))
    return terms.sum(axis=-1) / (2 * math.pi * surface.bandwidth_m**2) * 1e6


def assert_equal_to_1e_12(x: Numbers, y: Numbers, surface: Surface) -> None:
    expected = direct_sum(x, y, surface)
    worst = np.abs(surface.values - expected).max(initial=0)
    assert worst <= 1e-12 * expected.max(initial=0)


def surface_of(x: Numbers, y: Numbers, bounds: Bounds, **sizes: float) -> Surface:
    return kernel_density([Frame(cases(x, y))], bounds, **sizes)


@given(
    st.lists(st.tuples(st.floats(-3000, 4000), st.floats(-3000, 4000)), max_size=30),
    st.integers(1, 3),
    st.floats(20, 400),
    st.floats(0.2, 1),
)
def test_density_is_the_direct_sum(
    offsets: list[tuple[float, float]], times: int, bandwidth_m: float, share: float
) -> None:
    # Every case as often as asked: some lie on one place.
    x = X0 + np.array([east for east, _ in offsets * times])
    y = Y0 + np.array([north for _, north in offsets * times])
    surface = surface_of(
        *(x, y, (X0, Y0, X0 + 1000, Y0 + 700)),
        cell_m=max(20, share * bandwidth_m),
        bandwidth_m=bandwidth_m,
    )
    expected = direct_sum(x, y, surface)
    # Where all cases are out of reach the highest value is next to nothing; theirs is not.
    alone = 1e6 / (2 * math.pi * bandwidth_m**2)
    worst = np.abs(surface.values - expected).max()
    assert worst <= 1e-12 * expected.max() + 1e-20 * alone


@pytest.mark.parametrize(
    ("cell_m", "bandwidth_m"), [(50, 200), (100, 100), (33.3, 77.7), (25, 600)]
)
def test_density_of_many_places_is_the_direct_sum(cell_m: float, bandwidth_m: float) -> None:
    rng = np.random.default_rng(1)
    x, y = X0 + rng.normal(1500, 900, 3000), Y0 + rng.normal(1000, 900, 3000)
    surface = surface_of(
        x, y, (X0, Y0, X0 + 3000, Y0 + 2000), cell_m=cell_m, bandwidth_m=bandwidth_m
    )
    assert_equal_to_1e_12(x, y, surface)


@pytest.mark.parametrize("count", [1, 2, 10_000])
def test_cases_at_one_place_are_a_bell(count: int) -> None:
    x, y = np.full(count, X0 + 500), np.full(count, Y0 + 500)
    surface = surface_of(x, y, (X0, Y0, X0 + 1000, Y0 + 1000), cell_m=50, bandwidth_m=100)
    assert_equal_to_1e_12(x, y, surface)
    # The place is a corner of four cells; the bell is the same on all sides.
    assert surface.values[9:11, 9:11].ravel() == pytest.approx([surface.values.max()] * 4)
    assert surface.values == pytest.approx(surface.values[::-1, ::-1])


@pytest.mark.parametrize(
    ("east_m", "north_m"), [(0, 0), (1000, 500), (1000, 1000), (-400, 500), (500, 1900)]
)
def test_a_case_at_or_beyond_the_border_spreads_into_the_bounds(
    east_m: float, north_m: float
) -> None:
    x, y = np.array([X0 + east_m]), np.array([Y0 + north_m])
    surface = surface_of(x, y, (X0, Y0, X0 + 1000, Y0 + 1000), cell_m=50, bandwidth_m=150)
    assert surface.values.max() > 0
    assert_equal_to_1e_12(x, y, surface)


def test_no_cases_and_cases_out_of_reach_are_zeros() -> None:
    bounds = (X0, Y0, X0 + 1000, Y0 + 600)
    sizes = {"cell_m": 50.0, "bandwidth_m": 100.0}
    assert not kernel_density([], bounds, **sizes).values.any()
    assert not surface_of(np.empty(0), np.empty(0), bounds, **sizes).values.any()
    away = surface_of(np.array([X0 - 1e6, X0]), np.array([Y0, Y0 + 1e7]), bounds, **sizes)
    assert away.values.shape == (12, 20)
    assert not away.values.any()


@pytest.mark.parametrize("cell_m", [20, 50, 75])
def test_density_integrates_to_the_number_of_cases(cell_m: float) -> None:
    rng = np.random.default_rng(2)
    x, y = X0 + rng.uniform(0, 1000, 500), Y0 + rng.uniform(0, 1000, 500)
    wide = (X0 - 1000, Y0 - 1000, X0 + 2000, Y0 + 2000)
    surface = surface_of(x, y, wide, cell_m=cell_m, bandwidth_m=100)
    # Cases per km², so the cell's ground is taken in km².
    assert surface.values.sum() * cell_m**2 / 1e6 == pytest.approx(500, rel=1e-9)


def test_a_density_is_per_square_kilometre() -> None:
    # 100 cases a hectare everywhere are 10,000 a km².
    east, north = np.meshgrid(np.arange(-2000, 3000, 10.0), np.arange(-2000, 3000, 10.0))
    x, y = X0 + east.ravel(), Y0 + north.ravel()
    surface = surface_of(x, y, (X0, Y0, X0 + 1000, Y0 + 1000), cell_m=50, bandwidth_m=100)
    assert surface.values == pytest.approx(10_000, rel=1e-6)


def test_cells_hang_on_the_origin_and_cover_the_bounds() -> None:
    surface = surface_of(
        *(np.array([X0]), np.array([Y0]), (X0 + 1, Y0 + 1, X0 + 101, Y0 + 50)),
        cell_m=50,
        bandwidth_m=100,
    )
    assert surface.bounds == (X0, Y0, X0 + 150, Y0 + 50)
    assert surface.x.tolist() == [X0 + 25, X0 + 75, X0 + 125]
    assert surface.y.tolist() == [Y0 + 25]
    assert surface.values.shape == (1, 3)


def test_only_the_cases_of_the_window_are_spread() -> None:
    x, y = np.array([X0, X0 + 400]), np.array([Y0, Y0])
    frame = cases(x, y, ["2026-01-01T00:00Z", "2026-02-01T00:00Z"])
    surface = kernel_density(
        [Frame(frame)],
        (X0, Y0, X0 + 500, Y0 + 100),
        cell_m=50,
        bandwidth_m=50,
        window=Window(from_at=datetime(2026, 2, 1, tzinfo=UTC)),
    )
    assert_equal_to_1e_12(x[1:], y[1:], surface)


GOOD = {"bounds": (0, 0, 100, 100), "cell_m": 10, "bandwidth_m": 20}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"bandwidth_m": 0}, "bandwidth_m: 0 m is no bandwidth"),
        ({"bandwidth_m": math.nan}, "bandwidth_m: nan m is no bandwidth"),
        ({"cell_m": 30}, "cell_m: cells of 30 m do not show a bandwidth of 20 m"),
        ({"cell_m": -1}, "cell_m: cells of -1 m"),
        ({"bounds": (0, 0, 0, 100)}, "bounds: 0 to 0 east and 0 to 100 north hold no ground"),
        ({"bounds": (0, 0, math.inf, 100)}, "bounds: 0 to inf east"),
        ({"bounds": (0, 0, 1e6, 1e6)}, "cell_m: 10,000,000,000 cells of 10 m are more than"),
    ],
)
def test_what_has_no_meaning_is_refused(changed: dict[str, float], words: str) -> None:
    with pytest.raises(HotspotsRefused) as refused:
        kernel_density([], **{**GOOD, **changed})
    assert words in str(refused.value)
