"""Names, conversions and guards, held against two other implementations of the shifted datums."""

import math

import numpy as np
import prcoords
import pytest
import shapely
from coord_convert import transform as coord_convert
from hypothesis import given
from hypothesis import strategies as st

from gridsvc import crs
from gridsvc.crs import BD09, CGCS2000, GCJ02, WGS84, Crs, convert, from_wgs84, parse_crs, to_wgs84
from gridsvc.errors import DatumNotInverted, UnknownCrs

# A millimetre is 9e-9 degrees of latitude; of longitude, at 53 degrees north, 1.5e-8.
MM = 9e-9

SYSTEMS = ["gcj02", "bd09", "EPSG:4490", "EPSG:4547", "EPSG:3857"]

lons = st.floats(73.0, 136.0)
lats = st.floats(3.0, 54.0)


@pytest.fixture(scope="module")
def china() -> tuple[crs.Floats, crs.Floats]:
    rng = np.random.default_rng(20261122)
    return rng.uniform(73, 136, 4000), rng.uniform(3, 54, 4000)


class TestNames:
    @pytest.mark.parametrize(
        ("spelling", "name"),
        [
            ("gcj02", "gcj02"),
            ("GCJ-02", "gcj02"),
            ("Gcj_02", "gcj02"),
            ("gcj02ll", "gcj02"),
            ("bd-09", "bd09"),
            ("BD09", "bd09"),
            ("bd09ll", "bd09"),
            ("wgs84", "EPSG:4326"),
            (" WGS 84 ", "EPSG:4326"),
            ("CGCS2000", "EPSG:4490"),
            ("epsg:4326", "EPSG:4326"),
            ("EPSG: 4547", "EPSG:4547"),
            ("EPSG4547", "EPSG:4547"),
            ("2249", "EPSG:2249"),
            ("urn:ogc:def:crs:OGC:1.3:CRS84", "EPSG:4326"),
            ("urn:ogc:def:crs:EPSG::4490", "EPSG:4490"),
            ("urn:ogc:def:crs:EPSG:9.8.1:4547", "EPSG:4547"),
        ],
    )
    def test_usual_spellings_are_one_name(self, spelling: str, name: str) -> None:
        assert parse_crs(spelling).name == name
        assert parse_crs(parse_crs(spelling)) == parse_crs(name)

    @pytest.mark.parametrize(
        "name",
        [
            "",
            "mars",
            "bd09mc",  # Baidu's Mercator, metres
            "EPSG:",
            "EPSG:999999",
            "EPSG:4326.0",
            "EPSG:5773",  # a height
            "EPSG:4978",  # geocentric
            "EPSG:4807",  # grads
            "ESRI:102100",
            "EPSG:٤٣٢٦",
        ],
    )
    def test_unknown_names_are_refused(self, name: str) -> None:
        with pytest.raises(UnknownCrs) as caught:
            parse_crs(name)
        assert caught.value.name == name

    def test_the_remedy_lists_close_matches(self) -> None:
        with pytest.raises(UnknownCrs, match="Did you mean gcj02") as caught:
            parse_crs("gjc02")
        assert caught.value.matches[0] == "gcj02"
        with pytest.raises(UnknownCrs, match="Did you mean EPSG:4326"):
            parse_crs("wsg84")
        with pytest.raises(UnknownCrs, match="Did you mean EPSG:4326"):
            parse_crs("espg:4326")
        with pytest.raises(UnknownCrs) as caught:
            parse_crs("EPSG:999999")
        assert caught.value.matches == ()
        with pytest.raises(UnknownCrs, match=r"called 'atlantis'\. Use gcj02, bd09 or EPSG:number"):
            parse_crs("atlantis")

    def test_units(self) -> None:
        assert GCJ02.in_degrees
        assert not GCJ02.in_metres
        assert CGCS2000.in_degrees
        assert parse_crs("EPSG:4547").in_metres
        feet = parse_crs("EPSG:2249")
        assert not feet.in_degrees
        assert not feet.in_metres
        assert (feet.epsg, BD09.epsg) == (2249, None)
        assert str(feet) == "EPSG:2249"

    def test_an_authority_may_write_the_northing_first(self) -> None:
        order = {name: parse_crs(name).north_first for name in ("4326", "4490", "4547")}
        assert order == {"4326": True, "4490": True, "4547": True}
        order = {name: parse_crs(name).north_first for name in ("3826", "26986", "3857")}
        assert order == {"3826": False, "26986": False, "3857": False}
        assert not GCJ02.north_first


