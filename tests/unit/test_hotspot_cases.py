"""Cases are read as columns, row group by row group; what has no usable place or time is not."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gridsvc.crs import convert, from_wgs84, parse_crs
from gridsvc.errors import CrsNotAccepted, TableError, UnknownCrs
from gridsvc.grids.schemes import Scheme, read_scheme
from gridsvc.hotspots.cases import COLUMNS, Frame, Window, each, parts_of_cases, parts_of_reports
from gridsvc.reports.history import HistoryColumns
from tests.case_frames import cases

SCHEMES = Path(__file__).parents[2] / "data" / "schemes"
SHANGHAI = ZoneInfo("Asia/Shanghai")
PLAIN = HistoryColumns(
    id="id", lon="lon", lat="lat", opened="opened", closed="closed", category="kind"
)
PLACE = (116.4512, 39.9301)

Write = Callable[..., Path]


@pytest.fixture(scope="module")
def scheme() -> Scheme:
    return read_scheme(SCHEMES / "demo.toml")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write reports of one place; columns are told, or as for a report of no interest."""

    def file(count: int = 1, *, row_group_size: int = 1000, **columns: object) -> Path:
        usual = {
            "id": [f"r{number}" for number in range(count)],
            "lon": [PLACE[0]] * count,
            "lat": [PLACE[1]] * count,
            "opened": ["2026-03-01 12:00:00"] * count,
            "closed": ["2026-03-02 12:00:00"] * count,
            "kind": ["0101"] * count,
        }
        path = tmp_path / "reports.parquet"
        pq.write_table(pa.table(usual | columns), path, row_group_size=row_group_size)
        return path

    return file


def read(path: Path, scheme: Scheme, columns: HistoryColumns = PLAIN) -> pd.DataFrame:
    return pd.concat([part.read() for part in parts_of_reports(path, columns, scheme=scheme)])


# Reports


def test_a_report_is_read_in_the_storage_crs_and_in_utc(write: Write, scheme: Scheme) -> None:
    frame = read(write(), scheme)
    assert tuple(frame.columns) == COLUMNS
    x, y = from_wgs84(*PLACE, crs=scheme.storage_crs)
    assert frame[["x", "y"]].to_numpy().tolist() == [[pytest.approx(x), pytest.approx(y)]]
    # Told in the city's time.
    assert frame["opened_at"][0] == datetime(2026, 3, 1, 4, tzinfo=UTC)
    assert frame["closed_at"][0] == datetime(2026, 3, 2, 4, tzinfo=UTC)
    assert frame[["id", "category"]].to_numpy().tolist() == [["r0", "0101"]]
    assert frame["responsible"].isna().all()


def test_types_are_the_same_for_reports_for_cases_and_for_none(
    write: Write, scheme: Scheme, tmp_path: Path
) -> None:
    reports = read(write(), scheme)
    path = tmp_path / "cases.parquet"
    pq.write_table(pa.Table.from_pandas(reports, preserve_index=False), path)
    (part,) = parts_of_cases(path)
    stored = part.read()
    assert stored.dtypes[["opened_at", "closed_at", "x", "y"]].equals(
        reports.dtypes[["opened_at", "closed_at", "x", "y"]]
    )
    for frame in (reports, stored, read(write(lon=[0.0]), scheme)):
        assert str(frame["opened_at"].dtype) == "datetime64[us, UTC]"
        assert isinstance(frame["category"].dtype, pd.CategoricalDtype)
        assert isinstance(frame["responsible"].dtype, pd.CategoricalDtype)


def test_the_default_point_and_what_has_no_place_are_not_read(write: Write, scheme: Scheme) -> None:
    default = scheme.default_points[0]
    lon = [PLACE[0], default.lon, default.lon + 1e-9, 0.0, float("nan"), PLACE[1], None]
    lat = [PLACE[1], default.lat, default.lat, 0.0, PLACE[1], PLACE[0], PLACE[1]]
    frame = read(write(7, lon=lon, lat=lat), scheme)
    assert frame["id"].tolist() == ["r0"]


def test_a_default_point_is_none_in_a_city_that_does_not_name_it(
    write: Write, scheme: Scheme
) -> None:
    default = scheme.default_points[0]
    without = scheme.model_copy(update={"default_points": ()})
    assert len(read(write(lon=[default.lon], lat=[default.lat]), without)) == 1


def test_times_are_read_in_the_format_that_is_told(write: Write, scheme: Scheme) -> None:
    american = replace(PLAIN, time_format="%m/%d/%Y %I:%M:%S %p")
    opened = ["03/01/2026 01:02:03 PM", "12/31/2025 12:00:00 AM", "2026-03-01 12:00:00", "", None]
    closed = ["03/01/2026 12:30:00 AM", "", "01/01/2026 01:00:00 AM", "", ""]
    frame = read(write(5, opened=opened, closed=closed), scheme, american)
    # Without a time that can be read a report is no case.
    assert frame["id"].tolist() == ["r0", "r1"]
    local = frame["opened_at"].dt.tz_convert(SHANGHAI)
    assert local.tolist() == [
        datetime(2026, 3, 1, 13, 2, 3, tzinfo=SHANGHAI),
        datetime(2025, 12, 31, tzinfo=SHANGHAI),
    ]
    assert frame["closed_at"][0] == datetime(2026, 3, 1, 0, 30, tzinfo=SHANGHAI)
    assert frame["closed_at"].isna().tolist() == [False, True]


