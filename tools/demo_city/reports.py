"""Reports have the rhythm of a city, the faults of their channels, and places that come back."""

# ruff: noqa: PLR2004 -- a drawing is full of measures that are its own

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from gridsvc.crs import from_wgs84
from tools.demo_city import EPSG
from tools.demo_city.areas import City
from tools.demo_city.network import CENTRE

N_REPORTS, N_CHRONIC, N_OUTSIDE, N_DEFAULT = 20_000, 12, 140, 420
FROM, TO = np.datetime64("2024-11-01", "s"), np.datetime64("2026-11-01", "s")
UTC_OFFSET = np.timedelta64(8, "h")
DEFAULT_POINT = {"lon": 116.4606, "lat": 39.9262}
SPRING_FESTIVALS = (("2025-01-26", "2025-02-05"), ("2026-02-14", "2026-02-24"))
CATEGORIES = pd.DataFrame(
    # Name in the category file, share, where, month of its peak, its swing, hours to close.
    [
        ("暴露垃圾", 12, "shop", 7, 0.3, 5),
        ("积存垃圾渣土", 7, "yard", 5, 0.2, 20),
        ("道路不洁", 7, "road", 4, 0.2, 4),
        ("水域不洁", 2, "open", 7, 0.6, 18),
        ("绿地脏乱", 3, "open", 10, 0.4, 16),
        ("道路破损", 4, "road", 2, 0.2, 90),
        ("非法小广告", 10, "shop", 9, 0.1, 12),
        ("违章张贴悬挂广告牌匾", 3, "shop", 9, 0.1, 60),
        ("工地扬尘", 2, "road", 4, 0.5, 10),
        ("下水道堵塞", 2, "yard", 7, 0.6, 14),
        ("自来水管破裂", 1, "road", 1, 0.7, 7),
        ("无照经营游商", 9, "shop", 8, 0.4, 2),
        ("店外经营", 10, "shop", 7, 0.4, 3),
        ("机动车乱停放", 9, "road", 10, 0.1, 3),
        ("非机动车乱停放", 6, "shop", 5, 0.3, 4),
        ("乱堆物堆料", 6, "yard", 11, 0.2, 30),
        ("露天烧烤", 3, "shop", 7, 0.95, 2),
        ("占用消防通道", 2, "yard", 1, 0.1, 8),
        ("路灯", 1, "road", 12, 0.5, 40),
        ("雨水箅子", 1, "road", 7, 0.7, 30),
    ],
    columns=["name", "share", "where", "peak", "swing", "hours"],
)
CHRONIC_NAMES = ("店外经营", "暴露垃圾", "机动车乱停放", "无照经营游商", "非法小广告", "乱堆物堆料")
CHANNELS = {"phone_app": 0.38, "hotline": 0.22, "inspector": 0.22, "video": 0.10, "patrol": 0.08}
ACCURACY_M = {"inspector": (3, 8), "video": (10, 20), "patrol": (4, 12)}

Xy = NDArray[np.float64]
Times = NDArray[np.datetime64]


