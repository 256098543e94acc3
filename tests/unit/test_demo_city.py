"""The demo city is whole: it tiles, its codes and people fit, and it can be made again."""

import hashlib
import itertools
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from gridsvc.crs import to_wgs84
from gridsvc.grids.categories import read_categories
from gridsvc.grids.codes import unit_grid_code_faults
from gridsvc.grids.schemes import Scheme, read_scheme
from gridsvc.grids.weekhours import parse_week_hours
from tools.demo_city import cities
from tools.demo_city.__main__ import city, city_chance
from tools.demo_city.areas import City
from tools.demo_city.cities import CITIES
from tools.demo_city.roads import surfaces

DATA = Path(__file__).parents[2] / "data"
TILING = ["unit", "community", "street", "district", "patrol_area", "enforcement_grid"]


@pytest.fixture(scope="module")
def scheme() -> Scheme:
    return read_scheme(DATA / "schemes/demo.toml")


@pytest.fixture(scope="module")
def layers(scheme: Scheme) -> dict[str, gpd.GeoDataFrame]:
    path = DATA / "boundaries/demo.gpkg"
    return {layer.code: gpd.read_file(path, layer=layer.code) for layer in scheme.layers}


@pytest.fixture(scope="module")
def grounds(layers: dict[str, gpd.GeoDataFrame]) -> dict[str, gpd.GeoDataFrame]:
    """The layers as they lie on the ground: street segments as what they cover."""
    return {layer: surfaces(frame) for layer, frame in layers.items()}


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    return pd.read_csv(DATA / "people/demo.csv", dtype=str, keep_default_na=False)


@pytest.fixture(scope="module")
def reports() -> pd.DataFrame:
    return pd.read_parquet(DATA / "reports/demo.parquet")


@pytest.fixture(scope="module")
def drawn() -> City:
    return city()


def test_the_same_seed_gives_the_same_city(
    layers: dict[str, gpd.GeoDataFrame], drawn: City
) -> None:
    again = city().layers
    for layer, stored in layers.items():
        for other in (again[layer], stored):
            assert drawn.layers[layer].code.tolist() == other.code.tolist()
        assert shapely.equals_exact(drawn.layers[layer].geometry, again[layer].geometry).all()
        # Sines differ in their last bit from processor to processor, and overlays a millimetre
        # from GEOS to GEOS; there a slab or two of thousands is laid elsewhere.
        same = shapely.equals_exact(drawn.layers[layer].geometry, stored.geometry, tolerance=0.0015)
        assert same.mean() > 0.999, layer


MADE = (
    *("boundaries/demo.gpkg", "people/demo.csv", "reports/demo.parquet", "components/nanan.csv"),
    *(f"people/{name}.csv" for name in CITIES),
)


