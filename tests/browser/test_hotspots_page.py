"""`/maps/hotspots` and its file: the numbers of the API, both languages, no other host, A3."""

import re
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx2 as httpx
import numpy as np
import pytest
import shapely
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import text
from sqlalchemy.orm import Session

from gridsvc.crs import from_wgs84, to_wgs84
from gridsvc.db import create_engine
from gridsvc.grids.changesets import publish
from gridsvc.grids.keys import create_key
from gridsvc.hotspots import maps
from gridsvc.hotspots.survey import Outline
from tests import wide_city
from tests.browser.conftest import Open
from tests.db_fixtures import MakeDatabase
from tests.factories import add_cases, new_change_set, propose_holder, propose_party
from tests.serving import Serve
from tests.unit.test_hotspot_page import HOSTILE
from tests.unit.test_hotspot_survey import make, some_cases

PAGE = "/maps/hotspots"
CITY = wide_city.City(20, 20)
HOT = [CITY.unit_at(i, j) for i in (3, 4, 5) for j in (3, 4, 5)]
PHOTO = "https://photos.example/a.jpg"
OUTLINES = ("counts", "rates", "significance", "patterns", "density")


def middles() -> dict[str, np.ndarray]:
    """A point in each unit, in the storage CRS."""
    return {
        code: shapely.get_coordinates(shape.representative_point())[0]
        for layer, code, shape in CITY.areas()
        if layer == "unit"
    }


def fill(session: Session) -> None:
    """Publish the city with cases of a year, a hot block, and a place that keeps coming back."""
    wide_city.found(session, CITY)
    change_set = new_change_set(session, "people")
    propose_party(session, change_set, "P1", name="张小明", phone="13800001234")
    propose_party(session, change_set, "B1", name="甲街道办事处", kind="body")
    propose_holder(session, change_set, "P1", "unit", CITY.unit_at(9, 9))
    publish(session, change_set)
    rng = np.random.default_rng(7)
    place = middles()
    everywhere = np.array(list(place.values()))
    begin = datetime(2025, 10, 3, tzinfo=UTC)
    for category, count in (("0102", 900), ("0501", 700)):
        days = rng.uniform(0, 175, count)
        spread = everywhere[rng.integers(0, len(everywhere), count)]
        add_cases(session, spread, [begin + timedelta(days=it) for it in days], category=category)
    hot = np.repeat([place[code] for code in HOT], 8, axis=0)
    march = datetime(2026, 3, 3, tzinfo=UTC)
    add_cases(session, hot, [march + timedelta(hours=7 * i) for i in range(len(hot))])
    # Midnight of 1 March in the city is 16:00 of 28 February.
    for at in ("2026-02-28T15:59:59", "2026-02-28T16:00:00"):
        add_cases(session, hot[:1], [datetime.fromisoformat(at).replace(tzinfo=UTC)])
    lone = place[CITY.unit_at(15, 15)][np.newaxis]
    for number in range(6):
        opened = datetime(2026, 1, 5, 2, tzinfo=UTC) + timedelta(days=14 * number)
        party = "B1" if number == 2 else "P1"
        closed = opened + timedelta(days=2)
        add_cases(session, lone, [opened], closed_at=closed, category="0103", responsible=party)
    case_id = session.scalar(text("SELECT max(id) FROM gridsvc.case WHERE category = '0103'"))
    report = uuid.uuid4()
    session.execute(
        text("""
            INSERT INTO gridsvc.report (id, source, source_id, photo_urls, description)
            VALUES (:id, 'test', 'one', ARRAY[:photo], '请找李四 13900005678')
        """),
        {"id": report, "photo": PHOTO},
    )
    session.execute(
        text("""
            INSERT INTO gridsvc.case_report (report_id, case_id, is_first, joined_at)
            VALUES (:report, :case, true, now())
        """),
        {"report": report, "case": case_id},
    )


@pytest.fixture(scope="module")
def busy(make_database: MakeDatabase, serve: Serve) -> str:
    """The address of the wide city, served without keys."""
    url = make_database()
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        fill(session)
    engine.dispose()
    return serve(url)