def build(
    city: City, categories: Path, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make the reports, and tell which places are chronic.

    Args:
        city: The areas.
        categories: Category file; says the code of each name used here.
        rng: Where chance comes from.

    Returns:
        Reports in the order they came, and the chronic places (`lon`, `lat`, `category`, `cases`).
    """
    with categories.open(encoding="utf-8") as lines:
        code = {row["name_zh"]: row["code"] for row in csv.DictReader(lines)}
    chronic, places = _chronic(city, rng)
    usual = _usual(city, N_REPORTS - len(chronic), rng)
    both = pd.concat([usual, chronic], ignore_index=True)
    both["category"] = both.pop("name").map(code)
    places["category"] = places.pop("name").map(code)
    if both.category.isna().any():
        message = (
            f"{categories} lacks a category named in {__name__}. Add it there or drop it here."
        )
        raise ValueError(message)
    _close(both, rng)
    locate(both, city, rng, strayed=N_OUTSIDE, placeless=N_DEFAULT)
    both = both.sort_values(["opened_at", "x"], ignore_index=True)
    both["id"] = [f"R{n:05}" for n in range(1, len(both) + 1)]
    columns = ["id", "lon", "lat", "crs", "accuracy_m", "category", "channel"]
    columns += ["opened_at", "closed_at", "status"]
    return both[columns], places


def _usual(city: City, n: int, rng: np.random.Generator) -> pd.DataFrame:
    channel = rng.choice(list(CHANNELS), size=n, p=list(CHANNELS.values()))
    days = np.arange(FROM.astype("datetime64[D]"), TO.astype("datetime64[D]"))
    opened = opening_times(channel, days, day_weights(days, rng), rng)
    kind = kinds(opened, rng)
    xy = np.empty((n, 2))
    for where in CATEGORIES["where"].unique():
        chosen = (CATEGORIES["where"].to_numpy() == where)[kind]
        xy[chosen] = _somewhere(city, where, int(chosen.sum()), rng)
    frame = pd.DataFrame({"x": xy[:, 0], "y": xy[:, 1], "channel": channel, "opened_at": opened})
    took_s = CATEGORIES.hours.to_numpy()[kind] * 3600 * rng.lognormal(0, 0.9, n)
    closed = opened + took_s.astype("timedelta64[s]")
    closed[rng.random(n) < 0.008] = np.datetime64("NaT")
    return frame.assign(closed_at=closed, name=CATEGORIES.name.to_numpy()[kind], chronic=False)


def kinds(opened: Times, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw the category of each report, a row of `CATEGORIES`, by the season of the year."""
    month = opened.astype("datetime64[M]").astype(int) % 12 + 1
    wave = np.cos((month[:, None] - CATEGORIES.peak.to_numpy()) / 6 * np.pi)
    weight = CATEGORIES.share.to_numpy() * (1 + CATEGORIES.swing.to_numpy() * wave)
    drawn = rng.random(len(opened))[:, None] * weight.sum(1, keepdims=True)
    return np.asarray((drawn < weight.cumsum(1)).argmax(1))


def day_weights(days: Times, rng: np.random.Generator) -> Xy:
    """Weigh days: fewer reports at weekends and in winter, and hardly any at New Year."""
    count = np.arange(len(days))
    week = np.array([1.12, 1.06, 1.03, 1.0, 1.04, 0.78, 0.66])[(days.astype(int) + 3) % 7]
    season = 1 + 0.18 * np.cos((count - 270) / 365.25 * 2 * np.pi)
    weight = week * season * (1 + 0.15 * count / len(days)) * rng.gamma(30, 1 / 30, len(days))
    for first, last in SPRING_FESTIVALS:
        weight[(days >= np.datetime64(first)) & (days <= np.datetime64(last))] *= 0.35
    return np.asarray(weight)


def opening_times(
    channel: NDArray[np.str_], days: Times, weight: Xy, rng: np.random.Generator
) -> Times:
    """Draw local times of days: staff report at work, citizens before and after it."""
    day = rng.choice(days, size=len(channel), p=weight / weight.sum())
    hours = np.arange(24)
    at_work = np.where((hours >= 7) & (hours < 19), 1.0, 0.04) * np.where(hours == 12, 0.4, 1)
    at_home = (
        0.03 + np.exp(-(((hours - 8.5) / 1.8) ** 2)) + 1.2 * np.exp(-(((hours - 19) / 2.6) ** 2))
    )
    citizen = np.isin(channel, ["phone_app", "hotline"])
    hour = np.where(
        citizen,
        rng.choice(hours, size=len(channel), p=at_home / at_home.sum()),
        rng.choice(hours, size=len(channel), p=at_work / at_work.sum()),
    )
    second = hour * 3600 + rng.integers(3600, size=len(channel))
    return np.asarray(day.astype("datetime64[s]") + second.astype("timedelta64[s]"))


def _somewhere(city: City, where: str, n: int, rng: np.random.Generator) -> Xy:
    areas, weight = weighed_areas(city, where, rng)
    return points_in(areas, weight, n, rng)


def weighed_areas(
    city: City, where: str, rng: np.random.Generator
) -> tuple[NDArray[np.object_], Xy]:
    """Weigh areas of one kind: thick round the markets and in a few careless areas."""
    layer = {"shop": "shopfront", "yard": "courtyard", "open": "open_space"}
    areas = city.roads if where == "road" else city.layers[layer[where]].geometry.to_numpy()
    market_m = shapely.distance(areas[:, None], city.markets[None, :]).min(axis=1)
    weight = np.sqrt(shapely.area(areas)) * (0.15 + np.exp(-market_m / 420))
    weight *= rng.lognormal(0, 0.9, len(areas))
    return areas, weight


def points_in(areas: NDArray[np.object_], weight: Xy, n: int, rng: np.random.Generator) -> Xy:
    """Draw points in areas."""
    chosen = areas[rng.choice(len(areas), size=n, p=weight / weight.sum())]
    west, south, east, north = shapely.bounds(chosen).T
    xy = np.full((n, 2), np.nan)
    left = np.arange(n)
    while len(left):
        xy[left, 0] = rng.uniform(west[left], east[left])
        xy[left, 1] = rng.uniform(south[left], north[left])
        left = left[~shapely.contains_xy(chosen[left], xy[left])]
    return xy


def _chronic(city: City, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make places where, 15 to 29 days after each closing, the same is there again."""
    spots = _somewhere(city, "shop", N_CHRONIC * 40, rng)
    chosen = [0]
    while len(chosen) < N_CHRONIC:
        away_m = np.linalg.norm(spots[:, None] - spots[chosen], axis=2).min(axis=1)
        chosen.append(int(np.flatnonzero(away_m > 250)[0]))  # metres
    rows, places = [], []
    for number, (x, y) in enumerate(spots[chosen]):
        name = CHRONIC_NAMES[number % len(CHRONIC_NAMES)]
        day, cases = FROM + np.timedelta64(int(rng.integers(1, 21)), "D"), 0
        while day < TO:
            opened = day + np.timedelta64(int(rng.integers(7 * 3600, 20 * 3600)), "s")
            closed = opened + np.timedelta64(int(rng.integers(2 * 3600, 48 * 3600)), "s")
            dx, dy = rng.uniform(-4, 4, 2)
            channel = str(rng.choice(["inspector", "patrol"]))
            rows.append((x + dx, y + dy, channel, opened, closed, name, True))
            days = np.timedelta64(int(rng.integers(15, 29)), "D")
            day = (closed + days).astype("datetime64[D]").astype("datetime64[s]")
            cases += 1
        places.append((x, y, name, cases))
    columns = ["x", "y", "channel", "opened_at", "closed_at", "name", "chronic"]
    found = pd.DataFrame(places, columns=["x", "y", "name", "cases"])
    found["lon"], found["lat"] = _lonlat(
        found.pop("x").to_numpy(copy=True), found.pop("y").to_numpy(copy=True)
    )
    return pd.DataFrame(rows, columns=columns), found.round(6)


def _close(reports: pd.DataFrame, rng: np.random.Generator) -> None:
    """Leave open what was not closed by the end of the file, and tell how far it has come."""
    is_open = ~(reports.closed_at < TO)
    reports.loc[is_open, "closed_at"] = pd.NaT
    states = rng.choice(["received", "dispatched", "handled"], size=len(reports), p=[0.2, 0.5, 0.3])
    reports["status"] = np.where(is_open, states, "closed")
    for column in ("opened_at", "closed_at"):
        reports[column] = (
            (reports[column] - UTC_OFFSET).astype("datetime64[ms]").dt.tz_localize("UTC")
        )


def locate(
    reports: pd.DataFrame, city: City, rng: np.random.Generator, *, strayed: int, placeless: int
) -> None:
    """Write each place as its channel does: off by its accuracy, rounded, or in GCJ-02.

    Args:
        reports: Their `x`, `y`, `channel` and `chronic`; gets `lon`, `lat`, `crs`, `accuracy_m`.
        city: The areas.
        rng: Where chance comes from.
        strayed: So many lie outside the city.
        placeless: So many are put on the default point.
    """
    n = len(reports)
    channel, moves = reports.channel.to_numpy(), ~reports.chronic.to_numpy()
    accuracy_m = np.full(n, np.nan)
    for name, (least, most) in ACCURACY_M.items():
        accuracy_m = np.where(channel == name, rng.uniform(least, most, n), accuracy_m)
    phone = channel == "phone_app"
    accuracy_m[phone] = np.clip(rng.lognormal(2.7, 0.6, phone.sum()), 5, 60)
    xy = reports[["x", "y"]].to_numpy(copy=True)
    # A circle of twice the standard deviation holds 86 % of a normal error in the plane.
    xy[moves] += (rng.normal(size=(n, 2)) * np.nan_to_num(accuracy_m)[:, None] / 2)[moves]
    citizens = np.flatnonzero(moves & (phone | (channel == "hotline")))
    away = rng.choice(citizens, size=strayed, replace=False)
    xy[away] = _outside(city, strayed, rng)
    lon, lat = _lonlat(*xy.T)
    digits = np.where(channel == "hotline", 4, 6)
    gcj02 = phone & (rng.random(n) < 0.7)
    lon[gcj02], lat[gcj02] = from_wgs84(lon[gcj02], lat[gcj02], crs="gcj02")
    for degrees in (lon, lat):
        degrees[:] = np.where(digits == 4, degrees.round(4), degrees.round(6))
    hotline = np.setdiff1d(np.flatnonzero(channel == "hotline"), away)
    nowhere = rng.choice(hotline, size=placeless, replace=False)
    lon[nowhere], lat[nowhere] = DEFAULT_POINT["lon"], DEFAULT_POINT["lat"]
    reports["lon"], reports["lat"] = lon, lat
    reports["crs"] = np.where(gcj02, "gcj02", "EPSG:4326")
    reports["accuracy_m"] = accuracy_m.round(1)


def _outside(city: City, n: int, rng: np.random.Generator) -> Xy:
    turn, away_m = rng.uniform(0, 2 * np.pi, 9 * n), rng.uniform(2300, 4300, 9 * n)
    xy = np.array(CENTRE) + np.column_stack([away_m * np.cos(turn), away_m * np.sin(turn)])
    # Far enough that no error of a phone or of rounding brings the point back in.
    district = city.layers["district"].geometry.iloc[0].buffer(30)
    return xy[~shapely.contains_xy(district, xy)][:n]


def _lonlat(x: Xy, y: Xy) -> tuple[Xy, Xy]:
    lon, lat = Transformer.from_crs(EPSG, 4326, always_xy=True).transform(x, y)
    return lon, lat
