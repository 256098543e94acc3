"""`/maps/responsible` shows what the API answers, to a visitor with nothing but a browser."""

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2 as httpx
import pytest
from playwright.sync_api import Page, Request, Route, expect
from sqlalchemy.orm import Session

from gridsvc.db import create_engine
from gridsvc.grids.changesets import publish
from gridsvc.grids.keys import create_key
from gridsvc.grids.scheme_store import load_scheme
from tests import small_city
from tests.browser.conftest import Open
from tests.db_fixtures import MakeDatabase
from tests.factories import (
    make_scheme,
    new_change_set,
    propose_absence,
    propose_holder,
    register,
)
from tests.serving import Serve, wait_until
from tests.small_city import OPEN_STREET, OUTSIDE, SHOPS, YARD

PAGE = "/maps/responsible"
ZOOM = 16
MONDAY_NOON = "2026-03-02T12:00:00+08:00"


def link(address: str, point: dict[str, float], **more: object) -> str:
    return f"{address}{PAGE}#{urlencode({**point, 'zoom': ZOOM, **more})}"


def fragment(page: Page) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(page.url).fragment, keep_blank_values=True))


def click(page: Page, point: dict[str, float], *, seen_from: dict[str, float]) -> None:
    """Click a point on a map whose middle is another, at `ZOOM`."""
    pixels = 256 * 2**ZOOM / 360
    box = page.locator("#map").bounding_box()
    assert box
    east = (point["lon"] - seen_from["lon"]) * pixels
    north = (point["lat"] - seen_from["lat"]) * pixels / math.cos(math.radians(point["lat"]))
    page.mouse.click(box["x"] + box["width"] / 2 + east, box["y"] + box["height"] / 2 - north)


def ask(address: str, point: dict[str, float], **more: str | float) -> dict[str, Any]:
    answer = httpx.get(f"{address}/v1/responsible", params={**point, **more})
    answer.raise_for_status()
    return dict(answer.json())


def test_a_click_shows_who_answers_and_why(town: str, open_page: Open) -> None:
    middle = small_city.place(east_m=500, north_m=300)
    page = open_page(link(town, middle, at=MONDAY_NOON))
    expect(page.locator(".responsible .place")).to_contain_text("小区")

    click(page, YARD, seen_from=middle)

    told = page.locator(".responsible")
    answer = ask(town, YARD, at=MONDAY_NOON)
    expect(told.locator(".name")).to_have_text(answer["responsible"]["party"]["name"])
    expect(told.locator(".name")).to_have_text("张**")
    expect(told.locator(".phone")).to_have_text("138****1234")
    expect(told.locator(".role")).to_have_text("Chief")
    expect(told.locator(".reason")).to_have_text(answer["responsible"]["reason"])
    expect(told.locator(".reason")).to_have_text("courtyard covers the point")
    duties = page.locator(".duties")
    expect(duties).to_contain_text("甲街道办事处")
    expect(duties).to_contain_text("李**")
    expect(duties).to_contain_text("王*")
    expect(page.locator(".vacant")).to_have_text("Nobody holds here: Supervisor")
    expect(page.locator(".escalation li")).to_have_count(2)
    expect(page.locator(".escalation li").first).to_contain_text("within 4 hours")
    expect(page.locator(".where")).to_contain_text("C/1")
    expect(page.locator(".edge")).to_contain_text("from the edge of Courtyard C/1")
    expect(page.locator(".record .revision")).to_have_text(str(answer["revision"]))
    # The city's clock, not the visitor's, who sits in Lisbon.
    expect(page.locator(".record time")).to_contain_text("12:00")
    assert float(fragment(page)["lon"]) == pytest.approx(YARD["lon"], abs=5e-5)


def test_a_link_opens_the_same_answer(town: str, open_page: Open) -> None:
    first = open_page(link(town, YARD, accuracy_m=30, category="0101"))
    expect(first.locator(".record")).to_be_visible()
    expect(first.locator("#layer-list [data-layer=street][data-state=shown]")).to_be_attached()
    told = first.locator("#answer").inner_text()
    shared = fragment(first)
    # Time too is part of the question.
    assert set(shared) == {"lon", "lat", "zoom", "layers", "category", "at", "accuracy_m"}

    second = open_page(first.url)
    expect(second.locator(".record")).to_be_visible()
    assert second.locator("#answer").inner_text() == told
    expect(second.locator("#category")).to_have_value("0101")
    expect(second.locator("#accuracy")).to_have_value("30")
    expect(second.locator("#chosen")).to_contain_text("Exposed rubbish (0101) · ")
    expect(second.locator("#chosen")).to_contain_text(" · ± 30")
    expect(second.locator("#layer-list [data-layer=street][data-state=shown]")).to_be_attached()
    assert fragment(second) == shared
    for personal in ("张", "138", "P1"):
        assert personal not in first.url


