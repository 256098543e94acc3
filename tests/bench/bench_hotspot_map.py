"""The managers' map of 10,000 to a million cases: time to make it, its bytes, its first view."""

import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import shapely
from playwright.sync_api import sync_playwright

from gridsvc.hotspots.cases import parts_of_cases
from gridsvc.hotspots.maps import packed, page
from gridsvc.hotspots.recurrence import Rule
from gridsvc.hotspots.survey import Ground, survey
from gridsvc.hotspots.tessellation import Tessellation
from tests.browser.conftest import ARGUMENTS, chromium_path
from tools.hotspot_reports import CRS, units

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("rows", [10_000, 100_000, 1_000_000])
def test_from_cases_to_the_first_view(tmp_path: Path, rows: int) -> None:
    cases = tmp_path / "cases.parquet"
    command = [sys.executable, "-m", "tools.hotspot_reports", str(cases), "--rows", str(rows)]
    subprocess.run(command, cwd=ROOT, check=True)
    areas = units()
    cells = Tessellation("square", 250).areas(shapely.box(*areas.total_bounds), areas.crs)
    begin = time.perf_counter()
    found = survey(
        parts_of_cases(cases),
        [
            Ground(code="unit", title={"en": "Unit grid"}, areas=areas),
            Ground(code="square", title={"en": "Cells"}, areas=cells, cell_m=250),
        ],
        title={"en": "Large town"},
        crs=CRS,
        zone=ZoneInfo("Asia/Shanghai"),
        made_at=datetime.now(UTC),
        rule=Rule(),
    )
    surveyed_s = time.perf_counter() - begin
    html = page(packed(found)).html
    made_s = time.perf_counter() - begin
    path = tmp_path / "map.html"
    path.write_text(html, encoding="utf-8")
    views_s, turn_s = measure(path)
    tests = sum(len(one.findings) for one in found.grounds)
    size_mb = len(html.encode()) / 1e6
    print(
        f"\n{rows:,} cases | {len(areas):,} units, {len(cells):,} cells, {tests} tests | "
        f"survey {surveyed_s:.1f} s, with the page {made_s:.1f} s | {size_mb:.2f} MB | "
        f"first view {min(views_s):.2f} to {max(views_s):.2f} s | next month {turn_s:.2f} s"
    )
    assert size_mb < 3


def measure(path: Path) -> tuple[list[float], float]:
    """Open a page afresh five times, and turn to the next month: seconds until it is drawn."""
    views_s = []
    with sync_playwright() as playwright:
        for _ in range(5):
            chromium = playwright.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
            tab = chromium.new_page()
            begin = time.perf_counter()
            tab.goto(path.as_uri())
            tab.wait_for_selector("html[data-ready]", state="attached")
            drawn = "() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"
            tab.evaluate(drawn)
            views_s.append(time.perf_counter() - begin)
            begin = time.perf_counter()
            tab.locator("#month").press("ArrowRight")
            tab.evaluate(drawn)
            turn_s = time.perf_counter() - begin
            chromium.close()
    return views_s, turn_s
