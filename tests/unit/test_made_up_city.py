"""The city on which speed is measured is sound, whatever its size, and the same each time."""

import numpy as np
import pytest
import shapely

from tests.bench.made_up_city import HELD, LAYERS, TILINGS, MadeUpCity, make, on_the_millimetre


@pytest.fixture(scope="module")
def city() -> MadeUpCity:
    return make(20_000)


@pytest.mark.parametrize("areas", [300, 1_000, 20_000])
def test_a_city_has_about_the_areas_asked_for(areas: int) -> None:
    assert abs(make(areas).areas - areas) < 0.15 * areas


def test_boundaries_are_valid_and_on_the_millimetre(city: MadeUpCity) -> None:
    for layer in LAYERS:
        shapes = city.layers[layer].geometry.to_numpy()
        vertices = shapely.get_coordinates(shapes)
        assert shapely.is_valid(shapes).all()
        assert np.array_equal(vertices, on_the_millimetre(vertices))


def test_levels_tile_the_same_ground_with_holes_and_parts(city: MadeUpCity) -> None:
    ground = {layer: city.layers[layer].geometry.to_numpy() for layer in TILINGS}
    for shapes in ground.values():
        assert shapely.coverage_is_valid(shapes).all()
        assert shapely.get_num_interior_rings(shapes).sum() > 0
        assert shapely.get_num_geometries(shapes).max() > 1
    whole = {shapely.coverage_union_all(shapes).normalize() for shapes in ground.values()}
    assert len({round(shapely.area(shape), 3) for shape in whole}) == 1


def test_the_same_seed_gives_the_same_city_and_points(city: MadeUpCity) -> None:
    again = make(20_000)
    for layer in LAYERS:
        assert (city.layers[layer] == again.layers[layer]).all(axis=None)
    assert np.array_equal(city.points(1_000), again.points(1_000))
    assert not np.array_equal(city.points(1_000), city.points(1_000, seed=2))


def test_every_area_that_a_ladder_asks_has_its_holders(city: MadeUpCity) -> None:
    asked = {(rung.duty, layer) for rung in city.scheme().ladders for layer in rung.layers}
    held = {(duty, layer) for duty, _, _, layers in HELD for layer in layers}
    assert asked == held
    rows = city.people().assignments
    assert len(rows) == sum(len(city.layers[layer]) for *_, layers in HELD for layer in layers)