@pytest.fixture(scope="module")
def one_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a map as a file, of a small made-up survey."""
    path = tmp_path_factory.mktemp("map") / "热点 map.html"
    path.write_text(maps.page(maps.packed(make(some_cases()))).html, encoding="utf-8")
    return path.as_uri()


def ready(page: Page) -> Page:
    expect(page.locator("html[data-ready]")).to_be_attached()
    return page


def ask(address: str, **more: str) -> dict[str, Any]:
    answer = httpx.get(f"{address}/v1/hotspots", params=more, timeout=60)
    answer.raise_for_status()
    body: dict[str, Any] = answer.json()
    return {one["id"]: one["properties"] for one in body["features"]}


MARCH = {"from": "2026-03-01T00:00:00+08:00", "to": "2026-04-01T00:00:00+08:00"}


def test_a_category_and_a_month_show_the_numbers_that_the_api_gives(
    busy: str, open_page: Open
) -> None:
    page = ready(open_page(f"{busy}{PAGE}"))
    page.get_by_label("Category").select_option("0102")
    slider = page.get_by_role("slider")
    slider.focus()
    while page.locator("#month-name").inner_text() != "March 2026":
        slider.press("ArrowRight")
    told = ask(busy, layer="unit", category="0102", **MARCH)
    total = sum(one["cases"] for one in told.values())
    expect(page.locator("#shown")).to_have_text(
        f"Piled-up rubbish and spoil 0102 · March 2026 · {total} cases"
    )
    page.locator("#most button").first.click()
    popup = page.locator(".leaflet-popup .area")
    code = popup.get_attribute("data-code")
    assert code in HOT
    expect(popup.locator(".cases")).to_have_text(str(told[code]["cases"]))
    expect(popup.locator(".verdict")).to_have_attribute("data-kind", told[code]["class"])
    expect(popup).to_contain_text(f"{told[code]['z']:.2f}")
    listed = page.locator("#most tbody tr")
    for row in listed.all():
        area = row.get_attribute("data-code")
        assert area
        assert row.locator("td").nth(1).inner_text() == str(told[area]["cases"])
    # A click on the map, wherever it lands, gives the same.
    page.keyboard.press("Escape")
    box = page.locator(".folium-map").bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] / 2 + 60, box["y"] + box["height"] / 2 + 60)
    clicked = popup.get_attribute("data-code")
    assert clicked
    expect(popup.locator(".cases")).to_have_text(str(told[clicked]["cases"]))
    expect(popup.locator(".verdict")).to_have_attribute("data-kind", told[clicked]["class"])


def test_cells_and_groups_show_the_numbers_that_the_api_gives(busy: str, open_page: Open) -> None:
    page = ready(
        open_page(f"{busy}{PAGE}#areas=square&category=01&month=2026-03&view=significance")
    )
    told = ask(busy, layer="square", category="01", **MARCH)
    rows = page.locator("#most tbody tr")
    expect(rows.first).to_be_visible()
    for row in rows.all():
        code = row.get_attribute("data-code")
        assert code
        assert row.locator("td").nth(1).inner_text() == str(told[code]["cases"])
    assert rows.count() == sum(one["cases"] > 0 for one in told.values())


def test_a_chronic_place_tells_its_history_and_no_person(busy: str, open_page: Open) -> None:
    page = ready(open_page(f"{busy}{PAGE}#category=0103"))
    page.locator("#chronic button").first.click()
    popup = page.locator(".leaflet-popup .chronic")
    expect(popup.locator("h3")).to_have_text("Dirty road")
    expect(popup).to_contain_text("6 cases, again and again")
    rows = popup.locator("tbody tr")
    expect(rows).to_have_count(6)
    expect(rows.first.locator("td").nth(0)).to_have_text("2026-03-16")
    expect(rows.first.locator("td").nth(1)).to_have_text("2026-03-18")
    expect(rows.first.locator("td").nth(2)).to_have_text("12 days")
    expect(rows.first.locator("td").nth(3)).to_have_text("Chief P1")
    expect(rows.nth(3).locator("td").nth(3)).to_have_text("甲街道办事处 B1")
    photo = rows.first.get_by_role("link")
    expect(photo).to_have_attribute("href", PHOTO)
    expect(photo).to_have_attribute("rel", "noopener noreferrer")
    expect(popup.locator("a[href]:not(.leaflet-popup-close-button)")).to_have_count(1)
    assert popup.locator("img").count() == 0
    for personal in ("张", "小明", "138", "李四", "139"):
        assert personal not in popup.inner_text()


def test_hotspots_are_ranked_and_open_from_the_list(busy: str, open_page: Open) -> None:
    page = ready(open_page(f"{busy}{PAGE}#category=0102&month=2026-03"))
    page.locator("#hotspots button").first.click()
    popup = page.locator(".leaflet-popup .hotspot")
    body = httpx.get(
        f"{busy}/v1/hotspots", params={"layer": "unit", "category": "0102", **MARCH}, timeout=60
    ).json()
    first = body["hotspots"][0]
    expect(popup.locator("h3")).to_have_text("Hotspot no. 1")
    expect(popup.locator("dd").first).to_have_text(str(first["cases"]))
    for code in first["codes"]:
        expect(popup).to_contain_text(code)
    expect(page.locator("#hotspots button")).to_have_count(len(body["hotspots"]))


def test_the_file_opens_without_any_request(browser: Browser, one_file: str) -> None:
    context = browser.new_context(offline=True, locale="zh-CN")
    page = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text))
    page.goto(one_file)
    ready(page)
    for name in page.locator("#layers input").all():
        name.check()
    page.locator("#most button").first.click()
    page.get_by_role("button", name="English").click()
    expect(page.locator("#legend")).to_contain_text("Density")
    assert asked == [one_file]
    assert complaints == []
    context.close()


def test_every_layer_draws_and_explains_itself(one_file: str, open_page: Open) -> None:
    page = ready(open_page(one_file))
    legends = set()
    for name in ("Number of cases", "Cases per km²", "Hot and cold spots (Gi*)",
                 "Patterns over time", "Density surface"):  # fmt: skip
        page.get_by_label(name).check()
        legend = page.locator("#legend .key").first
        expect(legend.locator("svg").nth(1)).to_be_visible()
        legends.add(legend.inner_text())
        drawn = page.locator(".leaflet-overlay-pane path.leaflet-interactive")
        expect(drawn).to_have_count(0 if name == "Density surface" else 64)
    assert len(legends) == 5
    expect(page.locator(".leaflet-overlay-pane canvas")).to_have_count(1)
    page.get_by_label("Hot and cold spots (Gi*)").check()
    fills = {it.get_attribute("fill") for it in page.locator("path.leaflet-interactive").all()}
    assert "url(#hatch-hot_99)" in fills
    assert page.locator("#hatch-hot_99 path").count() == 1


def test_months_slide_within_the_period(one_file: str, open_page: Open) -> None:
    page = ready(open_page(one_file))
    slider = page.get_by_role("slider")
    expect(slider).to_have_attribute("max", "14")
    page.get_by_role("combobox", name="Period").select_option("2026")
    expect(slider).to_have_attribute("max", "2")
    expect(page.locator("#shown")).to_contain_text("2026-01 – 2026-02")
    slider.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", "January 2026")
    page.get_by_role("combobox", name="Period").select_option("own")
    page.locator("#from").select_option("3")
    page.locator("#to").select_option("5")
    slider.press("Home")
    expect(page.locator("#shown")).to_contain_text("2025-04 – 2025-06")
    page.get_by_label("Hot and cold spots (Gi*)").check()
    expect(page.locator("#legend")).to_contain_text("Not tested for this category and period")
    page.get_by_role("button", name="Play").click()
    expect(slider).to_have_attribute("aria-valuetext", "May 2025")
    page.get_by_role("button", name="Stop").click()


def test_a_link_opens_the_same_view(one_file: str, open_page: Open) -> None:
    page = ready(open_page(one_file))
    page.get_by_label("Category").select_option("01")
    page.get_by_role("combobox", name="Period").select_option("2025")
    page.get_by_label("Cases per km²").check()
    page.get_by_role("slider").press("ArrowRight")
    shown = page.locator("#shown").inner_text()
    second = ready(open_page(page.url))
    expect(second.locator("#shown")).to_have_text(shown)
    expect(second.get_by_label("Cases per km²")).to_be_checked()
    assert second.url == page.url


def test_words_follow_the_browser_and_the_button(one_file: str, open_page: Open) -> None:
    page = ready(open_page(one_file, language="zh-CN"))
    expect(page.locator("html")).to_have_attribute("lang", "zh")
    expect(page.locator("h1")).to_contain_text("热点与反复问题")
    expect(page.locator("#most th").first).to_have_text("区域", use_inner_text=True)
    text_zh = page.locator("body").inner_text()
    assert "Legend" not in text_zh
    page.get_by_role("button", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator("#legend-name")).to_be_visible()
    assert page.locator("#legend-name").inner_text() == "Legend"
    assert "图例" not in page.locator("body").inner_text()
    page.get_by_text("Method: what this map says").click()
    expect(page.locator("#method-text")).to_contain_text("fewer than 50 cases")


def test_hostile_names_are_text(open_page: Open, tmp_path: Path) -> None:
    found = make(some_cases())
    ground = found.grounds[0]
    areas = ground.ground.areas.assign(name=HOSTILE)
    told = replace(
        found,
        title={"en": HOSTILE},
        titles={"0101": {"en": HOSTILE}, "01": {"en": HOSTILE}},
        grounds=(
            replace(ground, ground=replace(ground.ground, title={"en": HOSTILE}, areas=areas)),
        ),
        outlines=(Outline(title={"en": HOSTILE}, areas=areas.iloc[:3]),),
    )
    path = tmp_path / "hostile.html"
    path.write_text(maps.page(maps.packed(told)).html, encoding="utf-8")
    page = ready(open_page(path.as_uri()))
    page.get_by_label("Category").select_option("0101")
    page.locator("#most button").first.click()
    expect(page.locator(".leaflet-popup h3")).to_have_text(HOSTILE)
    expect(page.locator(".place-name").first).to_have_text(HOSTILE)
    expect(page.locator("#city")).to_have_text(HOSTILE)
    assert page.locator("img").count() == 0
    assert page.evaluate("window.hacked") is None


def test_everything_works_from_the_keyboard(one_file: str, open_page: Open) -> None:
    page = ready(open_page(one_file))
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            """() => {
                const it = document.activeElement;
                const { outlineStyle, outlineWidth } = getComputedStyle(it);
                return [it.id || it.className || it.tagName, outlineStyle !== "none"
                        && parseFloat(outlineWidth) >= 2];
            }"""
        )
        if focused[0] == "BODY":
            break
        assert focused[1], f"{focused[0]} shows no focus"
        reached.add(focused[0])
    assert reached >= {"category", "period", "month", "play", "language", "print", "map_hotspots"}
    page.locator("#most button").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".leaflet-popup .area")).to_be_visible()
    page.locator("#layers input[type=radio]").first.focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_label("Cases per km²")).to_be_checked()
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("select, input, button, [role=button]")]
            .filter((it) => !(it.labels?.length || it.textContent.trim()
                || it.getAttribute("aria-label") || it.title)).map((it) => it.outerHTML)"""
    )
    assert unnamed == []


