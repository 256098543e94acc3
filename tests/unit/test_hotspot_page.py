"""The map is one file that calls nobody, holds no markup from data, and needs no colour vision."""

import base64
import hashlib
import itertools
import re
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import shapely

from gridsvc.hotspots import maps
from gridsvc.hotspots.clusters import neighbours
from gridsvc.hotspots.looks import KINDS, PATTERNS
from gridsvc.hotspots.survey import (
    MOST_TESTED,
    Finding,
    Ground,
    GroundSurvey,
    Outline,
    Place,
    Survey,
)
from tests.case_frames import areas_frame
from tests.factories import STORAGE
from tests.unit.test_hotspot_survey import make, some_cases, squares
from tests.unit.test_packing import unpack

MB = 1e6
HOSTILE = '</script><img src=x onerror="window.hacked=1">'


@pytest.fixture(scope="module")
def found() -> Survey:
    return make(some_cases(1500))


def test_nothing_in_it_calls_anyone(found: Survey) -> None:
    html = maps.page(maps.packed(found)).html
    assert not re.search(r"<(link|img|iframe)\b[^>]*\b(href|src)=(?!\"data:,\")", html)
    assert not re.search(r"<script[^>]*\bsrc=", html)
    assert not re.search(r"@import|url\((?!#)", html)
    for gone in ("cdn.", "jquery", "bootstrap", "awesome", "unpkg", "sourceMappingURL"):
        assert gone not in html.lower()
    # Names of XML's languages, and what stands in Leaflet's own credit and comments.
    named = set(re.findall(r"https?://([^/\"'<>)\s]+)", html))
    comments = {"leafletjs.com", "bugs.chromium.org", "bugzilla.mozilla.org"}
    assert named <= {"www.w3.org", *comments}