def test_a_format_with_an_offset_is_not_local(write: Write, scheme: Scheme) -> None:
    told = replace(PLAIN, closed=None, time_format="%d.%m.%Y %H:%M %z")
    frame = read(write(opened=["01.03.2026 12:00 +0100"]), scheme, told)
    assert frame["opened_at"][0] == datetime(2026, 3, 1, 11, tzinfo=UTC)
    assert frame["closed_at"].isna().all()


def test_an_end_that_cannot_be_read_is_none_and_the_case_stays(
    write: Write, scheme: Scheme
) -> None:
    closed = ["2026-03-02", "soon", "", None]
    frame = read(write(4, closed=closed), scheme)
    assert frame["id"].tolist() == ["r0", "r1", "r2", "r3"]
    assert frame["closed_at"].isna().tolist() == [False, True, True, True]


@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_columns_of_times_are_read_with_their_zone(
    write: Write, scheme: Scheme, zone: str | None
) -> None:
    told = datetime(2026, 3, 1, 12, tzinfo=ZoneInfo(zone) if zone else None)
    column = pa.array([told, None], pa.timestamp("ns", zone))
    frame = read(write(2, opened=column), scheme)
    expected = told if zone else told.replace(tzinfo=SHANGHAI)
    assert frame["opened_at"].tolist() == [expected]


def test_each_row_may_be_in_its_own_crs(write: Write, scheme: Scheme) -> None:
    gcj = from_wgs84(*PLACE, crs="gcj02")
    lon, lat = (np.array(both) for both in zip(PLACE, gcj, PLACE, PLACE, strict=True))
    told = replace(PLAIN, crs="datum")
    datum = ["EPSG:4326", "GCJ-02", None, "nonsense"]
    frame = read(write(4, lon=lon, lat=lat, datum=datum), scheme, told)
    # An empty cell is the scheme's first CRS; one that is none leaves no place.
    assert frame["id"].tolist() == ["r0", "r1", "r2"]
    first = parse_crs(scheme.input_crs[0])
    expected = [
        convert(x, y, source=parse_crs(name), target=parse_crs(scheme.storage_crs))
        for x, y, name in [
            (*PLACE, "EPSG:4326"),
            (*map(float, gcj), "gcj02"),
            (*PLACE, first.name),
        ]
    ]
    assert frame[["x", "y"]].to_numpy() == pytest.approx(np.array(expected, float), abs=1e-3)


def test_one_crs_may_hold_for_all_rows(write: Write, scheme: Scheme) -> None:
    lon, lat = (np.array([float(one)]) for one in from_wgs84(*PLACE, crs="gcj02"))
    frame = read(write(lon=lon, lat=lat), scheme, replace(PLAIN, crs="gcj02"))
    x, y = from_wgs84(*PLACE, crs=scheme.storage_crs)
    assert frame[["x", "y"]].to_numpy()[0] == pytest.approx([x, y], abs=0.01)


def test_a_crs_that_is_none_is_told_before_any_work(write: Write, scheme: Scheme) -> None:
    path = write()
    with pytest.raises(UnknownCrs, match="datun"):
        parts_of_reports(path, replace(PLAIN, crs="datun"), scheme=scheme)
    with pytest.raises(CrsNotAccepted, match="EPSG:2249"):
        parts_of_reports(path, replace(PLAIN, crs="EPSG:2249"), scheme=scheme)


def test_categories_are_trimmed_and_may_be_missing(write: Write, scheme: Scheme) -> None:
    frame = read(write(3, kind=[" 0102 ", "", None]), scheme)
    assert frame["category"].astype(object).where(frame["category"].notna(), None).tolist() == [
        "0102",
        None,
        None,
    ]
    assert read(write(), scheme, replace(PLAIN, category=None))["category"].isna().all()


def test_rows_keep_their_number_across_row_groups(write: Write, scheme: Scheme) -> None:
    # Every third row has no place.
    lon = [0.0 if number % 3 == 1 else PLACE[0] for number in range(10)]
    parts = parts_of_reports(write(10, lon=lon, row_group_size=4), PLAIN, scheme=scheme)
    assert [part.first_row for part in parts] == [0, 4, 8]
    assert [part.read().index.tolist() for part in parts] == [[0, 2, 3], [5, 6], [8, 9]]
    assert [part.read()["id"].tolist() for part in parts][2] == ["r8", "r9"]


def test_a_part_reads_the_same_after_it_was_sent(write: Write, scheme: Scheme) -> None:
    path = write(5, row_group_size=2)
    for part in parts_of_reports(path, PLAIN, scheme=scheme):
        sent = pickle.loads(pickle.dumps(part))  # noqa: S301  our own
        assert sent == part
        pd.testing.assert_frame_equal(sent.read(), part.read())