def test_a_layer_is_drawn_when_switched_on(town: str, open_page: Open) -> None:
    def drawn(page: Page) -> int:
        found = page.evaluate(
            """() => {
                const canvas = document.querySelector(".leaflet-layer-shop_front-pane canvas");
                if (!canvas) return 0;
                const { data } = canvas.getContext("2d")
                  .getImageData(0, 0, canvas.width, canvas.height);
                return data.filter((value, i) => i % 4 === 3 && value > 0).length;
            }"""
        )
        return int(found)

    page = open_page(link(town, SHOPS))
    expect(page.locator("#layer-list [data-layer=street][data-state=shown]")).to_be_attached()
    assert drawn(page) == 0
    page.get_by_text("Layers", exact=True).click()
    page.get_by_label("Shop front").check()
    expect(page.locator("#layer-list [data-layer=shop_front]")).to_have_attribute(
        "data-state", "shown"
    )
    wait_until(lambda: drawn(page) > 1000)
    assert "shop_front" in fragment(page)["layers"].split(",")
    page.get_by_label("Shop front").uncheck()
    wait_until(lambda: drawn(page) == 0)
    assert "shop_front" not in fragment(page)["layers"].split(",")


def test_each_layer_is_asked_for_once(town: str, open_page: Open) -> None:
    page = open_page(link(town, YARD))
    expect(page.locator("#layer-list [data-layer=courtyard][data-state=shown]")).to_be_attached()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    expect(page.locator("#layer-list [data-layer=courtyard][data-state=shown]")).to_be_attached()
    expect(page.locator(".record")).to_be_visible()
    layers = [dict(parse_qsl(urlsplit(url).query))["layer"] for url in asked if "bbox=" in url]
    assert sorted(layers) == ["courtyard", "district", "street"]


def test_outside_the_city_the_nearest_area_is_named(town: str, open_page: Open) -> None:
    middle = small_city.place(east_m=2100, north_m=500)
    page = open_page(link(town, middle), refused=True)
    expect(page.locator(".outside h2")).to_have_text("This point lies outside the service area")
    click(page, OUTSIDE, seen_from=middle)
    nearest = httpx.get(f"{town}/v1/responsible", params=OUTSIDE).json()["nearest"]
    assert 290 < nearest["distance_m"] < 310
    expect(page.locator(".outside .lead")).to_contain_text(nearest["name"])
    expect(page.locator(".outside .lead")).to_have_text(re.compile(r"\b(29\d|30\d|310)\sm away"))


def test_words_follow_the_browser_and_the_button(town: str, open_page: Open) -> None:
    page = open_page(link(town, YARD), language="zh-CN")
    expect(page.locator(".responsible h2")).to_have_text("责任主体")
    expect(page.locator(".responsible .role")).to_have_text("院长")
    expect(page.locator(".responsible .reason")).to_have_text("此点位于院落内")
    expect(page.locator("html")).to_have_attribute("lang", "zh")
    page.get_by_role("button", name="English").click()
    expect(page.locator(".responsible h2")).to_have_text("Responsible")
    expect(page.locator(".responsible .role")).to_have_text("Chief")
    page.reload()
    expect(page.locator(".responsible h2")).to_have_text("Responsible")


def test_the_last_rung_is_told_in_chinese(town: str, open_page: Open) -> None:
    page = open_page(link(town, OPEN_STREET), language="zh-CN")
    reason = page.locator(".responsible .reason")
    expect(reason).to_have_text("属地兜底：区是最后一级；街道 S2无人在岗（责任主体）")


