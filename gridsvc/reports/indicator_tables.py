"""Indicators as people take them away: a CSV for spreadsheets and a page that prints on A4."""

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined

from gridsvc.grids.indicator_rules import COUNTS
from gridsvc.grids.schemes import Scheme
from gridsvc.reports.indicators import By, Figures, Indicators, Level, Period, StepTime

COUNT_TITLES = {
    "filed": ("立案", "Filed"),
    "should_close": ("应结案", "Should close"),
    "closed": ("结案", "Closed"),
    "on_time": ("按期结案", "On time"),
    "returned": ("退回", "Returned"),
    "repeated": ("重复上报", "Repeated"),
    "deferred": ("挂账", "Deferred"),
    "escalated": ("升级", "Escalated"),
}
"""Chinese and English."""

KEY_TITLES = {
    By.TOTAL: ("全市", "City"),
    By.PARTY: ("责任主体", "Party"),
    By.AREA: ("区域", "Area"),
    By.LAYER: ("图层", "Layer"),
    By.CATEGORY: ("类别", "Category"),
    By.MONTH: ("月份", "Month"),
}

_pages = Environment(
    loader=PackageLoader("gridsvc.reports"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_pages.filters["percent"] = lambda value: "—" if value is None else f"{value:.1%}"
_pages.filters["hours"] = lambda value: "—" if value is None else f"{value:.1f}"


def flat(table: Indicators) -> Iterator[dict[str, Any]]:
    """Give each row as one flat record; figures of earlier periods have a prefix."""
    for row in table.rows:
        yield {
            "key": row.key,
            "name": row.name,
            "class": row.group,
            "rank": row.rank,
            **_figures("", row.now),
            **_figures("previous_", row.previous),
            **_figures("last_year_", row.last_year),
        }


def _figures(prefix: str, figures: Figures) -> dict[str, Any]:
    return {f"{prefix}{name}": value for name, value in (figures.counts | figures.rates).items()}


def to_csv(table: Indicators) -> str:
    """Write a table as CSV, a header first; a rate that cannot be worked out is empty.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    stream = io.StringIO(newline="")
    prefixes = ("", "previous_", "last_year_")
    codes = (*COUNTS, *(rate.code for rate in table.rates))
    header = ["key", "name", "class", "rank", *(p + code for p in prefixes for code in codes)]
    writer = csv.DictWriter(stream, header)
    writer.writeheader()
    writer.writerows({name: _plain(value) for name, value in row.items()} for row in flat(table))
    return stream.getvalue()


def _plain(value: object) -> object:
    return (
        f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value
    )


def to_html(
    scheme: Scheme,
    table: Indicators,
    levels: Iterable[Level],
    times: Iterable[StepTime],
) -> str:
    """Write a table as a page that needs nothing from elsewhere and prints on A4, landscape."""
    zone = scheme.zone
    return _pages.get_template("indicators.html").render(
        title=scheme.title,
        table=table,
        key_title=KEY_TITLES[table.by],
        counts=[(name, *COUNT_TITLES[name]) for name in COUNTS],
        rates=table.rates,
        period=_days(table.period, zone),
        previous=_days(table.previous, zone),
        last_year=_days(table.last_year, zone),
        levels=list(levels),
        times=list(times),
        deferred=scheme.indicators.deferred,
        made_at=f"{datetime.now(UTC).astimezone(zone):%Y-%m-%d %H:%M}",
    )


def _days(period: Period, zone: ZoneInfo) -> str:
    """Name a period by its first and last day."""
    first = period.starts_at.astimezone(zone)
    last = (period.ends_at - timedelta(microseconds=1)).astimezone(zone)
    return f"{first:%Y-%m-%d} – {last:%Y-%m-%d}"