def test_a_file_that_is_not_parquet_or_lacks_a_column_is_refused(
    tmp_path: Path, write: Write, scheme: Scheme
) -> None:
    table = tmp_path / "reports.csv"
    table.write_text("id,lon,lat,opened,closed,kind\n1,116,39,2026-03-01,,0101\n")
    with pytest.raises(TableError, match="is no Parquet file"):
        parts_of_reports(table, PLAIN, scheme=scheme)
    with pytest.raises(TableError, match="town"):
        parts_of_reports(write(), replace(PLAIN, category="town"), scheme=scheme)
    with pytest.raises(TableError, match="has no column 'x'"):
        parts_of_cases(write())


# Cases


def test_cases_are_numbered_across_row_groups(tmp_path: Path) -> None:
    path = tmp_path / "cases.parquet"
    # An export has whatever index pandas gives it; rows are numbered by the file.
    frame = cases(np.arange(7), np.arange(7)).set_index(pd.Index(range(100, 107)))
    pq.write_table(pa.Table.from_pandas(frame), path, row_group_size=3)
    parts = parts_of_cases(path)
    assert [part.read().index.tolist() for part in parts] == [[0, 1, 2], [3, 4, 5], [6]]
    assert pd.concat([part.read()["x"] for part in parts]).tolist() == list(range(7))


def test_a_file_without_rows_has_no_cases(tmp_path: Path) -> None:
    path = tmp_path / "cases.parquet"
    pq.write_table(pa.Table.from_pandas(cases([], []), preserve_index=False), path)
    assert sum(len(part.read()) for part in parts_of_cases(path)) == 0


def test_results_come_in_the_order_of_the_parts() -> None:
    parts = [Frame(cases([x], [0])) for x in (3, 1, 2)]
    assert list(each(lambda part: part.read()["x"].iloc[0], parts)) == [3, 1, 2]


# Windows

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)


def test_a_window_begins_with_its_first_instant_and_ends_before_its_last() -> None:
    frame = cases([0] * 4, [0] * 4, [NOON - TICK, NOON, NOON + TICK, NOON + 2 * TICK])
    window = Window(from_at=NOON, to_at=NOON + 2 * TICK)
    assert window.of(frame).index.tolist() == [1, 2]
    assert Window(from_at=NOON).of(frame).index.tolist() == [1, 2, 3]
    assert Window(to_at=NOON).of(frame).index.tolist() == [0]
    assert Window(from_at=NOON, to_at=NOON).of(frame).empty


def test_a_window_may_be_told_in_any_zone() -> None:
    frame = cases([0], [0], [NOON])
    assert len(Window(from_at=NOON.astimezone(SHANGHAI)).of(frame)) == 1
    assert Window(from_at=(NOON + TICK).astimezone(SHANGHAI)).of(frame).empty


def test_a_category_is_taken_with_all_below_it() -> None:
    frame = cases([0] * 5, [0] * 5, category=["0101", "0102", "01", "1001", None])
    assert Window(category="01").of(frame).index.tolist() == [0, 1, 2]
    assert Window(category="0102").of(frame).index.tolist() == [1]
    assert Window(category="9").of(frame).empty


def test_a_window_that_leaves_nothing_out_gives_the_frame_itself() -> None:
    frame = cases([0], [0], [NOON])
    assert Window().of(frame) is frame
    assert Window(from_at=NOON, category="0").of(frame) is frame


def test_a_window_of_no_cases_or_of_none_with_a_category_is_empty(tmp_path: Path) -> None:
    assert Window(category="01").of(cases([], [])).empty
    path = tmp_path / "cases.parquet"
    frame = cases([0], [0]).assign(category=None)
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path)
    (part,) = parts_of_cases(path)
    assert Window(category="01").of(part.read()).empty
    assert len(Window().of(part.read())) == 1


def test_cases_without_a_place_or_an_opening_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "cases.parquet"
    frame = cases(
        [1, np.nan, 3, 4, 5],
        [1, 2, np.inf, 4, 5],
        ["2026-03-01", "2026-03-01", "2026-03-01", None, "2026-03-02"],
    )
    frame.to_parquet(path)
    (part,) = parts_of_cases(path)
    assert part.read().index.tolist() == [0, 4]


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("opened_at", ["2026-03-01"], "not instants with a zone"),
        ("closed_at", [datetime(2026, 3, 1)], "not instants with a zone"),  # noqa: DTZ001
        ("x", ["east"], "not metres"),
    ],
)
def test_cases_in_columns_of_another_kind_are_refused(
    tmp_path: Path, column: str, values: list[object], words: str
) -> None:
    path = tmp_path / "cases.parquet"
    cases([1], [1]).assign(**{column: values}).to_parquet(path)
    with pytest.raises(TableError, match=f"column {column} is .*{words}"):
        parts_of_cases(path)