@pytest.fixture(scope="module")
def short_staffed(make_database: MakeDatabase, serve: Serve) -> str:
    """The address of a town whose leading officer is away; on one street the assistant is too."""
    url = make_database()
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        small_city.found(session)
        rule = '[[stand_in]]\nduty = "enforcement"\nby = ["assistant", "neighbour"]\n'
        load_scheme(session, make_scheme(extra=rule))
        change_set = new_change_set(session)
        for party, rank in (("P1", 1), ("P2", 2)):
            propose_holder(
                session,
                change_set,
                party,
                "street",
                "S2",
                duty="enforcement",
                role="officer",
                rank=rank,
            )
        for party, since, until in (("P2", AWAY_AT, None), ("P1", AWAY_AT, BACK_AT)):
            propose_absence(session, change_set, party, since, until)
        publish(session, change_set)
    engine.dispose()
    return serve(url)


AWAY_AT = datetime(2030, 3, 4, tzinfo=UTC)
BACK_AT = AWAY_AT + timedelta(days=1)
OWN_ASSISTANT = "2030-03-05T12:00:00+08:00"


@pytest.mark.parametrize(
    ("language", "stood_in", "reason"),
    [
        (
            "en-GB",
            "Stands in for 李** (absent); assistant here",
            "street covers the point; the lead is absent, the assistant stands in",
        ),
        ("zh-CN", "代李**（不在岗）顶岗，本区域协办", "此点位于街道内；主办不在岗，由协办顶岗"),
    ],
)
def test_the_page_says_for_whom_the_assistant_stands_in(
    short_staffed: str, open_page: Open, language: str, stood_in: str, reason: str
) -> None:
    page = open_page(link(short_staffed, YARD, at=OWN_ASSISTANT), language=language)
    expect(page.locator(".duties .stand-in")).to_have_text(stood_in)
    expect(page.locator(".duties .reason").nth(1)).to_have_text(reason)
    expect(page.locator(".duties")).to_contain_text(
        {"en-GB": "No assistant", "zh-CN": "暂无协办"}[language]
    )


@pytest.mark.parametrize(
    ("language", "stood_in", "reason"),
    [
        (
            "en-GB",
            "Stands in for 张** (absent); from Street 甲街道",
            "street covers the point; the lead is absent, the pair of street S1 stands in",
        ),
        (
            "zh-CN",
            "代张**（不在岗）顶岗，来自“甲街道”（街道）",
            "此点位于街道内；主办不在岗，由街道 S1的人员顶岗",
        ),
    ],
)
def test_the_page_says_from_which_neighbour_a_pair_comes(
    short_staffed: str, open_page: Open, language: str, stood_in: str, reason: str
) -> None:
    page = open_page(
        link(short_staffed, OPEN_STREET, at="2030-03-04T12:00:00+08:00"), language=language
    )
    expect(page.locator(".duties .stand-in")).to_have_text(stood_in)
    expect(page.locator(".duties .reason").nth(1)).to_have_text(reason)


@pytest.fixture(scope="module")
def furnished(make_database: MakeDatabase, serve: Serve) -> str:
    """The address of the app over the small city, with a cover of P2 in its yard."""
    url = make_database()
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        small_city.found(session)
        tier = '[[tier]]\ncode = "ownership_unclear"\ntitle = { zh = "不清" }\n'
        tier += 'duty = "management"\nlayer = "street"\n'
        load_scheme(session, make_scheme(extra=tier + "[[component]]\nwithin_m = 15\n"))
        register(session, {"code": "W1", "owner": "P2", "east_m": 203.2, "north_m": 200})
    engine.dispose()
    return serve(url)


@pytest.mark.parametrize(
    ("language", "category", "role", "reason", "near"),
    [
        (
            "en-GB",
            "C0101",
            "Owner of the component",
            "owner of the nearest Water manhole cover, 3.2 m away",
            "W1 3.2\u00a0m away, of 李**",
        ),
        (
            "zh-CN",
            "C0101",
            "部件权属单位",
            "距离最近的上水井盖（3.2\u00a0米）的权属单位",
            "W1 相距 3.2\u00a0米，权属单位 李**",
        ),
        (
            "zh-CN",
            "C0102",
            "院长",
            "权属不清：15\u00a0米内没有登记的污水井盖",
            "权属不清：附近没有登记的部件",
        ),
    ],
)
def test_the_page_says_whose_a_component_is(  # noqa: PLR0917  what is read
    furnished: str,
    open_page: Open,
    language: str,
    category: str,
    role: str,
    reason: str,
    near: str,
) -> None:
    page = open_page(link(furnished, YARD, category=category), language=language)
    expect(page.locator(".responsible .role")).to_have_text(role)
    expect(page.locator(".responsible .reason")).to_have_text(reason)
    expect(page.locator(".components p")).to_have_text(near)