def test_it_prints_on_one_sheet_of_a3(busy: str, open_page: Open) -> None:
    page = ready(open_page(f"{busy}{PAGE}#view=significance"))
    printed = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type /Page\b", printed)) == 1
    # A3, landscape, in points.
    assert re.search(rb"/MediaBox \[0 0 119[01][.\d]* 84[12]", printed)
    # All of the legend and the method is on it, in every view and both languages.
    for button in ("中文", "English"):
        for view in page.locator("#layers input[type=radio]").all():
            view.check()
            fits = page.evaluate(
                """() => {
                    dispatchEvent(new Event("beforeprint"));
                    const { scrollHeight, clientHeight } = document.getElementById("side");
                    dispatchEvent(new Event("afterprint"));
                    return [scrollHeight, clientHeight];
                }"""
            )
            assert fits[0] <= fits[1]
        page.get_by_role("button", name=button).click()


def test_a_phone_needs_no_sideways_scrolling(one_file: str, open_page: Open) -> None:
    page = ready(open_page(one_file, size=(390, 844)))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    expect(page.locator(".folium-map")).to_be_visible()


def test_on_a_phone_the_map_comes_into_sight_with_what_a_list_opens(
    busy: str, open_page: Open
) -> None:
    page = ready(open_page(f"{busy}{PAGE}#lang=en", size=(390, 844)))
    for entry in ("#hotspots li button", "#chronic li button", "#most td button"):
        page.locator(entry).first.click()
        expect(page.locator(".leaflet-popup-content").last).to_be_in_viewport()