@pytest.mark.parametrize("name", MADE)
def test_sidecars_name_origin_and_content(name: str) -> None:
    path = DATA / name
    told = tomllib.loads(path.with_suffix(".toml").read_text(encoding="utf-8"))
    assert told["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert {"source", "licence", "date"} <= told.keys()


@pytest.mark.parametrize("name", CITIES)
def test_the_same_seed_gives_the_same_people(name: str, drawn: City) -> None:
    table = cities.build(drawn, name, city_chance(name))
    stored = (DATA / f"people/{name}.csv").read_text(encoding="utf-8")
    assert table.to_csv(index=False, lineterminator="\n") == stored


def test_counts(layers: dict[str, gpd.GeoDataFrame]) -> None:
    counted = {layer: len(layers[layer]) for layer in TILING}
    assert counted == {
        "unit": 600,
        "community": 30,
        "street": 5,
        "district": 1,
        "patrol_area": 24,
        "enforcement_grid": 10,
    }
    assert 20e6 < layers["district"].area.sum() < 30e6
    for overlay in ("courtyard", "building", "street_segment", "shopfront"):
        assert len(layers[overlay]) > 900


@pytest.mark.parametrize("layer", TILING)
def test_tilings_fill_the_district_exactly(layers: dict[str, gpd.GeoDataFrame], layer: str) -> None:
    areas = layers[layer].geometry.to_numpy()
    assert shapely.is_valid(areas).all()
    assert set(layers[layer].geom_type) == {"Polygon"}
    assert shapely.coverage_is_valid(areas)
    district = layers["district"].geometry.iloc[0]
    whole = shapely.coverage_union_all(areas)
    assert shapely.difference(district, whole).is_empty
    assert shapely.difference(whole, district).is_empty
    assert whole.equals(district)


def test_parents_are_the_exact_sum_of_their_children(layers: dict[str, gpd.GeoDataFrame]) -> None:
    for child, parent, digits in (("unit", "community", 12), ("community", "street", 9)):
        by_code = layers[parent].set_index("code").geometry
        for code, family in layers[child].groupby(layers[child].code.str[:digits]):
            whole = shapely.coverage_union_all(family.geometry.to_numpy())
            assert shapely.normalize(whole).equals_exact(shapely.normalize(by_code[code]), 0)


def test_patrol_areas_cross_streets(layers: dict[str, gpd.GeoDataFrame]) -> None:
    units = layers["unit"].set_geometry(layers["unit"].representative_point())
    found = units.sjoin(layers["patrol_area"], predicate="within")
    streets = found.groupby("code_right")["code_left"].agg(lambda codes: codes.str[:9].nunique())
    assert (streets > 1).sum() > 5


def test_every_vertex_is_on_the_millimetre_grid(layers: dict[str, gpd.GeoDataFrame]) -> None:
    for frame in layers.values():
        xy = shapely.get_coordinates(frame.geometry.to_numpy())
        assert np.abs(xy * 1000 - np.round(xy * 1000)).max() < 1e-4


def test_codes_and_names(layers: dict[str, gpd.GeoDataFrame], scheme: Scheme) -> None:
    for layer in scheme.layers:
        codes = layers[layer.code].code
        assert codes.is_unique
        if layer.code_format == "unit_grid":
            assert not any(map(unit_grid_code_faults, codes))
        else:
            assert codes.map(re.compile(layer.code_pattern or "").fullmatch).notna().all()
        assert layers[layer.code][["name", "name_en"]].map(bool).all(axis=None)


def test_overlays_lie_in_their_parents(
    grounds: dict[str, gpd.GeoDataFrame], scheme: Scheme
) -> None:
    for layer in scheme.layers:
        if layer.kind != "overlay" or layer.parent is None:
            continue
        frame, parents = grounds[layer.code], grounds[layer.parent].geometry
        parent = parents.iloc[parents.sindex.nearest(frame.representative_point())[1]]
        spill = shapely.difference(frame.geometry.to_numpy(), parent.to_numpy())
        assert shapely.is_valid(frame.geometry.to_numpy()).all()
        assert shapely.area(spill).max() < 0.2  # m²: what snapping to 1 mm leaves on a long road
        assert (2 * frame.area / frame.length).min() > 1  # m: no slivers


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("courtyard", "courtyard"),
        ("building", "building"),
        ("shopfront", "shopfront"),
        ("street_segment", "street_segment"),
        ("courtyard", "street_segment"),
        ("shopfront", "street_segment"),
        ("shopfront", "building"),
        ("shopfront", "courtyard"),
    ],
)
def test_overlays_keep_apart(grounds: dict[str, gpd.GeoDataFrame], one: str, other: str) -> None:
    mine, theirs = grounds[one].geometry, grounds[other].geometry
    pairs = theirs.sindex.query(mine, predicate="intersects")
    i, j = pairs[:, pairs[0] < pairs[1]] if one == other else pairs
    shared = shapely.intersection(mine.to_numpy()[i], theirs.to_numpy()[j])
    assert shapely.area(shared).sum() < 10  # m² in all: rounding to 1 mm on long edges