def test_only_its_own_scripts_and_styles_may_run(found: Survey) -> None:
    page = maps.page(maps.packed(found))
    assert "unsafe" not in page.policy
    assert f'http-equiv="Content-Security-Policy" content="{page.policy}"' in page.html
    run = re.findall(r"<script(?: type=\"module\")?>(.*?)</script>", page.html, re.DOTALL)
    assert len(run) == 3
    for text in (*run, *re.findall(r"<style>(.*?)</style>", page.html, re.DOTALL)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in page.policy
    assert not re.search(r"\son\w+=|\sstyle=|javascript:", page.html)
    assert "connect-src 'none'" in page.policy
    empty = maps.page(None)
    assert "connect-src 'self'" in empty.policy
    assert 'id="survey"' not in empty.html


def test_names_from_data_never_stand_in_the_markup(found: Survey) -> None:
    ground = found.grounds[0]
    areas = ground.ground.areas.assign(name=HOSTILE)
    told = replace(
        found,
        title={"en": HOSTILE},
        titles={"0101": {"zh": HOSTILE}, "01": {}},
        grounds=(replace(ground, ground=replace(ground.ground, areas=areas)),),
        outlines=(Outline(title={"en": HOSTILE}, areas=areas),),
    )
    packed = maps.packed(told)
    html = maps.page(packed).html
    assert "hacked" not in html
    assert HOSTILE in str(unpack(packed))


def test_the_page_is_the_same_each_time(found: Survey) -> None:
    assert maps.page(maps.packed(found)) == maps.page(maps.packed(found))


def test_photos_are_web_addresses_only() -> None:
    urls = ("javascript:alert(1)", "https://photos.example/1.jpg", "data:text/html,x")
    frame = some_cases(60)
    back = pd.DataFrame(
        {
            "id": [900, 901, 902],
            "x": 50.0,
            "y": 50.0,
            "opened_at": pd.to_datetime(["2025-03-01", "2025-03-10", "2025-03-20"], utc=True),
            "closed_at": pd.to_datetime(["2025-03-02", "2025-03-11", "2025-03-21"], utc=True),
            "category": "0101",
            "responsible": None,
        }
    )
    from gridsvc.hotspots.recurrence import Rule  # noqa: PLC0415

    told = make(
        pd.concat([frame.assign(id=range(60)), back], ignore_index=True).astype(
            {"category": "category", "responsible": "category"}
        ),
        rule=Rule(within_m=5),
        photos=lambda ids: dict.fromkeys(ids, urls),
    )
    document = unpack(maps.packed(told))
    photos = document["chronic"][0]["photos"]  # type: ignore[index]
    assert photos == {str(number): [urls[1]] for number in range(3)}


def test_shapes_come_back_within_a_metre_of_where_they_are(found: Survey) -> None:
    document = unpack(maps.packed(found))
    shape = document["grounds"][0]["shape"]  # type: ignore[index]
    assert shape["polygons"] == [1] * 64
    assert shape["points"] == [5] * 64
    scale, (lon, lat) = document["scale"], document["origin"]  # type: ignore[index]
    from gridsvc.crs import from_wgs84  # noqa: PLC0415

    x, y = from_wgs84(
        lon + np.array(shape["x"]) * scale, lat + np.array(shape["y"]) * scale, crs=STORAGE
    )
    corners = np.array([a.exterior.coords for a in squares().geometry]).reshape(-1, 2)
    # Simplifying may begin a ring at another corner.
    for i in range(64):
        mine = np.stack([x, y], axis=1)[5 * i : 5 * i + 5]
        away = np.linalg.norm(mine[:, None] - corners[5 * i : 5 * i + 5][None], axis=2)
        assert away.min(axis=1).max() < 1.0


# A million cases.


def test_a_million_cases_stay_under_three_megabytes() -> None:
    """2,025 areas and 2,025 cells, 24 months, 20 classes, and as many tests as there ever are."""
    rng = np.random.default_rng(28)
    side, months, kinds = 45, 24, 20
    areas = areas_frame(
        {
            f"1101990010{i:02}{j:03}": shapely.box(i * 100, j * 100, i * 100 + 100, j * 100 + 100)
            for i in range(side)
            for j in range(side)
        }
    ).assign(name=[f"第{i}单元网格" for i in range(side**2)])
    skew = rng.dirichlet(np.full(side**2, 0.7))
    chance = np.outer(np.outer(rng.dirichlet(np.ones(kinds) * 3), np.ones(months)), skew).ravel()
    grounds = []
    for code in ("unit", "square"):
        sums = rng.multinomial(1_000_000, chance / chance.sum())
        place = np.flatnonzero(sums)
        counts = pd.DataFrame(
            {
                "category": place // (side**2 * months),
                "month": place // side**2 % months,
                "area": place % side**2,
                "cases": sums[place],
            }
        )
        findings = tuple(
            Finding(
                category=f"{number:02}",
                first=0,
                last=months - 1,
                kinds=rng.choice(np.array(list(KINDS)[:7], object), side**2, p=PLENTY),
                q=rng.uniform(0, 0.1, side**2),
                places=tuple(a_place(rank, rng) for rank in range(1, 16)),
            )
            for number in range(MOST_TESTED // side**2)
        )
        grounds.append(
            GroundSurvey(
                ground=Ground(code=code, title={"en": code}, areas=areas),
                counts=counts,
                graph=neighbours(areas),
                findings=findings,
                patterns={
                    f"{number:02}": rng.choice(np.array(list(PATTERNS), object), side**2)
                    for number in range(kinds)
                },
            )
        )
    survey = Survey(
        title={"en": "Large"},
        crs=STORAGE,
        zone=ZoneInfo("Asia/Shanghai"),
        months=tuple(np.arange("2025-01", "2027-01", dtype="M8[M]").astype(str).tolist()),
        categories=tuple(f"{number:02}" for number in range(kinds)),
        groups=(),
        titles={},
        cases=1_000_000,
        grounds=tuple(grounds),
        outlines=(),
        made_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    assert len(maps.page(maps.packed(survey)).html.encode()) < 3 * MB


PLENTY = [0.04, 0.03, 0.03, 0.85, 0.02, 0.02, 0.01]
"""Of the classes: more hot and cold spots than any real city has."""


def a_place(rank: int, rng: np.random.Generator) -> Place:
    areas = tuple(rng.integers(0, 2025, 12).tolist())
    return Place(rank=rank, areas=areas, x=0, y=0, cases=99, expected=9.5, z=4.2, q=0.003)


# Without colour vision: Machado, Oliveira and Fernandes, A physiologically-based model for
# simulation of color vision deficiency (2009), severity 1.0, on linear RGB.

SIMULATED = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
    "greys": [[0.2126, 0.7152, 0.0722]] * 3,
}

Colour = npt.NDArray[np.float64]


def linear(colour: str) -> Colour:
    value = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def lab(rgb: Colour) -> Colour:
    """CIE L*a*b* of linear sRGB, D65."""
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = np.cbrt(np.array(to_xyz) @ np.clip(rgb, 0, 1) / [0.9505, 1, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", SIMULATED)
def test_classes_of_numbers_differ_for_every_eye(vision: str) -> None:
    """Each class is told from the next by lightness alone, and 10 apart in L*a*b*."""
    seen = [lab(np.array(SIMULATED[vision]) @ linear(it)) for it in ("#ffffff", *maps.SEQUENCE)]
    lightness = [it[0] for it in seen]
    assert lightness == sorted(lightness, reverse=True)
    assert min(np.linalg.norm(a - b) for a, b in itertools.pairwise(seen[1:])) > 10


@pytest.mark.parametrize("looks", [KINDS, PATTERNS], ids=["gi", "patterns"])
def test_classes_of_kinds_differ_without_any_colour(looks: dict[str, object]) -> None:
    """No two of them have the same hatching, and each hatching stands out from its ground."""
    drawn = {name: hatch for name, hatch in maps._hatches().items() if name in looks}
    assert len({(hatch.path, hatch.size) for hatch in drawn.values()}) == len(looks)
    for vision in SIMULATED.values():
        for name, hatch in drawn.items():
            if hatch.path:
                ground, ink = (np.array(vision) @ linear(it) for it in (hatch.colour, hatch.ink))
                dark, light = sorted(np.clip([ground @ LUMINANCE, ink @ LUMINANCE], 0, 1))
                # What WCAG asks of graphical objects.
                assert (light + 0.05) / (dark + 0.05) >= 3, name


LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