@pytest.fixture
def patient_prcoords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let prcoords iterate on: it stops at 1e-5 degrees, which leaves up to 4 and 20 mm."""
    monkeypatch.setattr(prcoords, "PRC_EPS", 1e-11)


class TestAgainstOtherImplementations:
    def test_gcj02_forward(self, china: tuple[crs.Floats, crs.Floats]) -> None:
        ours = np.column_stack(from_wgs84(*china, crs="gcj02"))
        points = list(zip(*china, strict=True))
        theirs = [prcoords.wgs_gcj((lat, lon), check_china=False)[::-1] for lon, lat in points]
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-11)
        theirs = [coord_convert.wgs2gcj(lon, lat) for lon, lat in points]
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-11)

    def test_bd09_forward(self, china: tuple[crs.Floats, crs.Floats]) -> None:
        ours = np.column_stack(from_wgs84(*china, crs="bd09"))
        points = list(zip(*china, strict=True))
        theirs = [prcoords.wgs_bd((lat, lon), check_china=False)[::-1] for lon, lat in points]
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-11)
        theirs = [coord_convert.wgs2bd(lon, lat) for lon, lat in points]
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-11)

    @pytest.mark.usefixtures("patient_prcoords")
    def test_gcj02_inverse(self, china: tuple[crs.Floats, crs.Floats]) -> None:
        ours = np.column_stack(to_wgs84(*china, crs="gcj02"))
        points = list(zip(*china, strict=True))
        theirs = [prcoords.gcj_wgs_bored((lat, lon), False)[::-1] for lon, lat in points]
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=MM)
        theirs = [coord_convert.gcj2wgs(lon, lat) for lon, lat in points]
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=MM)
        back = [coord_convert.wgs2gcj(lon, lat) for lon, lat in ours]
        np.testing.assert_allclose(back, points, rtol=0, atol=2e-10)

    @pytest.mark.usefixtures("patient_prcoords")
    def test_bd09_inverse(self, china: tuple[crs.Floats, crs.Floats]) -> None:
        ours = np.column_stack(to_wgs84(*china, crs="bd09"))
        points = list(zip(*china, strict=True))
        theirs = [prcoords.bd_wgs_bored((lat, lon), False)[::-1] for lon, lat in points]
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=MM)
        back = [coord_convert.wgs2bd(lon, lat) for lon, lat in ours]
        np.testing.assert_allclose(back, points, rtol=0, atol=4e-10)
        # coord-convert undoes BD-09 by its forward terms with the sign turned: half a metre.
        rough = [coord_convert.bd2wgs(lon, lat) for lon, lat in points]
        np.testing.assert_allclose(ours, rough, rtol=0, atol=5e-6)


class TestConversion:
    @pytest.mark.parametrize("system", SYSTEMS)
    @given(lon=lons, lat=lats)
    def test_there_and_back_is_under_a_millimetre(
        self, system: str, lon: float, lat: float
    ) -> None:
        if parse_crs(system).in_metres and system != "EPSG:3857":
            lon = 114 + (lon - 104.5) / 10  # the zone and a little more
        x, y = from_wgs84(lon, lat, crs=system)
        assert to_wgs84(x, y, crs=system) == pytest.approx((lon, lat), rel=0, abs=MM / 2)

    @given(lon=st.floats(-179, 179), lat=st.floats(-84.9, 84.9))
    def test_the_shifted_datums_hold_beyond_china(self, lon: float, lat: float) -> None:
        # No rectangle: a scheme's extent says where a datum is valid.
        for system in (GCJ02, BD09):
            x, y = from_wgs84(lon, lat, crs=system)
            if abs(x) <= 180 and abs(y) <= 85:
                assert to_wgs84(x, y, crs=system) == pytest.approx((lon, lat), rel=0, abs=MM)

    @given(lon=lons, lat=lats)
    def test_one_shifted_datum_to_the_other(self, lon: float, lat: float) -> None:
        expected = coord_convert.gcj2bd(lon, lat)
        assert convert(lon, lat, source="gcj02", target="bd09") == pytest.approx(
            expected, rel=0, abs=MM
        )

    def test_meridian_105_where_the_root_is_steepest(self) -> None:
        lon = 105 + np.array([0.0, 1e-13, -1e-13, 1e-12, -1e-12, 1e-9])
        lat = np.full(6, 35.0)
        back = to_wgs84(*from_wgs84(lon, lat, crs="gcj02"), crs="gcj02")
        np.testing.assert_allclose(back, (lon, lat), rtol=0, atol=MM)

    def test_cgcs2000_is_taken_as_wgs84(self) -> None:
        assert convert(116.4, 39.9, source="EPSG:4490", target="EPSG:4326") == (116.4, 39.9)
        from_wgs, from_cgcs = (
            convert(116.4, 39.9, source=source, target="EPSG:4547") for source in (WGS84, CGCS2000)
        )
        # The ellipsoids differ by 0.1 mm in their shorter axis, and nothing else does.
        assert from_wgs == pytest.approx(from_cgcs, rel=0, abs=1e-3)

    def test_x_is_east_whatever_the_authority_says(self) -> None:
        x, y = from_wgs84(114.0, 39.9, crs="EPSG:4547")
        assert x == pytest.approx(500_000)
        assert y == pytest.approx(4_418_000, abs=2_000)

    def test_scalars_arrays_and_shapes(self) -> None:
        x, y = to_wgs84(116.4, 39.9, crs="gcj02")
        assert isinstance(x, float)
        assert isinstance(y, float)
        for system in ("gcj02", "EPSG:4547", "EPSG:4326"):
            grid_x, grid_y = from_wgs84(np.full((2, 3), 116.4), np.full((2, 3), 39.9), crs=system)
            assert grid_x.shape == grid_y.shape == (2, 3)
            empty_x, empty_y = from_wgs84(np.empty(0), np.empty(0), crs=system)
            assert empty_x.shape == empty_y.shape == (0,)
        listed, _ = to_wgs84([116.4, 116.4], [39.9, 39.9], crs="gcj02")
        assert listed.tolist() == [x, x]

    def test_the_input_is_left_alone(self) -> None:
        lon, lat = np.array([116.4, math.inf]), np.array([39.9, 1.0])
        for system in (WGS84, GCJ02):
            out, _ = to_wgs84(lon, lat, crs=system)
            out[0] = 0.0
        assert lon.tolist() == [116.4, math.inf]

    @pytest.mark.parametrize("source", ["EPSG:4326", "EPSG:4547", "gcj02", "bd09"])
    @pytest.mark.parametrize("target", ["EPSG:4326", "EPSG:4547", "gcj02", "bd09"])
    @pytest.mark.parametrize(
        ("bad_x", "bad_y"), [(math.nan, 1.0), (1.0, math.nan), (math.inf, 1.0), (1.0, -math.inf)]
    )
    def test_nan_and_infinity_become_nan_and_spoil_no_neighbour(
        self, source: str, target: str, bad_x: float, bad_y: float
    ) -> None:
        good_x, good_y = from_wgs84(116.4, 39.9, crs=source)
        x, y = convert([bad_x, good_x], [bad_y, good_y], source=source, target=target)
        assert np.isnan([x[0], y[0]]).all()
        expected = from_wgs84(116.4, 39.9, crs=target)
        assert (x[1], y[1]) == pytest.approx(expected, rel=1e-9)

    def test_what_cannot_be_degrees_becomes_nan(self) -> None:
        for system in (WGS84, CGCS2000, GCJ02, BD09):
            for x, y in [(787_723.0, 2_965_812.0), (181.0, 0.0), (0.0, 90.1)]:
                assert np.isnan(convert(x, y, source=system, target="EPSG:3857")).all()
        assert np.isnan(to_wgs84(116.0, 85.1, crs="gcj02")).all()
        assert np.isnan(from_wgs84(116.0, 85.1, crs="bd09")).all()

    def test_an_inverse_that_does_not_converge_says_so(self) -> None:
        def fold(lon: crs.Floats, lat: crs.Floats) -> tuple[crs.Floats, crs.Floats]:
            return np.abs(lon), lat  # nothing is taken to a negative longitude

        with pytest.raises(DatumNotInverted) as caught:
            crs._inverse(fold, np.array([1.0, -2.0, -3.0]), np.array([4.0, 5.0, 6.0]))
        assert (caught.value.count, caught.value.x, caught.value.y) == (2, -2.0, 5.0)

    def test_unknown_names(self) -> None:
        with pytest.raises(UnknownCrs):
            convert(1.0, 1.0, source="gcj02", target="gcj03")

    @pytest.mark.parametrize("source", ["EPSG:4326", "EPSG:4547", "gcj02", "bd09"])
    @pytest.mark.parametrize("target", ["EPSG:4326", "EPSG:4547", "gcj02", "bd09"])
    def test_one_point_is_converted_as_many_are(self, source: str, target: str) -> None:
        rng = np.random.default_rng(1)
        x, y = rng.uniform(-182, 182, 200), rng.uniform(-91, 91, 200)
        if source == "EPSG:4547":
            x, y = rng.uniform(-2e6, 3e6, 200), rng.uniform(-5e6, 8e6, 200)
        x[0], y[1] = np.nan, np.inf
        one_by_one = [
            convert(float(a), float(b), source=source, target=target)
            for a, b in zip(x, y, strict=True)
        ]
        many = np.column_stack(convert(x, y, source=source, target=target))
        # An inverse ends when it is within 1e-10 degrees, for many when the last of them is.
        np.testing.assert_allclose(one_by_one, many, rtol=1e-9, atol=2e-10)
        assert all(type(value) is float for value in one_by_one[2])


class TestGeometries:
    def test_vertices_are_converted_as_points_are(self) -> None:
        hole = shapely.box(116.41, 39.91, 116.42, 39.92)
        polygon = shapely.box(116.4, 39.9, 116.5, 40.0) - hole
        shapes = np.array([polygon, None, shapely.Point(116.4, 39.9), shapely.Polygon()])
        converted = crs.convert_geometries(shapes, source="gcj02", target="EPSG:4547")
        assert converted[1] is None
        assert converted[3].is_empty
        assert len(converted[0].interiors) == 1
        x, y = shapely.get_coordinates(polygon).T
        expected = np.column_stack(convert(x, y, source="gcj02", target="EPSG:4547"))
        np.testing.assert_array_equal(shapely.get_coordinates(converted[0]), expected)
        assert shapes[0] is polygon
        assert shapes[2] == shapely.Point(116.4, 39.9)

    def test_one_geometry_gives_one_and_heights_are_dropped(self) -> None:
        point = crs.convert_geometries(shapely.Point(114, 39, 50), source=WGS84, target="EPSG:4547")
        assert isinstance(point, shapely.Point)
        assert not point.has_z
        assert point.x == pytest.approx(500_000)

    def test_a_geometry_without_a_place_becomes_none(self) -> None:
        feet, degrees = shapely.box(739_594, 2_908_187, 803_687, 2_970_072), shapely.box(0, 0, 1, 1)
        converted = crs.convert_geometries([feet, degrees], source=WGS84, target="EPSG:3857")
        assert converted[0] is None
        assert converted[1].is_valid

    def test_no_geometries(self) -> None:
        none = crs.convert_geometries(np.array([], dtype=object), source=GCJ02, target=WGS84)
        assert none.shape == (0,)


CITY = shapely.box(116.40, 39.88, 116.52, 39.97)
ACCEPTED = ("EPSG:4326", "EPSG:4490", "gcj02", "bd09")


def random_points(count: int, system: Crs) -> tuple[crs.Floats, crs.Floats]:
    rng = np.random.default_rng(5)
    lon, lat = rng.uniform(116.40, 116.52, count), rng.uniform(39.88, 39.97, count)
    return from_wgs84(lon, lat, crs=system)


class TestGuardPoints:
    @pytest.mark.parametrize("true", [WGS84, GCJ02, BD09])
    @pytest.mark.parametrize("declared", [WGS84, GCJ02, BD09])
    def test_the_true_datum_is_named(self, true: Crs, declared: Crs) -> None:
        x, y = random_points(2000, true)
        city = crs.convert_geometries(CITY, source=WGS84, target="EPSG:4547")
        fit = crs.guard_points(
            x, y, declared=declared, candidates=ACCEPTED, area=city, area_crs="EPSG:4547"
        )
        assert fit.better == (None if true == declared else true)
        assert fit.score(true) > 0.99
        assert fit.scores[0][0] == declared

    def test_the_message_names_both_and_moves_nothing(self) -> None:
        x, y = random_points(2000, GCJ02)
        fit = crs.guard_points(x, y, declared=WGS84, candidates=ACCEPTED, area=CITY, area_crs=WGS84)
        assert fit.message() == (
            f"{fit.score(WGS84):.1%} of 2,000 points lie inside the area when read as EPSG:4326, "
            "100.0% when read as gcj02. "
            "If the source is in gcj02, declare it so; nothing was moved."
        )

    def test_a_few_points_prove_nothing(self) -> None:
        x, y = random_points(20, GCJ02)
        fit = crs.guard_points(x, y, declared=WGS84, candidates=ACCEPTED, area=CITY, area_crs=WGS84)
        assert fit.score(GCJ02) > fit.score(WGS84)
        assert fit.better is None

    def test_junk_outside_the_city_hides_no_right_datum(self) -> None:
        x, y = random_points(2000, WGS84)
        x[:600] = 0.0
        fit = crs.guard_points(x, y, declared=WGS84, candidates=ACCEPTED, area=CITY, area_crs=WGS84)
        assert fit.better is None
        assert fit.score(WGS84) == pytest.approx(0.7)

    def test_points_without_coordinates_are_not_counted(self) -> None:
        x, y = random_points(100, WGS84)
        x[:40] = np.nan
        fit = crs.guard_points(x, y, declared=WGS84, candidates=[], area=CITY, area_crs=WGS84)
        assert (fit.count, fit.score(WGS84)) == (60, 1.0)
        nothing = crs.guard_points(
            [math.nan], [1.0], declared=WGS84, candidates=ACCEPTED, area=CITY, area_crs=WGS84
        )
        assert nothing.better is None
        assert nothing.message().startswith("Nothing to judge")


class TestGuardLayer:
    def test_a_layer_in_another_datum_is_told(self) -> None:
        city = crs.convert_geometries(CITY, source=WGS84, target="EPSG:4547")
        halves = [
            shapely.box(116.40, 39.88, 116.46, 39.97),
            None,
            shapely.Polygon(),
            shapely.box(116.46, 39.88, 116.52, 39.97),
        ]
        in_baidus = crs.convert_geometries(halves, source=WGS84, target=BD09)
        for shapes, better in ((halves, None), (in_baidus, BD09)):
            fit = crs.guard_layer(
                shapes, declared=WGS84, candidates=ACCEPTED, outline=city, outline_crs="EPSG:4547"
            )
            assert fit.better == better
            assert fit.score(better or WGS84) > 0.999
            assert fit.count == 2
        assert fit.message().startswith("The layer meets the known outline with an IoU of 0.69")

    def test_an_empty_layer_is_nothing_to_judge(self) -> None:
        fit = crs.guard_layer(
            [None], declared=WGS84, candidates=ACCEPTED, outline=CITY, outline_crs=WGS84
        )
        assert (fit.count, fit.better) == (0, None)


class TestGuardBounds:
    EXTENT = (116.40, 39.88, 116.52, 39.97)

    def test_degrees_in_a_projected_system_and_the_other_way_round(self) -> None:
        box = shapely.box(116.42, 39.90, 116.50, 39.95)
        metres = crs.convert_geometries(box, source=WGS84, target="EPSG:4547").bounds
        for bounds, declared, meant in (
            (metres, "EPSG:4326", "EPSG:4547"),
            (box.bounds, "EPSG:4547", "EPSG:4326"),
        ):
            found = crs.guard_bounds(
                bounds,
                declared=declared,
                candidates=["EPSG:4326", "EPSG:4547"],
                extent=self.EXTENT,
            )
            assert not found.plausible
            assert found.inside == (parse_crs(meant),)
            assert f"They fit the extent when read as {meant};" in found.message()
        assert crs.guard_bounds(
            metres, declared="EPSG:4326", candidates=[], extent=self.EXTENT
        ).impossible

    def test_as_declared(self) -> None:
        found = crs.guard_bounds(
            (116.42, 39.90, 116.50, 39.95), declared=WGS84, candidates=[], extent=self.EXTENT
        )
        assert found.plausible
        assert not found.impossible
        assert found.message().endswith("lie inside the extent when read as EPSG:4326.")

    def test_nowhere(self) -> None:
        found = crs.guard_bounds((1, 1, 2, 2), declared=WGS84, candidates=[], extent=self.EXTENT)
        assert not found.impossible
        assert found.inside == ()
        assert "ask the source for its CRS" in found.message()
