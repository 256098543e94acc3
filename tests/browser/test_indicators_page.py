"""`/indicators` is a page that a manager prints: both languages, A4, nothing from elsewhere."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect
from sqlalchemy.orm import Session

from gridsvc.db import create_engine
from gridsvc.grids.scheme_store import load_scheme
from gridsvc.reports.models import Case
from tests import small_city
from tests.browser.conftest import Open
from tests.db_fixtures import MakeDatabase
from tests.factories import make_scheme
from tests.serving import Serve

RATE = """
[[indicators.rate]]
code = "closing_rate"
title = { zh = "结案率", en = "Closing rate" }
formula = "closed / should_close"

[[indicators.class]]
code = "A"
layer = "street"
areas = ["S1", "S2"]
"""


@pytest.fixture(scope="module")
def figures(make_database: MakeDatabase, serve: Serve) -> Iterator[str]:
    """The address of a town with two cases in October."""
    url = make_database()
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        small_city.found(session)
        load_scheme(session, make_scheme(extra=RATE))
        opened_at = datetime(2026, 10, 5, tzinfo=UTC)
        session.add_all(
            Case(
                category="0101",
                areas={"street": street},
                responsible="P1",
                opened_at=opened_at,
                due_at=opened_at,
                closed_at=opened_at if state == "closed" else None,
                state=state,
                state_since=opened_at,
                last_event=1,
            )
            for street, state in (("S1", "filed"), ("S2", "closed"))
        )
    engine.dispose()
    return serve(url)


def test_the_table_is_read_in_two_languages_and_ranks_within_the_class(
    open_page: Open, figures: str
) -> None:
    page = open_page(f"{figures}/indicators?month=2026-10&by=area&layer=street")
    expect(page.locator("h1")).to_contain_text("小城 · 考核指标 Indicators")
    expect(page.locator("th").filter(has_text="结案率")).to_contain_text("Closing rate")
    rows = page.locator("table").first.locator("tbody tr")
    expect(rows.nth(0)).to_contain_text("乙街道")
    assert rows.nth(0).locator("td").all_inner_texts()[:2] == ["A", "1"]
    expect(rows.nth(1)).to_contain_text("0.0%")
    expect(page.locator("footer")).to_contain_text("= closed / should_close")


def test_it_prints_on_one_sheet_of_a4_and_shows_no_person(open_page: Open, figures: str) -> None:
    page = open_page(f"{figures}/indicators?month=2026-10&by=party")
    assert "张小明" not in page.content()
    expect(page.locator("tbody").first).to_contain_text("张**")
    printed = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type /Page\b", printed)) == 1
    # A4, landscape, in points.
    assert b"/MediaBox [0 0 841" in printed