def test_possible_neighbours_carry_their_share(town: str, open_page: Open) -> None:
    edge = small_city.place(east_m=302, north_m=200)
    page = open_page(link(town, edge, accuracy_m=10))
    (other,) = ask(town, edge, accuracy_m=10)["alternatives"]
    row = page.locator(".alternatives li").last
    expect(row.locator(".share")).to_have_text(f"{100 * other['probability']:.0f} %")
    expect(row).to_contain_text("张**")


def test_the_keyboard_is_enough(town: str, open_page: Open) -> None:
    page = open_page(link(town, OPEN_STREET))
    expect(page.locator(".record")).to_be_visible()
    place = page.get_by_label("Coordinates (longitude, latitude)")
    place.fill(f"{YARD['lon']}, {YARD['lat']}")
    place.press("Enter")
    expect(page.locator(".responsible .name")).to_have_text("张**")

    page.locator("#map").focus()
    for _ in range(12):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(300)
    expect(page.locator("#cross")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator(".responsible .name")).to_have_text("甲街道办事处")


def test_the_newest_question_wins(town: str, open_page: Open) -> None:
    page = open_page(f"{town}{PAGE}")
    expect(page.locator(".intro")).to_be_visible()
    # Playwright marks its handlers, which a bound method of a list does not bear.
    held: list[Route] = []
    given_up: list[Request] = []
    page.on("requestfailed", lambda request: given_up.append(request))  # noqa: PLW0108
    page.route(lambda url: f"lon={OPEN_STREET['lon']:.6f}" in url, lambda route: held.append(route))  # noqa: PLW0108
    place = page.get_by_label("Coordinates (longitude, latitude)")
    for point in (OPEN_STREET, YARD):
        place.fill(f"{point['lon']}, {point['lat']}")
        place.press("Enter")
    expect(page.locator(".responsible .name")).to_have_text("张**")
    assert any("/v1/responsible" in request.url for request in given_up)


def test_a_time_before_the_first_revision_reads_well(town: str, open_page: Open) -> None:
    page = open_page(link(town, YARD, at="2020-01-01T00:00:00Z"), refused=True)
    expect(page.locator(".refused")).to_contain_text("Before the first revision")
    expect(page.locator("#at")).to_have_value("2020-01-01T08:00")
    page.get_by_text("Category, time, accuracy").click()
    page.get_by_role("button", name="Now").click()
    expect(page.locator(".responsible .name")).to_have_text("张**")


def test_a_phone_needs_no_sideways_scrolling(town: str, open_page: Open) -> None:
    page = open_page(link(town, YARD, accuracy_m=30), size=(390, 844))
    expect(page.locator(".record")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_paper_carries_the_answer_and_no_buttons(town: str, open_page: Open) -> None:
    page = open_page(link(town, YARD))
    expect(page.locator(".record")).to_be_visible()
    page.emulate_media(media="print")
    expect(page.locator("#question")).to_be_hidden()
    expect(page.locator(".tools")).to_be_hidden()
    expect(page.locator(".responsible .name")).to_be_visible()


def test_a_key_is_asked_for_and_kept_out_of_the_link(
    make_database: MakeDatabase, serve: Serve, open_page: Open
) -> None:
    url = make_database()
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        small_city.found(session)
        token, _ = create_key(session, name="reader", scopes=["locate"])
    engine.dispose()
    page = open_page(link(serve(url, api_keys_required=True), YARD), refused=True)
    page.get_by_label("Key").fill(token)
    page.get_by_role("button", name="Use").click()
    expect(page.locator(".responsible .name")).to_have_text("张**")
    assert token not in page.url


def test_the_page_allows_nothing_from_elsewhere(town: str) -> None:
    page = httpx.get(f"{town}{PAGE}")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("default-src 'self';")
    assert "unsafe" not in page.headers["content-security-policy"]
    script = httpx.get(f"{town}/static/js/main.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert httpx.get(f"{town}/static/../app.py").status_code == 404
