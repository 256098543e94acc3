"""A headless Chromium in front of the app itself, served on a free port of loopback."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.serving import Serve

# Debian's Chromium asks its makers for news as it starts; the tests are to be alone.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# A machine that runs other tests beside it may take long to draw.
expect.set_options(timeout=20_000)

Open = Callable[..., Page]


def chromium_path() -> str | None:
    """Find Debian's Chromium, or another of its names; None where there is none."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


@pytest.fixture(scope="session")
def browser(pytestconfig: pytest.Config) -> Iterator[Browser]:
    """Start one for all tests."""
    path = chromium_path()
    if path is None:
        reason = "no chromium on PATH (Debian: apt-get install chromium)"
        if pytestconfig.getoption("--require-db"):
            pytest.fail(f"{reason}, and --require-db asks for every part")
        pytest.skip(reason)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def town(city: str, serve: Serve) -> str:
    """The address of the app over `tests.small_city`, without keys."""
    return serve(city)


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Open a page as a new visitor; at the end, nothing else may have been asked or complained of.

    `refused` tells that the page is expected to be refused something, which Chromium logs.
    """
    with ExitStack() as opened:

        def open_(
            address: str,
            *,
            language: str = "en-GB",
            size: tuple[int, int] = (1280, 800),
            refused: bool = False,
        ) -> Page:
            context = browser.new_context(
                locale=language,
                timezone_id="Europe/Lisbon",
                viewport={"width": size[0], "height": size[1]},
            )
            opened.callback(context.close)
            page = context.new_page()
            complaints: list[str] = []
            hosts: set[str | None] = set()
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on(
                "console",
                lambda line: complaints.append(line.text) if line.type == "error" else None,
            )
            page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
            page.goto(address)

            def judge() -> None:
                told = [line for line in complaints if not (refused and "status of 4" in line)]
                assert told == []
                assert hosts == {urlsplit(address).netloc}

            opened.callback(judge)
            return page

        yield open_