def test_street_segments_are_lines_that_cover_the_ground_of_the_roads(
    layers: dict[str, gpd.GeoDataFrame],
    grounds: dict[str, gpd.GeoDataFrame],
    scheme: Scheme,
    drawn: City,
) -> None:
    drawn_as_lines = {layer.code for layer in scheme.layers if layer.drawn_as == "line"}
    assert drawn_as_lines == {"street_segment"}
    lines, covered = layers["street_segment"], grounds["street_segment"].geometry.to_numpy()
    assert set(lines.geom_type) == {"LineString"}
    assert lines.width_m.between(2, 42).all()
    assert lines.length.min() > 5  # m
    roads = shapely.union_all(drawn.roads)
    # The rest are wedges where roads cross aslant; a line ends square.
    assert shapely.area(covered).sum() > 0.98 * roads.area
    assert shapely.difference(shapely.union_all(covered), roads).area < 0.0003 * roads.area


def test_assignments_fit_the_scheme_and_the_areas(
    people: pd.DataFrame, layers: dict[str, gpd.GeoDataFrame], scheme: Scheme
) -> None:
    areas = {(layer, code) for layer, frame in layers.items() for code in frame.code}
    assert set(zip(people.layer, people.area_code, strict=True)) <= areas
    assert set(people.role) == {role.code for role in scheme.roles}
    codes = [category.code for category in scheme.categories]
    for prefix in people.categories[people.categories != ""].str.split(";").explode():
        assert any(code.startswith(prefix) for code in codes), prefix
    for hours in people.hours.unique():
        parse_week_hours(hours)


def test_people_are_many_and_made_up(people: pd.DataFrame) -> None:
    persons = people[people.party_kind == "person"].drop_duplicates("party_code")
    assert 850 < len(persons) < 950
    assert persons.party_name.is_unique
    assert persons.party_name.str.match(r".[一二三四五六七八九十].$").all()
    assert persons.phone.str.fullmatch(r"1380000\d{4}").all()
    told = people[["party_code", "party_name", "party_kind", "phone"]].drop_duplicates()
    assert told.party_code.is_unique


@pytest.mark.parametrize(
    ("duty", "rank"),
    [
        ("responsibility", 1),
        ("management", 1),
        ("enforcement", 1),
        ("enforcement", 2),
        ("supervision", 1),
    ],
)
def test_every_area_of_each_tiling_rung_is_held(
    people: pd.DataFrame,
    layers: dict[str, gpd.GeoDataFrame],
    scheme: Scheme,
    duty: str,
    rank: int,
) -> None:
    held = people[(people.duty == duty) & (people["rank"] == str(rank)) & (people.categories == "")]
    for ladder in scheme.ladders:
        for layer in ladder.layers:
            if ladder.duty == duty and layer in TILING:
                assert set(held[held.layer == layer].area_code) == set(layers[layer].code)


def test_shifts_hand_over_round_the_clock_at_staggered_hours(people: pd.DataFrame) -> None:
    shifts = people[people.layer == "patrol_area"].groupby("area_code").hours
    for _, hours in shifts:
        spans = sorted(span for text in hours for span in parse_week_hours(text))
        assert spans[0][0] == 0
        assert spans[-1][1] == 7 * 24 * 60
        assert all(before[1] == after[0] for before, after in itertools.pairwise(spans))
    assert shifts.first().nunique() == 4


def test_one_holder_at_a_time_and_hand_overs(people: pd.DataFrame) -> None:
    key = ["layer", "area_code", "duty", "rank", "categories", "hours"]
    for _, holders in people.groupby(key):
        ordered = holders.sort_values("valid_from")
        assert (
            ordered.valid_to.iloc[:-1].to_numpy() == ordered.valid_from.iloc[1:].to_numpy()
        ).all()
        assert ordered.valid_to.iloc[-1] == ""
    changed = people.valid_to[people.valid_to != ""].value_counts()
    assert changed["2026-12-01T09:00:00+08:00"] == 1
    assert changed["2025-07-01T09:00:00+08:00"] > 10