def test_a_key_is_asked_for_and_kept_out_of_the_link(
    make_database: MakeDatabase, serve: Serve, open_page: Open
) -> None:
    url = make_database()
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        fill(session)
        reader, _ = create_key(session, name="reader", scopes=["locate"])
        manager, _ = create_key(session, name="manager", scopes=["manage"])
    engine.dispose()
    address = serve(url, api_keys_required=True)
    page = open_page(f"{address}{PAGE}", refused=True)
    dialog = page.locator("#key-dialog")
    expect(dialog).to_be_visible()
    assert CITY.unit_at(3, 3) not in page.content()
    page.get_by_role("textbox", name="Key").fill(reader)
    page.get_by_role("button", name="Use").click()
    expect(page.locator("#key-problem")).to_contain_text("lacks the scope manage")
    page.get_by_role("textbox", name="Key").fill(manager)
    page.get_by_role("button", name="Use").click()
    ready(page)
    expect(page.locator("#shown")).to_contain_text("cases")
    assert manager not in page.url


def test_the_surface_is_the_density_of_the_cases(browser: Browser) -> None:
    """Within 3 % of the peak of a direct sum, although only counts of cells are known."""
    rng = np.random.default_rng(3)
    cell_m, bandwidth_m, crs = 250.0, 300.0, "EPSG:4547"
    east, north = from_wgs84(116.45, 39.92, crs=crs)
    centre = np.array([east, north])
    spots = centre + rng.uniform(-2000, 2000, (12, 2))
    points = spots[rng.integers(0, 12, 4000)] + rng.normal(0, 200, (4000, 2))
    cells, counts = np.unique(np.floor(points / cell_m), axis=0, return_counts=True)
    lon, lat = to_wgs84(*((cells + 0.5) * cell_m).T, crs=crs)
    script = (files("gridsvc.hotspots") / "templates" / "figures.js").read_text(encoding="utf-8")
    context = browser.new_context()
    told = context.new_page().evaluate(
        f"""([centres, sums]) => {{
            {script}
            const told = smooth(centres, sums, {{ bandwidth_m: 300, cell_m: 250 }});
            return {{ ...told, values: Array.from(told.values) }};
        }}""",
        [np.stack([lon, lat], axis=1).tolist(), counts.tolist()],
    )
    context.close()
    values = np.array(told["values"]).reshape(told["height"], told["width"])
    west, south, east, north = told["bounds"]
    column, row = (rng.integers(10, size - 10, 300) for size in (told["width"], told["height"]))
    asked = from_wgs84(
        west + (column + 0.5) / told["width"] * (east - west),
        south + (row + 0.5) / told["height"] * (north - south),
        crs=crs,
    )
    away = np.stack(asked, axis=1)[:, None] - points[None]
    near = np.exp(-(away**2).sum(axis=2) / (2 * bandwidth_m**2)).sum(axis=1)
    straight = near / (2 * np.pi * bandwidth_m**2) * 1e6
    np.testing.assert_allclose(values[row, column], straight, atol=0.03 * values.max())