def test_some_overlay_areas_are_held_by_nobody(
    people: pd.DataFrame, layers: dict[str, gpd.GeoDataFrame]
) -> None:
    for layer in ("courtyard", "building", "street_segment", "shopfront"):
        vacant = set(layers[layer].code) - set(people[people.layer == layer].area_code)
        assert 0 < len(vacant) < 0.06 * len(layers[layer])


def test_reports_are_as_their_channels_make_them(reports: pd.DataFrame, scheme: Scheme) -> None:
    assert len(reports) == 20_000
    assert reports.id.is_unique
    assert reports.opened_at.is_monotonic_increasing
    assert str(reports.opened_at.dt.tz) == "UTC"
    assert set(reports.category) <= {
        c.code for c in read_categories(DATA / "categories/gbt30428.csv")
    }
    assert set(reports[reports.crs == "gcj02"].channel) == {"phone_app"}
    assert reports[reports.channel == "phone_app"].accuracy_m.between(5, 60).all()
    hotline = reports[reports.channel == "hotline"]
    assert (hotline[["lon", "lat"]].round(4) == hotline[["lon", "lat"]]).all(axis=None)
    assert ((reports.status == "closed") == reports.closed_at.notna()).all()
    assert (reports.closed_at.dropna() > reports.opened_at[reports.closed_at.notna()]).all()
    default = scheme.default_points[0]
    assert ((reports.lon == default.lon) & (reports.lat == default.lat)).sum() >= 400


def test_reports_lie_in_the_district_but_for_the_strayed(
    reports: pd.DataFrame, layers: dict[str, gpd.GeoDataFrame], lonlat: Callable[..., np.ndarray]
) -> None:
    points = gpd.GeoSeries(shapely.points(lonlat(reports)), crs=4326).to_crs(4548)
    outside = ~points.within(layers["district"].geometry.iloc[0])
    assert 100 < outside.sum() < 300


def test_reports_follow_the_week_the_day_and_the_new_year(reports: pd.DataFrame) -> None:
    local = reports.opened_at.dt.tz_convert("Asia/Shanghai")
    assert local.min() >= pd.Timestamp("2024-11-01", tz="Asia/Shanghai")
    assert local.max() < pd.Timestamp("2026-11-01", tz="Asia/Shanghai")
    weekday = local.dt.day_of_week.value_counts()
    assert weekday[6] < 0.75 * weekday[0]
    assert local.dt.hour.between(7, 21).mean() > 0.9
    festival = local.between("2025-01-26", "2025-02-05").sum() / 10
    assert festival < 0.6 * len(reports) / 730


def test_chronic_places_come_back(reports: pd.DataFrame, lonlat: Callable[..., np.ndarray]) -> None:
    told = tomllib.loads((DATA / "reports/demo.toml").read_text(encoding="utf-8"))["chronic"]
    assert len(told) == 12
    points = gpd.GeoSeries(shapely.points(lonlat(reports)), crs=4326).to_crs(4548)
    for place in told:
        spot = gpd.GeoSeries(gpd.points_from_xy([place["lon"]], [place["lat"]]), crs=4326)
        near = (points.distance(spot.to_crs(4548).iloc[0]) < 10) & (
            reports.category == place["category"]
        )
        cases = reports[near & reports.channel.isin(["inspector", "patrol"])]
        days = (cases.opened_at.iloc[1:].array - cases.closed_at.iloc[:-1].array).days
        assert ((days >= 14) & (days <= 30)).sum() >= 15


@pytest.fixture(scope="module")
def lonlat() -> Callable[..., np.ndarray]:
    def convert(reports: pd.DataFrame) -> np.ndarray:
        xy = reports[["lon", "lat"]].to_numpy(copy=True)
        shifted = (reports.crs == "gcj02").to_numpy()
        xy[shifted] = np.column_stack(to_wgs84(*xy[shifted].T, crs="gcj02"))
        return xy

    return convert
